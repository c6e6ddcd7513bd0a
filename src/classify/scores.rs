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

/// How a model's logits are to be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    labels: Vec<Label>,
    categories: Vec<Category>,
    temperature: f32,
}

impl Scale {
    pub(super) fn of(model: &Model) -> Self {
        Self {
            labels: model.labels.iter().map(|own| own.label).collect(),
            categories: model.categories.clone(),
            temperature: model.temperature,
        }
    }

    /// One reading per row; nothing if a logit is not a number.
    pub(super) fn read(&self, logits: &Logits) -> Option<Vec<Reading>> {
        let row = |row: usize| {
            let own = softmax(&logits.label[row], self.temperature);
            Some(Reading {
                label: LabelScores::new(sums(&self.labels, &own, Label::ALL)?)?,
                category: match &logits.category {
                    Some(rows) => {
                        let own = softmax(&rows[row], 1.0);
                        Some(CategoryScores::new(sums(&self.categories, &own, Category::ALL)?))
                    }
                    None => None,
                },
                cancer: match &logits.cancer {
                    Some(rows) => Some(score(softmax(&rows[row], 1.0)[1])?),
                    None => None,
                },
            })
        };
        (0..logits.label.len()).map(row).collect()
    }
}

/// The probability of each of `wanted`: several of a model's own classes may mean the same to us.
fn sums<T: PartialEq, const N: usize>(meanings: &[T], own: &[f32], wanted: [T; N]) -> Option<[Score; N]> {
    let mut sums = [score(0.0)?; N];
    for (sum, wanted) in sums.iter_mut().zip(wanted) {
        let total =
            meanings.iter().zip(own).filter(|(meaning, _)| **meaning == wanted).map(|(_, own)| own).sum::<f32>();
        *sum = score(total)?;
    }
    Some(sums)
}

/// A probability that may exceed one by a rounding error.
fn score(value: f32) -> Option<Score> {
    Score::new(if value > 1.0 && value < 1.0 + 1e-4 { 1.0 } else { value })
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
        };
        let logits = Logits { label: vec![vec![0.0, 0.0, 0.0]], category: None, cancer: None };
        let readings = scale.read(&logits).expect("scores");
        assert!((readings[0].label.of(Label::Responded).get() - 2.0 / 3.0).abs() < 1e-6);
        assert!(readings[0].label.of(Label::NotStated).get().abs() < 1e-6);
    }

    #[test]
    fn logits_that_are_not_numbers_give_no_scores() {
        let scale = Scale { labels: Label::ALL.to_vec(), categories: Vec::new(), temperature: 1.0 };
        let logits = Logits { label: vec![vec![f32::NAN, 0.0, 0.0]], category: None, cancer: None };
        assert_eq!(scale.read(&logits), None);
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one(logits in prop::collection::vec(-80.0_f32..80.0, 1..9), temperature in 0.3_f32..5.0) {
            let sum: f32 = softmax(&logits, temperature).iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-5);
        }
    }
}
