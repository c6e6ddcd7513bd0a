//! One attachment: recognising its format and reading it.
//!
//! A further format is one file beside `plain.rs` and `html.rs`, and one arm in [`read`].

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::isolation::Isolation;
use super::sniff::{self, Declared, Format, Held};
use super::{charset, docx, embedded, fhir_document, html, plain, rtf, xml_document};
use crate::domain::narrative::{SectionKind, UnreadReason};
use crate::domain::source_map::SourceMap;

/// Characters of one document's narrative: a 600-page chart. A longer text is no report, would take the model an
/// hour, and is refused rather than cut.
pub(super) const NARRATIVE_CHARACTERS_MAX: usize = 2_000_000;

/// The text of one rendition.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// What its reader sees.
    pub(super) body: String,
    /// Where each part of `body` stands in the attachment.
    pub(super) map: SourceMap,
    /// What the format marks as headings, in order.
    pub(super) headings: Vec<Marked>,
    /// What the format hides from its reader.
    pub(super) hidden: String,
    /// Where each part of `hidden` stands in the attachment.
    pub(super) hidden_map: SourceMap,
    /// Parts of the attachment that were not read: what they are (`page 3`, an XPath), and why.
    pub(super) unread: Vec<(String, Refusal)>,
    /// What was guessed.
    pub(super) notes: Vec<String>,
}

/// A heading that the format itself marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    /// Bytes of the body: one line, without its end.
    pub(super) range: Range<usize>,
    /// What it is for, where the format says so (a section code); none: as its words say.
    pub(super) kind: Option<SectionKind>,
}

/// Why an attachment was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: UnreadReason,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(reason: UnreadReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// What an attachment turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recognised {
    pub(super) format: Format,
    declared: Declared,
    notes: Vec<String>,
}

impl Recognised {
    /// Something that is known to be `format`: FHIR itself says so.
    pub(super) fn certain(format: Format) -> Self {
        let charset = Some("utf-8".to_owned());
        Self { format, declared: Declared { charset, ..Declared::default() }, notes: Vec::new() }
    }

    /// The same, found within base64 within base64.
    pub(super) fn encoded_twice(mut self) -> Self {
        self.notes.push("its base64 was encoded in base64 once more".to_owned());
        self
    }

    /// `RTF, declared text/plain` for a detail.
    pub(super) fn phrase(&self) -> String {
        format!("{}, {}", self.format.name(), self.declared.phrase())
    }
}

/// What base64 within base64 holds, if it is text or a known format; nothing if the bytes are no such base64.
pub(super) fn encoded_twice(bytes: &[u8]) -> Option<Vec<u8>> {
    if sniff::held(bytes) != Held::Base64 {
        return None;
    }
    let bytes = sniff::data_of_url(bytes).unwrap_or(bytes);
    let encoded: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let inner = STANDARD.decode(encoded).ok()?;
    matches!(sniff::held(&inner), Held::Known(_) | Held::Text).then_some(inner)
}

/// Decides what `bytes` are: what they show counts over what the content type claims.
pub(super) fn recognise(content_type: Option<&str>, bytes: &[u8]) -> Result<Recognised, Refusal> {
    if bytes.trim_ascii().is_empty() {
        return Err(Refusal::new(UnreadReason::Empty, "It holds no bytes, or only white space."));
    }
    let declared = Declared::parse(content_type);
    let unrecognised = |what: &str| {
        let detail = format!("{}, and its bytes are {what}.", capitalised(&declared.phrase()));
        Err(Refusal::new(UnreadReason::ContentNotRecognised, detail))
    };
    let mut notes = Vec::new();
    let format = match (sniff::held(bytes), declared.format) {
        (Held::Known(held), Some(claimed)) if same_family(held, claimed) => held,
        (Held::Known(held), _) => {
            notes.push(format!("{}, holds {}", declared.phrase(), held.name()));
            held
        }
        (Held::Base64, _) => return unrecognised("base64 text: it was probably encoded twice"),
        (Held::Binary, Some(claimed)) if !is_text(claimed) => claimed,
        (Held::Binary, _) if declared.foreign => return Err(foreign(&declared)),
        (Held::Binary, _) => return unrecognised("neither text nor a known format"),
        (Held::Text, Some(Format::Plain)) => Format::Plain,
        (Held::Text, Some(claimed @ (Format::Html | Format::Xhtml))) if has_markup(bytes) => claimed,
        (Held::Text, Some(Format::Image)) => Format::Image,
        (Held::Text, Some(claimed)) if begins_like(claimed, bytes) => claimed,
        (Held::Text, _) if declared.foreign => return Err(foreign(&declared)),
        (Held::Text, _) => {
            notes.push(format!("{}, holds plain text", declared.phrase()));
            Format::Plain
        }
    };
    Ok(Recognised { format, declared, notes })
}

