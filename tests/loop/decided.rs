//! What a clinician decided here stands at the EHR too.

use serde_json::{Value, json};

use crate::ehr::Ehr;
use crate::habits;
use crate::harness::{NOT_RESPONDED, RESPONDED, keep, note, report, with_id};
use crate::listening::Listening;
use crate::setting::Setting;
use crate::subscriptions::{said, subscriptions};

const TOKEN: &str = "clinician-s3cret";

/// A service whose caller is a practitioner of the EHR.
fn ward(ehr: &Ehr) -> Setting {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join("tokens.toml");
    let hash = responsum::digest::sha256(TOKEN.as_bytes()).hex();
    let text = format!(
        "[[token]]\nname = \"adams\"\nsha256 = \"{hash}\"\nscopes = [\"read\", \"write\", \"confirm\", \"admin\"]\n\
         practitioner = \"Practitioner/17\"\npractitioner_name = \"Dr. Adams\"\n"
    );
    std::fs::write(&tokens, text).expect("written");
    let more = format!("[server]\ntokens_file = \"{}\"", tokens.display());
    let mut setting = Setting::with_folder(folder, &ehr.base, &more);
    setting.service = setting.service.with_token(TOKEN);
    setting
}

fn decide(setting: &Setting, report: &str, operation: &str, parameters: &[(&str, &str)]) {
    let reports = setting.service.observations(report);
    let machine = reports.iter().filter_map(|one| one["id"].as_str()).find(|id| id.starts_with("obs-"));
    let path = format!("/fhir/Observation/{}/${operation}", machine.expect("an answer"));
    let parameters: Vec<Value> =
        parameters.iter().map(|(name, code)| json!({"name": name, "valueCode": code})).collect();
    let body = json!({"resourceType": "Parameters", "parameter": parameters});
    setting.service.post(&path, &body).expect(200);
    setting.settle();
}

/// The Observations at the EHR, as status and value.
fn held(ehr: &Ehr, report: &str) -> Vec<(String, String)> {
    let of_report = |one: &Value| one["meta"]["source"].as_str().is_some_and(|source| source.ends_with(report));
    let said = |one: &Value| {
        let code = one["valueCodeableConcept"]["coding"][0]["code"].as_str().unwrap_or_default().to_owned();
        (one["status"].as_str().expect("a status").to_owned(), code)
    };
    let mut held: Vec<_> = ehr.all("Observation").iter().filter(|one| of_report(one)).map(said).collect();
    held.sort();
    held
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(status, code)| ((*status).to_owned(), (*code).to_owned())).collect()
}

#[test]
fn what_a_clinician_decided_stands_at_the_ehr_and_is_kept_for_the_validator() {
    let ehr = Ehr::start("");
    ehr.put(&json!({"resourceType": "Patient", "id": "p1"}));
    ehr.put(&json!({"resourceType": "Practitioner", "id": "17"}));
    let setting = ward(&ehr);
    ehr.put(&with_id(report(RESPONDED), "r1"));
    ehr.put(&with_id(note(NOT_RESPONDED), "n1"));
    setting.take_in("DiagnosticReport/r1");
    setting.take_in("DocumentReference/n1");
    assert_eq!(held(&ehr, "DiagnosticReport/r1"), pairs(&[("preliminary", "responded")]));
    decide(&setting, "DiagnosticReport/r1", "confirm", &[("category", "partial")]);
    // The second is the mCODE Cancer Disease Status: the condition has improved.
    assert_eq!(held(&ehr, "DiagnosticReport/r1"), pairs(&[("final", "268910001"), ("final", "responded")]));
    decide(&setting, "DocumentReference/n1", "refute", &[("label", "responded"), ("category", "stable")]);
    let expected = [("entered-in-error", "not-responded"), ("final", "responded")];
    let stands = held(&ehr, "DocumentReference/n1");
    for one in pairs(&expected) {
        assert!(stands.contains(&one), "{stands:?}");
    }
    assert!(setting.given_up().is_empty(), "{:?}", setting.given_up());
    // What the machine says of a later version leaves it alone.
    let mut amended = with_id(report(NOT_RESPONDED), "r1");
    amended["status"] = "amended".into();
    ehr.put(&amended);
    setting.take_in("DiagnosticReport/r1");
    assert!(held(&ehr, "DiagnosticReport/r1").contains(&pairs(&[("final", "responded")])[0]));
    for kind in ["Observation", "Provenance", "Device"] {
        for (at, resource) in ehr.all(kind).iter().enumerate() {
            keep(&format!("ehr-{kind}-{at}"), resource);
        }
    }
}

/// Classic and Backport: the validator knows R4.
#[test]
fn subscriptions_are_kept_for_the_validator() {
    let ehr = habits::Ehr::start();
    let listen = "[[sources.ehr.listen]]\ntype = \"DiagnosticReport\"\ncategories = [\"LP29684-5\"]";
    for (name, more) in [("classic", ""), ("backport", "topic = \"http://example.org/topic/reports\"\n")] {
        let listening = Listening::to(&ehr, &format!("{more}{listen}"));
        said(&subscriptions(&listening, &["create", "--endpoint", "https://us.example"]));
        let made = ehr.state().subscriptions.pop_first().expect("one").1;
        assert_eq!(made["meta"]["profile"].is_array(), name == "backport", "{made}");
        keep(&format!("subscription-{name}"), &made);
    }
}
