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
use crate::domain::observation::{Answer, CodePoints, Kind, Standing, observation_id};

/// The system of our Observations' identifiers; the value is the Observation's id.
pub const SYSTEM_OBSERVATION_ID: &str = "http://responsum.health/fhir/sid/observation";

/// The system of our Devices' identifiers; the value is the model's SHA-256 in hexadecimal.
pub use responsum_fhir_authoring::terms::SYSTEM_MODEL_SHA256;

/// Where a report's source has what an answer refers to.
#[derive(Clone, Copy, Debug)]
pub struct AtSource<'a> {
    /// The source's base URL.
    pub base: &'a BaseUrl,
    /// Our Observation's id there.
    pub observation_id: &'a str,
    /// Its version there, if the source tells.
    pub observation_version: Option<&'a str>,
    /// Our Device's id there.
    pub device_id: &'a str,
    /// The version of the report, if the source tells.
    pub report_version: Option<&'a str>,
}

/// How an answer's references read in one place: on our own API, where they are absolute, so that they mean the same
/// wherever they are read; or at the report's source, where they are relative to its base, as its own are. What is ours
/// alone (the narrative, the answer that a person decided on) is absolute in both.
struct Place<'a> {
    answer: &'a Answer,
    base: &'a BaseUrl,
    source: Option<&'a AtSource<'a>>,
}

impl Place<'_> {
    /// The Observation's id.
    fn id(&self) -> String {
        self.source.map_or(&*self.answer.observation_id, |at| at.observation_id).to_owned()
    }

    /// Of ours only: another server counts and dates what it is given.
    fn version(&self, version: i32) -> Option<String> {
        self.source.is_none().then(|| version.to_string())
    }

    fn last_updated(&self) -> Option<OffsetDateTime> {
        self.source.is_none().then_some(self.answer.recorded_at)
    }

    /// A resource of the server that the reports are on.
    fn local(&self, relative: &str) -> String {
        if self.source.is_some() { relative.to_owned() } else { self.base.join(relative) }
    }

    /// The same with its version, if one is known.
    fn versioned(&self, relative: &str, ours: i32, theirs: Option<&str>) -> String {
        let version = if self.source.is_some() { theirs.map(str::to_owned) } else { Some(ours.to_string()) };
        match version {
            Some(version) => self.local(&format!("{relative}/_history/{version}")),
            None => self.local(relative),
        }
    }

    /// The report's absolute URL.
    fn report_url(&self) -> String {
        self.source.map_or(self.base, |at| at.base).join(&self.answer.report.relative())
    }

    fn report_version(&self) -> String {
        let theirs = self.source.and_then(|at| at.report_version);
        self.versioned(&self.answer.report.relative(), self.answer.document_version, theirs)
    }

    fn observation_version(&self) -> String {
        let theirs = self.source.and_then(|at| at.observation_version);
        self.versioned(&format!("Observation/{}", self.id()), self.answer.version, theirs)
    }

    fn device(&self) -> ReferenceDraft {
        let id = self.source.map_or_else(|| device_id(&self.answer.model), |at| at.device_id.to_owned());
        ReferenceDraft::to(self.local(&format!("Device/{id}")))
    }

    fn narrative(&self) -> String {
        self.base.join(&format!("Binary/{}", self.answer.narrative))
    }

    /// What a report or a setting refers to by this text; nothing for what lies within the report (`#…`).
    fn text(&self, text: &str) -> Option<String> {
        let Some(at) = self.source else { return self.base.absolute(text) };
        let prefix = format!("{}/", at.base.as_str());
        (!text.starts_with('#')).then(|| text.strip_prefix(&prefix).unwrap_or(text).to_owned())
    }

    fn reference(&self, reference: &Reference) -> ReferenceDraft {
        let identifier = |Identifier { system, value }: &Identifier| IdentifierDraft {
            system: system.clone(),
            value: value.clone(),
        };
        ReferenceDraft {
            reference: reference.reference.as_deref().and_then(|text| self.text(text)),
            identifier: reference.identifier.as_ref().map(identifier),
        }
    }

    fn performer(&self, person: &Reviewer) -> PersonDraft {
        PersonDraft { reference: self.text(&person.practitioner).unwrap_or_default(), name: person.name.clone() }
    }

    /// The `DocumentReference`s among the report and those that have the same attachment.
    fn derived_from(&self) -> Vec<ReferenceDraft> {
        let reports = std::iter::once(&self.answer.report).chain(&self.answer.linked);
        let documents = reports.filter(|report| report.resource_type == ResourceType::DocumentReference);
        documents.map(|report| ReferenceDraft::to(self.local(&report.relative()))).collect()
    }
}

