//! Responsum (architecture page: to be written)
pub mod clock;
pub mod digest;
pub mod domain;
pub mod fhir;
pub mod store;
pub mod view;
