//! How far two models agree on the same documents.

use super::label::Label;

/// What two models said of the documents that both have read, counted. Rows are the first model's labels, columns the
/// second's, both in the order of [`Label::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    confusion: [[u64; 3]; 3],
}

impl Agreement {
    /// Adds documents of which the first model said `a` and the second `b`.
    pub fn add(&mut self, a: Label, b: Label, documents: u64) {
        self.confusion[a.position()][b.position()] += documents;
    }

    /// The counts.
    pub const fn confusion(&self) -> [[u64; 3]; 3] {
        self.confusion
    }

    /// How many documents both have read.
    pub fn documents(&self) -> u64 {
        self.confusion.iter().flatten().sum()
    }

    /// How many of them both give the same label.
    pub fn same(&self) -> u64 {
        (0..3).map(|at| self.confusion[at][at]).sum()
    }

    /// The share of documents that both give the same label; none without documents.
    pub fn observed(&self) -> Option<f64> {
        let documents = self.documents();
        (documents > 0).then(|| self.same() as f64 / documents as f64)
    }

    /// Cohen's kappa: 1 if they always agree, 0 if they agree as often as chance would. None where chance alone gives
    /// full agreement (both say one and the same label of every document), or without documents.
    ///
    /// Cohen, J. (1960), A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20.
    pub fn kappa(&self) -> Option<f64> {
        let (observed, all) = (self.observed()?, self.documents() as f64);
        let by_chance: f64 = (0..3)
            .map(|at| {
                let row: u64 = self.confusion[at].iter().sum();
                let column: u64 = self.confusion.iter().map(|row| row[at]).sum();
                (row as f64 / all) * (column as f64 / all)
            })
            .sum();
        (by_chance < 1.0).then(|| (observed - by_chance) / (1.0 - by_chance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(confusion: [[u64; 3]; 3]) -> Agreement {
        let mut agreement = Agreement::default();
        for (a, row) in Label::ALL.into_iter().zip(confusion) {
            for (b, documents) in Label::ALL.into_iter().zip(row) {
                agreement.add(a, b, documents);
            }
        }
        agreement
    }

    #[test]
    fn kappa_is_what_chance_does_not_explain() {
        for (confusion, observed, kappa) in [
            // Worked by hand: 20 of 50 by chance 0.5, seen 0.7 (Wikipedia's example, with an empty third label).
            ([[20, 5, 0], [10, 15, 0], [0, 0, 0]], Some(0.7), Some(0.4)),
            ([[5, 0, 0], [0, 5, 0], [0, 0, 5]], Some(1.0), Some(1.0)),
            ([[0, 5, 0], [5, 0, 0], [0, 0, 0]], Some(0.0), Some(-1.0)),
            ([[0, 0, 0], [0, 0, 0], [0, 0, 9]], Some(1.0), None),
            ([[0; 3]; 3], None, None),
        ] {
            let agreement = agreement(confusion);
            let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                (a, b) => a.is_none() && b.is_none(),
            };
            assert!(close(agreement.observed(), observed), "{agreement:?} {:?}", agreement.observed());
            assert!(close(agreement.kappa(), kappa), "{agreement:?} {:?}", agreement.kappa());
            assert_eq!(agreement.confusion(), confusion);
        }
    }
}
