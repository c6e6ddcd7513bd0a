//! C-CDA and other CDA R2 documents: the narrative of their sections, in order.
//!
//! The narrative is what the author attests, and what is read. The header is about the document (patient, author,
//! custodian), the entries repeat the narrative in codes: neither is read. Names of elements count without their
//! namespace: documents are sent with prefixes, and with none at all.

mod body;
mod narrative;
mod trail;

use std::sync::Arc;

use roxmltree::{Document, Node};

use super::assembled::Assembled;
use super::gap::Gap;
use super::rendition::{Nesting, Reading, Refusal};
use super::{embedded, section_codes, xml};
use crate::domain::narrative::{SectionKind, UnreadReason};
use narrative::Narrative;
use trail::Trail;

/// The root of a CDA document.
const ROOT: &str = "ClinicalDocument";

/// Elements of a CDA document that are sent in its place by mistake.
const FRAGMENTS: [&str; 6] = ["component", "structuredBody", "nonXMLBody", "section", "text", "entry"];

/// Children of a section, or of the body, that hold no narrative.
const SILENT: [&str; 17] = [
    "realmCode",
    "typeId",
    "templateId",
    "id",
    "code",
    "confidentialityCode",
    "languageCode",
    "effectiveTime",
    "statusCode",
    "subject",
    "author",
    "informant",
    "performer",
    "participant",
    "entry",
    "thumbnail",
    "methodCode",
];

/// Bytes of a heading that a code's name gives: longer names are definitions.
const HEADING_BYTES_MAX: usize = 70;

/// The CDA document in `document`: its root element, or the first that stands within another element.
pub(super) fn root_of<'a, 'i>(document: &'a Document<'i>) -> Option<Node<'a, 'i>> {
    document.descendants().find(|node| node.is_element() && node.tag_name().name().eq_ignore_ascii_case(ROOT))
}

/// Why a document that is part of a CDA document is not read.
pub(super) fn fragment(root: Node<'_, '_>) -> Option<Refusal> {
    let name = root.tag_name().name();
    let hl7 = root.tag_name().namespace() == Some(xml::HL7_V3);
    let within = FRAGMENTS.contains(&name);
    (hl7 || within).then(|| {
        let detail = format!("It is a fragment of a CDA document: {}. Send the whole {ROOT}.", xml::root_phrase(root));
        Refusal::new(UnreadReason::FormatNotSupported, detail)
    })
}

/// Reads the document whose root element is `root`; `nesting` is the rendition's.
pub(super) fn read(root: Node<'_, '_>, notes: Vec<String>, nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    let mut reader = Reader::new(notes, nesting);
    if root.parent().is_some_and(|parent| parent.is_element()) {
        reader.tell_surroundings(root);
    }
    reader.walk(root);
    reader.text.finish()
}

/// A section that is open.
struct Section<'a, 'i> {
    kind: SectionKind,
    /// Its title, which was written when it was opened.
    title: Option<Node<'a, 'i>>,
}

/// Reads a document from its root to its last section.
struct Reader<'a, 'i, 'n> {
    text: Assembled,
    trail: Trail<'a>,
    sections: Vec<Section<'a, 'i>>,
    narrative: Narrative,
    /// The element that begins a narrative, while its content is visited.
    within: Option<Node<'a, 'i>>,
    /// Parts in base64 that were tried.
    packed: usize,
    nesting: Nesting<'n>,
}

impl<'a, 'i, 'n> Reader<'a, 'i, 'n> {
    fn new(notes: Vec<String>, nesting: Nesting<'n>) -> Self {
        Self {
            text: Assembled::new(notes),
            trail: Trail::default(),
            sections: Vec::new(),
            narrative: Narrative::default(),
            within: None,
            packed: 0,
            nesting,
        }
    }

    /// Says what stands around a document that is not the root.
    fn tell_surroundings(&mut self, root: Node<'a, 'i>) {
        let outer: Vec<Node<'a, 'i>> = root.ancestors().skip(1).filter(Node::is_element).collect();
        outer.iter().rev().for_each(|node| self.trail.enter(*node));
        self.text.note("the CDA document within another element is read".to_owned());
        let others = root.document().descendants().filter(|node| node.tag_name().name() == ROOT).count();
        if others > 1 {
            let detail = format!("{} further CDA documents follow; only the first is read.", others - 1);
            let refusal = Refusal::new(UnreadReason::OtherRenditionChosen, detail);
            self.text.not_read("further CDA documents", refusal);
        }
    }

