//! Drafts of an Observation and of the Device that it names.

use std::fmt;

use time::OffsetDateTime;

use super::{IdentifierDraft, ReferenceDraft};

/// `effective[x]`, as the report's own text.
#[derive(Clone, PartialEq, Eq)]
pub enum EffectiveDraft {
    /// A `dateTime`: year, month, day, or second with time zone.
    DateTime(String),
    /// A `Period`.
    Period {
        /// First moment.
        start: Option<String>,
        /// Last moment.
        end: Option<String>,
    },
}

impl fmt::Debug for EffectiveDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effective(…)")
    }
}

coded! {
    /// `Observation.status`, as far as we use it.
    ObservationStatus {
        /// A machine's answer that no person has confirmed.
        Preliminary = "preliminary", "Preliminary";
        /// A person has confirmed it.
        Final = "final", "Final";
        /// Taken back.
        EnteredInError = "entered-in-error", "Entered in Error";
    }
}

coded! {
    /// Whether the patient responded.
    Label {
        /// Gone, better, or held stable.
        Responded = "responded", "Responded to treatment";
        /// Progression, relapse, or no improvement.
        NotResponded = "not-responded", "Did not respond to treatment";
    }
}

coded! {
    /// How the treated disease behaved.
    Category {
        /// Resolved.
        Complete = "complete", "Complete response";
        /// Better.
        Partial = "partial", "Partial response";
        /// Held.
        Stable = "stable", "Stable disease";
        /// No better, and nothing says worse.
        NoResponse = "no-response", "No response";
        /// Worse.
        Progressive = "progressive", "Progressive disease";
        /// One part better, another worse.
        Mixed = "mixed", "Mixed response";
        /// Assessed, but it cannot be told.
        Indeterminate = "indeterminate", "Indeterminate";
    }
}

coded! {
    /// What kind of report it was, as `Observation.category` says it (`observation-category`).
    ReportKind {
        /// Radiology and other imaging.
        Imaging = "imaging", "Imaging";
        /// Anatomic pathology.
        Pathology = "laboratory", "Laboratory";
        /// Other laboratories.
        Laboratory = "laboratory", "Laboratory";
        /// A note of whoever saw the patient.
        Clinical = "exam", "Exam";
    }
}

impl ReportKind {
    /// The evidence that mCODE's extension names: SNOMED CT code and display.
    pub const fn evidence(self) -> (&'static str, &'static str) {
        match self {
            Self::Imaging => ("363679005", "Imaging"),
            Self::Pathology => ("108257001", "Anatomic pathology procedure"),
            Self::Laboratory => ("386344002", "Laboratory data interpretation"),
            Self::Clinical => ("5880005", "Clinical examination"),
        }
    }
}

/// A person, by a reference to a Practitioner.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonDraft {
    /// `Practitioner/17` or an absolute URL.
    pub reference: String,
    /// What the person is called.
    pub name: Option<String>,
}

impl fmt::Debug for PersonDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(…)")
    }
}

coded! {
    /// How a cancer trends (SNOMED CT, mCODE's value set of condition status trends).
    Trend {
        /// Better.
        Improved = "268910001", "Patient's condition improved";
        /// Held.
        Stable = "359746009", "Patient's condition stable";
        /// Worse.
        Worsened = "271299001", "Patient's condition worsened";
    }
}

/// An mCODE Cancer Disease Status: what a person says of a cancer's trend.
#[derive(Clone)]
pub struct DiseaseStatusDraft {
    /// Logical id.
    pub id: String,
    /// `meta.versionId`; none when another server will number it.
    pub version_id: Option<String>,
    /// `meta.lastUpdated`; none when another server will set it.
    pub last_updated: Option<OffsetDateTime>,
    /// `meta.source`: the report's absolute URL without a version.
    pub source: Option<String>,
    /// Business identifiers.
    pub identifiers: Vec<IdentifierDraft>,
    /// Status.
    pub status: ObservationStatus,
    /// Whose cancer it is.
    pub subject: ReferenceDraft,
    /// During which encounter.
    pub encounter: Option<ReferenceDraft>,
    /// When: a `dateTime`.
    pub effective: String,
    /// When the person said so.
    pub issued: OffsetDateTime,
    /// Who said so.
    pub performer: PersonDraft,
    /// How it trends.
    pub trend: Trend,
    /// What kind of report tells it.
    pub report_kind: Option<ReportKind>,
    /// The `DocumentReference`s that it was read from.
    pub derived_from: Vec<ReferenceDraft>,
}

