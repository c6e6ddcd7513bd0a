//! A person confirms a machine's answer, or refutes it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::{
    FHIR, NOT_RESPONDED, NOT_STATED, RESPONDED, RESPONSUM, Service, TestDatabase, note, report, with_id,
};

const ADAMS: &str = "adams-secret";
const BAKER: &str = "baker-secret";
const EHR: &str = "ehr-secret";

/// A service with tokens, and the file that they are in.
pub struct Ward {
    pub service: Service,
    _tokens: tempfile::NamedTempFile,
}

impl Ward {
    pub fn open() -> Self {
        let token = |name: &str, secret: &str, rest: &str| {
            let hash = responsum::digest::sha256(secret.as_bytes()).hex();
            format!("[[token]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n{rest}\n")
        };
        let tokens = tempfile::NamedTempFile::new().expect("a file");
        let all = "scopes = [\"read\", \"write\", \"admin\"]";
        let adams = "scopes = [\"read\", \"write\", \"confirm\"]\npractitioner = \"Practitioner/17\"\npractitioner_name = \"Dr. Adams\"";
        let baker = "scopes = [\"confirm\"]\npractitioner = \"Practitioner/18\"";
        let text = token("ehr", EHR, all) + &token("adams", ADAMS, adams) + &token("baker", BAKER, baker);
        std::fs::write(tokens.path(), text).expect("written");
        let path = tokens.path().to_str().expect("a path").to_owned();
        let environment = [("RESPONSUM__SERVER__TOKENS_FILE", path.as_str())];
        let service = Service::start_with(Arc::new(TestDatabase::new()), &[], &environment);
        Self { service: service.with_token(ADAMS), _tokens: tokens }
    }

    pub fn put(&self, id: &str, body: Value) {
        let kind = body["resourceType"].as_str().expect("a type").to_owned();
        let answer = self.service.put(&format!("/fhir/{kind}/{id}"), &with_id(body, id));
        assert!(answer.status < 300, "{}", answer.body);
        self.service.settle();
    }

    /// The Observations of a report, by what their ids begin with.
    pub fn of(&self, report: &str, prefix: &str) -> Option<Value> {
        let found = self.service.observations(report);
        found.into_iter().find(|one| one["id"].as_str().is_some_and(|id| id.starts_with(prefix)))
    }

    fn status(&self, report: &str, prefix: &str) -> String {
        self.of(report, prefix).map_or("none".to_owned(), |one| one["status"].as_str().expect("a status").to_owned())
    }

    pub fn decide(&self, report: &str, operation: &str, parameters: &[(&str, &str)]) -> crate::harness::Answer {
        let id = self.of(report, "obs-").expect("an answer")["id"].as_str().expect("an id").to_owned();
        self.service.post(&format!("/fhir/Observation/{id}/${operation}"), &with(parameters))
    }

    fn provenance(&self, observation: &Value) -> Value {
        let target = format!(
            "Observation/{}/_history/{}",
            observation["id"].as_str().expect("an id"),
            observation["meta"]["versionId"].as_str().expect("a version")
        );
        self.service.get(&format!("/fhir/Provenance?target={target}")).expect(200).json()["entry"][0]["resource"]
            .clone()
    }
}

fn with(parameters: &[(&str, &str)]) -> Value {
    let one = |(name, value): &(&str, &str)| match *name {
        "comment" => json!({"name": name, "valueString": value}),
        "report-version" => json!({"name": name, "valueInteger": value.parse::<i32>().expect("a number")}),
        _ => json!({"name": name, "valueCode": value}),
    };
    json!({"resourceType": "Parameters", "parameter": parameters.iter().map(one).collect::<Vec<_>>()})
}

fn label(observation: &Value) -> &str {
    observation["valueCodeableConcept"]["coding"][0]["code"].as_str().expect("a code")
}

