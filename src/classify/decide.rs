//! Window scores to one answer for the document. Pure.

use super::calibration::{DocumentScale, Readings};
use crate::domain::annotation::{Annotation, Evidence, NoAnswer, WindowScores};
use crate::domain::label::{Category, Label, LabelScores};
use crate::domain::narrative::{Narrative, SectionKind, Span};

/// Settings of [`decide`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecideSettings {
    /// Answers with a lower confidence are queued for review.
    pub review_confidence_min: f32,
    /// An answer with a lower confidence is not given: `indeterminate`, and queued for review.
    pub answer_confidence_min: f32,
    /// How the readings of a document become its scores.
    pub scale: DocumentScale,
}

impl Default for DecideSettings {
    fn default() -> Self {
        Self { review_confidence_min: 0.6, answer_confidence_min: 0.45, scale: DocumentScale::default() }
    }
}

/// Spans of evidence that an annotation carries: more than a person reads at a glance is no evidence.
pub const EVIDENCE_SPANS_MAX: usize = 5;

/// How much a section says about the current status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// It speaks only if nothing else does: the past, the question, the future.
    Background,
    /// What was seen.
    Finding,
    /// What the author concludes.
    Conclusion,
}

/// The section's weight; none if it never speaks for the current status.
const fn weight(kind: SectionKind) -> Option<Weight> {
    match kind {
        SectionKind::Impression | SectionKind::Addendum | SectionKind::Assessment => Some(Weight::Conclusion),
        SectionKind::Findings | SectionKind::Other => Some(Weight::Finding),
        SectionKind::Plan | SectionKind::Comparison | SectionKind::Indication | SectionKind::History => {
            Some(Weight::Background)
        }
        SectionKind::PastHistory
        | SectionKind::FamilyHistory
        | SectionKind::Technique
        | SectionKind::Header
        | SectionKind::Footer
        | SectionKind::Signature
        | SectionKind::Hidden => None,
    }
}

/// What the model says of a document: of the sentence that speaks for it and of its end as a whole.
///
/// One sentence speaks for the document: the last one, in reading order, whose window states a response (the model
/// finds that likelier than not), among those of the sections that weigh most: the latest status wins. If none states
/// a response, the least sure one speaks. None if the document holds nothing but sections that never speak.
pub fn readings(
    narrative: &Narrative,
    sentences: &[WindowScores],
    overview: Option<&WindowScores>,
) -> Option<Readings> {
    let speaker = speaker(narrative, sentences, |label| label != Label::NotStated)?;
    Some(Readings { overview: overview.map(|overview| overview.label), sentence: speaker.label })
}

/// Merges what the model said of the sentences and of the document's end as a whole into the document's answer.
///
/// Its scores are the two [`readings`], pooled by the settings' scale: a sentence shows where it stands, the overview
/// whether it is about the treated disease. So the confidence is high where both agree, and low where they do not.
pub fn decide(
    narrative: &Narrative,
    sentences: &[WindowScores],
    overview: Option<&WindowScores>,
    settings: &DecideSettings,
) -> Annotation {
    if sentences.is_empty() {
        return Annotation::unanswered(NoAnswer::NothingReadable, narrative.coverage().clone());
    }
    let windows = sentences.len() + usize::from(overview.is_some());
    let Some(readings) = readings(narrative, sentences, overview) else { return silent(narrative, windows) };
    let scores = settings.scale.scores(&readings);
    let likeliest = scores.best();
    // The overview may side with an earlier sentence: then that one is shown.
    let Some(shown) = speaker(narrative, sentences, |said| said == likeliest) else {
        return silent(narrative, windows);
    };
    let said = overview.unwrap_or(shown);
    let confidence = scores.of(likeliest).get();
    let abstains = likeliest != Label::NotStated && confidence < settings.answer_confidence_min;
    let (label, category) =
        if abstains { (Label::NotStated, Category::Indeterminate) } else { (likeliest, category(said, likeliest)) };
    Annotation {
        label,
        category,
        scores: Some(scores),
        cancer: said.cancer,
        // A reviewer of an answer that was held back needs to see what it would have rested on.
        evidence: evidence(narrative, sentences, shown, likeliest),
        no_answer: None,
        needs_review: confidence < settings.review_confidence_min,
        coverage: narrative.coverage().clone(),
        windows,
    }
}

