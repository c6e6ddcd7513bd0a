//! The public fixtures: each is read whole, and every span says what it quotes.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Extracted, extract, shared};

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|own| own == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a number")).expect("a small number")
}

/// Sections hold the whole text, sentences lie in their sections in order, code points and bytes agree, and each place
/// is one of a rendition that was read.
fn check_spans(name: &str, extracted: &Extracted) {
    let text = extracted.text();
    let read = extracted.json["coverage"]["read"].as_array().expect("a list");
    let sections = extracted.json["sections"].as_array().expect("sections");
    let bytes = |span: &Value| (number(&span["start_byte"]), number(&span["end_byte"]));
    let check = |span: &Value| {
        let (start, end) = bytes(span);
        let quoted = text.get(start..end).unwrap_or_else(|| panic!("{name}: a span cuts a character"));
        let points = number(&span["end"]) - number(&span["start"]);
        assert_eq!(quoted.chars().count(), points, "{name}");
        for source in span["source"].as_array().expect("places") {
            assert_eq!(source["origin"], read[number(&source["rendition"])]["origin"], "{name}");
            if let Some(place) = source.get("characters") {
                assert!(number(&place["start"]) <= number(&place["end"]), "{name}");
            }
        }
    };
    let mut at = 0;
    for section in sections {
        check(section);
        assert_eq!(bytes(section).0, at, "{name}: sections do not follow each other");
        at = bytes(section).1;
    }
    assert_eq!(at, text.len(), "{name}: the sections do not hold the whole text");
    let mut at = 0;
    for sentence in extracted.json["sentences"].as_array().expect("sentences") {
        check(sentence);
        let ((start, end), section) = (bytes(sentence), bytes(&sections[number(&sentence["section"])]));
        assert!(at <= start && section.0 <= start && end <= section.1, "{name}: a sentence is out of place");
        at = end;
    }
}

/// Where a plain text tells places, what stands there in the original is what the sentence says.
fn check_places_in_plain_text(name: &str, extracted: &Extracted, original: &str) {
    let original: Vec<char> = original.chars().collect();
    let seen = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    for sentence in extracted.json["sentences"].as_array().expect("sentences") {
        let quoted = &extracted.text()[number(&sentence["start_byte"])..number(&sentence["end_byte"])];
        let Some(place) = sentence["source"][0].get("characters") else { continue };
        let stands: String = original[number(&place["start"])..number(&place["end"])].iter().collect();
        assert_eq!(seen(&stands), seen(quoted), "{name}");
    }
}

fn is_report(resource: &Value) -> bool {
    resource["resourceType"] == "DiagnosticReport" || resource["resourceType"] == "DocumentReference"
}

/// The reports of a folder, by name.
fn reports(folder: &str) -> Vec<(String, Value)> {
    let Some(folder) = shared(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in files(&folder, "json").into_iter().chain(files(&folder, "ndjson")) {
        let text = std::fs::read_to_string(&path).expect("text");
        let name = path.display().to_string();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push((name, serde_json::from_str(&text).expect("JSON")));
        } else {
            let lines = text.lines().enumerate();
            found.extend(
                lines.map(|(at, line)| (format!("{name}:{}", at + 1), serde_json::from_str(line).expect("JSON"))),
            );
        }
    }
    found.retain(|(_, resource): &(String, Value)| is_report(resource));
    assert!(!found.is_empty(), "no report in {}", folder.display());
    found
}

/// What is not in the resource, and what is there in another rendition.
const NO_FAULT: [&str; 3] = ["not-fetched", "empty", "other-rendition-chosen"];

fn check_whole(name: &str, resource: &Value) {
    let extracted = extract(None, resource.to_string().as_bytes());
    check_spans(name, &extracted);
    let reasons = extracted.reasons();
    assert!(reasons.iter().all(|reason| NO_FAULT.contains(reason)), "{name}: {}", extracted.json["coverage"]);
    let data = &resource["content"][0]["attachment"]["data"];
    if let (Some(data), "text/plain") = (data.as_str(), &*format(&extracted)) {
        let original = String::from_utf8(STANDARD.decode(data).expect("base64")).expect("UTF-8");
        check_places_in_plain_text(name, &extracted, &original);
    }
}

fn format(extracted: &Extracted) -> String {
    extracted.json["coverage"]["read"][0]["format"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_public_examples_of_plain_reports_are_read_whole() {
    for (name, resource) in [reports("synthea"), reports("fhir-r4")].into_iter().flatten() {
        check_whole(&name, &resource);
    }
}

#[test]
fn the_examples_of_us_core_are_read_whole() {
    for (name, resource) in reports("us-core") {
        check_whole(&name, &resource);
    }
}

#[test]
fn every_span_of_every_public_file_says_what_it_quotes() {
    let kinds = [
        ("ccda", "xml", "application/xml"),
        ("rtf", "rtf", "text/rtf"),
        ("pdf", "pdf", "application/pdf"),
        ("us-core", "json", ""),
    ];
    for (folder, extension, content_type) in kinds {
        let Some(folder) = shared(folder) else { continue };
        for path in files(&folder, extension) {
            let bytes = std::fs::read(&path).expect("a file");
            let content_type = Some(content_type).filter(|content_type| !content_type.is_empty());
            check_spans(&path.display().to_string(), &extract(content_type, &bytes));
        }
    }
}
