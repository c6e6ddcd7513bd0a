//! FHIR in and FHIR out: received resources and Bundles become documents; answers become Observation, Provenance and
//! Device.
//!
//! What we receive is read with narrow, tolerant readers over the raw JSON ([`report`], [`bundle`]) and served again
//! byte for byte ([`splice`]). Only what we author goes through fhir-sdk's typed model, in the member crate
//! `fhir-authoring`: its types lose data silently when reading.

pub mod author;
pub mod bundle;
pub mod json;
mod kind;
pub mod notification;
pub mod page;
pub mod parameters;
pub mod r5;
pub mod reference;
pub mod report;
pub mod splice;
pub mod subscription;
