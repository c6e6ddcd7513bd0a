use std::io::{Cursor, Write as _};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use super::*;
use crate::domain::source_map::Place;

const NAMESPACES: &str = r#"xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:mc="mc" xmlns:v="v"
    xmlns:m="m" xmlns:a="a" xmlns:wps="wps""#;

/// A zip of these parts.
fn zipped(parts: &[(&str, String)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).expect("a file");
        writer.write_all(content.as_bytes()).expect("content");
    }
    writer.finish().expect("a zip").into_inner()
}

/// A part whose root is this element.
fn part(root: &str, content: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:{root} {NAMESPACES}>{content}</w:{root}>")
}

fn relations(parts: &[(&str, &str)]) -> String {
    let one = |(index, (kind, target)): (usize, &(&str, &str))| {
        format!("<Relationship Id=\"r{index}\" Type=\"http://x/relationships/{kind}\" Target=\"{target}\"/>")
    };
    format!("<Relationships>{}</Relationships>", parts.iter().enumerate().map(one).collect::<Vec<_>>().concat())
}

/// A whole document with this body.
fn whole(body: &str) -> Vec<u8> {
    let styles = r#"<w:docDefaults><w:pPrDefault><w:pPr><w:spacing w:after="0"/></w:pPr></w:pPrDefault></w:docDefaults>
        <w:style w:type="paragraph" w:default="1" w:styleId="N"><w:name w:val="Normal"/></w:style>
        <w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/><w:basedOn w:val="N"/></w:style>
        <w:style w:type="paragraph" w:styleId="O"><w:name w:val="Own"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
        <w:style w:type="paragraph" w:styleId="B"><w:name w:val="Body"/><w:basedOn w:val="H1"/>
          <w:pPr><w:spacing w:after="200"/></w:pPr></w:style>
        <w:style w:type="character" w:styleId="Hid"><w:name w:val="Hid"/><w:rPr><w:vanish/></w:rPr></w:style>"#;
    let level = |level: usize, format: &str, text: &str| {
        format!(
            r#"<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{format}"/><w:lvlText w:val="{text}"/></w:lvl>"#
        )
    };
    let numbering = format!(
        r#"<w:abstractNum w:abstractNumId="0">{}{}</w:abstractNum><w:abstractNum w:abstractNumId="1">{}</w:abstractNum>
        <w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
        <w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride></w:num>"#,
        level(0, "decimal", "%1."),
        level(1, "lowerRoman", "%1.%2)"),
        level(0, "bullet", "\u{f0b7}")
    );
    zipped(&[
        ("[Content_Types].xml", "<Types/>".to_owned()),
        ("_rels/.rels", relations(&[("officeDocument", "word/document2.xml")])),
        (
            "word/_rels/document2.xml.rels",
            relations(&[
                ("styles", "styles.xml"),
                ("numbering", "numbering.xml"),
                ("footnotes", "footnotes.xml"),
                ("comments", "comments.xml"),
                ("header", "header1.xml"),
                ("header", "header2.xml"),
                ("footer", "/word/footer1.xml"),
            ]),
        ),
        ("word/document2.xml", part("document", &format!("<w:body>{body}</w:body>"))),
        ("word/styles.xml", part("styles", styles)),
        ("word/numbering.xml", part("numbering", &numbering)),
    ])
}

fn body(content: &str) -> String {
    read(&whole(content)).expect("readable").body
}

