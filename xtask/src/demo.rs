//! `cargo xtask demo`: the main job, from an empty machine to an Observation with evidence.

mod examples;
mod table;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use self::examples::Example;
use self::table::Row;
use crate::data_dir::DataDir;
use crate::http::{self, get, post};
use crate::service::{self, Service};
use crate::setup;
use crate::workspace::seconds;

/// Longest wait for all seven answers.
const ANSWERS_SECONDS_MAX: u64 = 120;
/// The demo fails below this many labels equal to the reference's.
const AGREEMENT_MIN: usize = 6;

/// Options of `cargo xtask demo`.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave the service running afterwards
    #[arg(long)]
    keep: bool,
    /// The loopback port of the service, instead of a free one
    #[arg(long)]
    port: Option<u16>,
}

/// One posted report.
struct Posted {
    example: Example,
    /// `Type/id`.
    report: String,
}

/// One answered report.
struct Answered {
    posted: Posted,
    /// What `$annotation` said.
    annotation: Value,
    /// Its Observation; none if nothing is stated.
    observation: Option<Value>,
}

/// Sets up, builds, starts, posts, waits, prints, and stops.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    step("Set-up");
    setup::run(&setup::Options::default())?;
    step("Build (the first takes minutes)");
    let build = Instant::now();
    let program = service::build()?;
    println!("Built in {}", seconds(build.elapsed()));
    step("Service");
    let data_dir = DataDir::make("demo")?;
    let begun = Instant::now();
    let port = options.port.map_or_else(service::free_port, Ok)?;
    let service = Service::start(&program, &data_dir.path, port, None)?;
    println!("Ready after {} at {} (data in {})", seconds(begun.elapsed()), service.url, data_dir.path.display());
    let outcome = show(&service);
    if outcome.is_err() {
        eprintln!("\n{}", service.log_tail());
    }
    if options.keep && outcome.is_ok() {
        println!("\nThe service goes on at {}/fhir. To stop it: kill {}", service.url, service.pid());
        println!("Its data stays in {}", data_dir.keep().display());
        service.keep()?;
    } else {
        let stopped = service.stop();
        outcome?;
        stopped?;
    }
    println!("Demo passed in {}", seconds(started.elapsed()));
    Ok(())
}

/// The main job, as a client sees it.
fn show(service: &Service) -> Result<()> {
    let agent = http::agent();
    let fhir = format!("{}/fhir", service.url);
    step("Seven texts in seven shapes");
    let posted = post_all(&agent, &fhir)?;
    let waiting = Instant::now();
    let answered = wait_for_all(&agent, &fhir, posted)?;
    println!("All answered {} after the last was posted", seconds(waiting.elapsed()));
    let rows: Vec<Row> = answered.iter().enumerate().map(|(index, one)| row(index, one, &fhir)).collect();
    println!("\n{}", table::format(&rows));
    show_one(&agent, &fhir, &answered)?;
    judge(&answered)
}

