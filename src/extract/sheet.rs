//! A growing text as word processors make it: paragraphs, table rows and headings put down as lines, each part with its
//! place in the attachment.

use std::ops::Range;

use super::gap::Gap;
use super::rendition::{Marked, Reading, Refusal};
use crate::domain::narrative::{SectionKind, UnreadReason};
use crate::domain::source_map::{Place, SourceMap};

/// Characters of a heading: a paragraph that is longer is text, whatever its style says.
const HEADING_CHARACTERS_MAX: usize = 200;

/// Runs of a map that are kept one by one, at about 50 bytes each. A chart of 600 pages has fewer; in one that has more,
/// neighbours share a place.
const FINE_RUNS_MAX: usize = 250_000;

/// Bytes of text that share a place when there are that many.
const COARSE_RUN_BYTES: usize = 1024;

/// Pieces of blank text that keep a place of their own while it is not known whether they end their line.
const BLANK_PIECES_MAX: usize = 16;

/// Tables within tables that are told apart; deeper ones are read as the deepest.
const TABLE_DEPTH_MAX: u32 = 15;

/// Names of styles for headings, in the languages in which word processors write them.
const HEADING_STYLES: [&str; 12] = [
    "heading",
    "title",
    "numbered heading",
    "überschrift",
    "titre",
    "título",
    "titulo",
    "titolo",
    "kop",
    "rubrik",
    "overskrift",
    "заголовок",
];

/// Twips between paragraphs from which on they stand apart: half a line.
pub(super) const APART_TWIPS_MIN: i32 = 120;

/// Which sheet of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Body,
    /// Text boxes, which are put behind the paragraph in which they stand.
    Aside,
    /// Footnotes and endnotes.
    Notes,
    /// The header or footer that is open.
    Margin,
    /// Comments, and what is hidden or deleted.
    Hidden,
}

/// The sheets of a document.
#[derive(Debug, Default)]
pub(super) struct Sheets([Sheet; 5]);

impl Sheets {
    pub(super) fn of(&mut self, page: Page) -> &mut Sheet {
        &mut self.0[page as usize]
    }

    /// The sheet, which is empty from here on.
    pub(super) fn take(&mut self, page: Page) -> Sheet {
        std::mem::take(self.of(page))
    }

    /// Puts text boxes behind the paragraph or row that has ended.
    pub(super) fn settle_aside(&mut self) {
        if !self.of(Page::Aside).text().is_empty() {
            let aside = self.take(Page::Aside);
            self.of(Page::Body).append(aside);
        }
    }

    /// All that is on them: the notes at a page's foot and the headers and footers behind the text.
    pub(super) fn finish(
        mut self,
        margins: Vec<(SectionKind, Sheet)>,
        mut notes: Vec<String>,
        unread: Vec<(String, Refusal)>,
    ) -> Result<Reading, Refusal> {
        let (mut body, footnotes) = (self.take(Page::Body), self.take(Page::Notes));
        body.append(footnotes);
        if !margins.is_empty() {
            notes.push("headers and footers are put behind the text, each once".to_owned());
        }
        for (kind, mut margin) in margins {
            margin.head(kind);
            body.append(margin);
        }
        let (body, map, headings) = body.finish();
        let (hidden, hidden_map, _) = self.take(Page::Hidden).finish();
        if !unread.is_empty() && !body.contains(char::is_alphanumeric) && !hidden.contains(char::is_alphanumeric) {
            let detail = format!("It holds no text but {}: a scan, perhaps. Send the report as text too.", unread[0].0);
            return Err(Refusal::new(UnreadReason::Empty, detail));
        }
        Ok(Reading { body, map, headings, hidden, hidden_map, unread, notes })
    }
}

