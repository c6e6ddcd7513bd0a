//! One part of the document, element by element.

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::domain::narrative::UnreadReason;
use crate::extract::rendition::Refusal;

/// Elements within elements: a text in a table in a text box has some thirty.
const DEPTH_MAX: usize = 1_000;

/// Attributes of one element that are looked at.
const ATTRIBUTES_MAX: usize = 100;

/// What comes next in a part.
pub(super) enum Node<'a> {
    Open(Element<'a>),
    /// The end of the last element that is open: its prefix and name.
    Close(String),
    Text(Cow<'a, str>),
}

/// An element's start tag.
pub(super) struct Element<'a> {
    tag: BytesStart<'a>,
}

impl Element<'_> {
    /// Its name without the prefix.
    pub(super) fn name(&self) -> &str {
        let name = self.tag.name().into_inner();
        name.rsplit_once(':').map_or(name, |(_, local)| local)
    }

    /// The prefix of its name.
    pub(super) fn prefix(&self) -> &str {
        let name = self.tag.name().into_inner();
        name.rsplit_once(':').map_or("", |(prefix, _)| prefix)
    }

    /// The attribute of this name, whatever its prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.tag.attributes();
        let attributes = attributes.with_checks(false).take(ATTRIBUTES_MAX).flatten();
        attributes.into_iter().find_map(|attribute| {
            let key = attribute.key.into_inner();
            let local = key.rsplit_once(':').map_or(key, |(_, local)| local);
            (local == name).then(|| {
                attribute.normalized_value(XmlVersion::Implicit1_0).map_or_else(|_| String::new(), Cow::into_owned)
            })
        })
    }

    /// Its `val`.
    pub(super) fn value(&self) -> Option<String> {
        self.attribute("val")
    }

    /// Its `val` as a number.
    pub(super) fn number(&self) -> Option<i32> {
        self.value()?.trim().parse().ok()
    }

    /// Whether it turns something on: it does unless its `val` says no.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self.value().as_deref(), Some("0" | "false" | "off" | "none"))
    }
}

/// A walk through a part.
pub(super) struct Walk<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    /// The name of an element without content, which was opened and is to be closed.
    empty: Option<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(part: &'a str) -> Self {
        Self { reader: Reader::from_str(part), depth: 0, empty: None }
    }

    /// The next node; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Node<'a>>, Refusal> {
        if let Some(name) = self.empty.take() {
            return Ok(Some(Node::Close(name)));
        }
        loop {
            let event = self.reader.read_event().map_err(|_| {
                let at = self.reader.error_position();
                let detail = format!("A part of it is no well-formed XML, at byte {at} of that part. Send it again.");
                Refusal::new(UnreadReason::Malformed, detail)
            })?;
            return Ok(Some(match event {
                Event::Start(tag) => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        let detail = format!("Its elements are nested more than {DEPTH_MAX} deep.");
                        return Err(Refusal::new(UnreadReason::TooLarge, detail));
                    }
                    Node::Open(Element { tag })
                }
                Event::Empty(tag) => {
                    self.empty = Some(tag.name().into_inner().to_owned());
                    Node::Open(Element { tag })
                }
                Event::End(tag) => {
                    self.depth = self.depth.saturating_sub(1);
                    Node::Close(tag.name().into_inner().to_owned())
                }
                Event::Text(text) => Node::Text(text.xml10_content()),
                Event::CData(data) => Node::Text(data.xml10_content()),
                Event::GeneralRef(reference) => Node::Text(Cow::Owned(character(&reference))),
                Event::DocType(_) => {
                    let detail = "A part of it has a document type, which no Word document has.";
                    return Err(Refusal::new(UnreadReason::Malformed, detail));
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::Eof => return Ok(None),
            }));
        }
    }
}

/// What a reference stands for; without a document type there are no others.
fn character(reference: &quick_xml::events::BytesRef<'_>) -> String {
    match &**reference {
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "amp" => "&".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        _ => reference.resolve_char_ref().ok().flatten().unwrap_or(char::REPLACEMENT_CHARACTER).to_string(),
    }
}
