//! What went wrong, as an OperationOutcome.

use fhir_sdk::r4b::resources::{OperationOutcome, OperationOutcomeIssue};

use crate::datatypes::code;
use crate::draft::{IssueCode, IssueDraft, IssueSeverity};

/// Writes an OperationOutcome. It cannot fail, so that an error can always be told.
///
/// FHIR wants at least one issue: without any, it says "informational".
pub fn operation_outcome(issues: &[IssueDraft]) -> String {
    let none = IssueDraft {
        severity: IssueSeverity::Information,
        code: IssueCode::Informational,
        diagnostics: None,
        expression: Vec::new(),
    };
    let issues = if issues.is_empty() { std::slice::from_ref(&none) } else { issues };
    let outcome = OperationOutcome::builder().issue(issues.iter().map(|draft| Some(issue(draft))).collect()).build();
    let outcome = outcome.expect("cannot fail because the issues are set");
    serde_json::to_string(&outcome).expect("cannot fail because it holds nothing but text and codes")
}

fn issue(draft: &IssueDraft) -> OperationOutcomeIssue {
    let mut builder = OperationOutcomeIssue::builder()
        .severity(code(draft.severity.code()))
        .code(code(draft.code.code()))
        .expression(draft.expression.iter().cloned().map(Some).collect());
    if let Some(diagnostics) = &draft.diagnostics {
        builder = builder.diagnostics(diagnostics.clone());
    }
    builder.build().expect("cannot fail because severity and code are set")
}
