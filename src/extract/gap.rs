//! What stands between two pieces of a text in the making.

/// Between the cells of a table row.
pub(super) const CELL_SEPARATOR: &str = " | ";

/// What separates two pieces of text; the larger one wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    #[default]
    None,
    Space,
    Cells(usize),
    Line,
    Blank,
}

impl Gap {
    /// Writes what is due, unless the text begins here; then nothing is due any more.
    pub(super) fn settle(&mut self, text: &mut String) {
        let due = std::mem::take(self);
        if text.is_empty() {
            return;
        }
        match due {
            Self::None => {}
            Self::Space => text.push(' '),
            Self::Cells(count) => (0..count).for_each(|_| text.push_str(CELL_SEPARATOR)),
            Self::Line => text.push('\n'),
            Self::Blank => text.push_str("\n\n"),
        }
    }

    /// One more cell of a row begins.
    pub(super) fn next_cell(&mut self) {
        *self = if let Self::Cells(count) = *self { Self::Cells(count + 1) } else { Self::Cells(1) };
    }

    /// A row ends: cells that nothing was written to are nothing.
    pub(super) fn end_row(&mut self) {
        if matches!(self, Self::Cells(_)) {
            *self = Self::Line;
        }
    }
}
