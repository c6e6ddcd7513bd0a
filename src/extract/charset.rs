//! Bytes into characters.

use std::borrow::Cow;

use encoding_rs::{Encoding, IBM866, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{code_pages, sniff};

/// Share of characters that may be undecodable before the bytes count as not being in their charset at all: above
/// it a reader could not follow the text either.
const REPLACED_SHARE_MAX: f64 = 0.1;

/// Bytes beyond ASCII within words from which on they are letters of some language, and not signs like `±` and `°`.
const LETTERS_MIN: usize = 2;

/// Characters and what was guessed on the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded<'b> {
    /// Borrowed where the bytes are UTF-8.
    pub(super) text: Cow<'b, str>,
    pub(super) notes: Vec<String>,
}

/// The bytes are in no charset that was tried; what was tried, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotDecodable(pub(super) String);

/// A charset that can be decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    Known(&'static Encoding),
    /// UTF-32; true if the first byte is the highest.
    Utf32 {
        big_endian: bool,
    },
    /// A code page of DOS, as old laboratory systems write it.
    Dos(code_pages::CodePage),
}

impl Charset {
    fn name(self) -> &'static str {
        match self {
            Self::Known(encoding) => encoding.name(),
            Self::Utf32 { .. } => "UTF-32",
            Self::Dos(page) => page.name(),
        }
    }

    /// The characters, and whether some bytes were none.
    fn decode(self, bytes: &[u8]) -> (Cow<'_, str>, bool) {
        match self {
            Self::Known(encoding) => encoding.decode_without_bom_handling(bytes),
            Self::Dos(page) => (Cow::Owned(page.decode(bytes)), false),
            Self::Utf32 { big_endian } => {
                let (units, rest) = bytes.as_chunks::<4>();
                let number =
                    |unit: &[u8; 4]| if big_endian { u32::from_be_bytes(*unit) } else { u32::from_le_bytes(*unit) };
                let characters = || units.iter().map(|unit| char::from_u32(number(unit)));
                let text = characters().map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
                (Cow::Owned(text), !rest.is_empty() || characters().any(|character| character.is_none()))
            }
        }
    }
}

/// The charset of a label as the web knows it, or as senders write it all the same.
fn charset_of(label: &str) -> Option<Charset> {
    let label = label.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'').to_ascii_lowercase();
    if let Some(encoding) = Encoding::for_label(label.as_bytes()) {
        return Some(Charset::Known(encoding));
    }
    let plain: String = label.chars().filter(char::is_ascii_alphanumeric).collect();
    let web = match plain.as_str() {
        "utf32" | "ucs4" | "utf32le" | "iso10646ucs4" => return Some(Charset::Utf32 { big_endian: false }),
        "utf32be" => return Some(Charset::Utf32 { big_endian: true }),
        "cp437" | "ibm437" | "437" | "dos437" => return Some(Charset::Dos(code_pages::CodePage::Us)),
        "cp850" | "ibm850" | "850" | "dos850" | "cp858" => {
            return Some(Charset::Dos(code_pages::CodePage::WesternEurope));
        }
        "cp866" | "dos866" => return Some(Charset::Known(IBM866)),
        "macroman" | "macosroman" | "xmacintosh" | "applemac" => "macintosh",
        "ansi" | "win1252" | "cp1252" | "latin" | "88591" | "isolatin1" | "westerneuropean" => "windows-1252",
        // HL7 version 2, table 0211.
        "unicodeutf8" | "isoir192" => "utf-8",
        "unicode" | "unicodeutf16" | "ucs2" | "utf16" => "utf-16",
        "isoir100" => "iso-8859-1",
        "isoir87" | "isoir13" => "iso-2022-jp",
        _ => match plain.strip_prefix("latin").or(plain.strip_prefix("win")).or(plain.strip_prefix("windows")) {
            Some(rest) if rest.len() == 4 => {
                return Encoding::for_label(format!("windows-{rest}").as_bytes()).map(Charset::Known);
            }
            Some(rest) => return Encoding::for_label(format!("latin{rest}").as_bytes()).map(Charset::Known),
            // "8859/15"
            None => {
                let part = plain.strip_prefix("iso").unwrap_or(&plain).strip_prefix("8859")?;
                return Encoding::for_label(format!("iso-8859-{part}").as_bytes()).map(Charset::Known);
            }
        },
    };
    Encoding::for_label(web.as_bytes()).map(Charset::Known)
}

