mod fixtures;

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::super::isolation::Isolation;
use super::super::rendition::{self, Reading, Refusal};
use crate::domain::narrative::{SectionKind, UnreadReason};
use crate::domain::source_map::Place;

fn read_as(content_type: Option<&str>, bytes: &[u8]) -> Result<Reading, Refusal> {
    rendition::recognise(content_type, bytes)
        .and_then(|recognised| rendition::read(&recognised, bytes, &Isolation::none()))
}

fn read(xml: &str) -> Result<Reading, Refusal> {
    read_as(Some("application/xml"), xml.as_bytes())
}

/// A document with these children of its body.
fn document(body: &str) -> String {
    format!(
        "<?xml version='1.0'?><ClinicalDocument xmlns='urn:hl7-org:v3' xmlns:xsi='x' xmlns:sdtc='urn:hl7-org:sdtc'>\
         <title>PHI-HEADER</title><recordTarget><patientRole><patient><name>PHI-HEADER</name></patient></patientRole>\
         </recordTarget><component>{body}</component></ClinicalDocument>"
    )
}

fn sections(sections: &str) -> String {
    document(&format!("<structuredBody>{sections}</structuredBody>"))
}

fn section(code: &str, title: &str, text: &str) -> String {
    format!("<component><section><code code='{code}'/><title>{title}</title><text>{text}</text></section></component>")
}

/// What a narrative gives, without its heading.
fn narrative(text: &str) -> String {
    let reading = read(&sections(&section("8716-3", "T", text))).expect(text);
    reading.body.strip_prefix("T").map(|body| body.trim_start_matches('\n').to_owned()).expect("a heading")
}

fn headings(reading: &Reading) -> Vec<(&str, Option<SectionKind>)> {
    reading.headings.iter().map(|marked| (&reading.body[marked.range.clone()], marked.kind)).collect()
}

