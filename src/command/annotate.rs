//! `responsum annotate`: reports or texts in, annotations out, one line of JSON for each.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::texts::{CommandError, ModelArgs, Origin, narrative_of, next_line, write_line};
use crate::classify::{Classifier, ClassifyError, Unit};
use crate::domain::annotation::{Annotation, ModelVersion};
use crate::domain::label::Label;
use crate::domain::narrative::{Narrative, Span};
use crate::extract::{self, Isolation};
use crate::view::{CoverageView, SourceView};

/// Annotate reports or texts: one line of JSON in, one line of JSON out, in order
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Each line is a FHIR DiagnosticReport or DocumentReference, or {\"id\", \"text\"}. A line that cannot
be read gives {\"line\", \"error\"}; the others are annotated all the same, and the exit status is 1.
Blank lines are passed over. `start` and `end` of the evidence count Unicode code points: of the
text that was given, or of the narrative that was drawn from a FHIR resource (see `responsum
extract`); `source` tells where that stands in what was given. `label` is the likeliest, in the
model's own words; `mapped` is the answer: it is not-stated, with `abstained` true, where the
likeliest is not likely enough. No database is needed.

Examples:
  responsum annotate reports.ndjson > annotations.ndjson
  echo '{\"id\": 1, \"text\": \"CT after 4 cycles: the liver metastases have shrunk.\"}' | responsum annotate
  responsum annotate --unit sentence --model ./my-model sentences.ndjson")]
pub struct AnnotateArgs {
    /// Which model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// What a text is: a report of sentences and sections, or one sentence or passage
    #[arg(long, value_enum, default_value_t)]
    pub unit: Unit,
    /// Files to read, one after the other [default: standard input]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Lines between two words on the progress.
const PROGRESS_LINES: usize = 100;

/// How a run went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that were annotated.
    pub annotated: usize,
    /// Lines that were not, each with a line of output that says why.
    pub failed: usize,
}

/// Annotates every line of the input.
pub fn run(
    classifier: &Classifier,
    unit: Unit,
    isolation: &Isolation,
    mut input: impl BufRead,
    mut output: impl Write,
    mut progress: impl Write,
) -> Result<Tally, CommandError> {
    let (mut tally, mut line, mut buffer) = (Tally::default(), 0, Vec::new());
    while let Some(row) = next_line(&mut input, &mut buffer, &mut line)? {
        match annotate(classifier, unit, isolation, row)? {
            Ok(annotated) => {
                tally.annotated += 1;
                write_line(&mut output, &annotated)?;
            }
            Err(error) => {
                tally.failed += 1;
                write_line(&mut output, &BadLine { line, error })?;
            }
        }
        if (tally.annotated + tally.failed).is_multiple_of(PROGRESS_LINES) {
            // Progress that cannot be shown is no reason to stop.
            let _ = writeln!(progress, "{line} lines read, {} annotated, {} failed", tally.annotated, tally.failed);
        }
    }
    let _ = writeln!(progress, "{} annotated, {} failed", tally.annotated, tally.failed);
    Ok(tally)
}

#[derive(Serialize)]
struct BadLine {
    line: usize,
    error: String,
}

#[derive(serde::Deserialize)]
struct Row<'a> {
    #[serde(rename = "resourceType", borrow)]
    resource_type: Option<&'a RawValue>,
    #[serde(default)]
    id: Value,
    text: Option<Value>,
}

/// A line's annotation, or what is wrong with the line; the outer error ends the run.
fn annotate(
    classifier: &Classifier,
    unit: Unit,
    isolation: &Isolation,
    row: &[u8],
) -> Result<Result<Annotated, String>, CommandError> {
    let (id, text, narrative) = match read(row, unit, isolation) {
        Ok(read) => read,
        Err(fault) => return Ok(Err(fault)),
    };
    let annotation = match classifier.annotate_blocking(&narrative, unit) {
        Ok(annotation) => annotation,
        Err(error @ ClassifyError::Tokenize(_)) => return Ok(Err(error.to_string())),
        Err(error) => return Err(CommandError::Classify(error)),
    };
    Ok(Ok(Annotated::new(classifier, id, text.as_deref(), &narrative, &annotation)))
}

/// The row's id, the text if one was given, and the narrative.
fn read(row: &[u8], unit: Unit, isolation: &Isolation) -> Result<(Value, Option<String>, Narrative), String> {
    let head: Row = serde_json::from_slice(row).map_err(|_| "the line is not a JSON object".to_owned())?;
    if head.resource_type.is_some() {
        let document = crate::fhir::report::read(row).map_err(|error| error.to_string())?;
        return Ok((head.id, None, extract::narrative(document, isolation)));
    }
    match head.text {
        Some(Value::String(text)) => {
            let narrative = narrative_of(&text, unit);
            Ok((head.id, Some(text), narrative))
        }
        Some(_) => Err("`text` is not a string".to_owned()),
        None => Err("the line has neither `resourceType` nor `text`".to_owned()),
    }
}

#[derive(Serialize)]
struct Annotated {
    id: Value,
    label: Option<String>,
    mapped: &'static str,
    category: &'static str,
    cancer: Option<f32>,
    confidence: Option<f32>,
    scores: Option<Map<String, Value>>,
    evidence: Vec<EvidenceJson>,
    no_answer: Option<&'static str>,
    abstained: bool,
    needs_review: bool,
    windows: usize,
    coverage: CoverageView,
    model: ModelJson,
}

#[derive(Serialize)]
struct EvidenceJson {
    start: Option<usize>,
    end: Option<usize>,
    text: String,
    score: f32,
    source: Vec<SourceView>,
}

/// A model version as the commands print it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ModelJson {
    id: String,
    version: String,
    sha256: String,
}

