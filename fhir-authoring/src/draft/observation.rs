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
    /// Our Device.
    pub device: ReferenceDraft,
    /// The `DocumentReference` that it was read from; R4 allows no `DiagnosticReport` here, so none is written.
    pub derived_from: Option<ReferenceDraft>,
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
