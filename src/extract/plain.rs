//! Plain text.

use std::ops::Range;

use super::charset;
use super::rendition::{Reading, Refusal, not_decodable};
use crate::domain::source_map::{Place, SourceMap};

/// Reads text. Charset by `content_type_charset`, else as its bytes show.
pub(super) fn read(bytes: &[u8], content_type_charset: Option<&str>) -> Result<Reading, Refusal> {
    let declared = content_type_charset.map(|label| (label, "the content type"));
    let decoded = charset::decode(bytes, declared).map_err(|fault| not_decodable(&fault))?;
    let (body, map) = tidied(&decoded.text);
    Ok(Reading { body, map, notes: decoded.notes, ..Reading::default() })
}

/// The same text with line ends as `\n`, ordinary spaces, and nothing that cannot be seen.
pub(super) fn tidy(text: &str) -> String {
    tidied(text).0
}

/// The same, and where each part of it stands in `text`.
pub(super) fn tidied(text: &str) -> (String, SourceMap) {
    let body = String::with_capacity(text.len());
    let mut tidy = Tidy { text, body, map: SourceMap::default(), from: 0, characters: 0 };
    let end = text.trim_end_matches(is_blank).len();
    let mut start = 0;
    while start < end {
        let line = start..start + line_length(&text.as_bytes()[start..end]);
        start = line.end + line_end(&text[line.end..end]);
        tidy.take_line(line.clone());
        tidy.end_line(line.end..start);
    }
    (tidy.body, tidy.map)
}

/// Whether nothing of a character is seen at the end of a line.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || visible(character).is_none()
}

/// Bytes before the next line end.
fn line_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += bytes[at..].iter().take_while(|byte| !matches!(byte, b'\n'..=b'\r' | 0xc2 | 0xe2)).count();
        match bytes[at..] {
            [0xc2, 0x85, ..] | [0xe2, 0x80, 0xa8 | 0xa9, ..] => return at,
            [0xc2 | 0xe2, ..] => at += 1,
            _ => return at,
        }
    }
}

/// Bytes of the line end that `text` begins with.
fn line_end(text: &str) -> usize {
    if text.starts_with("\r\n") { 2 } else { text.chars().next().map_or(0, char::len_utf8) }
}

/// Bytes of visible ASCII, spaces and tabs, and of characters that are what they seem, that `bytes` begin with.
fn ordinary_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += bytes[at..].iter().take_while(|byte| matches!(byte, b'\t' | b' '..=b'~')).count();
        // Two-byte characters from U+00C0 on, and three-byte ones below U+2000 and from U+3000 to U+EFFF.
        match bytes.get(at) {
            Some(0xc3..=0xdf) => at += 2,
            Some(0xe0 | 0xe1 | 0xe3..=0xee) => at += 3,
            _ => return at,
        }
    }
}

/// A text that is being made plain.
struct Tidy<'t> {
    text: &'t str,
    body: String,
    map: SourceMap,
    /// Where what is not yet in `body` begins.
    from: usize,
    /// Code points before that.
    characters: usize,
}

impl Tidy<'_> {
    /// Takes over a line without the blanks at its end.
    fn take_line(&mut self, line: Range<usize>) {
        let end = line.start + self.text[line.clone()].trim_end_matches(is_blank).len();
        let mut at = line.start;
        while at < end {
            at += ordinary_run(&self.text.as_bytes()[at..end]);
            let Some(character) = self.text[at..end].chars().next() else { break };
            let next = at + character.len_utf8();
            let seen = visible(character);
            if seen != Some(character) {
                self.keep(at);
                self.replace(next, seen);
            }
            at = next;
        }
        self.keep(end);
        self.replace(line.end, None);
    }

    /// Takes over a line end, unless the text has not begun.
    fn end_line(&mut self, range: Range<usize>) {
        if self.body.is_empty() || range.is_empty() {
            self.replace(range.end, None);
        } else if self.text[range.clone()] == *"\n" {
            self.keep(range.end);
        } else {
            self.replace(range.end, Some('\n'));
        }
    }

    /// Takes over what comes before `end` as it is.
    fn keep(&mut self, end: usize) {
        let piece = &self.text[self.from..end];
        let start = self.body.len();
        self.body.push_str(piece);
        (self.from, self.characters) = (end, self.map.push_piece(piece, start, self.characters));
    }

    /// Writes `seen` for what comes before `end`.
    fn replace(&mut self, end: usize, seen: Option<char>) {
        let characters = self.characters + self.text[self.from..end].chars().count();
        if let Some(seen) = seen {
            let start = self.body.len();
            self.body.push(seen);
            self.map.push(start..self.body.len(), Place::Characters(self.characters..characters), false);
        }
        (self.from, self.characters) = (end, characters);
    }
}

