//! The styles: which paragraphs are headings, stand apart, are counted or hidden.

use std::collections::HashMap;

use super::xml::{Element, Node, Walk};
use crate::extract::rendition::Refusal;
use crate::extract::sheet;

/// Styles that are based on each other: Word allows ten.
const BASED_ON_MAX: usize = 10;

/// What is said of a paragraph, by itself or by its style; what is not said is left to the style it is based on.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) style: Option<String>,
    pub(super) outline_level: Option<i32>,
    pub(super) before: Option<i32>,
    pub(super) after: Option<i32>,
    pub(super) contextual: Option<bool>,
    pub(super) list: Option<i32>,
    pub(super) list_level: Option<i32>,
    pub(super) hidden: Option<bool>,
    heading: Option<bool>,
}

impl Look {
    /// Takes in a property of a paragraph.
    pub(super) fn take(&mut self, element: &Element<'_>) {
        match element.name() {
            "outlineLvl" => self.outline_level = element.number(),
            "contextualSpacing" => self.contextual = Some(element.is_on()),
            "numId" => self.list = element.number(),
            "ilvl" => self.list_level = element.number(),
            "spacing" => {
                let twips = |name: &str| element.attribute(name).and_then(|value| value.trim().parse().ok());
                let automatic = |name: &str| matches!(element.attribute(name).as_deref(), Some("1" | "true" | "on"));
                self.before = twips("before").or(self.before);
                self.after = if automatic("afterAutospacing") { Some(i32::MAX) } else { twips("after").or(self.after) };
            }
            _ => {}
        }
    }

    /// Fills what is not said.
    fn or(&mut self, other: &Self) {
        self.outline_level = self.outline_level.or(other.outline_level);
        self.before = self.before.or(other.before);
        self.after = self.after.or(other.after);
        self.contextual = self.contextual.or(other.contextual);
        self.list = self.list.or(other.list);
        self.list_level = self.list_level.or(other.list_level);
        self.hidden = self.hidden.or(other.hidden);
        self.heading = self.heading.or(other.heading);
    }

    /// Whether it is a heading.
    pub(super) fn is_heading(&self) -> bool {
        self.outline_level.map_or(self.heading == Some(true), |level| (0..9).contains(&level))
    }
}

/// The styles of a document.
#[derive(Debug, Default)]
pub(super) struct Styles {
    by_id: HashMap<String, Look>,
    defaults: Look,
    /// The style of paragraphs that name none.
    default_style: Option<String>,
}

impl Styles {
    /// Reads `word/styles.xml`.
    pub(super) fn read(part: &str) -> Result<Self, Refusal> {
        let mut styles = Self::default();
        let mut open: Option<(String, Look)> = None;
        let mut in_defaults = false;
        let mut walk = Walk::new(part);
        while let Some(node) = walk.next()? {
            let element = match node {
                Node::Open(element) => element,
                Node::Close(name) => {
                    if name.ends_with("style") {
                        styles.by_id.extend(open.take());
                    }
                    in_defaults &= !name.ends_with("pPrDefault");
                    continue;
                }
                Node::Text(_) => continue,
            };
            match (element.name(), &mut open) {
                ("style", _) => {
                    let id = element.attribute("styleId").unwrap_or_default();
                    let is = |name: &str, value: &str| element.attribute(name).as_deref() == Some(value);
                    if is("type", "paragraph") && (is("default", "1") || is("default", "true")) {
                        styles.default_style = Some(id.clone());
                    }
                    open = Some((id, Look::default()));
                }
                ("pPrDefault", _) => in_defaults = true,
                ("name", Some((_, look))) => look.heading = element.value().map(|name| sheet::is_heading_style(&name)),
                ("basedOn", Some((_, look))) => look.style = element.value(),
                ("vanish", Some((_, look))) => look.hidden = Some(element.is_on()),
                (_, Some((_, look))) => look.take(&element),
                (_, None) if in_defaults => styles.defaults.take(&element),
                _ => {}
            }
        }
        Ok(styles)
    }

    /// The whole look of a paragraph, by what it says itself and by its styles.
    pub(super) fn resolve(&self, own: &Look) -> Look {
        let mut look = own.clone();
        let mut next = own.style.as_ref().or(self.default_style.as_ref());
        for depth in 0..BASED_ON_MAX {
            let Some(style) = next.and_then(|id| self.by_id.get(id)) else { break };
            // A name speaks for its own style only: much is based on headings that is none.
            let heading = if depth == 0 { style.heading } else { None };
            look.or(&Look { heading, ..style.clone() });
            next = style.style.as_ref();
        }
        look.or(&self.defaults);
        look
    }

    /// Whether characters of this style are hidden.
    pub(super) fn hides(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(|style| style.hidden == Some(true))
    }
}
