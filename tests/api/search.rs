//! Finding Observations.

use serde_json::{Value, json};

use crate::harness::{FHIR, NOT_RESPONDED, RESPONDED, Service, report, with_id};

fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["resource"]["id"].as_str().expect("an id").to_owned()).collect()
}

fn of_patient(patient: &str, text: &str, id: &str) -> Value {
    let mut body = with_id(report(text), id);
    body["subject"] = json!({"reference": patient});
    body
}

#[test]
fn every_parameter_finds_what_it_means() {
    let service = Service::start();
    for (id, patient, text) in [
        ("a", "Patient/1", RESPONDED),
        ("b", "Patient/2", NOT_RESPONDED),
        ("c", "https://ehr.example/fhir/Patient/3", RESPONDED),
    ] {
        service.put(&format!("/fhir/DiagnosticReport/{id}"), &of_patient(patient, text, id)).expect(201);
    }
    service.settle();
    let a = service.observation("DiagnosticReport/a")["id"].as_str().expect("an id").to_owned();
    let absolute = format!("_source={}/fhir/DiagnosticReport/a", service.base);
    let by_id = format!("_id={a}");
    let by_identifier = format!("identifier=http://responsum.health/fhir/sid/observation|{a}");
    for (query, found) in [
        ("", 3),
        ("patient=1", 1),
        ("patient=Patient/1", 1),
        ("subject=Patient/1,Patient/2", 2),
        ("patient=https://ehr.example/fhir/Patient/3", 1),
        ("patient=3", 0),
        ("_source=DiagnosticReport/a", 1),
        ("_source=DiagnosticReport/a/_history/1", 1),
        ("_source=DocumentReference/a", 0),
        (&absolute, 1),
        (&by_id, 1),
        (&by_identifier, 1),
        ("identifier=urn:other|x", 0),
        ("code=treatment-response", 3),
        ("code=http://loinc.org|88040-1", 3),
        ("code=http://loinc.org|1234-5", 0),
        ("status=preliminary", 3),
        ("status=final,entered-in-error", 0),
        ("_lastUpdated=ge2020-01-01", 3),
        ("_lastUpdated=lt2020-01-01", 0),
        ("patient=1&status=preliminary&code=88040-1&_lastUpdated=gt2020", 1),
    ] {
        let query = query.replace('|', "%7C");
        let bundle = service.get(&format!("/fhir/Observation?{query}")).expect(200).json();
        assert_eq!(bundle["total"], found, "{query}");
        assert_eq!(ids(&bundle).len(), found, "{query}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = service.send("POST", "/fhir/Observation/_search", &form, Some(b"patient=Patient%2F1")).expect(200);
    assert_eq!(ids(&posted.json()), [a]);
}

#[test]
fn a_parameter_that_is_not_known_is_refused_unless_the_client_is_lenient() {
    let service = Service::start();
    assert_eq!(service.get("/fhir/Observation?colour=blue").expect(400).issue(), "not-supported");
    assert_eq!(service.get("/fhir/Observation?_lastUpdated=yesterday").expect(400).issue(), "invalid");
    let lenient = service.send("GET", "/fhir/Observation?colour=blue", &[("prefer", "handling=lenient")], None);
    assert_eq!(lenient.expect(200).json()["total"], 0);
}

#[test]
fn pages_hold_each_observation_once() {
    let service = Service::start();
    let entries: Vec<_> = (0..23)
        .map(|n| {
            json!({"resource": of_patient("Patient/1", RESPONDED, &format!("r{n}")),
                "request": {"method": "PUT", "url": format!("DiagnosticReport/r{n}")}})
        })
        .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
    service.send("POST", "/fhir", &[FHIR], Some(bundle.to_string().as_bytes())).expect(200);
    service.settle();
    let mut path = "/fhir/Observation?patient=Patient/1&_count=5".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = service.get(&path).expect(200).json();
        assert_eq!(page["total"], 23);
        seen.extend(ids(&page));
        let links = page["link"].as_array().expect("links");
        let Some(next) = links.iter().find(|link| link["relation"] == "next") else { break };
        let url = next["url"].as_str().expect("a URL");
        path = url.strip_prefix(&service.base).expect("our own address").to_owned();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 23);
}
