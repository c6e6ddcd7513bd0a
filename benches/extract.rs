//! How fast attachments are read: bytes of input a second, on one core. `cargo bench --bench extract`.
//!
//! The texts are invented reports, repeated; the public files of ../shared/fixtures are read too, where they are.

use std::fmt::Write as _;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use responsum::extract::{divide, read_bytes};

/// Bytes of each input, about: a chart of 200 pages.
const INPUT_BYTES: usize = 1 << 20;

const REPORT: &str = "CT CHEST, ABDOMEN AND PELVIS WITH CONTRAST\n\nINDICATION: Metastatic colon cancer on FOLFOX, cycle 4.\n\
COMPARISON: CT of March 3.\n\nFINDINGS:\nLungs: The nodule in the right upper lobe measures 2.3 x 1.1 cm (previously 3.1 cm). \
No. 3 in the lingula is unchanged. No effusion.\nLiver: Lesions in segments II, V and VIII are smaller; the largest is 12 mm.\n\
Bones: Stable sclerosis of T2. No new lesion.\n\nIMPRESSION:\n1. Marked decrease of the hepatic metastases, consistent with \
partial response.\n2. Stable nodule of the lung. Dr. Doe was told at 9:30 a.m.\n\nElectronically signed by A. B., MD\nPage 1 of 2\n\n";

fn repeated(piece: &str) -> String {
    piece.repeat(INPUT_BYTES / piece.len() + 1)
}

fn html() -> String {
    let mut body = String::new();
    for line in REPORT.lines() {
        let _ =
            writeln!(body, "<p class=\"MsoNormal\"><span style=\"font-size:11pt\">{line}</span>&nbsp;&ge;&#8211;</p>");
    }
    body += "<table><tr><th>Lesion</th><th>Now</th></tr><tr><td>Liver</td><td>12 mm</td></tr></table>";
    format!("<html><body>{}</body></html>", repeated(&body))
}

fn rtf() -> String {
    let mut body = String::new();
    for line in REPORT.lines() {
        let _ = write!(
            body,
            "\\pard\\plain\\f0\\fs22 {line}\\par\r\n\\b0 Na\\'efve \\u8211?{{\\i x}}\\tab 5\\~mm\\line\r\n"
        );
    }
    format!("{{\\rtf1\\ansi\\ansicpg1252{{\\fonttbl{{\\f0 Arial;}}}}{}}}", repeated(&body))
}

fn ccda() -> String {
    let mut text = String::new();
    for line in REPORT.lines() {
        let _ = writeln!(text, "<paragraph><content styleCode=\"Bold\">x</content> {line} &lt;5 mm</paragraph>");
    }
    let section = format!(
        "<component><section><code code=\"30954-2\" codeSystem=\"2.16.840.1.113883.6.1\"/><title>Results</title><text>{text}\
         <table><tbody><tr><td>Liver</td><td>12 mm</td></tr></tbody></table></text></section></component>"
    );
    format!(
        "<?xml version=\"1.0\"?><ClinicalDocument xmlns=\"urn:hl7-org:v3\"><component><structuredBody>{}</structuredBody>\
         </component></ClinicalDocument>",
        repeated(&section)
    )
}

fn decode(criterion: &mut Criterion) {
    let utf_16: Vec<u8> = repeated(REPORT).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let windows: Vec<u8> = repeated(&REPORT.replace("cm", "cm \u{b1}")).chars().map(|c| c as u8).collect();
    let inputs = [
        ("plain", "text/plain; charset=utf-8", repeated(REPORT).into_bytes()),
        ("plain, windows-1252", "text/plain; charset=windows-1252", windows),
        ("plain, UTF-16", "text/plain; charset=utf-16le", utf_16),
        ("html", "text/html; charset=utf-8", html().into_bytes()),
        ("rtf", "application/rtf", rtf().into_bytes()),
        ("ccda", "application/cda+xml", ccda().into_bytes()),
    ];
    let mut group = criterion.benchmark_group("read");
    for (name, content_type, bytes) in &inputs {
        assert!(read_bytes(Some(content_type), bytes).is_ok(), "{name} is not read");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), bytes, |bencher, bytes| {
            bencher.iter(|| read_bytes(Some(content_type), bytes));
        });
    }
    group.finish();
}

fn sections_and_sentences(criterion: &mut Criterion) {
    let text = repeated(REPORT);
    let mut group = criterion.benchmark_group("divide");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("sections and sentences", |bencher| bencher.iter(|| divide(&text)));
    group.finish();
}

/// All public files of a kind, one after the other.
fn fixtures(criterion: &mut Criterion) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let mut group = criterion.benchmark_group("fixtures");
    for (folder, extension, content_type) in [("rtf", "rtf", "application/rtf"), ("ccda", "xml", "application/cda+xml")]
    {
        let mut files = Vec::new();
        collect(&root.join(folder), extension, &mut files);
        if files.is_empty() {
            eprintln!("skipped: fixtures/{folder}: there are no such files");
            continue;
        }
        group.throughput(Throughput::Bytes(files.iter().map(|bytes| bytes.len() as u64).sum()));
        group.bench_function(folder, |bencher| {
            bencher.iter(|| files.iter().filter(|bytes| read_bytes(Some(content_type), bytes).is_ok()).count());
        });
    }
    group.finish();
}

fn collect(folder: &Path, extension: &str, files: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, extension, files);
        } else if path.extension().is_some_and(|found| found == extension) {
            files.extend(std::fs::read(&path));
        }
    }
}

criterion_group!(benches, decode, sections_and_sentences, fixtures);
criterion_main!(benches);
