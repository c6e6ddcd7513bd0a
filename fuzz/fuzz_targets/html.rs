#![no_main]
//! HTML, and XHTML if it begins like XML: also sections and sentences of what is read.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let xml = bytes.starts_with(b"<?xml");
    responsum_fuzz::check(if xml { "application/xhtml+xml" } else { "text/html" }, bytes);
});