/// The text, and what is due before its next word.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    text: String,
    map: SourceMap,
    runs: usize,
    /// Text that shares one place, and that place: see [`FINE_RUNS_MAX`].
    coarse: Option<(Range<usize>, Range<usize>)>,
    gap: Gap,
    /// Blanks after the last word, which are dropped if the line ends here.
    blanks: String,
    blank_places: Vec<(usize, Place, bool)>,
    /// True within a cell of which nothing is written yet.
    cell_starts: bool,
    /// Bit n: something is written in the open row of a table that is n deep.
    rows_begun: u32,
    /// True if the last that ended was a table row.
    after_row: bool,
    /// True if something of the paragraph, blanks included, is there.
    begun: bool,
    /// Where the words of the paragraph begin.
    words: Option<usize>,
    /// Where the words of the line begin.
    line_words: Option<usize>,
    headings: Vec<Marked>,
}

fn is_blank(character: char) -> bool {
    character == ' ' || character == '\t'
}

/// The place of a part of the text that stands at `place`. What is linear is ASCII: bytes are characters.
fn part(place: &Place, linear: bool, range: Range<usize>) -> Place {
    match place {
        Place::Characters(whole) if linear => Place::Characters(whole.start + range.start..whole.start + range.end),
        other => other.clone(),
    }
}

impl Sheet {
    /// Writes a part of a line. Text that is `linear` is ASCII.
    pub(super) fn write(&mut self, text: &str, place: &Place, linear: bool) {
        self.begun = true;
        let words = text.trim_end_matches(is_blank);
        if !words.is_empty() {
            self.write_words(words, place, linear);
        }
        if words.len() < text.len() {
            let blanks = words.len()..text.len();
            self.hold(&text[blanks.clone()], part(place, linear, blanks), linear);
        }
    }

    fn write_words(&mut self, words: &str, place: &Place, linear: bool) {
        // Blanks at the start of a line or cell are no text either.
        let starts = self.text.is_empty() || self.cell_starts || self.gap > Gap::None;
        self.settle(starts);
        let lead = words.len() - words.trim_start_matches(is_blank).len();
        let dropped = if starts { lead } else { 0 };
        self.words.get_or_insert(self.text.len() + lead - dropped);
        self.line_words.get_or_insert(self.text.len() + lead - dropped);
        self.put(&words[dropped..], part(place, linear, dropped..words.len()), linear);
    }

    /// Writes what is due before a word.
    fn settle(&mut self, drop_blanks: bool) {
        // A heading that is not alone on its line is none.
        if self.gap < Gap::Line && self.headings.last().is_some_and(|last| last.range.end == self.text.len()) {
            self.headings.pop();
        }
        if self.text.is_empty() || self.gap >= Gap::Line {
            self.line_words = None;
        }
        self.gap.settle(&mut self.text);
        self.cell_starts = false;
        let blanks = std::mem::take(&mut self.blanks);
        let places = std::mem::take(&mut self.blank_places);
        if !drop_blanks {
            let mut at = 0;
            for (length, place, linear) in places {
                self.put(&blanks[at..at + length], place, linear);
                at += length;
            }
        }
    }

    fn put(&mut self, text: &str, place: Place, linear: bool) {
        let start = self.text.len();
        self.text.push_str(text);
        let range = start..self.text.len();
        let Place::Characters(there) = place else {
            self.map.push(range, place, linear);
            return;
        };
        self.runs += 1;
        if self.runs <= FINE_RUNS_MAX {
            self.map.push(range, Place::Characters(there), linear);
            return;
        }
        match &mut self.coarse {
            Some((here, before)) if before.end <= there.start => {
                here.end = range.end;
                before.end = there.end;
            }
            _ => {
                self.settle_place();
                self.coarse = Some((range, there));
            }
        }
        if self.coarse.as_ref().is_some_and(|(here, _)| here.len() >= COARSE_RUN_BYTES) {
            self.settle_place();
        }
    }

    fn settle_place(&mut self) {
        if let Some((here, there)) = self.coarse.take() {
            self.map.push(here, Place::Characters(there), false);
        }
    }

