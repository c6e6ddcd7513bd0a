//! What kind of report a resource is: by its category, then by its code or type, then by their words.
//!
//! Sites categorise as they like (a note of an orthopaedist under cardiology), so no single element is relied on.

use super::json::RawObject;
use crate::domain::document::{ReportKind, ResourceType};

/// LOINC codes of categories, types and report codes.
const LOINC: [(&str, ReportKind); 17] = [
    ("LP29684-5", ReportKind::Imaging), // Radiology
    ("LP7839-6", ReportKind::Pathology),
    ("LP29693-6", ReportKind::Laboratory),
    ("18748-4", ReportKind::Imaging), // Diagnostic imaging study
    ("18726-0", ReportKind::Imaging), // Radiology studies (set)
    ("11526-1", ReportKind::Pathology),
    ("11529-5", ReportKind::Pathology), // Surgical pathology study
    ("60568-3", ReportKind::Pathology), // Pathology synoptic report
    ("11502-2", ReportKind::Laboratory),
    ("11488-4", ReportKind::Clinical), // Consultation
    ("18842-5", ReportKind::Clinical), // Discharge summary
    ("34117-2", ReportKind::Clinical), // History and physical
    ("28570-0", ReportKind::Clinical), // Procedure
    ("11506-3", ReportKind::Clinical), // Progress
    ("11504-8", ReportKind::Clinical), // Surgical operation
    ("34111-5", ReportKind::Clinical), // Emergency department
    ("34133-9", ReportKind::Clinical), // Summary of episode (C-CDA CCD)
];

/// Codes of HL7 v2 table 0074, diagnostic service sections.
const SECTIONS: [(&str, ReportKind); 18] = [
    ("RAD", ReportKind::Imaging),
    ("RX", ReportKind::Imaging),
    ("XRC", ReportKind::Imaging),
    ("CT", ReportKind::Imaging),
    ("NMR", ReportKind::Imaging),
    ("NMS", ReportKind::Imaging),
    ("RUS", ReportKind::Imaging),
    ("OUS", ReportKind::Imaging),
    ("VUS", ReportKind::Imaging),
    ("CUS", ReportKind::Imaging),
    ("PAT", ReportKind::Pathology),
    ("SP", ReportKind::Pathology),
    ("CP", ReportKind::Pathology), // Cytopathology
    ("LAB", ReportKind::Laboratory),
    ("CH", ReportKind::Laboratory),
    ("HM", ReportKind::Laboratory),
    ("MB", ReportKind::Laboratory),
    ("GE", ReportKind::Laboratory),
];

/// Words of displays and texts, lower case; the first that is found decides.
const WORDS: [(&str, ReportKind); 20] = [
    ("radiolog", ReportKind::Imaging),
    ("imaging", ReportKind::Imaging),
    ("tomograph", ReportKind::Imaging),
    ("ct", ReportKind::Imaging),
    ("pet/ct", ReportKind::Imaging),
    ("pet", ReportKind::Imaging),
    ("mri", ReportKind::Imaging),
    ("mr", ReportKind::Imaging),
    ("x-ray", ReportKind::Imaging),
    ("xr", ReportKind::Imaging),
    ("ultrasound", ReportKind::Imaging),
    ("mammogra", ReportKind::Imaging),
    ("scintigra", ReportKind::Imaging),
    ("patholog", ReportKind::Pathology),
    ("histolog", ReportKind::Pathology),
    ("cytolog", ReportKind::Pathology),
    ("biopsy", ReportKind::Pathology),
    ("laborator", ReportKind::Laboratory),
    ("consult", ReportKind::Clinical),
    ("note", ReportKind::Clinical),
];

