//! The project's own commands: `cargo xtask --help`.
#![expect(clippy::print_stdout, reason = "these commands talk to the person who runs them")]

mod agreement;
// The service's own search, so that set-up and service never disagree on which Postgres is used.
#[path = "../../src/store/embedded/binaries.rs"]
mod binaries;
mod chaos;
mod crash;
mod data_dir;
mod demo;
mod formats;
mod http;
mod parity;
mod service;
mod setup;
mod test;
mod tools;
mod train;
mod wheel;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set-up, demo and tests of Responsum.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Brings ONNX Runtime and, where the system has none, Postgres into .runtime/
    Setup(setup::Options),
    /// Sets everything up and runs the main job: seven reports in, seven answers with evidence out
    Demo(demo::Options),
    /// Sets everything up and runs every check
    Test(test::Options),
    /// Kills the service at random moments while it works, many times, and counts what is lost or doubled
    Crash(crash::Options),
    /// Writes reports to an EHR while services, networks and notifications fail, many times, and compares what it holds
    Chaos(chaos::Options),
    /// Makes the default model from base weights and the corpus (about an hour on 2 cores)
    Train(train::Options),
    /// Gives many texts to two models, one that answers and one in shadow, and prints how far they agree
    Agreement(agreement::Options),
    /// Reads real files of every kind and measures what is read against independent readers
    Formats(formats::Options),
    /// Makes a model of BERT-base's size and measures how it loads, and whether its answers are Python's
    ModelParity(parity::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup(options) => setup::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Crash(options) => crash::run(&options),
        Command::Chaos(options) => chaos::run(&options),
        Command::Train(options) => train::run(&options),
        Command::Agreement(options) => agreement::run(&options),
        Command::Formats(options) => formats::run(&options),
        Command::ModelParity(options) => parity::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
