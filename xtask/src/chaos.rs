//! `cargo xtask chaos`: the chaos test at full size, with its figures.

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::setup;
use crate::workspace::{self, cargo};

/// Options of `cargo xtask chaos`.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds of each kind of fault, each with a database, an EHR and a seed of its own
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// Reports written to the EHR in each round
    #[arg(long, default_value_t = 500)]
    documents: u64,
    /// Seed of the first round's faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// This kind of fault only: calm, service, ehr, network or notifications
    #[arg(long, default_value = "")]
    kind: String,
}

/// Runs the test of `tests/loop/chaos.rs` with these sizes.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(&setup::Options::default())?;
    let test = ["test", "--package", "responsum", "--test", "loop", "chaos", "--", "--nocapture"];
    let status = cargo(&test)
        .env("RESPONSUM_CHAOS_ROUNDS", options.rounds.to_string())
        .env("RESPONSUM_CHAOS_DOCUMENTS", options.documents.to_string())
        .env("RESPONSUM_CHAOS_SEED", options.seed.to_string())
        .env("RESPONSUM_CHAOS_KIND", &options.kind)
        .current_dir(workspace::root())
        .status()
        .context("start cargo test")?;
    ensure!(status.success(), "the chaos test failed: see above");
    Ok(())
}
