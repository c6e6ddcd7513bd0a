//! From lines to text: paragraphs, cells, words that a line end divides.

use std::collections::HashSet;

use super::super::gap::CELL_SEPARATOR;
use super::super::lines::is_list_marker;
use super::super::words::Words as Dictionary;
use super::columns::Block;
use super::lines::{Line, Piece};
use super::running::Running;
use crate::domain::source_map::{Place, SourceMap};

/// Distance within a line from which on two pieces are cells, in ems.
const CELL_GAP: f32 = 1.5;
/// Words of a line at least, of which equal distances say that it was drawn out.
const JUSTIFIED_WORDS_MIN: usize = 4;
/// How much such distances may differ: producers measure words with another font than they show them in.
const JUSTIFIED_TOLERANCE: f32 = 0.15;
/// Distance between lines, as a multiple of the usual one, from which on they stand apart.
const APART: f32 = 1.3;
/// Line heights between the rows of a table, at most.
const TABLE_DISTANCE: f32 = 3.0;
/// Shown only where a line ends after it.
const SOFT_HYPHEN: char = '\u{ad}';
/// Bytes of a text, from which on capitals beside it are its heading.
const LABELLED_TEXT: usize = 60;

/// Bytes of a page's last line, from which on its sentence may go on overleaf: it fills its line.
const OVERLEAF_BYTES_MIN: usize = 40;

/// First parts of compounds that keep their hyphen where a line ends after it.
static COMPOUND_FIRST: Dictionary = Dictionary::new(
    "follow, non, well, self, high, low, short, long, half, cross, ill, contrast, dose, fat, right, left, soft, single, \
     double, triple, node, hormone, castration, platinum, treatment, cancer, gross, bone, size, near, thin, thick, \
     first, second, third, fourth, fifth, later, front, one, two, three, four, five, twenty, thirty, forty, fifty, sixty, \
     seventy, eighty, ninety, lymph, breath, whole, full, best, large, small, late, early, intermediate, life, event, \
     progression, disease, relapse, recurrence, metastasis, symptom, biopsy, margin, steroid, receptor",
);
/// Second parts of such.
static COMPOUND_SECOND: Dictionary = Dictionary::new(
    "up, guided, based, related, like, old, term, dose, grade, sided, enhanced, weighted, free, year, month, week, day, \
     phase, ray, positive, negative, resistant, sensitive, naive, naïve, proven, avid, mutant, directed, induced, only, \
     specific, complete, refractory, treated, risk, dependent, independent, associated, threatening, responsive, \
     limiting, sparing, modified, adapted, matched, adjusted, appearing, walled, reduced, deficient, rich, driven, \
     containing, mediated, amplified, rearranged, type, wild, confirmed, targeted, intent",
);
/// Beginnings that make another word of these ("in-complete", "un-treated"): what a line end divides there is no compound.
static SYLLABLES: Dictionary = Dictionary::new(
    "in, un, im, ir, il, dis, re, de, ex, con, com, per, mis, hyper, hypo, under, over, with, where, there",
);
/// Beginnings that keep their hyphen before a word, and are syllables of another ("pre-vious") as often.
static BEFORE_WORDS: Dictionary = Dictionary::new("pre, post, anti, peri, intra, inter");
/// Such words.
static AFTER_BEGINNINGS: Dictionary = Dictionary::new(
    "existing, treatment, operative, operatively, contrast, therapy, surgical, surgery, radiation, chemotherapy, \
     procedure, biopsy, transplant, transplantation, induction, baseline, cycle, dose, menopausal, resection, ablation",
);
/// Letters of both parts of a divided word that are taken for words of the document.
const PART_LETTERS_MIN: usize = 4;

/// Endings, which are no words: what comes before them is divided, not compound.
const ENDINGS: [&str; 11] = ["fold", "ing", "ings", "ed", "er", "ers", "est", "ly", "ness", "ened", "ering"];

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
    /// Its number among the lines at the edges of the page.
    edge: Option<usize>,
}

impl PageText {
    pub(super) fn characters(&self) -> usize {
        self.lines.iter().map(|line| line.text.chars().count() + 1).sum()
    }
}

