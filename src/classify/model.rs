//! Loading a model: what its folder holds, what its labels mean, and its version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::calibration::DocumentScale;
use super::default_model;
use super::files::{read, sha256_of, sha256_of_folder, starts_with};
use super::onnx::{GraphSource, Head, Heads};
use super::tokenize::{TokenizeError, Tokenizer};
use crate::domain::annotation::ModelVersion;
use crate::domain::document::Sha256Digest;
use crate::domain::label::{Category, Label};

/// Name of the file that says what a model's labels mean.
pub const SETTINGS_FILE: &str = "responsum-model.toml";

/// The cancer head tells two classes apart: not a cancer, a cancer.
pub const CANCER_CLASSES: usize = 2;

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `responsum-model.toml` is not what it should be.
    #[error("reading {SETTINGS_FILE}")]
    Settings(#[source] toml::de::Error),
    /// `config.json` is not what it should be.
    #[error("reading config.json")]
    Config(#[source] serde_json::Error),
    /// The tokenizer cannot be read.
    #[error("loading the tokenizer")]
    Tokenizer(#[source] TokenizeError),
    /// The path is not a model of a layout that we read.
    #[error("{}: {reason}", path.display())]
    Layout {
        /// What was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The parts of the model contradict each other, or say too little.
    #[error("{0}")]
    Meaning(String),
}

/// How a model lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Inside the executable.
    Default,
    /// A Hugging Face folder with our settings file.
    Responsum,
    /// A Hugging Face folder without it.
    HuggingFace,
}

impl Layout {
    /// The name that `model inspect` gives.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "built-in",
            Self::Responsum => "responsum",
            Self::HuggingFace => "hugging-face",
        }
    }
}

/// One of the model's own labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLabel {
    /// As the model's `config.json` names it.
    pub name: String,
    /// What it is to us.
    pub label: Label,
}

/// A model, ready to be given to a session.
#[derive(Clone, Debug)]
pub struct Model {
    /// How it was stored.
    pub layout: Layout,
    /// Its name, version and hash.
    pub version: ModelVersion,
    /// Tokens per window, special tokens included.
    pub max_tokens: usize,
    /// Tokens of context before a window's own sentence; 0 for a model that does not say that it was trained with any.
    pub context_tokens: usize,
    /// Its labels, in the order of its logits.
    pub labels: Vec<OwnLabel>,
    /// The categories, in the order of their logits; empty for a model that tells none.
    pub categories: Vec<Category>,
    /// Divides the label logits before the softmax.
    pub temperature: f32,
    /// How its readings of a document are pooled; none if it was never fitted to labelled reports.
    pub document_scale: Option<DocumentScale>,
    /// Entries in the vocabulary.
    pub vocabulary: Option<usize>,
    /// Id that fills up short rows of a batch.
    pub padding: u32,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    pub(super) graph: GraphSource,
    pub(super) heads: Heads,
}

impl Model {
    /// The model in the executable.
    pub fn built_in() -> Result<Self, ModelError> {
        let files = default_model::FILES;
        Parts {
            layout: Layout::Default,
            name: "built-in".to_owned(),
            settings: Some(files.settings.to_owned()),
            config: files.config.to_owned(),
            tokenizer: files.tokenizer.to_owned(),
            graph: GraphSource::Embedded(files.graph),
            sha256: sha256_of(&[
                ("config.json", files.config.as_bytes()),
                ("model.onnx", files.graph),
                (SETTINGS_FILE, files.settings.as_bytes()),
                ("tokenizer.json", files.tokenizer.as_bytes()),
            ]),
        }
        .assemble()
    }

    /// The model in the folder, or the one in the executable if none is given.
    pub fn open(path: Option<&Path>) -> Result<Self, ModelError> {
        path.map_or_else(Self::built_in, Self::load)
    }

    /// The tokenizer of the model in the executable.
    pub(super) fn built_in_tokenizer() -> Result<Tokenizer, ModelError> {
        Tokenizer::from_json(default_model::FILES.tokenizer).map_err(ModelError::Tokenizer)
    }

