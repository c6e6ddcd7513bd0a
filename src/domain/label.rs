//! What an annotation says: label, category, and how sure.

use std::fmt;

/// Whether the text says that the patient responded to treatment.
///
/// Stable disease after treatment is `Responded`, as in the reference model
/// (`bert_sequence_classifier_response_to_treatment_onnx`, whose `Yes` it is).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// Gone, better, or held stable after or under a treatment that was given.
    Responded,
    /// Progression, relapse, death of the disease, or no improvement.
    NotResponded,
    /// The text does not say, or says that it cannot be told.
    NotStated,
}

impl Label {
    /// All labels, in the order of [`LabelScores`].
    pub const ALL: [Self; 3] = [Self::Responded, Self::NotResponded, Self::NotStated];

    /// The code used in SQL, JSON, FHIR and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Responded => "responded",
            Self::NotResponded => "not-responded",
            Self::NotStated => "not-stated",
        }
    }

    /// The label with this [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.code() == code)
    }

    /// Its place in [`ALL`](Self::ALL).
    pub const fn position(self) -> usize {
        match self {
            Self::Responded => 0,
            Self::NotResponded => 1,
            Self::NotStated => 2,
        }
    }
}

/// How the treated disease behaved, as far as the text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Resolved, cured, in remission, no evidence of disease.
    Complete,
    /// Better, smaller, less.
    Partial,
    /// Held: no change in size, no progression.
    Stable,
    /// The treatment did not help; nothing says that the disease got worse.
    NoResponse,
    /// Worse: progression, new lesions, relapse, death of the disease.
    Progressive,
    /// One part better, another worse.
    Mixed,
    /// Assessed, but it cannot be told (progression versus pseudoprogression).
    Indeterminate,
    /// Nothing is stated.
    None,
}

impl Category {
    /// All categories, in the order of category scores.
    pub const ALL: [Self; 8] = [
        Self::Complete,
        Self::Partial,
        Self::Stable,
        Self::NoResponse,
        Self::Progressive,
        Self::Mixed,
        Self::Indeterminate,
        Self::None,
    ];

    /// The code used in SQL, JSON, FHIR and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Stable => "stable",
            Self::NoResponse => "no-response",
            Self::Progressive => "progressive",
            Self::Mixed => "mixed",
            Self::Indeterminate => "indeterminate",
            Self::None => "none",
        }
    }

    /// The category with this [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.code() == code)
    }

    /// Whether an annotation with this label may have this category.
    pub const fn fits(self, label: Label) -> bool {
        match self {
            Self::Complete | Self::Partial | Self::Stable => matches!(label, Label::Responded),
            Self::NoResponse | Self::Progressive => matches!(label, Label::NotResponded),
            Self::Mixed => !matches!(label, Label::NotStated),
            Self::Indeterminate | Self::None => matches!(label, Label::NotStated),
        }
    }
}

/// A probability: finite and in `0.0..=1.0`.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub struct Score(f32);

impl Score {
    /// The score, or nothing if the value is not finite or lies outside `0.0..=1.0`.
    pub fn new(value: f32) -> Option<Self> {
        (value.is_finite() && (0.0..=1.0).contains(&value)).then_some(Self(value))
    }

    /// Like [`new`](Self::new), for the result of a calculation: it may exceed one by a rounding error.
    pub fn rounded(value: f32) -> Option<Self> {
        Self::new(if value > 1.0 && value < 1.0 + 1e-4 { 1.0 } else { value })
    }

    /// The probability, in `0.0..=1.0`.
    pub const fn get(self) -> f32 {
        self.0
    }
}

impl fmt::Debug for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4}", self.0)
    }
}

/// A probability per label, in the order of [`Label::ALL`]; they sum to one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelScores([Score; 3]);

impl LabelScores {
    /// The scores, or nothing if they do not sum to one (within 0.001).
    pub fn new(scores: [Score; 3]) -> Option<Self> {
        let sum: f32 = scores.iter().map(|score| score.get()).sum();
        ((sum - 1.0).abs() < 1e-3).then_some(Self(scores))
    }

    /// The scores of these probabilities, or nothing if one is none or they do not sum to one.
    pub fn from_probabilities(values: [f32; 3]) -> Option<Self> {
        let [responded, not_responded, not_stated] = values.map(Score::rounded);
        Self::new([responded?, not_responded?, not_stated?])
    }

    /// The probability of one label.
    pub const fn of(&self, label: Label) -> Score {
        self.0[label.position()]
    }

    /// The likeliest label; the earlier one of [`Label::ALL`] on a tie.
    pub fn best(&self) -> Label {
        Label::ALL
            .into_iter()
            .reduce(|best, label| if self.of(label) > self.of(best) { label } else { best })
            .unwrap_or(Label::NotStated)
    }
}

/// A probability per category, in the order of [`Category::ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CategoryScores([Score; 8]);

impl CategoryScores {
    /// The scores of the eight categories.
    pub const fn new(scores: [Score; 8]) -> Self {
        Self(scores)
    }

    /// The likeliest category among those that [fit](Category::fits) the label.
    pub fn best_for(&self, label: Label) -> Category {
        Category::ALL
            .into_iter()
            .zip(self.0)
            .filter(|(category, _)| category.fits(label))
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map_or(Category::None, |(category, _)| category)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(value: f32) -> Score {
        Score::new(value).expect("a probability")
    }

    #[test]
    fn a_score_is_a_finite_probability() {
        assert!(Score::new(f32::NAN).is_none());
        assert!(Score::new(1.01).is_none());
        assert!(Score::new(-0.01).is_none());
        assert_eq!(Score::new(1.0), Some(Score(1.0)));
    }

    #[test]
    fn codes_are_read_back_as_the_same_label_and_category() {
        for label in Label::ALL {
            assert_eq!(Label::from_code(label.code()), Some(label));
            assert_eq!(Label::ALL[label.position()], label);
        }
        for category in Category::ALL {
            assert_eq!(Category::from_code(category.code()), Some(category));
        }
    }

    #[test]
    fn the_category_follows_the_label_even_when_another_scores_higher() {
        let mut scores = [score(0.0); 8];
        scores[4] = score(0.9);
        scores[1] = score(0.06);
        scores[2] = score(0.04);
        let scores = CategoryScores::new(scores);
        assert_eq!(scores.best_for(Label::Responded), Category::Partial);
        assert_eq!(scores.best_for(Label::NotResponded), Category::Progressive);
    }

    #[test]
    fn every_label_has_a_category_that_fits() {
        for label in Label::ALL {
            assert!(Category::ALL.into_iter().any(|category| category.fits(label)));
        }
    }
}
