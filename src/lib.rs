//! Responsum (architecture page: to be written)
pub mod command;
pub mod domain;
pub mod extract;
