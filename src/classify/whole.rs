//! A report that is given to a model as one text, or whose sentences' answers are one answer: not ours to weigh by
//! sections, since the model was made to say it of the whole.

use super::decide::{self, DecideSettings};
use super::tokenize::Encoded;
use crate::domain::annotation::{Annotation, Window, WindowScores};
use crate::domain::label::{Label, LabelScores, Score};
use crate::domain::narrative::{Coverage, Narrative, Section, SectionKind, Sentence, Span};

/// The narrative as one section with one sentence, the focus. Places in it are places in the narrative.
pub(super) fn flat(narrative: &Narrative, focus: Span, coverage: Coverage) -> Narrative {
    let text = narrative.text();
    // The whole of a text always lies on its character boundaries.
    let span = Span::new(text, 0, text.len()).expect("the whole text");
    let section = Section { kind: SectionKind::Other, title: None, span };
    Narrative::new(text.to_owned(), vec![section], vec![Sentence { span: focus, section: 0 }], coverage)
}

/// The narrative's coverage, with what the model did not read of it.
pub(super) fn coverage(narrative: &Narrative, encoded: &Encoded, max_tokens: usize) -> Coverage {
    let mut coverage = narrative.coverage().clone();
    let mut notes = Vec::new();
    if encoded.truncated {
        let unread = (encoded.pieces_total + 2).saturating_sub(encoded.ids.len());
        notes.push(format!(
            "truncated: the model reads {max_tokens} tokens at once; the last {unread} of {} were not read",
            encoded.pieces_total
        ));
    }
    if encoded.words_dropped > 0 {
        notes.push(format!(
            "{} parts of words were not read, as Spark NLP reads of post-operative only the first part",
            encoded.words_dropped
        ));
    }
    if let Some(last) = coverage.read.last_mut() {
        last.notes.extend(notes);
    }
    coverage
}

/// What all windows say as one: the mean of their scores, about all that they are about. Nothing without any.
pub(super) fn mean(scores: &[WindowScores]) -> Option<WindowScores> {
    let focus = scores.iter().map(|scores| scores.window.focus).reduce(Span::join)?;
    let count = scores.len() as f32;
    let sum = |label: Label| scores.iter().map(|scores| scores.label.of(label).get()).sum::<f32>();
    let label = Label::ALL.map(|label| Score::new((sum(label) / count).clamp(0.0, 1.0)));
    let [Some(responded), Some(not_responded), Some(not_stated)] = label else { return None };
    let label = LabelScores::new([responded, not_responded, not_stated])?;
    Some(WindowScores { window: Window { focus, section: 0 }, label, category: None, cancer: None })
}

/// The answer of a report whose sentences' answers are one: the mean, with the sentences that say the same as evidence.
pub(super) fn decide_by_mean(
    narrative: &Narrative,
    sentences: &[WindowScores],
    settings: &DecideSettings,
) -> Option<Annotation> {
    let mean = mean(sentences)?;
    let whole = flat(narrative, mean.window.focus, narrative.coverage().clone());
    let mut annotation = decide::decide(&whole, &[mean], None, settings);
    let by_sentence = decide::decide(narrative, sentences, None, settings);
    if by_sentence.label == annotation.label && !by_sentence.evidence.is_empty() {
        annotation.evidence = by_sentence.evidence;
    }
    annotation.windows = sentences.len();
    Some(annotation)
}
