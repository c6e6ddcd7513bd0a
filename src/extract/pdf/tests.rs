//! Hand-made documents, small enough to be seen whole.

use proptest::prelude::*;

use super::*;
use crate::domain::narrative::SectionKind;

/// A document in the making.
struct Draft {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Draft {
    fn new() -> Self {
        Self { bytes: b"%PDF-1.7\n".to_vec(), places: Vec::new() }
    }

    /// Adds an object; its number is returned.
    fn object(&mut self, body: impl AsRef<[u8]>) -> usize {
        self.places.push(self.bytes.len());
        let number = self.places.len();
        self.bytes.extend(format!("{number} 0 obj\n").bytes());
        self.bytes.extend(body.as_ref());
        self.bytes.extend(b"\nendobj\n");
        number
    }

    fn stream(&mut self, entries: &str, data: impl AsRef<[u8]>) -> usize {
        let data = data.as_ref();
        let head = format!("<</Length {} {entries}>>\nstream\n", data.len());
        self.object([head.as_bytes(), data, b"\nendstream"].concat())
    }

    /// The bytes, with a table of all objects. `root` is the catalog.
    fn finish(mut self, root: usize) -> Vec<u8> {
        let table = self.bytes.len();
        self.bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", self.places.len() + 1).bytes());
        for place in &self.places {
            self.bytes.extend(format!("{place:010} 00000 n \n").bytes());
        }
        let size = self.places.len() + 1;
        self.bytes.extend(format!("trailer\n<</Size {size}/Root {root} 0 R>>\nstartxref\n{table}\n%%EOF").bytes());
        self.bytes
    }
}

/// What a test's page is made of: its content, further entries of its dictionary, further resources.
#[derive(Clone, Copy, Default)]
struct Sketch<'s> {
    content: &'s str,
    entries: &'s str,
    resources: &'s str,
}

