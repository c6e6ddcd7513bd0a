//! What an attachment is: what its content type claims, and what its first bytes show.

/// Bytes at the start of an attachment that are looked at: room for a byte order mark, an XML declaration, a long
/// DOCTYPE and licence comments before the root element.
const SNIFFED_BYTES_MAX: usize = 4096;

/// Characters of a content type that are repeated in a detail; longer ones are not media types.
const CONTENT_TYPE_CHARACTERS_MAX: usize = 100;

/// Bytes of the first line of base64 that is no text but an attachment that was encoded twice: encoders break lines at 64 or
/// 76, and no word is as long.
const BASE64_LINE_BYTES_MIN: usize = 60;

/// Bytes at the start of a PDF in which its signature may stand.
const PDF_LEAD_BYTES_MAX: usize = 1024;

/// The formats that are known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// `text/plain` and everything else that a person reads as it is.
    Plain,
    /// HTML, also in fragments.
    Html,
    /// HTML written as XML.
    Xhtml,
    /// HL7 C-CDA or another CDA document.
    Ccda,
    /// Rich Text Format.
    Rtf,
    /// Office Open XML (docx).
    Docx,
    /// Microsoft Word before 2007, an OLE compound file.
    Doc,
    /// PDF.
    Pdf,
    /// A raster image: a scan or a fax.
    Image,
    /// XML that is none of the others.
    Xml,
    /// A FHIR resource in XML.
    FhirXml,
    /// JSON that is none of the others.
    Json,
    /// A FHIR resource in JSON.
    FhirJson,
    /// gzip, or a zip that is no docx.
    Compressed,
}

impl Format {
    /// Its media type, as [`ReadRendition::format`](crate::domain::narrative::ReadRendition) has it.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain",
            Self::Html => "text/html",
            Self::Xhtml => "application/xhtml+xml",
            Self::Ccda => "application/cda+xml",
            Self::Rtf => "application/rtf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Doc => "application/msword",
            Self::Pdf => "application/pdf",
            Self::Image => "image",
            Self::Xml => "application/xml",
            Self::FhirXml => "application/fhir+xml",
            Self::Json => "application/json",
            Self::FhirJson => "application/fhir+json",
            Self::Compressed => "application/octet-stream",
        }
    }

    /// Its name in a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain text",
            Self::Html => "HTML",
            Self::Xhtml => "XHTML",
            Self::Ccda => "C-CDA",
            Self::Rtf => "RTF",
            Self::Docx => "a docx document",
            Self::Doc => "a Word 97 document",
            Self::Pdf => "PDF",
            Self::Image => "an image",
            Self::Xml => "XML",
            Self::FhirXml => "FHIR in XML",
            Self::Json => "JSON",
            Self::FhirJson => "FHIR in JSON",
            Self::Compressed => "compressed data",
        }
    }

    /// Which rendition is read first when a document offers several: the one that needs the least guessing.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Html | Self::Xhtml => 1,
            Self::Ccda | Self::FhirXml | Self::FhirJson => 2,
            Self::Rtf => 3,
            Self::Docx => 4,
            Self::Doc => 5,
            Self::Pdf => 6,
            Self::Xml | Self::Json => 7,
            Self::Image | Self::Compressed => 8,
        }
    }
}

/// What the content type of an attachment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    /// The media type for a detail: essence only, lower case; none if missing or not a media type.
    pub(super) essence: Option<String>,
    /// The format it names; none for a missing, general (`octet-stream`) or unknown type.
    pub(super) format: Option<Format>,
    /// True if it names a format of which we know nothing at all (`application/dicom`).
    pub(super) foreign: bool,
    /// Its `charset` parameter.
    pub(super) charset: Option<String>,
}

impl Declared {
    /// Reads a `contentType` as leniently as the ones that EHRs send ("ASCII Text", `application/xhtml`) need.
    pub(super) fn parse(content_type: Option<&str>) -> Self {
        let Some(raw) = content_type.map(str::trim).filter(|raw| !raw.is_empty()) else {
            return Self::default();
        };
        let (essence, charset) = match raw.parse::<mime::Mime>() {
            Ok(mime) => {
                let charset = mime.get_param(mime::CHARSET).map(|name| name.as_str().to_owned());
                (mime.essence_str().to_ascii_lowercase(), charset)
            }
            Err(_) => (raw.split(';').next().unwrap_or_default().trim().to_ascii_lowercase(), loose_charset(raw)),
        };
        let (format, foreign) = named_format(&essence);
        let shown = essence.contains('/')
            && essence.len() <= CONTENT_TYPE_CHARACTERS_MAX
            && essence.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-.".contains(&b));
        Self { essence: shown.then_some(essence), format, foreign, charset }
    }