/// The character as a narrative has it. Reports come through systems that add control characters, and a soft hyphen
/// within a word would hide the word from the model.
pub(super) fn visible(character: char) -> Option<char> {
    match character {
        '\t' | ' '..='~' => Some(character),
        '\u{a0}' | '\u{202f}' | '\u{2007}' => Some(' '),
        '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => None,
        other => Some(of_windows(other)).filter(|seen| !seen.is_control()),
    }
}

/// A control character that was a character of windows-1252 before someone took it for Latin-1: a dash or a quotation
/// mark. Other characters are what they are.
pub(super) fn of_windows(character: char) -> char {
    const FROM_80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    (character as usize).checked_sub(0x80).and_then(|at| FROM_80.get(at).copied()).unwrap_or(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_ends_spaces_and_control_characters_are_made_plain() {
        let table = [
            ("a\r\nb\rc\nd", "a\nb\nc\nd"),
            ("a  \n\tb", "a\n\tb"),
            ("a \r\n \r\n\r\nb", "a\n\n\nb"),
            ("5\u{a0}mm", "5 mm"),
            ("a\u{a0}\nb", "a\nb"),
            ("a \u{a0} \nb", "a\nb"),
            ("page 1\u{c}page 2", "page 1\npage 2"),
            ("a\u{85}b\u{2028}c", "a\nb\nc"),
            ("meta\u{ad}stases\u{0}\u{7}", "metastases"),
            ("5\u{96}6 mm, patient\u{92}s", "5–6 mm, patient’s"),
            ("\u{feff}x\u{200b}y", "xy"),
            ("\r\n\r\n  x\r\n\r\n", "  x"),
            (" \n\u{a0}\n  x \n", "  x"),
            ("naïve – ≥ 5 µm, 患者", "naïve – ≥ 5 µm, 患者"),
            ("", ""),
            (" \n ", ""),
        ];
        for (given, expected) in table {
            assert_eq!(tidy(given), expected, "{given:?}");
        }
    }

    #[test]
    fn a_part_of_the_text_has_its_place_in_the_source() {
        let source = "\r\n A \r\n5\u{a0}mm naï\u{ad}ve\r\n\r\nc";
        let (body, map) = tidied(source);
        assert_eq!(body, " A\n5 mm naïve\n\nc");
        let place = |part: &str| {
            let start = body.find(part).expect("in the body");
            match map.locate(&body, &(start..start + part.len())) {
                Some(Place::Characters(place)) => {
                    source.chars().skip(place.start).take(place.len()).collect::<String>()
                }
                other => panic!("{part}: {other:?}"),
            }
        };
        assert_eq!(place("A"), "A");
        assert_eq!(place("5 mm"), "5\u{a0}mm");
        assert_eq!(place("naïve"), "naï\u{ad}ve");
        assert_eq!(place("\n\nc"), "\r\n\r\nc");
    }

    proptest! {
        #[test]
        fn letters_and_digits_all_stay(text: String) {
            let kept = |text: &str| text.chars().map(of_windows).filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(kept(&tidy(&text)), kept(&text));
        }

        #[test]
        fn each_letter_stands_in_the_source_where_the_map_says(
            text in "(a|é|患| |\t|\n|\r\n|\r|\u{c}|\u{a0}|\u{ad}|\u{96}|\u{7}|–|\u{2028}){0,40}"
        ) {
            let (body, map) = tidied(&text);
            let source: Vec<char> = text.chars().collect();
            for (at, character) in body.char_indices().filter(|(_, c)| !c.is_whitespace()) {
                let Some(Place::Characters(place)) = map.locate(&body, &(at..at + character.len_utf8())) else {
                    return Err(TestCaseError::fail("no place"));
                };
                prop_assert_eq!(place.len(), 1);
                prop_assert_eq!(of_windows(source[place.start]), character);
            }
            prop_assert!(!body.contains(" \n") && !body.contains("\t\n") && !body.starts_with('\n'));
            prop_assert_eq!(body.trim_end(), &body);
        }
    }
}
