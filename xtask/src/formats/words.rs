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

/// Word-level F1 of two texts, whatever the order, and of how many words: 1 for the same words. Soft hyphens, which
/// nobody sees, divide no word.
pub(super) fn f1(given: &str, expected: &str) -> (f64, usize) {
    let seen = |text: &str| text.replace('\u{ad}', "");
    let (given, expected) = (seen(given), seen(expected));
    let (given, expected) = (words(&given), words(&expected));
    let common: usize = expected.iter().map(|(word, count)| (*count).min(given.get(word).copied().unwrap_or(0))).sum();
    let total: usize = given.values().sum::<usize>() + expected.values().sum::<usize>();
    (if total == 0 { 1.0 } else { 2.0 * common as f64 / total as f64 }, total)
}

/// A text without the targets of links, `("https://…")`, which striprtf writes behind their words and no reader sees.
pub(super) fn without_link_targets(text: &str) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("(\"") {
        let Some((_, behind)) = after.split_once("\")") else { break };
        kept.push_str(before);
        kept.push(' ');
        rest = behind;
    }
    kept + rest
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
        assert!((f1("a | b\nc", "a b c").0 - 1.0).abs() < 1e-9);
        assert!((f1("a b", "a b c d").0 - 2.0 * 2.0 / 6.0).abs() < 1e-9);
        assert!((f1("hyphenfoo", "hyphen\u{ad}foo").0 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn pieces_count_in_their_order_only() {
        assert_eq!(held_in_order("x: one, two", ["one", "two"].into_iter()), 6);
        assert_eq!(held_in_order("two one", ["one", "two"].into_iter()), 3);
    }
}
