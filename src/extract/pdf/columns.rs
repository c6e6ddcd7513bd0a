//! The order of lines: columns one after the other, tables and banners row by row.

use std::collections::HashSet;

use super::lines::Line;

/// Lines from which on a page is no longer looked at for columns: no page has so many.
const LINES_MAX: usize = 2_000;
/// Pieces of a line from which on no columns begin with it: in four columns each line is two pieces at most.
const PIECES_MAX: usize = 12;
/// Columns within columns.
const DEPTH_MAX: usize = 6;
/// Width of the white strip between two columns, in ems.
const GUTTER_MIN: f32 = 0.7;
/// The same where a line of one comes close to the other.
const SEAM_MIN: f32 = 0.3;
/// Distance of a footer or header from the columns, as a multiple of that between lines.
const MARGIN_DISTANCE: f32 = 2.0;
/// Lines that a column has at least.
const COLUMN_LINES_MIN: usize = 3;
/// Share of lines that go on with the full line above, from which on labels are those of a report and not of a form.
const WRAPPED_SHARE_MIN: f32 = 0.35;

/// Lines that are read one after the other.
pub(super) type Block = Vec<Line>;

/// The blocks of a page in reading order, from its lines in each direction.
pub(super) fn blocks(directions: Vec<Vec<Line>>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for lines in directions {
        divide(lines, 0, &mut blocks);
    }
    blocks
}

/// Divides lines where columns stand beside each other.
fn divide(lines: Vec<Line>, depth: usize, blocks: &mut Vec<Block>) {
    let mut rest = lines;
    let mut from = 0;
    let mut looked = rest.len() > LINES_MAX || depth >= DEPTH_MAX;
    while !looked {
        let mut refused = HashSet::new();
        let Some(region) = (from..rest.len()).find_map(|at| region_at(&rest, at, &mut refused)) else { break };
        let after = rest.split_off(region.end);
        let columns = rest.split_off(region.start);
        push(rest, blocks);
        let (left, right) = parted(columns, region.middle);
        divide(left, depth + 1, blocks);
        divide(right, depth + 1, blocks);
        rest = after;
        from = 0;
        looked = rest.is_empty();
    }
    push(rest, blocks);
}

fn push(lines: Vec<Line>, blocks: &mut Vec<Block>) {
    if !lines.is_empty() {
        blocks.push(lines);
    }
}

/// Lines with a white strip from top to bottom.
struct Region {
    start: usize,
    end: usize,
    middle: f32,
}

/// Regions that were looked at and are no columns: nearly every line of a table leads to the same one.
type Refused = HashSet<(usize, usize, u32)>;

/// The two columns that begin with the line at `at`, or above it.
fn region_at(lines: &[Line], at: usize, refused: &mut Refused) -> Option<Region> {
    let pieces = &lines[at].pieces;
    if pieces.len() > PIECES_MAX {
        return None;
    }
    let gaps = pieces.windows(2).map(|pair| (pair[0].to, pair[1].from));
    gaps.filter_map(|strip| region_along(lines, at, strip, refused)).max_by_key(|region| region.end - region.start)
}

fn region_along(lines: &[Line], at: usize, strip: (f32, f32), refused: &mut Refused) -> Option<Region> {
    let mut strip = Strip { from: strip.0, to: strip.1, within: false };
    let mut end = at;
    while let Some(narrowed) = lines.get(end).and_then(|line| strip.narrowed(line)) {
        strip = narrowed;
        end += 1;
    }
    let mut start = at;
    while let Some(narrowed) = start.checked_sub(1).and_then(|above| strip.narrowed(&lines[above])) {
        strip = narrowed;
        start -= 1;
    }
    let middle = f32::midpoint(strip.from, strip.to);
    if !refused.insert((start, end, middle.to_bits())) {
        return None;
    }
    let end = end - margin(lines[start..end].iter());
    let start = start + margin(lines[start..end].iter().rev());
    let (left, right) = parted(lines[start..end].to_vec(), middle);
    are_columns(&left, &right).then_some(Region { start, end, middle })
}

/// How many lines at the end stand apart from the others, as a footer does: two at most.
fn margin<'l>(lines: impl ExactSizeIterator<Item = &'l Line>) -> usize {
    let bases: Vec<f32> = lines.map(Line::base).collect();
    let distances: Vec<f32> = bases.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    let mut sorted = distances.clone();
    sorted.sort_by(f32::total_cmp);
    let Some(usual) = sorted.get(sorted.len() / 2).filter(|_| sorted.len() > 2 * COLUMN_LINES_MIN) else { return 0 };
    let far = |from_end: &usize| distances[distances.len() - from_end] > usual * MARGIN_DISTANCE;
    [2, 1].into_iter().find(far).unwrap_or(0)
}