/// Whether the bytes may be what was claimed although their signature has a more general or more special name.
fn same_family(held: Format, claimed: Format) -> bool {
    let markup = |format| matches!(format, Format::Html | Format::Xhtml);
    held == claimed
        || (markup(held) && markup(claimed))
        || (matches!(claimed, Format::Xml | Format::Ccda)
            && matches!(held, Format::Ccda | Format::FhirXml | Format::Xhtml))
        || (held == Format::Xml && matches!(claimed, Format::Ccda | Format::FhirXml))
        || (matches!(claimed, Format::Json | Format::FhirJson) && matches!(held, Format::Json | Format::FhirJson))
        || (claimed == Format::Compressed && held == Format::Docx)
        || (claimed == Format::Plain && held == Format::Json)
}

fn is_text(format: Format) -> bool {
    matches!(format, Format::Plain | Format::Html | Format::Xhtml | Format::Json | Format::FhirJson) || is_xml(format)
}

fn is_xml(format: Format) -> bool {
    matches!(format, Format::Xml | Format::Ccda | Format::FhirXml)
}

/// Whether text without a signature begins as the XML or JSON that it claims to be.
fn begins_like(claimed: Format, bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| byte.is_ascii_graphic());
    is_xml(claimed) && first == Some(&b'<')
        || matches!(claimed, Format::Json | Format::FhirJson) && matches!(first, Some(b'{' | b'['))
}

fn foreign(declared: &Declared) -> Refusal {
    let detail = format!("{}, which this version does not read.", capitalised(&declared.phrase()));
    Refusal::new(UnreadReason::FormatNotSupported, detail)
}

fn capitalised(phrase: &str) -> String {
    let mut characters = phrase.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Whether there is a tag or a character reference in text that claims to be HTML.
fn has_markup(bytes: &[u8]) -> bool {
    // UTF-16 is looked at without its zero halves.
    let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let starts = |at: usize, first: u8| {
        bytes[at] == first && bytes.get(at + 1).is_some_and(|b| b.is_ascii_alphabetic() || b"/!#".contains(b))
    };
    let closes = |at: usize, last: u8| bytes[at..].iter().take(200).any(|byte| *byte == last);
    (0..bytes.len()).any(|at| (starts(at, b'<') && closes(at, b'>')) || (starts(at, b'&') && reference(&bytes[at..])))
}

/// Whether `bytes` begin with a character reference like `&nbsp;` or `&#8211;`.
fn reference(bytes: &[u8]) -> bool {
    let length = bytes[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'#').count();
    (2..=10).contains(&length) && bytes.get(1 + length) == Some(&b';')
}

/// Reads the bytes as what they were recognised as.
pub(super) fn read(recognised: &Recognised, bytes: &[u8], isolation: &Isolation) -> Result<Reading, Refusal> {
    read_within(recognised, bytes, Nesting { level: 0, isolation })
}

/// Where a rendition stands.
#[derive(Clone, Copy)]
pub(super) struct Nesting<'n> {
    /// In how many others.
    pub(super) level: usize,
    /// Where what cannot be trusted is read.
    pub(super) isolation: &'n Isolation,
}

