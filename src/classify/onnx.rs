//! ONNX Runtime: finding its library, loading a graph, running a batch. The only file that names `ort`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep;
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use super::graph_source::Graph as Source;
use super::provider::{ExecutionProvider, MissingProvider, ProviderSettings};
use super::session::SessionSettings;

/// Why ONNX Runtime cannot be had, a graph cannot be loaded, or a batch cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// No library was found that can be used.
    #[error(
        "no usable ONNX Runtime library (1.{minimum} or later); tried {}; `cargo xtask setup` brings one, or set \
         ORT_DYLIB_PATH to one",
        tried.join("; ")
    )]
    Library {
        /// Each place with what was wrong there.
        tried: Vec<String>,
        /// The oldest minor version that will do.
        minimum: u32,
    },
    /// ONNX Runtime gave an error.
    #[error("{doing}")]
    Runtime {
        /// What we were doing.
        doing: &'static str,
        /// What it said.
        #[source]
        source: ort::Error,
    },
    /// The provider is not there.
    #[error(
        "the execution provider {} is not there ({reason}): load an ONNX Runtime that has it (ORT_DYLIB_PATH), or set \
         execution_provider to cpu, or execution_provider_missing to cpu",
        provider.name()
    )]
    Provider {
        /// Which.
        provider: ExecutionProvider,
        /// Why not.
        reason: String,
    },
    /// The vocabulary has tokens that the graph does not know.
    #[error(
        "the ONNX graph does not fit: it fails on token {0}, the last of the vocabulary: they are not of one model"
    )]
    VocabularyTooLarge(u32),
    /// The graph does not fit what we give it or want of it.
    #[error("the ONNX graph does not fit: {0}")]
    Graph(String),
}

impl OnnxError {
    fn runtime<R>(doing: &'static str) -> impl FnOnce(ort::Error<R>) -> Self {
        move |source| Self::Runtime { doing, source: ort::Error::new(source.message().to_owned()) }
    }
}

/// One head of the graph: the output's name, and how many classes it tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Name of the output, f32 of shape (batch, classes).
    pub output: String,
    /// Its width.
    pub classes: usize,
}

/// The heads that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Label logits.
    pub label: Head,
    /// Category logits.
    pub category: Option<Head>,
    /// Cancer logits.
    pub cancer: Option<Head>,
}

/// Token ids of a batch, padded: `rows` times `columns` of them, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    rows: usize,
    columns: usize,
    ids: Vec<i64>,
    mask: Vec<i64>,
}

impl Batch {
    /// The rows, each padded with `pad` to the longest; the mask is 1 where there is a token.
    pub fn new(rows: &[&[u32]], pad: u32) -> Self {
        let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * columns);
        let mut mask = Vec::with_capacity(rows.len() * columns);
        for row in rows {
            let padding = columns - row.len();
            ids.extend(row.iter().map(|&id| i64::from(id)));
            ids.extend(std::iter::repeat_n(i64::from(pad), padding));
            mask.extend(std::iter::repeat_n(1, row.len()));
            mask.extend(std::iter::repeat_n(0, padding));
        }
        Self { rows: rows.len(), columns, ids, mask }
    }
}

/// What the graph says of a batch: for each row in order, its logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// One vector per row, as wide as the label head.
    pub label: Vec<Vec<f32>>,
    /// One vector per row, as wide as the category head; none without that head.
    pub category: Option<Vec<Vec<f32>>>,
    /// One vector per row, as wide as the cancer head; none without that head.
    pub cancer: Option<Vec<Vec<f32>>>,
}

/// A loaded graph.
#[derive(Debug)]
pub struct Graph {
    session: Session,
    heads: Heads,
    inputs: Vec<Input>,
    fallback: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Ids,
    Mask,
    Segments,
}

impl Input {
    const ALL: [Self; 3] = [Self::Ids, Self::Mask, Self::Segments];

