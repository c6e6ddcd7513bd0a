//! Text to token ids.

use tokenizers::pipeline::{EncodeOptions, Override, PipelineToken, PipelineTokenizer};

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
    pipeline: PipelineTokenizer,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokenizer")
    }
}

impl Tokenizer {
    /// Reads the text of a `tokenizer.json`, also one written by an older version of the tokenizers library.
    pub fn from_json(json: &str) -> Result<Self, TokenizeError> {
        if let Ok(pipeline) = tokenizers::from_json(json) {
            return Ok(Self { pipeline });
        }
        let canonical = tokenizers::canonicalize_str(json).map_err(|error| TokenizeError::Load(error.into()))?;
        let pipeline = tokenizers::from_json(&canonical).map_err(TokenizeError::Load)?;
        Ok(Self { pipeline })
    }

    /// Token ids with the special tokens around them. Nothing is cut off, whatever the tokenizer's own settings say.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        self.ids(text, true)
    }

    /// Token ids without special tokens.
    pub fn pieces(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        self.ids(text, false)
    }

    /// The vocabulary's text for an id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.pipeline.get_model().id_to_token(id)
    }

    fn ids(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, TokenizeError> {
        let options = EncodeOptions {
            add_special_tokens,
            encode_special_tokens: false,
            padding: Override::Off,
            truncation: Override::Off,
        };
        let mut tokens = Vec::with_capacity(text.len() / 3 + 2);
        self.pipeline.encode_into(text, &options, &mut tokens).map_err(|_| TokenizeError::Encode)?;
        Ok(tokens.into_iter().map(PipelineToken::id).collect())
    }
}
