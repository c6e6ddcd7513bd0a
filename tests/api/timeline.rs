//! What a patient's reports say, one after the other.

use serde_json::{Value, json};

use crate::decisions::Ward;
use crate::harness::{NOT_RESPONDED, RESPONDED, Service, note, report, with_id};

const STABLE: &str = "Stable disease under pembrolizumab: no significant change in the size of the liver metastases.";

fn dated(patient: &str, date: &str, text: &str) -> Value {
    let mut body = report(text);
    body["subject"] = json!({"reference": patient});
    match date {
        "" => drop(body.as_object_mut().expect("an object").remove("effectiveDateTime")),
        date => body["effectiveDateTime"] = date.into(),
    }
    body
}

fn ids(bundle: &Value) -> Vec<&str> {
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().map(|entry| entry["resource"]["meta"]["source"].as_str().expect("a source")).collect()
}

fn last(url: &str) -> &str {
    url.rsplit('/').next().expect("a part")
}

#[test]
fn a_timeline_shows_the_course_the_best_category_the_first_progression_and_contradictions() {
    let ward = Ward::open();
    for (id, date, text) in [
        ("stable", "2026-01-10", STABLE),
        ("better", "2026-03-10", RESPONDED),
        ("worse", "2026-05-10", NOT_RESPONDED),
        ("denied", "2026-05-14", RESPONDED),
        ("undated", "", NOT_RESPONDED),
        ("gone", "2026-02-10", NOT_RESPONDED),
        ("silent", "2026-02-11", "The chest port tip lies at the cavoatrial junction."),
    ] {
        ward.put(id, dated("Patient/1", date, text));
    }
    ward.put("other", dated("Patient/2", "2026-02-01", NOT_RESPONDED));
    ward.service.delete("/fhir/DiagnosticReport/gone");
    ward.service.settle();
    ward.decide("DiagnosticReport/better", "confirm", &[]).expect(200);
    let timeline = ward.service.get("/patients/1/timeline").expect(200).json();
    let reports: Vec<_> = timeline["responses"].as_array().expect("responses").iter().collect();
    let names: Vec<_> = reports.iter().map(|one| last(one["report"].as_str().expect("a report"))).collect();
    assert_eq!(names, ["stable", "better", "worse", "denied"]);
    assert_eq!(last(timeline["undated"][0]["report"].as_str().expect("a report")), "undated");
    let better = reports[1];
    assert_eq!((&better["status"], &better["confirmedBy"]["name"]), (&json!("final"), &json!("Dr. Adams")));
    assert_eq!((&better["label"], &better["precision"]), (&json!("responded"), &json!("day")));
    assert_eq!(better["evidence"][0], RESPONDED);
    assert_eq!(reports[0]["status"], "preliminary");
    assert!(reports[0]["confirmedBy"].is_null() && reports[0]["confidence"].is_number());
    assert_eq!(last(timeline["best"]["report"].as_str().expect("a report")), "better");
    assert_eq!(timeline["firstProgression"]["effective"], "2026-05-10");
    let conflict = &timeline["conflicts"][0];
    assert_eq!((&conflict["days"], timeline["conflicts"].as_array().map(Vec::len)), (&json!(3), Some(1)));
    assert!(conflict["observations"][0].as_str().expect("one").contains("/Observation/obs-"));
    let strict = ward.service.get("/patients/1/timeline?conflict-days=1").expect(200).json();
    assert_eq!(strict["conflicts"], json!([]));
    // A refuted answer is gone, and what is right stands in its place.
    ward.decide("DiagnosticReport/denied", "refute", &[("label", "not-responded"), ("category", "progressive")])
        .expect(200);
    let timeline = ward.service.get("/patients/timeline?patient=Patient/1").expect(200).json();
    let denied = &timeline["responses"][3];
    assert_eq!((&denied["label"], &denied["status"]), (&json!("not-responded"), &json!("final")));
    assert!(denied["confidence"].is_null(), "a person's word has no model's confidence");
    assert_eq!(timeline["conflicts"], json!([]));
}

#[test]
fn a_timeline_knows_one_source_unless_it_is_asked_for_more() {
    let service = Service::start();
    service.put("/fhir/DiagnosticReport/a", &with_id(dated("Patient/1", "2026-01-10", RESPONDED), "a")).expect(201);
    service.settle();
    service.database.execute("UPDATE reports SET source = 'ward-3'");
    let count = |path: &str| service.get(path).expect(200).json()["responses"].as_array().map(Vec::len);
    // One source alone has this patient: there is nothing to mistake.
    let timeline = service.get("/patients/1/timeline").expect(200).json();
    assert_eq!((&timeline["sources"], timeline["responses"].as_array().map(Vec::len)), (&json!(["ward-3"]), Some(1)));
    service.put("/fhir/DiagnosticReport/b", &with_id(dated("Patient/1", "2026-01-10", RESPONDED), "b")).expect(201);
    service.settle();
    assert!(service.get("/patients/1/timeline").expect(400).body.contains("source=NAME"));
    assert_eq!(count("/patients/1/timeline?source=local"), Some(1));
    assert_eq!(count("/patients/1/timeline?source=ward-3"), Some(1));
    assert_eq!(count("/patients/timeline?patient=Patient/1&source=local,ward-3"), Some(2));
    for fault in [
        "/patients/timeline",
        "/patients/1/timeline?source=A",
        "/patients/1/timeline?colour=blue",
        "/patients/1/timeline?conflict-days=x",
    ] {
        assert_eq!(service.get(fault).status, 400, "{fault}");
    }
}

