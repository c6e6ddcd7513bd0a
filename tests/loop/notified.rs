//! A real FHIR server that knows nothing of us: it is asked for Subscriptions, and what is written to it comes to us by its
//! own notifications.

use serde_json::{Value, json};

use crate::ehr::Ehr;
use crate::harness::{RESPONDED, note, report};
use crate::listening::Listening;
use crate::subscriptions::{said, subscriptions};

fn notifying_by(method: &str) -> Ehr {
    Ehr::start(&format!("subscriptions: {{notify_method: {method}, retries: 3}}"))
}

/// Makes Subscriptions, and waits until the server says that they are alive: what is written before is not told.
#[track_caller]
fn subscribed(listening: &Listening, count: usize) -> String {
    let endpoint = listening.service.base.clone();
    let made = said(&subscriptions(listening, &["create", "--endpoint", &endpoint]));
    assert_eq!(made.matches("made").count(), count, "{made}");
    listening.until("active Subscriptions", || {
        said(&subscriptions(listening, &["list"])).matches("active").count() == count
    });
    made
}

fn patient(ehr: &Ehr) -> String {
    ehr.post(&json!({"resourceType": "Patient"}))
}

fn of(patient: &str, mut report: Value) -> Value {
    report["subject"] = json!({"reference": patient});
    report
}

#[test]
fn what_is_written_to_a_real_server_comes_to_us_both_ways_it_notifies() {
    for notify_method in ["put-resource", "post-endpoint"] {
        let ehr = notifying_by(notify_method);
        let listening = Listening::to_base(&ehr.base, "");
        listening.until_quiet();
        let endpoint = listening.service.base.clone();
        subscribed(&listening, 2);
        let again = said(&subscriptions(&listening, &["create", "--endpoint", &endpoint]));
        assert_eq!(again.matches("found").count(), 2, "{again}");
        let patient = patient(&ehr);
        let mut expected = vec![ehr.post(&of(&patient, report(RESPONDED))), ehr.post(&of(&patient, note(RESPONDED)))];
        expected.sort();
        let expected: Vec<_> = expected.into_iter().map(|reference| format!("{reference} 1")).collect();
        listening.until(notify_method, || listening.reports() == expected);
    }
}

#[test]
fn a_ping_and_a_topic_of_a_real_server_bring_the_report() {
    for more in [
        "payload_content = \"empty\"",
        "topic = \"http://sekmet.dev/fhir/SubscriptionTopic/diagnosticreport-final\"\n[[sources.ehr.listen]]\ntype = \"DiagnosticReport\"",
    ] {
        let ehr = notifying_by("put-resource");
        let listening = Listening::to_base(&ehr.base, more);
        listening.until_quiet();
        let made = subscribed(&listening, if more.contains("topic") { 1 } else { 2 });
        assert_eq!(made.contains("backport"), more.contains("topic"), "{made}");
        let patient = patient(&ehr);
        let expected = format!("{} 1", ehr.post(&of(&patient, report(RESPONDED))));
        listening.until("the report", || listening.reports() == [expected.clone()]);
        let listed = said(&subscriptions(&listening, &["list"]));
        assert_eq!(listed.contains("last event 1"), more.contains("topic"), "{listed}");
    }
}
