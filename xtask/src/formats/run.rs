//! Runs programs on one file, with a limit of time.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Longest that a program may take for one file; the product's own limit is far below.
const HANGS_AFTER: Duration = Duration::from_secs(30);

/// The executable that is measured.
pub(super) struct Reader {
    /// Where it is.
    pub(super) program: PathBuf,
    /// Where the files are.
    pub(super) fixtures: PathBuf,
}

/// What it gave for one file.
pub(super) struct Extracted {
    /// The narrative without what the file hides.
    pub(super) text: String,
    /// `coverage`.
    pub(super) coverage: Value,
    /// How long it took, with its start.
    pub(super) took: Duration,
}

impl Reader {
    /// Reads a file, or (`-`) what is given as `input`; `Err` says how it went wrong.
    pub(super) fn extract(
        &self,
        file: &Path,
        content_type: &str,
        input: Option<&[u8]>,
    ) -> Result<Result<Extracted, String>> {
        let mut command = Command::new(&self.program);
        command.args(["extract", "--json", "--content-type", content_type]);
        command.arg(if input.is_some() { Path::new("-") } else { file });
        let (output, took) = match finish(&mut command, input)? {
            Ok(finished) => finished,
            Err(fault) => return Ok(Err(fault)),
        };
        let Ok(narrative) = serde_json::from_str::<Value>(&output) else {
            return Ok(Err("it gave no JSON".to_owned()));
        };
        Ok(Ok(Extracted { text: shown(&narrative), coverage: narrative["coverage"].clone(), took }))
    }

    /// Every file below a folder of the fixtures with this extension, in order; none if the folder is missing.
    pub(super) fn files(&self, folder: &str, extension: &str) -> Result<Vec<PathBuf>> {
        let mut folders = vec![self.fixtures.join(folder)];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
            for entry in std::fs::read_dir(&folder).with_context(|| format!("look into {}", folder.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|own| own == extension) {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// The file's path below the fixtures.
    pub(super) fn name(&self, file: &Path) -> String {
        file.strip_prefix(&self.fixtures).unwrap_or(file).display().to_string()
    }
}

/// The narrative without its hidden sections, whose places are in bytes.
fn shown(narrative: &Value) -> String {
    let text = narrative["text"].as_str().unwrap_or_default();
    let sections = narrative["sections"].as_array().map(Vec::as_slice).unwrap_or_default();
    let byte = |section: &Value, name: &str| section[name].as_u64().and_then(|at| usize::try_from(at).ok());
    let shown = sections.iter().filter(|section| section["kind"] != "hidden");
    shown.filter_map(|section| text.get(byte(section, "start_byte")?..byte(section, "end_byte")?)).collect()
}

/// Why an extraction read less than all: the reasons, each with its number.
pub(super) fn reasons(coverage: &Value) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for unread in coverage["unread"].as_array().into_iter().flatten() {
        *counts.entry(unread["reason"].as_str().unwrap_or_default()).or_insert(0) += 1;
    }
    counts.iter().map(|(reason, count)| format!("{reason} × {count}")).collect::<Vec<_>>().join(", ")
}

/// Runs a program to its end: its output and how long it took, or what is wrong with it. An exit status of 1 is an
/// answer: nothing could be read.
pub(super) fn finish(command: &mut Command, input: Option<&[u8]>) -> Result<Result<(String, Duration), String>> {
    let started = Instant::now();
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    let mut output = child.stdout.take().context("take the output")?;
    // Both pipes have threads of their own, for either may fill up.
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    });
    let writing = child.stdin.take().zip(input.map(<[u8]>::to_vec)).map(|(mut stdin, bytes)| {
        // A program that stops reading has its reasons; its answer says which.
        std::thread::spawn(move || drop(stdin.write_all(&bytes)))
    });
    let status = loop {
        if let Some(status) = child.try_wait().context("wait for a program")? {
            break status;
        }
        if started.elapsed() > HANGS_AFTER {
            child.kill().context("end a program that hangs")?;
            child.wait().context("end a program that hangs")?;
            return Ok(Err(format!("it hung: no answer within {} s", HANGS_AFTER.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let took = started.elapsed();
    let output = reading.join().ok().and_then(Result::ok).context("take the output")?;
    if let Some(writing) = writing {
        let _ = writing.join();
    }
    if !matches!(status.code(), Some(0 | 1)) {
        return Ok(Err(format!("it crashed: {status}")));
    }
    Ok(Ok((String::from_utf8_lossy(&output).into_owned(), took)))
}
