//! The text that markup makes, line by line, and where it comes from.

use std::ops::Range;

use super::gap::Gap;
use super::plain;
use super::references;
use super::rendition::Marked;
use crate::domain::source_map::{Place, SourceMap};

/// A growing text and the gap before its next word.
#[derive(Default)]
pub(super) struct Flow {
    pub(super) text: String,
    pub(super) map: SourceMap,
    pub(super) gap: Gap,
    /// White space of a verbatim line, which belongs to it if more of the line follows.
    blanks: String,
}

impl Flow {
    pub(super) fn widen(&mut self, gap: Gap) {
        if gap > Gap::Space {
            self.blanks.clear();
        }
        self.gap = self.gap.max(gap);
    }

    /// Writes `piece`, which stands at `place`.
    fn add(&mut self, piece: &str, place: Range<usize>, linear: bool) {
        let start = self.text.len();
        self.text.push_str(piece);
        self.map.push(start..self.text.len(), Place::Characters(place), linear);
    }
}

/// Counts code points up to bytes that follow each other.
struct Counter<'t> {
    source: &'t str,
    /// True if each byte is a character.
    plain: bool,
    byte: usize,
    characters: usize,
}

impl Counter<'_> {
    fn at(&mut self, byte: usize) -> usize {
        if self.plain || byte < self.byte {
            return if self.plain { byte } else { self.characters };
        }
        self.characters += self.source[self.byte..byte].chars().count();
        self.byte = byte;
        self.characters
    }

    fn range(&mut self, bytes: Range<usize>) -> Range<usize> {
        self.at(bytes.start)..self.at(bytes.end)
    }
}

/// Turns what the markup opens, holds and closes into text.
#[expect(clippy::struct_excessive_bools, reason = "each says where in the markup the writer stands")]
pub(super) struct Writer<'t> {
    source: &'t str,
    counter: Counter<'t>,
    pub(super) visible: Flow,
    pub(super) hidden: Flow,
    /// Elements that hide, and are open.
    pub(super) hiding: usize,
    /// Elements that are never text, and are open.
    pub(super) left_out: usize,
    /// Elements that strike through, and are open.
    pub(super) struck: usize,
    /// True if some text is struck through.
    pub(super) struck_text: bool,
    /// True where white space is text.
    pub(super) verbatim: bool,
    /// Lists that are open; ordered ones with the number of their next item.
    pub(super) lists: Vec<Option<i64>>,
    /// The marker of a list item of which nothing is written yet.
    pub(super) marker: Option<String>,
    /// Table rows that are open: whether something of it is written.
    rows: Vec<bool>,
    /// True within a cell of which nothing is written yet.
    cell_starts: bool,
    /// True within a heading.
    in_heading: bool,
    /// Where the text of that heading begins.
    heading: Option<usize>,
    pub(super) headings: Vec<Marked>,
}

impl<'t> Writer<'t> {
    pub(super) fn new(source: &'t str) -> Self {
        Self {
            source,
            counter: Counter { source, plain: source.is_ascii(), byte: 0, characters: 0 },
            visible: Flow::default(),
            hidden: Flow::default(),
            hiding: 0,
            left_out: 0,
            struck: 0,
            struck_text: false,
            verbatim: false,
            lists: Vec::new(),
            marker: None,
            rows: Vec::new(),
            cell_starts: false,
            in_heading: false,
            heading: None,
            headings: Vec::new(),
        }
    }

    pub(super) fn flow(&mut self) -> &mut Flow {
        if self.hiding > 0 { &mut self.hidden } else { &mut self.visible }
    }

    /// Widens the gap, unless a cell begins here: the block at its start does not push it to another line.
    pub(super) fn part(&mut self, gap: Gap) {
        if !self.cell_starts {
            self.flow().widen(gap);
        }
    }

    /// Whether lists or tables are open, whose parts stand closer together.
    pub(super) fn is_nested(&self) -> bool {
        !self.lists.is_empty() || !self.rows.is_empty()
    }

    pub(super) fn break_line(&mut self) {
        let gap = if self.flow().gap == Gap::Line { Gap::Blank } else { Gap::Line };
        self.part(gap);
    }

    /// Begins a list item; `value` is its own number.
    pub(super) fn begin_item(&mut self, value: Option<i64>) {
        self.marker = Some(match self.lists.last_mut() {
            Some(Some(next)) => {
                let number = value.unwrap_or(*next);
                *next = number.saturating_add(1);
                format!("{number}. ")
            }
            _ => "- ".to_owned(),
        });
    }

    pub(super) fn begin_row(&mut self) {
        self.rows.push(false);
    }

