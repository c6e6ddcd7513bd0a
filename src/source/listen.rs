//! Which reports of a source are taken in.

use crate::config::Listen;
use crate::fhir::json::{self, RawObject};

/// Whether the settings ask for a report like this one. What cannot be read is asked for: what is wrong with it is told
/// where it is read.
pub(super) fn listens_to(listen: &[Listen], body: &[u8]) -> bool {
    let Some(report) = json::text(body).ok().and_then(|text| RawObject::parse(text).ok()) else { return true };
    listen.is_empty() || listen.iter().any(|kind| is_of(kind, &report))
}

fn is_of(kind: &Listen, report: &RawObject<'_>) -> bool {
    let text = |member: &str| report.get::<String>(member).unwrap_or_default();
    let resource_type = text("resourceType");
    // A DiagnosticReport's category is a list, and was one concept in older versions; its code and a document's type are one.
    let code = if resource_type == "DocumentReference" { "type" } else { "code" };
    kind.resource_type == resource_type
        && (kind.statuses.is_empty() || kind.statuses.contains(&text("status")))
        && (kind.categories.is_empty() || has_code(&concepts(report, "category"), &kind.categories))
        && (kind.codes.is_empty() || has_code(&concepts(report, code), &kind.codes))
}

fn concepts<'a>(report: &RawObject<'a>, member: &str) -> Vec<RawObject<'a>> {
    report.object(member).map_or_else(|| report.objects(member), |concept| vec![concept])
}

/// Whether a coding is one of `wanted`: codes, or `system|code`.
fn has_code(concepts: &[RawObject<'_>], wanted: &[String]) -> bool {
    concepts.iter().flat_map(|concept| concept.objects("coding")).any(|coding| {
        let code = coding.get::<String>("code").unwrap_or_default();
        let system = coding.get::<String>("system").unwrap_or_default();
        wanted.iter().any(|wanted| match wanted.split_once('|') {
            Some((wanted_system, wanted)) => wanted == code && wanted_system == system,
            None => *wanted == code,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_taken_in_if_one_entry_of_listen_holds_with_all_that_it_says() {
        let radiology = Listen {
            resource_type: "DiagnosticReport".to_owned(),
            categories: vec!["http://loinc.org|LP29684-5".to_owned(), "RAD".to_owned()],
            codes: Vec::new(),
            statuses: vec!["final".to_owned(), "amended".to_owned()],
        };
        let notes = Listen {
            resource_type: "DocumentReference".to_owned(),
            codes: vec!["11506-3".to_owned()],
            ..Listen::default()
        };
        let listen = [radiology, notes];
        for (report, expected) in [
            (r#"{"resourceType":"DiagnosticReport","status":"final","category":[{"coding":[{"code":"RAD"}]}]}"#, true),
            (r#"{"resourceType":"DiagnosticReport","status":"final","category":{"coding":[{"code":"RAD"}]}}"#, true),
            (
                r#"{"resourceType":"DiagnosticReport","status":"amended",
                    "category":[{"coding":[{"system":"http://loinc.org","code":"LP29684-5"}]}]}"#,
                true,
            ),
            (
                r#"{"resourceType":"DiagnosticReport","status":"final",
                    "category":[{"coding":[{"system":"http://other","code":"LP29684-5"}]}]}"#,
                false,
            ),
            (
                r#"{"resourceType":"DiagnosticReport","status":"partial","category":[{"coding":[{"code":"RAD"}]}]}"#,
                false,
            ),
            (r#"{"resourceType":"DiagnosticReport","status":"final"}"#, false),
            (r#"{"resourceType":"DocumentReference","status":"current","type":{"coding":[{"code":"11506-3"}]}}"#, true),
            (r#"{"resourceType":"DocumentReference","status":"current"}"#, false),
        ] {
            assert_eq!(listens_to(&listen, report.as_bytes()), expected, "{report}");
            assert!(listens_to(&[], report.as_bytes()));
        }
    }
}
