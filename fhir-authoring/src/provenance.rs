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
        .activity(one_coding(terms::SYSTEM_DATA_OPERATION, draft.activity.code(), draft.activity.display())?)
        .agent(draft.agents.iter().map(|one| agent(one).map(Some)).collect::<Result<_, _>>()?)
        .entity(draft.entities.iter().map(|one| entity(one).map(Some)).collect::<Result<_, _>>()?);
    if let Some(occurred) = draft.occurred {
        builder = builder.occurred(ProvenanceOccurred::DateTime(DateTime::DateTime(instant(occurred))));
    }
    if let Some(reason) = reason(draft.reason)? {
        builder = builder.reason(vec![Some(reason)]);
    }
    let provenance = built("Provenance", builder.build())?;
    written("Provenance", serde_json::to_string(&provenance))
}

fn reason(draft: ReasonDraft) -> Result<Option<CodeableConcept>, AuthoringError> {
    match draft {
        ReasonDraft::AiAsserted => Ok(Some(concept(vec![ai_asserted()?])?)),
        ReasonDraft::Withdrawn(reason) => {
            let mut concept = one_coding(terms::SYSTEM_WITHDRAWAL, reason.code(), reason.display())?;
            concept.text = Some(reason.display().to_owned());
            Ok(Some(concept))
        }
        ReasonDraft::Reviewed => Ok(None),
    }
}

fn agent(draft: &AgentDraft) -> Result<ProvenanceAgent, AuthoringError> {
    let mut builder = ProvenanceAgent::builder().r#type(one_coding(
        terms::SYSTEM_PARTICIPANT,
        draft.role.code(),
        draft.role.display(),
    )?);
    if let Some(who) = reference(&draft.who)? {
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
