#![no_main]
//! A FHIR document in JSON, or in XML if it begins like it.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let xml = bytes.trim_ascii_start().starts_with(b"<");
    responsum_fuzz::check(if xml { "application/fhir+xml" } else { "application/fhir+json" }, bytes);
});
