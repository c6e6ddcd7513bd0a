//! Characters of fonts that have no letters: Symbol and the Wingdings. Word processors name them by a byte, or by a
//! private code point U+F000 and that byte.

/// A font whose bytes are no characters of a code page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymbolFont {
    /// Adobe's Symbol: Greek letters and mathematical signs.
    Symbol,
    /// Wingdings and its like: bullets, ticks and arrows.
    Dingbats,
}

/// Capitals of Symbol, A to Z.
const CAPITALS: &str = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ";
/// Small letters of Symbol, a to z.
const SMALL: &str = "αβχδεφγηιϕκλμνοπθρστυϖωξψζ";
/// The upper half of Symbol, from 0xA0 on.
const SIGNS: &str = "\
    €ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…|—↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉\
    ∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪▪〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭▪";

/// Characters of a run of letters in a symbol font that are taken for signs; a longer run is a text whose font is
/// named by mistake, since nobody writes words in it.
pub(super) const SIGNS_MAX: usize = 3;

impl SymbolFont {
    /// The font with this name, if it is one of them.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        if name == "symbol" || name.starts_with("symbol ") {
            return Some(Self::Symbol);
        }
        let dingbats = ["wingdings", "webdings", "zapf", "itc zapf", "monotype sorts", "marlett"];
        dingbats.iter().any(|font| name.starts_with(font)).then_some(Self::Dingbats)
    }

    /// What this byte shows.
    pub(super) fn character(self, byte: u8) -> char {
        match self {
            Self::Symbol => symbol(byte),
            Self::Dingbats => dingbat(byte),
        }
    }
}

/// The character that a private code point stands for in a font; U+F0B7 is a bullet wherever it is.
pub(super) fn private(code: u32, font: Option<SymbolFont>) -> Option<char> {
    let byte = u8::try_from(code.checked_sub(0xf000)?).ok()?;
    Some(font.unwrap_or(SymbolFont::Symbol).character(byte))
}

fn symbol(byte: u8) -> char {
    let nth = |list: &str, first: u8| list.chars().nth(usize::from(byte - first)).unwrap_or(' ');
    match byte {
        b'A'..=b'Z' => nth(CAPITALS, b'A'),
        b'a'..=b'z' => nth(SMALL, b'a'),
        0xa0.. => nth(SIGNS, 0xa0),
        b'"' => '∀',
        b'$' => '∃',
        b'\'' => '∋',
        b'*' => '∗',
        b'-' => '−',
        b'@' => '≅',
        b'\\' => '∴',
        b'^' => '⊥',
        b'~' => '∼',
        0x7f..=0x9f => ' ',
        ascii => char::from(ascii),
    }
}

fn dingbat(byte: u8) -> char {
    match byte {
        ..=b' ' => ' ',
        0xfc => '✓',
        0xfb => '✗',
        0xfe => '☑',
        0xfd | 0x78 => '☒',
        0xa8 | 0x6f => '☐',
        0xe0 | 0xe8 | 0xf0 => '→',
        0xdf | 0xe7 | 0xef => '←',
        0xe1 | 0xe9 | 0xf1 => '↑',
        0xe2 | 0xea | 0xf2 => '↓',
        0x4a => '☺',
        0x4c => '☹',
        _ => '▪',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signs_that_reports_use_are_known() {
        for (byte, sign) in [
            (0xa3, '≤'),
            (0xb3, '≥'),
            (0xb1, '±'),
            (0xb0, '°'),
            (0xb4, '×'),
            (0xb7, '•'),
            (0xae, '→'),
            (0xad, '↑'),
            (0xaf, '↓'),
            (b'm', 'μ'),
            (b'b', 'β'),
            (b'D', 'Δ'),
            (b'W', 'Ω'),
            (0xff, '▪'),
        ] {
            assert_eq!(SymbolFont::Symbol.character(byte), sign);
        }
        assert_eq!(private(0xf0b3, None), Some('≥'));
        assert_eq!(private(0xf0fc, Some(SymbolFont::Dingbats)), Some('✓'));
        assert_eq!(private(0xe000, None), None);
    }

    #[test]
    fn every_byte_shows_something_that_is_no_control_character() {
        for byte in b' '..=255 {
            for font in [SymbolFont::Symbol, SymbolFont::Dingbats] {
                assert!(!font.character(byte).is_control());
            }
        }
    }
}
