//! The markup of CDA's narrative (CDA R2, StrucDoc.Text), and the HTML that systems put in its place.

use std::borrow::Cow;

use roxmltree::Node;

use super::super::assembled::{Assembled, Flow};
use super::super::gap::Gap;
use super::super::rendition::Refusal;
use super::trail::Trail;
use crate::domain::narrative::UnreadReason;

/// How an element stands in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stance {
    /// A part of a line.
    Inline,
    /// Begins and ends a line.
    Line,
    /// Stands apart from what is around it.
    Apart,
    /// Not known: no part of a word around it.
    Other,
    /// Never text.
    Out,
}

/// By the name in lower case.
fn stance(name: &str) -> Stance {
    match name {
        "content" | "linkhtml" | "sub" | "sup" | "footnote" | "footnoteref" | "td" | "th" | "br" | "span" | "b"
        | "i" | "u" | "em" | "strong" | "font" | "a" | "small" | "big" | "tt" | "code" | "s" | "del" | "ins"
        | "strike" | "mark" | "abbr" | "q" | "cite" | "var" | "kbd" | "label" | "caption" => Stance::Inline,
        "div" | "li" | "item" | "tr" | "thead" | "tbody" | "tfoot" | "colgroup" | "dt" | "dd" | "center"
        | "section" | "article" | "text" | "title" | "body" | "html" | "col" => Stance::Line,
        "paragraph" | "p" | "table" | "list" | "ul" | "ol" | "dl" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6"
        | "blockquote" | "pre" | "hr" | "address" => Stance::Apart,
        "script" | "style" | "head" | "template" => Stance::Out,
        _ => Stance::Other,
    }
}

