//! Sources that are away, slow, overloaded, or do not know us.

use std::time::{Duration, Instant};

use crate::fhir_server::{Fault, FhirServer, Habits};
use crate::harness::{RESPONDED, report, with_id};
use crate::setting::{Setting, side_by_side};

fn seen() -> FhirServer {
    let server = FhirServer::start(Habits::default());
    server.put(with_id(report(RESPONDED), "r1"));
    server
}

#[test]
fn what_may_pass_is_waited_for_and_nothing_is_lost_or_given_up() {
    let faults = [
        Fault::Refused,
        Fault::Truncated,
        Fault::Hangs(Duration::from_secs(3)),
        Fault::Status(429, "retry-after", "1".to_owned()),
        Fault::Status(429, "x-none", String::new()),
        Fault::Status(503, "retry-after", "1".to_owned()),
        Fault::Status(503, "x-none", String::new()),
        Fault::Status(500, "x-none", String::new()),
        Fault::Status(502, "x-none", String::new()),
    ];
    side_by_side(&faults, |fault| {
        let server = seen();
        let setting = Setting::new(&server.base, "request_seconds_max = 1");
        server.fail("GET DiagnosticReport/r1", fault.clone());
        server.fail("PUT Device", fault.clone());
        server.fail("PUT Observation", fault.clone());
        server.fail("PUT Provenance", fault.clone());
        setting.take_in("DiagnosticReport/r1");
        assert_eq!(server.faults_left(), 0, "{fault:?}");
        assert!(setting.given_up().is_empty(), "{fault:?}: {:?}", setting.given_up());
        server.only("Observation");
        server.only("Provenance");
    });
}

#[test]
fn a_source_that_asks_us_to_wait_is_not_asked_meanwhile() {
    let server = seen();
    let setting = Setting::new(&server.base, "");
    server.fail("GET DiagnosticReport/r1", Fault::Status(429, "retry-after", "3".to_owned()));
    setting.fetch("DiagnosticReport/r1");
    while server.faults_left() > 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    while !setting.source()["askedAgainInSeconds"].is_number() && server.all("Provenance").is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    setting.take_in("DiagnosticReport/other");
    server.only("Observation");
    // No report is asked for in the time that it wanted. (Requests of other kinds may have been on their way.)
    let asked: Vec<_> = server.asked().into_iter().filter(|asked| asked.line.contains("DiagnosticReport/")).collect();
    let waited = asked[1].at - asked[0].at;
    assert!(waited >= Duration::from_millis(2900), "{waited:?}");
}

#[test]
fn a_source_that_does_not_answer_is_left_alone_and_holds_up_no_other() {
    let server = seen();
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}/fhir", listener.local_addr().expect("an address"))
    };
    let setting = Setting::new(&server.base, &format!("[sources.dead]\nbase_url = \"{dead}\""));
    for n in 0..30 {
        let path = format!("/sources/dead/$fetch?report=DiagnosticReport/{n}");
        setting.service.post(&path, &serde_json::json!({})).expect(202);
    }
    let started = Instant::now();
    while setting.service.get("/sources/dead").expect(200).json()["state"] != "left-alone" {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", setting.service.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    setting.fetch("DiagnosticReport/r1");
    let started = Instant::now();
    while server.all("Provenance").is_empty() {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", setting.service.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    let dead = setting.service.get("/sources/dead").expect(200).json();
    assert_eq!(dead["jobs"][0]["waiting"], 30, "{dead}");
    assert_eq!(dead["jobs"][0]["abandoned"], 0, "{dead}");
    let metrics = setting.service.get("/metrics").expect(200).body;
    assert!(metrics.contains("responsum_source_breaker_open{source=\"dead\"} 1"), "{metrics}");
}

#[test]
fn a_refused_token_is_read_again_from_its_file() {
    let server = seen();
    server.change_habits(|habits| habits.token = Some("token-two".to_owned()));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "token-two\n").expect("written");
    let more = format!("credentials = {{ kind = \"bearer\", token_file = \"{}\" }}", file.display());
    let setting = Setting::with_folder(folder, &server.base, &more);
    setting.take_in("DiagnosticReport/r1");
    server.only("Provenance");
    // It is changed on both sides.
    server.change_habits(|habits| habits.token = Some("token-three".to_owned()));
    std::fs::write(&file, "token-three\n").expect("written");
    server.put(with_id(report(crate::harness::NOT_RESPONDED), "r1"));
    setting.take_in("DiagnosticReport/r1");
    assert_eq!(server.only("Observation").1, 2);
    assert!(!setting.service.log().contains("token-two"), "no secret is in the log");
}

#[test]
fn what_a_source_refuses_for_good_is_given_up_visibly_and_replayed_once_it_is_mended() {
    let server = seen();
    let setting = Setting::new(&server.base, "");
    server.fail("PUT Observation", Fault::Status(403, "x-none", String::new()));
    server.fail("POST Observation", Fault::Status(403, "x-none", String::new()));
    server.fail("POST Observation", Fault::Status(403, "x-none", String::new()));
    setting.take_in("DiagnosticReport/r1");
    let given_up = setting.given_up();
    assert!(given_up.len() == 1 && given_up[0].contains("403"), "{given_up:?}");
    let jobs = setting.source()["jobs"].clone();
    assert!(jobs.to_string().contains("403"), "{jobs}");
    assert!(server.all("Observation").is_empty());
    let replayed = setting.service.post("/sources/ehr/$replay", &serde_json::json!({"kind": "emit"})).expect(200);
    assert_eq!(replayed.json()["replayed"], 1);
    setting.settle();
    server.only("Observation");
    server.only("Provenance");
}
