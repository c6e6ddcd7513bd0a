//! XML that others sent: from bytes to a tree, within limits that hold whatever the bytes are.
//!
//! The tree is roxmltree's, which is strict. What is broken in a way that has one meaning only (a reference that XML does
//! not know, a prefix that nobody declared, control characters) is mended once and noted; everything else is refused.

mod limits;
mod repair;

use roxmltree::{Document, Error, Node, ParsingOptions, TextPos};

use super::charset::{self, Decoded};
use super::rendition::{Refusal, not_decodable};
use crate::domain::narrative::UnreadReason;

/// Bytes in which an XML declaration ends: `<?xml version="1.0" encoding="…" standalone="yes"?>` has 60.
const DECLARATION_BYTES_MAX: usize = 256;

/// Times that a text is mended: once as a whole, and once for each of a few prefixes that nobody declared.
const REPAIRS_MAX: usize = 9;

/// Characters of a name that a detail repeats.
const NAME_CHARACTERS_MAX: usize = 40;

/// The namespace of FHIR.
pub(super) const FHIR: &str = "http://hl7.org/fhir";

/// The namespace of HL7 version 3, CDA's.
pub(super) const HL7_V3: &str = "urn:hl7-org:v3";

/// Decodes and parses `bytes`, and gives the tree to `reader`, with what was guessed on the way.
pub(super) fn with_tree<T>(
    bytes: &[u8],
    content_type_charset: Option<&str>,
    reader: impl FnOnce(&Document<'_>, Vec<String>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    limits::check_bytes(bytes)?;
    let Decoded { text, mut notes } = decode(bytes, content_type_charset)?;
    let start = text.len() - text.trim_start_matches(surrounds).len();
    let lines_before = text[..start].matches('\n').count();
    let mut current = text[start..].trim_end_matches(surrounds);
    let mut mended;
    limits::check(current)?;
    for _ in 0..=REPAIRS_MAX {
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: limits::XML_NODES_MAX, ..ParsingOptions::default() };
        let fault = match Document::parse_with_options(current, options) {
            Ok(document) => return reader(&document, notes),
            Err(fault) => fault,
        };
        let Some((text, note)) = repair::of(current, &fault).filter(|(_, note)| !notes.contains(note)) else {
            return Err(refusal(&fault, lines_before));
        };
        notes.push(note);
        mended = text;
        limits::check(&mended)?;
        current = &mended;
    }
    Err(Refusal::new(UnreadReason::Malformed, "Its XML is broken in more than a few places."))
}

/// What may stand around a document, and is not part of it.
fn surrounds(c: char) -> bool {
    c == '\u{feff}' || c == '\0' || c == '\u{1a}' || c.is_whitespace()
}

fn decode<'b>(bytes: &'b [u8], content_type_charset: Option<&str>) -> Result<Decoded<'b>, Refusal> {
    let utf_8 = std::str::from_utf8(bytes).is_ok();
    let in_markup = declared_charset(bytes);
    let by_content_type = content_type_charset.map(|label| (label, "the content type"));
    let by_markup = in_markup.as_deref().map(|label| (label, "the XML declaration"));
    let declared = match by_content_type {
        // A default that some gateway added: what the document says of itself is better.
        Some((label, _)) if names_utf_8(label) && !utf_8 && by_markup.is_some() => by_markup,
        Some(declared) => Some(declared),
        None => by_markup,
    };
    let (declared, note) = match declared {
        // Hardly any text of another charset is UTF-8 by accident.
        Some((label, by)) if utf_8 && !bytes.is_ascii() && !names_utf_8(label) => {
            (None, Some(format!("{by} names another charset, but the text is UTF-8")))
        }
        declared => (declared, None),
    };
    let mut decoded = charset::decode(bytes, declared).map_err(|fault| not_decodable(&fault))?;
    decoded.notes.extend(note);
    Ok(decoded)
}

fn names_utf_8(label: &str) -> bool {
    encoding_rs::Encoding::for_label(label.as_bytes()) == Some(encoding_rs::UTF_8)
}

