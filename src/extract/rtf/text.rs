//! Text: characters as they stand, by their bytes in some code page, or by their number.

use std::ops::Range;

use super::code_pages::Charset;
use super::reader::Reader;
use super::tokens::Token;
use super::words::{self, Word};
use crate::extract::plain;
use crate::extract::symbols::SIGNS_MAX;

/// Bytes that are decoded together at most: no line of a report is as long.
const PENDING_BYTES_MAX: usize = 1 << 16;

/// Bytes and characters that are not written yet, because their neighbours may belong to them.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    text: String,
    range: Range<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn text(&mut self, text: &'a str, range: Range<usize>) {
        if text == "*" && range.start == self.opened_at && self.names_destination() {
            // Some writer lost the backslash of `\*`.
            self.starred = true;
            return;
        }
        let skipped = text.len().min(self.skip);
        self.skip -= skipped;
        let (text, start) = (&text[skipped..], range.start + skipped);
        if skipped > 0 {
            self.pending.range.end = start;
        }
        if text.is_empty() {
            return;
        }
        // Some writers put blanks before the word that names the destination.
        self.state.fresh &= text.trim_ascii_start().is_empty();
        if !self.pending.bytes.is_empty() && self.state.charset.takes_ascii() {
            self.hold_bytes(text.as_bytes(), start..range.end);
            return;
        }
        self.flush();
        match self.state.charset {
            charset @ Charset::Symbols(_) if text.trim().len() <= SIGNS_MAX => {
                let mut signs = String::new();
                self.code_pages.decode(charset, text.as_bytes(), &mut signs);
                self.emit(&signs, start..range.end, false);
            }
            _ => self.emit(text, start..range.end, true),
        }
    }

    /// Whether a control word follows that names a destination.
    fn names_destination(&self) -> bool {
        match self.tokens.clone().next() {
            Some((_, Token::Word { name, .. })) => matches!(words::word(name), Some(Word::Destination(_))),
            _ => false,
        }
    }

    pub(super) fn hex(&mut self, byte: u8, range: Range<usize>) {
        if self.skip > 0 {
            self.skip -= 1;
            self.pending.range.end = range.end;
            return;
        }
        match byte {
            b'\t' => self.write("\t", range, false),
            b'\n' | b'\r' => {
                self.flush();
                self.line();
            }
            _ => self.hold_bytes(&[byte], range),
        }
    }

    pub(super) fn raw(&mut self, bytes: &'a [u8], range: Range<usize>) {
        if !self.raw_utf_8 {
            let skipped = bytes.len().min(self.skip);
            self.skip -= skipped;
            if skipped < bytes.len() {
                self.hold_bytes(&bytes[skipped..], range.start + skipped..range.end);
            }
            return;
        }
        // Cannot be refused: the whole is UTF-8, and characters beyond ASCII have no byte of ASCII in them.
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let skipped: usize = text.chars().take(self.skip).map(char::len_utf8).sum();
        self.skip = self.skip.saturating_sub(text[..skipped].chars().count());
        self.raw_utf_8_seen = true;
        self.hold_text(&text[skipped..], range.start + skipped..range.end);
    }

    pub(super) fn symbol(&mut self, symbol: u8, range: Range<usize>) {
        let character = match symbol {
            b'*' => {
                self.starred = true;
                return;
            }
            b'\r' | b'\n' => {
                self.flush();
                return self.paragraph();
            }
            b'\t' => return self.write("\t", range, false),
            b'~' => ' ',
            b'_' => '-',
            // Where a word may be parted; marks of an index.
            b'-' => '\u{ad}',
            b':' | b'|' => return,
            // Braces and the backslash; others, where a writer forgot that the backslash is one.
            other => char::from(other),
        };
        self.character(character, range);
    }

    /// A character, or one that stands in for another.
    pub(super) fn character(&mut self, character: char, range: Range<usize>) {
        if self.skip > 0 {
            self.skip -= 1;
            self.pending.range.end = range.end;
            return;
        }
        self.write(character.encode_utf8(&mut [0; 4]), range, false);
    }

    /// Writes what stands for itself.
    pub(super) fn write(&mut self, text: &str, range: Range<usize>, linear: bool) {
        self.flush();
        self.state.fresh = false;
        self.emit(text, range, linear);
    }

    pub(super) fn unicode(&mut self, number: i32, range: Range<usize>) {
        self.skip = self.state.unicode_skip;
        self.state.fresh = false;
        // Numbers are 16-bit ones with a sign; some writers give whole code points.
        let code = u32::try_from(if number < 0 { number.saturating_add(0x1_0000) } else { number }).unwrap_or(0);
        let character = match (self.high_surrogate.take(), code) {
            (Some(high), 0xdc00..=0xdfff) => {
                char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (code - 0xdc00)).unwrap_or_default()
            }
            (_, 0xd800..=0xdbff) => {
                self.high_surrogate = Some(code);
                return;
            }
            (_, 9) => return self.write("\t", range, false),
            (_, 10 | 13 | 0x2028 | 0x2029) => {
                self.flush();
                return self.line();
            }
            (_, 0xf020..=0xf0ff) => self.state.charset.private(code).unwrap_or_default(),
            _ => char::from_u32(code).unwrap_or_else(|| {
                self.code_pages.replaced += 1;
                char::REPLACEMENT_CHARACTER
            }),
        };
        self.hold_text(character.encode_utf8(&mut [0; 4]), range);
    }

    fn hold_bytes(&mut self, bytes: &[u8], range: Range<usize>) {
        let mut start = range.start;
        for piece in bytes.chunks(PENDING_BYTES_MAX) {
            if self.pending.bytes.len() + piece.len() > PENDING_BYTES_MAX {
                self.flush();
            }
            let end = if bytes.len() > PENDING_BYTES_MAX { start + piece.len() } else { range.end };
            self.hold_range(start..end);
            self.pending.bytes.extend_from_slice(piece);
            start = end;
        }
    }

    fn hold_text(&mut self, text: &str, range: Range<usize>) {
        if self.pending.text.len() > PENDING_BYTES_MAX {
            self.flush();
        }
        self.decode_pending();
        self.hold_range(range);
        self.pending.text.push_str(text);
    }

    fn hold_range(&mut self, range: Range<usize>) {
        self.state.fresh = false;
        let pending = &mut self.pending;
        let start = if pending.bytes.is_empty() && pending.text.is_empty() { range.start } else { pending.range.start };
        pending.range = start..range.end;
    }

    fn decode_pending(&mut self) {
        if !self.pending.bytes.is_empty() {
            self.code_pages.decode(self.state.charset, &self.pending.bytes, &mut self.pending.text);
            self.pending.bytes.clear();
        }
    }

    /// Writes what is held.
    pub(super) fn flush(&mut self) {
        if self.pending.bytes.is_empty() && self.pending.text.is_empty() {
            return;
        }
        self.decode_pending();
        let mut text = std::mem::take(&mut self.pending.text);
        self.emit(&text, self.pending.range.clone(), false);
        text.clear();
        self.pending.text = text;
    }

    /// Gives text to where the text of this group goes.
    pub(super) fn emit(&mut self, text: &str, range: Range<usize>, linear: bool) {
        if !linear && text.chars().any(|character| plain::visible(character) != Some(character)) {
            let visible: String = text.chars().filter_map(plain::visible).collect();
            return self.sink(&visible, range, false);
        }
        self.sink(text, range, linear);
    }
}
