//! Which of a document's attachments are read.

use super::isolation::Isolation;
use super::plain;
use super::rendition::{self, NARRATIVE_CHARACTERS_MAX, Reading, Recognised, Refusal};
use super::sniff::Format;
use crate::domain::document::{Attachment, AttachmentContent, AttachmentRole};
use crate::domain::narrative::{Coverage, ReadRendition, UnreadReason, UnreadRendition};

/// What was read of a document.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The report, or what stands in for it.
    pub(super) report: Reading,
    /// The author's summary, if it is not in the report already; one per attachment.
    pub(super) conclusions: Vec<String>,
    pub(super) coverage: Coverage,
}

/// Reads the best rendition of the report, its conclusion, and the resource's own text if there is nothing else.
/// Every attachment ends in the coverage, in the document's order.
pub(super) fn choose(attachments: &[Attachment], isolation: &Isolation) -> Chosen {
    let mut chosen = Chosen::default();
    let mut refusals: Vec<Option<Refusal>> = attachments.iter().map(|_| None).collect();
    let of_role = |role| attachments.iter().enumerate().filter(move |(_, attachment)| attachment.role == role);
    read_report(&of_role(AttachmentRole::Report).collect::<Vec<_>>(), isolation, &mut chosen, &mut refusals);
    for (index, attachment) in of_role(AttachmentRole::Conclusion) {
        refusals[index] = read_conclusion(attachment, &mut chosen).err();
    }
    for (index, attachment) in of_role(AttachmentRole::ResourceText) {
        refusals[index] = read_resource_text(attachment, isolation, &mut chosen).err();
    }
    chosen.coverage.unread = attachments
        .iter()
        .zip(refusals)
        .filter_map(|(attachment, refusal)| {
            let Refusal { reason, detail } = refusal?;
            Some(UnreadRendition { origin: attachment.origin.clone(), reason, detail })
        })
        .collect();
    chosen
}

/// Reads the best of several renditions of one report.
fn read_report(
    renditions: &[(usize, &Attachment)],
    isolation: &Isolation,
    chosen: &mut Chosen,
    refusals: &mut [Option<Refusal>],
) {
    let mut candidates = Vec::new();
    for (index, attachment) in renditions {
        match recognised(attachment) {
            Ok((recognised, bytes)) => candidates.push((*index, *attachment, recognised, bytes)),
            Err(refusal) => refusals[*index] = Some(refusal),
        }
    }
    candidates.sort_by_key(|(_, _, recognised, _)| recognised.format.rank());
    let mut passed_over = Vec::new();
    let mut candidates = candidates.into_iter();
    let mut taken = None;
    for (index, attachment, recognised, bytes) in candidates.by_ref() {
        match rendition::read(&recognised, bytes, isolation) {
            Ok(mut reading) => {
                reading.notes.append(&mut passed_over);
                take(&mut reading, attachment, recognised.format, chosen);
                chosen.report = reading;
                taken = Some(attachment.origin.as_str());
                break;
            }
            Err(refusal) => {
                passed_over.push(format!("read in place of {}, which could not be read", attachment.origin));
                refusals[index] = Some(refusal);
            }
        }
    }
    let Some(taken) = taken else { return };
    for (index, _, recognised, _) in candidates {
        let detail = format!("It is {}; {taken} was chosen, another rendition of it.", recognised.phrase());
        refusals[index] = Some(Refusal::new(UnreadReason::OtherRenditionChosen, detail));
    }
}

/// Recognises an attachment that has bytes.
fn recognised(attachment: &Attachment) -> Result<(Recognised, &[u8]), Refusal> {
    let bytes = content(attachment)?;
    Ok((rendition::recognise(attachment.content_type.as_deref(), bytes)?, bytes))
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
        AttachmentContent::Malformed(what) => Err(Refusal::new(UnreadReason::Malformed, what.clone())),
        AttachmentContent::Empty => Err(Refusal::new(UnreadReason::Empty, "It has neither data nor a URL.")),
    }
}

/// Records that a rendition was read.
fn take(reading: &mut Reading, attachment: &Attachment, format: Format, chosen: &mut Chosen) {
    chosen.coverage.read.push(ReadRendition {
        origin: attachment.origin.clone(),
        format: format.media_type().to_owned(),
        characters: reading.body.chars().count() + reading.hidden.chars().count(),
        notes: std::mem::take(&mut reading.notes),
    });
}