#[test]
fn a_confirmed_answer_is_final_and_names_the_person_beside_the_machine() {
    let ward = Ward::open();
    ward.put("r1", report(RESPONDED));
    let id = ward.of("DiagnosticReport/r1", "obs-").expect("an answer")["id"].as_str().expect("an id").to_owned();
    let path = format!("/fhir/Observation/{id}/$confirm");
    let stale = ward.service.send("POST", &path, &[("if-match", "W/\"7\"")], None);
    assert_eq!(stale.expect(412).issue(), "conflict");
    let confirmed = ward.service.send("POST", &path, &[("if-match", "W/\"1\"")], None).expect(200);
    assert_eq!(confirmed.header("etag"), "W/\"2\"");
    let observation = confirmed.json();
    assert_eq!(observation["status"], "final");
    assert_eq!(label(&observation), "responded");
    assert_eq!(observation["meta"]["security"][0]["code"], "AIAST", "it stays what a machine said");
    assert!(observation["device"]["reference"].is_string());
    let practitioner = format!("{}/fhir/Practitioner/17", ward.service.base);
    assert_eq!(observation["performer"], json!([{"reference": practitioner, "display": "Dr. Adams"}]));
    let provenance = ward.provenance(&observation);
    assert_eq!(provenance["activity"]["coding"][0]["code"], "UPDATE");
    assert_eq!(provenance["reason"][0]["coding"][0]["code"], "CLINAST");
    assert_eq!(provenance["agent"][0]["type"]["coding"][0]["code"], "verifier");
    assert_eq!(provenance["agent"][0]["who"]["reference"], practitioner);
    assert_eq!(provenance["agent"][1]["type"]["coding"][0]["code"], "assembler");
    assert_eq!(
        provenance["entity"][2],
        json!({"role": "revision", "what": {"reference": format!("{}/fhir/Observation/{id}/_history/1", ward.service.base)}})
    );
    let first = ward.service.get(&format!("/fhir/Observation/{id}/_history/1")).expect(200).json();
    assert!(first.get("performer").is_none() && first["status"] == "preliminary", "what was said stays");
    // Again, by the same person: also by one that repeats the request word for word.
    for headers in [&[][..], &[("if-match", "W/\"1\"")][..], &[("if-match", "W/\"2\"")][..]] {
        let again = ward.service.send("POST", &path, headers, None).expect(200);
        assert_eq!(again.header("etag"), "W/\"2\"");
    }
    assert_eq!(ward.service.database.count("SELECT count(*) FROM decisions"), 1);
    let outcome = ward.service.send("POST", &path, &[("prefer", "return=OperationOutcome")], None).expect(200).json();
    assert!(outcome.to_string().contains("already"), "{outcome}");
}

#[test]
fn another_person_or_another_category_is_another_decision() {
    let ward = Ward::open();
    ward.put("r1", report(RESPONDED));
    ward.decide("DiagnosticReport/r1", "confirm", &[]).expect(200);
    let refined = ward.decide("DiagnosticReport/r1", "confirm", &[("category", "complete")]).expect(200).json();
    assert_eq!(refined["component"][0]["valueCodeableConcept"]["coding"][0]["code"], "complete");
    assert_eq!(refined["meta"]["versionId"], "3");
    let id = refined["id"].as_str().expect("an id").to_owned();
    let Ward { service, _tokens } = ward;
    let service = service.with_token(BAKER);
    let second = service.send("POST", &format!("/fhir/Observation/{id}/$confirm"), &[], None).expect(200).json();
    assert_eq!(second["meta"]["versionId"], "4");
    assert!(second["performer"][0]["reference"].as_str().expect("a person").ends_with("Practitioner/18"));
    assert_eq!(
        second["component"][0]["valueCodeableConcept"]["coding"][0]["code"], "complete",
        "what stands is what is confirmed"
    );
    assert_eq!(service.database.count("SELECT count(*) FROM decisions"), 3);
}

