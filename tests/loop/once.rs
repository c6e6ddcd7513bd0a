//! One Observation for each report, whatever is lost, repeated, or done otherwise.

use serde_json::{Value, json};

use crate::fhir_server::{Fault, FhirServer, Habits};
use crate::harness::{NOT_RESPONDED, NOT_STATED, RESPONDED, report, with_id};
use crate::setting::{Setting, side_by_side};

/// Servers that create in each of the three ways, and some that say otherwise than they do.
fn servers() -> Vec<(&'static str, Habits)> {
    let other = |update_create, conditional_create| Habits { update_create, conditional_create, ..Habits::default() };
    vec![
        ("update as create", Habits::default()),
        ("update as create, UUIDs as ETags", Habits { uuid_etags: true, ..Habits::default() }),
        ("conditional create", other(Err(405), true)),
        ("conditional create without bodies", Habits { tells: false, ..other(Err(400), true) }),
        ("search, then create", other(Err(405), false)),
        ("search, then create, UUIDs as ETags", Habits { uuid_etags: true, ..other(Err(404), false) }),
        (
            "says update as create, does conditional create",
            Habits { claims: Some((true, true)), ..other(Err(405), true) },
        ),
        ("says all, does neither", Habits { claims: Some((true, true)), ..other(Err(400), false) }),
    ]
}

fn there(text: &str) -> Value {
    let mut report = with_id(report(text), "r1");
    report["encounter"] = json!({"reference": "Encounter/e1"});
    report
}

#[test]
fn an_answer_is_written_once_with_its_device_and_provenance_in_every_way_of_creation() {
    side_by_side(&servers(), |(name, habits)| {
        let server = FhirServer::start(habits.clone());
        let setting = Setting::new(&server.base, "");
        server.put(there(RESPONDED));
        setting.take_in("DiagnosticReport/r1");
        assert!(setting.given_up().is_empty(), "{name}: {:?}", setting.given_up());
        let (observation, version) = server.only("Observation");
        assert_eq!(version, 1, "{name}");
        assert_eq!(observation["status"], "preliminary", "{name}");
        assert_eq!(observation["subject"]["reference"], "Patient/p1", "{name}");
        assert_eq!(observation["encounter"]["reference"], "Encounter/e1", "{name}");
        assert_eq!(observation["meta"]["source"], format!("{}/DiagnosticReport/r1", server.base), "{name}");
        let (device, _) = server.only("Device");
        let device = format!("Device/{}", device["id"].as_str().expect("an id"));
        assert_eq!(observation["device"]["reference"], device, "{name}");
        let (provenance, _) = server.only("Provenance");
        let id = observation["id"].as_str().expect("an id");
        assert_eq!(provenance["target"][0]["reference"], format!("Observation/{id}/_history/1"), "{name}");
        assert_eq!(provenance["agent"][0]["who"]["reference"], device, "{name}");
        assert_eq!(provenance["entity"][0]["what"]["reference"], "DiagnosticReport/r1/_history/1", "{name}");

        // A new version of the report: an update. Its withdrawal: another.
        server.put(there(NOT_RESPONDED));
        setting.take_in("DiagnosticReport/r1");
        let (observation, version) = server.only("Observation");
        assert_eq!((version, &observation["status"]), (2, &json!("preliminary")), "{name}");
        assert_eq!(observation["valueCodeableConcept"]["coding"][0]["code"], "not-responded", "{name}");
        server.remove("DiagnosticReport/r1");
        setting.take_in("DiagnosticReport/r1");
        let (observation, version) = server.only("Observation");
        assert_eq!((version, &observation["status"]), (3, &json!("entered-in-error")), "{name}");
        assert_eq!(server.all("Provenance").len(), 3, "{name}: one for each version");
        assert_eq!(server.all("Device").len(), 1, "{name}");
    });
}

#[test]
fn an_answer_that_was_lost_on_its_way_back_does_not_make_a_second_one() {
    side_by_side(&servers(), |(name, habits)| {
        for lost in
            ["PUT Observation", "POST Observation", "PUT Device", "POST Device", "PUT Provenance", "POST Provenance"]
        {
            // A request that this server refuses has nothing to lose.
            if habits.update_create.is_ok() != lost.starts_with("PUT") {
                continue;
            }
            let server = FhirServer::start(habits.clone());
            let setting = Setting::new(&server.base, "");
            server.put(there(RESPONDED));
            server.fail(lost, Fault::AnswerLost);
            setting.take_in("DiagnosticReport/r1");
            assert_eq!(server.faults_left(), 0, "{name}, {lost}: it came up");
            assert!(setting.given_up().is_empty(), "{name}, {lost}: {:?}", setting.given_up());
            assert_eq!(server.only("Observation").1, 1, "{name}, {lost}: not written twice");
            server.only("Device");
            server.only("Provenance");
        }
    });
}