fn place(reading: &Reading, words: &str) -> String {
    let start = reading.body.find(words).expect("in the body");
    match reading.map.locate(&reading.body, &(start..start + words.len())) {
        Some(Place::Element(path)) => path.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_element_of_the_narrative_is_read_as_a_person_reads_it() {
    let table = [
        ("Stable disease.", "Stable disease."),
        ("<paragraph>One\n   two</paragraph><paragraph>three</paragraph>", "One two\n\nthree"),
        ("a<br/>b<br/><br/>c", "a\nb\n\nc"),
        ("<content styleCode='Bold'>IMPRESSION</content>: stable", "IMPRESSION: stable"),
        ("<content>a<content>b</content> </content><content>c</content>", "ab c"),
        ("<list><item>a</item><item>b</item></list>", "- a\n- b"),
        ("<list listType='ordered'><item>a</item><item>b</item></list>", "1. a\n2. b"),
        ("<list><caption>Steps</caption><item>a</item></list>", "Steps\n- a"),
        ("<list><item><caption>First</caption>a</item></list>", "- First a"),
        ("<list><item>a<list listType='ordered'><item>b</item></list></item><item>c</item></list>", "- a\n1. b\n- c"),
        (
            "<table><caption>Labs</caption><thead><tr><th>Test</th><th>Value</th></tr></thead><tbody><tr><td>PSA</td>\
             <td>0.1</td></tr></tbody><tfoot><tr><td>end</td></tr></tfoot></table>after",
            "Labs\nTest | Value\nPSA | 0.1\nend\n\nafter",
        ),
        ("<table><tr><td>a</td><td/><td>b</td><td/></tr><tr><td/><td>c</td></tr></table>", "a |  | b\nc"),
        ("<table><tr><td><paragraph>a</paragraph></td><td><list><item>b</item></list></td></tr></table>", "a | - b"),
        ("<list><item><table><tr><td>a</td><td>b</td></tr></table></item></list>", "a | b"),
        ("<table><tr><td>a</td><td><table><tr><td>b</td><td>c</td></tr></table></td></tr></table>", "a | b | c"),
        ("10<sup>9</sup>/L, T<sub>2</sub>N<sub>0</sub>, m<sup>2</sup>", "10^9/L, T2N0, m2"),
        ("see <linkHtml href='http://x'>the report</linkHtml>.", "see the report."),
        ("a<footnote ID='f1'>seen twice</footnote> b <footnoteRef IDREF='f1'/>c", "a [seen twice] b c"),
        ("a<footnote/>b", "a b"),
        ("<paragraph><caption>Note</caption>text</paragraph>", "Note text"),
        ("a <content revised='insert'>b</content>", "a b"),
        ("a&#160;b&#xAD;c&amp;d &lt;5 &#8805;3", "a bc&d <5 ≥3"),
        ("<![CDATA[x < 5 & y]]> z", "x < 5 & y z"),
        ("a<!-- comment -->b<?pi x?>c", "abc"),
        ("1. Take it.\n2. Rest\n\nCall us\r\nnow", "1. Take it.\n2. Rest\n\nCall us\nnow"),
        ("laid out\n\n      by a program\n\tthat indents", "laid out by a program that indents"),
        ("<paragraph xml:space='preserve'>a\n  b</paragraph>", "a\n  b"),
        ("<pre>a\n\n  b  c</pre>", "a\n\n  b  c"),
        ("<div>a</div><div>b<br></br>c</div><span>d</span><b>e</b>", "a\nb\nc\nde"),
        ("<p>a</p><ul><li>b</li><li>c</li></ul><ol start='3'><li>d</li></ol>", "a\n\n- b\n- c\n\n3. d"),
        ("<DIV>a<BR/>b</DIV>", "a\nb"),
        ("<h3>Lungs</h3>clear<style>p{}</style><script>x()</script>", "Lungs\n\nclear"),
        ("one<unknown>two</unknown>three", "one two three"),
        ("<content ID='x'>\u{1F600} naïve</content>", "\u{1F600} naïve"),
        ("<html:p xmlns:html='http://www.w3.org/1999/xhtml'>a</html:p>b", "a\n\nb"),
        ("<x><y><table><tr><td>deep</td></tr></table></y></x>", "deep"),
        ("<tr><td>no table</td><td>b</td></tr><item>no list</item>", "no table | b\n- no list"),
        ("<s>old</s> new", "old new"),
    ];
    for (text, expected) in table {
        assert_eq!(narrative(text), expected, "{text}");
    }
}

#[test]
fn sections_come_in_order_with_their_titles_and_kinds() {
    use SectionKind::{Assessment, FamilyHistory, Findings, Impression, Other, PastHistory};
    let inner = section("0-0", "Lungs", "Clear.");
    let xml = sections(&format!(
        "{}{}{}{}{}{}",
        section("11348-0", "History", "None."),
        format_args!(
            "<component><section><code code='18782-3'/><title>What was seen:</title><text>Two nodules.</text>{inner}\
             </section></component>"
        ),
        section("X", "Impression", "Stable."),
        section("X", "Billing", "Paid."),
        "<component><section><code code='Y'><translation code='10157-6'/></code><text>Mother well.</text></section></component>",
        "<component><section><code displayName='Course of events'/><text>Well.</text></section></component>\
         <component><section><code code='51847-2'/><text>Continue.</text></section></component>"
    ));
    let reading = read(&xml).expect("readable");
    assert_eq!(
        headings(&reading),
        [
            ("History", Some(PastHistory)),
            ("What was seen:", Some(Findings)),
            ("Lungs", Some(Findings)),
            ("Impression", Some(Impression)),
            ("Billing", Some(Other)),
            ("Family history", Some(FamilyHistory)),
            ("Course of events", Some(Other)),
            ("Assessment and plan", Some(Assessment)),
        ]
    );
    assert_eq!(
        reading.body,
        "History\n\nNone.\n\nWhat was seen:\n\nTwo nodules.\n\nLungs\n\nClear.\n\nImpression\n\nStable.\n\nBilling\n\nPaid.\
         \n\nFamily history\n\nMother well.\n\nCourse of events\n\nWell.\n\nAssessment and plan\n\nContinue."
    );
    assert!(reading.unread.is_empty() && !reading.body.contains("PHI-HEADER"));
}

#[test]
fn places_are_the_paths_of_blocks() {
    let xml = sections(&format!(
        "{}{}",
        section("1", "First", "x"),
        section(
            "2",
            "A <br/>title",
            "lead<table><tbody><tr><td>a</td><td>b <content>c</content></td></tr></tbody></table>\
                <paragraph>p</paragraph><paragraph>q</paragraph><list><item>i<sub>2</sub></item></list>"
        )
    ));
    let reading = read(&xml).expect("readable");
    let body = "/ClinicalDocument/component[1]/structuredBody[1]/component[2]/section[1]";
    for (words, path) in [
        ("A title", "title[1]"),
        ("lead", "text[1]"),
        ("b c", "text[1]/table[1]/tbody[1]/tr[1]/td[2]"),
        ("q", "text[1]/paragraph[2]"),
        ("i2", "text[1]/list[1]/item[1]"),
    ] {
        assert_eq!(place(&reading, words), format!("{body}/{path}"), "{words}");
    }
    assert_eq!(place(&reading, "First"), body.replace("component[2]", "component[1]") + "/title[1]");
}

#[test]
fn what_was_deleted_is_kept_apart_and_what_is_not_read_is_told() {
    let xml = sections(&format!(
        "{}{}{}{}{}",
        section(
            "1",
            "A",
            "kept <content revised='delete'>taken back</content>.<div style='display: none'>unseen</div>"
        ),
        section("2", "B", "<renderMultiMedia referencedObject='m'><caption>Figure</caption></renderMultiMedia>"),
        "<component><section nullFlavor='NI'><code code='3'/><title>C</title></section></component>",
        "<component><section><title>D</title><text/><entry><act/></entry><entry/></section></component>",
        "<component><section><title>E</title><text>x</text><sdtc:note>extension</sdtc:note><sdtc:id/></section></component>",
    ));
    let reading = read(&xml).expect("readable");
    assert_eq!(reading.body, "A\n\nkept .\n\nB\n\nFigure\n\nC\n\nD\n\nE\n\nx");
    assert_eq!(reading.hidden, "taken back\nunseen");
    assert_eq!(
        reading.hidden_map.locate(&reading.hidden, &(0..5)),
        Some(Place::Element("/ClinicalDocument/component[1]/structuredBody[1]/component[1]/section[1]/text[1]".into()))
    );
    let unread: Vec<_> = reading
        .unread
        .iter()
        .map(|(path, refusal)| {
            (path.trim_start_matches("/ClinicalDocument/component[1]/structuredBody[1]/"), refusal.reason)
        })
        .collect();
    assert_eq!(
        unread,
        [
            ("component[2]/section[1]/text[1]/renderMultiMedia[1]", UnreadReason::FormatNotSupported),
            ("component[3]/section[1]", UnreadReason::Empty),
            ("component[4]/section[1]", UnreadReason::FormatNotSupported),
            ("component[5]/section[1]/note[1]", UnreadReason::FormatNotSupported),
        ]
    );
    assert!(reading.unread[2].1.detail.contains("2 coded entries"));
}

#[test]
fn text_where_none_should_be_is_not_lost() {
    for (body, expected) in [
        ("<structuredBody>stray<component/></structuredBody>", "stray"),
        ("<structuredBody><text>in the <content>body</content></text></structuredBody>", "in the body"),
        ("<structuredBody><section><title>A</title>loose<text>b</text></section></structuredBody>", "A\n\nloose\n\nb"),
        ("<section><title>A</title><paragraph>b</paragraph></section>", "A\n\nb"),
        (
            "<structuredBody><component><section><title>A</title><title>B</title><text>c</text><text>d</text></section>\
          </component></structuredBody>",
            "A\n\nB\n\nc\n\nd",
        ),
        ("<structuredBody><component><section><text>only</text></section></component></structuredBody>", "only"),
        (
            "<structuredBody><component><section><title/><code code='18776-5'/><text>x</text></section></component></structuredBody>",
            "Plan\n\nx",
        ),
        (
            "<structuredBody><component><section><title>H</title><text><![CDATA[<p>a</p><p>b &amp; c</p>]]></text></section>\
          </component></structuredBody>",
            "H\n\na\n\nb & c",
        ),
        ("<nonXMLBody><text mediaType='text/plain'>Plain. Stable.</text></nonXMLBody>", "Plain. Stable."),
        ("<nonXMLBody><text mediaType='text/plain'>a\nb\n</text></nonXMLBody>", "a\nb"),
        ("<nonXMLBody><text><paragraph>a</paragraph><paragraph>b</paragraph></text></nonXMLBody>", "a\n\nb"),
        (
            "<nonXMLBody><text mediaType='text/html'>&lt;p&gt;é&lt;/p&gt;&lt;p&gt;b&lt;/p&gt;</text></nonXMLBody>",
            "é\n\nb",
        ),
    ] {
        assert_eq!(read(&document(body)).expect(body).body, expected, "{body}");
    }
}

#[test]
fn a_document_is_known_by_its_root_whatever_the_namespace() {
    let text =
        "<structuredBody><component><section><title>A</title><text>x</text></section></component></structuredBody>";
    let prefixed = text.replace("</", "</c:").replace('<', "<c:").replace("<c:/c:", "</c:");
    for xml in [
        format!("<ClinicalDocument><component>{text}</component></ClinicalDocument>"),
        format!("<ClinicalDocument xmlns='urn:other'><component>{text}</component></ClinicalDocument>"),
        format!(
            "<c:ClinicalDocument xmlns:c='urn:hl7-org:v3'><c:component>{prefixed}</c:component></c:ClinicalDocument>"
        ),
        format!("<cda:ClinicalDocument><component>{text}</component></cda:ClinicalDocument>"),
        format!("<!-- {} --><ClinicalDocument><component>{text}</component></ClinicalDocument>", "x ".repeat(9_000)),
        format!("<soap><Body><ClinicalDocument><component>{text}</component></ClinicalDocument></Body></soap>"),
    ] {
        for content_type in [None, Some("text/plain"), Some("application/cda+xml"), Some("text/xml"), Some("text/html")]
        {
            let reading = read_as(content_type, xml.as_bytes());
            assert_eq!(reading.map(|reading| reading.body), Ok("A\n\nx".to_owned()), "{content_type:?} {xml:.80}");
        }
    }
    let two = format!("<set>{0}{0}</set>", document(text).trim_start_matches("<?xml version='1.0'?>"));
    let reading = read(&two).expect("the first");
    assert_eq!((reading.body.as_str(), reading.unread.len()), ("A\n\nx", 1));
    assert!(place(&reading, "x").starts_with("/set/ClinicalDocument[1]/component[1]/"));
}

#[test]
fn what_is_no_document_is_refused_by_what_it_is() {
    for (xml, words) in [
        ("<section><text>PHI-CANARY</text></section>", "fragment of a CDA document: the root element section"),
        ("<component xmlns='urn:hl7-org:v3'>PHI-CANARY</component>", "the root element component"),
        ("<text>PHI-CANARY</text>", "the root element text"),
        ("<PRPA_IN201305UV02 xmlns='urn:hl7-org:v3'/>", "the root element PRPA_IN201305UV02"),
        ("<Report>PHI-CANARY</Report>", "the root element Report, which is neither"),
        ("<PHI-CANARY-é/>", "a root element of another name"),
        ("<ClinicalDocument><component>PHI-CANARY", "ends before its root element"),
        ("<ClinicalDocument>\n<component>PHI-CANARY</x></ClinicalDocument>", "line 2, column 22"),
        ("<ClinicalDocument/><ClinicalDocument/>", "after the end of the root element"),
        (
            "<ClinicalDocument><component><nonXMLBody><text><reference value='PHI-CANARY.pdf'/></text></nonXMLBody></component></ClinicalDocument>",
            "not fetched",
        ),
        ("<ClinicalDocument><component><structuredBody/></component></ClinicalDocument>", "no letter and no digit"),
    ] {
        let refusal = read(xml).expect_err(xml);
        assert!(refusal.detail.contains(words), "{xml}: {}", refusal.detail);
        assert!(!refusal.detail.contains("CANARY"), "{}", refusal.detail);
    }
}

fn deflated(bytes: &[u8], kind: &str) -> String {
    let level = flate2::Compression::default();
    let packed = match kind {
        "DF" => {
            let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), level);
            writer.write_all(bytes).and_then(|()| writer.finish())
        }
        "ZL" => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
            writer.write_all(bytes).and_then(|()| writer.finish())
        }
        _ => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(bytes).and_then(|()| writer.finish())
        }
    };
    STANDARD.encode(packed.expect("packed"))
}