#[test]
fn a_refuted_answer_is_in_error_and_what_is_right_stands_beside_it() {
    let ward = Ward::open();
    ward.put("r1", note(RESPONDED));
    let correction =
        [("label", "not-responded"), ("category", "progressive"), ("comment", "Lesion in segment IV is new")];
    let refuted = ward.decide("DocumentReference/r1", "refute", &correction).expect(200).json();
    assert_eq!((&refuted["status"], label(&refuted)), (&json!("entered-in-error"), "responded"));
    let provenance = ward.provenance(&refuted);
    assert_eq!(provenance["reason"][0]["coding"][0]["code"], "refuted");
    assert_eq!(provenance["activity"]["coding"][0]["code"], "NULLIFY");
    assert!(provenance["agent"][0]["who"]["reference"].as_str().expect("a person").ends_with("Practitioner/17"));
    let corrected = ward.of("DocumentReference/r1", "cor-").expect("what is right");
    assert_eq!((&corrected["status"], label(&corrected)), (&json!("final"), "not-responded"));
    assert!(corrected.get("device").is_none() && corrected["meta"].get("security").is_none(), "{corrected}");
    assert!(corrected["performer"][0]["reference"].as_str().expect("a person").ends_with("Practitioner/17"));
    assert!(corrected["derivedFrom"][0]["reference"].as_str().expect("a document").ends_with("DocumentReference/r1"));
    assert_eq!(corrected["component"].as_array().map(Vec::len), Some(1), "a person has no confidence of a model");
    let provenance = ward.provenance(&corrected);
    assert_eq!(provenance["agent"][0]["type"]["coding"][0]["code"], "author");
    let by_id =
        ward.service.get(&format!("/fhir/Provenance/{}", provenance["id"].as_str().expect("an id"))).expect(200);
    assert_eq!(by_id.json(), provenance);
    let own = format!("/fhir/Observation/{}/$confirm", corrected["id"].as_str().expect("an id"));
    assert_eq!(ward.service.send("POST", &own, &[], None).expect(422).issue(), "business-rule");
    // A change of mind: the machine was right.
    let confirmed = ward.decide("DocumentReference/r1", "confirm", &[]).expect(200).json();
    assert_eq!((&confirmed["status"], &confirmed["meta"]["versionId"]), (&json!("final"), &json!("3")));
    assert_eq!(ward.status("DocumentReference/r1", "cor-"), "entered-in-error");
    assert!(!ward.service.log().contains("segment IV"), "a comment is never logged");
}

#[test]
fn what_a_person_has_refuted_no_machine_brings_back() {
    let ward = Ward::open();
    ward.put("r1", report(RESPONDED));
    ward.decide("DiagnosticReport/r1", "refute", &[("label", "not-stated")]).expect(200);
    // The same version is read again.
    ward.service.database.execute("INSERT INTO jobs (kind, document_id) SELECT 'annotate', document_id FROM documents");
    ward.service.settle();
    assert_eq!(ward.status("DiagnosticReport/r1", "obs-"), "entered-in-error");
    let open = "SELECT reason FROM reviews WHERE closed_at IS NULL ORDER BY review_id";
    assert!(ward.service.database.texts(open).is_empty());
    // A later version says something else than the person.
    ward.put("r1", report(NOT_RESPONDED));
    assert_eq!(ward.status("DiagnosticReport/r1", "obs-"), "entered-in-error");
    assert_eq!(ward.service.database.texts(open), ["report-changed"]);
    let queue = ward.service.get("/reviews").expect(200).json();
    let review = &queue["reviews"][0];
    assert_eq!((&review["reason"], &review["label"]), (&json!("report-changed"), &json!("not-responded")));
    assert_eq!((&review["reportVersion"], &review["observation"]["status"]), (&json!(2), &json!("entered-in-error")));
    assert_eq!(review["evidence"][0], NOT_RESPONDED);
    // The person agrees with the new reading.
    let old = ward.decide("DiagnosticReport/r1", "confirm", &[("report-version", "1")]);
    assert_eq!(old.expect(412).issue(), "conflict");
    let agreed = ward.decide("DiagnosticReport/r1", "confirm", &[("report-version", "2")]).expect(200).json();
    assert_eq!((&agreed["status"], label(&agreed)), (&json!("final"), "not-responded"));
    assert!(ward.service.database.texts(open).is_empty());
    assert_eq!(ward.service.get("/reviews").expect(200).json()["reviews"], json!([]));
}

