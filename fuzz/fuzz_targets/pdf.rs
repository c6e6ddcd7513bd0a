#![no_main]
//! PDF. Bytes that are none are the content of a page, so that what this project does itself is reached at every try.

use libfuzzer_sys::fuzz_target;

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
    responsum_fuzz::check("application/pdf", &whole);
});
