//! Spark NLP models of every shape that we know of, made of the tiny model: those that are read, and the words with which
//! the others are refused.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use zip::CompressionMethod::Deflated;
use zip::write::SimpleFileOptions;

use crate::classify::graph_file::tests::graph_with_weights_in;
use crate::classify::model::{Layout, Model, Reads, SETTINGS_FILE};
use crate::classify::session::{SessionSettings, SessionThread};
use crate::classify::spark::checksum;
use crate::classify::spark::checksum::tests::checksums;
use crate::classify::spark::java_stream::tests::stream;
use crate::classify::spark::sequence_file::tests::file;
use crate::classify::testing::tiny_path;

const CLASS: &str = "com.johnsnowlabs.nlp.annotators.classification.MedicalBertForSequenceClassification";
const GRAPH: &str = "bert_classification_onnx";

/// A model's files by their names.
#[derive(Clone)]
pub(in crate::classify) struct Files(pub(in crate::classify) Vec<(String, Vec<u8>)>);

/// A part of a field: records of ten entries, with a marker before every third.
fn part(entries: &[(&str, i32)]) -> Vec<u8> {
    let records: Vec<Vec<u8>> = entries.chunks(10).map(stream).collect();
    let values: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    file(&values, &(0..values.len()).step_by(3).collect::<Vec<_>>())
}

pub(in crate::classify) fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(name.as_str(), SimpleFileOptions::default().compression_method(Deflated)).expect("a file");
        writer.write_all(content).expect("content");
    }
    writer.finish().expect("a zip").into_inner()
}

fn metadata(class: &str, params: &Json) -> Vec<u8> {
    let metadata =
        json!({"class": class, "uid": "tiny", "paramMap": params, "defaultParamMap": {"engine": "tensorflow"}});
    format!("{metadata}\n").into_bytes()
}

impl Files {
    /// The tiny model: its vocabulary in four parts, its labels in three of which one holds nothing.
    pub(in crate::classify) fn whole() -> Self {
        let json = std::fs::read_to_string(tiny_path().join("tokenizer.json")).expect("a tokenizer");
        let json: Json = serde_json::from_str(&json).expect("JSON");
        let vocabulary: Vec<(String, i32)> = json["model"]["vocab"]
            .as_object()
            .expect("a vocabulary")
            .iter()
            .map(|(text, id)| (text.clone(), i32::try_from(id.as_i64().expect("an id")).expect("an id")))
            .collect();
        let vocabulary: Vec<(&str, i32)> = vocabulary.iter().map(|(text, id)| (text.as_str(), *id)).collect();
        let mut files = Self(Vec::new());
        files.put(
            "metadata/part-00000",
            metadata(CLASS, &json!({"engine": "onnx", "maxSentenceLength": 16, "caseSensitive": false})),
        );
        for (number, entries) in vocabulary.chunks(11).enumerate() {
            files.put(&format!("fields/vocabulary/part-{number:05}"), part(entries));
        }
        for (number, entries) in [&[("NA", 2), ("Yes", 0)][..], &[], &[("No", 1)]].into_iter().enumerate() {
            files.put(&format!("fields/labels/part-{number:05}"), part(entries));
        }
        for name in ["fields/labels/_SUCCESS", "fields/labels/._SUCCESS.crc"] {
            files.put(name, Vec::new());
        }
        files.graph(&std::fs::read(tiny_path().join("model.onnx")).expect("a graph"));
        files
    }

    pub(in crate::classify) fn put(&mut self, name: &str, content: Vec<u8>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), content));
    }

    fn take(&mut self, name: &str) -> Vec<u8> {
        let place = self.0.iter().position(|(known, _)| known == name).expect("a file");
        self.0.remove(place).1
    }

    fn graph(&mut self, graph: &[u8]) {
        self.put(GRAPH, zipped(&[("model.onnx".to_owned(), graph.to_vec())]));
    }

    pub(in crate::classify) fn params(&mut self, params: &Json) {
        self.put("metadata/part-00000", metadata(CLASS, params));
    }

    /// All of it below a folder.
    fn below(&self, folder: &str) -> Self {
        Self(self.0.iter().map(|(name, content)| (format!("{folder}{name}"), content.clone())).collect())
    }

    /// Written below the folder.
    pub(in crate::classify) fn write(&self, folder: &Path) -> PathBuf {
        for (name, content) in &self.0 {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        folder.to_owned()
    }

    fn write_zip(&self, folder: &Path) -> PathBuf {
        let path = folder.join("model.zip");
        std::fs::write(&path, zipped(&self.0)).expect("a file");
        path
    }
}