impl From<&ModelVersion> for ModelJson {
    fn from(version: &ModelVersion) -> Self {
        Self { id: version.id.clone(), version: version.version.clone(), sha256: version.sha256.hex() }
    }
}

impl Annotated {
    fn new(
        classifier: &Classifier,
        id: Value,
        given: Option<&str>,
        narrative: &Narrative,
        annotation: &Annotation,
    ) -> Self {
        let model = classifier.model();
        let own_name = |label: Label| model.own_name(label).map(str::to_owned);
        let origin = given.map(|text| Origin::of(narrative.text(), text));
        let place = |span: Span| match &origin {
            Some(origin) => origin.as_ref().and_then(|origin| origin.code_points(span)),
            None => {
                let (offset, length) = narrative.code_points(span);
                Some((offset, offset + length))
            }
        };
        let evidence = annotation.evidence.iter().map(|evidence| EvidenceJson {
            start: place(evidence.span).map(|(start, _)| start),
            end: place(evidence.span).map(|(_, end)| end),
            text: evidence.span.of(narrative.text()).to_owned(),
            score: evidence.score.get(),
            source: SourceView::all(&narrative.source_of(evidence.span)),
        });
        let scores = annotation.scores.map(|scores| {
            let named = Label::ALL.into_iter().filter_map(|label| Some((own_name(label)?, scores.of(label).get())));
            named.map(|(name, score)| (name, Value::from(score))).collect()
        });
        Self {
            id,
            label: own_name(annotation.scores.map_or(annotation.label, |scores| scores.best())),
            mapped: annotation.label.code(),
            category: annotation.category.code(),
            cancer: annotation.cancer.map(crate::domain::label::Score::get),
            confidence: annotation.confidence().map(crate::domain::label::Score::get),
            scores,
            evidence: evidence.collect(),
            no_answer: annotation.no_answer.map(crate::domain::annotation::NoAnswer::code),
            abstained: annotation.abstained(),
            needs_review: annotation.needs_review,
            windows: annotation.windows,
            coverage: CoverageView::from(&annotation.coverage),
            model: ModelJson::from(&model.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::texts::tests::tiny_classifier;

    fn annotated(unit: Unit, input: &str) -> (Tally, Vec<Value>) {
        let mut output = Vec::new();
        let tally = run(tiny_classifier(), unit, &Isolation::none(), input.as_bytes(), &mut output, std::io::sink())
            .expect("a run");
        let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        (tally, lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect())
    }

    #[test]
    fn each_line_is_answered_in_order_and_a_bad_one_does_not_stop_the_run() {
        let input = concat!(
            r#"{"id": 7, "text": "Scan after treatment. Progression was larger in the lung."}"#,
            "\nnot json\n\n",
            r#"{"id": "b", "text": 5}"#,
            "\n",
            r#"{"id": "c", "text": ""}"#,
            "\n",
            r#"{"resourceType": "Patient", "id": "p"}"#,
            "\n",
            r#"{"id": null, "text": "Stable."}"#,
        );
        let (tally, lines) = annotated(Unit::Document, input);
        assert_eq!(tally, Tally { annotated: 3, failed: 3 });
        assert_eq!(lines[0]["id"], 7);
        assert_eq!((&lines[0]["label"], &lines[0]["mapped"]), (&Value::from("No"), &Value::from("not-responded")));
        assert_eq!(lines[0]["category"], "progressive");
        assert_eq!(lines[0]["model"]["id"], "tiny");
        assert_eq!(lines[1], serde_json::json!({"line": 2, "error": "the line is not a JSON object"}));
        assert_eq!(lines[2], serde_json::json!({"line": 4, "error": "`text` is not a string"}));
        assert_eq!((&lines[3]["mapped"], &lines[3]["no_answer"]), (&"not-stated".into(), &"nothing-readable".into()));
        assert_eq!(lines[4]["line"], 6);
        assert_eq!(lines[5]["label"], "Yes");
    }

    #[test]
    fn evidence_is_given_in_code_points_of_the_given_text() {
        let text = "Größe \u{200b}– 3 cm.\r\n\r\nNo mass.\r\nStable   after treatment.\r\n";
        let input = serde_json::json!({"id": 1, "text": text}).to_string();
        for unit in [Unit::Document, Unit::Sentence] {
            let (_, lines) = annotated(unit, &input);
            let evidence = &lines[0]["evidence"][0];
            let place = |name: &str| usize::try_from(evidence[name].as_u64().expect("a place")).expect("a place");
            let (start, end) = (place("start"), place("end"));
            let given: String = text.chars().skip(start).take(end - start).collect();
            assert!(given.contains("Stable   after treatment"), "{given:?}");
            assert!(unit == Unit::Sentence || given.starts_with("Stable"), "{given:?}");
        }
    }

    #[test]
    fn a_fhir_resource_is_annotated_with_places_in_its_narrative() {
        let input = r#"{"resourceType": "DiagnosticReport", "id": "r1", "status": "final",
            "code": {"text": "CT"}, "conclusion": "Liver mass stable after treatment."}"#;
        let (tally, lines) = annotated(Unit::Document, &input.replace('\n', " "));
        assert_eq!((tally.annotated, &lines[0]["id"]), (1, &Value::from("r1")));
        assert_eq!(lines[0]["mapped"], "responded");
        assert_eq!(lines[0]["coverage"]["read"][0]["origin"], "DiagnosticReport.conclusion");
        assert_eq!(lines[0]["evidence"][0]["start"], 0);
        assert_eq!(lines[0]["evidence"][0]["source"][0]["origin"], "DiagnosticReport.conclusion");
    }

    #[test]
    fn a_text_in_another_language_gets_no_label_and_says_why() {
        let text =
            "Befund: Keine neuen Metastasen, die Erkrankung ist unter der Therapie stabil und nicht progredient.";
        let (_, lines) = annotated(Unit::Document, &serde_json::json!({"id": 1, "text": text}).to_string());
        assert_eq!(lines[0]["no_answer"], "language-not-supported");
        assert_eq!((&lines[0]["mapped"], &lines[0]["scores"]), (&Value::from("not-stated"), &Value::Null));
    }

    #[test]
    fn errors_do_not_repeat_the_line() {
        let (_, lines) = annotated(Unit::Document, "{\"id\": 1, \"text\": \"PHI-CANARY\" broken\n[\"PHI-CANARY\"]");
        assert!(lines.iter().all(|line| line.get("error").is_some() && !line.to_string().contains("CANARY")));
    }
}