/// The text of pages, with the words joined that the end of a line or a page divides. `running` are lines that are not
/// written.
pub(super) fn write<'t>(
    pages: impl Iterator<Item = &'t PageText>,
    running: &Running,
    words: &Words,
) -> (String, SourceMap) {
    let pages = pages.enumerate();
    let lines = pages.flat_map(|(page, text)| text.lines.iter().map(move |line| (page, line)));
    let is_written = |(page, line): &(usize, &TextLine)| !line.edge.is_some_and(|edge| running.has(*page, edge));
    let lines: Vec<(usize, &TextLine)> = lines.filter(is_written).collect();
    let mut writer = Writer::default();
    let mut moved = 0;
    for (index, (page, line)) in lines.iter().enumerate() {
        let own = &line.text[moved..];
        moved = 0;
        let next =
            lines.get(index + 1).filter(|(on, next)| if on == page { !next.apart } else { goes_on(own, &next.text) });
        let next = next.map(|(_, next)| next).filter(|_| line.runs_on);
        let join = next.and_then(|next| Some((next, words.join(own, &next.text)?)));
        let shown = match &join {
            Some(_) => own.trim_end_matches(is_hyphen),
            None => own.trim_matches(|character| character == SOFT_HYPHEN || character == ' '),
        };
        if shown.is_empty() {
            continue;
        }
        writer.begin_line(*page, line);
        writer.push(shown);
        if let Some((next, Join { keeps_hyphen, second })) = join {
            writer.push(if keeps_hyphen { "-" } else { "" });
            writer.push(&next.text[..second]);
            moved = next.text.len() - next.text[second..].trim_start().len();
        }
    }
    writer.finish()
}

/// Whether a sentence that a page ends in goes on at the top of the next one.
fn goes_on(end: &str, begin: &str) -> bool {
    let end = end.trim_end();
    let fills_line = || end.len() >= OVERLEAF_BYTES_MIN && end.ends_with(|c: char| c.is_alphanumeric() || c == ',');
    (end.ends_with(is_hyphen) || fills_line())
        && (begin.starts_with(char::is_lowercase)
            || (begin.starts_with(|c: char| c.is_ascii_digit()) && !is_list_marker(begin)))
}

/// A text in the making.
#[derive(Default)]
struct Writer {
    text: String,
    map: SourceMap,
    /// Where the text of the page begins, and which it is.
    begun: usize,
    page: usize,
}

impl Writer {
    fn begin_line(&mut self, page: usize, line: &TextLine) {
        let turns = page != self.page;
        let goes_on = turns && line.runs_on && goes_on(self.text.rsplit('\n').next().unwrap_or_default(), &line.text);
        if turns {
            self.end_page();
            self.page = page;
        }
        if !self.text.is_empty() {
            self.text.push_str(if (line.apart || turns) && !goes_on { "\n\n" } else { "\n" });
        }
        if turns {
            self.begun = self.text.len();
        }
    }

    fn push(&mut self, text: &str) {
        self.text.extend(text.chars().filter(|character| *character != SOFT_HYPHEN));
    }

    fn end_page(&mut self) {
        // Cannot fail because pages are counted: there are at most `PAGES_MAX`.
        let number = u32::try_from(self.page + 1).unwrap_or(u32::MAX);
        self.map.push(self.begun..self.text.len(), Place::Pages(number, number), false);
    }

