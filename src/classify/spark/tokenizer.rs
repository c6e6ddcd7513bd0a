//! Text to token ids as Spark NLP does it: its Tokenizer with its defaults, then its BERT word pieces.
//!
//! Of every token only the first word is read: of `post-temozolomide` it is `post`. That is what the model answers with
//! where it comes from, so it is what it is given here, unless the settings say otherwise.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;

/// Characters that Spark's Tokenizer takes off a token's ends.
const CONTEXT: [char; 12] = ['.', ',', ';', ':', '!', '?', '*', '-', '(', ')', '"', '\''];
/// UTF-16 units of a word beyond which it is unknown.
const WORD_UNITS_MAX: usize = 200;
/// Characters beyond ASCII whose Unicode name contains PUNCTUATION, as Java 17 has them; `‘`, `–` and `…` have not.
const PUNCTUATION: [(u16, u16); 25] = [
    (0x05BE, 0x05BE),
    (0x05C0, 0x05C0),
    (0x05C3, 0x05C3),
    (0x05C6, 0x05C6),
    (0x05F3, 0x05F4),
    (0x061E, 0x061E),
    (0x0830, 0x0835),
    (0x0837, 0x083E),
    (0x085E, 0x085E),
    (0x0DF4, 0x0DF4),
    (0x16EB, 0x16ED),
    (0x1735, 0x1736),
    (0x1C3B, 0x1C3F),
    (0x1C7E, 0x1C7F),
    (0x1CC0, 0x1CC7),
    (0x2008, 0x2008),
    (0x2055, 0x2056),
    (0x2058, 0x205A),
    (0x2E2A, 0x2E2C),
    (0xA4FE, 0xA4FF),
    (0xAA5C, 0xAA5F),
    (0x21, 0x2F),
    (0x3A, 0x40),
    (0x5B, 0x60),
    (0x7B, 0x7E),
];

/// Spark NLP's tokenizer with a model's vocabulary.
#[derive(Clone)]
pub struct SparkTokenizer {
    ids: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
    /// Characters of the longest entry.
    longest: usize,
    unknown: u32,
    start: u32,
    end: u32,
    case_sensitive: bool,
}

/// What becomes of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparkPieces {
    /// Ids of the vocabulary, without special tokens.
    pub ids: Vec<u32>,
    /// Words that are not read, since they are not the first of their token.
    pub words_dropped: usize,
}

impl SparkTokenizer {
    /// A tokenizer with these entries, in the order of their ids; none if [UNK], [CLS] or [SEP] is not among them.
    pub fn new(entries: Vec<String>, case_sensitive: bool) -> Option<Self> {
        let texts: Vec<Box<str>> = entries.into_iter().map(String::into_boxed_str).collect();
        let ids: HashMap<Box<str>, u32> = texts.iter().cloned().zip(0..).collect();
        let special = |text: &str| ids.get(text).copied();
        let (unknown, start, end) = (special("[UNK]")?, special("[CLS]")?, special("[SEP]")?);
        let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
        Some(Self { ids, texts, longest, unknown, start, end, case_sensitive })
    }

    /// The text's pieces with the special tokens around them.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.encode_with_drops(text).0
    }

    /// The text's pieces with the special tokens around them, and how many words are not read.
    pub fn encode_with_drops(&self, text: &str) -> (Vec<u32>, usize) {
        let pieces = self.pieces(text);
        let mut ids = pieces.ids;
        ids.insert(0, self.start);
        ids.push(self.end);
        (ids, pieces.words_dropped)
    }

    /// The text's pieces.
    pub fn pieces(&self, text: &str) -> SparkPieces {
        let mut pieces = SparkPieces::default();
        for token in tokens(text) {
            let mut words = self.words(token).into_iter();
            if let Some(word) = words.next() {
                self.word_pieces(&word, &mut pieces.ids);
            }
            pieces.words_dropped += words.count();
        }
        pieces
    }

    /// The vocabulary's text for an id.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.texts.get(usize::try_from(id).ok()?).map(AsRef::as_ref)
    }

    /// A token's words and marks of punctuation, without accents.
    fn words(&self, token: &str) -> Vec<String> {
        let token = if self.case_sensitive { token.to_owned() } else { token.to_lowercase() };
        let (mut words, mut word) = (Vec::new(), String::new());
        let mut end = |word: &mut String| {
            let plain: String = word.nfd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect();
            word.clear();
            if !plain.is_empty() {
                words.push(plain);
            }
        };
        for character in token.chars() {
            if is_space(character) || is_dropped(character) {
                end(&mut word);
            } else if is_punctuation(character) || is_ideograph(character) {
                end(&mut word);
                word.push(character);
                end(&mut word);
            } else {
                word.push(character);
            }
        }
        end(&mut word);
        words
    }

    /// The longest entry that the word starts with, then of the rest, and so on; the word is unknown if any rest is.
    fn word_pieces(&self, word: &str, ids: &mut Vec<u32>) {
        let first = ids.len();
        if word.encode_utf16().count() > WORD_UNITS_MAX {
            ids.push(self.unknown);
            return;
        }
        let ends: Vec<usize> = word.char_indices().map(|(place, _)| place).skip(1).chain([word.len()]).collect();
        let (mut start, mut candidate) = (0, String::new());
        while start < word.len() {
            let from = ends.partition_point(|end| *end <= start);
            let until = (from + self.longest).min(ends.len());
            let found = ends[from..until].iter().rev().find_map(|&end| {
                candidate.clear();
                if start > 0 {
                    candidate.push_str("##");
                }
                candidate.push_str(&word[start..end]);
                self.ids.get(candidate.as_str()).map(|id| (*id, end))
            });
            let Some((id, end)) = found else {
                ids.truncate(first);
                ids.push(self.unknown);
                return;
            };
            ids.push(id);
            start = end;
        }
    }
}