#[test]
fn a_service_that_is_killed_while_it_writes_does_not_write_a_second_one_afterwards() {
    side_by_side(&servers(), |(name, habits)| {
        let lost = if habits.update_create.is_ok() { "PUT Observation" } else { "POST Observation" };
        let server = FhirServer::start(habits.clone());
        let setting = Setting::new(&server.base, "");
        server.put(there(RESPONDED));
        server.fail(lost, Fault::AnswerHeld);
        setting.fetch("DiagnosticReport/r1");
        while server.all("Observation").is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let setting = setting.killed_and_started_again();
        setting.settle();
        assert_eq!(server.only("Observation").1, 1, "{name}: not written twice");
        server.only("Provenance");
    });
}

#[test]
fn what_someone_else_wrote_meanwhile_is_written_over_and_what_a_person_reviewed_is_not() {
    let server = FhirServer::start(Habits { uuid_etags: true, ..Habits::default() });
    let setting = Setting::new(&server.base, "");
    server.put(there(RESPONDED));
    setting.take_in("DiagnosticReport/r1");
    let (mut observation, _) = server.only("Observation");
    observation["note"] = json!([{"text": "A system of the hospital has added this."}]);
    server.put(observation);
    server.put(there(NOT_RESPONDED));
    setting.take_in("DiagnosticReport/r1");
    let (mut observation, version) = server.only("Observation");
    assert_eq!(version, 3);
    assert_eq!(observation["valueCodeableConcept"]["coding"][0]["code"], "not-responded");

    observation["status"] = "final".into();
    server.put(observation);
    server.put(there(RESPONDED));
    setting.take_in("DiagnosticReport/r1");
    let (observation, version) = server.only("Observation");
    assert_eq!((version, &observation["status"]), (4, &json!("final")));
    let given_up = setting.given_up();
    assert!(given_up.len() == 1 && given_up[0].contains("a person has changed the Observation"), "{given_up:?}");
    assert_eq!(setting.source()["observations"]["failed"], 1);

    // Only the report's own end takes it back.
    server.remove("DiagnosticReport/r1");
    setting.take_in("DiagnosticReport/r1");
    assert_eq!(server.only("Observation").0["status"], "entered-in-error");
}

#[test]
fn a_report_that_states_nothing_and_one_that_is_unknown_leave_no_trace() {
    let server = FhirServer::start(Habits::default());
    let setting = Setting::new(&server.base, "");
    server.put(there(NOT_STATED));
    setting.take_in("DiagnosticReport/r1");
    setting.take_in("DiagnosticReport/unknown");
    assert!(setting.given_up().is_empty(), "{:?}", setting.given_up());
    for resource_type in ["Observation", "Provenance", "Device"] {
        assert!(server.all(resource_type).is_empty(), "{resource_type}");
    }
}

#[test]
fn the_same_version_again_and_an_older_one_change_nothing() {
    let server = FhirServer::start(Habits::default());
    let setting = Setting::new(&server.base, "");
    server.put(there(RESPONDED));
    server.put(there(NOT_RESPONDED));
    setting.take_in("DiagnosticReport/r1");
    setting.take_in("DiagnosticReport/r1");
    assert_eq!(setting.service.database.count("SELECT count(*) FROM documents"), 1);
    // The source gives an older one: a copy of its database that lags behind.
    server.remove("DiagnosticReport/r1");
    server.put(there(RESPONDED));
    setting.take_in("DiagnosticReport/r1");
    assert_eq!(setting.service.database.count("SELECT count(*) FROM documents"), 1);
    let (observation, version) = server.only("Observation");
    assert_eq!(version, 1);
    assert_eq!(observation["valueCodeableConcept"]["coding"][0]["code"], "not-responded");
}

#[test]
fn what_is_not_to_be_written_stays_here() {
    for (write, expected) in
        [("nothing", [0, 0, 0]), ("observation", [1, 1, 0]), ("observation-and-provenance", [1, 1, 1])]
    {
        let server = FhirServer::start(Habits::default());
        let setting = Setting::new(&server.base, &format!("write = \"{write}\""));
        server.put(there(RESPONDED));
        setting.take_in("DiagnosticReport/r1");
        let found = ["Observation", "Device", "Provenance"].map(|resource_type| server.all(resource_type).len());
        assert_eq!(found, expected, "{write}");
        assert_eq!(setting.service.database.count("SELECT count(*) FROM observations"), 1, "{write}");
    }
}

#[test]
fn a_report_that_the_settings_do_not_ask_for_is_not_taken_in_unless_it_is_known() {
    let server = FhirServer::start(Habits::default());
    let setting = Setting::new(&server.base, "listen = [{ type = \"DiagnosticReport\", statuses = [\"final\"] }]");
    let mut unasked = there(RESPONDED);
    unasked["status"] = "preliminary".into();
    server.put(unasked.clone());
    setting.take_in("DiagnosticReport/r1");
    assert_eq!(setting.service.database.count("SELECT count(*) FROM reports"), 0);
    server.put(there(RESPONDED));
    setting.take_in("DiagnosticReport/r1");
    assert_eq!(server.only("Observation").0["status"], "preliminary");
    unasked["status"] = "entered-in-error".into();
    server.put(unasked);
    setting.take_in("DiagnosticReport/r1");
    assert_eq!(server.only("Observation").0["status"], "entered-in-error");
}
