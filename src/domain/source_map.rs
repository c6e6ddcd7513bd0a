//! Where each part of a narrative stands in the attachment that it was drawn from.

use std::ops::Range;
use std::sync::Arc;

/// Bytes of narrative after which a run is ended, so that finding a place within one stays quick.
const RUN_BYTES_MAX: usize = 4096;

/// A place in an attachment, as far as its format knows places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Unicode code points of the attachment's text, decoded by its charset but otherwise as it was sent: markup and
    /// control words count. RTF is counted in bytes, which are its characters.
    Characters(Range<usize>),
    /// The element of an XML document that holds the text: an XPath like `/ClinicalDocument/component/…/text`.
    Element(Arc<str>),
    /// Pages of a PDF, the first one being 1; the end is included.
    Pages(u32, u32),
}

/// A part of the narrative that comes from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    /// Bytes of the narrative.
    text: Range<usize>,
    place: Place,
    /// True if each character of the narrative is one character at the place, so that a part of the run has a place of
    /// its own.
    linear: bool,
}

/// The places of a text's parts, in the text's order. Parts that the reader added (a list marker, a cell separator)
/// have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMap {
    runs: Vec<Run>,
}

impl SourceMap {
    /// Says that the bytes `text` of the narrative, which follow all that were said before, stand at `place`.
    ///
    /// `linear` is true if they are the same characters one by one. Neighbours that go on at the same place become one.
    pub fn push(&mut self, text: Range<usize>, place: Place, linear: bool) {
        if text.is_empty() {
            return;
        }
        if let Some(last) = self.runs.last_mut()
            && last.text.end == text.start
            && last.text.len() + text.len() <= RUN_BYTES_MAX
        {
            match (&mut last.place, &place) {
                (Place::Characters(before), Place::Characters(after))
                    if last.linear && linear && before.end == after.start =>
                {
                    before.end = after.end;
                    last.text.end = text.end;
                    return;
                }
                (before @ (Place::Element(_) | Place::Pages(..)), after) if before == after => {
                    last.text.end = text.end;
                    return;
                }
                _ => {}
            }
        }
        self.runs.push(Run { text, place, linear });
    }

    /// Says that `piece`, put into the narrative at byte `start`, stands in the attachment as it is, from character
    /// `character` on: where it ends there.
    pub fn push_piece(&mut self, piece: &str, start: usize, character: usize) -> usize {
        let (mut at, mut place) = (0, character);
        while at < piece.len() {
            let end = piece.floor_char_boundary(at + RUN_BYTES_MAX);
            let characters = piece[at..end].chars().count();
            self.push(start + at..start + end, Place::Characters(place..place + characters), true);
            (at, place) = (end, place + characters);
        }
        place
    }

    /// Adds the places of a text that was put into the narrative at byte `offset`, behind all that is there.
    pub fn append(&mut self, other: Self, offset: usize) {
        let moved = |run: Run| Run { text: run.text.start + offset..run.text.end + offset, ..run };
        self.runs.extend(other.runs.into_iter().map(moved));
    }

    /// The parts of the text that have a place, in order, each with its place.
    pub fn places(&self) -> impl Iterator<Item = (Range<usize>, &Place)> {
        self.runs.iter().map(|run| (run.text.clone(), &run.place))
    }

    /// Where the bytes `range` of `text` stand: from the first to the last place that is known of them. None if none is.
    ///
    /// Elements: the first one's path, if several hold the text.
    pub fn locate(&self, text: &str, range: &Range<usize>) -> Option<Place> {
        let first = self.runs.partition_point(|run| run.text.end <= range.start);
        let touched = self.runs[first..].iter().take_while(|run| run.text.start < range.end);
        touched.filter_map(|run| run.part(text, range)).reduce(Place::join)
    }
}

impl Run {
    /// The place of the part of the run that lies in `range`.
    fn part(&self, text: &str, range: &Range<usize>) -> Option<Place> {
        let Place::Characters(place) = &self.place else { return Some(self.place.clone()) };
        if !self.linear {
            return Some(self.place.clone());
        }
        let (start, end) = (range.start.max(self.text.start), range.end.min(self.text.end));
        if self.text.len() == place.len() {
            // ASCII: bytes are characters.
            return Some(Place::Characters(start - self.text.start + place.start..end - self.text.start + place.start));
        }
        let from = place.start + text.get(self.text.start..start)?.chars().count();
        Some(Place::Characters(from..from + text.get(start..end)?.chars().count()))
    }
}

impl Place {
    fn join(self, later: Self) -> Self {
        match (self, later) {
            (Self::Characters(a), Self::Characters(b)) => Self::Characters(a.start.min(b.start)..a.end.max(b.end)),
            (Self::Pages(first, last), Self::Pages(from, to)) => Self::Pages(first.min(from), last.max(to)),
            (first, _) => first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_linear_run_has_a_place_of_its_own_and_a_reference_is_taken_whole() {
        // The source: `Naïve &ge; 5`.
        let text = "Naïve ≥ 5";
        let mut map = SourceMap::default();
        map.push(0..7, Place::Characters(0..6), true);
        map.push(7..10, Place::Characters(6..10), false);
        map.push(10..12, Place::Characters(10..12), true);
        assert_eq!(map.locate(text, &(2..6)), Some(Place::Characters(2..5)));
        assert_eq!(map.locate(text, &(7..12)), Some(Place::Characters(6..12)));
        assert_eq!(map.locate(text, &(12..12)), None);
    }

    #[test]
    fn pages_join_and_what_the_reader_added_has_no_place() {
        let mut map = SourceMap::default();
        map.push(0..4, Place::Pages(1, 1), false);
        map.push(5..8, Place::Pages(2, 2), false);
        assert_eq!(map.locate("page two", &(0..8)), Some(Place::Pages(1, 2)));
        assert_eq!(map.locate("page two", &(4..5)), None);
    }

    #[test]
    fn a_text_behind_another_keeps_its_places() {
        let mut inner = SourceMap::default();
        inner.push(0..3, Place::Characters(10..13), true);
        let mut map = SourceMap::default();
        map.append(inner, 100);
        assert_eq!(map.locate(&"x".repeat(103), &(101..103)), Some(Place::Characters(11..13)));
    }
}
