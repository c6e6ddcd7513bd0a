//! Notifications in every shape, by whoever knows the secret and by whoever does not.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::habits::{Ehr, notification};
use crate::harness::{FHIR, RESPONDED, note, report};
use crate::listening::{Listening, SECRET};

/// How long missing events may still come by themselves: see `GAP_GRACE_SECONDS`.
const R5: &str = "fhir_version = \"R5\"";

#[test]
fn only_who_knows_the_secret_may_notify() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "");
    let service = &listening.service;
    for header in [None, Some(("authorization", "Bearer guess")), Some(("x-other", SECRET))] {
        let headers: Vec<_> = header.into_iter().collect();
        let answer = service.send("POST", "/hooks/ehr", &headers, None).expect(401);
        assert_eq!(answer.issue(), "login");
    }
    for given in [SECRET.to_owned(), format!("Bearer {SECRET}"), format!("bearer {SECRET}")] {
        service.send("POST", "/hooks/ehr", &[("authorization", &given)], None).expect(200);
    }
    listening.hook("POST", "/hooks/ehr/", None).expect(200);
    assert_eq!(listening.hook("POST", "/hooks/other", None).expect(404).issue(), "not-found");
    listening.hook("GET", "/hooks/ehr", None).expect(405);
    // A page of another site knows no secret, and would not get here with one.
    let headers = [("host", "evil.example"), ("authorization", SECRET)];
    service.send("POST", "/hooks/ehr", &headers, None).expect(403);
    assert!(!service.log().contains(SECRET), "the secret is in the log");
}

#[test]
fn a_storm_without_the_secret_is_told_to_wait() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "");
    let started = Instant::now();
    let statuses: Vec<u16> = (0..100).map(|_| listening.service.send("POST", "/hooks/ehr", &[], None).status).collect();
    // Ten at once, and ten in each second: on a machine that is too slow for a storm, there is none.
    let told_why = statuses.iter().filter(|status| **status == 401).count() as f64;
    assert!(told_why <= 11.0 + 10.0 * started.elapsed().as_secs_f64(), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    listening.ping();
}

#[test]
fn what_is_no_notification_is_refused_in_words() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "");
    for (body, status, issue) in [
        (&b"{"[..], 400, "structure"),
        (b"{}", 400, "invalid"),
        (br#"{"resourceType":"Bundle","entry":[]}"#, 400, "invalid"),
        (br#"{"resourceType":"SubscriptionStatus","type":"heartbeat"}"#, 400, "invalid"),
    ] {
        assert_eq!(listening.hook("POST", "/hooks/ehr", Some(body)).expect(status).issue(), issue);
    }
    for id in ["%2e%2e", "%2e", "a%20b"] {
        listening.hook("PUT", &format!("/hooks/ehr/DiagnosticReport/{id}"), None).expect(404);
    }
    let asked = listening.service.database.count("SELECT count(*) FROM jobs WHERE kind = 'fetch'");
    assert_eq!(asked, 0, "nothing is asked for that no server can have");
    let many = json!({"resourceType": "Bundle", "entry": vec![json!({}); 1001]});
    assert_eq!(listening.notify(&many).expect(413).issue(), "too-costly");
    let bearer = format!("Bearer {SECRET}");
    let text = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    listening.service.send("POST", "/hooks/ehr", &text, Some(b"hello")).expect(415);
    let zipped = [("authorization", bearer.as_str()), ("content-encoding", "gzip"), FHIR];
    listening.service.send("POST", "/hooks/ehr", &zipped, Some(b"{}")).expect(415);
}

#[test]
fn every_classic_shape_brings_the_report() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "");
    listening.until_quiet();
    let bearer = format!("Bearer {SECRET}");
    let mut expected = Vec::new();
    for (id, how) in ["put", "posted-to", "post", "ping", "xml", "xml-put", "bundle"].iter().enumerate() {
        let reference = ehr.write(&format!("r{id}"), &report(RESPONDED));
        let mut body = report(RESPONDED);
        body["id"] = format!("r{id}").into();
        let json = body.to_string();
        let at = format!("/hooks/ehr/{reference}");
        let xml = [("authorization", bearer.as_str()), ("content-type", "application/fhir+xml")];
        let answer = match *how {
            "put" => listening.hook("PUT", &at, Some(json.as_bytes())),
            "posted-to" => listening.hook("POST", &at, Some(json.as_bytes())),
            "post" => listening.notify(&body),
            "ping" => listening.hook("POST", "/hooks/ehr", None),
            "xml" => listening.service.send("POST", "/hooks/ehr", &xml, Some(b"<Bundle/>")),
            "xml-put" => listening.service.send("PUT", &at, &xml, Some(b"<DiagnosticReport/>")),
            _ => listening.notify(&json!({"resourceType": "Bundle", "type": "history", "entry": [{"resource": body}]})),
        };
        answer.expect(200);
        expected.push(format!("{reference} 1"));
        listening.until(how, || listening.reports() == expected);
    }
    listening.until_quiet();
    ehr.delete("DiagnosticReport/r0");
    listening.hook("DELETE", "/hooks/ehr/DiagnosticReport/r0", None).expect(200);
    listening.until("a deletion", || listening.reports()[0] == "DiagnosticReport/r0 2");
    // What is told of something that is still there deletes nothing.
    listening.hook("DELETE", "/hooks/ehr/DiagnosticReport/r1", None).expect(200);
    listening.until_quiet();
    assert_eq!(listening.reports()[1], "DiagnosticReport/r1 1");
}