/// A white strip between what stands left and right of it.
#[derive(Clone, Copy)]
struct Strip {
    from: f32,
    to: f32,
    /// True if it runs through a seam: its sides come so close to each other that they were joined.
    within: bool,
}

impl Strip {
    /// The strip without what the line covers of it; none if it runs through the line's text.
    fn narrowed(self, line: &Line) -> Option<Self> {
        let Self { mut from, mut to, mut within } = self;
        let middle = f32::midpoint(from, to);
        for piece in &line.pieces {
            if piece.to <= middle {
                from = from.max(piece.to);
            } else if piece.from >= middle {
                to = to.min(piece.from);
            } else {
                let seam = piece.seams.iter().find(|seam| seam.from < to && seam.to > from)?;
                (from, to, within) = (from.max(seam.from), to.min(seam.to), true);
            }
        }
        let em = line.pieces.iter().map(|piece| piece.em).fold(f32::INFINITY, f32::min);
        let least = if within { SEAM_MIN } else { GUTTER_MIN };
        (to - from >= least * em.min(12.0)).then_some(Self { from, to, within })
    }
}

/// The parts of lines on either side.
fn parted(lines: Vec<Line>, middle: f32) -> (Vec<Line>, Vec<Line>) {
    let (mut lefts, mut rights) = (Vec::new(), Vec::new());
    for Line { pieces, edge } in lines {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for piece in pieces {
            match piece.seams.iter().find(|seam| (seam.from..=seam.to).contains(&middle)) {
                Some(seam) => {
                    let [before, after] = piece.parted(seam);
                    left.push(before);
                    right.push(after);
                }
                None if piece.to <= middle => left.push(piece),
                None => right.push(piece),
            }
        }
        for (pieces, side) in [(left, &mut lefts), (right, &mut rights)] {
            if !pieces.is_empty() {
                side.push(Line { pieces, edge });
            }
        }
    }
    (lefts, rights)
}

/// Whether a reader reads the left lines first, then the right ones: running text on both sides, or lines that do not
/// stand side by side.
fn are_columns(left: &[Line], right: &[Line]) -> bool {
    let fewer = left.len().min(right.len());
    if fewer < COLUMN_LINES_MIN {
        return false;
    }
    let level = left.iter().filter(|line| right.iter().any(|other| is_level(line, other))).count();
    if level * 2 < fewer {
        return true;
    }
    [left, right].iter().all(|side| is_running_text(side))
}

fn is_level(line: &Line, other: &Line) -> bool {
    (line.base() - other.base()).abs() <= 0.3 * line.size().min(other.size())
}

/// Lines that fill their column, with several words each, and no labels: neither a form nor a table. A report has labels
/// too ("Liver: …"), but what follows them is wrapped.
fn is_running_text(lines: &[Line]) -> bool {
    let from =
        lines.iter().filter_map(|line| line.pieces.first()).map(|piece| piece.from).fold(f32::INFINITY, f32::min);
    let to = lines.iter().filter_map(|line| line.pieces.last()).map(|piece| piece.to).fold(0.0, f32::max);
    let is_full = |line: &Line| line.pieces.last().is_some_and(|piece| piece.to >= from + 0.8 * (to - from));
    let is_labelled = |line: &Line| line.pieces.first().is_some_and(|piece| begins_with_label(&piece.text));
    let of_all = |count: usize| count as f32 / lines.len().max(1) as f32;
    let share = |test: &dyn Fn(&Line) -> bool| of_all(lines.iter().filter(|line| test(line)).count());
    let full = share(&is_full);
    let words = share(&|line| line.pieces.iter().map(|piece| piece.text.split(' ').count()).sum::<usize>() >= 3);
    let labels = share(&is_labelled);
    let whole = share(&|line| line.pieces.len() <= 2);
    let wrapped = of_all(lines.windows(2).filter(|pair| is_full(&pair[0]) && !is_labelled(&pair[1])).count());
    full >= 0.5 && words >= 0.6 && whole >= 0.7 && (labels <= 0.3 || wrapped >= WRAPPED_SHARE_MIN)
}

/// "Date of birth: …", but no time of day, and no label of a second sentence.
fn begins_with_label(text: &str) -> bool {
    let Some((label, rest)) = text.split_once(':') else { return false };
    label.len() <= 25
        && label.contains(char::is_alphabetic)
        && !label.contains(". ")
        && !rest.starts_with(|c: char| c.is_ascii_digit())
}
