//! The readers of models that others have made, and of reports that others have written, as the product has them.

#[path = "../../src/classify/archive.rs"]
pub mod archive;
#[path = "../../src/digest.rs"]
pub mod digest;
#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/extract/mod.rs"]
pub mod extract;
#[path = "../../src/classify/graph_file.rs"]
pub mod graph_file;
#[path = "../../src/classify/graph_weights.rs"]
pub mod graph_weights;
#[path = "../../src/classify/spark/mod.rs"]
pub mod spark;

use domain::source_map::{Place, SourceMap};

/// Reads an attachment, and holds what must be true of every text; also of its sections and sentences.
///
/// # Panics
/// If it is not.
pub fn check(content_type: &str, bytes: &[u8]) {
    let Ok(read) = extract::read_bytes(Some(content_type), bytes) else { return };
    for (text, map) in [(&read.body, &read.map), (&read.hidden, &read.hidden_map)] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "a sign that cannot be seen");
        assert!(text.lines().all(|line| !line.ends_with([' ', '\t'])), "blanks at a line's end");
        assert!(text.trim_matches('\n') == text, "empty lines at an end");
        check_places(text, map);
    }
    let (sections, sentences) = extract::divide(&read.body);
    let mut at = 0;
    for section in &sections {
        assert!(section.span.start() == at, "a gap between sections");
        at = section.span.end();
    }
    assert!(at == read.body.len(), "text behind the sections");
    let mut at = 0;
    for sentence in &sentences {
        assert!(sentence.span.start() >= at, "sentences overlap");
        assert!(sections[sentence.section].span.contains(sentence.span), "a sentence of two sections");
        at = sentence.span.end();
    }
}

fn check_places(text: &str, map: &SourceMap) {
    for (at, character) in text.char_indices().take(2_000) {
        match map.locate(text, &(at..at + character.len_utf8())) {
            Some(Place::Characters(place)) => assert!(place.start <= place.end, "a place that runs backwards"),
            Some(Place::Pages(first, last)) => assert!(first >= 1 && first <= last, "no page"),
            Some(Place::Element(_)) | None => {}
        }
    }
}
