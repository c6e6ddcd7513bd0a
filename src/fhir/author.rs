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
use crate::domain::observation::{Answer, CodePoints, EvidencePlace, Standing};
use crate::domain::source_map::Place;

/// The system of our Observations' identifiers; the value is the Observation's id.
pub const SYSTEM_OBSERVATION_ID: &str = "http://responsum.health/fhir/sid/observation";

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

/// How an answer's references read in one place: on our own API, or at the report's source.
struct Places {
    /// Whether another server numbers and dates the resource.
    elsewhere: bool,
    id: String,
    /// The report's absolute URL.
    report_url: String,
    report: String,
    report_version: String,
    device: String,
    /// The Observation's version.
    observation: String,
    /// Ours, wherever it is read from: absolute.
    narrative: String,
    subject: Option<ReferenceDraft>,
    encounter: Option<ReferenceDraft>,
}

impl Places {
    /// References are absolute, so that they mean the same wherever they are read.
    fn ours(answer: &Answer, base: &BaseUrl) -> Self {
        let report = answer.report.relative();
        Self {
            elsewhere: false,
            id: answer.observation_id.clone(),
            report_url: base.join(&report),
            report: base.join(&report),
            report_version: base.join(&format!("{report}/_history/{}", answer.document_version)),
            device: base.join(&format!("Device/{}", device_id(&answer.model))),
            observation: base.join(&format!("Observation/{}/_history/{}", answer.observation_id, answer.version)),
            narrative: base.join(&format!("Binary/{}", answer.narrative)),
            subject: answer.about.subject.as_ref().map(|subject| reference(subject, base)),
            encounter: answer.about.encounter.as_ref().map(|encounter| reference(encounter, base)),
        }
    }

    /// References are the source's own, relative to its base, as its reports have them. Only the narrative is ours.
    fn at(answer: &Answer, base: &BaseUrl, at: &AtSource<'_>) -> Self {
        let report = answer.report.relative();
        let versioned = |what: String, version: Option<&str>| match version {
            Some(version) => format!("{what}/_history/{version}"),
            None => what,
        };
        let own = |reference: &Reference| own_reference(reference, at.base);
        Self {
            elsewhere: true,
            id: at.observation_id.to_owned(),
            report_url: at.base.join(&report),
            report_version: versioned(report.clone(), at.report_version),
            device: format!("Device/{}", at.device_id),
            observation: versioned(format!("Observation/{}", at.observation_id), at.observation_version),
            narrative: base.join(&format!("Binary/{}", answer.narrative)),
            subject: answer.about.subject.as_ref().map(own),
            encounter: answer.about.encounter.as_ref().map(own),
            report,
        }
    }
}

/// The system of our Devices' identifiers; the value is the model's SHA-256 in hexadecimal.
pub use responsum_fhir_authoring::terms::SYSTEM_MODEL_SHA256;

/// The Observation of an answer, as our own API serves it.
pub fn observation(answer: &Answer, base: &BaseUrl) -> Result<Authored, AuthoringError> {
    observation_in(answer, Places::ours(answer, base))
}

/// The Observation of an answer, as it is written to the report's source.
pub fn observation_at(answer: &Answer, base: &BaseUrl, at: &AtSource<'_>) -> Result<Authored, AuthoringError> {
    observation_in(answer, Places::at(answer, base, at))
}

fn observation_in(answer: &Answer, places: Places) -> Result<Authored, AuthoringError> {
    let evidence = answer.evidence.iter().flat_map(|place| evidence(place, &places)).collect();
    let Places { report, .. } = places;
    authoring::observation(&ObservationDraft {
        id: places.id,
        version_id: (!places.elsewhere).then(|| answer.version.to_string()),
        last_updated: (!places.elsewhere).then_some(answer.recorded_at),
        source: Some(places.report_url),
        identifiers: vec![IdentifierDraft {
            system: Some(SYSTEM_OBSERVATION_ID.into()),
            value: Some(answer.observation_id.clone()),
        }],
        status: status(answer.standing),
        about_cancer: answer.cancer,
        subject: places.subject,
        encounter: places.encounter,
        effective: answer.about.effective.clone().map(effective),
        issued: answer.annotated_at,
        label: label(answer.label),
        category: category(answer.category),
        // Four decimals, and no more digits than the model's own 32 bits hold.
        confidence: Some(f64::from(answer.confidence.get())),
        device: ReferenceDraft::to(places.device),
        derived_from: (answer.report.resource_type == ResourceType::DocumentReference)
            .then(|| ReferenceDraft::to(report)),
        evidence,
    })
}

