//! Bytes into characters.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::sniff;

/// Share of characters that may be undecodable before the bytes count as not being in their charset at all: above
/// it a reader could not follow the text either.
const REPLACED_SHARE_MAX: f64 = 0.1;

/// Characters and what was guessed on the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) notes: Vec<String>,
}

/// The bytes are in no charset that was tried; what was tried, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotDecodable(pub(super) String);

/// Decodes by byte order mark, then by the charset that is declared (by `declared_by`: "the content type"), then as
/// UTF-8 if it is valid, then as windows-1252, which is what Latin-1 means in practice (WHATWG Encoding Standard).
pub(super) fn decode(bytes: &[u8], declared: Option<(&str, &str)>) -> Result<Decoded, NotDecodable> {
    let mut notes = Vec::new();
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return decode_as(encoding, &bytes[length..], "its byte order mark", notes);
    }
    if let Some((label, declared_by)) = declared {
        match Encoding::for_label(label.as_bytes()) {
            Some(encoding) if is_utf_16(encoding) && sniff::looks_utf_16(bytes).is_none() && is_utf_8(bytes) => {
                notes.push(format!("{declared_by} says {}, but the text is UTF-8", encoding.name()));
                return decode_as(UTF_8, bytes, "its bytes", notes);
            }
            Some(encoding) if is_utf_16(encoding) => {
                // "utf-16" without a byte order mark leaves the order open.
                let encoding = sniff::looks_utf_16(bytes).unwrap_or(encoding);
                return decode_as(encoding, bytes, declared_by, notes);
            }
            Some(encoding) if encoding == UTF_8 && !is_utf_8(bytes) => {
                return faulty_utf_8(bytes, &format!("{declared_by} says UTF-8, which it is not"), notes);
            }
            Some(encoding) => return decode_as(encoding, bytes, declared_by, notes),
            None => notes.push(format!("{declared_by} names a charset that is not known; it was guessed")),
        }
    }
    if let Some(encoding) = sniff::looks_utf_16(bytes) {
        notes.push(format!("no charset declared; read as {} by its zero bytes", encoding.name()));
        return decode_as(encoding, bytes, "its bytes", notes);
    }
    if is_utf_8(bytes) {
        return decode_as(UTF_8, bytes, "its bytes", notes);
    }
    faulty_utf_8(bytes, "no charset is declared, and it is not valid UTF-8", notes)
}

fn is_utf_8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

fn is_utf_16(encoding: &'static Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

/// Text that should be UTF-8 and is not: UTF-8 with a few broken characters, or plainly windows-1252.
fn faulty_utf_8(bytes: &[u8], fault: &str, mut notes: Vec<String>) -> Result<Decoded, NotDecodable> {
    let (text, _) = UTF_8.decode_without_bom_handling(bytes);
    let replaced = text.matches(char::REPLACEMENT_CHARACTER).count();
    let decoded = text.chars().filter(|c| !c.is_ascii()).count().saturating_sub(replaced);
    if decoded > replaced {
        notes.push(format!("{fault}: {replaced} characters are replaced"));
        return Ok(Decoded { text: text.into_owned(), notes });
    }
    notes.push(format!("{fault}: read as windows-1252, in which its {replaced} characters beyond ASCII are letters"));
    decode_as(WINDOWS_1252, bytes, "its bytes", notes)
}

fn decode_as(
    encoding: &'static Encoding,
    bytes: &[u8],
    named_by: &str,
    mut notes: Vec<String>,
) -> Result<Decoded, NotDecodable> {
    let (text, faulty) = encoding.decode_without_bom_handling(bytes);
    if faulty {
        let replaced = text.matches(char::REPLACEMENT_CHARACTER).count();
        let characters = text.chars().count();
        if replaced as f64 > characters as f64 * REPLACED_SHARE_MAX {
            let name = encoding.name();
            return Err(NotDecodable(format!(
                "{replaced} of {characters} characters are not {name}, as {named_by} says"
            )));
        }
        notes.push(format!("{replaced} characters were not {}, and are replaced", encoding.name()));
    }
    Ok(Decoded { text: text.into_owned(), notes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BY: &str = "the content type";

    fn text(bytes: &[u8], declared: Option<&str>) -> String {
        decode(bytes, declared.map(|label| (label, BY))).expect("decodable").text
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
    fn a_guess_is_noted() {
        let decoded = decode(b"tumour \xb1 2 mm", None).expect("decodable");
        assert_eq!((decoded.text.as_str(), decoded.notes.len()), ("tumour ± 2 mm", 1));
        let decoded = decode(b"abc", Some(("klingon", BY))).expect("decodable");
        assert_eq!((decoded.text.as_str(), decoded.notes.len()), ("abc", 1));
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
        assert_eq!((decoded.text.as_str(), decoded.notes.len()), ("≥ 5 µm – x\u{fffd}", 1));
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
