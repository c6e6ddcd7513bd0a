//! A text that is put together from the parts of a structured document: headings, blocks, and other renditions within it.

use std::ops::Range;
use std::sync::Arc;

use super::gap::Gap;
use super::plain;
use super::rendition::{self, Marked, NARRATIVE_CHARACTERS_MAX, Reading, Refusal};
use crate::domain::narrative::SectionKind;
use crate::domain::source_map::{Place, SourceMap};

/// Parts that were not read and are told one by one; a document of more is told by their number.
const UNREAD_LISTED_MAX: usize = 100;

/// A growing text, where its parts come from, and the gap before its next word.
#[derive(Default)]
pub(super) struct Flow {
    text: String,
    map: SourceMap,
    gap: Gap,
}

impl Flow {
    /// The gap before the next word is at least this.
    pub(super) fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// The gap that is due.
    pub(super) fn gap(&self) -> Gap {
        self.gap
    }

    /// Whether nothing is written yet.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether the next word would follow a digit directly.
    pub(super) fn touches_digit(&self) -> bool {
        self.gap == Gap::None && self.text.ends_with(|c: char| c.is_ascii_digit())
    }

    /// One more cell of a row begins.
    pub(super) fn next_cell(&mut self) {
        self.gap.next_cell();
    }

    /// A row ends: cells that nothing was written to are nothing.
    pub(super) fn end_row(&mut self) {
        self.gap.end_row();
    }

    /// Writes signs of the reader's own directly behind the text.
    pub(super) fn close_with(&mut self, sign: &str) {
        self.text.push_str(sign);
    }

    /// Writes the gap that is due and `lead`, which is the reader's own: where the text goes on.
    fn settle(&mut self, lead: &str) -> usize {
        self.gap.settle(&mut self.text);
        self.text.push_str(lead);
        self.text.len()
    }

    /// Writes the visible characters of `words`, with gaps among them, as text of the element at `place`. `lead` is
    /// written before the first of them: true if there was one.
    pub(super) fn write<'t>(
        &mut self,
        words: impl Iterator<Item = (Gap, &'t str)>,
        lead: &str,
        place: &Arc<str>,
    ) -> bool {
        let mut start = None;
        for (gap, word) in words {
            self.widen(gap);
            if !word.chars().any(|c| plain::visible(c).is_some()) {
                continue;
            }
            if start.is_none() {
                start = Some(self.settle(lead));
            } else {
                self.settle("");
            }
            if word.bytes().all(|byte| byte.is_ascii_graphic()) {
                self.text.push_str(word);
            } else {
                self.text.extend(word.chars().filter_map(plain::visible));
            }
        }
        if let Some(start) = start {
            self.map.push(start..self.text.len(), Place::Element(Arc::clone(place)), false);
        }
        start.is_some()
    }

    /// Writes a text that has lines of its own: where it begins.
    fn put(&mut self, text: &str, place: &Arc<str>) -> usize {
        let start = self.settle("");
        self.text.push_str(text);
        self.map.push(start..self.text.len(), Place::Element(Arc::clone(place)), false);
        start
    }
}

/// The words of a text whose white space means nothing but "a gap is here".
pub(super) fn words(text: &str) -> impl Iterator<Item = (Gap, &str)> {
    text.split_whitespace().enumerate().map(|(index, word)| (if index == 0 { Gap::None } else { Gap::Space }, word))
}

/// The text in the making.
#[derive(Default)]
pub(super) struct Assembled {
    /// What its reader sees.
    pub(super) seen: Flow,
    /// What is kept apart.
    pub(super) hidden: Flow,
    headings: Vec<Marked>,
    unread: Vec<(String, Refusal)>,
    unlisted: usize,
    notes: Vec<String>,
    /// Bytes of what is seen, and the characters that they are.
    counted: (usize, usize),
}

impl Assembled {
    pub(super) fn new(notes: Vec<String>) -> Self {
        Self { notes, ..Self::default() }
    }