/// The charset that a byte order mark names, and the mark's length.
fn byte_order_mark(bytes: &[u8]) -> Option<(Charset, usize)> {
    // That of UTF-32 begins like that of UTF-16.
    match bytes {
        [0xff, 0xfe, 0, 0, ..] if bytes.len().is_multiple_of(4) => Some((Charset::Utf32 { big_endian: false }, 4)),
        [0, 0, 0xfe, 0xff, ..] => Some((Charset::Utf32 { big_endian: true }, 4)),
        _ => Encoding::for_bom(bytes).map(|(encoding, length)| (Charset::Known(encoding), length)),
    }
}

/// Decodes by byte order mark, then by the charset that is declared (by `declared_by`: "the content type") unless the
/// bytes show another, then as the bytes look: UTF-16 or UTF-32 by zero bytes, valid UTF-8, the charset of a language
/// whose letters they would be, windows-1252, which is what Latin-1 means in practice (WHATWG Encoding Standard).
pub(super) fn decode<'b>(bytes: &'b [u8], declared: Option<(&str, &str)>) -> Result<Decoded<'b>, NotDecodable> {
    let mut notes = Vec::new();
    if let Some((charset, length)) = byte_order_mark(bytes) {
        return decode_as(charset, &bytes[length..], "its byte order mark", notes);
    }
    let seen = sniff::looks_wide(bytes).map(of_wide);
    if let Some((label, declared_by)) = declared {
        match charset_of(label) {
            Some(charset) if is_wide(charset) => return declared_wide(charset, seen, bytes, declared_by, notes),
            Some(charset) if charset == Charset::Known(UTF_8) && !is_utf_8(bytes) => {
                return faulty_utf_8(bytes, &format!("{declared_by} says UTF-8, which it is not"), notes);
            }
            Some(charset @ Charset::Known(encoding))
                if encoding != UTF_8 && encoding.is_single_byte() && !bytes.is_ascii() && is_utf_8(bytes) =>
            {
                notes.push(format!("{declared_by} says {}, but the text is UTF-8", charset.name()));
                return decode_as(Charset::Known(UTF_8), bytes, "its bytes", notes);
            }
            Some(charset) if seen.is_none() => return decode_as(charset, bytes, declared_by, notes),
            Some(charset) => notes.push(format!("{declared_by} says {}, which it is not", charset.name())),
            None => notes.push(format!("{declared_by} names a charset that is not known; it was guessed")),
        }
    }
    if let Some(charset) = seen {
        notes.push(format!("no charset declared; read as {} by its zero bytes", charset.name()));
        return decode_as(charset, bytes, "its bytes", notes);
    }
    if is_utf_8(bytes) {
        return decode_as(Charset::Known(UTF_8), bytes, "its bytes", notes);
    }
    faulty_utf_8(bytes, "no charset is declared, and it is not valid UTF-8", notes)
}

/// UTF-16 and UTF-32: the label leaves the order of bytes open, and is wrong where there are no zero bytes.
fn declared_wide<'b>(
    charset: Charset,
    seen: Option<Charset>,
    bytes: &'b [u8],
    declared_by: &str,
    mut notes: Vec<String>,
) -> Result<Decoded<'b>, NotDecodable> {
    if seen.is_none() && !bytes.contains(&0) && is_utf_8(bytes) {
        notes.push(format!("{declared_by} says {}, but the text is UTF-8", charset.name()));
        return decode_as(Charset::Known(UTF_8), bytes, "its bytes", notes);
    }
    decode_as(seen.unwrap_or(charset), bytes, declared_by, notes)
}

fn of_wide(wide: sniff::Wide) -> Charset {
    match wide {
        sniff::Wide::Utf16 { big_endian } => Charset::Known(if big_endian { UTF_16BE } else { UTF_16LE }),
        sniff::Wide::Utf32 { big_endian } => Charset::Utf32 { big_endian },
    }
}

fn is_utf_8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

