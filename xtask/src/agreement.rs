//! `cargo xtask agreement`: how far two models agree on many texts, asked of a running service.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::data_dir::DataDir;
use crate::http::{self, get, put};
use crate::service::{self, Service};
use crate::setup;
use crate::workspace::{self, seconds};

/// Longest wait without a document that ends: one document takes seconds at most.
const STILL_SECONDS_MAX: u64 = 300;
/// How often the service is asked how far it is.
const POLL_SECONDS: u64 = 2;

/// Options of `cargo xtask agreement`.
#[derive(Args)]
pub(crate) struct Options {
    /// The model in shadow: a model as `model.path` takes it
    #[arg(long, value_name = "PATH")]
    shadow: PathBuf,
    /// The model that answers, instead of the built-in one
    #[arg(long, value_name = "PATH")]
    active: Option<PathBuf>,
    /// Rows of `{"id","text"}`, plain or compressed with gzip
    #[arg(long, value_name = "FILE", default_value = "../shared/data/pool/clinical-texts.jsonl.gz")]
    texts: PathBuf,
    /// How many of the texts: those whose ids have the smallest SHA-256, so that a run can be repeated
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Write the service's whole answer to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One text.
struct Row {
    id: String,
    text: String,
}

/// Sets up, builds, starts, sends, waits, prints, and stops.
pub(crate) fn run(options: &Options) -> Result<()> {
    let texts = workspace::root().join(&options.texts);
    let rows = choose(read(&texts)?, options.count);
    ensure!(!rows.is_empty(), "{} holds no texts", texts.display());
    setup::run(&setup::Options::default())?;
    let program = service::build()?;
    let data_dir = DataDir::make("agreement")?;
    let settings = data_dir.path.join("responsum.toml");
    fs::write(&settings, lineup(options)?).context("write the settings")?;
    let service = Service::start(&program, &data_dir.path, service::free_port()?, Some(&settings))?;
    let measured = measure(&service, &rows);
    if measured.is_err() {
        eprintln!("\n{}", service.log_tail());
    }
    let stopped = service.stop();
    let answer = measured?;
    stopped?;
    if let Some(file) = &options.json {
        fs::write(file, format!("{answer:#}\n")).with_context(|| format!("write {}", file.display()))?;
    }
    println!("\n{}", format(&answer));
    Ok(())
}

/// The settings: two models, one answers and one looks on.
fn lineup(options: &Options) -> Result<String> {
    let path = |path: &Path| {
        let path = fs::canonicalize(path).with_context(|| format!("find the model {}", path.display()))?;
        Ok::<_, anyhow::Error>(format!("path = {:?}\n", path.to_string_lossy()))
    };
    let active = options.active.as_deref().map(path).transpose()?.unwrap_or_default();
    let shadow = path(&options.shadow)?;
    Ok(format!(
        "[model]\nactive = \"active\"\nshadow = [\"shadow\"]\n[models.active]\n{active}[models.shadow]\n{shadow}"
    ))
}

fn read(file: &Path) -> Result<Vec<Row>> {
    let doing = || format!("read {}", file.display());
    let text = if file.extension().is_some_and(|extension| extension == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(file).output().with_context(doing)?;
        ensure!(output.status.success(), "gzip cannot read {}", file.display());
        String::from_utf8(output.stdout).with_context(doing)?
    } else {
        fs::read_to_string(file).with_context(doing)?
    };
    let rows = text.lines().filter(|line| !line.trim().is_empty()).enumerate().map(|(at, line)| {
        let row: Value = serde_json::from_str(line).with_context(|| format!("line {} is not JSON", at + 1))?;
        match (row["id"].as_str(), row["text"].as_str()) {
            (Some(id), Some(text)) => Ok(Row { id: id.to_owned(), text: text.to_owned() }),
            _ => bail!("line {} has no id or no text", at + 1),
        }
    });
    rows.collect()
}

/// As many rows, always the same ones, whatever their order in the file.
fn choose(mut rows: Vec<Row>, count: usize) -> Vec<Row> {
    rows.sort_by_cached_key(|row| Sha256::digest(row.id.as_bytes()));
    rows.truncate(count);
    rows
}

/// Sends the texts and waits until both models have read all of them.
fn measure(service: &Service, rows: &[Row]) -> Result<Value> {
    let agent = http::agent();
    let started = Instant::now();
    for row in rows {
        let url = format!("{}/fhir/DocumentReference/{}", service.url, row.id);
        put(&agent, &url, &document(row))?.success(&format!("PUT of {}", row.id))?;
    }
    println!("{} texts sent in {}", rows.len(), seconds(started.elapsed()));
    let url = format!("{}/models/active/agreement/shadow?count=500", service.url);
    let (mut before, mut moved) = (0, Instant::now());
    loop {
        let answer = get(&agent, &url)?.success("the agreement")?.body;
        let done = answer["documents"].as_u64().unwrap_or(0) + answer["notAsked"].as_u64().unwrap_or(0);
        if done >= rows.len() as u64 {
            println!("both models have read all of them after {}", seconds(started.elapsed()));
            return Ok(answer);
        }
        if done > before {
            (before, moved) = (done, Instant::now());
        }
        // The shadow begins once the model that answers has nothing to do: until then there is nothing to compare.
        let waiting = waiting(&agent, service)?;
        if waiting > 0 {
            moved = Instant::now();
        }
        ensure!(moved.elapsed().as_secs() < STILL_SECONDS_MAX, "only {done} of {} were read by both", rows.len());
        println!("  {} by both, {waiting} wait for the first, after {}", done, seconds(started.elapsed()));
        std::thread::sleep(Duration::from_secs(POLL_SECONDS.max(started.elapsed().as_secs() / 20)));
    }
}

/// Texts that the model that answers has not read.
fn waiting(agent: &ureq::Agent, service: &Service) -> Result<u64> {
    let mut response = agent.get(format!("{}/metrics", service.url)).call().context("GET /metrics")?;
    let text = response.body_mut().read_to_string().context("read the metrics")?;
    let line = "responsum_jobs{state=\"waiting\"} ";
    Ok(text.lines().find_map(|found| found.strip_prefix(line)?.parse().ok()).unwrap_or(0))
}

fn document(row: &Row) -> Value {
    json!({
        "resourceType": "DocumentReference",
        "id": row.id,
        "status": "current",
        "content": [{"attachment": {
            "contentType": "text/plain; charset=utf-8",
            "data": STANDARD.encode(row.text.as_bytes()),
        }}],
    })
}

/// The figures, for people.
fn format(answer: &Value) -> String {
    let mut text = String::new();
    let model = |side: &str| {
        let model = &answer[side];
        let of = |field: &str| model[field].as_str().unwrap_or_default().to_owned();
        format!("{} {} ({:.12})", of("id"), of("version"), of("sha256"))
    };
    let number = |field: &str| answer[field].as_f64().map_or_else(|| "none".to_owned(), |n| format!("{n:.4}"));
    let _ = writeln!(text, "active     {}\nshadow     {}", model("a"), model("b"));
    let _ = writeln!(text, "documents  {} ({} not asked)", answer["documents"], answer["notAsked"]);
    let _ = writeln!(text, "agreement  {} ({} the same)", number("agreement"), answer["same"]);
    let _ = writeln!(text, "kappa      {}", number("kappa"));
    let label = |at: usize| answer["labels"][at].as_str().unwrap_or_default();
    let _ = writeln!(text, "\n{:>22} {:>14} {:>14} {:>14}", "active \\ shadow", label(0), label(1), label(2));
    for row in 0..3 {
        let cell = |column: usize| answer["confusion"][row][column].to_string();
        let _ = writeln!(text, "{:>22} {:>14} {:>14} {:>14}", label(row), cell(0), cell(1), cell(2));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_texts_are_chosen_whatever_their_order() {
        let rows = |ids: &[&str]| ids.iter().map(|id| Row { id: (*id).to_owned(), text: String::new() }).collect();
        let ids = |rows: Vec<Row>| choose(rows, 2).into_iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!(ids(rows(&["a", "b", "c", "d"])), ids(rows(&["d", "b", "c", "a"])));
    }

    #[test]
    fn figures_are_printed_with_their_labels() {
        let model = json!({"id": "m", "version": "1", "sha256": "0123456789abcdef"});
        let answer = json!({
            "a": model, "b": model, "documents": 3, "notAsked": 1, "same": 2, "agreement": 0.666_666, "kappa": null,
            "labels": ["responded", "not-responded", "not-stated"], "confusion": [[1, 0, 0], [1, 0, 0], [0, 0, 1]],
        });
        let text = format(&answer);
        for part in ["m 1 (0123456789ab)", "3 (1 not asked)", "0.6667 (2 the same)", "kappa      none", "not-responded"]
        {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }
}
