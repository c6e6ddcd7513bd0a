//! A model as Spark NLP and Healthcare NLP save it, without Spark: metadata, maps and where the graph is.
//!
//! A folder (or the zip that it is downloaded as) with `metadata/part-*`, `fields/vocabulary/part-*`,
//! `fields/labels/part-*` and `bert_classification_onnx`; or a pipeline that has such a folder among its stages.

pub mod checksum;
mod graph;
pub mod inner_zip;
pub mod java_stream;
pub mod sequence_file;
pub mod tokenizer;

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::archive::{Archive, ArchiveError};
use checksum::Checksums;
pub use graph::with_graph;
use inner_zip::InnerZipError;
use java_stream::{JavaFault, Value};
use sequence_file::SequenceFault;

/// Why a model of this layout cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SparkError {
    /// Its files cannot be listed or read.
    #[error(transparent)]
    Archive(ArchiveError),
    /// There is no `metadata/part-*`.
    #[error("there is no metadata/part-00000: it is no model that Spark NLP has saved")]
    NoMetadata,
    /// There are several models side by side.
    #[error("it holds several models side by side ({0}): give one of them")]
    SeveralModels(String),
    /// The metadata is not JSON, or has no class.
    #[error("{0} is not the metadata of a Spark NLP model")]
    Metadata(String),
    /// Another annotator.
    #[error("it is a {0}, and only BertForSequenceClassification is read")]
    Class(String),
    /// A pipeline without a classifier, or with several.
    #[error("its pipeline has {0} BertForSequenceClassification stages, and one is needed")]
    Stages(usize),
    /// Another engine than ONNX.
    #[error("its engine is {0}, and only onnx is read: export the model to ONNX, or get its ONNX version")]
    Engine(String),
    /// A parameter that makes no sense.
    #[error("its metadata says {0} = {1}, which is not {2}")]
    Parameter(&'static str, String, &'static str),
    /// A field that is not there at all.
    #[error("there is no {0}/part-00000: the copy is not whole")]
    NoField(String),
    /// One part of a field is not there.
    #[error("{0}/part-{1:05} is missing: the copy is not whole")]
    NoPart(String, usize),
    /// A part cannot be read.
    #[error("{name}: {fault}")]
    Sequence {
        /// Which.
        name: String,
        /// Why.
        fault: SequenceFault,
    },
    /// A record of a part cannot be read.
    #[error("{name}: {fault}")]
    Java {
        /// Which.
        name: String,
        /// Why.
        fault: JavaFault,
    },
    /// An entry is there twice, or an id has two entries.
    #[error("{0}: an entry or id is there twice: {1:?}")]
    Twice(&'static str, String),
    /// The ids have a gap.
    #[error("{0}: {1} entries, but no entry has id {2}: a part may be missing")]
    Gap(&'static str, usize, usize),
    /// Too many entries.
    #[error("{0}: more than {ENTRIES_MAX} entries, which no model has")]
    TooMany(&'static str),
    /// A special token is missing, or [PAD] is not the first.
    #[error("the vocabulary has no {0}, without which no text can be given to the model")]
    NoSpecial(&'static str),
    /// [PAD] is elsewhere.
    #[error("the vocabulary's [PAD] has id {0}, and Spark NLP fills up with id 0")]
    Padding(usize),
    /// The graph is not there.
    #[error("there is no bert_classification_onnx: the copy is not whole")]
    NoGraph,
    /// The weights are beside the graph.
    #[error("{0} holds weights beside the graph, which a model of this kind never has")]
    WeightsBeside(String),
    /// A file is not what its checksums say.
    #[error("{0} is not what the checksums beside it ({file}) say: the copy is damaged", file = checksum::name_of(.0))]
    Checksum(String),
    /// A file of checksums is none.
    #[error("{0} holds no checksums of Hadoop's: the copy is damaged")]
    NoChecksums(String),
    /// The zip around the graph cannot be read.
    #[error("{name}: {fault}")]
    InnerZip {
        /// Which.
        name: String,
        /// Why.
        #[source]
        fault: InnerZipError,
    },
}

/// Bytes of a metadata file.
const METADATA_BYTES_MAX: u64 = 1 << 20;
/// Bytes of all parts of a field; the largest vocabularies have some 10 million.
const FIELD_BYTES_MAX: u64 = 128 << 20;
/// Entries of a vocabulary or of the labels.
const ENTRIES_MAX: usize = 1_000_000;
/// Bytes of a graph, packed or not.
/// A protobuf message cannot be larger.
pub const GRAPH_BYTES_MAX: u64 = 2 << 30;
const CLASSIFIER: &str = "BertForSequenceClassification";
const GRAPH: &str = "bert_classification_onnx";

/// How a model turns logits into scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// One label.
    Softmax,
    /// Each label on its own.
    Sigmoid,
}

/// A model's metadata and maps.
#[derive(Clone, Debug, PartialEq)]
pub struct SparkModel {
    /// The annotator's name, without its package.
    pub class: String,
    /// The name of this model within its pipeline.
    pub uid: String,
    /// Whether upper and lower case differ.
    pub case_sensitive: bool,
    /// Tokens that it reads at once, special tokens included.
    pub max_sentence_length: usize,
    /// Whether the answers to a document's sentences are one answer, their mean.
    pub coalesce_sentences: bool,
    /// How logits become scores.
    pub activation: Activation,
    /// Above this score a label is given, with [`Activation::Sigmoid`].
    pub threshold: f32,
    /// Labels in the order of their ids.
    pub labels: Vec<String>,
    /// Vocabulary in the order of its ids.
    pub vocabulary: Vec<String>,
    /// What the names of its files start with: the folder that it is in, and nothing if that is the outermost.
    pub root: String,
    /// Name of the file that holds the zip with the graph.
    pub graph: String,
    /// Names of all files that decide the answers.
    pub files: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    class: String,
    #[serde(default)]
    uid: String,
    #[serde(default, rename = "paramMap")]
    params: Map<String, Json>,
    #[serde(default, rename = "defaultParamMap")]
    defaults: Map<String, Json>,
}

impl SparkModel {
    /// Reads all but the graph.
    pub fn read(archive: &mut Archive) -> Result<Self, SparkError> {
        let (root, metadata_file, metadata) = classifier(archive)?;
        let engine = metadata.text("engine", "tensorflow");
        if engine != "onnx" {
            return Err(SparkError::Engine(engine));
        }
        let mut files = vec![metadata_file];
        let labels = field(archive, &root, "labels", &mut files)?;
        let vocabulary = field(archive, &root, "vocabulary", &mut files)?;
        let special = |text: &'static str| vocabulary.iter().position(|entry| entry == text);
        for text in ["[UNK]", "[CLS]", "[SEP]"] {
            special(text).ok_or(SparkError::NoSpecial(text))?;
        }
        match special("[PAD]") {
            Some(0) => {}
            Some(id) => return Err(SparkError::Padding(id)),
            None => return Err(SparkError::NoSpecial("[PAD]")),
        }
        let graph = graph(archive, &root)?;
        files.push(graph.clone());
        Ok(Self {
            class: simple_name(&metadata.class).to_owned(),
            case_sensitive: metadata.flag("caseSensitive", true)?,
            max_sentence_length: metadata.max_sentence_length()?,
            coalesce_sentences: metadata.flag("coalesceSentences", false)?,
            activation: metadata.activation()?,
            threshold: metadata.threshold()?,
            uid: metadata.uid,
            labels,
            vocabulary,
            root,
            graph,
            files,
        })
    }
}

impl Metadata {
    fn param(&self, name: &str) -> Option<&Json> {
        self.params.get(name).or_else(|| self.defaults.get(name))
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.param(name)
            .map_or_else(|| default.to_owned(), |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    fn flag(&self, name: &'static str, default: bool) -> Result<bool, SparkError> {
        match self.param(name) {
            None => Ok(default),
            Some(value) => {
                value.as_bool().ok_or_else(|| SparkError::Parameter(name, value.to_string(), "true or false"))
            }
        }
    }

    fn max_sentence_length(&self) -> Result<usize, SparkError> {
        let (name, wanted) = ("maxSentenceLength", "a number from 3 to 512");
        let Some(value) = self.param(name) else { return Ok(128) };
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number
            .filter(|number| (3..=512).contains(number))
            .ok_or_else(|| SparkError::Parameter(name, value.to_string(), wanted))
    }

    fn activation(&self) -> Result<Activation, SparkError> {
        let value = self.text("activation", "softmax");
        match value.to_ascii_lowercase().as_str() {
            "softmax" => Ok(Activation::Softmax),
            "sigmoid" => Ok(Activation::Sigmoid),
            _ => Err(SparkError::Parameter("activation", value, "softmax or sigmoid")),
        }
    }

    fn threshold(&self) -> Result<f32, SparkError> {
        let Some(value) = self.param("threshold") else { return Ok(0.5) };
        #[expect(clippy::cast_possible_truncation, reason = "Spark's own threshold is a Float")]
        let number = value.as_f64().map(|number| number as f32);
        number
            .filter(|number| *number > 0.0 && *number < 1.0)
            .ok_or_else(|| SparkError::Parameter("threshold", value.to_string(), "between 0 and 1"))
    }
}

fn simple_name(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

/// Whether a file is a part of what Spark has saved in a folder, and not one of its marks or checksums.
fn part_of<'a>(name: &'a str, folder: &str) -> Option<&'a str> {
    let file = name.strip_prefix(folder)?;
    (file.starts_with("part-") && !file.contains('/')).then_some(file)
}

/// Whether there is `metadata/part-*` anywhere: it may be a model of Spark's.
pub fn has_metadata(archive: &Archive) -> bool {
    !roots(archive).is_empty()
}

/// Folders with `metadata/part-*`, as prefixes of names, with that file.
fn roots(archive: &Archive) -> BTreeMap<String, String> {
    let mut roots = BTreeMap::new();
    for name in archive.names().filter(|name| !name.split('/').any(|part| part == "__MACOSX")) {
        let root = match name.rfind("/metadata/part-") {
            Some(end) => &name[..=end],
            None if name.starts_with("metadata/part-") => "",
            None => continue,
        };
        if part_of(name, &format!("{root}metadata/")).is_some() {
            roots.entry(root.to_owned()).or_insert_with(|| name.to_owned());
        }
    }
    roots
}

/// The folder of the classifier, its metadata's file, and what it says.
fn classifier(archive: &mut Archive) -> Result<(String, String, Metadata), SparkError> {
    let roots = roots(archive);
    let depth = |root: &str| root.matches('/').count();
    let least = roots.keys().map(|root| depth(root)).min().ok_or(SparkError::NoMetadata)?;
    let shallowest: Vec<&String> = roots.keys().filter(|root| depth(root) == least).collect();
    let [root] = shallowest.as_slice() else {
        let names: Vec<&str> = shallowest.iter().take(5).map(|root| root.trim_end_matches('/')).collect();
        return Err(SparkError::SeveralModels(names.join(", ")));
    };
    let (root, file) = ((*root).clone(), roots[*root].clone());
    let metadata = metadata(archive, &file)?;
    if simple_name(&metadata.class).ends_with(CLASSIFIER) {
        return Ok((root, file, metadata));
    }
    if !simple_name(&metadata.class).starts_with("PipelineModel") {
        return Err(SparkError::Class(simple_name(&metadata.class).to_owned()));
    }
    let mut stages = Vec::new();
    for (stage, file) in roots.iter().filter(|(stage, _)| stage.starts_with(&format!("{root}stages/"))) {
        let metadata = self::metadata(archive, file)?;
        if simple_name(&metadata.class).ends_with(CLASSIFIER) {
            stages.push((stage.clone(), file.clone(), metadata));
        }
    }
    let count = stages.len();
    stages.pop().filter(|_| count == 1).ok_or(SparkError::Stages(count))
}

fn metadata(archive: &mut Archive, name: &str) -> Result<Metadata, SparkError> {
    let bytes = read(archive, name, METADATA_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|_| SparkError::Metadata(name.to_owned()))
}

/// The whole of a file, held against its checksums.
fn read(archive: &mut Archive, name: &str, limit: u64) -> Result<Vec<u8>, SparkError> {
    let checksums = checksums(archive, name)?;
    let bytes = archive.read(name, limit).map_err(SparkError::Archive)?;
    if let Some(mut checksums) = checksums {
        checksums.update(&bytes);
        if !checksums.hold() {
            return Err(SparkError::Checksum(name.to_owned()));
        }
    }
    Ok(bytes)
}

/// The checksums of a file, if there are any beside it.
fn checksums(archive: &mut Archive, name: &str) -> Result<Option<Checksums>, SparkError> {
    let beside = checksum::name_of(name);
    if !archive.has(&beside) {
        return Ok(None);
    }
    let bytes = archive.read(&beside, checksum::BYTES_MAX).map_err(SparkError::Archive)?;
    Checksums::read(&bytes).map(Some).ok_or(SparkError::NoChecksums(beside))
}

/// A map of texts to the numbers from 0 on, as the texts in that order.
fn field(
    archive: &mut Archive,
    root: &str,
    field: &'static str,
    files: &mut Vec<String>,
) -> Result<Vec<String>, SparkError> {
    let folder = format!("{root}fields/{field}/");
    let shown = folder.trim_end_matches('/').to_owned();
    let parts: Vec<String> =
        archive.names().filter(|name| part_of(name, &folder).is_some()).map(str::to_owned).collect();
    if parts.is_empty() {
        return Err(SparkError::NoField(shown));
    }
    all_parts(&parts, &folder).map_err(|missing| SparkError::NoPart(shown, missing))?;
    let mut map: HashMap<String, i32> = HashMap::new();
    let mut left = FIELD_BYTES_MAX;
    for name in parts {
        let bytes = read(archive, &name, left)?;
        left -= bytes.len() as u64;
        read_part(&bytes, &name, field, &mut map)?;
        files.push(name);
    }
    in_order(field, map)
}

/// Spark numbers the parts from 0 on; the error is the first that is not there.
fn all_parts(parts: &[String], folder: &str) -> Result<(), usize> {
    let number = |name: &String| -> Option<usize> { part_of(name, folder)?.get(5..10)?.parse().ok() };
    let mut numbers: Vec<usize> = parts.iter().filter_map(number).collect();
    numbers.sort_unstable();
    match numbers.iter().enumerate().find(|(wanted, number)| *wanted != **number) {
        Some((missing, _)) => Err(missing),
        None => Ok(()),
    }
}

fn read_part(bytes: &[u8], name: &str, field: &'static str, map: &mut HashMap<String, i32>) -> Result<(), SparkError> {
    let name = || name.to_owned();
    let damaged = |fault| SparkError::Sequence { name: name(), fault };
    for record in sequence_file::records(bytes).map_err(damaged)? {
        let record = record.map_err(damaged)?;
        for (text, value) in java_stream::pairs(record).map_err(|fault| SparkError::Java { name: name(), fault })? {
            let Value::Number(id) = value else {
                return Err(SparkError::Java { name: name(), fault: JavaFault::Shape("number") });
            };
            if map.len() >= ENTRIES_MAX {
                return Err(SparkError::TooMany(field));
            }
            if map.insert(text.clone(), id).is_some() {
                return Err(SparkError::Twice(field, text));
            }
        }
    }
    Ok(())
}

fn in_order(field: &'static str, map: HashMap<String, i32>) -> Result<Vec<String>, SparkError> {
    let count = map.len();
    let mut order: Vec<Option<String>> = vec![None; count];
    for (text, id) in map {
        // An id beyond the number of entries leaves a gap, which is found below.
        if let Some(place) = usize::try_from(id).ok().and_then(|id| order.get_mut(id)) {
            if place.is_some() {
                return Err(SparkError::Twice(field, text));
            }
            *place = Some(text);
        }
    }
    match order.iter().position(Option::is_none) {
        Some(gap) => Err(SparkError::Gap(field, count, gap)),
        None => Ok(order.into_iter().flatten().collect()),
    }
}

fn graph(archive: &Archive, root: &str) -> Result<String, SparkError> {
    let here = |name: &&str| name.strip_prefix(root).is_some_and(|file| !file.contains('/') && !file.starts_with('.'));
    let files: Vec<&str> = archive.names().filter(here).collect();
    if let Some(name) =
        files.iter().find(|name| name.ends_with("onnx_data") || name.ends_with(&format!("{GRAPH}_data")))
    {
        return Err(SparkError::WeightsBeside((*name).to_owned()));
    }
    let wanted = format!("{root}{GRAPH}");
    files.contains(&wanted.as_str()).then_some(wanted).ok_or(SparkError::NoGraph)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_vocabulary_as_large_as_bert_s_is_read_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/sparknlp");
        let (part, truth) = (folder.join("vocab_28996_1part/part-00000"), folder.join("vocab_28996.txt.gz"));
        let (Ok(bytes), Ok(truth)) = (std::fs::read(part), std::fs::File::open(truth)) else {
            eprintln!("SKIPPED: no {}", folder.display());
            return;
        };
        let mut wanted = String::new();
        flate2::read::GzDecoder::new(truth).read_to_string(&mut wanted).expect("text");
        let mut map = HashMap::new();
        read_part(&bytes, "part-00000", "vocabulary", &mut map).expect("entries");
        let entries = in_order("vocabulary", map).expect("an order");
        assert_eq!(entries.len(), 28_996);
        let wanted: Vec<&str> = wanted.strip_suffix('\n').unwrap_or(&wanted).split('\n').collect();
        assert!(entries == wanted, "an entry differs from the truth");
    }
}