/// What comes of loading and starting a model: its error with all causes, or nothing.
fn fault(path: &Path) -> Option<String> {
    let settings = SessionSettings { threads: 1, ..SessionSettings::default() };
    let error: Box<dyn std::error::Error> = match Model::load(path) {
        Err(error) => Box::new(error),
        Ok(model) => match SessionThread::start(&model, settings) {
            Err(error) => Box::new(error),
            Ok(_) => return None,
        },
    };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Some(text)
}

#[test]
fn a_model_is_read_from_a_folder_a_zip_and_a_pipeline_however_it_was_packed() {
    let whole = Files::whole();
    let mut rezipped = whole.below("a folder/");
    rezipped.put("__MACOSX/a folder/metadata/._part-00000", b"x".to_vec());
    rezipped.put("__MACOSX/a folder/metadata/part-00000", b"x".to_vec());
    let mut pipeline = whole.below("stages/1_tiny/");
    pipeline.put(
        "metadata/part-00000",
        metadata("org.apache.spark.ml.PipelineModel", &json!({"stageUids": ["a", "tiny"]})),
    );
    pipeline.put("stages/0_a/metadata/part-00000", metadata("com.johnsnowlabs.nlp.DocumentAssembler", &json!({})));
    let mut newer = whole.clone();
    let text = newer.take("metadata/part-00000");
    newer.put("metadata/part-00000-5a4d-c000.txt", text);
    for files in [whole, rezipped, pipeline, newer] {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = [files.write(&folder.path().join("model")), files.write_zip(folder.path())];
        for path in paths {
            let model = Model::load(&path).expect("a model");
            assert_eq!((model.layout, model.reads, model.max_tokens), (Layout::SparkNlp, Reads::Document, 16));
            let names: Vec<&str> = model.labels.iter().map(|own| own.name.as_str()).collect();
            assert_eq!((names, model.vocabulary), (vec!["Yes", "No", "NA"], Some(43)));
            assert_eq!(model.version.id, "model");
            let session = SessionThread::start(&model, SessionSettings::default()).expect("a session");
            let ids = model.tokenizer.encode("Mass stable.").expect("ids");
            // The scores of "stable" (5) and [CLS] (2 for NA) in tests/fixtures/models/make.py.
            assert_eq!(session.logits_blocking(ids).expect("logits"), [5.0, 0.0, 2.0]);
        }
    }
}

/// A change to the whole model, and what is said of it then.
type Case = (&'static str, fn(&mut Files), &'static str);

const FIELDS: [Case; 14] = [
    (
        "a field that is no SequenceFile",
        |f| f.put("fields/labels/part-00001", b"hello".to_vec()),
        "does not start with SEQ",
    ),
    ("a parquet field", |f| f.put("fields/labels/part-00001", b"PAR1".to_vec()), "parquet"),
    ("compressed records", |f| change(f, "fields/labels/part-00001", 73, 1), "its records are compressed"),
    ("compressed blocks", |f| change(f, "fields/labels/part-00001", 74, 1), "its records are compressed"),
    ("another version", |f| change(f, "fields/labels/part-00001", 3, 5), "version 5"),
    ("a record that is no Java", |f| f.put("fields/labels/part-00001", file(&[b"hello"], &[])), "Java's serialisation"),
    ("a part that was cut off", |f| cut(f, "fields/vocabulary/part-00002"), "the copy is not whole"),
    ("a missing part", |f| drop(f.take("fields/vocabulary/part-00001")), "fields/vocabulary/part-00001 is missing"),
    ("the last part missing", |f| drop(f.take("fields/vocabulary/part-00003")), "a part may be missing"),
    ("a missing field", |f| f.0.retain(|(name, _)| !name.starts_with("fields/labels")), "no fields/labels/part-00000"),
    ("an id twice", |f| labels(f, &[("Yes", 0), ("No", 0)]), "is there twice"),
    ("an entry twice", |f| f.put("fields/labels/part-00001", part(&[("Yes", 3)])), "is there twice: \"Yes\""),
    ("a gap", |f| labels(f, &[("Yes", 0), ("No", 2)]), "no entry has id 1"),
    ("an id below zero", |f| labels(f, &[("Yes", 0), ("No", -1)]), "no entry has id 1"),
];