/// A document of such pages, with Helvetica as `/F` and further entries in its catalog. Objects 1 and 2 are the font
/// and an image.
fn document(pages: &[Sketch<'_>], catalog: &str) -> Vec<u8> {
    let mut draft = Draft::new();
    let font = draft.object("<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>");
    let image =
        draft.stream("/Type/XObject/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace/DeviceGray", b"0");
    let tree = 3 + 2 * pages.len();
    let mut kids = String::new();
    for Sketch { content, entries, resources } in pages {
        let content = draft.stream("", content);
        let page = draft.object(format!(
            "<</Type/Page/Parent {tree} 0 R/MediaBox[0 0 600 800]/Contents {content} 0 R{entries}
              /Resources<</Font<</F {font} 0 R>>/XObject<</I {image} 0 R>>{resources}>>>>"
        ));
        kids += &page.to_string();
        kids += " 0 R ";
    }
    let tree = draft.object(format!("<</Type/Pages/Count {}/Kids[{kids}]>>", pages.len()));
    let root = draft.object(format!("<</Type/Catalog/Pages {tree} 0 R{catalog}>>"));
    draft.finish(root)
}

fn of_content(content: &str) -> Result<Reading, Refusal> {
    read(document(&[Sketch { content, ..Sketch::default() }], ""), || ())
}

/// The text of a page with strings at places; letters are ten points high.
fn body(strings: &[(i32, i32, &str)]) -> String {
    let show = |(x, y, text): &(i32, i32, &str)| format!("BT /F 10 Tf {x} {y} Td ({text}) Tj ET\n");
    of_content(&strings.iter().map(show).collect::<String>()).expect("readable").body
}

#[test]
fn lines_are_kept_and_paragraphs_stand_apart() {
    let text = body(&[
        (50, 700, "FINDINGS"),
        (50, 670, "The liver is normal. No new"),
        (50, 658, "lesion is seen."),
        (50, 628, "IMPRESSION: Stable."),
    ]);
    assert_eq!(text, "FINDINGS\n\nThe liver is normal. No new\nlesion is seen.\n\nIMPRESSION: Stable.");
}

#[test]
fn words_are_known_by_their_distances() {
    let table = [
        ("[(Sta) 20 (ble) -280 (disease)] TJ", "Stable disease"),
        ("[(S) -300 (T) -300 (A) -300 (B) -300 (L) -300 (E) -600 (N) -300 (O) -300 (W)] TJ", "STABLE NOW"),
        ("3 Tc (Stable) Tj", "Stable"),
        ("10 Tc (FINAL REPORT) Tj", "FINAL REPORT"),
        ("(P) Tj 15 0 Td (L) Tj 15 0 Td (A) Tj 15 0 Td (N) Tj 15 0 Td (S) Tj", "PLANS"),
        ("(H) Tj 40 0 Td (L) Tj 40 0 Td (H) Tj 40 0 Td (L) Tj 40 0 Td (H) Tj", "H | L | H | L | H"),
        ("[(No) -2000 (new) -2000 (disease) -2000 (seen.)] TJ", "No new disease seen."),
        ("(Stable) Tj 0.3 0 Td (Stable) Tj", "Stable"),
        ("[(Stable) -3000 (12 mm)] TJ", "Stable | 12 mm"),
        ("[(Size:) -3000 (12 mm)] TJ", "Size: 12 mm"),
        ("(18 cm) Tj /F 6 Tf 27 4 Td (2) Tj", "18 cm2"),
        ("(x10) Tj /F 6 Tf 16.3 4 Td (9) Tj /F 10 Tf 3.5 -4 Td (/L, x10) Tj /F 6 Tf 30 4 Td (9) Tj", "x109/L, x109"),
        ("(T) Tj /F 9 Tf 6 -5 Td (1) Tj /F 10 Tf 5 5 Td (N) Tj /F 9 Tf 7 -5 Td (0) Tj", "T1N0"),
        ("(5\\2400mm \\226 \\(R\\)) Tj", "5 0mm – (R)"),
    ];
    for (content, expected) in table {
        let reading = of_content(&format!("BT /F 10 Tf 50 700 Td {content} ET")).expect("readable");
        assert_eq!(reading.body, expected, "{content}");
    }
}

#[test]
fn columns_are_read_one_after_the_other() {
    let left = [
        "This is the left column of a page",
        "with running text in it, and so it",
        "goes on for some more lines yet",
        "until it ends with this sentence.",
    ];
    let right = [
        "Here the right column begins with",
        "text that is as long as that of the",
        "left one and is read after it, as a",
        "reader of both columns would read.",
    ];
    let mut strings =
        vec![(50, 750, "A title that goes over both of the columns, from one side of the page to the other")];
    for (row, (left, right)) in (0..).zip(left.iter().zip(&right)) {
        strings.extend([(50, 700 - 12 * row, *left), (320, 700 - 12 * row, *right)]);
    }
    let expected = format!("{}\n\n{}\n\n{}", strings[0].2, left.join("\n"), right.join("\n"));
    assert_eq!(body(&strings), expected);
}

#[test]
fn columns_of_a_report_with_labels_are_read_one_after_the_other_and_those_of_a_form_row_by_row() {
    let left = [
        "FINDINGS: The liver is as",
        "it was, with no change in it",
        "Bones: The focus in L3 is just",
        "the same as on the CT before.",
    ];
    let right = [
        "Spleen: Normal, as before it",
        "was too. Kidneys: normal.",
        "IMPRESSION: All disease is",
        "stable since 04/02/2024 9:15",
    ];
    let beside = |left: [&'static str; 4], right: [&'static str; 4], second: i32| {
        let lines = (0..).zip(left).zip(right);
        lines
            .flat_map(|((row, left), right)| [(50, 700 - 12 * row, left), (second, 700 - 12 * row, right)])
            .collect::<Vec<_>>()
    };
    let mut strings = beside(left, right, 320);
    assert_eq!(body(&strings), format!("{}\n\n{}", left.join("\n"), right.join("\n")));
    // The left column comes close to the right one, but each was drawn by itself.
    strings.sort_by_key(|(x, ..)| *x);
    strings.iter_mut().filter(|(x, ..)| *x == 320).for_each(|(x, ..)| *x = 190);
    assert_eq!(body(&strings), format!("{}\n\n{}", left.join("\n"), right.join("\n")));

    let left = [
        "Name: Jane Q. Example-Doe",
        "Address: 12 Example Street",
        "Insurance: Example Health",
        "Physician: Alex Example",
    ];
    let right = [
        "Sex: Female, born in 1961",
        "Place: Example Hospital 3",
        "Account: 0000 000000 0001",
        "Ordered by: Sam Example",
    ];
    let rows: Vec<String> = left.iter().zip(right).map(|(left, right)| format!("{left} | {right}")).collect();
    assert_eq!(body(&beside(left, right, 320)), rows.join("\n"));
}

#[test]
fn thousands_of_letters_on_one_line_in_any_order_take_no_time_that_is_felt() {
    let letter = |at: usize| format!("1 0 0 1 {} 700 Tm (a) Tj ", (at * 7919 % 30_000) as f32 * 0.02);
    let content = format!("BT /F 1 Tf {} ET", (0..30_000).map(letter).collect::<String>());
    let begun = std::time::Instant::now();
    assert_eq!(of_content(&content).expect("readable").body.lines().count(), 1);
    assert!(begun.elapsed().as_secs_f64() < 5.0, "{:?}", begun.elapsed());
}

#[test]
fn tables_and_banners_are_read_row_by_row() {
    let text = body(&[
        (50, 700, "Name:"),
        (120, 700, "DOE, JANE"),
        (300, 700, "MRN:"),
        (350, 700, "0001"),
        (50, 688, "Born:"),
        (120, 688, "1950"),
        (300, 688, "Sex:"),
        (350, 688, "F"),
        (50, 676, "Lesion"),
        (120, 676, "Prior"),
        (300, 676, "Now"),
        (50, 664, "Liver"),
        (120, 664, "31"),
        (300, 664, "23"),
    ]);
    assert_eq!(text, "Name: DOE, JANE | MRN: 0001\nBorn: 1950 | Sex: F\nLesion | Prior | Now\nLiver | 31 | 23");
}

#[test]
fn a_row_whose_cells_are_wrapped_is_one_line_and_one_of_values_is_not() {
    // The first cell stands at the middle of the row.
    let text = body(&[
        (50, 694, "01/2023"),
        (120, 700, "Carboplatin and"),
        (120, 688, "pembrolizumab"),
        (220, 700, "Partial response in"),
        (220, 688, "all target lesions"),
        (50, 658, "03/2024"),
        (120, 664, "Docetaxel with"),
        (120, 652, "ramucirumab"),
        (220, 658, "Stable disease"),
    ]);
    let rows = "01/2023 | Carboplatin and pembrolizumab | Partial response in all target lesions\n\
         03/2024 | Docetaxel with ramucirumab | Stable disease";
    assert_eq!(text, rows);
    let text = body(&[
        (50, 700, "Blood"),
        (120, 700, "White cells"),
        (220, 700, "3.1"),
        (120, 688, "Haemoglobin"),
        (220, 688, "9.8"),
        (50, 652, "Serum"),
        (120, 652, "Sodium"),
        (220, 652, "139"),
        (120, 640, "Potassium"),
        (220, 640, "4.1"),
    ]);
    assert_eq!(
        text.replace("\n\n", "\n"),
        "Blood | White cells | 3.1\nHaemoglobin | 9.8\nSerum | Sodium | 139\nPotassium | 4.1"
    );
}

#[test]
fn a_heading_beside_its_text_stands_alone() {
    let text = body(&[
        (50, 700, "FINDINGS"),
        (150, 700, "The liver is normal."),
        (150, 688, "No lesion."),
        (50, 664, "IMPRESSION"),
        (150, 664, "Stable."),
        (150, 652, "No change."),
    ]);
    assert_eq!(text, "FINDINGS\nThe liver is normal.\nNo lesion.\n\nIMPRESSION\nStable.\nNo change.");
}

#[test]
fn a_word_that_a_line_end_divides_is_joined() {
    let table = [
        (["the liver metas-", "tases are smaller"], "the liver metastases\nare smaller"),
        (["a node-negative, ER-", "positive tumour"], "a node-negative, ER-positive\ntumour"),
        (["platinum-", "resistant disease"], "platinum-resistant\ndisease"),
        (["an FDG-", "avid node"], "an FDG-avid\nnode"),
        (["pre-", "existing disease"], "pre-existing\ndisease"),
        (["the pre-", "vious scan"], "the previous\nscan"),
        (["an in-", "complete response"], "an incomplete\nresponse"),
        (["spleen and lesion, lesion-", "spleen ratio"], "spleen and lesion, lesion-spleen\nratio"),
        (["arranged a follow-", "up in May"], "arranged a follow-up\nin May"),
        (["she is follow-", "ing the plan"], "she is following\nthe plan"),
        (["on T1-", "weighted images"], "on T1-weighted\nimages"),
        (["treated for Non-", "Hodgkin lymphoma"], "treated for Non-Hodgkin\nlymphoma"),
        (["a re-staging CT, re-", "staging MR"], "a re-staging CT, re-staging\nMR"),
        (["between 3 -", "5 cm"], "between 3 -\n5 cm"),
        (["soft metas\\255", "tases"], "soft metastases"),
        (["none-", "- next item"], "none-\n- next item"),
        (["the whole word-", "less"], "the whole wordless"),
    ];
    for (lines, expected) in table {
        assert_eq!(body(&[(50, 700, lines[0]), (50, 688, lines[1])]), expected, "{lines:?}");
    }
}

#[test]
fn ligatures_are_read_as_letters() {
    let mut draft = Draft::new();
    let map = draft.stream("", "2 beginbfchar <01> <FB01> <02> <006E> endbfchar");
    let font = draft.object(format!(
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode {map} 0 R
          /Encoding<</Type/Encoding/Differences[3/fl/f_f_i]>>>>"
    ));
    let content = draft.stream("", "BT /F 10 Tf 50 700 Td (\\001\\002 \\003ow e\\004cient) Tj ET");
    let page = format!("<</Type/Page/Parent 5 0 R/Contents {content} 0 R/Resources<</Font<</F {font} 0 R>>>>>>");
    let page = draft.object(page);
    let tree = draft.object(format!("<</Type/Pages/Count 1/MediaBox[0 0 600 800]/Kids[{page} 0 R]>>"));
    let root = draft.object(format!("<</Type/Catalog/Pages {tree} 0 R>>"));
    assert_eq!(read(draft.finish(root), || ()).expect("readable").body, "fin flow efficient");
}

#[test]
fn signs_of_a_font_of_signs_are_known_without_a_map() {
    let resources = "/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>
        /S<</Type/Font/Subtype/TrueType/BaseFont/ABCDEF+SymbolMT/FirstChar 32/LastChar 33/Widths[500 500]>>>>";
    let content = "BT /F 10 Tf 50 700 Td (Size ) Tj /S 10 Tf (\\263) Tj /F 10 Tf [-600 (10 mm)] TJ ET";
    let mut draft = Draft::new();
    let content = draft.stream("", content);
    let page = draft.object(format!("<</Type/Page/Parent 3 0 R/Contents {content} 0 R/Resources<<{resources}>>>>"));
    let tree = draft.object(format!("<</Type/Pages/Count 1/MediaBox[0 0 600 800]/Kids[{page} 0 R]>>"));
    let root = draft.object(format!("<</Type/Catalog/Pages {tree} 0 R>>"));
    let body = read(draft.finish(root), || ()).expect("readable").body;
    assert_eq!(body.replace(' ', ""), "Size≥10mm");
}

#[test]
fn a_rotated_page_is_read_as_it_is_displayed_and_text_along_its_margin_comes_last() {
    let content = "BT /F 10 Tf 0 1 -1 0 100 50 Tm (First line) Tj ET BT /F 10 Tf 0 1 -1 0 112 50 Tm (second line) Tj ET
                   BT /F 6 Tf 50 700 Td (Form 1) Tj ET";
    let pages = [Sketch { content, entries: "/Rotate 90", ..Sketch::default() }];
    let reading = read(document(&pages, ""), || ()).expect("readable");
    assert_eq!(reading.body, "First line\nsecond line\n\nForm 1");
}

#[test]
fn pages_are_told_apart_and_those_that_are_pictures_are_told() {
    let text = |content| Sketch { content, ..Sketch::default() };
    let scan = text("q 600 0 0 800 0 0 cm /I Do Q");
    let pages =
        [text("BT /F 10 Tf 50 700 Td (Page one) Tj ET"), scan, text("BT /F 10 Tf 50 700 Td (Page three) Tj ET")];
    let reading = read(document(&pages, ""), || ()).expect("readable");
    assert_eq!(reading.body, "Page one\n\nPage three");
    let place = |text: &str| {
        let at = reading.body.find(text).expect("in the text");
        reading.map.locate(&reading.body, &(at..at + text.len()))
    };
    assert_eq!((place("one"), place("three")), (Some(Place::Pages(1, 1)), Some(Place::Pages(3, 3))));
    let [(what, refusal)] = reading.unread.as_slice() else { panic!("{:?}", reading.unread) };
    assert_eq!((what.as_str(), refusal.reason), ("page 2", UnreadReason::NoTextLayer));

    let refusal = read(document(&[scan, scan], ""), || ()).expect_err("no text");
    assert_eq!(refusal.reason, UnreadReason::NoTextLayer);
    assert!(refusal.detail.contains("None of its 2 pages"), "{}", refusal.detail);
    let blank = read(document(&[text("")], ""), || ()).expect("nothing to tell");
    assert!(blank.body.is_empty() && blank.unread.is_empty());
}

/// The reading of pages with lines of text from the top down, two of which stand at the very top and bottom.
fn of_pages(pages: &[(&str, &[&str], &str)]) -> Reading {
    let contents: Vec<String> = pages
        .iter()
        .map(|(head, lines, foot)| {
            let lines = (0..).zip(*lines).map(|(row, line)| (700 - 12 * row, *line));
            let all = [(770, *head)].into_iter().chain(lines).chain([(30, *foot)]);
            let show = |(y, text): (i32, &str)| format!("BT /F 10 Tf 50 {y} Td ({text}) Tj ET ");
            all.map(show).collect()
        })
        .collect();
    let pages: Vec<Sketch<'_>> = contents.iter().map(|content| Sketch { content, ..Sketch::default() }).collect();
    read(document(&pages, ""), || ()).expect("readable")
}

#[test]
fn heads_and_feet_of_pages_are_put_behind_the_text_and_sentences_go_on_overleaf() {
    let reading = of_pages(&[
        (
            "Example Hospital",
            &[
                "FINDINGS",
                "The liver has no new lesion and the known ones",
                "are smaller, which fits with a response of the metas-",
            ],
            "Page 9 of 10",
        ),
        (
            "Example Hospital",
            &["tases to treatment.", "Bones: the lesion in the third lumbar vertebra is of"],
            "Page 10 of 10",
        ),
        ("Example Hospital", &["12 mm.", "No new lesion."], "Stable disease."),
    ]);
    let text = "FINDINGS\nThe liver has no new lesion and the known ones\nare smaller, which fits with a response of the metastases\n\
                to treatment.\nBones: the lesion in the third lumbar vertebra is of\n12 mm.\nNo new lesion.\n\nStable disease.";
    assert_eq!(reading.body, format!("{text}\n\nExample Hospital\n\nPage 9 of 10"));
    let marked = reading.headings.iter().map(|marked| (marked.kind, &reading.body[marked.range.clone()]));
    let expected = [(Some(SectionKind::Header), "Example Hospital"), (Some(SectionKind::Footer), "Page 9 of 10")];
    assert_eq!(marked.collect::<Vec<_>>(), expected);
    let at = reading.body.find("12 mm").expect("in the text");
    assert_eq!(reading.map.locate(&reading.body, &(at..at + 5)), Some(Place::Pages(3, 3)));
}

#[test]
fn what_comes_again_in_the_text_stays_there() {
    for (head, foot) in [("IMPRESSION: Stable disease.", "x"), ("Size: 12 mm", "Lesion 3: 10 mm"), ("a", "Lesion 1")] {
        let line = ["Liver: normal.", "Lesion 2"];
        let (other_head, other_foot) = (head.replace("12", "10"), foot.replace('1', "7"));
        let reading = of_pages(&[(head, &line, foot), (&other_head, &line, &other_foot)]);
        assert_eq!(reading.body.matches("Liver").count(), 2, "{}", reading.body);
        for told in [head, foot, &other_head, &other_foot].into_iter().filter(|told| told.len() > 1) {
            let times = [head, foot, &other_head, &other_foot].iter().filter(|other| **other == told).count();
            assert_eq!(reading.body.matches(told).count(), times, "{}", reading.body);
        }
    }
    // A page of one line has no head.
    let one = Sketch { content: "BT /F 10 Tf 50 770 Td (Only this) Tj ET", ..Sketch::default() };
    assert_eq!(read(document(&[one, one], ""), || ()).expect("readable").body, "Only this\n\nOnly this");
}

#[test]
fn a_stamp_on_a_scan_is_read_and_the_scan_is_told() {
    let reading =
        of_content("q 600 0 0 800 0 0 cm /I Do Q BT /F 10 Tf 50 20 Td (Scanned 1 May) Tj ET").expect("a stamp");
    assert_eq!(reading.body, "Scanned 1 May");
    assert_eq!(reading.unread[0].1.reason, UnreadReason::NoTextLayer);
}

#[test]
fn invisible_text_over_a_scan_is_read_with_a_note() {
    let reading = of_content("BT 3 Tr /F 10 Tf 50 700 Td (Stable disease) Tj ET").expect("readable");
    assert_eq!(reading.body, "Stable disease");
    assert!(reading.notes[0].contains("OCR"), "{:?}", reading.notes);
}

#[test]
fn what_the_page_does_not_show_is_kept_apart() {
    let content = "BT /F 10 Tf 50 700 Td (Seen) Tj ET BT /F 10 Tf 50 -300 Td (outside) Tj ET
                   /OC /L BDC BT /F 10 Tf 50 650 Td (off) Tj ET EMC";
    let mut draft = Draft::new();
    let font = draft.object("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>");
    let layer = draft.object("<</Type/OCG/Name(L)>>");
    let content = draft.stream("", content);
    let page = draft.object(format!(
        "<</Type/Page/Parent 5 0 R/Contents {content} 0 R/MediaBox[0 0 600 800]
          /Resources<</Font<</F {font} 0 R>>/Properties<</L {layer} 0 R>>>>>>"
    ));
    let tree = draft.object(format!("<</Type/Pages/Count 1/Kids[{page} 0 R]>>"));
    let properties = format!("/OCProperties<</OCGs[{layer} 0 R]/D<</OFF[{layer} 0 R]>>>>");
    let root = draft.object(format!("<</Type/Catalog/Pages {tree} 0 R{properties}>>"));
    let reading = read(draft.finish(root), || ()).expect("readable");
    assert_eq!((reading.body.as_str(), reading.hidden.as_str()), ("Seen", "off\n\noutside"));
}

#[test]
fn what_a_producer_says_that_glyphs_mean_counts() {
    let content = "BT /F 10 Tf 50 700 Td /Span <</ActualText(Stable)>> BDC (#%&) Tj EMC ( disease) Tj ET";
    assert_eq!(of_content(content).expect("readable").body, "Stable disease");
}

#[test]
fn line_ends_and_soft_hyphens_that_stand_for_glyphs_leave_no_blanks_behind() {
    let content = "BT /F 10 Tf 50 700 Td /Span <</ActualText(Stable \\255)>> BDC (#) Tj EMC 0 -12 Td \
                   /Span <</ActualText(a \\r\\n\\nb)>> BDC (#) Tj EMC 0 -12 Td (\\255) Tj ET";
    assert_eq!(of_content(content).expect("readable").body, "Stable\na    b");
}

#[test]
fn the_values_of_form_fields_are_read_and_comments_and_files_are_told() {
    let entries = "/Annots[<</Subtype/Widget/FT/Tx/V(Partial response)/Rect[150 695 400 712]>>
                    <</Subtype/Widget/FT/Tx/V(hidden)/F 2/Rect[150 600 400 612]>>
                    <</Subtype/Text/Contents(a comment)/Rect[0 0 9 9]>>]";
    let content = "BT /F 10 Tf 50 700 Td (Response:) Tj ET";
    let catalog = "/Names<</EmbeddedFiles<</Names[(a)<<>>(b)<<>>]>>>>";
    let reading = read(document(&[Sketch { content, entries, resources: "" }], catalog), || ()).expect("readable");
    assert_eq!(reading.body, "Response: Partial response");
    assert_eq!(reading.notes, ["1 comments on its pages were not read"]);
    assert_eq!(reading.unread[0].0, "files");
    assert!(reading.unread[0].1.detail.starts_with("2 "), "{}", reading.unread[0].1.detail);
}

