//! `responsum eval`: a model's answers against labels.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::annotate::ModelJson;
use super::measures::{Row, confusion, intervals, measures};
use super::texts::{CommandError, ModelArgs, narrative_of, next_line, write_line};
use crate::classify::{Classifier, Unit};
use crate::domain::label::{Label, LabelScores};

/// Measure a model on labelled texts
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Each line of DATA is {\"id\", \"text\", \"label\": \"Yes\"|\"No\"|\"NA\", \"ambiguous\"?}; ambiguous rows are not scored.
Measures: accuracy, macro F1, AUROC (one class against the rest, macro), accuracy of Yes against No on the rows that
are one of them, and the expected calibration error of the top score (15 bins of equal width), each with the 95 %
interval of a bootstrap over rows.

Examples:
  responsum eval reports.jsonl
  responsum eval --unit sentence --model ./my-model --json sentences.jsonl")]
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
    model: ModelJson,
}

/// The labels' names in the data, in the order of [`Label::ALL`].
const CLASSES: [&str; 3] = ["Yes", "No", "NA"];

/// Annotates every row that is not ambiguous, and measures the answers. A low confidence does not change the answer
/// that is scored.
pub fn run(
    classifier: &Classifier,
    unit: Unit,
    mut input: impl BufRead,
    mut progress: impl Write,
) -> Result<Evaluation, CommandError> {
    let (mut rows, mut line, mut buffer) = (Vec::new(), 0, Vec::new());
    while let Some(row) = next_line(&mut input, &mut buffer, &mut line)? {
        let fault = |fault| CommandError::Row { line, fault };
        let row: LabelledText =
            serde_json::from_slice(row).map_err(|_| fault("not an object with `text` and `label`"))?;
        if row.ambiguous {
            continue;
        }
        let truth = class_of(&row.label).ok_or_else(|| fault("`label` is none of Yes, No, NA"))?;
        let narrative = narrative_of(&row.text, unit);
        let annotation = classifier.annotate_english_blocking(&narrative, unit).map_err(CommandError::Classify)?;
        rows.push(Row { truth, scores: scores_of(annotation.scores) });
        if rows.len().is_multiple_of(PROGRESS_ROWS) {
            // Progress that cannot be shown is no reason to stop.
            let _ = writeln!(progress, "{} rows scored", rows.len());
        }
    }
    if rows.is_empty() {
        return Err(CommandError::NoRows);
    }
    Ok(Evaluation {
        n: rows.len(),
        measures: measures(&rows),
        classes: CLASSES,
        confusion: confusion(&rows),
        ci95: intervals(&rows),
        model: ModelJson::from(classifier.version()),
    })
}

fn class_of(name: &str) -> Option<usize> {
    let code = |label: &Label| label.code() == name;
    CLASSES.iter().position(|class| *class == name).or_else(|| Label::ALL.iter().position(code))
}

/// A text without anything to read states nothing.
fn scores_of(scores: Option<LabelScores>) -> [f32; 3] {
    scores.map_or([0.0, 0.0, 1.0], |scores| Label::ALL.map(|label| scores.of(label).get()))
}

impl Evaluation {
    /// One measure by its name.
    pub fn measure(&self, name: &str) -> Option<f64> {
        self.measures.get(name).copied().flatten()
    }

    /// Writes it as one line of JSON, or as a table for people.
    pub fn write(&self, json: bool, mut output: impl Write) -> Result<(), CommandError> {
        if json {
            return write_line(&mut output, self);
        }
        self.write_table(output).map_err(CommandError::Write)
    }

    fn write_table(&self, mut output: impl Write) -> std::io::Result<()> {
        writeln!(output, "{:<16} {:>7}", "n", self.n)?;
        for (name, value) in &self.measures {
            match (value, self.ci95.get(name)) {
                (Some(value), Some([low, high])) => writeln!(output, "{name:<16} {value:>7.3}  {low:.3} to {high:.3}")?,
                _ => writeln!(output, "{name:<16} {:>7}", "-")?,
            }
        }
        writeln!(output, "\n{:<16} {}", "label \\ answer", self.classes.map(|class| format!("{class:>5}")).concat())?;
        for (class, counts) in self.classes.iter().zip(self.confusion) {
            writeln!(output, "{class:<16} {}", counts.map(|count| format!("{count:>5}")).concat())?;
        }
        Ok(())
    }
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

    #[test]
    fn ambiguous_rows_are_not_scored() {
        let evaluation = run(tiny_classifier(), Unit::Document, DATA.as_bytes(), std::io::sink()).expect("measures");
        assert_eq!(evaluation.n, 4);
        assert_eq!(evaluation.measure("accuracy"), Some(0.75));
        assert_eq!(evaluation.confusion, [[1, 1, 0], [0, 1, 0], [0, 0, 1]]);
    }

    #[test]
    fn measures_are_top_level_numbers_in_json() {
        let evaluation = run(tiny_classifier(), Unit::Sentence, DATA.as_bytes(), std::io::sink()).expect("measures");
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
        let error = run(tiny_classifier(), Unit::Document, data.as_bytes(), std::io::sink()).expect_err("a fault");
        assert_eq!(error.to_string(), "line 2: `label` is none of Yes, No, NA");
    }
}