    /// The model in a folder: `model.onnx` (or `onnx/model.onnx`), `tokenizer.json`, `config.json`, and
    /// [`SETTINGS_FILE`] unless its labels speak for themselves.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let layout = |reason: &str| ModelError::Layout { path: path.to_owned(), reason: reason.to_owned() };
        if path.is_file() {
            return Err(layout(if starts_with(path, b"PK")? {
                "Spark NLP archives are not read yet; give a folder with model.onnx, tokenizer.json and config.json"
            } else {
                "a model is a folder with model.onnx, tokenizer.json and config.json"
            }));
        }
        if !path.is_dir() {
            return Err(layout("there is no such folder"));
        }
        if path.join("metadata").is_dir() {
            return Err(layout("Spark NLP folders are not read yet"));
        }
        let graph =
            ["model.onnx", "onnx/model.onnx"].map(|name| path.join(name)).into_iter().find(|file| file.is_file());
        let graph = graph.ok_or_else(|| layout("it has neither model.onnx nor onnx/model.onnx"))?;
        for name in ["tokenizer.json", "config.json"] {
            if !path.join(name).is_file() {
                return Err(layout(&format!("it has no {name}")));
            }
        }
        let settings = path.join(SETTINGS_FILE);
        let settings = settings.is_file().then(|| read(&settings)).transpose()?;
        Parts {
            layout: if settings.is_some() { Layout::Responsum } else { Layout::HuggingFace },
            name: path.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned()),
            sha256: sha256_of_folder(path, &graph)?,
            settings,
            config: read(&path.join("config.json"))?,
            tokenizer: read(&path.join("tokenizer.json"))?,
            graph: GraphSource::File(graph),
        }
        .assemble()
    }

    /// Whether it says how likely the disease at issue is a cancer.
    pub const fn tells_cancer(&self) -> bool {
        self.heads.cancer.is_some()
    }

    /// The model's own name for a label; none if it has none.
    pub fn own_name(&self, label: Label) -> Option<&str> {
        self.labels.iter().find(|own| own.label == label).map(|own| own.name.as_str())
    }
}

/// What a layout gives; the same from here on for all of them.
struct Parts {
    layout: Layout,
    name: String,
    settings: Option<String>,
    config: String,
    tokenizer: String,
    graph: GraphSource,
    sha256: Sha256Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    id: String,
    version: String,
    max_tokens: usize,
    #[serde(default)]
    context_tokens: usize,
    labels: BTreeMap<String, String>,
    outputs: Outputs,
    categories: Option<Categories>,
    calibration: Option<Calibration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outputs {
    label: String,
    category: Option<String>,
    cancer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Categories {
    order: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Calibration {
    temperature: f32,
    document: Option<DocumentScale>,
}

/// The fields of a Hugging Face `config.json` that we need.
#[derive(Deserialize)]
struct Config {
    id2label: BTreeMap<String, String>,
    max_position_embeddings: Option<usize>,
    vocab_size: Option<usize>,
    pad_token_id: Option<u32>,
    problem_type: Option<String>,
}

impl Parts {
    fn assemble(self) -> Result<Model, ModelError> {
        let settings = self.settings.as_deref().map(toml::from_str::<Settings>).transpose();
        let settings = settings.map_err(ModelError::Settings)?;
        let config: Config = serde_json::from_str(&self.config).map_err(ModelError::Config)?;
        if config.problem_type.as_deref() == Some("multi_label_classification") {
            return Err(ModelError::Meaning(
                "the model gives several labels at once; one label per text is needed".into(),
            ));
        }
        let meanings = settings.as_ref().map(|settings| &settings.labels);
        let labels = own_labels(&config.id2label, meanings)?;
        let positions = config.max_position_embeddings.unwrap_or(usize::MAX);
        let max_tokens = settings.as_ref().map_or(positions.min(512), |settings| settings.max_tokens);
        if !(MIN_TOKENS..=positions).contains(&max_tokens) {
            let found = format!("max_tokens is {max_tokens}; the model takes {MIN_TOKENS} to {positions}");
            return Err(ModelError::Meaning(found));
        }
        let categories = settings.as_ref().and_then(|settings| settings.categories.as_ref());
        let categories = categories.map_or(Ok(Vec::new()), category_order)?;
        let calibration = settings.as_ref().and_then(|settings| settings.calibration.as_ref());
        let document_scale = calibration.and_then(|calibration| calibration.document);
        if document_scale.is_some_and(|scale| !scale.is_sound()) {
            return Err(ModelError::Meaning("calibration.document holds a number that cannot be used".into()));
        }
        let temperature = calibration.map_or(1.0, |calibration| calibration.temperature);
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(ModelError::Meaning("calibration.temperature must be above 0".into()));
        }
        let outputs = settings.as_ref().map(|settings| &settings.outputs);
        let heads = heads(outputs, labels.len(), categories.len())?;
        let short_hash = self.sha256.hex()[..12].to_owned();
        Ok(Model {
            layout: self.layout,
            version: ModelVersion {
                id: settings.as_ref().map_or(self.name, |settings| settings.id.clone()),
                version: settings.as_ref().map_or(short_hash, |settings| settings.version.clone()),
                sha256: self.sha256,
            },
            max_tokens,
            context_tokens: settings.as_ref().map_or(0, |settings| settings.context_tokens),
            labels,
            categories,
            temperature,
            document_scale,
            vocabulary: config.vocab_size,
            padding: config.pad_token_id.unwrap_or(0),
            tokenizer: Tokenizer::from_json(&self.tokenizer).map_err(ModelError::Tokenizer)?,
            graph: self.graph,
            heads,
        })
    }
}

/// A window must hold a few words beside its special tokens.
const MIN_TOKENS: usize = 8;

fn heads(outputs: Option<&Outputs>, labels: usize, categories: usize) -> Result<Heads, ModelError> {
    let head = |output: &str, classes| Head { output: output.to_owned(), classes };
    let Some(outputs) = outputs else {
        return Ok(Heads { label: head("logits", labels), category: None, cancer: None });
    };
    if outputs.category.is_some() != (categories > 0) {
        let fault = format!("{SETTINGS_FILE} must name outputs.category and categories.order both, or neither");
        return Err(ModelError::Meaning(fault));
    }
    Ok(Heads {
        label: head(&outputs.label, labels),
        category: outputs.category.as_deref().map(|output| head(output, categories)),
        cancer: outputs.cancer.as_deref().map(|output| head(output, CANCER_CLASSES)),
    })
}

/// The labels in the order of their ids, each with its meaning: from the settings, else from its name.
fn own_labels(
    id2label: &BTreeMap<String, String>,
    meanings: Option<&BTreeMap<String, String>>,
) -> Result<Vec<OwnLabel>, ModelError> {
    let mut labels = Vec::with_capacity(id2label.len());
    for id in 0..id2label.len() {
        let name = id2label.get(&id.to_string());
        let name = name.ok_or_else(|| ModelError::Meaning(format!("config.json: id2label has no label {id}")))?;
        let label = match meanings {
            Some(meanings) => meanings.get(name).and_then(|code| Label::from_code(code)),
            None => label_by_name(name),
        };
        let label = label.ok_or_else(|| meaning_missing(name, id2label))?;
        labels.push(OwnLabel { name: name.clone(), label });
    }
    for label in [Label::Responded, Label::NotResponded] {
        if !labels.iter().any(|own| own.label == label) {
            return Err(ModelError::Meaning(format!("none of the model's labels means {}", label.code())));
        }
    }
    Ok(labels)
}

fn label_by_name(name: &str) -> Option<Label> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "yes" => Some(Label::Responded),
        "no" => Some(Label::NotResponded),
        "na" => Some(Label::NotStated),
        code => Label::from_code(code),
    }
}