#[test]
fn the_source_takes_back_what_people_have_decided() {
    let ward = Ward::open();
    ward.put("confirmed", report(NOT_RESPONDED));
    ward.put("refuted", report(RESPONDED));
    ward.decide("DiagnosticReport/confirmed", "confirm", &[]).expect(200);
    let correction = [("label", "not-responded"), ("category", "progressive")];
    ward.decide("DiagnosticReport/refuted", "refute", &correction).expect(200);
    assert_eq!(ward.status("DiagnosticReport/confirmed", "mcode-"), "final");
    assert_eq!(ward.status("DiagnosticReport/refuted", "mcode-"), "final");
    for id in ["confirmed", "refuted"] {
        assert_eq!(ward.service.delete(&format!("/fhir/DiagnosticReport/{id}")).status, 204);
        ward.service.settle();
        for one in ward.service.observations(&format!("DiagnosticReport/{id}")) {
            assert_eq!(one["status"], "entered-in-error", "{one}");
        }
    }
    let corrected = ward.of("DiagnosticReport/refuted", "cor-").expect("what was right");
    assert!(corrected["performer"].is_array(), "it keeps what it said: {corrected}");
    let provenance = ward.provenance(&corrected);
    assert_eq!(provenance["reason"][0]["coding"][0]["code"], "deleted");
    assert!(provenance["agent"][0]["who"]["reference"].as_str().expect("a device").contains("/Device/"));
    let gone = ward.decide("DiagnosticReport/confirmed", "confirm", &[]);
    assert_eq!(gone.expect(409).issue(), "conflict");
    // The report comes back, and a machine answers it anew; what a person has refuted it leaves alone.
    for id in ["confirmed", "refuted"] {
        ward.put(id, report(RESPONDED));
    }
    assert_eq!(ward.status("DiagnosticReport/confirmed", "obs-"), "preliminary");
    assert_eq!(ward.status("DiagnosticReport/refuted", "obs-"), "entered-in-error");
}

