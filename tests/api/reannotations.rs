//! Stored documents are annotated again: progress, what changes and what does not, dying in the middle.

use std::sync::Arc;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Answer, NOT_RESPONDED, NOT_STATED, RESPONDED, Service, TestDatabase, report, with_id};
use crate::models::{ONLY_DEFAULT_UNDERSTANDS, Settings, operate, wait_until, with_tiny};

#[track_caller]
fn begin(service: &Service, model: &str, body: &Value) -> Answer {
    operate(service, &format!("/models/{model}/$reannotate"), body)
}

/// Begins one and gives its address.
#[track_caller]
fn begun(service: &Service, model: &str, body: &Value) -> String {
    let answer = begin(service, model, body).expect(202);
    answer.header("location").to_owned()
}

#[track_caller]
fn ended(service: &Service, address: &str) -> Value {
    wait_until(service, "the end", || service.get(address).expect(200).json()["state"] != "running");
    service.get(address).expect(200).json()
}

fn put(service: &Service, id: &str, text: &str) {
    let answer = service.put(&format!("/fhir/DiagnosticReport/{id}"), &with_id(report(text), id));
    assert!([200, 201].contains(&answer.status), "{}", answer.body);
}

fn label(observation: &Value) -> (&str, &str, &str) {
    (
        observation["status"].as_str().expect("a status"),
        observation["valueCodeableConcept"]["coding"][0]["code"].as_str().expect("a code"),
        observation["meta"]["versionId"].as_str().expect("a version"),
    )
}

#[test]
fn the_model_that_answers_brings_what_is_stored_in_line_with_it() {
    let settings = Settings::new(&with_tiny(""));
    let database = Arc::new(TestDatabase::new());
    let service = settings.start(&database, &[]);
    put(&service, "same", RESPONDED);
    put(&service, "lost", ONLY_DEFAULT_UNDERSTANDS);
    put(&service, "silent", NOT_STATED);
    put(&service, "reviewed", ONLY_DEFAULT_UNDERSTANDS);
    put(&service, "confirmed", NOT_RESPONDED);
    put(&service, "older", RESPONDED);
    service.settle();
    put(&service, "older", NOT_RESPONDED);
    service.settle();
    let reviewed = "(SELECT report_id FROM reports WHERE logical_id IN ('reviewed', 'confirmed'))";
    database.execute(&format!("UPDATE observations SET status = 'final' WHERE report_id IN {reviewed}"));
    database.execute("UPDATE observation_versions v SET status = 'final' FROM observations o WHERE o.observation_id = v.observation_id AND o.status = 'final'");
    settings.write(&with_tiny("active = \"tiny\""));
    operate(&service, "/models/$reload", &json!({})).expect(200);

    let address = begun(&service, "tiny", &json!({}));
    let run = ended(&service, &address);
    assert_eq!(
        (&run["state"], &run["total"], &run["done"], &run["failed"]),
        (&json!("completed"), &json!(6), &json!(6), &json!(0))
    );
    assert_eq!((&run["model"]["name"], &run["model"]["version"]), (&json!("tiny"), &json!("1")));
    let of = |id: &str| service.observation(&format!("DiagnosticReport/{id}"));
    assert_eq!(label(&of("same")), ("preliminary", "responded", "2"), "another model says it now");
    assert_eq!(label(&of("lost")), ("entered-in-error", "responded", "2"), "it is no longer stated");
    assert_eq!(label(&of("reviewed")), ("final", "responded", "1"), "a machine never changes what a person reviewed");
    assert_eq!(label(&of("confirmed")), ("final", "not-responded", "1"));
    assert!(service.observations("DiagnosticReport/silent").is_empty());
    let older = service.get("/fhir/DiagnosticReport/older/_history/1/$annotation").expect(200).json();
    assert_eq!(older["model"]["id"], "responsum-minilm-response", "only the newest version is annotated again");
    let asked = database.texts(
        "SELECT logical_id FROM reviews JOIN annotations USING (annotation_id) JOIN documents USING (document_id)
         JOIN reports USING (report_id) WHERE reason = 'differs-from-final'",
    );
    assert_eq!(asked, ["reviewed"], "a person is asked where the machine says otherwise, and only there");
    assert_eq!(database.count("SELECT count(*) FROM shadow_annotations"), 0);

    // Once more: nothing has changed.
    let versions = database.count("SELECT count(*) FROM observation_versions");
    let run = ended(&service, &begun(&service, "tiny", &json!({})));
    assert_eq!((&run["state"], &run["done"]), (&json!("completed"), &json!(6)));
    assert_eq!(database.count("SELECT count(*) FROM observation_versions"), versions);
    assert_eq!(database.count("SELECT count(*) FROM jobs"), 0);
    let list = service.get("/models/reannotations").expect(200).json();
    assert_eq!(list["reannotations"].as_array().map(Vec::len), Some(2));
    assert_eq!(list["reannotations"][1]["id"].as_str(), address.rsplit('/').next());
}

