//! `cargo xtask model-parity`: a model of the size of BERT-base, in the layouts that hospitals have: how long it takes to
//! load, how much memory it needs, and whether its answers are Python's.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::workspace::{self, cargo, display};

/// Options of `cargo xtask model-parity`.
#[derive(Args)]
pub(crate) struct Options {
    /// Texts, one JSON object with `text` a line, gzipped; the first ones are used
    #[arg(long, value_name = "FILE", default_value = "../shared/data/pool/clinical-texts.jsonl.gz")]
    texts: PathBuf,
    /// How many texts are compared
    #[arg(long, value_name = "N", default_value_t = 200)]
    count: usize,
    /// Python with numpy, onnx, onnxruntime and tokenizers
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
    /// Where the model is made, or was made before; 1.3 GB [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Processor threads for the model
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// Build the release profile
    #[arg(long)]
    release: bool,
}

/// Seconds to load a model and to answer one text.
const LOAD_SECONDS_MAX: f64 = 3.0;
/// Peak of memory, as a multiple of the model's file.
const MEMORY_RATIO_MAX: f64 = 1.3;
/// Difference of logits.
const LOGIT_ERROR_MAX: f64 = 1e-4;
/// Tokens of the Spark NLP model, as its metadata say; the other one is given the same.
const MAX_TOKENS: usize = 128;
/// Loads that are measured; the quickest counts, since others may use the machine.
const LOADS: usize = 5;

/// Makes the model, measures and compares.
pub(crate) fn run(options: &Options) -> Result<()> {
    crate::setup::run(&crate::setup::Options::without_postgres())?;
    let mut build = vec!["build", "--quiet", "--bin", "responsum", "--locked"];
    build.extend(options.release.then_some("--release"));
    ensure!(cargo(&build).status().context("start cargo")?.success(), "the build failed");
    let temporary = options.folder.is_none();
    let folder = options
        .folder
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("responsum-parity-{}", std::process::id())));
    let outcome = Parity { options, folder: folder.clone() }.run();
    if temporary {
        std::fs::remove_dir_all(&folder).context("remove the model")?;
    }
    outcome
}

struct Parity<'a> {
    options: &'a Options,
    folder: PathBuf,
}

/// One layout, and how it is measured.
struct Case {
    name: &'static str,
    path: PathBuf,
    /// Whether our tokens are to be Python's, too. Spark NLP's own tokens are compared by their logits.
    same_tokens: bool,
}

