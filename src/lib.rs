//! Responsum (architecture page: to be written)
pub mod domain;
