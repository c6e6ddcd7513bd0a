//! One report in, one answer out.

use serde_json::{Value, json};

use crate::decisions::Ward;
use crate::harness::{FHIR, NOT_RESPONDED, NOT_STATED, RESPONDED, Service, attachment, keep, note, report, with_id};

#[test]
fn a_report_that_states_a_response_gets_one_preliminary_observation_with_its_evidence() {
    let service = Service::start();
    let id = service.accepted(&report(RESPONDED));
    service.settle();
    let observation = service.observation(&format!("DiagnosticReport/{id}"));
    assert_eq!(observation["status"], "preliminary");
    assert_eq!(observation["valueCodeableConcept"]["coding"][0]["code"], "responded");
    assert_eq!(observation["meta"]["security"][0]["code"], "AIAST");
    assert_eq!(observation["meta"]["source"], format!("{}/fhir/DiagnosticReport/{id}", service.base));
    assert_eq!(observation["subject"]["reference"], format!("{}/fhir/Patient/p1", service.base));
    assert_eq!(observation["effectiveDateTime"], "2026-03-01T10:00:00+01:00");
    assert!(observation.get("derivedFrom").is_none(), "R4 allows no DiagnosticReport there");
    assert_eq!(quoted(&service, &observation), RESPONDED);
    let original = part_of(&observation, 1);
    let url = format!("{}/fhir/DiagnosticReport/{id}/_history/1", service.base);
    assert_eq!(original("reference")["valueReference"]["reference"], url);
    assert_eq!(original("path")["valueString"], "DiagnosticReport.presentedForm[0].data");
    assert_eq!(
        (&original("offset")["valueInteger"], &original("length")["valueInteger"]),
        (&json!(0), &json!(RESPONDED.len()))
    );
    let annotation = service.get(&format!("/fhir/DiagnosticReport/{id}/$annotation")).expect(200).json();
    let source = json!([{"rendition": 0, "origin": "DiagnosticReport.presentedForm[0]",
        "characters": {"start": 0, "end": RESPONDED.len()}}]);
    assert_eq!(annotation["evidence"][0]["source"], source);
}

#[test]
fn every_shape_of_a_report_is_read() {
    let service = Service::start();
    let html = format!("<html><body><h1>CT</h1><p>{RESPONDED}</p></body></html>");
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{RESPONDED}</p></div>");
    let with = |member: &str, value: Value| {
        let mut report = json!({"resourceType": "DiagnosticReport", "status": "final"});
        report[member] = value;
        report
    };
    let latin1 = b"Marked decrease in the size of the liver metastases after four cycles of FOLFOX (Dr. M\xfcller).";
    for shape in [
        with("presentedForm", json!([attachment("text/html", html.as_bytes())])),
        with("presentedForm", json!([attachment("application/xhtml+xml; charset=utf-8", div.as_bytes())])),
        with("presentedForm", json!([attachment("text/plain; charset=iso-8859-1", latin1)])),
        with("conclusion", json!(RESPONDED)),
        with("text", json!({"status": "generated", "div": div})),
        note(RESPONDED),
    ] {
        let id = service.accepted(&shape);
        service.settle();
        let kind = shape["resourceType"].as_str().expect("a type");
        let observation = service.observation(&format!("{kind}/{id}"));
        assert_eq!(observation["valueCodeableConcept"]["coding"][0]["code"], "responded", "{shape}");
        assert!(quoted(&service, &observation).contains("decrease in the size"), "{shape}");
        assert_eq!(observation.get("derivedFrom").is_some(), kind == "DocumentReference", "{shape}");
    }
}

#[test]
fn a_report_that_states_nothing_gets_an_annotation_and_no_observation() {
    let service = Service::start();
    let id = service.accepted(&report(NOT_STATED));
    service.settle();
    assert!(service.observations(&format!("DiagnosticReport/{id}")).is_empty());
    let annotation = service.get(&format!("/fhir/DiagnosticReport/{id}/$annotation")).expect(200).json();
    assert_eq!((&annotation["state"], &annotation["label"]), (&json!("annotated"), &json!("not-stated")));
    assert_eq!(annotation["coverage"]["read"][0]["origin"], "DiagnosticReport.presentedForm[0]");
}

