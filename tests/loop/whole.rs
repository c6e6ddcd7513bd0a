//! The whole loop against an independent FHIR server: reports of all kinds in, the right Observations in the EHR.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::ehr::Ehr;
use crate::harness::{NOT_RESPONDED, NOT_STATED, RESPONDED, attachment, note, report, with_id};
use crate::setting::Setting;

/// A report in each form, with the label that its Observation should have; none for no Observation.
fn reports(ehr: &Ehr) -> Vec<(Value, Option<&'static str>)> {
    let texts = [(RESPONDED, Some("responded")), (NOT_RESPONDED, Some("not-responded")), (NOT_STATED, None)];
    let mut reports = Vec::new();
    for (at, (text, label)) in texts.into_iter().enumerate() {
        let html = format!("<html><body><h1>IMPRESSION</h1><p>{text}</p></body></html>");
        let with_form = |form: Value| {
            let mut report = report("");
            report["presentedForm"] = json!([form]);
            report
        };
        // Each has a Binary of its own: two reports of one address would be answered once.
        let binaries = [format!("b{at}"), format!("c{at}")];
        for binary in &binaries {
            ehr.put(&json!({"resourceType": "Binary", "id": binary, "contentType": "text/html",
                "data": base64::engine::general_purpose::STANDARD.encode(&html)}));
        }
        let mut concluded = report("");
        concluded.as_object_mut().expect("an object").remove("presentedForm");
        concluded["conclusion"] = text.into();
        let mut pointing = note("");
        pointing["content"] = json!([{"attachment": {"contentType": "text/html", "url": format!("{}/Binary/{}", ehr.base, binaries[1])}}]);
        let kinds = [
            report(text),
            with_form(attachment("text/html; charset=utf-8", html.as_bytes())),
            concluded,
            note(text),
            with_form(json!({"contentType": "text/html", "url": format!("Binary/{}", binaries[0])})),
            pointing,
            with_form(attachment("text/plain; charset=iso-8859-1", text.as_bytes())),
        ];
        for (kind, report) in kinds.into_iter().enumerate() {
            let mut report = with_id(report, &format!("r{at}-{kind}"));
            report["subject"] = json!({"reference": format!("Patient/p{at}")});
            reports.push((report, label));
        }
    }
    reports
}

fn relative(report: &Value) -> String {
    format!("{}/{}", report["resourceType"].as_str().expect("a type"), report["id"].as_str().expect("an id"))
}

fn observations_of(ehr: &Ehr, report: &Value) -> Vec<Value> {
    let source = format!("{}/{}", ehr.base, relative(report));
    ehr.all("Observation").into_iter().filter(|observation| observation["meta"]["source"] == source.as_str()).collect()
}

#[test]
fn reports_of_all_kinds_come_back_as_the_right_observations() {
    let ehr = Ehr::start("");
    for at in 0..3 {
        ehr.put(&json!({"resourceType": "Patient", "id": format!("p{at}")}));
    }
    let setting = Setting::new(&ehr.base, "");
    let reports = reports(&ehr);
    for (report, _) in &reports {
        ehr.put(report);
        setting.fetch(&relative(report));
    }
    setting.settle();
    assert!(setting.given_up().is_empty(), "{:?}", setting.given_up());
    let stated = reports.iter().filter(|(_, label)| label.is_some()).count();
    for (report, label) in &reports {
        let observations = observations_of(&ehr, report);
        assert_eq!(observations.len(), usize::from(label.is_some()), "{}: {observations:#?}", relative(report));
        let (Some(observation), Some(label)) = (observations.first(), label) else { continue };
        assert_eq!(observation["valueCodeableConcept"]["coding"][0]["code"], *label, "{}", relative(report));
        assert_eq!(observation["status"], "preliminary");
        assert_eq!(observation["subject"], report["subject"]);
        if report["resourceType"] == "DocumentReference" {
            assert_eq!(observation["derivedFrom"][0]["reference"], relative(report));
        }
        let evidence = observation["valueCodeableConcept"]["extension"].to_string();
        assert!(evidence.contains(&format!("{}/fhir/Binary/", setting.service.base)), "{evidence}");
    }
    assert_eq!(ehr.all("Observation").len(), stated);
    assert_eq!(ehr.all("Provenance").len(), stated);
    assert_eq!(ehr.all("Device").len(), 1);
    let source = setting.source();
    assert_eq!(source["state"], "answering", "{source}");
    assert_eq!(source["observations"]["written"], stated, "{source}");
    updates(&ehr, &setting, &reports[0].0);
}

/// An updated report updates its Observation, one entered in error takes it back.
fn updates(ehr: &Ehr, setting: &Setting, report: &Value) {
    let mut amended = report.clone();
    amended["status"] = "amended".into();
    amended["presentedForm"] = json!([attachment("text/plain", NOT_RESPONDED.as_bytes())]);
    ehr.put(&amended);
    setting.take_in(&relative(report));
    let observation = observations_of(ehr, report).remove(0);
    assert_eq!(observation["valueCodeableConcept"]["coding"][0]["code"], "not-responded");
    assert_eq!(observation["meta"]["versionId"], "2");
    amended["status"] = "entered-in-error".into();
    ehr.put(&amended);
    setting.take_in(&relative(report));
    let observation = observations_of(ehr, report).remove(0);
    assert_eq!(observation["status"], "entered-in-error");
    let id = observation["id"].as_str().expect("an id");
    let about = |provenance: &Value| provenance["target"][0]["reference"].as_str().is_some_and(|t| t.contains(id));
    assert_eq!(ehr.all("Provenance").iter().filter(|provenance| about(provenance)).count(), 3);
}
