//! `cargo xtask test`: everything that must hold before a change is taken.

mod groups;
mod migrations;
mod postgres;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use self::groups::{GROUPS, Group, Outcome};
use crate::setup;
use crate::workspace::seconds;

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run this group only (repeat it for more)
    #[arg(long = "group", value_name = "NAME", value_parser = group_names())]
    groups: Vec<String>,
}

fn group_names() -> Vec<&'static str> {
    GROUPS.iter().map(|group| group.name).collect()
}

/// One group's line in the summary.
struct Line {
    group: &'static Group,
    took: Duration,
    outcome: Result<Outcome>,
}

/// Sets everything up, runs the groups, sums up, and fails if any failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    println!("\n── set-up");
    // Both kinds of Postgres are tested: the system's where there is one, and always the bundled one.
    setup::run(&setup::Options::with_bundled_postgres())?;
    let chosen =
        GROUPS.iter().filter(|group| options.groups.is_empty() || options.groups.iter().any(|n| n == group.name));
    let lines: Vec<Line> = chosen.map(run_group).collect();
    summarise(&lines, started.elapsed())
}

fn run_group(group: &'static Group) -> Line {
    println!("\n── {}: {}", group.name, group.proves);
    let started = Instant::now();
    let outcome = (group.run)();
    let took = started.elapsed();
    match &outcome {
        Ok(Outcome::Skipped(why)) => println!("{} SKIPPED after {}: {why}", group.name, seconds(took)),
        Ok(_) => println!("{} ok in {}", group.name, seconds(took)),
        Err(error) => println!("{} FAILED after {}: {error:#}", group.name, seconds(took)),
    }
    Line { group, took, outcome }
}

fn summarise(lines: &[Line], took: Duration) -> Result<()> {
    println!("\n── summary\n{:13} {:12} {:>12}  proves that", "group", "outcome", "time");
    let (mut passed, mut failed, mut faulty) = (0, 0, Vec::new());
    for line in lines {
        let word = match &line.outcome {
            Ok(Outcome::Passed) => "ok",
            Ok(Outcome::Tests { passed: p, failed: f, .. }) => {
                passed += p;
                failed += f;
                if *f == 0 { "ok" } else { "FAILED" }
            }
            Ok(Outcome::Skipped(_)) => "SKIPPED",
            Err(_) => "FAILED",
        };
        if word == "FAILED" {
            faulty.push(line.group.name);
        }
        println!("{:13} {word:12} {:>12}  {}", line.group.name, seconds(line.took), line.group.proves);
        match &line.outcome {
            Ok(Outcome::Skipped(why)) => println!("{:13} {why}", ""),
            Ok(Outcome::Tests { passed, failed, ignored }) => {
                println!("{:13} {passed} passed, {failed} failed, {ignored} run by other tests", "");
            }
            Ok(Outcome::Passed) => {}
            Err(error) => println!("{:13} {error:#}", ""),
        }
    }
    println!("\nAll groups took {}", seconds(took));
    println!("{passed} passed, {failed} failed");
    if !faulty.is_empty() {
        bail!("failed: {}", faulty.join(", "));
    }
    Ok(())
}