fn body(attributes: &str, text: &str) -> Result<Reading, Refusal> {
    read(&document(&format!("<nonXMLBody><text {attributes}>{text}</text></nonXMLBody>")))
}

#[test]
fn a_body_that_is_no_xml_is_read_as_what_it_is() {
    let html = "<h2>Impression</h2><p>Stable ≥ 6 months.</p>".as_bytes();
    let expected = "Impression\n\nStable ≥ 6 months.";
    let base64 = STANDARD.encode(html);
    let broken =
        base64.as_bytes().chunks(20).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\n  ");
    let attributes = |more: &str| format!("mediaType='text/html' representation='B64' {more}");
    for (attributes, text) in [
        (attributes(""), base64.clone()),
        (attributes(""), base64.trim_end_matches('=').to_owned()),
        (attributes(""), broken),
        (attributes("compression='DF'"), deflated(html, "DF")),
        (attributes("compression='DF'"), deflated(html, "ZL")),
        (attributes("compression='GZ'"), deflated(html, "GZ")),
        (attributes("compression='ZL'"), deflated(html, "ZL")),
        ("mediaType='application/octet-stream' representation='B64'".to_owned(), base64.clone()),
        ("representation='B64'".to_owned(), deflated(html, "GZ")),
    ] {
        let reading = body(&attributes, &text).expect("readable");
        assert_eq!(reading.body, expected, "{attributes}");
        assert_eq!(headings(&reading), [("Impression", None)]);
        assert_eq!(place(&reading, "Stable"), "/ClinicalDocument/component[1]/nonXMLBody[1]/text[1]");
    }
    let long = STANDARD.encode("Stable disease. ".repeat(40));
    assert!(body("mediaType='text/plain'", &long).expect("readable").body.starts_with("Stable disease."));
    let inner = document("<structuredBody><section><title>A</title><text>inner</text></section></structuredBody>");
    assert_eq!(body("representation='B64'", &STANDARD.encode(inner)).expect("readable").body, "A\n\ninner");
}

