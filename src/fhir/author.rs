//! Says an [`Answer`] in FHIR: Observation, Provenance, Device. A pure function of the answer and our base URL.

use responsum_fhir_authoring as authoring;
use responsum_fhir_authoring::{
    Activity, AgentDraft, AgentRole, Authored, AuthoringError, DeviceDraft, EffectiveDraft, EntityDraft, EntityRole,
    EvidenceDraft, IdentifierDraft, ObservationDraft, ObservationStatus, ProvenanceDraft, ReasonDraft, ReferenceDraft,
    Withdrawal,
};

use super::reference::BaseUrl;
use crate::domain::annotation::ModelVersion;
use crate::domain::document::{Effective, Identifier, Reference, ResourceType, WithdrawReason};
use crate::domain::label::{Category, Label};
use crate::domain::observation::{Answer, Standing};

/// The system of our Observations' identifiers; the value is the Observation's id.
pub const SYSTEM_OBSERVATION_ID: &str = "http://responsum.health/fhir/sid/observation";

/// The Observation of an answer.
///
/// Its references are absolute, so that it means the same wherever it is read.
pub fn observation(answer: &Answer, base: &BaseUrl) -> Result<Authored, AuthoringError> {
    let report = base.join(&answer.report.relative());
    let narrative = base.join(&format!("Binary/{}", answer.narrative));
    authoring::observation(&ObservationDraft {
        id: answer.observation_id.clone(),
        version_id: Some(answer.version.to_string()),
        last_updated: Some(answer.recorded_at),
        source: Some(report.clone()),
        identifiers: vec![IdentifierDraft {
            system: Some(SYSTEM_OBSERVATION_ID.into()),
            value: Some(answer.observation_id.clone()),
        }],
        status: status(answer.standing),
        about_cancer: answer.cancer,
        subject: answer.about.subject.as_ref().map(|subject| reference(subject, base)),
        encounter: answer.about.encounter.as_ref().map(|encounter| reference(encounter, base)),
        effective: answer.about.effective.clone().map(effective),
        issued: answer.annotated_at,
        label: label(answer.label),
        category: category(answer.category),
        // Four decimals, and no more digits than the model's own 32 bits hold.
        confidence: Some(f64::from(answer.confidence.get())),
        device: ReferenceDraft::to(base.join(&format!("Device/{}", device_id(&answer.model)))),
        derived_from: (answer.report.resource_type == ResourceType::DocumentReference)
            .then(|| ReferenceDraft::to(report)),
        evidence: answer
            .evidence
            .iter()
            .map(|span| EvidenceDraft {
                reference: narrative.clone(),
                path: Some("Binary.data".into()),
                offset: span.offset,
                length: span.length,
            })
            .collect(),
    })
}

/// The Provenance of one version of an Observation: which model made it, of which version of the report.
pub fn provenance(answer: &Answer, base: &BaseUrl) -> Result<String, AuthoringError> {
    let activity = match (answer.standing, answer.version) {
        (Standing::Withdrawn, _) => Activity::Nullify,
        (_, 1) => Activity::Create,
        _ => Activity::Update,
    };
    let document = format!("{}/_history/{}", answer.report.relative(), answer.document_version);
    let target = format!("Observation/{}/_history/{}", answer.observation_id, answer.version);
    let entity = |role, what: &str| EntityDraft { role, what: ReferenceDraft::to(base.join(what)) };
    authoring::provenance(&ProvenanceDraft {
        id: provenance_id(answer),
        version_id: Some("1".into()),
        last_updated: Some(answer.recorded_at),
        target: ReferenceDraft::to(base.join(&target)),
        occurred: Some(answer.recorded_at),
        recorded: answer.recorded_at,
        activity,
        reason: match answer.withdrawn {
            Some(reason) => ReasonDraft::Withdrawn(withdrawal(reason)),
            None => ReasonDraft::AiAsserted,
        },
        agents: vec![AgentDraft {
            role: AgentRole::Assembler,
            who: ReferenceDraft::to(base.join(&format!("Device/{}", device_id(&answer.model)))),
        }],
        entities: vec![
            entity(EntityRole::Source, &document),
            entity(EntityRole::Derivation, &format!("Binary/{}", answer.narrative)),
        ],
    })
}

