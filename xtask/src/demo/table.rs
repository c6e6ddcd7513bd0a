//! The demo's table: wrapped cells, so that it can be read in a terminal.

use std::fmt::Write as _;

/// Widths of the columns, in characters.
const WIDTHS: [usize; 7] = [2, 34, 13, 9, 13, 10, 34];
const HEADINGS: [&str; 7] = ["", "Text", "Label", "Reference", "Category", "Confidence", "Evidence"];

/// One report's line: its cells and, below them, where its Observation is.
pub(crate) struct Row {
    /// Number, text, our label, the reference's, category, confidence, evidence.
    pub(crate) cells: [String; 7],
    /// Printed on a line of its own, because it is long.
    pub(crate) below: String,
}

/// The whole table.
pub(crate) fn format(rows: &[Row]) -> String {
    let rule = WIDTHS.map(|width| "─".repeat(width)).join("  ");
    let mut table = String::new();
    push_cells(&mut table, &HEADINGS.map(str::to_owned));
    for row in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{rule}");
        push_cells(&mut table, &row.cells);
        let _ = writeln!(table, "    {}", row.below);
    }
    table
}

fn push_cells(table: &mut String, cells: &[String; 7]) {
    let mut columns = cells.iter().zip(WIDTHS).map(|(cell, width)| wrapped(cell, width)).collect::<Vec<_>>();
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    for column in &mut columns {
        column.resize(height, String::new());
    }
    for line in 0..height {
        let cells = columns.iter().zip(WIDTHS).map(|(column, width)| format!("{:width$}", column[line]));
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// Breaks a text at spaces; a word longer than the width stands alone.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        // Cannot fail because there is always at least one line.
        let line = lines.last_mut().expect("there is a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The first words of a text, with an ellipsis if it goes on.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let cut: String = text.chars().take(characters).collect();
    format!("{} …", cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_wrapped_at_spaces_and_texts_cut_at_words() {
        assert_eq!(wrapped("no change in size", 9), ["no change", "in size"]);
        assert_eq!(wrapped("", 9), [""]);
        assert_eq!(shortened("no change in size", 12), "no change …");
        assert_eq!(shortened("short", 12), "short");
    }
}