fn meaning_missing(name: &str, id2label: &BTreeMap<String, String>) -> ModelError {
    let lines: Vec<String> = id2label.values().map(|name| format!("{name:?} = \"…\"")).collect();
    ModelError::Meaning(format!(
        "the model's label {name:?} is not known; write a {SETTINGS_FILE} beside model.onnx with id, version, \
         max_tokens, [outputs] label = \"logits\" and [labels] {}, each one of responded, \
         not-responded, not-stated",
        lines.join(", ")
    ))
}

fn category_order(categories: &Categories) -> Result<Vec<Category>, ModelError> {
    let order: Option<Vec<Category>> = categories.order.iter().map(|code| Category::from_code(code)).collect();
    let order = order.filter(|order| Category::ALL.iter().all(|category| order.contains(category)));
    order.filter(|order| order.len() == Category::ALL.len()).ok_or_else(|| {
        let codes = Category::ALL.map(Category::code).join(", ");
        ModelError::Meaning(format!("{SETTINGS_FILE}: categories.order must hold each of {codes} once"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::session::{SessionSettings, SessionThread};
    use crate::classify::testing::{tiny_model, tiny_path};

    /// A copy of the tiny model in which `change` has changed the text of one file; nothing if it takes it away.
    fn changed(name: &str, change: impl Fn(String) -> Option<String>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["model.onnx", "tokenizer.json", "config.json", SETTINGS_FILE] {
            std::fs::copy(tiny_path().join(file), folder.path().join(file)).expect("a copy");
        }
        let path = folder.path().join(name);
        match change(std::fs::read_to_string(&path).unwrap_or_default()) {
            Some(text) => std::fs::write(&path, text).expect("a file"),
            None => std::fs::remove_file(&path).expect("a file"),
        }
        folder
    }

    fn fault(folder: &tempfile::TempDir) -> String {
        let error = Model::load(folder.path()).expect_err("a fault");
        std::error::Error::source(&error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
    }

    #[test]
    fn our_own_folder_is_read() {
        let model = tiny_model();
        assert_eq!((model.layout, model.max_tokens, model.context_tokens), (Layout::Responsum, 16, 6));
        assert_eq!((model.version.id.as_str(), model.version.version.as_str()), ("tiny", "1"));
        assert_eq!(model.own_name(Label::NotResponded), Some("No"));
        assert_eq!(model.categories, Category::ALL);
        assert!(model.tells_cancer());
    }

    #[test]
    fn the_built_in_model_is_read() {
        let model = Model::built_in().expect("the built-in model");
        assert_eq!(model.layout, Layout::Default);
        assert_eq!(model.labels.len(), 3);
    }

    #[test]
    fn a_folder_without_our_settings_is_read_if_its_labels_speak_for_themselves() {
        let folder = changed(SETTINGS_FILE, |_| None);
        let model = Model::load(folder.path()).expect("a model");
        assert_eq!(model.layout, Layout::HuggingFace);
        assert_eq!((model.max_tokens, model.tells_cancer()), (64, false));
        SessionThread::start(&model, SessionSettings::default()).expect("a session");
    }

    #[test]
    fn labels_that_do_not_speak_for_themselves_ask_for_our_settings() {
        let folder = changed("config.json", |text| Some(text.replace("\"Yes\"", "\"LABEL_0\"")));
        std::fs::remove_file(folder.path().join(SETTINGS_FILE)).expect("a file");
        let fault = fault(&folder);
        assert!(fault.contains("LABEL_0") && fault.contains(SETTINGS_FILE) && fault.contains("[labels]"), "{fault}");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (file, from, to, expected) in [
            ("config.json", "\"NA\"", "\"Maybe\"", "Maybe"),
            ("config.json", "\"id2label\"", "\"labels\"", "config.json"),
            (SETTINGS_FILE, "max_tokens = 16", "max_tokens = 1000", "max_tokens is 1000"),
            (SETTINGS_FILE, "max_tokens = 16", "max_token = 16", "unknown field"),
            (SETTINGS_FILE, "temperature = 1.0", "temperature = 0.0", "temperature"),
            (SETTINGS_FILE, "\"complete\", ", "", "categories.order"),
            ("tokenizer.json", "WordPiece", "WordPizza", "tokenizer"),
        ] {
            let folder = changed(file, |text| Some(text.replacen(from, to, 1)));
            let fault = fault(&folder);
            assert!(fault.contains(expected), "{file}: {fault}");
        }
        for name in ["model.onnx", "tokenizer.json", "config.json"] {
            let folder = tempfile::tempdir().expect("a folder");
            for file in ["model.onnx", "tokenizer.json", "config.json"].into_iter().filter(|file| *file != name) {
                std::fs::copy(tiny_path().join(file), folder.path().join(file)).expect("a copy");
            }
            assert!(fault(&folder).contains(name));
        }
    }

    #[test]
    fn a_graph_that_does_not_fit_its_settings_is_refused_when_it_is_loaded() {
        for (from, to, expected) in [
            ("label = \"logits\"", "label = \"answers\"", "no output answers"),
            ("label = \"logits\"", "label = \"cancer_logits\"", "2 classes apart"),
            ("cancer = \"cancer_logits\"", "cancer = \"logits\"", "3 classes apart"),
        ] {
            let folder = changed(SETTINGS_FILE, |text| Some(text.replacen(from, to, 1)));
            let model = Model::load(folder.path()).expect("settings that can be read");
            let error = SessionThread::start(&model, SessionSettings::default()).expect_err("a fault");
            let cause = std::error::Error::source(&error).expect("a cause").to_string();
            assert!(cause.contains(expected), "{cause}");
        }
    }

    #[test]
    fn an_archive_of_spark_nlp_is_recognised_and_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let archive = folder.path().join("model.zip");
        std::fs::write(&archive, b"PK\x03\x04").expect("a file");
        let error = Model::load(&archive).expect_err("a fault").to_string();
        assert!(error.contains("Spark NLP archives are not read yet"), "{error}");
    }

    #[test]
    fn the_hash_changes_with_every_file_that_decides_answers() {
        let original = tiny_model().version.sha256;
        let same = changed("README.md", |_| Some("a card".to_owned()));
        assert_eq!(Model::load(same.path()).expect("a model").version.sha256, original);
        for file in ["tokenizer.json", "config.json", SETTINGS_FILE] {
            let folder = changed(file, |text| Some(format!("{text}\n")));
            assert_ne!(Model::load(folder.path()).expect("a model").version.sha256, original, "{file}");
        }
    }
}
