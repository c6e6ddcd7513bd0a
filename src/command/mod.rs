//! The subcommands: each reads its input, calls the stages, and writes its result.

pub mod annotate;
pub mod eval;
pub mod extract;
mod measures;
pub mod model;
pub mod texts;
