//! The answer for one report, as an Observation.

use fhir_sdk::r4b::resources::{
    Observation, ObservationComponent, ObservationComponentValue, ObservationEffective, ObservationValue,
};
use fhir_sdk::r4b::types::{CodeableConcept, Extension, ExtensionValue, Period};

use crate::datatypes::{
    MetaParts, ai_asserted, category_of, code, coding, concept, date_time, identifiers, instant, meta, one_coding,
    person, probability, reference, references,
};
use crate::draft::{
    Authored, Category, EffectiveDraft, EvidenceDraft, Label, LeftOut, ObservationDraft, ReferenceDraft,
};
use crate::{AuthoringError, built, terms, written};

/// Writes an Observation of our profiles; see `fhir-profiles/`.
///
/// What FHIR cannot hold of the report's own dates is left out and named in the result.
pub fn observation(draft: &ObservationDraft) -> Result<Authored, AuthoringError> {
    let mut left_out = Vec::new();
    let by_machine = draft.device.is_some();
    let mut builder = Observation::builder()
        .id(draft.id.clone())
        .meta(meta(MetaParts {
            version_id: draft.version_id.as_ref(),
            last_updated: draft.last_updated,
            source: draft.source.as_ref(),
            profile: if by_machine { terms::PROFILE_OBSERVATION } else { terms::PROFILE_STATEMENT },
            security: if by_machine { Some(ai_asserted()?) } else { None },
        })?)
        .identifier(identifiers(&draft.identifiers)?)
        .status(code(draft.status.code()))
        .code(task(draft.about_cancer)?)
        .issued(instant(draft.issued))
        .value(ObservationValue::CodeableConcept(value(draft.label, &draft.evidence)?))
        .component(components(draft)?);
    if let Some(subject) = draft.subject.as_ref().map(reference).transpose()?.flatten() {
        builder = builder.subject(subject);
    }
    if let Some(encounter) = draft.encounter.as_ref().map(reference).transpose()?.flatten() {
        builder = builder.encounter(encounter);
    }
    if let Some(effective) = draft.effective.as_ref().and_then(|given| effective(given, &mut left_out)) {
        builder = builder.effective(effective?);
    }
    if let Some(device) = draft.device.as_ref().map(reference).transpose()?.flatten() {
        builder = builder.device(device);
    }
    if let Some(performer) = &draft.performer {
        builder = builder.performer(vec![Some(person(performer)?)]);
    }
    if let Some(kind) = draft.report_kind {
        builder = builder.category(vec![Some(category_of(kind)?)]);
    }
    builder = builder.derived_from(references(&may_derive_from(&draft.derived_from))?);
    let observation = built("Observation", builder.build())?;
    Ok(Authored { json: written("Observation", serde_json::to_string(&observation))?, left_out })
}

/// What was observed: our own code, and LOINC's beside it where it means the same.
fn task(about_cancer: bool) -> Result<CodeableConcept, AuthoringError> {
    let mut codings = vec![coding(terms::SYSTEM_OBSERVATION, terms::CODE_TREATMENT_RESPONSE, "Response to treatment")?];
    if about_cancer {
        codings.push(coding(terms::SYSTEM_LOINC, terms::LOINC_CANCER_RESPONSE, "Response to cancer treatment")?);
    }
    concept(codings)
}

/// The answer, with the spans that say so.
fn value(label: Label, evidence: &[EvidenceDraft]) -> Result<CodeableConcept, AuthoringError> {
    let mut value = one_coding(terms::SYSTEM_LABEL, label.code(), label.display())?;
    value.extension = evidence.iter().map(derivation).collect::<Result<_, _>>()?;
    Ok(value)
}

/// One span as the standard extension `derivation-reference`.
fn derivation(evidence: &EvidenceDraft) -> Result<Extension, AuthoringError> {
    let integer = |number: usize| i32::try_from(number).map_err(|_| AuthoringError::EvidenceSpan);
    let mut parts = Vec::new();
    if let Some(target) = reference(&ReferenceDraft::to(evidence.reference.as_str()))? {
        parts.push(extension("reference", ExtensionValue::Reference(target))?);
    }
    if let Some(path) = &evidence.path {
        parts.push(extension("path", ExtensionValue::String(path.clone()))?);
    }
    parts.push(extension("offset", ExtensionValue::Integer(integer(evidence.offset)?))?);
    parts.push(extension("length", ExtensionValue::Integer(integer(evidence.length)?))?);
    let builder = Extension::builder().url(terms::EXTENSION_DERIVATION.to_owned()).extension(parts);
    built("Extension", builder.build())
}

