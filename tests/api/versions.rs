//! A report changes: its answer follows, whatever the order.

use serde_json::{Value, json};

use crate::harness::{FHIR, NOT_RESPONDED, NOT_STATED, RESPONDED, Service, note, report, with_id};

fn code(observation: &Value) -> &str {
    observation["valueCodeableConcept"]["coding"][0]["code"].as_str().expect("a code")
}

fn put(service: &Service, id: &str, body: Value) -> u16 {
    let kind = body["resourceType"].as_str().expect("a type").to_owned();
    service.put(&format!("/fhir/{kind}/{id}"), &with_id(body, id)).status
}

fn with_status(mut report: Value, status: &str) -> Value {
    report["status"] = status.into();
    report
}

#[test]
fn put_creates_then_updates_and_the_same_bytes_again_are_a_no_op() {
    let service = Service::start();
    assert_eq!(put(&service, "r1", report(RESPONDED)), 201);
    assert_eq!(put(&service, "r1", report(NOT_RESPONDED)), 200);
    let same = service.put("/fhir/DiagnosticReport/r1", &with_id(report(NOT_RESPONDED), "r1")).expect(200);
    assert_eq!(same.header("etag"), "W/\"2\"");
    service.settle();
    assert_eq!(service.database.count("SELECT count(*) FROM documents"), 2);
    let observation = service.observation("DiagnosticReport/r1");
    assert_eq!(code(&observation), "not-responded");
    let first = service.get("/fhir/DiagnosticReport/r1/_history/1/$annotation").expect(200).json();
    assert_eq!(first["label"], "responded");
}

#[test]
fn an_update_is_a_new_version_of_the_same_observation() {
    let service = Service::start();
    put(&service, "r1", report(RESPONDED));
    service.settle();
    put(&service, "r1", with_status(report(NOT_RESPONDED), "corrected"));
    service.settle();
    let observation = service.observation("DiagnosticReport/r1");
    assert_eq!((code(&observation), &observation["meta"]["versionId"]), ("not-responded", &json!("2")));
    let path = format!("/fhir/Observation/{}", observation["id"].as_str().expect("an id"));
    let history = service.get(&format!("{path}/_history")).expect(200).json();
    assert_eq!(history["total"], 2);
    assert_eq!(code(&service.get(&format!("{path}/_history/1")).expect(200).json()), "responded");
    let provenance = service.get(&format!("/fhir/Provenance?target={}", &path[6..])).expect(200).json();
    assert_eq!(provenance["total"], 2, "one for every version");
}

#[test]
fn versions_processed_out_of_order_end_in_the_newest_ones_answer() {
    let service = Service::start();
    for _ in 0..10 {
        put(&service, "r1", report(NOT_RESPONDED));
        put(&service, "r1", report(RESPONDED));
    }
    // The first job is done last.
    service.settle();
    assert_eq!(code(&service.observation("DiagnosticReport/r1")), "responded");
    assert_eq!(service.database.count("SELECT count(*) FROM documents WHERE state = 'annotated'"), 20);
}

#[test]
fn an_older_version_that_ends_last_changes_nothing() {
    let service = Service::start();
    put(&service, "r1", report(NOT_RESPONDED));
    service.settle();
    put(&service, "r1", report(RESPONDED));
    service.settle();
    service.database.execute(
        "INSERT INTO jobs (kind, document_id) SELECT 'annotate', document_id FROM documents WHERE version = 1",
    );
    service.settle();
    let observation = service.observation("DiagnosticReport/r1");
    assert_eq!((code(&observation), &observation["meta"]["versionId"]), ("responded", &json!("2")));
}

#[test]
fn an_answer_is_withdrawn_when_the_report_takes_itself_back() {
    let service = Service::start();
    for (id, body) in [
        ("in-error", with_status(report(RESPONDED), "entered-in-error")),
        ("cancelled", with_status(report(RESPONDED), "cancelled")),
        ("silent", report(NOT_STATED)),
        ("unreadable", report("")),
    ] {
        put(&service, id, report(RESPONDED));
        service.settle();
        put(&service, id, body);
        service.settle();
        let observation = service.observation(&format!("DiagnosticReport/{id}"));
        assert_eq!(observation["status"], "entered-in-error", "{id}");
        assert_eq!(code(&observation), "responded", "{id}: what is withdrawn stays readable");
    }
}

#[test]
fn a_withdrawal_says_why_in_its_provenance_and_a_correction_brings_the_answer_back() {
    let service = Service::start();
    put(&service, "r1", report(RESPONDED));
    service.settle();
    put(&service, "r1", with_status(report(RESPONDED), "entered-in-error"));
    service.settle();
    let id = service.observation("DiagnosticReport/r1")["id"].as_str().expect("an id").to_owned();
    let found = service.get(&format!("/fhir/Provenance?target=Observation/{id}/_history/2")).expect(200).json();
    assert!(found["entry"][0]["resource"]["reason"].to_string().contains("entered-in-error"), "{found}");
    put(&service, "r1", report(RESPONDED));
    service.settle();
    let observation = service.observation("DiagnosticReport/r1");
    assert_eq!((&observation["status"], &observation["meta"]["versionId"]), (&json!("preliminary"), &json!("3")));
}

