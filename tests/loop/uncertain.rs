//! Answers that do not tell what became of what was asked, or that are not the source's own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fhir_server::{Fault, FhirServer, Habits, Oddity};
use crate::harness::{NOT_RESPONDED, RESPONDED, report, with_id};
use crate::setting::{Setting, side_by_side};

const LOGIN: &str = "<html>Please log in</html>";

fn html(status: u16) -> Fault {
    Fault::Told(status, vec![("content-type", "text/html")], LOGIN)
}

fn with_reports(habits: Habits, ids: &[&str]) -> FhirServer {
    let server = FhirServer::start(habits);
    for id in ids {
        server.put(with_id(report(RESPONDED), id));
    }
    server
}

/// Waits until the server was asked so often.
#[track_caller]
fn wait(server: &FhirServer, line: &str, times: usize) {
    let started = Instant::now();
    while server.times(line) < times {
        assert!(started.elapsed() < Duration::from_mins(1), "{line}: {} of {times}", server.times(line));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Our Observation of a report.
#[track_caller]
fn answer_of(server: &FhirServer, id: &str) -> Value {
    let source = format!("{}/DiagnosticReport/{id}", server.base);
    let mut found: Vec<_> =
        server.all("Observation").into_iter().filter(|(one, _)| one["meta"]["source"] == *source).collect();
    assert_eq!(found.len(), 1, "{id}: {found:#?}");
    found.remove(0).0
}

fn label(observation: &Value) -> &Value {
    &observation["valueCodeableConcept"]["coding"][0]["code"]
}

#[test]
fn a_gateway_without_a_way_to_the_source_takes_no_answer_back() {
    let server = with_reports(Habits::default(), &["r1"]);
    let setting = Setting::new(&server.base, "");
    setting.take_in("DiagnosticReport/r1");
    let asked = server.times("GET DiagnosticReport/r1");
    server.no_way(&["GET DiagnosticReport/"]);
    setting.fetch("DiagnosticReport/r1");
    wait(&server, "GET DiagnosticReport/r1", asked + 2);
    server.no_way(&[]);
    setting.settle();
    assert!(setting.given_up().is_empty(), "{:?}", setting.given_up());
    let (observation, version) = server.only("Observation");
    assert_eq!((version, &observation["status"]), (1, &json!("preliminary")));
    assert_eq!(setting.service.database.count("SELECT count(*) FROM documents"), 1);
}

#[test]
fn a_report_is_not_annotated_without_its_text_because_of_a_gateway() {
    let server = FhirServer::start(Habits::default());
    server.file("/tenant/fhir/Binary/b1", "", "text/plain", RESPONDED.as_bytes());
    let mut pointing = with_id(report(""), "r1");
    pointing["presentedForm"] = json!([{"contentType": "text/plain", "url": "Binary/b1"}]);
    server.put(pointing);
    server.no_way(&["GET Binary/"]);
    let setting = Setting::new(&server.base, "");
    setting.fetch("DiagnosticReport/r1");
    wait(&server, "GET Binary/b1", 2);
    server.no_way(&[]);
    setting.settle();
    assert_eq!(label(&answer_of(&server, "r1")), "responded");
}

#[test]
fn a_report_that_was_gone_and_is_there_again_as_it_was_is_answered_again() {
    let server = with_reports(Habits::default(), &["r1"]);
    let setting = Setting::new(&server.base, "");
    setting.take_in("DiagnosticReport/r1");
    server.fail("GET DiagnosticReport/r1", Fault::Status(410, "x-none", String::new()));
    setting.take_in("DiagnosticReport/r1");
    assert_eq!(server.only("Observation").0["status"], "entered-in-error");
    for _ in 0..2 {
        setting.take_in("DiagnosticReport/r1");
        let (observation, version) = server.only("Observation");
        assert_eq!((version, &observation["status"]), (3, &json!("preliminary")));
    }
    assert_eq!(setting.service.database.count("SELECT count(*) FROM documents"), 3);
}

#[test]
fn a_gateway_without_a_way_swallows_no_withdrawal_and_makes_no_second_answer() {
    let create = |update_create, conditional_create| Habits { update_create, conditional_create, ..Habits::default() };
    let servers = [
        ("update as create", Habits::default()),
        ("conditional create", create(Err(405), true)),
        ("conditions are ignored", Habits { oddities: vec![Oddity::IgnoresConditions], ..create(Err(405), true) }),
        ("search, then create", create(Err(404), false)),
    ];
    side_by_side(&servers, |(name, habits)| {
        let server = with_reports(habits.clone(), &["r1", "r2"]);
        let setting = Setting::new(&server.base, "");
        setting.fetch("DiagnosticReport/r1");
        setting.take_in("DiagnosticReport/r2");
        let asked = server.times("PUT Observation/");
        server.no_way(&["GET Observation/", "PUT Observation/"]);
        server.put(with_id(report(NOT_RESPONDED), "r1"));
        let mut withdrawn = with_id(report(RESPONDED), "r2");
        withdrawn["status"] = "entered-in-error".into();
        server.put(withdrawn);
        setting.fetch("DiagnosticReport/r1");
        setting.fetch("DiagnosticReport/r2");
        // Each of the two at least once, and one of them again.
        wait(&server, "PUT Observation/", asked + 3);
        server.no_way(&[]);
        setting.settle();
        assert!(setting.given_up().is_empty(), "{name}: {:?}", setting.given_up());
        assert_eq!(server.all("Observation").len(), 2, "{name}");
        let amended = answer_of(&server, "r1");
        assert_eq!((label(&amended), &amended["status"]), (&json!("not-responded"), &json!("preliminary")), "{name}");
        assert_eq!(answer_of(&server, "r2")["status"], "entered-in-error", "{name}");
    });
}

/// A server that looks at no condition, and does more than that against the standard.
fn odd(update_create: Result<(), u16>, more: &[Oddity]) -> Habits {
    let oddities = [&[Oddity::IgnoresConditions], more].concat();
    Habits { update_create, oddities, ..Habits::default() }
}

#[test]
fn a_create_whose_answer_was_lost_is_sought_whatever_the_server_has_said_of_itself() {
    let servers = [
        ("PUT is refused with 405", odd(Err(405), &[])),
        ("PUT is refused with 404", odd(Err(404), &[])),
        ("PUT is refused with 400", odd(Err(400), &[])),
        ("gives other ids", odd(Ok(()), &[Oddity::GivesOtherIds])),
        ("looks at no identifier", odd(Err(405), &[Oddity::IgnoresIdentifier(10)])),
    ];
    let cases: Vec<_> = servers.iter().flat_map(|server| [(server, false), (server, true)]).collect();
    side_by_side(&cases, |((name, habits), killed)| {
        let method = if habits.update_create.is_ok() { "PUT" } else { "POST" };
        let server = with_reports(habits.clone(), &["r1"]);
        for n in 0..30 {
            for resource_type in ["Observation", "Device"] {
                server.put(json!({"resourceType": resource_type, "id": format!("other-{n:02}")}));
            }
        }
        server.no_way(&["GET metadata"]);
        let mut setting = Setting::new(&server.base, "");
        for resource_type in ["Device", "Observation"] {
            let fault = if *killed { Fault::AnswerHeld } else { Fault::AnswerLost };
            server.fail(&format!("{method} {resource_type}"), fault);
        }
        server.fail(&format!("{method} Provenance"), Fault::AnswerLost);
        setting.fetch("DiagnosticReport/r1");
        for resource_type in ["Device", "Observation"].into_iter().filter(|_| *killed) {
            while server.all(resource_type).len() == 30 {
                std::thread::sleep(Duration::from_millis(10));
            }
            setting = setting.killed_and_started_again();
        }
        setting.settle();
        assert_eq!(server.faults_left(), 0, "{name}, {killed}");
        assert!(setting.given_up().is_empty(), "{name}, {killed}: {:?}", setting.given_up());
        assert_eq!(server.all("Observation").len(), 31, "{name}, {killed}");
        assert_eq!(server.all("Device").len(), 31, "{name}, {killed}");
        answer_of(&server, "r1");
        server.only("Provenance");
    });
}

#[test]
fn a_search_that_tells_nothing_is_said_and_nothing_is_created_a_second_time() {
    let habits = Habits { conditional_create: false, ..odd(Err(405), &[Oddity::IgnoresIdentifier(1)]) };
    let server = with_reports(habits, &["r1"]);
    let setting = Setting::new(&server.base, "");
    server.fail("POST Observation", Fault::AnswerLost);
    for n in 0..40 {
        server.put(json!({"resourceType": "Observation", "id": format!("0-other-{n:02}")}));
    }
    // The Device is found among few; the Observation is not created where it cannot be known whether it is there.
    setting.take_in("DiagnosticReport/r1");
    let given_up = setting.given_up();
    assert!(given_up.len() == 1 && given_up[0].contains("search by identifier"), "{given_up:?}");
    assert!(server.all("Observation").len() <= 41);
    server.only("Device");
    let source = setting.source();
    assert!(source["findings"].to_string().contains("on Observation does not heed identifier"), "{source}");
    assert_eq!(source["observations"]["failed"], 1, "{source}");
}

#[test]
fn a_server_that_fails_at_our_ids_is_given_the_answer_in_another_way() {
    let server =
        with_reports(Habits { update_create: Err(500), claims: Some((true, true)), ..Habits::default() }, &["r1"]);
    let setting = Setting::new(&server.base, "");
    setting.take_in("DiagnosticReport/r1");
    assert!(setting.given_up().is_empty(), "{:?}", setting.given_up());
    server.only("Device");
    answer_of(&server, "r1");
}

#[test]
fn a_time_to_wait_is_an_hour_at_most_and_a_replay_ends_it() {
    let server = with_reports(Habits::default(), &["r1"]);
    let setting = Setting::new(&server.base, "");
    let far = "Wed, 25 Nov 2037 00:00:00 GMT".to_owned();
    server.fail("GET DiagnosticReport/r1", Fault::Status(429, "retry-after", far));
    setting.fetch("DiagnosticReport/r1");
    let count = |query| setting.service.database.count(query);
    let started = Instant::now();
    while count("SELECT count(*) FROM jobs WHERE kind = 'fetch' AND lease IS NULL AND last_error IS NOT NULL") == 0 {
        assert!(started.elapsed() < Duration::from_mins(1), "{}", setting.service.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    let waits = "SELECT count(*) FROM jobs WHERE kind = 'fetch' AND due_at > now() + interval '10 minutes'";
    let too_long = "SELECT count(*) FROM jobs WHERE kind = 'fetch' AND due_at > now() + interval '1 hour'";
    assert_eq!((count(waits), count(too_long)), (1, 0));
    let replayed = setting.service.post("/sources/ehr/$replay", &json!({"kind": "fetch"})).expect(200);
    assert_eq!(replayed.json()["replayed"], 1);
    assert_eq!(count("SELECT count(*) FROM jobs WHERE kind = 'fetch' AND due_at <= now()"), 1);
}

#[test]
fn a_page_that_asks_people_to_log_in_is_no_acknowledgement() {
    let post = Habits { update_create: Err(405), ..Habits::default() };
    side_by_side(&[("PUT", Habits::default()), ("POST", post)], |(method, habits)| {
        let server = with_reports(habits.clone(), &["r1"]);
        let setting = Setting::new(&server.base, "");
        for resource_type in ["Device", "Observation", "Provenance"] {
            server.fail(&format!("{method} {resource_type}"), html(200));
        }
        setting.take_in("DiagnosticReport/r1");
        assert_eq!(server.faults_left(), 0, "{method}");
        assert!(setting.given_up().is_empty(), "{method}: {:?}", setting.given_up());
        for resource_type in ["Device", "Observation", "Provenance"] {
            server.only(resource_type);
        }
        // And no reading: of the report, and of what stands there.
        server.fail("GET DiagnosticReport/r1", html(200));
        server.put(with_id(report(NOT_RESPONDED), "r1"));
        setting.take_in("DiagnosticReport/r1");
        assert_eq!(label(&answer_of(&server, "r1")), "not-responded", "{method}");
    });
}

#[test]
fn an_acknowledgement_without_a_body_is_enough() {
    let server = with_reports(Habits::default(), &["r1"]);
    let setting = Setting::new(&server.base, "");
    server.fail("PUT Observation", Fault::Told(201, Vec::new(), ""));
    setting.take_in("DiagnosticReport/r1");
    assert!(setting.given_up().is_empty(), "{:?}", setting.given_up());
    assert_eq!(server.times("PUT Observation"), 1);
    assert_eq!(setting.source()["observations"]["written"], 1);
}

#[test]
fn nothing_is_asked_for_compressed_and_what_comes_like_that_is_named() {
    let server = with_reports(Habits::default(), &["r1"]);
    let setting = Setting::new(&server.base, "");
    let headers = vec![("content-type", "application/fhir+json"), ("content-encoding", "gzip")];
    server.fail("GET DiagnosticReport/r1", Fault::Told(200, headers, "not read"));
    setting.take_in("DiagnosticReport/r1");
    answer_of(&server, "r1");
    assert!(server.asked().iter().all(|asked| asked.headers["accept-encoding"] == "identity"));
    assert!(setting.service.log().contains("Content-Encoding gzip"), "{}", setting.service.log());
}

#[test]
fn a_write_that_is_sent_on_is_given_up_says_so_and_is_counted() {
    let server = with_reports(Habits::default(), &["r1"]);
    let setting = Setting::new(&server.base, "");
    server.fail("PUT Device", Fault::Status(307, "location", format!("{}/Device/elsewhere", server.base)));
    setting.take_in("DiagnosticReport/r1");
    let given_up = setting.given_up();
    assert!(given_up.len() == 1 && given_up[0].contains("redirects of writes are never followed"), "{given_up:?}");
    // The Observation was not even begun, as there was no Device.
    assert_eq!(setting.source()["observations"]["failed"], 1);
    let replayed = setting.service.post("/sources/ehr/$replay", &json!({})).expect(200);
    assert_eq!(replayed.json()["replayed"], 1);
    setting.settle();
    answer_of(&server, "r1");
    assert_eq!(setting.source()["observations"], json!({"written": 1, "pending": 0, "failed": 0}));
}

#[test]
fn the_state_of_a_source_follows_its_last_answer() {
    let server = with_reports(Habits { token: Some("right".to_owned()), ..Habits::default() }, &["r1"]);
    server.no_way(&["GET metadata"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "wrong").expect("written");
    let more = format!("credentials = {{ kind = \"bearer\", token_file = \"{}\" }}", file.display());
    let setting = Setting::with_folder(folder, &server.base, &more);
    let until = |state: &str| {
        let started = Instant::now();
        while setting.source()["state"] != state {
            assert!(started.elapsed() < Duration::from_mins(1), "{state}: {}", setting.source());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    setting.fetch("DiagnosticReport/r1");
    until("failing");
    // Its CapabilityStatement is never had; all else is well.
    std::fs::write(&file, "right").expect("written");
    setting.fetch("DiagnosticReport/r1");
    until("answering");
}
