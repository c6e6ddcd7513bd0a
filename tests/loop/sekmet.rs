//! A real FHIR server that knows nothing of us, sekmet-fhir: it is asked for Subscriptions, and what is written to it comes to
//! us by its own notifications.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{FHIR, RESPONDED, note, report};
use crate::listening::Listening;
use crate::subscriptions::{said, subscriptions};

/// The server, stopped at the end.
struct Sekmet {
    child: Child,
    base: String,
    _folder: TempDir,
}

impl Sekmet {
    /// Nothing where it is not installed; the test says so.
    fn start(test: &str, notify_method: &str) -> Option<Self> {
        let installed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime/sekmet/bin/sekmet");
        let program = std::env::var_os("RESPONSUM_SEKMET").map_or(installed, Into::into);
        if !program.exists() {
            eprintln!("skipped: {test}: there is no {} (RESPONSUM_SEKMET names another)", program.display());
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let base = format!("http://127.0.0.1:{port}/fhir");
        let settings = folder.path().join("settings.yaml");
        let text = format!(
            "base_url: {base}\nhost: 127.0.0.1\nport: {port}\ndata_dir: {}\nsimulator: {{enabled: false}}\nsubscriptions: {{notify_method: {notify_method}, retries: 3}}\n",
            folder.path().join("data").display()
        );
        std::fs::write(&settings, text).expect("written");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let child = Command::new(program)
            .args(["serve", "-c"])
            .arg(&settings)
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts");
        let sekmet = Self { child, base, _folder: folder };
        let started = Instant::now();
        while sekmet.try_ask("GET", "metadata", None).is_none() {
            assert!(started.elapsed().as_secs() < 90, "sekmet does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(sekmet)
    }

    fn try_ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder().method(method).uri(format!("{}/{path}", self.base)).header(FHIR.0, FHIR.1);
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut answer = agent.run(request.body(body).expect("a request")).ok()?;
        let text = answer.body_mut().with_config().limit(50 << 20).read_to_string().ok()?;
        assert!(answer.status().is_success(), "{method} {path}: {} {text}", answer.status());
        serde_json::from_str(&text).ok()
    }

    fn write(&self, resource: &Value) -> String {
        let kind = resource["resourceType"].as_str().expect("a type");
        let written = self.try_ask("POST", kind, Some(resource)).expect("an answer");
        format!("{kind}/{}", written["id"].as_str().expect("an id"))
    }
}

impl Drop for Sekmet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn patient(sekmet: &Sekmet) -> String {
    sekmet.write(&json!({"resourceType": "Patient"}))
}

fn of(patient: &str, mut report: Value) -> Value {
    report["subject"] = json!({"reference": patient});
    report
}

#[test]
fn what_is_written_to_a_real_server_comes_to_us_both_ways_it_notifies() {
    for notify_method in ["put-resource", "post-endpoint"] {
        let Some(sekmet) = Sekmet::start("what_is_written_to_a_real_server_comes_to_us", notify_method) else { return };
        let listening = Listening::to_base(&sekmet.base, "");
        listening.until_quiet();
        let endpoint = listening.service.base.clone();
        let made = said(&subscriptions(&listening, &["create", "--endpoint", &endpoint]));
        eprintln!("{notify_method}: {made}");
        assert_eq!(made.matches("made").count(), 2, "{made}");
        let again = said(&subscriptions(&listening, &["create", "--endpoint", &endpoint]));
        assert_eq!(again.matches("found").count(), 2, "{again}");
        let patient = patient(&sekmet);
        let mut expected = vec![sekmet.write(&of(&patient, report(RESPONDED))), sekmet.write(&of(&patient, note(RESPONDED)))];
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
    for more in ["payload_content = \"empty\"", "topic = \"http://sekmet.dev/fhir/SubscriptionTopic/diagnosticreport-final\"\n[[sources.ehr.listen]]\ntype = \"DiagnosticReport\""] {
        let Some(sekmet) = Sekmet::start("a_ping_and_a_topic_of_a_real_server", "put-resource") else { return };
        let listening = Listening::to_base(&sekmet.base, more);
        listening.until_quiet();
        let endpoint = listening.service.base.clone();
        let made = said(&subscriptions(&listening, &["create", "--endpoint", &endpoint]));
        eprintln!("{made}");
        let patient = patient(&sekmet);
        let expected = format!("{} 1", sekmet.write(&of(&patient, report(RESPONDED))));
        listening.until("the report", || listening.reports() == [expected.clone()]);
        eprintln!("{}", said(&subscriptions(&listening, &["list", "--endpoint", &endpoint])));
    }
}
