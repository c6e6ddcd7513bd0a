//! `responsum eval`: a model's answers against labels.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::annotate::ModelJson;
use super::measures::{Held, Row, confusion, intervals, macro_f1_of, measures, risk_coverage};
use super::texts::{CommandError, ModelArgs, Origin, narrative_of, next_line, write_line};
use crate::classify::calibration::{Calibration, DocumentScale, Readings};
use crate::classify::{Classifier, Unit};
use crate::domain::annotation::Annotation;
use crate::domain::label::{Category, Label, LabelScores};
use crate::domain::narrative::Narrative;

/// Measure a model on labelled texts
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Each line of DATA is {\"id\", \"text\", \"label\": \"Yes\"|\"No\"|\"NA\", \"ambiguous\"?}; ambiguous rows are
not scored. Measures: accuracy, macro F1, AUROC (one class against the rest, macro), accuracy of
Yes against No on the rows that are one of them, and the expected calibration error of the top
score (15 bins of equal width), each with the 95 % interval of a bootstrap over rows.
`risk_coverage` says what is left, and how much of it is wrong, when answers below a confidence
are held back. Where rows have a `category` (complete, partial, …), `category_macro_f1`; where
they have `evidence` ([{\"start\", \"end\"}], code points of the text, or the sentence itself),
`evidence_in_first_two`: of the answered rows that have some, the share that shows it among the
first two spans.

--calibrate fits how the readings of a report are pooled to these rows, and measures the fit on
rows that it did not see (five parts, each by a fit to the other four). A few hundred reports of
one site are enough; fewer than 50 are not.

Examples:
  responsum eval reports.jsonl
  responsum eval --unit sentence --model ./my-model --json sentences.jsonl
  responsum eval --by genre reports.jsonl
  responsum eval --calibrate site.toml our-labelled-reports.jsonl")]
pub struct EvalArgs {
    /// Which model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// What a text is: a report of sentences and sections, or one sentence or passage
    #[arg(long, value_enum, default_value_t)]
    pub unit: Unit,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Also measure the rows by this field of theirs
    #[arg(long, value_name = "FIELD")]
    pub by: Option<String>,
    /// Fit a calibration to these reports and write it here
    #[arg(long, value_name = "FILE.toml")]
    pub calibrate: Option<PathBuf>,
    /// The labelled texts
    #[arg(value_name = "DATA.jsonl")]
    pub data: PathBuf,
}

/// Rows between two words on the progress.
const PROGRESS_ROWS: usize = 50;

#[derive(Deserialize)]
struct LabelledText {
    text: String,
    label: String,
    #[serde(default)]
    ambiguous: bool,
    category: Option<serde_json::Value>,
    evidence: Option<LabelledEvidence>,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

/// Where a text says so: spans of it, or the sentence itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum LabelledEvidence {
    Spans(Vec<LabelledSpan>),
    Quote(String),
    Other(serde::de::IgnoredAny),
}

impl LabelledEvidence {
    /// Spans of the text; none for a quote that is not in it.
    fn spans(self, text: &str) -> Vec<LabelledSpan> {
        match self {
            Self::Spans(spans) => spans,
            Self::Quote(quote) => {
                let place = text.find(&quote).filter(|_| !quote.is_empty());
                let start = place.map(|place| text[..place].chars().count());
                start.map(|start| LabelledSpan { start, end: start + quote.chars().count() }).into_iter().collect()
            }
            Self::Other(_) => Vec::new(),
        }
    }
}

/// Code points of the text.
#[derive(Deserialize)]
struct LabelledSpan {
    start: usize,
    end: usize,
}

/// What is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct What<'a> {
    /// What a text is.
    pub unit: Unit,
    /// The field by whose values the rows are also measured.
    pub by: Option<&'a str>,
    /// Whether a calibration is to be fitted.
    pub calibrate: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    n: usize,
    #[serde(flatten)]
    measures: BTreeMap<&'static str, Option<f64>>,
    classes: [&'static str; 3],
    confusion: [[usize; 3]; 3],
    ci95: BTreeMap<&'static str, [f64; 2]>,
    risk_coverage: Vec<Held>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<String, Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<Fitted>,
    model: ModelJson,
}

/// Rows that have one value of a field.
#[derive(Clone, Debug, Serialize)]
struct Group {
    n: usize,
    #[serde(flatten)]
    measures: BTreeMap<&'static str, Option<f64>>,
    ci95: BTreeMap<&'static str, [f64; 2]>,
}

/// A calibration, and what it is worth on rows that it was not fitted to.
#[derive(Clone, Debug, Serialize)]
struct Fitted {
    document: DocumentScale,
    unseen: BTreeMap<&'static str, Option<f64>>,
    #[serde(skip)]
    file: Calibration,
}

/// The labels' names in the data, in the order of [`Label::ALL`].
const CLASSES: [&str; 3] = ["Yes", "No", "NA"];
/// Parts of the rows that take turns at being unseen.
const FOLDS: usize = 5;
/// Spans that a person reads before anything else.
const FIRST_SPANS: usize = 2;

/// What one row gives.
struct Measured {
    row: Row,
    group: Option<String>,
    category: Option<(Category, Category)>,
    evidence: Option<bool>,
    readings: Option<Readings>,
}

/// Annotates every row that is not ambiguous, and measures the answers. An answer that is held back is scored by what it
/// would have been.
pub fn run(
    classifier: &Classifier,
    what: &What,
    mut input: impl BufRead,
    mut progress: impl Write,
) -> Result<Evaluation, CommandError> {
    if what.calibrate && what.unit == Unit::Sentence {
        return Err(CommandError::CalibrateSentences);
    }
    let (mut measured, mut line, mut buffer) = (Vec::new(), 0, Vec::new());
    while let Some(row) = next_line(&mut input, &mut buffer, &mut line)? {
        let fault = |fault| CommandError::Row { line, fault };
        let row: LabelledText =
            serde_json::from_slice(row).map_err(|_| fault("not an object with `text` and `label`"))?;
        if row.ambiguous {
            continue;
        }
        let truth = class_of(&row.label).ok_or_else(|| fault("`label` is none of Yes, No, NA"))?;
        measured.push(measure(classifier, what, row, truth)?);
        if measured.len().is_multiple_of(PROGRESS_ROWS) {
            // Progress that cannot be shown is no reason to stop.
            let _ = writeln!(progress, "{} rows scored", measured.len());
        }
    }
    if measured.is_empty() {
        return Err(CommandError::NoRows);
    }
    Ok(Evaluation::of(classifier, what, &measured))
}

fn measure(classifier: &Classifier, what: &What, row: LabelledText, truth: usize) -> Result<Measured, CommandError> {
    let narrative = narrative_of(&row.text, what.unit);
    let (annotation, readings) =
        classifier.annotate_english_blocking(&narrative, what.unit).map_err(CommandError::Classify)?;
    let category = row.category.as_ref().and_then(serde_json::Value::as_str).and_then(Category::from_code);
    let value = what.by.and_then(|field| row.others.get(field));
    let labelled = row.evidence.map(|evidence| evidence.spans(&row.text)).unwrap_or_default();
    Ok(Measured {
        row: Row { truth, scores: scores_of(annotation.scores) },
        group: value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        category: category.map(|category| (category, annotation.category)),
        evidence: shows(&row.text, &narrative, &annotation, &labelled),
        readings,
    })
}

/// Whether one of the first spans is mostly a labelled one, or a labelled one mostly it; none if there is nothing to show.
fn shows(text: &str, narrative: &Narrative, annotation: &Annotation, labelled: &[LabelledSpan]) -> Option<bool> {
    if labelled.is_empty() || annotation.evidence.is_empty() {
        return None;
    }
    let origin = Origin::of(narrative.text(), text)?;
    let shown = annotation.evidence.iter().take(FIRST_SPANS).filter_map(|shown| origin.code_points(shown.span));
    let alike = |(start, end): (usize, usize), other: &LabelledSpan| {
        let shared = end.min(other.end).saturating_sub(start.max(other.start));
        2 * shared > (end - start).min(other.end.saturating_sub(other.start))
    };
    Some(shown.into_iter().any(|shown| labelled.iter().any(|other| alike(shown, other))))
}

fn class_of(name: &str) -> Option<usize> {
    let code = |label: &Label| label.code() == name;
    CLASSES.iter().position(|class| *class == name).or_else(|| Label::ALL.iter().position(code))
}

/// A text without anything to read states nothing.
fn scores_of(scores: Option<LabelScores>) -> [f32; 3] {
    scores.map_or([0.0, 0.0, 1.0], |scores| Label::ALL.map(|label| scores.of(label).get()))
}

/// A calibration fitted to all rows, and the measures of those that are each scored by a fit to the others.
fn fitted(classifier: &Classifier, measured: &[Measured]) -> Fitted {
    let rows: Vec<(Readings, Label)> =
        measured.iter().filter_map(|row| Some((row.readings?, Label::ALL[row.row.truth]))).collect();
    let mut unseen = Vec::with_capacity(rows.len());
    for fold in 0..FOLDS {
        let (held, seen): (Vec<_>, Vec<_>) = rows.iter().enumerate().partition(|(n, _)| n % FOLDS == fold);
        let scale = DocumentScale::fit(&seen.into_iter().map(|(_, row)| *row).collect::<Vec<_>>());
        unseen.extend(held.into_iter().map(|(_, (readings, label))| Row {
            truth: label.position(),
            scores: scores_of(Some(scale.scores(readings))),
        }));
    }
    let document = DocumentScale::fit(&rows);
    let model_sha256 = classifier.version().sha256.hex();
    Fitted { document, unseen: measures(&unseen), file: Calibration { model_sha256, reports: rows.len(), document } }
}

impl Evaluation {
    fn of(classifier: &Classifier, what: &What, measured: &[Measured]) -> Self {
        let rows: Vec<Row> = measured.iter().map(|measured| measured.row).collect();
        let mut groups: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for measured in measured {
            if let Some(group) = &measured.group {
                groups.entry(group.clone()).or_default().push(measured.row);
            }
        }
        let mut measures_of_all = measures(&rows);
        let categories: Vec<_> = measured.iter().filter_map(|measured| measured.category).collect();
        if !categories.is_empty() {
            measures_of_all.insert("category_macro_f1", macro_f1_of(&categories));
        }
        let evidence: Vec<bool> = measured.iter().filter_map(|measured| measured.evidence).collect();
        if !evidence.is_empty() {
            let shown = evidence.iter().filter(|shown| **shown).count();
            measures_of_all.insert("evidence_in_first_two", Some(shown as f64 / evidence.len() as f64));
        }
        let group = |rows: Vec<Row>| Group { n: rows.len(), measures: measures(&rows), ci95: intervals(&rows) };
        Self {
            n: rows.len(),
            measures: measures_of_all,
            classes: CLASSES,
            confusion: confusion(&rows),
            ci95: intervals(&rows),
            risk_coverage: risk_coverage(&rows),
            groups: groups.into_iter().map(|(value, rows)| (value, group(rows))).collect(),
            calibration: what.calibrate.then(|| fitted(classifier, measured)),
            model: ModelJson::from(classifier.version()),
        }
    }

    /// One measure by its name.
    pub fn measure(&self, name: &str) -> Option<f64> {
        self.measures.get(name).copied().flatten()
    }

    /// Writes the calibration, if one was fitted.
    pub fn write_calibration(&self, path: &Path) -> Result<(), CommandError> {
        let Some(fitted) = &self.calibration else { return Ok(()) };
        std::fs::write(path, fitted.file.to_toml()).map_err(CommandError::Write)
    }

    /// Writes it as one line of JSON, or as a table for people.
    pub fn write(&self, json: bool, mut output: impl Write) -> Result<(), CommandError> {
        if json {
            return write_line(&mut output, self);
        }
        self.write_table(output).map_err(CommandError::Write)
    }

    fn write_table(&self, mut output: impl Write) -> std::io::Result<()> {
        writeln!(output, "{:<22} {:>7}", "n", self.n)?;
        write_measures(&self.measures, &self.ci95, &mut output)?;
        writeln!(output, "\n{:<22} {}", "label \\ answer", self.classes.map(|class| format!("{class:>5}")).concat())?;
        for (class, counts) in self.classes.iter().zip(self.confusion) {
            writeln!(output, "{class:<22} {}", counts.map(|count| format!("{count:>5}")).concat())?;
        }
        for (value, group) in &self.groups {
            writeln!(output, "\n{value:<22} {:>7}", group.n)?;
            write_measures(&group.measures, &group.ci95, &mut output)?;
        }
        if let Some(fitted) = &self.calibration {
            writeln!(output, "\n{:<22} {:>7}", "after calibration, on unseen rows", fitted.file.reports)?;
            write_measures(&fitted.unseen, &BTreeMap::new(), &mut output)?;
        }
        Ok(())
    }
}

fn write_measures(
    measures: &BTreeMap<&'static str, Option<f64>>,
    intervals: &BTreeMap<&'static str, [f64; 2]>,
    output: &mut impl Write,
) -> std::io::Result<()> {
    for (name, value) in measures {
        match (value, intervals.get(name)) {
            (Some(value), Some([low, high])) => writeln!(output, "{name:<22} {value:>7.3}  {low:.3} to {high:.3}")?,
            (Some(value), None) => writeln!(output, "{name:<22} {value:>7.3}")?,
            (None, _) => writeln!(output, "{name:<22} {:>7}", "-")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::texts::tests::tiny_classifier;

    const DATA: &str = concat!(
        r#"{"id": 1, "text": "Stable after treatment.", "label": "Yes"}"#,
        "\n",
        r#"{"id": 2, "text": "Relapse after treatment.", "label": "No", "ambiguous": false}"#,
        "\n",
        r#"{"id": 3, "text": "Scan of the lung.", "label": "NA"}"#,
        "\n",
        r#"{"id": 4, "text": "Larger.", "label": "responded"}"#,
        "\n",
        r#"{"id": 5, "text": "Relapse.", "label": "Yes", "ambiguous": true}"#,
    );

    const fn of(unit: Unit) -> What<'static> {
        What { unit, by: None, calibrate: false }
    }

    #[test]
    fn ambiguous_rows_are_not_scored() {
        let evaluation =
            run(tiny_classifier(), &of(Unit::Document), DATA.as_bytes(), std::io::sink()).expect("measures");
        assert_eq!(evaluation.n, 4);
        assert_eq!(evaluation.measure("accuracy"), Some(0.75));
        assert_eq!(evaluation.confusion, [[1, 1, 0], [0, 1, 0], [0, 0, 1]]);
    }

    #[test]
    fn measures_are_top_level_numbers_in_json() {
        let evaluation =
            run(tiny_classifier(), &of(Unit::Sentence), DATA.as_bytes(), std::io::sink()).expect("measures");
        let mut output = Vec::new();
        evaluation.write(true, &mut output).expect("JSON");
        let json: serde_json::Value = serde_json::from_slice(&output).expect("JSON");
        for name in ["n", "accuracy", "macro_f1", "auroc", "yes_no_accuracy", "ece"] {
            assert!(json[name].is_number(), "{name}: {json}");
        }
        assert_eq!(json["classes"], serde_json::json!(["Yes", "No", "NA"]));
        assert_eq!(json["ci95"]["macro_f1"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_row_without_a_label_ends_the_run_with_its_line() {
        let data = "{\"text\": \"a\", \"label\": \"NA\"}\n{\"text\": \"PHI-CANARY\", \"label\": \"Maybe\"}\n";
        let error = run(tiny_classifier(), &of(Unit::Document), data.as_bytes(), std::io::sink()).expect_err("a fault");
        assert_eq!(error.to_string(), "line 2: `label` is none of Yes, No, NA");
    }

    #[test]
    fn rows_are_also_measured_by_a_field_by_category_and_by_evidence() {
        let data = concat!(
            r#"{"text": "Seen.\nStable after treatment.", "label": "Yes", "category": "stable", "genre": "ct", "evidence": [{"start": 6, "end": 29}]}"#,
            "\n",
            r#"{"text": "Relapse after treatment.", "label": "Yes", "category": "partial", "genre": "mri", "evidence": [{"start": 300, "end": 310}]}"#,
            "\n",
            r#"{"text": "Seen. Relapse after treatment.", "label": "No", "category": "progressive", "evidence": "Relapse after treatment."}"#,
            "\n",
            r#"{"text": "Seen.", "label": "NA", "category": 7, "evidence": null}"#,
        );
        let what = What { by: Some("genre"), ..of(Unit::Document) };
        let evaluation = run(tiny_classifier(), &what, data.as_bytes(), std::io::sink()).expect("measures");
        assert_eq!(evaluation.measure("evidence_in_first_two"), Some(2.0 / 3.0));
        assert_eq!(evaluation.groups.keys().collect::<Vec<_>>(), ["ct", "mri"]);
        assert_eq!((evaluation.groups["ct"].n, evaluation.groups["ct"].measures["accuracy"]), (1, Some(1.0)));
        assert!(evaluation.measure("category_macro_f1").expect("measured") < 1.0);
    }

    #[test]
    fn a_calibration_is_fitted_to_reports_and_written() {
        let what = What { calibrate: true, ..of(Unit::Document) };
        let data = [DATA; 6].join("\n");
        let evaluation = run(tiny_classifier(), &what, data.as_bytes(), std::io::sink()).expect("measures");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("site.toml");
        evaluation.write_calibration(&path).expect("a file");
        let hash = tiny_classifier().version().sha256.hex();
        assert_eq!(Calibration::load(&path, &hash).expect("a calibration").reports, 24);
        let sentences = What { calibrate: true, ..of(Unit::Sentence) };
        let error = run(tiny_classifier(), &sentences, DATA.as_bytes(), std::io::sink()).expect_err("a fault");
        assert!(error.to_string().contains("whole reports"), "{error}");
    }
}
