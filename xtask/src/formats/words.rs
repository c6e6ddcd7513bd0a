//! Words and letters, counted alike for both sides of a comparison.

use std::collections::HashMap;

/// The words of a text: runs of letters and digits.
fn words(text: &str) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}

/// How many words a text has.
pub(super) fn count(text: &str) -> usize {
    words(text).values().sum()
}

/// Word-level F1 of two texts, whatever the order: 1 for the same words.
pub(super) fn f1(given: &str, expected: &str) -> f64 {
    let (given, expected) = (words(given), words(expected));
    let common: usize =
        expected.iter().map(|(word, count)| (*count).min(given.get(word).copied().unwrap_or(0))).sum();
    let total: usize = given.values().sum::<usize>() + expected.values().sum::<usize>();
    if total == 0 { 1.0 } else { 2.0 * common as f64 / total as f64 }
}

/// Letters and digits alone: what layout cannot change.
pub(super) fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// How far ahead, in bytes, the next piece is looked for: room for a title and for marks that a reader adds.
const AHEAD_BYTES_MAX: usize = 4000;

/// How many letters and digits of the pieces a text holds, in their order: a piece counts if it stands behind the one
/// before it.
pub(super) fn held_in_order<'a>(text: &str, pieces: impl Iterator<Item = &'a str>) -> usize {
    let text = letters(text);
    let (mut at, mut held) = (0, 0);
    for piece in pieces.map(letters).filter(|piece| !piece.is_empty()) {
        let mut end = text.len().min(at + AHEAD_BYTES_MAX + piece.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        if let Some(found) = text[at..end].find(&piece) {
            held += piece.chars().count();
            at += found + piece.len();
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_counts_words_and_not_layout() {
        assert!((f1("a | b\nc", "a b c") - 1.0).abs() < 1e-9);
        assert!((f1("a b", "a b c d") - 2.0 * 2.0 / 6.0).abs() < 1e-9);
    }

    #[test]
    fn pieces_count_in_their_order_only() {
        assert_eq!(held_in_order("x: one, two", ["one", "two"].into_iter()), 6);
        assert_eq!(held_in_order("two one", ["one", "two"].into_iter()), 3);
    }
}
