//! `responsum model`: what a model is, and what it makes of a text before anything is merged.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::annotate::ModelJson;
use super::texts::{CommandError, RunArgs, next_line, say_fallback, write_line};
use crate::classify::ClassifyError;
use crate::classify::model::{Model, Reads};
use crate::classify::scores::Activation;
use crate::classify::session::SessionThread;
use crate::domain::label::Label;

/// Look into a model
#[derive(Clone, Debug, clap::Args)]
pub struct ModelCommandArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelCommand,
}

/// What `responsum model` does.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ModelCommand {
    /// Say what a model is: layout, labels, vocabulary, limits, hash
    #[command(after_help = "\
Examples:
  responsum model inspect            # the built-in model
  responsum model inspect ./my-model --json")]
    Inspect {
        /// Folder or zip of the model [default: the built-in one]
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give the model's raw answer to each text: token ids, logits, scores, label
    #[command(after_help = "\
Each line of the standard input is {\"text\"} or a JSON string; each line of the output belongs to
it. Logits and scores are in the order of the model's own labels. A text beyond the model's limit
is cut here, which `truncated` says; `annotate` reads all of it unless the model reads a report as
one text. `label` is null where a model that tells each label on its own tells none.

Examples:
  responsum model score ./my-model < texts.jsonl
  responsum model score ./bert_sequence_classifier_response_to_treatment_onnx.zip --max-tokens 64 < texts.jsonl
  echo '\"No new lesions after six cycles.\"' | responsum model score")]
    Score {
        /// Folder or zip of the model [default: the built-in one]
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,
        /// Tokens that the model reads at once, special tokens included [default: the model's own]
        #[arg(long, value_name = "N")]
        max_tokens: Option<std::num::NonZeroUsize>,
        /// How the model is run.
        #[command(flatten)]
        run: RunArgs,
    },
}

#[derive(Serialize)]
struct Inspection<'a> {
    layout: &'static str,
    #[serde(flatten)]
    model: ModelJson,
    labels: Vec<LabelJson<'a>>,
    categories: Vec<&'static str>,
    tells_cancer: bool,
    vocabulary: Option<usize>,
    max_tokens: usize,
    context_tokens: usize,
    unit: &'static str,
    tokenization: &'static str,
    activation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    coalesce_sentences: bool,
    temperature: f32,
}

#[derive(Serialize)]
struct LabelJson<'a> {
    name: &'a str,
    mapped: &'static str,
}

/// Writes what the model is.
pub fn inspect(model: &Model, json: bool, mut output: impl Write) -> Result<(), CommandError> {
    let (activation, threshold) = match model.activation {
        Activation::Softmax => ("softmax", None),
        Activation::Sigmoid { threshold } => ("sigmoid", Some(threshold)),
    };
    let inspection = Inspection {
        layout: model.layout.name(),
        model: ModelJson::from(&model.version),
        labels: model.labels.iter().map(|own| LabelJson { name: &own.name, mapped: own.label.code() }).collect(),
        categories: model.categories.iter().map(|category| category.code()).collect(),
        tells_cancer: model.tells_cancer(),
        vocabulary: model.vocabulary,
        max_tokens: model.max_tokens,
        context_tokens: model.context_tokens,
        unit: match model.reads {
            Reads::Sentences => "sentence",
            Reads::Document => "document",
        },
        tokenization: model.tokenizer.tokenization(),
        activation,
        threshold,
        coalesce_sentences: model.coalesce,
        temperature: model.temperature,
    };
    if json {
        return write_line(&mut output, &inspection);
    }
    inspection.write(model, output).map_err(CommandError::Write)
}

