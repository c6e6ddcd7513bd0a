//! Where a graph is, and getting it to where ONNX Runtime can open it.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

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
    Split(PathBuf),
    /// In a zip within a model of Spark NLP, which is a folder or a zip again.
    Spark {
        /// The model.
        model: PathBuf,
        /// The inner zip.
        name: String,
    },
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
            Self::Split(path) => {
                let fault = |source| ModelError::GraphFile { name: path.display().to_string(), source };
                let file = files::open(path)?;
                let (parts, folder) = with_weights(|weights| graph_file::split(file, weights, WEIGHTS).map_err(fault))?;
                Ok(Graph::Split(parts.graph, folder))
            }
            Self::Spark { model, name } => spark_graph(model, name),
        }
    }
}

fn spark_graph(model: &Path, name: &str) -> Result<Graph, ModelError> {
    let mut archive = Archive::open(model).map_err(ModelError::Archive)?;
    let fault = |source| ModelError::GraphFile { name: name.to_owned(), source };
    let (parts, folder) = with_weights(|weights| {
        spark::with_graph(&mut archive, name, |content| {
            let parts = graph_file::split(content, weights, WEIGHTS).map_err(fault)?;
            match parts.external.first() {
                Some(outer) => Err(ModelError::Spark(SparkError::WeightsBeside(outer.clone()))),
                None => Ok(parts),
            }
        })
    })?;
    Ok(Graph::Split(parts.graph, folder))
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