/// The charset in the XML declaration.
fn declared_charset(bytes: &[u8]) -> Option<String> {
    let head: String = bytes.iter().take(DECLARATION_BYTES_MAX).map(|byte| char::from(*byte)).collect();
    let declaration = head.trim_start_matches(surrounds).strip_prefix("<?xml")?.split("?>").next()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let label = value[1..].split(quote).next()?.trim().to_owned();
    // Whoever could read this as ASCII knows that it is not UTF-16.
    (!label.is_empty() && !label.to_ascii_lowercase().starts_with("utf-16")).then_some(label)
}

/// The refusal of what roxmltree refuses: with the place, without a word of the text.
fn refusal(fault: &Error, lines_before: usize) -> Refusal {
    let malformed = |what: &str| {
        let detail = format!("It is not well-formed XML: {what}. Send the document whole, as its system wrote it.");
        Refusal::new(UnreadReason::Malformed, detail)
    };
    let at = |what: &str, TextPos { row, col }: TextPos| {
        malformed(&format!("{what} at line {}, column {col}", row as usize + lines_before))
    };
    match fault {
        Error::NodesLimitReached | Error::AttributesLimitReached | Error::NamespacesLimitReached => limits::too_many(),
        Error::DtdDetected => limits::declares_entities(),
        Error::UnclosedRootNode | Error::UnexpectedEndOfStream => {
            malformed("it ends before its root element is closed")
        }
        Error::NoRootNode => malformed("it has no element"),
        Error::UnexpectedCloseTag(_, _, place) => at("an end tag that closes another element", *place),
        Error::UnexpectedDeclaration(place) => at("a second XML declaration", *place),
        Error::DuplicatedAttribute(_, place) => at("an attribute twice", *place),
        Error::UnknownEntityReference(_, place) | Error::MalformedEntityReference(place) => {
            at("a reference that XML does not know", *place)
        }
        Error::UnknownToken(place) => at("something after the end of the root element, or outside of it,", *place),
        other => at("a fault", other.pos()),
    }
}

/// `the root element Report`, for a detail. Names of elements are no report text, if they are names.
pub(super) fn root_phrase(root: Node<'_, '_>) -> String {
    let name = root.tag_name().name();
    let plain =
        name.len() <= NAME_CHARACTERS_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if plain { format!("the root element {name}") } else { "a root element of another name".to_owned() }
}

/// Whether any character below `node` can be seen.
pub(super) fn has_text(node: Node<'_, '_>) -> bool {
    node.descendants().filter(Node::is_text).any(|text| text.text().is_some_and(|text| !text.trim().is_empty()))
}