/// The Observation of an answer, as our own API serves it.
pub fn observation(answer: &Answer, base: &BaseUrl) -> Result<Authored, AuthoringError> {
    observation_in(&Place { answer, base, source: None })
}

/// The Observation of an answer, as it is written to the report's source.
pub fn observation_at(answer: &Answer, base: &BaseUrl, at: &AtSource<'_>) -> Result<Authored, AuthoringError> {
    observation_in(&Place { answer, base, source: Some(at) })
}

fn observation_in(place: &Place<'_>) -> Result<Authored, AuthoringError> {
    let answer = place.answer;
    if answer.kind == Kind::DiseaseStatus {
        return Ok(Authored { json: disease_status(place)?, left_out: Vec::new() });
    }
    let by_machine = answer.kind == Kind::Answer;
    authoring::observation(&ObservationDraft {
        id: place.id(),
        version_id: place.version(answer.version),
        last_updated: place.last_updated(),
        source: Some(place.report_url()),
        identifiers: identifiers(answer),
        status: status(answer.standing),
        about_cancer: answer.cancer,
        subject: answer.about.subject.as_ref().map(|subject| place.reference(subject)),
        encounter: answer.about.encounter.as_ref().map(|encounter| place.reference(encounter)),
        effective: answer.about.effective.clone().map(effective),
        issued: issued(answer),
        label: label(answer.label),
        category: category(answer.category),
        // Four decimals, and no more digits than the model's own 32 bits hold.
        confidence: by_machine.then(|| f64::from(answer.confidence.get())),
        device: by_machine.then(|| place.device()),
        performer: answer.performer.as_ref().map(|person| place.performer(person)),
        report_kind: answer.about.kind.map(report_kind),
        derived_from: place.derived_from(),
        // What the model found says what the model said: a person who says otherwise has read the whole.
        evidence: if by_machine { evidence(place) } else { Vec::new() },
    })
}

fn evidence(place: &Place<'_>) -> Vec<EvidenceDraft> {
    let narrative = place.narrative();
    let of_narrative = |span: &CodePoints| EvidenceDraft {
        reference: narrative.clone(),
        path: Some("Binary.data".into()),
        offset: span.offset,
        length: span.length,
    };
    place.answer.evidence.iter().map(of_narrative).collect()
}

/// The Provenance of one version of an Observation: which model made it, of which version of the report.
pub fn provenance(answer: &Answer, base: &BaseUrl) -> Result<String, AuthoringError> {
    provenance_in(&Place { answer, base, source: None })
}

/// The same, as it is written to the report's source.
pub fn provenance_at(answer: &Answer, base: &BaseUrl, at: &AtSource<'_>) -> Result<String, AuthoringError> {
    provenance_in(&Place { answer, base, source: Some(at) })
}

fn provenance_in(place: &Place<'_>) -> Result<String, AuthoringError> {
    let answer = place.answer;
    let activity = match (answer.standing, answer.version) {
        (Standing::Withdrawn | Standing::Refuted, _) => Activity::Nullify,
        (_, 1) => Activity::Create,
        _ => Activity::Update,
    };
    authoring::provenance(&ProvenanceDraft {
        id: provenance_id(answer),
        version_id: place.version(1),
        last_updated: place.last_updated(),
        target: ReferenceDraft::to(place.observation_version()),
        occurred: Some(answer.recorded_at),
        recorded: answer.recorded_at,
        activity,
        reason: match answer.withdrawn {
            Some(reason) => ReasonDraft::Withdrawn(withdrawal(reason)),
            None if answer.decision.is_some() => ReasonDraft::Reviewed,
            None => ReasonDraft::AiAsserted,
        },
        agents: agents(place),
        entities: entities(place),
    })
}