fn post_all(agent: &ureq::Agent, fhir: &str) -> Result<Vec<Posted>> {
    let mut posted = Vec::new();
    for example in examples::all() {
        let url = if example.path.is_empty() { fhir.to_owned() } else { format!("{fhir}/{}", example.path) };
        let doing = format!("POST of {}", example.shape);
        let answer = post(agent, &url, &example.resource)?.success(&doing)?;
        let location = if example.path.is_empty() {
            let entries = answer.body["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
            let locations = entries.iter().filter_map(|entry| entry["response"]["location"].as_str());
            locations.filter(|location| location.contains("DiagnosticReport/")).map(str::to_owned).next()
        } else {
            answer.location
        };
        let location = location.with_context(|| format!("{doing}: the answer does not say where it is"))?;
        let report = relative(&location).with_context(|| format!("{doing}: not a location: {location}"))?;
        println!("  {} {:43} → {report}", answer.status, example.shape);
        posted.push(Posted { example, report });
    }
    Ok(posted)
}

/// `Type/id` of `[base]/Type/id/_history/1`.
fn relative(location: &str) -> Option<String> {
    let before = location.split("/_history/").next()?;
    let mut parts = before.rsplit('/');
    let (id, resource_type) = (parts.next()?, parts.next()?);
    Some(format!("{resource_type}/{id}"))
}

fn wait_for_all(agent: &ureq::Agent, fhir: &str, posted: Vec<Posted>) -> Result<Vec<Answered>> {
    let deadline = Instant::now() + Duration::from_secs(ANSWERS_SECONDS_MAX);
    let mut answered = Vec::new();
    for one in posted {
        let annotation = wait_for(agent, fhir, &one.report, deadline)?;
        let search = format!("{fhir}/Observation?_source={}", one.report);
        let found = get(agent, &search)?.success("the search for the Observation")?.body;
        let observation = found["entry"].as_array().and_then(|entries| entries.first()).map(|e| e["resource"].clone());
        let stated = annotation["label"] != "not-stated";
        ensure!(
            stated == observation.is_some(),
            "{}: the annotation is {} and there {} an Observation",
            one.report,
            annotation["label"],
            if observation.is_some() { "is" } else { "is not" }
        );
        answered.push(Answered { posted: one, annotation, observation });
    }
    Ok(answered)
}

/// Asks until the newest version of the report is annotated.
fn wait_for(agent: &ureq::Agent, fhir: &str, report: &str, deadline: Instant) -> Result<Value> {
    loop {
        let answer = get(agent, &format!("{fhir}/{report}/$annotation"))?.success("$annotation")?.body;
        match answer["state"].as_str() {
            Some("annotated") => return Ok(answer),
            Some("received") if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            Some("received") => bail!("{report} was not annotated within {ANSWERS_SECONDS_MAX} s"),
            _ => bail!("{report} was not annotated: {answer}"),
        }
    }
}

fn row(index: usize, one: &Answered, fhir: &str) -> Row {
    let annotation = &one.annotation;
    let word = |name: &str| annotation[name].as_str().unwrap_or("–").to_owned();
    let confidence = annotation["confidence"].as_f64().map_or("–".to_owned(), |value| format!("{value:.3}"));
    let agrees = if our_answer(annotation) == Some(one.posted.example.reference) { "" } else { " ✗" };
    let id = one.observation.as_ref().and_then(|observation| observation["id"].as_str());
    Row {
        cells: [
            (index + 1).to_string(),
            table::shortened(one.posted.example.text, 100),
            word("label"),
            format!("{}{agrees}", one.posted.example.reference),
            word("category"),
            confidence,
            annotation["evidence"][0]["text"].as_str().unwrap_or("–").to_owned(),
        ],
        below: id.map_or("no Observation: nothing is stated".to_owned(), |id| format!("{fhir}/Observation/{id}")),
    }
}

/// Our label in the reference's words.
fn our_answer(annotation: &Value) -> Option<&'static str> {
    match annotation["label"].as_str() {
        Some("responded") => Some("Yes"),
        Some("not-responded") => Some("No"),
        _ => None,
    }
}

/// One Observation and its Provenance, as REST gives them.
fn show_one(agent: &ureq::Agent, fhir: &str, answered: &[Answered]) -> Result<()> {
    let id = answered.iter().find_map(|one| one.observation.as_ref()?["id"].as_str());
    let id = id.context("no report has an Observation")?;
    for url in [format!("{fhir}/Observation/{id}"), format!("{fhir}/Provenance?target=Observation/{id}")] {
        step(&format!("GET {url}"));
        let body = get(agent, &url)?.success(&url)?.body;
        let resource = if body["resourceType"] == "Bundle" { &body["entry"][0]["resource"] } else { &body };
        ensure!(resource.is_object(), "{url} found nothing");
        println!("{}", readable(resource));
    }
    Ok(())
}

/// A resource with its type and id first, as FHIR's own examples have them.
fn readable(resource: &Value) -> String {
    let mut fields: Vec<(&String, &Value)> = resource.as_object().into_iter().flatten().collect();
    let first = ["resourceType", "id", "meta", "status", "code", "subject", "valueCodeableConcept", "component"];
    fields.sort_by_key(|(name, _)| first.iter().position(|f| *f == name.as_str()).unwrap_or(first.len()));
    let lines =
        fields.into_iter().map(|(name, value)| format!("  {name:?}: {}", format!("{value:#}").replace('\n', "\n  ")));
    format!("{{\n{}\n}}", lines.collect::<Vec<_>>().join(",\n"))
}

/// All seven annotated, and enough of them as the reference has them.
fn judge(answered: &[Answered]) -> Result<()> {
    let equal = |one: &&Answered| our_answer(&one.annotation) == Some(one.posted.example.reference);
    let agreeing = answered.iter().filter(equal).count();
    println!("\n{count} of {count} annotated, {agreeing} labels equal the reference's", count = answered.len());
    ensure!(agreeing >= AGREEMENT_MIN, "{agreeing} labels equal the reference's, and {AGREEMENT_MIN} must");
    Ok(())
}

fn step(what: &str) {
    println!("\n── {what}");
}