/// Where one span stands: first in our narrative, then in the report itself, where its format counts characters. An
/// element's path or a page has no place in the extension; `$annotation` tells it.
fn evidence(place: &EvidencePlace, places: &Places) -> Vec<EvidenceDraft> {
    let CodePoints { offset, length } = place.narrative;
    let draft = |reference: &str, path: String, offset, length| EvidenceDraft {
        reference: reference.to_owned(),
        path: Some(path),
        offset,
        length,
    };
    // The report's version: a later one may have another text at the same place.
    let report = &places.report_version;
    let in_report = place.source.iter().filter_map(|source| match &source.place {
        Some(Place::Characters(range)) => Some(draft(report, data_path(&source.origin), range.start, range.len())),
        Some(Place::Element(_) | Place::Pages(..)) | None => None,
    });
    std::iter::once(draft(&places.narrative, "Binary.data".into(), offset, length)).chain(in_report).collect()
}

/// The path of the element that holds an attachment's bytes; other elements hold their text themselves.
fn data_path(origin: &str) -> String {
    let is_attachment = origin.starts_with("DiagnosticReport.presentedForm[") || origin.ends_with(".attachment");
    if is_attachment { format!("{origin}.data") } else { origin.to_owned() }
}

/// The Provenance of one version of an Observation: which model made it, of which version of the report.
pub fn provenance(answer: &Answer, base: &BaseUrl) -> Result<String, AuthoringError> {
    provenance_in(answer, Places::ours(answer, base))
}

/// The same, as it is written to the report's source.
pub fn provenance_at(answer: &Answer, base: &BaseUrl, at: &AtSource<'_>) -> Result<String, AuthoringError> {
    provenance_in(answer, Places::at(answer, base, at))
}

fn provenance_in(answer: &Answer, places: Places) -> Result<String, AuthoringError> {
    let activity = match (answer.standing, answer.version) {
        (Standing::Withdrawn, _) => Activity::Nullify,
        (_, 1) => Activity::Create,
        _ => Activity::Update,
    };
    let entity = |role, what: String| EntityDraft { role, what: ReferenceDraft::to(what) };
    authoring::provenance(&ProvenanceDraft {
        id: provenance_id(answer),
        version_id: (!places.elsewhere).then(|| "1".into()),
        last_updated: (!places.elsewhere).then_some(answer.recorded_at),
        target: ReferenceDraft::to(places.observation),
        occurred: Some(answer.recorded_at),
        recorded: answer.recorded_at,
        activity,
        reason: match answer.withdrawn {
            Some(reason) => ReasonDraft::Withdrawn(withdrawal(reason)),
            None => ReasonDraft::AiAsserted,
        },
        agents: vec![AgentDraft { role: AgentRole::Assembler, who: ReferenceDraft::to(places.device) }],
        entities: vec![
            entity(EntityRole::Source, places.report_version),
            entity(EntityRole::Derivation, places.narrative),
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

/// A reference as the report has it, relative where it points to the report's own server.
fn own_reference(reference: &Reference, base: &BaseUrl) -> ReferenceDraft {
    let identifier =
        |Identifier { system, value }: &Identifier| IdentifierDraft { system: system.clone(), value: value.clone() };
    let prefix = format!("{}/", base.as_str());
    let text = reference.reference.as_deref().filter(|text| !text.starts_with('#'));
    ReferenceDraft {
        reference: text.map(|text| text.strip_prefix(&prefix).unwrap_or(text).to_owned()),
        identifier: reference.identifier.as_ref().map(identifier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::{About, LogicalId, ReportKey, Sha256Digest, SourceName};
    use crate::domain::label::Score;
    use crate::domain::narrative::SourceSpan;

    #[test]
    fn evidence_points_into_the_original_where_its_format_counts_characters() {
        let source = |origin: &str, place| SourceSpan { rendition: 0, origin: origin.to_owned(), place: Some(place) };
        let place = EvidencePlace {
            narrative: CodePoints { offset: 4, length: 3 },
            source: vec![
                source("DiagnosticReport.presentedForm[0]", Place::Characters(10..15)),
                source("DocumentReference.content[1].attachment", Place::Characters(0..2)),
                source("DiagnosticReport.conclusion", Place::Characters(7..9)),
                source("DiagnosticReport.presentedForm[1]", Place::Pages(1, 2)),
            ],
        };
        let base = BaseUrl::new("http://x/fhir");
        let drafts = evidence(&place, &Places::ours(&answer(), &base));
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

    fn answer() -> Answer {
        let moment = time::OffsetDateTime::UNIX_EPOCH;
        Answer {
            observation_id: "obs-1".to_owned(),
            version: 1,
            standing: Standing::Preliminary,
            withdrawn: None,
            recorded_at: moment,
            annotated_at: moment,
            report: ReportKey {
                source: SourceName::local(),
                resource_type: ResourceType::DiagnosticReport,
                logical_id: LogicalId::new("r").expect("an id"),
            },
            document_version: 2,
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