#[test]
fn a_cancers_status_follows_what_a_person_stands_for() {
    let ward = Ward::open();
    let mut radiology = report(RESPONDED);
    radiology["category"] = json!([{"coding": [{"system": "http://loinc.org", "code": "LP29684-5"}]}]);
    ward.put("r1", radiology);
    assert_eq!(ward.status("DiagnosticReport/r1", "mcode-"), "none", "never by a machine alone");
    let headers = [FHIR, ("prefer", "return=OperationOutcome")];
    let answer = ward.of("DiagnosticReport/r1", "obs-").expect("an answer");
    assert_eq!(answer["category"][0]["coding"][0]["code"], "imaging");
    let path = format!("/fhir/Observation/{}", answer["id"].as_str().expect("an id"));
    let body = with(&[("category", "partial")]).to_string();
    let outcome = ward.service.send("POST", &format!("{path}/$confirm"), &headers, Some(body.as_bytes())).expect(200);
    assert!(outcome.body.contains("Observation/mcode-"), "{}", outcome.body);
    let status = ward.of("DiagnosticReport/r1", "mcode-").expect("a status");
    assert_eq!(
        status["meta"]["profile"][0],
        "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-cancer-disease-status"
    );
    assert_eq!((&status["status"], &status["code"]["coding"][0]["code"]), (&json!("final"), &json!("97509-4")));
    assert_eq!(label(&status), "268910001");
    assert_eq!(status["extension"][0]["valueCodeableConcept"]["coding"][0]["code"], "363679005");
    assert_eq!(status["effectiveDateTime"], "2026-03-01T10:00:00+01:00");
    assert!(status["performer"][0]["reference"].as_str().expect("a person").ends_with("Practitioner/17"));
    for absent in ["device", "component", "hasMember", "focus"] {
        assert!(status.get(absent).is_none(), "{absent}");
    }
    // Stable is another status; no-response is none.
    ward.decide("DiagnosticReport/r1", "confirm", &[("category", "stable")]).expect(200);
    assert_eq!(label(&ward.of("DiagnosticReport/r1", "mcode-").expect("a status")), "359746009");
    let correction = [("label", "not-responded"), ("category", "no-response")];
    let refuted = ward.decide("DiagnosticReport/r1", "refute", &correction).expect(200);
    assert!(refuted.header("warning").contains("no-response"), "{}", refuted.header("warning"));
    let withdrawn = ward.of("DiagnosticReport/r1", "mcode-").expect("a status");
    assert_eq!((&withdrawn["status"], label(&withdrawn)), (&json!("entered-in-error"), "359746009"));
    ward.decide("DiagnosticReport/r1", "refute", &[("label", "not-responded"), ("category", "progressive")])
        .expect(200);
    let worse = ward.of("DiagnosticReport/r1", "mcode-").expect("a status");
    assert_eq!((&worse["status"], label(&worse)), (&json!("final"), "271299001"));
    ward.decide("DiagnosticReport/r1", "refute", &[]).expect(200);
    assert_eq!(ward.status("DiagnosticReport/r1", "mcode-"), "entered-in-error");
    assert_eq!(ward.status("DiagnosticReport/r1", "cor-"), "entered-in-error");
    // A report without a date has no status, and it is told why.
    let mut undated = report(RESPONDED);
    undated.as_object_mut().expect("an object").remove("effectiveDateTime");
    ward.put("r2", undated);
    let confirmed = ward.decide("DiagnosticReport/r2", "confirm", &[]).expect(200);
    assert!(confirmed.header("warning").contains("no date"), "{}", confirmed.header("warning"));
    assert_eq!(ward.status("DiagnosticReport/r2", "mcode-"), "none");
    let found = ward.service.get("/fhir/Observation?code=http://loinc.org%7C97509-4").expect(200).json();
    assert_eq!(found["total"], 1);
}

#[test]
fn a_decision_that_does_not_fit_is_refused_and_nothing_is_written() {
    let ward = Ward::open();
    ward.put("r1", report(RESPONDED));
    let id = ward.of("DiagnosticReport/r1", "obs-").expect("an answer")["id"].as_str().expect("an id").to_owned();
    for (operation, parameters, status, issue) in [
        ("confirm", &[("category", "progressive")][..], 422, "business-rule"),
        ("confirm", &[("category", "better")][..], 400, "invalid"),
        ("confirm", &[("label", "responded")][..], 400, "invalid"),
        ("refute", &[("label", "responded")][..], 422, "business-rule"),
        ("refute", &[("category", "stable")][..], 422, "business-rule"),
        ("refute", &[("label", "not-responded"), ("category", "complete")][..], 422, "business-rule"),
        ("refute", &[("label", "yes")][..], 400, "invalid"),
        ("refute", &[("practitioner", "Practitioner/1")][..], 400, "invalid"),
    ] {
        let answer = ward.decide("DiagnosticReport/r1", operation, parameters).expect(status);
        assert_eq!(answer.issue(), issue, "{operation} {parameters:?}");
    }
    let path = format!("/fhir/Observation/{id}/$confirm");
    assert_eq!(ward.service.send("POST", &path, &[FHIR], Some(b"{")).expect(400).issue(), "structure");
    assert_eq!(ward.service.send("POST", &path, &[("content-type", "text/plain")], Some(b"{}")).status, 415);
    assert_eq!(ward.service.send("POST", "/fhir/Observation/obs-0/$confirm", &[], None).status, 404);
    assert_eq!(ward.service.database.count("SELECT count(*) FROM decisions"), 0);
    assert_eq!(ward.status("DiagnosticReport/r1", "obs-"), "preliminary");
    let Ward { service, _tokens } = ward;
    let service = service.with_token(EHR);
    assert_eq!(service.send("POST", &path, &[], None).expect(403).issue(), "forbidden");
}

