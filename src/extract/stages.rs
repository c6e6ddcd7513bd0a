//! The stages of reading one by one, for whoever has bytes or a text but no document: measurements and fuzzing.

use std::fmt;

use super::rendition::{self, Reading, Refusal};
use super::{Format, Isolation, lines, sections, sentences, span};
use crate::domain::narrative::{Section, Sentence, UnreadReason};
use crate::domain::source_map::SourceMap;

/// The text of some bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct TextOfBytes {
    /// What the bytes turned out to be.
    pub format: Format,
    /// What a reader sees.
    pub body: String,
    /// Where each part of `body` stands in the bytes.
    pub map: SourceMap,
    /// What the format hides from its reader.
    pub hidden: String,
    /// Where each part of `hidden` stands.
    pub hidden_map: SourceMap,
    /// Places that could not be read. Never report text.
    pub unread: Vec<String>,
    /// What was guessed. Never report text.
    pub notes: Vec<String>,
}

impl fmt::Debug for TextOfBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextOfBytes")
            .field("format", &self.format)
            .field("bytes", &self.body.len())
            .field("hidden_bytes", &self.hidden.len())
            .field("unread", &self.unread)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// Reads the bytes of an attachment with this content type.
///
/// # Errors
/// Why they cannot be read, and one sentence for a person, without report text.
pub fn read_bytes(content_type: Option<&str>, bytes: &[u8]) -> Result<TextOfBytes, (UnreadReason, String)> {
    let told = |Refusal { reason, detail }| (reason, detail);
    let recognised = rendition::recognise(content_type, bytes).map_err(told)?;
    let reading = rendition::read(&recognised, bytes, &Isolation::none()).map_err(told)?;
    let Reading { body, map, hidden, hidden_map, notes, unread, .. } = reading;
    let unread = unread.into_iter().map(|(place, _)| place).collect();
    Ok(TextOfBytes { format: recognised.format, body, map, hidden, hidden_map, unread, notes })
}

/// The sections and sentences of a text whose headings are known by their words alone.
pub fn divide(text: &str) -> (Vec<Section>, Vec<Sentence>) {
    if text.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let lines = lines::lines(text);
    let parts = sections::parts(text, &lines, &[]);
    let sentences = sentences::sentences(text, &lines, &parts);
    let sections = parts.into_iter().map(|part| Section {
        kind: part.kind,
        title: part.title.map(|title| span(text, title)),
        span: span(text, part.range),
    });
    let sentences = sentences.into_iter().map(|(range, section)| Sentence { span: span(text, range), section });
    (sections.collect(), sentences.collect())
}
