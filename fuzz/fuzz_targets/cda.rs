#![no_main]
//! A C-CDA document: its sections, their markup, what is embedded, and what is broken.

use libfuzzer_sys::fuzz_target;
use responsum_fuzz::documents;

fuzz_target!(|bytes: &[u8]| documents::check("application/cda+xml", bytes));
