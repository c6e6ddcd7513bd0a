//! One attachment that comes twice, through a DiagnosticReport and through a DocumentReference, is annotated once.

use serde_json::{Value, json};

use crate::decisions::Ward;
use crate::harness::{FHIR, NOT_RESPONDED, RESPONDED, Service, attachment, note, report, with_id};

/// A DiagnosticReport and a DocumentReference of the same text, at the same encounter.
fn pair(patient: &str, text: &str) -> [Value; 2] {
    let mut diagnostic = report(text);
    diagnostic["subject"] = json!({"reference": patient});
    diagnostic["encounter"] = json!({"reference": "Encounter/1"});
    let mut document = note(text);
    document["subject"] = json!({"reference": patient});
    document["context"] = json!({"encounter": [{"reference": "Encounter/1"}]});
    [diagnostic, document]
}

fn put(service: &Service, id: &str, body: &Value) {
    let kind = body["resourceType"].as_str().expect("a type").to_owned();
    let answer = service.put(&format!("/fhir/{kind}/{id}"), &with_id(body.clone(), id));
    assert!(answer.status < 300, "{}", answer.body);
    service.settle();
}

fn name(body: &Value, id: &str) -> String {
    format!("{}/{id}", body["resourceType"].as_str().expect("a type"))
}

fn annotation(service: &Service, report: &str) -> Value {
    service.get(&format!("/fhir/{report}/$annotation")).expect(200).json()
}

fn standing(service: &Service) -> i64 {
    service.database.count("SELECT count(*) FROM observations WHERE status <> 'entered-in-error'")
}

#[test]
fn the_same_bytes_at_the_same_encounter_are_annotated_once_in_either_order() {
    for second in [1, 0] {
        let service = Service::start();
        let both = pair("Patient/1", RESPONDED);
        let (first, second) = (&both[1 - second], &both[second]);
        put(&service, "a", first);
        put(&service, "a", second);
        assert_eq!(service.database.count("SELECT count(*) FROM annotations"), 1);
        let linked = annotation(&service, &name(second, "a"));
        assert_eq!((&linked["state"], &linked["label"]), (&json!("linked"), &json!("responded")));
        assert_eq!(linked["linkedTo"], format!("{}/fhir/{}", service.base, name(first, "a")));
        let by_first = service.observation(&name(first, "a"));
        let by_second = service.observation(&name(second, "a"));
        assert_eq!(by_first, by_second, "one Observation answers both");
        assert_eq!(by_first["meta"]["source"], format!("{}/fhir/{}", service.base, name(first, "a")));
        assert_eq!(
            by_first["derivedFrom"],
            json!([{"reference": format!("{}/fhir/DocumentReference/a", service.base)}])
        );
        let absolute = format!("{}/fhir/{}", service.base, name(second, "a"));
        assert_eq!(service.observations(&absolute).len(), 1);
        assert_eq!(service.observations(&format!("{}/_history/1", name(second, "a"))).len(), 1);
    }
}

#[test]
fn the_same_url_is_the_same_attachment() {
    for second in [1, 0] {
        let service = Service::start();
        let mut both = pair("Patient/1", RESPONDED);
        let by_url = json!({"contentType": "text/plain", "url": "Binary/9"});
        both[0]["presentedForm"] = json!([by_url]);
        both[0]["conclusion"] = RESPONDED.into();
        both[0].as_object_mut().expect("an object").remove("encounter");
        let absolute = json!({"contentType": "text/plain", "url": format!("{}/fhir/Binary/9", service.base)});
        both[1]["content"] = json!([{"attachment": absolute}]);
        put(&service, "a", &both[1 - second]);
        put(&service, "a", &both[second]);
        // Only the DiagnosticReport can be read here: it has the answer, whichever came first.
        assert_eq!(annotation(&service, "DocumentReference/a")["state"], "linked");
        assert_eq!(annotation(&service, "DiagnosticReport/a")["state"], "annotated");
        assert_eq!(standing(&service), 1);
        assert_eq!(service.observation("DocumentReference/a"), service.observation("DiagnosticReport/a"));
        let reason = service.database.texts("SELECT reason FROM report_links");
        assert_eq!(reason, ["same-url"]);
    }
}

#[test]
fn the_same_bytes_at_the_same_time_are_the_same_attachment() {
    let service = Service::start();
    let [mut diagnostic, mut document] = pair("Patient/1", RESPONDED);
    diagnostic.as_object_mut().expect("an object").remove("encounter");
    document["context"] = json!({"period": {"start": "2026-03-01T09:00:00Z", "end": "2026-03-01T09:30:00Z"}});
    put(&service, "a", &diagnostic);
    put(&service, "a", &document);
    assert_eq!(annotation(&service, "DocumentReference/a")["state"], "linked", "10:00+01:00 is 09:00Z");
}