/// The answer for a document that holds nothing but sections that never speak.
fn silent(narrative: &Narrative, windows: usize) -> Annotation {
    Annotation {
        label: Label::NotStated,
        category: Category::None,
        scores: LabelScores::from_probabilities([0.0, 0.0, 1.0]),
        cancer: None,
        evidence: Vec::new(),
        no_answer: None,
        needs_review: false,
        coverage: narrative.coverage().clone(),
        windows,
    }
}

/// The last window of the sections that weigh most among those whose label is `wanted`, else the one that is least sure
/// that nothing is stated; none if none may speak.
fn speaker<'a>(
    narrative: &Narrative,
    scores: &'a [WindowScores],
    wanted: impl Fn(Label) -> bool,
) -> Option<&'a WindowScores> {
    let weight = |scores: &WindowScores| weight_in(narrative, scores);
    let speaking = || scores.iter().filter(|scores| weight(scores).is_some());
    // `max_by_key` gives the last of several equals.
    let stated = speaking().filter(|scores| wanted(scores.label.best())).max_by_key(|scores| weight(scores));
    stated.or_else(|| speaking().min_by(|a, b| not_stated(a).total_cmp(&not_stated(b))))
}

fn weight_in(narrative: &Narrative, scores: &WindowScores) -> Option<Weight> {
    narrative.sections().get(scores.window.section).and_then(|section| weight(section.kind))
}

fn not_stated(scores: &WindowScores) -> f32 {
    scores.label.of(Label::NotStated).get()
}

/// The category that fits the label best.
fn category(scores: &WindowScores, label: Label) -> Category {
    match scores.category {
        Some(category) => category.best_for(label),
        // A model without categories says no more than its label.
        None => match label {
            Label::Responded => Category::Partial,
            Label::NotResponded => Category::NoResponse,
            Label::NotStated => Category::None,
        },
    }
}

/// The spans that say the same as the document, best first: what the speaker says comes before all others. If only the
/// overview says it, the speaker is the sentence that comes nearest.
fn evidence(narrative: &Narrative, scores: &[WindowScores], speaker: &WindowScores, label: Label) -> Vec<Evidence> {
    if label == Label::NotStated {
        return Vec::new();
    }
    let found = |scores: &WindowScores| Evidence {
        span: sentence_span(narrative, scores.window.focus),
        score: scores.label.of(label),
    };
    let says = |scores: &&WindowScores| scores.label.best() == label && weight_in(narrative, scores).is_some();
    let mut others: Vec<Evidence> =
        scores.iter().filter(says).filter(|scores| scores.window != speaker.window).map(found).collect();
    others.sort_by(|a, b| b.score.get().total_cmp(&a.score.get()));
    std::iter::once(found(speaker)).chain(others).take(EVIDENCE_SPANS_MAX).collect()
}

