//! A model of Spark NLP as one of ours: its settings, its tokenizer, its hash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::files;
use super::graph_source::GraphSource;
use super::hugging_face::word_pieces;
use super::model::{Layout, ModelError, Parts};
use super::scores::Activation;
use super::settings::{Reads, SETTINGS_FILE, Settings, Tokenization};
use super::spark::{self, SparkModel};
use super::tokenize::Tokenizer;
use crate::domain::document::Sha256Digest;

/// Bytes of our settings beside it.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;
/// Tokens that Spark NLP lets a BERT model read.
const TOKENS_MAX: usize = 512;

/// The model in a folder or zip, whose files the archive has.
pub(super) fn load(path: &Path, archive: &mut Archive) -> Result<Parts, ModelError> {
    let model = SparkModel::read(archive)?;
    spark::check_graph(archive, &model.graph)?;
    let (settings, settings_path) = settings(path)?;
    let tokenizer = match settings.tokenization.unwrap_or(Tokenization::Spark) {
        Tokenization::Spark => Tokenizer::spark(model.vocabulary.clone(), model.case_sensitive),
        Tokenization::HuggingFace => Some(word_pieces(&model.vocabulary, !model.case_sensitive, None, true)?),
    };
    // Cannot fail because the vocabulary was read with its special tokens.
    let tokenizer = tokenizer.ok_or_else(|| ModelError::Meaning("the vocabulary has no special tokens".into()))?;
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
        graph: GraphSource::Spark { model: path.to_owned(), name: model.graph },
        settings,
        sha256: sha256(path, model.files, settings_path)?,
    })
}

/// What the model's folder or zip is called.
fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
    name.strip_suffix(".zip").map(str::to_owned).unwrap_or(name)
}

/// Our settings: in the folder, or beside the zip.
fn settings(path: &Path) -> Result<(Settings, Option<PathBuf>), ModelError> {
    let beside = if path.is_dir() { Some(path) } else { path.parent() };
    let Some(file) = beside.map(|folder| folder.join(SETTINGS_FILE)).filter(|file| file.is_file()) else {
        return Ok((Settings::default(), None));
    };
    Ok((Settings::read(&files::read(&file, SETTINGS_BYTES_MAX)?)?, Some(file)))
}

/// Of a zip the zip itself, of a folder its files that decide the answers, and our settings where there are any.
fn sha256(path: &Path, names: Vec<String>, settings: Option<PathBuf>) -> Result<Sha256Digest, ModelError> {
    let mut paths: BTreeMap<String, PathBuf> = if path.is_dir() {
        names.into_iter().map(|name| (name.clone(), path.join(name))).collect()
    } else {
        BTreeMap::from([("model.zip".to_owned(), path.to_owned())])
    };
    paths.extend(settings.map(|path| (SETTINGS_FILE.to_owned(), path)));
    files::sha256_of_paths(&paths)
}

#[cfg(test)]
pub(super) mod tests;
