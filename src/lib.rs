//! Responsum (architecture page: to be written)
pub mod app;
pub mod classify;
pub mod clock;
pub mod command;
pub mod config;
pub mod digest;
pub mod domain;
pub mod extract;
pub mod fhir;
pub mod pipeline;
pub mod receive;
pub mod store;
pub mod telemetry;
pub mod view;
pub mod web;
pub mod worker;
