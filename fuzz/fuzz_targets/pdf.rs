#![no_main]
//! PDF: whatever the bytes are, the text is clean, and each part of it has a page. Bytes that are no PDF are the content
//! of a page, so that what this project does itself is reached at every try.

use libfuzzer_sys::fuzz_target;
use responsum_fuzz::domain::source_map::{Place, SourceMap};

fn check(text: &str, map: &SourceMap, pages: usize) {
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "a control character");
    assert!(!text.contains(['\u{ad}', '\u{fb01}']), "a soft hyphen, a ligature");
    assert!(text.lines().all(|line| !line.ends_with(' ')), "blanks at a line's end");
    assert!(text.trim_matches('\n') == text && !text.contains("\n\n\n"), "empty lines");
    let mut last = 0;
    for (range, place) in map.places() {
        assert!(text.get(range).is_some(), "a place outside of the text");
        let Place::Pages(page, same) = place else { panic!("another kind of place") };
        assert!(page == same && *page >= last && *page as usize <= pages, "pages out of order");
        last = *page;
    }
}

fn page(content: &[u8]) -> Vec<u8> {
    let head = b"%PDF-1.7 1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj 2 0 obj <</Type/Pages/Count 1/Kids[3 0 R]>> endobj
        3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R/G 6 0 R>>>>>>
        endobj 5 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj 6 0 obj <</Type/Font/Subtype/Type0/BaseFont
        /X/Encoding/Identity-H/DescendantFonts[<</Type/Font/Subtype/CIDFontType2/BaseFont/X/DW 500>>]>> endobj
        trailer <</Root 1 0 R>> 4 0 obj ";
    let length = format!("<</Length {}>> stream\n", content.len());
    [head, length.as_bytes(), content, b"\nendstream endobj"].concat()
}

fuzz_target!(|bytes: &[u8]| {
    let whole = if bytes.starts_with(b"%PDF") { bytes.to_vec() } else { page(bytes) };
    let (Ok(reading), pages) = responsum_fuzz::pages::read(&whole) else { return };
    check(&reading.body, &reading.map, pages);
    check(&reading.hidden, &reading.hidden_map, pages);
});
