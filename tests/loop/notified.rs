//! A real FHIR server that knows nothing of us is asked for Subscriptions, and what is written to it comes to us by its own
//! notifications.

use serde_json::{Value, json};

use crate::ehr::Ehr;
use crate::harness::{RESPONDED, note, report};
use crate::listening::Listening;
use crate::subscriptions::{said, subscriptions};

fn ehr(notify_method: &str) -> Ehr {
    Ehr::start(&format!("subscriptions: {{notify_method: {notify_method}, retries: 3}}"))
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
        let ehr = ehr(notify_method);
        let listening = Listening::to_base(&ehr.base, "");
        listening.until_quiet();
        let endpoint = listening.service.base.clone();
        let made = said(&subscriptions(&listening, &["create", "--endpoint", &endpoint]));
        eprintln!("{notify_method}: {made}");
        assert_eq!(made.matches("made").count(), 2, "{made}");
        let again = said(&subscriptions(&listening, &["create", "--endpoint", &endpoint]));
        assert_eq!(again.matches("found").count(), 2, "{again}");
        let patient = patient(&ehr);
        let mut expected = vec![ehr.post(&of(&patient, report(RESPONDED))), ehr.post(&of(&patient, note(RESPONDED)))];
        expected.sort();
        let expected: Vec<_> = expected.into_iter().map(|reference| format!("{reference} 1")).collect();
        listening.until(notify_method, || listening.reports() == expected);
        let listed = said(&subscriptions(&listening, &["list", "--endpoint", &endpoint]));
        eprintln!("{listed}");
        assert_eq!(listed.matches("active").count(), 2, "{listed}");
    }
}

#[test]
fn a_ping_and_a_topic_of_a_real_server_bring_the_report() {
    for more in [
        "payload_content = \"empty\"",
        "topic = \"http://sekmet.dev/fhir/SubscriptionTopic/diagnosticreport-final\"\n[[sources.ehr.listen]]\ntype = \"DiagnosticReport\"",
    ] {
        let ehr = ehr("put-resource");
        let listening = Listening::to_base(&ehr.base, more);
        listening.until_quiet();
        let endpoint = listening.service.base.clone();
        let made = said(&subscriptions(&listening, &["create", "--endpoint", &endpoint]));
        eprintln!("{made}");
        let patient = patient(&ehr);
        let expected = format!("{} 1", ehr.post(&of(&patient, report(RESPONDED))));
        listening.until("the report", || listening.reports() == [expected.clone()]);
        eprintln!("{}", said(&subscriptions(&listening, &["list", "--endpoint", &endpoint])));
    }
}
