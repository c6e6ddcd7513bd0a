//! What leaves: when a report has an answer, and when the answer is taken back. Pure decisions.

use time::OffsetDateTime;
use uuid::Uuid;

use super::annotation::ModelVersion;
use super::document::{About, Disposition, ReportKey, Sha256Digest, WithdrawReason};
use super::label::{Category, Label, Score};
use super::narrative::{Narrative, SourceSpan, Span};

/// The task that an Observation answers; a report has one Observation for each.
pub const TASK: &str = "treatment-response";

/// The state of a report's Observation in our store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Absent,
    /// A machine's answer, `preliminary`.
    Preliminary,
    /// A person has reviewed it: `final`.
    Reviewed,
    /// Taken back: `entered-in-error`.
    Withdrawn,
}

/// What the newest version of a report asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is not annotated yet: leave all as it is.
    Pending,
    /// It is annotated with this label.
    Labelled(Label),
    /// Its status asks for no annotation.
    Disposed(Disposition),
}

/// What to do with a report's Observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Leave,
    /// Write the newest annotation's answer as a new version, unless it is the one that stands.
    Publish,
    /// Set it to `entered-in-error`.
    Withdraw(WithdrawReason),
    /// A person has reviewed it and the machine now says otherwise: leave it, and ask a person.
    OpenReview,
}

/// Brings a report's Observation in line with the report: one rule for every order of events.
///
/// `replaced` is true if another current report says that it replaces this one.
pub fn reconcile(claim: Claim, replaced: bool, standing: Standing) -> Change {
    let claim = match claim {
        Claim::Disposed(Disposition::Withdraw(WithdrawReason::EnteredInError | WithdrawReason::Deleted)) => claim,
        _ if replaced => Claim::Disposed(Disposition::Withdraw(WithdrawReason::Superseded)),
        _ => claim,
    };
    let wanted = match claim {
        Claim::Pending | Claim::Disposed(Disposition::Annotate) => return Change::Leave,
        Claim::Labelled(Label::NotStated) => Err(WithdrawReason::NoLongerStated),
        Claim::Labelled(_) => Ok(()),
        Claim::Disposed(Disposition::Keep) => Err(WithdrawReason::NoLongerReported),
        Claim::Disposed(Disposition::Withdraw(reason)) => Err(reason),
    };
    match (standing, wanted) {
        (Standing::Absent | Standing::Withdrawn, Err(_)) => Change::Leave,
        (Standing::Reviewed, Err(reason @ (WithdrawReason::EnteredInError | WithdrawReason::Deleted))) => {
            Change::Withdraw(reason)
        }
        (Standing::Reviewed, _) => Change::OpenReview,
        (Standing::Preliminary, Err(reason)) => Change::Withdraw(reason),
        (_, Ok(())) => Change::Publish,
    }
}

/// The id of a report's Observation: the same for every version and every run, so that a re-run is an update.
///
/// `obs-` and the first 40 hexadecimal digits of the SHA-256 of source, type, logical id and task, newline-separated:
/// 44 characters of `[a-z0-9-]`, within FHIR's 64.
pub fn observation_id(key: &ReportKey, digest: impl FnOnce(&[u8]) -> Sha256Digest) -> String {
    let name = format!("{}\n{}\n{}\n{TASK}", key.source.as_str(), key.resource_type, key.logical_id.as_str());
    format!("obs-{}", &digest(name.as_bytes()).hex()[..40])
}

