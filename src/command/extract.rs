//! `responsum extract`: the narrative of one file or FHIR resource.

use std::io::{self, Write};

use serde::Serialize;

use super::texts::single_attachment;
use crate::domain::document::SourceDocument;
use crate::domain::narrative::{Narrative, Section, Sentence, Span};
use crate::extract::{self, Isolation};
use crate::fhir::report;
use crate::view::CoverageView;

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The output could not be written.
    #[error("writing the narrative")]
    Write(#[source] io::Error),
    /// The narrative could not be written as JSON.
    #[error("writing the narrative as JSON")]
    Json(#[source] serde_json::Error),
}

/// Writes the narrative of `input` to `out`: plain, everything that was read, in order; as JSON, with sections,
/// sentences and coverage.
pub fn run(
    content_type: Option<&str>,
    json: bool,
    input: &[u8],
    isolation: &Isolation,
    out: &mut impl Write,
) -> Result<(), ExtractError> {
    let narrative = extract::narrative(document_of(input, content_type), isolation);
    if json {
        serde_json::to_writer(&mut *out, &NarrativeJson::of(&narrative)).map_err(ExtractError::Json)?;
    } else {
        out.write_all(narrative.text().as_bytes()).map_err(ExtractError::Write)?;
    }
    writeln!(out).map_err(ExtractError::Write)
}

/// The document that a file is: a report in FHIR JSON, or the text of one.
fn document_of(input: &[u8], content_type: Option<&str>) -> SourceDocument {
    report::read(input).unwrap_or_else(|_| single_attachment("file", content_type, input))
}

/// The narrative as JSON. `start` and `end` are Unicode code points, `start_byte` and `end_byte` UTF-8 bytes.
#[derive(Serialize)]
struct NarrativeJson<'a> {
    text: &'a str,
    sections: Vec<SectionJson<'a>>,
    sentences: Vec<SentenceJson>,
    coverage: CoverageView,
}

#[derive(Serialize)]
struct SectionJson<'a> {
    kind: &'static str,
    title: Option<&'a str>,
    #[serde(flatten)]
    place: PlaceJson,
}

#[derive(Serialize)]
struct SentenceJson {
    /// Index into `sections`.
    section: usize,
    #[serde(flatten)]
    place: PlaceJson,
}

#[derive(Serialize)]
struct PlaceJson {
    start: usize,
    end: usize,
    start_byte: usize,
    end_byte: usize,
}

impl<'a> NarrativeJson<'a> {
    fn of(narrative: &'a Narrative) -> Self {
        let text = narrative.text();
        let section = |(section, place): (&Section, _)| SectionJson {
            kind: section.kind.code(),
            title: section.title.map(|title| title.of(text)),
            place,
        };
        let sentence = |(sentence, place): (&Sentence, _)| SentenceJson { section: sentence.section, place };
        let section_places = places(text, narrative.sections().iter().map(|section| section.span));
        let sentence_places = places(text, narrative.sentences().iter().map(|sentence| sentence.span));
        Self {
            text,
            sections: narrative.sections().iter().zip(section_places).map(section).collect(),
            sentences: narrative.sentences().iter().zip(sentence_places).map(sentence).collect(),
            coverage: CoverageView::from(narrative.coverage()),
        }
    }
}

/// Where spans are that follow each other. Counted in one pass: a long narrative has many thousand.
fn places(text: &str, spans: impl Iterator<Item = Span>) -> Vec<PlaceJson> {
    let (mut byte, mut point) = (0, 0);
    let mut point_at = |at: usize| {
        point += text[byte..at].chars().count();
        byte = at;
        point
    };
    spans
        .map(|span| PlaceJson {
            start: point_at(span.start()),
            end: point_at(span.end()),
            start_byte: span.start(),
            end_byte: span.end(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(content_type: Option<&str>, json: bool, input: &[u8]) -> String {
        let mut out = Vec::new();
        run(content_type, json, input, &Isolation::none(), &mut out).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn plain_output_is_everything_that_was_read() {
        assert_eq!(output(Some("text/html"), false, b"<p>Stable.</p><p hidden>x</p>"), "Stable.\n\nx\n");
    }

    #[test]
    fn json_places_are_code_points_and_bytes() {
        let json: serde_json::Value =
            serde_json::from_str(&output(None, true, "Naïve. IMPRESSION: ≥ stable.".as_bytes())).expect("JSON");
        assert_eq!(json["sections"][1]["title"], "IMPRESSION");
        assert_eq!(json["sections"][1]["kind"], "impression");
        let sentence = &json["sentences"][1];
        assert_eq!((sentence["start"].as_u64(), sentence["start_byte"].as_u64()), (Some(19), Some(20)));
        assert_eq!((sentence["end"].as_u64(), sentence["end_byte"].as_u64()), (Some(28), Some(31)));
        assert_eq!(sentence["section"], 1);
        assert_eq!(json["coverage"]["read"][0]["origin"], "file");
        assert_eq!(json["coverage"]["read"][0]["format"], "text/plain");
    }

    #[test]
    fn what_cannot_be_read_is_in_the_coverage() {
        let json: serde_json::Value =
            serde_json::from_str(&output(Some("application/pdf"), true, b"%PDF-1.7")).expect("JSON");
        assert_eq!(json["coverage"]["unread"][0]["reason"], "malformed");
        assert_eq!(json["text"], "");
    }
}
