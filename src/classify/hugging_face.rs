//! A model as Hugging Face's tools save and export it: `config.json`, a tokenizer, and an ONNX graph.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::files;
use super::graph_file;
use super::graph_source::GraphSource;
use super::model::{Layout, ModelError, Parts};
use super::scores::Activation;
use super::settings::{Reads, SETTINGS_FILE, Settings};
use super::tokenize::Tokenizer;
use super::vocabulary::{self, TokenizerConfig};

/// Bytes of `config.json` and of the tokenizer's settings.
const CONFIG_BYTES_MAX: u64 = 4 << 20;
/// Bytes of a tokenizer or vocabulary; those for a hundred languages have 20 million.
const TOKENIZER_BYTES_MAX: u64 = 128 << 20;
/// Weights of more bytes are taken out of the graph and mapped, so that memory does not hold them twice.
const SPLIT_BYTES_MIN: u64 = 64 << 20;
/// What weights are called that are only counted; no file can be called so.
const NOWHERE: &str = "\0";
/// Tokens of a window, for a model that would take more: attention grows with their square.
const TOKENS_DEFAULT: usize = 512;
/// Families whose position ids start behind the id that fills up: two of their positions are no token's.
const OFFSET_FAMILIES: [&str; 8] = [
    "roberta",
    "xlm-roberta",
    "xlm-roberta-xl",
    "camembert",
    "longformer",
    "roberta-prelayernorm",
    "data2vec-text",
    "mpnet",
];

/// Families with the tokenizer of RoBERTa, whose files may be `vocab.json` and `merges.txt`.
const BYTE_LEVEL_FAMILIES: [&str; 4] = ["roberta", "longformer", "roberta-prelayernorm", "data2vec-text"];

/// The fields of `config.json` that we need.
#[derive(Deserialize)]
struct Config {
    id2label: BTreeMap<String, String>,
    model_type: Option<String>,
    max_position_embeddings: Option<usize>,
    vocab_size: Option<usize>,
    pad_token_id: Option<u32>,
    problem_type: Option<String>,
}

impl Config {
    fn read(text: &str) -> Result<Self, ModelError> {
        serde_json::from_str(text).map_err(ModelError::Config)
    }

    fn labels(&self) -> Result<Vec<String>, ModelError> {
        let label = |id: usize| {
            let name = self.id2label.get(&id.to_string()).cloned();
            name.ok_or_else(|| ModelError::Meaning(format!("config.json: id2label has no label {id}")))
        };
        (0..self.id2label.len()).map(label).collect()
    }

    /// Tokens that the model takes at most.
    fn positions(&self) -> Option<usize> {
        let family = self.model_type.as_deref().unwrap_or_default();
        let offset = if OFFSET_FAMILIES.contains(&family) { 2 } else { 0 };
        self.max_position_embeddings
            .filter(|positions| *positions > 0)
            .map(|positions| positions.saturating_sub(offset))
    }

    /// Whether it has RoBERTa's tokenizer, if it says nothing else of it.
    fn is_byte_level(&self) -> bool {
        self.model_type.as_deref().is_some_and(|family| BYTE_LEVEL_FAMILIES.contains(&family))
    }

    fn padding(&self) -> u32 {
        let family = self.model_type.as_deref().unwrap_or_default();
        self.pad_token_id.unwrap_or_else(|| u32::from(OFFSET_FAMILIES.contains(&family)))
    }
}

/// What the parts of a model in memory are.
pub(super) struct Texts<'a> {
    pub(super) config: &'a str,
    pub(super) tokenizer: &'a str,
    pub(super) settings: Option<&'a str>,
}

/// A model of these texts and this graph.
pub(super) fn parts(
    layout: Layout,
    name: String,
    texts: &Texts,
    graph: GraphSource,
    sha256: crate::domain::document::Sha256Digest,
) -> Result<Parts, ModelError> {
    let tokenizer = Tokenizer::from_json(texts.tokenizer).map_err(ModelError::Tokenizer)?;
    let settings = texts.settings.map(Settings::read).transpose()?.unwrap_or_default();
    assemble(layout, name, &Config::read(texts.config)?, tokenizer, settings, graph, sha256)
}

fn assemble(
    layout: Layout,
    name: String,
    config: &Config,
    tokenizer: Tokenizer,
    settings: Settings,
    graph: GraphSource,
    sha256: crate::domain::document::Sha256Digest,
) -> Result<Parts, ModelError> {
    if settings.tokenization == Some(super::settings::Tokenization::Spark) {
        return Err(ModelError::Meaning(format!(
            "{SETTINGS_FILE}: tokenization = \"spark\" is for models that Spark NLP has saved"
        )));
    }
    let several = config.problem_type.as_deref() == Some("multi_label_classification");
    let positions = config.positions();
    Ok(Parts {
        layout,
        name,
        labels: config.labels()?,
        tokens_max: positions.unwrap_or(usize::MAX),
        tokens_default: positions.unwrap_or(usize::MAX).min(TOKENS_DEFAULT),
        reads: Reads::Sentences,
        coalesce: false,
        activation: if several { Activation::Sigmoid { threshold: 0.5 } } else { Activation::Softmax },
        vocabulary: config.vocab_size,
        padding: config.padding(),
        tokenizer,
        graph,
        settings,
        sha256,
    })
}

