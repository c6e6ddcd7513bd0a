//! Folders of Hugging Face's tools, made of the tiny model.

use std::path::Path;

use super::*;
use crate::classify::graph_file::tests::graph_with_weights_in;
use crate::classify::model::Model;
use crate::classify::session::{SessionSettings, SessionThread};
use crate::classify::testing::{tiny_model, tiny_path};

/// A copy of the tiny model with these files instead of its own; a file without text is left out.
fn folder(files: &[(&str, Option<&str>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["model.onnx", "tokenizer.json", "config.json"] {
        std::fs::copy(tiny_path().join(name), folder.path().join(name)).expect("a copy");
    }
    for (name, text) in files {
        let path = folder.path().join(name);
        match text {
            Some(text) => std::fs::write(&path, text).expect("a file"),
            None => std::fs::remove_file(&path).expect("a file"),
        }
    }
    folder
}

fn fault(folder: &Path) -> String {
    let error = Model::load(folder).expect_err("a fault");
    let (mut text, mut cause) = (error.to_string(), std::error::Error::source(&error));
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn vocabulary() -> String {
    (0..43).map(|id| tiny_model().tokenizer.token(id).expect("an entry") + "\n").collect()
}

const CONFIG: &str =
    r#"{"id2label": {"0": "Yes", "1": "No", "2": "NA"}, "max_position_embeddings": 64, "vocab_size": 43}"#;

const ROBERTA: &str = r#"{"id2label": {"0": "Yes", "1": "No"}, "model_type": "roberta"}"#;

#[test]
fn a_vocabulary_alone_makes_the_same_tokens_as_a_tokenizer() {
    let text = "The Mass was STABLE, no café 患者!";
    for (settings, same) in [
        (None, true),
        (Some(r#"{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}"#), true),
        (Some(r#"{"do_lower_case": false}"#), false),
    ] {
        let mut files = vec![("tokenizer.json", None), ("vocab.txt", Some(vocabulary()))];
        files.extend(settings.map(|settings| ("tokenizer_config.json", Some(settings.to_owned()))));
        let files: Vec<(&str, Option<&str>)> = files.iter().map(|(name, text)| (*name, text.as_deref())).collect();
        let folder = folder(&files);
        let model = Model::load(folder.path()).expect("a model");
        let ids = model.tokenizer.encode(text).expect("ids");
        assert_eq!(ids == tiny_model().tokenizer.encode(text).expect("ids"), same, "{settings:?}");
        SessionThread::start(&model, SessionSettings::default()).expect("a session");
    }
}

#[test]
fn positions_and_padding_are_those_of_the_model_s_family() {
    for (family, positions, padding, wanted) in [
        ("bert", "64", "", (64, 0)),
        ("roberta", "514", "", (512, 1)),
        ("xlm-roberta", "34", r#", "pad_token_id": 1"#, (32, 1)),
        ("modernbert", "8192", r#", "pad_token_id": 50283"#, (512, 50283)),
        ("deberta-v2", "null", "", (512, 0)),
    ] {
        let config = CONFIG
            .replace("64", positions)
            .replace("\"vocab_size\": 43", &format!("\"model_type\": \"{family}\"{padding}"));
        let folder = folder(&[("config.json", Some(&config))]);
        let model = Model::load(folder.path()).expect("a model");
        assert_eq!((model.max_tokens, model.padding), wanted, "{family}");
    }
}

#[test]
fn a_model_that_tells_each_label_on_its_own_is_read_by_a_threshold() {
    let config = CONFIG.replace("{\"id2label\"", "{\"problem_type\": \"multi_label_classification\", \"id2label\"");
    let folder = folder(&[("config.json", Some(&config))]);
    let model = Model::load(folder.path()).expect("a model");
    assert_eq!(model.activation, Activation::Sigmoid { threshold: 0.5 });
    std::fs::write(folder.path().join(SETTINGS_FILE), "threshold = 0.3\n").expect("a file");
    let model = Model::load(folder.path()).expect("a model");
    assert_eq!(model.activation, Activation::Sigmoid { threshold: 0.3 });
    assert_eq!((model.max_tokens, model.labels.len()), (64, 3), "what the settings leave out is the model's own");
}

#[test]
fn a_graph_may_lie_in_a_folder_of_its_own() {
    let folder = folder(&[("model.onnx", None)]);
    std::fs::create_dir(folder.path().join("onnx")).expect("a folder");
    std::fs::copy(tiny_path().join("model.onnx"), folder.path().join("onnx/model.onnx")).expect("a copy");
    let model = Model::load(folder.path()).expect("a model");
    SessionThread::start(&model, SessionSettings::default()).expect("a session");
}

#[test]
fn each_fault_has_its_own_words() {
    for (files, wanted) in [
        (&[("model.onnx", None)][..], "it has no model.onnx"),
        (&[("config.json", None)], "it has no config.json"),
        (&[("tokenizer.json", None)], "it has no tokenizer.json, and no vocab.txt either"),
        (&[("tokenizer.json", None), ("vocab.json", Some("{}"))], "only the files of a slow tokenizer"),
        (
            &[
                ("tokenizer.json", None),
                ("vocab.json", Some("{}")),
                ("merges.txt", Some("")),
                ("config.json", Some(ROBERTA)),
            ],
            "the vocabulary has no <unk>",
        ),
        (&[("tokenizer.json", None), ("vocab.txt", Some("[PAD]\n[UNK]\n[CLS]\n"))], "the vocabulary has no [SEP]"),
        (&[("tokenizer.json", Some("{}"))], "reading tokenizer.json"),
        (&[("config.json", Some("{}"))], "id2label"),
        (&[("config.json", Some("{\"id2label\": {\"0\": \"Yes\", \"2\": \"No\"}}"))], "id2label has no label 1"),
        (&[("model.onnx", Some("hello"))], "does not parse as ONNX"),
        (&[(SETTINGS_FILE, Some("tokenization = \"spark\""))], "is for models that Spark NLP has saved"),
        (&[(SETTINGS_FILE, Some("unit = \"document\"\ncontext_tokens = 5"))], "context_tokens must be 0"),
    ] {
        let folder = folder(files);
        let said = fault(folder.path());
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(fault(Path::new("/nowhere")).contains("there is no such file or folder"));
}

#[test]
fn weights_beside_the_graph_are_looked_at_before_it_is_opened() {
    for (location, wanted) in [
        ("../weights", "leads out of the model's folder"),
        ("/etc/passwd", "leads out of the model's folder"),
        ("..\\weights", "leads out of the model's folder"),
        ("", "leads out of the model's folder"),
        ("weights.bin", "is not there"),
        ("link", "link that leads out"),
    ] {
        let folder = folder(&[]);
        std::fs::write(folder.path().join("model.onnx"), graph_with_weights_in(location)).expect("a file");
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).expect("a link");
        let said = fault(folder.path());
        assert!(said.contains(wanted), "{location}: {said}");
    }
    let short = folder(&[("weights.bin", Some("1234567"))]);
    std::fs::write(short.path().join("model.onnx"), graph_with_weights_in("weights.bin")).expect("a file");
    assert!(fault(short.path()).contains("is shorter than the graph says"));
    let folder = folder(&[("weights.bin", Some("12345678"))]);
    std::fs::write(folder.path().join("model.onnx"), graph_with_weights_in("weights.bin")).expect("a file");
    let first = Model::load(folder.path()).expect("a model").version.sha256;
    std::fs::write(folder.path().join("weights.bin"), "56781234").expect("a file");
    assert_ne!(Model::load(folder.path()).expect("a model").version.sha256, first, "weights decide answers");
}
