//! What is refused, and how; what is storable is stored, and its annotation says why there is no answer.

use serde_json::json;

use crate::harness::{FHIR, RESPONDED, Service, attachment, report, with_id};

#[test]
fn what_is_not_a_report_is_refused_with_its_reason() {
    let service = Service::start();
    let deep = format!("{{\"resourceType\":\"DiagnosticReport\",\"x\":{}{}}}", "[".repeat(100), "]".repeat(100));
    for (body, status, issue) in [
        ("", 400, "structure"),
        ("{\"resourceType\": \"DiagnosticReport\",", 400, "structure"),
        ("[]", 400, "structure"),
        ("\u{1}", 400, "structure"),
        (deep.as_str(), 400, "structure"),
        ("{}", 400, "invalid"),
        ("{\"resourceType\": \"Patient\"}", 400, "invalid"),
        ("{\"resourceType\": \"DocumentReference\"}", 400, "invalid"),
        ("{\"resourceType\": \"DiagnosticReport\", \"id\": \"a b\"}", 400, "invalid"),
        ("{\"resourceType\": \"DiagnosticReport\", \"status\": 1, \"status\": 2}", 400, "structure"),
    ] {
        let answer = service.send("POST", "/fhir/DiagnosticReport", &[FHIR], Some(body.as_bytes()));
        assert_eq!((answer.status, answer.issue().as_str()), (status, issue), "{body}");
    }
    let bad_utf8 = service.send("POST", "/fhir/DiagnosticReport", &[FHIR], Some(b"{\"x\":\"\xFF\"}"));
    assert_eq!((bad_utf8.status, bad_utf8.issue().as_str()), (400, "structure"));
    assert_eq!(service.database.count("SELECT count(*) FROM documents"), 0);
}

#[test]
fn an_address_that_does_not_fit_is_refused() {
    let service = Service::start();
    assert_eq!(service.post("/fhir/Patient", &json!({})).expect(404).issue(), "not-supported");
    assert_eq!(service.put("/fhir/DiagnosticReport/r1", &report("")).expect(400).issue(), "invalid");
    assert_eq!(service.put("/fhir/DiagnosticReport/r1", &with_id(report(""), "r2")).expect(400).issue(), "invalid");
    for path in ["/fhir/DiagnosticReport/none", "/fhir/Observation/none", "/fhir/Device/model-1", "/fhir/Binary/x"] {
        assert_eq!(service.get(path).expect(404).issue(), "not-found", "{path}");
    }
    assert_eq!(service.get("/nowhere").expect(404).issue(), "not-supported");
}

#[test]
fn another_content_type_is_refused() {
    let service = Service::start();
    let body = report(RESPONDED).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/fhir+xml", "nonsense"] {
        let headers = [("content-type", content_type)];
        let answer = service.send("POST", "/fhir/DiagnosticReport", &headers, Some(body.as_bytes()));
        assert_eq!((answer.status, answer.issue().as_str()), (415, "not-supported"), "{content_type}");
    }
    let xml = service.send("GET", "/fhir/metadata", &[("accept", "application/fhir+xml")], None);
    assert_eq!(xml.expect(406).issue(), "not-supported");
}

#[test]
fn a_body_of_30_mb_is_too_long_and_one_of_20_mb_is_served() {
    let service = Service::start();
    let padded = |bytes: usize| {
        let mut body = report(RESPONDED);
        body["extension"] = json!([{"url": "urn:padding", "valueString": "x".repeat(bytes)}]);
        body
    };
    assert_eq!(service.post("/fhir/DiagnosticReport", &padded(30_000_000)).expect(413).issue(), "too-long");
    let id = service.accepted(&padded(20_000_000));
    service.settle();
    assert!(service.get(&format!("/fhir/DiagnosticReport/{id}")).body.len() > 20_000_000);
    service.observation(&format!("DiagnosticReport/{id}"));
}

#[test]
fn an_attachment_of_20_mb_is_read_whole() {
    let service = Service::start();
    // 14 MB of text is over what a narrative may hold: that is said, and nothing is cut off in silence.
    let text = format!("{}\n{RESPONDED}\n", "The liver is normal in size and shape.\n".repeat(370_000));
    let mut large = report("");
    large["presentedForm"] = json!([attachment("text/plain", text.as_bytes())]);
    let id = service.accepted(&large);
    service.settle();
    let annotation = service.get(&format!("/fhir/DiagnosticReport/{id}/$annotation")).expect(200).json();
    assert_eq!(annotation["noAnswer"], "nothing-readable");
    assert_eq!(annotation["coverage"]["unread"][0]["reason"], "too-large");
}

#[test]
fn what_is_storable_is_stored_and_its_annotation_says_why_there_is_no_answer() {
    let service = Service::start();
    let bare = json!({"resourceType": "DiagnosticReport"});
    let no_subject = {
        let mut body = report(RESPONDED);
        body.as_object_mut().expect("an object").remove("subject");
        body
    };
    let odd = json!({"resourceType": "DiagnosticReport", "status": "weird", "presentedForm": "x", "conclusion": 5,
        "identifier": {"value": "\u{0}"}, "subject": {"reference": "Patient/\u{0}"}, "effectiveDateTime": "last week"});
    let (bare, no_subject, odd) = (service.accepted(&bare), service.accepted(&no_subject), service.accepted(&odd));
    service.settle();
    for id in [bare, odd] {
        let annotation = service.get(&format!("/fhir/DiagnosticReport/{id}/$annotation")).expect(200).json();
        assert_eq!((&annotation["state"], &annotation["noAnswer"]), (&json!("annotated"), &json!("nothing-readable")));
    }
    let observation = service.observation(&format!("DiagnosticReport/{no_subject}"));
    assert!(observation.get("subject").is_none());
    assert_eq!(service.database.count("SELECT count(*) FROM jobs WHERE abandoned"), 0);
}

#[test]
fn a_nul_character_never_reaches_the_database() {
    let service = Service::start();
    let mut body = report("");
    body["conclusion"] = format!("{RESPONDED}\u{0}").into();
    body["subject"] = json!({"reference": "Patient/\u{0}1", "identifier": {"system": "\u{0}", "value": "\u{0}"}});
    body["identifier"] = json!([{"system": "urn:\u{0}", "value": "\u{0}"}]);
    service.accepted(&body);
    service.settle();
    assert_eq!(service.database.count("SELECT count(*) FROM observations"), 1);
    let search = service.get("/fhir/Observation?patient=%00");
    assert_eq!(search.expect(400).issue(), "invalid");
}

#[test]
fn another_method_is_told_so_and_head_answers_like_get() {
    let service = Service::start();
    for (method, path) in [
        ("PATCH", "/fhir/DiagnosticReport/r1"),
        ("GET", "/fhir/DiagnosticReport"),
        ("PUT", "/fhir/Observation/o1"),
        ("DELETE", "/fhir/metadata"),
    ] {
        assert_eq!(service.send(method, path, &[], None).expect(405).issue(), "not-supported", "{method} {path}");
    }
    assert_eq!(service.send("GET", "/fhir/Patient", &[], None).expect(404).issue(), "not-supported");
    assert_eq!(service.send("HEAD", "/fhir/metadata", &[], None).status, 200);
}