/// The first element below `node` with this local name.
pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(bytes: &[u8], charset: Option<&str>) -> Result<(String, Vec<String>), Refusal> {
        with_tree(bytes, charset, |document, notes| {
            let text = document.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
            Ok((text, notes))
        })
    }

    fn text(bytes: &[u8], charset: Option<&str>) -> String {
        outcome(bytes, charset).expect("readable").0
    }

    fn detail(bytes: &[u8]) -> (UnreadReason, String) {
        let refusal = outcome(bytes, None).expect_err("refused");
        (refusal.reason, refusal.detail)
    }

    #[test]
    fn the_charset_is_found_wherever_it_is_said_and_not_believed_where_it_is_wrong() {
        let utf_16 = |text: &str, bom: &[u8]| {
            let units = text.encode_utf16().flat_map(u16::to_le_bytes);
            bom.iter().copied().chain(units).collect::<Vec<u8>>()
        };
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>r\xe9ponse</a>".as_slice();
        let declares_utf_16 = "<?xml version=\"1.0\" encoding=\"utf-16\"?><a>réponse</a>";
        let cases: [(Vec<u8>, Option<&str>); 9] = [
            ("<a>réponse</a>".into(), None),
            (latin.to_vec(), None),
            (latin.to_vec(), Some("utf-8")),
            (b"<a>r\xe9ponse</a>".to_vec(), Some("iso-8859-1")),
            (b"<a>r\xe9ponse</a>".to_vec(), None),
            ("<?xml version='1.0' encoding='ISO-8859-1'?><a>réponse</a>".into(), None),
            (declares_utf_16.into(), None),
            (utf_16(declares_utf_16, b"\xff\xfe"), None),
            (utf_16(declares_utf_16, b""), None),
        ];
        for (index, (bytes, charset)) in cases.iter().enumerate() {
            assert_eq!(text(bytes, *charset), "réponse", "case {index}");
        }
        assert_eq!(text(b"<?xml version='1.0' encoding = 'ISO-8859-2'?><a>\xb1</a>", Some("UTF-8")), "ą");
    }

    #[test]
    fn what_stands_around_a_document_is_no_hindrance() {
        assert_eq!(text(b"\n\xef\xbb\xbf \n<?xml version='1.0'?><a>x</a>\0\0\n\x1a", None), "x");
    }

    #[test]
    fn a_fault_with_one_meaning_is_mended_and_noted() {
        let table = [
            ("<a>5&nbsp;mm &ge; 3 R&D &amp; &#8211; &lt;</a>", "5\u{a0}mm ≥ 3 R&D & – <"),
            ("<a>&quot;&unknown; &; &#0; &#x1F;x</a>", "\"&unknown; &;  x"),
            ("<a b='x&y'>one\u{1}two</a>", "onetwo"),
            ("<a><sdtc:x xsi:type='y'>one</sdtc:x></a>", "one"),
            ("<a><!-- a -- b --->one<!-- & --></a>", "one"),
            ("<a>x ]]> y</a>", "x ]]> y"),
            ("<a>&nbsp;<![CDATA[&nbsp; <b> R&D]]></a>", "\u{a0}&nbsp; <b> R&D"),
            ("<p:a>x</p:a>", "x"),
            ("<a>Nodule <5 mm, < 1 cm</a>", "Nodule <5 mm, < 1 cm"),
            ("<a>Nodule < 1 cm</a>", "Nodule < 1 cm"),
            ("<a>Nodule <= 1 cm</a>", "Nodule <= 1 cm"),
        ];
        for (xml, expected) in table {
            let (found, notes) = outcome(xml.as_bytes(), None).expect(xml);
            assert_eq!((found.as_str(), notes.is_empty()), (expected, false), "{xml}");
        }
        assert!(outcome(b"<a>x &amp; y</a>", None).expect("readable").1.is_empty());
    }

    #[test]
    fn a_fault_is_told_with_its_place_and_without_the_text() {
        for (xml, place) in [
            ("\n<a>\n<b>PHI-CANARY</c></a>", "line 3, column 14"),
            ("<a>PHI-CANARY</a><a/>", "line 1, column 18"),
            ("<a PHI='1' PHI='2'/>", "line 1, column 12"),
            ("<a>PHI-CANARY <b> <", "ends before"),
            ("<a>PHI-CANARY <b PHI-CANARY='", "ends before"),
            ("<a>PHI-CANARY", "ends before"),
            ("PHI-CANARY", "line 1, column 1"),
        ] {
            let (reason, detail) = detail(xml.as_bytes());
            assert_eq!(reason, UnreadReason::Malformed, "{xml}");
            assert!(detail.contains(place) && !detail.contains("PHI"), "{detail}");
        }
    }

    #[test]
    fn entities_and_dtds_are_refused_by_name() {
        let laughs = "<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;&b;'>]><a>&c;</a>";
        let external = "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>";
        for xml in [laughs, external, "<?xml version='1.0'?><!DOCTYPE a SYSTEM 'a.dtd'><a/>"] {
            assert!(detail(xml.as_bytes()).1.contains("DTD"), "{xml}");
        }
    }

    #[test]
    fn what_is_over_a_limit_ends_at_once() {
        let attributes = |count: usize| (0..count).fold(String::new(), |all, n| all + &format!(" a{n}=''"));
        let namespaces = (0..100).fold(String::new(), |all, n| all + &format!(" xmlns:a{n}='{n}'"));
        for (name, xml) in [
            ("depth", "<a>".repeat(1_000_000)),
            ("closed depth", "<a>".repeat(100_000) + &"</a>".repeat(100_000)),
            ("attributes", format!("<a{}/>", attributes(1_000_000))),
            ("attributes in all", format!("<a>{}</a>", format!("<a{}/>", attributes(50)).repeat(40_000))),
            ("nodes", format!("<a>{}</a>", "<b/>x".repeat(1_100_000))),
            ("signs", format!("<a>{}</a>", "=".repeat(10_000_000))),
            ("namespaces", format!("<a{namespaces}>{}</a>", "<b xmlns='x'/>".repeat(400_000))),
            ("bytes", " ".repeat(30 << 20)),
        ] {
            assert_eq!(detail(xml.as_bytes()).0, UnreadReason::TooLarge, "{name}");
        }
    }
}
