//! From places to text: words, lines, columns, tables, pages.

use super::*;
use crate::domain::narrative::SectionKind;

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
