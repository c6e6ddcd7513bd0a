//! PHI never leaves: not in logs, metrics or errors.

use serde_json::json;

use crate::harness::{FHIR, RESPONDED, Service, attachment, report, with_id};

/// Stands for everything that must not be seen outside of the resources themselves.
const CANARY: &str = "KANARIENVOGEL";

#[test]
fn no_log_line_metric_or_error_carries_what_a_report_says() {
    let service = Service::start();
    let mut body = report(&format!("{RESPONDED} {CANARY}"));
    body["subject"] = json!({"reference": format!("Patient/{CANARY}"), "identifier": {"value": CANARY}});
    body["identifier"] = json!([{"system": CANARY, "value": CANARY}]);
    body["conclusion"] = CANARY.into();
    service.put(&format!("/fhir/DiagnosticReport/{CANARY}"), &with_id(body.clone(), CANARY)).expect(201);
    let mut broken = body.clone();
    broken["presentedForm"] = json!([
        {"contentType": CANARY, "data": CANARY},
        attachment("text/html", format!("<html><p>{CANARY}").as_bytes()),
        {"url": format!("https://{CANARY}.example/{CANARY}")},
        CANARY,
    ]);
    service.accepted(&broken);
    service.settle();
    let mut answers = Vec::new();
    for (method, path, headers, sent) in [
        ("POST", "/fhir/DiagnosticReport".to_owned(), vec![FHIR], format!("{{\"x\": {CANARY}")),
        ("POST", "/fhir/DiagnosticReport".to_owned(), vec![FHIR], format!("{{\"resourceType\": \"{CANARY}\"}}")),
        ("POST", "/fhir".to_owned(), vec![FHIR], format!("{{\"resourceType\": \"Bundle\", \"type\": \"{CANARY}\"}}")),
        ("POST", "/fhir/DiagnosticReport".to_owned(), vec![("content-type", CANARY)], CANARY.to_owned()),
        ("PUT", format!("/fhir/DiagnosticReport/{CANARY}"), vec![FHIR, ("if-match", CANARY)], body.to_string()),
        ("POST", "/fhir/DiagnosticReport".to_owned(), vec![FHIR, ("if-none-exist", CANARY)], body.to_string()),
    ] {
        answers.push(service.send(method, &path, &headers, Some(sent.as_bytes())));
    }
    answers.push(service.get(&format!("/fhir/Observation?{CANARY}={CANARY}")));
    answers.push(service.get(&format!("/fhir/Observation?_lastUpdated={CANARY}")));
    answers.push(service.get(&format!("/fhir/Observation/{CANARY}")));
    answers.push(service.get(&format!("/{CANARY}")));
    for answer in &answers {
        assert!(answer.status >= 400, "{}", answer.body);
        assert!(!answer.body.contains(CANARY), "{}", answer.body);
    }
    let metrics = service.get("/metrics").expect(200).body;
    assert!(!metrics.contains(CANARY), "{metrics}");
    // A database fault repeats values in its details: they must not reach the log either.
    service.database.execute("ALTER TABLE documents ADD CHECK (subject NOT LIKE 'Patient/%') NOT VALID");
    service.put("/fhir/DiagnosticReport/r2", &with_id(body, "r2")).expect(201);
    let started = std::time::Instant::now();
    while service.database.count("SELECT count(*) FROM jobs WHERE abandoned") == 0 {
        assert!(started.elapsed().as_secs() < 30, "the job should be given up");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let log = service.log();
    assert!(log.contains("given up"), "the fault is told: {log}");
    let line = log.lines().find(|line| line.contains(CANARY));
    assert!(line.is_none(), "{line:?}");
    let errors = service.database.texts("SELECT last_error FROM jobs WHERE abandoned").join("\n");
    assert!(!errors.contains(CANARY), "{errors}");
}
