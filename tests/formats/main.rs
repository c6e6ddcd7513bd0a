//! Reports as real systems send them, given to the executable: nasty ones made by hand, with the text that a sensible
//! reader gives, and the public fixtures where they are present.

mod cases;
mod files;
mod fixtures;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What `responsum extract --json` gave.
pub struct Extracted {
    /// Its exit status.
    pub status: i32,
    /// The whole object.
    pub json: Value,
    /// What it said beside.
    pub notices: String,
}

impl Extracted {
    /// The narrative.
    pub fn text(&self) -> &str {
        self.json["text"].as_str().expect("a text")
    }

    /// The reasons for what was not read, in order.
    pub fn reasons(&self) -> Vec<&str> {
        let unread = self.json["coverage"]["unread"].as_array().expect("a list");
        unread.iter().map(|unread| unread["reason"].as_str().expect("a reason")).collect()
    }

    /// What was read, in order.
    pub fn origins(&self) -> Vec<&str> {
        let read = self.json["coverage"]["read"].as_array().expect("a list");
        read.iter().map(|read| read["origin"].as_str().expect("an origin")).collect()
    }
}

/// Reads bytes as a file of this content type.
pub fn extract(content_type: Option<&str>, bytes: &[u8]) -> Extracted {
    let mut command = Command::new(env!("CARGO_BIN_EXE_responsum"));
    command.args(["extract", "--json"]);
    if let Some(content_type) = content_type {
        command.args(["--content-type", content_type]);
    }
    command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the executable starts");
    let (mut stdin, bytes) = (child.stdin.take().expect("a pipe"), bytes.to_vec());
    let writing = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().expect("an end");
    writing.join().expect("a thread").expect("written");
    let notices = String::from_utf8(output.stderr).expect("text");
    let status = output.status.code().unwrap_or_else(|| panic!("it crashed: {notices}"));
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON ({status}): {notices}"));
    Extracted { status, json, notices }
}

/// Reads a resource.
pub fn extract_resource(resource: &Value) -> Extracted {
    extract(None, resource.to_string().as_bytes())
}

/// An attachment with data.
pub fn attachment(content_type: &str, bytes: &[u8]) -> Value {
    json!({"contentType": content_type, "data": STANDARD.encode(bytes)})
}

/// A report with these renditions.
pub fn report(forms: &Value) -> Value {
    json!({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "CT"}, "presentedForm": forms})
}

/// The folder of the public fixtures; says on stderr what is skipped where it is missing.
pub fn shared(what: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures").join(what);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: {what}: {} is not here", folder.display());
    None
}

#[test]
fn nothing_readable_is_a_failure_with_its_reasons() {
    let extracted = extract(Some("image/png"), b"\x89PNG\r\n\x1a\n");
    assert_eq!((extracted.status, extracted.text()), (1, ""));
    assert!(
        extracted.notices.starts_with("responsum: nothing could be read\nnot read: file: "),
        "{}",
        extracted.notices
    );
    let missing = Command::new(env!("CARGO_BIN_EXE_responsum")).args(["extract", "/does/not/exist"]).output();
    let missing = missing.expect("an end");
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/does/not/exist"));
}

#[test]
fn parts_tell_their_characters_and_their_sentences_tell_their_part() {
    let extracted = extract_resource(&report(&json!([
        attachment("text/plain", "Größe: 5 mm.".as_bytes()),
        attachment("text/html", b"<p>Gr&ouml;&szlig;e: 5 mm.</p>"),
        attachment("text/plain", b"ADDENDUM: New lesion."),
    ])));
    let form = |index: usize| format!("DiagnosticReport.presentedForm[{index}]");
    assert_eq!(extracted.text(), "Größe: 5 mm.\n\nADDENDUM: New lesion.");
    let read = &extracted.json["coverage"]["read"];
    assert_eq!((&read[0]["origin"], &read[0]["characters"]), (&form(0).into(), &12.into()));
    assert_eq!((&read[1]["origin"], &read[1]["notes"][0]), (&form(2).into(), &"joined as part 2 of 2".into()));
    assert_eq!(extracted.json["coverage"]["unread"][0]["origin"], form(1));
    let last = extracted.json["sentences"].as_array().and_then(|all| all.last()).expect("a sentence").clone();
    assert_eq!((&last["kind"], &last["source"][0]["origin"]), (&"addendum".into(), &form(2).into()));
    assert_eq!(last["source"][0]["rendition"], 1);
}

#[test]
fn a_rendition_that_says_far_more_is_read_in_place_of_one_that_points_to_it() {
    let long =
        "The lesion in segment seven measures 12 mm, it was 30 mm before. No new lesion in liver or lung. ".repeat(3);
    let html = attachment("text/html", format!("<p>{long}</p>").as_bytes());
    let pointer = attachment("text/plain", b"Report is attached as PDF.");
    let extracted = extract_resource(&report(&json!([pointer, html])));
    assert_eq!(extracted.origins(), ["DiagnosticReport.presentedForm[1]"]);
    assert_eq!(extracted.reasons(), ["other-rendition-chosen"]);
}
