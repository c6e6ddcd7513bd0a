//! What went wrong, as an `OperationOutcome`.

use fhir_sdk::r4b::resources::{OperationOutcome, OperationOutcomeIssue};

use crate::datatypes::code;
use crate::draft::{IssueCode, IssueDraft, IssueSeverity};

/// Writes an `OperationOutcome`. It cannot fail, so that an error can always be told.
///
/// FHIR wants at least one issue: without any, it says "informational".
///
/// # Panics
/// Never: all that an issue requires is set, and it holds nothing but text and codes.
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(issues: &[IssueDraft]) -> Value {
        serde_json::from_str(&operation_outcome(issues)).expect("JSON")
    }

    #[test]
    fn every_severity_and_code_can_be_written() {
        for severity in IssueSeverity::ALL {
            for code in IssueCode::ALL {
                let issue = IssueDraft {
                    severity: *severity,
                    code: *code,
                    diagnostics: Some("Why.".to_owned()),
                    expression: vec!["Patient.id".to_owned()],
                };
                let expected = json!({"resourceType": "OperationOutcome", "issue": [{
                    "severity": severity.code(),
                    "code": code.code(),
                    "diagnostics": "Why.",
                    "expression": ["Patient.id"]
                }]});
                assert_eq!(read(&[issue]), expected);
            }
        }
    }

    #[test]
    fn an_outcome_always_has_an_issue() {
        let expected = json!([{"severity": "information", "code": "informational"}]);
        assert_eq!(read(&[])["issue"], expected);
    }
}
