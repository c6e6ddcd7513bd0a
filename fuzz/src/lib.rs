//! The readers of models that others have made, as the product has them.

#[path = "../../src/classify/archive.rs"]
pub mod archive;
#[path = "../../src/classify/graph_file.rs"]
pub mod graph_file;
#[path = "../../src/classify/graph_weights.rs"]
pub mod graph_weights;
#[path = "../../src/classify/spark/mod.rs"]
pub mod spark;

/// The vocabulary that the readers of reports share.
#[path = "../../src/domain"]
pub mod domain {
    pub mod narrative;
    pub mod source_map;
}

/// The readers of documents in XML and JSON, and what they read within them.
#[path = "../../src/extract"]
#[allow(dead_code, reason = "the product uses more of it")]
pub mod documents {
    mod assembled;
    mod cda;
    mod charset;
    mod embedded;
    mod fhir_document;
    mod headings;
    mod html;
    mod lines;
    mod markup;
    mod plain;
    mod rendition;
    mod section_codes;
    mod sniff;
    mod words;
    mod xml;
    mod xml_document;

    /// Reads a rendition, and holds what must be true of every text.
    ///
    /// # Panics
    /// If it is not.
    pub fn check(content_type: &str, bytes: &[u8]) {
        let Ok(recognised) = rendition::recognise(Some(content_type), bytes) else { return };
        let Ok(reading) = rendition::read(&recognised, bytes) else { return };
        let mut at = 0;
        for marked in &reading.headings {
            assert!(marked.range.start >= at && reading.body.get(marked.range.clone()).is_some(), "a heading lies apart");
            at = marked.range.end;
        }
        for (text, map) in [(&reading.body, &reading.map), (&reading.hidden, &reading.hidden_map)] {
            assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "a sign that cannot be seen");
            assert!(text.trim_matches('\n') == text, "empty lines at an end");
            let _ = map.locate(text, &(0..text.len()));
        }
        assert!(reading.unread.len() <= 1_000, "an endless list");
    }
}
