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
use crate::view::CoverageView;

/// Annotate reports or texts: one line of JSON in, one line of JSON out, in order
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Each line is a FHIR DiagnosticReport or DocumentReference, or {\"id\", \"text\"}. A line that cannot be read gives
{\"line\", \"error\"}; the others are annotated all the same, and the exit status is 1. Blank lines are passed over.
`start` and `end` of the evidence count Unicode code points: of the text that was given, or of the narrative that was
drawn from a FHIR resource (see `responsum extract`). No database is needed.

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
    mut input: impl BufRead,
    mut output: impl Write,
    mut progress: impl Write,
) -> Result<Tally, CommandError> {
    let (mut tally, mut line, mut buffer) = (Tally::default(), 0, Vec::new());
    while let Some(row) = next_line(&mut input, &mut buffer, &mut line)? {
        match annotate(classifier, unit, row)? {
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
fn annotate(classifier: &Classifier, unit: Unit, row: &[u8]) -> Result<Result<Annotated, String>, CommandError> {
    let (id, text, narrative) = match read(row, unit) {
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
fn read(row: &[u8], unit: Unit) -> Result<(Value, Option<String>, Narrative), String> {
    let head: Row = serde_json::from_slice(row).map_err(|_| "the line is not a JSON object".to_owned())?;
    if head.resource_type.is_some() {
        let document = crate::fhir::report::read(row).map_err(|error| error.to_string())?;
        return Ok((head.id, None, crate::extract::narrative(document)));
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
        });
        let scores = annotation.scores.map(|scores| {
            let named = Label::ALL.into_iter().filter_map(|label| Some((own_name(label)?, scores.of(label).get())));
            named.map(|(name, score)| (name, Value::from(score))).collect()
        });
        Self {
            id,
            label: own_name(annotation.label),
            mapped: annotation.label.code(),
            category: annotation.category.code(),
            cancer: annotation.cancer.map(crate::domain::label::Score::get),
            confidence: annotation.confidence().map(crate::domain::label::Score::get),
            scores,
            evidence: evidence.collect(),
            no_answer: annotation.no_answer.map(crate::domain::annotation::NoAnswer::code),
            needs_review: annotation.needs_review,
            windows: annotation.windows,
            coverage: CoverageView::from(&annotation.coverage),
            model: ModelJson::from(&model.version),
        }
    }
}
