//! A model of Spark NLP as one of ours: its settings, its tokenizer, its hash, which is the same for a zip and for what is
//! in it.

use std::path::Path;

use super::archive::{Archive, ArchiveError};
use super::files::{self, Digests};
use super::graph_source::GraphSource;
use super::model::{Layout, ModelError, Parts};
use super::scores::Activation;
use super::settings::{Reads, SETTINGS_FILE, Settings, Tokenization};
use super::spark::{self, SparkModel};
use super::tokenize::Tokenizer;
use super::vocabulary::{TokenizerConfig, word_pieces};

/// Bytes of our settings beside it.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a file but the graph; they were read before, with limits of their own.
const FILE_BYTES_MAX: u64 = 128 << 20;
/// Tokens that Spark NLP lets a BERT model read.
const TOKENS_MAX: usize = 512;

/// The model in a folder or zip, whose files the archive has.
pub(super) fn load(path: &Path, archive: &mut Archive) -> Result<Parts, ModelError> {
    let model = SparkModel::read(archive)?;
    let settings_text = settings(path, archive, &model.root)?;
    let settings = settings_text.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
    let tokenizer = match settings.tokenization.unwrap_or(Tokenization::Spark) {
        Tokenization::Spark => Tokenizer::spark(model.vocabulary.clone(), model.case_sensitive),
        Tokenization::HuggingFace => {
            Some(word_pieces(&model.vocabulary, &TokenizerConfig::cased(model.case_sensitive))?)
        }
    };
    // Cannot fail because the vocabulary was read with its special tokens.
    let tokenizer = tokenizer.ok_or_else(|| ModelError::Meaning("the vocabulary has no special tokens".into()))?;
    let mut digests = Digests::default();
    for file in model.files.iter().filter(|file| **file != model.graph) {
        let bytes = archive.read(file, FILE_BYTES_MAX).map_err(ModelError::Archive)?;
        digests.add(file.strip_prefix(&model.root).unwrap_or(file), &bytes);
    }
    if let Some(text) = settings_text {
        digests.add(SETTINGS_FILE, text.as_bytes());
    }
    let graph_name = model.graph.strip_prefix(&model.root).unwrap_or(&model.graph).to_owned();
    let (graph, graph_digest) = GraphSource::of_spark(archive, path, model.graph)?;
    digests.add_digest(&graph_name, graph_digest);
    Ok(Parts {
        layout: Layout::SparkNlp,
        name: name_of(path),
        labels: model.labels,
        tokens_max: TOKENS_MAX,
        tokens_default: model.max_sentence_length,
        reads: Reads::Document,
        coalesce: model.coalesce_sentences,
        activation: match model.activation {
            spark::Activation::Softmax => Activation::Softmax,
            spark::Activation::Sigmoid => Activation::Sigmoid { threshold: model.threshold },
        },
        vocabulary: Some(model.vocabulary.len()),
        // Spark's own: it takes every id but 0 for a token.
        padding: 0,
        tokenizer,
        graph,
        settings,
        sha256: digests.finish(),
    })
}

/// What the model's folder or zip is called.
fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
    name.strip_suffix(".zip").map(str::to_owned).unwrap_or(name)
}

/// The text of our settings: within the model, or else `NAME.toml` beside `NAME.zip`.
fn settings(path: &Path, archive: &mut Archive, root: &str) -> Result<Option<String>, ModelError> {
    let within = [format!("{root}{SETTINGS_FILE}"), SETTINGS_FILE.to_owned()];
    if let Some(name) = within.into_iter().find(|name| archive.has(name)) {
        let bytes = archive.read(&name, SETTINGS_BYTES_MAX).map_err(ModelError::Archive)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
            ModelError::Archive(ArchiveError::Read { name, source })
        })?;
        return Ok(Some(text));
    }
    let beside = path.with_file_name(format!("{}.toml", name_of(path)));
    if path.is_dir() || !beside.is_file() {
        return Ok(None);
    }
    files::read(&beside, SETTINGS_BYTES_MAX).map(Some)
}

#[cfg(test)]
pub(super) mod tests;