    /// Writes a heading on a line of its own; nothing if no character of it can be seen. Without a place it is the
    /// reader's own.
    pub(super) fn heading(&mut self, title: &str, kind: SectionKind, place: Option<&Arc<str>>) -> bool {
        self.seen.widen(Gap::Blank);
        let written = if let Some(place) = place {
            self.seen.write(words(title), "", place)
        } else {
            self.seen.settle(title);
            true
        };
        if written {
            let start = self.seen.text.rfind('\n').map_or(0, |end| end + 1);
            self.mark(start..self.seen.text.len(), Some(kind));
            self.seen.widen(Gap::Blank);
        }
        written
    }

    /// Where the next word is written, apart from a gap.
    pub(super) fn end(&self) -> usize {
        self.seen.text.len()
    }

    /// Marks as a heading what was written from `from` on, if it is one line.
    pub(super) fn mark_from(&mut self, from: usize) {
        let written = &self.seen.text[from..];
        let start = from + written.len() - written.trim_start().len();
        let range = start..self.seen.text.len();
        let begins_line = start == 0 || self.seen.text[..start].ends_with('\n');
        if !range.is_empty() && begins_line && !self.seen.text[range.clone()].contains('\n') {
            self.mark(range, None);
        }
    }

    fn mark(&mut self, range: Range<usize>, kind: Option<SectionKind>) {
        self.headings.push(Marked { range, kind });
    }

    /// Adds another rendition's text, all of which stands in the element at `place`.
    pub(super) fn append(&mut self, reading: Reading, place: &Arc<str>) {
        let Reading { body, headings, hidden, unread, notes, .. } = reading;
        if !body.is_empty() {
            self.seen.widen(Gap::Blank);
            let start = self.seen.put(&body, place);
            let moved =
                |marked: Marked| Marked { range: marked.range.start + start..marked.range.end + start, ..marked };
            self.headings.extend(headings.into_iter().map(moved));
            self.seen.widen(Gap::Blank);
        }
        if !hidden.is_empty() {
            self.hidden.widen(Gap::Blank);
            self.hidden.put(&hidden, place);
            self.hidden.widen(Gap::Blank);
        }
        for (part, refusal) in unread {
            self.not_read(&format!("{place}: {part}"), refusal);
        }
        for note in notes {
            self.note(note);
        }
    }

    /// Whether the text has these words already, white space apart.
    pub(super) fn holds(&self, words: &str) -> bool {
        let dense = |text: &str| text.split_whitespace().collect::<String>();
        dense(&self.seen.text).contains(&dense(words))
    }

    /// Says that the part at `place` was not read.
    pub(super) fn not_read(&mut self, place: &str, refusal: Refusal) {
        if self.unread.len() < UNREAD_LISTED_MAX {
            self.unread.push((place.to_owned(), refusal));
        } else {
            self.unlisted += 1;
        }
    }

    /// Notes what a reader should know, once.
    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Refuses a text that is already longer than one may be.
    pub(super) fn check_length(&mut self) -> Result<(), Refusal> {
        let (bytes, characters) = self.counted;
        let characters = characters + self.seen.text[bytes..].chars().count();
        self.counted = (self.seen.text.len(), characters);
        if characters > NARRATIVE_CHARACTERS_MAX { Err(rendition::too_long(characters)) } else { Ok(()) }
    }

    /// The text, or why there is none: what its first unread part says.
    pub(super) fn finish(mut self) -> Result<Reading, Refusal> {
        if self.seen.is_empty() && self.hidden.is_empty() && !self.unread.is_empty() {
            let (place, Refusal { reason, detail }) = self.unread.swap_remove(0);
            return Err(Refusal::new(reason, format!("It holds no text that is read. {place}: {detail}")));
        }
        if self.unlisted > 0 {
            self.notes.push(format!("{} further parts that were not read are not listed", self.unlisted));
        }
        if !self.hidden.is_empty() {
            let characters = self.hidden.text.chars().count();
            self.notes.push(format!("{characters} characters that are deleted or hidden are kept apart"));
        }
        Ok(Reading {
            body: self.seen.text,
            map: self.seen.map,
            headings: self.headings,
            hidden: self.hidden.text,
            hidden_map: self.hidden.map,
            unread: self.unread,
            notes: self.notes,
        })
    }
}
