//! How the readings of a document become one probability per label, and how that is fitted to labelled reports.
//!
//! Two readings are pooled on the logarithmic scale (Genest, Zidek: Combining probability distributions, 1986): what the
//! model says of the document's end as a whole, and of the sentence that speaks for it. Each has a weight, each label a
//! bias. The five numbers are fitted by multinomial logistic regression, held near [`DocumentScale::default`] so that few
//! reports are enough; a fit to a site's own reports takes the place of the one that came with the model.

use serde::{Deserialize, Serialize};

use crate::domain::label::{Label, LabelScores};

/// What the model says of one document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Readings {
    /// Of its end as a whole; none if the document is one window.
    pub overview: Option<LabelScores>,
    /// Of the sentence that speaks for it.
    pub sentence: LabelScores,
}

/// Weights of the readings and a bias for each label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentScale {
    /// Of the overview's logarithmic scores.
    pub overview: f32,
    /// Of the sentence's logarithmic scores.
    pub sentence: f32,
    /// Added to each label, in the order of [`Label::ALL`].
    pub bias: [f32; 3],
}

impl Default for DocumentScale {
    /// For a model that nobody has calibrated: the overview counts twice.
    fn default() -> Self {
        Self { overview: 2.0 / 3.0, sentence: 1.0 / 3.0, bias: [0.0; 3] }
    }
}

/// Probabilities below count as this one: a logarithm needs a floor, and no model is that sure.
const PROBABILITY_MIN: f32 = 1e-4;
/// Steps of the fit, and the length of one; from there on, no number moves by more than 0.001.
const FIT_STEPS: usize = 4000;
const FIT_RATE: f64 = 0.2;
/// How strongly a fit is held near the default, in units of reports.
const FIT_PRIOR: f64 = 2.0;

impl DocumentScale {
    /// The document's probabilities. One reading alone counts as both.
    pub fn scores(&self, readings: &Readings) -> LabelScores {
        let [overview, sentence] = logarithms(readings);
        let logits: [f64; 3] = std::array::from_fn(|label| {
            f64::from(self.overview) * overview[label]
                + f64::from(self.sentence) * sentence[label]
                + f64::from(self.bias[label])
        });
        // A softmax of finite numbers gives probabilities that sum to one.
        #[expect(clippy::cast_possible_truncation, reason = "a probability needs no more digits")]
        let scores = softmax(&logits).map(|value| value as f32);
        LabelScores::from_probabilities(scores).expect("scores that sum to one")
    }

    /// Whether every number can be used: finite, and no weight below zero.
    pub fn is_sound(&self) -> bool {
        let weights = [self.overview, self.sentence];
        weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0)
            && self.bias.iter().all(|bias| bias.is_finite())
    }

    /// The scale that makes the labels of these documents likeliest. Deterministic.
    pub fn fit(rows: &[(Readings, Label)]) -> Self {
        let start = Self::default();
        let prior = [f64::from(start.overview), f64::from(start.sentence), 0.0, 0.0, 0.0];
        let mut fitted = prior;
        let features: Vec<([[f64; 3]; 2], usize)> =
            rows.iter().map(|(readings, label)| (logarithms(readings), label.position())).collect();
        let total = rows.len().max(1) as f64;
        for _ in 0..FIT_STEPS {
            let mut slope: [f64; 5] = std::array::from_fn(|n| FIT_PRIOR * (fitted[n] - prior[n]) / total);
            for ([overview, sentence], truth) in &features {
                let logits = std::array::from_fn(|n| fitted[0] * overview[n] + fitted[1] * sentence[n] + fitted[2 + n]);
                for (label, score) in softmax(&logits).into_iter().enumerate() {
                    let error = (score - f64::from(u8::from(label == *truth))) / total;
                    slope[0] += error * overview[label];
                    slope[1] += error * sentence[label];
                    slope[2 + label] += error;
                }
            }
            for (value, slope) in fitted.iter_mut().zip(slope) {
                *value -= FIT_RATE * slope / 4.0;
            }
            // A reading never counts against what it says.
            fitted[0] = fitted[0].max(0.0);
            fitted[1] = fitted[1].max(0.0);
        }
        #[expect(clippy::cast_possible_truncation, reason = "four digits are kept")]
        let short = |value: f64| ((value * 1e4).round() / 1e4) as f32;
        Self {
            overview: short(fitted[0]),
            sentence: short(fitted[1]),
            bias: [short(fitted[2]), short(fitted[3]), short(fitted[4])],
        }
    }
}

/// A fit to labelled reports, as `responsum eval --calibrate` writes it and the service reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// SHA-256 of the model whose scores it is for, in hex.
    pub model_sha256: String,
    /// Reports that it was fitted to.
    pub reports: usize,
    /// The fit.
    pub document: DocumentScale,
}

/// Why a calibration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The file cannot be read.
    #[error("reading the calibration {}", path.display())]
    Read {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not what `responsum eval --calibrate` writes.
    #[error("the calibration is not one that `responsum eval --calibrate` has written")]
    Form(#[source] toml::de::Error),
    /// A number is not finite, or a weight is below zero.
    #[error("the calibration holds a number that is not finite, or a weight below zero")]
    Unsound,
    /// It is for another model.
    #[error(
        "the calibration was fitted to another model (SHA-256 {found}, this one is {wanted}): run `responsum eval \
         --calibrate` again with this model"
    )]
    OtherModel {
        /// The one that it names.
        found: String,
        /// The one that it is to be used with.
        wanted: String,
    },
}