/// The same for a rendition that stands within others.
pub(super) fn read_within(recognised: &Recognised, bytes: &[u8], nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    let charset = recognised.declared.charset.as_deref();
    let mut reading = match recognised.format {
        Format::Plain => plain::read(bytes, charset)?,
        Format::Html => html::read(bytes, charset, false)?,
        Format::Xhtml => html::read(bytes, charset, true)?,
        // In UTF-16 its characters are counted, not its bytes.
        Format::Rtf if sniff::is_wide(bytes) => {
            rtf::read(charset::decode(bytes, None).map_err(|fault| not_decodable(&fault))?.text.as_bytes())?
        }
        Format::Rtf => rtf::read(bytes)?,
        Format::Docx => docx::read(bytes)?,
        Format::Doc => return Err(word_97(bytes)),
        Format::Pdf => nesting.isolation.read(Format::Pdf, &bytes[sniff::pdf_start(bytes).unwrap_or(0)..])?,
        Format::Ccda | Format::Xml | Format::FhirXml => xml_document::read(bytes, charset, nesting)?,
        Format::Json | Format::FhirJson => fhir_document::read_json(bytes, charset, nesting)?,
        Format::Compressed => embedded::read_compressed(bytes, nesting)?,
        Format::Image => {
            let phrase = capitalised(&recognised.declared.phrase());
            let detail = format!("{phrase}, holds {}, which this version does not read.", recognised.format.name());
            return Err(Refusal::new(UnreadReason::FormatNotSupported, detail));
        }
    };
    reading.notes.splice(0..0, recognised.notes.iter().cloned());
    if !reading.body.contains(char::is_alphanumeric) && !reading.hidden.contains(char::is_alphanumeric) {
        return Err(Refusal::new(UnreadReason::Empty, "It holds no letter and no digit."));
    }
    let characters = reading.body.chars().count() + reading.hidden.chars().count();
    if characters > NARRATIVE_CHARACTERS_MAX {
        return Err(too_long(characters));
    }
    Ok(reading)
}

/// The refusal of an OLE file: Word's format before 2007, or what Office makes of a document with a password.
fn word_97(bytes: &[u8]) -> Refusal {
    let name: Vec<u8> = "EncryptedPackage".bytes().flat_map(|byte| [byte, 0]).collect();
    let detail = if bytes.windows(name.len()).any(|window| window == name) {
        "It is a document that is encrypted with a password. Send it without one."
    } else {
        "It is a Word 97 document (doc), or one that is encrypted. Save it as docx or PDF, without a password."
    };
    Refusal::new(UnreadReason::FormatNotSupported, detail)
}

/// The refusal of a text of so many characters.
pub(super) fn too_long(characters: usize) -> Refusal {
    let detail = format!("It holds {characters} characters; {NARRATIVE_CHARACTERS_MAX} are read at most.");
    Refusal::new(UnreadReason::TooLarge, detail)
}

