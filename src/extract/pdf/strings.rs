//! Text strings outside of content: form values, replacement texts, names of files.

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The characters of a text string: UTF-16 or UTF-8 by its byte order mark, else `PDFDocEncoding`, which is Latin-1 where
/// reports go. Language marks and control characters are left out.
pub(super) fn text(bytes: &[u8]) -> String {
    let (encoding, bytes) = match bytes {
        [0xfe, 0xff, rest @ ..] => (UTF_16BE, rest),
        [0xff, 0xfe, rest @ ..] => (UTF_16LE, rest),
        [0xef, 0xbb, 0xbf, rest @ ..] => (UTF_8, rest),
        other => (WINDOWS_1252, other),
    };
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_say_their_encoding_by_their_first_bytes() {
        assert_eq!(text(b"\xfe\xff\0S\0t"), "St");
        assert_eq!(text(b"\xef\xbb\xbf\xe2\x89\xa5"), "≥");
        assert_eq!(text(b"na\xefve"), "naïve");
    }
}