    /// `declared text/plain`, for notes and details.
    pub(super) fn phrase(&self) -> String {
        match (&self.essence, self.format) {
            (Some(essence), _) => format!("declared {essence}"),
            (None, Some(format)) => format!("declared as {}", format.name()),
            (None, None) => "without a content type that says what it is".to_owned(),
        }
    }
}

/// The `charset` of a content type that is not a valid media type.
fn loose_charset(raw: &str) -> Option<String> {
    let (_, value) = raw.split_once(';')?.1.split_once("charset=")?;
    let value = value.trim_matches(|c: char| c == '"' || c == '\'' || c.is_whitespace());
    value.split([';', ' ', '"']).next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The format that a media type names, and whether it names one that we do not know.
fn named_format(essence: &str) -> (Option<Format>, bool) {
    let format = match essence {
        "text/html" | "html" | "text/htm" | "application/html" => Format::Html,
        "application/xhtml+xml" | "application/xhtml" | "text/xhtml" | "text/xhtml+xml" | "xhtml" => Format::Xhtml,
        "application/pdf" | "text/pdf" | "application/x-pdf" | "pdf" => Format::Pdf,
        "application/rtf" | "text/rtf" | "text/richtext" | "application/x-rtf" | "rtf" => Format::Rtf,
        "application/msword" => Format::Doc,
        "application/cda+xml" | "text/cda+xml" | "application/hl7-cda+xml" | "application/hl7-sda+xml" => Format::Ccda,
        "application/xml" | "text/xml" => Format::Xml,
        "application/fhir+xml" | "application/xml+fhir" => Format::FhirXml,
        "application/json" => Format::Json,
        "application/fhir+json" | "application/json+fhir" => Format::FhirJson,
        "application/gzip" | "application/zip" | "application/x-gzip" => Format::Compressed,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => Format::Docx,
        "ascii text" | "text" | "txt" | "ascii" | "plain text" | "plain" | "application/txt" | "text/*" => {
            Format::Plain
        }
        "application/octet-stream" | "binary/octet-stream" | "*/*" => return (None, false),
        other if other.starts_with("text/") => Format::Plain,
        other if other.starts_with("image/") => Format::Image,
        other => return (None, other.contains('/')),
    };
    (Some(format), false)
}

/// What the bytes show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// This format, by its signature or root element.
    Known(Format),
    /// Readable characters without a signature.
    Text,
    /// One long run of base64.
    Base64,
    /// Neither.
    Binary,
}

/// Looks at the first bytes.
pub(super) fn held(bytes: &[u8]) -> Held {
    if let Some(format) = binary_signature(bytes) {
        return Held::Known(format);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = &bytes[..bytes.len().min(SNIFFED_BYTES_MAX)];
    let Some(head) = readable(head) else { return Held::Binary };
    let head = head.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace() || c == '\0');
    if let Some(format) = root_after_prolog(bytes).or_else(|| markup_root(head)) {
        return Held::Known(format);
    }
    // In UTF-16.
    if head.starts_with("{\\rtf") {
        return Held::Known(Format::Rtf);
    }
    if is_base64(head) || data_of_url(head.as_bytes()).is_some() { Held::Base64 } else { Held::Text }
}

/// What a URL like `data:application/pdf;base64,JVBERi0…` holds, in base64.
pub(super) fn data_of_url(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.trim_ascii_start().strip_prefix(b"data:")?;
    let comma = rest.iter().take(CONTENT_TYPE_CHARACTERS_MAX).position(|byte| *byte == b',')?;
    rest[..comma].ends_with(b";base64").then(|| &rest[comma + 1..])
}

/// Where the PDF begins in these bytes: some producers put something before it.
pub(super) fn pdf_start(bytes: &[u8]) -> Option<usize> {
    let versions = |window: &[u8]| window.starts_with(b"%PDF-") && window[5].is_ascii_digit() && window[6] == b'.';
    bytes[..bytes.len().min(PDF_LEAD_BYTES_MAX)].windows(7).position(versions)
}

