#![no_main]
//! RTF. Bytes that are none are its content, so that the reader is reached at every try.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = if bytes.starts_with(b"{\\rtf") { bytes.to_vec() } else { [b"{\\rtf1", bytes].concat() };
    responsum_fuzz::check("application/rtf", &whole);
});