#[test]
fn text_alone_links_nothing() {
    let service = Service::start();
    let [diagnostic, document] = pair("Patient/1", RESPONDED);
    put(&service, "a", &diagnostic);
    // Another patient with the same normal report.
    let [_, other] = pair("Patient/2", RESPONDED);
    put(&service, "other", &other);
    // Another visit and another time.
    let mut later = document.clone();
    later["context"] =
        json!({"encounter": [{"reference": "Encounter/2"}], "period": {"start": "2026-04-01T10:00:00Z"}});
    put(&service, "later", &later);
    // Nobody says when or where.
    let mut nowhere = document.clone();
    nowhere.as_object_mut().expect("an object").remove("context");
    put(&service, "nowhere", &nowhere);
    // Nobody says whose it is.
    let mut nobody = document.clone();
    nobody.as_object_mut().expect("an object").remove("subject");
    put(&service, "nobody", &nobody);
    // The same words in another file.
    let mut reworded = document;
    reworded["content"] = json!([{"attachment": attachment("text/plain", format!("{RESPONDED}\n").as_bytes())}]);
    put(&service, "reworded", &reworded);
    // Two reports of one type are two reports.
    put(&service, "twin", &diagnostic);
    assert_eq!(service.database.count("SELECT count(*) FROM report_links"), 0);
    assert_eq!(standing(&service), 7);
}

#[test]
fn an_update_of_either_breaks_the_link() {
    let service = Service::start();
    let [diagnostic, document] = pair("Patient/1", RESPONDED);
    let [other_diagnostic, other_document] = pair("Patient/1", NOT_RESPONDED);
    put(&service, "a", &diagnostic);
    put(&service, "a", &document);
    // The linked one says something else now.
    put(&service, "a", &other_document);
    assert_eq!(annotation(&service, "DocumentReference/a")["state"], "annotated");
    let own = service.observation("DocumentReference/a");
    assert_eq!(own["valueCodeableConcept"]["coding"][0]["code"], "not-responded");
    let left = service.observation("DiagnosticReport/a");
    assert!(left.get("derivedFrom").is_none(), "it answers one report again: {left}");
    assert_eq!(standing(&service), 2);
    // And the same again.
    put(&service, "a", &document);
    assert_eq!(annotation(&service, "DocumentReference/a")["state"], "linked");
    assert_eq!(standing(&service), 1);
    let withdrawn = "SELECT withdraw_reason FROM observation_versions WHERE withdraw_reason IS NOT NULL";
    assert_eq!(service.database.texts(withdrawn), ["linked"]);
    // The one that has the answer says something else: the other is annotated itself.
    put(&service, "a", &other_diagnostic);
    assert_eq!(annotation(&service, "DocumentReference/a")["state"], "annotated");
    assert_eq!(standing(&service), 2);
}

#[test]
fn when_the_one_with_the_answer_goes_the_other_answers_for_itself() {
    let service = Service::start();
    let [diagnostic, document] = pair("Patient/1", RESPONDED);
    put(&service, "a", &diagnostic);
    put(&service, "a", &document);
    service.delete("/fhir/DiagnosticReport/a");
    service.settle();
    assert_eq!(service.observation("DiagnosticReport/a")["status"], "entered-in-error");
    assert_eq!(service.observation("DocumentReference/a")["status"], "preliminary");
    assert_eq!(annotation(&service, "DocumentReference/a")["state"], "annotated");
    // It comes back as the second.
    put(&service, "a", &diagnostic);
    assert_eq!(annotation(&service, "DiagnosticReport/a")["state"], "linked");
    assert_eq!(standing(&service), 1);
    // The linked one goes: nothing happens to the answer but that it answers one report.
    service.delete("/fhir/DiagnosticReport/a");
    service.settle();
    assert_eq!(standing(&service), 1);
    assert_eq!(service.observation("DocumentReference/a")["status"], "preliminary");
}

#[test]
fn what_a_person_has_reviewed_is_not_linked_away() {
    let ward = Ward::open();
    let [diagnostic, document] = pair("Patient/1", RESPONDED);
    ward.put("a", diagnostic);
    ward.put("a", pair("Patient/1", NOT_RESPONDED)[1].clone());
    ward.decide("DocumentReference/a", "confirm", &[]).expect(200);
    ward.put("a", document);
    assert_eq!(annotation(&ward.service, "DocumentReference/a")["state"], "annotated");
    assert_eq!(ward.of("DocumentReference/a", "obs-").expect("an answer")["status"], "final");
}

#[test]
fn of_two_that_are_settled_at_once_exactly_one_is_linked() {
    let service = Service::start();
    let bodies: Vec<_> = (0..12)
        .flat_map(|n| pair(&format!("Patient/{n}"), RESPONDED).map(|body| with_id(body, &format!("r{n}"))))
        .collect();
    std::thread::scope(|scope| {
        for body in &bodies {
            let service = &service;
            scope.spawn(move || {
                let path = format!("/fhir/{}", name(body, body["id"].as_str().expect("an id")));
                let answer = service.send("PUT", &path, &[FHIR], Some(body.to_string().as_bytes()));
                assert!(answer.status < 300, "{}", answer.body);
            });
        }
    });
    service.settle();
    assert_eq!(standing(&service), 12);
    assert_eq!(service.database.count("SELECT count(*) FROM report_links"), 12);
    assert_eq!(service.database.count("SELECT count(*) FROM documents WHERE state = 'linked'"), 12);
}
