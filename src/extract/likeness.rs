//! How much two texts have in common, by their words.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// The words of texts that are compared with each other, without their order.
pub(super) struct Lexicon(RandomState);

impl Lexicon {
    /// A lexicon; only words of the same one can be compared.
    pub(super) fn new() -> Self {
        Self(RandomState::new())
    }

    /// The words of a text. Letters and digits count, in any case.
    pub(super) fn words(&self, text: &str) -> Words {
        let mut counts = HashMap::new();
        let mut total = 0;
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *counts.entry(self.0.hash_one(word.to_lowercase())).or_insert(0) += 1;
            total += 1;
        }
        Words { counts, total }
    }
}

/// The words of one text, each with its number.
pub(super) struct Words {
    counts: HashMap<u64, usize>,
    total: usize,
}

impl Words {
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
        let (few, many) =
            if self.counts.len() <= other.counts.len() { (self, other) } else { (other, self) };
        few.counts.iter().map(|(word, count)| (*count).min(many.counts.get(word).copied().unwrap_or(0))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_is_the_share_of_common_words() {
        let lexicon = Lexicon::new();
        let words = |text| lexicon.words(text);
        assert!((words("Stable disease.").likeness(&words("stable   DISEASE")) - 1.0).abs() < 1e-9);
        assert!((words("a b c d").likeness(&words("a b x y")) - 0.5).abs() < 1e-9);
        assert!((words("a a").likeness(&words("a b")) - 0.5).abs() < 1e-9);
        assert!((words("a b").within(&words("a b c d")) - 1.0).abs() < 1e-9);
        assert!(words("a").likeness(&words("b")).abs() < 1e-9);
        assert_eq!(words("12 mm, 5–6").total(), 4);
    }
}
