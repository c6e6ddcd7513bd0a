#![no_main]
//! A SequenceFile's records, and what they hold.

use libfuzzer_sys::fuzz_target;
use responsum_fuzz::spark::{java_stream, sequence_file};

fuzz_target!(|bytes: &[u8]| {
    let Ok(records) = sequence_file::records(bytes) else { return };
    let held: usize = records.iter().map(|record| record.len()).sum();
    assert!(held <= bytes.len(), "records overlap");
    for record in records {
        let _ = java_stream::pairs(record);
    }
});
