//! The groups of checks, in the order in which they run: the quick ones first.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::migrations;
use super::postgres::TestPostgres;
use crate::tools;
use crate::workspace::{self, cargo, display, run};

/// A named set of checks.
pub(crate) struct Group {
    /// For `--group`.
    pub(crate) name: &'static str,
    /// What holds if it passes.
    pub(crate) proves: &'static str,
    /// Runs it.
    pub(crate) run: fn() -> Result<Outcome>,
}

/// How a group ended that did not fail.
pub(crate) enum Outcome {
    /// All held.
    Passed,
    /// Rust tests ran.
    Tests {
        /// How many held.
        passed: u32,
        /// How many did not.
        failed: u32,
        /// How many are run by other tests only.
        ignored: u32,
    },
    /// It could not be checked here, and why.
    Skipped(String),
}

pub(crate) const GROUPS: [Group; 8] = [
    Group { name: "format", proves: "the code is formatted", run: format },
    Group {
        name: "migrations",
        proves: "no committed migration was changed, and each has its checksum",
        run: || migrations::check(&workspace::root().join("migrations")).map(|()| Outcome::Passed),
    },
    Group {
        name: "containers",
        proves: "the Dockerfile and the compose file follow hadolint's and compose-lint's rules",
        run: containers,
    },
    Group {
        name: "dependencies",
        proves: "every dependency has an allowed licence and source, and none is banned",
        run: dependencies,
    },
    Group {
        name: "tests",
        proves: "the product does what its tests say: units, API, crashes, command line, architecture",
        run: rust_tests,
    },
    Group {
        name: "validator",
        proves: "an independent validator accepts what we author and refuses it once broken; the profiles are as built",
        run: validator,
    },
    Group { name: "lints", proves: "clippy has nothing to say of any target", run: lints },
    Group { name: "docs", proves: "the documentation builds, and its links lead somewhere", run: docs },
];

fn format() -> Result<Outcome> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn lints() -> Result<Outcome> {
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

fn docs() -> Result<Outcome> {
    run(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

fn dependencies() -> Result<Outcome> {
    let pinned = tools::cargo_deny();
    let mut command = match &pinned {
        Ok(program) => Command::new(program),
        Err(error) if in_path("cargo-deny") => {
            println!("cargo-deny as installed here ({error:#})");
            Command::new("cargo-deny")
        }
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    // Without advisories: their database is fetched from where a site may not reach.
    run(command.args(["--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))?;
    Ok(Outcome::Passed)
}

fn containers() -> Result<Outcome> {
    let pinned = tools::hadolint();
    let mut hadolint = match &pinned {
        Ok(program) => Command::new(program),
        Err(error) if in_path("hadolint") => {
            println!("hadolint as installed here ({error:#})");
            Command::new("hadolint")
        }
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    run(hadolint.arg("docker/Dockerfile"))?;
    let packages = match tools::compose_lint() {
        Ok(packages) => std::env::join_paths(packages).context("name Python's folders")?,
        Err(error) => return Ok(Outcome::Skipped(format!("compose.yaml was not checked: {error:#}"))),
    };
    if run(Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"])).is_err() {
        return Ok(Outcome::Skipped(
            "compose.yaml was not checked: compose-lint needs Python 3.11 or later".to_owned(),
        ));
    }
    // Medium is where it asks for digests: tags are what a site can update by.
    // On a copy: it takes every path below a clone in root's home for one of root's secrets.
    let copy = std::env::temp_dir().join(format!("responsum-compose-{}.yaml", std::process::id()));
    std::fs::copy(workspace::root().join("docker/compose.yaml"), &copy).context("copy compose.yaml")?;
    let lint = ["-m", "compose_lint", "check", "--quiet", "--fail-on", "high"];
    let linted = run(Command::new("python3").args(lint).arg(&copy).env("PYTHONPATH", packages));
    std::fs::remove_file(&copy).context("remove the copy of compose.yaml")?;
    linted.map(|()| Outcome::Passed)
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// One invocation, so that nothing compiles twice; every result line is added up.
fn rust_tests() -> Result<Outcome> {
    let postgres = TestPostgres::prepare()?;
    let mut command = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.stdout(Stdio::piped());
    let mut child = command.spawn().context("start cargo test")?;
    let output = BufReader::new(child.stdout.take().context("read what cargo says")?);
    let (mut passed, mut failed, mut ignored, mut results) = (0, 0, 0, 0);
    for line in output.lines() {
        let line = line.context("read what cargo says")?;
        println!("{line}");
        if let Some(counts) = result_counts(&line) {
            results += 1;
            passed += counts[0];
            failed += counts[1];
            ignored += counts[2];
        }
    }
    let status = child.wait().context("wait for cargo test")?;
    drop(postgres);
    if !status.success() && failed == 0 {
        bail!("`{}` failed ({status}): see above", display(&command));
    }
    ensure!(results > 0, "cargo test ran no tests");
    Ok(Outcome::Tests { passed, failed, ignored })
}

/// Passed, failed and ignored of `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn result_counts(line: &str) -> Option<[u32; 3]> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut counts = counts.split("; ").filter_map(|part| part.split(' ').next()?.parse().ok());
    Some([counts.next()?, counts.next()?, counts.next()?])
}

fn validator() -> Result<Outcome> {
    let samples = workspace::runtime_dir().join("validator-samples");
    if samples.exists() {
        std::fs::remove_dir_all(&samples).context("remove old samples")?;
    }
    let example =
        ["run", "--quiet", "--locked", "--package", "responsum-fhir-authoring", "--example", "author_samples"];
    run(cargo(&example).arg("--").arg(&samples))?;
    run(python("tests/validator/selftest.py").arg(&samples).arg(served_resources()?))?;
    run(python("fhir-profiles/build.py").arg("--check"))?;
    Ok(Outcome::Passed)
}

/// What a running service serves and writes to an EHR, kept by the tests that fetch it.
fn served_resources() -> Result<PathBuf> {
    let folder = workspace::runtime_dir().join("validator-served");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("remove what was served before")?;
    }
    let _postgres = TestPostgres::prepare()?;
    let tests = ["--test", "api", "--test", "loop", "kept_for_the_validator"];
    let test = [&["test", "--package", "responsum", "--locked"][..], &tests].concat();
    run(cargo(&test).env("RESPONSUM_SERVED_DIR", &folder))?;
    ensure!(folder.join("subscription-backport.json").is_file(), "the tests kept nothing to validate");
    Ok(folder)
}

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    // No byte code in the source tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(Path::new(script));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let line = "test result: ok. 20 passed; 1 failed; 2 ignored; 0 measured; 24 filtered out; finished in 1.24s";
        assert_eq!(result_counts(line), Some([20, 1, 2]));
        assert_eq!(result_counts("test result: FAILED. 1 passed; 2 failed; 3 ignored; 0 measured"), Some([1, 2, 3]));
        assert_eq!(result_counts("test a_test ... ok"), None);
    }
}