#[test]
fn recorded_deliveries_bring_their_reports() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/subscriptions/sekmet.jsonl");
    let Ok(recorded) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: recorded_deliveries_bring_their_reports: there is no {}", path.display());
        return;
    };
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "");
    let recorded = recorded.replace("http://127.0.0.1:8092/fhir", &ehr.base);
    let deliveries: Vec<Value> = recorded.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for delivery in &deliveries {
        if let Ok(resource) = serde_json::from_str::<Value>(delivery["body"].as_str().expect("a body"))
            && ["DiagnosticReport", "DocumentReference"]
                .contains(&resource["resourceType"].as_str().unwrap_or_default())
        {
            ehr.write(resource["id"].as_str().expect("an id"), &resource);
        }
    }
    for delivery in &deliveries {
        let path = delivery["path"].as_str().expect("a path");
        let named = path.strip_prefix("/hook/").and_then(|rest| rest.split_once('/')).map(|(_, named)| named);
        let to = named.map_or("/hooks/ehr".to_owned(), |named| format!("/hooks/ehr/{named}"));
        let body = delivery["body"].as_str().filter(|body| !body.is_empty());
        listening.hook(delivery["method"].as_str().expect("a method"), &to, body.map(str::as_bytes)).expect(200);
    }
    listening.until("three reports", || listening.reports().len() == 3);
    listening.until_quiet();
    let shown = listening.shown();
    assert_eq!(shown["subscriptions"].as_array().map(Vec::len), Some(2), "{shown}");
    assert_eq!(shown["behindSeconds"], 0.0, "{shown}");
}

#[test]
fn a_topics_events_are_read_back_by_their_ids() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, R5);
    listening.until_quiet();
    listening.notify(&notification("handshake", "s1", 0, &[])).expect(200);
    let one = ehr.write("a", &report(RESPONDED));
    let two = ehr.write("b", &note(RESPONDED));
    let both = [(1, format!("{}/{one}", ehr.base)), (2, two.clone())];
    listening.notify(&notification("event-notification", "s1", 2, &both)).expect(200);
    listening.until("both", || listening.reports() == ["DiagnosticReport/a 1", "DocumentReference/b 1"]);
    // The same again, and late: nothing comes of it.
    for _ in 0..3 {
        listening.notify(&notification("event-notification", "s1", 2, &both)).expect(200);
    }
    listening.until_quiet();
    assert_eq!(listening.reports(), ["DiagnosticReport/a 1", "DocumentReference/b 1"]);
    let shown = listening.shown();
    assert_eq!(
        (&shown["subscriptions"][0]["lastEvent"], &shown["subscriptions"][0]["status"]),
        (&2.into(), &"active".into())
    );
}

