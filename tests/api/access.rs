//! Who may ask.

use std::sync::Arc;

use crate::harness::{FHIR, NOT_STATED, Service, TestDatabase, report};

fn tokens_file() -> tempfile::NamedTempFile {
    let token = |name: &str, secret: &str, scopes: &str| {
        let hash = responsum::digest::sha256(secret.as_bytes()).hex();
        format!("[[token]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nscopes = [{scopes}]\n")
    };
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = token("reader", "r-secret", "\"read\"") + &token("writer", "w-secret", "\"write\", \"read\"");
    std::fs::write(file.path(), text).expect("written");
    file
}

#[test]
fn with_tokens_each_may_do_what_its_scopes_say() {
    let file = tokens_file();
    let path = file.path().to_str().expect("a path");
    let service = Service::start_with(Arc::new(TestDatabase::new()), &[], &[("RESPONSUM__SERVER__TOKENS_FILE", path)]);
    assert_eq!(service.get("/fhir/Observation").expect(401).issue(), "login");
    assert_eq!(service.get("/health/live").status, 200);
    assert_eq!(service.get("/fhir/metadata").status, 200);
    let service = service.with_token("r-secret");
    assert_eq!(service.get("/fhir/Observation").status, 200);
    assert_eq!(service.post("/fhir/DiagnosticReport", &report(NOT_STATED)).expect(403).issue(), "forbidden");
    assert_eq!(service.post("/fhir/DiagnosticReport/$annotate", &report(NOT_STATED)).status, 200);
    assert_eq!(service.get("/metrics").status, 403);
    assert_eq!(service.get("/%6detrics").status, 403, "an encoded letter leads past no scope");
    assert_eq!(service.post("/fhir/DiagnosticReport/%24annotate", &report(NOT_STATED)).status, 200);
    let service = service.with_token("w-secret");
    assert_eq!(service.post("/fhir/DiagnosticReport", &report(NOT_STATED)).status, 201);
    let service = service.with_token("guess");
    let refused = service.get("/fhir/Observation").expect(401);
    assert_eq!(refused.header("www-authenticate"), "Bearer");
}

#[test]
fn without_tokens_a_page_of_another_site_gets_nothing() {
    let service = Service::start();
    let rebound = service.send("GET", "/fhir/Observation", &[("host", "evil.example")], None);
    assert_eq!(rebound.expect(403).issue(), "forbidden");
    let form = [("content-type", "text/plain"), ("origin", "https://evil.example")];
    let body = report(NOT_STATED).to_string();
    assert_eq!(service.send("POST", "/fhir/DiagnosticReport", &form, Some(body.as_bytes())).status, 415);
    assert_eq!(service.send("POST", "/fhir/DiagnosticReport", &[FHIR], Some(body.as_bytes())).status, 201);
}
