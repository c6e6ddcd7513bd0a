//! What leaves: when a report has an answer, and when the answer is taken back. Pure decisions.

use time::OffsetDateTime;
use uuid::Uuid;

use super::annotation::ModelVersion;
use super::decision::{Decision, Reviewer};
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
    /// A person has refuted it: `entered-in-error`.
    Refuted,
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
    /// Set it to `entered-in-error`, and with it all that a person said of the report. A refuted answer is that already.
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
        (
            Standing::Reviewed | Standing::Refuted,
            Err(reason @ (WithdrawReason::EnteredInError | WithdrawReason::Deleted)),
        )
        | (Standing::Preliminary, Err(reason)) => Change::Withdraw(reason),
        (Standing::Reviewed | Standing::Refuted, _) => Change::OpenReview,
        (_, Ok(())) => Change::Publish,
    }
}

/// Which of a report's Observations it is. A report has at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The machine's answer, which a person may confirm or refute.
    Answer,
    /// What a person says in the place of an answer that the person has refuted.
    Corrected,
    /// The mCODE Cancer Disease Status beside an answer that a person stands for.
    DiseaseStatus,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Answer, Self::Corrected, Self::DiseaseStatus];

    /// The code used in SQL.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Corrected => "corrected",
            Self::DiseaseStatus => "disease-status",
        }
    }

    /// The kind with this [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// What its ids begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Answer => "obs",
            Self::Corrected => "cor",
            Self::DiseaseStatus => "mcode",
        }
    }
}

/// The id of a report's answer: the same for every version and every run, so that a re-run is an update.
///
/// `obs-` and the first 40 hexadecimal digits of the SHA-256 of source, type, logical id and task, newline-separated:
/// 44 characters of `[a-z0-9-]`, within FHIR's 64.
pub fn observation_id(key: &ReportKey, digest: impl FnOnce(&[u8]) -> Sha256Digest) -> String {
    id_of_kind(key, Kind::Answer, digest)
}

/// The id of one of a report's Observations; beside the answer's, the kind is the last part of what is hashed.
pub fn id_of_kind(key: &ReportKey, kind: Kind, digest: impl FnOnce(&[u8]) -> Sha256Digest) -> String {
    let mut name = format!("{}\n{}\n{}\n{TASK}", key.source.as_str(), key.resource_type, key.logical_id.as_str());
    if kind != Kind::Answer {
        name = format!("{name}\n{}", kind.code());
    }
    format!("{}-{}", kind.prefix(), &digest(name.as_bytes()).hex()[..40])
}

/// Everything that one version of a report's Observation says; FHIR is authored from it and from nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// [`id_of_kind`] of the report.
    pub observation_id: String,
    /// Which of the report's Observations it is.
    pub kind: Kind,
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
    /// And the version of it, as we count them.
    pub document_version: i32,
    /// That version as the report's source calls it, if it tells.
    pub source_version: Option<String>,
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
    /// Which model said it, or what a person corrects.
    pub model: ModelVersion,
    /// The person who stands for what it says.
    pub performer: Option<Reviewer>,
    /// When that person said so; of a machine's answer, when it was made.
    pub stated_at: OffsetDateTime,
    /// The decision that made this version, if a person made it.
    pub decision: Option<Decision>,
    /// Other reports with the same attachment, which it answers too.
    pub linked: Vec<ReportKey>,
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
        assert_eq!(reconcile(Claim::Labelled(Label::Responded), false, Standing::Refuted), Change::OpenReview);
        assert_eq!(reconcile(deleted, false, Standing::Refuted), Change::Withdraw(WithdrawReason::Deleted));
    }
}
