//! The seven example texts of the reference model's card, with its answers, in seven shapes of FHIR R4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// One text and the resource that carries it.
pub(crate) struct Example {
    /// The text as the card has it.
    pub(crate) text: &'static str,
    /// The reference model's own answer: `Yes` or `No`.
    pub(crate) reference: &'static str,
    /// The shape, in words.
    pub(crate) shape: &'static str,
    /// Where to post it: a path below the FHIR base; empty for the base itself.
    pub(crate) path: &'static str,
    /// What is posted.
    pub(crate) resource: Value,
}

/// Puts a text into a resource.
type Shape = fn(&str) -> Value;

const TEXTS: [(&str, &str); 7] = [
    (
        "Contrast-enhanced MRI of the brain showed no change in the size of the glioblastoma, suggesting stable disease \
         post-temozolomide therapy.",
        "Yes",
    ),
    (
        "The breast ultrasound after neoadjuvant chemotherapy displayed a decrease in the primary lesion size from \
         3 cm to 1 cm, suggesting a favorable response to treatment. The skin infection is also well controlled with \
         multi-antibiotic approach.",
        "Yes",
    ),
    (
        "MRI of the pelvis indicated no further progression of endometriosis after laparoscopic excision and six months \
         of hormonal suppression therapy.",
        "Yes",
    ),
    (
        "A repeat endoscopy revealed healing gastric ulcers with new signs of malignancy or H. pylori infection. Will \
         discuss the PPI continuum.",
        "No",
    ),
    (
        "Dynamic contrast-enhanced MRI of the liver revealed no significant reduction in the size and number of hepatic \
         metastases following six months of targeted therapy with sorafenib.",
        "No",
    ),
    (
        "Digital subtraction angiography of the cerebral vessels displayed further aneurysmal dilation and new vascular \
         abnormalities after endovascular coiling of a cerebral aneurysm, indicating a unsuccessful intervention.",
        "No",
    ),
    (
        "The patient's repeat spirometry tests demonstrated non-significant improvement in both FEV1 and FVC, \
         suggesting ineffective control of asthma symptoms with even maximally optimized inhaler therapy. Continuum \
         will discuss.",
        "No",
    ),
];

/// All seven, in the card's order.
pub(crate) fn all() -> Vec<Example> {
    let report = "DiagnosticReport";
    let document = "DocumentReference";
    let shapes: [(&str, &str, Shape); 7] = [
        ("DiagnosticReport, presentedForm text/plain", report, plain_report),
        ("DiagnosticReport, presentedForm text/html", report, html_report),
        ("DiagnosticReport, conclusion only", report, conclusion_report),
        ("DiagnosticReport, text.div only", report, div_report),
        ("DocumentReference, text/plain", document, plain_document),
        ("DocumentReference, application/xhtml+xml", document, xhtml_document),
        ("transaction Bundle with Patient", "", transaction),
    ];
    let examples = TEXTS.into_iter().zip(shapes);
    examples
        .map(|((text, reference), (shape, path, build))| Example {
            text,
            reference,
            shape,
            path,
            resource: build(text),
        })
        .collect()
}

fn plain_report(text: &str) -> Value {
    let mut report = report(1, &imaging(), "2026-03-02T10:15:00+01:00");
    report["presentedForm"] = json!([attachment("text/plain", text)]);
    report
}

fn html_report(text: &str) -> Value {
    let page = format!(
        "<!DOCTYPE html><html><head><title>Breast ultrasound</title><style>p {{ margin: 0 }}</style></head>\
         <body><h2>Impression</h2><p>{}</p></body></html>",
        escaped(text)
    );
    let mut report = report(2, &imaging(), "2026-03-05T08:30:00+01:00");
    report["presentedForm"] = json!([attachment("text/html", &page)]);
    report
}

fn conclusion_report(text: &str) -> Value {
    let mut report = report(3, &imaging(), "2026-03-09T14:00:00+01:00");
    report["conclusion"] = json!(text);
    report
}

