//! A queued step: claimed with a lease, settled with its results.

use uuid::Uuid;

use super::document::DocumentId;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Read a document, annotate it, and bring its report's Observation in line.
    Annotate(DocumentId),
}

/// A job that this process holds until its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasedJob {
    /// Its identity.
    pub id: i64,
    /// What is to be done.
    pub kind: JobKind,
    /// Proof that the lease is ours; random, new with every claim.
    pub lease: Uuid,
    /// 1 on the first try.
    pub attempt: i32,
}

/// What to do with a job that failed: decided where the cause is known. Unknown means `Fail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Try again later: the cause may pass.
    Retry,
    /// Give up where people see it: trying again gives the same.
    Fail,
}