    const fn name(self) -> &'static str {
        match self {
            Self::Ids => "input_ids",
            Self::Mask => "attention_mask",
            Self::Segments => "token_type_ids",
        }
    }

    fn tensor(self, batch: &Batch) -> Result<Tensor<i64>, ort::Error> {
        let data = match self {
            Self::Ids => batch.ids.clone(),
            Self::Mask => batch.mask.clone(),
            // One text per row, so all of it is segment 0.
            Self::Segments => vec![0; batch.ids.len()],
        };
        Tensor::from_array(([batch.rows, batch.columns], data))
    }
}

impl Graph {
    /// Loads the graph and checks that it takes token ids and gives the heads.
    pub(super) fn load(source: Source, heads: Heads, settings: SessionSettings) -> Result<Self, OnnxError> {
        let environment = environment()?;
        let builder = Session::builder(&environment)
            .map_err(OnnxError::runtime("preparing an ONNX Runtime session"))?
            .with_intra_threads(settings.threads)
            .map_err(OnnxError::runtime("setting the threads of the ONNX Runtime session"))?
            // Idle threads must not burn the processor: reports come now and then.
            .with_intra_op_spinning(false)
            .map_err(OnnxError::runtime("setting the threads of the ONNX Runtime session"))?;
        let (mut builder, fallback) = with_provider(builder, settings.provider)?;
        let session = match source {
            Source::Memory(bytes) => builder.commit_from_memory(bytes),
            Source::File(path) => builder.commit_from_file(path),
            // The folder of the weights may go when they are mapped.
            Source::Split(graph, folder) => builder
                .with_config_entry(
                    "session.model_external_initializers_file_folder_path",
                    folder.path().to_string_lossy(),
                )
                .map_err(OnnxError::runtime("telling ONNX Runtime where the weights are"))?
                .commit_from_memory(&graph),
        }
        .map_err(OnnxError::runtime("reading the ONNX graph"))?;
        let inputs = check_inputs(session.inputs())?;
        for head in [Some(&heads.label), heads.category.as_ref(), heads.cancer.as_ref()].into_iter().flatten() {
            check_head(session.outputs(), head)?;
        }
        Ok(Self { session, heads, inputs, fallback })
    }

    /// Why the processor is used instead of the provider that was asked for; none if that is there.
    pub(super) fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Runs one batch.
    pub fn run(&mut self, batch: &Batch) -> Result<Logits, OnnxError> {
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let tensor = input.tensor(batch).map_err(OnnxError::runtime("giving a batch to ONNX Runtime"))?;
            inputs.push((input.name(), SessionInputValue::from(tensor)));
        }
        let outputs = self.session.run(inputs).map_err(OnnxError::runtime("running the ONNX graph"))?;
        let rows_of = |head: &Head| -> Result<Vec<Vec<f32>>, OnnxError> {
            let (shape, values) = outputs[head.output.as_str()]
                .try_extract_tensor::<f32>()
                .map_err(OnnxError::runtime("taking the logits from ONNX Runtime"))?;
            let wanted = [batch.rows, head.classes].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
            if **shape != wanted {
                let (name, shape) = (&head.output, &**shape);
                return Err(OnnxError::Graph(format!("output {name} has shape {shape:?} and not {wanted:?}")));
            }
            Ok(values.chunks_exact(head.classes).map(<[f32]>::to_vec).collect())
        };
        Ok(Logits {
            label: rows_of(&self.heads.label)?,
            category: self.heads.category.as_ref().map(rows_of).transpose()?,
            cancer: self.heads.cancer.as_ref().map(rows_of).transpose()?,
        })
    }
}