pub(crate) fn extension(url: &str, value: ExtensionValue) -> Result<Extension, AuthoringError> {
    built("Extension", Extension::builder().url(url.to_owned()).value(value).build())
}

/// Category and confidence, those that are given.
fn components(draft: &ObservationDraft) -> Result<Vec<Option<ObservationComponent>>, AuthoringError> {
    let mut components = Vec::new();
    if let Some(category) = draft.category {
        let mut codings = vec![coding(terms::SYSTEM_CATEGORY, category.code(), category.display())?];
        if let Some((code, display)) = snomed(category) {
            codings.push(coding(terms::SYSTEM_SNOMED, code, display)?);
        }
        let value = ObservationComponentValue::CodeableConcept(concept(codings)?);
        components.push(Some(component(terms::CODE_CATEGORY, "Category of the response", value)?));
    }
    if let Some(confidence) = draft.confidence {
        let value = ObservationComponentValue::Quantity(probability(confidence)?);
        components.push(Some(component(terms::CODE_CONFIDENCE, "Confidence of the model", value)?));
    }
    Ok(components)
}

fn component(
    code: &str,
    display: &str,
    value: ObservationComponentValue,
) -> Result<ObservationComponent, AuthoringError> {
    let code = one_coding(terms::SYSTEM_OBSERVATION, code, display)?;
    built("Observation.component", ObservationComponent::builder().code(code).value(value).build())
}

/// The SNOMED CT finding that means the same (those that mCODE prefers for a cancer's trend), where there is one.
const fn snomed(category: Category) -> Option<(&'static str, &'static str)> {
    match category {
        Category::Partial => Some(("268910001", "Patient's condition improved")),
        Category::Stable => Some(("359746009", "Patient's condition stable")),
        Category::Progressive => Some(("271299001", "Patient's condition worsened")),
        Category::Complete | Category::NoResponse | Category::Mixed | Category::Indeterminate => None,
    }
}

/// `effective[x]` as far as FHIR can hold it; what it cannot is added to `left_out`.
fn effective(
    draft: &EffectiveDraft,
    left_out: &mut Vec<LeftOut>,
) -> Option<Result<ObservationEffective, AuthoringError>> {
    let mut read = |text: &Option<String>, otherwise: LeftOut| {
        let read = text.as_deref().and_then(date_time);
        if text.is_some() && read.is_none() {
            left_out.push(otherwise);
        }
        read
    };
    match draft {
        EffectiveDraft::DateTime(text) => read(&Some(text.clone()), LeftOut::EffectiveDateTime)
            .map(|moment| Ok(ObservationEffective::DateTime(moment))),
        EffectiveDraft::Period { start, end } => {
            let (start, end) = (read(start, LeftOut::EffectiveStart), read(end, LeftOut::EffectiveEnd));
            if let (Some(start), Some(end)) = (&start, &end)
                && start > end
            {
                left_out.push(LeftOut::EffectiveOrder);
                return None;
            }
            let mut builder = Period::builder();
            if start.is_none() && end.is_none() {
                return None;
            }
            if let Some(start) = start {
                builder = builder.start(start);
            }
            if let Some(end) = end {
                builder = builder.end(end);
            }
            Some(built("Period", builder.build()).map(ObservationEffective::Period))
        }
    }
}