#[test]
fn what_is_ticked_and_chosen_is_read_and_passwords_are_not() {
    let entries = "/Annots[<</Subtype/Widget/FT/Btn/AS/Yes/V/Yes/Rect[50 700 60 710]>>
                    <</Subtype/Widget/FT/Btn/AS/Off/V/Off/Rect[50 680 60 690]>>
                    <</Subtype/Widget/Parent<</FT/Btn/Ff 32768/V/SD>>/AP<</N<</SD 2 0 R>>>>/Rect[50 660 60 670]>>
                    <</Subtype/Widget/Parent<</FT/Btn/Ff 32768/V/SD>>/AP<</N<</PD 2 0 R>>>>/Rect[50 640 60 650]>>
                    <</Subtype/Widget/FT/Btn/Ff 65536/Rect[50 620 60 630]>>
                    <</Subtype/Widget/FT/Ch/V(1)/Opt[[(0)(none)][(1)(Partial response)]]/Rect[80 598 300 612]>>
                    <</Subtype/Widget/FT/Tx/Ff 8192/V(secret)/Rect[150 598 300 612]>>]";
    let labels = ["New lesions", "Biopsy", "Stable", "Progressive", "Send"];
    let show = |(row, label): (i32, &str)| format!("BT /F 10 Tf 64 {} Td ({label}) Tj ET ", 702 - 20 * row);
    let content: String = (0..).zip(labels).map(show).collect();
    let reading = read(document(&[Sketch { content: &content, entries, resources: "" }], ""), || ()).expect("readable");
    let lines: Vec<&str> = reading.body.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["☒ New lesions", "☐ Biopsy", "☒ Stable", "☐ Progressive", "Send", "Partial response"]);
}

