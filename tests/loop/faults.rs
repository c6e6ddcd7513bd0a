//! Contents by URL: where they may be fetched from, in which forms, and what is told of those that cannot be had.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::ehr::make_keys;
use crate::fhir_server::{Connection, Fault, FhirServer, Habits, Wrap};
use crate::harness::{NOT_RESPONDED, RESPONDED, report, with_id};
use crate::setting::Setting;

/// A report whose text is elsewhere.
fn pointing_to(id: &str, url: &str, content_type: &str) -> Value {
    let mut report = with_id(report(""), id);
    report["presentedForm"] = json!([{"contentType": content_type, "url": url}]);
    report
}

/// The coverage of the report's only version.
fn coverage(setting: &Setting, id: &str) -> String {
    let all = "SELECT logical_id || ' ' || coverage::text FROM annotations JOIN documents USING (document_id) \
               JOIN reports USING (report_id)";
    let all = setting.service.database.texts(all);
    let found = all.iter().find_map(|line| line.strip_prefix(id)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{id} has no annotation: {all:?}")).to_owned()
}

#[test]
fn a_binary_is_read_as_raw_bytes_and_as_fhir_json_relative_and_absolute() {
    let html = format!("<html><body><p>{RESPONDED}</p></body></html>");
    let binary = json!({"resourceType": "Binary", "id": "b1", "contentType": "text/html",
        "data": base64::engine::general_purpose::STANDARD.encode(&html)});
    for raw in [true, false] {
        for absolute in [true, false] {
            let server = FhirServer::start(Habits::default());
            if raw {
                server.file("/tenant/fhir/Binary/b1", "text/html", "text/html", html.as_bytes());
            } else {
                // It gives FHIR JSON only, and refuses to give anything else.
                let body = binary.to_string();
                server.file(
                    "/tenant/fhir/Binary/b1",
                    "application/fhir+json",
                    "application/fhir+json",
                    body.as_bytes(),
                );
            }
            let setting = Setting::new(&server.base, "");
            let url = if absolute { format!("{}/Binary/b1", server.base) } else { "Binary/b1".to_owned() };
            server.put(pointing_to("r1", &url, "text/html"));
            setting.take_in("DiagnosticReport/r1");
            let (observation, _) = server.only("Observation");
            assert_eq!(observation["valueCodeableConcept"]["coding"][0]["code"], "responded", "{raw} {absolute}");
        }
    }
}

#[test]
fn nothing_is_asked_outside_of_the_base_url_and_of_the_named_origins() {
    let elsewhere = FhirServer::start(Habits::default());
    elsewhere.file("/files/x", "", "text/plain", RESPONDED.as_bytes());
    let server = FhirServer::start(Habits::default());
    server.file("/admin", "", "text/plain", RESPONDED.as_bytes());
    let setting = Setting::new(&server.base, "");
    let urls = [
        format!("{}/files/x", elsewhere.origin),
        format!("{}/admin", server.origin),
        "../admin".to_owned(),
        "../../admin".to_owned(),
        "/admin".to_owned(),
        "Binary/%2e%2e/%2e%2e/admin".to_owned(),
        format!("http://x@{}/files/x", elsewhere.origin.trim_start_matches("http://")),
        "file:///etc/passwd".to_owned(),
    ];
    for (at, url) in urls.iter().enumerate() {
        let id = format!("r{at}");
        server.put(pointing_to(&id, url, "text/plain"));
        setting.take_in(&format!("DiagnosticReport/{id}"));
        let coverage = coverage(&setting, &id);
        assert!(coverage.contains("not-fetched") && coverage.contains("It was not fetched"), "{url}: {coverage}");
        assert!(!coverage.contains("admin") && !coverage.contains("files/x"), "{url}: no address is told");
    }
    assert!(setting.given_up().is_empty(), "{:?}", setting.given_up());
    assert!(elsewhere.asked().is_empty());
    assert!(!server.asked().iter().any(|asked| asked.line.contains("admin")));
}

#[test]
fn a_named_origin_is_asked_without_our_credentials_unless_it_is_trusted_with_them() {
    for trusted in [false, true] {
        let files = FhirServer::start(Habits::default());
        files.file("/files/x", "", "text/plain", RESPONDED.as_bytes());
        let server = FhirServer::start(Habits { token: Some("secret".to_owned()), ..Habits::default() });
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "secret").expect("written");
        let more = format!(
            "credentials = {{ kind = \"bearer\", token_file = \"{}/token\" }}\nattachment_origins = [\"{}\"]\n\
             attachment_origins_trusted = {trusted}",
            folder.path().display(),
            files.origin
        );
        let setting = Setting::with_folder(folder, &server.base, &more);
        server.put(pointing_to("r1", &format!("{}/files/x", files.origin), "text/plain"));
        setting.take_in("DiagnosticReport/r1");
        server.only("Observation");
        assert_eq!(files.asked()[0].headers.contains_key("authorization"), trusted);
    }
}