/// A paragraph of one run.
fn p(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

const BODIES: &[(&str, &str)] = &[
    (
        r#"<w:p><w:r><w:t xml:space="preserve">a </w:t></w:r><w:r><w:t>b &amp; &#x2265;5&lt;</w:t></w:r></w:p>"#,
        "a b & ≥5<",
    ),
    (
        "<w:p><w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t>\
         <w:noBreakHyphen/><w:t>d</w:t><w:softHyphen/><w:t>e</w:t><w:cr/><w:t>f</w:t></w:r></w:p>",
        "a\tb\nc-de\nf",
    ),
    (
        r#"<w:p><w:r><w:sym w:font="Symbol" w:char="F0B3"/><w:t>5</w:t><w:sym w:font="Wingdings" w:char="00FC"/></w:r></w:p>"#,
        "≥5✓",
    ),
    ("<w:p><w:r><w:t>a</w:t></w:r></w:p><w:p/><w:p/><w:p><w:r><w:t>b</w:t></w:r></w:p>", "a\n\nb"),
    (
        r#"<w:p><w:pPr><w:pStyle w:val="B"/></w:pPr><w:r><w:t>a</w:t></w:r></w:p><w:p><w:r><w:t>b</w:t></w:r></w:p>"#,
        "a\n\nb",
    ),
    (
        "<w:p><w:r><w:fldChar w:fldCharType='begin'/><w:instrText>HYPERLINK x</w:instrText><w:fldChar w:fldCharType='separate'/>\
         <w:t>here</w:t></w:r><w:fldSimple w:instr='PAGE'><w:r><w:t>7</w:t></w:r></w:fldSimple></w:p>",
        "here7",
    ),
    (
        "<w:p><w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox></w:ffData>\
         </w:fldChar></w:r><w:r><w:t xml:space='preserve'> yes</w:t></w:r></w:p>",
        "☒ yes",
    ),
    (
        "<w:p><w:r><w:fldChar><w:ffData><w:ddList><w:result w:val='1'/><w:listEntry w:val='CR'/><w:listEntry w:val='PR'/></w:ddList>\
         </w:ffData></w:fldChar></w:r></w:p>",
        "PR",
    ),
    (
        "<w:p><w:r><w:t>one</w:t><mc:AlternateContent><mc:Choice Requires='wps'><wps:txbx><w:txbxContent><w:p><w:r><w:t>box</w:t>\
         </w:r></w:p></w:txbxContent></wps:txbx></mc:Choice><mc:Fallback><v:textbox><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r>\
         </w:p></w:txbxContent></v:textbox></mc:Fallback></mc:AlternateContent><w:t>two</w:t></w:r></w:p><w:p><w:r><w:t>three</w:t>\
         </w:r></w:p>",
        "onetwo\n\nbox\n\nthree",
    ),
    (
        "<w:sdt><w:sdtPr><w:alias w:val='x'/></w:sdtPr><w:sdtContent><w:p><w:ins><w:r><w:t>in</w:t></w:r></w:ins><m:oMath><m:r>\
         <m:t>=2</m:t></m:r></m:oMath><w:ruby><w:rt><w:r><w:t>no</w:t></w:r></w:rt></w:ruby></w:p></w:sdtContent></w:sdt>",
        "in=2",
    ),
    (
        "<w:p><w:r><w:rPr><w:rFonts w:ascii='Symbol'/></w:rPr><w:t>³</w:t></w:r><w:r><w:t>10 \u{f0a3}</w:t></w:r></w:p><w:p><w:r><w:rPr>\
         <w:rFonts w:ascii='Symbol'/></w:rPr><w:t>Stable</w:t></w:r></w:p>",
        "≥10 ≤\nStable",
    ),
    (
        "<w:p><m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath></w:p>",
        "1/2",
    ),
    (
        "<w:p><w:pPr><w:pPrChange><w:pPr><w:pStyle w:val='H1'/></w:pPr></w:pPrChange><w:rPr><w:vanish/></w:rPr></w:pPr><w:r><w:t>a</w:t>\
         </w:r></w:p>",
        "a",
    ),
];

#[test]
fn paragraphs_are_read_as_word_shows_them() {
    for (given, expected) in BODIES {
        assert_eq!(body(given), *expected, "{given}");
    }
}

#[test]
fn tables_are_read_row_by_row() {
    let cell = |content: &str| format!("<w:tc><w:tcPr><w:tcW w:w='1'/></w:tcPr>{content}</w:tc>");
    let row = |cells: &[String]| format!("<w:tr>{}</w:tr>", cells.concat());
    let inner =
        format!("<w:tbl>{}{}</w:tbl>", row(&[cell(&p("c")), cell(&p("d"))]), row(&[cell(&p("e")), cell(&p("f"))]));
    let table = format!(
        "{}<w:tbl><w:tblGrid/>{}{}{}</w:tbl>{}",
        p("x"),
        row(&[cell(&p("a")), cell("<w:p/>"), cell(&p("b"))]),
        row(&[cell("<w:p/>"), cell(&format!("{inner}<w:p/>")), cell(&(p("g") + &p("h")))]),
        row(&[cell("<w:p/><w:p/>"), cell("<w:p/>"), cell(&p("i"))]),
        p("y")
    );
    assert_eq!(body(&table), "x\n\na |  | b\nc | d\ne | f | g\nh\ni\n\ny");
}

#[test]
fn lists_are_counted_as_word_counts_them() {
    let item = |list: usize, level: usize, text: &str| {
        let properties = format!("<w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='{list}'/></w:numPr>");
        format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let list = [
        item(1, 0, "a"),
        item(1, 1, "b"),
        item(1, 1, "c"),
        item(2, 0, "d"),
        item(1, 0, "e"),
        item(1, 1, "f"),
        item(3, 0, "g"),
        item(0, 0, "h"),
        item(9, 0, "i"),
    ];
    assert_eq!(body(&list.concat()), "1. a\n1.i) b\n1.ii) c\n- d\n2. e\n2.i) f\n5. g\nh\ni");
}

#[test]
fn headings_are_known_by_style_or_outline_level() {
    let styled = |style: &str, text: &str| {
        format!("<w:p><w:pPr><w:pStyle w:val='{style}'/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let reading =
        read(&whole(&[styled("H1", "A"), p("b"), styled("O", "C"), styled("B", "d")].concat())).expect("readable");
    assert_eq!(reading.body, "A\n\nb\n\nC\n\nd");
    let marked: Vec<_> = reading.headings.iter().map(|marked| &reading.body[marked.range.clone()]).collect();
    assert_eq!(marked, ["A", "C"]);
}

#[test]
fn what_is_hidden_deleted_or_not_read_is_told() {
    let reading = read(&whole(
        "<w:p><w:r><w:t>Stable.</w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>one</w:t></w:r><w:del><w:r><w:delText>gone</w:delText>\
         </w:r></w:del><w:r><w:rPr><w:rStyle w:val='Hid'/></w:rPr><w:t>two</w:t></w:r><w:r><w:rPr><w:strike/></w:rPr><w:t>No.</w:t>\
         <w:drawing><a:blip/></w:drawing></w:r></w:p>",
    ))
    .expect("readable");
    assert_eq!((reading.body.as_str(), reading.hidden.as_str()), ("Stable.No.", "onegonetwo"));
    assert_eq!(
        reading.notes,
        [
            "6 characters that are hidden are kept apart",
            "4 characters that were deleted are kept apart",
            "text that is struck through is among the text"
        ]
    );
    assert_eq!(reading.unread[0].0, "1 picture");
}

#[test]
fn notes_comments_headers_and_footers_are_read_from_their_parts() {
    let document = part("document", &format!("<w:body>{}</w:body>", p("Stable.")));
    let relations = relations(&[
        ("footnotes", "footnotes.xml"),
        ("comments", "comments.xml"),
        ("header", "header1.xml"),
        ("header", "header2.xml"),
        ("footer", "footer1.xml"),
    ]);
    let note =
        format!("<w:footnote w:type='separator'>{}</w:footnote><w:footnote>{}</w:footnote>", p("no"), p("A note."));
    let bytes = zipped(&[
        (MAIN_PART, document),
        ("word/_rels/document.xml.rels", relations),
        ("word/footnotes.xml", part("footnotes", &note)),
        ("word/comments.xml", part("comments", &format!("<w:comment>{}</w:comment>", p("Sure?")))),
        ("word/header1.xml", part("hdr", &p("MRN: 1"))),
        ("word/header2.xml", part("hdr", &p("MRN: 1"))),
        ("word/footer1.xml", part("ftr", &p("Page 1"))),
    ]);
    let reading = read(&bytes).expect("readable");
    assert_eq!(reading.body, "Stable.\n\nA note.\n\nMRN: 1\n\nPage 1");
    assert_eq!(reading.hidden, "Sure?");
    let kinds: Vec<_> = reading.headings.iter().map(|marked| marked.kind).collect();
    assert_eq!(kinds, [Some(SectionKind::Header), Some(SectionKind::Footer)]);
    let at = reading.body.find("MRN").expect("in the body");
    let place = reading.map.locate(&reading.body, &(at..at + 3));
    assert_eq!(place, Some(Place::Element("word/header1.xml#(//w:p)[1]".into())));
}

#[test]
fn what_cannot_be_read_says_why() {
    let reason = |bytes: &[u8]| read(bytes).expect_err("refused").reason;
    assert_eq!(reason(b"PK\x03\x04 word/"), UnreadReason::Malformed);
    assert_eq!(reason(&zipped(&[("xl/workbook.xml", "<x/>".to_owned())])), UnreadReason::FormatNotSupported);
    let main = |content: String| zipped(&[(MAIN_PART, content)]);
    assert_eq!(reason(&main("<w:document><w:body></w:p>".to_owned())), UnreadReason::Malformed);
    assert_eq!(reason(&main("<!DOCTYPE x [<!ENTITY a 'b'>]><w:document/>".to_owned())), UnreadReason::Malformed);
    assert_eq!(reason(&main("<a>".repeat(2_000))), UnreadReason::TooLarge);
    assert_eq!(reason(&main(" ".repeat(65 << 20))), UnreadReason::TooLarge);
    assert_eq!(reason(&b"PK\x01\x02".repeat(5_000)), UnreadReason::TooLarge);
    let half = whole(&p("a"));
    assert_eq!(reason(&half[..half.len() / 2]), UnreadReason::Malformed);
}

proptest! {
    #[test]
    fn any_markup_has_its_places(
        content in "(<w:p>|</w:p>|<w:r>|</w:r>|<w:t>x y</w:t>|<w:t xml:space='preserve'> </w:t>|<w:tbl>|</w:tbl>|<w:tr>|</w:tr>|\
            <w:tc>|</w:tc>|<w:br/>|<w:tab/>|<w:txbxContent>|</w:txbxContent>|<w:del>|</w:del>|<mc:AlternateContent>|\
            </mc:AlternateContent>|<mc:Choice>|</mc:Choice>|<w:rPr><w:vanish/></w:rPr>|<w:pPr><w:outlineLvl w:val='0'/></w:pPr>|\
            <w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr>|<w:t>&#173;é</w:t>|<w:sectPr>|</w:sectPr>){0,50}"
    ) {
        let Ok(reading) = read(&whole(&content)) else { return Ok(()) };
        for (text, map) in [(&reading.body, &reading.map), (&reading.hidden, &reading.hidden_map)] {
            prop_assert!(text.lines().all(|line| !line.ends_with([' ', '\t'])) && !text.contains("\n\n\n"));
            for (at, character) in text.char_indices() {
                let place = map.locate(text, &(at..at + character.len_utf8()));
                prop_assert!(place.is_some() || " |\n".contains(character));
            }
        }
        for marked in &reading.headings {
            prop_assert!(reading.body.lines().any(|line| line == &reading.body[marked.range.clone()]));
        }
    }
}
