//! Paragraphs, runs and tables, put on sheets.

use std::collections::HashSet;
use std::sync::Arc;

use super::counts::Counts;
use super::numbering::Numbering;
use super::styles::{Look, Styles};
use super::xml::{Element, Node, Walk};
use crate::domain::narrative::{SectionKind, UnreadReason};
use crate::domain::source_map::Place;
use crate::extract::gap::Gap;
use crate::extract::plain;
use crate::extract::rendition::{NARRATIVE_CHARACTERS_MAX, Reading, Refusal};
use crate::extract::sheet::{APART_TWIPS_MIN, Page, Sheet, Sheets};
use crate::extract::symbols::{self, SIGNS_MAX, SymbolFont};

/// Paragraphs with text, each of which has a place of about 100 bytes: a narrative of four characters in each would be
/// as long as a narrative may be.
const PARAGRAPHS_MAX: usize = 500_000;

/// What a text box interrupts.
#[derive(Clone, Debug)]
struct Context {
    page: Page,
    look: Look,
    /// The paragraph's number in its part.
    number: usize,
    place: Option<Place>,
    table_depth: u32,
}

/// Properties of a run.
#[derive(Clone, Debug, Default)]
struct Run {
    hidden: Option<bool>,
    style: Option<String>,
    struck: bool,
    symbols: Option<SymbolFont>,
}

/// A check box or list of a form, as far as it is read.
#[derive(Debug, Default)]
struct Choice {
    items: Vec<String>,
    result: Option<usize>,
    default: usize,
}

/// A document's text in the making.
pub(super) struct Body {
    styles: Styles,
    numbering: Numbering,
    sheets: Sheets,
    margins: Vec<(SectionKind, Sheet)>,
    margin_texts: HashSet<String>,
    part: String,
    prefix: String,
    paragraphs: usize,
    context: Context,
    outer: Vec<Context>,
    open: Vec<String>,
    run: Run,
    /// Elements around the text that say it is deleted, or was moved away.
    deleting: usize,
    /// Elements that are open within one that is not read.
    skipping: usize,
    /// For each open choice between renderings: whether one was read.
    alternatives: Vec<bool>,
    /// The text of the element that is open, and whether its blanks count.
    text: Option<(String, bool)>,
    choice: Choice,
    written: usize,
    places: usize,
    visible_since: bool,
    counts: Counts,
}

impl Body {
    pub(super) fn new(styles: Styles, numbering: Numbering) -> Self {
        let context = Context { page: Page::Body, look: Look::default(), number: 0, place: None, table_depth: 0 };
        Self {
            styles,
            numbering,
            sheets: Sheets::default(),
            margins: Vec::new(),
            margin_texts: HashSet::new(),
            part: String::new(),
            prefix: String::new(),
            paragraphs: 0,
            context,
            outer: Vec::new(),
            open: Vec::new(),
            run: Run::default(),
            deleting: 0,
            skipping: 0,
            alternatives: Vec::new(),
            text: None,
            choice: Choice::default(),
            written: 0,
            places: 0,
            visible_since: false,
            counts: Counts::default(),
        }
    }

    /// Reads a part.
    pub(super) fn read(&mut self, name: &str, part: &str, page: Page) -> Result<(), Refusal> {
        name.clone_into(&mut self.part);
        self.prefix.clear();
        (self.paragraphs, self.deleting, self.skipping, self.text) = (0, 0, 0, None);
        self.context = Context { page, look: Look::default(), number: 0, place: None, table_depth: 0 };
        self.outer.clear();
        self.open.clear();
        self.alternatives.clear();
        let mut walk = Walk::new(part);
        while let Some(node) = walk.next()? {
            match node {
                Node::Open(element) => self.open(&element),
                Node::Close(name) => self.close(&name),
                Node::Text(text) => {
                    if let Some((held, _)) = &mut self.text {
                        held.push_str(&text);
                    }
                }
            }
            if self.written > NARRATIVE_CHARACTERS_MAX || self.places > PARAGRAPHS_MAX {
                let detail = format!(
                    "It holds more than {NARRATIVE_CHARACTERS_MAX} characters or {PARAGRAPHS_MAX} paragraphs, which is \
                     the most that is read."
                );
                return Err(Refusal::new(UnreadReason::TooLarge, detail));
            }
        }
        self.sheets.settle_aside();
        Ok(())
    }