/// Asks for the execution provider; what the graph holds that it cannot do, the processor does. The text says why the
/// processor does all of it instead, where the settings allow that.
fn with_provider(
    builder: SessionBuilder,
    settings: ProviderSettings,
) -> Result<(SessionBuilder, Option<String>), OnnxError> {
    let provider = settings.provider;
    if provider == ExecutionProvider::Cpu {
        return Ok((builder, None));
    }
    let (builder, reason) = match dispatch(provider) {
        None => (builder, format!("this responsum was built without the cargo feature {}", provider.name())),
        Some((false, _)) => (builder, "the ONNX Runtime library that is loaded does not have it".to_owned()),
        Some((true, dispatch)) => match builder.with_execution_providers([dispatch.error_on_failure()]) {
            Ok(builder) => return Ok((builder, None)),
            Err(error) => {
                let reason = error.message().to_owned();
                (error.recover(), reason)
            }
        },
    };
    match settings.missing {
        MissingProvider::Error => Err(OnnxError::Provider { provider, reason }),
        MissingProvider::Cpu => {
            let provider = provider.name();
            tracing::warn!(provider, reason, "the execution provider is not there: the processor is used");
            Ok((builder, Some(format!("{provider} is not there ({reason}): the processor is used"))))
        }
    }
}

/// Whether the loaded library has the provider, and how to ask for it; nothing if this build cannot ask for it.
fn dispatch(provider: ExecutionProvider) -> Option<(bool, ep::ExecutionProviderDispatch)> {
    #[cfg(any(feature = "cuda", feature = "tensorrt", feature = "openvino", feature = "coreml"))]
    use ep::ExecutionProvider as _;
    match provider {
        #[cfg(feature = "cuda")]
        ExecutionProvider::Cuda => Some((ep::CUDA::is_available().unwrap_or(false), ep::CUDA::default().build())),
        #[cfg(feature = "tensorrt")]
        ExecutionProvider::TensorRt => {
            Some((ep::TensorRT::is_available().unwrap_or(false), ep::TensorRT::default().build()))
        }
        #[cfg(feature = "openvino")]
        ExecutionProvider::OpenVino => {
            Some((ep::OpenVINO::is_available().unwrap_or(false), ep::OpenVINO::default().build()))
        }
        #[cfg(feature = "coreml")]
        ExecutionProvider::CoreMl => Some((ep::CoreML::is_available().unwrap_or(false), ep::CoreML::default().build())),
        _ => None,
    }
}

fn check_inputs(inputs: &[Outlet]) -> Result<Vec<Input>, OnnxError> {
    let known = |outlet: &Outlet| Input::ALL.into_iter().find(|input| input.name() == outlet.name());
    let mut found = Vec::new();
    for outlet in inputs {
        let Some(input) = known(outlet) else {
            return Err(OnnxError::Graph(format!("input {} is not one that we know how to fill", outlet.name())));
        };
        if element_type(outlet) != Some(TensorElementType::Int64) {
            return Err(OnnxError::Graph(format!("input {} does not take int64", outlet.name())));
        }
        found.push(input);
    }
    for needed in [Input::Ids, Input::Mask] {
        if !found.contains(&needed) {
            return Err(OnnxError::Graph(format!("it has no input {}", needed.name())));
        }
    }
    Ok(found)
}

fn check_head(outputs: &[Outlet], head: &Head) -> Result<(), OnnxError> {
    let Some(outlet) = outputs.iter().find(|outlet| outlet.name() == head.output) else {
        let names: Vec<&str> = outputs.iter().map(Outlet::name).collect();
        return Err(OnnxError::Graph(format!("it has no output {} (it has {})", head.output, names.join(", "))));
    };
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = outlet.dtype() else {
        return Err(OnnxError::Graph(format!("output {} does not give float32", head.output)));
    };
    // A size of -1 is not fixed by the graph; `run` checks it.
    let classes = i64::try_from(head.classes).unwrap_or(i64::MAX);
    match **shape {
        [_, width] if width == classes || width < 0 => Ok(()),
        [_, width] => Err(OnnxError::Graph(format!(
            "output {} tells {width} classes apart, and the model has {classes} labels",
            head.output
        ))),
        _ => Err(OnnxError::Graph(format!("output {} is not of shape (batch, classes)", head.output))),
    }
}

fn element_type(outlet: &Outlet) -> Option<TensorElementType> {
    match outlet.dtype() {
        ValueType::Tensor { ty, .. } => Some(*ty),
        _ => None,
    }
}

/// The process's one environment: ONNX Runtime allows no second one, also not after the first has gone.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