/// Whether an element is a place of its own: what is not known is one, as it may be a block.
pub(super) fn is_block(name: &str) -> bool {
    matches!(name, "td" | "th" | "caption") || stance(&lower(name)) != Stance::Inline
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

/// What is known of the narrative that is being read.
#[derive(Default)]
pub(super) struct Narrative {
    /// Elements that hide, and are open.
    hiding: usize,
    /// Elements that keep their lines, and are open.
    verbatim: usize,
    /// Lists that are open; ordered ones with the number of their next item.
    lists: Vec<Option<i64>>,
    /// The marker of a list item of which nothing is written yet.
    marker: String,
    /// Footnotes that are open and of which nothing is written yet.
    brackets: usize,
    /// Table rows that are open: whether something of it is written.
    rows: Vec<bool>,
    /// True within a cell of which nothing is written yet.
    cell_starts: bool,
    /// True within a `sup` of which nothing is written yet.
    raised: bool,
    struck: usize,
    /// Where the text of the HTML heading that is open begins, if it was begun.
    heading: Option<usize>,
}

impl Narrative {
    /// The narrative that begins with this element.
    pub(super) fn of(node: Node<'_, '_>) -> Self {
        Self { verbatim: usize::from(keeps_lines(node)), ..Self::default() }
    }

    /// Takes in an element; false if its content is not to be visited.
    pub(super) fn open(&mut self, node: Node<'_, '_>, trail: &mut Trail<'_>, text: &mut Assembled) -> bool {
        let name = lower(node.tag_name().name());
        if stance(&name) == Stance::Out {
            return false;
        }
        if hides(node) {
            self.hiding += 1;
            text.hidden.widen(Gap::Line);
        }
        self.surround(&name, text);
        self.verbatim += usize::from(keeps_lines(node));
        match name.as_ref() {
            "br" if self.flow(text).gap() == Gap::Line => self.part(Gap::Blank, text),
            "br" => self.part(Gap::Line, text),
            "list" | "ul" | "ol" => self.lists.push(first_number(&name, node)),
            "table" => self.marker.clear(),
            "item" | "li" => self.open_item(node),
            "caption" => self.separate_caption(node, text),
            "tr" => self.rows.push(false),
            "td" | "th" => self.open_cell(text),
            "sup" => self.raised = true,
            "footnote" => {
                self.flow(text).widen(Gap::Space);
                self.brackets += 1;
            }
            "del" | "s" | "strike" => self.struck += 1,
            "rendermultimedia" => {
                let detail = "An image or recording that the narrative shows is not read.";
                text.not_read(&trail.place(), Refusal::new(UnreadReason::FormatNotSupported, detail));
            }
            _ if is_heading(&name) && self.hiding == 0 => self.heading = Some(text.end()),
            _ => {}
        }
        true
    }

    pub(super) fn close(&mut self, node: Node<'_, '_>, text: &mut Assembled) {
        let name = lower(node.tag_name().name());
        match name.as_ref() {
            "list" | "ul" | "ol" => drop(self.lists.pop()),
            "item" | "li" => self.marker.clear(),
            "caption" => self.separate_caption(node, text),
            "td" | "th" => self.cell_starts = false,
            "tr" => self.close_row(text),
            "sup" => self.raised = false,
            "footnote" if self.brackets > 0 => self.brackets -= 1,
            "footnote" => {
                text.seen.close_with("]");
                text.seen.widen(Gap::Space);
            }
            "del" | "s" | "strike" => self.struck -= 1,
            _ if is_heading(&name) => {
                if let Some(from) = self.heading.take() {
                    text.mark_from(from);
                }
            }
            _ => {}
        }
        self.verbatim -= usize::from(keeps_lines(node));
        self.surround(&name, text);
        if hides(node) {
            self.hiding -= 1;
        }
    }

    fn flow<'t>(&self, text: &'t mut Assembled) -> &'t mut Flow {
        if self.hiding > 0 { &mut text.hidden } else { &mut text.seen }
    }

    /// Widens the gap, unless a cell begins here: the block at its start does not push it to another line.
    fn part(&self, gap: Gap, text: &mut Assembled) {
        if !self.cell_starts {
            self.flow(text).widen(gap);
        }
    }

    /// The gap before and after an element.
    fn surround(&self, name: &str, text: &mut Assembled) {
        let nested = !self.lists.is_empty() || !self.rows.is_empty();
        match stance(name) {
            Stance::Apart => self.part(if nested { Gap::Line } else { Gap::Blank }, text),
            Stance::Line => self.part(Gap::Line, text),
            Stance::Other => self.part(Gap::Space, text),
            Stance::Inline | Stance::Out => {}
        }
    }

    /// A table's or list's caption is a line, another's is the beginning of one.
    fn separate_caption(&self, caption: Node<'_, '_>, text: &mut Assembled) {
        let around = caption.parent().map_or("", |parent| parent.tag_name().name());
        self.part(if matches!(around, "table" | "list") { Gap::Line } else { Gap::Space }, text);
    }

    fn open_item(&mut self, node: Node<'_, '_>) {
        self.marker = match self.lists.last_mut() {
            Some(Some(next)) => {
                let number = number(node, "value").unwrap_or(*next);
                *next = number.saturating_add(1);
                format!("{number}. ")
            }
            _ => "- ".to_owned(),
        };
    }

    fn open_cell(&mut self, text: &mut Assembled) {
        if self.rows.last().copied().unwrap_or(false) {
            self.flow(text).next_cell();
        }
        self.cell_starts = true;
    }

    fn close_row(&mut self, text: &mut Assembled) {
        self.cell_starts = false;
        let wrote = self.rows.pop().unwrap_or(false);
        if let Some(outer) = self.rows.last_mut() {
            *outer |= wrote;
        }
        self.flow(text).end_row();
        self.part(Gap::Line, text);
    }

    /// Writes character data.
    pub(super) fn characters(&mut self, characters: &str, trail: &mut Trail<'_>, text: &mut Assembled) {
        if characters.starts_with(char::is_whitespace) {
            self.flow(text).widen(Gap::Space);
        }
        let mut lead = std::mem::take(&mut self.marker);
        if self.hiding == 0 {
            lead.extend(std::iter::repeat_n('[', self.brackets));
        }
        if self.raised && self.flow(text).touches_digit() && characters.starts_with(|c: char| c.is_ascii_digit()) {
            // "10" and a raised "9" are not 109.
            lead.push('^');
        }
        let place = trail.place();
        let flow = self.flow(text);
        let wrote = if self.verbatim > 0 {
            flow.write(lines(characters), &lead, &place)
        } else {
            flow.write(words(characters), &lead, &place)
        };
        if !wrote {
            lead.trim_end_matches(['[', '^']).clone_into(&mut self.marker);
        }
        if wrote {
            self.brackets = if self.hiding > 0 { self.brackets } else { 0 };
            self.cell_starts = false;
            self.raised = false;
            if let Some(row) = self.rows.last_mut() {
                *row = true;
            }
            if self.struck > 0 {
                text.note("text that is struck through is among the text".to_owned());
            }
        }
        if characters.ends_with(char::is_whitespace) {
            self.flow(text).widen(Gap::Space);
        }
    }
}