const META: [Case; 15] = [
    ("the TensorFlow engine by default", |f| f.params(&json!({})), "its engine is tensorflow"),
    ("the OpenVINO engine", |f| f.params(&json!({"engine": "openvino"})), "its engine is openvino"),
    (
        "metadata that is no JSON",
        |f| f.put("metadata/part-00000", b"{".to_vec()),
        "not the metadata of a Spark NLP model",
    ),
    ("no metadata", |f| drop(f.take("metadata/part-00000")), "no metadata/part-00000"),
    (
        "another annotator",
        |f| f.put("metadata/part-00000", metadata("com.johnsnowlabs.nlp.NerDLModel", &json!({"engine": "onnx"}))),
        "it is a NerDLModel",
    ),
    (
        "a pipeline without a classifier",
        |f| f.put("metadata/part-00000", metadata("org.apache.spark.ml.PipelineModel", &json!({}))),
        "0 BertForSequenceClassification stages",
    ),
    (
        "a length of 4,096",
        |f| f.params(&json!({"engine": "onnx", "maxSentenceLength": 4096})),
        "maxSentenceLength = 4096",
    ),
    ("an unknown activation", |f| f.params(&json!({"engine": "onnx", "activation": "tanh"})), "softmax or sigmoid"),
    ("a threshold of 2", |f| f.params(&json!({"engine": "onnx", "threshold": 2})), "between 0 and 1"),
    ("no [UNK]", |f| rename(f, "[UNK]", "[unk]"), "has no [UNK]"),
    ("no [CLS]", |f| rename(f, "[CLS]", "[cls]"), "has no [CLS]"),
    ("no [SEP]", |f| rename(f, "[SEP]", "[sep]"), "has no [SEP]"),
    ("no [PAD]", |f| rename(f, "[PAD]", "[pad]"), "has no [PAD]"),
    ("labels without a meaning", |f| labels(f, &[("good", 0), ("bad", 1), ("NA", 2)]), SETTINGS_FILE),
    ("two models", |f| *f = Files([f.below("a/").0, f.below("b/").0].concat()), "several models side by side (a, b)"),
];

const GRAPHS: [Case; 10] = [
    ("no graph", |f| drop(f.take(GRAPH)), "no bert_classification_onnx"),
    ("a graph that is no zip", |f| f.put(GRAPH, b"\x93secret".to_vec()), "it is not a zip: it may be encrypted"),
    ("an empty zip", |f| f.put(GRAPH, zipped(&[])), "holds no file"),
    ("two graphs", |f| f.put(GRAPH, zipped(&[("a".into(), tiny()), ("b".into(), tiny())])), "more than one file"),
    ("an encrypted graph", |f| change(f, GRAPH, 6, 1), "its zip is encrypted"),
    ("a damaged graph", |f| change(f, GRAPH, 14, 1), "the copy is damaged"),
    ("a graph that is no ONNX", |f| f.graph(b"\x0f\x0fhello"), "does not parse as ONNX"),
    ("a graph that was cut off", |f| f.graph(&tiny()[..900]), "does not parse as ONNX (it ends too early)"),
    (
        "weights beside the graph",
        |f| f.put("bert_classification_onnx_data", Vec::new()),
        "holds weights beside the graph",
    ),
    (
        "other labels than logits",
        |f| labels(f, &[("Yes", 0), ("No", 1)]),
        "tells 3 classes apart, and the model has 2 labels",
    ),
];

const MORE_GRAPHS: [Case; 3] = [
    (
        "other inputs",
        |f| f.graph(&replaced(&tiny(), b"input_ids", b"input_xyz")),
        "input input_xyz is not one that we know",
    ),
    ("no output logits", |f| f.graph(&replaced(&tiny(), b"logits", b"answer")), "it has no output logits"),
    (
        "a vocabulary that is too large",
        |f| f.put("fields/vocabulary/part-00004", part(&[("more", 43)])),
        "token 43, the last",
    ),
];

fn tiny() -> Vec<u8> {
    std::fs::read(tiny_path().join("model.onnx")).expect("a graph")
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for place in 0..bytes.len() {
        if bytes[place..].starts_with(from) && !bytes[..place].ends_with(b"_") {
            bytes[place..place + from.len()].copy_from_slice(to);
        }
    }
    bytes
}

fn change(files: &mut Files, name: &str, place: usize, byte: u8) {
    let mut content = files.take(name);
    content[place] = byte;
    files.put(name, content);
}

fn cut(files: &mut Files, name: &str) {
    let mut content = files.take(name);
    content.truncate(content.len() - 5);
    files.put(name, content);
}

fn labels(files: &mut Files, labels: &[(&str, i32)]) {
    files.0.retain(|(name, _)| !name.starts_with("fields/labels/"));
    files.put("fields/labels/part-00000", part(labels));
}

