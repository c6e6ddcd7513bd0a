//! Who does a graph's arithmetic: the processor, or a device through one of ONNX Runtime's execution providers.
//!
//! The features `cuda`, `tensorrt`, `openvino` and `coreml` only let us ask for a provider: whether it is there is up to
//! the ONNX Runtime library that is loaded, and to the machine.

use serde::Deserialize;

/// An execution provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(try_from = "String")]
pub enum ExecutionProvider {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA's CUDA.
    Cuda,
    /// NVIDIA's TensorRT.
    #[value(name = "tensorrt")]
    TensorRt,
    /// Intel's OpenVINO.
    #[value(name = "openvino")]
    OpenVino,
    /// Apple's Core ML.
    #[value(name = "coreml")]
    CoreMl,
}

impl ExecutionProvider {
    /// The name that settings give it, which is that of its cargo feature too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::OpenVino => "openvino",
            Self::CoreMl => "coreml",
        }
    }
}

/// What to do where the provider is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(try_from = "String")]
pub enum MissingProvider {
    /// Not to start.
    #[default]
    Error,
    /// To use the processor, and to say so in the log.
    Cpu,
}

impl TryFrom<String> for ExecutionProvider {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        chosen(&name)
    }
}

impl TryFrom<String> for MissingProvider {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        chosen(&name)
    }
}

/// The value of this name, which is the same in settings and on the command line; else what the names are.
fn chosen<T: clap::ValueEnum>(name: &str) -> Result<T, String> {
    let names = || T::value_variants().iter().filter_map(T::to_possible_value).map(|value| value.get_name().to_owned());
    T::from_str(name, false).map_err(|_| format!("{name:?} is none of {}", names().collect::<Vec<_>>().join(", ")))
}

/// Which provider runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderSettings {
    /// The provider.
    pub provider: ExecutionProvider,
    /// What to do where it is not there.
    pub missing: MissingProvider,
}
