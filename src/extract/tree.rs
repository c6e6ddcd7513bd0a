//! Which elements are open while markup is read from its start to its end.
//!
//! No tree is kept. A browser's rules for elements that are not closed, closed twice or closed crosswise (WHATWG HTML,
//! "tree construction") are followed as far as they decide which text is hidden, in a list or in a cell. Text that stands
//! in a table between its cells is read where it stands.

use super::elements::{
    APART, CLOSED, ENDS_PARAGRAPH, Element, FORMATTING, HEADING, HOLDS_HTML, LEAVES_DRAWING, LEFT_OUT, LINE, LIST,
    OF_TABLE, PASSED, REGION, SCOPE, SPECIAL, STRUCK, VERBATIM, VOID,
};
use super::flow::Writer;
use super::gap::Gap;
use super::inline_style::Style;
use super::markup::{Tag, attribute, attribute_at};

/// Elements within elements: word processors reach 60, mail clients that quote each other 200.
pub(super) const MARKUP_DEPTH_MAX: usize = 5_000;

/// Formatting elements that are open at once; what is written by hand has ten.
const FORMATTING_MAX: usize = 1_000;

/// Elements that may be looked at in search of those that a tag closes, at about a nanosecond each.
pub(super) const MARKUP_STEPS_MAX: usize = 500_000_000;

/// Formatting elements that are alike, as a browser keeps them.
const ALIKE_MAX: usize = 3;

/// The markup is over this limit, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OverLimit(pub(super) String);

/// What an open element does to the text in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Effect {
    hides: bool,
    strikes: bool,
    leaves_out: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open<'t> {
    element: Element<'t>,
    effect: Effect,
    /// Begins and ends a line because its style says so.
    line: bool,
    verbatim: bool,
    /// True if what is in it is a part of a drawing or formula.
    drawing: bool,
    /// Of a formatting element.
    serial: usize,
}

/// A formatting element that no end tag has closed.
#[derive(Clone, Copy, Debug)]
struct Formatting<'t> {
    element: Element<'t>,
    attributes: &'t str,
    effect: Effect,
    serial: usize,
    /// False if what it was opened in has ended: it goes on in what follows.
    open: bool,
}

/// Open elements, and the text that is made of what is in them.
pub(super) struct Tree<'t> {
    pub(super) writer: Writer<'t>,
    stack: Vec<Open<'t>>,
    formatting: Vec<Formatting<'t>>,
    /// Where in `formatting` each open cell, caption or object begins.
    regions: Vec<usize>,
    serial: usize,
    steps: usize,
    xml: bool,
}

impl<'t> Tree<'t> {
    pub(super) fn new(source: &'t str, xml: bool) -> Self {
        Self {
            writer: Writer::new(source),
            stack: Vec::new(),
            formatting: Vec::new(),
            regions: vec![0],
            serial: 0,
            steps: 0,
            xml,
        }
    }

    /// Whether what is read now is a part of a drawing or formula.
    pub(super) fn in_drawing(&self) -> bool {
        self.stack.last().is_some_and(|open| open.drawing)
    }

    /// Takes in a start tag.
    pub(super) fn open(&mut self, tag: &Tag<'t>) -> Result<(), OverLimit> {
        let element = tag.element;
        if element.is(LEAVES_DRAWING) && self.in_drawing() {
            self.leave_drawing();
        }
        if element.is(PASSED) || !self.make_room(element) {
            return Ok(());
        }
        let style = Style::of(tag);
        let outer = self.stack.last().copied();
        let effect = Effect {
            hides: style.hides || (element.is(CLOSED) && attribute(tag, opening(element)).is_none()),
            strikes: style.strikes || element.is(STRUCK),
            leaves_out: element.is(LEFT_OUT),
        };
        let verbatim =
            style.verbatim.unwrap_or_else(|| element.is(VERBATIM) || outer.is_some_and(|open| open.verbatim));
        let drawing = matches!(element.name, "svg" | "math")
            || (outer.is_some_and(|open| open.drawing) && !element.is(HOLDS_HTML));
        self.serial += 1;
        let line = style.block && !element.is(APART | LINE);
        let open = Open { element, effect, line, verbatim, drawing, serial: self.serial };
        self.begin(&open, tag);
        let empty = element.is(VOID) || (tag.self_closing && (self.xml || drawing));
        if empty {
            self.end(&open);
        } else {
            self.push(open, tag.attributes);
        }
        self.within_limits()
    }

