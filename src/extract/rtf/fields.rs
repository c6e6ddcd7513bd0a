//! Fields that show something though they have no result: symbols, and the boxes and lists of forms.

use std::ops::Range;

use super::reader::{Reader, Sink};
use super::words::Word;
use crate::extract::symbols::SymbolFont;

/// Bytes of a field's code that are looked at.
const CODE_BYTES_MAX: usize = 200;

/// Entries of a list to choose from, and bytes of one: Word allows 25.
const ITEMS_MAX: usize = 100;
const ITEM_BYTES_MAX: usize = 300;

/// Around the name of a font.
const QUOTES: [char; 3] = ['"', '“', '”'];

/// The result that means "as by default".
const RESULT_DEFAULT: i32 = 25;

/// A field that is open.
#[derive(Debug, Default)]
pub(super) struct Field {
    /// `SYMBOL 179 \f "Symbol"`.
    code: String,
    /// Words that were written before it.
    words_before: usize,
    /// Where it begins.
    start: usize,
    /// 1: a check box, 2: a list.
    kind: i32,
    result: Option<i32>,
    default: Option<i32>,
    items: Vec<String>,
}

impl Field {
    /// A field that begins at `start`, when so many words are written.
    pub(super) fn new(words_before: usize, start: usize) -> Self {
        Self { words_before, start, ..Self::default() }
    }

    /// Takes in a part of the field's code.
    pub(super) fn add_code(&mut self, part: &str) {
        if self.code.len() + part.len() <= CODE_BYTES_MAX {
            self.code.push_str(part);
        }
    }

    /// Begins an entry of its list.
    pub(super) fn begin_item(&mut self) {
        if self.items.len() < ITEMS_MAX {
            self.items.push(String::new());
        }
    }

    /// Takes in a part of an entry.
    pub(super) fn add_item(&mut self, part: &str) {
        if let Some(last) = self.items.last_mut()
            && last.len() + part.len() <= ITEM_BYTES_MAX
        {
            last.push_str(part);
        }
    }

    /// What it shows without a result.
    fn shows(&self) -> Option<String> {
        let result = self.result.filter(|result| *result != RESULT_DEFAULT).or(self.default).unwrap_or(0);
        match self.kind {
            1 => Some(if result == 1 { "☒" } else { "☐" }.to_owned()),
            2 => self.items.get(usize::try_from(result).ok()?).cloned(),
            _ => symbol(&self.code).map(String::from),
        }
    }
}

/// The character of a `SYMBOL` field.
fn symbol(code: &str) -> Option<char> {
    let mut words = code.split_whitespace();
    if !words.next()?.eq_ignore_ascii_case("symbol") {
        return None;
    }
    let number = words.next()?;
    let number = match number.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    let font = code.split_once("\\f").map(|(_, name)| name.trim_start().trim_start_matches(QUOTES));
    let font = font.and_then(|name| name.split(QUOTES).next());
    match (font.and_then(SymbolFont::named), u8::try_from(number)) {
        (Some(font), Ok(byte)) => Some(font.character(byte)),
        (_, Ok(byte)) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next(),
        (_, Err(_)) => char::from_u32(number),
    }
}

impl Reader<'_> {
    /// What a form says of the field that is open.
    pub(super) fn form(&mut self, word: Word, value: i32) {
        let Some(field) = self.fields.last_mut() else { return };
        match word {
            Word::FormKind => field.kind = value,
            Word::FormResult => field.result = Some(value),
            _ => field.default = Some(value),
        }
    }

    /// Ends a field: writes what it shows, if it had no result.
    pub(super) fn end_field(&mut self, end: usize) {
        let Some(field) = self.fields.pop() else { return };
        if self.state.sink != Sink::Text || self.output.words > field.words_before {
            return;
        }
        if let Some(shown) = field.shows() {
            self.emit(&shown, Range { start: field.start, end }, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_known_by_its_font() {
        assert_eq!(symbol("SYMBOL 179 \\f \"Symbol\" \\s 10"), Some('≥'));
        assert_eq!(symbol("symbol 0xA3 \\f Symbol"), Some('≤'));
        assert_eq!(symbol(" SYMBOL 177"), Some('±'));
        assert_eq!(symbol("SYMBOL 8805 \\u"), Some('≥'));
        assert_eq!(symbol("PAGE"), None);
    }
}
