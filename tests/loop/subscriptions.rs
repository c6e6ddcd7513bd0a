//! `responsum subscriptions` against servers with habits.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::habits::Ehr;
use crate::harness::RESPONSUM;
use crate::listening::{Listening, SECRET};

/// Runs the command on the service's settings and database.
pub fn subscriptions(listening: &Listening, arguments: &[&str]) -> Output {
    Command::new(RESPONSUM)
        .arg("subscriptions")
        .args(arguments)
        .arg("--config")
        .arg(&listening.settings)
        .env("DATABASE_URL", listening.service.database.url())
        .output()
        .expect("the executable runs")
}

#[track_caller]
pub fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

fn topic(resource_type: &str) -> Value {
    json!({"resourceType": "SubscriptionTopic", "url": format!("urn:topic:{resource_type}"), "status": "active",
        "resourceTrigger": [{"resource": resource_type}]})
}

#[test]
fn classic_subscriptions_are_made_once_and_found_again() {
    let ehr = Ehr::start();
    let listen = "[[sources.ehr.listen]]\ntype = \"DiagnosticReport\"\ncategories = [\"LP29684-5\"]\n[[sources.ehr.listen]]\ntype = \"DocumentReference\"";
    let listening = Listening::to(&ehr, listen);
    let endpoint = ["create", "--endpoint", "https://us.example"];
    let first = said(&subscriptions(&listening, &endpoint));
    assert_eq!(first.matches("made").count(), 2, "{first}");
    let again = said(&subscriptions(&listening, &endpoint));
    assert_eq!((again.matches("found").count(), again.matches("made").count()), (2, 0), "{again}");
    let made: Vec<Value> = ehr.state().subscriptions.values().cloned().collect();
    assert_eq!(made.len(), 2);
    assert_eq!(made[0]["criteria"], "DiagnosticReport?category=LP29684-5");
    assert_eq!(made[0]["channel"]["endpoint"], "https://us.example/hooks/ehr");
    assert_eq!(made[0]["channel"]["header"][0], format!("Authorization: Bearer {SECRET}"));
    let listed = said(&subscriptions(&listening, &["list"]));
    assert_eq!(listed.matches("active").count(), 2, "{listed}");
}

#[test]
fn broken_subscriptions_are_asked_for_again_and_gone_ones_are_made() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "");
    said(&subscriptions(&listening, &["create"]));
    ehr.state().subscriptions.get_mut("s1").expect("one")["status"] = "error".into();
    ehr.state().subscriptions.remove("s2");
    let listed = said(&subscriptions(&listening, &["list"]));
    assert!(listed.contains("error") && listed.contains("gone"), "{listed}");
    let repaired = said(&subscriptions(&listening, &["repair"]));
    assert!(repaired.contains("mended") && repaired.contains("made"), "{repaired}");
    assert!(ehr.state().subscriptions.values().all(|one| one["status"] == "active"));
    let listed = said(&subscriptions(&listening, &["list"]));
    assert_eq!((listed.matches("active").count(), listed.matches("gone").count()), (2, 0), "{listed}");
}

#[test]
fn an_r5_topic_is_asked_for_with_less_where_more_is_refused() {
    let ehr = Ehr::start();
    ehr.state().topics = vec![topic("DiagnosticReport"), topic("DocumentReference")];
    ehr.state().refused_contents = vec!["full-resource"];
    let listening = Listening::to(&ehr, "fhir_version = \"R5\"\npayload_content = \"full-resource\"");
    let made = said(&subscriptions(&listening, &["create"]));
    assert!(made.contains("refused as r5 with full-resource (422 business-rule)"), "{made}");
    let one = ehr.state().subscriptions["s1"].clone();
    assert_eq!((&one["content"], &one["topic"]), (&"id-only".into(), &"urn:topic:DiagnosticReport".into()));
    assert_eq!(one["parameter"][0], json!({"name": "Authorization", "value": format!("Bearer {SECRET}")}));
    let again = said(&subscriptions(&listening, &["create"]));
    assert_eq!(again.matches("made").count(), 0, "{again}");
}

#[test]
fn what_is_missing_is_said_with_the_exit_code() {
    let ehr = Ehr::start();
    let listening = Listening::to(&ehr, "fhir_version = \"R5\"");
    let output = subscriptions(&listening, &["create"]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("failed: the source lists no SubscriptionTopic"), "{out}");
    let output = subscriptions(&listening, &["create", "--source", "other"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("[sources.other]"));
}

#[test]
fn a_source_that_cannot_be_done_keeps_no_other_from_being_done() {
    let ehr = Ehr::start();
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let more = format!(
        "[sources.away]\nbase_url = \"http://127.0.0.1:1/fhir\"\nhook_secret_file = \"{}\"\n\
         [sources.polled]\nbase_url = \"{}\"\npoll_seconds = 3600\nwrite = \"nothing\"\n",
        secret.display(),
        ehr.base
    );
    let listening = Listening::to(&ehr, &more);
    for (command, done) in [("create", "made"), ("repair", "found")] {
        let output = subscriptions(&listening, &[command]);
        let out = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{out}");
        assert!(out.contains("away:\n  failed: the source \"away\": no connection could be made"), "{out}");
        assert_eq!(out.matches(&format!("  {done} ")).count(), 2, "{out}");
        assert!(out.contains("polled:\n  polled every 3600 s"), "{out}");
    }
    // Showing what is known takes no secret.
    let listed = said(&subscriptions(&listening, &["list"]));
    assert_eq!((listed.matches("active").count(), listed.matches("none").count()), (2, 2), "{listed}");
    let asked = subscriptions(&listening, &["create", "--source", "polled"]);
    assert_eq!(asked.status.code(), Some(1), "one that is asked for by name was to be made");
}
