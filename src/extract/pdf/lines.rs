//! From glyphs to lines: words by their distances, lines by their baselines.

use std::collections::BTreeMap;

use super::canvas::{Canvas, Glyph};

/// Distances along a line, in ems.
mod gap {
    /// From here on there is a space between two glyphs. Kerning stays below; spaces of justified lines stay above.
    pub(super) const WORD: f32 = 0.13;
    /// From here on the line is divided: cells of a table, columns.
    pub(super) const PIECE: f32 = 0.7;
    /// A glyph that begins so far before the end of the last one does not go on with it.
    pub(super) const BACK: f32 = -0.5;
}

/// Degrees from upright up to which text counts as upright: scans lie a little askew.
const ASKEW_DEGREES_MAX: f32 = 5.0;

/// A part of a line without a wide gap.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Where it begins and ends along the line.
    pub(super) from: f32,
    pub(super) to: f32,
    /// Where its baseline is, across the lines: greater is further down.
    pub(super) base: f32,
    /// Height of its letters' font.
    pub(super) size: f32,
    /// Width of its em.
    pub(super) em: f32,
}

/// A line: its pieces from left to right.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) pieces: Vec<Piece>,
}

impl Line {
    pub(super) fn base(&self) -> f32 {
        self.main().map_or(0.0, |piece| piece.base)
    }

    pub(super) fn size(&self) -> f32 {
        self.main().map_or(1.0, |piece| piece.size)
    }

    /// The longest piece: it stands for the line.
    fn main(&self) -> Option<&Piece> {
        self.pieces.iter().max_by_key(|piece| piece.text.len())
    }
}

/// The lines of a page, from top to bottom; text in other directions than most of it comes behind, each direction by
/// itself. Either what is shown or what is hidden.
pub(super) fn lines(canvas: &Canvas, hidden: bool) -> Vec<Vec<Line>> {
    let mut directions: BTreeMap<i16, Vec<&Glyph>> = BTreeMap::new();
    for glyph in canvas.glyphs.iter().filter(|glyph| glyph.hidden == hidden) {
        directions.entry(direction(glyph)).or_default().push(glyph);
    }
    let mut directions: Vec<(i16, Vec<&Glyph>)> = directions.into_iter().collect();
    directions.sort_by_key(|(_, glyphs)| std::cmp::Reverse(glyphs.len()));
    directions.into_iter().map(|(degrees, glyphs)| upright_lines(canvas, degrees, &glyphs)).collect()
}

/// The angle of a glyph's baseline in degrees; the right angles attract what is close to them.
fn direction(glyph: &Glyph) -> i16 {
    let (dx, dy) = (glyph.end.0 - glyph.start.0, glyph.end.1 - glyph.start.1);
    if dx == 0.0 && dy == 0.0 {
        return 0;
    }
    let degrees = dy.atan2(dx).to_degrees();
    let right = (degrees / 90.0).round() * 90.0;
    let degrees = if (degrees - right).abs() <= ASKEW_DEGREES_MAX { right } else { degrees.round() };
    #[expect(clippy::cast_possible_truncation, reason = "an angle of at most 180 degrees")]
    let degrees = degrees as i16;
    degrees.rem_euclid(360)
}

/// A glyph in a space where its line runs to the right.
struct Letter<'c> {
    text: &'c str,
    from: f32,
    to: f32,
    base: f32,
    glyph: &'c Glyph,
}

fn upright_lines(canvas: &Canvas, degrees: i16, glyphs: &[&Glyph]) -> Vec<Line> {
    let (sin, cos) = f32::from(degrees).to_radians().sin_cos();
    let along = |(x, y): (f32, f32)| x * cos + y * sin;
    let across = |(x, y): (f32, f32)| y * cos - x * sin;
    let letters = glyphs.iter().map(|glyph| {
        let (from, to) = (along(glyph.start), along(glyph.end));
        let text = &canvas.text[glyph.text.clone()];
        Letter { text, from: from.min(to), to: from.max(to), base: across(glyph.start), glyph }
    });
    gather(pieces(letters))
}

