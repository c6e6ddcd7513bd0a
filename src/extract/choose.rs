//! What is read of a document: the report, and what its other elements add.

use std::borrow::Cow;

use super::isolation::Isolation;
use super::parts::{self, Candidate, Outcome, Part};
use super::rendition::{self, NARRATIVE_CHARACTERS_MAX, Reading, Recognised, Refusal};
use super::sniff::Format;
use crate::domain::document::{Attachment, AttachmentContent, AttachmentRole};
use crate::domain::narrative::{Coverage, ReadRendition, UnreadReason, UnreadRendition};

/// Elements beside the report that are read, of each kind. Each is compared with the report's text; the largest panels
/// have a hundred results.
const ADDED_MAX: usize = 500;

/// Letters and digits of a result's value from which on it is found in the report without its name.
const TELLING_CHARACTERS_MIN: usize = 20;

/// What was read of a document.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The texts of the narrative, in its order: the report, its results, codes and notes, its conclusion.
    pub(super) pieces: Vec<Piece>,
    pub(super) coverage: Coverage,
}

/// One text of the narrative.
#[derive(Debug)]
pub(super) struct Piece {
    /// Index into [`Coverage::read`].
    pub(super) rendition: usize,
    pub(super) role: AttachmentRole,
    pub(super) reading: Reading,
}

/// Reads the report, what its other elements add, and the resource's own text if the author wrote no other. Every
/// attachment ends in the coverage: those that were not read, and parts that were not, in the document's order.
pub(super) fn choose(attachments: &[Attachment], isolation: &Isolation) -> Chosen {
    let mut choice = Choice {
        attachments,
        isolation,
        chosen: Chosen::default(),
        unread: attachments.iter().map(|_| Vec::new()).collect(),
        characters: 0,
    };
    choice.read_report();
    choice.read_resource_text();
    for role in
        [AttachmentRole::Result, AttachmentRole::ConclusionCode, AttachmentRole::Note, AttachmentRole::Conclusion]
    {
        choice.read_added(role);
    }
    let Choice { mut chosen, unread, .. } = choice;
    chosen.coverage.unread = unread.into_iter().flatten().collect();
    chosen
}

/// A choice in the making.
struct Choice<'a> {
    attachments: &'a [Attachment],
    isolation: &'a Isolation,
    chosen: Chosen,
    /// What was not read, by attachment.
    unread: Vec<Vec<UnreadRendition>>,
    /// Characters of the narrative so far.
    characters: usize,
}

