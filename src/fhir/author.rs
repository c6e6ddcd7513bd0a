//! Says an [`Answer`] in FHIR: Observation, Provenance, Device. A pure function of the answer and of base URLs: ours, and
//! that of the server that the report is on.
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
use crate::domain::document::{Effective, Identifier, Reference, ReportKind, ResourceType, SourceName, WithdrawReason};
use crate::domain::label::{Category, Label};
use crate::domain::observation::{Answer, CodePoints, EvidencePlace, Kind, Standing, observation_id};
use crate::domain::source_map::Place as SourcePlace;

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
    /// Ours.
    base: &'a BaseUrl,
    /// That of the server that the report is on, and whatever the report refers to.
    reports: &'a BaseUrl,
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

    /// A resource of the server `base`, which we author for, or write to.
    fn on(&self, base: &BaseUrl, relative: &str) -> String {
        if self.source.is_some() { relative.to_owned() } else { base.join(relative) }
    }

    /// What we author: on our own API, or at the source.
    fn authored(&self, relative: &str) -> String {
        self.on(self.base, relative)
    }

    /// The report's absolute URL.
    fn report_url(&self) -> String {
        self.reports.join(&self.answer.report.relative())
    }

    /// The version of the report that was read: by our count where the report is ours, else as its source calls it.
    fn report_version(&self) -> String {
        let version = match self.source {
            Some(at) => at.report_version.map(str::to_owned),
            None if self.answer.report.source == SourceName::local() => Some(self.answer.document_version.to_string()),
            None => self.answer.source_version.clone(),
        };
        self.on(self.reports, &versioned(&self.answer.report.relative(), version.as_deref()))
    }

    fn observation_version(&self) -> String {
        let ours = self.answer.version.to_string();
        let version = self.source.map_or(Some(ours.as_str()), |at| at.observation_version);
        self.authored(&versioned(&format!("Observation/{}", self.id()), version))
    }

    fn device(&self) -> ReferenceDraft {
        let id = self.source.map_or_else(|| device_id(&self.answer.model), |at| at.device_id.to_owned());
        ReferenceDraft::to(self.authored(&format!("Device/{id}")))
    }

    fn narrative(&self) -> String {
        self.base.join(&format!("Binary/{}", self.answer.narrative))
    }

    /// What a report or a setting refers to by this text; nothing for what lies within the report (`#…`).
    fn text(&self, text: &str) -> Option<String> {
        let Some(at) = self.source else { return self.reports.absolute(text) };
        (!text.starts_with('#')).then(|| at.base.below(text).unwrap_or(text).to_owned())
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
        documents.map(|report| ReferenceDraft::to(self.on(self.reports, &report.relative()))).collect()
    }
}

/// A resource's relative URL with its version, if one is known.
fn versioned(relative: &str, version: Option<&str>) -> String {
    version.map_or_else(|| relative.to_owned(), |version| format!("{relative}/_history/{version}"))
}

/// The Observation of an answer, as our own API serves it. `reports` is the base URL of the server that the report is on:
/// ours, or its source's.
pub fn observation(answer: &Answer, base: &BaseUrl, reports: &BaseUrl) -> Result<Authored, AuthoringError> {
    observation_in(&Place { answer, base, reports, source: None })
}

/// The Observation of an answer, as it is written to the report's source.
pub fn observation_at(answer: &Answer, base: &BaseUrl, at: &AtSource<'_>) -> Result<Authored, AuthoringError> {
    observation_in(&Place { answer, base, reports: at.base, source: Some(at) })
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
        evidence: answer.evidence.iter().filter(|_| by_machine).flat_map(|found| evidence(found, place)).collect(),
    })
}

/// Where one span stands: first in our narrative, then in the report itself, where its format counts characters. An
/// element's path or a page has no place in the extension; `$annotation` tells it.
fn evidence(found: &EvidencePlace, place: &Place<'_>) -> Vec<EvidenceDraft> {
    let CodePoints { offset, length } = found.narrative;
    let draft = |reference: &str, path: String, offset, length| EvidenceDraft {
        reference: reference.to_owned(),
        path: Some(path),
        offset,
        length,
    };
    // The report's version: a later one may have another text at the same place.
    let report = place.report_version();
    let in_report = found.source.iter().filter_map(|source| match &source.place {
        Some(SourcePlace::Characters(range)) => {
            Some(draft(&report, data_path(&source.origin), range.start, range.len()))
        }
        Some(SourcePlace::Element(_) | SourcePlace::Pages(..)) | None => None,
    });
    std::iter::once(draft(&place.narrative(), "Binary.data".into(), offset, length)).chain(in_report).collect()
}