/// Joins letters that follow each other, in the order that they were drawn in.
fn pieces<'c>(letters: impl Iterator<Item = Letter<'c>>) -> Vec<Piece> {
    let mut runs: Vec<Vec<Joint<'c>>> = Vec::new();
    let mut spaced = false;
    for letter in letters {
        if letter.text.trim().is_empty() {
            spaced |= !letter.text.is_empty();
            continue;
        }
        if runs.last().and_then(|run| run.last()).is_some_and(|last| last.is_shadowed_by(&letter)) {
            continue;
        }
        match runs.last_mut().and_then(|run| Some((run.last()?.distance_to(&letter)?, run))) {
            Some((distance, run)) => run.push(Joint { letter, distance, spaced }),
            None => runs.push(vec![Joint { letter, distance: 0.0, spaced: false }]),
        }
        spaced = false;
    }
    runs.into_iter().filter_map(|run| piece(&run)).collect()
}

/// A letter in its run.
struct Joint<'c> {
    letter: Letter<'c>,
    /// From the letter before, in ems.
    distance: f32,
    /// Whether there is a space before it.
    spaced: bool,
}

impl Joint<'_> {
    /// Whether a letter is this one once more, a hair's breadth beside: it was drawn twice to look bold.
    fn is_shadowed_by(&self, letter: &Letter<'_>) -> bool {
        let near = 0.1 * letter.glyph.em;
        let (along, across) = (letter.from - self.letter.from, letter.base - self.letter.base);
        self.letter.text == letter.text && along.abs() < near && across.abs() < near
    }

    /// The distance of a letter that goes on where this one ends, in ems.
    fn distance_to(&self, letter: &Letter<'_>) -> Option<f32> {
        if !follows(&self.letter, letter) {
            return None;
        }
        let same_operation = self.letter.glyph.operation == letter.glyph.operation;
        let spacing = if same_operation { self.letter.glyph.spacing.max(0.0) } else { 0.0 };
        Some((letter.from - self.letter.to - spacing) / letter.glyph.em.max(0.1))
    }
}