    fn hold(&mut self, blanks: &str, place: Place, linear: bool) {
        self.blanks.push_str(blanks);
        if self.blank_places.len() < BLANK_PIECES_MAX {
            self.blank_places.push((blanks.len(), place, linear));
        } else if let Some((length, last, last_linear)) = self.blank_places.last_mut() {
            *length += blanks.len();
            *last_linear = false;
            if let (Place::Characters(before), Place::Characters(after)) = (last, place) {
                *before = before.start.min(after.start)..before.end.max(after.end);
            }
        }
    }

    /// Widens the gap, unless a cell begins here: an empty paragraph at its start does not push it to another line.
    pub(super) fn widen(&mut self, gap: Gap) {
        if !self.cell_starts {
            self.gap = self.gap.max(gap);
            self.drop_blanks();
        }
    }

    fn drop_blanks(&mut self) {
        self.blanks.clear();
        self.blank_places.clear();
    }

    /// True if nothing of the paragraph is there yet.
    pub(super) fn paragraph_starts(&self) -> bool {
        !self.begun
    }

    /// True if the last that ended was a table row.
    pub(super) fn after_row(&self) -> bool {
        self.after_row
    }

    /// Ends a line; a second end makes a blank line.
    pub(super) fn end_line(&mut self) {
        let gap = if self.gap >= Gap::Line { Gap::Blank } else { Gap::Line };
        self.widen(gap);
        self.begun = false;
    }

    /// Ends a paragraph.
    pub(super) fn end_paragraph(&mut self, heading: bool) {
        let whole_line = |words: &usize| self.line_words == Some(*words) && self.gap == Gap::None;
        if let Some(start) = self.words.take_if(|_| heading).filter(whole_line) {
            let range = start..self.text.len();
            let line = &self.text[range.clone()];
            if !line.contains('\n') && line.chars().count() <= HEADING_CHARACTERS_MAX {
                self.headings.push(Marked { range, kind: None });
            }
        }
        self.end_line();
        self.words = None;
        self.after_row = false;
    }

    /// Says that what is written from here on is in a table that is `depth` deep, the outermost being 1.
    pub(super) fn in_row(&mut self, depth: u32) {
        self.rows_begun |= (2 << depth.min(TABLE_DEPTH_MAX)) - 1;
        self.after_row = false;
    }

    /// True if something of a row at this depth is written.
    pub(super) fn row_begun(&self, depth: u32) -> bool {
        self.rows_begun >> depth.min(TABLE_DEPTH_MAX) & 1 == 1
    }

    /// Begins a row: an empty paragraph at the start of its first cell makes no line.
    pub(super) fn begin_row(&mut self) {
        self.widen(Gap::Line);
        self.cell_starts = true;
    }

    /// Ends a cell.
    pub(super) fn end_cell(&mut self, depth: u32) {
        if self.row_begun(depth) {
            self.gap.next_cell();
        }
        self.drop_blanks();
        self.cell_starts = true;
        (self.begun, self.words) = (false, None);
    }

    /// Ends a row, and what is in it.
    pub(super) fn end_row(&mut self, depth: u32) {
        self.cell_starts = false;
        self.rows_begun &= (1 << depth.min(TABLE_DEPTH_MAX)) - 1;
        self.gap.end_row();
        self.widen(Gap::Line);
        (self.begun, self.words) = (false, None);
        self.after_row = depth <= 1;
    }

    /// Puts another text behind this one, as a block of its own: where it stands in the attachment, it was within a line.
    pub(super) fn append(&mut self, other: Self) {
        let (text, map, headings) = other.finish();
        if text.is_empty() {
            return;
        }
        self.cell_starts = false;
        self.widen(Gap::Blank);
        self.settle(true);
        self.settle_place();
        let offset = self.text.len();
        self.text.push_str(&text);
        self.map.append(map, offset);
        let moved = |marked: Marked| Marked { range: marked.range.start + offset..marked.range.end + offset, ..marked };
        self.headings.extend(headings.into_iter().map(moved));
        (self.gap, self.begun, self.words) = (Gap::Blank, false, None);
    }

