//! What a format's reader gives, as `src/extract/rendition.rs` has it: that file names all readers and what they need.

use std::ops::Range;

use crate::domain::narrative::{SectionKind, UnreadReason};
use crate::domain::source_map::SourceMap;

pub const NARRATIVE_CHARACTERS_MAX: usize = 2_000_000;

#[derive(Debug, Default)]
pub struct Reading {
    pub body: String,
    pub map: SourceMap,
    pub headings: Vec<Marked>,
    pub hidden: String,
    pub hidden_map: SourceMap,
    pub unread: Vec<(String, Refusal)>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Marked {
    pub range: Range<usize>,
    pub kind: Option<SectionKind>,
}

#[derive(Debug)]
pub struct Refusal {
    pub reason: UnreadReason,
    pub detail: String,
}

impl Refusal {
    pub fn new(reason: UnreadReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
