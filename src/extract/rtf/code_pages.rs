//! What bytes mean: Windows, Mac and DOS code pages, and the charsets of fonts that name them.

use encoding_rs::{self as encodings, Encoding};

use super::super::symbols::{self, SymbolFont};

/// The code page of a text that names none, or one that is not known.
pub(super) const DEFAULT_CODE_PAGE: u16 = 1252;

/// How the bytes of a run are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Charset {
    /// A byte is a character; the upper half is this table of [`CodePages`].
    Single(usize),
    /// One or more bytes are a character.
    Multi(&'static Encoding),
    /// A western font in a text of an eastern code page: pairs of bytes are taken for eastern characters if all of them
    /// are some, because simple writers name every font western.
    Either(&'static Encoding),
    /// Korean by its letters (code page 1361).
    Johab,
    /// A font of symbols.
    Symbols(SymbolFont),
}

/// The tables of code pages that were met.
#[derive(Debug)]
pub(super) struct CodePages {
    tables: Vec<(u16, Vec<char>)>,
    /// Code pages that are not known, and were read as [`DEFAULT_CODE_PAGE`].
    pub(super) unknown: Vec<u16>,
    /// Characters that could not be decoded.
    pub(super) replaced: usize,
}

impl CodePages {
    pub(super) fn new() -> Self {
        let western = upper_half(encodings::WINDOWS_1252);
        Self { tables: vec![(DEFAULT_CODE_PAGE, western)], unknown: Vec::new(), replaced: 0 }
    }

    /// How text of this code page is read.
    pub(super) fn charset(&mut self, code_page: u16) -> Charset {
        if let Some(at) = self.tables.iter().position(|(known, _)| *known == code_page) {
            return Charset::Single(at);
        }
        if let Some(upper) = dos(code_page) {
            return self.table(code_page, upper.chars().collect());
        }
        match encoding(code_page) {
            Some(encoding) if encoding.is_single_byte() => self.table(code_page, upper_half(encoding)),
            Some(encoding) => Charset::Multi(encoding),
            None if code_page == 1361 => Charset::Johab,
            None => {
                // A hostile text may name all of them.
                if self.unknown.len() < 8 && !self.unknown.contains(&code_page) && code_page != 0 {
                    self.unknown.push(code_page);
                }
                Charset::Single(0)
            }
        }
    }

    fn table(&mut self, code_page: u16, upper: Vec<char>) -> Charset {
        self.tables.push((code_page, upper));
        Charset::Single(self.tables.len() - 1)
    }

    /// Adds what the bytes mean to `text`.
    pub(super) fn decode(&mut self, charset: Charset, bytes: &[u8], text: &mut String) {
        let start = text.len();
        match charset {
            Charset::Single(table) => text.extend(bytes.iter().map(|byte| self.single(table, *byte))),
            Charset::Multi(encoding) => text.push_str(&encoding.decode_without_bom_handling(bytes).0),
            Charset::Either(encoding) => {
                let pairs = bytes.len().is_multiple_of(2)
                    && encoding.decode_without_bom_handling_and_without_replacement(bytes).is_some();
                return self.decode(if pairs { Charset::Multi(encoding) } else { Charset::Single(0) }, bytes, text);
            }
            Charset::Johab => johab(bytes, text),
            Charset::Symbols(font) => text.extend(bytes.iter().map(|byte| font.character(*byte))),
        }
        self.replaced += text[start..].matches(char::REPLACEMENT_CHARACTER).count();
    }

    fn single(&self, table: usize, byte: u8) -> char {
        if byte.is_ascii() {
            return char::from(byte);
        }
        self.tables[table].1.get(usize::from(byte - 0x80)).copied().unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

impl Charset {
    /// True if a byte of the ASCII range may be the second half of a character.
    pub(super) fn takes_ascii(self) -> bool {
        matches!(self, Self::Multi(_) | Self::Johab)
    }

    /// What a code point beyond the characters that Unicode names shows in this font.
    pub(super) fn private(self, code: u32) -> Option<char> {
        symbols::private(code, if let Self::Symbols(font) = self { Some(font) } else { None })
    }
}

fn upper_half(encoding: &'static Encoding) -> Vec<char> {
    let bytes: Vec<u8> = (0x80..=0xff).collect();
    encoding.decode_without_bom_handling(&bytes).0.chars().collect()
}

/// The encoding of a Windows, ISO or Mac code page.
fn encoding(code_page: u16) -> Option<&'static Encoding> {
    Some(match code_page {
        1252 | 819 | 20127 | 28591 | 1004 => encodings::WINDOWS_1252,
        866 => encodings::IBM866,
        874 | 10021 => encodings::WINDOWS_874,
        932 | 943 | 10001 => encodings::SHIFT_JIS,
        936 | 10008 | 20936 => encodings::GBK,
        949 | 10003 | 51949 => encodings::EUC_KR,
        950 | 10002 => encodings::BIG5,
        1250 => encodings::WINDOWS_1250,
        1251 => encodings::WINDOWS_1251,
        1253 => encodings::WINDOWS_1253,
        1254 | 28599 => encodings::WINDOWS_1254,
        1255 => encodings::WINDOWS_1255,
        1256 => encodings::WINDOWS_1256,
        1257 => encodings::WINDOWS_1257,
        1258 => encodings::WINDOWS_1258,
        10000 => encodings::MACINTOSH,
        10007 => encodings::X_MAC_CYRILLIC,
        20866 => encodings::KOI8_R,
        21866 => encodings::KOI8_U,
        28592 => encodings::ISO_8859_2,
        28595 => encodings::ISO_8859_5,
        28597 => encodings::ISO_8859_7,
        28605 => encodings::ISO_8859_15,
        51932 => encodings::EUC_JP,
        54936 => encodings::GB18030,
        65001 => encodings::UTF_8,
        _ => return None,
    })
}

/// The code page of a font's charset number; none for those that leave it to the document.
pub(super) fn of_font_charset(charset: i32) -> Option<u16> {
    Some(match charset {
        77 => 10000,
        78 => 10001,
        79 => 10003,
        80 => 10008,
        81 => 10002,
        89 => 10007,
        128 => 932,
        129 => 949,
        130 => 1361,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 | 181 => 1255,
        178..=180 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        254 => 437,
        255 => 850,
        _ => return None,
    })
}

/// Korean syllables of code page 1361: two bytes hold a lead consonant, a vowel and a closing consonant, five bits each.
fn johab(bytes: &[u8], text: &mut String) {
    let mut bytes = bytes.iter().copied();
    while let Some(lead) = bytes.next() {
        if lead.is_ascii() {
            text.push(char::from(lead));
            continue;
        }
        let code = u32::from(lead) << 8 | u32::from(bytes.next().unwrap_or_default());
        text.push(syllable(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
}

fn syllable(code: u32) -> Option<char> {
    let (first, vowel, last) = (code >> 10 & 31, code >> 5 & 31, code & 31);
    let first = first.checked_sub(2).filter(|first| *first < 19)?;
    // The vowels lie in groups that leave out every seventh and eighth place.
    let vowel = match vowel {
        3..=7 => vowel - 3,
        10..=15 => vowel - 5,
        18..=23 => vowel - 7,
        26..=29 => vowel - 9,
        _ => return None,
    };
    let last = match last {
        1..=17 => last - 1,
        19..=29 => last - 2,
        _ => return None,
    };
    char::from_u32(0xac00 + (first * 21 + vowel) * 28 + last)
}

/// The upper half of a DOS code page.
fn dos(code_page: u16) -> Option<&'static str> {
    DOS.iter().find(|(known, _)| *known == code_page).map(|(_, upper)| *upper)
}

const DOS: [(u16, &str); 9] = [
    (
        437,
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
         └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        850,
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐\
         └┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
    ),
    (
        852,
        "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×čáíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐\
         └┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{ad}˝˛ˇ˘§÷¸°¨˙űŘř■\u{a0}",
    ),
    (
        858,
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐\
         └┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈ€ÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
    ),
    (
        860,
        "ÇüéâãàÁçêÊèÍÔìÃÂÉÀÈôõòÚùÌÕÜ¢£Ù₧ÓáíóúñÑªº¿Ò¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
         └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        861,
        "ÇüéâäàåçêëèÐðÞÄÅÉæÆôöþûÝýÖÜø£Ø₧ƒáíóúÁÍÓÚ¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
         └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        862,
        "אבגדהוזחטיךכלםמןנסעףפץצקרשת¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
         └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        863,
        "ÇüéâÂà¶çêëèïî‗À§ÉÈÊôËÏûù¤ÔÜ¢£ÙÛƒ¦´óú¨¸³¯Î⌐¬½¼¾«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
         └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        865,
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø₧ƒáíóúñÑªº¿⌐¬½¼¡«¤░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
         └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(code_page: u16, bytes: &[u8]) -> String {
        let mut pages = CodePages::new();
        let charset = pages.charset(code_page);
        let mut text = String::new();
        pages.decode(charset, bytes, &mut text);
        text
    }

    #[test]
    fn code_pages_of_all_kinds_are_decoded() {
        for (code_page, bytes, expected) in [
            (1252, b"\xe9\x96\x93x\x94".as_slice(), "é–“x”"),
            (1251, b"\xcf\xf0\xe8\xe2\xe5\xf2", "Привет"),
            (437, b"\xf2 5 \xe6m \x81", "≥ 5 µm ü"),
            (850, b"\x81\x94\x84 \xe6", "üöä µ"),
            (10000, b"\xb3\x8e", "≥é"),
            (932, b"\x83e\x83X\x83g", "テスト"),
            (936, b"\xd3\xa1\xcb\xa2", "印刷"),
            (949, b"\xc7\xd1\xb1\xdb", "한글"),
            (950, b"\xb4\xfa\xb8\xd5", "測試"),
            (1361, b"\xd0\x65\x8b\x69x", "한글x"),
            (65001, "≥ 5 µm".as_bytes(), "≥ 5 µm"),
        ] {
            assert_eq!(decoded(code_page, bytes), expected, "{code_page}");
        }
    }

    #[test]
    fn each_dos_page_has_its_upper_half() {
        for (code_page, upper) in DOS {
            assert_eq!(upper.chars().count(), 128, "{code_page}");
        }
    }

    #[test]
    fn a_code_page_that_is_not_known_is_remembered() {
        let mut pages = CodePages::new();
        assert!(matches!(pages.charset(12345), Charset::Single(0)));
        assert_eq!(pages.unknown, [12345]);
    }
}