    /// Visits the tree in document order, without recursion: its depth is the sender's choice.
    fn walk(&mut self, root: Node<'a, 'i>) {
        let mut node = root;
        loop {
            if self.open(node, root) {
                if let Some(child) = node.first_child() {
                    node = child;
                    continue;
                }
                self.close(node);
            }
            loop {
                if node == root {
                    return;
                }
                if let Some(next) = node.next_sibling() {
                    node = next;
                    break;
                }
                let Some(parent) = node.parent() else { return };
                self.close(parent);
                node = parent;
            }
        }
    }

    /// Takes in a node; false if its children are not to be visited.
    fn open(&mut self, node: Node<'a, 'i>, root: Node<'a, 'i>) -> bool {
        if let Some(text) = node.text().filter(|_| node.is_text()) {
            self.characters(text);
            return false;
        }
        if !node.is_element() {
            return false;
        }
        if self.within.is_some() {
            self.trail.enter(node);
            let descend = self.narrative.open(node, &mut self.trail, &mut self.text);
            if !descend {
                self.trail.leave();
            }
            return descend;
        }
        self.trail.enter(node);
        let descend = self.open_part(node, root);
        if !descend {
            self.trail.leave();
        }
        descend
    }

    fn close(&mut self, node: Node<'a, 'i>) {
        if self.within == Some(node) {
            self.within = None;
            self.text.seen.widen(Gap::Blank);
            self.text.hidden.widen(Gap::Blank);
        } else if self.within.is_some() {
            self.narrative.close(node, &mut self.text);
        } else if node.tag_name().name() == "section" {
            self.sections.pop();
        }
        self.trail.leave();
    }

    fn characters(&mut self, text: &str) {
        if self.within.is_some() {
            self.narrative.characters(text, &mut self.trail, &mut self.text);
        } else if !text.trim().is_empty() {
            // Text directly in a section or body, where none should be: a block of its own.
            self.narrative = Narrative::default();
            self.text.seen.widen(Gap::Blank);
            self.narrative.characters(text, &mut self.trail, &mut self.text);
            self.text.seen.widen(Gap::Blank);
        }
    }

    /// Takes in an element of the body; false if its children are not to be visited.
    fn open_part(&mut self, node: Node<'a, 'i>, root: Node<'a, 'i>) -> bool {
        let name = node.tag_name().name();
        let in_header = node.parent() == Some(root);
        match name {
            _ if node == root => true,
            "component" | "structuredBody" | "nonXMLBody" => true,
            "section" => {
                self.open_section(node);
                true
            }
            _ if in_header => false,
            "title" if self.sections.last().is_some_and(|section| section.title == Some(node)) => false,
            "text" if body::is_embedded(node) => {
                self.embedded(node);
                false
            }
            _ if SILENT.contains(&name) => false,
            _ if is_foreign(node, root) => {
                self.tell_foreign(node);
                false
            }
            _ => {
                self.text.seen.widen(Gap::Blank);
                self.within = Some(node);
                self.narrative = Narrative::of(node);
                true
            }
        }
    }

    /// Writes the heading of a section, and says so if it has no narrative.
    fn open_section(&mut self, node: Node<'a, 'i>) {
        let title = xml::child(node, "title").filter(|title| xml::has_text(*title));
        let code = xml::child(node, "code");
        let coded = code.and_then(coded);
        let words = title.map(title_text).unwrap_or_default();
        let around = self.sections.last().map(|section| section.kind);
        let kind = section_codes::kind(coded, &words, around);
        if let Some(title) = title {
            self.trail.enter(title);
            let place = self.trail.place();
            self.trail.leave_uncounted();
            self.text.heading(&words, kind, Some(&place));
        } else if xml::child(node, "text").is_some_and(xml::has_text) {
            // Without a heading, its text would be part of the section before it.
            let named = coded.map(|(_, heading)| heading).or_else(|| code.and_then(display_name));
            let first = self.text.seen.is_empty();
            if !first || kind != SectionKind::Other {
                self.text.heading(named.unwrap_or("Section"), kind, None);
            }
        }
        self.tell_missing(node);
        self.sections.push(Section { kind, title });
    }