impl Calibration {
    /// Reads the file and makes sure that it is for this model.
    pub fn load(path: &std::path::Path, model_sha256: &str) -> Result<Self, CalibrationError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| CalibrationError::Read { path: path.to_owned(), source })?;
        let calibration: Self = toml::from_str(&text).map_err(CalibrationError::Form)?;
        if !calibration.document.is_sound() {
            return Err(CalibrationError::Unsound);
        }
        if calibration.model_sha256 != model_sha256 {
            let found = calibration.model_sha256;
            return Err(CalibrationError::OtherModel { found, wanted: model_sha256.to_owned() });
        }
        Ok(calibration)
    }

    /// The file's text.
    pub fn to_toml(&self) -> String {
        let scale = &self.document;
        let [responded, not_responded, not_stated] = scale.bias;
        format!(
            "# Written by `responsum eval --calibrate`. Name this file in the setting model.calibration.\n\
             model_sha256 = \"{}\"\nreports = {}\n\n[document]\noverview = {:?}\nsentence = {:?}\n\
             bias = [{responded:?}, {not_responded:?}, {not_stated:?}]   # responded, not-responded, not-stated\n",
            self.model_sha256, self.reports, scale.overview, scale.sentence
        )
    }
}

fn logarithms(readings: &Readings) -> [[f64; 3]; 2] {
    let of = |scores: &LabelScores| Label::ALL.map(|label| f64::from(scores.of(label).get().max(PROBABILITY_MIN).ln()));
    [of(readings.overview.as_ref().unwrap_or(&readings.sentence)), of(&readings.sentence)]
}

fn softmax(logits: &[f64; 3]) -> [f64; 3] {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers = logits.map(|logit| (logit - top).exp());
    let sum: f64 = powers.iter().sum();
    powers.map(|power| power / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(values: [f32; 3]) -> LabelScores {
        LabelScores::from_probabilities(values).expect("scores")
    }

    fn readings(overview: [f32; 3], sentence: [f32; 3]) -> Readings {
        Readings { overview: Some(scores(overview)), sentence: scores(sentence) }
    }

    const YES: [f32; 3] = [0.9, 0.05, 0.05];
    const NO: [f32; 3] = [0.05, 0.9, 0.05];

    #[test]
    fn one_reading_alone_counts_as_both() {
        let alone = Readings { overview: None, sentence: scores(YES) };
        let scale = DocumentScale::default();
        assert_eq!(scale.scores(&alone), scale.scores(&readings(YES, YES)));
        assert!((scale.scores(&alone).of(Label::Responded).get() - 0.9).abs() < 1e-4);
    }

    #[test]
    fn readings_that_disagree_make_the_answer_less_sure() {
        let scale = DocumentScale::default();
        let (agreed, split) = (scale.scores(&readings(YES, YES)), scale.scores(&readings(YES, NO)));
        assert_eq!(split.best(), Label::Responded);
        assert!(split.of(Label::Responded).get() < agreed.of(Label::Responded).get());
    }

    #[test]
    fn a_fit_learns_which_reading_is_right_and_how_often() {
        // The overview is right in four of five documents, the sentence in half of them.
        let mut rows = Vec::new();
        for n in 0..200 {
            let truth = if n % 2 == 0 { Label::Responded } else { Label::NotResponded };
            let told = |right: bool| if (truth == Label::Responded) == right { YES } else { NO };
            rows.push((readings(told(n % 5 != 0), told((n / 2) % 2 == 0)), truth));
        }
        let fitted = DocumentScale::fit(&rows);
        assert!(fitted.overview > 2.0 * fitted.sentence, "{fitted:?}");
        let sure = fitted.scores(&readings(YES, NO)).of(Label::Responded).get();
        assert!((0.65..0.9).contains(&sure), "{fitted:?} gives {sure}");
        assert_eq!(DocumentScale::fit(&rows), fitted);
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_only_for_its_model() {
        let calibration = Calibration {
            model_sha256: "ab".repeat(32),
            reports: 120,
            document: DocumentScale { overview: 1.25, sentence: 0.5, bias: [0.1, -0.2, 0.1] },
        };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("site.toml");
        std::fs::write(&path, calibration.to_toml()).expect("a file");
        assert_eq!(Calibration::load(&path, &calibration.model_sha256).expect("a calibration"), calibration);
        let other = Calibration::load(&path, "cd").expect_err("another model").to_string();
        assert!(other.contains("responsum eval --calibrate"), "{other}");
        for (text, wanted) in [
            ("overview = 1", "is not one that"),
            (&calibration.to_toml().replace("1.25", "-1.0"), "below zero"),
            (&calibration.to_toml().replace("1.25", "nan"), "not finite"),
        ] {
            std::fs::write(&path, text).expect("a file");
            let error = Calibration::load(&path, &calibration.model_sha256).expect_err("a fault").to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
