//! Where the text of a group goes.

use std::collections::HashSet;

use super::reader::{Paragraph, Reader, Sink, State};
use super::words::Destination;
use crate::domain::narrative::SectionKind;
use crate::extract::gap::Gap;
use crate::extract::rtf::fields::Field;
use crate::extract::sheet::{self, Page, Sheet};

/// Bytes of a list marker, and of a style's name, that are looked at.
const MARKER_BYTES_MAX: usize = 60;
const STYLE_NAME_BYTES_MAX: usize = 60;

/// Styles of one document: their numbers are 16-bit ones.
const STYLES_MAX: usize = 32_768;

/// Headers and footers of different text. A document has a few for each section.
const MARGINS_MAX: usize = 500;

/// What was met that is no text, or not the text itself.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) pictures: usize,
    pub(super) objects: usize,
    /// Headers and footers, each text once.
    pub(super) margins: Vec<(SectionKind, Sheet)>,
    margin_texts: HashSet<String>,
    /// Those beyond the limit.
    pub(super) margins_unread: usize,
    /// True if the shape that is open is written as newer readers know it.
    newer_shape: bool,
}

impl Reader<'_> {
    /// The group says where its text goes.
    pub(super) fn enter(&mut self, destination: Destination, starred: bool, start: usize) {
        // The outermost group is the text, and the destination of another one is said before its text.
        let late = !starred && !self.state.fresh;
        if self.stack.len() <= 1 || (late && !matches!(destination, Destination::Picture | Destination::Object)) {
            return;
        }
        self.state.opened = Some(destination);
        match destination {
            Destination::Skipped => self.tokens.skip_group(),
            Destination::Picture => {
                self.shown.pictures += 1;
                self.tokens.skip_group();
            }
            Destination::Object => {
                self.shown.objects += 1;
                self.tokens.skip_group();
            }
            Destination::FontTable => self.state.sink = Sink::FontName,
            Destination::StyleSheet => self.state.sink = Sink::StyleName,
            Destination::Header | Destination::Footer => self.page(Page::Margin),
            Destination::Note => self.page(Page::Notes),
            Destination::Comment => self.page(Page::Hidden),
            Destination::TextBox => {
                let aside = self.state.page == Page::Body;
                self.page(if aside { Page::Aside } else { self.state.page });
            }
            Destination::Marker => {
                self.state.sink = if self.state.sink == Sink::Text { Sink::Marker } else { self.state.sink };
                self.marker.0.clear();
                self.marker.1 = start;
            }
            Destination::Field => {
                self.fields.push(Field::new(self.output.words, start));
            }
            Destination::FieldCode => self.away(Sink::FieldCode),
            Destination::FormField | Destination::Outer | Destination::Twice => self.away(Sink::Nowhere),
            Destination::FormItem => {
                if let Some(field) = self.fields.last_mut() {
                    field.begin_item();
                }
                self.away(Sink::FormItem);
            }
            Destination::Shape => {
                self.shown.newer_shape = false;
                self.away(Sink::Nowhere);
            }
            Destination::ShapeCode => {
                self.shown.newer_shape = true;
                self.away(Sink::Nowhere);
            }
            Destination::ShapeFallback if self.shown.newer_shape => self.tokens.skip_group(),
            Destination::ShapeFallback | Destination::Newer => {
                if self.state.sink == Sink::Nowhere {
                    self.state.sink = self.state.outer;
                }
            }
        }
    }

    /// Text goes elsewhere than the text around the group.
    fn away(&mut self, sink: Sink) {
        if self.state.sink != Sink::Nowhere {
            self.state.outer = self.state.sink;
        }
        self.state.sink = sink;
    }

    /// Text goes to a page of its own, in paragraphs of its own.
    fn page(&mut self, page: Page) {
        (self.state.sink, self.state.page) = (Sink::Text, page);
        self.state.paragraph = Paragraph::default();
        self.output.sheet(page).widen(Gap::Blank);
    }

    /// Text that goes where the text of this group goes.
    pub(super) fn sink(&mut self, text: &str, range: std::ops::Range<usize>, linear: bool) {
        match self.state.sink {
            Sink::Text => self.put(text, range, linear),
            Sink::Marker if self.marker.0.len() + text.len() <= MARKER_BYTES_MAX => self.marker.0.push_str(text),
            Sink::FieldCode => {
                if let Some(field) = self.fields.last_mut() {
                    field.add_code(text);
                }
            }
            Sink::FormItem => {
                if let Some(field) = self.fields.last_mut() {
                    field.add_item(text);
                }
            }
            Sink::FontName => self.fonts.name(text),
            Sink::StyleName if self.style_name.len() + text.len() <= STYLE_NAME_BYTES_MAX => {
                self.style_name.push_str(text);
            }
            // What is longer than any marker or name is none.
            Sink::Nowhere | Sink::Marker | Sink::StyleName => {}
        }
    }

    /// A group has ended, and the state is that of the group around it.
    pub(super) fn leave(&mut self, inner: &State, end: usize) {
        match inner.opened {
            Some(Destination::FontTable) => self.fonts.end(),
            Some(Destination::Header) => self.end_margin(SectionKind::Header),
            Some(Destination::Footer) => self.end_margin(SectionKind::Footer),
            Some(Destination::Note | Destination::Comment | Destination::TextBox) => {
                let sheet = self.output.sheet(inner.page);
                sheet.end_paragraph(false);
                sheet.widen(Gap::Blank);
            }
            Some(Destination::Marker) if inner.sink == Sink::Marker => self.end_marker(end),
            Some(Destination::Field) => self.end_field(end),
            _ if inner.sink == Sink::StyleName => self.end_style(inner),
            // The table's end: a font's own groups, as Word's `\\panose`, end before its name.
            _ if inner.sink == Sink::FontName && self.state.sink != Sink::FontName => self.fonts.end(),
            _ => {}
        }
    }

    fn end_style(&mut self, inner: &State) {
        let outline = inner.paragraph.outline_level.is_some_and(|level| level < 9);
        if (outline || sheet::is_heading_style(&self.style_name)) && self.heading_styles.len() < STYLES_MAX {
            self.heading_styles.insert(inner.paragraph.style);
        }
        self.style_name.clear();
    }

    fn end_marker(&mut self, end: usize) {
        let (marker, start) = std::mem::take(&mut self.marker);
        if let Some(marker) = sheet::list_marker(&marker) {
            self.put(&marker, start..end, false);
        }
    }

    /// Headers and footers are in the file for each section, and for first, left and right pages.
    fn end_margin(&mut self, kind: SectionKind) {
        let sheet = self.output.sheets.take(Page::Margin);
        let new = !self.shown.margin_texts.contains(sheet.text());
        if self.shown.margins.len() >= MARGINS_MAX {
            self.shown.margins_unread += 1;
        } else if sheet.text().contains(char::is_alphanumeric) && new {
            self.shown.margin_texts.insert(sheet.text().to_owned());
            self.shown.margins.push((kind, sheet));
        }
    }
}