#[test]
fn a_redirect_is_followed_within_the_base_url_and_nowhere_else() {
    let elsewhere = FhirServer::start(Habits::default());
    elsewhere.file("/files/x", "", "text/plain", RESPONDED.as_bytes());
    let server = FhirServer::start(Habits::default());
    server.file("/tenant/fhir/files/2", "", "text/plain", RESPONDED.as_bytes());
    let setting = Setting::new(&server.base, "");
    let cases = [
        (format!("{}/files/2", server.base), true),
        ("/tenant/fhir/files/2".to_owned(), true),
        (format!("{}/files/x", elsewhere.origin), false),
        ("/admin".to_owned(), false),
    ];
    for (at, (to, followed)) in cases.into_iter().enumerate() {
        let id = format!("r{at}");
        server.put(pointing_to(&id, &format!("moved/{at}"), "text/plain"));
        server.fail(&format!("GET moved/{at}"), Fault::Status(302, "location", to.clone()));
        setting.take_in(&format!("DiagnosticReport/{id}"));
        assert_eq!(coverage(&setting, &id).contains("not-fetched"), !followed, "{to}");
    }
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn what_cannot_be_had_for_good_is_told_and_what_may_come_is_waited_for() {
    let server = FhirServer::start(Habits::default());
    server.file("/tenant/fhir/files/huge", "", "text/plain", &vec![b'x'; 200_000]);
    let setting = Setting::new(&server.base, "answer_bytes_max = 100000");
    let status = |status| Fault::Status(status, "x-none", String::new());
    for (at, (url, fault, told)) in [
        ("files/gone", None, "There is nothing at its address any more."),
        ("files/1", Some(status(410)), "There is nothing at its address any more."),
        ("files/1", Some(status(403)), "The source does not let us read it (403)."),
        ("files/huge", None, "It is larger than 100000 bytes (answer_bytes_max of [sources.ehr])."),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("r{at}");
        server.put(pointing_to(&id, url, "text/plain"));
        if let Some(fault) = fault {
            server.fail(&format!("GET {url}"), fault);
        }
        setting.take_in(&format!("DiagnosticReport/{id}"));
        let coverage = coverage(&setting, &id);
        assert!(coverage.contains(told), "{url}: {coverage}");
    }
    server.file("/tenant/fhir/files/2", "", "text/plain", NOT_RESPONDED.as_bytes());
    let passing = [Fault::Status(503, "retry-after", "1".to_owned()), Fault::Refused, Fault::Truncated];
    for (at, fault) in passing.into_iter().enumerate() {
        let id = format!("s{at}");
        server.put(pointing_to(&id, "files/2", "text/plain"));
        server.fail("GET files/2", fault.clone());
        setting.take_in(&format!("DiagnosticReport/{id}"));
        assert!(!coverage(&setting, &id).contains("not-fetched"), "{fault:?}");
    }
}

#[test]
fn a_source_is_known_by_an_authority_of_its_own_and_knows_us_by_our_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    make_keys("tls", folder.path());
    let server = FhirServer::start_wrapped(Habits::default(), "https", tls(folder.path()));
    server.put(with_id(report(RESPONDED), "r1"));
    let dir = folder.path().display().to_string();
    let more = format!("ca_file = \"{dir}/ca.pem\"\nclient_certificate_file = \"{dir}/client.pem\"");
    let setting = Setting::with_folder(folder, &server.base, &more);
    setting.take_in("DiagnosticReport/r1");
    server.only("Provenance");

    // Without our certificate, and without the authority, there is no connection.
    let asked = server.asked().len();
    for more in [format!("ca_file = \"{dir}/ca.pem\""), String::new()] {
        let other = Setting::new(&server.base, &more);
        other.fetch("DiagnosticReport/r1");
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert_eq!(server.asked().len(), asked);
    }
}

/// TLS with a certificate for localhost, for clients with one of the same authority.
fn tls(folder: &std::path::Path) -> Wrap {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = |name: &str| CertificateDer::from_pem_file(folder.join(name)).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate("ca.pem")).expect("an authority");
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate("server.pem")], key)
        .expect("a configuration");
    let config = Arc::new(config);
    Arc::new(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).ok()?;
        Some(Box::new(rustls::StreamOwned::new(connection, stream)) as Box<dyn Connection>)
    })
}