    fn open(&mut self, element: &Element<'_>) {
        if self.open.is_empty() {
            element.prefix().clone_into(&mut self.prefix);
        }
        let word = element.prefix() == self.prefix;
        let name = element.name();
        self.paragraphs += usize::from(word && name == "p");
        if self.skipping > 0 {
            self.skipping += 1;
            return;
        }
        let parent = self.open.last().map_or("", String::as_str).to_owned();
        self.open.push(if word { name.to_owned() } else { format!("{}:{name}", element.prefix()) });
        let skipped = if word { self.open_word(name, &parent, element) } else { self.open_other(name, element) };
        self.skipping = usize::from(skipped);
    }

    /// An element of the text; true if nothing in it is to be read.
    fn open_word(&mut self, name: &str, parent: &str, element: &Element<'_>) -> bool {
        match name {
            "instrText" | "delInstrText" | "sectPr" | "tabs" | "sdtPr" | "rt" | "tblGrid"
            // How it looked before it was changed.
            | "pPrChange" | "rPrChange" | "tblPrChange" | "trPrChange" | "tcPrChange" | "numberingChange" => return true,
            "footnote" | "endnote" => {
                let kind = element.attribute("type");
                return kind.is_some_and(|kind| kind != "normal");
            }
            "p" => self.begin_paragraph(),
            "pStyle" if parent == "pPr" => self.context.look.style = element.value(),
            "r" => self.run = Run::default(),
            "vanish" if self.in_run() => self.run.hidden = Some(element.is_on()),
            "rStyle" if self.in_run() => self.run.style = element.value(),
            "rFonts" if self.in_run() => {
                let font = element.attribute("ascii").or_else(|| element.attribute("hAnsi"));
                self.run.symbols = font.as_deref().and_then(SymbolFont::named);
            }
            "strike" | "dstrike" if self.in_run() => self.run.struck = element.is_on(),
            "outlineLvl" | "contextualSpacing" | "numId" | "ilvl" => self.context.look.take(element),
            "spacing" if parent == "pPr" => self.context.look.take(element),
            "del" | "moveFrom" => self.deleting += 1,
            "t" | "delText" => {
                self.text = Some((String::new(), element.attribute("space").as_deref() == Some("preserve")));
            }
            "tab" | "ptab" => self.write("\t"),
            "noBreakHyphen" => self.write("-"),
            "sym" => self.symbol(element),
            "br" if matches!(element.attribute("type").as_deref(), Some("page" | "column")) => self.widen(Gap::Blank),
            "br" | "cr" => self.end_line(),
            "tbl" => self.begin_table(),
            "tr" => self.sheet().begin_row(),
            "txbxContent" => self.begin_box(),
            "altChunk" => self.counts.imports += 1,
            "checkBox" | "ddList" => self.choice = Choice::default(),
            "default" => self.choice.default = choice_number(element),
            "checked" | "result" => self.choice.result = Some(choice_number(element)),
            "listEntry" => self.choice.items.extend(element.value()),
            _ => {}
        }
        false
    }

    /// An element of another vocabulary.
    fn open_other(&mut self, name: &str, element: &Element<'_>) -> bool {
        match (element.prefix(), name) {
            (_, "AlternateContent") => self.alternatives.push(false),
            (_, "Choice" | "Fallback") => {
                if let Some(read) = self.alternatives.last_mut() {
                    return std::mem::replace(read, true);
                }
            }
            (_, "blip" | "imagedata") => self.counts.pictures += 1,
            (_, "OLEObject") => self.counts.objects += 1,
            ("c", "chart") | ("dgm", "relIds") => self.counts.diagrams += 1,
            ("m", "t") => self.text = Some((String::new(), true)),
            // A fraction's second part.
            ("m", "den") => self.write("/"),
            _ => {}
        }
        false
    }