#[test]
fn observations_are_sorted_and_found_by_date_and_category() {
    let service = Service::start();
    for (id, date) in [("jan", "2026-01-10"), ("feb", "2026-02"), ("mar", "2026-03-01T10:00:00Z"), ("none", "")] {
        let mut body = dated("Patient/1", date, RESPONDED);
        if id == "jan" {
            body["code"] = json!({"coding": [{"system": "http://loinc.org", "code": "11526-1"}]});
        }
        service.put(&format!("/fhir/DiagnosticReport/{id}"), &with_id(body, id)).expect(201);
    }
    let mut stay = note(RESPONDED);
    stay["context"] = json!({"period": {"start": "2026-01-20", "end": "2026-02-05"}});
    stay["subject"] = json!({"reference": "Patient/1"});
    service.put("/fhir/DocumentReference/stay", &with_id(stay, "stay")).expect(201);
    service.settle();
    let found = |query: &str| {
        let bundle = service.get(&format!("/fhir/Observation?patient=Patient/1&{query}")).expect(200).json();
        ids(&bundle).iter().map(|url| last(url).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("_sort=-date"), ["mar", "feb", "stay", "jan", "none"]);
    assert_eq!(found("_sort=date"), ["jan", "stay", "feb", "mar", "none"]);
    for (query, expected) in [
        ("date=2026-01", &["jan"][..]),
        ("date=ge2026-02-10", &["mar", "feb"]),
        ("date=gt2026-02", &["mar"]),
        ("date=lt2026-01-20", &["jan"]),
        ("date=le2026-01-20", &["stay", "jan"]),
        ("date=sa2026-02-05", &["mar"]),
        ("date=eb2026-02-06", &["stay", "jan"]),
        ("date=ge2026-01-01&date=lt2026-02-01", &["stay", "jan"]),
        ("category=laboratory", &["jan"]),
        ("category=http://terminology.hl7.org/CodeSystem/observation-category%7Cimaging", &["mar", "feb", "none"]),
        ("category=exam", &[]),
    ] {
        assert_eq!(found(&format!("{query}&_sort=-date")), expected, "{query}");
    }
    for sort in ["date", "-date", "_lastUpdated", "-_lastUpdated"] {
        let mut path = format!("/fhir/Observation?patient=Patient/1&_count=2&_sort={sort}");
        let mut seen = Vec::new();
        loop {
            let page = service.get(&path).expect(200).json();
            seen.extend(ids(&page).iter().map(|url| (*url).to_owned()));
            let links = page["link"].as_array().expect("links").clone();
            let Some(next) = links.iter().find(|link| link["relation"] == "next") else { break };
            let url = next["url"].as_str().expect("a URL");
            path = url.strip_prefix(&service.base).expect("our own address").to_owned();
        }
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((seen.len(), distinct.len()), (5, 5), "{sort}: {seen:?}");
    }
    assert_eq!(service.get("/fhir/Observation?_sort=status").status, 400);
    assert_eq!(service.get("/fhir/Observation?date=soon").status, 400);
}

#[test]
fn lastn_gives_the_newest_of_each_code_that_stand() {
    let ward = Ward::open();
    for (id, date) in [("jan", "2026-01-10"), ("feb", "2026-02-10"), ("mar", "2026-03-10")] {
        ward.put(id, dated("Patient/1", date, RESPONDED));
    }
    ward.decide("DiagnosticReport/jan", "confirm", &[("category", "partial")]).expect(200);
    ward.service.delete("/fhir/DiagnosticReport/mar");
    ward.service.settle();
    let lastn = |query: &str| ward.service.get(&format!("/fhir/Observation/$lastn?{query}")).expect(200).json();
    let of = |bundle: &Value| ids(bundle).iter().map(|url| last(url).to_owned()).collect::<Vec<_>>();
    assert_eq!(of(&lastn("patient=Patient/1")), ["feb", "jan"], "the answer and the cancer's status");
    assert_eq!(of(&lastn("patient=1&code=treatment-response&max=5")), ["feb", "jan"]);
    assert_eq!(of(&lastn("patient=1&code=http://loinc.org%7C97509-4&max=5")), ["jan"]);
    assert_eq!(of(&lastn("patient=1&status=entered-in-error")), ["mar"]);
    assert_eq!(of(&lastn("patient=2")), Vec::<String>::new());
    assert_eq!(ward.service.get("/fhir/Observation/$lastn").status, 400);
    assert_eq!(ward.service.get("/fhir/Observation/$lastn?patient=1&max=0").status, 400);
}
