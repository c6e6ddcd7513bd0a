//! Classify: a narrative is cut into windows ([`windows`]), the model reads them ([`session`]), and what it says of
//! them becomes one annotation ([`decide`]).
//!
//! The text is turned into tokens where it is; only tokens cross the queue to the model's thread. Nothing is
//! truncated: what does not fit into one window is read in several. The exception is a model that was made to read the
//! start of a report as one text (`whole`), and then the annotation's coverage says what was not read.
//!
//! Models of others are read from where they lie: folders of Hugging Face's tools (`hugging_face`), and folders and zips
//! of Spark NLP (`spark`, `spark_model`). None of their files is trusted: `archive` and `files` keep to the
//! folder and to limits, `graph_file` and `graph_weights` look into an ONNX file before ONNX Runtime does.

mod archive;
pub mod calibration;
pub mod decide;
mod default_model;
mod files;
mod graph_file;
mod graph_source;
mod graph_weights;
mod hugging_face;
pub mod language;
pub mod model;
pub mod onnx;
pub mod provider;
pub(crate) mod scores;
pub mod session;
mod settings;
mod spark;
mod spark_model;
#[cfg(test)]
pub(crate) mod testing;
pub mod tokenize;
mod vocabulary;
mod whole;
pub mod windows;

use calibration::Readings;
use decide::DecideSettings;
use language::LanguageTest;
pub use model::Model;
use model::{ModelError, Reads};
use onnx::OnnxError;
use session::{SessionSettings, SessionThread};
use tokenize::TokenizeError;
use windows::{EncodedWindow, WindowLimits};

use crate::domain::annotation::{Annotation, ModelVersion, NoAnswer, WindowScores};
use crate::domain::narrative::Narrative;

