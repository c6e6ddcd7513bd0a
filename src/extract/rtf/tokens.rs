//! RTF's own tokens: braces, control words and symbols, text.

use std::ops::Range;

/// A token, without what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// `\name` or `\name5`, with the space that ends it.
    Word { name: &'a [u8], number: Option<i32> },
    /// A backslash and something else than a letter: `\~`.
    Symbol(u8),
    /// `\'e9`
    Hex(u8),
    /// Printable ASCII.
    Text(&'a str),
    /// Bytes beyond ASCII as they stand.
    Raw(&'a [u8]),
    /// A tab as it stands.
    Tab,
    /// `\bin5` and its bytes; false if fewer are there.
    Binary { whole: bool },
}

/// A walk over the tokens of some RTF.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What a byte is, outside of a control word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Raw,
    /// Braces and the backslash.
    Control,
    Tab,
    /// Line ends and what no text has.
    Nothing,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Nothing; 256];
    let mut byte = 0x20;
    while byte < 256 {
        classes[byte] = if byte < 0x7f { Class::Text } else { Class::Raw };
        byte += 1;
    }
    classes[0x7f] = Class::Nothing;
    classes[b'\t' as usize] = Class::Tab;
    classes[b'{' as usize] = Class::Control;
    classes[b'}' as usize] = Class::Control;
    classes[b'\\' as usize] = Class::Control;
    classes
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

impl<'a> Tokens<'a> {
    /// The tokens of `bytes` from `at` on.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where the next token begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next token, and its bytes.
    pub(super) fn next(&mut self) -> Option<(Range<usize>, Token<'a>)> {
        loop {
            let start = self.at;
            let byte = *self.bytes.get(start)?;
            let token = match class(byte) {
                Class::Nothing => {
                    self.at += 1;
                    continue;
                }
                Class::Text => Token::Text(std::str::from_utf8(self.run(Class::Text)).unwrap_or_default()),
                Class::Raw => Token::Raw(self.run(Class::Raw)),
                Class::Tab => {
                    self.at += 1;
                    Token::Tab
                }
                Class::Control => {
                    self.at += 1;
                    match byte {
                        b'{' => Token::Open,
                        b'}' => Token::Close,
                        _ => match self.control() {
                            Some(token) => token,
                            None => continue,
                        },
                    }
                }
            };
            return Some((start..self.at, token));
        }
    }

    /// The bytes of one class that begin here.
    fn run(&mut self, wanted: Class) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| class(*byte) != wanted).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// What follows a backslash; none if nothing does that belongs to it.
    fn control(&mut self) -> Option<Token<'a>> {
        let byte = *self.bytes.get(self.at)?;
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => Some(self.word()),
            b'\'' => {
                self.at += 1;
                let digits = self.bytes.get(self.at..self.at + 2)?;
                let value = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                // `from_str_radix` takes a sign.
                digits[0].is_ascii_hexdigit().then(|| {
                    self.at += 2;
                    Token::Hex(value)
                })
            }
            // What is no symbol is text behind a stray backslash.
            0x80.. => None,
            _ => {
                self.at += 1;
                Some(Token::Symbol(byte))
            }
        }
    }

    fn word(&mut self) -> Token<'a> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
        let name = &rest[..length];
        self.at += length;
        let number = self.number();
        if self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        if name == b"bin" {
            let length = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
            let whole = length <= self.bytes.len() - self.at;
            self.at = (self.at + length).min(self.bytes.len());
            return Token::Binary { whole };
        }
        Token::Word { name, number }
    }

    /// The number at the end of a control word; one that is too large counts as the largest.
    fn number(&mut self) -> Option<i32> {
        let rest = &self.bytes[self.at..];
        let negative = rest.first() == Some(&b'-');
        let digits = &rest[usize::from(negative)..];
        let length = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        if length == 0 {
            return None;
        }
        self.at += length + usize::from(negative);
        let value = digits[..length]
            .iter()
            .fold(0_i32, |value, digit| value.saturating_mul(10).saturating_add(i32::from(digit - b'0')));
        Some(if negative { -value } else { value })
    }

    /// Goes to the brace that closes the group that is open here, or to the end.
    pub(super) fn skip_group(&mut self) {
        let mut depth = 0_usize;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(found) = rest.iter().position(|byte| class(*byte) == Class::Control) else {
                self.at = self.bytes.len();
                return;
            };
            self.at += found;
            match rest[found] {
                b'{' => depth += 1,
                b'}' if depth == 0 => return,
                b'}' => depth -= 1,
                _ if rest[found + 1..].starts_with(b"bin") => {
                    self.at += 1;
                    self.word();
                    continue;
                }
                // An escaped brace opens and closes nothing.
                _ => self.at += 1,
            }
            self.at = (self.at + 1).min(self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(bytes: &[u8]) -> Vec<Token<'_>> {
        let mut tokens = Tokens::new(bytes, 0);
        std::iter::from_fn(|| tokens.next().map(|(_, token)| token)).collect()
    }

    fn word(name: &str, number: Option<i32>) -> Token<'_> {
        Token::Word { name: name.as_bytes(), number }
    }

    #[test]
    fn each_token_ends_where_the_standard_ends_it() {
        assert_eq!(
            tokens(b"{\\b0 x\\par\r\n\\u-10 ?\\'E9\\~a\xe9\t}"),
            [
                Token::Open,
                word("b", Some(0)),
                Token::Text("x"),
                word("par", None),
                word("u", Some(-10)),
                Token::Text("?"),
                Token::Hex(0xe9),
                Token::Symbol(b'~'),
                Token::Text("a"),
                Token::Raw(b"\xe9"),
                Token::Tab,
                Token::Close,
            ]
        );
        assert_eq!(tokens(b"\\bin3 }{}x"), [Token::Binary { whole: true }, Token::Text("x")]);
        assert_eq!(tokens(b"\\bin9 }{}x"), [Token::Binary { whole: false }]);
        assert_eq!(tokens(b"\\fs99999999999999"), [word("fs", Some(i32::MAX))]);
        assert_eq!(tokens(b"\\'zz\\'+1\\"), [Token::Text("zz"), Token::Text("+1")]);
    }

    #[test]
    fn a_group_is_skipped_as_a_whole() {
        for (bytes, rest) in [
            (b"a{b}\\}{\\{}c}d".as_slice(), b"}d".as_slice()),
            (b"\\bin2 }}x}d", b"}d"),
            (b"never closed {", b""),
            (b"\\", b""),
        ] {
            let mut tokens = Tokens::new(bytes, 0);
            tokens.skip_group();
            assert_eq!(&bytes[tokens.at()..], rest);
        }
    }

    proptest! {
        #[test]
        fn tokens_follow_each_other_and_stay_inside(bytes in "(\\{|\\}|\\\\|bin|'|u|-|9|e|é| |\n|\t|\\*){0,40}") {
            let mut tokens = Tokens::new(bytes.as_bytes(), 0);
            let mut at = 0;
            while let Some((range, _)) = tokens.next() {
                prop_assert!(range.start >= at && range.start < range.end && range.end <= bytes.len());
                at = range.end;
            }
            Tokens::new(bytes.as_bytes(), 0).skip_group();
        }
    }
}