/// The words of a text with the gaps between them. A line that begins at the left edge was not laid out by a program
/// that indents XML: its beginning is the author's.
fn words(text: &str) -> impl Iterator<Item = (Gap, &str)> {
    let mut rest = text.trim();
    let mut first = true;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let word_starts = rest.len() - rest.trim_start().len();
        let gap = match &rest[..word_starts] {
            _ if first => Gap::None,
            blanks if blanks.ends_with(['\n', '\r']) => line_gap(blanks),
            _ => Gap::Space,
        };
        first = false;
        let from = &rest[word_starts..];
        let length = from.find(char::is_whitespace).unwrap_or(from.len());
        rest = &from[length..];
        Some((gap, &from[..length]))
    })
}

/// One line end, or several.
fn line_gap(blanks: &str) -> Gap {
    let ends = blanks.bytes().filter(|byte| *byte == b'\n').count();
    let returns = blanks.replace("\r\n", "\n").bytes().filter(|byte| *byte == b'\r').count();
    if ends + returns > 1 { Gap::Blank } else { Gap::Line }
}

/// The lines of a text that keeps them.
fn lines(text: &str) -> impl Iterator<Item = (Gap, &str)> {
    let mut ends = 0_usize;
    text.split('\n').enumerate().filter_map(move |(index, line)| {
        ends += usize::from(index > 0);
        let line = line.trim_end();
        if line.is_empty() {
            return None;
        }
        let gap = match ends {
            0 => Gap::None,
            1 => Gap::Line,
            _ => Gap::Blank,
        };
        ends = 0;
        Some((gap, line))
    })
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// The number of the first item, if the items of the list have numbers.
fn first_number(name: &str, list: Node<'_, '_>) -> Option<i64> {
    let ordered = name == "ol" || list.attribute("listType").is_some_and(|kind| kind.eq_ignore_ascii_case("ordered"));
    ordered.then(|| number(list, "start").unwrap_or(1))
}

fn number(node: Node<'_, '_>, attribute: &str) -> Option<i64> {
    node.attribute(attribute)?.trim().parse().ok()
}

/// Whether white space within the element is the author's.
fn keeps_lines(node: Node<'_, '_>) -> bool {
    node.tag_name().name().eq_ignore_ascii_case("pre")
        || node.attribute(("http://www.w3.org/XML/1998/namespace", "space")) == Some("preserve")
}

/// Whether the element is no part of the text that is attested: deleted by a later version, or hidden.
fn hides(node: Node<'_, '_>) -> bool {
    let styled = node.attribute("style").is_some_and(|style| {
        let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        style.split(';').any(|rule| matches!(rule, "display:none" | "visibility:hidden" | "visibility:collapse"))
    });
    styled || node.attribute("revised") == Some("delete") || node.attribute("hidden").is_some()
}
