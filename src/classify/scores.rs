//! Logits to probabilities, in our own labels.

use super::model::Model;
use super::onnx::Logits;
use crate::domain::label::{Category, CategoryScores, Label, LabelScores, Score};

/// What the model says of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) label: LabelScores,
    pub(super) category: Option<CategoryScores>,
    pub(super) cancer: Option<Score>,
}

/// How a model's label logits become scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// One label of all: the scores sum to one.
    Softmax,
    /// Each label on its own, which is given if its score is above the threshold.
    Sigmoid {
        /// Between 0 and 1.
        threshold: f32,
    },
}

impl Activation {
    /// The scores of the model's own labels.
    pub fn scores(self, logits: &[f32], temperature: f32) -> Vec<f32> {
        match self {
            Self::Softmax => softmax(logits, temperature),
            Self::Sigmoid { .. } => logits.iter().map(|logit| 1.0 / (1.0 + (-logit / temperature).exp())).collect(),
        }
    }

    /// The label that is given; none if no score is above the threshold.
    pub fn best(self, scores: &[f32]) -> Option<usize> {
        let best = (0..scores.len()).reduce(|best, label| if scores[label] > scores[best] { label } else { best })?;
        match self {
            Self::Sigmoid { threshold } if scores[best] <= threshold => None,
            _ => Some(best),
        }
    }
}

/// How a model's logits are to be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    labels: Vec<Label>,
    categories: Vec<Category>,
    temperature: f32,
    activation: Activation,
}

impl Scale {
    pub(super) fn of(model: &Model) -> Self {
        Self {
            labels: model.labels.iter().map(|own| own.label).collect(),
            categories: model.categories.clone(),
            temperature: model.temperature,
            activation: model.activation,
        }
    }

    /// One reading per row; nothing if a logit is not a number.
    pub(super) fn read(&self, logits: &Logits) -> Option<Vec<Reading>> {
        let row = |row: usize| {
            Some(Reading {
                label: self.labels(&logits.label[row])?,
                category: match &logits.category {
                    Some(rows) => {
                        let own = softmax(&rows[row], 1.0);
                        Some(CategoryScores::new(sums(&self.categories, &own, Category::ALL)?))
                    }
                    None => None,
                },
                cancer: match &logits.cancer {
                    Some(rows) => Some(Score::rounded(softmax(&rows[row], 1.0)[1])?),
                    None => None,
                },
            })
        };
        (0..logits.label.len()).map(row).collect()
    }

    /// Our labels' probabilities.
    ///
    /// Labels that are told each on its own compete with none of them: the odds of a label against none are those of its
    /// logit against the threshold's. So the likeliest of ours is the one that the model gives.
    fn labels(&self, logits: &[f32]) -> Option<LabelScores> {
        let own = match self.activation {
            Activation::Softmax => softmax(logits, self.temperature),
            Activation::Sigmoid { threshold } => {
                let line = (threshold / (1.0 - threshold)).ln();
                let above = Label::ALL.map(|label| {
                    let of_label = self.labels.iter().zip(logits).filter(|(own, _)| **own == label);
                    let none = if label == Label::NotStated { 0.0 } else { f32::NEG_INFINITY };
                    // `max` would pass over what is not a number.
                    of_label.fold(none, |top, (_, logit)| {
                        let above = logit / self.temperature - line;
                        if above > top || above.is_nan() { above } else { top }
                    })
                });
                return LabelScores::new(sums(&Label::ALL, &softmax(&above, 1.0), Label::ALL)?);
            }
        };
        LabelScores::new(sums(&self.labels, &own, Label::ALL)?)
    }
}

/// The probability of each of `wanted`: several of a model's own classes may mean the same to us.
fn sums<T: PartialEq, const N: usize>(meanings: &[T], own: &[f32], wanted: [T; N]) -> Option<[Score; N]> {
    let mut sums = [Score::rounded(0.0)?; N];
    for (sum, wanted) in sums.iter_mut().zip(wanted) {
        let total =
            meanings.iter().zip(own).filter(|(meaning, _)| **meaning == wanted).map(|(_, own)| own).sum::<f32>();
        *sum = Score::rounded(total)?;
    }
    Some(sums)
}

/// Probabilities of the classes; they sum to one.
pub(crate) fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| ((logit - top) / temperature).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_higher_temperature_makes_the_answer_less_sure() {
        assert!(softmax(&[2.0, 0.0], 2.0)[0] < softmax(&[2.0, 0.0], 1.0)[0]);
    }

    #[test]
    fn own_labels_with_the_same_meaning_are_added_up() {
        let scale = Scale {
            labels: vec![Label::Responded, Label::Responded, Label::NotResponded],
            categories: Vec::new(),
            temperature: 1.0,
            activation: Activation::Softmax,
        };
        let logits = Logits { label: vec![vec![0.0, 0.0, 0.0]], category: None, cancer: None };
        let readings = scale.read(&logits).expect("scores");
        assert!((readings[0].label.of(Label::Responded).get() - 2.0 / 3.0).abs() < 1e-6);
        assert!(readings[0].label.of(Label::NotStated).get().abs() < 1e-6);
    }

    #[test]
    fn logits_that_are_not_numbers_give_no_scores() {
        let scale = Scale {
            labels: Label::ALL.to_vec(),
            categories: Vec::new(),
            temperature: 1.0,
            activation: Activation::Softmax,
        };
        let logits = Logits { label: vec![vec![f32::NAN, 0.0, 0.0]], category: None, cancer: None };
        assert_eq!(scale.read(&logits), None);
    }

    #[test]
    fn labels_told_each_on_its_own_are_given_above_the_threshold_only() {
        let scale = |threshold: f32| Scale {
            labels: vec![Label::NotResponded, Label::Responded],
            categories: Vec::new(),
            temperature: 1.0,
            activation: Activation::Sigmoid { threshold },
        };
        // The sigmoid of 1 is 0.73.
        for (logits, threshold, wanted) in [
            ([-2.0, 1.0], 0.5, Label::Responded),
            ([-2.0, 1.0], 0.8, Label::NotStated),
            ([2.0, 1.0], 0.5, Label::NotResponded),
            ([-2.0, -1.0], 0.5, Label::NotStated),
            ([-2.0, -1.0], 0.2, Label::Responded),
        ] {
            let logits = Logits { label: vec![logits.to_vec()], category: None, cancer: None };
            assert_eq!(
                scale(threshold).read(&logits).expect("scores")[0].label.best(),
                wanted,
                "{logits:?} {threshold}"
            );
        }
        let logits = Logits { label: vec![vec![f32::NAN, 0.0]], category: None, cancer: None };
        assert_eq!(scale(0.5).read(&logits), None);
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one(logits in prop::collection::vec(-80.0_f32..80.0, 1..9), temperature in 0.3_f32..5.0) {
            let sum: f32 = softmax(&logits, temperature).iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-5);
        }
    }
}
