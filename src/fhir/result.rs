//! The results of a report: Observations, as the lines that a person would read.

use std::collections::{HashMap, HashSet};

use super::json::RawObject;
use super::report::own_text;
use crate::domain::document::{Attachment, AttachmentContent, AttachmentRole};

/// The results of a report in its order: those that it contains are read, with the members of a panel behind it;
/// another is kept as a reference.
pub(super) fn results(report: &RawObject<'_>) -> Vec<Attachment> {
    let contained = report.objects("contained");
    let by_id: HashMap<String, &RawObject<'_>> =
        contained.iter().filter_map(|resource| Some((resource.string("id")?, resource))).collect();
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for (index, result) in report.objects("result").iter().enumerate() {
        let origin = format!("DiagnosticReport.result[{index}]");
        // Not by recursion, and each once: members may name each other in a circle.
        let mut due: Vec<String> = result.string("reference").into_iter().collect();
        if due.is_empty() {
            let unnamed = "The result is named without a reference: it cannot be looked up.";
            found.push(own_text(origin.clone(), AttachmentRole::Result, AttachmentContent::Malformed(unnamed.into())));
        }
        while let Some(reference) = due.pop() {
            if !seen.insert(reference.clone()) {
                continue;
            }
            let Some(id) = reference.strip_prefix('#') else {
                found.push(own_text(origin.clone(), AttachmentRole::Result, AttachmentContent::Referenced(reference)));
                continue;
            };
            let Some(observation) = by_id.get(id) else {
                let missing = AttachmentContent::Malformed("The report does not contain what it refers to.".into());
                found.push(own_text(origin.clone(), AttachmentRole::Result, missing));
                continue;
            };
            let members = observation.objects("hasMember");
            let content = content(observation);
            // A panel may say nothing itself.
            if members.is_empty() || content != AttachmentContent::Empty {
                found.push(own_text(origin.clone(), AttachmentRole::Result, content));
            }
            due.extend(members.iter().rev().filter_map(|member| member.string("reference")));
        }
    }
    found
}

/// What an Observation says: `Lesion size: 12 mm`, its components and notes on lines of their own.
pub(super) fn content(observation: &RawObject<'_>) -> AttachmentContent {
    if observation.string("status").is_some_and(|status| status == "entered-in-error" || status == "cancelled") {
        return AttachmentContent::Malformed("The result was entered in error, or cancelled.".into());
    }
    let mut lines = Vec::new();
    lines.extend(line(observation));
    lines.extend(observation.objects("component").iter().filter_map(line));
    lines.extend(observation.objects("note").iter().filter_map(|note| note.string("text")));
    // R4's name for it in DSTU2 and in some exports.
    lines.extend(observation.string("comment"));
    lines.retain(|line| !line.trim().is_empty());
    if lines.is_empty() { AttachmentContent::Empty } else { AttachmentContent::Bytes(lines.join("\n").into()) }
}

/// `Name: value (interpretation)` of an Observation or a component; nothing if it has no value.
fn line(element: &RawObject<'_>) -> Option<String> {
    let value = value(element)?;
    let name = element.object("code").as_ref().and_then(words);
    // R4: a list; before: one.
    let interpretations = element.objects("interpretation").into_iter().chain(element.object("interpretation"));
    let interpretations: Vec<String> = interpretations.filter_map(|concept| words(&concept)).collect();
    let interpretation =
        if interpretations.is_empty() { String::new() } else { format!(" ({})", interpretations.join(", ")) };
    Some(name.map_or_else(String::new, |name| format!("{name}: ")) + &value + &interpretation)
}

/// The words of a CodeableConcept: its text, else the displays of its codings that differ.
pub(super) fn words(concept: &RawObject<'_>) -> Option<String> {
    let filled = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    if let Some(text) = concept.string("text").and_then(filled) {
        return Some(text);
    }
    let mut displays: Vec<String> = Vec::new();
    for display in concept.objects("coding").iter().filter_map(|coding| filled(coding.string("display")?)) {
        if !displays.iter().any(|told| told.eq_ignore_ascii_case(&display)) {
            displays.push(display);
        }
    }
    (!displays.is_empty()).then(|| displays.join("; "))
}