impl fmt::Debug for DiseaseStatusDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiseaseStatusDraft")
            .field("status", &self.status)
            .field("trend", &self.trend)
            .finish_non_exhaustive()
    }
}

/// A span of text that says so: one `derivation-reference`.
#[derive(Clone, PartialEq, Eq)]
pub struct EvidenceDraft {
    /// The resource that holds the text, like `Binary/narrative-…`.
    pub reference: String,
    /// The element within it that holds the text, like `Binary.data`, if it needs saying.
    pub path: Option<String>,
    /// Start, in Unicode code points of the text.
    pub offset: usize,
    /// Length, in Unicode code points.
    pub length: usize,
}

impl fmt::Debug for EvidenceDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evidence(…)")
    }
}

/// An Observation: the answer for one report.
#[derive(Clone)]
pub struct ObservationDraft {
    /// Logical id.
    pub id: String,
    /// `meta.versionId`; none when another server will number it.
    pub version_id: Option<String>,
    /// `meta.lastUpdated`; none when another server will set it.
    pub last_updated: Option<OffsetDateTime>,
    /// `meta.source`: the report's absolute URL without a version.
    pub source: Option<String>,
    /// Business identifiers.
    pub identifiers: Vec<IdentifierDraft>,
    /// Status.
    pub status: ObservationStatus,
    /// True where the text is about cancer: LOINC 88040-1 goes beside our code.
    pub about_cancer: bool,
    /// Whom the report is about.
    pub subject: Option<ReferenceDraft>,
    /// During which encounter.
    pub encounter: Option<ReferenceDraft>,
    /// When.
    pub effective: Option<EffectiveDraft>,
    /// When we said so.
    pub issued: OffsetDateTime,
    /// The answer.
    pub label: Label,
    /// How.
    pub category: Option<Category>,
    /// Probability of the label, within `0.0..=1.0`; written with four decimals.
    pub confidence: Option<f64>,
    /// Our Device; none where a person says so: then it is of [`crate::terms::PROFILE_STATEMENT`], without AIAST.
    pub device: Option<ReferenceDraft>,
    /// Who has confirmed it, or says so.
    pub performer: Option<PersonDraft>,
    /// What kind of report it was read from: `Observation.category`.
    pub report_kind: Option<ReportKind>,
    /// The `DocumentReference`s that it was read from; R4 allows no `DiagnosticReport` here, so none is written.
    pub derived_from: Vec<ReferenceDraft>,
    /// The spans that say so, the most telling first.
    pub evidence: Vec<EvidenceDraft>,
}

impl fmt::Debug for ObservationDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservationDraft")
            .field("status", &self.status)
            .field("label", &self.label)
            .field("category", &self.category)
            .finish_non_exhaustive()
    }
}

/// A Device: one version of one model.
#[derive(Clone, Debug)]
pub struct DeviceDraft {
    /// Logical id.
    pub id: String,
    /// `meta.versionId`; none when another server will number it.
    pub version_id: Option<String>,
    /// `meta.lastUpdated`; none when another server will set it.
    pub last_updated: Option<OffsetDateTime>,
    /// Like `responsum-minilm-response`.
    pub model_name: String,
    /// Like `0.1.0`.
    pub model_version: String,
    /// Lower-case hexadecimal.
    pub model_sha256: String,
    /// Version of the Responsum that runs it.
    pub software_version: String,
    /// What its card says in short, as Markdown, and where the card is; a note of its own.
    pub card: Option<String>,
}