impl Inspection<'_> {
    fn write(&self, model: &Model, mut output: impl Write) -> std::io::Result<()> {
        let labels: Vec<String> = self.labels.iter().map(|own| format!("{} = {}", own.name, own.mapped)).collect();
        let categories = if self.categories.is_empty() { "none".to_owned() } else { self.categories.join(", ") };
        let vocabulary = self.vocabulary.map_or_else(|| "not said".to_owned(), |entries| format!("{entries} entries"));
        writeln!(output, "{:<12} {} {}", "model", model.version.id, model.version.version)?;
        writeln!(output, "{:<12} {}", "layout", self.layout)?;
        writeln!(output, "{:<12} {}", "sha256", model.version.sha256.hex())?;
        writeln!(output, "{:<12} {}", "labels", labels.join(", "))?;
        writeln!(output, "{:<12} {categories}", "categories")?;
        writeln!(output, "{:<12} {}", "cancer", if self.tells_cancer { "yes" } else { "no" })?;
        writeln!(output, "{:<12} {vocabulary}", "vocabulary")?;
        writeln!(output, "{:<12} {} tokens", "window", self.max_tokens)?;
        writeln!(output, "{:<12} {} tokens", "context", self.context_tokens)?;
        writeln!(output, "{:<12} {}", "unit", self.unit)?;
        writeln!(output, "{:<12} {}", "tokenization", self.tokenization)?;
        let threshold = self.threshold.map(|threshold| format!(" above {threshold}")).unwrap_or_default();
        writeln!(output, "{:<12} {}{threshold}", "activation", self.activation)?;
        writeln!(output, "{:<12} {}", "temperature", self.temperature)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextRow {
    Bare(String),
    Row {
        #[serde(default)]
        id: Value,
        text: String,
    },
}

#[derive(Serialize)]
struct Scored<'a> {
    #[serde(skip_serializing_if = "Value::is_null")]
    id: Value,
    input_ids: Vec<u32>,
    logits: Vec<f32>,
    scores: Vec<f32>,
    label: Option<&'a str>,
    mapped_label: &'static str,
    truncated: bool,
    pieces_total: usize,
}

/// Writes the model's raw answer to every row of the input.
pub fn score(
    model: &Model,
    run: &RunArgs,
    mut input: impl BufRead,
    mut output: impl Write,
) -> Result<(), CommandError> {
    let session = SessionThread::start(model, run.session_settings()).map_err(CommandError::Classify)?;
    say_fallback(session.fallback());
    let (mut line, mut buffer) = (0, Vec::new());
    while let Some(row) = next_line(&mut input, &mut buffer, &mut line)? {
        let fault = "neither an object with `text` nor a string";
        let row = serde_json::from_slice(row).map_err(|_| CommandError::Row { line, fault })?;
        let (id, text) = match row {
            TextRow::Bare(text) => (Value::Null, text),
            TextRow::Row { id, text } => (id, text),
        };
        let scored = score_text(model, &session, id, &text).map_err(CommandError::Classify)?;
        write_line(&mut output, &scored)?;
    }
    Ok(())
}

