//! How much two texts have in common, by their words.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The words of one text, each with its number, without their order.
pub(super) struct Words {
    counts: HashMap<u64, usize>,
    total: usize,
}

impl Words {
    /// The words of a text. Letters and digits count, in any case.
    pub(super) fn of(text: &str) -> Self {
        let mut counts = HashMap::new();
        let mut total = 0;
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let mut hasher = DefaultHasher::new();
            word.chars().flat_map(char::to_lowercase).for_each(|letter| letter.hash(&mut hasher));
            *counts.entry(hasher.finish()).or_insert(0) += 1;
            total += 1;
        }
        Self { counts, total }
    }

    /// How many there are, repeated ones included.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Share of both texts' words that they have in common (Dice's coefficient): 1 for the same words, 0 for none.
    pub(super) fn likeness(&self, other: &Self) -> f64 {
        if self.total + other.total == 0 {
            return 1.0;
        }
        2.0 * self.common(other) as f64 / (self.total + other.total) as f64
    }

    /// Share of this text's words that the other one has too.
    pub(super) fn within(&self, other: &Self) -> f64 {
        if self.total == 0 { 1.0 } else { self.common(other) as f64 / self.total as f64 }
    }

    fn common(&self, other: &Self) -> usize {
        let (few, many) = if self.counts.len() <= other.counts.len() { (self, other) } else { (other, self) };
        few.counts.iter().map(|(word, count)| (*count).min(many.counts.get(word).copied().unwrap_or(0))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_is_the_share_of_common_words() {
        let words = Words::of;
        assert!((words("Stable disease.").likeness(&words("stable   DISEASE")) - 1.0).abs() < 1e-9);
        assert!((words("a b c d").likeness(&words("a b x y")) - 0.5).abs() < 1e-9);
        assert!((words("a a").likeness(&words("a b")) - 0.5).abs() < 1e-9);
        assert!((words("a b").within(&words("a b c d")) - 1.0).abs() < 1e-9);
        assert!(words("a").likeness(&words("b")).abs() < 1e-9);
        assert_eq!(words("12 mm, 5–6").total(), 4);
    }
}
