use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::rendition::{self, Reading, Refusal};
use crate::domain::narrative::{SectionKind, UnreadReason};
use crate::domain::source_map::Place;
use SectionKind::{Findings, Impression, PastHistory};
use UnreadReason::{Empty, FormatNotSupported, OtherRenditionChosen};

fn read_as(content_type: Option<&str>, bytes: &[u8]) -> Result<Reading, Refusal> {
    rendition::recognise(content_type, bytes)
        .and_then(|recognised| rendition::read(&recognised, bytes, &crate::extract::Isolation::none()))
}

fn read(resource: &Value) -> Result<Reading, Refusal> {
    read_as(Some("application/fhir+json"), resource.to_string().as_bytes())
}

fn div(text: &str) -> Value {
    json!({ "status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>") })
}

fn section(code: &str, title: &str, text: &str) -> Value {
    json!({ "title": title, "code": { "coding": [{ "system": "http://loinc.org", "code": code }] }, "text": div(text) })
}

#[expect(clippy::needless_pass_by_value, reason = "what json!() makes is passed on")]
fn composition(sections: Value) -> Value {
    json!({ "resourceType": "Composition", "title": "PHI-HEADER", "text": div("PHI-HEADER"), "section": sections })
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

fn unread(reading: &Reading) -> Vec<(&str, UnreadReason)> {
    reading.unread.iter().map(|(place, refusal)| (place.as_str(), refusal.reason)).collect()
}

#[test]
fn the_sections_of_a_document_are_read_in_order() {
    let mut findings = section("18782-3", "What was seen", "<p>Two nodules.</p><ul><li>a</li></ul>");
    findings["section"] = json!([section("x", "Lungs", "Clear.")]);
    let mut untitled = section("19005-8", "", "Stable.");
    untitled.as_object_mut().expect("an object").remove("title");
    let empty = json!({ "title": "Allergies", "emptyReason": { "coding": [{ "code": "nilknown" }] } });
    let coded = json!({ "title": "Medications", "entry": [{ "reference": "urn:1" }, { "reference": "urn:2" }] });
    let bundle = json!({
        "resourceType": "Bundle", "type": "document",
        "entry": [
            { "resource": composition(json!([findings, untitled, empty, coded])) },
            { "resource": { "resourceType": "Patient", "text": div("PHI-HEADER") } },
            { "resource": composition(json!([section("x", "Second", "Other.")])) },
        ]
    });
    let reading = read(&bundle).expect("readable");
    assert_eq!(
        reading.body,
        "What was seen\n\nTwo nodules.\n\n- a\n\nLungs\n\nClear.\n\nImpression\n\nStable.\n\nAllergies\n\nMedications"
    );
    assert_eq!(
        headings(&reading),
        [
            ("What was seen", Some(Findings)),
            ("Lungs", Some(Findings)),
            ("Impression", Some(Impression)),
            ("Allergies", Some(PastHistory)),
            ("Medications", Some(PastHistory)),
        ]
    );
    assert_eq!(place(&reading, "Clear"), "Bundle.entry[0].resource.section[0].section[0].text.div");
    assert_eq!(place(&reading, "What"), "Bundle.entry[0].resource.section[0].title");
    assert_eq!(
        unread(&reading),
        [
            ("Bundle.entry[2].resource", OtherRenditionChosen),
            ("Bundle.entry[0].resource.section[2]", Empty),
            ("Bundle.entry[0].resource.section[3]", FormatNotSupported),
            ("Bundle.entry[0].resource.text.div", OtherRenditionChosen),
        ]
    );
}

#[test]
fn xml_is_read_as_json_is() {
    let document = "<Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"document\"/><entry><resource><Composition>\
        <title value=\"PHI-HEADER\"/><section><title value=\"Impression &amp; more\"/><code><coding><code value=\"19005-8\"/>\
        </coding></code><text><status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Stable<br/>disease \
        &gt; 6 months</p></div></text></section><section><title value=\"B\"/><text><h:div xmlns:h=\"http://www.w3.org/1999/xhtml\">\
        <h:p>a</h:p><h:p>b</h:p></h:div></text></section></Composition></resource></entry></Bundle>";
    for content_type in [None, Some("application/fhir+xml"), Some("text/xml"), Some("text/plain")] {
        let reading = read_as(content_type, document.as_bytes()).expect("readable");
        assert_eq!(reading.body, "Impression & more\n\nStable\ndisease > 6 months\n\nB\n\na\n\nb");
        assert_eq!(headings(&reading)[0], ("Impression & more", Some(SectionKind::Impression)));
        assert_eq!(place(&reading, "months"), "/Bundle/entry[1]/resource[1]/Composition[1]/section[1]/text[1]/div[1]");
    }
}

#[test]
fn a_resource_that_holds_a_report_is_read() {
    let html = STANDARD.encode("<p>Stable.</p>");
    let plain = STANDARD.encode("No change.");
    let attachments = json!([
        { "contentType": "application/pdf", "url": "Binary/1" },
        { "contentType": "text/html", "data": html },
        { "contentType": "text/plain", "data": plain },
    ]);
    let report = json!({
        "resourceType": "DiagnosticReport", "presentedForm": attachments, "conclusion": "Stable disease.", "text": div("x")
    });
    let reading = read(&report).expect("readable");
    assert_eq!(reading.body, "No change.\n\nConclusion\n\nStable disease.");
    assert_eq!(place(&reading, "No"), "DiagnosticReport.presentedForm[2].data");
    assert_eq!(reading.unread.len(), 2);
    let reading =
        read(&json!({ "resourceType": "DiagnosticReport", "text": div("only <b>this</b>") })).expect("readable");
    assert_eq!(reading.body, "only this");
    let contents = json!([{ "attachment": { "contentType": "text/html", "data": html } }]);
    let reading = read(&json!({ "resourceType": "DocumentReference", "content": contents })).expect("readable");
    assert_eq!(
        (reading.body.as_str(), place(&reading, "Stable").as_str()),
        ("Stable.", "DocumentReference.content[0].attachment.data")
    );
    let binary = json!({ "resourceType": "Binary", "contentType": "text/html", "data": html });
    assert_eq!(read(&binary).expect("readable").body, "Stable.");
    let pretty = serde_json::to_string_pretty(&binary).expect("JSON");
    assert_eq!(read_as(None, pretty.as_bytes()).expect("readable").body, "Stable.");
}

#[test]
fn what_is_no_document_is_refused_by_what_it_is() {
    for (json, words) in [
        (r#"{"resourceType":"Patient","name":"PHI-CANARY"}"#, "a FHIR Patient"),
        (r#"{"resourceType":"PHI-CANARY","x":1}"#, "no FHIR resource"),
        (r#"{"report":"PHI-CANARY"}"#, "no FHIR resource"),
        (r#"[{"resourceType":"Composition"}]"#, "no FHIR resource"),
        (r#"{"resourceType":"Bundle","entry":[]}"#, "Bundle without"),
        (r#"{"resourceType":"Composition"}"#, "without text"),
        (r#"{"resourceType":"Composition","section":"PHI-CANARY"}"#, "without text"),
        ("{\"resourceType\":\"Composition\",\n\"section\":[{\"title\":\"PHI-CANARY", "line 2"),
        (r#"{"resourceType":"DocumentReference","content":[{"attachment":{"url":"PHI-CANARY"}}]}"#, "not fetched"),
    ] {
        let refusal = read_as(Some("application/json"), json.as_bytes()).expect_err(json);
        assert!(refusal.detail.contains(words), "{json}: {}", refusal.detail);
        assert!(!refusal.detail.contains("CANARY"), "{}", refusal.detail);
    }
}

#[test]
fn hostile_documents_end_by_a_named_limit() {
    let deep = "[".repeat(5_000_000);
    assert!(read_as(None, format!("{{\"resourceType\":\"Composition\",\"section\":{deep}").as_bytes()).is_err());
    let many = format!("{{\"resourceType\":\"Composition\",\"section\":[{}{{}}]}}", "{},".repeat(5_000_000));
    let refusal = read_as(None, many.as_bytes()).expect_err("too many");
    assert_eq!(refusal.reason, UnreadReason::TooLarge);
    let mut nested = section("x", "Inner", "innermost");
    for _ in 0..20 {
        nested = json!({ "title": "A", "section": [nested] });
    }
    let reading = read(&composition(json!([nested]))).expect("the outer ones");
    assert!(!reading.body.contains("innermost") && reading.unread[0].1.reason == UnreadReason::TooLarge);
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(
        soup in "(\\{|\\}|\\[|\\]|,|:|\"resourceType\"|\"Composition\"|\"Bundle\"|\"section\"|\"text\"|\"div\"|\"<p>a</p>\"|\
                  \"entry\"|\"resource\"|\"title\"|1|null|\"\\\\u00e9\"){0,40}"
    ) {
        let _ = read_as(Some("application/fhir+json"), soup.as_bytes());
        let document = format!("{{\"resourceType\":\"Composition\",\"section\":{soup}}}");
        let _ = read_as(Some("application/fhir+json"), document.as_bytes());
    }
}
