//! `responsum-model.toml`: what a model's labels mean to us, and how it is to be read.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::calibration::DocumentScale;
use super::model::{CANCER_CLASSES, ModelError, OwnLabel};
use super::onnx::{Head, Heads};
use super::scores::Activation;
use crate::domain::label::{Category, Label};

/// Name of the file that says what a model's labels mean.
pub const SETTINGS_FILE: &str = "responsum-model.toml";

/// What the file says. A model that speaks for itself needs none of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) max_tokens: Option<usize>,
    #[serde(default)]
    pub(super) context_tokens: usize,
    pub(super) unit: Option<Reads>,
    pub(super) tokenization: Option<Tokenization>,
    activation: Option<ActivationName>,
    threshold: Option<f32>,
    labels: Option<BTreeMap<String, String>>,
    outputs: Option<Outputs>,
    categories: Option<Categories>,
    calibration: Option<Calibration>,
}

/// What a model reads of a report at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Each sentence in a window of its own; all of the report is read.
    #[serde(rename = "sentence")]
    Sentences,
    /// The whole report as one text, which is cut at the model's limit: what is not read is said in the coverage.
    Document,
}

/// How a text becomes token ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tokenization {
    /// As Spark NLP does it: of a word like `post-operative` only the first part is read.
    Spark,
    /// As Hugging Face's tokenizers do it: all of a text is read.
    HuggingFace,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActivationName {
    Softmax,
    Sigmoid,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outputs {
    label: String,
    category: Option<String>,
    cancer: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Categories {
    order: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Calibration {
    temperature: f32,
    document: Option<DocumentScale>,
}

impl Settings {
    /// Reads the file's text.
    pub(super) fn read(text: &str) -> Result<Self, ModelError> {
        toml::from_str(text).map_err(ModelError::Settings)
    }

    /// The labels in the order of their ids, each with its meaning: from the settings, else from its name.
    pub(super) fn own_labels(&self, names: &[String]) -> Result<Vec<OwnLabel>, ModelError> {
        let mut labels = Vec::with_capacity(names.len());
        for name in names {
            let label = match &self.labels {
                Some(meanings) => meanings.get(name).and_then(|code| Label::from_code(code)),
                None => label_by_name(name),
            };
            let label = label.ok_or_else(|| meaning_missing(name, names))?;
            labels.push(OwnLabel { name: name.clone(), label });
        }
        if let Some(unknown) = self.labels.iter().flatten().map(|(name, _)| name).find(|name| !names.contains(name)) {
            let fault = format!("{SETTINGS_FILE}: the model has no label {unknown:?} (it has {})", names.join(", "));
            return Err(ModelError::Meaning(fault));
        }
        for label in [Label::Responded, Label::NotResponded] {
            if !labels.iter().any(|own| own.label == label) {
                return Err(ModelError::Meaning(format!("none of the model's labels means {}", label.code())));
            }
        }
        Ok(labels)
    }

    /// The categories in the order of their logits.
    pub(super) fn category_order(&self) -> Result<Vec<Category>, ModelError> {
        let Some(categories) = &self.categories else { return Ok(Vec::new()) };
        let order: Option<Vec<Category>> = categories.order.iter().map(|code| Category::from_code(code)).collect();
        let order = order.filter(|order| Category::ALL.iter().all(|category| order.contains(category)));
        order.filter(|order| order.len() == Category::ALL.len()).ok_or_else(|| {
            let codes = Category::ALL.map(Category::code).join(", ");
            ModelError::Meaning(format!("{SETTINGS_FILE}: categories.order must hold each of {codes} once"))
        })
    }

    /// The heads that are asked for.
    pub(super) fn heads(&self, labels: usize, categories: usize) -> Result<Heads, ModelError> {
        let head = |output: &str, classes| Head { output: output.to_owned(), classes };
        let Some(outputs) = &self.outputs else {
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

    /// How logits become scores, unless the model's own way is kept.
    pub(super) fn activation(&self, own: Activation) -> Result<Activation, ModelError> {
        let activation = match (self.activation, own) {
            (Some(ActivationName::Softmax), _) => Activation::Softmax,
            (Some(ActivationName::Sigmoid), Activation::Softmax) => Activation::Sigmoid { threshold: 0.5 },
            _ => own,
        };
        match (activation, self.threshold) {
            (Activation::Softmax, Some(_)) => {
                Err(ModelError::Meaning(format!("{SETTINGS_FILE}: a threshold is for activation = \"sigmoid\" only")))
            }
            (Activation::Sigmoid { .. }, Some(threshold)) if threshold > 0.0 && threshold < 1.0 => {
                Ok(Activation::Sigmoid { threshold })
            }
            (Activation::Sigmoid { .. }, Some(_)) => {
                Err(ModelError::Meaning(format!("{SETTINGS_FILE}: threshold must lie between 0 and 1")))
            }
            (activation, None) => Ok(activation),
        }
    }

    /// What divides the label logits.
    pub(super) fn temperature(&self) -> Result<f32, ModelError> {
        let temperature = self.calibration.map_or(1.0, |calibration| calibration.temperature);
        if temperature.is_finite() && temperature > 0.0 {
            Ok(temperature)
        } else {
            Err(ModelError::Meaning("calibration.temperature must be above 0".into()))
        }
    }

    /// How the readings of a document are pooled.
    pub(super) fn document_scale(&self) -> Result<Option<DocumentScale>, ModelError> {
        let scale = self.calibration.and_then(|calibration| calibration.document);
        if scale.is_some_and(|scale| !scale.is_sound()) {
            return Err(ModelError::Meaning("calibration.document holds a number that cannot be used".into()));
        }
        Ok(scale)
    }
}

fn label_by_name(name: &str) -> Option<Label> {
    let name = name.trim().to_ascii_lowercase().replace([' ', '_'], "-");
    match name.as_str() {
        "yes" => Some(Label::Responded),
        "no" => Some(Label::NotResponded),
        "na" | "n/a" => Some(Label::NotStated),
        code => Label::from_code(code),
    }
}

fn meaning_missing(name: &str, names: &[String]) -> ModelError {
    let lines: Vec<String> = names.iter().map(|name| format!("{name:?} = \"…\"")).collect();
    ModelError::Meaning(format!(
        "what the model's label {name:?} means is not known; write a {SETTINGS_FILE} in the model's folder or zip (or \
         NAME.toml beside NAME.zip), with [labels] and below it {}, each one of responded, not-responded, not-stated",
        lines.join(", ")
    ))
}