#[test]
fn a_model_that_does_not_answer_annotates_what_is_stored_in_shadow() {
    let database = Arc::new(TestDatabase::new());
    let service = Settings::new(&with_tiny("")).start(&database, &[]);
    for (id, text) in [("a", RESPONDED), ("b", NOT_RESPONDED), ("c", ONLY_DEFAULT_UNDERSTANDS)] {
        put(&service, id, text);
    }
    service.settle();
    assert_eq!(service.get("/models/default/agreement/tiny").expect(200).json()["documents"], 0);
    let run = ended(&service, &begun(&service, "tiny", &json!({"source": "local"})));
    assert_eq!(
        (&run["state"], &run["total"], &run["done"], &run["source"]),
        (&json!("completed"), &json!(3), &json!(3), &json!("local"))
    );
    assert_eq!(database.count("SELECT count(*) FROM shadow_annotations"), 3);
    assert_eq!(database.count("SELECT count(*) FROM annotations"), 3);
    assert_eq!(database.count("SELECT count(*) FROM observation_versions"), 3);
    let figures = service.get("/models/default/agreement/tiny").expect(200).json();
    assert_eq!((&figures["documents"], &figures["same"]), (&json!(3), &json!(2)));
}

#[test]
fn only_what_is_asked_for_is_annotated_again() {
    let database = Arc::new(TestDatabase::new());
    let service = Settings::new(&with_tiny("")).start(&database, &[]);
    put(&service, "old", RESPONDED);
    put(&service, "new", RESPONDED);
    service.settle();
    database.execute(
        "UPDATE documents SET received_at = '2020-05-01T00:00:00Z' FROM reports
         WHERE reports.report_id = documents.report_id AND logical_id = 'old'",
    );
    for (since, expected) in [("2020-05-02", 1), ("2020-05-01", 2), ("2020-05-01T00:00:01Z", 1), ("2999", 0)] {
        let run = ended(&service, &begun(&service, "tiny", &json!({"since": since})));
        assert_eq!(
            (&run["state"], &run["total"], &run["done"]),
            (&json!("completed"), &json!(expected), &json!(expected)),
            "{since}"
        );
    }
    for body in [
        json!({"source": "ehr"}),
        json!({"source": "?"}),
        json!({"since": "yesterday"}),
        json!({"untill": "2020"}),
        json!([]),
    ] {
        assert_eq!(begin(&service, "tiny", &body).expect(400).issue(), "invalid", "{body}");
    }
    assert_eq!(begin(&service, "nobody", &json!({})).expect(404).issue(), "not-found");
    assert_eq!(service.get("/models/reannotations/nonsense").expect(404).issue(), "not-found");
    assert_eq!(
        service.get(&format!("/models/reannotations/{}", uuid::Uuid::new_v4())).expect(404).issue(),
        "not-found"
    );
}

#[test]
fn killed_in_the_middle_it_goes_on_where_it_was() {
    const DOCUMENTS: i64 = 60;
    let settings = Settings::new(&(with_tiny("active = \"tiny\"\nshadow = []") + "[models.stock]\n"));
    let database = Arc::new(TestDatabase::new());
    let mut service = settings.start(&database, &[]);
    for n in 0..DOCUMENTS {
        put(&service, &format!("r{n}"), &format!("{RESPONDED} ").repeat(4));
    }
    service.settle();
    let address = begun(&service, "stock", &json!({}));
    let mut done = 0;
    for kill in 1..=2 {
        wait_until(&service, "some progress", || {
            service.get(&address).expect(200).json()["done"].as_i64() > Some(done + 3)
        });
        service.signal(Signal::SIGKILL);
        service.ended();
        let stored = database.count("SELECT done FROM reannotations");
        let written = database.count("SELECT count(*) FROM shadow_annotations");
        assert_eq!(stored, written, "position and results are one");
        assert!(stored > done && stored < DOCUMENTS, "kill {kill} came too late: {stored} done");
        done = stored;
        service = settings.start(&database, &[]);
        assert_eq!(service.get(&address).expect(200).json()["state"], "running");
    }
    let run = ended(&service, &address);
    assert_eq!(
        (&run["state"], &run["total"], &run["done"], &run["failed"]),
        (&json!("completed"), &json!(DOCUMENTS), &json!(DOCUMENTS), &json!(0))
    );
    assert_eq!(database.count("SELECT count(*) FROM shadow_annotations"), DOCUMENTS, "none lost, none doubled");
    assert_eq!(database.count("SELECT count(*) FROM jobs"), 0);
}

