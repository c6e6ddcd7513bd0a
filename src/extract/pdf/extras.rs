//! What a document holds beside its pages: it is told, not read.

use hayro_syntax::object::{Array, Dict, Object};
use hayro_syntax::page::Page;

use super::super::rendition::{Reading, Refusal};
use super::annotations::Annotations;
use crate::domain::narrative::UnreadReason;

/// Nodes of the tree of attached files that are looked at.
const TREE_NODES_MAX: usize = 1_000;

/// Adds to `reading` what there is besides.
pub(super) fn tell(catalog: &Dict<'_>, pages: &[Page<'_>], reading: &mut Reading) {
    let annotations =
        |subtype: &[u8]| pages.iter().map(|page| Annotations::of(page.raw()).count(subtype)).sum::<usize>();
    let files = embedded_files(catalog) + annotations(b"FileAttachment");
    if files > 0 {
        let detail =
            format!("{files} attached within the PDF; send what belongs to the report as attachments of its own.");
        reading.unread.push(("files".to_owned(), Refusal::new(UnreadReason::FormatNotSupported, detail)));
    }
    let comments = annotations(b"Text");
    if comments > 0 {
        reading.notes.push(format!("{comments} comments on its pages were not read"));
    }
    if catalog.get::<Dict<'_>>("AcroForm").is_some_and(|form| form.contains_key("XFA")) {
        reading.notes.push("it is an XFA form; what its pages show without one was read".to_owned());
    }
}

/// How many files are in the tree of embedded files.
fn embedded_files(catalog: &Dict<'_>) -> usize {
    let root = catalog.get::<Dict<'_>>("Names").and_then(|names| names.get::<Dict<'_>>("EmbeddedFiles"));
    let mut count = 0;
    let mut nodes: Vec<Dict<'_>> = root.into_iter().collect();
    for _ in 0..TREE_NODES_MAX {
        let Some(node) = nodes.pop() else { break };
        // A name and a file in turn.
        count += node.get::<Array<'_>>("Names").unwrap_or_default().raw_iter().count() / 2;
        let kids = node.get::<Array<'_>>("Kids").unwrap_or_default();
        nodes.extend(kids.iter::<Object<'_>>().filter_map(Object::into_dict).take(TREE_NODES_MAX));
    }
    count
}