fn rename(files: &mut Files, from: &str, to: &str) {
    for (_, content) in files.0.iter_mut().filter(|(name, _)| name.starts_with("fields/vocabulary/")) {
        *content = replaced(content, from.as_bytes(), to.as_bytes());
    }
}

#[test]
fn each_fault_of_a_model_has_its_own_words_in_a_folder_and_in_a_zip() {
    for (case, change, wanted) in FIELDS.iter().chain(&META).chain(&GRAPHS).chain(&MORE_GRAPHS) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = Files::whole();
        change(&mut files);
        let said = fault(&files.write_zip(folder.path())).unwrap_or_else(|| panic!("{case}: no fault in a zip"));
        assert!(said.contains(wanted), "{case} in a zip: {said}");
        // A folder without a trace of Spark NLP is taken for one of Hugging Face's.
        let said = fault(&files.write(&folder.path().join("model"))).unwrap_or_else(|| panic!("{case}: no fault"));
        assert!(
            said.contains(wanted) || *case == "no metadata" && said.contains("it has no model.onnx"),
            "{case}: {said}"
        );
    }
}

#[test]
fn a_zip_that_is_not_to_be_trusted_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.zip");
    let said = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a file");
        fault(&path).expect("a fault")
    };
    let whole = zipped(&Files::whole().0);
    assert!(said(b"hello").contains("it is not a zip file"), "no zip at all");
    assert!(said(b"PK\x03\x04").contains("not a whole one"), "cut off at its start");
    assert!(said(&whole[..whole.len() / 2]).contains("not a whole one"), "cut off");
    for name in ["../metadata/part-00000", "/etc/passwd", "a/../../b", "C:\\a", "..\\a"] {
        let mut files = Files::whole();
        files.put(name, Vec::new());
        assert!(said(&zipped(&files.0)).contains("leads out of the archive"), "{name}");
    }
    // The flag of encryption is at byte 6 of a local header, and at byte 8 of the directory's entry.
    let mut encrypted = whole.clone();
    let entry = (0..whole.len()).rev().find(|place| whole[*place..].starts_with(b"PK\x01\x02")).expect("an entry");
    encrypted[entry + 8] |= 1;
    assert!(said(&encrypted).contains("is encrypted"), "encrypted");
    let mut other = whole.clone();
    other[entry + 10] = 12;
    assert!(said(&other).contains("compressed by a method"), "bzip2");
    let mut bomb = Files::whole();
    bomb.put(GRAPH, vec![0; 65 << 20]);
    assert!(said(&zipped(&bomb.0)).contains("would grow more than"), "a bomb");
    let mut large = Files::whole();
    large.put("metadata/part-00000", vec![b' '; 2 << 20]);
    assert!(said(&zipped(&large.0)).contains("larger than"), "large");
    let mut deep = Files::whole();
    deep.put(&"a/".repeat(40), Vec::new());
    deep.put(&format!("{}b", "a/".repeat(40)), Vec::new());
    assert!(said(&zipped(&deep.0)).contains("deep"), "deep");
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_out_of_the_folder_is_refused_and_one_within_it_is_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Files::whole().write(&folder.path().join("model"));
    let graph = model.join(GRAPH);
    std::fs::rename(&graph, model.join("elsewhere")).expect("moved");
    std::os::unix::fs::symlink("elsewhere", &graph).expect("a link");
    assert_eq!(fault(&model), None);
    std::fs::rename(model.join("elsewhere"), folder.path().join("outside")).expect("moved");
    std::fs::remove_file(&graph).expect("removed");
    std::os::unix::fs::symlink("../outside", &graph).expect("a link");
    let said = fault(&model).expect("a fault");
    assert!(said.contains("link that leads out of the model's folder") && said.contains("cp -L"), "{said}");
}

