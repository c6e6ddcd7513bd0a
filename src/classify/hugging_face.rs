//! A model as Hugging Face's tools save and export it: `config.json`, a tokenizer, and an ONNX graph.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use super::files;
use super::graph_file;
use super::graph_source::GraphSource;
use super::model::{Layout, ModelError, Parts};
use super::scores::Activation;
use super::settings::{Reads, SETTINGS_FILE, Settings};
use super::tokenize::Tokenizer;

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

/// The fields of `tokenizer_config.json` that decide how a `vocab.txt` is used, with BertTokenizer's own defaults.
#[derive(Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    do_lower_case: bool,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: bool,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self { do_lower_case: true, strip_accents: None, tokenize_chinese_chars: true }
    }
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

/// The model in a folder: `model.onnx` (or `onnx/model.onnx`), `config.json`, `tokenizer.json` (or `vocab.txt` with
/// `tokenizer_config.json`), and [`SETTINGS_FILE`] unless its labels speak for themselves.
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
    let (tokenizer, tokenizer_files) = tokenizer(&root, folder)?;
    let (source, weights) = graph_source(&graph)?;
    let mut hashed: BTreeMap<String, PathBuf> = BTreeMap::from([("config.json".to_owned(), config_path.clone())]);
    hashed.extend(settings_path.map(|path| (SETTINGS_FILE.to_owned(), path)));
    hashed.extend(tokenizer_files);
    hashed.insert("model.onnx".to_owned(), graph);
    hashed.extend(weights);
    assemble(
        if settings_text.is_some() { Layout::Responsum } else { Layout::HuggingFace },
        folder.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned()),
        &Config::read(&files::read(&config_path, CONFIG_BYTES_MAX)?)?,
        tokenizer,
        settings_text.as_deref().map(Settings::read).transpose()?.unwrap_or_default(),
        source,
        files::sha256_of_paths(&hashed)?,
    )
}

/// A tokenizer and the files that it is of.
type TokenizerOfFiles = (Tokenizer, BTreeMap<String, PathBuf>);

fn tokenizer(root: &Path, folder: &Path) -> Result<TokenizerOfFiles, ModelError> {
    if let Some(path) = files::inside(root, "tokenizer.json")? {
        let tokenizer =
            Tokenizer::from_json(&files::read(&path, TOKENIZER_BYTES_MAX)?).map_err(ModelError::Tokenizer)?;
        return Ok((tokenizer, BTreeMap::from([("tokenizer.json".to_owned(), path)])));
    }
    let Some(path) = files::inside(root, "vocab.txt")? else {
        let reason =
            if ["vocab.json", "spm.model", "sentencepiece.bpe.model"].iter().any(|name| root.join(name).exists()) {
                "it has no tokenizer.json, only the files of a slow tokenizer: save the tokenizer with \
             AutoTokenizer.from_pretrained(…, use_fast=True).save_pretrained(…)"
            } else {
                "it has no tokenizer.json, and no vocab.txt either"
            };
        return Err(ModelError::Layout { path: folder.to_owned(), reason: reason.to_owned() });
    };
    let entries = files::read(&path, TOKENIZER_BYTES_MAX)?;
    let entries: Vec<&str> = lines(&entries).collect();
    let mut paths = BTreeMap::from([("vocab.txt".to_owned(), path)]);
    let config = match files::inside(root, "tokenizer_config.json")? {
        Some(path) => {
            let text = files::read(&path, CONFIG_BYTES_MAX)?;
            paths.insert("tokenizer_config.json".to_owned(), path);
            serde_json::from_str(&text).map_err(ModelError::TokenizerConfig)?
        }
        None => TokenizerConfig::default(),
    };
    Ok((word_pieces(&entries, config.do_lower_case, config.strip_accents, config.tokenize_chinese_chars)?, paths))
}

/// An entry per line, as Python reads lines; only the last line may be empty without being an entry.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// BERT's own tokenizer with these entries, in the order of their ids.
pub(super) fn word_pieces<T: AsRef<str>>(
    entries: &[T],
    lowercase: bool,
    strip_accents: Option<bool>,
    ideographs: bool,
) -> Result<Tokenizer, ModelError> {
    let id = |text: &'static str| {
        let id = entries.iter().position(|entry| entry.as_ref() == text);
        id.ok_or_else(|| {
            ModelError::Meaning(format!(
                "the vocabulary has no {text}, without which no text can be given to the model"
            ))
        })
    };
    let (start, end) = (id("[CLS]")?, id("[SEP]")?);
    id("[UNK]")?;
    let around = |text: &str, id: usize| json!({"id": text, "ids": [id], "tokens": [text]});
    let special: Vec<_> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .into_iter()
        .filter_map(|text| Some((text, entries.iter().position(|entry| entry.as_ref() == text)?)))
        .map(|(text, id)| {
            json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true})
        })
        .collect();
    let vocabulary: serde_json::Map<_, _> =
        entries.iter().enumerate().map(|(id, text)| (text.as_ref().to_owned(), json!(id))).collect();
    let special_token = |id: &str, segment: usize| json!({"SpecialToken": {"id": id, "type_id": segment}});
    let sequence = |id: &str, segment: usize| json!({"Sequence": {"id": id, "type_id": segment}});
    let single = vec![special_token("[CLS]", 0), sequence("A", 0), special_token("[SEP]", 0)];
    let pair = [single.clone(), vec![sequence("B", 1), special_token("[SEP]", 1)]].concat();
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": ideographs,
            "strip_accents": strip_accents, "lowercase": lowercase},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": {"[CLS]": around("[CLS]", start), "[SEP]": around("[SEP]", end)}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    Tokenizer::from_json(&json.to_string()).map_err(ModelError::Tokenizer)
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
