//! From glyphs to lines: words by their distances, lines by their baselines.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::canvas::{Canvas, Glyph};

/// Distances along a line, in ems.
mod gap {
    /// From here on there is a space between two glyphs. Kerning stays below; spaces of justified lines stay above.
    pub(super) const WORD: f32 = 0.13;
    /// From here on the line is divided: cells of a table, columns.
    pub(super) const PIECE: f32 = 0.7;
    /// A glyph that begins so far before the end of the last one does not go on with it.
    pub(super) const BACK: f32 = -0.5;
    /// From here on what was drawn at different times may belong to two columns.
    pub(super) const SEAM: f32 = 0.35;
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
    /// Which of the page's runs it was joined from, in the order that they were drawn in.
    drawn: Range<usize>,
    /// Gaps in it that two columns may part at.
    pub(super) seams: Vec<Seam>,
}

/// A gap within a piece whose sides were not drawn one after the other.
#[derive(Clone, Debug)]
pub(super) struct Seam {
    /// Byte of the text at which its right side begins.
    at: usize,
    pub(super) from: f32,
    pub(super) to: f32,
}

impl Piece {
    /// The two sides of a seam.
    pub(super) fn parted(&self, seam: &Seam) -> [Self; 2] {
        let (left, right) = self.text.split_at(seam.at);
        let of = |text: &str, from, to, moved: usize| {
            let seams = self.seams.iter().filter(|one| one.from >= from && one.to <= to);
            let seams = seams.map(|one| Seam { at: one.at.saturating_sub(moved), ..one.clone() }).collect();
            Self { text: text.to_owned(), from, to, seams, ..self.clone() }
        };
        [of(left.trim_end(), self.from, seam.from, 0), of(right, seam.to, self.to, seam.at)]
    }
}

/// A line: its pieces from left to right.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) pieces: Vec<Piece>,
    /// Its number among those at the edges of the page, if it is one of them.
    pub(super) edge: Option<usize>,
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
    let (mut spaced, mut spacing) = (false, 0.0);
    for letter in letters {
        if letter.text.trim().is_empty() {
            spaced |= !letter.text.is_empty();
            spacing += letter.glyph.wanted_spacing();
            continue;
        }
        if runs.last().and_then(|run| run.last()).is_some_and(|last| last.is_shadowed_by(&letter)) {
            continue;
        }
        match runs.last_mut().and_then(|run| Some((run.last()?.distance_to(&letter, spacing)?, run))) {
            Some((distance, run)) => run.push(Joint { letter, distance, spaced }),
            None => runs.push(vec![Joint { letter, distance: 0.0, spaced: false }]),
        }
        (spaced, spacing) = (false, 0.0);
    }
    runs.iter().enumerate().filter_map(|(index, run)| piece(index, run)).collect()
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

    /// The distance of a letter that goes on where this one ends, in ems. `blanks` is the spacing of what is between them.
    fn distance_to(&self, letter: &Letter<'_>, blanks: f32) -> Option<f32> {
        let same_operation = self.letter.glyph.operation == letter.glyph.operation;
        let spacing = if same_operation { self.letter.glyph.wanted_spacing() + blanks } else { 0.0 };
        if !follows(&self.letter, letter, spacing) {
            return None;
        }
        Some((letter.from - self.letter.to - spacing) / letter.glyph.em.max(0.1))
    }
}

