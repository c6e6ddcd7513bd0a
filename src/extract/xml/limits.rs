//! A look over XML before it is parsed: what its tree would cost.
//!
//! roxmltree compares each attribute with all before it in its tag, gives every element that declares a namespace a list
//! of all that are in force, and sets memory aside for each `<` and `=` of the text.

use super::super::markup::MARKUP_BYTES_MAX;
use super::super::rendition::Refusal;
use crate::domain::narrative::UnreadReason;

/// Elements within elements: C-CDA documents reach 40.
pub(super) const XML_DEPTH_MAX: usize = 1_000;

/// Nodes of the tree, at 72 bytes each: a C-CDA document of 20 MiB has as many.
pub(super) const XML_NODES_MAX: u32 = 1_000_000;

/// Attributes of the whole text, at 72 bytes each: half of what 24 MiB of C-CDA have.
const XML_ATTRIBUTES_MAX: usize = 500_000;

/// Attributes of one tag: CDA has ten, the declarations of namespaces in a root thirty.
const XML_TAG_ATTRIBUTES_MAX: usize = 100;

/// Signs `<`, and signs `=`, wherever they stand.
const XML_SIGNS_MAX: usize = 2_000_000;

/// Steps that finding namespaces takes, at about a nanosecond.
const XML_NAMESPACE_STEPS_MAX: usize = 100_000_000;

/// Refuses what is too long to be looked at.
pub(super) fn check_bytes(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() > MARKUP_BYTES_MAX {
        return Err(over(&format!("{} bytes of XML, more than {} MiB", bytes.len(), MARKUP_BYTES_MAX >> 20)));
    }
    Ok(())
}

/// Refuses a text whose tree would take too much time or memory, and one that declares entities.
pub(super) fn check(text: &str) -> Result<(), Refusal> {
    let signs = |sign: u8| text.bytes().filter(|byte| *byte == sign).count();
    if signs(b'<') > XML_SIGNS_MAX || signs(b'=') > XML_SIGNS_MAX {
        return Err(too_many());
    }
    let mut look = Look::default();
    let mut at = 0;
    while let Some(found) = text[at..].find('<') {
        let start = at + found;
        let rest = &text[start..];
        let until = |skipped: usize, end: &str| {
            rest.get(skipped..)
                .and_then(|rest| rest.find(end))
                .map_or(text.len(), |at| start + skipped + at + end.len())
        };
        at = if rest.starts_with("<!--") {
            until(4, "-->")
        } else if rest.starts_with("<![CDATA[") {
            until(9, "]]>")
        } else if rest.starts_with("<?") {
            until(2, "?>")
        } else if rest.starts_with("<!") {
            return Err(declares_entities());
        } else {
            start + look.tag(rest.as_bytes())?
        };
    }
    look.finish()
}

/// What was counted so far.
#[derive(Default)]
struct Look<'t> {
    depth: usize,
    attributes: usize,
    declarations: usize,
    prefixes: Vec<&'t [u8]>,
}

impl<'t> Look<'t> {
    /// Counts the tag that `rest` begins with: its length.
    fn tag(&mut self, rest: &'t [u8]) -> Result<usize, Refusal> {
        let (mut quote, mut blank, mut attributes) = (None, false, 0_usize);
        let mut end = rest.len();
        for (at, byte) in rest.iter().enumerate().skip(1) {
            match (quote, byte) {
                (Some(open), byte) if open == byte => quote = None,
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'>') => {
                    end = at + 1;
                    break;
                }
                (None, b'=') => attributes += 1,
                (None, b'x') if blank => self.declaration(&rest[at..]),
                _ => {}
            }
            blank = byte.is_ascii_whitespace();
        }
        self.attributes += attributes;
        if rest[1..].first() == Some(&b'/') {
            self.depth = self.depth.saturating_sub(1);
        } else if !rest[..end].ends_with(b"/>") {
            self.depth += 1;
        }
        if self.depth > XML_DEPTH_MAX {
            return Err(over(&format!("elements nested more than {XML_DEPTH_MAX} deep")));
        }
        if attributes > XML_TAG_ATTRIBUTES_MAX {
            return Err(over(&format!("{attributes} attributes in one tag, more than {XML_TAG_ATTRIBUTES_MAX}")));
        }
        Ok(end)
    }

    /// Counts an attribute that may declare a namespace.
    fn declaration(&mut self, attribute: &'t [u8]) {
        let Some(rest) = attribute.strip_prefix(b"xmlns") else { return };
        let length = rest.iter().take_while(|byte| !byte.is_ascii_whitespace() && **byte != b'=').count();
        let prefix = &rest[..length];
        self.declarations += 1;
        // More would be over the limit whatever they are.
        if self.prefixes.len() <= XML_TAG_ATTRIBUTES_MAX && !self.prefixes.contains(&prefix) {
            self.prefixes.push(prefix);
        }
    }

    fn finish(self) -> Result<(), Refusal> {
        let prefixes = self.prefixes.len();
        let steps = self.declarations * prefixes * prefixes;
        if self.attributes > XML_ATTRIBUTES_MAX || prefixes > XML_TAG_ATTRIBUTES_MAX || steps > XML_NAMESPACE_STEPS_MAX
        {
            return Err(too_many());
        }
        Ok(())
    }
}

/// The refusal of a tree that would take too much memory.
pub(super) fn too_many() -> Refusal {
    over(&format!(
        "more than {XML_NODES_MAX} elements and texts or {XML_ATTRIBUTES_MAX} attributes, or as much work by its namespaces"
    ))
}

/// The refusal of a document type declaration, whatever is in it.
pub(super) fn declares_entities() -> Refusal {
    let detail = "It declares a DTD or entities, which are never read: they could name other files, or grow without end. \
                  Send it without <!DOCTYPE>.";
    Refusal::new(UnreadReason::Malformed, detail)
}

fn over(what: &str) -> Refusal {
    Refusal::new(UnreadReason::TooLarge, format!("It holds {what}."))
}
