#![no_main]
//! One stream of Java's serialisation.

use libfuzzer_sys::fuzz_target;
use responsum_fuzz::spark::java_stream;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pairs) = java_stream::pairs(bytes) {
        assert!(pairs.len() <= 1000);
        assert!(pairs.iter().all(|(text, _)| text.len() <= 1024));
    }
});
