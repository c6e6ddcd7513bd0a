//! What is read, put on sheets: the text, what stands aside of it, and what is hidden.

use std::ops::Range;

use super::reader::{Reader, Sink};
use super::words::Word;
use crate::domain::narrative::UnreadReason;
use crate::domain::source_map::Place;
use crate::extract::gap::Gap;
use crate::extract::rendition::{Reading, Refusal};
use crate::extract::sheet::{APART_TWIPS_MIN, Page, Sheet, Sheets};

/// Cells of a row that may be merged with the one before them: Word allows 63.
const CELLS_MAX: usize = 1_000;

/// The sheets, and what is known of the text on them.
#[expect(clippy::struct_excessive_bools, reason = "each says one thing that was met, or is open")]
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) sheets: Sheets,
    /// Characters that were written.
    pub(super) written: usize,
    /// Pieces of text that were written and are not blank.
    pub(super) words: usize,
    /// True if something visible was written since the last hidden text.
    visible_since: bool,
    hidden_characters: usize,
    deleted_characters: usize,
    comment_characters: usize,
    struck: bool,
    /// True from the definition of a row to its end.
    row_defined: bool,
    /// Which cells of it are merged with the one before, as far as they are defined.
    merged: Vec<bool>,
    merges: bool,
    column: usize,
}

impl Output {
    pub(super) fn sheet(&mut self, page: Page) -> &mut Sheet {
        self.sheets.of(page)
    }

    /// Whatever was open, the line ends.
    pub(super) fn line_ends(&mut self) {
        self.sheet(Page::Body).widen(Gap::Line);
    }
}

fn is_blank(text: &str) -> bool {
    text.trim_matches([' ', '\t']).is_empty()
}