#[test]
fn new_documents_go_first_and_it_can_be_stopped() {
    let database = Arc::new(TestDatabase::new());
    let settings = Settings::new(&(with_tiny("active = \"tiny\"") + "[models.stock]\n"));
    let service = settings.start(&database, &[]);
    for n in 0..60 {
        put(&service, &format!("r{n}"), &format!("{RESPONDED} ").repeat(4));
    }
    service.settle();
    let address = begun(&service, "stock", &json!({}));
    assert_eq!(begin(&service, "stock", &json!({})).expect(409).issue(), "conflict", "once at a time");
    wait_until(&service, "a beginning", || service.get(&address).expect(200).json()["done"].as_i64() > Some(0));
    for n in 0..10 {
        put(&service, &format!("new{n}"), NOT_RESPONDED);
    }
    wait_until(&service, "the answers", || {
        database.count("SELECT count(*) FROM documents WHERE state = 'annotated'") == 70
    });
    let run = service.get(&address).expect(200).json();
    assert_eq!(run["state"], "running", "nobody waited for it: {run}");
    let cancelled = operate(&service, &format!("{address}/$cancel"), &json!({})).expect(200).json();
    assert_eq!(cancelled["state"], "cancelled");
    assert!(cancelled["endedAt"].is_string(), "{cancelled}");
    service.settle();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let after = service.get(&address).expect(200).json();
    assert_eq!(after, cancelled, "what was in hand is not written any more");
    assert_eq!(
        database.count("SELECT count(*) FROM shadow_annotations"),
        cancelled["done"].as_i64().expect("a number")
    );
    let again = operate(&service, &format!("{address}/$cancel"), &json!({})).expect(200).json();
    assert_eq!(again, cancelled, "twice is no fault");
    ended(&service, &begun(&service, "stock", &json!({"since": "2999"})));
}

#[test]
fn a_document_that_fails_is_passed_over_and_counted() {
    let database = Arc::new(TestDatabase::new());
    let service = Settings::new(&with_tiny("")).start(&database, &[("RESPONSUM__WORKER__ATTEMPTS_MAX", "2")]);
    for id in ["a", "b", "c"] {
        put(&service, id, RESPONDED);
    }
    service.settle();
    // Bytes that were damaged in the store.
    database.execute("UPDATE documents SET received = '\\x00' FROM reports WHERE reports.report_id = documents.report_id AND logical_id = 'b'");
    let run = ended(&service, &begun(&service, "tiny", &json!({})));
    assert_eq!((&run["state"], &run["done"], &run["failed"]), (&json!("completed"), &json!(2), &json!(1)));
    assert_eq!(database.texts("SELECT logical_id FROM reannotation_failures JOIN documents USING (document_id) JOIN reports USING (report_id)"), ["b"]);
    assert_eq!(service.observation("DiagnosticReport/b")["status"], "preliminary", "it keeps the answer that it has");
    assert_eq!(database.count("SELECT count(*) FROM jobs"), 0);
}

#[test]
fn a_document_that_ends_whoever_has_it_in_hand_is_passed_over() {
    let database = Arc::new(TestDatabase::new());
    let settings = Settings::new(&with_tiny(""));
    let nobody = [("RESPONSUM__WORKER__BACKGROUND_CONCURRENCY", "0"), ("RESPONSUM__WORKER__ATTEMPTS_MAX", "3")];
    let service = settings.start(&database, &nobody);
    put(&service, "a", RESPONDED);
    put(&service, "b", RESPONDED);
    service.settle();
    let address = begun(&service, "tiny", &json!({}));
    // As if three workers had died with it.
    database.execute("UPDATE jobs SET attempts = 3");
    drop(service);
    let service = settings.start(&database, &[("RESPONSUM__WORKER__ATTEMPTS_MAX", "3")]);
    let run = ended(&service, &address);
    assert_eq!((&run["state"], &run["done"], &run["failed"]), (&json!("completed"), &json!(1), &json!(1)));
}

#[test]
fn without_its_model_it_ends_and_says_why() {
    let database = Arc::new(TestDatabase::new());
    let settings = Settings::new(&with_tiny(""));
    let environment = [("RESPONSUM__WORKER__ATTEMPTS_MAX", "2"), ("RESPONSUM__WORKER__BACKGROUND_CONCURRENCY", "0")];
    let service = settings.start(&database, &environment);
    put(&service, "a", RESPONDED);
    service.settle();
    let address = begun(&service, "tiny", &json!({}));
    drop(service);
    settings.write("");
    let service = settings.start(&database, &environment[..1]);
    let run = ended(&service, &address);
    assert_eq!((&run["state"], &run["done"], &run["total"]), (&json!("failed"), &json!(0), &json!(1)));
    assert!(run["reason"].as_str().is_some_and(|reason| reason.contains("not loaded")), "{run}");
    assert_eq!(database.count("SELECT count(*) FROM jobs"), 0);
}