fn environment() -> Result<Environment, OnnxError> {
    let mut shared = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*shared {
        return Ok(environment.clone());
    }
    let environment = first_usable(&library_paths(std::env::var_os("ORT_DYLIB_PATH"))?, |path| ort::init_from(path))?
        .with_name("responsum")
        .with_telemetry(false)
        .build()
        .map_err(OnnxError::runtime("starting ONNX Runtime"))?;
    *shared = Some(environment.clone());
    Ok(environment)
}

/// What `load` gives for the first of the paths that it can load.
fn first_usable<T>(
    paths: &[PathBuf],
    load: impl Fn(&Path) -> Result<T, ort::LoadDynamicError>,
) -> Result<T, OnnxError> {
    let mut tried = Vec::new();
    for path in paths {
        let fault = if path.is_absolute() && !path.is_file() {
            "not there".to_owned()
        } else {
            match load(path) {
                Ok(loaded) => return Ok(loaded),
                Err(ort::LoadDynamicError::Dlopen { .. }) => "cannot be loaded".to_owned(),
                Err(ort::LoadDynamicError::BadVersion { version_str, .. }) => format!("version {version_str}: too old"),
                Err(_) => "not ONNX Runtime".to_owned(),
            }
        };
        tried.push(format!("{} ({fault})", path.display()));
    }
    Err(OnnxError::Library { tried, minimum: ort::MINOR_VERSION })
}

/// Places to look for the library, in order. Never the working directory: who can write there could run code as us.
///
/// `named` is what `ORT_DYLIB_PATH` says: then nothing else will do.
fn library_paths(named: Option<OsString>) -> Result<Vec<PathBuf>, OnnxError> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let path = PathBuf::from(named);
        if path.is_absolute() {
            return Ok(vec![path]);
        }
        let tried = vec![format!("ORT_DYLIB_PATH={} (must be an absolute path)", path.display())];
        return Err(OnnxError::Library { tried, minimum: ort::MINOR_VERSION });
    }
    let name = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };
    let mut paths = Vec::new();
    if let Some(folder) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        paths.push(folder.join(name));
    }
    // Set up by `cargo xtask setup`.
    paths.push(Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime/onnxruntime").join(name));
    // Without a folder, the system's loader looks where it looks for every library.
    paths.push(PathBuf::from(name));
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_padded_to_its_longest_row() {
        let batch = Batch::new(&[&[5, 6, 7], &[8]], 9);
        assert_eq!((batch.rows, batch.columns), (2, 3));
        assert_eq!(batch.ids, [5, 6, 7, 8, 9, 9]);
        assert_eq!(batch.mask, [1, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn a_library_that_cannot_be_had_is_reported_with_every_place_and_the_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let [missing, old, other] = ["missing.so", "old.so", "other.so"].map(|name| folder.path().join(name));
        for path in [&old, &other] {
            std::fs::write(path, "").expect("a file");
        }
        // ONNX Runtime can be loaded once in a process, and other tests of this one load it.
        let load = |path: &Path| -> Result<(), ort::LoadDynamicError> {
            Err(if path == old {
                ort::LoadDynamicError::BadVersion { version_str: "1.16.3".to_owned(), path: path.to_owned() }
            } else {
                ort::LoadDynamicError::MissingApi { path: path.to_owned() }
            })
        };
        let error = first_usable(&[missing, old.clone(), other], load).expect_err("no library").to_string();
        for part in ["missing.so (not there)", "old.so (version 1.16.3: too old)", "other.so (not ONNX Runtime)"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(error.contains("cargo xtask setup") && error.contains("ORT_DYLIB_PATH"), "{error}");
    }

    #[test]
    fn the_working_directory_is_no_place_to_look_for_the_library() {
        // `None`, because the variable is set where the tests run with a library of their own.
        for path in library_paths(None).expect("paths") {
            assert!(path.is_absolute() || path.components().count() == 1, "{}", path.display());
        }
        assert!(library_paths(Some("lib/libonnxruntime.so".into())).is_err());
    }
}