    /// Takes in an end tag.
    pub(super) fn close(&mut self, element: Element<'t>) -> Result<(), OverLimit> {
        match element.name {
            "br" => self.writer.break_line(),
            "p" if !self.close_in_scope(element, SCOPE, &["button"]) => self.surround(element, false),
            "p" | "body" => {}
            "form" => self.close_form(element),
            "li" => drop(self.close_in_scope(element, SCOPE | LIST, &[])),
            "table" | "template" => drop(self.close_in_scope(element, 0, &[])),
            _ if element.is(OF_TABLE) => drop(self.close_in_scope(element, 0, &["table", "template"])),
            _ if element.is(HEADING) => self.close_heading(),
            _ if element.is(FORMATTING) => self.close_formatting(element),
            _ if element.is(SPECIAL) => drop(self.close_in_scope(element, SCOPE, &[])),
            _ => self.close_inline(element),
        }
        self.within_limits()
    }

    /// Ends what is still open.
    pub(super) fn finish(mut self) -> Writer<'t> {
        self.truncate(0);
        self.writer
    }

    fn within_limits(&self) -> Result<(), OverLimit> {
        if self.stack.len() > MARKUP_DEPTH_MAX {
            return Err(OverLimit(format!("elements nested more than {MARKUP_DEPTH_MAX} deep")));
        }
        if self.formatting.len() > FORMATTING_MAX {
            return Err(OverLimit(format!("more than {FORMATTING_MAX} formatting elements that are not closed")));
        }
        if self.steps > MARKUP_STEPS_MAX {
            return Err(OverLimit("elements so nested that reading them would take too long".to_owned()));
        }
        Ok(())
    }

    /// Closes what the start of an element closes; false if the element has no place here.
    fn make_room(&mut self, element: Element<'t>) -> bool {
        if element.is(ENDS_PARAGRAPH) {
            self.close_in_scope(Element::of("p"), SCOPE, &["button"]);
        }
        match element.name {
            "li" => self.close_item(&["li"]),
            "dd" | "dt" => self.close_item(&["dd", "dt"]),
            "button" | "select" => drop(self.close_in_scope(element, SCOPE, &[])),
            "a" | "nobr" if self.active(element).is_some() => self.close_formatting(element),
            "option" => self.close_last(&["option"]),
            "optgroup" => {
                self.close_last(&["option"]);
                self.close_last(&["optgroup"]);
            }
            // A table in a table, but in none of its cells, ends it.
            "table" if self.innermost_of_table().is_some_and(|open| !open.element.is(REGION)) => {
                self.close_in_scope(element, 0, &[]);
            }
            // A form may lie across the rows of a table; it does nothing to the text.
            "form" => return self.innermost_of_table().is_none_or(|open| open.element.is(REGION)),
            _ if element.is(HEADING) && self.stack.last().is_some_and(|open| open.element.is(HEADING)) => {
                self.truncate(self.stack.len() - 1);
            }
            _ if element.is(OF_TABLE) => return self.make_room_in_table(element),
            _ => {}
        }
        true
    }

    /// Closes what is open in the table up to where a row, cell or caption has its place.
    fn make_room_in_table(&mut self, element: Element<'t>) -> bool {
        let Some(table) = self.find(|open| matches!(open.element.name, "table" | "template")) else {
            // Without a table a browser passes it over; what was kept apart by it stays so.
            let gap = if element.is(LINE) { Gap::Line } else { Gap::Space };
            self.writer.part(gap);
            return false;
        };
        let open = |stack: &[Open<'t>], at: usize, names: &[&str]| {
            stack.get(at).is_some_and(|open| names.contains(&open.element.name))
        };
        let mut keep = table + 1;
        if matches!(element.name, "tr" | "td" | "th") && open(&self.stack, keep, &["tbody", "thead", "tfoot"]) {
            keep += 1;
        }
        let cell = matches!(element.name, "td" | "th");
        if cell && open(&self.stack, keep, &["tr"]) {
            self.truncate(keep + 1);
            return true;
        }
        self.truncate(keep);
        if cell {
            let row = Tag { element: Element::of("tr"), attributes: "", attributes_at: 0, self_closing: false };
            let drawing = false;
            let verbatim = self.writer.verbatim;
            let open =
                Open { element: row.element, effect: Effect::default(), line: false, verbatim, drawing, serial: 0 };
            self.begin(&open, &row);
            self.push(open, "");
        }
        true
    }

    /// What an element does to the text when it begins.
    fn begin(&mut self, open: &Open<'t>, tag: &Tag<'t>) {
        let element = open.element;
        self.apply(open.effect, true);
        if open.effect.hides {
            self.writer.hidden.widen(Gap::Line);
        }
        self.surround(element, open.line);
        let number = |name| attribute(tag, name).and_then(|number| number.trim().parse().ok());
        match element.name {
            "br" => self.writer.break_line(),
            "ol" => self.writer.lists.push(Some(number("start").unwrap_or(1))),
            "li" => self.writer.begin_item(number("value")),
            "tr" => self.writer.begin_row(),
            "td" | "th" => self.writer.begin_cell(),
            "input" => self.write_input(tag),
            _ if element.is(LIST) => self.writer.lists.push(None),
            _ if element.is(HEADING) => self.writer.begin_heading(),
            _ => {}
        }
    }

    /// What an element does to the text when it ends.
    fn end(&mut self, open: &Open<'t>) {
        let element = open.element;
        self.surround(element, open.line);
        match element.name {
            "li" => self.writer.marker = None,
            "tr" => self.writer.end_row(),
            "td" | "th" => self.writer.end_cell(),
            _ if element.is(LIST) => drop(self.writer.lists.pop()),
            _ if element.is(HEADING) => self.writer.end_heading(),
            _ => {}
        }
        self.apply(open.effect, false);
    }

    /// The gap before and after an element.
    fn surround(&mut self, element: Element<'t>, line: bool) {
        if element.is(APART) {
            self.writer.part(if self.writer.is_nested() { Gap::Line } else { Gap::Blank });
        } else if line || element.is(LINE) {
            self.writer.part(Gap::Line);
        }
    }

    /// What a person sees of a form field: its text, or whether it is ticked.
    fn write_input(&mut self, tag: &Tag<'t>) {
        let kind = attribute(tag, "type").unwrap_or("text").to_ascii_lowercase();
        self.writer.part(Gap::Space);
        match kind.as_str() {
            "checkbox" | "radio" => {
                let ticked = attribute(tag, "checked").is_some();
                self.writer.add_sign(if ticked { "[x]" } else { "[ ]" });
            }
            "hidden" | "password" | "image" | "file" | "button" | "submit" | "reset" | "color" | "range" => {}
            _ => {
                if let Some(value) = attribute_at(tag, "value") {
                    self.writer.text(tag.attributes_at + value.start..tag.attributes_at + value.end);
                    self.writer.part(Gap::Space);
                }
            }
        }
    }

    fn apply(&mut self, effect: Effect, begins: bool) {
        let writer = &mut self.writer;
        for (applies, count) in [
            (effect.hides, &mut writer.hiding),
            (effect.strikes, &mut writer.struck),
            (effect.leaves_out, &mut writer.left_out),
        ] {
            if applies {
                *count = if begins { *count + 1 } else { count.saturating_sub(1) };
            }
        }
    }

    fn push(&mut self, open: Open<'t>, attributes: &'t str) {
        if open.element.is(FORMATTING) {
            self.keep_formatting(&open, attributes);
        }
        if open.element.is(REGION) {
            self.suspend(true);
            self.regions.push(self.formatting.len());
        }
        self.writer.verbatim = open.verbatim;
        self.stack.push(open);
    }

    /// Remembers a formatting element; of those that are alike, the first is forgotten.
    fn keep_formatting(&mut self, open: &Open<'t>, attributes: &'t str) {
        let region = self.region();
        let alike = |kept: &Formatting<'t>| kept.element.same(open.element) && kept.attributes == attributes;
        self.steps += self.formatting.len() - region;
        let mut found = (region..self.formatting.len()).filter(|at| alike(&self.formatting[*at]));
        if let Some(first) = found.next()
            && found.count() + 1 >= ALIKE_MAX
        {
            let forgotten = self.formatting.remove(first);
            if !forgotten.open {
                self.apply(forgotten.effect, false);
            }
        }
        let Open { element, effect, serial, .. } = *open;
        self.formatting.push(Formatting { element, attributes, effect, serial, open: true });
    }

    fn region(&self) -> usize {
        self.regions.last().copied().unwrap_or(0)
    }

    /// Formatting that goes on although what it was opened in has ended does not reach into a cell.
    fn suspend(&mut self, suspends: bool) {
        let region = self.region();
        self.steps += self.formatting.len() - region;
        for at in region..self.formatting.len() {
            if !self.formatting[at].open {
                self.apply(self.formatting[at].effect, !suspends);
            }
        }
    }

    /// Closes all elements from the one at `depth` on.
    fn truncate(&mut self, depth: usize) {
        while self.stack.len() > depth {
            let Some(open) = self.stack.pop() else { return };
            self.left(&open);
        }
    }

    /// An element is no longer open.
    fn left(&mut self, open: &Open<'t>) {
        let kept = open.element.is(FORMATTING).then(|| {
            self.steps += 1;
            self.formatting.iter().rposition(|kept| kept.serial == open.serial)
        });
        self.end(open);
        if let Some(Some(kept)) = kept {
            self.steps += self.formatting.len() - kept;
            self.formatting[kept].open = false;
            self.apply(open.effect, true);
        }
        if open.element.is(REGION) {
            self.suspend(true);
            let region = self.regions.pop().unwrap_or(0);
            self.formatting.truncate(region);
            self.suspend(false);
        }
        self.writer.verbatim = self.stack.last().is_some_and(|open| open.verbatim);
    }

    /// The innermost open element that `is` the one that is sought.
    fn find(&mut self, is: impl Fn(&Open<'t>) -> bool) -> Option<usize> {
        let found = self.stack.iter().rposition(is);
        self.steps += self.stack.len() - found.unwrap_or(0);
        found
    }

    fn innermost_of_table(&mut self) -> Option<Open<'t>> {
        let found = self.find(|open| open.element.is(OF_TABLE) || open.element.name == "table")?;
        Some(self.stack[found])
    }

    /// Closes the innermost element of this name, unless one with the traits `stops` or one of `names` is within it.
    fn close_in_scope(&mut self, element: Element<'t>, stops: u32, names: &[&str]) -> bool {
        let stop = |open: &Open<'t>| {
            open.element.same(element) || open.element.is(stops) || names.contains(&open.element.name)
        };
        match self.find(stop) {
            Some(at) if self.stack[at].element.same(element) => {
                self.truncate(at);
                true
            }
            _ => false,
        }
    }

    /// Closes an item of the list that is open.
    fn close_item(&mut self, names: &[&str]) {
        let stop = |open: &Open<'t>| {
            names.contains(&open.element.name)
                || (open.element.is(SPECIAL) && !matches!(open.element.name, "address" | "div" | "p"))
        };
        if let Some(at) = self.find(stop)
            && names.contains(&self.stack[at].element.name)
        {
            self.truncate(at);
        }
    }

    fn close_last(&mut self, names: &[&str]) {
        if self.stack.last().is_some_and(|open| names.contains(&open.element.name)) {
            self.truncate(self.stack.len() - 1);
        }
    }

    fn close_heading(&mut self) {
        if let Some(at) = self.find(|open| open.element.is(HEADING | SCOPE))
            && self.stack[at].element.is(HEADING)
        {
            self.truncate(at);
        }
    }

    /// A form ends alone: what was opened in it stays open.
    fn close_form(&mut self, element: Element<'t>) {
        if let Some(at) = self.find(|open| open.element.same(element) || open.element.is(SCOPE))
            && self.stack[at].element.same(element)
        {
            let open = self.stack.remove(at);
            self.left(&open);
        }
    }

    fn close_inline(&mut self, element: Element<'t>) {
        if let Some(at) = self.find(|open| open.element.same(element) || open.element.is(SPECIAL))
            && self.stack[at].element.same(element)
        {
            self.truncate(at);
        }
    }

    /// The formatting element of this name that was opened last, and goes on.
    fn active(&mut self, element: Element<'t>) -> Option<usize> {
        let region = self.region();
        self.steps += self.formatting.len() - region;
        let found = self.formatting[region..].iter().rposition(|kept| kept.element.same(element))?;
        Some(region + found)
    }

    /// Closes a formatting element: alone, if a block was opened in it.
    fn close_formatting(&mut self, element: Element<'t>) {
        let Some(kept) = self.active(element) else { return self.close_inline(element) };
        let Formatting { serial, open, effect, .. } = self.formatting[kept];
        if !open {
            self.formatting.remove(kept);
            self.apply(effect, false);
            return;
        }
        let Some(at) = self.find(|open| open.serial == serial) else { return };
        if self.stack[at + 1..].iter().any(|open| open.element.is(SCOPE)) {
            return;
        }
        self.formatting.remove(kept);
        let Some(block) = self.stack[at + 1..].iter().position(|open| open.element.is(SPECIAL)) else {
            self.truncate(at);
            return;
        };
        // What was opened between it and the block ends with it, unless it is formatting too.
        for between in (at..=at + block).rev() {
            if between == at || !self.stack[between].element.is(FORMATTING) {
                let open = self.stack.remove(between);
                self.left(&open);
            }
        }
    }

    fn leave_drawing(&mut self) {
        let outer = self.stack.iter().rposition(|open| !open.drawing).map_or(0, |at| at + 1);
        self.steps += self.stack.len() - outer;
        self.truncate(outer);
    }
}

/// The attribute that shows what is else not shown.
fn opening(element: Element<'_>) -> &'static str {
    if element.name == "option" { "selected" } else { "open" }
}
