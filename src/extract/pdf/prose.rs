//! From lines to text: paragraphs, cells, words that a line end divides.

use std::collections::HashSet;

use super::columns::Block;
use super::lines::{Line, Piece};

/// Distance within a line from which on two pieces are cells, in ems.
const CELL_GAP: f32 = 1.5;
/// Distance between lines, as a multiple of the usual one, from which on they stand apart.
const APART: f32 = 1.3;
/// Line heights between the rows of a table, at most.
const TABLE_DISTANCE: f32 = 3.0;
/// Shown only where a line ends after it.
const SOFT_HYPHEN: char = '\u{ad}';
/// Bytes of a text, from which on capitals beside it are its heading.
const LABELLED_TEXT: usize = 60;

/// First parts of compounds that keep their hyphen where a line ends after it.
const COMPOUND_FIRST: [&str; 18] = [
    "follow", "non", "well", "self", "high", "low", "short", "long", "half", "cross", "ill", "contrast", "dose", "fat",
    "right", "left", "soft", "single",
];
/// Second parts of such.
const COMPOUND_SECOND: [&str; 19] = [
    "up", "guided", "based", "related", "like", "old", "term", "dose", "grade", "sided", "enhanced", "weighted",
    "free", "year", "month", "week", "day", "phase", "ray",
];
/// Endings, which are no words: what comes before them is divided, not compound.
const ENDINGS: [&str; 10] = ["ing", "ings", "ed", "er", "ers", "est", "ly", "ness", "ened", "ering"];

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
            let next = self.lines.get(index + 1).filter(|next| line.runs_on && !next.apart);
            let join = next.and_then(|next| Some((next, words.join(own, &next.text)?)));
            let shown = match &join {
                Some(_) => own.trim_end_matches(is_hyphen),
                None => own.trim_matches(|character| character == SOFT_HYPHEN || character == ' '),
            };
            if shown.is_empty() {
                continue;
            }
            if !text.is_empty() {
                text.push_str(if line.apart { "\n\n" } else { "\n" });
            }
            text.push_str(shown);
            if let Some((next, Join { keeps_hyphen, second })) = join {
                if keeps_hyphen {
                    text.push('-');
                }
                text.push_str(&next.text[..second]);
                moved = next.text.len() - next.text[second..].trim_start().len();
            }
        }
        text.retain(|character| character != SOFT_HYPHEN);
        text
    }
}

fn is_hyphen(character: char) -> bool {
    matches!(character, '-' | SOFT_HYPHEN | '\u{2010}' | '\u{2011}')
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
        let keeps_hyphen = hyphen != SOFT_HYPHEN && (!continues || self.is_compound(first, rest));
        Some(Join { keeps_hyphen, second })
    }

    fn is_compound(&self, first: &str, rest: &str) -> bool {
        let (first, rest) = (first.to_lowercase(), rest.to_lowercase());
        if self.hyphened.contains(&format!("{first}-{rest}")) {
            return true;
        }
        if ENDINGS.contains(&rest.as_str()) || self.whole.contains(&format!("{first}{rest}")) {
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
        let rows: Vec<Row> = (0..block.len()).map(|at| Row::of(block, at)).collect();
        for (at, row) in rows.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| (&block[before], &rows[before]));
            let apart = before.is_none_or(|(before, above)| {
                let is_table = above.cells.len() > 1 && row.cells.len() > 1;
                stands_apart(before, &block[at], if is_table { TABLE_DISTANCE } else { usual * APART })
            });
            row.write(apart, rows.get(at + 1), &mut lines);
        }
    }
    PageText { lines }
}

/// A line as cells: nearly always one.
struct Row {
    /// Each with its place along the line.
    cells: Vec<(f32, String)>,
    em: f32,
}

impl Row {
    fn of(block: &Block, at: usize) -> Self {
        let line = &block[at];
        let neighbours = [at.checked_sub(1), Some(at + 1)].map(|near| block.get(near?));
        let mut cells: Vec<(f32, String)> = Vec::new();
        let mut before: Option<&Piece> = None;
        for piece in &line.pieces {
            let text = piece.text.trim();
            match (before, cells.last_mut()) {
                // A label and its value are no two cells to a reader.
                (Some(before), Some((_, cell))) if cell.ends_with(':') || !are_cells(before, piece, neighbours) => {
                    cell.push(' ');
                    cell.push_str(text);
                }
                _ => cells.push((piece.from, text.to_owned())),
            }
            before = Some(piece);
        }
        cells.retain(|(_, text)| !text.is_empty());
        Self { cells, em: line.pieces.first().map_or(1.0, |piece| piece.em) }
    }

    fn write(&self, apart: bool, next: Option<&Self>, lines: &mut Vec<TextLine>) {
        let mut cells = self.cells.iter().map(|(_, text)| text.as_str());
        let runs_on = self.cells.len() == 1;
        let mut apart = apart;
        if self.has_label_beside(next)
            && let Some(label) = cells.next()
        {
            lines.push(TextLine { text: label.to_owned(), apart, runs_on: false });
            apart = false;
        }
        let text = cells.collect::<Vec<_>>().join(" | ");
        if !text.is_empty() {
            lines.push(TextLine { text, apart, runs_on });
        }
    }

    /// Whether the first cell is a heading in capitals beside its text, which goes on below itself.
    fn has_label_beside(&self, next: Option<&Self>) -> bool {
        let [(_, label), (from, text)] = self.cells.as_slice() else { return false };
        let capital = label.chars().filter(|c| c.is_alphabetic()).count() >= 4 && !label.contains(char::is_lowercase);
        let goes_on = next.is_some_and(|next| match next.cells.as_slice() {
            [(place, _)] => (place - from).abs() < self.em,
            _ => false,
        });
        capital && !label.contains(|c: char| c.is_numeric()) && (goes_on || text.len() >= LABELLED_TEXT)
    }
}

/// Whether what stands between two pieces parts cells: it is wide, or the line above or below has a wide gap there.
fn are_cells(before: &Piece, after: &Piece, neighbours: [Option<&Line>; 2]) -> bool {
    is_wide(before, after)
        || neighbours.into_iter().flatten().any(|line| {
            line.pieces
                .windows(2)
                .any(|pair| is_wide(&pair[0], &pair[1]) && pair[0].to.max(before.to) < pair[1].from.min(after.from))
        })
}

fn is_wide(before: &Piece, after: &Piece) -> bool {
    after.from - before.to > CELL_GAP * before.em.max(after.em)
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
    let middle = distances.get(distances.len() / 5).copied().unwrap_or(1.2);
    if distances.len() < 4 { middle.min(1.4) } else { middle }
}

/// Whether there is more than `most` line heights between two lines.
fn stands_apart(before: &Line, line: &Line, most: f32) -> bool {
    let size = before.size().max(line.size());
    let distance = (line.base() - before.base()) / size;
    distance > most || distance < -0.5
}