fn score_text<'a>(
    model: &'a Model,
    session: &SessionThread,
    id: Value,
    text: &str,
) -> Result<Scored<'a>, ClassifyError> {
    let encoded = model.tokenizer.encode_within(text, model.max_tokens).map_err(ClassifyError::Tokenize)?;
    let logits = session.logits_blocking(encoded.ids.clone())?;
    let scores = model.activation.scores(&logits, model.temperature);
    let label = model.activation.best(&scores).map(|best| &model.labels[best]);
    Ok(Scored {
        id,
        input_ids: encoded.ids,
        logits,
        scores,
        label: label.map(|own| own.name.as_str()),
        mapped_label: label.map_or(Label::NotStated, |own| own.label).code(),
        truncated: encoded.pieces_cut > 0,
        pieces_total: encoded.pieces_total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::tiny_model;

    fn scored(input: &str) -> Vec<Value> {
        let mut output = Vec::new();
        score(tiny_model(), &RunArgs::default(), input.as_bytes(), &mut output).expect("scores");
        let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect()
    }

    #[test]
    fn a_text_gets_its_token_ids_logits_and_labels() {
        let rows = scored("{\"id\": 3, \"text\": \"Liver mass stable.\"}\n\"relapse\"\n");
        // The scores of "stable" (5) and [CLS] (2 for NA) in tests/fixtures/models/make.py.
        assert_eq!(rows[0]["logits"], serde_json::json!([5.0, 0.0, 2.0]));
        assert_eq!(rows[0]["input_ids"].as_array().map(Vec::len), Some(6));
        assert_eq!((&rows[0]["id"], &rows[0]["pieces_total"]), (&Value::from(3), &Value::from(4)));
        assert_eq!((&rows[0]["label"], &rows[0]["mapped_label"]), (&Value::from("Yes"), &Value::from("responded")));
        assert_eq!(rows[1]["label"], "No");
    }

    #[test]
    fn a_text_beyond_the_limit_is_cut_and_says_so() {
        let long = format!("\"{}\"\n", "mass ".repeat(40));
        let rows = scored(&long);
        assert_eq!(rows[0]["input_ids"].as_array().map(Vec::len), Some(16));
        assert_eq!((&rows[0]["truncated"], &rows[0]["pieces_total"]), (&Value::from(true), &Value::from(40)));
        let ids = rows[0]["input_ids"].as_array().expect("ids");
        assert_eq!((ids[0].as_u64(), ids[15].as_u64()), (Some(2), Some(3)), "[CLS] and [SEP] stay");
    }

    #[test]
    fn an_inspection_names_layout_labels_and_limits() {
        let mut output = Vec::new();
        inspect(tiny_model(), true, &mut output).expect("JSON");
        let json: Value = serde_json::from_slice(&output).expect("JSON");
        assert_eq!((&json["layout"], &json["max_tokens"]), (&Value::from("responsum"), &Value::from(16)));
        assert_eq!(json["labels"][2], serde_json::json!({"name": "NA", "mapped": "not-stated"}));
        let mut output = Vec::new();
        inspect(tiny_model(), false, &mut output).expect("text");
        assert!(String::from_utf8(output).expect("UTF-8").contains("Yes = responded"));
    }

    /// Where the toy model lies, and what Spark NLP says of it; nothing, said on stderr, where it is not there.
    fn toy() -> Option<(PathBuf, Vec<Value>)> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/sparknlp");
        let Ok(expected) = std::fs::read(folder.join("expected.json")) else {
            eprintln!("SKIPPED: no {}", folder.display());
            return None;
        };
        let model = folder.join("bert_sequence_classifier_toy_onnx_en_6.1.1_3.0_1700000000000");
        Some((model, serde_json::from_slice(&expected).expect("JSON")))
    }

    #[test]
    fn a_model_of_spark_nlp_answers_as_it_does_in_spark() {
        let Some((folder, expected)) = toy() else { return };
        let mut archive = folder.clone().into_os_string();
        archive.push(".zip");
        for (path, length) in [(&folder, 128), (&folder, 8), (&archive.clone().into(), 128), (&archive.into(), 8)] {
            let model = Model::load(path).and_then(|model| model.with_max_tokens(length)).expect("a model");
            let rows: Vec<&Value> = expected.iter().filter(|row| row["max_sentence_length"] == length).collect();
            assert_eq!(rows.len(), 10);
            let texts: Vec<String> =
                rows.iter().map(|row| serde_json::json!({"text": row["text"]}).to_string()).collect();
            let input = texts.join("\n");
            let mut output = Vec::new();
            score(&model, &RunArgs::default(), input.as_bytes(), &mut output).expect("scores");
            let scored: Vec<Value> = String::from_utf8(output)
                .expect("UTF-8")
                .lines()
                .map(|line| serde_json::from_str(line).expect("JSON"))
                .collect();
            for (row, scored) in rows.iter().zip(&scored) {
                assert_eq!((&scored["input_ids"], &scored["label"]), (&row["input_ids"], &row["label"]));
                let number = |value: &Value| value.as_f64().expect("a number");
                for (place, name) in ["No", "Yes"].into_iter().enumerate() {
                    assert!((number(&scored["logits"][place]) - number(&row["logits"][place])).abs() < 1e-5);
                    assert!((number(&scored["scores"][place]) - number(&row["scores"][name])).abs() < 1e-5);
                }
                let words = row["bert_words_kept"].as_array().expect("words").len();
                assert_eq!(scored["truncated"], scored["pieces_total"].as_u64().expect("a number") > length as u64 - 2);
                assert!(scored["pieces_total"].as_u64().expect("a number") >= words as u64);
            }
        }
    }
}
