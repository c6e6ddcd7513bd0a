//! A body that is no XML: text, base64, or only the address of a file.

use roxmltree::Node;

use super::super::embedded::{self, Embedded, Packing};
use super::super::rendition::{Nesting, Reading, Refusal};
use super::super::sniff::{self, Format, Held};
use super::super::xml;
use crate::domain::narrative::UnreadReason;

/// Whether an element `text` holds a rendition in place of a narrative: it says so, or has no markup and belongs to a
/// `nonXMLBody`, or all of it is HTML in a CDATA section.
pub(super) fn is_embedded(text: Node<'_, '_>) -> bool {
    if text.attribute("representation").is_some_and(|how| how.eq_ignore_ascii_case("B64"))
        || text.attribute("compression").is_some()
    {
        return true;
    }
    let in_body = text.parent().is_some_and(|parent| parent.tag_name().name() == "nonXMLBody");
    let markup = text.children().any(|child| child.is_element() && !is_about(child));
    if in_body { !markup } else { !markup && is_html(text) }
}

/// Children of a `text` of type ED that are not its content.
fn is_about(child: Node<'_, '_>) -> bool {
    matches!(child.tag_name().name(), "reference" | "thumbnail")
}

fn is_html(text: Node<'_, '_>) -> bool {
    let start = text.text().unwrap_or_default().trim_start();
    start.starts_with('<') && matches!(sniff::held(start.as_bytes()), Held::Known(Format::Html | Format::Xhtml))
}

/// Whether what a `text` holds is not among the signs of the document itself.
pub(super) fn is_packed(text: Node<'_, '_>) -> bool {
    // Anything without markup may turn out to be base64.
    !is_html(text)
}

/// Reads what a `text` holds.
pub(super) fn read(node: Node<'_, '_>, nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    let text: String = node.children().filter(Node::is_text).filter_map(|child| child.text()).collect();
    if text.trim().is_empty() {
        return Err(nothing_in(node));
    }
    let says_base64 = node.attribute("representation").is_some_and(|how| how.eq_ignore_ascii_case("B64"));
    let media_type = node.attribute("mediaType").filter(|name| *name != "text/x-hl7-text+xml");
    let packing = match node.attribute("compression") {
        None => None,
        Some(name) => Some(packing(name)?),
    };
    let looks_base64 = || sniff::held(text.trim().as_bytes()) == Held::Base64;
    let base64 = says_base64 || packing.is_some() || looks_base64();
    embedded::read(&Embedded { media_type, base64, packing, text: &text }, nesting)
}

/// HL7 V3, `CompressionAlgorithm`. "DF" is a raw deflate stream; many write one with the header of zlib.
fn packing(name: &str) -> Result<Packing, Refusal> {
    match name.to_ascii_uppercase().as_str() {
        "DF" => Ok(Packing::Deflate),
        "GZ" => Ok(Packing::Gzip),
        "ZL" => Ok(Packing::Zlib),
        _ => {
            let detail = "It is compressed with an algorithm that is not read: DF, GZ and ZL are.";
            Err(Refusal::new(UnreadReason::FormatNotSupported, detail))
        }
    }
}

fn nothing_in(node: Node<'_, '_>) -> Refusal {
    if xml::child(node, "reference").is_some() {
        let detail = "The body is only a reference to a file, which is not fetched. Send the file itself, or a document \
                      that holds it.";
        Refusal::new(UnreadReason::NotFetched, detail)
    } else {
        Refusal::new(UnreadReason::Empty, "The body holds nothing.")
    }
}