#[test]
fn what_cannot_be_read_is_seen_on_the_result_with_its_reason() {
    let service = Service::start();
    let mut unreadable = report("");
    unreadable["presentedForm"] = json!([
        {"contentType": "text/plain", "data": "this is not base64!"},
        attachment("text/plain", b"%PDF-1.7 binary"),
        {"contentType": "application/pdf", "url": "Binary/1"},
        {},
    ]);
    let id = service.accepted(&unreadable);
    service.settle();
    let annotation = service.get(&format!("/fhir/DiagnosticReport/{id}/$annotation")).expect(200).json();
    assert_eq!((&annotation["label"], &annotation["noAnswer"]), (&json!("not-stated"), &json!("nothing-readable")));
    let unread = annotation["coverage"]["unread"].as_array().expect("a list");
    let reasons: Vec<_> = unread.iter().map(|u| u["reason"].as_str().expect("a reason")).collect();
    assert_eq!(reasons[0], "malformed", "{unread:#?}");
    assert_eq!(reasons[2..], ["not-fetched", "empty"], "{unread:#?}");
    assert!(unread[1]["detail"].as_str().expect("a detail").contains("PDF"), "{unread:#?}");
}

#[test]
fn of_two_renditions_one_is_read_and_the_other_is_told() {
    let service = Service::start();
    let mut twice = report(RESPONDED);
    let html = format!("<p>{NOT_RESPONDED}</p>");
    twice["presentedForm"] =
        json!([attachment("text/html", html.as_bytes()), attachment("text/plain", RESPONDED.as_bytes())]);
    let id = service.accepted(&twice);
    service.settle();
    let annotation = service.get(&format!("/fhir/DiagnosticReport/{id}/$annotation")).expect(200).json();
    assert_eq!(annotation["label"], "responded");
    assert_eq!(annotation["coverage"]["read"][0]["origin"], "DiagnosticReport.presentedForm[1]");
    assert_eq!(annotation["coverage"]["unread"][0]["reason"], "other-rendition-chosen");
}

#[test]
fn a_report_in_another_language_is_not_guessed_at() {
    let service = Service::start();
    let german = "Die Computertomographie des Thorax zeigt nach vier Zyklen Chemotherapie eine deutliche \
        Größenabnahme der bekannten Lebermetastasen. Kein Nachweis neuer Läsionen. Keine vergrößerten Lymphknoten.";
    let id = service.accepted(&report(german));
    service.settle();
    let annotation = service.get(&format!("/fhir/DiagnosticReport/{id}/$annotation")).expect(200).json();
    assert_eq!(annotation["noAnswer"], "language-not-supported", "{annotation}");
}

#[test]
fn an_observation_has_a_provenance_a_device_and_a_history() {
    let service = Service::start();
    let id = service.accepted(&note(NOT_RESPONDED));
    service.settle();
    let observation = service.observation(&format!("DocumentReference/{id}"));
    let own_id = observation["id"].as_str().expect("an id");
    let found = service.get(&format!("/fhir/Provenance?target=Observation/{own_id}")).expect(200).json();
    let provenance = &found["entry"][0]["resource"];
    assert_eq!(provenance["target"][0]["reference"], format!("{}/fhir/Observation/{own_id}/_history/1", service.base));
    assert_eq!(
        provenance["entity"][0]["what"]["reference"],
        format!("{}/fhir/DocumentReference/{id}/_history/1", service.base)
    );
    let again = service.get(&format!("/fhir/Provenance/{}", provenance["id"].as_str().expect("an id"))).expect(200);
    assert_eq!(&again.json(), provenance);
    let device = observation["device"]["reference"].as_str().expect("a reference");
    let path = device.strip_prefix(&service.base).expect("our own Device");
    assert_eq!(service.get(path).expect(200).json()["resourceType"], "Device");
    let history = service.get(&format!("/fhir/Observation/{own_id}/_history")).expect(200).json();
    assert_eq!((&history["type"], &history["total"]), (&json!("history"), &json!(1)));
}

