//! Authors the FHIR R4 resources that Responsum sends: plain drafts in, JSON text out.
//!
//! This is the only place that names `fhir-sdk`. Its generated model is big, and whoever serialises one resource
//! compiles the serialisation of all of them (a resource may contain any other), so it happens here and nowhere else:
//! no function is generic over a FHIR type, and nothing here depends on the main crate. A change there never rebuilds
//! this.
//!
//! The model is R4B's; what we author is the same in R4 (4.0.1). It is never used to *read* FHIR: it drops what it
//! does not understand without saying so.

mod capability;
mod datatypes;
mod device;
mod disease_status;
mod draft;
mod observation;
mod outcome;
mod provenance;
pub mod terms;

pub use capability::capability_statement;
pub use datatypes::is_date_time;
pub use device::device;
pub use disease_status::disease_status;
pub use draft::*;
pub use observation::observation;
pub use outcome::operation_outcome;
pub use provenance::provenance;

use fhir_sdk::BuilderError;

/// Why a resource could not be authored. No variant carries anything of the draft.
#[derive(Debug, thiserror::Error)]
pub enum AuthoringError {
    /// A required element was not given.
    #[error("building the {resource}")]
    Build {
        /// Which resource or datatype.
        resource: &'static str,
        /// Which field.
        #[source]
        source: BuilderError,
    },
    /// Something in it has no JSON form.
    #[error("writing the {resource} as JSON")]
    Write {
        /// Which resource.
        resource: &'static str,
        /// What.
        #[source]
        source: serde_json::Error,
    },
    /// The confidence is not a number in `0.0..=1.0`.
    #[error("reading the confidence: it is not within 0 and 1")]
    Confidence,
    /// An evidence span reaches past what FHIR's 32-bit `integer` can say.
    #[error("reading an evidence span: its offset or length is above 2147483647")]
    EvidenceSpan,
    /// A date that must be there is no FHIR `dateTime`.
    #[error("reading the effective date: it is not a FHIR dateTime")]
    Effective,
    /// Nobody is named who says it.
    #[error("naming who says it: there is nobody")]
    Performer,
    /// The capability statement names a resource type that FHIR does not have.
    #[error("reading the capabilities: there is no such resource type")]
    ResourceType,
}

/// Turns a builder's error into ours.
fn built<T>(resource: &'static str, result: Result<T, BuilderError>) -> Result<T, AuthoringError> {
    result.map_err(|source| AuthoringError::Build { resource, source })
}

/// Turns a writer's error into ours.
fn written(resource: &'static str, result: serde_json::Result<String>) -> Result<String, AuthoringError> {
    result.map_err(|source| AuthoringError::Write { resource, source })
}