/// The Device of a model version. `card` says what the model is good for, in short, and where to read more.
pub fn device(model: &ModelVersion, card: Option<String>) -> Result<String, AuthoringError> {
    authoring::device(&DeviceDraft {
        id: device_id(model),
        version_id: None,
        last_updated: None,
        card,
        model_name: model.id.clone(),
        model_version: model.version.clone(),
        model_sha256: model.sha256.hex(),
        software_version: env!("CARGO_PKG_VERSION").into(),
    })
}

/// `model-` and the first 40 hexadecimal digits of the model's SHA-256.
pub fn device_id(model: &ModelVersion) -> String {
    format!("model-{}", &model.sha256.hex()[..40])
}

/// The id of the Provenance of an Observation's version: the Observation's, with `prov-` for `obs-`, and the version.
pub fn provenance_id(answer: &Answer) -> String {
    let hash = answer.observation_id.trim_start_matches("obs-");
    format!("prov-{hash}-{}", answer.version)
}

/// The Observation and version that a Provenance id names.
pub fn of_provenance(id: &str) -> Option<(String, i32)> {
    let (hash, version) = id.strip_prefix("prov-")?.rsplit_once('-')?;
    Some((format!("obs-{hash}"), version.parse().ok()?))
}

fn status(standing: Standing) -> ObservationStatus {
    match standing {
        Standing::Absent | Standing::Preliminary => ObservationStatus::Preliminary,
        Standing::Reviewed => ObservationStatus::Final,
        Standing::Withdrawn => ObservationStatus::EnteredInError,
    }
}

fn label(label: Label) -> authoring::Label {
    match label {
        Label::Responded => authoring::Label::Responded,
        // A report that states nothing has no Observation; if it had one, it would not claim a response.
        Label::NotResponded | Label::NotStated => authoring::Label::NotResponded,
    }
}

fn category(category: Category) -> Option<authoring::Category> {
    match category {
        Category::Complete => Some(authoring::Category::Complete),
        Category::Partial => Some(authoring::Category::Partial),
        Category::Stable => Some(authoring::Category::Stable),
        Category::NoResponse => Some(authoring::Category::NoResponse),
        Category::Progressive => Some(authoring::Category::Progressive),
        Category::Mixed => Some(authoring::Category::Mixed),
        Category::Indeterminate => Some(authoring::Category::Indeterminate),
        Category::None => None,
    }
}

fn withdrawal(reason: WithdrawReason) -> Withdrawal {
    match reason {
        WithdrawReason::EnteredInError => Withdrawal::EnteredInError,
        WithdrawReason::Deleted => Withdrawal::Deleted,
        WithdrawReason::Superseded => Withdrawal::Superseded,
        WithdrawReason::NoLongerStated => Withdrawal::NoLongerStated,
        WithdrawReason::NoLongerReported => Withdrawal::NoLongerReported,
    }
}

fn effective(effective: Effective) -> EffectiveDraft {
    match effective {
        Effective::DateTime(text) => EffectiveDraft::DateTime(text),
        Effective::Period { start, end } => EffectiveDraft::Period { start, end },
    }
}

fn reference(reference: &Reference, base: &BaseUrl) -> ReferenceDraft {
    let identifier =
        |Identifier { system, value }: &Identifier| IdentifierDraft { system: system.clone(), value: value.clone() };
    ReferenceDraft {
        reference: reference.reference.as_deref().and_then(|text| base.absolute(text)),
        identifier: reference.identifier.as_ref().map(identifier),
    }
}