#[test]
fn a_report_is_served_as_it_came_but_for_id_and_meta() {
    let service = Service::start();
    let received = b"\xEF\xBB\xBF{ \"resourceType\" : \"DiagnosticReport\",\n \"status\":\"final\", \"x\": 1.00,\"conclusion\":\"\\u0041\" }";
    let created = service.send("POST", "/fhir/DiagnosticReport", &[FHIR], Some(received)).expect(201);
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/fhir/DiagnosticReport/{id}");
    assert_eq!(created.header("location"), format!("{}{path}/_history/1", service.base));
    assert_eq!(created.header("etag"), "W/\"1\"");
    let served = service.get(&path).expect(200);
    assert!(served.body.contains("\"resourceType\" : \"DiagnosticReport\",\n"), "{}", served.body);
    assert!(served.body.contains("\"x\": 1.00,\"conclusion\":\"\\u0041\" }"), "{}", served.body);
    assert_eq!(served.json()["meta"]["versionId"], "1");
    let bytes = service.get(&format!("{path}/$received")).expect(200);
    assert_eq!(bytes.body.as_bytes(), received);
    assert_eq!(bytes.header("x-content-sha256"), responsum::digest::sha256(received).hex());
    service.settle();
}

#[test]
fn a_client_gets_back_what_it_prefers() {
    let service = Service::start();
    let body = report(NOT_STATED).to_string();
    for (prefer, resource_type) in [
        ("return=minimal", None),
        ("return=representation", Some("DiagnosticReport")),
        ("return=OperationOutcome", Some("OperationOutcome")),
    ] {
        let headers = [FHIR, ("prefer", prefer)];
        let answer = service.send("POST", "/fhir/DiagnosticReport", &headers, Some(body.as_bytes())).expect(201);
        assert!(answer.header("location").contains("/fhir/DiagnosticReport/"), "{prefer}");
        match resource_type {
            None => assert_eq!(answer.body, ""),
            Some(name) => assert_eq!(answer.json()["resourceType"], name),
        }
    }
    service.settle();
}