/// The focus without the heading that may stand before its first sentence.
fn sentence_span(narrative: &Narrative, focus: Span) -> Span {
    let sentences = narrative.sentences();
    let first = sentences.partition_point(|sentence| sentence.span.start() < focus.start());
    match sentences.get(first) {
        Some(sentence) if focus.contains(sentence.span) => {
            let last = sentences.partition_point(|sentence| sentence.span.end() <= focus.end());
            sentence.span.join(sentences[last.saturating_sub(1).max(first)].span)
        }
        _ => focus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::narrative;
    use crate::domain::annotation::Window;

    const YES: [f32; 3] = [0.9, 0.05, 0.05];
    const NO: [f32; 3] = [0.05, 0.9, 0.05];
    const NOTHING: [f32; 3] = [0.05, 0.05, 0.9];

    fn window(narrative: &Narrative, sentence: usize, scores: [f32; 3]) -> WindowScores {
        let sentence = narrative.sentences()[sentence];
        WindowScores {
            window: Window { focus: sentence.span, section: sentence.section },
            label: LabelScores::from_probabilities(scores).expect("scores"),
            category: None,
            cancer: None,
        }
    }

    /// A document with one sentence per section.
    fn document(sections: &[(SectionKind, [f32; 3])]) -> (Narrative, Annotation) {
        let parts: Vec<(SectionKind, Option<&str>, &[&str])> =
            sections.iter().map(|(kind, _)| (*kind, None, ["A sentence."].as_slice())).collect();
        let narrative = narrative(&parts);
        let scores: Vec<WindowScores> =
            sections.iter().enumerate().map(|(index, (_, scores))| window(&narrative, index, *scores)).collect();
        let annotation = decide(&narrative, &scores, None, &DecideSettings::default());
        (narrative, annotation)
    }

    #[test]
    fn the_latest_status_of_the_sections_that_weigh_most_wins() {
        use SectionKind as Kind;
        for (sections, expected) in [
            (vec![(Kind::Other, YES), (Kind::Other, NO), (Kind::Other, NOTHING)], Label::NotResponded),
            (vec![(Kind::Other, NO), (Kind::Other, YES)], Label::Responded),
            (vec![(Kind::Impression, YES), (Kind::Findings, NO)], Label::Responded),
            (vec![(Kind::Impression, NOTHING), (Kind::Findings, NO)], Label::NotResponded),
            (vec![(Kind::Findings, NO), (Kind::History, YES)], Label::NotResponded),
            (vec![(Kind::Findings, NOTHING), (Kind::History, YES)], Label::Responded),
            (vec![(Kind::Findings, NOTHING), (Kind::FamilyHistory, YES)], Label::NotStated),
            (vec![(Kind::PastHistory, YES), (Kind::Technique, NO)], Label::NotStated),
            (vec![(Kind::Impression, YES), (Kind::Addendum, NO)], Label::NotResponded),
            (vec![(Kind::Other, NOTHING)], Label::NotStated),
        ] {
            let (_, annotation) = document(&sections);
            assert_eq!(annotation.label, expected, "{sections:?}");
            assert!(annotation.category.fits(annotation.label));
            assert_eq!(annotation.scores.expect("scores").best(), annotation.label);
        }
    }

    #[test]
    fn the_evidence_begins_with_the_window_that_speaks() {
        let better = [0.96, 0.02, 0.02];
        let (narrative, annotation) =
            document(&[(SectionKind::Other, better), (SectionKind::Other, NO), (SectionKind::Other, YES)]);
        let spans: Vec<Span> = annotation.evidence.iter().map(|evidence| evidence.span).collect();
        assert_eq!(spans, [narrative.sentences()[2].span, narrative.sentences()[0].span]);
    }

    #[test]
    fn evidence_leaves_out_the_heading_that_was_read_with_it() {
        let narrative = narrative(&[(SectionKind::Impression, Some("IMPRESSION"), &["Stable."])]);
        let focus = Span::new(narrative.text(), 0, narrative.sentences()[0].span.end()).expect("a span");
        assert_eq!(sentence_span(&narrative, focus).of(narrative.text()), "Stable.");
    }

    #[test]
    fn an_unsure_answer_keeps_its_label_and_asks_for_review() {
        let (_, annotation) = document(&[(SectionKind::Other, [0.5, 0.3, 0.2])]);
        assert_eq!(annotation.label, Label::Responded);
        assert!(annotation.needs_review);
    }

    #[test]
    fn an_answer_below_the_threshold_is_held_back_with_its_scores_and_evidence() {
        let (narrative, annotation) = document(&[(SectionKind::Other, [0.42, 0.3, 0.28])]);
        assert_eq!((annotation.label, annotation.category), (Label::NotStated, Category::Indeterminate));
        assert_eq!(annotation.scores.expect("scores").best(), Label::Responded);
        assert_eq!(annotation.evidence[0].span, narrative.sentences()[0].span);
        assert!(annotation.needs_review);
    }

    #[test]
    fn the_overview_counts_twice_and_the_evidence_follows_the_answer() {
        let narrative = narrative(&[(SectionKind::Other, None, &["Better.", "Worse.", "Seen."])]);
        let sentences = [window(&narrative, 0, YES), window(&narrative, 1, NO), window(&narrative, 2, NOTHING)];
        let whole = Span::new(narrative.text(), 0, narrative.sentences()[2].span.end()).expect("a span");
        for (overview, label, shown) in
            [(YES, Label::Responded, Some(0)), (NO, Label::NotResponded, Some(1)), (NOTHING, Label::NotStated, None)]
        {
            let mut overview = window(&narrative, 0, overview);
            overview.window.focus = whole;
            let annotation = decide(&narrative, &sentences, Some(&overview), &DecideSettings::default());
            assert_eq!(annotation.label, label);
            let shown = shown.map(|sentence: usize| narrative.sentences()[sentence].span);
            assert_eq!(annotation.evidence.first().map(|evidence| evidence.span), shown);
            // The sentence that speaks says no: an overview that says the same makes the answer surer.
            let confidence = annotation.confidence().expect("asked").get();
            assert!(if label == Label::NotResponded { confidence > 0.85 } else { confidence < 0.7 });
        }
    }

    #[test]
    fn nothing_read_is_nothing_answered() {
        let narrative = narrative(&[]);
        let annotation = decide(&narrative, &[], None, &DecideSettings::default());
        assert_eq!(annotation.no_answer, Some(NoAnswer::NothingReadable));
    }
}