    fn close(&mut self, name: &str) {
        if self.skipping > 1 {
            self.skipping -= 1;
            return;
        }
        self.skipping = 0;
        let Some(open) = self.open.pop() else { return };
        match open.as_str() {
            "t" | "delText" | "m:t" => self.end_text(),
            "p" => self.end_paragraph(),
            "del" | "moveFrom" => self.deleting = self.deleting.saturating_sub(1),
            "tc" => {
                let depth = self.context.table_depth;
                self.sheet().end_cell(depth);
            }
            "tr" => {
                let depth = self.context.table_depth;
                self.sheet().end_row(depth);
            }
            "tbl" => self.context.table_depth = self.context.table_depth.saturating_sub(1),
            "txbxContent" => self.end_box(),
            "checkBox" => {
                let checked = self.choice.result.unwrap_or(self.choice.default) == 1;
                self.write(if checked { "☒" } else { "☐" });
            }
            "ddList" => {
                let chosen = self.choice.result.unwrap_or(self.choice.default);
                if let Some(item) = self.choice.items.get(chosen).cloned() {
                    self.write(&item);
                }
            }
            _ if name.ends_with(":AlternateContent") => drop(self.alternatives.pop()),
            _ => {}
        }
    }

    /// Whether a property is one of a run, and not of the mark that ends a paragraph.
    fn in_run(&self) -> bool {
        let mut open = self.open.iter().rev().skip(1);
        open.next().is_some_and(|name| name == "rPr") && open.next().is_some_and(|name| name == "r")
    }

    fn sheet(&mut self) -> &mut Sheet {
        self.sheets.of(self.context.page)
    }

    fn widen(&mut self, gap: Gap) {
        self.sheet().widen(gap);
    }

    fn end_line(&mut self) {
        let page = if self.is_hidden() { Page::Hidden } else { self.context.page };
        self.sheets.of(page).end_line();
    }

    fn is_hidden(&self) -> bool {
        let styled = || self.run.style.as_ref().is_some_and(|style| self.styles.hides(style));
        self.deleting > 0 || self.run.hidden.unwrap_or_else(|| styled() || self.context.look.hidden == Some(true))
    }

    fn begin_paragraph(&mut self) {
        self.context.look = Look::default();
        self.context.number = self.paragraphs;
        self.context.place = None;
        self.run = Run::default();
    }

    /// The place of what is written; the first time in a paragraph, what its style says is looked up.
    fn place(&mut self) -> Place {
        if let Some(place) = &self.context.place {
            return place.clone();
        }
        self.places += 1;
        let path = format!("{}#(//{}:p)[{}]", self.part, self.prefix, self.context.number);
        let place = Place::Element(Arc::from(path));
        self.context.place = Some(place.clone());
        self.context.look = self.styles.resolve(&self.context.look);
        let (list, level) = (self.context.look.list, self.context.look.list_level.unwrap_or(0));
        let marker = list.and_then(|list| self.numbering.next(list, level));
        let look = &self.context.look;
        let apart = look.is_heading()
            || (look.contextual != Some(true) && look.before.is_some_and(|before| before >= APART_TWIPS_MIN));
        let in_table = self.context.table_depth > 0;
        let sheet = self.sheet();
        if !in_table && (apart || sheet.after_row()) {
            sheet.widen(Gap::Blank);
        }
        if let Some(marker) = marker.filter(|_| !self.is_hidden()) {
            self.sheet().write(&marker, &place, false);
            self.in_row();
        }
        place
    }

    fn in_row(&mut self) {
        let depth = self.context.table_depth;
        if depth > 0 {
            self.sheet().in_row(depth);
        }
    }

