//! `SourceDocument` → `Narrative`: the text of a report, with its sections and sentences.
//!
//! Pure and without errors: whatever cannot be read is told in the narrative's coverage. `choose` picks among the
//! attachments, `parts` among those of the report, `sniff` recognises their formats, one file per format reads them,
//! `sections` and `sentences` divide the text.

mod assembled;
mod boundary;
mod cda;
mod charset;
mod choose;
mod code_pages;
mod docx;
mod elements;
mod embedded;
mod fhir_document;
mod flow;
mod gap;
mod headings;
mod html;
mod inline_style;
mod isolation;
mod likeness;
mod lines;
mod margins;
mod markup;
mod parts;
mod pdf;
mod plain;
mod references;
mod rendition;
mod rtf;
mod section_codes;
mod sections;
mod sentences;
mod sheet;
mod sniff;
mod stages;
mod symbols;
mod tree;
mod words;
mod xml;
mod xml_document;

use std::ops::Range;

use crate::domain::document::{AttachmentRole, SourceDocument};
use crate::domain::narrative::{Drawn, Narrative, Section, SectionKind, Sentence, Span};
use crate::domain::source_map::SourceMap;
use choose::{Chosen, Piece};
use rendition::{Marked, Reading};
use sections::Part;

pub use isolation::{Isolation, serve};
pub use sniff::Format;
pub use stages::{TextOfBytes, divide, read_bytes};

/// Between the report, what its other elements add, and its hidden text.
const SEPARATOR: &str = "\n\n";

/// Reads a document; `isolation` says where the formats are read whose readers cannot be trusted.
pub fn narrative(document: SourceDocument, isolation: &Isolation) -> Narrative {
    let SourceDocument { attachments, .. } = document;
    let Chosen { pieces, coverage } = choose::choose(&attachments, isolation);
    let mut draft = Draft::default();
    let mut hidden = Vec::new();
    for Piece { rendition, role, reading } in pieces {
        let Reading { body, map, headings, hidden: concealed, hidden_map, .. } = reading;
        hidden.push((concealed, rendition, hidden_map));
        let layout = match role {
            AttachmentRole::Report | AttachmentRole::ResourceText => Layout::Headed(headings),
            AttachmentRole::Result => Layout::Rows(SectionKind::Findings),
            AttachmentRole::ConclusionCode => Layout::Rows(SectionKind::Other),
            AttachmentRole::Note => Layout::One(SectionKind::Other),
            AttachmentRole::Conclusion => Layout::One(SectionKind::Impression),
        };
        draft.append(&body, rendition, map, &layout);
    }
    for (body, rendition, map) in hidden {
        draft.append(&body, rendition, map, &Layout::One(SectionKind::Hidden));
    }
    let Draft { text, sections, sentences, drawn, .. } = draft;
    Narrative::new(text, sections, sentences, coverage).drawn_from(drawn)
}

/// How a text is divided.
enum Layout {
    /// By its headings, those among them that the format marks.
    Headed(Vec<Marked>),
    /// It is one section, whatever headings are in it.
    One(SectionKind),
    /// It is a row of a section that has a row for each of its like.
    Rows(SectionKind),
}

/// A narrative in the making.
#[derive(Default)]
struct Draft {
    text: String,
    sections: Vec<Section>,
    sentences: Vec<Sentence>,
    drawn: Vec<Drawn>,
    /// Set if the last text was a row of a section of this kind.
    rows: Option<SectionKind>,
}

impl Draft {
    /// Puts a text behind what is there.
    fn append(&mut self, body: &str, rendition: usize, map: SourceMap, layout: &Layout) {
        if body.is_empty() {
            return;
        }
        let lines = lines::lines(body);
        let one = |kind| vec![Part { kind, title: None, body: 0, title_speaks: false, range: 0..body.len() }];
        let parts = match layout {
            Layout::Headed(headings) => sections::parts(body, &lines, headings),
            Layout::One(kind) | Layout::Rows(kind) => one(*kind),
        };
        let sentences = sentences::sentences(body, &lines, &parts);
        let row = if let Layout::Rows(kind) = layout { Some(*kind) } else { None };
        let goes_on = row.is_some() && self.rows == row;
        self.rows = row;
        self.separate(if goes_on { "\n" } else { SEPARATOR });
        let offset = self.text.len();
        self.text.push_str(body);
        self.drawn.push(Drawn { range: offset..self.text.len(), rendition, map });
        let first = if goes_on { self.sections.len() - 1 } else { self.sections.len() };
        self.add(offset, first, &parts, sentences);
    }

