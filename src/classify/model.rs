//! Loading a model: what its files hold, what its labels mean, and its version.

use std::path::{Path, PathBuf};

use super::archive::{Archive, ArchiveError};
use super::calibration::DocumentScale;
use super::default_model;
use super::files::{sha256_of, starts_with};
use super::graph_file::GraphFileError;
use super::graph_source::GraphSource;
use super::hugging_face::{self, Texts};
use super::onnx::Heads;
use super::scores::Activation;
use super::settings::Settings;
pub use super::settings::{Reads, SETTINGS_FILE, Tokenization};
use super::spark::{self, SparkError};
use super::spark_model;
use super::tokenize::{TokenizeError, Tokenizer};
use crate::domain::annotation::ModelVersion;
use crate::domain::document::Sha256Digest;
use crate::domain::label::{Category, Label};

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
    /// Its files cannot be listed, or one of them is not to be read.
    #[error(transparent)]
    Archive(ArchiveError),
    /// `responsum-model.toml` is not what it should be.
    #[error("reading {SETTINGS_FILE}")]
    Settings(#[source] toml::de::Error),
    /// `config.json` is not what it should be.
    #[error("reading config.json")]
    Config(#[source] serde_json::Error),
    /// `tokenizer_config.json` is not what it should be.
    #[error("reading tokenizer_config.json")]
    TokenizerConfig(#[source] serde_json::Error),
    /// The tokenizer cannot be read.
    #[error("loading the tokenizer")]
    Tokenizer(#[source] TokenizeError),
    /// A Spark NLP model cannot be read.
    #[error("reading the Spark NLP model")]
    Spark(#[source] SparkError),
    /// The ONNX graph cannot be read.
    #[error("the ONNX graph {name} cannot be read")]
    GraphFile {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: GraphFileError,
    },
    /// A file that the ONNX graph names for its weights.
    #[error("the ONNX graph keeps weights in {name:?}, which {reason}")]
    External {
        /// Which.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no room for the weights.
    #[error("taking the weights out of the model")]
    Temporary(#[source] GraphFileError),
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

impl From<SparkError> for ModelError {
    fn from(error: SparkError) -> Self {
        Self::Spark(error)
    }
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
    /// As Spark NLP or Healthcare NLP saves it, in a folder or a zip.
    SparkNlp,
}

impl Layout {
    /// The name that `model inspect` gives.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "built-in",
            Self::Responsum => "responsum",
            Self::HuggingFace => "hugging-face",
            Self::SparkNlp => "spark-nlp",
        }
    }
}

/// One of the model's own labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLabel {
    /// As the model's own files name it.
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
    /// What it reads of a report at once.
    pub reads: Reads,
    /// Whether a report's scores are the mean of its sentences'.
    pub coalesce: bool,
    /// Its labels, in the order of its logits.
    pub labels: Vec<OwnLabel>,
    /// How its label logits become scores.
    pub activation: Activation,
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
    tokens_max: usize,
}

impl Model {
    /// The model in the executable.
    pub fn built_in() -> Result<Self, ModelError> {
        let files = default_model::FILES;
        let sha256 = sha256_of(&[
            ("config.json", files.config.as_bytes()),
            ("model.onnx", files.graph),
            (SETTINGS_FILE, files.settings.as_bytes()),
            ("tokenizer.json", files.tokenizer.as_bytes()),
        ]);
        let texts = Texts { config: files.config, tokenizer: files.tokenizer, settings: Some(files.settings) };
        let graph = GraphSource::Embedded(files.graph);
        hugging_face::parts(Layout::Default, "built-in".to_owned(), &texts, graph, sha256)?.assemble()
    }

    /// The model in the folder or zip, or the one in the executable if none is given.
    pub fn open(path: Option<&Path>) -> Result<Self, ModelError> {
        path.map_or_else(Self::built_in, Self::load)
    }

    /// The tokenizer of the model in the executable.
    pub(super) fn built_in_tokenizer() -> Result<Tokenizer, ModelError> {
        Tokenizer::from_json(default_model::FILES.tokenizer).map_err(ModelError::Tokenizer)
    }

    /// The model in a folder or zip, of whatever layout.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let layout = |reason: &str| Err(ModelError::Layout { path: path.to_owned(), reason: reason.to_owned() });
        if path.is_file() {
            if !starts_with(path, b"PK")? {
                return layout(
                    "it is not a zip file; a model is a folder with model.onnx, config.json and tokenizer.json, or a \
                     model of Spark NLP: its folder, or the zip that it was downloaded as",
                );
            }
            return spark_model::load(path, &mut Archive::open(path).map_err(ModelError::Archive)?)?.assemble();
        }
        if !path.is_dir() {
            return layout("there is no such file or folder");
        }
        let is_graph = |name: &&str| path.join(name).is_file();
        if !["model.onnx", "onnx/model.onnx"].iter().any(is_graph) {
            let mut archive = Archive::open(path).map_err(ModelError::Archive)?;
            if spark::has_metadata(&archive) {
                return spark_model::load(path, &mut archive)?.assemble();
            }
        }
        hugging_face::load(path)?.assemble()
    }

    /// The same model with other windows.
    pub fn with_max_tokens(mut self, max_tokens: usize) -> Result<Self, ModelError> {
        self.max_tokens = within("max_tokens", max_tokens, self.tokens_max)?;
        Ok(self)
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
pub(super) struct Parts {
    pub(super) layout: Layout,
    pub(super) name: String,
    /// In the order of the logits.
    pub(super) labels: Vec<String>,
    /// Tokens that the model can take.
    pub(super) tokens_max: usize,
    /// Tokens that it is given unless the settings say otherwise.
    pub(super) tokens_default: usize,
    pub(super) reads: Reads,
    pub(super) coalesce: bool,
    pub(super) activation: Activation,
    pub(super) vocabulary: Option<usize>,
    pub(super) padding: u32,
    pub(super) tokenizer: Tokenizer,
    pub(super) graph: GraphSource,
    pub(super) settings: Settings,
    pub(super) sha256: Sha256Digest,
}

impl Parts {
    fn assemble(self) -> Result<Model, ModelError> {
        let settings = self.settings;
        let labels = settings.own_labels(&self.labels)?;
        let categories = settings.category_order()?;
        let reads = settings.unit.unwrap_or(self.reads);
        if reads == Reads::Document && settings.context_tokens > 0 {
            return Err(ModelError::Meaning(
                "unit = \"document\" leaves no context to be read: context_tokens must be 0".into(),
            ));
        }
        Ok(Model {
            layout: self.layout,
            max_tokens: within("max_tokens", settings.max_tokens.unwrap_or(self.tokens_default), self.tokens_max)?,
            context_tokens: settings.context_tokens,
            reads,
            coalesce: self.coalesce && reads == Reads::Sentences,
            activation: settings.activation(self.activation)?,
            temperature: settings.temperature()?,
            document_scale: settings.document_scale()?,
            heads: settings.heads(labels.len(), categories.len())?,
            labels,
            categories,
            vocabulary: self.vocabulary,
            padding: self.padding,
            tokenizer: self.tokenizer,
            graph: self.graph,
            tokens_max: self.tokens_max,
            version: ModelVersion {
                id: settings.id.unwrap_or(self.name),
                version: settings.version.unwrap_or_else(|| self.sha256.hex()[..12].to_owned()),
                sha256: self.sha256,
            },
        })
    }
}

/// A window must hold a few words beside its special tokens.
const MIN_TOKENS: usize = 8;

fn within(name: &str, tokens: usize, most: usize) -> Result<usize, ModelError> {
    if (MIN_TOKENS..=most).contains(&tokens) {
        Ok(tokens)
    } else {
        Err(ModelError::Meaning(format!("{name} is {tokens}; the model takes {MIN_TOKENS} to {most}")))
    }
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
