//! Character references of HTML: `&eacute;`, `&#8211;`, `&#x2265;`.

use std::sync::LazyLock;

/// Bytes of a name: `&CounterClockwiseContourIntegral;` has 33.
const NAME_BYTES_MAX: usize = 33;

/// What a reference stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// One character, for some names two.
    pub(super) characters: [Option<char>; 2],
    /// Bytes of the reference.
    pub(super) length: usize,
}

/// The reference that `text`, which begins with `&`, begins with; none if the ampersand is only that.
///
/// As a browser reads it (WHATWG HTML, "character reference state"): the longest name counts, and the old names need no
/// semicolon.
pub(super) fn at(text: &str) -> Option<Reference> {
    match text.as_bytes().get(1)? {
        b'#' => numeric(text),
        byte if byte.is_ascii_alphanumeric() => named(text),
        _ => None,
    }
}

fn one(character: char, length: usize) -> Reference {
    Reference { characters: [Some(character), None], length }
}

fn named(text: &str) -> Option<Reference> {
    static NAMES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
        let mut names: Vec<_> = entities::ENTITIES.iter().map(|entity| (entity.entity, entity.characters)).collect();
        names.sort_unstable();
        names
    });
    for (name, character) in [("&nbsp;", '\u{a0}'), ("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"')] {
        if text.starts_with(name) {
            return Some(one(character, name.len()));
        }
    }
    let letters = text.bytes().skip(1).take(NAME_BYTES_MAX - 1).take_while(u8::is_ascii_alphanumeric).count();
    let closed = usize::from(text.as_bytes().get(1 + letters) == Some(&b';'));
    (2..=1 + letters + closed).rev().find_map(|length| {
        let found = NAMES.binary_search_by_key(&&text[..length], |(name, _)| name).ok()?;
        let mut characters = NAMES[found].1.chars();
        Some(Reference { characters: [characters.next(), characters.next()], length })
    })
}

fn numeric(text: &str) -> Option<Reference> {
    let bytes = text.as_bytes();
    let hexadecimal = matches!(bytes.get(2), Some(b'x' | b'X'));
    let (start, radix) = if hexadecimal { (3, 16) } else { (2, 10) };
    let digits = bytes[start..].iter().take_while(|byte| char::from(**byte).is_digit(radix)).count();
    if digits == 0 {
        return None;
    }
    let end = start + digits;
    let length = end + usize::from(bytes.get(end) == Some(&b';'));
    let number = text[start..end].trim_start_matches('0');
    let number = if number.is_empty() { 0 } else { u32::from_str_radix(number, radix).unwrap_or(u32::MAX) };
    let character = match number {
        0 => char::REPLACEMENT_CHARACTER,
        other => char::from_u32(other).map_or(char::REPLACEMENT_CHARACTER, super::plain::of_windows),
    };
    Some(one(character, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_a_browser_reads_them() {
        let table = [
            ("&amp;", "&", 5),
            ("&nbsp;x", "\u{a0}", 6),
            ("&eacute;", "é", 8),
            ("&ge; 5", "≥", 4),
            ("&plusmn2", "±", 7),
            ("&notit;", "¬", 4),
            ("&notin;", "∉", 7),
            ("&AMP", "&", 4),
            ("&copy2024", "©", 5),
            ("&CounterClockwiseContourIntegral;", "∳", 33),
            ("&NotEqualTilde;", "≂\u{338}", 15),
            ("&#8211;", "–", 7),
            ("&#x2265;", "≥", 8),
            ("&#XE9", "é", 5),
            ("&#150;", "–", 6),
            ("&#146;s", "’", 6),
            ("&#0;", "\u{fffd}", 4),
            ("&#xD800;", "\u{fffd}", 8),
            ("&#99999999999999999999;", "\u{fffd}", 23),
            ("&#0000000000000000000065;", "A", 25),
        ];
        for (text, expected, length) in table {
            let found = at(text).unwrap_or_else(|| panic!("none: {text}"));
            let characters: String = found.characters.into_iter().flatten().collect();
            assert_eq!((characters.as_str(), found.length), (expected, length), "{text}");
        }
    }

    #[test]
    fn an_ampersand_that_begins_no_reference_is_one() {
        for text in ["&", "& ", "&;", "&D", "&#;", "&#x;", "&#xg", "&ge 5", "&unknown;", "&é;"] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
