//! A part of a FHIR resource, in JSON or XML, and the parts within it.

use std::borrow::Cow;
use std::fmt;

use roxmltree::Node;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::rendition::Refusal;
use crate::domain::narrative::UnreadReason;

/// Parts of one list: a patient's whole record as one document has 20,000 entries.
const LIST_PARTS_MAX: usize = 100_000;

/// The members that are read, of any part.
const MEMBERS: [&str; 19] = [
    "attachment",
    "code",
    "coding",
    "conclusion",
    "content",
    "contentType",
    "data",
    "div",
    "emptyReason",
    "entry",
    "presentedForm",
    "resource",
    "resourceType",
    "section",
    "status",
    "text",
    "title",
    "type",
    "url",
];

/// An object of JSON or an element of XML.
#[derive(Clone, Debug)]
pub(super) struct Part<'d> {
    /// Where it is: `Composition.section[0]` in JSON, an XPath in XML.
    pub(super) place: String,
    source: Source<'d>,
}

#[derive(Clone, Debug)]
enum Source<'d> {
    Json(Vec<(&'static str, &'d RawValue)>),
    Xml(Node<'d, 'd>),
}

impl<'d> Part<'d> {
    /// The resource that a text of JSON is.
    pub(super) fn json(text: &'d str) -> Result<Self, Refusal> {
        if !text.starts_with('{') {
            return Err(super::holds_no_document(None));
        }
        let mut part = Self { place: String::new(), source: Source::Json(members(text)?) };
        part.place = part.resource_type().filter(|name| is_name(name)).unwrap_or_else(|| "resource".to_owned());
        Ok(part)
    }

    /// The resource whose element is `root`.
    pub(super) fn xml<'a: 'd, 'i: 'd>(root: Node<'a, 'i>) -> Self {
        Self { place: format!("/{}", root.tag_name().name()), source: Source::Xml(root) }
    }

    /// The name of the resource.
    pub(super) fn resource_type(&self) -> Option<String> {
        match &self.source {
            Source::Json(_) => self.string("resourceType"),
            Source::Xml(node) => Some(node.tag_name().name().to_owned()),
        }
    }

    /// The place of the only member of this name.
    pub(super) fn below(&self, name: &str) -> String {
        match self.source {
            Source::Json(_) => format!("{}.{name}", self.place),
            Source::Xml(_) => format!("{}/{name}[1]", self.place),
        }
    }

    /// The parts that a member holds, be it a list or not.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Self>, Refusal> {
        match &self.source {
            Source::Json(_) => {
                let Some(raw) = self.raw(name) else { return Ok(Vec::new()) };
                if raw.starts_with('{') {
                    return Ok(vec![Self { place: self.below(name), source: Source::Json(members(raw)?) }]);
                }
                let mut parts = Vec::new();
                for (index, item) in items(raw)?.into_iter().enumerate().filter(|(_, item)| item.starts_with('{')) {
                    let place = format!("{}.{name}[{index}]", self.place);
                    parts.push(Self { place, source: Source::Json(members(item)?) });
                }
                Ok(parts)
            }
            Source::Xml(node) => {
                let children = node.children().filter(|child| child.is_element() && child.tag_name().name() == name);
                let part = |(index, child)| Self {
                    place: format!("{}/{name}[{}]", self.place, index + 1),
                    source: Source::Xml(child),
                };
                Ok(children.enumerate().map(part).collect())
            }
        }
    }

    /// The first of them.
    pub(super) fn one(&self, name: &str) -> Result<Option<Self>, Refusal> {
        Ok(self.list(name)?.into_iter().next())
    }

    /// A member that is a string.
    pub(super) fn string(&self, name: &str) -> Option<String> {
        match &self.source {
            Source::Json(_) => serde_json::from_str(self.raw(name)?).ok(),
            Source::Xml(node) => {
                let child = node.children().find(|child| child.is_element() && child.tag_name().name() == name)?;
                child.attribute("value").map(str::to_owned)
            }
        }
    }

    /// The resource in an entry of a Bundle.
    pub(super) fn resource(&self) -> Result<Option<Self>, Refusal> {
        let Some(resource) = self.one("resource")? else { return Ok(None) };
        Ok(match resource.source {
            Source::Json(_) => Some(resource),
            Source::Xml(node) => node.first_element_child().map(|child| {
                let place = format!("{}/{}[1]", resource.place, child.tag_name().name());
                Self { place, source: Source::Xml(child) }
            }),
        })
    }

    /// `text.div`, and where it is.
    pub(super) fn markup(&self) -> Result<Option<(String, String)>, Refusal> {
        let Some(text) = self.one("text")? else { return Ok(None) };
        let place = text.below("div");
        Ok(match text.source {
            Source::Json(_) => text.string("div").map(|markup| (place, markup)),
            Source::Xml(node) => {
                let div = node.children().find(|child| child.is_element() && child.tag_name().name() == "div");
                div.map(|div| (place, source_of(div)))
            }
        })
    }

    /// The text of a member's value; null counts as absent.
    fn raw(&self, name: &str) -> Option<&'d str> {
        let Source::Json(members) = &self.source else { return None };
        let (_, raw) = members.iter().find(|(member, _)| *member == name)?;
        Some(raw.get()).filter(|raw| *raw != "null")
    }
}

/// The markup of an element as it was written, without the prefix of its namespace.
fn source_of(element: Node<'_, '_>) -> String {
    let source = &element.document().input_text()[element.range()];
    let name = source[1..].split(|c: char| c.is_whitespace() || c == '>' || c == '/').next().unwrap_or_default();
    match name.split_once(':') {
        Some((prefix, _)) => source.replace(&format!("<{prefix}:"), "<").replace(&format!("</{prefix}:"), "</"),
        None => source.to_owned(),
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The members of a JSON object that are read; of one that is there twice, the last.
fn members(text: &str) -> Result<Vec<(&'static str, &RawValue)>, Refusal> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(&'static str, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members: Self::Value = Vec::new();
            while let Some(name) = map.next_key::<Name<'de>>()? {
                match MEMBERS.binary_search(&name.0.as_ref()) {
                    Ok(at) => {
                        let value = map.next_value()?;
                        members.retain(|(member, _)| *member != MEMBERS[at]);
                        members.push((MEMBERS[at], value));
                    }
                    Err(_) => drop(map.next_value::<IgnoredAny>()?),
                }
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Members).map_err(|fault| malformed(&fault))
}

/// A member's name, without a copy where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The items of a JSON list; none if it is no list.
fn items(text: &str) -> Result<Vec<&str>, Refusal> {
    struct Items;
    impl<'de> Visitor<'de> for Items {
        type Value = Option<Vec<&'de str>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = list.next_element::<&'de RawValue>()? {
                if items.len() == LIST_PARTS_MAX {
                    while list.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(None);
                }
                items.push(item.get());
            }
            Ok(Some(items))
        }
    }
    if !text.starts_with('[') {
        return Ok(Vec::new());
    }
    let items = serde_json::Deserializer::from_str(text).deserialize_seq(Items).map_err(|fault| malformed(&fault))?;
    items.ok_or_else(|| {
        let detail = format!("A list in it has more than {LIST_PARTS_MAX} parts.");
        Refusal::new(UnreadReason::TooLarge, detail)
    })
}

fn malformed(fault: &serde_json::Error) -> Refusal {
    let detail = format!("It is not well-formed JSON (line {}, column {}).", fault.line(), fault.column());
    Refusal::new(UnreadReason::Malformed, detail)
}