/// Why there is no annotation.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyError {
    /// The model cannot be read.
    #[error("reading the model")]
    Model(#[source] ModelError),
    /// The model cannot be run.
    #[error("loading the model")]
    Load(#[source] OnnxError),
    /// The model's thread cannot be started.
    #[error("starting the model's thread")]
    Thread(#[source] std::io::Error),
    /// The text cannot be turned into tokens. The same text will fail again.
    #[error("turning the text into tokens")]
    Tokenize(#[source] TokenizeError),
    /// Too many requests wait already. A later try may succeed.
    #[error("too many requests wait for the model")]
    QueueFull,
    /// The model's thread has ended: the process should end too.
    #[error("the model's thread has ended")]
    Stopped,
    /// The model failed on a batch.
    #[error("running the model")]
    Run(#[source] OnnxError),
    /// The model gave something that is no probability.
    #[error("the model gave logits that are not numbers")]
    NotANumber,
}

/// What one answer is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Unit {
    /// A report: one window per sentence, merged into one answer.
    #[default]
    Document,
    /// A sentence or short passage: read as one window where it fits.
    Sentence,
}

/// Settings of a [`Classifier`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassifierSettings {
    /// How the model is run.
    pub session: SessionSettings,
    /// How windows become an answer.
    pub decide: DecideSettings,
}

/// A loaded model and all that turns a narrative into an annotation with it.
#[derive(Debug)]
pub struct Classifier {
    model: Model,
    language: LanguageTest,
    session: SessionThread,
    decide: DecideSettings,
}

/// A narrative on its way to the model.
enum Prepared {
    /// The model need not be asked.
    Unanswered(Annotation),
    /// The model reads these.
    Windows(Windows),
}

/// What the model reads of one narrative.
struct Windows {
    /// In reading order.
    sentences: Vec<EncodedWindow>,
    /// The end of the document as one window.
    overview: Option<EncodedWindow>,
    /// The narrative as the model reads it, if that is as one text.
    whole: Option<Narrative>,
}

impl Windows {
    /// All of them, the overview last.
    fn all(&mut self) -> Vec<EncodedWindow> {
        self.sentences.drain(..).chain(self.overview.take()).collect()
    }
}

impl Classifier {
    /// Loads the graph and starts the model's thread.
    pub fn start(model: Model, settings: ClassifierSettings) -> Result<Self, ClassifyError> {
        // The test for English has a vocabulary of its own, so that it is the same whatever the model is.
        let english = Model::built_in_tokenizer().map_err(ClassifyError::Model)?;
        let language = LanguageTest::new(english).map_err(ClassifyError::Tokenize)?;
        let session = SessionThread::start(&model, settings.session)?;
        let mut decide = settings.decide;
        if let Some(scale) = model.document_scale {
            decide.scale = scale;
        }
        Ok(Self { model, language, session, decide })
    }

    /// The model.
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// Which model it is.
    pub const fn version(&self) -> &ModelVersion {
        &self.model.version
    }

    /// Why the processor is used instead of the provider that was asked for; none if that is there.
    pub fn fallback(&self) -> Option<&str> {
        self.session.fallback()
    }

    /// Ends when the model's thread has ended, which it does only by a fault: the process should end too.
    pub async fn stopped(&self) {
        self.session.stopped().await;
    }

    /// Whether the model's thread has ended.
    pub fn is_stopped(&self) -> bool {
        self.session.is_stopped()
    }

    /// Annotates a report.
    pub async fn annotate(&self, narrative: &Narrative) -> Result<Annotation, ClassifyError> {
        match self.prepare(narrative, Unit::Document)? {
            Prepared::Unanswered(annotation) => Ok(annotation),
            Prepared::Windows(mut windows) => {
                let sentences = windows.sentences.len();
                let scores = self.session.classify(windows.all()).await?;
                Ok(self.merge(windows.whole.as_ref().unwrap_or(narrative), &scores, sentences))
            }
        }
    }

    /// Annotates a report or a passage, for callers outside an asynchronous runtime.
    ///
    /// # Panics
    /// If called within one.
    pub fn annotate_blocking(&self, narrative: &Narrative, unit: Unit) -> Result<Annotation, ClassifyError> {
        match self.prepare(narrative, unit)? {
            Prepared::Unanswered(annotation) => Ok(annotation),
            Prepared::Windows(mut windows) => {
                let sentences = windows.sentences.len();
                let scores = self.session.classify_blocking(windows.all())?;
                Ok(self.merge(windows.whole.as_ref().unwrap_or(narrative), &scores, sentences))
            }
        }
    }

    /// Like [`annotate_blocking`](Self::annotate_blocking), without the test for English: for measuring the model on
    /// texts that are known to be English. Beside the annotation, what the model said before it was pooled, to which a
    /// calibration is fitted: none if there is nothing to read, or nothing that may speak.
    ///
    /// # Panics
    /// If called within an asynchronous runtime.
    pub fn annotate_english_blocking(
        &self,
        narrative: &Narrative,
        unit: Unit,
    ) -> Result<(Annotation, Option<Readings>), ClassifyError> {
        let mut windows = self.windows(narrative, unit)?;
        let sentences = windows.sentences.len();
        if sentences == 0 {
            return Ok((Annotation::unanswered(NoAnswer::NothingReadable, narrative.coverage().clone()), None));
        }
        let scores = self.session.classify_blocking(windows.all())?;
        let narrative = windows.whole.as_ref().unwrap_or(narrative);
        Ok((self.merge(narrative, &scores, sentences), self.readings(narrative, &scores, sentences)))
    }

    /// What the model said of as many sentences, and of the overview after them if there was one.
    fn readings(&self, narrative: &Narrative, scores: &[WindowScores], sentences: usize) -> Option<Readings> {
        let (sentences, overview) = scores.split_at(sentences);
        if self.model.coalesce {
            return whole::mean(sentences).map(|mean| Readings { overview: None, sentence: mean.label });
        }
        decide::readings(narrative, sentences, overview.first())
    }

    fn prepare(&self, narrative: &Narrative, unit: Unit) -> Result<Prepared, ClassifyError> {
        let windows = self.windows(narrative, unit)?;
        let unanswered = |reason| Prepared::Unanswered(Annotation::unanswered(reason, narrative.coverage().clone()));
        if windows.sentences.is_empty() {
            return Ok(unanswered(NoAnswer::NothingReadable));
        }
        let text = focus_text(narrative, &windows.sentences);
        if !self.language.is_english(&text).map_err(ClassifyError::Tokenize)? {
            return Ok(unanswered(NoAnswer::LanguageNotSupported));
        }
        Ok(Prepared::Windows(windows))
    }

    fn windows(&self, narrative: &Narrative, unit: Unit) -> Result<Windows, ClassifyError> {
        let limits = WindowLimits { max_tokens: self.model.max_tokens, context_tokens: self.model.context_tokens };
        let tokenizer = &self.model.tokenizer;
        let windows = match (self.model.reads, unit) {
            (Reads::Document, _) => self.whole(narrative),
            (Reads::Sentences, Unit::Document) => windows::cut(narrative, tokenizer, limits).and_then(|sentences| {
                let overview = if self.model.coalesce {
                    None
                } else {
                    windows::overview(narrative, &sentences, tokenizer, limits)?
                };
                Ok(Windows { sentences, overview, whole: None })
            }),
            (Reads::Sentences, Unit::Sentence) => windows::cut_whole(narrative, tokenizer, limits)
                .map(|sentences| Windows { sentences, overview: None, whole: None }),
        };
        windows.map_err(ClassifyError::Tokenize)
    }

    /// The report as one text.
    fn whole(&self, narrative: &Narrative) -> Result<Windows, TokenizeError> {
        let max_tokens = self.model.max_tokens;
        let read = windows::whole(narrative, &self.model.tokenizer, max_tokens)?;
        Ok(match read {
            Some((window, encoded)) => {
                let coverage = whole::coverage(narrative, &encoded, max_tokens);
                let whole = Some(whole::flat(narrative, window.window.focus, coverage));
                Windows { sentences: vec![window], overview: None, whole }
            }
            None => Windows { sentences: Vec::new(), overview: None, whole: None },
        })
    }

    /// Merges the scores of as many sentences, and of the overview after them if there was one.
    fn merge(&self, narrative: &Narrative, scores: &[WindowScores], sentences: usize) -> Annotation {
        let (sentences, overview) = scores.split_at(sentences);
        let by_mean = self.model.coalesce.then(|| whole::decide_by_mean(narrative, sentences, &self.decide)).flatten();
        by_mean.unwrap_or_else(|| decide::decide(narrative, sentences, overview.first(), &self.decide))
    }
}

/// All that the windows are about, in order.
fn focus_text(narrative: &Narrative, windows: &[EncodedWindow]) -> String {
    let mut text = String::with_capacity(narrative.text().len());
    for window in windows {
        text.push_str(window.window.focus.of(narrative.text()));
        text.push('\n');
    }
    text
}
