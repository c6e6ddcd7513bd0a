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

/// The Observation of an answer.
///
/// Its references are absolute, so that it means the same wherever it is read.
pub fn observation(answer: &Answer, base: &BaseUrl) -> Result<Authored, AuthoringError> {
    let report = base.join(&answer.report.relative());
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
        evidence: answer.evidence.iter().flat_map(|place| evidence(answer, place, base)).collect(),
    })
}

/// Where one span stands: first in our narrative, then in the report itself, where its format counts characters. An
/// XPath or a page has no place in the extension; `$annotation` tells it.
fn evidence(answer: &Answer, place: &EvidencePlace, base: &BaseUrl) -> Vec<EvidenceDraft> {
    let CodePoints { offset, length } = place.narrative;
    let narrative = base.join(&format!("Binary/{}", answer.narrative));
    // The version: a later one may have another text at the same place.
    let report = base.join(&format!("{}/_history/{}", answer.report.relative(), answer.document_version));
    let draft = |reference: &str, path: String, offset, length| EvidenceDraft {
        reference: reference.to_owned(),
        path: Some(path),
        offset,
        length,
    };
    let in_report = place.source.iter().filter_map(|source| match &source.place {
        Some(Place::Characters(range)) => Some(draft(&report, data_path(&source.origin), range.start, range.len())),
        Some(Place::Element(_) | Place::Pages(..)) | None => None,
    });
    std::iter::once(draft(&narrative, "Binary.data".into(), offset, length)).chain(in_report).collect()
}

/// The path of the element that holds an attachment's bytes; other elements hold their text themselves.
fn data_path(origin: &str) -> String {
    let is_attachment = origin.starts_with("DiagnosticReport.presentedForm[") || origin.ends_with(".attachment");
    if is_attachment { format!("{origin}.data") } else { origin.to_owned() }
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
        let drafts = evidence(&answer(), &place, &base);
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
