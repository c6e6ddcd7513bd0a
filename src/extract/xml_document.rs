//! XML whose root element says what it is: a CDA document, a FHIR resource, a web page.

use super::embedded;
use super::rendition::{Nesting, Reading, Refusal};
use super::{cda, fhir_document, xml};
use crate::domain::narrative::UnreadReason;

/// Reads it; `nesting` is the rendition's.
pub(super) fn read(bytes: &[u8], content_type_charset: Option<&str>, nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    xml::with_tree(bytes, content_type_charset, |document, notes| {
        let root = document.root_element();
        if root.tag_name().namespace() == Some(xml::FHIR) {
            return fhir_document::read_xml(root, notes, nesting);
        }
        if let Some(clinical) = cda::root_of(document) {
            return cda::read(clinical, notes, nesting);
        }
        if let Some(refusal) = cda::fragment(root) {
            return Err(refusal);
        }
        if root.tag_name().name() == "html" {
            let markup = document.input_text().as_bytes();
            return embedded::read_within(Some("application/xhtml+xml; charset=utf-8"), markup, nesting);
        }
        let detail = format!("It is XML with {}, which is neither a CDA document nor FHIR.", xml::root_phrase(root));
        Err(Refusal::new(UnreadReason::FormatNotSupported, detail))
    })
}