impl<'a> Choice<'a> {
    fn of_role(&self, role: AttachmentRole) -> impl Iterator<Item = (usize, &'a Attachment)> + use<'a> {
        self.attachments.iter().enumerate().filter(move |(_, attachment)| attachment.role == role)
    }

    fn refuse(&mut self, index: usize, Refusal { reason, detail }: Refusal) {
        let origin = self.attachments[index].origin.clone();
        self.unread[index].push(UnreadRendition { origin, reason, detail });
    }

    /// Reads the report: its best format, all parts of it.
    fn read_report(&mut self) {
        let mut candidates = Vec::new();
        for (index, attachment) in self.of_role(AttachmentRole::Report) {
            match recognised(attachment) {
                Ok((recognised, bytes)) => candidates.push(Candidate { index, attachment, recognised, bytes }),
                Err(refusal) => self.refuse(index, refusal),
            }
        }
        let Outcome { parts, refusals } = parts::read(candidates, self.isolation);
        for (index, refusal) in refusals {
            self.refuse(index, refusal);
        }
        for Part { candidate, reading } in parts {
            self.take(candidate.index, reading, candidate.recognised.format);
        }
    }

    /// Reads `text.div` if neither the report nor a conclusion has text. It renders the whole resource, so that what it
    /// holds already is not added again.
    fn read_resource_text(&mut self) {
        let written = self.chosen.coverage.read.first().map(|read| read.origin.clone()).or_else(|| {
            let mut conclusions = self.of_role(AttachmentRole::Conclusion);
            conclusions
                .find(|(_, conclusion)| read_text(conclusion, self.isolation).is_ok())
                .map(|(_, found)| found.origin.clone())
        });
        for (index, attachment) in self.of_role(AttachmentRole::ResourceText) {
            let reading = match &written {
                Some(origin) => {
                    let detail = format!("It renders the whole resource; its text was read from {origin}.");
                    Err(Refusal::new(UnreadReason::OtherRenditionChosen, detail))
                }
                None => content(attachment)
                    .and_then(|bytes| rendition::read(&Recognised::certain(Format::Xhtml), bytes, self.isolation)),
            };
            match reading {
                Ok(reading) => self.take(index, reading, Format::Xhtml),
                Err(refusal) => self.refuse(index, refusal),
            }
        }
    }

    /// Reads elements that add to the report, unless it has their text.
    fn read_added(&mut self, role: AttachmentRole) {
        if self.of_role(role).next().is_none() {
            return;
        }
        let told: String = self.chosen.pieces.iter().map(|piece| piece.reading.body.as_str()).collect();
        let told = Told { dense: dense(&told), letters: letters(&told) };
        for (count, (index, attachment)) in self.of_role(role).enumerate() {
            match self.added(attachment, &told, count) {
                Ok(reading) => self.take(index, reading, Format::Plain),
                Err(refusal) => self.refuse(index, refusal),
            }
        }
    }

    fn added(&self, attachment: &Attachment, told: &Told, count: usize) -> Result<Reading, Refusal> {
        let mut reading = read_text(attachment, self.isolation)?;
        if count >= ADDED_MAX {
            let detail = format!("More than {ADDED_MAX} elements of its kind are in the report.");
            return Err(Refusal::new(UnreadReason::TooLarge, detail));
        }
        let all = self.characters + reading.body.chars().count();
        if all > NARRATIVE_CHARACTERS_MAX {
            return Err(rendition::too_long(all));
        }
        if told.holds(&reading.body, attachment.role) {
            let detail = "Its text is in the report already, word for word.";
            return Err(Refusal::new(UnreadReason::OtherRenditionChosen, detail));
        }
        if matches!(attachment.role, AttachmentRole::Result | AttachmentRole::ConclusionCode) {
            // Its line is made of several elements: no place in one of them is its own.
            reading.map = crate::domain::source_map::SourceMap::default();
        }
        Ok(reading)
    }

    /// Records that a rendition was read.
    fn take(&mut self, index: usize, mut reading: Reading, format: Format) {
        let Attachment { origin, role, .. } = &self.attachments[index];
        let characters = reading.body.chars().count() + reading.hidden.chars().count();
        for (part, Refusal { reason, detail }) in reading.unread.drain(..) {
            self.unread[index].push(UnreadRendition { origin: format!("{origin} ({part})"), reason, detail });
        }
        self.characters += characters;
        let rendition = self.chosen.coverage.read.len();
        self.chosen.coverage.read.push(ReadRendition {
            origin: origin.clone(),
            format: format.media_type().to_owned(),
            characters,
            notes: std::mem::take(&mut reading.notes),
        });
        self.chosen.pieces.push(Piece { rendition, role: *role, reading });
    }
}

/// Recognises an attachment that has bytes.
fn recognised(attachment: &Attachment) -> Result<(Recognised, Cow<'_, [u8]>), Refusal> {
    let bytes = content(attachment)?;
    let content_type = attachment.content_type.as_deref();
    Ok(match rendition::encoded_twice(bytes) {
        Some(inner) => (rendition::recognise(content_type, &inner)?.encoded_twice(), Cow::Owned(inner)),
        None => (rendition::recognise(content_type, bytes)?, Cow::Borrowed(bytes)),
    })
}

/// Reads an element that holds its text itself.
fn read_text(attachment: &Attachment, isolation: &Isolation) -> Result<Reading, Refusal> {
    rendition::read(&Recognised::certain(Format::Plain), content(attachment)?, isolation)
}

/// The bytes of an attachment.
fn content(attachment: &Attachment) -> Result<&[u8], Refusal> {
    match &attachment.content {
        AttachmentContent::Bytes(bytes) => Ok(bytes),
        AttachmentContent::Url(_) => Err(Refusal::new(
            UnreadReason::NotFetched,
            "Only a URL is given, and it is not on a source that may be fetched from.",
        )),
        AttachmentContent::NotFetched(why) => Err(Refusal::new(UnreadReason::NotFetched, why.clone())),
        AttachmentContent::Referenced(_) => {
            Err(Refusal::new(UnreadReason::NotFetched, "It is a resource of its own, which was not fetched."))
        }
        AttachmentContent::Malformed(what) => Err(Refusal::new(UnreadReason::Malformed, what.clone())),
        AttachmentContent::Empty => Err(Refusal::new(
            UnreadReason::Empty,
            match attachment.role {
                AttachmentRole::Report => "It has neither data nor a URL.",
                AttachmentRole::Result => "It has neither a value nor a note.",
                _ => "It holds no text.",
            },
        )),
    }
}

/// What the narrative says so far.
struct Told {
    /// Without white space.
    dense: String,
    /// Letters and digits alone.
    letters: String,
}

impl Told {
    /// Whether it says what an element adds.
    fn holds(&self, text: &str, role: AttachmentRole) -> bool {
        match role {
            // `Name: value` lines, which the report may have as rows of a table.
            AttachmentRole::Result | AttachmentRole::ConclusionCode => text.lines().all(|line| {
                let value = letters(line.split_once(": ").map_or(line, |(_, value)| value));
                self.letters.contains(&letters(line))
                    || (value.chars().count() >= TELLING_CHARACTERS_MIN && self.letters.contains(&value))
            }),
            _ => self.dense.contains(&dense(text)),
        }
    }
}

/// The text without white space.
pub(super) fn dense(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Its letters and digits.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn attachment(origin: &str, role: AttachmentRole, content_type: &str, bytes: &'static [u8]) -> Attachment {
        Attachment {
            origin: origin.to_owned(),
            role,
            content_type: Some(content_type.to_owned()),
            content: AttachmentContent::Bytes(Bytes::from_static(bytes)),
        }
    }

    fn report(origin: &str, content_type: &str, bytes: &'static [u8]) -> Attachment {
        attachment(origin, AttachmentRole::Report, content_type, bytes)
    }

    fn unread(chosen: &Chosen) -> Vec<(&str, UnreadReason)> {
        chosen.coverage.unread.iter().map(|unread| (unread.origin.as_str(), unread.reason)).collect()
    }

    fn choose(attachments: &[Attachment]) -> Chosen {
        super::choose(attachments, &Isolation::none())
    }

    fn body(chosen: &Chosen) -> String {
        chosen.pieces.iter().map(|piece| piece.reading.body.as_str()).collect::<Vec<_>>().join("|")
    }

    fn notes(chosen: &Chosen) -> Vec<&[String]> {
        chosen.coverage.read.iter().map(|read| read.notes.as_slice()).collect()
    }

    fn read(chosen: &Chosen) -> Vec<&str> {
        chosen.coverage.read.iter().map(|read| read.origin.as_str()).collect()
    }

    #[test]
    fn plain_text_is_read_before_html_and_pdf() {
        let chosen = choose(&[
            report("pdf", "application/pdf", b"%PDF-1.4"),
            report("html", "text/html", b"<p>Stable.</p>"),
            report("plain", "text/plain", b"Stable."),
        ]);
        assert_eq!((read(&chosen), body(&chosen).as_str()), (vec!["plain"], "Stable."));
        let other = UnreadReason::OtherRenditionChosen;
        assert_eq!(unread(&chosen), [("pdf", other), ("html", other)]);
    }

    #[test]
    fn the_next_best_is_read_when_the_best_cannot_be_and_says_so() {
        let chosen = choose(&[
            report("plain", "text/plain", b"   "),
            report("rtf", "text/plain", b"{\\rtf1 x}"),
            report("html", "text/html", b"<p>Stable.</p>"),
        ]);
        assert_eq!(read(&chosen), ["html"]);
        let other = UnreadReason::OtherRenditionChosen;
        assert_eq!(unread(&chosen), [("plain", UnreadReason::Empty), ("rtf", other)]);

        let chosen = choose(&[report("text", "text/plain", b"----"), report("html", "text/html", b"<p>Stable.</p>")]);
        assert_eq!(chosen.coverage.read[0].notes, ["read in place of text, which could not be read"]);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let with = |origin: &str, content| Attachment { content, ..report(origin, "text/plain", b"") };
        let chosen = choose(&[
            with("url", AttachmentContent::Url("https://example.org/x".to_owned())),
            with("base64", AttachmentContent::Malformed("It is not base64.".to_owned())),
            with("empty", AttachmentContent::Empty),
            report("pdf", "text/plain", b"%PDF-1.4"),
        ]);
        assert_eq!(
            unread(&chosen),
            [
                ("url", UnreadReason::NotFetched),
                ("base64", UnreadReason::Malformed),
                ("empty", UnreadReason::Empty),
                ("pdf", UnreadReason::Malformed),
            ]
        );
        assert!(read(&chosen).is_empty());
    }

    #[test]
    fn a_conclusion_is_read_unless_the_report_has_it() {
        let conclusion = |bytes| attachment("conclusion", AttachmentRole::Conclusion, "text/plain", bytes);
        let chosen = choose(&[report("plain", "text/plain", b"A.\nStable  disease."), conclusion(b"Stable disease.")]);
        assert_eq!(unread(&chosen), [("conclusion", UnreadReason::OtherRenditionChosen)]);
        let chosen = choose(&[report("plain", "text/plain", b"A."), conclusion(b"Stable disease.")]);
        assert_eq!(read(&chosen), ["plain", "conclusion"]);
        assert_eq!(body(&chosen), "A.|Stable disease.");
    }

    #[test]
    fn the_resource_text_is_read_only_if_nothing_else_is() {
        let div =
            attachment("div", AttachmentRole::ResourceText, "application/xhtml+xml", b"<div><p>Stable.</p></div>");
        let chosen = choose(&[div.clone(), report("plain", "text/plain", b"Better.")]);
        assert_eq!(
            (read(&chosen), unread(&chosen)),
            (vec!["plain"], vec![("div", UnreadReason::OtherRenditionChosen)])
        );
        let chosen = choose(&[div, report("plain", "text/plain", b"")]);
        assert_eq!((read(&chosen), body(&chosen).as_str()), (vec!["div"], "Stable."));
    }

    const REPORT: &str = "<p>CT of chest, abdomen and pelvis after four cycles. The lesion in segment seven measures 12 mm, \
        it was 30 mm before. No new lesion in liver or lung. No enlarged lymph node. Bones without change. Impression: \
        marked decrease in the size of the liver metastasis, partial response to the treatment that was given.</p>";

    #[test]
    fn attachments_of_one_format_with_different_texts_are_parts_in_the_documents_order() {
        let chosen = choose(&[
            report("report", "text/plain", b"Liver lesion smaller."),
            report("html", "text/html", b"<p>Liver lesion smaller.</p>"),
            report("addendum", "text/plain", b"Addendum: new lesion in the lung."),
        ]);
        assert_eq!(read(&chosen), ["report", "addendum"]);
        assert_eq!(body(&chosen), "Liver lesion smaller.|Addendum: new lesion in the lung.");
        assert_eq!(notes(&chosen), [["joined as part 1 of 2"], ["joined as part 2 of 2"]]);
        assert_eq!(chosen.coverage.read[0].characters, 21);
        assert_eq!(unread(&chosen), [("html", UnreadReason::OtherRenditionChosen)]);
    }

    #[test]
    fn of_the_same_text_twice_the_one_that_says_more_is_read() {
        let other = UnreadReason::OtherRenditionChosen;
        let chosen = choose(&[
            report("report", "text/plain", b"Liver lesion smaller."),
            report("again", "text/plain", b"Liver  lesion\r\nsmaller.\n"),
            report("appended", "text/plain", b"Liver lesion smaller. Addendum: lung clear."),
        ]);
        assert_eq!((read(&chosen), unread(&chosen)), (vec!["appended"], vec![("report", other), ("again", other)]));
        assert!(notes(&chosen)[0].is_empty(), "{:?}", notes(&chosen));

        let long: &'static str = Box::leak(REPORT.to_owned().into_boxed_str());
        let printed: &'static str = Box::leak(format!("{REPORT}<p>Printed 12:05</p>").into_boxed_str());
        let (a, b) = (report("a", "text/html", printed.as_bytes()), report("b", "text/html", long.as_bytes()));
        assert_eq!((read(&choose(&[a.clone(), b.clone()])), unread(&choose(&[a, b]))), (vec!["a"], vec![("b", other)]));
    }

    #[test]
    fn a_text_that_only_points_to_another_rendition_does_not_win_over_it() {
        let other = UnreadReason::OtherRenditionChosen;
        let choose_of = |text: &'static str| {
            choose(&[report("plain", "text/plain", text.as_bytes()), report("html", "text/html", REPORT.as_bytes())])
        };
        let chosen = choose_of("Please see the attached report.");
        assert_eq!((read(&chosen), unread(&chosen)), (vec!["html"], vec![("plain", other)]));
        assert!(chosen.coverage.unread[0].detail.contains("refers to another rendition"));
        // A title alone says nothing that the report does not.
        assert_eq!(read(&choose_of("CT chest")), ["html"]);
        // What says something of its own is not lost.
        let chosen = choose_of("Addendum: relapse.");
        assert_eq!(read(&chosen), ["plain", "html"]);
        assert_eq!(notes(&chosen)[0], ["joined as part 1 of 2"]);
        // A short report is a report.
        let chosen = choose_of("CT of chest, abdomen and pelvis after four cycles: partial response. No new lesion.");
        assert_eq!((read(&chosen), unread(&chosen)), (vec!["plain"], vec![("html", other)]));
    }