#[test]
fn a_body_that_cannot_be_read_says_why() {
    use UnreadReason::{FormatNotSupported, Malformed, NotFetched, TooLarge};
    let bomb = deflated(&vec![b' '; 60 << 20], "DF");
    let mut nested = "Stable.".to_owned();
    for _ in 0..5 {
        nested = document(&format!(
            "<nonXMLBody><text representation='B64'>{}</text></nonXMLBody>",
            STANDARD.encode(nested)
        ));
    }
    let image = STANDARD.encode(b"\x89PNG\r\n\x1a\n");
    for (attributes, text, reason) in [
        ("representation='B64' mediaType='text/rtf'", "not base64!", Malformed),
        ("representation='B64' compression='DF'", "AAAA", Malformed),
        ("representation='B64' compression='DF'", bomb.as_str(), TooLarge),
        ("representation='B64' compression='Z7'", "AAAA", FormatNotSupported),
        ("representation='B64' mediaType='image/png'", image.as_str(), FormatNotSupported),
        ("mediaType='application/pdf'", "<reference value='x.pdf'/>", NotFetched),
    ] {
        assert_eq!(body(attributes, text).map(|_| ()).map_err(|refusal| refusal.reason), Err(reason), "{attributes}");
    }
    assert_eq!(read(&nested).map(|_| ()).map_err(|refusal| refusal.reason), Err(TooLarge));
    let long = STANDARD.encode(vec![b'\x01'; 17 << 20]);
    assert!(body("representation='B64'", &long).is_err());
}