    /// Ends what is there with a separator, which belongs to the section before it.
    fn separate(&mut self, separator: &str) {
        if let Some(last) = self.sections.last_mut() {
            self.text.push_str(separator);
            last.span = span(&self.text, last.span.start()..self.text.len());
        }
    }

    /// Adds the sections and sentences of a text that was put at `offset`; its first section is number `first`, which
    /// may be there already.
    fn add(&mut self, offset: usize, first: usize, parts: &[Part], sentences: Vec<(Range<usize>, usize)>) {
        let text = &self.text;
        let place = |range: Range<usize>| span(text, range.start + offset..range.end + offset);
        for (number, part) in (first..).zip(parts) {
            let own = place(part.range.clone());
            match self.sections.get_mut(number) {
                Some(section) => section.span = section.span.join(own),
                None => {
                    let title = part.title.clone().map(place);
                    self.sections.push(Section { kind: part.kind, title, span: own });
                }
            }
        }
        let sentence = |(range, section): (_, usize)| Sentence { span: place(range), section: first + section };
        self.sentences.extend(sentences.into_iter().map(sentence));
    }
}

fn span(text: &str, range: Range<usize>) -> Span {
    // Cannot fail because every range was made of character boundaries of this text.
    Span::new(text, range.start, range.end).expect("a range of the text")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::document::{About, Attachment, AttachmentContent, AttachmentRole, Disposition, ResourceType};
    use crate::domain::source_map::Place;

    fn document(attachments: Vec<(AttachmentRole, Option<&str>, Vec<u8>)>) -> SourceDocument {
        let attachment = |(index, (role, content_type, bytes)): (usize, (_, Option<&str>, _))| Attachment {
            origin: format!("attachment {index}"),
            role,
            content_type: content_type.map(str::to_owned),
            content: AttachmentContent::Bytes(Bytes::from(bytes)),
        };
        SourceDocument {
            resource_type: ResourceType::DiagnosticReport,
            logical_id: None,
            disposition: Disposition::Annotate,
            about: About::default(),
            identifiers: Vec::new(),
            replaces: Vec::new(),
            attachments: attachments.into_iter().enumerate().map(attachment).collect(),
            results: Vec::new(),
        }
    }

    fn narrative(document: SourceDocument) -> Narrative {
        super::narrative(document, &Isolation::none())
    }

    fn check(narrative: &Narrative) -> Result<(), TestCaseError> {
        let mut at = 0;
        for section in narrative.sections() {
            prop_assert_eq!(section.span.start(), at);
            prop_assert!(section.title.is_none_or(|title| section.span.contains(title)));
            at = section.span.end();
        }
        prop_assert_eq!(at, narrative.text().len());
        let mut at = 0;
        for sentence in narrative.sentences() {
            prop_assert!(sentence.span.start() >= at);
            prop_assert!(narrative.sections()[sentence.section].span.contains(sentence.span));
            prop_assert!(sentence.span.of(narrative.text()).contains(char::is_alphanumeric));
            at = sentence.span.end();
        }
        let characters: usize = narrative.coverage().read.iter().map(|read| read.characters).sum();
        prop_assert!(narrative.text().chars().count() >= characters);
        Ok(())
    }

    fn letters(text: &str) -> String {
        text.chars().filter(|c| c.is_alphanumeric()).collect()
    }

    /// Source without its tags; nothing if it hides something, which is another section's.
    fn without_tags(source: &str) -> Option<String> {
        let mut shown = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('<') {
            let (tag, after) = after.split_once('>')?;
            if tag.contains("hidden") {
                return None;
            }
            shown.push_str(before);
            rest = after;
        }
        Some(shown + rest)
    }

    /// What stands at the places that the narrative names says what its sentences say.
    fn check_places(narrative: &Narrative, source: &str) -> Result<usize, TestCaseError> {
        let html = narrative.coverage().read.first().is_some_and(|read| read.format.contains("html"));
        let source: Vec<char> = source.chars().collect();
        let mut compared = 0;
        for sentence in narrative.sentences() {
            let places = narrative.source_of(sentence.span);
            prop_assert_eq!(places.len(), 1);
            prop_assert_eq!(&places[0].origin, &narrative.coverage().read[places[0].rendition].origin);
            let Some(Place::Characters(range)) = &places[0].place else { continue };
            prop_assert!(range.end <= source.len());
            let stands: String = source[range.clone()].iter().collect();
            let stands = if html { without_tags(&stands) } else { Some(stands) };
            let Some(stands) = stands else { continue };
            prop_assert_eq!(letters(&stands), letters(sentence.span.of(narrative.text())));
            compared += 1;
        }
        Ok(compared)
    }

    #[test]
    fn results_share_a_section_and_parts_have_their_own() {
        let narrative = narrative(document(vec![
            (AttachmentRole::Report, Some("text/plain"), b"IMPRESSION: Better. Signed by Dr. A.".to_vec()),
            (AttachmentRole::Report, Some("text/plain"), b"Second exam: stable.".to_vec()),
            (AttachmentRole::Result, None, b"Size: 5 mm".to_vec()),
            (AttachmentRole::Result, None, b"Count: 2".to_vec()),
            (AttachmentRole::ConclusionCode, None, b"Conclusion code: Stable".to_vec()),
            (AttachmentRole::Conclusion, None, b"No change.".to_vec()),
        ]));
        assert!(check(&narrative).is_ok());
        let sections: Vec<_> =
            narrative.sections().iter().map(|s| (s.kind, s.span.of(narrative.text()).trim())).collect();
        let tail = &sections[sections.len() - 3..];
        assert_eq!(
            tail,
            [
                (SectionKind::Findings, "Size: 5 mm\nCount: 2"),
                (SectionKind::Other, "Conclusion code: Stable"),
                (SectionKind::Impression, "No change."),
            ]
        );
        assert_eq!(sections[0].0, SectionKind::Impression);
        let second = sections.iter().find(|(_, text)| text.contains("Second exam")).expect("a section");
        assert!(!second.1.contains("Better"), "{second:?}");
        let origins: Vec<_> = narrative
            .sentences()
            .iter()
            .flat_map(|sentence| narrative.source_of(sentence.span))
            .map(|source| source.rendition)
            .collect();
        assert!(origins.is_sorted(), "{origins:?}");
        assert_eq!(origins.last(), Some(&5));
    }

    #[test]
    fn the_conclusion_and_hidden_text_are_sections_of_their_own() {
        let html = b"<h2>Findings</h2><p>Nodule 5 mm.</p><p hidden>Draft: progression</p>".to_vec();
        let narrative = narrative(document(vec![
            (AttachmentRole::Report, Some("text/html"), html),
            (AttachmentRole::Conclusion, None, b"Stable disease. No new lesion.".to_vec()),
        ]));
        let sections: Vec<_> =
            narrative.sections().iter().map(|s| (s.kind, s.span.of(narrative.text()).trim())).collect();
        assert_eq!(
            sections,
            [
                (SectionKind::Findings, "Findings\n\nNodule 5 mm."),
                (SectionKind::Impression, "Stable disease. No new lesion."),
                (SectionKind::Hidden, "Draft: progression"),
            ]
        );
        let sentences: Vec<_> = narrative.sentences().iter().map(|s| s.span.of(narrative.text())).collect();
        assert_eq!(sentences, ["Nodule 5 mm.", "Stable disease.", "No new lesion.", "Draft: progression"]);
    }

    /// Sections with their titles, and under each its sentences.
    fn outline(narrative: &Narrative) -> String {
        let mut lines = Vec::new();
        for (index, section) in narrative.sections().iter().enumerate() {
            let title = section.title.map_or("", |title| title.of(narrative.text()));
            lines.push(format!("{}: {title}", section.kind.code()).trim_end().to_owned());
            let own = narrative.sentences().iter().filter(|sentence| sentence.section == index);
            lines.extend(own.map(|sentence| format!("  {}", sentence.span.of(narrative.text()).replace('\n', "/"))));
        }
        lines.join("\n")
    }

    #[test]
    fn whole_reports_are_divided_as_a_reader_divides_them() {
        for (content_type, report, expected) in [
            (
                "text/plain",
                include_str!("../../tests/fixtures/extract/radiology.txt"),
                include_str!("../../tests/fixtures/extract/radiology.outline"),
            ),
            (
                "text/html",
                include_str!("../../tests/fixtures/extract/clinic-note.html"),
                include_str!("../../tests/fixtures/extract/clinic-note.outline"),
            ),
            (
                "text/plain",
                include_str!("../../tests/fixtures/extract/comma-breaks.txt"),
                include_str!("../../tests/fixtures/extract/comma-breaks.outline"),
            ),
        ] {
            let attachments = vec![(AttachmentRole::Report, Some(content_type), report.as_bytes().to_vec())];
            let narrative = narrative(document(attachments));
            assert_eq!(outline(&narrative), expected.trim_end());
            if content_type == "text/plain" {
                let compared = check_places(&narrative, report).unwrap_or_else(|fault| panic!("{fault}"));
                assert_eq!(compared, narrative.sentences().len());
            }
        }
    }

    #[test]
    fn a_document_without_text_gives_an_empty_narrative_that_says_why() {
        let narrative =
            narrative(document(vec![(AttachmentRole::Report, Some("application/pdf"), b"%PDF-1.4".to_vec())]));
        assert!(narrative.text().is_empty() && narrative.sections().is_empty() && narrative.sentences().is_empty());
        assert_eq!(narrative.coverage().unread.len(), 1);
    }

    #[test]
    fn neither_notes_nor_details_repeat_the_text() {
        for (content_type, bytes) in [
            ("text/plain; charset=utf-8", b"PHI-CANARY \xe9".as_slice()),
            ("text/html", b"<p hidden>PHI-CANARY</p><del>PHI-CANARY</del>"),
            ("text/plain", b"%PDF PHI-CANARY"),
            ("text/rtf", b"{\\rtf1 x{\\v PHI-CANARY}{\\header PHI-CANARY}{\\pict 00}} PHI-CANARY"),
            ("application/rtf", b"\0\x01PHI-CANARY"),
            ("PHI-CANARY Doe", b"\0\x01\x02\x03PHI-CANARY"),
            ("PHI-CANARY Doe", b"abc"),
        ] {
            let narrative = narrative(document(vec![(AttachmentRole::Report, Some(content_type), bytes.to_vec())]));
            assert!(!format!("{:?}", narrative.coverage()).contains("CANARY"), "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_whole_narrative(bytes: Vec<u8>, html: bool, conclusion: Vec<u8>) {
            let content_type = Some(if html { "text/html" } else { "text/plain" });
            check(&narrative(document(vec![
                (AttachmentRole::Report, content_type, bytes),
                (AttachmentRole::Conclusion, None, conclusion),
            ])))?;
        }

        #[test]
        fn any_report_gives_a_whole_narrative(
            text in "(<p>|</p>|<h2>|</h2>|<br>|<span hidden>|</span>|IMPRESSION:|Plan|\n|,| |Page 1 of 2|Liver:|é|\\. |Dr\\.|stable){0,40}",
            html: bool
        ) {
            let content_type = Some(if html { "text/html" } else { "text/plain" });
            let narrative = narrative(document(vec![(AttachmentRole::Report, content_type, text.clone().into_bytes())]));
            check(&narrative)?;
            check_places(&narrative, &text)?;
        }
    }
}
