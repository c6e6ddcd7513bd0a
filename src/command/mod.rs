//! The subcommands: each reads its input, calls the stages, and writes its result.

pub mod extract;
