//! The corpus that the default model is trained on: no text that it is measured on is in it, and every label can be
//! traced to the text that was read.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Words in a row that no text of the corpus may share with a text that the model is measured on.
const SHARED_WORDS_MAX: usize = 8;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows_of(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn corpus(name: &str) -> Vec<Value> {
    rows_of(&root().join("training/corpus").join(name))
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("no `{field}`"))
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a number")).expect("a small number")
}

/// The files that models are measured on: our own, and the real ones where they are present.
fn measured_on() -> Vec<PathBuf> {
    let shared = root().join("../shared/data/eval");
    let mut folders = vec![root().join("training/eval")];
    if shared.is_dir() {
        folders.push(shared);
    } else {
        eprintln!("SKIPPED: overlap with the real dev sets: {} is not here", shared.display());
    }
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("a folder"));
    let files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "jsonl")).collect()
}

/// The public texts that labels refer to, by id, where they are present.
fn pool() -> Option<std::collections::HashMap<String, String>> {
    let path = root().join("../shared/data/pool/clinical-texts.jsonl.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("SKIPPED: the public texts: {} is not here", path.display());
        return None;
    };
    let mut lines = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut lines).expect("gzip");
    let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    Some(rows.map(|row| (text(&row, "id").to_owned(), text(&row, "text").to_owned())).collect())
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn runs(text: &str) -> impl Iterator<Item = String> {
    let words = words(text);
    (0..(words.len() + 1).saturating_sub(SHARED_WORDS_MAX)).map(move |at| words[at..at + SHARED_WORDS_MAX].join(" "))
}

/// The characters of the text from `start` to `end`, counted in code points.
fn slice(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end - start).collect()
}

#[test]
fn no_text_that_the_model_is_measured_on_shares_eight_words_in_a_row_with_the_corpus() {
    let mut forbidden: HashSet<String> = HashSet::new();
    let (mut short, mut texts) = (HashSet::new(), 0);
    for file in measured_on() {
        for row in rows_of(&file) {
            texts += 1;
            forbidden.extend(runs(text(&row, "text")));
            short.insert(words(text(&row, "text")).join(" "));
        }
    }
    assert!(texts > 500, "only {texts} texts to measure on");
    let clean = |id: &str, trained: &str| {
        assert!(
            !runs(trained).any(|run| forbidden.contains(&run)),
            "{id} shares eight words with a text to measure on"
        );
        assert!(!short.contains(&words(trained).join(" ")), "{id} is a text to measure on");
    };
    for name in ["written-passages.jsonl", "written-reports.jsonl"] {
        for row in corpus(name) {
            clean(text(&row, "id"), text(&row, "text"));
        }
    }
    let Some(pool) = pool() else { return };
    for row in corpus("pool-passages.jsonl") {
        let whole = &pool[text(&row, "doc")];
        clean(text(&row, "id"), &slice(whole, number(&row["start"]), number(&row["end"])));
    }
    for row in corpus("pool-documents.jsonl") {
        clean(text(&row, "id"), &pool[text(&row, "id")]);
    }
}

#[test]
fn every_label_of_a_public_text_belongs_to_the_text_that_was_read() {
    let Some(pool) = pool() else { return };
    let is = |read: &str, row: &Value| {
        let digest = responsum::domain::document::Sha256Digest(Sha256::digest(read).into());
        assert_eq!(digest.hex(), text(row, "sha256"), "{}", text(row, "id"));
    };
    for row in corpus("pool-passages.jsonl") {
        is(&slice(&pool[text(&row, "doc")], number(&row["start"]), number(&row["end"])), &row);
    }
    for row in corpus("pool-documents.jsonl") {
        is(&pool[text(&row, "id")], &row);
    }
}

#[test]
fn every_row_has_a_label_a_category_that_fits_and_an_id_of_its_own() {
    use responsum::domain::label::{Category, Label};
    let names = ["pool-passages.jsonl", "pool-documents.jsonl", "written-passages.jsonl", "written-reports.jsonl"];
    for name in names {
        let mut ids = HashSet::new();
        let rows = corpus(name);
        assert!(rows.len() > 500, "{name}");
        for row in rows {
            let id = text(&row, "id");
            assert!(ids.insert(id.to_owned()), "{name}: {id} twice");
            let label = match text(&row, "label") {
                "Yes" => Label::Responded,
                "No" => Label::NotResponded,
                "NA" => Label::NotStated,
                other => panic!("{name}: {id}: {other}"),
            };
            if let Some(code) = row["category"].as_str() {
                let category = Category::from_code(code).unwrap_or_else(|| panic!("{name}: {id}: {code}"));
                assert!(category.fits(label), "{name}: {id}: {code} with {}", label.code());
            }
            assert!(row["cancer"].is_boolean() && row["sure"].is_boolean(), "{name}: {id}");
            // Public texts are referred to, never repeated.
            assert_eq!(row["text"].is_string(), name.starts_with("written"), "{name}: {id}");
        }
    }
}

#[test]
fn what_a_written_report_says_is_a_span_of_it() {
    for row in corpus("written-reports.jsonl") {
        let length = text(&row, "text").chars().count();
        for state in row["states"].as_array().expect("states") {
            let (start, end) = (number(&state[0]), number(&state[1]));
            assert!(start < end && end <= length, "{}", text(&row, "id"));
        }
    }
}