#[test]
fn gzip_is_undone_once_and_a_zip_is_not_read() {
    let packed = |bytes: &[u8]| STANDARD.decode(deflated(bytes, "GZ")).expect("base64");
    let html = packed(b"<p>Stable.</p>");
    for content_type in [None, Some("application/gzip"), Some("text/html"), Some("application/octet-stream")] {
        assert_eq!(read_as(content_type, &html).expect("readable").body, "Stable.", "{content_type:?}");
    }
    let cda = packed(sections(&section("1", "A", "x")).as_bytes());
    assert_eq!(read_as(Some("application/gzip"), &cda).expect("readable").body, "A\n\nx");
    let reason = |bytes: &[u8]| read_as(Some("application/gzip"), bytes).map(|_| ()).map_err(|refusal| refusal.reason);
    assert_eq!(reason(&packed(&html)), Err(UnreadReason::FormatNotSupported));
    assert_eq!(reason(&html[..html.len() - 9]), Err(UnreadReason::Malformed));
    assert_eq!(reason(&packed(&vec![b'a'; 30 << 20])), Err(UnreadReason::TooLarge));
    assert_eq!(reason(b"PK\x03\x04 report.txt"), Err(UnreadReason::FormatNotSupported));
}

#[test]
fn hostile_documents_end_by_a_named_limit() {
    let over = |text: String| read(&sections(&section("1", "A", &text))).map(|_| ()).map_err(|refusal| refusal.reason);
    assert_eq!(over("<content>".repeat(1_000_000)), Err(UnreadReason::TooLarge));
    assert_eq!(over("<content>".repeat(2_000) + &"</content>".repeat(2_000)), Err(UnreadReason::TooLarge));
    assert_eq!(over("<br/>x".repeat(1_000_000)), Err(UnreadReason::TooLarge));
    assert_eq!(over("Stable. ".repeat(2_900_000)), Err(UnreadReason::TooLarge));
    let laughs = format!("<!DOCTYPE x [<!ENTITY a 'ha'>]>{}", sections("").trim_start_matches("<?xml version='1.0'?>"));
    assert_eq!(read(&laughs).map(|_| ()).map_err(|refusal| refusal.reason), Err(UnreadReason::Malformed));
    // Many parts that are not read are told by their number.
    let empty = "<component><section><title>A</title></section></component>".repeat(1_000);
    let reading = read(&sections(&empty)).expect("titles");
    assert!(
        reading.unread.len() <= 100 && reading.notes.iter().any(|note| note.contains("900")),
        "{:?}",
        reading.notes
    );
    // Long names do not make long paths.
    let name = "n".repeat(50_000);
    let deep = format!("{}x{}", format!("<{name}>").repeat(50), format!("</{name}>").repeat(50));
    assert!(place(&read(&sections(&section("1", "A", &deep))).expect("readable"), "x").len() < 1_100);
}

