#![no_main]
//! A SequenceFile's records, and what they hold.

use libfuzzer_sys::fuzz_target;
use responsum_fuzz::spark::{java_stream, sequence_file};

fuzz_target!(|bytes: &[u8]| {
    let Ok(records) = sequence_file::records(bytes) else { return };
    let mut held = 0;
    for record in records.flatten() {
        held += record.len();
        let _ = java_stream::pairs(record);
    }
    assert!(held <= bytes.len(), "records overlap");
});
