//! What the tests of this module share: a tiny real model, and narratives made of parts.

use std::path::Path;
use std::sync::OnceLock;

use super::model::Model;
use crate::domain::narrative::{Coverage, Narrative, Section, SectionKind, Sentence, Span};

/// A model that knows some forty words (see `tests/fixtures/models/make.py`); its windows hold 16 tokens.
pub(crate) fn tiny_model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| Model::load(&tiny_path()).expect("the tiny model"))
}

pub(crate) fn tiny_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/tiny")
}

/// Sections of a kind, a heading and sentences; sections are set apart by a line break, sentences by a blank.
pub(crate) fn narrative(parts: &[(SectionKind, Option<&str>, &[&str])]) -> Narrative {
    let mut text = String::new();
    let (mut sections, mut sentences) = (Vec::new(), Vec::new());
    for (index, (kind, title, of_section)) in parts.iter().enumerate() {
        let start = text.len();
        let title = title.map(|title| {
            text.push_str(title);
            text.push_str(": ");
            (start, start + title.len())
        });
        for sentence in *of_section {
            sentences.push((text.len(), text.len() + sentence.len(), index));
            text.push_str(sentence);
            text.push(' ');
        }
        text.push('\n');
        sections.push((*kind, title, start, text.len()));
    }
    let span = |start, end| Span::new(&text, start, end).expect("a span");
    let sections = sections.into_iter().map(|(kind, title, start, end)| Section {
        kind,
        title: title.map(|(start, end)| span(start, end)),
        span: span(start, end),
    });
    let sections = sections.collect();
    let sentences = sentences.into_iter().map(|(start, end, section)| Sentence { span: span(start, end), section });
    let sentences = sentences.collect();
    Narrative::new(text, sections, sentences, Coverage::default())
}
