//! Attachments that are read in a process of their own: whatever becomes of it, the program answers.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::Value;

const RESPONSUM: &str = env!("CARGO_BIN_EXE_responsum");

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(RESPONSUM)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the executable starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let bytes = input.to_vec();
    // It may end before it has heard all.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = child.wait_with_output().expect("an end");
    writing.join().expect("written");
    output
}

/// What `responsum extract --json` says of a file.
fn extract(input: &[u8]) -> Value {
    let output = run(&["extract", "--json", "-"], input);
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let nothing = said["coverage"]["read"].as_array().is_some_and(Vec::is_empty);
    assert_eq!(output.status.code(), Some(i32::from(nothing)), "{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Why nothing was read.
fn reason(said: &Value) -> Option<&str> {
    said["coverage"]["unread"][0]["reason"].as_str()
}

fn stream(entries: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("<</Length {}{entries}>>stream\n", data.len());
    [head.as_bytes(), data, b"\nendstream"].concat()
}

/// A document of these objects; the first is its catalog. It has no table of objects, as after an accident.
fn document(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    for (index, object) in objects.iter().enumerate() {
        bytes.extend(format!("{} 0 obj\n", index + 1).bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    bytes.extend(b"trailer\n<</Root 1 0 R>>\n");
    bytes
}

/// A document of one page with this content, and further objects from number 6 on, the first of which is `/X`.
fn page(entries: &str, content: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R\
                 /Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>";
    let font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>";
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>".to_vec(),
        page.to_vec(),
        stream(entries, content),
        font.to_vec(),
    ];
    objects.extend_from_slice(more);
    document(&objects)
}

fn deflated(data: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    (0..times).for_each(|_| encoder.write_all(data).expect("written"));
    encoder.finish().expect("finished")
}

#[test]
fn a_pdf_is_read_through_the_front_door() {
    let said = extract(&page("", b"BT /F 10 Tf 50 700 Td (IMPRESSION: Stable disease.) Tj ET", &[]));
    assert_eq!(said["text"], "IMPRESSION: Stable disease.");
    assert_eq!(said["sections"][0]["kind"], "impression");
    assert_eq!(said["coverage"]["read"][0]["format"], "application/pdf");
}

#[test]
fn a_bomb_ends_its_reader_and_not_the_program() {
    let blanks = deflated(&vec![b' '; 1 << 20], 1_000);
    for entries in ["/Filter/FlateDecode", "/Filter[/FlateDecode/FlateDecode]"] {
        let data = if entries.contains('[') { deflated(&blanks, 1) } else { blanks.clone() };
        let said = extract(&page(entries, &data, &[]));
        assert_eq!((reason(&said), said["text"].as_str()), (Some("too-large"), Some("")), "{entries}");
    }
}

#[test]
fn work_without_end_is_ended() {
    // Twelve levels of twenty forms each.
    let mut forms: Vec<Vec<u8>> = (7..18)
        .map(|next| {
            let resources = format!("/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X {next} 0 R>>>>");
            stream(&resources, &b"/X Do ".repeat(20))
        })
        .collect();
    forms.push(stream("/Subtype/Form/BBox[0 0 9 9]", b"0 0 m "));
    assert_eq!(reason(&extract(&page("", b"/X Do ", &forms))), Some("too-large"));
}

#[test]
fn memory_without_end_is_refused() {
    let font = b"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[<</Type/Font/Subtype\
                 /CIDFontType2/BaseFont/X/W[0 4000000000 500]>>]>>";
    let objects = [
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>".to_vec(),
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>".to_vec(),
        stream("", b"BT /F 10 Tf 50 700 Td (ab) Tj ET"),
        font.to_vec(),
    ];
    assert_eq!(reason(&extract(&document(&objects))), Some("too-large"));
}

#[test]
fn nesting_without_end_is_survived() {
    for content in [b"[".repeat(5_000_000), b"<</A ".repeat(2_000_000), b"(".repeat(5_000_000), b"q ".repeat(2_000_000)]
    {
        let said = extract(&page("", &content, &[]));
        assert_eq!(said["text"], "", "{}", content[0]);
    }
    let catalog = [&b"<</Type/Catalog/Pages 2 0 R/X "[..], &b"[".repeat(5_000_000)].concat();
    assert!(reason(&extract(&document(&[catalog]))).is_some());
    let tree = (3..50_000).map(|kid| format!("<</Type/Pages/Count 1/Kids[{kid} 0 R]>>").into_bytes());
    let objects: Vec<Vec<u8>> = std::iter::once(b"<</Type/Catalog/Pages 2 0 R>>".to_vec()).chain(tree).collect();
    assert_eq!(extract(&document(&objects))["text"], "");
}

#[test]
fn the_reader_answers_with_what_it_was_asked_only() {
    let output = run(&["read-attachment", "--format", "tiff", "--bytes", "3"], b"abc");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("format-not-supported"));
    let help = run(&["--help"], b"");
    assert!(!String::from_utf8_lossy(&help.stdout).contains("read-attachment"));
}

/// Real files of many producers, where they are present.
#[test]
fn every_fixture_has_text_or_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/pdf");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: PDF files of many producers: {} is not here", folder.display());
        return;
    };
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "pdf"));
    assert!(!files.is_empty());
    for file in files {
        let said = extract(&std::fs::read(&file).expect("readable"));
        let has_text = said["text"].as_str().is_some_and(|text| !text.is_empty());
        assert!(has_text || reason(&said).is_some(), "{}", file.display());
        assert!(!said["text"].as_str().expect("text").contains('\u{ad}'), "{}", file.display());
    }
}
