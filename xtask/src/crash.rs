//! `cargo xtask crash`: the crash test at full size, with its figures.

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::setup;
use crate::workspace::{self, cargo};

/// Options of `cargo xtask crash`.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds, each with a database and a seed of its own
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Documents posted in each round
    #[arg(long, default_value_t = 2000)]
    documents: u64,
    /// Seed of the first round's random moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the test of `tests/api/crash.rs` with these sizes.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(&setup::Options::default())?;
    let test = ["test", "--package", "responsum", "--test", "api", "crash", "--", "--nocapture"];
    let status = cargo(&test)
        .env("RESPONSUM_CRASH_ROUNDS", options.rounds.to_string())
        .env("RESPONSUM_CRASH_DOCUMENTS", options.documents.to_string())
        .env("RESPONSUM_CRASH_SEED", options.seed.to_string())
        .current_dir(workspace::root())
        .status()
        .context("start cargo test")?;
    ensure!(status.success(), "the crash test failed: see above");
    Ok(())
}
