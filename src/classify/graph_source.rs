//! Where a graph is, and getting it to where ONNX Runtime can open it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::archive::Archive;
use super::files;
use super::graph_file::{self, GraphFileError, GraphParts};
use super::model::ModelError;
use super::spark::{self, SparkError};

/// Where a graph is.
#[derive(Clone, Debug)]
pub enum GraphSource {
    /// In the executable.
    Embedded(&'static [u8]),
    /// In a file; weights in files beside it are found by ONNX Runtime.
    File(PathBuf),
    /// In a file that holds its weights too, which are to be taken out of it.
    Split {
        /// The file.
        path: PathBuf,
        /// What came of that already.
        taken: Taken,
    },
    /// In a zip within a model of Spark NLP, which is a folder or a zip again.
    Spark {
        /// The model.
        model: PathBuf,
        /// The inner zip.
        name: String,
        /// Its graph with the weights taken out, if that was done already.
        taken: Taken,
    },
}

/// A graph and the folder with its weights, from when the model was read until a session opens it: so that what was
/// hashed is what is run, and a large file is read once.
#[derive(Clone, Default)]
pub struct Taken(Arc<Mutex<Option<Separated>>>);

/// A graph, and the folder with its weights.
type Separated = (Vec<u8>, TempDir);

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Taken")
    }
}

impl Taken {
    fn new(graph: Vec<u8>, folder: TempDir) -> Self {
        Self(Arc::new(Mutex::new(Some((graph, folder)))))
    }

    /// What there is; the next one to ask must read the model again.
    fn take(&self) -> Option<Graph> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.map(|(graph, folder)| Graph::Split(graph, folder))
    }
}

/// A graph that ONNX Runtime can open.
#[derive(Debug)]
pub(super) enum Graph {
    Memory(&'static [u8]),
    File(PathBuf),
    /// The graph, and the folder of its weights: they are mapped into memory, so the folder may go once it is open.
    Split(Vec<u8>, TempDir),
}

/// Name of the file of weights in a folder of its own.
const WEIGHTS: &str = "weights";

impl GraphSource {
    /// Gets it to where it can be opened.
    pub(super) fn prepare(&self) -> Result<Graph, ModelError> {
        match self {
            Self::Embedded(bytes) => Ok(Graph::Memory(bytes)),
            Self::File(path) => Ok(Graph::File(path.clone())),
            Self::Split { path, taken } => taken.take().map_or_else(
                || {
                    let (parts, folder) = split(path)?;
                    Ok(Graph::Split(parts.graph, folder))
                },
                Ok,
            ),
            Self::Spark { model, name, taken } => taken.take().map_or_else(
                || {
                    let mut archive = Archive::open(model).map_err(ModelError::Archive)?;
                    let (graph, folder) = spark_graph(&mut archive, name, &mut |_| {})?;
                    Ok(Graph::Split(graph, folder))
                },
                Ok,
            ),
        }
    }

    /// A graph in a file that holds large weights; without them if the graph says that others are in files beside it, of
    /// which it gives the names and the bytes that each holds at least.
    pub(super) fn of_large_file(path: &Path) -> Result<(Self, BTreeMap<String, u64>), ModelError> {
        let (parts, folder) = split(path)?;
        let path = path.to_owned();
        if parts.external.is_empty() && parts.weight_bytes > 0 {
            return Ok((Self::Split { path, taken: Taken::new(parts.graph, folder) }, BTreeMap::new()));
        }
        Ok((Self::File(path), parts.external))
    }

    /// The graph of a Spark NLP model, with the SHA-256 of the inner zip.
    pub(super) fn of_spark(archive: &mut Archive, model: &Path, name: String) -> Result<(Self, [u8; 32]), ModelError> {
        let mut hasher = Sha256::new();
        let (graph, folder) = spark_graph(archive, &name, &mut |bytes| hasher.update(bytes))?;
        let taken = Taken::new(graph, folder);
        Ok((Self::Spark { model: model.to_owned(), name, taken }, hasher.finalize().into()))
    }
}

fn split(path: &Path) -> Result<(GraphParts, TempDir), ModelError> {
    let fault = |source| ModelError::GraphFile { name: path.display().to_string(), source };
    let file = files::open(path)?;
    with_weights(|weights| graph_file::split(file, weights, WEIGHTS).map_err(fault))
}

fn spark_graph(archive: &mut Archive, name: &str, watch: &mut dyn FnMut(&[u8])) -> Result<Separated, ModelError> {
    let fault = |source| ModelError::GraphFile { name: name.to_owned(), source };
    let (parts, folder) = with_weights(|weights| {
        spark::with_graph(archive, name, watch, |content| {
            let parts = graph_file::split(content, weights, WEIGHTS).map_err(fault)?;
            match parts.external.keys().next() {
                Some(outer) => Err(ModelError::Spark(SparkError::WeightsBeside(outer.clone()))),
                None => Ok(parts),
            }
        })
    })?;
    Ok((parts.graph, folder))
}

/// A folder that nobody else can read, with a file for weights in it.
fn with_weights(
    fill: impl FnOnce(BufWriter<File>) -> Result<GraphParts, ModelError>,
) -> Result<(GraphParts, TempDir), ModelError> {
    let fail = |source| ModelError::Temporary(GraphFileError::Write(source));
    let folder = tempfile::Builder::new().prefix("responsum-model-").tempdir().map_err(fail)?;
    let file = File::create_new(folder.path().join(WEIGHTS)).map_err(fail)?;
    let parts = fill(BufWriter::with_capacity(1 << 18, file))?;
    Ok((parts, folder))
}
