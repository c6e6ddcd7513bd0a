//! Bundles: a batch entry by entry, a transaction all or nothing.

use serde_json::{Value, json};

use crate::harness::{NOT_RESPONDED, RESPONDED, Service, report, with_id};

fn entry(method: &str, url: &str, resource: impl Into<Value>) -> Value {
    json!({"resource": resource.into(), "request": {"method": method, "url": url}})
}

fn bundle(bundle_type: &str, entries: impl Into<Value>) -> Value {
    json!({"resourceType": "Bundle", "type": bundle_type, "entry": entries.into()})
}

fn patient() -> Value {
    json!({"resourceType": "Patient", "name": [{"family": "Doe"}]})
}

#[test]
fn one_broken_entry_of_a_batch_does_not_cost_the_others() {
    let service = Service::start();
    let answer = service
        .post(
            "/fhir",
            &bundle(
                "batch",
                vec![
                    entry("POST", "DiagnosticReport", report(RESPONDED)),
                    entry("POST", "DiagnosticReport", patient()),
                    json!({"request": {"method": "POST"}}),
                    entry("PUT", "DiagnosticReport/r2", with_id(report(NOT_RESPONDED), "r2")),
                    entry("PATCH", "DiagnosticReport/r2", json!({})),
                    json!(7),
                ],
            ),
        )
        .expect(200)
        .json();
    assert_eq!(answer["type"], "batch-response");
    let entries = answer["entry"].as_array().expect("entries");
    let statuses: Vec<_> = entries.iter().map(|e| &e["response"]["status"].as_str().expect("a status")[..3]).collect();
    assert_eq!(statuses, ["201", "400", "400", "201", "400", "400"]);
    assert_eq!(entries[1]["response"]["outcome"]["resourceType"], "OperationOutcome");
    service.settle();
    assert_eq!(service.database.count("SELECT count(*) FROM observations"), 2);
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let service = Service::start();
    let refused = service.post(
        "/fhir",
        &bundle(
            "transaction",
            vec![
                entry("POST", "DiagnosticReport", report(RESPONDED)),
                entry("PUT", "DiagnosticReport/r2", with_id(report(RESPONDED), "other")),
            ],
        ),
    );
    let outcome = refused.expect(400).json();
    assert_eq!(outcome["issue"][0]["expression"][0], "Bundle.entry[1]");
    assert_eq!(service.database.count("SELECT count(*) FROM reports"), 0);
    assert_eq!(service.database.count("SELECT count(*) FROM jobs"), 0);
}

#[test]
fn a_transactions_report_refers_to_its_patient() {
    let service = Service::start();
    let urn = "urn:uuid:4a1d0f1c-31f4-4f52-b6d7-0d2d7b0a1f0e";
    let mut about = report(RESPONDED);
    about["subject"] = json!({"reference": urn});
    let mut patient = entry("POST", "Patient", patient());
    patient["fullUrl"] = urn.into();
    let answer = service
        .post("/fhir", &bundle("transaction", vec![entry("POST", "DiagnosticReport", about), patient]))
        .expect(200)
        .json();
    let locations: Vec<_> = answer["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["response"]["location"].as_str().expect("a location"))
        .collect();
    let (report, patient) = (locations[0].split("/_history").next().expect("a report"), locations[1]);
    service.settle();
    let observation = service.observation(report);
    assert_eq!(observation["subject"]["reference"], format!("{}/fhir/{patient}", service.base));
    let served = service.get(&format!("/fhir/{report}")).expect(200).json();
    assert_eq!(served["subject"]["reference"], *patient, "urn:uuid references are replaced");
    assert!(service.get(&format!("/fhir/{report}/$received")).body.contains(urn), "and the bytes are kept");
    assert_eq!(service.get(&format!("/fhir/{patient}")).status, 404, "kept, not served");
}

#[test]
fn a_conditional_create_in_a_transaction_finds_and_references_what_is_there() {
    let service = Service::start();
    let mut first = report(RESPONDED);
    first["identifier"] = json!([{"system": "urn:ris", "value": "A-1"}]);
    let mut conditional = entry("POST", "DiagnosticReport", first);
    conditional["request"]["ifNoneExist"] = "identifier=urn:ris|A-1".into();
    let send = || service.post("/fhir", &bundle("transaction", vec![conditional.clone()])).expect(200).json();
    let (created, found) = (send(), send());
    assert_eq!(created["entry"][0]["response"]["status"], "201 Created");
    assert_eq!(found["entry"][0]["response"]["status"], "200 OK");
    assert_eq!(created["entry"][0]["response"]["location"], found["entry"][0]["response"]["location"]);
    service.settle();
}

#[test]
fn a_bundle_that_is_none_is_refused() {
    let service = Service::start();
    for (body, issue) in [
        (patient(), "invalid"),
        (bundle("history", Vec::<Value>::new()), "not-supported"),
        (json!({"resourceType": "Bundle", "type": "batch", "entry": {}}), "invalid"),
        (
            bundle(
                "transaction",
                vec![
                    entry("PUT", "DiagnosticReport/r1", with_id(report("a"), "r1")),
                    entry("PUT", "DiagnosticReport/r1", with_id(report("b"), "r1")),
                ],
            ),
            "invalid",
        ),
    ] {
        assert_eq!(service.post("/fhir", &body).expect(400).issue(), issue, "{body}");
    }
}

#[test]
fn a_conditional_create_never_overwrites_a_report_that_lost_its_identifier() {
    let service = Service::start();
    let mut first = report(RESPONDED);
    first["identifier"] = json!([{"system": "urn:ris", "value": "A-1"}]);
    let mut conditional = entry("POST", "DiagnosticReport", first);
    conditional["request"]["ifNoneExist"] = "identifier=urn:ris|A-1".into();
    let send = || {
        let answer = service.post("/fhir", &bundle("batch", vec![conditional.clone()])).expect(200).json();
        let location = answer["entry"][0]["response"]["location"].as_str().expect("a location").to_owned();
        location.split("/_history").next().expect("a report").to_owned()
    };
    let created = send();
    let id = created.rsplit('/').next().expect("an id");
    service.put(&format!("/fhir/{created}"), &with_id(report(NOT_RESPONDED), id)).expect(200);
    assert_ne!(send(), created, "the identifier is free again: a new report");
    service.settle();
}

#[test]
fn a_context_resource_is_kept_found_and_not_deleted() {
    let service = Service::start();
    let mut conditional = entry("POST", "Patient", patient());
    conditional["request"]["ifNoneExist"] = "identifier=urn:mrn|1".into();
    let send = |entry: Value| {
        let answer = service.post("/fhir", &bundle("batch", vec![entry])).expect(200).json();
        answer["entry"][0]["response"].clone()
    };
    let (created, found) = (send(conditional.clone()), send(conditional));
    assert_eq!((&created["status"], &found["status"]), (&json!("201 Created"), &json!("200 OK")));
    assert_eq!(created["location"], found["location"]);
    let other_id = send(entry("PUT", "Patient/p1", with_id(patient(), "p2")));
    assert!(other_id["status"].as_str().expect("a status").starts_with("400"), "{other_id}");
    let deleted = send(json!({"request": {"method": "DELETE", "url": "Patient/p1"}}));
    assert!(deleted["status"].as_str().expect("a status").starts_with("400"), "{deleted}");
}