    #[test]
    fn a_pointer_stays_if_what_it_points_to_cannot_be_read() {
        let chosen =
            choose(&[report("plain", "text/plain", b"See PDF."), report("image", "image/png", b"\x89PNG\r\n\x1a\n")]);
        assert_eq!((read(&chosen), unread(&chosen)[0].0), (vec!["plain"], "image"));
        assert_ne!(unread(&chosen)[0].1, UnreadReason::OtherRenditionChosen);
    }

    #[test]
    fn more_attachments_than_a_report_has_are_refused_by_count() {
        let many: Vec<_> = (0..=parts::PARTS_MAX)
            .map(|number| {
                let text: &'static str = Box::leak(format!("Lesion number {number} is stable.").into_boxed_str());
                report(Box::leak(format!("{number}").into_boxed_str()), "text/plain", text.as_bytes())
            })
            .collect();
        let chosen = choose(&many);
        assert_eq!(chosen.coverage.read.len() + chosen.coverage.unread.len(), many.len());
        assert_eq!(chosen.coverage.unread.last().map(|unread| unread.reason), Some(UnreadReason::TooLarge));
    }

    #[test]
    fn results_codes_and_notes_are_read_unless_the_report_has_them() {
        let plain = |origin: &str, role, text: &'static str| attachment(origin, role, "text/plain", text.as_bytes());
        let added = [
            plain("size", AttachmentRole::Result, "Lesion size: 12 mm"),
            plain("finding", AttachmentRole::Result, "Finding: No new lesion in the liver."),
            plain("code", AttachmentRole::ConclusionCode, "Conclusion code: Partial response"),
            plain("note", AttachmentRole::Note, "Compared with the scan of May."),
            plain("conclusion", AttachmentRole::Conclusion, "Better."),
        ];
        let chosen = choose(&added);
        assert_eq!(read(&chosen), ["size", "finding", "code", "note", "conclusion"]);
        let div =
            "<table><tr><td>Lesion size</td><td>12 mm</td></tr><tr><td>No new lesion in the liver.</td></tr></table>";
        let div = attachment("div", AttachmentRole::ResourceText, "application/xhtml+xml", div.as_bytes());
        let chosen = choose(&[&added[..4], &[div]].concat());
        assert_eq!(read(&chosen), ["div", "code", "note"]);
        assert_eq!(unread(&chosen).len(), 2);
    }
}
