//! What notifications did not tell, searched for.

use serde_json::json;
use time::OffsetDateTime;

use crate::habits::{Ehr, LastUpdated, long_ago, notification};
use crate::harness::{NOT_RESPONDED, RESPONDED, note, report};
use crate::listening::Listening;

/// Why the source's next search waits, as `GET /sources/ehr` says it.
fn why_it_waits(listening: &Listening) -> String {
    let shown = listening.shown();
    let jobs = shown["jobs"].as_array().expect("jobs");
    let search = jobs.iter().find(|jobs| jobs["kind"] == "catch-up");
    search.and_then(|jobs| jobs["waitingReason"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn one_search_that_is_refused_keeps_no_other_from_being_done() {
    let ehr = Ehr::start();
    ehr.state().forbids = Some("DiagnosticReport?");
    ehr.state().offers_history = true;
    ehr.write("n", &note(RESPONDED));
    let listening = Listening::to(&ehr, "poll_seconds = 1");
    listening.until("the other type", || listening.reports() == ["DocumentReference/n 1"]);
    listening.until("the reason", || why_it_waits(&listening).contains("it answered 403"));
    listening.ping();
    listening.until("the histories", || ehr.asked("DocumentReference/_history") > 0);
}

const INSIDE: &str = "http://ehr.internal:9999/fhir";

/// An EHR behind a proxy, with seven reports on four pages, one of them with its text in a Binary.
fn behind_a_proxy() -> Ehr {
    let ehr = Ehr::start();
    ehr.state().calls_itself = Some(INSIDE);
    ehr.state().page_size = 2;
    for id in 0..7 {
        let mut body = report(RESPONDED);
        if id == 0 {
            let binary = json!({"resourceType": "Binary", "contentType": "text/plain", "data": body["presentedForm"][0]["data"]});
            ehr.write_at("b", &binary, long_ago());
            body["presentedForm"] = json!([{"contentType": "text/plain", "url": format!("{INSIDE}/Binary/b")}]);
        }
        ehr.write_at(&format!("r{id}"), &body, long_ago());
    }
    ehr
}

#[test]
fn a_source_that_calls_itself_otherwise_is_read_to_its_last_page() {
    let ehr = behind_a_proxy();
    let listening = Listening::to(&ehr, &format!("since = \"2020\"\nalso_known_as = [\"{INSIDE}/\"]"));
    listening.until_quiet();
    assert_eq!(listening.reports().len(), 7);
    assert_eq!(listening.shown()["behindSeconds"], 0.0);
    let told = listening.service.get("/sources/ehr/DiagnosticReport/r0/$annotation").expect(200).json();
    assert_eq!((&told["label"], &told["coverage"]["unread"]), (&json!("responded"), &json!([])), "the Binary is read");
    // Named by that name, it is the same report.
    let found =
        |source: String| listening.service.get(&format!("/fhir/Observation?_source={source}")).expect(200).json();
    let bundle = found(format!("{INSIDE}/DiagnosticReport/r0"));
    assert_eq!(bundle["total"], 1, "{bundle}");
    assert_eq!(bundle["entry"][0]["resource"]["meta"]["source"], format!("{}/DiagnosticReport/r0", ehr.base));
    // An event of it is read, and not searched for.
    let searched = ehr.asked("_lastUpdated");
    ehr.write_at("r9", &report(NOT_RESPONDED), long_ago());
    let event = (1, format!("{INSIDE}/DiagnosticReport/r9"));
    listening.notify(&notification("event-notification", "s1", 1, &[event])).expect(200);
    listening.until("the event's report", || listening.reports().len() == 8);
    assert_eq!(ehr.asked("_lastUpdated"), searched);
}

#[test]
fn a_next_page_that_must_not_be_asked_for_is_told_with_what_to_do() {
    let ehr = behind_a_proxy();
    let listening = Listening::to(&ehr, "since = \"2020\"");
    listening.until("the first page", || listening.reports().len() == 2);
    listening.until("the reason", || why_it_waits(&listening).contains("also_known_as"));
    assert!(!why_it_waits(&listening).contains("ehr.internal"), "addresses may identify patients");
    // What is new is found all the same.
    ehr.write("new", &report(RESPONDED));
    listening.service.database.execute("UPDATE jobs SET due_at = now() WHERE lease IS NULL AND kind = 'catch-up'");
    listening.until("a new report", || listening.reports().contains(&"DiagnosticReport/new 1".to_owned()));
}

#[test]
fn pages_that_lead_in_a_circle_are_not_followed_and_told() {
    let ehr = Ehr::start();
    ehr.state().goes_in_circles = true;
    ehr.write("a", &report(RESPONDED));
    let listening = Listening::to(&ehr, "");
    listening.until("the reason", || why_it_waits(&listening).contains("leads to one that was read"));
    assert_eq!(listening.reports(), ["DiagnosticReport/a 1"]);
    assert!(ehr.asked("GET DiagnosticReport?") <= 3, "{}", ehr.asked("GET DiagnosticReport?"));
}

#[test]
fn a_page_of_any_length_is_taken_in() {
    let ehr = Ehr::start();
    ehr.state().page_size = 2_000;
    for id in 0..1_100 {
        let mut body = report(RESPONDED);
        body["status"] = "registered".into();
        ehr.write_at(&format!("r{id}"), &body, long_ago());
    }
    let listening = Listening::to(&ehr, "since = \"2020\"");
    listening.until("all of it", || listening.reports().len() == 1_100);
    assert_eq!(ehr.asked("_offset"), 0);
}

#[test]
fn a_source_without_subscriptions_is_polled() {
    let ehr = Ehr::start();
    ehr.state().offers_history = true;
    ehr.write_at("old", &report(RESPONDED), long_ago());
    let listening = Listening::to(&ehr, "poll_seconds = 1");
    ehr.write("a", &report(RESPONDED));
    listening.until("a new report", || listening.reports() == ["DiagnosticReport/a 1"]);
    ehr.write("a", &report(NOT_RESPONDED));
    listening.until("its next version", || listening.reports() == ["DiagnosticReport/a 2"]);
    ehr.delete("DiagnosticReport/a");
    listening.until("its deletion", || listening.reports() == ["DiagnosticReport/a 3"]);
    // Written before the service began, and not asked for.
    assert!(!listening.reports().iter().any(|report| report.contains("old")));
    let shown = listening.shown();
    assert!(
        shown["searches"].as_array().is_some_and(|all| all.iter().any(|one| one["mode"] == "last-updated")),
        "{shown}"
    );
}

#[test]
fn the_first_search_reaches_back_as_far_as_it_is_told() {
    let ehr = Ehr::start();
    ehr.state().page_size = 2;
    for id in 0..7 {
        ehr.write_at(&format!("r{id}"), &report(RESPONDED), long_ago());
    }
    let listening = Listening::to(&ehr, "since = \"2020\"");
    listening.until_quiet();
    assert_eq!(listening.reports().len(), 7);
    assert_eq!(ehr.asked("_offset=6"), 1);
    assert_eq!(listening.shown()["behindSeconds"], 0.0);
}

#[test]
fn a_source_that_does_not_know_last_updated_is_gone_through() {
    for habit in [LastUpdated::Refused, LastUpdated::Ignored] {
        let ehr = Ehr::start();
        ehr.state().last_updated = habit;
        ehr.write_at("old", &report(RESPONDED), long_ago());
        ehr.write("a", &report(RESPONDED));
        let listening = Listening::to(&ehr, "");
        listening.until("the new report", || listening.reports() == ["DiagnosticReport/a 1"]);
        listening.until_quiet();
        let shown = listening.shown();
        let modes: Vec<_> =
            shown["searches"].as_array().expect("searches").iter().map(|one| one["mode"].clone()).collect();
        assert_eq!(modes[0], "whole", "{habit:?}: {shown}");
    }
}

#[test]
fn a_search_that_was_interrupted_goes_on_where_it_was() {
    let ehr = Ehr::start();
    ehr.state().page_size = 2;
    ehr.state().fails_at = Some("\"4\"");
    for id in 0..9 {
        ehr.write_at(&format!("r{id}"), &report(RESPONDED), long_ago());
    }
    let listening = Listening::to(&ehr, "since = \"2020\"");
    listening.until("two pages", || listening.reports().len() == 4 && ehr.asked("_offset=4") > 0);
    let behind = listening.shown()["behindSeconds"].as_f64().expect("a number");
    assert!(behind > 1_000_000.0, "{behind}");
    let second = ehr.asked("_offset=2");
    let listening = listening.killed_and_started_again();
    ehr.state().fails_at = None;
    listening.service.database.execute("UPDATE jobs SET due_at = now() WHERE lease IS NULL");
    listening.until("all pages", || listening.reports().len() == 9);
    listening.until_quiet();
    assert_eq!(ehr.asked("_offset=2"), second, "the second page was not read again");
}

#[test]
fn the_first_load_by_export_passes_over_bad_lines_only() {
    let ehr = Ehr::start();
    let line = |id: &str| {
        let mut resource = report(RESPONDED);
        resource["id"] = id.into();
        resource["meta"] = json!({"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"});
        resource.to_string()
    };
    ehr.state().export = Some(format!(
        "{}\n{{\"resourceType\":\n\n{}\n{{\"resourceType\":\"Patient\"}}\n{}",
        line("a"),
        line("b"),
        line("c")
    ));
    let listening = Listening::to(&ehr, "bulk = true\nsince = \"2020\"");
    listening.until_quiet();
    assert_eq!(listening.reports(), ["DiagnosticReport/a 1", "DiagnosticReport/b 1", "DiagnosticReport/c 1"]);
    let shown = listening.shown();
    assert_eq!((&shown["export"]["badLines"], &shown["export"]["ended"]), (&2.into(), &true.into()));
    assert_eq!((ehr.asked("GET $export"), ehr.asked("DELETE export-status")), (1, 1));
    // It goes on by search, from where the export ends.
    ehr.write("d", &report(RESPONDED));
    listening.ping();
    listening.until("a report after the export", || listening.reports().len() == 4);
}

#[test]
fn a_subscription_that_fell_silent_is_looked_after() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "fhir_version = \"R5\"");
    listening.until_quiet();
    let subscription =
        json!({"resourceType": "Subscription", "id": "s1", "status": "error", "topic": "urn:topic", "x": 1});
    ehr.state().subscriptions.insert("s1".into(), subscription);
    listening.service.database.execute(
        "INSERT INTO subscriptions (source, subscription_id, kind, criteria, heartbeat_seconds, status, heard_at, created_at)
         VALUES ('ehr', 's1', 'r5', 'DiagnosticReport?', 60, 'active', now() - interval '1 h', now() - interval '1 h')",
    );
    ehr.write("a", &report(RESPONDED));
    listening.ping();
    listening.until("it is asked for again", || ehr.asked("PUT Subscription/s1") == 1);
    listening.until("what was missed", || listening.reports() == ["DiagnosticReport/a 1"]);
    let mended = ehr.state().subscriptions["s1"].clone();
    assert_eq!((&mended["status"], &mended["x"]), (&"active".into(), &1.into()));
    // It says by itself that it is in error: asked for again after a while, not at once.
    listening.notify(&notification("heartbeat", "s1", 0, &[])).expect(200);
    listening.until_quiet();
    assert_eq!(ehr.asked("PUT Subscription/s1"), 1);
}

#[test]
fn the_sources_clock_counts_and_not_ours() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "");
    listening.until_quiet();
    let shown = listening.shown();
    let until = shown["searches"][0]["completeUntil"].as_str().expect("a moment");
    let until = OffsetDateTime::parse(until, &time::format_description::well_known::Rfc3339).expect("a moment");
    assert_eq!(until.millisecond(), 0, "an HTTP date has seconds only");
}
