//! The kinds of files, and how each is measured.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::run::{Extracted, Reader, reasons};
use super::{Kind, Measured, oracle, words};

/// How a kind is measured.
type Measure = fn(&Reader) -> Result<Kind>;

/// Every kind by its name.
pub(super) const ALL: [(&str, Measure); 4] = [("ccda", ccda), ("rtf", rtf), ("pdf", pdf), ("fhir", fhir)];

/// Share of a section's letters below which the section counts as lost.
const SECTION_LOST_BELOW: f64 = 0.5;

fn ccda(reader: &Reader) -> Result<Kind> {
    let mut files = Vec::new();
    let (mut sections, mut lost) = (0, 0);
    for file in reader.files("ccda", "xml")? {
        let narrated = oracle::narrative(&file)?;
        files.push(measured(reader, &file, "application/xml", |extracted| {
            let score = |section: &Vec<String>| {
                let all: usize = section.iter().map(|piece| words::letters(piece).chars().count()).sum();
                words::held_in_order(&extracted.text, section.iter().map(String::as_str)) as f64 / all.max(1) as f64
            };
            sections += narrated.sections.len();
            lost += narrated.sections.iter().filter(|section| score(section) < SECTION_LOST_BELOW).count();
            if narrated.sections.is_empty() {
                return (None, None);
            }
            let pieces = || narrated.sections.iter().flatten().map(String::as_str);
            let all: usize = pieces().map(|piece| words::letters(piece).chars().count()).sum();
            (Some((words::held_in_order(&extracted.text, pieces()) as f64 / all.max(1) as f64, all)), None)
        })?);
    }
    let notes = vec![format!("{sections} sections with text, {lost} of them lost")];
    let measure = "share of the narrative's letters and digits, in order";
    Ok(Kind { name: "ccda", measure, wanted: 0.99, each: true, files, notes })
}

fn rtf(reader: &Reader) -> Result<Kind> {
    let mut files = Vec::new();
    for file in reader.files("rtf", "rtf")? {
        let expected = std::fs::read(file.with_extension("txt")).ok();
        let expected = expected.map(|bytes| words::without_link_targets(&String::from_utf8_lossy(&bytes)));
        files.push(measured(reader, &file, "application/rtf", |extracted| {
            (expected.as_deref().map(|expected| words::f1(&extracted.text, expected)), None)
        })?);
    }
    Ok(Kind { name: "rtf", measure: "words (F1)", wanted: 0.99, each: false, files, notes: Vec::new() })
}

fn pdf(reader: &Reader) -> Result<Kind> {
    let oracle = oracle::has_pdftotext();
    let mut notes = Vec::new();
    if !oracle {
        notes.push("pdftotext is not installed (poppler-utils): nothing to compare with".to_owned());
    }
    let (mut ours, mut theirs, mut pages) = (Duration::ZERO, Duration::ZERO, 0);
    let mut files = Vec::new();
    for file in reader.files("pdf", "pdf")? {
        let printed = if oracle { oracle::printed(&file)? } else { None };
        files.push(measured(reader, &file, "application/pdf", |extracted| {
            let Some(printed) = &printed else { return (None, None) };
            ours += extracted.took;
            theirs += printed.took;
            pages += printed.pages;
            // No words: a scan, or fonts that tell no characters.
            let has_text = words::count(&printed.text) > 0;
            (has_text.then(|| words::f1(&extracted.text, &printed.text)), None)
        })?);
    }
    if pages > 0 {
        let each = |took: Duration| took.as_secs_f64() * 1000.0 / pages as f64;
        notes.push(format!(
            "{pages} pages: {:.1} ms a page, pdftotext {:.1} ms, starts of both included ({:.2} times its time)",
            each(ours),
            each(theirs),
            each(ours) / each(theirs)
        ));
    }
    Ok(Kind { name: "pdf", measure: "words (F1) against pdftotext", wanted: 0.95, each: false, files, notes })
}

/// Why an attachment may be unread in a resource that is read whole: its text is elsewhere, or is not in it.
const NO_FAULT: [&str; 3] = ["not-fetched", "empty", "other-rendition-chosen"];

fn fhir(reader: &Reader) -> Result<Kind> {
    let mut resources = Vec::new();
    for folder in ["us-core", "fhir-r4"] {
        for file in reader.files(folder, "json")? {
            let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            resources.push((reader.name(&file), text));
        }
    }
    for file in reader.files("synthea", "ndjson")? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        resources.extend(lines.map(|(at, line)| (format!("{}:{}", reader.name(&file), at + 1), line.to_owned())));
    }
    resources.retain(|(_, text)| is_report(text));
    let mut files = Vec::new();
    for (name, text) in resources {
        let extracted = reader.extract(Path::new("-"), "application/fhir+json", Some(text.as_bytes()))?;
        files.push(judged(name, extracted, |extracted| {
            let unread = extracted.coverage["unread"].as_array().map(Vec::as_slice).unwrap_or_default();
            let faults = unread.iter().filter(|unread| !NO_FAULT.iter().any(|reason| unread["reason"] == *reason));
            let faults: Vec<String> =
                faults.map(|unread| format!("{}: {}", unread["origin"], unread["reason"])).collect();
            let whole = faults.is_empty();
            (Some((f64::from(u8::from(whole)), 1)), (!whole).then(|| faults.join(", ")))
        }));
    }
    let measure = "resources whose data are all read";
    Ok(Kind { name: "fhir", measure, wanted: 1.0, each: true, files, notes: Vec::new() })
}

fn is_report(text: &str) -> bool {
    let resource: Option<Value> = serde_json::from_str(text).ok();
    resource.is_some_and(|resource| {
        resource["resourceType"] == "DiagnosticReport" || resource["resourceType"] == "DocumentReference"
    })
}

/// Reads one file and judges what came: its score, and what makes the run fail.
fn measured(
    reader: &Reader,
    file: &Path,
    content_type: &str,
    judge: impl FnOnce(&Extracted) -> (Option<(f64, usize)>, Option<String>),
) -> Result<Measured> {
    let extracted = reader.extract(file, content_type, None)?;
    Ok(judged(reader.name(file), extracted, judge))
}

fn judged(
    name: String,
    extracted: Result<Extracted, String>,
    judge: impl FnOnce(&Extracted) -> (Option<(f64, usize)>, Option<String>),
) -> Measured {
    match extracted {
        Ok(extracted) => {
            let (score, fault) = judge(&extracted);
            Measured { name, score, told: reasons(&extracted.coverage), fault }
        }
        Err(fault) => Measured { name, score: None, told: fault.clone(), fault: Some(fault) },
    }
}
