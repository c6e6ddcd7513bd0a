//! Says an [`Answer`] in FHIR: Observation, Provenance, Device. A pure function of the answer and our base URL.
//!
//! One function serves every [`Kind`] of Observation: whoever writes them elsewhere need not tell them apart.

use responsum_fhir_authoring as authoring;
use responsum_fhir_authoring::{
    Activity, AgentDraft, AgentRole, Authored, AuthoringError, DeviceDraft, DiseaseStatusDraft, EffectiveDraft,
    EntityDraft, EntityRole, EvidenceDraft, IdentifierDraft, ObservationDraft, ObservationStatus, PersonDraft,
    ProvenanceDraft, ReasonDraft, ReferenceDraft, Withdrawal,
};

use time::OffsetDateTime;

use super::reference::BaseUrl;
use crate::digest::sha256;
use crate::domain::annotation::ModelVersion;
use crate::domain::decision;
use crate::domain::decision::{Reviewer, Trend};
use crate::domain::document::{Effective, Identifier, Reference, ReportKind, ResourceType, WithdrawReason};
use crate::domain::label::{Category, Label};
use crate::domain::observation::{Answer, Kind, Standing, observation_id};

/// The system of our Observations' identifiers; the value is the Observation's id.
pub const SYSTEM_OBSERVATION_ID: &str = "http://responsum.health/fhir/sid/observation";

/// The Observation of an answer.
///
/// Its references are absolute, so that it means the same wherever it is read.
pub fn observation(answer: &Answer, base: &BaseUrl) -> Result<Authored, AuthoringError> {
    if answer.kind == Kind::DiseaseStatus {
        return Ok(Authored { json: disease_status(answer, base)?, left_out: Vec::new() });
    }
    let by_machine = answer.kind == Kind::Answer;
    let report = base.join(&answer.report.relative());
    let narrative = base.join(&format!("Binary/{}", answer.narrative));
    authoring::observation(&ObservationDraft {
        id: answer.observation_id.clone(),
        version_id: Some(answer.version.to_string()),
        last_updated: Some(answer.recorded_at),
        source: Some(report),
        identifiers: identifiers(answer),
        status: status(answer.standing),
        about_cancer: answer.cancer,
        subject: answer.about.subject.as_ref().map(|subject| reference(subject, base)),
        encounter: answer.about.encounter.as_ref().map(|encounter| reference(encounter, base)),
        effective: answer.about.effective.clone().map(effective),
        issued: issued(answer),
        label: label(answer.label),
        category: category(answer.category),
        // Four decimals, and no more digits than the model's own 32 bits hold.
        confidence: by_machine.then(|| f64::from(answer.confidence.get())),
        device: by_machine.then(|| ReferenceDraft::to(base.join(&format!("Device/{}", device_id(&answer.model))))),
        performer: answer.performer.as_ref().map(|person| performer(person, base)),
        report_kind: answer.about.kind.map(report_kind),
        derived_from: derived_from(answer, base),
        // What the model found says what the model said: a person who says otherwise has read the whole.
        evidence: answer
            .evidence
            .iter()
            .filter(|_| by_machine)
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
        (Standing::Withdrawn | Standing::Refuted, _) => Activity::Nullify,
        (_, 1) => Activity::Create,
        _ => Activity::Update,
    };
    let target = format!("Observation/{}/_history/{}", answer.observation_id, answer.version);
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
            None if answer.decision.is_some() => ReasonDraft::Reviewed,
            None => ReasonDraft::AiAsserted,
        },
        agents: agents(answer, base),
        entities: entities(answer, base),
    })
}

/// The person who made the version, and the model whose reading it still is. Where the report's source takes back what a
/// person has said, our software does it: the model's Device stands for that.
fn agents(answer: &Answer, base: &BaseUrl) -> Vec<AgentDraft> {
    let device = AgentDraft {
        role: AgentRole::Assembler,
        who: ReferenceDraft::to(base.join(&format!("Device/{}", device_id(&answer.model)))),
        name: None,
    };
    let Some(decision) = &answer.decision else { return vec![device] };
    let says_it = answer.kind != Kind::Answer && answer.withdrawn.is_none();
    let person = AgentDraft {
        role: if says_it { AgentRole::Author } else { AgentRole::Verifier },
        who: ReferenceDraft { reference: base.absolute(&decision.reviewer.practitioner), ..ReferenceDraft::default() },
        name: decision.reviewer.name.clone(),
    };
    match (answer.kind, answer.withdrawn) {
        (Kind::Answer, None) => vec![person, device],
        (Kind::Answer, Some(_)) | (Kind::Corrected | Kind::DiseaseStatus, _) => vec![person],
    }
}