fn is_wide(charset: Charset) -> bool {
    matches!(charset, Charset::Utf32 { .. })
        || charset == Charset::Known(UTF_16LE)
        || charset == Charset::Known(UTF_16BE)
}

/// Text that should be UTF-8 and is not: UTF-8 with a few broken characters, or an older charset.
fn faulty_utf_8<'b>(bytes: &'b [u8], fault: &str, mut notes: Vec<String>) -> Result<Decoded<'b>, NotDecodable> {
    let (text, _) = UTF_8.decode_without_bom_handling(bytes);
    let replaced = text.matches(char::REPLACEMENT_CHARACTER).count();
    let decoded = text.chars().filter(|c| !c.is_ascii()).count().saturating_sub(replaced);
    if decoded > replaced {
        notes.push(format!("{fault}: {replaced} characters are replaced"));
        return Ok(Decoded { text: Cow::Owned(text.into_owned()), notes });
    }
    let charset = Charset::Known(guessed(bytes));
    notes.push(format!(
        "{fault}: read as {}, a guess, in which its {replaced} characters beyond ASCII are letters or signs",
        charset.name()
    ));
    decode_as(charset, bytes, "its bytes", notes)
}

/// The charset that bytes which are not UTF-8 are probably in.
///
/// Signs say nothing about the language: a detector takes the `±` of `12 ± 2 mm` for a Polish letter. So it is asked only
/// where such bytes are within words.
fn guessed(bytes: &[u8]) -> &'static Encoding {
    let within_words = bytes.windows(2).filter(|pair| {
        let before_letter = pair[0].is_ascii_alphabetic() || !pair[0].is_ascii();
        before_letter && pair[1] >= 0xa0
    });
    if within_words.count() < LETTERS_MIN {
        return WINDOWS_1252;
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(None, chardetng::Utf8Detection::Deny)
}