/// Spark's tokens: what stands between white space, with what is [`CONTEXT`] at either end apart.
pub fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let candidates = text.split([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']).filter(|candidate| !candidate.is_empty());
    candidates
        .flat_map(|candidate| {
            let inner = candidate.trim_matches(CONTEXT);
            if inner.is_empty() {
                return [candidate, "", ""];
            }
            let start = candidate.len() - candidate.trim_start_matches(CONTEXT).len();
            [&candidate[..start], inner, &candidate[start + inner.len()..]]
        })
        .filter(|token| !token.is_empty())
}

/// Java's `Character.isWhitespace`: no-break spaces are none.
fn is_space(character: char) -> bool {
    match character {
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{85}' => false,
        '\u{1c}'..='\u{1f}' => true,
        _ => character.is_whitespace(),
    }
}

fn is_dropped(character: char) -> bool {
    matches!(character, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffd}')
}

fn is_punctuation(character: char) -> bool {
    let character = u32::from(character);
    PUNCTUATION.iter().any(|(first, last)| (u32::from(*first)..=u32::from(*last)).contains(&character))
}

/// Those of the first plane: Java looks at UTF-16 units, and no unit is one of the others.
fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokenizer(case_sensitive: bool) -> SparkTokenizer {
        let entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "post", "tumor", "##s", "cafe", "Cafe", ".", "a", "患"];
        SparkTokenizer::new(entries.map(str::to_owned).to_vec(), case_sensitive).expect("a tokenizer")
    }

    #[test]
    fn what_stands_at_the_ends_of_a_token_is_a_token_of_its_own() {
        for (text, wanted) in [
            ("(tumor) \"shrunk\"). well... --", &["(", "tumor", ")", "\"", "shrunk", "\").", "well", "...", "--"][..]),
            ("patient's 3.5mg/kg [MASK]", &["patient's", "3.5mg/kg", "[MASK]"]),
            ("(a\u{2028}b) x\u{a0}y", &["(", "a\u{2028}b", ")", "x\u{a0}y"]),
            (" \t\r\n\u{b}\u{c}", &[]),
        ] {
            assert_eq!(tokens(text).collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn of_each_token_the_first_word_is_read_without_its_accents() {
        let words = |text: &str| tokenizer(true).words(text);
        assert_eq!(words("post-temozolomide"), ["post", "-", "temozolomide"]);
        assert_eq!(words("café"), ["cafe"]);
        assert_eq!(words("a\u{a0}b—c‘d’…"), ["a\u{a0}b—c‘d’…"], "neither white space nor punctuation to Java");
        assert_eq!(words("No\u{85}treatment\u{fffd}x\u{2028}y"), ["No", "treatment", "x", "y"]);
        assert_eq!(words("患者"), ["患", "者"]);
        let pieces = tokenizer(true).pieces("post-op Café tumors 患者 [SEP]");
        assert_eq!(pieces.ids, [4, 8, 5, 6, 11, 1], "a special token's name in a text is none");
        assert_eq!(pieces.words_dropped, 2 + 1 + 2);
        assert_eq!(tokenizer(false).pieces("CAFÉ").ids, [7]);
    }

    #[test]
    fn a_word_is_unknown_as_a_whole_and_so_is_one_of_more_than_two_hundred_units() {
        assert_eq!(tokenizer(true).pieces("tumorx").ids, [1]);
        assert_eq!(tokenizer(true).pieces(&"a".repeat(201)).ids, [1]);
        assert_eq!(tokenizer(true).encode("a."), [2, 10, 9, 3]);
    }

    #[test]
    fn the_punctuation_is_java_s() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/fixtures/sparknlp/java17_bmp_nonascii_punctuation_by_name.txt");
        let Ok(list) = std::fs::read_to_string(&path) else {
            eprintln!("SKIPPED: no {}", path.display());
            return;
        };
        let wanted: Vec<char> = list
            .lines()
            .filter_map(|line| char::from_u32(u32::from_str_radix(line.split(' ').next()?, 16).ok()?))
            .collect();
        assert_eq!(('\u{80}'..='\u{ffff}').filter(|c| is_punctuation(*c)).collect::<Vec<_>>(), wanted);
        assert_eq!(wanted.len(), 58);
    }

    proptest! {
        #[test]
        fn any_text_has_tokens_that_hold_all_of_it_but_white_space(text in "\\PC{0,60}") {
            let all: String = tokens(&text).collect();
            let wanted: String = text.split([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']).collect();
            prop_assert_eq!(all, wanted);
            let _ = tokenizer(true).encode(&text);
        }
    }
}
