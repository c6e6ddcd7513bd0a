//! SMART Backend Services against a server that checks assertions and scopes.

use std::process::Command;

use serde_json::json;

use crate::ehr::{Ehr, make_keys};
use crate::harness::{RESPONDED, report, with_id};
use crate::setting::Setting;

/// A source whose server knows our public key, and another client's token by which the test writes.
fn source(kind: &str, scopes: &str, more: &str) -> (Ehr, Setting) {
    let folder = tempfile::tempdir().expect("a folder");
    make_keys(kind, folder.path());
    let ehr = Ehr::start(&format!(
        "server_auth:\n  types: [smart, bearer]\n  tokens: [test-writer]\n  smart_clients:\n  \
         - {{client_id: responsum, public_key_path: {}/public.pem, scopes: \"{scopes}\"}}",
        folder.path().display()
    ));
    let (status, body) =
        ehr.send("PUT", "DiagnosticReport/r1", Some(&with_id(report(RESPONDED), "r1")), Some("test-writer"));
    assert!(status < 300, "{body}");
    let credentials = format!(
        "credentials = {{ kind = \"smart\", client_id = \"responsum\", private_key_file = \"{}/private.pem\"{more} }}",
        folder.path().display()
    );
    let setting = Setting::with_folder(folder, &ehr.base, &credentials);
    (ehr, setting)
}

#[test]
fn an_access_token_is_had_with_an_rsa_and_with_an_elliptic_key() {
    for kind in ["rsa", "ec"] {
        let (ehr, setting) = source(kind, "system/*.*", "");
        setting.take_in("DiagnosticReport/r1");
        assert!(setting.given_up().is_empty(), "{kind}: {:?}", setting.given_up());
        assert_eq!(ehr.all_with("Observation", Some("test-writer")).len(), 1, "{kind}");
        assert_eq!(ehr.all_with("Provenance", Some("test-writer")).len(), 1, "{kind}");
        let jwks = setting.service.get("/.well-known/jwks.json").expect(200);
        assert!(jwks.header("cache-control").contains("max-age"), "{kind}");
        let key = &jwks.json()["keys"][0];
        assert_eq!(key["alg"], if kind == "rsa" { "RS384" } else { "ES384" });
        assert!(key["kid"].as_str().is_some_and(|kid| kid.len() == 43), "a thumbprint: {key}");
        assert!(key["d"].is_null(), "nothing private: {key}");
        let file = setting.folder.path().join("private.pem");
        let private = std::fs::read_to_string(file).expect("a key");
        let middle = private.lines().nth(1).expect("a line");
        assert!(!setting.service.log().contains(middle));
    }
}

#[test]
fn a_token_that_does_not_cover_a_write_ends_in_a_state_that_people_see() {
    let (ehr, setting) = source("ec", "system/*.read", ", scope = \"system/*.read\"");
    setting.take_in("DiagnosticReport/r1");
    let given_up = setting.given_up();
    assert!(given_up.len() == 1 && given_up[0].contains("403"), "{given_up:?}");
    assert!(ehr.all_with("Observation", Some("test-writer")).is_empty());
}

#[test]
fn the_public_key_that_we_publish_is_the_one_that_openssl_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    make_keys("rsa", folder.path());
    let openssl = Command::new("openssl")
        .args(["rsa", "-pubin", "-noout", "-modulus", "-in"])
        .arg(folder.path().join("public.pem"))
        .output();
    let Ok(openssl) = openssl else {
        eprintln!("skipped the_public_key_that_we_publish_is_the_one_that_openssl_knows: there is no openssl here");
        return;
    };
    let modulus =
        String::from_utf8(openssl.stdout).expect("text").trim().trim_start_matches("Modulus=").to_ascii_lowercase();
    let file = folder.path().join("private.pem");
    let key = responsum::source::SigningKey::load(&file, None).expect("a key");
    let jwk = key.jwk();
    let ours = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, jwk["n"].as_str().expect("n"))
        .expect("base64url");
    let ours: String = ours.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    assert_eq!(ours, modulus);
    assert_eq!(json!(key.id()), jwk["kid"]);
}
