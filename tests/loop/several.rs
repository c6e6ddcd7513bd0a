//! Several sources whose ids are the same, and nobody who is taken for another.

use serde_json::{Value, json};

use crate::habits::{Ehr, long_ago};
use crate::harness::{NOT_RESPONDED, NOT_STATED, RESPONDED, report, with_id};
use crate::listening::Listening;

/// Two EHRs that each have a `DiagnosticReport/r1` of a `Patient/p1`.
fn two() -> (Ehr, Ehr, Listening) {
    let (ehr, other) = (Ehr::start(), Ehr::start());
    // Found by no search: they are asked for.
    ehr.write_at("r1", &report(RESPONDED), long_ago());
    other.write_at("r1", &report(NOT_RESPONDED), long_ago());
    let more = format!("[sources.other]\nbase_url = \"{}\"\nwrite = \"nothing\"\npoll_seconds = 3600\n", other.base);
    let listening = Listening::to(&ehr, &more);
    (ehr, other, listening)
}

fn fetched(listening: &Listening, source: &str, report: &str) {
    listening.service.post(&format!("/sources/{source}/$fetch?report={report}"), &json!({})).expect(202);
    listening.until("all that follows", || {
        let counted = "SELECT count(*) FROM jobs WHERE NOT abandoned AND kind <> 'catch-up'";
        listening.service.database.count(counted) == 0
    });
}

fn found(listening: &Listening, query: &str) -> Vec<Value> {
    let bundle = listening.service.get(&format!("/fhir/Observation{query}")).expect(200).json();
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["resource"].clone()).collect()
}

#[test]
fn what_is_of_one_source_is_never_taken_for_anothers() {
    let (ehr, other, listening) = two();
    fetched(&listening, "ehr", "DiagnosticReport/r1");
    // As long as one source alone has them, an id is clear.
    for query in ["?patient=p1", "/$lastn?patient=p1", "?_source=DiagnosticReport/r1"] {
        assert_eq!(found(&listening, query).len(), 1, "{query}");
    }
    assert_eq!(listening.service.get("/patients/p1/timeline").expect(200).json()["sources"], json!(["ehr"]));
    fetched(&listening, "other", "DiagnosticReport/r1");
    let service = &listening.service;
    service.put("/fhir/DiagnosticReport/r1", &with_id(report(NOT_STATED), "r1")).expect(201);
    for path in [
        "/fhir/Observation?patient=p1",
        "/fhir/Observation?subject=Patient/p1",
        "/fhir/Observation?_source=DiagnosticReport/r1",
        "/fhir/Observation/$lastn?patient=p1",
        "/patients/p1/timeline",
        "/patients/timeline?patient=Patient/p1",
    ] {
        let refused = service.get(path).expect(400);
        assert!(refused.body.contains("source=NAME"), "{path}: {}", refused.body);
    }
    for (name, base, label) in [("ehr", &ehr.base, "responded"), ("other", &other.base, "not-responded")] {
        for query in [
            format!("?patient=p1&source={name}"),
            format!("?patient={base}/Patient/p1"),
            format!("?_source={base}/DiagnosticReport/r1"),
            format!("?_source={base}/DiagnosticReport/r1/_history/v1&patient=p1"),
            format!("/$lastn?patient={base}/Patient/p1"),
            format!("/$lastn?patient=p1&source={name}"),
        ] {
            let all = found(&listening, &query);
            assert_eq!(all.len(), 1, "{query}");
            assert_eq!(all[0]["valueCodeableConcept"]["coding"][0]["code"], label, "{query}");
        }
    }
    assert_eq!(found(&listening, "?patient=p1&source=ehr,other").len(), 2, "mixed only where it is asked for");
}

#[test]
fn a_report_of_a_source_is_named_where_it_is() {
    let (ehr, _other, listening) = two();
    fetched(&listening, "ehr", "DiagnosticReport/r1");
    let (service, base) = (&listening.service, &ehr.base);
    let observation = found(&listening, "?patient=p1").remove(0);
    let url = format!("{base}/DiagnosticReport/r1");
    assert_eq!(observation["meta"]["source"], url);
    assert_eq!(observation["subject"]["reference"], format!("{base}/Patient/p1"));
    let evidence = &observation["valueCodeableConcept"]["extension"];
    let reference = |at: usize| evidence[at]["extension"][0]["valueReference"]["reference"].as_str().expect("text");
    assert!(reference(0).starts_with(&format!("{}/fhir/Binary/", service.base)), "{evidence}");
    assert_eq!(reference(1), format!("{url}/_history/v1"));
    let id = observation["id"].as_str().expect("an id");
    let provenance = service.get(&format!("/fhir/Provenance?target=Observation/{id}")).expect(200).body;
    assert!(provenance.contains(&format!("\"{url}/_history/v1\"")), "{provenance}");
    assert!(provenance.contains(&format!("\"{}/fhir/Observation/{id}/_history/1\"", service.base)), "{provenance}");
    let timeline = service.get(&format!("/patients/timeline?patient={base}/Patient/p1")).expect(200).json();
    assert_eq!(timeline["responses"][0]["report"], url);
    // What was read of it is told by us.
    let told = service.get("/sources/ehr/DiagnosticReport/r1/$annotation").expect(200).json();
    assert_eq!((&told["state"], &told["label"]), (&json!("annotated"), &json!("responded")));
    assert!(told["coverage"]["read"].as_array().is_some_and(|read| !read.is_empty()), "{told}");
    for nowhere in ["ehr/DiagnosticReport/r2", "other/DiagnosticReport/r1", "ehr/Patient/p1", "Ehr/DiagnosticReport/r1"]
    {
        service.get(&format!("/sources/{nowhere}/$annotation")).expect(404);
    }
}
