//! How one version of an Observation came about, as a Provenance.

use fhir_sdk::r4b::resources::{Provenance, ProvenanceAgent, ProvenanceEntity, ProvenanceOccurred};
use fhir_sdk::r4b::types::CodeableConcept;
use fhir_sdk::{BuilderError, DateTime};

use crate::datatypes::{MetaParts, ai_asserted, code, concept, instant, meta, one_coding, reference};
use crate::draft::{AgentDraft, EntityDraft, ProvenanceDraft, ReasonDraft};
use crate::{AuthoringError, built, terms, written};

/// Writes a Provenance of our profile; see `fhir-profiles/`.
pub fn provenance(draft: &ProvenanceDraft) -> Result<String, AuthoringError> {
    let mut builder = Provenance::builder()
        .id(draft.id.clone())
        .meta(meta(MetaParts {
            version_id: draft.version_id.as_ref(),
            last_updated: draft.last_updated,
            source: None,
            profile: terms::PROFILE_PROVENANCE,
            security: None,
        })?)
        .target(reference(&draft.target)?.into_iter().map(Some).collect())
        .recorded(instant(draft.recorded))
        .reason(vec![Some(reason(draft.reason)?)])
        .activity(one_coding(terms::SYSTEM_DATA_OPERATION, draft.activity.code(), draft.activity.display())?)
        .agent(draft.agents.iter().map(|one| agent(one).map(Some)).collect::<Result<_, _>>()?)
        .entity(draft.entities.iter().map(|one| entity(one).map(Some)).collect::<Result<_, _>>()?);
    if let Some(occurred) = draft.occurred {
        builder = builder.occurred(ProvenanceOccurred::DateTime(DateTime::DateTime(instant(occurred))));
    }
    let provenance = built("Provenance", builder.build())?;
    written("Provenance", serde_json::to_string(&provenance))
}

fn reason(draft: ReasonDraft) -> Result<CodeableConcept, AuthoringError> {
    match draft {
        ReasonDraft::AiAsserted => concept(vec![ai_asserted()?]),
        ReasonDraft::Withdrawn(reason) => {
            let mut concept = one_coding(terms::SYSTEM_WITHDRAWAL, reason.code(), reason.display())?;
            concept.text = Some(reason.display().to_owned());
            Ok(concept)
        }
        ReasonDraft::Reviewed => {
            one_coding(terms::SYSTEM_OBSERVATION_VALUE, terms::CODE_CLINICIAN_ASSERTED, "clinician asserted")
        }
    }
}

fn agent(draft: &AgentDraft) -> Result<ProvenanceAgent, AuthoringError> {
    let mut builder = ProvenanceAgent::builder().r#type(one_coding(
        terms::SYSTEM_PARTICIPANT,
        draft.role.code(),
        draft.role.display(),
    )?);
    if let Some(mut who) = reference(&draft.who)? {
        who.display.clone_from(&draft.name);
        builder = builder.who(who);
    }
    built("Provenance.agent", builder.build())
}

fn entity(draft: &EntityDraft) -> Result<ProvenanceEntity, AuthoringError> {
    let mut builder = ProvenanceEntity::builder().role(code(draft.role.code()));
    if let Some(what) = reference(&draft.what)? {
        builder = builder.what(what);
    }
    let entity: Result<_, BuilderError> = builder.build();
    built("Provenance.entity", entity)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::draft::{Activity, AgentRole, EntityRole, ReferenceDraft, Withdrawal};

    fn draft() -> ProvenanceDraft {
        ProvenanceDraft {
            id: "prov-1".to_owned(),
            version_id: None,
            last_updated: None,
            target: ReferenceDraft::to("Observation/obs-1/_history/2"),
            occurred: None,
            recorded: datetime!(2026-03-02 09:15:30 UTC),
            activity: Activity::Update,
            reason: ReasonDraft::AiAsserted,
            agents: vec![AgentDraft {
                role: AgentRole::Assembler,
                who: ReferenceDraft::to("Device/model-1"),
                name: None,
            }],
            entities: vec![EntityDraft {
                role: EntityRole::Source,
                what: ReferenceDraft::to("DiagnosticReport/7/_history/2"),
            }],
        }
    }

    fn read(draft: &ProvenanceDraft) -> Value {
        serde_json::from_str(&provenance(draft).expect("a Provenance")).expect("JSON")
    }

    #[test]
    fn it_names_the_exact_versions_and_the_device() {
        let expected = json!({
            "resourceType": "Provenance",
            "id": "prov-1",
            "meta": {"profile": [terms::PROFILE_PROVENANCE]},
            "target": [{"reference": "Observation/obs-1/_history/2"}],
            "recorded": "2026-03-02T09:15:30Z",
            "reason": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                "code": "AIAST",
                "display": "Artificial Intelligence asserted"
            }]}],
            "activity": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "UPDATE", "display": "revise"
            }]},
            "agent": [{
                "type": {"coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                    "code": "assembler",
                    "display": "Assembler"
                }]},
                "who": {"reference": "Device/model-1"}
            }],
            "entity": [{"role": "source", "what": {"reference": "DiagnosticReport/7/_history/2"}}]
        });
        assert_eq!(read(&draft()), expected);
    }

    #[test]
    fn a_withdrawal_says_why_in_code_and_words() {
        for reason in Withdrawal::ALL {
            let provenance = read(&ProvenanceDraft {
                activity: Activity::Nullify,
                reason: ReasonDraft::Withdrawn(*reason),
                ..draft()
            });
            assert_eq!(provenance["reason"][0]["coding"][0]["code"], reason.code());
            assert_eq!(provenance["reason"][0]["text"], reason.display());
            assert_eq!(provenance["activity"]["coding"][0]["code"], "NULLIFY");
        }
    }

    #[test]
    fn a_review_names_the_person_beside_the_device() {
        let person = AgentDraft {
            role: AgentRole::Verifier,
            who: ReferenceDraft::to("Practitioner/17"),
            name: Some("Dr. Adams".to_owned()),
        };
        let agents = [vec![person], draft().agents].concat();
        let provenance = read(&ProvenanceDraft { reason: ReasonDraft::Reviewed, agents, ..draft() });
        assert_eq!(provenance["reason"][0]["coding"][0]["code"], "CLINAST");
        let who = json!({"reference": "Practitioner/17", "display": "Dr. Adams"});
        assert_eq!(provenance["agent"][0]["who"], who);
        assert_eq!(provenance["agent"][1]["who"]["reference"], "Device/model-1");
    }

    #[test]
    fn every_entity_role_can_be_written_and_an_agent_without_a_name_is_refused() {
        for role in EntityRole::ALL {
            let entities = vec![EntityDraft { role: *role, what: ReferenceDraft::to("Binary/1") }];
            assert_eq!(read(&ProvenanceDraft { entities, ..draft() })["entity"][0]["role"], role.code());
        }
        let agents = vec![AgentDraft { role: AgentRole::Verifier, who: ReferenceDraft::default(), name: None }];
        let refused = provenance(&ProvenanceDraft { agents, ..draft() });
        assert!(matches!(refused, Err(AuthoringError::Build { resource: "Provenance.agent", .. })));
    }
}
