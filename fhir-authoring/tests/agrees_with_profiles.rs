//! The codes that we write are those that `fhir-profiles/` defines, displays included.

use std::path::Path;

use responsum_fhir_authoring::{Category, Label, Withdrawal, terms};
use serde_json::Value;

fn profile(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fhir-profiles");
    let text = std::fs::read_to_string(folder.join(name)).expect("a built profile");
    serde_json::from_str(&text).expect("JSON")
}

fn concepts(code_system: &Value) -> Vec<(&str, &str)> {
    code_system["concept"]
        .as_array()
        .expect("concepts")
        .iter()
        .map(|concept| (concept["code"].as_str().expect("a code"), concept["display"].as_str().expect("a display")))
        .collect()
}

#[test]
fn code_systems_have_the_codes_and_displays_that_we_write() {
    let labels: Vec<_> = Label::ALL.iter().map(|label| (label.code(), label.display())).collect();
    let categories: Vec<_> = Category::ALL.iter().map(|category| (category.code(), category.display())).collect();
    let withdrawals: Vec<_> = Withdrawal::ALL.iter().map(|reason| (reason.code(), reason.display())).collect();
    for (name, system, written) in [
        ("label", terms::SYSTEM_LABEL, labels),
        ("category", terms::SYSTEM_CATEGORY, categories),
        ("withdrawal-reason", terms::SYSTEM_WITHDRAWAL, withdrawals),
    ] {
        let defined = profile(&format!("CodeSystem-{name}.json"));
        assert_eq!(defined["url"], system);
        assert_eq!(concepts(&defined), written);
    }
    let observation = profile("CodeSystem-observation.json");
    assert_eq!(observation["url"], terms::SYSTEM_OBSERVATION);
    let codes: Vec<_> = concepts(&observation).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [terms::CODE_TREATMENT_RESPONSE, terms::CODE_CATEGORY, terms::CODE_CONFIDENCE]);
    assert_eq!(profile("CodeSystem-device-version-type.json")["url"], terms::SYSTEM_VERSION_TYPE);
}

#[test]
fn profiles_have_the_canonical_urls_that_we_claim() {
    for (name, url) in [
        ("treatment-response", terms::PROFILE_OBSERVATION),
        ("corrected-treatment-response", terms::PROFILE_STATEMENT),
        ("treatment-response-provenance", terms::PROFILE_PROVENANCE),
        ("model-device", terms::PROFILE_DEVICE),
    ] {
        let defined = profile(&format!("StructureDefinition-{name}.json"));
        assert_eq!(defined["url"], url);
        assert!(defined["snapshot"]["element"].is_array(), "{name} is shipped with its snapshot");
        assert!(url.starts_with(terms::CANONICAL));
    }
}