/// The refusal of bytes that are in no charset that was tried.
pub(super) fn not_decodable(fault: &charset::NotDecodable) -> Refusal {
    Refusal::new(UnreadReason::Malformed, format!("Its charset cannot be decoded: {}.", fault.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome(content_type: &str, bytes: &[u8]) -> Result<(Format, Reading), UnreadReason> {
        let recognised = recognise(Some(content_type), bytes).map_err(|refusal| refusal.reason)?;
        read(&recognised, bytes, &Isolation::none())
            .map(|reading| (recognised.format, reading))
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn what_claims_one_type_and_holds_another_is_read_as_what_it_holds_or_not_at_all() {
        use UnreadReason::{ContentNotRecognised, Empty, FormatNotSupported};
        let read = |content_type, bytes: &[u8]| outcome(content_type, bytes).map(|(format, _)| format);
        assert_eq!(read("text/plain", b"%PDF-1.7 x"), Err(UnreadReason::Malformed));
        assert_eq!(read("text/plain", b"{\\rtf1 x}"), Ok(Format::Rtf));
        assert_eq!(read("text/plain", b"<ClinicalDocument>x</ClinicalDocument>"), Ok(Format::Ccda));
        assert_eq!(read("text/plain", b"<?xml version='1.0'?><note>x</note>"), Err(FormatNotSupported));
        assert_eq!(read("application/xml", b"Stable disease"), Ok(Format::Plain));
        assert_eq!(read("application/json", b"Stable disease"), Ok(Format::Plain));
        assert_eq!(read("application/cda+xml", b"<section>x</section>"), Err(FormatNotSupported));
        assert_eq!(read("text/plain", b"\xff\xd8\xff\xe0 x"), Err(FormatNotSupported));
        assert_eq!(read("text/plain", &[1, 2, 3, 0, 0, 1, 2, 3, 4, 5]), Err(ContentNotRecognised));
        assert_eq!(read("text/plain", b"<html><p>Stable</p></html>"), Ok(Format::Html));
        assert_eq!(read("text/html", b"Stable. Nodule < 5 mm & R&D"), Ok(Format::Plain));
        assert_eq!(read("text/html", b"Stable.&nbsp;No change."), Ok(Format::Html));
        assert_eq!(read("application/pdf", b"Stable disease"), Ok(Format::Plain));
        assert_eq!(read("application/octet-stream", b"Stable disease"), Ok(Format::Plain));
        assert_eq!(read("application/dicom", b"Stable disease"), Err(FormatNotSupported));
        assert_eq!(read("text/plain", b" \r\n "), Err(Empty));
        assert_eq!(read("text/plain", b"-----"), Err(Empty));
        assert_eq!(read("text/html", b"<p>&nbsp;</p>"), Err(Empty));
    }

    #[test]
    fn a_format_behind_signs_of_a_transport_is_known() {
        let wide: Vec<u8> = "{\\rtf1 Stable disease}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [&b"\x0b{\\rtf1 Stable disease}\x1c\r"[..], b"\0\0{\\rtf1 Stable disease}", &wide] {
            let (format, reading) = outcome("text/plain", bytes).expect("readable");
            assert_eq!((format, reading.body.as_str()), (Format::Rtf, "Stable disease"));
        }
        let behind = |bytes: &[u8]| recognise(None, bytes).expect("recognised").format;
        assert_eq!(behind(b"\x1b%-12345X@PJL\r\n%PDF-1.4\n1 0 obj"), Format::Pdf);
        assert_eq!(behind(b"The file is a %PDF-file."), Format::Plain);
        let url = format!("data:text/plain;base64,{}", STANDARD.encode("Stable disease"));
        assert_eq!(encoded_twice(url.as_bytes()).as_deref(), Some(&b"Stable disease"[..]));
    }

    #[test]
    fn a_contradiction_is_noted() {
        let (_, reading) = outcome("text/plain", b"<html><p>Stable</p></html>").expect("readable");
        assert_eq!(reading.notes, ["declared text/plain, holds HTML"]);
        let recognised = recognise(Some("text/plain"), b"GIF89a").expect("recognised");
        let refusal = read(&recognised, b"GIF89a", &Isolation::none()).expect_err("not supported");
        assert_eq!(refusal.detail, "Declared text/plain, holds an image, which this version does not read.");
    }

    #[test]
    fn an_old_word_document_and_an_encrypted_one_say_what_to_do() {
        let detail = |rest: &[u8]| {
            let bytes = [b"\xd0\xcf\x11\xe0".as_slice(), rest].concat();
            let recognised = recognise(Some("application/msword"), &bytes).expect("recognised");
            read(&recognised, &bytes, &Isolation::none()).expect_err("not supported").detail
        };
        assert!(detail(b"x").starts_with("It is a Word 97 document"));
        let name: Vec<u8> = "EncryptedPackage".bytes().flat_map(|byte| [byte, 0]).collect();
        assert!(detail(&name).starts_with("It is a document that is encrypted"));
    }

    #[test]
    fn base64_within_base64_is_opened_once() {
        let text = "Stable disease. ".repeat(20);
        let once = STANDARD.encode(&text);
        assert_eq!(encoded_twice(once.as_bytes()).as_deref(), Some(text.as_bytes()));
        assert_eq!(encoded_twice(STANDARD.encode(&once).as_bytes()), None, "three times is no longer a mistake");
        assert_eq!(encoded_twice(text.as_bytes()), None);
        assert_eq!(encoded_twice("A".repeat(401).as_bytes()), None);
    }

    #[test]
    fn a_text_over_the_limit_is_refused_not_cut() {
        let text = "Stable. ".repeat(NARRATIVE_CHARACTERS_MAX / 8 + 1);
        assert_eq!(outcome("text/plain", text.as_bytes()).map(|_| ()), Err(UnreadReason::TooLarge));
        let text = "Stable. ".repeat(NARRATIVE_CHARACTERS_MAX / 8);
        assert!(outcome("text/plain", text.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_of_any_claimed_type_never_panic(bytes: Vec<u8>, html: bool) {
            let _ = outcome(if html { "text/html" } else { "text/plain" }, &bytes);
        }
    }
}