/// The path of the element that holds an attachment's bytes; other elements hold their text themselves.
fn data_path(origin: &str) -> String {
    let is_attachment = origin.starts_with("DiagnosticReport.presentedForm[") || origin.ends_with(".attachment");
    if is_attachment { format!("{origin}.data") } else { origin.to_owned() }
}

/// The Provenance of one version of an Observation: which model made it, of which version of the report.
pub fn provenance(answer: &Answer, base: &BaseUrl, reports: &BaseUrl) -> Result<String, AuthoringError> {
    provenance_in(&Place { answer, base, reports, source: None })
}

/// The same, as it is written to the report's source.
pub fn provenance_at(answer: &Answer, base: &BaseUrl, at: &AtSource<'_>) -> Result<String, AuthoringError> {
    provenance_in(&Place { answer, base, reports: at.base, source: Some(at) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::{About, LogicalId, ReportKey, Sha256Digest};
    use crate::domain::label::Score;
    use crate::domain::narrative::SourceSpan;

    #[test]
    fn evidence_points_into_the_original_where_its_format_counts_characters() {
        let source = |origin: &str, place| SourceSpan { rendition: 0, origin: origin.to_owned(), place: Some(place) };
        let place = EvidencePlace {
            narrative: CodePoints { offset: 4, length: 3 },
            source: vec![
                source("DiagnosticReport.presentedForm[0]", SourcePlace::Characters(10..15)),
                source("DocumentReference.content[1].attachment", SourcePlace::Characters(0..2)),
                source("DiagnosticReport.conclusion", SourcePlace::Characters(7..9)),
                source("DiagnosticReport.presentedForm[1]", SourcePlace::Pages(1, 2)),
            ],
        };
        let base = BaseUrl::new("http://x/fhir");
        let drafts = evidence(&place, &Place { answer: &answer(), base: &base, reports: &base, source: None });
        let told: Vec<_> =
            drafts.iter().map(|d| (d.reference.as_str(), d.path.as_deref(), d.offset, d.length)).collect();
        let report = "http://x/fhir/DiagnosticReport/r/_history/2";
        assert_eq!(
            told,
            [
                ("http://x/fhir/Binary/00000000-0000-0000-0000-000000000000", Some("Binary.data"), 4, 3),
                (report, Some("DiagnosticReport.presentedForm[0].data"), 10, 5),
                (report, Some("DocumentReference.content[1].attachment.data"), 0, 2),
                (report, Some("DiagnosticReport.conclusion"), 7, 2),
            ]
        );
    }

    #[test]
    fn what_is_at_a_source_is_named_there_and_what_is_ours_here() {
        let report = ReportKey { source: SourceName::new("ehr").expect("a name"), ..answer().report };
        let about = About {
            subject: Some(Reference { reference: Some("Patient/p1".to_owned()), ..Reference::default() }),
            ..About::default()
        };
        let answer = Answer { report, about, source_version: Some("v7".to_owned()), ..answer() };
        let (ours, theirs) = (BaseUrl::new("http://us/fhir"), BaseUrl::new("http://ehr/r4"));
        let said = observation(&answer, &ours, &theirs).expect("authored").json;
        let provenance = provenance(&answer, &ours, &theirs).expect("authored");
        for (text, part) in [
            (&said, "\"source\":\"http://ehr/r4/DiagnosticReport/r\""),
            (&said, "\"http://ehr/r4/Patient/p1\""),
            (&said, "\"http://us/fhir/Device/model-"),
            (&provenance, "\"http://ehr/r4/DiagnosticReport/r/_history/v7\""),
            (&provenance, "\"http://us/fhir/Observation/obs-1/_history/1\""),
            (&provenance, "\"http://us/fhir/Binary/"),
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    fn answer() -> Answer {
        let moment = time::OffsetDateTime::UNIX_EPOCH;
        Answer {
            observation_id: "obs-1".to_owned(),
            version: 1,
            standing: Standing::Preliminary,
            withdrawn: None,
            kind: Kind::Answer,
            decision: None,
            performer: None,
            linked: Vec::new(),
            stated_at: moment,
            recorded_at: moment,
            annotated_at: moment,
            report: ReportKey {
                source: SourceName::local(),
                resource_type: ResourceType::DiagnosticReport,
                logical_id: LogicalId::new("r").expect("an id"),
            },
            document_version: 2,
            source_version: None,
            about: About::default(),
            narrative: uuid::Uuid::nil(),
            label: Label::Responded,
            category: Category::Partial,
            confidence: Score::new(0.9).expect("a score"),
            cancer: true,
            evidence: Vec::new(),
            model: ModelVersion { id: "m".to_owned(), version: "1".to_owned(), sha256: Sha256Digest([0; 32]) },
        }
    }
}