/// Those that R4's `Observation.derivedFrom` allows. Of the two resources that carry reports it allows one.
pub(crate) fn may_derive_from(sources: &[ReferenceDraft]) -> Vec<ReferenceDraft> {
    let names = |source: &ReferenceDraft, kind: &str| {
        source.reference.as_deref().is_some_and(|literal| literal.split('/').any(|segment| segment == kind))
    };
    let allowed = |source: &&ReferenceDraft| !names(source, "DiagnosticReport") || names(source, "DocumentReference");
    sources.iter().filter(allowed).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::draft::{IdentifierDraft, ObservationStatus};

    fn draft() -> ObservationDraft {
        ObservationDraft {
            id: "obs-1".to_owned(),
            version_id: Some("3".to_owned()),
            last_updated: Some(datetime!(2026-03-02 09:15:30.123456789 UTC)),
            source: Some("https://ehr.example/fhir/DiagnosticReport/7".to_owned()),
            identifiers: vec![IdentifierDraft::default()],
            status: ObservationStatus::Preliminary,
            about_cancer: false,
            subject: Some(ReferenceDraft::to("Patient/1")),
            encounter: Some(ReferenceDraft {
                reference: None,
                identifier: Some(IdentifierDraft { system: None, value: Some("visit 9".to_owned()) }),
            }),
            effective: Some(EffectiveDraft::DateTime("2026-02".to_owned())),
            issued: datetime!(2026-03-02 09:15:30 UTC),
            label: Label::NotResponded,
            category: Some(Category::Progressive),
            confidence: Some(f64::from(0.873_456_f32)),
            device: Some(ReferenceDraft::to("Device/model-1")),
            performer: None,
            report_kind: None,
            derived_from: Vec::new(),
            evidence: vec![EvidenceDraft {
                reference: "Binary/narrative-7".to_owned(),
                path: None,
                offset: 12,
                length: 34,
            }],
        }
    }

    fn read(draft: &ObservationDraft) -> (Value, Vec<LeftOut>) {
        let authored = observation(draft).expect("an Observation");
        (serde_json::from_str(&authored.json).expect("JSON"), authored.left_out)
    }

    #[test]
    fn an_answer_has_the_shape_that_the_profile_says() {
        let (observation, left_out) = read(&draft());
        let expected = json!({
            "resourceType": "Observation",
            "id": "obs-1",
            "meta": {
                "versionId": "3",
                "lastUpdated": "2026-03-02T09:15:30.123Z",
                "source": "https://ehr.example/fhir/DiagnosticReport/7",
                "profile": [terms::PROFILE_OBSERVATION],
                "security": [{
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                    "code": "AIAST",
                    "display": "Artificial Intelligence asserted"
                }]
            },
            "status": "preliminary",
            "code": {"coding": [{
                "system": terms::SYSTEM_OBSERVATION, "code": "treatment-response", "display": "Response to treatment"
            }]},
            "subject": {"reference": "Patient/1"},
            "encounter": {"identifier": {"value": "visit 9"}},
            "effectiveDateTime": "2026-02",
            "issued": "2026-03-02T09:15:30Z",
            "valueCodeableConcept": {
                "extension": [{
                    "extension": [
                        {"url": "reference", "valueReference": {"reference": "Binary/narrative-7"}},
                        {"url": "offset", "valueInteger": 12},
                        {"url": "length", "valueInteger": 34}
                    ],
                    "url": "http://hl7.org/fhir/StructureDefinition/derivation-reference"
                }],
                "coding": [{
                    "system": terms::SYSTEM_LABEL, "code": "not-responded", "display": "Did not respond to treatment"
                }]
            },
            "device": {"reference": "Device/model-1"},
            "component": [
                {
                    "code": {"coding": [{
                        "system": terms::SYSTEM_OBSERVATION,
                        "code": "response-category",
                        "display": "Category of the response"
                    }]},
                    "valueCodeableConcept": {"coding": [
                        {"system": terms::SYSTEM_CATEGORY, "code": "progressive", "display": "Progressive disease"},
                        {"system": terms::SYSTEM_SNOMED, "code": "271299001", "display": "Patient's condition worsened"}
                    ]}
                },
                {
                    "code": {"coding": [{
                        "system": terms::SYSTEM_OBSERVATION,
                        "code": "confidence",
                        "display": "Confidence of the model"
                    }]},
                    "valueQuantity": {
                        "value": 0.8735, "unit": "probability", "system": "http://unitsofmeasure.org", "code": "1"
                    }
                }
            ]
        });
        assert_eq!(observation, expected);
        assert!(left_out.is_empty());
    }

    #[test]
    fn loinc_stands_beside_our_code_where_the_text_is_about_cancer() {
        let (observation, _) = read(&ObservationDraft { about_cancer: true, ..draft() });
        assert_eq!(observation["code"]["coding"][1]["code"], "88040-1");
        assert_eq!(observation["code"]["coding"][1]["system"], "http://loinc.org");
    }

    #[test]
    fn every_status_label_and_category_can_be_written() {
        for status in ObservationStatus::ALL {
            assert_eq!(read(&ObservationDraft { status: *status, ..draft() }).0["status"], status.code());
        }
        for label in Label::ALL {
            let (observation, _) = read(&ObservationDraft { label: *label, ..draft() });
            assert_eq!(observation["valueCodeableConcept"]["coding"][0]["code"], label.code());
        }
        for category in Category::ALL {
            let (observation, _) = read(&ObservationDraft { category: Some(*category), ..draft() });
            let codings = observation["component"][0]["valueCodeableConcept"]["coding"].as_array().expect("codings");
            assert_eq!(codings[0]["code"], category.code());
            assert_eq!(codings.len(), if snomed(*category).is_some() { 2 } else { 1 });
        }
    }

    #[test]
    fn what_a_person_says_has_the_person_and_no_machine() {
        let performer =
            Some(crate::PersonDraft { reference: "Practitioner/17".to_owned(), name: Some("A".to_owned()) });
        let (confirmed, _) = read(&ObservationDraft {
            status: ObservationStatus::Final,
            performer: performer.clone(),
            report_kind: Some(crate::ReportKind::Imaging),
            ..draft()
        });
        assert_eq!(confirmed["performer"], json!([{"reference": "Practitioner/17", "display": "A"}]));
        assert_eq!(confirmed["category"][0]["coding"][0]["code"], "imaging");
        assert_eq!(confirmed["meta"]["security"][0]["code"], "AIAST");
        let (said, _) = read(&ObservationDraft {
            status: ObservationStatus::Final,
            performer,
            device: None,
            confidence: None,
            ..draft()
        });
        assert_eq!(said["meta"]["profile"], json!([terms::PROFILE_STATEMENT]));
        assert!(said.get("device").is_none() && said["meta"].get("security").is_none(), "{said}");
    }

    #[test]
    fn what_was_taken_back_keeps_its_content() {
        let (mut standing, _) = read(&draft());
        let (withdrawn, _) = read(&ObservationDraft { status: ObservationStatus::EnteredInError, ..draft() });
        standing["status"] = json!("entered-in-error");
        assert_eq!(withdrawn, standing);
    }

    #[test]
    fn a_date_that_fhir_cannot_hold_is_left_out_and_named() {
        let period = |start: &str, end: &str| EffectiveDraft::Period {
            start: (!start.is_empty()).then(|| start.to_owned()),
            end: (!end.is_empty()).then(|| end.to_owned()),
        };
        for (effective, expected, named) in [
            (EffectiveDraft::DateTime("2026-02-30".to_owned()), Value::Null, vec![LeftOut::EffectiveDateTime]),
            (EffectiveDraft::DateTime("2026-02-03T10:00:00".to_owned()), Value::Null, vec![LeftOut::EffectiveDateTime]),
            (period("2026-02-03", ""), json!({"start": "2026-02-03"}), vec![]),
            (period("soon", "2026-02-03"), json!({"end": "2026-02-03"}), vec![LeftOut::EffectiveStart]),
            (period("soon", "later"), Value::Null, vec![LeftOut::EffectiveStart, LeftOut::EffectiveEnd]),
            (period("2026-02-03", "2026-02-01"), Value::Null, vec![LeftOut::EffectiveOrder]),
            (period("2026-02-03", "2026-02"), json!({"start": "2026-02-03", "end": "2026-02"}), vec![]),
            (period("", ""), Value::Null, vec![]),
        ] {
            let (observation, left_out) = read(&ObservationDraft { effective: Some(effective), ..draft() });
            assert_eq!(observation["effectivePeriod"], expected);
            assert_eq!(observation["effectiveDateTime"], Value::Null);
            assert_eq!(left_out, named);
        }
    }

    #[test]
    fn only_a_document_reference_is_derived_from() {
        for (source, expected) in [
            ("DiagnosticReport/7", Value::Null),
            ("https://ehr.example/fhir/DiagnosticReport/7/_history/2", Value::Null),
            ("DocumentReference/7", json!([{"reference": "DocumentReference/7"}])),
            ("urn:uuid:6f1f2b0e", json!([{"reference": "urn:uuid:6f1f2b0e"}])),
        ] {
            let derived_from = vec![ReferenceDraft::to(source)];
            assert_eq!(read(&ObservationDraft { derived_from, ..draft() }).0["derivedFrom"], expected);
        }
    }

    #[test]
    fn what_cannot_be_said_is_an_error_without_input() {
        let confidence = observation(&ObservationDraft { confidence: Some(1.7), ..draft() });
        assert!(matches!(confidence, Err(AuthoringError::Confidence)));
        let far = EvidenceDraft { reference: "Binary/1".to_owned(), path: None, offset: 1 << 31, length: 1 };
        let evidence = observation(&ObservationDraft { evidence: vec![far], ..draft() });
        assert!(matches!(evidence, Err(AuthoringError::EvidenceSpan)));
    }
}