fn div_report(text: &str) -> Value {
    let endoscopy = concept("18751-8", "Endoscopy study");
    let mut report = report(4, &endoscopy, "2026-03-11T09:45:00+01:00");
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{}</p></div>", escaped(text));
    report["text"] = json!({ "status": "additional", "div": div });
    report
}

fn plain_document(text: &str) -> Value {
    document(5, "2026-03-16T16:20:00+01:00", &attachment("text/plain; charset=utf-8", text))
}

fn xhtml_document(text: &str) -> Value {
    let page = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\">\
         <head><title>Angiography – report</title></head><body><h1>Findings</h1><p>{}</p></body></html>",
        escaped(text)
    );
    document(6, "2026-03-18T11:05:00+01:00", &attachment("application/xhtml+xml; charset=UTF-8", &page))
}

fn transaction(text: &str) -> Value {
    let patient_url = "urn:uuid:0f9c3f52-6f0e-4c43-9a4b-6d1f6d1b7a07";
    let spirometry = concept("18759-1", "Spirometry study");
    let mut report = report(7, &spirometry, "2026-03-20T13:40:00+01:00");
    report["subject"] = json!({ "reference": patient_url });
    report["presentedForm"] = json!([attachment("text/plain", text)]);
    let patient = json!({
        "resourceType": "Patient",
        "identifier": [{ "system": "urn:oid:2.16.840.1.113883.19.5", "value": "demo-7" }],
        "name": [{ "family": "Example", "given": ["Seven"] }],
        "gender": "female",
        "birthDate": "1961-04-12",
    });
    json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            { "fullUrl": patient_url, "resource": patient, "request": { "method": "POST", "url": "Patient" } },
            {
                "fullUrl": "urn:uuid:5b1c66f0-8a63-4d5c-8f44-5a1c0e6f8b21",
                "resource": report,
                "request": { "method": "POST", "url": "DiagnosticReport" },
            },
        ],
    })
}

/// What every report of a hospital has.
fn report(patient: u8, code: &Value, effective: &str) -> Value {
    json!({
        "resourceType": "DiagnosticReport",
        "identifier": [{ "system": "urn:oid:2.16.840.1.113883.19.6", "value": format!("demo-report-{patient}") }],
        "status": "final",
        "code": code,
        "subject": { "reference": format!("Patient/demo-{patient}") },
        "effectiveDateTime": effective,
        "issued": effective,
    })
}

fn document(patient: u8, date: &str, attachment: &Value) -> Value {
    json!({
        "resourceType": "DocumentReference",
        "identifier": [{ "system": "urn:oid:2.16.840.1.113883.19.6", "value": format!("demo-document-{patient}") }],
        "status": "current",
        "docStatus": "final",
        "type": imaging(),
        "subject": { "reference": format!("Patient/demo-{patient}") },
        "date": date,
        "content": [{ "attachment": attachment }],
        "context": { "period": { "start": date, "end": date } },
    })
}

fn imaging() -> Value {
    concept("18748-4", "Diagnostic imaging study")
}

fn concept(code: &str, display: &str) -> Value {
    json!({ "coding": [{ "system": "http://loinc.org", "code": code, "display": display }], "text": display })
}

fn attachment(content_type: &str, text: &str) -> Value {
    json!({ "contentType": content_type, "data": STANDARD.encode(text) })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_carries_its_whole_text_in_another_shape() {
        let examples = all();
        assert_eq!(examples.len(), 7);
        for example in &examples {
            assert!(!example.text.contains("  "), "a line break left spaces: {}", example.text);
            let resource = example.resource.to_string();
            let inline = resource.contains(&escaped(example.text));
            let mut attachments = resource.split("\"data\":\"").skip(1).filter_map(|rest| rest.split('"').next());
            let attached = attachments.any(|data| {
                let bytes = STANDARD.decode(data).expect("base64");
                String::from_utf8(bytes).expect("UTF-8").contains(&escaped(example.text))
            });
            assert!(inline != attached, "{}", example.shape);
        }
        let mut shapes: Vec<&str> = examples.iter().map(|example| example.shape).collect();
        shapes.dedup();
        assert_eq!(shapes.len(), 7);
    }
}