#[test]
fn lost_events_are_asked_for() {
    for sends_events in [true, false] {
        let ehr = Ehr::start();
        ehr.state().sends_events = sends_events;
        let listening = Listening::to(&ehr, R5);
        listening.until_quiet();
        listening.notify(&notification("handshake", "s1", 0, &[])).expect(200);
        listening.until_quiet();
        for id in ["a", "b", "c"] {
            ehr.write(id, &report(RESPONDED));
        }
        // The third comes first, the first comes late, the second is lost.
        let event = |number: usize, id: &str| [(number, format!("{}/DiagnosticReport/{id}", ehr.base))];
        listening.notify(&notification("event-notification", "s1", 3, &event(3, "c"))).expect(200);
        listening.notify(&notification("event-notification", "s1", 1, &event(1, "a"))).expect(200);
        assert!(listening.shown()["subscriptions"][0]["missingSince"].is_string());
        listening.until("all three", || listening.reports().len() == 3);
        listening.until("no gap", || listening.shown()["subscriptions"][0]["missingSince"].is_null());
        assert_eq!(listening.shown()["subscriptions"][0]["lastEvent"], 3);
        assert!(ehr.asked("eventsSinceNumber=2&eventsUntilNumber=3") > 0);
    }
}

#[test]
fn a_heartbeat_that_names_more_than_came_shows_what_was_lost() {
    let ehr = Ehr::start();
    ehr.state().sends_events = true;
    let listening = Listening::to(&ehr, R5);
    listening.until_quiet();
    listening.notify(&notification("handshake", "s1", 0, &[])).expect(200);
    ehr.write("a", &report(RESPONDED));
    listening.notify(&notification("heartbeat", "s1", 1, &[])).expect(200);
    listening.until("the report", || listening.reports() == ["DiagnosticReport/a 1"]);
    listening.until("no gap", || listening.shown()["subscriptions"][0]["lastEvent"] == 1);
}

#[test]
fn forged_notifications_lead_nowhere_and_do_not_flood() {
    let (ehr, elsewhere) = (Ehr::start(), Ehr::start());
    let listening = Listening::to(&ehr, R5);
    listening.until_quiet();
    let started = Instant::now();
    elsewhere.write("a", &report(RESPONDED));
    let away = [
        (1, format!("{}/DiagnosticReport/a", elsewhere.base)),
        (2, "http://169.254.169.254/DiagnosticReport/b".to_owned()),
    ];
    for _ in 0..100 {
        listening.notify(&notification("event-notification", "s1", 2, &away)).expect(200);
        listening.ping();
    }
    listening.until_quiet();
    assert_eq!(elsewhere.state().requests.len(), 0);
    assert!(listening.reports().is_empty());
    // Two types, once in two seconds.
    let asked = ehr.asked("_lastUpdated") as f64;
    assert!(asked <= 2.0 * (started.elapsed().as_secs_f64() / 2.0 + 3.0), "200 notifications led to {asked} searches");
    let metrics = listening.service.get("/metrics").body;
    assert!(
        metrics.contains(r#"responsum_notifications_passed_over_total{source="ehr",reason="elsewhere"} 200"#),
        "{metrics}"
    );
}

#[test]
fn what_is_trusted_is_taken_as_it_came() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "payload = \"trust\"");
    listening.until_quiet();
    let mut whole = report(RESPONDED);
    whole["id"] = "a".into();
    whole["meta"] = json!({"versionId": "1", "lastUpdated": "2026-01-01T10:00:00Z"});
    listening.hook("PUT", "/hooks/ehr/DiagnosticReport/a", Some(whole.to_string().as_bytes())).expect(200);
    listening.until("the report", || listening.reports() == ["DiagnosticReport/a 1"]);
    listening.until_quiet();
    assert_eq!(ehr.asked("GET DiagnosticReport/a"), 0);
}

#[test]
fn notifications_are_answered_quickly() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, R5);
    listening.until_quiet();
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let (listening, ehr) = (&listening, &ehr);
                scope.spawn(move || {
                    let times = (0..100).map(|number| {
                        let number = sender * 100 + number + 1;
                        let event = [(number, format!("{}/DiagnosticReport/x{}", ehr.base, number % 7))];
                        let started = Instant::now();
                        listening.notify(&notification("event-notification", "s1", number, &event)).expect(200);
                        started.elapsed()
                    });
                    times.collect::<Vec<_>>()
                })
            })
            .collect();
        senders.into_iter().flat_map(|sender| sender.join().expect("a sender")).collect()
    });
    let mut times = times;
    times.sort_unstable();
    // Told and not asserted: other tests run beside this one.
    eprintln!(
        "400 notifications, 4 at a time: median {:?}, p99 {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}