#[test]
fn text_in_unknown_glyphs_is_told_not_guessed() {
    let mut draft = Draft::new();
    let font = draft.object(
        "<</Type/Font/Subtype/Type3/FontMatrix[0.001 0 0 0.001 0 0]/FontBBox[0 0 1 1]/FirstChar 65/LastChar 66
          /Widths[500 500]/CharProcs<<>>/Encoding<</Differences[65/q001/q002]>>>>",
    );
    let content = draft.stream("", "BT /F 10 Tf 50 700 Td (ABAB) Tj ET");
    let page = format!("<</Type/Page/Parent 4 0 R/Contents {content} 0 R/Resources<</Font<</F {font} 0 R>>>>>>");
    let page = draft.object(page);
    let tree = draft.object(format!("<</Type/Pages/Count 1/Kids[{page} 0 R]>>"));
    let root = draft.object(format!("<</Type/Catalog/Pages {tree} 0 R>>"));
    let refusal = read(draft.finish(root), || ()).expect_err("unknown glyphs");
    assert_eq!(refusal.reason, UnreadReason::Malformed);
    assert!(refusal.detail.contains("fonts do not say"), "{}", refusal.detail);
}

#[test]
fn encrypted_documents_are_read_where_no_password_is_needed() {
    let open = include_bytes!("../../../tests/fixtures/extract/no-password.pdf");
    assert_eq!(read(open.to_vec(), || ()).expect("readable").body, "IMPRESSION: Stable disease.");
    let closed = include_bytes!("../../../tests/fixtures/extract/password.pdf");
    assert_eq!(read(closed.to_vec(), || ()).expect_err("a password").reason, UnreadReason::Encrypted);
}

