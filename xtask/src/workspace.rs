//! Where things are in the repository, and running other programs in it.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// The repository that this program was built in.
pub(crate) fn root() -> &'static Path {
    // Cannot fail because this package lies one folder below the workspace's own.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a parent folder")
}

/// What `setup` brings; ignored by git.
pub(crate) fn runtime_dir() -> PathBuf {
    root().join(".runtime")
}

/// Cargo, as a person's shell would start it.
///
/// `cargo run` tells its program about the program's own package, and build scripts (ring's) watch those very
/// variables: left in place, they would make every change between `cargo xtask` and plain cargo a rebuild of minutes.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let told = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(told) {
            command.env_remove(name);
        }
    }
    for name in ["CARGO", "CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"] {
        command.env_remove(name);
    }
    command.current_dir(root()).args(arguments);
    command
}

/// Runs a command in the repository; its output goes straight to the person.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = display(command);
    let status = command.current_dir(root()).status().with_context(|| format!("start {line}"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// `3.2 s` or `4 min 05 s`.
pub(crate) fn seconds(elapsed: Duration) -> String {
    let tenths = elapsed.as_millis() / 100;
    if tenths < 1000 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    format!("{} min {:02} s", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
}

/// What a program printed, and how it ended.
pub(crate) struct Finished {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Its standard output and standard error, in the order written.
    pub(crate) output: String,
}

/// Runs a program with its output kept in `log`; every ten seconds a line says that it still runs.
pub(crate) fn run_logged(command: &mut Command, log: &Path, what: &str) -> Result<Finished> {
    let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("share the log file")?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("start {}", display(command)))?;
    let mut next_word = Duration::from_secs(10);
    let status = loop {
        if let Some(status) = child.try_wait().context("wait for a program")? {
            break status;
        }
        if started.elapsed() >= next_word {
            println!("  … {what}, {} so far", seconds(started.elapsed()));
            next_word += Duration::from_secs(10);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let output = std::fs::read(log).with_context(|| format!("read {}", log.display()))?;
    Ok(Finished { status, output: String::from_utf8_lossy(&output).into_owned() })
}

/// The command as a person would type it.
pub(crate) fn display(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        // Writing to a String cannot fail.
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    line
}

/// The last `count` lines that hold anything.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
