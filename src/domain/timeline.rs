//! A patient's answers in time: the best category, the first progression, and where reports contradict each other.
//!
//! It is what reports say, one by one, not an assessment: no best overall response of RECIST, which knows baselines,
//! confirmations and lesions.

use time::{Duration, OffsetDateTime};

use super::label::{Category, Label};
use super::observation::Answer;

/// Two answers of the same time that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The earlier one's place among the answers.
    pub first: usize,
    /// The later one's.
    pub second: usize,
    /// Whole days between them; 0 if their dates overlap.
    pub days: i64,
}

/// How good a category is: the smaller the better. Those that say nothing of the course have no rank.
const fn rank(category: Category) -> Option<u8> {
    match category {
        Category::Complete => Some(0),
        Category::Partial => Some(1),
        Category::Stable => Some(2),
        Category::Mixed => Some(3),
        Category::NoResponse => Some(4),
        Category::Progressive => Some(5),
        Category::Indeterminate | Category::None => None,
    }
}

/// The stretch of time that an answer is of.
fn bounds(answer: &Answer) -> Option<(OffsetDateTime, OffsetDateTime)> {
    answer.about.effective.as_ref()?.bounds()
}

/// The place of the answer with the best category that was reported; of several, the first in their order.
pub fn best(answers: &[Answer]) -> Option<usize> {
    let ranked = answers.iter().enumerate().filter_map(|(at, answer)| Some((rank(answer.category)?, at)));
    ranked.min().map(|(_, at)| at)
}

/// The place of the earliest dated answer that says that the disease got worse.
pub fn first_progression(answers: &[Answer]) -> Option<usize> {
    let worse = answers.iter().enumerate().filter(|(_, answer)| answer.category == Category::Progressive);
    worse.filter_map(|(at, answer)| Some((bounds(answer)?.0, at))).min().map(|(_, at)| at)
}

/// Pairs of dated answers with opposite labels, no more than `days` apart. The answers are in the order of their beginning.
pub fn conflicts(answers: &[Answer], days: i64) -> Vec<Conflict> {
    let dated: Vec<_> =
        answers.iter().enumerate().filter_map(|(at, answer)| Some((at, answer.label, bounds(answer)?))).collect();
    let mut found = Vec::new();
    for (place, (first, label, (_, until))) in dated.iter().enumerate() {
        let near = dated[place + 1..].iter().take_while(|(_, _, (from, _))| *from - *until <= Duration::days(days));
        for (second, _, (from, _)) in near.filter(|(_, other, _)| opposite(*label, *other)) {
            let days = (*from - *until).max(Duration::ZERO).whole_days();
            found.push(Conflict { first: *first, second: *second, days });
        }
    }
    found
}

fn opposite(a: Label, b: Label) -> bool {
    matches!((a, b), (Label::Responded, Label::NotResponded) | (Label::NotResponded, Label::Responded))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::annotation::ModelVersion;
    use crate::domain::document::{About, Effective, LogicalId, ReportKey, ResourceType, Sha256Digest, SourceName};
    use crate::domain::label::Score;
    use crate::domain::observation::{Kind, Standing};

    fn answer(date: &str, label: Label, category: Category) -> Answer {
        let now = datetime!(2026-03-01 0:00 UTC);
        let effective = (!date.is_empty()).then(|| Effective::DateTime(date.to_owned()));
        Answer {
            observation_id: "obs-1".to_owned(),
            kind: Kind::Answer,
            version: 1,
            standing: Standing::Preliminary,
            withdrawn: None,
            recorded_at: now,
            annotated_at: now,
            report: ReportKey {
                source: SourceName::local(),
                resource_type: ResourceType::DiagnosticReport,
                logical_id: LogicalId::new("1").expect("an id"),
            },
            document_version: 1,
            source_version: None,
            about: About { effective, ..About::default() },
            narrative: Uuid::nil(),
            label,
            category,
            confidence: Score::new(0.9).expect("a score"),
            cancer: true,
            evidence: Vec::new(),
            model: ModelVersion { id: "m".to_owned(), version: "1".to_owned(), sha256: Sha256Digest([0; 32]) },
            performer: None,
            stated_at: now,
            decision: None,
            linked: Vec::new(),
        }
    }

    #[test]
    fn the_best_category_and_the_first_progression_are_found() {
        use Label::{NotResponded, Responded};
        let course = [
            answer("2026-01-10", Responded, Category::Stable),
            answer("2026-03-10", Responded, Category::Partial),
            answer("2026-05-10", NotResponded, Category::Progressive),
            answer("2026-07-10", NotResponded, Category::Progressive),
            answer("", NotResponded, Category::Progressive),
        ];
        assert_eq!((best(&course), first_progression(&course)), (Some(1), Some(2)));
        assert_eq!((best(&course[4..]), first_progression(&course[4..])), (Some(0), None), "no date, no first");
        assert_eq!((best(&[]), first_progression(&[])), (None, None));
        assert_eq!(best(&[answer("2026", NotResponded, Category::None)]), None);
    }

    #[test]
    fn opposite_answers_of_the_same_days_are_a_conflict() {
        use Label::{NotResponded, Responded};
        let course = [
            answer("2026-01-10", Responded, Category::Stable),
            answer("2026-01-12", NotResponded, Category::Progressive),
            answer("2026-01-12T10:00:00Z", NotResponded, Category::Progressive),
            answer("2026-02-20", Responded, Category::Partial),
        ];
        let pairs = |days| conflicts(&course, days).iter().map(|c| (c.first, c.second, c.days)).collect::<Vec<_>>();
        assert_eq!(pairs(14), [(0, 1, 1), (0, 2, 1)]);
        assert_eq!(pairs(0), []);
        assert_eq!(pairs(60).len(), 4);
        let month =
            [answer("2026-01", Responded, Category::Stable), answer("2026-01-12", NotResponded, Category::NoResponse)];
        assert_eq!(conflicts(&month, 0), [Conflict { first: 0, second: 1, days: 0 }]);
    }
}