    fn write(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let place = self.place();
        let visible: String = text
            .chars()
            .map(|character| if matches!(character, '\n' | '\r' | '\u{2028}' | '\u{2029}') { ' ' } else { character })
            .filter_map(plain::visible)
            .collect();
        self.written += visible.chars().count();
        let words = !visible.trim_matches([' ', '\t']).is_empty();
        if self.is_hidden() || self.context.page == Page::Hidden {
            let characters = visible.chars().count();
            match (self.context.page, self.deleting) {
                (Page::Hidden, _) => self.counts.comments += characters,
                (_, 0) => self.counts.hidden += characters,
                _ => self.counts.deleted += characters,
            }
            let sheet = self.sheets.of(Page::Hidden);
            if std::mem::take(&mut self.visible_since) {
                sheet.widen(Gap::Line);
            }
            sheet.write(&visible, &place, false);
            return;
        }
        self.sheet().write(&visible, &place, false);
        if words {
            self.visible_since = true;
            self.counts.struck |= self.run.struck;
            self.in_row();
        }
    }

    fn end_text(&mut self) {
        let Some((text, preserve)) = self.text.take() else { return };
        let text = if preserve { &text } else { text.trim() };
        let font = self.run.symbols;
        // Nobody writes words in a font of signs: a run of letters has it by mistake.
        let signs = font.filter(|_| text.trim().chars().count() <= SIGNS_MAX);
        let shown = |character: char| {
            let byte = || u8::try_from(character).ok().filter(|byte| *byte > b' ');
            symbols::private(character.into(), font).or_else(|| Some(signs?.character(byte()?))).unwrap_or(character)
        };
        self.write(&text.chars().map(shown).collect::<String>());
    }

    fn symbol(&mut self, element: &Element<'_>) {
        let code = element.attribute("char").and_then(|code| u32::from_str_radix(code.trim(), 16).ok());
        let font = element.attribute("font").and_then(|font| SymbolFont::named(&font));
        let byte = |code: u32| Some(font?.character(u8::try_from(code).ok()?));
        let shown = code.and_then(|code| symbols::private(code, font).or_else(|| byte(code)).or(char::from_u32(code)));
        self.write(&shown.map(String::from).unwrap_or_default());
    }

    fn end_paragraph(&mut self) {
        if self.context.place.is_none() {
            // An empty paragraph is counted too.
            let look = self.styles.resolve(&self.context.look);
            if let Some(list) = look.list {
                self.numbering.next(list, look.list_level.unwrap_or(0));
            }
        }
        let look = std::mem::take(&mut self.context.look);
        self.visible_since = true;
        let in_table = self.context.table_depth > 0;
        let apart = look.is_heading()
            || (look.contextual != Some(true) && look.after.is_some_and(|after| after >= APART_TWIPS_MIN));
        self.sheet().end_paragraph(look.is_heading());
        if apart && !in_table {
            self.widen(Gap::Blank);
        }
        self.context.place = None;
        self.run = Run::default();
        if self.context.page == Page::Body && !in_table {
            self.sheets.settle_aside();
        }
    }

    fn begin_table(&mut self) {
        self.context.table_depth += 1;
        if self.context.table_depth == 1 {
            self.widen(Gap::Blank);
        }
    }

    /// A text box stands within a paragraph, and has paragraphs of its own.
    fn begin_box(&mut self) {
        let page = if self.context.page == Page::Body { Page::Aside } else { self.context.page };
        let inner = Context { page, look: Look::default(), number: 0, place: None, table_depth: 0 };
        self.outer.push(std::mem::replace(&mut self.context, inner));
        self.widen(Gap::Blank);
    }

    fn end_box(&mut self) {
        self.widen(Gap::Blank);
        if let Some(outer) = self.outer.pop() {
            self.context = outer;
        }
    }

    /// Ends a header or footer: there is one for each section, and for first, left and right pages.
    pub(super) fn end_margin(&mut self, kind: SectionKind) {
        let sheet = self.sheets.take(Page::Margin);
        if sheet.text().contains(char::is_alphanumeric) && self.margin_texts.insert(sheet.text().to_owned()) {
            self.margins.push((kind, sheet));
        }
    }

    /// Everything that was read.
    pub(super) fn finish(self) -> Result<Reading, Refusal> {
        let (notes, unread) = (self.counts.notes(), self.counts.unread());
        self.sheets.finish(self.margins, notes, unread)
    }
}

fn choice_number(element: &Element<'_>) -> usize {
    match element.value().as_deref() {
        None | Some("true" | "on") => 1,
        Some(value) => value.trim().parse().unwrap_or(0),
    }
}