/// The person who made the version, and the model whose reading it still is. Where the report's source takes back what a
/// person has said, our software does it: the model's Device stands for that.
fn agents(place: &Place<'_>) -> Vec<AgentDraft> {
    let answer = place.answer;
    let device = AgentDraft { role: AgentRole::Assembler, who: place.device(), name: None };
    let Some(decision) = &answer.decision else { return vec![device] };
    let says_it = answer.kind != Kind::Answer && answer.withdrawn.is_none();
    let person = AgentDraft {
        role: if says_it { AgentRole::Author } else { AgentRole::Verifier },
        who: ReferenceDraft { reference: place.text(&decision.reviewer.practitioner), ..ReferenceDraft::default() },
        name: decision.reviewer.name.clone(),
    };
    match (answer.kind, answer.withdrawn) {
        (Kind::Answer, None) => vec![person, device],
        (Kind::Answer, Some(_)) | (Kind::Corrected | Kind::DiseaseStatus, _) => vec![person],
    }
}

/// The exact version of the report, the narrative drawn from it, and the answer that a person decided on.
fn entities(place: &Place<'_>) -> Vec<EntityDraft> {
    let answer = place.answer;
    let entity = |role, what: String| EntityDraft { role, what: ReferenceDraft::to(what) };
    let mut entities =
        vec![entity(EntityRole::Source, place.report_version()), entity(EntityRole::Derivation, place.narrative())];
    if let Some(decision) = &answer.decision {
        let decided_on =
            format!("Observation/{}/_history/{}", observation_id(&answer.report, sha256), decision.observation_version);
        let role = if answer.kind == Kind::DiseaseStatus { EntityRole::Derivation } else { EntityRole::Revision };
        entities.push(entity(role, place.base.join(&decided_on)));
    }
    entities
}

/// What a person says of a cancer's trend, as mCODE's Cancer Disease Status.
fn disease_status(place: &Place<'_>) -> Result<String, AuthoringError> {
    let answer = place.answer;
    // One is stored only with all of these (domain::decision::disease_status); without them there is none to author.
    let trend =
        decision::disease_status(true, answer.category, &answer.about).map_err(|_| AuthoringError::Effective)?;
    let effective = answer.about.effective.as_ref().and_then(Effective::known_at).unwrap_or_default().to_owned();
    let person = answer.performer.as_ref().ok_or(AuthoringError::Performer)?;
    authoring::disease_status(&DiseaseStatusDraft {
        id: place.id(),
        version_id: place.version(answer.version),
        last_updated: place.last_updated(),
        source: Some(place.report_url()),
        identifiers: identifiers(answer),
        status: status(answer.standing),
        subject: answer.about.subject.as_ref().map(|subject| place.reference(subject)).unwrap_or_default(),
        encounter: answer.about.encounter.as_ref().map(|encounter| place.reference(encounter)),
        effective,
        issued: issued(answer),
        performer: place.performer(person),
        trend: match trend {
            Trend::Improved => authoring::Trend::Improved,
            Trend::Stable => authoring::Trend::Stable,
            Trend::Worsened => authoring::Trend::Worsened,
        },
        report_kind: answer.about.kind.map(report_kind),
        derived_from: place.derived_from(),
    })
}

fn identifiers(answer: &Answer) -> Vec<IdentifierDraft> {
    vec![IdentifierDraft { system: Some(SYSTEM_OBSERVATION_ID.into()), value: Some(answer.observation_id.clone()) }]
}

/// When the model said so; what a person says alone, when the person did.
fn issued(answer: &Answer) -> OffsetDateTime {
    if answer.kind == Kind::Answer { answer.annotated_at } else { answer.stated_at }
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
