//! The font table: which code page the text in a font is in.

use std::collections::HashMap;

use super::super::symbols::SymbolFont;
use super::code_pages::{self, Charset, CodePages, DEFAULT_CODE_PAGE};

/// Fonts of a table: their numbers are 16-bit ones.
const FONTS_MAX: usize = 32_768;

/// Bytes of a font's name that are looked at.
const NAME_BYTES_MAX: usize = 40;

/// A font as its table describes it.
#[derive(Clone, Copy, Debug, Default)]
struct Font {
    charset: Option<i32>,
    code_page: Option<u16>,
    symbols: Option<SymbolFont>,
}

/// The fonts of a text.
#[derive(Debug, Default)]
pub(super) struct Fonts {
    by_number: HashMap<i32, Font>,
    /// The font that is being described.
    open: Option<(i32, Font)>,
    name: String,
}

impl Fonts {
    /// Begins the description of a font.
    pub(super) fn begin(&mut self, number: i32) {
        self.end();
        self.open = Some((number, Font::default()));
    }

    pub(super) fn charset_is(&mut self, charset: i32) {
        if let Some((_, font)) = &mut self.open {
            font.charset = Some(charset);
        }
    }

    pub(super) fn code_page_is(&mut self, code_page: i32) {
        if let Some((_, font)) = &mut self.open {
            font.code_page = u16::try_from(code_page).ok().filter(|code_page| *code_page != 0);
        }
    }

    /// Takes in a part of the name, which ends with a semicolon.
    pub(super) fn name(&mut self, part: &str) {
        let (part, ends) = part.split_once(';').map_or((part, false), |(part, _)| (part, true));
        if self.name.len() + part.len() <= NAME_BYTES_MAX {
            self.name.push_str(part);
        }
        if ends {
            self.end();
        }
    }

    /// Ends the description.
    pub(super) fn end(&mut self) {
        if let Some((number, mut font)) = self.open.take() {
            font.symbols = SymbolFont::named(&self.name);
            if self.by_number.len() < FONTS_MAX {
                self.by_number.insert(number, font);
            }
        }
        self.name.clear();
    }

    /// How text in this font is read, in a document of code page `document`.
    pub(super) fn charset(&self, number: i32, document: u16, pages: &mut CodePages) -> Charset {
        let Some(font) = self.by_number.get(&number) else { return pages.charset(document) };
        if let Some(symbols) = font.symbols {
            return Charset::Symbols(symbols);
        }
        if let Some(code_page) = font.code_page.or_else(|| font.charset.and_then(code_pages::of_font_charset)) {
            return pages.charset(code_page);
        }
        let charset = pages.charset(document);
        match (charset, font.charset) {
            (Charset::Multi(encoding), Some(0)) if document != 65001 => Charset::Either(encoding),
            (Charset::Johab, Some(0)) => pages.charset(DEFAULT_CODE_PAGE),
            _ => charset,
        }
    }

    /// Forgets all fonts.
    pub(super) fn clear(&mut self) {
        self.by_number.clear();
        self.open = None;
        self.name.clear();
    }
}
