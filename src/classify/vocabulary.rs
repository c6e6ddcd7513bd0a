//! A tokenizer for a model that comes without `tokenizer.json`: of a `vocab.txt`, as BERT has, or of `vocab.json` and
//! `merges.txt`, as RoBERTa has, the way that Hugging Face's own converters make it.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::model::ModelError;
use super::tokenize::Tokenizer;

/// The fields of `tokenizer_config.json` that decide how a vocabulary is used, with the tokenizers' own defaults.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct TokenizerConfig {
    do_lower_case: bool,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: bool,
    add_prefix_space: bool,
    unk_token: Option<Special>,
    cls_token: Option<Special>,
    sep_token: Option<Special>,
    pad_token: Option<Special>,
    mask_token: Option<Special>,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self {
            do_lower_case: true,
            strip_accents: None,
            tokenize_chinese_chars: true,
            add_prefix_space: false,
            unk_token: None,
            cls_token: None,
            sep_token: None,
            pad_token: None,
            mask_token: None,
        }
    }
}

impl TokenizerConfig {
    /// The defaults, for a model that reads capitals or does not.
    pub(super) fn cased(cased: bool) -> Self {
        Self { do_lower_case: !cased, ..Self::default() }
    }
}

/// A special token, by its text alone or with how it is found in a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Special {
    Text(String),
    Full { content: String },
}

/// The special tokens of a vocabulary: their texts.
struct SpecialTokens<'a> {
    unknown: &'a str,
    start: &'a str,
    end: &'a str,
    padding: &'a str,
    mask: &'a str,
}

impl<'a> SpecialTokens<'a> {
    /// What the settings name, else these: unknown, start, end, padding, mask.
    fn new(config: &'a TokenizerConfig, defaults: [&'a str; 5]) -> Self {
        let text = |named: &'a Option<Special>, default| match named {
            Some(Special::Text(content) | Special::Full { content }) => content.as_str(),
            None => default,
        };
        let [unknown, start, end, padding, mask] = defaults;
        Self {
            unknown: text(&config.unk_token, unknown),
            start: text(&config.cls_token, start),
            end: text(&config.sep_token, end),
            padding: text(&config.pad_token, padding),
            mask: text(&config.mask_token, mask),
        }
    }

    /// The id of the start and of the end, and the tokens as a tokenizer's file lists them.
    fn of(&self, vocabulary: &Map<String, Json>) -> Result<(Json, Json, Vec<Json>), ModelError> {
        let id = |text: &str| {
            vocabulary.get(text).cloned().ok_or_else(|| {
                ModelError::Meaning(format!(
                    "the vocabulary has no {text}, without which no text can be given to the model"
                ))
            })
        };
        id(self.unknown)?;
        let (start, end) = (id(self.start)?, id(self.end)?);
        let all = [self.padding, self.unknown, self.start, self.end, self.mask];
        let added = all.into_iter().filter_map(|text| Some((text, vocabulary.get(text)?))).map(|(text, id)| {
            json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true})
        });
        Ok((start, end, added.collect()))
    }
}

/// An entry per line, as Python reads lines; only the last line may be empty without being an entry.
pub(super) fn lines(text: &str) -> Vec<&str> {
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    lines.map(|line| line.strip_suffix('\r').unwrap_or(line)).collect()
}

/// BERT's tokenizer with these entries, in the order of their ids.
pub(super) fn word_pieces<T: AsRef<str>>(entries: &[T], config: &TokenizerConfig) -> Result<Tokenizer, ModelError> {
    let vocabulary: Map<_, _> =
        entries.iter().enumerate().map(|(id, text)| (text.as_ref().to_owned(), json!(id))).collect();
    let special = SpecialTokens::new(config, ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]);
    let (start, end, added) = special.of(&vocabulary)?;
    let around = |text: &str, id: &Json| json!({"id": text, "ids": [id], "tokens": [text]});
    let special_token = |id: &str, segment: usize| json!({"SpecialToken": {"id": id, "type_id": segment}});
    let sequence = |id: &str, segment: usize| json!({"Sequence": {"id": id, "type_id": segment}});
    let single = vec![special_token(special.start, 0), sequence("A", 0), special_token(special.end, 0)];
    let pair = [single.clone(), vec![sequence("B", 1), special_token(special.end, 1)]].concat();
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": config.tokenize_chinese_chars, "strip_accents": config.strip_accents,
            "lowercase": config.do_lower_case},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": {special.start: around(special.start, &start), special.end: around(special.end, &end)}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": special.unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    Tokenizer::from_json(&json.to_string()).map_err(ModelError::Tokenizer)
}

