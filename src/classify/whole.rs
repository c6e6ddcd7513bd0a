//! A report that is given to a model as one text, or whose sentences' answers are one answer: not ours to weigh by
//! sections, since the model was made to say it of the whole.

use super::decide::{self, DecideSettings};
use super::tokenize::Encoded;
use crate::domain::annotation::{Annotation, Window, WindowScores};
use crate::domain::label::{Label, LabelScores};
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
    if encoded.pieces_cut > 0 {
        notes.push(format!(
            "truncated: the model reads {max_tokens} tokens at once; the last {} of {} were not read",
            encoded.pieces_cut, encoded.pieces_total
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
    let label = LabelScores::from_probabilities(Label::ALL.map(|label| sum(label) / count))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::model::{Model, SETTINGS_FILE};
    use crate::classify::spark_model::tests::Files;
    use crate::classify::testing::narrative;
    use crate::classify::{Classifier, ClassifierSettings, Unit};
    use crate::domain::annotation::NoAnswer;

    /// The tiny model as Spark NLP would have saved it, with these settings of ours.
    fn classifier(settings: &str, params: &serde_json::Value) -> Classifier {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = Files::whole();
        files.params(params);
        files.put(SETTINGS_FILE, settings.as_bytes().to_vec());
        let model = Model::load(&files.write(folder.path())).expect("a model");
        // The graph is read while the folder is still there.
        Classifier::start(model, ClassifierSettings::default()).expect("a classifier")
    }

    fn spark(params: &serde_json::Value) -> serde_json::Value {
        let mut all = serde_json::json!({"engine": "onnx", "maxSentenceLength": 16, "caseSensitive": false});
        all.as_object_mut().expect("an object").extend(params.as_object().expect("an object").clone());
        all
    }

    fn report() -> Narrative {
        let coverage = Coverage {
            read: vec![crate::domain::narrative::ReadRendition {
                origin: "text".to_owned(),
                format: "text/plain".to_owned(),
                characters: 0,
                notes: Vec::new(),
            }],
            unread: Vec::new(),
        };
        let sentences =
            ["Scan of the liver.", "Mass stable after treatment.", "Then scan-free no mass and progression failed."];
        let plain = narrative(&[
            (SectionKind::Hidden, None, &["progression progression"]),
            (SectionKind::Header, None, &["Lung"]),
            (SectionKind::PastHistory, None, &sentences),
        ]);
        Narrative::new(plain.text().to_owned(), plain.sections().to_vec(), plain.sentences().to_vec(), coverage)
    }

    #[test]
    fn a_report_is_one_text_cut_at_the_limit_and_its_coverage_says_so() {
        let report = report();
        for unit in [Unit::Document, Unit::Sentence] {
            let annotation =
                classifier("", &spark(&serde_json::json!({}))).annotate_blocking(&report, unit).expect("an answer");
            assert_eq!(
                (annotation.label, annotation.windows),
                (Label::Responded, 1),
                "sections that never speak are read all the same"
            );
            let notes = &annotation.coverage.read[0].notes;
            assert!(
                notes[0].starts_with("truncated: the model reads 16 tokens at once; the last 5 of 19"),
                "{notes:?}"
            );
            assert!(notes[1].starts_with("2 parts of words were not read"), "{notes:?}");
            let evidence = annotation.evidence[0].span.of(report.text());
            assert!(evidence.starts_with("Lung") && !evidence.contains("progression progression"), "{evidence}");
        }
        let longer =
            classifier("max_tokens = 32", &spark(&serde_json::json!({}))).annotate_blocking(&report, Unit::Document);
        let longer = longer.expect("an answer");
        assert_eq!(longer.label, Label::NotResponded, "progression is read, too");
        assert_eq!(longer.coverage.read[0].notes.len(), 1, "nothing was cut off");
    }

    #[test]
    fn a_report_without_a_letter_is_not_given_to_the_model() {
        let empty = narrative(&[(SectionKind::Other, None, &["--", "…"])]);
        let annotation = classifier("", &spark(&serde_json::json!({}))).annotate_blocking(&empty, Unit::Document);
        assert_eq!(annotation.expect("an answer").no_answer, Some(NoAnswer::NothingReadable));
    }

    #[test]
    fn sentences_whose_answers_are_one_are_averaged() {
        let report = narrative(&[(SectionKind::Other, None, &["Stable.", "Scan.", "Scan.", "Relapse."])]);
        let answer = |settings: &str, coalesce: bool| {
            let params = spark(&serde_json::json!({"coalesceSentences": coalesce}));
            classifier(settings, &params).annotate_blocking(&report, Unit::Document).expect("an answer")
        };
        let mean = answer("unit = \"sentence\"", true);
        assert_eq!((mean.label, mean.windows), (Label::NotStated, 4), "two of four say nothing");
        assert!((mean.scores.expect("scores").of(Label::Responded).get() - 0.28).abs() < 0.03, "{mean:?}");
        assert_eq!(answer("unit = \"sentence\"", false).label, Label::NotResponded, "the latest status wins otherwise");
        assert_eq!(answer("", true).windows, 1, "one text has one answer");
    }
}
