//! Measures of answers against labels.

use std::collections::BTreeMap;

use crate::domain::label::Label;

/// Resamples of the bootstrap: the ends of a 95 % interval are then steady to about a tenth of its width.
const RESAMPLES: usize = 1000;
/// Makes the intervals the same at every run.
const SEED: u64 = 20_240_229;
/// Bins of equal width for the calibration error.
const CALIBRATION_BINS: usize = 15;
/// Classes in the order of [`Label::ALL`].
const CLASSES: usize = Label::ALL.len();

/// One scored row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    /// Index in [`Label::ALL`].
    pub(super) truth: usize,
    /// Probability of each label.
    pub(super) scores: [f32; CLASSES],
}

impl Row {
    /// The likeliest label; the earlier one on a tie.
    pub(super) fn answer(&self) -> usize {
        (1..CLASSES).fold(0, |best, class| if self.scores[class] > self.scores[best] { class } else { best })
    }
}

/// Rows by truth (first index) and answer.
pub(super) fn confusion(rows: &[Row]) -> [[usize; CLASSES]; CLASSES] {
    let mut counts = [[0; CLASSES]; CLASSES];
    for row in rows {
        counts[row.truth][row.answer()] += 1;
    }
    counts
}

/// Every measure by its name; none where the rows do not allow it.
pub(super) fn measures(rows: &[Row]) -> BTreeMap<&'static str, Option<f64>> {
    BTreeMap::from([
        ("accuracy", share(rows, |row| row.answer() == row.truth)),
        ("macro_f1", macro_f1(rows)),
        ("auroc", auroc(rows)),
        ("yes_no_accuracy", yes_no_accuracy(rows)),
        ("ece", calibration_error(rows)),
    ])
}

/// The 95 % interval of each measure by the percentile bootstrap over rows.
pub(super) fn intervals(rows: &[Row]) -> BTreeMap<&'static str, [f64; 2]> {
    let mut random = SplitMix64(SEED);
    let mut samples: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut drawn = Vec::with_capacity(rows.len());
    for _ in 0..RESAMPLES {
        drawn.clear();
        drawn.extend((0..rows.len()).map(|_| rows[random.below(rows.len())]));
        for (name, value) in measures(&drawn) {
            samples.entry(name).or_default().extend(value);
        }
    }
    let interval = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        Some([*values.get(values.len() / 40)?, *values.get(values.len() - 1 - values.len() / 40)?])
    };
    samples.into_iter().filter_map(|(name, mut values)| Some((name, interval(&mut values)?))).collect()
}

fn share(rows: &[Row], holds: impl Fn(&Row) -> bool) -> Option<f64> {
    let count = rows.iter().filter(|row| holds(row)).count();
    (!rows.is_empty()).then(|| count as f64 / rows.len() as f64)
}

fn macro_f1(rows: &[Row]) -> Option<f64> {
    macro_f1_of(&rows.iter().map(|row| (row.truth, row.answer())).collect::<Vec<_>>())
}

/// The area under the curve of each class against the rest, averaged over the classes that have both.
fn auroc(rows: &[Row]) -> Option<f64> {
    mean((0..CLASSES).filter_map(|class| {
        let mut ranked: Vec<(f32, bool)> = rows.iter().map(|row| (row.scores[class], row.truth == class)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        let inside = ranked.iter().filter(|(_, inside)| *inside).count();
        let outside = ranked.len() - inside;
        // Mann-Whitney: of all pairs, those where the inside one scores higher; equal scores count half.
        let (mut below, mut wins) = (0_usize, 0.0);
        for tied in ranked.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let hits = tied.iter().filter(|(_, inside)| *inside).count();
            let misses = tied.len() - hits;
            wins += hits as f64 * (below as f64 + misses as f64 / 2.0);
            below += misses;
        }
        (inside > 0 && outside > 0).then(|| wins / (inside as f64 * outside as f64))
    }))
}

/// Of the rows labelled Yes or No, those where the likelier of the two is right.
fn yes_no_accuracy(rows: &[Row]) -> Option<f64> {
    let stated: Vec<Row> = rows.iter().copied().filter(|row| row.truth < 2).collect();
    share(&stated, |row| usize::from(row.scores[1] > row.scores[0]) == row.truth)
}

/// What is left, and how much of it is wrong, if answers below a confidence are held back.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(super) struct Held {
    /// The confidence below which an answer is held back.
    confidence_min: f32,
    /// The share of the rows that are answered.
    coverage: f64,
    /// The share of those that are wrong; none if nothing is answered.
    risk: Option<f64>,
}

/// Coverage and risk (El-Yaniv, Wiener: On the foundations of noise-free selective classification, 2010) at thresholds
/// from 0.4 to 0.95: with three labels, no likeliest one has less than a third.
pub(super) fn risk_coverage(rows: &[Row]) -> Vec<Held> {
    (8_u8..20)
        .map(|step| {
            let confidence_min = f32::from(step) / 20.0;
            let sure = |row: &&Row| row.scores[row.answer()] >= confidence_min;
            let answered: Vec<Row> = rows.iter().filter(sure).copied().collect();
            Held {
                confidence_min,
                coverage: answered.len() as f64 / rows.len().max(1) as f64,
                risk: share(&answered, |row| row.answer() != row.truth),
            }
        })
        .collect()
}

