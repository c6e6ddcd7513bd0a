//! Text to token ids.

use std::sync::Arc;

use tokenizers::pipeline::{EncodeOptions, Override, PipelineToken, PipelineTokenizer};

use super::spark::tokenizer::SparkTokenizer;

/// Why a text cannot be turned into tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    /// `tokenizer.json` is not one that we can read.
    #[error("reading tokenizer.json")]
    Load(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The tokenizer refused a text. Its own words are left out: they may repeat the text.
    #[error("the tokenizer cannot encode the text")]
    Encode,
}

/// A model's tokenizer.
#[derive(Clone)]
pub struct Tokenizer {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// That of a `tokenizer.json`, with the number of special tokens that it puts before and behind a text.
    Pipeline(Box<PipelineTokenizer>, usize, usize),
    /// Spark NLP's.
    Spark(Arc<SparkTokenizer>),
}

/// What a text is to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids, special tokens included; no more than the limit.
    pub ids: Vec<u32>,
    /// Pieces that the whole text has, without special tokens.
    pub pieces_total: usize,
    /// Pieces that were cut off at the limit, the last ones.
    pub pieces_cut: usize,
    /// Words that the tokenizer does not read, as Spark's leaves out what follows the first word of a token.
    pub words_dropped: usize,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokenizer")
    }
}

impl Tokenizer {
    /// Reads the text of a `tokenizer.json`, also one written by an older version of the tokenizers library.
    pub fn from_json(json: &str) -> Result<Self, TokenizeError> {
        let pipeline = |pipeline| {
            let (before, behind) = special_tokens(&pipeline)?;
            Ok(Self { kind: Kind::Pipeline(Box::new(pipeline), before, behind) })
        };
        if let Ok(read) = tokenizers::from_json(json) {
            return pipeline(read);
        }
        let canonical = tokenizers::canonicalize_str(json).map_err(|error| TokenizeError::Load(error.into()))?;
        pipeline(tokenizers::from_json(&canonical).map_err(TokenizeError::Load)?)
    }

    /// Spark NLP's tokenizer with these entries, in the order of their ids; none if a special token is not among them.
    pub fn spark(entries: Vec<String>, case_sensitive: bool) -> Option<Self> {
        let tokenizer = SparkTokenizer::new(entries, case_sensitive)?;
        Some(Self { kind: Kind::Spark(Arc::new(tokenizer)) })
    }

    /// Token ids with the special tokens around them. Nothing is cut off, whatever the tokenizer's own settings say.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        match &self.kind {
            Kind::Pipeline(pipeline, ..) => ids(pipeline, text, true),
            Kind::Spark(spark) => Ok(spark.encode(text)),
        }
    }

    /// Token ids without special tokens.
    pub fn pieces(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        match &self.kind {
            Kind::Pipeline(pipeline, ..) => ids(pipeline, text, false),
            Kind::Spark(spark) => Ok(spark.pieces(text).ids),
        }
    }

    /// Token ids of the text with the special tokens around them, cut at the limit, and what is not among them.
    pub fn encode_within(&self, text: &str, max_tokens: usize) -> Result<Encoded, TokenizeError> {
        let (mut ids, before, behind, words_dropped) = match &self.kind {
            Kind::Pipeline(pipeline, before, behind) => (ids(pipeline, text, true)?, *before, *behind, 0),
            Kind::Spark(spark) => {
                let (ids, words_dropped) = spark.encode_with_drops(text);
                (ids, 1, 1, words_dropped)
            }
        };
        let pieces_total = ids.len().saturating_sub(before + behind);
        let room = max_tokens.saturating_sub(before + behind);
        let pieces_cut = pieces_total.saturating_sub(room);
        // The special tokens that end a text stay.
        let end = ids.len() - behind.min(ids.len());
        ids.drain(end.saturating_sub(pieces_cut)..end);
        Ok(Encoded { ids, pieces_total, pieces_cut, words_dropped })
    }

    /// The vocabulary's text for an id.
    pub fn token(&self, id: u32) -> Option<String> {
        match &self.kind {
            Kind::Pipeline(pipeline, ..) => pipeline.get_model().id_to_token(id),
            Kind::Spark(spark) => spark.token(id).map(str::to_owned),
        }
    }

    /// How it makes tokens of a text.
    pub const fn tokenization(&self) -> &'static str {
        match self.kind {
            Kind::Pipeline(..) => "huggingface",
            Kind::Spark(_) => "spark",
        }
    }
}

/// How many special tokens stand before a text, and how many behind it.
fn special_tokens(pipeline: &PipelineTokenizer) -> Result<(usize, usize), TokenizeError> {
    let (alone, around) = (ids(pipeline, "", true)?, ids(pipeline, "a", true)?);
    let same = alone.iter().rev().zip(around.iter().rev()).take_while(|(alone, around)| alone == around).count();
    Ok((alone.len() - same, same))
}

fn ids(pipeline: &PipelineTokenizer, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, TokenizeError> {
    let options = EncodeOptions {
        add_special_tokens,
        encode_special_tokens: false,
        padding: Override::Off,
        truncation: Override::Off,
    };
    let mut tokens = Vec::with_capacity(text.len() / 3 + 2);
    pipeline.encode_into(text, &options, &mut tokens).map_err(|_| TokenizeError::Encode)?;
    Ok(tokens.into_iter().map(PipelineToken::id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_level_and_unigram_tokenizers_give_what_python_gives() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/tokenizers");
        for family in ["roberta", "modernbert", "deberta"] {
            let read = |name: String| std::fs::read_to_string(folder.join(name)).expect("a file");
            let tokenizer = Tokenizer::from_json(&read(format!("{family}.json"))).expect("a tokenizer");
            let rows: Vec<serde_json::Value> =
                serde_json::from_str(&read(format!("{family}.expected.json"))).expect("JSON");
            for row in rows {
                let text = row["text"].as_str().expect("a text");
                assert_eq!(serde_json::json!(tokenizer.encode(text).expect("ids")), row["ids"], "{family}: {text}");
            }
        }
    }

    #[test]
    fn a_text_is_cut_before_its_last_special_token_whatever_special_tokens_there_are() {
        let json = std::fs::read_to_string(crate::classify::testing::tiny_path().join("tokenizer.json")).expect("text");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let text = "mass mass mass mass mass";
        let (mass, around) = (Tokenizer::from_json(&json.to_string()).expect("a tokenizer").pieces("mass"), [2, 3]);
        let mass = mass.expect("ids")[0];
        let none = {
            let mut json = json.clone();
            json["post_processor"] = serde_json::Value::Null;
            Tokenizer::from_json(&json.to_string()).expect("a tokenizer")
        };
        let plain = none.encode_within(text, 4).expect("ids");
        assert_eq!((plain.ids, plain.pieces_total, plain.pieces_cut), (vec![mass; 4], 5, 1));
        let bert = Tokenizer::from_json(&json.to_string()).expect("a tokenizer").encode_within(text, 4).expect("ids");
        assert_eq!((bert.ids, bert.pieces_total, bert.pieces_cut), (vec![around[0], mass, mass, around[1]], 5, 3));
    }
}
