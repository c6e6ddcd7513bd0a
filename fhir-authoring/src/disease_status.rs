//! A cancer's status, as mCODE wants it from a clinician.

use fhir_sdk::r4b::resources::{Observation, ObservationEffective, ObservationValue};
use fhir_sdk::r4b::types::ExtensionValue;

use crate::datatypes::{
    MetaParts, category_of, code, date_time, identifiers, instant, meta, one_coding, person, reference, references,
};
use crate::draft::DiseaseStatusDraft;
use crate::observation::{extension, may_derive_from};
use crate::{AuthoringError, built, terms, written};

/// Writes an mCODE Cancer Disease Status (STU 4).
///
/// It has what the profile needs and nothing that it does not use: no device, no component, no `hasMember`. `focus` would
/// name the Condition, which a report does not tell.
pub fn disease_status(draft: &DiseaseStatusDraft) -> Result<String, AuthoringError> {
    let effective = date_time(&draft.effective).ok_or(AuthoringError::Effective)?;
    let mut builder = Observation::builder()
        .id(draft.id.clone())
        .meta(meta(MetaParts {
            version_id: draft.version_id.as_ref(),
            last_updated: draft.last_updated,
            source: draft.source.as_ref(),
            profile: terms::PROFILE_DISEASE_STATUS,
            security: None,
        })?)
        .identifier(identifiers(&draft.identifiers)?)
        .status(code(draft.status.code()))
        .code(one_coding(terms::SYSTEM_LOINC, terms::LOINC_DISEASE_STATUS, "Cancer disease progression")?)
        .effective(ObservationEffective::DateTime(effective))
        .issued(instant(draft.issued))
        .performer(vec![Some(person(&draft.performer)?)])
        .value(ObservationValue::CodeableConcept(one_coding(
            terms::SYSTEM_SNOMED,
            draft.trend.code(),
            draft.trend.display(),
        )?))
        .derived_from(references(&may_derive_from(&draft.derived_from))?);
    if let Some(subject) = reference(&draft.subject)? {
        builder = builder.subject(subject);
    }
    if let Some(encounter) = draft.encounter.as_ref().map(reference).transpose()?.flatten() {
        builder = builder.encounter(encounter);
    }
    if let Some(kind) = draft.report_kind {
        let (code, display) = kind.evidence();
        let evidence = ExtensionValue::CodeableConcept(one_coding(terms::SYSTEM_SNOMED, code, display)?);
        builder = builder
            .category(vec![Some(category_of(kind)?)])
            .extension(vec![extension(terms::EXTENSION_EVIDENCE_TYPE, evidence)?]);
    }
    let observation = built("Observation", builder.build())?;
    written("Observation", serde_json::to_string(&observation))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::draft::{ObservationStatus, PersonDraft, ReferenceDraft, ReportKind, Trend};

    fn draft() -> DiseaseStatusDraft {
        DiseaseStatusDraft {
            id: "mcode-1".to_owned(),
            version_id: Some("1".to_owned()),
            last_updated: None,
            source: Some("https://ehr.example/fhir/DocumentReference/7".to_owned()),
            identifiers: Vec::new(),
            status: ObservationStatus::Final,
            subject: ReferenceDraft::to("Patient/1"),
            encounter: None,
            effective: "2026-02-27".to_owned(),
            issued: datetime!(2026-03-02 09:15:30 UTC),
            performer: PersonDraft { reference: "Practitioner/17".to_owned(), name: Some("Dr. Adams".to_owned()) },
            trend: Trend::Worsened,
            report_kind: Some(ReportKind::Imaging),
            derived_from: vec![ReferenceDraft::to("DocumentReference/7")],
        }
    }

    fn read(draft: &DiseaseStatusDraft) -> Value {
        serde_json::from_str(&disease_status(draft).expect("an Observation")).expect("JSON")
    }

    #[test]
    fn it_has_the_shape_that_mcode_says() {
        let expected = json!({
            "resourceType": "Observation",
            "id": "mcode-1",
            "meta": {
                "versionId": "1",
                "source": "https://ehr.example/fhir/DocumentReference/7",
                "profile": ["http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-cancer-disease-status"]
            },
            "extension": [{
                "url": "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-cancer-disease-status-evidence-type",
                "valueCodeableConcept": {"coding": [{
                    "system": "http://snomed.info/sct", "code": "363679005", "display": "Imaging"
                }]}
            }],
            "status": "final",
            "category": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                "code": "imaging",
                "display": "Imaging"
            }]}],
            "code": {"coding": [{
                "system": "http://loinc.org", "code": "97509-4", "display": "Cancer disease progression"
            }]},
            "subject": {"reference": "Patient/1"},
            "effectiveDateTime": "2026-02-27",
            "issued": "2026-03-02T09:15:30Z",
            "performer": [{"reference": "Practitioner/17", "display": "Dr. Adams"}],
            "valueCodeableConcept": {"coding": [{
                "system": "http://snomed.info/sct", "code": "271299001", "display": "Patient's condition worsened"
            }]},
            "derivedFrom": [{"reference": "DocumentReference/7"}]
        });
        assert_eq!(read(&draft()), expected);
    }

    #[test]
    fn every_trend_and_kind_of_report_can_be_written_and_a_date_must_be_one() {
        for trend in Trend::ALL {
            let written = read(&DiseaseStatusDraft { trend: *trend, ..draft() });
            assert_eq!(written["valueCodeableConcept"]["coding"][0]["code"], trend.code());
        }
        for kind in ReportKind::ALL {
            let written = read(&DiseaseStatusDraft { report_kind: Some(*kind), ..draft() });
            assert_eq!(written["extension"][0]["valueCodeableConcept"]["coding"][0]["code"], kind.evidence().0);
        }
        let undated = disease_status(&DiseaseStatusDraft { effective: "soon".to_owned(), ..draft() });
        assert!(matches!(undated, Err(AuthoringError::Effective)));
    }
}
