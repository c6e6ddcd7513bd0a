//! From lines to text: paragraphs, cells, words that a line end divides.

use std::collections::HashSet;

use super::columns::Block;
use super::lines::{Line, Piece};

/// Distance within a line from which on two pieces are cells, in ems.
const CELL_GAP: f32 = 1.5;
/// Distance between lines, as a multiple of the usual one, from which on they stand apart.
const APART: f32 = 1.3;

/// First parts of compounds that keep their hyphen where a line ends after it.
const COMPOUND_FIRST: [&str; 24] = [
    "follow", "non", "well", "self", "post", "high", "low", "short", "long", "mid", "half", "cross", "ill", "anti",
    "x", "t", "pre", "re", "co", "contrast", "dose", "fat", "in", "right",
];
/// Second parts of such.
const COMPOUND_SECOND: [&str; 22] = [
    "up", "guided", "based", "related", "like", "old", "term", "dose", "grade", "sided", "enhanced", "weighted",
    "free", "year", "month", "week", "day", "cell", "line", "phase", "ray", "to",
];

/// The lines of a page.
#[derive(Debug, Default)]
pub(super) struct PageText {
    lines: Vec<TextLine>,
}

#[derive(Debug)]
struct TextLine {
    text: String,
    /// True if it stands apart from the line before.
    apart: bool,
    /// True if a word may go on in the next line.
    runs_on: bool,
}

impl PageText {
    pub(super) fn characters(&self) -> usize {
        self.lines.iter().map(|line| line.text.chars().count() + 1).sum()
    }

    /// The text, with the words joined that a line end divides.
    pub(super) fn joined(&self, words: &Words) -> String {
        let mut text = String::new();
        let mut moved = 0;
        for (index, line) in self.lines.iter().enumerate() {
            let own = &line.text[moved..];
            moved = 0;
            if own.is_empty() {
                continue;
            }
            if !text.is_empty() {
                text.push_str(if line.apart { "\n\n" } else { "\n" });
            }
            let next = self.lines.get(index + 1).filter(|next| line.runs_on && !next.apart);
            match next.and_then(|next| Some((next, words.join(own, &next.text)?))) {
                Some((next, Join { keeps_hyphen, second })) => {
                    let first = own.trim_end_matches(is_hyphen);
                    text.push_str(first);
                    if keeps_hyphen {
                        text.push('-');
                    }
                    text.push_str(&next.text[..second]);
                    moved = next.text.len() - next.text[second..].trim_start().len();
                }
                None => text.push_str(own),
            }
        }
        text.retain(|character| character != '\u{ad}');
        text
    }
}

fn is_hyphen(character: char) -> bool {
    matches!(character, '-' | '\u{ad}' | '\u{2010}' | '\u{2011}')
}

/// How a divided word is joined.
struct Join {
    keeps_hyphen: bool,
    /// Bytes of the next line that belong to it.
    second: usize,
}

/// Words of the document that have a hyphen in the midst of a line, and those that have none.
pub(super) struct Words {
    hyphened: HashSet<String>,
    whole: HashSet<String>,
}

impl Words {
    pub(super) fn of<'t>(pages: impl Iterator<Item = &'t PageText>) -> Self {
        let (mut hyphened, mut whole) = (HashSet::new(), HashSet::new());
        for line in pages.flat_map(|page| &page.lines) {
            for word in line.text.split_whitespace().map(bare) {
                let set = if word.contains('-') { &mut hyphened } else { &mut whole };
                set.insert(word.to_lowercase());
            }
        }
        Self { hyphened, whole }
    }

    /// How the last word of `line` goes on in `next`, if it does.
    fn join(&self, line: &str, next: &str) -> Option<Join> {
        let hyphen = line.chars().next_back().filter(|last| is_hyphen(*last))?;
        let before = line.trim_end_matches(is_hyphen);
        let first = bare(before.rsplit(char::is_whitespace).next()?);
        let second = next.find(char::is_whitespace).unwrap_or(next.len());
        let rest = bare(&next[..second]);
        if !before.ends_with(char::is_alphanumeric) || !next.starts_with(char::is_alphanumeric) {
            return None;
        }
        let continues = next.starts_with(char::is_lowercase);
        let keeps_hyphen = hyphen != '\u{ad}' && (!continues || self.is_compound(first, rest));
        Some(Join { keeps_hyphen, second })
    }

    fn is_compound(&self, first: &str, rest: &str) -> bool {
        let (first, rest) = (first.to_lowercase(), rest.to_lowercase());
        if self.hyphened.contains(&format!("{first}-{rest}")) {
            return true;
        }
        if self.whole.contains(&format!("{first}{rest}")) {
            return false;
        }
        let no_word = first.contains(|c: char| !c.is_alphabetic()) || first.chars().count() == 1;
        no_word || COMPOUND_FIRST.contains(&first.as_str()) || COMPOUND_SECOND.contains(&rest.as_str())
    }
}

/// A word without the marks around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// The text of a page's blocks.
pub(super) fn page(blocks: &[Block]) -> PageText {
    let mut lines = Vec::new();
    for block in blocks {
        let usual = usual_distance(block);
        let mut before: Option<&Line> = None;
        for line in block {
            let apart = before.is_none_or(|before| stands_apart(before, line, usual));
            let text = text_of(line);
            if !text.is_empty() {
                lines.push(TextLine { text, apart, runs_on: is_whole(line) });
                before = Some(line);
            }
        }
    }
    PageText { lines }
}

/// Whether a line is one run of text.
fn is_whole(line: &Line) -> bool {
    line.pieces.windows(2).all(|pair| !are_cells(&pair[0], &pair[1]))
}

fn are_cells(before: &Piece, after: &Piece) -> bool {
    after.from - before.to > CELL_GAP * before.em.max(after.em)
}

/// The line's pieces with what stands between them.
fn text_of(line: &Line) -> String {
    let mut text = String::new();
    let mut before: Option<&Piece> = None;
    for piece in &line.pieces {
        match before {
            // A label and its value are no two cells to a reader.
            Some(before) if are_cells(before, piece) && !before.text.trim_end().ends_with(':') => text.push_str(" | "),
            Some(_) => text.push(' '),
            None => {}
        }
        text.push_str(piece.text.trim());
        before = Some(piece);
    }
    text.trim().to_owned()
}

/// The usual distance of the lines of a block: the one that most have or fall short of, in line heights.
fn usual_distance(block: &Block) -> f32 {
    let mut distances: Vec<f32> = block
        .windows(2)
        .map(|pair| (pair[1].base() - pair[0].base()) / pair[0].size().max(pair[1].size()))
        .filter(|distance| (0.5..4.0).contains(distance))
        .collect();
    distances.sort_by(f32::total_cmp);
    // Short blocks have too few to tell.
    let middle = distances.get(distances.len() / 3).copied().unwrap_or(1.2);
    if distances.len() < 4 { middle.min(1.4) } else { middle }
}

fn stands_apart(before: &Line, line: &Line, usual: f32) -> bool {
    let size = before.size().max(line.size());
    let distance = (line.base() - before.base()) / size;
    distance > usual * APART || distance < -0.5
}