/// Where the RTF begins in these bytes: behind a byte order mark, blanks, or signs of a transport.
pub(super) fn rtf_start(bytes: &[u8]) -> Option<usize> {
    let mark = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let lead = bytes[mark..].iter().take_while(|byte| byte.is_ascii_control() || **byte == b' ').count();
    bytes[mark + lead..].starts_with(b"{\\rtf").then_some(mark + lead)
}

/// Whether there is nothing but long lines of base64.
fn is_base64(head: &str) -> bool {
    let letters = head.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=\r\n".contains(&b));
    letters && head.lines().next().is_some_and(|line| line.len() >= BASE64_LINE_BYTES_MIN)
}

/// Formats that begin with fixed bytes.
fn binary_signature(bytes: &[u8]) -> Option<Format> {
    if rtf_start(bytes).is_some() {
        return Some(Format::Rtf);
    }
    // Some producers put blanks or a byte order mark before the signature; PDF allows up to 1,024 bytes of anything.
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let signatures: [(&[u8], Format); 9] = [
        (b"%PDF-", Format::Pdf),
        (b"GIF8", Format::Image),
        (b"\x89PNG\r\n", Format::Image),
        (b"\xff\xd8\xff", Format::Image),
        (b"II*\0", Format::Image),
        (b"MM\0*", Format::Image),
        (b"BM\0", Format::Image),
        (b"\x1f\x8b", Format::Compressed),
        (b"\xd0\xcf\x11\xe0", Format::Doc),
    ];
    if let Some((_, format)) = signatures.iter().find(|(signature, _)| start.starts_with(signature)) {
        return Some(*format);
    }
    if pdf_start(bytes).is_some() {
        return Some(Format::Pdf);
    }
    if start.starts_with(b"PK\x03\x04") {
        let head = &start[..start.len().min(SNIFFED_BYTES_MAX)];
        let names = |name: &[u8]| head.windows(name.len()).any(|window| window == name);
        return Some(if names(b"word/") || names(b"[Content_Types].xml") { Format::Docx } else { Format::Compressed });
    }
    None
}

/// The head as characters, or nothing if it is binary. Only signatures are sought in it, so Latin-1 stands for
/// every 8-bit charset.
fn readable(head: &[u8]) -> Option<String> {
    let text: String = if is_wide(head) {
        head.iter().filter(|byte| **byte != 0 && byte.is_ascii()).map(|byte| char::from(*byte)).collect()
    } else {
        head.iter().map(|byte| char::from(*byte)).collect()
    };
    // Fields of a fixed length are filled up with zeros.
    let filled = text.trim_end_matches('\0').bytes();
    let odd = filled.filter(|b| *b < 0x20 && !b"\t\n\r\x0c\x0b\x1b".contains(b)).count();
    // A few stray control characters are a bad export; one in twenty is no text.
    (odd * 20 <= head.len()).then_some(text)
}

/// Whether each character has several bytes, ASCII included.
pub(super) fn is_wide(bytes: &[u8]) -> bool {
    [&b"\xff\xfe"[..], b"\xfe\xff", b"\0\0\xfe\xff"].iter().any(|mark| bytes.starts_with(mark))
        || looks_wide(bytes).is_some()
}

/// Characters of several bytes each, seen without a byte order mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wide {
    Utf16 { big_endian: bool },
    Utf32 { big_endian: bool },
}

/// UTF-16 or UTF-32 without a byte order mark, seen by the zero bytes of its Latin letters.
pub(super) fn looks_wide(bytes: &[u8]) -> Option<Wide> {
    let head = &bytes[..bytes.len().min(SNIFFED_BYTES_MAX)];
    let (quads, _) = head.as_chunks::<4>();
    let mut zeros = [0; 4];
    for quad in quads {
        for (zeros, byte) in zeros.iter_mut().zip(quad) {
            *zeros += usize::from(*byte == 0);
        }
    }
    // Each fourth byte: nearly all of them, or nearly none.
    let (most, few) = (|at: usize| zeros[at] * 10 >= quads.len() * 8, |at: usize| zeros[at] * 10 <= quads.len());
    if quads.len() < 2 {
        None
    } else if most(1) && most(2) && most(3) && few(0) {
        Some(Wide::Utf32 { big_endian: false })
    } else if most(0) && most(1) && most(2) && few(3) {
        Some(Wide::Utf32 { big_endian: true })
    } else if most(1) && most(3) && few(0) && few(2) {
        Some(Wide::Utf16 { big_endian: false })
    } else if most(0) && most(2) && few(1) && few(3) {
        Some(Wide::Utf16 { big_endian: true })
    } else {
        None
    }
}

