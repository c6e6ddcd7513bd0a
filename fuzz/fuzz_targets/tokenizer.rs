#![no_main]
//! Spark NLP's tokenizer on any text.

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use responsum_fuzz::spark::tokenizer::{SparkTokenizer, tokens};

fn tokenizer(case_sensitive: bool) -> SparkTokenizer {
    let entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##a", "no", "##t", "患", ".", "(", "ue", "##ü"];
    SparkTokenizer::new(entries.map(str::to_owned).to_vec(), case_sensitive).expect("a tokenizer")
}

fuzz_target!(|text: &str| {
    static TOKENIZERS: OnceLock<[SparkTokenizer; 2]> = OnceLock::new();
    let count = tokens(text).count();
    let held: usize = tokens(text).map(str::len).sum();
    assert!(held <= text.len());
    for tokenizer in TOKENIZERS.get_or_init(|| [true, false].map(tokenizer)) {
        let pieces = tokenizer.pieces(text);
        assert!(pieces.ids.iter().all(|id| tokenizer.token(*id).is_some()));
        assert!(pieces.ids.len() >= count.saturating_sub(text.len()));
        assert_eq!(tokenizer.encode(text).len(), pieces.ids.len() + 2);
    }
});
