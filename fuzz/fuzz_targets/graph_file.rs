#![no_main]
//! An ONNX file: its weights taken out, and what is left of it read again.

use libfuzzer_sys::fuzz_target;
use responsum_fuzz::graph_file::split;

fuzz_target!(|bytes: &[u8]| {
    let mut weights = Vec::new();
    let Ok(parts) = split(bytes, &mut weights, "weights") else { return };
    assert_eq!(weights.len() as u64, parts.weight_bytes);
    let again = split(parts.graph.as_slice(), std::io::sink(), "other").expect("what is left parses");
    assert_eq!(again.weight_bytes, 0, "nothing large is left");
});