/// What kind of report the resource is; nothing if it does not say.
pub(super) fn report_kind(resource: &RawObject<'_>, resource_type: ResourceType) -> Option<ReportKind> {
    let named = match resource_type {
        ResourceType::DiagnosticReport => "code",
        ResourceType::DocumentReference => "type",
    };
    let mut concepts = resource.objects("category");
    // The type of a note says more than its category, which is `clinical-note` for a radiology report too.
    let place = if resource_type == ResourceType::DocumentReference { 0 } else { concepts.len() };
    if let Some(concept) = resource.object(named) {
        concepts.insert(place, concept);
    }
    let by_code = concepts.iter().flat_map(|concept| concept.objects("coding")).find_map(|coding| of_coding(&coding));
    by_code.or_else(|| concepts.iter().find_map(of_words))
}

fn of_coding(coding: &RawObject<'_>) -> Option<ReportKind> {
    let (system, code) = (coding.string("system").unwrap_or_default(), coding.string("code")?);
    let of = |table: &[(&str, ReportKind)]| table.iter().find(|(known, _)| *known == code).map(|(_, kind)| *kind);
    match system.as_str() {
        "http://loinc.org" => of(&LOINC),
        "http://terminology.hl7.org/CodeSystem/v2-0074" | "http://hl7.org/fhir/v2/0074" => of(&SECTIONS),
        "http://terminology.hl7.org/CodeSystem/observation-category" => match code.as_str() {
            "imaging" => Some(ReportKind::Imaging),
            "laboratory" => Some(ReportKind::Laboratory),
            "exam" => Some(ReportKind::Clinical),
            _ => None,
        },
        _ => None,
    }
}

fn of_words(concept: &RawObject<'_>) -> Option<ReportKind> {
    let displays = concept.objects("coding").into_iter().filter_map(|coding| coding.string("display"));
    let said = displays.chain(concept.string("text")).collect::<Vec<_>>().join(" ").to_lowercase();
    let words: Vec<&str> =
        said.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | ':')).collect();
    let found = |known: &str| {
        // A short word is a word of its own: "ct" is not in "fracture".
        words.iter().any(|word| if known.len() < 6 { *word == known } else { word.contains(known) })
    };
    WORDS.iter().find(|(known, _)| found(known)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(json: &str) -> Option<ReportKind> {
        let resource = RawObject::parse(json).expect("an object");
        let name = resource.string("resourceType").expect("a type");
        report_kind(&resource, ResourceType::from_name(&name).expect("a report"))
    }

    #[test]
    fn codes_go_before_words_and_a_notes_type_before_its_category() {
        for (json, expected) in [
            (r#"{"resourceType":"DiagnosticReport"}"#, None),
            (
                r#"{"resourceType":"DiagnosticReport","category":[{"coding":[{"system":"http://loinc.org","code":"LP29684-5"}]}]}"#,
                Some(ReportKind::Imaging),
            ),
            (
                r#"{"resourceType":"DiagnosticReport","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0074","code":"SP"}]}],"code":{"text":"CT"}}"#,
                Some(ReportKind::Pathology),
            ),
            (
                r#"{"resourceType":"DiagnosticReport","code":{"text":"CT chest, abdomen and pelvis"}}"#,
                Some(ReportKind::Imaging),
            ),
            (r#"{"resourceType":"DiagnosticReport","code":{"text":"Fracture clinic"}}"#, None),
            (
                r#"{"resourceType":"DocumentReference","type":{"coding":[{"system":"http://loinc.org","code":"18748-4"}]},"category":[{"coding":[{"system":"http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category","code":"clinical-note","display":"Clinical Note"}]}]}"#,
                Some(ReportKind::Imaging),
            ),
            (
                r#"{"resourceType":"DocumentReference","type":{"coding":[{"system":"http://loinc.org","code":"11506-3"}]}}"#,
                Some(ReportKind::Clinical),
            ),
            (
                r#"{"resourceType":"DocumentReference","category":[{"coding":[{"display":"Clinical Note"}]}]}"#,
                Some(ReportKind::Clinical),
            ),
        ] {
            assert_eq!(kind(json), expected, "{json}");
        }
    }
}