/// The exact version of the report, the narrative drawn from it, and the answer that a person decided on.
fn entities(answer: &Answer, base: &BaseUrl) -> Vec<EntityDraft> {
    let entity = |role, what: &str| EntityDraft { role, what: ReferenceDraft::to(base.join(what)) };
    let document = format!("{}/_history/{}", answer.report.relative(), answer.document_version);
    let mut entities = vec![
        entity(EntityRole::Source, &document),
        entity(EntityRole::Derivation, &format!("Binary/{}", answer.narrative)),
    ];
    if let Some(decision) = &answer.decision {
        let decided_on =
            format!("Observation/{}/_history/{}", observation_id(&answer.report, sha256), decision.observation_version);
        let role = if answer.kind == Kind::DiseaseStatus { EntityRole::Derivation } else { EntityRole::Revision };
        entities.push(entity(role, &decided_on));
    }
    entities
}

/// What a person says of a cancer's trend, as mCODE's Cancer Disease Status.
fn disease_status(answer: &Answer, base: &BaseUrl) -> Result<String, AuthoringError> {
    // One is stored only with all of these (domain::decision::disease_status); without them there is none to author.
    let trend =
        decision::disease_status(true, answer.category, &answer.about).map_err(|_| AuthoringError::Effective)?;
    let effective = answer.about.effective.as_ref().and_then(Effective::known_at).unwrap_or_default().to_owned();
    let person = answer.performer.as_ref().ok_or(AuthoringError::Performer)?;
    authoring::disease_status(&DiseaseStatusDraft {
        id: answer.observation_id.clone(),
        version_id: Some(answer.version.to_string()),
        last_updated: Some(answer.recorded_at),
        source: Some(base.join(&answer.report.relative())),
        identifiers: identifiers(answer),
        status: status(answer.standing),
        subject: answer.about.subject.as_ref().map(|subject| reference(subject, base)).unwrap_or_default(),
        encounter: answer.about.encounter.as_ref().map(|encounter| reference(encounter, base)),
        effective,
        issued: issued(answer),
        performer: performer(person, base),
        trend: match trend {
            Trend::Improved => authoring::Trend::Improved,
            Trend::Stable => authoring::Trend::Stable,
            Trend::Worsened => authoring::Trend::Worsened,
        },
        report_kind: answer.about.kind.map(report_kind),
        derived_from: derived_from(answer, base),
    })
}

fn identifiers(answer: &Answer) -> Vec<IdentifierDraft> {
    vec![IdentifierDraft { system: Some(SYSTEM_OBSERVATION_ID.into()), value: Some(answer.observation_id.clone()) }]
}

/// When the model said so; what a person says alone, when the person did.
fn issued(answer: &Answer) -> OffsetDateTime {
    if answer.kind == Kind::Answer { answer.annotated_at } else { answer.stated_at }
}

/// The `DocumentReference`s among the report and those that have the same attachment.
fn derived_from(answer: &Answer, base: &BaseUrl) -> Vec<ReferenceDraft> {
    let reports = std::iter::once(&answer.report).chain(&answer.linked);
    let documents = reports.filter(|report| report.resource_type == ResourceType::DocumentReference);
    documents.map(|report| ReferenceDraft::to(base.join(&report.relative()))).collect()
}

fn performer(person: &Reviewer, base: &BaseUrl) -> PersonDraft {
    let reference = base.absolute(&person.practitioner).unwrap_or_default();
    PersonDraft { reference, name: person.name.clone() }
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

/// The id of the Provenance of an Observation's version: `prov-`, the Observation's without `obs-`, and the version.
pub fn provenance_id(answer: &Answer) -> String {
    let hash = answer.observation_id.trim_start_matches("obs-");
    format!("prov-{hash}-{}", answer.version)
}

/// The Observation and version that a Provenance id names.
pub fn of_provenance(id: &str) -> Option<(String, i32)> {
    let (observation, version) = id.strip_prefix("prov-")?.rsplit_once('-')?;
    // Those of the other kinds keep their own prefix.
    let observation = if observation.contains('-') { observation.to_owned() } else { format!("obs-{observation}") };
    Some((observation, version.parse().ok()?))
}

fn status(standing: Standing) -> ObservationStatus {
    match standing {
        Standing::Absent | Standing::Preliminary => ObservationStatus::Preliminary,
        Standing::Reviewed => ObservationStatus::Final,
        Standing::Withdrawn | Standing::Refuted => ObservationStatus::EnteredInError,
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

fn report_kind(kind: ReportKind) -> authoring::ReportKind {
    match kind {
        ReportKind::Imaging => authoring::ReportKind::Imaging,
        ReportKind::Pathology => authoring::ReportKind::Pathology,
        ReportKind::Laboratory => authoring::ReportKind::Laboratory,
        ReportKind::Clinical => authoring::ReportKind::Clinical,
    }
}

fn withdrawal(reason: WithdrawReason) -> Withdrawal {
    match reason {
        WithdrawReason::EnteredInError => Withdrawal::EnteredInError,
        WithdrawReason::Deleted => Withdrawal::Deleted,
        WithdrawReason::Superseded => Withdrawal::Superseded,
        WithdrawReason::NoLongerStated => Withdrawal::NoLongerStated,
        WithdrawReason::NoLongerReported => Withdrawal::NoLongerReported,
        WithdrawReason::Refuted => Withdrawal::Refuted,
        WithdrawReason::Linked => Withdrawal::Linked,
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