/// The model in a folder: `model.onnx` (or `onnx/model.onnx`), `config.json`, `tokenizer.json` (or `vocab.txt`, or
/// `vocab.json` and `merges.txt` of RoBERTa, with `tokenizer_config.json`), and [`SETTINGS_FILE`] unless its labels speak for themselves.
pub(super) fn load(folder: &Path) -> Result<Parts, ModelError> {
    let root = files::root(folder)?;
    let inside = |name: &str| files::inside(&root, name);
    let missing = |what: &str| ModelError::Layout { path: folder.to_owned(), reason: format!("it has no {what}") };
    let graph = match inside("model.onnx")? {
        Some(path) => path,
        None => inside("onnx/model.onnx")?.ok_or_else(|| missing("model.onnx"))?,
    };
    let config_path = inside("config.json")?.ok_or_else(|| missing("config.json"))?;
    let settings_path = inside(SETTINGS_FILE)?;
    let settings_text = settings_path.as_deref().map(|path| files::read(path, CONFIG_BYTES_MAX)).transpose()?;
    let config = Config::read(&files::read(&config_path, CONFIG_BYTES_MAX)?)?;
    let (tokenizer, tokenizer_files) = tokenizer(&root, folder, &config)?;
    let (source, weights) = graph_source(&graph)?;
    let mut hashed: BTreeMap<String, PathBuf> = BTreeMap::from([("config.json".to_owned(), config_path)]);
    hashed.extend(settings_path.map(|path| (SETTINGS_FILE.to_owned(), path)));
    hashed.extend(tokenizer_files);
    hashed.insert("model.onnx".to_owned(), graph);
    hashed.extend(weights);
    assemble(
        if settings_text.is_some() { Layout::Responsum } else { Layout::HuggingFace },
        folder.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned()),
        &config,
        tokenizer,
        settings_text.as_deref().map(Settings::read).transpose()?.unwrap_or_default(),
        source,
        files::sha256_of_paths(&hashed)?,
    )
}

/// A tokenizer and the files that it is of.
type TokenizerOfFiles = (Tokenizer, BTreeMap<String, PathBuf>);

fn tokenizer(root: &Path, folder: &Path, config: &Config) -> Result<TokenizerOfFiles, ModelError> {
    let mut paths = BTreeMap::new();
    let mut text = |name: &str, limit: u64| -> Result<Option<String>, ModelError> {
        let Some(path) = files::inside(root, name)? else { return Ok(None) };
        let text = files::read(&path, limit)?;
        paths.insert(name.to_owned(), path);
        Ok(Some(text))
    };
    if let Some(json) = text("tokenizer.json", TOKENIZER_BYTES_MAX)? {
        return Ok((Tokenizer::from_json(&json).map_err(ModelError::Tokenizer)?, paths));
    }
    let word_pieces = text("vocab.txt", TOKENIZER_BYTES_MAX)?;
    let byte_level = match word_pieces {
        None if config.is_byte_level() => {
            text("vocab.json", TOKENIZER_BYTES_MAX)?.zip(text("merges.txt", TOKENIZER_BYTES_MAX)?)
        }
        _ => None,
    };
    let settings = text("tokenizer_config.json", CONFIG_BYTES_MAX)?;
    let settings: TokenizerConfig = settings
        .map_or_else(|| Ok(TokenizerConfig::default()), |text| serde_json::from_str(&text))
        .map_err(ModelError::TokenizerConfig)?;
    let tokenizer = match (word_pieces, byte_level) {
        (Some(entries), _) => vocabulary::word_pieces(&vocabulary::lines(&entries), &settings)?,
        (None, Some((entries, merges))) => vocabulary::byte_level(&entries, &merges, &settings)?,
        (None, None) => {
            let slow = ["vocab.json", "spm.model", "sentencepiece.bpe.model"];
            let reason = if slow.iter().any(|name| root.join(name).exists()) {
                "it has no tokenizer.json, only the files of a slow tokenizer: save the tokenizer with \
                 AutoTokenizer.from_pretrained(…, use_fast=True).save_pretrained(…)"
            } else {
                "it has no tokenizer.json, and no vocab.txt either"
            };
            return Err(ModelError::Layout { path: folder.to_owned(), reason: reason.to_owned() });
        }
    };
    Ok((tokenizer, paths))
}

/// Where the graph is, and the files of weights beside it, each looked at before ONNX Runtime opens any.
fn graph_source(graph: &Path) -> Result<(GraphSource, BTreeMap<String, PathBuf>), ModelError> {
    let fail = |source| ModelError::GraphFile { name: graph.display().to_string(), source };
    let length = |path: &Path| {
        let metadata = std::fs::metadata(path);
        metadata.map(|metadata| metadata.len()).map_err(|source| ModelError::Read { path: path.to_owned(), source })
    };
    let (source, external) = if length(graph)? >= SPLIT_BYTES_MIN {
        GraphSource::of_large_file(graph)?
    } else {
        let parts = graph_file::split(files::open(graph)?, std::io::sink(), NOWHERE).map_err(fail)?;
        (GraphSource::File(graph.to_owned()), parts.external)
    };
    let folder = graph.parent().unwrap_or(graph);
    let mut weights = BTreeMap::new();
    for (name, bytes) in external {
        let fault = |reason: &'static str| ModelError::External { name: name.clone(), reason };
        let is_plain = |part| matches!(part, std::path::Component::Normal(_));
        if name.is_empty() || name.contains(['\\', '\0']) || !Path::new(&name).components().all(is_plain) {
            return Err(fault("leads out of the model's folder"));
        }
        let path = files::inside(folder, &name)?.ok_or_else(|| fault("is not there: the copy is not whole"))?;
        if length(&path)? < bytes {
            return Err(fault("is shorter than the graph says: the copy is not whole"));
        }
        weights.insert(name, path);
    }
    Ok((source, weights))
}

#[cfg(test)]
mod tests;
