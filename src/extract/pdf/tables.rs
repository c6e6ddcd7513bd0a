//! Tables whose cells are wrapped: several lines are one row.

use super::columns::Block;
use super::lines::{Line, Piece};

/// Lines of a block that is looked at for such tables; no page has so many.
const LINES_MAX: usize = 1_000;
/// Pieces of a line that tell the distance of lines.
const PIECES_LOOKED_AT: usize = 20;
/// Distance between two rows, as a multiple of that between the lines of a cell.
const ROW_APART: f32 = 1.2;
/// Lines of a row; more are a text beside another.
const ROW_LINES_MAX: usize = 16;
/// Width of the white strip between two cells, in ems.
const STRIP_MIN: f32 = 0.5;
/// Lines further down in which a cell may go on: those of other cells lie between.
const LINES_BETWEEN: usize = 4;

/// The block with the lines of each such row as one line.
pub(super) fn joined(block: Block) -> Block {
    let Some(leading) = leading(&block).filter(|_| block.len() <= LINES_MAX) else { return block };
    let apart = |at: &usize| (block[*at].base() - block[at - 1].base()).abs() > leading * ROW_APART;
    let mut ends: Vec<usize> = (1..block.len()).filter(apart).collect();
    ends.push(block.len());
    let mut lines = block.iter();
    let mut joined = Vec::new();
    let mut start = 0;
    for end in ends {
        let group: Vec<&Line> = lines.by_ref().take(end - start).collect();
        match row(&group, &block) {
            Some(row) => joined.push(row),
            None => joined.extend(group.into_iter().cloned()),
        }
        start = end;
    }
    joined
}

/// The distance between the lines of a cell: the one that most have or fall short of.
fn leading(block: &Block) -> Option<f32> {
    let mut distances = Vec::new();
    for (at, line) in block.iter().enumerate() {
        for piece in line.pieces.iter().take(PIECES_LOOKED_AT) {
            let below =
                block[at + 1..].iter().take(LINES_BETWEEN).flat_map(|line| line.pieces.iter().take(PIECES_LOOKED_AT));
            let mut below = below.filter(|other| other.from < piece.to && other.to > piece.from);
            distances.extend(below.next().map(|other| other.base - piece.base));
        }
    }
    distances.retain(|distance| *distance > 0.0);
    distances.sort_by(f32::total_cmp);
    distances.get(distances.len() / 5).copied()
}

/// The row that lines are, if they are the wrapped cells of one: the first cell has fewer lines than another one, and each
/// line is full before the next one begins. Else a column of values could come away from their names.
fn row(group: &[&Line], block: &Block) -> Option<Line> {
    if group.len() < 2 || group.len() > ROW_LINES_MAX {
        return None;
    }
    let cells = cells(group)?;
    let most = cells.iter().map(Vec::len).max()?;
    let labels = group.iter().flat_map(|line| &line.pieces).filter(|piece| piece.text.contains(':')).count();
    let is_heading = cells.len() == 2 && !cells[0].iter().any(|piece| piece.text.contains(char::is_lowercase));
    let fits = cells.len() >= 2
        && cells[0].len() < most
        && labels < group.len()
        && !is_heading
        && cells.iter().all(|cell| is_wrapped(cell, block));
    let pieces = fits.then(|| cells.iter().map(|cell| cell_of(cell)).collect())?;
    Some(Line { pieces, edge: group.iter().find_map(|line| line.edge) })
}

/// The cells of lines, each with its pieces from top to bottom.
fn cells<'l>(group: &[&'l Line]) -> Option<Vec<Vec<&'l Piece>>> {
    let mut pieces: Vec<&Piece> = group.iter().flat_map(|line| &line.pieces).collect();
    pieces.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mut cells: Vec<Vec<&Piece>> = Vec::new();
    let mut end = f32::NEG_INFINITY;
    for piece in pieces {
        if piece.from > end + STRIP_MIN * piece.em {
            cells.push(Vec::new());
        }
        end = end.max(piece.to);
        cells.last_mut()?.push(piece);
    }
    for cell in &mut cells {
        cell.sort_by(|a, b| a.base.total_cmp(&b.base));
    }
    Some(cells)
}

/// Whether the lines of a cell end where the next word did not fit, and are no list of single words.
fn is_wrapped(cell: &[&Piece], block: &Block) -> bool {
    let Some(first) = cell.first().filter(|_| cell.len() > 1) else { return true };
    let in_column =
        block.iter().flat_map(|line| &line.pieces).filter(|piece| (piece.from - first.from).abs() < 0.3 * piece.em);
    let right = in_column.map(|piece| piece.to).fold(first.to, f32::max);
    let fills = |pair: &[&Piece]| {
        let (above, below) = (pair[0], pair[1]);
        let word = below.text.trim().split(' ').next().unwrap_or_default();
        let width = (below.to - below.from) * word.len() as f32 / below.text.len().max(1) as f32;
        above.to + width + above.em > right && below.base - above.base > 0.5 * above.size
    };
    let near = 0.5 * first.em;
    let aligned = |place: fn(&Piece) -> f32| cell.iter().all(|piece| (place(piece) - place(first)).abs() < near);
    let are_aligned =
        aligned(|piece| piece.from) || aligned(|piece| piece.to) || aligned(|piece| piece.from + piece.to);
    are_aligned && cell.windows(2).all(fills) && cell.iter().any(|piece| piece.text.trim().contains(' '))
}

/// The piece that a cell's lines are together: as high as all of them.
fn cell_of(cell: &[&Piece]) -> Piece {
    // Cannot fail because a cell begins with a piece.
    let mut whole = cell[0].clone();
    for piece in &cell[1..] {
        whole.text.push(' ');
        whole.text.push_str(piece.text.trim_start());
        whole.from = whole.from.min(piece.from);
        whole.to = whole.to.max(piece.to);
        whole.size += piece.size;
    }
    whole
}
