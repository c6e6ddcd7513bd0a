//! A queued step: claimed with a lease, settled with its results.

use std::time::Duration;

use uuid::Uuid;

use super::document::{DocumentId, LogicalId, ReportKey, ResourceType, SourceName};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Read a document, annotate it, and bring its report's Observation in line.
    Annotate(DocumentId),
    /// Annotate a document with a model that looks on, and tell nobody.
    Shadow {
        /// Which document.
        document: DocumentId,
        /// The model, as the settings name it.
        model: String,
    },
    /// Annotate the next document of a re-annotation. The job stays until the last one is done.
    Reannotate(ReannotationId),
    /// Read a report from its source and store it.
    Fetch(ReportKey),
    /// Read what a document names by reference from its source; then it is annotated.
    Contents {
        /// Where.
        source: SourceName,
        /// Which document.
        document: DocumentId,
    },
    /// Bring an Observation at its report's source in line with ours.
    Emit {
        /// Where.
        source: SourceName,
        /// Our id of it.
        observation_id: String,
    },
    /// Search a source for what was missed.
    CatchUp(SourceName),
}

impl JobKind {
    /// The codes of all kinds.
    pub const CODES: [&str; 7] = ["annotate", "shadow", "reannotate", "fetch", "contents", "emit", "catch-up"];

    /// The code used in SQL and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Annotate(_) => "annotate",
            Self::Shadow { .. } => "shadow",
            Self::Reannotate(_) => "reannotate",
            Self::Fetch(_) => "fetch",
            Self::Contents { .. } => "contents",
            Self::Emit { .. } => "emit",
            Self::CatchUp(_) => "catch-up",
        }
    }
}

/// Who waits for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobClass {
    /// Someone sent a document: it goes before everything else.
    Fresh,
    /// Nobody waits: it is done when no fresh job is due.
    Background,
}

/// The identity of one re-annotation of stored documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReannotationId(pub Uuid);

/// A job that this process holds until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedJob {
    /// Its identity.
    pub id: i64,
    /// What is to be done.
    pub kind: JobKind,
    /// Proof that the lease is ours; random, new with every claim.
    pub lease: Uuid,
    /// 1 on the first try.
    pub attempt: i32,
    /// How often it had been asked for when it was claimed. Asked for again meanwhile, it is done once more.
    pub asked: i32,
}

/// What to do with a job that failed: decided where the cause is known. Unknown means `Fail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Try again later: the cause may pass.
    Retry,
    /// Give up where people see it: trying again gives the same.
    Fail,
    /// The other side is away or asks us to wait: try again, and never give up for that.
    Later(Option<Duration>),
}

impl JobKind {
    /// What a [`Fetch`](Self::Fetch) job's `source` and `target` (`Type/id`) stand for.
    pub fn fetch(source: SourceName, target: &str) -> Option<Self> {
        let (name, id) = target.split_once('/')?;
        let (resource_type, logical_id) = (ResourceType::from_name(name)?, LogicalId::new(id)?);
        Some(Self::Fetch(ReportKey { source, resource_type, logical_id }))
    }
}