/// Everything that one version of a report's Observation says; FHIR is authored from it and from nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// [`observation_id`] of the report.
    pub observation_id: String,
    /// 1 for the first.
    pub version: i32,
    /// What this version stands for; never [`Standing::Absent`].
    pub standing: Standing,
    /// Set if `standing` is [`Standing::Withdrawn`].
    pub withdrawn: Option<WithdrawReason>,
    /// When this version was made.
    pub recorded_at: OffsetDateTime,
    /// When the model said so.
    pub annotated_at: OffsetDateTime,
    /// The report that was read.
    pub report: ReportKey,
    /// And the version of it.
    pub document_version: i32,
    /// Whom and when the report is about.
    pub about: About,
    /// Our stored narrative, which the evidence points into.
    pub narrative: Uuid,
    /// Responded or not.
    pub label: Label,
    /// How.
    pub category: Category,
    /// Probability of the label.
    pub confidence: Score,
    /// Whether the disease at issue is a cancer.
    pub cancer: bool,
    /// Where the narrative says so, the most telling first.
    pub evidence: Vec<EvidencePlace>,
    /// Who said it.
    pub model: ModelVersion,
}

/// Where evidence stands: in our narrative, and in what was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidencePlace {
    /// In the narrative.
    pub narrative: CodePoints,
    /// In the report's renditions; empty where their formats know no places.
    pub source: Vec<SourceSpan>,
}

impl EvidencePlace {
    /// Where a span of the narrative stands.
    pub fn of(narrative: &Narrative, span: Span) -> Self {
        let (offset, length) = narrative.code_points(span);
        Self { narrative: CodePoints { offset, length }, source: narrative.source_of(span) }
    }
}

/// A range of a text in Unicode code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePoints {
    /// Of the first one.
    pub offset: usize,
    /// How many.
    pub length: usize,
}

/// Probability from which on the disease at issue counts as a cancer.
const CANCER_SCORE_MIN: f32 = 0.5;

/// Whether an answer is about cancer; a model that does not say is not asked for more.
pub fn is_about_cancer(score: Option<f32>) -> bool {
    score.is_some_and(|score| score >= CANCER_SCORE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_published_once_it_is_stated_and_withdrawn_once_it_is_not() {
        let responded = Claim::Labelled(Label::Responded);
        let not_stated = Claim::Labelled(Label::NotStated);
        let kept = Claim::Disposed(Disposition::Keep);
        let error = Claim::Disposed(Disposition::Withdraw(WithdrawReason::EnteredInError));
        let superseded = Change::Withdraw(WithdrawReason::Superseded);
        for (claim, replaced, standing, expected) in [
            (Claim::Pending, false, Standing::Preliminary, Change::Leave),
            (responded, false, Standing::Absent, Change::Publish),
            (responded, false, Standing::Preliminary, Change::Publish),
            (responded, false, Standing::Withdrawn, Change::Publish),
            (responded, true, Standing::Preliminary, superseded),
            (Claim::Pending, true, Standing::Preliminary, superseded),
            (responded, true, Standing::Absent, Change::Leave),
            (not_stated, false, Standing::Absent, Change::Leave),
            (not_stated, false, Standing::Preliminary, Change::Withdraw(WithdrawReason::NoLongerStated)),
            (not_stated, false, Standing::Withdrawn, Change::Leave),
            (kept, false, Standing::Preliminary, Change::Withdraw(WithdrawReason::NoLongerReported)),
            (error, true, Standing::Preliminary, Change::Withdraw(WithdrawReason::EnteredInError)),
            (error, false, Standing::Withdrawn, Change::Leave),
        ] {
            assert_eq!(reconcile(claim, replaced, standing), expected, "{claim:?} {replaced} {standing:?}");
        }
    }

    #[test]
    fn a_machine_never_changes_what_a_person_reviewed() {
        for claim in [Claim::Labelled(Label::NotResponded), Claim::Labelled(Label::NotStated)] {
            assert_eq!(reconcile(claim, false, Standing::Reviewed), Change::OpenReview);
        }
        let deleted = Claim::Disposed(Disposition::Withdraw(WithdrawReason::Deleted));
        assert_eq!(reconcile(deleted, false, Standing::Reviewed), Change::Withdraw(WithdrawReason::Deleted));
        assert_eq!(reconcile(Claim::Labelled(Label::Responded), true, Standing::Reviewed), Change::OpenReview);
    }
}
