//! Coverage as JSON: one shape for the command line, our API and the database.

use serde::{Deserialize, Serialize};

use crate::domain::narrative::{Coverage, ReadRendition, UnreadReason, UnreadRendition};

/// What was read and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageView {
    read: Vec<ReadView>,
    unread: Vec<UnreadView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ReadView {
    origin: String,
    format: String,
    characters: usize,
    notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct UnreadView {
    origin: String,
    reason: String,
    detail: String,
}

impl From<&Coverage> for CoverageView {
    fn from(coverage: &Coverage) -> Self {
        let read = |ReadRendition { origin, format, characters, notes }: &ReadRendition| ReadView {
            origin: origin.clone(),
            format: format.clone(),
            characters: *characters,
            notes: notes.clone(),
        };
        let unread = |UnreadRendition { origin, reason, detail }: &UnreadRendition| UnreadView {
            origin: origin.clone(),
            reason: reason.code().to_owned(),
            detail: detail.clone(),
        };
        Self { read: coverage.read.iter().map(read).collect(), unread: coverage.unread.iter().map(unread).collect() }
    }
}

impl CoverageView {
    /// The coverage; nothing if a reason is not one that this version knows.
    pub fn into_coverage(self) -> Option<Coverage> {
        let read = self.read.into_iter().map(|ReadView { origin, format, characters, notes }| ReadRendition {
            origin,
            format,
            characters,
            notes,
        });
        let unread = self.unread.into_iter().map(|UnreadView { origin, reason, detail }| {
            Some(UnreadRendition { origin, reason: UnreadReason::from_code(&reason)?, detail })
        });
        Some(Coverage { read: read.collect(), unread: unread.collect::<Option<_>>()? })
    }
}
