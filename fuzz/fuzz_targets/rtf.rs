#![no_main]
//! RTF: whatever the bytes are, the text is clean, its parts have places in the source, and its headings are lines.

use libfuzzer_sys::fuzz_target;
use responsum_fuzz::domain::source_map::{Place, SourceMap};

fn check(bytes: &[u8], text: &str, map: &SourceMap) {
    assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "a control character");
    assert!(text.lines().all(|line| !line.ends_with([' ', '\t'])), "blanks at a line's end");
    for (at, character) in text.char_indices().take(2_000) {
        match map.locate(text, &(at..at + character.len_utf8())) {
            Some(Place::Characters(place)) => {
                assert!(place.start < place.end && place.end <= bytes.len(), "a place outside of the source");
                let byte = bytes[place.start];
                let same = place.len() > 1 || byte >= 0x80 || !character.is_ascii() || char::from(byte) == character;
                assert!(same, "another character at its place");
            }
            Some(_) => panic!("another kind of place"),
            None => assert!(" |\n".contains(character), "a character without a place"),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let whole = if bytes.starts_with(b"{\\rtf") { bytes.to_vec() } else { [b"{\\rtf1", bytes].concat() };
    let Ok(reading) = responsum_fuzz::extract::rtf(&whole) else { return };
    check(&whole, &reading.body, &reading.map);
    check(&whole, &reading.hidden, &reading.hidden_map);
    let mut at = 0;
    for marked in reading.headings {
        assert!(marked.range.start >= at && marked.range.start < marked.range.end, "headings out of order");
        at = marked.range.end;
        let before = &reading.body[..marked.range.start];
        let after = &reading.body[marked.range.end..];
        assert!(before.is_empty() || before.ends_with('\n'), "a heading begins within a line");
        assert!(after.is_empty() || after.starts_with('\n'), "a heading ends within a line");
        assert!(!reading.body[marked.range].contains('\n'), "a heading of several lines");
    }
});