#[test]
fn annotate_answers_at_once_and_stores_nothing() {
    let service = Service::start();
    let bundle = service.post("/fhir/DiagnosticReport/$annotate", &with_id(report(RESPONDED), "r1")).expect(200).json();
    let types: Vec<_> = bundle["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["resource"]["resourceType"].as_str().expect("a type"))
        .collect();
    assert_eq!(types, ["Observation", "Device", "Binary", "OperationOutcome"]);
    assert_eq!(bundle["entry"][0]["resource"]["valueCodeableConcept"]["coding"][0]["code"], "responded");
    let silent = service.post("/fhir/DocumentReference/$annotate", &note(NOT_STATED)).expect(200).json();
    assert_eq!(silent["entry"][0]["resource"]["resourceType"], "OperationOutcome");
    assert_eq!(service.database.count("SELECT count(*) FROM documents"), 0);
    assert_eq!(service.database.count("SELECT count(*) FROM narratives"), 0);
}

#[test]
fn metadata_says_what_the_server_does() {
    let service = Service::start();
    let statement = service.get("/fhir/metadata").expect(200).json();
    assert_eq!(
        (&statement["resourceType"], &statement["fhirVersion"]),
        (&json!("CapabilityStatement"), &json!("4.0.1"))
    );
    let types: Vec<_> = statement["rest"][0]["resource"]
        .as_array()
        .expect("resources")
        .iter()
        .map(|resource| resource["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(types, ["DiagnosticReport", "DocumentReference", "Observation", "Provenance", "Device", "Binary"]);
}

/// The parts of one of the Observation's derivation-references, by name.
fn part_of(observation: &Value, index: usize) -> impl Fn(&str) -> Value {
    let parts =
        observation["valueCodeableConcept"]["extension"][index]["extension"].as_array().expect("evidence").clone();
    move |url: &str| parts.iter().find(|part| part["url"] == url).expect("a part").clone()
}

/// What the Observation's first evidence span quotes from the narrative that we serve.
fn quoted(service: &Service, observation: &Value) -> String {
    let part = part_of(observation, 0);
    let reference = part("reference")["valueReference"]["reference"].as_str().expect("a reference").to_owned();
    let count = |url: &str| usize::try_from(part(url)["valueInteger"].as_u64().expect("a number")).expect("small");
    let path = reference.strip_prefix(&service.base).expect("our own Binary").to_owned();
    let text = service.get(&path).expect(200).body;
    text.chars().skip(count("offset")).take(count("length")).collect()
}

/// What people have decided: all versions of all kinds of Observations, and how they came about.
fn decided() -> Vec<(&'static str, Value)> {
    let ward = Ward::open();
    ward.put("confirmed", report(RESPONDED));
    ward.decide("DiagnosticReport/confirmed", "confirm", &[("category", "partial")]).expect(200);
    ward.put("refuted", note(NOT_RESPONDED));
    ward.decide("DocumentReference/refuted", "refute", &[("label", "responded"), ("category", "stable")]).expect(200);
    let everything = ward.service.get("/fhir/Observation").expect(200).json();
    let provenance = |name, report: &str, prefix: &str| {
        let id = ward.of(report, prefix).expect("an Observation")["id"].as_str().expect("an id").to_owned();
        (name, ward.service.get(&format!("/fhir/Provenance?target={id}")).expect(200).json())
    };
    vec![
        provenance("provenance-confirmed", "DiagnosticReport/confirmed", "obs-"),
        provenance("provenance-disease-status", "DiagnosticReport/confirmed", "mcode-"),
        provenance("provenance-refuted", "DocumentReference/refuted", "obs-"),
        provenance("provenance-corrected", "DocumentReference/refuted", "cor-"),
        ("observations-decided", everything),
        ("lastn", ward.service.get("/fhir/Observation/$lastn?patient=Patient/p1").expect(200).json()),
    ]
}

/// `cargo xtask test` gives the folder to an independent validator.
#[test]
fn served_resources_are_kept_for_the_validator() {
    let service = Service::start();
    let withdrawn = with_id(report(NOT_RESPONDED), "withdrawn");
    service.put("/fhir/DiagnosticReport/withdrawn", &withdrawn).expect(201);
    let noted = service.accepted(&note(RESPONDED));
    service.settle();
    service.delete("/fhir/DiagnosticReport/withdrawn");
    service.settle();
    let observation = service.observation(&format!("DocumentReference/{noted}"));
    let observation_id = observation["id"].as_str().expect("an id").to_owned();
    let device = observation["device"]["reference"].as_str().expect("a reference").to_owned();
    let resources = [
        ("observation", observation),
        ("observation-withdrawn", service.observation("DiagnosticReport/withdrawn")),
        ("observation-search", service.get("/fhir/Observation").expect(200).json()),
        (
            "observation-history",
            service.get(&format!("/fhir/Observation/{observation_id}/_history")).expect(200).json(),
        ),
        ("provenance-search", service.get(&format!("/fhir/Provenance?target={observation_id}")).expect(200).json()),
        ("device", service.get(device.strip_prefix(&service.base).expect("our own")).expect(200).json()),
        ("capability-statement", service.get("/fhir/metadata").expect(200).json()),
        ("operation-outcome", service.get("/fhir/Observation?x=1").expect(400).json()),
        ("annotate", service.post("/fhir/DiagnosticReport/$annotate", &report(RESPONDED)).expect(200).json()),
    ];
    let resources = resources.into_iter().chain(decided());
    for (name, resource) in resources {
        keep(name, &resource);
    }
}
