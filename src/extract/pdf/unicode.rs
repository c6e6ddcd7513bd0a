//! `ToUnicode` maps: which characters a font's codes stand for.
//!
//! Producers write them with mistakes (empty targets, odd lengths, missing ends), each of which would cost a whole
//! font's text, so every entry is taken by itself.

use std::collections::HashMap;

/// Entries that are kept: a font has 65,536 codes at most.
const ENTRIES_MAX: usize = 70_000;

/// A map from character codes to text.
#[derive(Debug, Default)]
pub(super) struct UnicodeMap {
    single: HashMap<u32, Box<[u16]>>,
    /// First and last code, and what the first stands for; sorted.
    ranges: Vec<(u32, u32, Box<[u16]>)>,
}

enum Token<'m> {
    /// A hexadecimal string.
    Hex(Vec<u8>),
    Open,
    Close,
    Word(&'m [u8]),
}

impl UnicodeMap {
    /// Reads a map: none if it has no entry.
    pub(super) fn parse(map: &[u8]) -> Option<Self> {
        let mut read = Self::default();
        let mut tokens = Tokens { rest: map };
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(b"beginbfchar") => read.take_characters(&mut tokens),
                Token::Word(b"beginbfrange") => read.take_ranges(&mut tokens),
                _ => {}
            }
        }
        read.ranges.sort_by_key(|(first, ..)| *first);
        (!read.single.is_empty() || !read.ranges.is_empty()).then_some(read)
    }

    fn take_characters(&mut self, tokens: &mut Tokens<'_>) {
        while let (Some(Token::Hex(code)), Some(Token::Hex(target))) = (tokens.next(), tokens.next()) {
            self.put(code_of(&code), &target);
        }
    }

    fn put(&mut self, code: u32, target: &[u8]) {
        if self.single.len() < ENTRIES_MAX {
            self.single.insert(code, units(target));
        }
    }

    fn take_ranges(&mut self, tokens: &mut Tokens<'_>) {
        while let (Some(Token::Hex(first)), Some(Token::Hex(last))) = (tokens.next(), tokens.next()) {
            let (first, last) = (code_of(&first), code_of(&last));
            match tokens.next() {
                Some(Token::Hex(target)) if self.ranges.len() < ENTRIES_MAX => {
                    self.ranges.push((first, last, units(&target)));
                }
                Some(Token::Open) => {
                    let mut code = first;
                    while let Some(Token::Hex(target)) = tokens.next() {
                        self.put(code, &target);
                        code = code.saturating_add(1);
                    }
                }
                _ => return,
            }
        }
    }

    /// What a code stands for; nothing if the map does not say, or says that it does not know.
    pub(super) fn text(&self, code: u32) -> Option<String> {
        if let Some(target) = self.single.get(&code) {
            return known(&String::from_utf16_lossy(target));
        }
        let after = self.ranges.partition_point(|(first, ..)| *first <= code);
        let (first, _, target) = self.ranges[..after].iter().rev().take(4).find(|(_, last, _)| code <= *last)?;
        let (last, head) = target.split_last()?;
        // Targets go up with the codes in their last unit.
        let last = u16::try_from(u32::from(*last).checked_add(code - first)?).ok()?;
        let moved: Vec<u16> = head.iter().copied().chain([last]).collect();
        known(&String::from_utf16_lossy(&moved))
    }
}

/// Nothing where a producer wrote that it does not know.
fn known(text: &str) -> Option<String> {
    (!text.contains(['\0', char::REPLACEMENT_CHARACTER])).then(|| text.to_owned())
}

fn code_of(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |code, byte| code << 8 | u32::from(*byte))
}

fn units(bytes: &[u8]) -> Box<[u16]> {
    if let [only] = bytes {
        return Box::new([u16::from(*only)]);
    }
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

struct Tokens<'m> {
    rest: &'m [u8],
}

impl<'m> Tokens<'m> {
    fn next(&mut self) -> Option<Token<'m>> {
        loop {
            self.rest = self.rest.trim_ascii_start();
            let (first, rest) = self.rest.split_first()?;
            match first {
                b'%' => {
                    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
                    self.rest = &rest[end..];
                }
                b'<' if rest.first() == Some(&b'<') => self.rest = &rest[1..],
                b'<' => {
                    let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
                    self.rest = rest.get(end + 1..).unwrap_or_default();
                    return Some(Token::Hex(bytes_of(&rest[..end])));
                }
                b'[' | b']' => {
                    self.rest = rest;
                    return Some(if *first == b'[' { Token::Open } else { Token::Close });
                }
                b'>' => self.rest = rest,
                _ => {
                    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"<>[]%/".contains(byte);
                    let end = rest.iter().position(ends).map_or(self.rest.len(), |at| at + 1);
                    let word = &self.rest[..end];
                    self.rest = &self.rest[end..];
                    return Some(Token::Word(word));
                }
            }
        }
    }
}

fn bytes_of(hex: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16)?).ok();
    let digits: Vec<u8> = hex.iter().filter_map(digit).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_is_taken_by_itself() {
        let map = UnicodeMap::parse(
            b"/CMapName /X def 1 begincodespacerange <00> <ff> endcodespacerange
              4 beginbfchar <01> <> <02> <00660069> <03> <0041> <04> <41> endbfchar
              2 beginbfrange <10> <12> <0061> <0020><0021>[<0078> <0079>] endbfrange",
        )
        .expect("a map");
        let texts = [0x01, 0x02, 0x03, 0x04, 0x10, 0x12, 0x20, 0x21].map(|code| map.text(code));
        let wanted = ["", "fi", "A", "A", "a", "c", "x", "y"].map(|text| Some(text.to_owned()));
        assert_eq!(texts, wanted);
        assert_eq!(map.text(0x13), None);
        assert!(UnicodeMap::parse(b"garbage <41 [").is_none());
    }

    #[test]
    fn a_map_that_does_not_know_says_nothing() {
        let map = UnicodeMap::parse(b"1 beginbfchar <01> <0000> <02> <fffd> endbfchar").expect("a map");
        assert_eq!((map.text(1), map.text(2)), (None, None));
    }
}