#[test]
fn deleting_a_report_withdraws_its_answer_and_keeps_what_was_received() {
    let service = Service::start();
    put(&service, "r1", report(RESPONDED));
    service.settle();
    assert_eq!(service.delete("/fhir/DiagnosticReport/r1").status, 204);
    assert_eq!(service.delete("/fhir/DiagnosticReport/r1").status, 204, "twice is no fault");
    service.settle();
    assert_eq!(service.get("/fhir/DiagnosticReport/r1").status, 410);
    assert_eq!(service.get("/fhir/DiagnosticReport/r1/_history/1").status, 200);
    assert_eq!(service.observation("DiagnosticReport/r1")["status"], "entered-in-error");
    assert_eq!(put(&service, "r1", report(RESPONDED)), 201, "it can come back");
    service.settle();
    assert_eq!(service.observation("DiagnosticReport/r1")["status"], "preliminary");
}

#[test]
fn a_registered_report_is_kept_and_not_answered() {
    let service = Service::start();
    put(&service, "r1", with_status(report(RESPONDED), "registered"));
    service.settle();
    assert!(service.observations("DiagnosticReport/r1").is_empty());
    let annotation = service.get("/fhir/DiagnosticReport/r1/$annotation").expect(200).json();
    assert_eq!(annotation["state"], "kept");
    put(&service, "r1", with_status(report(RESPONDED), "preliminary"));
    service.settle();
    assert_eq!(code(&service.observation("DiagnosticReport/r1")), "responded");
}

#[test]
fn a_replaced_document_loses_its_answer_in_whatever_order_the_two_arrive() {
    let service = Service::start();
    let mut replacing = note(NOT_RESPONDED);
    replacing["relatesTo"] = json!([{"code": "replaces", "target": {"reference": "DocumentReference/old"}}]);
    for replaced_first in [true, false] {
        if replaced_first {
            put(&service, "old", note(RESPONDED));
            service.settle();
            put(&service, "new", replacing.clone());
        } else {
            put(&service, "new", replacing.clone());
            service.settle();
            put(&service, "old", note(RESPONDED));
        }
        service.settle();
        let old = service.observations("DocumentReference/old");
        assert!(old.iter().all(|observation| observation["status"] == "entered-in-error"), "{old:#?}");
        assert_eq!(service.observation("DocumentReference/new")["status"], "preliminary");
        service.delete("/fhir/DocumentReference/old");
        service.delete("/fhir/DocumentReference/new");
        service.settle();
    }
}

#[test]
fn when_the_replacing_document_is_in_error_the_replaced_ones_answer_stands_again() {
    let service = Service::start();
    let mut replacing = note(NOT_RESPONDED);
    replacing["relatesTo"] = json!([{"code": "replaces", "target": {"reference": "DocumentReference/old"}}]);
    put(&service, "old", note(RESPONDED));
    put(&service, "new", replacing.clone());
    service.settle();
    assert_eq!(service.observation("DocumentReference/old")["status"], "entered-in-error");
    put(&service, "new", with_status(replacing, "entered-in-error"));
    service.settle();
    assert_eq!(service.observation("DocumentReference/old")["status"], "preliminary");
}

#[test]
fn what_a_person_has_reviewed_is_not_changed_by_a_machine() {
    let service = Service::start();
    put(&service, "r1", report(RESPONDED));
    service.settle();
    service.database.execute("UPDATE observations SET status = 'final'");
    service.database.execute("UPDATE observation_versions SET status = 'final'");
    put(&service, "r1", report(NOT_RESPONDED));
    service.settle();
    let observation = service.observation("DiagnosticReport/r1");
    assert_eq!((&observation["status"], code(&observation)), (&json!("final"), "responded"));
    let reviews = service.database.texts("SELECT reason FROM reviews ORDER BY review_id");
    assert!(reviews.contains(&"differs-from-final".to_owned()), "{reviews:?}");
    put(&service, "r1", with_status(report(RESPONDED), "entered-in-error"));
    service.settle();
    assert_eq!(service.observation("DiagnosticReport/r1")["status"], "entered-in-error");
}

#[test]
fn if_match_protects_from_lost_updates() {
    let service = Service::start();
    put(&service, "r1", report(RESPONDED));
    let body = with_id(report(NOT_RESPONDED), "r1").to_string();
    let write = |etag: &str| {
        service.send("PUT", "/fhir/DiagnosticReport/r1", &[FHIR, ("if-match", etag)], Some(body.as_bytes()))
    };
    assert_eq!(write("W/\"7\"").expect(412).issue(), "conflict");
    assert_eq!(write("nonsense").expect(400).issue(), "invalid");
    write("W/\"1\"").expect(200);
    service.settle();
}

#[test]
fn if_none_exist_finds_what_was_created_also_when_many_ask_at_once() {
    let service = Service::start();
    let mut body = report(RESPONDED);
    body["identifier"] = json!([{"system": "urn:ris", "value": "A-1"}]);
    let body = body.to_string();
    let create = || {
        let headers = [FHIR, ("if-none-exist", "identifier=urn:ris|A-1")];
        service.send("POST", "/fhir/DiagnosticReport", &headers, Some(body.as_bytes())).status
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        tasks.into_iter().map(|task| task.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 7, "{statuses:?}");
    let twice = service.post("/fhir/DiagnosticReport", &serde_json::from_str(&body).expect("JSON"));
    assert_eq!(twice.status, 201, "without the condition POST always creates");
    assert_eq!(create(), 412, "two match now");
    service.settle();
}