    /// Says that a section has no narrative, if it should have one.
    fn tell_missing(&mut self, section: Node<'a, 'i>) {
        let (mut entries, mut parts, mut written) = (0_usize, false, false);
        for child in section.children() {
            match child.tag_name().name() {
                "entry" => entries += 1,
                "component" | "section" => parts = true,
                "text" => written |= xml::has_text(child) || shows_media(child),
                name if child.is_element() && !SILENT.contains(&name) && name != "title" => written = true,
                _ => written |= child.is_text() && xml::has_text(child),
            }
        }
        if written || parts {
            return;
        }
        let place = self.trail.place();
        let refusal = if entries > 0 {
            let detail = format!("The section has {entries} coded entries and no narrative; entries are not read.");
            Refusal::new(UnreadReason::FormatNotSupported, detail)
        } else if section.attribute("nullFlavor").is_some() {
            Refusal::new(UnreadReason::Empty, "The section says that there is no information (nullFlavor).")
        } else {
            Refusal::new(UnreadReason::Empty, "The section has no narrative.")
        };
        self.text.not_read(&place, refusal);
    }

    /// Reads what an element holds as a rendition of its own.
    fn embedded(&mut self, node: Node<'a, 'i>) {
        let place = self.trail.place();
        if body::is_packed(node) {
            if let Err(refusal) = embedded::check_count(self.packed, self.nesting.level) {
                self.text.not_read(&place, refusal);
                return;
            }
            self.packed += 1;
        }
        match body::read(node, self.nesting) {
            Ok(reading) => self.text.append(reading, &place),
            Err(refusal) => self.text.not_read(&place, refusal),
        }
    }

    /// Says that text of an extension was not read.
    fn tell_foreign(&mut self, node: Node<'a, 'i>) {
        if xml::has_text(node) {
            let place = self.trail.place();
            let detail = "It is an extension with text of its own, in a namespace that is not CDA's; it is not read.";
            self.text.not_read(&place, Refusal::new(UnreadReason::FormatNotSupported, detail));
        }
    }
}

/// Whether an element is of another namespace than the document, and not HTML's either.
fn is_foreign(node: Node<'_, '_>, root: Node<'_, '_>) -> bool {
    let namespace = node.tag_name().namespace();
    namespace != root.tag_name().namespace()
        && namespace != Some(xml::HL7_V3)
        && namespace.is_some_and(|name| !name.ends_with("xhtml"))
}

/// Whether a narrative shows something that is told on its own.
fn shows_media(text: Node<'_, '_>) -> bool {
    text.descendants().any(|node| node.tag_name().name() == "renderMultiMedia")
}

/// What a section's code, or its translation into another system, says that the section is for.
fn coded(code: Node<'_, '_>) -> Option<(SectionKind, &'static str)> {
    let translations = code.children().filter(|child| child.tag_name().name() == "translation");
    std::iter::once(code).chain(translations).filter_map(|node| node.attribute("code")).find_map(section_codes::find)
}

/// The name that a code has in its document.
fn display_name<'a>(code: Node<'a, '_>) -> Option<&'a str> {
    let name = code.attribute("displayName")?.trim();
    let plain = name.chars().all(|c| !c.is_control() && (c == ' ' || !c.is_whitespace()));
    (plain && !name.is_empty() && name.len() <= HEADING_BYTES_MAX).then_some(name)
}

/// A title as one line.
fn title_text(title: Node<'_, '_>) -> String {
    let mut text = String::new();
    for node in title.descendants() {
        if node.is_element() && !text.is_empty() && node.tag_name().name() == "br" {
            text.push(' ');
        }
        text.push_str(node.text().filter(|_| node.is_text()).unwrap_or_default());
    }
    text
}

/// The place of the element that the trail has reached.
type Path = Arc<str>;

#[cfg(test)]
mod tests;