/// The mean of the F1 of each class that occurs among the truths or the answers of the pairs (truth, answer).
pub(super) fn macro_f1_of<T: Copy + Eq + Ord>(pairs: &[(T, T)]) -> Option<f64> {
    let classes: std::collections::BTreeSet<T> = pairs.iter().flat_map(|&(truth, answer)| [truth, answer]).collect();
    mean(classes.into_iter().map(|class| {
        let count = |holds: &dyn Fn(&(T, T)) -> bool| pairs.iter().filter(|pair| holds(pair)).count() as f64;
        let right = count(&|&(truth, answer)| truth == class && answer == class);
        2.0 * right / (count(&|pair| pair.0 == class) + count(&|pair| pair.1 == class))
    }))
}

/// The expected calibration error of the top score, over bins of equal width.
fn calibration_error(rows: &[Row]) -> Option<f64> {
    let mut gaps = [0.0; CALIBRATION_BINS];
    for row in rows {
        let top = f64::from(row.scores[row.answer()]);
        let bin = (0..CALIBRATION_BINS - 1).find(|&bin| top < (bin + 1) as f64 / CALIBRATION_BINS as f64);
        gaps[bin.unwrap_or(CALIBRATION_BINS - 1)] += top - f64::from(u8::from(row.answer() == row.truth));
    }
    let total: f64 = gaps.iter().map(|gap| gap.abs()).sum();
    (!rows.is_empty()).then(|| total / rows.len() as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (OOPSLA 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`. The bias of the remainder is below one in a billion for any data set that fits a disk.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(truth: usize, scores: [f32; 3]) -> Row {
        Row { truth, scores }
    }

    fn close(measured: Option<f64>, expected: f64) -> bool {
        measured.is_some_and(|measured| (measured - expected).abs() < 1e-6)
    }

    fn rows() -> Vec<Row> {
        vec![
            row(0, [0.7, 0.2, 0.1]),
            row(0, [0.3, 0.6, 0.1]),
            row(1, [0.1, 0.8, 0.1]),
            row(1, [0.2, 0.3, 0.5]),
            row(2, [0.1, 0.1, 0.8]),
            row(2, [0.4, 0.2, 0.4]),
        ]
    }

    #[test]
    fn the_confusion_has_the_truth_in_rows_and_the_answer_in_columns() {
        assert_eq!(confusion(&rows()), [[1, 1, 0], [0, 1, 1], [1, 0, 1]]);
    }

    #[test]
    fn measures_agree_with_counting_by_hand() {
        let measured = measures(&rows());
        assert!(close(measured["accuracy"], 0.5), "{measured:?}");
        assert!(close(measured["macro_f1"], 0.5), "{measured:?}");
        // Each class has two inside and four outside, and one of the eight pairs is the wrong way round.
        assert!(close(measured["auroc"], 7.0 / 8.0), "{measured:?}");
        assert!(close(measured["yes_no_accuracy"], 0.75), "{measured:?}");
    }

    #[test]
    fn answers_that_are_as_often_right_as_they_say_have_no_calibration_error() {
        let sure = vec![row(0, [1.0, 0.0, 0.0]); 4];
        assert!(close(measures(&sure)["ece"], 0.0));
        let wrong = vec![row(1, [1.0, 0.0, 0.0]); 4];
        assert!(close(measures(&wrong)["ece"], 1.0));
    }

    #[test]
    fn holding_back_unsure_answers_leaves_fewer_wrong_ones() {
        let held = risk_coverage(&rows());
        assert!(close(Some(held[0].coverage), 1.0) && held[0].risk == Some(0.5), "{:?}", held[0]);
        let near = |held: &&Held, confidence: f32| (held.confidence_min - confidence).abs() < 1e-6;
        let at = |confidence: f32| held.iter().find(|held| near(held, confidence)).expect("a step");
        assert!((at(0.65).coverage - 0.5).abs() < 1e-9);
        assert_eq!(at(0.65).risk, Some(0.0));
        assert_eq!(at(0.95).risk, None);
    }

    #[test]
    fn a_measure_that_the_rows_do_not_allow_is_absent() {
        let measured = measures(&[row(2, [0.0, 0.0, 1.0])]);
        assert_eq!(measured["yes_no_accuracy"], None);
        assert_eq!(measured["auroc"], None);
    }

    #[test]
    fn intervals_hold_the_measure_and_are_the_same_every_time() {
        let rows: Vec<Row> = rows().into_iter().cycle().take(120).collect();
        let measured = measures(&rows);
        let intervals = super::intervals(&rows);
        for (name, [low, high]) in &intervals {
            let value = measured[name].expect("measured");
            assert!(low <= &value && &value <= high, "{name}");
        }
        assert_eq!(intervals, super::intervals(&rows));
    }
}