impl Parity<'_> {
    fn run(&self) -> Result<()> {
        let hugging_face = self.folder.join("hugging-face");
        if !self.folder.join("spark.zip").is_file() {
            println!("making a model of the size of BERT-base in {}", self.folder.display());
            self.python("make_bert.py").arg(root(&self.options.texts)).arg(&self.folder).succeed("")?;
        }
        let as_hugging_face = self.folder.join("spark-read-as-hugging-face");
        self.with_settings(&as_hugging_face)?;
        let texts = self.texts()?;
        let cases = [
            Case { name: "Hugging Face folder", path: hugging_face.clone(), same_tokens: true },
            Case { name: "Spark NLP folder", path: self.folder.join("spark"), same_tokens: false },
            Case { name: "Spark NLP zip", path: self.folder.join("spark.zip"), same_tokens: false },
            Case { name: "Spark NLP folder, Hugging Face's tokens", path: as_hugging_face, same_tokens: true },
        ];
        let mut faults = Vec::new();
        println!("{:42} {:>9} {:>9} {:>7} {:>12}", "", "load", "peak", "× file", "logits");
        for case in &cases {
            let (took, peak) = self.measure(case)?;
            let ratio = peak as f64 / size(&case.path)? as f64;
            let error = self.compare(case, &hugging_face, &texts)?;
            println!(
                "{:42} {:>7.2} s {:>5} MiB {ratio:>7.2} {error:>12.1e}",
                case.name,
                took.as_secs_f64(),
                peak >> 20
            );
            let limits = [
                (took.as_secs_f64() < LOAD_SECONDS_MAX, "takes too long to load"),
                (ratio < MEMORY_RATIO_MAX, "needs too much memory"),
                (error < LOGIT_ERROR_MAX, "has other logits than Python's"),
            ];
            faults.extend(limits.iter().filter(|(held, _)| !held).map(|(_, fault)| format!("{} {fault}", case.name)));
        }
        ensure!(faults.is_empty(), "{}", faults.join("; "));
        println!(
            "{} texts: all within {LOAD_SECONDS_MAX} s, {MEMORY_RATIO_MAX} × the file and {LOGIT_ERROR_MAX}",
            texts.len()
        );
        Ok(())
    }

    /// The Spark NLP model again, by links within it, with settings that ask for Hugging Face's tokens.
    fn with_settings(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            return Ok(());
        }
        let copied = Command::new("cp").args(["-al"]).arg(self.folder.join("spark")).arg(folder).status();
        ensure!(copied.context("start cp")?.success(), "linking the model again failed");
        std::fs::write(folder.join("responsum-model.toml"), "tokenization = \"huggingface\"\n")
            .context("write settings")
    }

    fn python(&self, script: &str) -> Command {
        let mut command = Command::new(&self.options.python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(root(Path::new("xtask/src").join(script)));
        command
    }

    fn responsum(&self, model: &Path) -> Command {
        let profile = if self.options.release { "release" } else { "debug" };
        let mut command = Command::new(root(Path::new("target")).join(profile).join("responsum"));
        command.args(["model", "score"]).arg(model).args(["--max-tokens", &MAX_TOKENS.to_string()]);
        command.args(["--threads", &self.options.threads.to_string()]);
        command
    }

    /// The first texts, as rows.
    fn texts(&self) -> Result<Vec<Value>> {
        let read = "import gzip, itertools, sys\n\
            for line in itertools.islice(gzip.open(sys.argv[1], 'rt'), int(sys.argv[2])): print(line, end='')";
        let mut command = Command::new(&self.options.python);
        command.args(["-c", read]).arg(root(&self.options.texts)).arg(self.options.count.to_string());
        let rows = lines(&command.succeed("")?)?;
        ensure!(rows.len() == self.options.count, "there are only {} texts", rows.len());
        Ok(rows.into_iter().map(|row| json!({"text": row["text"]})).collect())
    }

    /// The shortest time from start to the answer to one text, and the highest peak of memory.
    fn measure(&self, case: &Case) -> Result<(Duration, u64)> {
        let (mut shortest, mut highest) = (Duration::MAX, 0);
        for _ in 0..LOADS {
            let started = Instant::now();
            let mut command = self.responsum(&case.path);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start responsum")?;
            let input = child.stdin.take().context("give a text")?;
            writeln!(&input, "{}", json!({"text": "No new lesions after six cycles."})).context("give a text")?;
            // The answer comes while the input is open, so that the process is there to be looked at.
            let mut answer = String::new();
            let output = child.stdout.take().context("take the answer")?;
            std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut answer)
                .context("take the answer")?;
            shortest = shortest.min(started.elapsed());
            ensure!(!answer.is_empty(), "`{}` gave no answer", display(&command));
            highest = highest.max(peak_bytes(child.id())?);
            drop(input);
            ensure!(child.wait().context("wait for responsum")?.success(), "`{}` failed", display(&command));
        }
        Ok((shortest, highest))
    }

    /// The largest difference of a logit.
    fn compare(&self, case: &Case, reference: &Path, texts: &[Value]) -> Result<f64> {
        let ours = lines(&self.responsum(&case.path).succeed(&rows(texts))?)?;
        ensure!(ours.len() == texts.len(), "{}: {} answers to {} texts", case.name, ours.len(), texts.len());
        let given: Vec<Value> = if case.same_tokens {
            texts.to_vec()
        } else {
            ours.iter().map(|row| json!({"input_ids": row["input_ids"]})).collect()
        };
        let mut command = self.python("reference.py");
        let theirs = lines(&command.arg(reference).arg(MAX_TOKENS.to_string()).succeed(&rows(&given))?)?;
        let mut largest = 0.0_f64;
        for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            ensure!(ours["input_ids"] == theirs["input_ids"], "{}: text {} has other tokens", case.name, number + 1);
            let logits = |row: &Value| row["logits"].as_array().cloned().unwrap_or_default();
            let (ours, theirs) = (logits(ours), logits(theirs));
            ensure!(!ours.is_empty() && ours.len() == theirs.len(), "{}: other labels", case.name);
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let difference = ours.as_f64().zip(theirs.as_f64()).map(|(ours, theirs)| (ours - theirs).abs());
                largest = largest.max(difference.unwrap_or(f64::INFINITY));
            }
        }
        Ok(largest)
    }
}

/// A path of the repository, or an absolute one as it is.
fn root(path: impl AsRef<Path>) -> PathBuf {
    workspace::root().join(path)
}

trait Succeed {
    /// Runs it with this input, and gives its output.
    fn succeed(&mut self, input: &str) -> Result<String>;
}

impl Succeed for Command {
    fn succeed(&mut self, input: &str) -> Result<String> {
        let line = display(self);
        let mut child =
            self.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().with_context(|| format!("start {line}"))?;
        let mut stdin = child.stdin.take().context("give the input")?;
        let input = input.to_owned();
        // From a thread of its own: both pipes may fill up.
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().with_context(|| format!("wait for {line}"))?;
        let written = writer.join();
        ensure!(output.status.success(), "`{line}` failed ({})", output.status);
        ensure!(matches!(written, Ok(Ok(()))), "`{line}` did not read its input");
        String::from_utf8(output.stdout).context("read its output")
    }
}

fn rows(values: &[Value]) -> String {
    values.iter().fold(String::new(), |mut text, value| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{value}");
        text
    })
}

fn lines(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).context("read a row")).collect()
}

/// Bytes of a file, or of all files of a folder.
fn size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).with_context(|| format!("look at {}", path.display()))?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("look into {}", path.display()))?;
    entries.map(|entry| size(&entry?.path())).sum()
}

/// The most memory that the process has had, as Linux counts it.
fn peak_bytes(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("read the peak of memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("find the peak of memory")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("read the peak of memory")?;
    Ok(kibibytes << 10)
}
