//! The subcommands: each reads its input, calls the stages, and writes its result.

pub mod annotate;
pub mod eval;
pub mod export;
pub mod extract;
pub mod health;
mod measures;
pub mod model;
pub mod subscriptions;
pub mod texts;