/// The format that the root element or DOCTYPE of `head` shows.
fn markup_root(head: &str) -> Option<Format> {
    let lower = head.to_ascii_lowercase();
    if !lower.starts_with('<') {
        return json(&lower);
    }
    let xml = lower.starts_with("<?xml");
    if element(&lower, "clinicaldocument") {
        return Some(Format::Ccda);
    }
    if lower.contains("xmlns=\"http://hl7.org/fhir\"") || lower.contains("xmlns='http://hl7.org/fhir'") {
        return Some(Format::FhirXml);
    }
    if lower.contains("\"urn:hl7-org:v3\"")
        || ["<component>", "<nonxmlbody", "<structuredbody"].iter().any(|tag| lower.starts_with(tag))
    {
        return Some(Format::Xml);
    }
    let html = lower.contains("<!doctype html") || element(&lower, "html");
    if html || (!xml && begins_like_html(&lower)) {
        let xhtml = xml || lower.contains("http://www.w3.org/1999/xhtml");
        return Some(if xhtml { Format::Xhtml } else { Format::Html });
    }
    xml.then_some(Format::Xml)
}

/// JSON begins with an object that has a member; FHIR's name their type.
fn json(lower: &str) -> Option<Format> {
    let object =
        lower.strip_prefix('{')?.trim_start().starts_with('"') && (lower.contains("\":") || lower.contains("\" :"));
    let format = if lower.contains("\"resourcetype\"") { Format::FhirJson } else { Format::Json };
    object.then_some(format)
}

/// What the root element of XML shows that has a longer prolog than is looked at otherwise: licences, lists of changes.
fn root_after_prolog(bytes: &[u8]) -> Option<Format> {
    let mut rest = bytes.trim_ascii_start();
    while let Some(end) =
        [(b"<?".as_slice(), b"?>".as_slice()), (b"<!--", b"-->")].into_iter().find_map(|(begin, end)| {
            let at = rest.starts_with(begin).then(|| rest.windows(end.len()).position(|window| window == end))??;
            Some(at + end.len())
        })
    {
        rest = rest[end..].trim_ascii_start();
    }
    let far = bytes.len() - rest.len() > SNIFFED_BYTES_MAX / 2;
    let head = if far { readable(&rest[..rest.len().min(SNIFFED_BYTES_MAX)])? } else { return None };
    markup_root(&head).filter(|format| matches!(format, Format::Ccda | Format::FhirXml))
}

/// Whether a start tag with this local name is in `lower`, with or without a namespace prefix.
fn element(lower: &str, name: &str) -> bool {
    lower.match_indices(name).any(|(at, _)| {
        let ends = lower[at + name.len()..].chars().next().is_none_or(|c| c.is_whitespace() || c == '>' || c == '/');
        let before = &lower[..at];
        let prefix = before.rfind('<').map_or("", |open| &before[open + 1..]);
        ends && before.contains('<') && (prefix.is_empty() || is_prefix(prefix))
    })
}

