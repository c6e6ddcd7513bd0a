//! `SourceDocument` → `Narrative`: the text of a report, with its sections and sentences.
//!
//! Pure and without errors: whatever cannot be read is told in the narrative's coverage. `choose` picks among the
//! attachments, `sniff` recognises their formats, one file per format reads them, `sections` and `sentences` divide
//! the text.

mod assembled;
mod boundary;
mod cda;
mod charset;
mod choose;
mod docx;
mod embedded;
mod fhir_document;
mod headings;
mod html;
mod isolation;
mod lines;
mod markup;
mod pdf;
mod plain;
mod rendition;
mod rtf;
mod section_codes;
mod sections;
mod sentences;
mod sheet;
mod sniff;
mod symbols;
mod words;
mod xml;
mod xml_document;

use std::ops::Range;

use crate::domain::document::SourceDocument;
use crate::domain::narrative::{Narrative, Section, SectionKind, Sentence, Span};
use choose::Chosen;
use rendition::Marked;
use sections::Part;

pub use isolation::{Isolation, serve};
pub use sniff::Format;

/// Between the report, its conclusion and its hidden text.
const SEPARATOR: &str = "\n\n";

/// Reads a document; `isolation` says where the formats are read whose readers cannot be trusted.
pub fn narrative(document: SourceDocument, isolation: &Isolation) -> Narrative {
    let SourceDocument { attachments, .. } = document;
    let Chosen { report, conclusions, coverage } = choose::choose(&attachments, isolation);
    let mut draft = Draft::new(report.body, &report.headings);
    for conclusion in &conclusions {
        draft.append(conclusion, SectionKind::Impression);
    }
    draft.append(&report.hidden, SectionKind::Hidden);
    let Draft { text, sections, sentences } = draft;
    Narrative::new(text, sections, sentences, coverage)
}

/// A narrative in the making.
struct Draft {
    text: String,
    sections: Vec<Section>,
    sentences: Vec<Sentence>,
}

impl Draft {
    /// The report itself, with the sections that its headings make.
    fn new(text: String, headings: &[Marked]) -> Self {
        let lines = lines::lines(&text);
        let parts = sections::parts(&text, &lines, headings);
        let parts = if text.is_empty() { Vec::new() } else { parts };
        let sentences = sentences::sentences(&text, &lines, &parts);
        let mut draft = Self { text, sections: Vec::new(), sentences: Vec::new() };
        draft.add(0, &parts, sentences);
        draft
    }

    /// Text that is one section, whatever headings are in it.
    fn append(&mut self, text: &str, kind: SectionKind) {
        if text.is_empty() {
            return;
        }
        if let Some(last) = self.sections.last_mut() {
            self.text.push_str(SEPARATOR);
            let end = self.text.len();
            last.span = span(&self.text, last.span.start()..end);
        }
        let offset = self.text.len();
        self.text.push_str(text);
        let part = Part { kind, title: None, body: 0, range: 0..text.len() };
        let parts = [part];
        let sentences = sentences::sentences(text, &lines::lines(text), &parts);
        self.add(offset, &parts, sentences);
    }

    fn add(&mut self, offset: usize, parts: &[Part], sentences: Vec<(Range<usize>, usize)>) {
        let first = self.sections.len();
        let text = &self.text;
        let place = |range: Range<usize>| span(text, range.start + offset..range.end + offset);
        self.sections.extend(parts.iter().map(|part| Section {
            kind: part.kind,
            title: part.title.clone().map(place),
            span: place(part.range.clone()),
        }));
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
            assert_eq!(outline(&narrative(document(attachments))), expected.trim_end());
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
            check(&narrative(document(vec![(AttachmentRole::Report, content_type, text.into_bytes())])))?;
        }
    }
}
