//! `cargo xtask formats`: reads real files of every kind with the built executable, and measures what it gives against
//! independent readers.

mod kinds;
mod oracle;
mod run;
mod words;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::workspace::{self, cargo};

/// Options of `cargo xtask formats`.
#[derive(Args)]
#[command(after_help = "\
Kinds and what each is measured by:
  ccda      letters and digits of every section's text, in order, against a count by another XML reader: 99 % of each file
  rtf       words of all files against the .txt beside each (F1), link targets in it left out: 0.99
  pdf       words of all files against pdftotext (F1) where it finds any: 0.95, and the time for a page of both
  fhir      US Core, Synthea and FHIR's examples: whatever has data is read

Examples:
  cargo xtask formats
  cargo xtask formats --release --kind pdf
  cargo xtask formats --fixtures /data/other-vendor --worst 20")]
pub(crate) struct Options {
    /// Folder with the folders ccda, rtf, pdf, us-core, synthea and fhir-r4, or some of them
    #[arg(long, value_name = "DIR", default_value = "../shared/fixtures")]
    fixtures: PathBuf,
    /// Only this kind: ccda, rtf, pdf or fhir
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// How many of the worst files are named for each kind
    #[arg(long, value_name = "N", default_value_t = 5)]
    worst: usize,
    /// Build the release profile
    #[arg(long)]
    release: bool,
}

/// One file and how well it was read.
pub(crate) struct Measured {
    /// Its path below the fixtures.
    name: String,
    /// From 0 to 1, and of how many words or letters; none if there is nothing to compare with.
    score: Option<(f64, usize)>,
    /// What a person should know of it: the reasons for what was not read.
    told: String,
    /// What makes the run fail: it hung, it crashed, or it was not read although it should be.
    fault: Option<String>,
}

/// One kind of files, measured.
pub(crate) struct Kind {
    name: &'static str,
    /// What the score is.
    measure: &'static str,
    /// Score that each file, or all words together, must reach.
    wanted: f64,
    each: bool,
    files: Vec<Measured>,
    /// More lines for a person: times.
    notes: Vec<String>,
}

impl Kind {
    fn scores(&self) -> Vec<f64> {
        self.files.iter().filter_map(|file| Some(file.score?.0)).collect()
    }

    /// The score of all files as if they were one.
    fn pooled(&self) -> f64 {
        let scores = || self.files.iter().filter_map(|file| file.score);
        let weight: usize = scores().map(|(_, weight)| weight).sum();
        let sum: f64 = scores().map(|(score, weight)| score * weight as f64).sum();
        if weight == 0 { 1.0 } else { sum / weight as f64 }
    }

    fn mean(&self) -> f64 {
        let scores = self.scores();
        if scores.is_empty() { 1.0 } else { scores.iter().sum::<f64>() / scores.len() as f64 }
    }

    fn lowest(&self) -> f64 {
        self.scores().into_iter().fold(1.0, f64::min)
    }

    /// What misses its threshold, in words.
    fn faults(&self) -> Vec<String> {
        let reached = if self.each { self.lowest() } else { self.pooled() };
        let mut faults: Vec<String> = self
            .files
            .iter()
            .filter_map(|file| Some(format!("{}: {}: {}", self.name, file.name, file.fault.as_ref()?)))
            .collect();
        if reached < self.wanted {
            let which = if self.each { "the lowest" } else { "of all together" };
            faults
                .push(format!("{}: {} is {reached:.4} ({which}); {} is wanted", self.name, self.measure, self.wanted));
        }
        faults
    }
}

/// Builds, reads all files, prints the table; fails if a threshold is missed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let fixtures = workspace::root().join(&options.fixtures);
    ensure!(fixtures.is_dir(), "{} is no folder: give --fixtures DIR", fixtures.display());
    let mut build = vec!["build", "--quiet", "--bin", "responsum", "--locked"];
    build.extend(options.release.then_some("--release"));
    ensure!(cargo(&build).status().context("start cargo")?.success(), "the build failed");
    let profile = if options.release { "release" } else { "debug" };
    let reader = run::Reader { program: workspace::root().join("target").join(profile).join("responsum"), fixtures };
    let wanted = |name: &str| options.kind.as_deref().is_none_or(|kind| kind == name);
    let mut kinds = Vec::new();
    for (name, measure) in kinds::ALL {
        if wanted(name) {
            kinds.push(measure(&reader)?);
        }
    }
    ensure!(!kinds.is_empty(), "there is no such kind: give ccda, rtf, pdf or fhir");
    print(&kinds, options.worst);
    let faults: Vec<String> = kinds.iter().flat_map(Kind::faults).collect();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn print(kinds: &[Kind], worst: usize) {
    println!(
        "{:6} {:>6} {:>9} {:>8} {:>8} {:>8} {:>9}  measured by",
        "kind", "files", "compared", "together", "mean", "lowest", "wanted"
    );
    for kind in kinds {
        println!(
            "{:6} {:>6} {:>9} {:>8.4} {:>8.4} {:>8.4} {:>9}  {}",
            kind.name,
            kind.files.len(),
            kind.scores().len(),
            kind.pooled(),
            kind.mean(),
            kind.lowest(),
            format!("{}{}", kind.wanted, if kind.each { " each" } else { "" }),
            kind.measure
        );
    }
    for kind in kinds {
        kind.notes.iter().for_each(|note| println!("\n{}: {note}", kind.name));
        let mut files: Vec<&Measured> = kind.files.iter().collect();
        let score = |file: &Measured| file.score.map(|(score, _)| score);
        files.sort_by(|a, b| score(a).unwrap_or(2.0).total_cmp(&score(b).unwrap_or(2.0)));
        let poor = |file: &&&Measured| score(file).is_some_and(|score| score < 1.0) || !file.told.is_empty();
        println!("\n{}: the worst", kind.name);
        for file in files.iter().filter(poor).take(worst) {
            let score = score(file).map_or_else(|| "      –".to_owned(), |score| format!("{score:7.4}"));
            println!("  {score}  {}  {}", file.name, file.told);
        }
    }
}