    pub(super) fn end_row(&mut self) {
        self.cell_starts = false;
        let wrote = self.rows.pop().unwrap_or(false);
        if let Some(outer) = self.rows.last_mut() {
            *outer |= wrote;
        }
        self.flow().gap.end_row();
        self.part(Gap::Line);
    }

    pub(super) fn begin_cell(&mut self) {
        let wrote = self.rows.last().copied().unwrap_or(false);
        if wrote {
            self.flow().gap.next_cell();
        }
        self.cell_starts = true;
    }

    pub(super) const fn end_cell(&mut self) {
        self.cell_starts = false;
    }

    pub(super) const fn begin_heading(&mut self) {
        (self.in_heading, self.heading) = (true, None);
    }

    pub(super) fn end_heading(&mut self) {
        self.in_heading = false;
        let Some(start) = self.heading.take() else { return };
        let mut at = start;
        for line in self.visible.text[start..].split('\n') {
            if !line.is_empty() {
                self.headings.push(Marked { range: at..at + line.len(), kind: None });
            }
            at += line.len() + 1;
        }
    }

    /// Writes a sign that the markup shows without text.
    pub(super) fn add_sign(&mut self, sign: &str) {
        if self.left_out == 0 {
            self.begin_word();
            let flow = self.flow();
            flow.text.push_str(sign);
            flow.widen(Gap::Space);
        }
    }

    /// Takes in text with character references.
    pub(super) fn text(&mut self, range: Range<usize>) {
        if self.left_out > 0 {
            return;
        }
        let (mut written, mut look) = (range.start, range.start);
        while let Some(found) = self.source[look..range.end].find('&') {
            let ampersand = look + found;
            let Some(reference) = references::at(&self.source[ampersand..range.end]) else {
                look = ampersand + 1;
                continue;
            };
            self.data(written..ampersand);
            look = ampersand + reference.length;
            written = look;
            let place = self.counter.range(ampersand..look);
            for character in reference.characters.into_iter().flatten() {
                self.character(character, place.clone(), false);
            }
        }
        self.data(written..range.end);
    }

    /// Takes in text as it is.
    pub(super) fn data(&mut self, range: Range<usize>) {
        if self.left_out > 0 {
            return;
        }
        let bytes = self.source.as_bytes();
        let mut at = range.start;
        while at < range.end {
            let run = visible_run(&bytes[at..range.end]);
            if run > 0 {
                self.begin_word();
                let place = self.counter.range(at..at + run);
                let source = self.source;
                self.flow().add(&source[at..at + run], place, true);
                at += run;
                continue;
            }
            // Cannot fail because `at` is the start of a character within the range.
            let character = self.source[at..].chars().next().expect("a character");
            let end = at + character.len_utf8();
            if character != '\r' || bytes.get(end) != Some(&b'\n') {
                let place = self.counter.range(at..end);
                self.character(character, place, true);
            }
            at = end;
        }
    }

    /// Takes in the character that stands at `place`; `is_itself` is true if it is written there as it is.
    fn character(&mut self, character: char, place: Range<usize>, is_itself: bool) {
        if character.is_whitespace() || character == '\u{a0}' {
            if !self.verbatim {
                self.flow().widen(Gap::Space);
            } else if matches!(character, '\n' | '\r') {
                let gap = if self.flow().gap >= Gap::Line { Gap::Blank } else { Gap::Line };
                self.flow().widen(gap);
            } else {
                self.flow().blanks.push(if character == '\t' { '\t' } else { ' ' });
            }
            return;
        }
        let Some(seen) = plain::visible(character) else { return };
        self.begin_word();
        self.flow().add(seen.encode_utf8(&mut [0; 4]), place, is_itself && seen == character);
    }

    /// Writes what is due before a word: the gap, the list marker, the white space of a verbatim line.
    fn begin_word(&mut self) {
        let marker = self.marker.take();
        if let Some(row) = self.rows.last_mut() {
            *row = true;
        }
        self.cell_starts = false;
        self.struck_text |= self.struck > 0;
        let visible = self.hiding == 0;
        let flow = self.flow();
        flow.gap.settle(&mut flow.text);
        if let Some(marker) = marker {
            flow.text.push_str(&marker);
        }
        let start = flow.text.len();
        flow.text.push_str(&flow.blanks);
        flow.blanks.clear();
        if visible && self.in_heading {
            self.heading.get_or_insert(start);
        }
    }
}

/// Bytes of visible ASCII that `bytes` begin with; single spaces within it are a part of it.
fn visible_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(u8::is_ascii_graphic) {
            at += 1;
        }
        if at == 0 || bytes.get(at) != Some(&b' ') || !bytes.get(at + 1).is_some_and(u8::is_ascii_graphic) {
            return at;
        }
        at += 2;
    }
}
