//! Hand-made documents, small enough to be seen whole.

mod layout;

use proptest::prelude::*;

use super::*;

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
