//! Whether a text is in English, the language that the models know.

use std::collections::HashSet;

use super::tokenize::{TokenizeError, Tokenizer};

/// Words of a text before its vocabulary tells anything: terse dictation is full of names and short forms.
const WORDS_MIN: usize = 15;
/// English clinical texts hold at least 40 % of their longer words whole in an English vocabulary of pieces, others
/// below 35 % (measured on 8,122 case reports and transcriptions, and on samples of 18 languages).
const WHOLE_WORDS_MIN: f32 = 0.35;
/// English prose has a fifth of function words; terse notes may have none, but then their words are English.
const FUNCTION_WORDS_MIN: f32 = 0.06;
/// A word of fewer letters is too often whole by chance.
const LETTERS_MIN: usize = 4;
/// Words of a text before its foreign function words tell anything.
const FOREIGN_TEXT_WORDS_MIN: usize = 8;
/// Share of foreign function words that an English text does not reach.
const FOREIGN_WORDS_MIN: f32 = 0.10;
/// Letters of a text before their script tells anything.
const SCRIPT_LETTERS_MIN: usize = 4;

const ENGLISH: [&str; 23] = [
    "the", "of", "and", "with", "for", "by", "has", "have", "had", "been", "were", "from", "not", "this", "that",
    "there", "which", "she", "her", "his", "are", "be", "after",
];

/// Function words of other languages that are no English words and no usual short forms in English notes.
const FOREIGN: [&str; 62] = [
    "der", "und", "mit", "nicht", "keine", "kein", "ist", "eine", "einer", "einem", "bei", "nach", "zur", "zum", "von",
    "auf", "für", "le", "les", "une", "avec", "dans", "sur", "aux", "el", "las", "del", "una", "sin", "por", "para",
    "que", "il", "di", "della", "dei", "delle", "nel", "alla", "het", "een", "van", "niet", "geen", "zijn", "en", "de",
    "la", "du", "nie", "jest", "oraz", "przez", "ve", "ile", "bir", "ikke", "och", "inte", "um", "uma", "não",
];

/// Tells English from other languages and from no language, by an English vocabulary.
#[derive(Clone, Debug)]
pub struct LanguageTest {
    vocabulary: Tokenizer,
    unknown: Option<u32>,
}

impl LanguageTest {
    /// A test with the vocabulary of an English tokenizer.
    pub fn new(vocabulary: Tokenizer) -> Result<Self, TokenizeError> {
        // A private-use character is in no vocabulary.
        let unknown = vocabulary.pieces("\u{e000}")?.first().copied();
        Ok(Self { vocabulary, unknown })
    }

    /// Whether the text is English, or too short to tell.
    pub fn is_english(&self, text: &str) -> Result<bool, TokenizeError> {
        if mostly_other_script(text) {
            return Ok(false);
        }
        let words: Vec<String> = text
            .split(|character: char| !character.is_alphabetic())
            .filter(|word| word.chars().nth(1).is_some())
            .map(str::to_lowercase)
            .collect();
        let is_one_of = |list: &[&str]| words.iter().filter(|word| list.contains(&word.as_str())).count();
        let total = words.len() as f32;
        let english = is_one_of(&ENGLISH);
        if words.len() >= FOREIGN_TEXT_WORDS_MIN {
            let foreign = is_one_of(&FOREIGN);
            let kinds: HashSet<&str> = words.iter().map(String::as_str).filter(|word| FOREIGN.contains(word)).collect();
            if kinds.len() >= 2 && foreign > 2 * english && foreign as f32 >= FOREIGN_WORDS_MIN * total {
                return Ok(false);
            }
        }
        if words.len() < WORDS_MIN || english as f32 >= FUNCTION_WORDS_MIN * total {
            return Ok(true);
        }
        Ok(self.whole_words(&words)? >= WHOLE_WORDS_MIN)
    }

    /// The share of longer words that the vocabulary holds whole.
    fn whole_words(&self, words: &[String]) -> Result<f32, TokenizeError> {
        let (mut whole, mut longer) = (0_usize, 0_usize);
        for word in words.iter().filter(|word| word.chars().count() >= LETTERS_MIN) {
            longer += 1;
            let pieces = self.vocabulary.pieces(word)?;
            whole += usize::from(pieces.len() == 1 && pieces.first().copied() != self.unknown);
        }
        Ok(if longer == 0 { 1.0 } else { whole as f32 / longer as f32 })
    }
}

/// Whether most letters are of a script that English does not use. Greek letters are left out: they are symbols in
/// English reports.
fn mostly_other_script(text: &str) -> bool {
    let (mut latin, mut other) = (0_usize, 0_usize);
    for letter in text.chars().filter(|character| character.is_alphabetic()) {
        match letter {
            'a'..='z' | 'A'..='Z' | '\u{aa}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => latin += 1,
            '\u{370}'..='\u{3ff}' => {}
            _ => other += 1,
        }
    }
    other >= SCRIPT_LETTERS_MIN && other > latin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::model::Model;

    fn english(text: &str) -> bool {
        let tokenizer = Model::built_in().expect("the built-in model").tokenizer;
        LanguageTest::new(tokenizer).expect("a test").is_english(text).expect("an answer")
    }

    #[test]
    fn reports_in_other_languages_are_told() {
        for text in include_str!("../../tests/fixtures/classify/not-english.txt").lines() {
            assert!(!english(text), "{text}");
        }
    }

    #[test]
    fn english_is_taken_for_english_however_terse_or_misspelt() {
        for text in include_str!("../../tests/fixtures/classify/english.txt").lines() {
            assert!(english(text), "{text}");
        }
    }

    #[test]
    fn a_short_text_has_the_benefit_of_the_doubt_unless_its_script_tells() {
        assert!(english("Glioblastom MGMT methyliert."));
        assert!(english(""));
        assert!(english("β-HCG 3, α-fetoprotein 4"));
        assert!(!english("肝转移灶明显缩小"));
    }
}
