//! `cargo xtask train`: makes the default model from base weights and the corpus.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::setup;
use crate::workspace::{self, cargo, seconds};

/// Options of `cargo xtask train`.
#[derive(Args)]
#[command(after_help = "\
Most labels refer to public texts that are not part of this repository: English case reports of the E3C corpus (layer 1
to 3, hltfbk/E3C-Corpus; those under CC BY or CC BY-SA) and MTSamples transcriptions (CC0). FILE holds them as rows
{\"id\", \"text\"}, one a line, gzip or plain; training/README.md says how the ids are formed. Every span is checked against the
SHA-256 that was labelled. Without --pool, the model is trained on the written texts only, and is the worse for it.

Examples:
  cargo xtask train --pool clinical-texts.jsonl.gz
  cargo xtask train --pool clinical-texts.jsonl.gz --seed 12 --out other-model   # a second run, kept apart")]
pub(crate) struct Options {
    /// The public texts that the labels refer to
    #[arg(long, value_name = "FILE")]
    pool: Option<PathBuf>,
    /// Where the model goes
    #[arg(long, value_name = "FOLDER", default_value = "models/default")]
    out: PathBuf,
    /// Makes every random choice
    #[arg(long, default_value_t = 11)]
    seed: u32,
    /// Processor threads
    #[arg(long, default_value_t = 2)]
    threads: u32,
}

/// Installs what training needs, trains, exports, and fits the calibration of documents with the service's own code.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    if let Some(pool) = &options.pool {
        ensure!(pool.is_file(), "{} is no file: see `cargo xtask train --help`", pool.display());
    } else {
        println!(
            "No --pool: training on the written texts only. This is not the model that is shipped; \
             `cargo xtask train --help` says where the public texts come from."
        );
    }
    setup::run(&setup::Options::default())?;
    let root = workspace::root();
    let python = environment(root)?;
    // One folder a seed, so that a second run leaves the first alone.
    let build = workspace::runtime_dir().join(format!("training/build-{}", options.seed));
    let out = root.join(&options.out);
    let script = |name: &str| {
        let mut command = Command::new(&python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(root.join("training").join(name));
        command
    };

    let mut train = script("train.py");
    train.arg("--out").arg(&build).args(["--seed", &options.seed.to_string()]);
    train.args(["--threads", &options.threads.to_string()]);
    if let Some(pool) = &options.pool {
        train.arg("--pool").arg(std::path::absolute(pool).context("find the pool")?);
    }
    workspace::run(&mut train)?;
    let export = || workspace::run(script("export.py").arg("--build").arg(&build).arg("--out").arg(&out));
    export()?;
    // The service reads the held-out reports with the new model; how its readings are pooled goes into the model's file.
    let evaluate = ["run", "--quiet", "--locked", "--package", "responsum", "--", "eval", "--calibrate"];
    let mut evaluate = cargo(&evaluate);
    evaluate.arg(build.join("document-calibration.toml")).arg("--model").arg(&out);
    workspace::run(evaluate.arg(build.join("held-out-reports.jsonl")))?;
    export()?;
    println!("\n{} made in {}. Measure it: `responsum eval --help`.", out.display(), seconds(started.elapsed()));
    Ok(())
}

/// A Python of its own with the pinned packages, in `.runtime/training/python`.
fn environment(root: &Path) -> Result<PathBuf> {
    let folder = workspace::runtime_dir().join("training/python");
    let python = folder.join("bin/python");
    let requirements = root.join("training/requirements.txt");
    let installed = folder.join("requirements.txt");
    let wanted = std::fs::read(&requirements).context("read training/requirements.txt")?;
    if std::fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!("Python packages for training (about 5 GB on disk)");
    workspace::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    workspace::run(
        Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-deps", "-r"]).arg(&requirements),
    )?;
    std::fs::write(&installed, wanted).context("note what is installed")?;
    Ok(python)
}
