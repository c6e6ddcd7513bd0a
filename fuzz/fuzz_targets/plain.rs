#![no_main]
//! Plain text: its charset, lines, sections and sentences. The first byte chooses what the content type says.

use libfuzzer_sys::fuzz_target;

const TYPES: [&str; 8] = [
    "text/plain",
    "text/plain; charset=utf-8",
    "text/plain; charset=utf-16",
    "text/plain; charset=windows-1252",
    "text/plain; charset=iso-8859-1",
    "text/plain; charset=windows-1251",
    "text/plain; charset=shift_jis",
    "application/octet-stream",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((chosen, text)) = bytes.split_first() else { return };
    responsum_fuzz::check(TYPES[usize::from(*chosen) % TYPES.len()], text);
});
