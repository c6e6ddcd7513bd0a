//! Lists of words that reports are known by.

use std::collections::HashSet;
use std::sync::OnceLock;

/// A list of words or phrases, written as a reader reads it.
pub(super) struct Words {
    list: &'static str,
    set: OnceLock<HashSet<&'static str>>,
}

impl Words {
    /// `list` has a comma and a space between the words.
    pub(super) const fn new(list: &'static str) -> Self {
        Self { list, set: OnceLock::new() }
    }

    /// Whether `word` is one of them, letter for letter.
    pub(super) fn has(&self, word: &str) -> bool {
        self.set.get_or_init(|| self.list.split(", ").collect()).contains(word)
    }
}