/// Reads the conclusion, unless the report has it.
fn read_conclusion(attachment: &Attachment, chosen: &mut Chosen) -> Result<(), Refusal> {
    let bytes = content(attachment)?;
    let text = plain::tidy(&String::from_utf8_lossy(bytes));
    if !text.contains(char::is_alphanumeric) {
        return Err(Refusal::new(UnreadReason::Empty, "It holds no letter and no digit."));
    }
    let characters = text.chars().count();
    let others: usize = chosen.coverage.read.iter().map(|read| read.characters).sum();
    if characters + others > NARRATIVE_CHARACTERS_MAX {
        return Err(rendition::too_long(characters + others));
    }
    if dense(&chosen.report.body).contains(&dense(&text)) {
        let detail = "Its text is in the report already, word for word.";
        return Err(Refusal::new(UnreadReason::OtherRenditionChosen, detail));
    }
    let mut reading = Reading { body: text, ..Reading::default() };
    take(&mut reading, attachment, Format::Plain, chosen);
    chosen.conclusions.push(reading.body);
    Ok(())
}

/// The text without white space.
fn dense(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Reads `text.div` if nothing else gave text.
fn read_resource_text(attachment: &Attachment, isolation: &Isolation, chosen: &mut Chosen) -> Result<(), Refusal> {
    if let Some(read) = chosen.coverage.read.first() {
        let detail = format!("It renders the whole resource; its text was read from {}.", read.origin);
        return Err(Refusal::new(UnreadReason::OtherRenditionChosen, detail));
    }
    let mut reading = rendition::read(&Recognised::certain(Format::Xhtml), content(attachment)?, isolation)?;
    take(&mut reading, attachment, Format::Xhtml, chosen);
    chosen.report = reading;
    Ok(())
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

    fn choose_among(attachments: &[Attachment]) -> Chosen {
        choose(attachments, &Isolation::none())
    }

    fn unread(chosen: &Chosen) -> Vec<(&str, UnreadReason)> {
        chosen.coverage.unread.iter().map(|unread| (unread.origin.as_str(), unread.reason)).collect()
    }

    fn read(chosen: &Chosen) -> Vec<&str> {
        chosen.coverage.read.iter().map(|read| read.origin.as_str()).collect()
    }

    #[test]
    fn plain_text_is_read_before_html_and_pdf() {
        let chosen = choose_among(&[
            report("pdf", "application/pdf", b"%PDF-1.4"),
            report("html", "text/html", b"<p>Stable.</p>"),
            report("plain", "text/plain", b"Stable."),
        ]);
        assert_eq!((read(&chosen), chosen.report.body.as_str()), (vec!["plain"], "Stable."));
        let other = UnreadReason::OtherRenditionChosen;
        assert_eq!(unread(&chosen), [("pdf", other), ("html", other)]);
    }

    #[test]
    fn the_next_best_is_read_when_the_best_cannot_be_and_says_so() {
        let chosen = choose_among(&[
            report("plain", "text/plain", b"   "),
            report("rtf", "text/plain", b"{\\rtf1 x}"),
            report("html", "text/html", b"<p>Stable.</p>"),
        ]);
        assert_eq!(read(&chosen), ["html"]);
        let other = UnreadReason::OtherRenditionChosen;
        assert_eq!(unread(&chosen), [("plain", UnreadReason::Empty), ("rtf", other)]);

        let chosen =
            choose_among(&[report("text", "text/plain", b"----"), report("html", "text/html", b"<p>Stable.</p>")]);
        assert_eq!(chosen.coverage.read[0].notes, ["read in place of text, which could not be read"]);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let with = |origin: &str, content| Attachment { content, ..report(origin, "text/plain", b"") };
        let chosen = choose_among(&[
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
        let chosen =
            choose_among(&[report("plain", "text/plain", b"A.\nStable  disease."), conclusion(b"Stable disease.")]);
        assert_eq!(unread(&chosen), [("conclusion", UnreadReason::OtherRenditionChosen)]);
        let chosen = choose_among(&[report("plain", "text/plain", b"A."), conclusion(b"Stable disease.")]);
        assert_eq!(read(&chosen), ["plain", "conclusion"]);
        assert_eq!(chosen.conclusions, ["Stable disease."]);
    }

    #[test]
    fn the_resource_text_is_read_only_if_nothing_else_is() {
        let div =
            attachment("div", AttachmentRole::ResourceText, "application/xhtml+xml", b"<div><p>Stable.</p></div>");
        let chosen = choose_among(&[div.clone(), report("plain", "text/plain", b"Better.")]);
        assert_eq!(
            (read(&chosen), unread(&chosen)),
            (vec!["plain"], vec![("div", UnreadReason::OtherRenditionChosen)])
        );
        let chosen = choose_among(&[div, report("plain", "text/plain", b"")]);
        assert_eq!((read(&chosen), chosen.report.body.as_str()), (vec!["div"], "Stable."));
    }
}
