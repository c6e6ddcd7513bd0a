//! What the model said of one document, and why it says nothing when it does not.

use super::document::Sha256Digest;
use super::label::{Category, CategoryScores, Label, LabelScores, Score};
use super::narrative::{Coverage, Span};

/// What the model reads at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The part that the answer is about.
    pub focus: Span,
    /// Index of the focus's section in the narrative.
    pub section: usize,
}

/// A window and what the model said of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowScores {
    /// The window.
    pub window: Window,
    /// Probability of each label.
    pub label: LabelScores,
    /// Probability of each category; none for a model that tells no categories.
    pub category: Option<CategoryScores>,
    /// Probability that the disease at issue is a cancer; none for a model that does not say.
    pub cancer: Option<Score>,
}

/// Which model said it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelVersion {
    /// Like `responsum-minilm-response`.
    pub id: String,
    /// Like `0.1.0`.
    pub version: String,
    /// Of the model and all that decides its answers: ONNX graph, tokenizer, settings.
    pub sha256: Sha256Digest,
}

/// A span of the narrative that says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Where.
    pub span: Span,
    /// Probability of the annotation's label for this span.
    pub score: Score,
}

/// Why an annotation says `not-stated` without the model having said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoAnswer {
    /// The document has no text that could be read; its coverage tells why for each rendition.
    NothingReadable,
    /// The text is not in a language that the model knows.
    LanguageNotSupported,
}

impl NoAnswer {
    /// The code used in SQL and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NothingReadable => "nothing-readable",
            Self::LanguageNotSupported => "language-not-supported",
        }
    }

    /// The reason with this [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::NothingReadable, Self::LanguageNotSupported].into_iter().find(|reason| reason.code() == code)
    }
}

/// One document's answer by one model version.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// Whether the patient responded.
    pub label: Label,
    /// How; it always [fits](Category::fits) the label.
    pub category: Category,
    /// Probability of each label for the document; none if the model was not asked.
    pub scores: Option<LabelScores>,
    /// Whether the disease at issue is a cancer, as a probability.
    pub cancer: Option<Score>,
    /// The spans that say so, the most telling first; empty if nothing is stated.
    pub evidence: Vec<Evidence>,
    /// Set if the model was not asked.
    pub no_answer: Option<NoAnswer>,
    /// True if the confidence is too low to stand without a person: it goes out preliminary like every answer, and is
    /// queued for review.
    pub needs_review: bool,
    /// What was read and what was not.
    pub coverage: Coverage,
    /// Windows that the model read.
    pub windows: usize,
}

impl Annotation {
    /// Says that there is no answer, and why.
    pub fn unanswered(reason: NoAnswer, coverage: Coverage) -> Self {
        Self {
            label: Label::NotStated,
            category: Category::None,
            scores: None,
            cancer: None,
            evidence: Vec::new(),
            no_answer: Some(reason),
            needs_review: false,
            coverage,
            windows: 0,
        }
    }

    /// Probability of the likeliest label; none if the model was not asked.
    pub fn confidence(&self) -> Option<Score> {
        self.scores.map(|scores| scores.of(scores.best()))
    }

    /// Whether the likeliest label was held back because it was not likely enough.
    pub fn abstained(&self) -> bool {
        self.scores.is_some_and(|scores| scores.best() != self.label)
    }
}