/// A page that draws the first of so many forms, each of which draws the next: the last one draws `last`.
fn forms(count: usize, last: usize) -> Vec<u8> {
    let mut draft = Draft::new();
    for number in 1..=count {
        let next = if number == count { last } else { number + 1 };
        let resources = format!("/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X {next} 0 R>>>>");
        draft.stream(&resources, "/X Do ");
    }
    let content = draft.stream("", "/X Do ");
    let (page, tree) = (content + 1, content + 2);
    draft.object(format!("<</Type/Page/Parent {tree} 0 R/Contents {content} 0 R/Resources<</XObject<</X 1 0 R>>>>>>"));
    draft.object(format!("<</Type/Pages/Count 1/Kids[{page} 0 R {tree} 0 R 99 0 R]>>"));
    let root = draft.object(format!("<</Type/Catalog/Pages {tree} 0 R>>"));
    draft.finish(root)
}

#[test]
fn drawings_within_drawings_end() {
    assert_eq!(read(forms(20, 99), || ()).expect_err("too deep").reason, UnreadReason::TooLarge);
    // The library sees a loop, and gives nothing in its place.
    for count in 1..3 {
        assert_eq!(read(forms(count, 1), || ()).expect("an end").body, "");
    }
}

#[test]
fn damaged_documents_are_read_as_far_as_they_go_or_refused() {
    let whole = document(&[Sketch { content: "BT /F 10 Tf 50 700 Td (Stable) Tj ET", ..Sketch::default() }], "");
    let table = whole.windows(4).position(|window| window == b"xref").expect("a table");
    assert_eq!(read(whole[..table].to_vec(), || ()).map(|reading| reading.body).ok().as_deref(), Some("Stable"));
    for garbage in [&b"%PDF-1.7"[..], b"%PDF-1.7\n\xff\x00 garbage <<<< [[[[ 1 0 obj stream", &whole[..200]] {
        assert_eq!(read(garbage.to_vec(), || ()).expect_err("damaged").reason, UnreadReason::Malformed);
    }
    let text = String::from_utf8_lossy(&whole).into_owned();
    let looped = text.replace("trailer\n<<", &format!("trailer\n<</Prev {table} "));
    assert_eq!(read(looped.into_bytes(), || ()).expect("readable").body, "Stable");
    let long = text.replace("/Length 36", "/Length 999999999");
    assert_ne!(long, text);
    assert_eq!(read(long.into_bytes(), || ()).expect("readable").body, "Stable");
}

proptest! {
    #[test]
    fn any_content_gives_text_whose_map_fits(
        content in "(BT |ET |/F 1?[0-9] Tf |-?[0-9]{1,3} -?[0-9]{1,3} Td |\\(a b-\\) Tj |\\(\\\\255\\) Tj |\\[\\(x\\) -?[0-9]{1,4} \\(y\\)\\] TJ \
                    |q |Q |0 1 -1 0 9 9 cm |T\\* |3 Tr |1e9 0 0 1 0 0 cm |BDC |EMC |/I Do |-50 Tz ){0,40}"
    ) {
        if let Ok(reading) = of_content(&content) {
            for (range, _) in reading.map.places() {
                prop_assert!(reading.body.get(range).is_some());
            }
            prop_assert!(reading.body.find('\u{ad}').is_none(), "a soft hyphen");
        }
    }

    #[test]
    fn a_document_with_a_changed_byte_never_panics(at in 0_usize..900, byte: u8) {
        let mut bytes = document(&[Sketch { content: "BT /F 10 Tf 50 700 Td (Stable) Tj ET", ..Sketch::default() }], "");
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(bytes, || ());
    }
}