/// RoBERTa's tokenizer of the texts of a `vocab.json` and a `merges.txt`.
pub(super) fn byte_level(vocabulary: &str, merges: &str, config: &TokenizerConfig) -> Result<Tokenizer, ModelError> {
    let fault = |what: &str| ModelError::Meaning(format!("{what} is not what a byte-level tokenizer has"));
    let vocabulary: Map<String, Json> = serde_json::from_str(vocabulary).map_err(|_| fault("vocab.json"))?;
    let merges = lines(merges).into_iter().enumerate();
    let merges = merges.filter(|(number, line)| !(line.is_empty() || *number == 0 && line.starts_with("#version")));
    let merges: Option<Vec<(&str, &str)>> = merges.map(|(_, line)| line.split_once(' ')).collect();
    let merges = merges.ok_or_else(|| fault("merges.txt"))?;
    let special = SpecialTokens::new(config, ["<unk>", "<s>", "</s>", "<pad>", "<mask>"]);
    let (start, end, added) = special.of(&vocabulary)?;
    let prefix = config.add_prefix_space;
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "RobertaProcessing", "sep": [special.end, end], "cls": [special.start, start],
            "trim_offsets": true, "add_prefix_space": prefix},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges},
    });
    Tokenizer::from_json(&json.to_string()).map_err(ModelError::Tokenizer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> TokenizerConfig {
        serde_json::from_str(text).expect("settings")
    }

    #[test]
    fn accents_and_ideographs_are_treated_as_the_settings_say() {
        let entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cafe", "café", "Café", "患", "患者", "a\u{301}"];
        for (settings, text, wanted) in [
            ("{}", "Café", &[4][..]),
            (r#"{"strip_accents": false}"#, "Café", &[5]),
            (r#"{"do_lower_case": false}"#, "Café", &[6]),
            (r#"{"do_lower_case": false, "strip_accents": true}"#, "café", &[4]),
            ("{}", "患者", &[7, 1]),
            (r#"{"tokenize_chinese_chars": false}"#, "患者", &[8]),
        ] {
            let tokenizer = word_pieces(&entries, &config(settings)).expect("a tokenizer");
            assert_eq!(tokenizer.pieces(text).expect("ids"), wanted, "{settings} {text}");
        }
    }

    #[test]
    fn special_tokens_are_called_what_the_settings_call_them() {
        let entries = ["<pad>", "<unk>", "<s>", "</s>", "no"];
        let fault = word_pieces(&entries, &config("{}")).map(|_| ()).expect_err("a fault").to_string();
        assert!(fault.contains("the vocabulary has no [UNK]"), "{fault}");
        let settings = r#"{"unk_token": "<unk>", "cls_token": {"content": "<s>", "lstrip": false}, "sep_token": "</s>",
            "pad_token": "<pad>", "mask_token": null}"#;
        let tokenizer = word_pieces(&entries, &config(settings)).expect("a tokenizer");
        assert_eq!(tokenizer.encode("no x").expect("ids"), [2, 4, 1, 3]);
    }

    #[test]
    fn a_vocabulary_with_merges_makes_the_same_tokens_as_its_tokenizer() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/tokenizers");
        let read = |name: &str| -> Json {
            serde_json::from_str(&std::fs::read_to_string(folder.join(name)).expect("a file")).expect("JSON")
        };
        let json = read("roberta.json");
        let merges = json["model"]["merges"].as_array().expect("merges").iter();
        let merge =
            |merge: &Json| format!("{} {}\n", merge[0].as_str().expect("text"), merge[1].as_str().expect("text"));
        let merges: String = std::iter::once("#version: 0.2\n".to_owned()).chain(merges.map(merge)).collect();
        let vocabulary = json["model"]["vocab"].to_string();
        let tokenizer = byte_level(&vocabulary, &merges, &config("{}")).expect("a tokenizer");
        for row in read("roberta.expected.json").as_array().expect("rows") {
            let text = row["text"].as_str().expect("a text");
            assert_eq!(json!(tokenizer.encode(text).expect("ids")), row["ids"], "{text}");
        }
        for (vocabulary, merges, wanted) in [
            ("[]", "", "vocab.json is not"),
            (vocabulary.as_str(), "#version: 0.2\nab\n", "merges.txt is not"),
            (r#"{"<s>": 0, "<unk>": 1}"#, "", "the vocabulary has no </s>"),
        ] {
            let fault = byte_level(vocabulary, merges, &config("{}")).map(|_| ()).expect_err("a fault").to_string();
            assert!(fault.contains(wanted), "{fault}");
        }
    }
}