#[test]
fn our_settings_beside_a_model_say_how_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Files::whole();
    labels(&mut files, &[("good", 0), ("bad", 1), ("other", 2)]);
    let path = files.write_zip(folder.path());
    let before = fault(&path).expect("labels without a meaning");
    assert!(before.contains("[labels]") && before.contains("good"), "{before}");
    let settings = "id = \"mine\"\nunit = \"sentence\"\ntokenization = \"huggingface\"\nmax_tokens = 12\n\
         activation = \"sigmoid\"\nthreshold = 0.7\n\
         [labels]\ngood = \"responded\"\nbad = \"not-responded\"\nother = \"not-stated\"\n";
    std::fs::write(folder.path().join(SETTINGS_FILE), "this is not for a zip").expect("a file");
    std::fs::write(folder.path().join("model.toml"), settings).expect("a file");
    let model = Model::load(&path).expect("a model");
    assert_eq!((model.version.id.as_str(), model.reads, model.max_tokens), ("mine", Reads::Sentences, 12));
    assert_eq!(model.tokenizer.tokenization(), "huggingface");
    assert_eq!(model.tokenizer.encode("stable-scan").expect("ids").len(), 5, "nothing of a word is left out");
    SessionThread::start(&model, SessionSettings::default()).expect("a session");
    let other = Model::load(&Files::whole().write(&folder.path().join("model"))).expect("a model");
    assert_ne!(other.version.sha256, model.version.sha256);
    for (from, to, wanted) in [
        ("other = ", "others = ", "\"other\" means is not known"),
        ("[labels]\n", "[labels]\nmore = \"responded\"\n", "the model has no label \"more\""),
        ("threshold = 0.7", "threshold = 1.7", "threshold must lie between"),
        ("\"sigmoid\"", "\"softmax\"", "a threshold is for"),
        ("max_tokens = 12", "max_tokens = 600", "max_tokens is 600"),
        ("\"sentence\"", "\"page\"", "unknown variant"),
    ] {
        std::fs::write(folder.path().join("model.toml"), settings.replacen(from, to, 1)).expect("a file");
        let said = fault(&path).expect("a fault");
        assert!(said.contains(wanted), "{to}: {said}");
    }
}

#[test]
fn a_zip_and_what_is_in_it_are_one_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let hash = |path: &Path| Model::load(path).expect("a model").version.sha256;
    let mut files = Files::whole();
    let plain = hash(&files.write_zip(folder.path()));
    let unpacked = files.write(&folder.path().join("unpacked"));
    assert_eq!(hash(&unpacked), plain);
    assert_eq!(hash(&files.below("top/").write_zip(folder.path())), plain);
    // Our settings are a part of it, wherever they are.
    let settings = "id = \"mine\"\n";
    files.write_zip(folder.path());
    std::fs::write(folder.path().join("model.toml"), settings).expect("a file");
    let beside = hash(&folder.path().join("model.zip"));
    assert_ne!(beside, plain);
    std::fs::write(unpacked.join(SETTINGS_FILE), settings).expect("a file");
    assert_eq!(hash(&unpacked), beside);
    std::fs::write(folder.path().join("model.toml"), "id = \"other\"\n").expect("a file");
    files.put(SETTINGS_FILE, settings.as_bytes().to_vec());
    let model = Model::load(&files.write_zip(folder.path())).expect("a model");
    assert_eq!((model.version.sha256, model.version.id.as_str()), (beside, "mine"), "those within come first");
    files.put(&format!("fields/labels/part-{:05}", 1), part(&[("NA", 2)]));
    files.put(&format!("fields/labels/part-{:05}", 0), part(&[("Yes", 0)]));
    assert_ne!(hash(&files.write_zip(folder.path())), beside);
}

#[test]
fn checksums_beside_the_files_must_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Files::whole();
    for (name, content) in files.0.clone().iter().filter(|(name, _)| !name.contains("_SUCCESS")) {
        files.put(&checksum::name_of(name), checksums(content));
    }
    assert_eq!(fault(&files.write_zip(folder.path())), None);
    assert_eq!(fault(&files.write(&folder.path().join("whole"))), None);
    for (name, place) in [("metadata/part-00000", 3), ("fields/vocabulary/part-00002", 120), (GRAPH, 90)] {
        let mut files = files.clone();
        change(&mut files, name, place, b'~');
        let said = fault(&files.write_zip(folder.path())).expect("a fault");
        let wanted = format!("{name} is not what the checksums beside it ({}) say", checksum::name_of(name));
        assert!(said.contains(&wanted), "{said}");
        files.put(&checksum::name_of(name), b"no checksums".to_vec());
        let said = fault(&files.write_zip(folder.path())).expect("a fault");
        assert!(said.contains(&format!("{} holds no checksums", checksum::name_of(name))), "{said}");
    }
}

#[test]
fn a_graph_with_weights_elsewhere_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for location in ["weights", "/etc/passwd"] {
        let mut files = Files::whole();
        files.graph(&graph_with_weights_in(location));
        let said = fault(&files.write_zip(folder.path())).expect("a fault");
        assert!(said.contains(&format!("{location} holds weights beside the graph")), "{said}");
    }
}
