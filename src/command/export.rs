//! `responsum export-decisions`: what people have decided, as rows that `responsum eval` and a training read.

use std::io::Write;

use futures_util::TryStreamExt as _;
use serde::Serialize;

use super::texts::{CommandError, write_line};
use crate::clock::instant;
use crate::domain::label::Label;
use crate::store::{ExportedDecision, Store};

/// A span of the text, in code points.
#[derive(Serialize)]
struct SpanJson {
    start: usize,
    end: usize,
}

#[derive(Serialize)]
struct SaidJson {
    label: &'static str,
    category: &'static str,
    model: String,
    version: String,
}

/// One decision.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DecisionJson {
    id: String,
    text: String,
    label: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'static str>,
    /// True where no label is known to be right, or a later decision on the same text holds: `eval` does not score it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ambiguous: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    superseded: bool,
    evidence: Vec<SpanJson>,
    said: SaidJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    decided_at: String,
}

/// Writes every decision that holds, oldest first; with `all`, those that a later one has changed too. Gives their number.
pub async fn run(store: &Store, all: bool, output: &mut impl Write) -> Result<usize, CommandError> {
    let mut decisions = std::pin::pin!(store.decisions());
    let mut written = 0;
    while let Some(decision) = decisions.try_next().await.map_err(CommandError::Store)? {
        if all || !decision.superseded {
            write_line(output, &row(decision))?;
            written += 1;
        }
    }
    Ok(written)
}

fn row(decision: ExportedDecision) -> DecisionJson {
    let (said, said_category) = decision.said;
    let (label, category) = decision.holds.unwrap_or(decision.said);
    let span = |(start, end)| SpanJson { start, end };
    // The machine's evidence shows what the machine said: of a label that it did not give, it shows nothing.
    let evidence = if decision.holds.is_some() && label == said { decision.evidence } else { Vec::new() };
    let report = &decision.report;
    let category = decision.holds.map(|_| category.code());
    DecisionJson {
        id: format!(
            "{}/{}/_history/{}#{}",
            report.source.as_str(),
            report.relative(),
            decision.document_version,
            decision.id
        ),
        text: decision.text,
        label: match label {
            Label::Responded => "Yes",
            Label::NotResponded => "No",
            Label::NotStated => "NA",
        },
        // `none` beside a stated label: the person did not say.
        category: category.filter(|code| *code != "none" || label == Label::NotStated),
        ambiguous: decision.holds.is_none() || decision.superseded,
        superseded: decision.superseded,
        evidence: evidence.into_iter().map(span).collect(),
        said: SaidJson {
            label: said.code(),
            category: said_category.code(),
            model: decision.model.0,
            version: decision.model.1,
        },
        comment: decision.comment,
        decided_at: instant(decision.decided_at),
    }
}