/// `value[x]` in words; nothing for the types that are no text (`SampledData`, `Attachment`).
fn value(element: &RawObject<'_>) -> Option<String> {
    for member in ["valueString", "valueMarkdown", "valueDateTime", "valueTime", "valueDate"] {
        if let Some(text) = element.string(member) {
            return Some(text);
        }
    }
    // Numbers as they are written: 12.0 is not 12.
    for member in ["valueInteger", "valueDecimal", "valueBoolean"] {
        if let Some(raw) = element.raw(member) {
            return Some(raw.get().to_owned());
        }
    }
    if let Some(concept) = element.object("valueCodeableConcept") {
        return words(&concept);
    }
    if let Some(quantity) = element.object("valueQuantity") {
        return measure(&quantity);
    }
    let (range, of) = (element.object("valueRange"), |range: &RawObject<'_>, member: &str| {
        range.object(member).as_ref().and_then(measure)
    });
    let range = range?;
    match (of(&range, "low"), of(&range, "high")) {
        (Some(low), Some(high)) => Some(format!("{low} to {high}")),
        (Some(low), None) => Some(format!(">= {low}")),
        (None, Some(high)) => Some(format!("<= {high}")),
        (None, None) => None,
    }
}

/// `< 12.0 mm`.
fn measure(quantity: &RawObject<'_>) -> Option<String> {
    let value = quantity.raw("value")?.get().trim_matches('"');
    let comparator = quantity.string("comparator").map_or_else(String::new, |comparator| format!("{comparator} "));
    let unit = quantity.string("unit").or_else(|| quantity.string("code")).filter(|unit| unit != "1");
    Some(format!("{comparator}{value}{}", unit.map_or_else(String::new, |unit| format!(" {unit}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Vec<(String, AttachmentContent)> {
        let report = RawObject::parse(json).expect("an object");
        results(&report).into_iter().map(|result| (result.origin, result.content)).collect()
    }

    fn told(observation: &str) -> AttachmentContent {
        content(&RawObject::parse(observation).expect("an object"))
    }

    #[test]
    fn an_observation_is_told_as_a_person_reads_it() {
        for (observation, expected) in [
            (r#"{"code":{"text":"Lesion size"},"valueQuantity":{"value":12.0,"unit":"mm"}}"#, "Lesion size: 12.0 mm"),
            (
                r#"{"code":{"coding":[{"display":"CEA"},{"display":"cea"}]},"valueQuantity":{"comparator":"<","value":0.5,"code":"ng/mL"},
                    "interpretation":[{"coding":[{"display":"Normal"}]}]}"#,
                "CEA: < 0.5 ng/mL (Normal)",
            ),
            (r#"{"code":{"text":"Findings"},"valueString":"No new lesion."}"#, "Findings: No new lesion."),
            (r#"{"valueCodeableConcept":{"text":"Partial response"}}"#, "Partial response"),
            (
                r#"{"code":{"text":"Size"},"component":[{"code":{"text":"long"},"valueInteger":5},
                    {"code":{"text":"short"},"valueRange":{"low":{"value":2,"unit":"mm"},"high":{"value":3,"unit":"mm"}}}],
                    "note":[{"text":"Smaller than before."}]}"#,
                "long: 5\nshort: 2 mm to 3 mm\nSmaller than before.",
            ),
        ] {
            assert_eq!(told(observation), AttachmentContent::Bytes(expected.into()), "{observation}");
        }
        assert_eq!(told(r#"{"code":{"text":"Panel"}}"#), AttachmentContent::Empty);
        assert!(matches!(told(r#"{"status":"entered-in-error","valueString":"x"}"#), AttachmentContent::Malformed(_)));
    }

    #[test]
    fn contained_results_and_the_members_of_a_panel_are_read_once_and_others_are_named() {
        let found = read(
            r##"{"contained":[
                {"id":"panel","hasMember":[{"reference":"#a"},{"reference":"#b"},{"reference":"#panel"}]},
                {"id":"a","valueString":"A"},{"id":"b","valueString":"B"}],
                "result":[{"reference":"#panel"},{"reference":"Observation/7"},{"reference":"#a"},{"reference":"#gone"},{}]}"##,
        );
        let result = |index: usize| format!("DiagnosticReport.result[{index}]");
        assert_eq!(
            found[..3],
            [
                (result(0), AttachmentContent::Bytes("A".into())),
                (result(0), AttachmentContent::Bytes("B".into())),
                (result(1), AttachmentContent::Referenced("Observation/7".to_owned())),
            ]
        );
        for at in [3, 4] {
            assert!(matches!(&found[at], (origin, AttachmentContent::Malformed(_)) if *origin == result(at)));
        }
        assert_eq!(found.len(), 5);
    }
}