    fn finish(mut self) -> (String, SourceMap) {
        self.end_page();
        (self.text, self.map)
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
        let mut divided = false;
        for line in pages.flat_map(|page| &page.lines) {
            // What a line end divides is no word by itself.
            let begun = usize::from(divided);
            divided = line.text.ends_with(is_hyphen);
            let words: Vec<&str> = line.text.split_whitespace().skip(begun).collect();
            for word in words[..words.len() - usize::from(divided && !words.is_empty())].iter().map(|word| bare(word)) {
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

    fn is_compound(&self, part: &str, rest: &str) -> bool {
        let (first, rest) = (part.to_lowercase(), rest.to_lowercase());
        if self.hyphened.contains(&format!("{first}-{rest}")) {
            return true;
        }
        if ENDINGS.contains(&rest.as_str()) || self.whole.contains(&format!("{first}{rest}")) {
            return false;
        }
        // "T1-weighted", "ER-positive", "cT-stage", "x-ray", "time-to-event".
        let no_word =
            part.chars().skip(1).any(|c| !c.is_lowercase()) || first.chars().count() == 1 || rest.contains('-');
        let is_word = |word: &str| word.chars().count() >= PART_LETTERS_MIN && self.whole.contains(word);
        let are_words = is_word(&first) && is_word(&rest);
        let rest = rest.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
        no_word
            || COMPOUND_FIRST.has(&first)
            || (BEFORE_WORDS.has(&first) && AFTER_BEGINNINGS.has(rest))
            || (!SYLLABLES.has(&first) && (are_words || COMPOUND_SECOND.has(rest)))
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

/// The text of a line by itself.
pub(super) fn text_of(line: &Line) -> String {
    let cells = Row::between(line, [None, None]).cells;
    cells.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(CELL_SEPARATOR)
}

/// A line as cells: nearly always one.
struct Row {
    /// Each with its place along the line.
    cells: Vec<(f32, String)>,
    em: f32,
    edge: Option<usize>,
}

impl Row {
    fn of(block: &Block, at: usize) -> Self {
        let neighbours = [at.checked_sub(1), Some(at + 1)].map(|near| block.get(near?));
        Self::between(&block[at], neighbours)
    }

    fn between(line: &Line, neighbours: [Option<&Line>; 2]) -> Self {
        let justified = is_justified(line, neighbours);
        let mut cells: Vec<(f32, String)> = Vec::new();
        let mut before: Option<&Piece> = None;
        for piece in &line.pieces {
            let text = piece.text.trim();
            match (before, cells.last_mut()) {
                // A label and its value are no two cells to a reader.
                (Some(before), Some((_, cell)))
                    if justified || cell.ends_with(':') || !are_cells(before, piece, neighbours) =>
                {
                    cell.push(' ');
                    cell.push_str(text);
                }
                _ => cells.push((piece.from, text.to_owned())),
            }
            before = Some(piece);
        }
        cells.retain(|(_, text)| !text.is_empty());
        Self { cells, em: line.pieces.first().map_or(1.0, |piece| piece.em), edge: line.edge }
    }

    fn write(&self, apart: bool, next: Option<&Self>, lines: &mut Vec<TextLine>) {
        let mut cells = self.cells.iter().map(|(_, text)| text.as_str());
        let runs_on = self.cells.len() == 1;
        let (mut apart, edge) = (apart, self.edge);
        if self.has_label_beside(next)
            && let Some(label) = cells.next()
        {
            lines.push(TextLine { text: label.to_owned(), apart, runs_on: false, edge });
            apart = false;
        }
        let text = cells.collect::<Vec<_>>().join(CELL_SEPARATOR);
        if !text.is_empty() {
            lines.push(TextLine { text, apart, runs_on, edge });
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

/// Whether a line of few words was drawn out until it filled its column: all its words have the same distance, and those
/// above and below do not begin where they do.
fn is_justified(line: &Line, neighbours: [Option<&Line>; 2]) -> bool {
    let pieces = &line.pieces;
    if pieces.len() < JUSTIFIED_WORDS_MIN || pieces.iter().any(|piece| piece.text.trim().contains(' ')) {
        return false;
    }
    let gaps = || pieces.windows(2).map(|pair| pair[1].from - pair[0].to);
    let (least, most) = (gaps().fold(f32::INFINITY, f32::min), gaps().fold(0.0, f32::max));
    let near = 0.15 * pieces[0].em;
    let is_aligned = |piece: &&Piece| {
        let mut others = neighbours.into_iter().flatten().flat_map(|line| &line.pieces);
        others.any(|other| {
            let (from, to) = (other.from - piece.from, other.to - piece.to);
            from.abs() < near || to.abs() < near || (from + to).abs() < 2.0 * near
        })
    };
    // The first and the last word stand at the column's edges in any case.
    let inner = &pieces[1..pieces.len() - 1];
    let is_word = |piece: &&Piece| piece.text.chars().filter(|c| c.is_alphabetic()).count() >= 2;
    let words = pieces.iter().filter(is_word).count();
    most - least <= near.max(JUSTIFIED_TOLERANCE * most)
        && words * 2 > pieces.len()
        && inner.iter().filter(is_aligned).count() * 2 < inner.len()
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