fn is_prefix(prefix: &str) -> bool {
    prefix.strip_suffix(':').is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

/// A fragment that starts with a block element or a comment and closes some element.
fn begins_like_html(lower: &str) -> bool {
    const FIRST: [&str; 14] =
        ["<head", "<body", "<div", "<p", "<table", "<h1", "<h2", "<h3", "<span", "<ul", "<pre", "<br", "<font", "<!--"];
    FIRST.iter().any(|tag| {
        lower.strip_prefix(tag).is_some_and(|rest| *tag == "<!--" || rest.starts_with(['>', ' ', '/', '\n', '\r']))
    }) && (lower.contains("</") || lower.starts_with("<br"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn content_types_as_ehrs_write_them_are_understood() {
        let table = [
            ("text/plain", Some(Format::Plain)),
            ("text/plain; charset=utf-8", Some(Format::Plain)),
            ("TEXT/HTML;charset=\"ISO-8859-1\"", Some(Format::Html)),
            ("application/xhtml", Some(Format::Xhtml)),
            ("ASCII Text", Some(Format::Plain)),
            ("application/octet-stream", None),
            ("text/rtf", Some(Format::Rtf)),
            ("application/pdf", Some(Format::Pdf)),
            ("", None),
        ];
        for (raw, format) in table {
            assert_eq!(Declared::parse(Some(raw)).format, format, "{raw}");
        }
        assert!(Declared::parse(Some("application/dicom")).foreign);
        assert_eq!(Declared::parse(None), Declared::default());
    }

    #[test]
    fn the_charset_is_found_also_in_a_content_type_that_is_not_valid() {
        assert_eq!(Declared::parse(Some("text/plain; charset=\"ISO-8859-1\"")).charset.as_deref(), Some("iso-8859-1"));
        assert_eq!(Declared::parse(Some("ASCII Text; charset=latin1")).charset.as_deref(), Some("latin1"));
        assert_eq!(Declared::parse(Some("text/plain")).charset, None);
    }

    #[test]
    fn a_content_type_that_is_not_a_media_type_is_never_repeated() {
        assert_eq!(Declared::parse(Some("PHI-CANARY John Doe")).essence, None);
        assert!(!Declared::parse(Some("PHI-CANARY John/Doe x")).phrase().contains("CANARY"));
    }

    #[test]
    fn bytes_show_their_format() {
        let known = |bytes: &[u8], format| assert_eq!(held(bytes), Held::Known(format), "{format:?}");
        known(b"{\\rtf1\\ansi x}", Format::Rtf);
        known(b"\r\n%PDF-1.7", Format::Pdf);
        known(b"PK\x03\x04 [Content_Types].xml", Format::Docx);
        known(b"PK\x03\x04 x.txt", Format::Compressed);
        known(b"<?xml version='1.0'?><ClinicalDocument xmlns='urn:hl7-org:v3'>", Format::Ccda);
        known(b"<?xml version='1.0'?><n1:ClinicalDocument xmlns:n1='urn:hl7-org:v3'>", Format::Ccda);
        known(b"\xef\xbb\xbf<!DOCTYPE html><p>x", Format::Html);
        known(b"<html><body>x</body></html>", Format::Html);
        known(b"<?xml version='1.0'?>\n<html xmlns='http://www.w3.org/1999/xhtml'>", Format::Xhtml);
        known(b"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>x</p></div>", Format::Xhtml);
        known(b"<?xml version='1.0'?><note/>", Format::Xml);
        known(b"{\"resourceType\": 1}", Format::FhirJson);
        known(b"{\n  \"resourceType\" : \"Bundle\"}", Format::FhirJson);
        known(b"{ \"report\": 1}", Format::Json);
        known(b"<Bundle xmlns=\"http://hl7.org/fhir\">", Format::FhirXml);
        known(b"<section xmlns=\"urn:hl7-org:v3\">", Format::Xml);
        known(b"<component><nonXMLBody>", Format::Xml);
        known(b"\x89PNG\r\n\x1a\n", Format::Image);
        known(b"\x1f\x8b\x08", Format::Compressed);
        known(b"\xff\xfe<\0h\0t\0m\0l\0>\0", Format::Html);
    }

    #[test]
    fn text_with_angle_brackets_is_no_markup() {
        assert_eq!(held(b"Stable.\0\0\0\0\0\0\0\0"), Held::Text);
        for text in ["<5 mm nodule. Stable.", "Impression: x < y", "<p less than 0.05", "< 1 cm </ 2"] {
            assert_eq!(held(text.as_bytes()), Held::Text, "{text}");
        }
    }

    #[test]
    fn what_is_no_text_is_binary_or_base64() {
        assert_eq!(held(&[0, 1, 2, 3, 0, 0, 7, 8, 1, 2]), Held::Binary);
        assert_eq!(held("JVBERi0x".repeat(40).as_bytes()), Held::Base64);
    }

    proptest! {
        #[test]
        fn nothing_makes_sniffing_panic(bytes: Vec<u8>, content_type: String) {
            let _ = held(&bytes);
            let _ = Declared::parse(Some(&content_type));
        }
    }
}
