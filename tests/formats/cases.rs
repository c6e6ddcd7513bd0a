//! The table of nasty cases.

use serde_json::{Value, json};

use super::{attachment, extract, extract_resource, files, report};

/// What is given.
enum Given {
    /// A file with its content type.
    File(Option<&'static str>, Vec<u8>),
    /// A resource.
    Resource(Value),
}

/// What is wanted.
#[derive(Clone, Copy)]
enum Wanted {
    /// This very text.
    Text(&'static str),
    /// These words, whatever white space is between them.
    Words(&'static str),
    /// Nothing, for this reason.
    Refused(&'static str),
    /// Nothing, for whatever reason.
    Unread,
}

use Wanted::{Refused, Text, Unread, Words};

struct Case {
    name: &'static str,
    given: Given,
    wanted: Wanted,
}

fn file(name: &'static str, content_type: &'static str, bytes: impl Into<Vec<u8>>, wanted: Wanted) -> Case {
    let content_type = Some(content_type).filter(|content_type| !content_type.is_empty());
    Case { name, given: Given::File(content_type, bytes.into()), wanted }
}

fn resource(name: &'static str, resource: Value, wanted: Wanted) -> Case {
    Case { name, given: Given::Resource(resource), wanted }
}

/// A DiagnosticReport with these members.
fn with(members: &Value) -> Value {
    let mut report = json!({"resourceType": "DiagnosticReport", "status": "final"});
    for (name, value) in members.as_object().expect("members") {
        report[name] = value.clone();
    }
    report
}

fn data(data: &str) -> Value {
    report(&json!([{"contentType": "text/plain", "data": data}]))
}

fn utf_16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let mark = if mark { "\u{feff}" } else { "" };
    let units = mark.encode_utf16().chain(text.encode_utf16());
    units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

fn charsets() -> Vec<Case> {
    let plain = "text/plain";
    vec![
        file("UTF-8, declared", "text/plain; charset=utf-8", "Größe ≥ 5 mm.", Text("Größe ≥ 5 mm.")),
        file("UTF-8, not declared", plain, "Größe ≥ 5 mm.", Text("Größe ≥ 5 mm.")),
        file(
            "Latin-1, declared",
            "text/plain; charset=ISO-8859-1",
            b"R\xe9ponse \x96 5 mm".to_vec(),
            Text("Réponse – 5 mm"),
        ),
        file("Latin-1, not declared", plain, b"tumour \xb1 2 mm".to_vec(), Text("tumour ± 2 mm")),
        file(
            "Latin-1 that says UTF-8",
            "text/plain; charset=utf-8",
            b"r\xe9ponse compl\xe8te".to_vec(),
            Text("réponse complète"),
        ),
        file("UTF-8 mark, declared Latin-1", "text/plain; charset=iso-8859-1", "\u{feff}Größe.", Text("Größe.")),
        file("UTF-16 LE with a mark", plain, utf_16("Größe ≥ 5.", false, true), Text("Größe ≥ 5.")),
        file("UTF-16 BE with a mark", plain, utf_16("Größe ≥ 5.", true, true), Text("Größe ≥ 5.")),
        file("UTF-16 LE without a mark", plain, utf_16("Stable ≥ 5 mm.", false, false), Text("Stable ≥ 5 mm.")),
        file(
            "UTF-16 without a mark, declared Latin-1",
            "text/plain; charset=iso-8859-1",
            utf_16("Réponse stable.", false, false),
            Text("Réponse stable."),
        ),
        file("UTF-8 that says UTF-16", "text/plain; charset=utf-16", "Größe stable.", Text("Größe stable.")),
        file(
            "windows-1250",
            "text/plain; charset=windows-1250",
            b"Zm\xecna: \x8e\xe1dn\xe1".to_vec(),
            Text("Změna: Žádná"),
        ),
        file(
            "windows-1251",
            "text/plain;charset=windows-1251",
            b"\xd1\xf2\xe0\xe1\xe8\xeb\xfc\xed\xee".to_vec(),
            Text("Стабильно"),
        ),
        file("Shift_JIS", "text/plain; charset=Shift_JIS", b"\x83\x65\x83\x58\x83\x67".to_vec(), Text("テスト")),
        file("ISO-8859-15", "text/plain; charset=iso-8859-15", b"5 \xa4 \xbd".to_vec(), Text("5 € œ")),
        file("an unknown charset", "text/plain; charset=klingon", "Größe.", Text("Größe.")),
        file("a quoted charset", "text/plain; charset=\"ISO-8859-1\"; format=flowed", b"\xe9".to_vec(), Text("é")),
        file(
            "no charset at all",
            plain,
            [0xff_u8, 0x00, 0x81, 0x02, 0x01, 0x03, 0x80, 0x00].repeat(9),
            Refused("content-not-recognised"),
        ),
    ]
}

fn plain_text() -> Vec<Case> {
    let plain = "text/plain";
    vec![
        file("CR LF", plain, "One.\r\nTwo.\r\n", Text("One.\nTwo.")),
        file("CR alone", plain, "One.\rTwo.", Text("One.\nTwo.")),
        file("a page break", plain, "One.\u{c}Two.", Text("One.\nTwo.")),
        file("a tab", plain, "Size:\t5 mm", Text("Size:\t5 mm")),
        file("a NUL within", plain, "Stable disease,\0 no new lesion.", Text("Stable disease, no new lesion.")),
        file("filled up with NULs", plain, format!("Stable.{}", "\0".repeat(60)), Text("Stable.")),
        file("a byte order mark within", plain, "Sta\u{feff}ble.", Text("Stable.")),
        file("no-break and soft", plain, "5\u{a0}mm meta\u{ad}stasis\u{200b}.", Text("5 mm metastasis.")),
        file("blanks at line ends", plain, "One.   \nTwo.\t\n\n", Text("One.\nTwo.")),
        file(
            "control characters",
            plain,
            "\u{1b}Stable\u{7} disease, no new lesion.",
            Text("Stable disease, no new lesion."),
        ),
        file("a less-than sign", plain, "<5 mm nodule. a < b.", Text("<5 mm nodule. a < b.")),
        file("text that says HTML", "text/html", "Nodule < 5 mm & stable", Text("Nodule < 5 mm & stable")),
        file("text that says PDF", "application/pdf", "Stable disease", Text("Stable disease")),
        file("text that says RTF", "application/rtf", "Stable disease", Text("Stable disease")),
        file("text in an octet-stream", "application/octet-stream", "Stable.", Text("Stable.")),
        file("text without a type", "", "Stable.", Text("Stable.")),
        file("ASCII Text", "ASCII Text", "Stable.", Text("Stable.")),
        file("DICOM", "application/dicom", "Stable.", Refused("format-not-supported")),
        file("white space", plain, " \r\n\t ", Refused("empty")),
        file("dashes", plain, "-----\n=====", Refused("empty")),
        file("nothing", plain, "", Refused("empty")),
        file("an image", "image/png", b"\x89PNG\r\n\x1a\n\0\0".to_vec(), Refused("format-not-supported")),
        file(
            "an image that says PDF",
            "application/pdf",
            b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(),
            Refused("format-not-supported"),
        ),
        file("bytes of no format", plain, [1_u8, 2, 3, 0, 0, 7, 8, 1].repeat(20), Refused("content-not-recognised")),
    ]
}

fn html() -> Vec<Case> {
    let html = "text/html";
    vec![
        file("a fragment", html, "<p>One.</p><p>Two.</p>", Words("One. Two.")),
        file("a document that says plain text", "text/plain", "<html><body><p>Stable.</p></body></html>", Text("Stable.")),
        file("a fragment that says plain text", "text/plain", "<div><p>Stable.</p></div>", Text("Stable.")),
        file("references", html, "<p>&ge; 5&nbsp;mm &#8211; &#x3b1; &amp;lt;</p>", Text("≥ 5 mm – α &lt;")),
        file("line breaks", html, "<p>One.<br>Two.<BR/>Three.</P>", Text("One.\nTwo.\nThree.")),
        file("a table", html, "<table><tr><th>Site</th><th>Size</th></tr><tr><td>Liver</td><td>5 mm</td></tr></table>", Text("Site | Size\nLiver | 5 mm")),
        file(
            "a table within a table",
            html,
            "<table><tr><td>A</td><td><table><tr><td>B</td><td>C</td></tr></table></td></tr></table>",
            Words("A | B | C"),
        ),
        file("lists", html, "<ul><li>One</li><li>Two</li></ul><ol><li>Three</li></ol>", Words("- One - Two 1. Three")),
        file("script and style", html, "<style>p{}</style><script>x()</script><p>Stable.</p><!-- draft -->", Text("Stable.")),
        file("hidden text goes last", html, "<p style='display:none'>Draft.</p><p>Stable.</p>", Text("Stable.\n\nDraft.")),
        file("tags that do not close", html, "<p>One <b>two<p>Three", Words("One two Three")),
        file("a charset in the markup", html, b"<html><meta charset='windows-1252'><p>\xe9</p></html>".to_vec(), Text("é")),
        file("XHTML in Latin-1", "application/xhtml", b"<?xml version='1.0' encoding='ISO-8859-1'?><html xmlns='http://www.w3.org/1999/xhtml'><body><p>\xe9</p></body></html>".to_vec(), Text("é")),
        file("UTF-16", html, utf_16("<html><p>Größe.</p></html>", false, true), Text("Größe.")),
        file("inline words stay whole", html, "<p>sta<b>ble</b> dis<i>ease</i></p>", Text("stable disease")),
        file("deep nesting", html, "<div>".repeat(100_000) + "x", Refused("too-large")),
    ]
}

fn elements() -> Vec<Case> {
    let form = |content_type: &str, text: &str| attachment(content_type, text.as_bytes());
    let note = |content: Value| json!({"resourceType": "DocumentReference", "status": "current", "content": content});
    vec![
        resource("base64 without padding", data("c3RhYmxlIQ"), Text("stable!")),
        resource("base64 on lines", data("c3Rh\r\nYmxl "), Text("stable")),
        resource("base64 of the URL's alphabet", data("4omlIDUgbW0_"), Text("≥ 5 mm?")),
        resource("broken base64", data("not base64!"), Refused("malformed")),
        resource("data that is no string", report(&json!([{"data": 7}])), Refused("malformed")),
        resource(
            "forms that are no list",
            with(&json!({"presentedForm": "x", "conclusion": "Stable."})),
            Text("Stable."),
        ),
        resource(
            "data beside a url",
            report(&json!([{"contentType": "text/plain", "data": "c3RhYmxl", "url": "Binary/1"}])),
            Text("stable"),
        ),
        resource("empty data beside a url", report(&json!([{"data": "", "url": "Binary/1"}])), Refused("not-fetched")),
        resource("a url alone", report(&json!([{"url": "Binary/1"}])), Refused("not-fetched")),
        resource("an empty attachment", report(&json!([{}])), Refused("empty")),
        resource(
            "one of several is broken",
            report(&json!([{"data": "?"}, form("text/plain", "Stable.")])),
            Text("Stable."),
        ),
        resource(
            "content without an attachment",
            note(json!([{}, {"attachment": form("text/plain", "Stable.")}])),
            Text("Stable."),
        ),
        resource(
            "the same twice",
            report(&json!([form("text/plain", "Stable."), form("text/html", "<p>Stable.</p>")])),
            Text("Stable."),
        ),
        resource(
            "a report and its addendum",
            report(&json!([form("text/plain", "Smaller."), form("text/plain", "Addendum: larger.")])),
            Text("Smaller.\n\nAddendum: larger."),
        ),
    ]
}

/// What stands beside the report itself.
fn beside() -> Vec<Case> {
    let form = |content_type: &str, text: &str| attachment(content_type, text.as_bytes());
    vec![
        resource(
            "a conclusion",
            with(&json!({"presentedForm": [form("text/plain", "CT.")], "conclusion": "Stable."})),
            Text("CT.\n\nStable."),
        ),
        resource(
            "a conclusion that is there already",
            with(
                &json!({"presentedForm": [form("text/plain", "CT.\nStable  disease.")], "conclusion": "Stable disease."}),
            ),
            Text("CT.\nStable  disease."),
        ),
        resource("a conclusion of white space", with(&json!({"conclusion": " \n"})), Refused("empty")),
        resource(
            "a conclusion code",
            with(
                &json!({"conclusion": "Better.", "conclusionCode": [{"coding": [{"code": "1"}, {"display": "Partial response"}]}, {"coding": [{"code": "2"}]}]}),
            ),
            Text("Conclusion code: Partial response\n\nBetter."),
        ),
        resource(
            "a note of R5",
            with(&json!({"conclusion": "Better.", "note": [{"text": "Compared with May."}]})),
            Text("Compared with May.\n\nBetter."),
        ),
        resource(
            "a note of R5 in R4",
            with(
                &json!({"conclusion": "Better.", "extension": [{"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-DiagnosticReport.note", "valueAnnotation": {"text": "Compared with May."}}]}),
            ),
            Text("Compared with May.\n\nBetter."),
        ),
    ]
}

/// What stands in other resources, or is another shape of FHIR.
fn other_resources() -> Vec<Case> {
    let form = |content_type: &str, text: &str| attachment(content_type, text.as_bytes());
    vec![
        resource(
            "contained results",
            with(&json!({
                "contained": [
                    {"resourceType": "Observation", "id": "a", "code": {"text": "Findings"}, "valueString": "No new lesion."},
                    {"resourceType": "Observation", "id": "b", "code": {"text": "Lesion size"}, "valueQuantity": {"value": 12.0, "unit": "mm"}}
                ],
                "result": [{"reference": "#a"}, {"reference": "#b"}],
                "conclusion": "Stable."
            })),
            Text("Findings: No new lesion.\nLesion size: 12.0 mm\n\nStable."),
        ),
        resource(
            "a result elsewhere",
            with(&json!({"result": [{"reference": "Observation/1"}]})),
            Refused("not-fetched"),
        ),
        resource(
            "a result that is not there",
            with(&json!({"result": [{"reference": "#gone"}]})),
            Refused("malformed"),
        ),
        resource(
            "the resource's own text",
            with(
                &json!({"text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Stable.</p></div>"}}),
            ),
            Text("Stable."),
        ),
        resource(
            "the resource's own text beside a report",
            with(&json!({"presentedForm": [form("text/plain", "Better.")], "text": {"div": "<div>Stable.</div>"}})),
            Text("Better."),
        ),
        resource(
            "a note of R5's shape",
            json!({"resourceType": "DocumentReference", "status": "current", "docStatus": "preliminary", "context": [{"reference": "Encounter/1"}],
                "content": [{"attachment": {"contentType": "text/plain", "data": "c3RhYmxl", "size": "6"}, "profile": [{"valueUri": "urn:x"}]}]}),
            Text("stable"),
        ),
        resource(
            "a description is a title",
            json!({"resourceType": "DocumentReference", "description": "CT report", "content": []}),
            Unread,
        ),
        Case {
            name: "a byte order mark before the resource",
            given: Given::File(
                None,
                "\u{feff}{\"resourceType\":\"DiagnosticReport\",\"conclusion\":\"Stable.\"}".into(),
            ),
            wanted: Text("Stable."),
        },
        resource(
            "encoded twice",
            data(&files::base64(files::base64("Stable disease. ".repeat(15)).as_bytes())),
            Words(STABLE),
        ),
    ]
}

const STABLE: &str = "Stable disease. Stable disease. Stable disease. Stable disease. Stable disease. Stable disease. Stable \
    disease. Stable disease. Stable disease. Stable disease. Stable disease. Stable disease. Stable disease. Stable \
    disease. Stable disease.";

fn rich_text() -> Vec<Case> {
    let rtf = "application/rtf";
    vec![
        file("RTF", rtf, r"{\rtf1\ansi FINDINGS:\par No new lesion.\par}", Words("FINDINGS: No new lesion.")),
        file("RTF that says plain text", "text/plain", r"{\rtf1\ansi Stable.}", Text("Stable.")),
        file("RTF in an octet-stream", "application/octet-stream", r"{\rtf1\ansi Stable.}", Text("Stable.")),
        file("RTF behind blanks", "text/rtf", "\r\n {\\rtf1\\ansi Stable.}", Text("Stable.")),
        file(
            "RTF: code page and Unicode",
            rtf,
            r"{\rtf1\ansi\ansicpg1252\uc1 r\'e9ponse \u8805?30%\~mm}",
            Text("réponse ≥30% mm"),
        ),
        file("RTF: a surrogate pair", rtf, r"{\rtf1\ansi\uc1 x\u-10179?\u-8704?y}", Text("x\u{1f600}y")),
        file(
            "RTF: a table",
            rtf,
            r"{\rtf1\ansi\trowd\cellx1\cellx2\intbl RUL\cell 3.2 cm\cell\row\trowd\cellx1\cellx2\intbl Liver\cell 1.0 cm\cell\row}",
            Text("RUL | 3.2 cm\nLiver | 1.0 cm"),
        ),
        file(
            "RTF: what is no text",
            rtf,
            r"{\rtf1\ansi{\info{\title Draft}}{\fonttbl{\f0 Arial;}}{\pict ffd8ff}{\*\generator x;}Stable.}",
            Text("Stable."),
        ),
        file("RTF: hidden text goes last", rtf, r"{\rtf1\ansi {\v Draft.}Stable.}", Words("Stable. Draft.")),
        file("RTF cut short", rtf, r"{\rtf1\ansi {\b Stable", Text("Stable")),
        file("RTF: deep groups", rtf, format!(r"{{\rtf1 {}", "{".repeat(1_000_000)), Unread),
        file("RTF without text", rtf, r"{\rtf1\ansi{\info{\title Draft}}\par}", Refused("empty")),
    ]
}

fn pages() -> Vec<Case> {
    let stable = || files::pdf(&["Stable disease. No new lesion."]);
    vec![
        file("PDF", "application/pdf", stable(), Words("Stable disease. No new lesion.")),
        file("PDF in an octet-stream", "application/octet-stream", stable(), Words("Stable disease. No new lesion.")),
        file("PDF that says plain text", "text/plain", stable(), Words("Stable disease. No new lesion.")),
        file(
            "PDF of two pages",
            "application/pdf",
            files::pdf(&["One two.", "Three four."]),
            Words("One two. Three four."),
        ),
        file(
            "PDF behind blanks",
            "application/pdf",
            [b"\r\n".to_vec(), stable()].concat(),
            Words("Stable disease. No new lesion."),
        ),
        file("PDF without text", "application/pdf", files::pdf(&[""]), Unread),
        file("PDF cut short", "application/pdf", stable()[..20].to_vec(), Unread),
    ]
}

fn clinical_documents() -> Vec<Case> {
    let cda = "application/cda+xml";
    let body =
        "<list><item>One</item><item>Two</item></list><table><tbody><tr><td>A</td><td>B</td></tr></tbody></table>";
    let whole = || {
        files::cda(&[("11329-0", "History", "<paragraph>Colon cancer.</paragraph>"), ("19005-8", "Impression", body)])
    };
    let words = Words("History Colon cancer. Impression - One - Two A | B");
    vec![
        file("C-CDA", cda, whole(), words),
        file("C-CDA that says XML", "text/xml", whole(), words),
        file("C-CDA that says plain text", "text/plain", whole(), words),
        file(
            "C-CDA: plain text in a nonXMLBody",
            cda,
            files::unstructured("text/plain", b"Stable disease."),
            Words("Stable disease."),
        ),
        file("C-CDA: HTML in a nonXMLBody", cda, files::unstructured("text/html", b"<p>Stable.</p>"), Words("Stable.")),
        file(
            "C-CDA: PDF in a nonXMLBody",
            cda,
            files::unstructured("application/pdf", &files::pdf(&["Stable disease."])),
            Words("Stable disease."),
        ),
        file("C-CDA: entities that multiply", cda, files::entity_bomb(), Unread),
        file("C-CDA without an end", cda, whole()[..200].to_owned(), Unread),
        file(
            "a section that is no document",
            "application/xml",
            "<section xmlns='urn:hl7-org:v3'><text>Stable.</text></section>",
            Unread,
        ),
        file("other XML", "application/xml", "<?xml version='1.0'?><note>Stable.</note>", Unread),
        Case {
            name: "a FHIR document",
            given: Given::File(Some("application/fhir+json"), files::fhir_document().into_bytes()),
            wanted: Words("Impression Stable disease."),
        },
    ]
}

fn packed() -> Vec<Case> {
    let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    vec![
        file("gzip of plain text", "application/gzip", files::gzip(b"Stable disease."), Words("Stable disease.")),
        file("gzip of HTML that says HTML", "text/html", files::gzip(b"<p>Stable.</p>"), Words("Stable.")),
        file(
            "Word",
            docx,
            files::docx(
                "<w:p><w:r><w:t xml:space='preserve'>Stable </w:t></w:r><w:r><w:t>disease.</w:t></w:r></w:p><w:p><w:r><w:t>Two.</w:t></w:r></w:p>",
            ),
            Words("Stable disease. Two."),
        ),
        file(
            "Word in an octet-stream",
            "application/octet-stream",
            files::docx("<w:p><w:r><w:t>Stable.</w:t></w:r></w:p>"),
            Words("Stable."),
        ),
        file("a zip of other things", "application/zip", files::zip(&[("a.txt", b"Stable.")]), Unread),
        file(
            "Word of 1997",
            "application/msword",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(),
            Refused("format-not-supported"),
        ),
        resource(
            "a text that says see the PDF",
            report(&json!([
                attachment("text/plain", b"See PDF."),
                attachment(
                    "application/pdf",
                    &files::pdf(&["Lesion in segment seven 12 mm, it was 30 mm before. No new lesion."])
                )
            ])),
            Words("Lesion in segment seven 12 mm, it was 30 mm before. No new lesion."),
        ),
    ]
}

/// Runs a table; says all that is not as wanted.
fn check(cases: Vec<Case>) -> usize {
    let count = cases.len();
    let mut faults = Vec::new();
    for Case { name, given, wanted } in cases {
        let extracted = match &given {
            Given::File(content_type, bytes) => extract(*content_type, bytes),
            Given::Resource(resource) => extract_resource(resource),
        };
        let text = extracted.text();
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let held = match wanted {
            Text(wanted) => text == wanted,
            Words(wanted) => words(text) == words(wanted),
            Refused(reason) => text.is_empty() && extracted.reasons().contains(&reason),
            Unread => text.is_empty(),
        };
        if !held || extracted.status != i32::from(text.is_empty()) {
            faults.push(format!("{name}: {}", extracted.json));
        }
    }
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    count
}

#[test]
fn nasty_cases_give_the_text_that_a_sensible_reader_gives() {
    let count = check(
        [charsets(), plain_text(), html(), elements(), beside(), other_resources()].into_iter().flatten().collect(),
    );
    assert!(count >= 60, "{count} cases");
}

#[test]
fn nasty_files_of_the_rich_formats_give_the_text_that_a_sensible_reader_gives() {
    check([rich_text(), pages(), clinical_documents(), packed()].into_iter().flatten().collect());
}