impl Reader<'_> {
    fn is_hidden(&self) -> bool {
        self.state.hidden || self.state.deleted
    }

    fn in_table(&self) -> bool {
        let paragraph = &self.state.paragraph;
        paragraph.in_table || paragraph.table_depth > 0 || (self.output.row_defined && self.state.page == Page::Body)
    }

    fn is_heading(&self) -> bool {
        let paragraph = &self.state.paragraph;
        paragraph.outline_level.map_or_else(|| self.heading_styles.contains(&paragraph.style), |level| level < 9)
    }

    /// Puts text on the page where it belongs.
    pub(super) fn put(&mut self, text: &str, range: Range<usize>, linear: bool) {
        let words = !is_blank(text);
        let hidden = self.is_hidden() || self.state.page == Page::Hidden;
        self.output.written += if linear { text.len() } else { text.chars().count() };
        self.output.words += usize::from(words);
        if hidden {
            self.begin_hidden(text);
        } else if words {
            self.output.visible_since = true;
            self.output.struck |= self.state.struck;
        }
        let page = if hidden { Page::Hidden } else { self.state.page };
        let in_table = self.in_table();
        let apart = self.is_apart(self.state.paragraph.before) && !hidden;
        let depth = self.state.paragraph.table_depth.max(1);
        let sheet = self.output.sheet(page);
        if sheet.paragraph_starts() && !in_table && (apart || sheet.after_row()) {
            sheet.widen(Gap::Blank);
        }
        sheet.write(text, &Place::Characters(range), linear);
        if in_table && words && !hidden {
            sheet.in_row(depth);
        }
    }

    /// Whether a paragraph with this space on one side stands apart.
    fn is_apart(&self, twips: i32) -> bool {
        self.is_heading() || (twips >= APART_TWIPS_MIN && !self.state.paragraph.contextual)
    }

    fn begin_hidden(&mut self, text: &str) {
        let characters = text.chars().count();
        let output = &mut self.output;
        match (self.state.page, self.state.deleted) {
            (Page::Hidden, _) => output.comment_characters += characters,
            (_, true) => output.deleted_characters += characters,
            (_, false) => output.hidden_characters += characters,
        }
        if std::mem::take(&mut output.visible_since) {
            output.sheet(Page::Hidden).widen(Gap::Line);
        }
    }

    pub(super) fn paragraph(&mut self) {
        if self.state.sink != Sink::Text {
            return;
        }
        let page = self.state.page;
        if self.is_hidden() && page != Page::Hidden {
            self.output.sheet(Page::Hidden).end_line();
            self.output.sheet(page).widen(Gap::Line);
            return;
        }
        let (heading, in_table) = (self.is_heading(), self.in_table());
        self.output.visible_since = true;
        let apart = self.is_apart(self.state.paragraph.after);
        let sheet = self.output.sheet(page);
        sheet.end_paragraph(heading);
        if apart && !in_table {
            sheet.widen(Gap::Blank);
        }
        if page == Page::Body && !in_table {
            self.output.sheets.settle_aside();
        }
    }

    pub(super) fn line(&mut self) {
        if self.state.sink == Sink::Text {
            let page = if self.is_hidden() { Page::Hidden } else { self.state.page };
            self.output.sheet(page).end_line();
        }
    }

    pub(super) fn page_break(&mut self) {
        if self.state.sink == Sink::Text {
            let page = self.state.page;
            self.output.sheet(page).widen(Gap::Blank);
        }
    }

    /// Words that describe a row that follows, or has been.
    pub(super) fn define_row(&mut self, word: Word) {
        // A table within a table has its own description, which is read after its cells.
        if self.state.sink != Sink::Text {
            return;
        }
        let page = self.state.page;
        let output = &mut self.output;
        match word {
            Word::RowDefaults => {
                output.merged.clear();
                output.merges = false;
                output.row_defined |= page == Page::Body;
                let sheet = output.sheet(page);
                if !sheet.row_begun(1) {
                    sheet.widen(if sheet.after_row() { Gap::Line } else { Gap::Blank });
                }
            }
            Word::CellMerged => output.merges = true,
            _ => {
                let merges = std::mem::take(&mut output.merges);
                if output.merged.len() < CELLS_MAX {
                    output.merged.push(merges);
                }
            }
        }
    }

    /// Ends cells and rows.
    pub(super) fn table(&mut self, word: Word) {
        let depth = self.state.paragraph.table_depth.max(2);
        let page = self.state.page;
        let output = &mut self.output;
        match word {
            Word::Cell => {
                let merged = output.merged.get(output.column).copied().unwrap_or(false);
                output.column += 1;
                let sheet = output.sheet(page);
                if !(merged && sheet.paragraph_starts()) {
                    sheet.end_cell(1);
                }
            }
            Word::NestedCell => output.sheet(page).end_cell(depth),
            Word::NestedRow => output.sheet(page).end_row(depth),
            _ => {
                output.column = 0;
                output.row_defined = false;
                output.sheet(page).end_row(1);
                if page == Page::Body {
                    output.sheets.settle_aside();
                }
            }
        }
    }

    /// Everything that was read.
    pub(super) fn finish(mut self) -> Result<Reading, Refusal> {
        self.paragraph();
        let unclosed = self.stack.len().saturating_sub(usize::from(self.closed || self.ended_at.is_some()));
        while !self.stack.is_empty() {
            self.close_group(self.tokens.at());
        }
        self.output.sheets.settle_aside();
        let (notes, unread) = (self.notes(unclosed), self.unread());
        self.output.sheets.finish(self.shown.margins, notes, unread)
    }

    fn notes(&self, unclosed: usize) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |when: bool, text: String| {
            if when {
                notes.push(text);
            }
        };
        let Output { hidden_characters, deleted_characters, comment_characters, struck, .. } = self.output;
        note(unclosed > 0, format!("it ends within {unclosed} open groups: its end may be missing"));
        note(self.cut_binary, "binary data in it is cut off".to_owned());
        note(hidden_characters > 0, format!("{hidden_characters} characters that are hidden are kept apart"));
        note(deleted_characters > 0, format!("{deleted_characters} characters that were deleted are kept apart"));
        note(comment_characters > 0, format!("{comment_characters} characters of comments are kept apart"));
        note(struck, "text that is struck through is among the text".to_owned());
        let replaced = self.code_pages.replaced + usize::from(self.high_surrogate.is_some());
        note(replaced > 0, format!("{replaced} characters could not be decoded, and are replaced"));
        let raw = "characters beyond ASCII stand in it as UTF-8, which RTF does not know; they were read so";
        note(self.raw_utf_8_seen, raw.to_owned());
        for code_page in &self.code_pages.unknown {
            note(true, format!("code page {code_page} is not known; its text was read as windows-1252"));
        }
        notes
    }

    /// What has text that is not read.
    fn unread(&self) -> Vec<(String, Refusal)> {
        let several = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let mut unread = Vec::new();
        let mut add = |part: String, detail: &str| {
            unread.push((part, Refusal::new(UnreadReason::FormatNotSupported, detail)));
        };
        if self.shown.pictures > 0 {
            let part = several(self.shown.pictures, "picture", "pictures");
            add(part, "Text in pictures is not read.");
        }
        if self.shown.objects > 0 {
            let part = several(self.shown.objects, "embedded object", "embedded objects");
            add(part, "Only what is shown in place of an embedded object is read.");
        }
        if self.shown.margins_unread > 0 {
            let part = several(self.shown.margins_unread, "header or footer", "headers and footers");
            unread.push((part, Refusal::new(UnreadReason::TooLarge, "There are too many of them.")));
        }
        let rest = self.rest();
        if rest.iter().any(u8::is_ascii_alphanumeric) {
            let part = format!("{} bytes behind its end", rest.len());
            let detail = "What stands behind the last brace is no RTF.";
            unread.push((part, Refusal::new(UnreadReason::Malformed, detail)));
        }
        unread
    }
}