fn decode_as<'b>(
    charset: Charset,
    bytes: &'b [u8],
    named_by: &str,
    mut notes: Vec<String>,
) -> Result<Decoded<'b>, NotDecodable> {
    let (text, faulty) = charset.decode(bytes);
    if faulty {
        let replaced = text.matches(char::REPLACEMENT_CHARACTER).count();
        let characters = text.chars().count();
        if replaced as f64 > characters as f64 * REPLACED_SHARE_MAX {
            let name = charset.name();
            return Err(NotDecodable(format!(
                "{replaced} of {characters} characters are not {name}, as {named_by} says"
            )));
        }
        notes.push(format!("{replaced} characters were not {}, and are replaced", charset.name()));
    }
    Ok(Decoded { text, notes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BY: &str = "the content type";

    fn text(bytes: &[u8], declared: Option<&str>) -> String {
        decode(bytes, declared.map(|label| (label, BY))).expect("decodable").text.into_owned()
    }

    #[test]
    fn each_way_of_saying_the_charset_is_heard() {
        assert_eq!(text("naïve – ≥".as_bytes(), None), "naïve – ≥");
        assert_eq!(text(b"\xef\xbb\xbfabc", Some("iso-8859-1")), "abc");
        assert_eq!(text(b"\xff\xfea\0\xe9\0", None), "aé");
        assert_eq!(text(b"\xfe\xff\0a\0\xe9", Some("utf-8")), "aé");
        assert_eq!(text(b"r\xe9ponse \x96 x", Some("ISO-8859-1")), "réponse – x");
        assert_eq!(text(b"\0s\0t\0a\0b\0l\0e", Some("utf-16")), "stable");
        assert_eq!(text(b"s\0t\0a\0b\0l\0e\0", None), "stable");
        assert_eq!(text(b"\x83\x65\x83\x58\x83\x67", Some("shift_jis")), "テスト");
    }

    #[test]
    fn old_charsets_are_read_by_their_many_names() {
        let utf_32 = |text: &str, big: bool| -> Vec<u8> {
            let unit = |c: char| if big { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() };
            text.chars().flat_map(unit).collect()
        };
        let table: [(&[u8], Option<&str>, &str); 36] = [
            (b"5 \xb5m \xb1 2", Some("windows-1252"), "5 µm ± 2"),
            (b"5 \xb5m \xb1 2", Some("ISO_8859-1"), "5 µm ± 2"),
            (b"5 \xb5m \xb1 2", Some("8859/1"), "5 µm ± 2"),
            (b"5 \xb5m \xb1 2", Some("latin-1"), "5 µm ± 2"),
            (b"5 \xb5m \xb1 2", Some("ANSI"), "5 µm ± 2"),
            (b"5 \xb5m \xb1 2", Some("us-ascii"), "5 µm ± 2"),
            (b"5 \xb5m \xb1 2", Some("'cp1252'"), "5 µm ± 2"),
            (b"\x93stable\x94 \x96 no\x85", Some("iso-8859-1"), "“stable” – no…"),
            (b"\xa4 5", Some("8859/15"), "€ 5"),
            (b"5 \xb5m \xb1 2, \xa5", Some("macintosh"), "5 µm ± 2, •"),
            (b"5 \xb5m \xb1 2, \xa5", Some("MacRoman"), "5 µm ± 2, •"),
            (b"5 \xe6m \xf1 2 \xf8C", Some("cp437"), "5 µm ± 2 °C"),
            (b"5 \xe6m \xf1 2 \xf8C", Some("IBM850"), "5 µm ± 2 °C"),
            (b"Wa\xb3\xeasa", Some("windows-1250"), "Wałęsa"),
            (b"Wa\xb3\xeasa", Some("win1250"), "Wałęsa"),
            (b"\xcf\xe0\xf6\xe8\xe5\xed\xf2", Some("cp1251"), "Пациент"),
            (b"\xd3\xf4\xe1\xe8\xe5\xf1\xfc", Some("windows-1253"), "Σταθερό"),
            (b"\xfei\xfelik", Some("windows-1254"), "şişlik"),
            (b"\x93\xfa\x96{", Some("shift_jis"), "日本"),
            (b"\xb0\xb2\xbc\xa7", Some("gbk"), "安姬"),
            ("µ ≥".as_bytes(), Some("UNICODE UTF-8"), "µ ≥"),
            ("µ ≥".as_bytes(), Some("utf8"), "µ ≥"),
            ("µ ≥".as_bytes(), Some("iso-8859-1"), "µ ≥"),
            ("µ ≥".as_bytes(), Some("us-ascii"), "µ ≥"),
            ("stable".as_bytes(), Some("utf-16"), "stable"),
            ("stable".as_bytes(), Some("utf-32"), "stable"),
            (b"s\0t\0a\0b\0l\0e\0 \0e\x22", Some("utf-16le"), "stable ≥"),
            (b"\0s\0t\0a\0b\0l\0e", Some("utf-16le"), "stable"),
            (b"s\0t\0a\0b\0l\0e\0", Some("utf-8"), "stable"),
            (b"s\0t\0a\0b\0l\0e\0", Some("iso-8859-1"), "stable"),
            (&utf_32("stable ≥", false), Some("utf-32"), "stable ≥"),
            (&utf_32("stable ≥", true), Some("utf-32"), "stable ≥"),
            (&utf_32("stable ≥", true), None, "stable ≥"),
            (&utf_32("\u{feff}stable ≥", false), None, "stable ≥"),
            (b"\xef\xbb\xbf\xc3\xa9", Some("windows-1252"), "é"),
            ("Ã© stays".as_bytes(), Some("utf-8"), "Ã© stays"),
        ];
        for (bytes, declared, expected) in table {
            assert_eq!(text(bytes, declared), expected, "{declared:?} {bytes:x?}");
        }
    }

    #[test]
    fn without_a_charset_signs_are_western_and_words_are_what_they_look_like() {
        let table: [(&str, &'static Encoding); 17] = [
            ("Tumour size 12 ± 2 mm.", WINDOWS_1252),
            ("WBC 5 × 10³/µL", WINDOWS_1252),
            ("Temp 37.5 °C, patient’s “stable” – no change…", WINDOWS_1252),
            ("• Stable disease", WINDOWS_1252),
            ("Dr. Müller reviewed it.", WINDOWS_1252),
            ("Réponse complète, lésion disparue", WINDOWS_1252),
            ("Größe 3 cm, Rückgang der Läsion", WINDOWS_1252),
            ("Señor Núñez, partial response", WINDOWS_1252),
            ("Sjögren’s; Ménière’s; Bjørn Åse", WINDOWS_1252),
            ("½ of prior, ß-HCG normal", WINDOWS_1252),
            ("Mr. Wałęsa, stable disease", encoding_rs::WINDOWS_1250),
            ("Dr. Dvořák viděl pacienta", encoding_rs::WINDOWS_1250),
            ("Nowotwór wątroby, częściowa odpowiedź", encoding_rs::WINDOWS_1250),
            ("Пациент стабилен, без прогрессирования", encoding_rs::WINDOWS_1251),
            ("Patient Иванов, stable disease", encoding_rs::WINDOWS_1251),
            ("Η νόσος είναι σταθερή", encoding_rs::WINDOWS_1253),
            ("病変は安定している", encoding_rs::SHIFT_JIS),
        ];
        for (expected, encoding) in table {
            let (bytes, _, _) = encoding.encode(expected);
            let decoded = decode(&bytes, None).expect("decodable");
            assert_eq!(decoded.text, expected);
            assert!(decoded.notes[0].contains("guess"), "{:?}", decoded.notes);
        }
    }

    #[test]
    fn sequences_that_are_no_characters_are_counted() {
        let table: [(&[u8], &str, usize); 5] = [
            ("≥ ≥ ≥ ≥ x".as_bytes(), "", 0),
            (b"\xe2\x89\xa5\xe2\x89\xa5\xe2\x89\xa5\xe2\x89\xa5 \xc0\xaf", "2 characters", 1),
            (b"\xe2\x89\xa5\xe2\x89\xa5 \xe2\x89", "1 characters", 1),
            (b"s\0t\0a\0b\0l\0e\0s\0t\0a\0b\0l\0e\0\0\xd8", "1 characters", 1),
            (b"s\0t\0a\0b\0l\0e\0s\0t\0a\0b\0l\0e\0x", "1 characters", 1),
        ];
        for (bytes, note, notes) in table {
            let declared = if bytes[1] == 0 { "utf-16le" } else { "utf-8" };
            let decoded = decode(bytes, Some((declared, BY))).expect("decodable");
            assert_eq!(decoded.notes.len(), notes, "{:?}", decoded.notes);
            assert!(decoded.notes.iter().all(|told| told.contains(note)), "{:?}", decoded.notes);
        }
    }

    #[test]
    fn a_guess_is_noted() {
        let decoded = decode(b"tumour \xb1 2 mm", None).expect("decodable");
        assert_eq!((decoded.text.as_ref(), decoded.notes.len()), ("tumour ± 2 mm", 1));
        let decoded = decode(b"abc", Some(("klingon", BY))).expect("decodable");
        assert_eq!((decoded.text.as_ref(), decoded.notes.len()), ("abc", 1));
    }

    #[test]
    fn latin_1_that_says_utf_8_is_read_and_noted_with_its_count() {
        let decoded = decode(b"r\xe9ponse compl\xe8te", Some(("utf-8", BY))).expect("decodable");
        assert_eq!(decoded.text, "réponse complète");
        assert!(decoded.notes[0].contains("2 characters"), "{:?}", decoded.notes);
    }

    #[test]
    fn utf_8_with_a_broken_character_keeps_the_others() {
        let decoded = decode("≥ 5 µm – \u{fffd}".as_bytes(), None).expect("decodable");
        assert!(decoded.notes.is_empty());
        let mut bytes = "≥ 5 µm – x".as_bytes().to_vec();
        bytes.push(0xff);
        let decoded = decode(&bytes, Some(("utf-8", BY))).expect("decodable");
        assert_eq!((decoded.text.as_ref(), decoded.notes.len()), ("≥ 5 µm – x\u{fffd}", 1));
    }

    #[test]
    fn bytes_that_are_not_in_their_charset_at_all_are_refused() {
        let bytes = [0xff, 0xff].repeat(50);
        assert!(decode(&bytes, Some(("shift_jis", BY))).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, label in "(utf-8|utf-16|latin1|big5|x)?") {
            let _ = decode(&bytes, Some((&label, BY)));
            let _ = decode(&bytes, None);
        }
    }
}