    /// Makes the first line a heading of this kind: the format says what the whole is for.
    pub(super) fn head(&mut self, kind: SectionKind) {
        let end = self.text.find('\n').unwrap_or(self.text.len());
        self.headings.retain(|marked| marked.range.start >= end);
        self.headings.insert(0, Marked { range: 0..end, kind: Some(kind) });
    }

    /// What is written so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text, the places of its parts, and its headings.
    pub(super) fn finish(mut self) -> (String, SourceMap, Vec<Marked>) {
        self.settle_place();
        (self.text, self.map, self.headings)
    }
}

/// A list marker as a narrative has it: `- ` for any bullet, `1. ` as it stands, nothing for none.
pub(super) fn list_marker(marker: &str) -> Option<String> {
    let marker = marker.trim();
    let mut characters = marker.chars();
    let first = characters.next()?;
    // Word's bullet of the second level is the letter o.
    let bullet = characters.next().is_none() && (!first.is_alphanumeric() || first == 'o');
    Some(if bullet { "- ".to_owned() } else { format!("{marker} ") })
}

/// Whether paragraphs of a style with this name are headings.
pub(super) fn is_heading_style(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ' || c == ';');
    HEADING_STYLES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: usize, text: &str) -> Place {
        Place::Characters(start..start + text.len())
    }

    #[test]
    fn blanks_at_a_line_end_are_dropped_and_others_keep_their_place() {
        let mut sheet = Sheet::default();
        sheet.write("a ", &at(0, "a "), true);
        sheet.write(" b  ", &at(10, " b  "), true);
        sheet.end_line();
        sheet.write("  c", &at(20, "  c"), true);
        let (text, map, _) = sheet.finish();
        assert_eq!(text, "a  b\nc");
        assert_eq!(map.locate(&text, &(1..4)), Some(Place::Characters(1..12)));
        assert_eq!(map.locate(&text, &(2..3)), Some(Place::Characters(10..11)));
        assert_eq!(map.locate(&text, &(4..5)), None);
        assert_eq!(map.locate(&text, &(5..6)), Some(Place::Characters(22..23)));
    }

    #[test]
    fn a_heading_is_a_line_of_its_own() {
        let mut sheet = Sheet::default();
        let mut paragraph = |text: &str, heading: bool, cell: bool| {
            sheet.write(text, &at(0, text), true);
            sheet.end_paragraph(heading);
            if cell {
                sheet.in_row(1);
                sheet.end_cell(1);
            }
        };
        paragraph("Findings", true, false);
        paragraph("Nodule.", false, false);
        paragraph("not alone", true, true);
        paragraph("in its row", false, true);
        sheet.end_row(1);
        let (text, _, headings) = sheet.finish();
        assert_eq!(text, "Findings\nNodule.\nnot alone | in its row");
        assert_eq!(headings.iter().map(|marked| &text[marked.range.clone()]).collect::<Vec<_>>(), ["Findings"]);
    }

    #[test]
    fn in_a_text_of_very_many_pieces_neighbours_share_a_place() {
        let mut sheet = Sheet::default();
        for index in 0..FINE_RUNS_MAX + 3000 {
            sheet.write("x", &at(3 * index, "x"), true);
        }
        let (text, map, _) = sheet.finish();
        assert_eq!(map.locate(&text, &(7..8)), Some(Place::Characters(21..22)));
        let Some(Place::Characters(place)) = map.locate(&text, &(FINE_RUNS_MAX..FINE_RUNS_MAX + 1)) else {
            panic!("a place");
        };
        assert_eq!(place, 3 * FINE_RUNS_MAX..3 * (FINE_RUNS_MAX + COARSE_RUN_BYTES) - 2);
    }

    #[test]
    fn markers_are_dashes_or_stand_as_they_are() {
        for (given, expected) in [("•\t", "- "), ("o", "- "), ("1.\t", "1. "), ("IV)", "IV) "), ("▪", "- ")] {
            assert_eq!(list_marker(given).as_deref(), Some(expected));
        }
        assert_eq!(list_marker(" \t"), None);
    }
}
