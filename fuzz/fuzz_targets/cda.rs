#![no_main]
//! A C-CDA document: its sections, their markup, what is embedded, and what is broken.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| responsum_fuzz::check("application/cda+xml", bytes));