/// The text of a run.
fn piece(index: usize, run: &[Joint<'_>]) -> Option<Piece> {
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
        drawn: index..index + 1,
        seams: Vec::new(),
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
fn follows(before: &Letter<'_>, letter: &Letter<'_>, spacing: f32) -> bool {
    let (size, other) = (letter.glyph.size, before.glyph.size);
    let em = letter.glyph.em;
    let distance = letter.from - before.to;
    (letter.base - before.base).abs() <= 0.2 * size.min(other)
        && size <= other * 1.6
        && other <= size * 1.6
        && distance >= gap::BACK * em
        && distance - spacing <= gap::PIECE * em
}

/// Gathers pieces into lines.
fn gather(pieces: Vec<Piece>) -> Vec<Line> {
    let mut rows: Vec<Row> = chains(pieces).into_iter().map(Row::of).collect();
    rows.sort_by(|a, b| a.top.total_cmp(&b.top));
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
        let goes_on = chains.last().and_then(|chain| chain.last()).is_some_and(|last| {
            (piece.base - last.base).abs() <= 0.2 * piece.size.min(last.size)
                && piece.from >= last.to + gap::BACK * piece.em
        });
        match chains.last_mut() {
            Some(chain) if goes_on => chain.push(piece),
            _ => chains.push(vec![piece]),
        }
    }
    chains
}

/// A place along a line; the number tells apart what begins at one place.
#[derive(Clone, Copy, Debug)]
struct Along(f32, usize);

impl Ord for Along {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Along {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Along {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Along {}

/// A line in the making: its pieces from left to right. A map, since a page may put thousands of them on one line in any
/// order.
struct Row {
    pieces: BTreeMap<Along, Piece>,
    /// Where the highest one's baseline is.
    top: f32,
}

impl Row {
    fn of(pieces: Vec<Piece>) -> Self {
        let mut row = Self { pieces: BTreeMap::new(), top: f32::INFINITY };
        for piece in pieces {
            row.put(piece);
        }
        row
    }

    fn put(&mut self, piece: Piece) {
        self.top = self.top.min(piece.base);
        self.pieces.insert(Along(piece.from, piece.drawn.start), piece);
    }

    fn take(&mut self, other: Self) {
        for piece in other.pieces.into_values() {
            self.put(piece);
        }
    }

    /// Whether both have one baseline where they are closest to each other.
    fn is_level_with(&self, other: &Self) -> bool {
        let Some((a, b)) = self.closest(other) else { return false };
        (a.base - b.base).abs() <= 0.35 * a.size.min(b.size)
    }

    /// The neighbouring pieces of both. Pieces are in order, so that the ends and the places between tell.
    fn closest<'r>(&'r self, other: &'r Self) -> Option<(&'r Piece, &'r Piece)> {
        let (_, first) = other.pieces.first_key_value()?;
        match self.pieces.range(..Along(first.from, 0)).next_back() {
            Some((_, before)) => Some((before, first)),
            None => Some((self.pieces.first_key_value()?.1, other.pieces.last_key_value()?.1)),
        }
    }

    /// Whether it has a word that this small piece continues, or begins.
    fn hosts(&self, mark: &Piece) -> bool {
        let is_raised = |word: &Piece| {
            let most = if mark.text.len() <= MARK_BYTES_MAX { 0.92 } else { 0.85 };
            mark.size <= word.size * most && (-0.7..=0.6).contains(&((mark.base - word.base) / word.size))
        };
        let before = self.pieces.range(..=Along(mark.from, usize::MAX)).rev().take(HOSTS).map(|(_, word)| word);
        let mut before = before.filter(|word| (-0.2..=0.4).contains(&((mark.from - word.to) / word.em)));
        let after = self.pieces.range(Along(mark.from, 0)..).take(HOSTS).map(|(_, word)| word);
        let mut after = after.filter(|word| (-0.2..=0.2).contains(&((word.from - mark.to) / word.em)));
        before.any(is_raised) || after.any(is_raised)
    }

    /// Drops what was drawn twice to look bold, and joins pieces that touch.
    fn finish(self) -> Line {
        let mut pieces: Vec<Piece> = Vec::with_capacity(self.pieces.len());
        for piece in self.pieces.into_values() {
            match pieces.last_mut() {
                Some(last) if is_shadow(last, &piece) => {}
                Some(last) if touches(last, &piece) => join(last, &piece),
                _ => pieces.push(piece),
            }
        }
        join_spaced_capitals(&mut pieces);
        Line { pieces, edge: None }
    }
}

/// Bytes of a mark whose letters may be nearly as large as those of its word.
const MARK_BYTES_MAX: usize = 6;

/// Pieces on either side of a mark that may be the word that it belongs to: most often the next one.
const HOSTS: usize = 3;

/// Capitals that a line in wide letters has at least, and as many of them differ: fewer are marks in the columns of a
/// table.
const SPACED_CAPITALS_MIN: usize = 4;
/// Distance between such letters at most, in ems.
const SPACED_CAPITALS_GAP: f32 = 2.0;

/// Joins the letters of a heading ("I M P R E S S I O N") that were placed one by one, nearly at the same distances: where
/// the distance is much greater a word ends.
fn join_spaced_capitals(pieces: &mut Vec<Piece>) {
    let is_capital = |piece: &Piece| {
        let mut characters = piece.text.chars();
        characters.next().is_some_and(char::is_uppercase) && characters.next().is_none()
    };
    let letters: HashSet<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
    if letters.len() < SPACED_CAPITALS_MIN || !pieces.iter().all(is_capital) {
        return;
    }
    let middle = |piece: &Piece| f32::midpoint(piece.from, piece.to);
    let distances: Vec<f32> = pieces.windows(2).map(|pair| middle(&pair[1]) - middle(&pair[0])).collect();
    let mut sorted = distances.clone();
    sorted.sort_by(f32::total_cmp);
    let (usual, em) = (sorted[sorted.len() / 2], pieces[0].em);
    let within_word = |distance: f32| (distance - usual).abs() <= 0.5 * em;
    if usual > SPACED_CAPITALS_GAP * em || !distances.iter().all(|near| within_word(*near) || *near >= 1.5 * usual) {
        return;
    }
    let mut text = pieces[0].text.clone();
    for (piece, distance) in pieces[1..].iter().zip(distances) {
        text.extend((!within_word(distance)).then_some(' '));
        text.push_str(&piece.text);
    }
    let to = pieces.last().map_or(0.0, |piece| piece.to);
    pieces.truncate(1);
    (pieces[0].text, pieces[0].to) = (text, to);
}

/// Lets a piece go on in the one behind it.
fn join(last: &mut Piece, piece: &Piece) {
    let distance = piece.from - last.to;
    if distance > gap::WORD * piece.em.min(last.em) || piece.from < last.from {
        last.text.push(' ');
    }
    if distance >= gap::SEAM * piece.em.max(last.em) && last.drawn.end != piece.drawn.start {
        last.seams.push(Seam { at: last.text.len(), from: last.to, to: piece.from });
    }
    last.text.push_str(&piece.text);
    last.to = last.to.max(piece.to);
    last.drawn.end = piece.drawn.end;
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

/// Puts raised or lowered marks ("cm²", "10⁹/L", "a⁴⁾"), which stand on lines of their own, into those that they belong
/// to.
fn attach_raised(lines: &mut Vec<Row>) {
    for index in 0..lines.len() {
        let near = index.saturating_sub(3)..(index + 4).min(lines.len());
        let host_of = |mark: &Piece| near.clone().find(|at| *at != index && lines[*at].hosts(mark));
        let marks = lines[index].pieces.iter();
        let marks: Vec<(Along, usize)> = marks.filter_map(|(at, mark)| Some((*at, host_of(mark)?))).collect();
        for (at, host) in marks {
            if let Some(mark) = lines[index].pieces.remove(&at) {
                lines[host].put(mark);
            }
        }
    }
    lines.retain(|line| !line.pieces.is_empty());
}