#[test]
fn utf_16_is_read() {
    let xml = sections(&section("1", "É", "naïve ≥")).replace("'1.0'", "'1.0' encoding='UTF-16'");
    let bytes: Vec<u8> = xml.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(read_as(Some("text/xml"), &bytes).expect("readable").body, "É\n\nnaïve ≥");
}

/// What holds of every reading.
fn check(reading: &Reading) -> Result<(), String> {
    let mut at = 0;
    for marked in &reading.headings {
        let title = reading.body.get(marked.range.clone()).ok_or("a heading cuts a character")?;
        let line_start = marked.range.start == 0 || reading.body[..marked.range.start].ends_with('\n');
        if title.is_empty() || title.contains('\n') || !line_start || marked.range.start < at {
            return Err(format!("a heading at {:?} is no line of its own", marked.range));
        }
        at = marked.range.end;
    }
    for text in [&reading.body, &reading.hidden] {
        if text.lines().any(|line| line.ends_with([' ', '\t'])) || text.trim() != text {
            return Err("blanks at an end".to_owned());
        }
        if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') || text.contains("\n\n\n") {
            return Err("signs that cannot be seen".to_owned());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_soup_of_xml_is_read_or_refused(
        soup in "(<text>|</text>|<section>|</section>|<component>|</component>|<title>|</title>|<table>|</table>|<tr>|</tr>|\
                  <td>|</td>|<list listType='ordered'>|</list>|<item>|</item>|<br/>|<content revised='delete'>|</content>|\
                  <footnote>|</footnote>|<sup>|</sup>|<h1>|</h1>|<pre>|</pre>|&amp;|&nbsp;|&#1;|&|<|>|]]>|<!--|-->|\
                  <nonXMLBody>|</nonXMLBody>|<code code='19005-8'/>|a|é|1| |\n|\u{0}|\u{ad}){0,50}"
    ) {
        let _ = read(&soup);
        for xml in [sections(&soup), sections(&section("1", "A", &soup))] {
            if let Ok(reading) = read(&xml) {
                prop_assert_eq!(check(&reading), Ok(()));
            }
        }
    }

    #[test]
    fn any_tree_is_read_with_all_its_letters_in_order(tree in tree()) {
        let reading = read(&sections(&section("1", "A", &tree.1))).expect("well-formed");
        prop_assert_eq!(check(&reading), Ok(()));
        let found: String = reading.body.chars().filter(|c| c.is_alphabetic()).collect();
        prop_assert_eq!(found, format!("A{}", tree.0));
    }
}

/// Markup of a narrative, and the letters in it.
fn tree() -> impl Strategy<Value = (String, String)> {
    let leaf =
        prop_oneof!["[a-zé]{1,5}".prop_map(|word| (word.clone(), word)), Just((String::new(), "<br/>".to_owned()))];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let names = prop::sample::select(vec![
            "paragraph",
            "content",
            "table",
            "tr",
            "td",
            "list",
            "item",
            "footnote",
            "sup",
            "caption",
            "div",
            "h2",
            "other",
            "thead",
            "th",
            "pre",
            "linkHtml",
        ]);
        (names, prop::collection::vec(inner, 0..4)).prop_map(|(name, parts)| {
            let (letters, markup): (Vec<String>, Vec<String>) = parts.into_iter().unzip();
            (letters.concat(), format!("<{name}>{}</{name}>", markup.concat()))
        })
    })
}