#[test]
fn without_tokens_nobody_decides() {
    let service = Service::start();
    let id = service.accepted(&report(RESPONDED));
    service.settle();
    let observation = service.observation(&format!("DiagnosticReport/{id}"));
    let path = format!("/fhir/Observation/{}/$confirm", observation["id"].as_str().expect("an id"));
    let refused = service.send("POST", &path, &[], None).expect(403);
    assert!(refused.body.contains("server.tokens_file"), "it says how: {}", refused.body);
}

#[test]
fn two_people_who_decide_at_once_are_both_heard_one_after_the_other() {
    let ward = Ward::open();
    ward.put("r1", report(RESPONDED));
    let decide = |n: usize| {
        let category = ["partial", "complete", "stable"][n % 3];
        ward.decide("DiagnosticReport/r1", "confirm", &[("category", category)]).status
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..9).map(|n| scope.spawn(move || decide(n))).collect();
        tasks.into_iter().map(|task| task.join().expect("an answer")).collect()
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let versions =
        "SELECT count(*) FROM observation_versions JOIN observations USING (observation_id) WHERE kind = 'answer'";
    let decisions = ward.service.database.count("SELECT count(*) FROM decisions");
    assert_eq!(ward.service.database.count(versions), decisions + 1);
}

#[test]
fn decisions_are_exported_as_rows_that_eval_reads() {
    let ward = Ward::open();
    ward.put("a", report(RESPONDED));
    ward.put("b", report(RESPONDED));
    ward.put("c", report(NOT_RESPONDED));
    ward.put("d", report(NOT_STATED));
    ward.decide("DiagnosticReport/a", "confirm", &[("category", "partial")]).expect(200);
    ward.decide("DiagnosticReport/b", "refute", &[]).expect(200);
    ward.decide("DiagnosticReport/c", "confirm", &[]).expect(200);
    ward.decide("DiagnosticReport/c", "refute", &[("label", "not-stated"), ("comment", "no treatment yet")])
        .expect(200);
    let export = |arguments: &[&str]| {
        let output = std::process::Command::new(RESPONSUM)
            .arg("export-decisions")
            .args(arguments)
            .env("DATABASE_URL", ward.service.database.url())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let rows: Vec<Value> = export(&[]).lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    let of = |id: &str| {
        let found = rows.iter().find(|row| row["id"].as_str().is_some_and(|own| own.contains(&format!("/{id}/"))));
        found.expect("a row").clone()
    };
    assert_eq!(rows.len(), 3);
    let a = of("a");
    assert_eq!((&a["label"], &a["category"], &a["text"]), (&json!("Yes"), &json!("partial"), &json!(RESPONDED)));
    let (start, end) = (a["evidence"][0]["start"].as_u64(), a["evidence"][0]["end"].as_u64());
    assert_eq!((start, end), (Some(0), Some(RESPONDED.len() as u64)));
    assert_eq!(of("b")["ambiguous"], true, "what is right is not known");
    let c = of("c");
    assert_eq!((&c["label"], &c["comment"]), (&json!("NA"), &json!("no treatment yet")));
    assert_eq!(c["said"]["label"], "not-responded");
    assert_eq!(export(&["--all"]).lines().count(), 4);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), export(&[])).expect("written");
    let output =
        std::process::Command::new(RESPONSUM).args(["eval", "--json"]).arg(file.path()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let measured: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(measured["n"], 2);
}