/// The text of a run.
fn piece(run: &[Joint<'_>]) -> Option<Piece> {
    let first = &run.first()?.letter;
    let space = space_of(run);
    let mut text = String::new();
    for joint in run {
        if joint.spaced || joint.distance > space {
            text.push(' ');
        }
        // What stands for a letter by `ActualText` may have line ends.
        text.extend(joint.letter.text.chars().map(|sign| if sign.is_whitespace() { ' ' } else { sign }));
    }
    Some(Piece {
        text,
        from: first.from,
        to: run.iter().map(|joint| joint.letter.to).fold(first.to, f32::max),
        base: first.base,
        size: first.glyph.size.max(0.1),
        em: first.glyph.em.max(0.1),
    })
}

/// The distance from which on there is a space, in ems. In letter-spaced text nearly all letters stand apart by the
/// same, and words by more.
fn space_of(run: &[Joint<'_>]) -> f32 {
    let mut apart: Vec<f32> = run[1..].iter().filter(|joint| !joint.spaced).map(|joint| joint.distance).collect();
    apart.sort_by(f32::total_cmp);
    let Some(tenth) = apart.get(apart.len() / 5).filter(|_| apart.len() >= LETTER_SPACED_MIN) else { return gap::WORD };
    if *tenth > gap::WORD { apart[apart.len() / 2] + gap::WORD } else { gap::WORD }
}

/// Distances that a run has at least for its letters to count as spaced.
const LETTER_SPACED_MIN: usize = 4;

/// Whether a letter goes on where the one before it ended.
fn follows(before: &Letter<'_>, letter: &Letter<'_>) -> bool {
    let (size, other) = (letter.glyph.size, before.glyph.size);
    let em = letter.glyph.em;
    let distance = letter.from - before.to;
    (letter.base - before.base).abs() <= 0.2 * size.min(other)
        && size <= other * 1.6
        && other <= size * 1.6
        && distance >= gap::BACK * em
        && distance <= gap::PIECE * em
}

/// Gathers pieces into lines.
fn gather(pieces: Vec<Piece>) -> Vec<Line> {
    let mut rows: Vec<Row> = Vec::new();
    for chain in chains(pieces) {
        rows.push(Row { pieces: chain });
    }
    rows.sort_by(|a, b| a.top().total_cmp(&b.top()));
    let mut lines: Vec<Row> = Vec::new();
    for row in rows {
        // Rows are sorted, so that only the last few lines can be the same one.
        let recent = lines.len().saturating_sub(LINES_BACK);
        match lines[recent..].iter_mut().rev().find(|line| line.is_level_with(&row)) {
            Some(line) => line.take(row),
            None => lines.push(row),
        }
    }
    attach_raised(&mut lines);
    let mut lines: Vec<Line> = lines.into_iter().map(Row::finish).filter(|line| !line.pieces.is_empty()).collect();
    lines.sort_by(|a, b| a.base().total_cmp(&b.base()));
    lines
}

/// Lines above that a row may still belong to: askew ones overlap.
const LINES_BACK: usize = 12;

/// Pieces that were drawn one after the other along one baseline, also of a line that is askew.
fn chains(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut chains: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces {
        match chains.last_mut().and_then(|chain| Some((chain.last()?.clone(), chain))) {
            Some((last, chain))
                if (piece.base - last.base).abs() <= 0.2 * piece.size.min(last.size)
                    && piece.from >= last.to + gap::BACK * piece.em =>
            {
                chain.push(piece);
            }
            _ => chains.push(vec![piece]),
        }
    }
    chains
}

/// A line in the making: its pieces from left to right.
struct Row {
    pieces: Vec<Piece>,
}

impl Row {
    fn top(&self) -> f32 {
        self.pieces.iter().map(|piece| piece.base).fold(f32::INFINITY, f32::min)
    }

    /// Whether both have one baseline where they are closest to each other.
    fn is_level_with(&self, other: &Self) -> bool {
        let Some((a, b)) = self.closest(other) else { return false };
        (a.base - b.base).abs() <= 0.35 * a.size.min(b.size)
    }

    /// The neighbouring pieces of both. Pieces are in order, so that the ends and the places between tell.
    fn closest<'r>(&'r self, other: &'r Self) -> Option<(&'r Piece, &'r Piece)> {
        let first = other.pieces.first()?;
        let at = self.pieces.partition_point(|piece| piece.from < first.from);
        match at.checked_sub(1) {
            Some(before) => Some((&self.pieces[before], first)),
            None => Some((self.pieces.first()?, other.pieces.last()?)),
        }
    }

    fn take(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
        self.pieces.sort_by(|a, b| a.from.total_cmp(&b.from));
    }

    /// Drops what was drawn twice to look bold, and joins pieces that touch.
    fn finish(self) -> Line {
        let mut pieces: Vec<Piece> = Vec::with_capacity(self.pieces.len());
        for piece in self.pieces {
            match pieces.last_mut() {
                Some(last) if is_shadow(last, &piece) => {}
                Some(last) if touches(last, &piece) => {
                    if piece.from - last.to > gap::WORD * piece.em.min(last.em) || piece.from < last.from {
                        last.text.push(' ');
                    }
                    last.text.push_str(&piece.text);
                    last.to = last.to.max(piece.to);
                }
                _ => pieces.push(piece),
            }
        }
        Line { pieces }
    }
}

/// The same text a hair's breadth beside.
fn is_shadow(last: &Piece, piece: &Piece) -> bool {
    last.text.ends_with(&piece.text)
        && (last.to - piece.to).abs() < 0.3 * piece.em
        && (last.base - piece.base).abs() < 0.3 * piece.size
}

fn touches(last: &Piece, piece: &Piece) -> bool {
    let distance = piece.from - last.to;
    distance <= gap::PIECE * piece.em.max(last.em) && distance >= gap::BACK * piece.em.max(last.em)
}

/// Puts lines that are only a raised or lowered mark ("cm²", "a⁴⁾") into the line that they belong to.
fn attach_raised(lines: &mut Vec<Row>) {
    let mut index = 0;
    while index < lines.len() {
        match host_of(lines, index) {
            Some(host) => {
                let mark = lines.remove(index);
                let host = if host > index { host - 1 } else { host };
                lines[host].take(mark);
            }
            None => index += 1,
        }
    }
}

/// The neighbouring line in which the only, small piece of a line continues a word.
fn host_of(lines: &[Row], index: usize) -> Option<usize> {
    let [mark] = lines[index].pieces.as_slice() else { return None };
    let near = index.saturating_sub(3)..(index + 4).min(lines.len());
    near.filter(|at| *at != index).find(|at| {
        lines[*at].pieces.iter().any(|word| {
            let (drop, distance) = (mark.base - word.base, mark.from - word.to);
            let before = word.from - mark.to;
            let beside = (-0.2..=0.4).contains(&(distance / word.em)) || (-0.2..=0.2).contains(&(before / word.em));
            mark.size <= word.size * 0.85 && beside && (-0.7..=0.4).contains(&(drop / word.size))
        })
    })
}
