//! The model in the executable is held to its figures: on texts written for this, and on the real dev sets where they
//! are present. The floors are those that the model is shipped for, or a little below what its card gives.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use responsum::classify::model::Model;
use responsum::classify::{Classifier, ClassifierSettings, Unit};
use responsum::command::eval::{Evaluation, What, run};

const REPORTS: &[(&str, f64)] =
    &[("macro_f1", 0.94), ("accuracy", 0.94), ("category_macro_f1", 0.88), ("evidence_in_first_two", 0.93)];
const ONCOLOGY_PAIRS: &[(&str, f64)] = &[("macro_f1", 0.78), ("auroc", 0.93)];
const MINIMAL_PAIRS: &[(&str, f64)] = &[("macro_f1", 0.58), ("auroc", 0.79)];
const CATEGORIES: &[(&str, f64)] = &[("yes_no_accuracy", 0.86), ("category_macro_f1", 0.53)];
const PARAPHRASES: &[(&str, f64)] = &[("accuracy", 0.85), ("yes_no_accuracy", 0.95)];
const REAL_SENTENCES: &[(&str, f64)] = &[("macro_f1", 0.83), ("auroc", 0.97), ("yes_no_accuracy", 0.88)];
const REAL_DOCUMENTS: &[(&str, f64)] = &[("macro_f1", 0.89), ("yes_no_accuracy", 0.95)];

fn classifier() -> &'static Classifier {
    static CLASSIFIER: OnceLock<Classifier> = OnceLock::new();
    CLASSIFIER.get_or_init(|| {
        let model = Model::built_in().expect("the built-in model");
        Classifier::start(model, ClassifierSettings::default()).expect("a classifier")
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn evaluation(path: &Path, unit: Unit) -> Evaluation {
    let data = std::io::BufReader::new(std::fs::File::open(path).expect("a file"));
    run(classifier(), &What { unit, by: None, calibrate: false }, data, std::io::sink()).expect("measures")
}

/// Every measure that is below its floor.
fn below(evaluation: &Evaluation, floors: &[(&str, f64)]) -> Vec<String> {
    let measured = floors.iter().map(|&(name, floor)| (name, evaluation.measure(name).expect(name), floor));
    let low = measured.filter(|(_, value, floor)| value < floor);
    low.map(|(name, value, floor)| format!("{name} {value:.3} < {floor}")).collect()
}

fn hold(path: &str, unit: Unit, floors: &[(&str, f64)]) {
    let low = below(&evaluation(&root().join(path), unit), floors);
    assert!(low.is_empty(), "{path}: {low:?}");
}

/// The path, or nothing and a word on standard error if the folder with the real texts is not beside this repository.
fn real(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data/eval").join(name);
    if !path.is_file() {
        eprintln!("SKIPPED: {} is not here", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn written_oncology_reports_are_answered_as_well_as_the_card_says() {
    hold("training/eval/oncology-reports.dev.jsonl", Unit::Document, REPORTS);
}

#[test]
fn sentences_that_differ_by_little_are_told_apart() {
    hold("training/eval/oncology-pairs.dev.jsonl", Unit::Sentence, ONCOLOGY_PAIRS);
    hold("training/eval/minimal-pairs.dev.jsonl", Unit::Sentence, MINIMAL_PAIRS);
}

#[test]
fn categories_are_told_apart() {
    hold("training/eval/categories.dev.jsonl", Unit::Sentence, CATEGORIES);
}

#[test]
fn paraphrases_of_the_reference_texts_are_answered() {
    hold("training/eval/paraphrases.dev.jsonl", Unit::Document, PARAPHRASES);
}

#[test]
fn real_sentences_are_answered_as_well_as_the_card_says() {
    let Some(path) = real("sentences.dev.jsonl") else { return };
    let low = below(&evaluation(&path, Unit::Sentence), REAL_SENTENCES);
    assert!(low.is_empty(), "{low:?}");
}

#[test]
fn real_documents_are_answered_as_well_as_the_card_says() {
    let Some(path) = real("documents.dev.jsonl") else { return };
    let low = below(&evaluation(&path, Unit::Document), REAL_DOCUMENTS);
    assert!(low.is_empty(), "{low:?}");
}
