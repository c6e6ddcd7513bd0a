//! Everything that can go wrong between an EHR and us, while hundreds of reports are written there: at the end the EHR
//! holds the answers that a day without faults would have given it, one for each report.
//!
//! The test runs a small round of each kind. `cargo xtask chaos` runs many large ones and prints the figures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ehr::Ehr;
use crate::harness::{NOT_RESPONDED, NOT_STATED, RESPONDED, RESPONSUM, Service, TestDatabase, attachment};
use crate::listening::SECRET;
use crate::proxy::{Harm, Proxy};

/// Longest wait for the answers after the last fault.
const HEAL_SECONDS_MAX: u64 = 300;

/// What goes wrong in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chaos {
    /// Nothing: the round that the others are compared with.
    Calm,
    /// Our service is killed.
    Service,
    /// The EHR is killed.
    Ehr,
    /// The network between us and the EHR.
    Network,
    /// Notifications are lost, doubled and reordered.
    Notifications,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures of `cargo xtask chaos`")]
fn whatever_goes_wrong_the_ehr_holds_one_right_answer_for_each_report() {
    let rounds = setting("RESPONSUM_CHAOS_ROUNDS", 1);
    let documents = setting("RESPONSUM_CHAOS_DOCUMENTS", 40);
    let seed = setting("RESPONSUM_CHAOS_SEED", 1);
    let kinds = [Chaos::Calm, Chaos::Service, Chaos::Ehr, Chaos::Network, Chaos::Notifications];
    let chosen = std::env::var("RESPONSUM_CHAOS_KIND").unwrap_or_default().to_lowercase();
    for kind in kinds {
        if !chosen.is_empty() && !format!("{kind:?}").to_lowercase().starts_with(&chosen) {
            continue;
        }
        for round in 0..if kind == Chaos::Calm { 1 } else { rounds } {
            let figures = run(kind, seed + round, usize::try_from(documents).expect("small"));
            println!("{kind:?} {:>2}: {figures}", round + 1);
        }
    }
}

/// Runs one round, checks what the EHR holds at its end, and says how it went.
fn run(kind: Chaos, seed: u64, documents: usize) -> String {
    let mut world = World::new();
    let mut random = Random(seed);
    let written = AtomicBool::new(false);
    let ehr = world.ehr.base.clone();
    let mut faults = 0;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let done = &written;
        scope.spawn(move || {
            write_reports(&ehr, documents);
            done.store(true, Ordering::SeqCst);
        });
        while !written.load(Ordering::SeqCst) || (faults < 3 && kind != Chaos::Calm) {
            std::thread::sleep(Duration::from_millis(100 + random.below(600)));
            if kind != Chaos::Calm {
                world.fault(kind, &mut random);
                faults += 1;
            }
        }
    });
    world.to_ehr.harm(Harm::None);
    world.to_us.harm(Harm::None);
    let writing = started.elapsed().as_secs_f64();
    let healing = Instant::now();
    let expected = expected(documents);
    let held = world.until_held(&expected);
    let healed = healing.elapsed().as_secs_f64();
    assert_eq!(held, expected, "seed {seed}: what the EHR holds, by report");
    let answers = if kind == Chaos::Calm { world.answer_times() + &world.hook_times(documents) } else { String::new() };
    format!(
        "seed {seed}: {documents} reports in {writing:.0} s, {faults} faults, whole {healed:.1} s after the last one\
         {answers}"
    )
}

fn median_and_p99(values: &[f64]) -> [f64; 2] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [50, 99].map(|share| sorted[(sorted.len() * share / 100).min(sorted.len() - 1)])
}

/// An EHR, our service, and the networks between them.
struct World {
    ehr: Ehr,
    service: Service,
    database: Arc<TestDatabase>,
    settings: Settings,
    /// From us to the EHR.
    to_ehr: Proxy,
    /// From the EHR to us.
    to_us: Proxy,
}

impl World {
    fn new() -> Self {
        let to_ehr = Proxy::start("127.0.0.1:1");
        let more = "subscriptions: {notify_method: put-resource, retries: 3}";
        let ehr = Ehr::start_known_as(Some(&format!("{}/fhir", to_ehr.url)), more);
        to_ehr.target(address(&ehr));
        let to_us = Proxy::start("127.0.0.1:1");
        let settings = Settings::new(&to_ehr.url);
        let database = Arc::new(TestDatabase::new());
        let service = settings.serve(&database);
        to_us.target(service.base.trim_start_matches("http://"));
        settings.subscribe(&database, &to_us.url);
        Self { ehr, service, database, settings, to_ehr, to_us }
    }

    /// Does one harm, for a while.
    fn fault(&mut self, kind: Chaos, random: &mut Random) {
        let pause = Duration::from_millis(200 + random.below(1_500));
        match kind {
            Chaos::Calm => {}
            Chaos::Service => {
                self.service.signal(Signal::SIGKILL);
                self.service.ended();
                std::thread::sleep(pause / 2);
                self.service = self.settings.serve(&self.database);
                self.to_us.target(self.service.base.trim_start_matches("http://"));
            }
            Chaos::Ehr => {
                self.ehr.kill();
                std::thread::sleep(pause);
                self.ehr.restart();
                self.to_ehr.target(address(&self.ehr));
            }
            Chaos::Network => {
                let harms = [
                    Harm::Refused,
                    Harm::Hanging,
                    Harm::Slow(Duration::from_millis(700)),
                    Harm::Unavailable,
                    Harm::LateError,
                    Harm::TooMany,
                    Harm::Truncated,
                    Harm::Swallowed,
                ];
                self.to_ehr.harm(harms[usize::try_from(random.below(8)).expect("small")]);
                std::thread::sleep(pause);
                self.to_ehr.harm(Harm::None);
            }
            Chaos::Notifications => {
                let harms = [Harm::Lost, Harm::Doubled, Harm::Reordered, Harm::Refused, Harm::Unavailable];
                self.to_us.harm(harms[usize::try_from(random.below(5)).expect("small")]);
                std::thread::sleep(pause);
                self.to_us.harm(Harm::None);
            }
        }
    }

    /// Waits until the EHR holds what it should, or until that takes too long; then looks once more after a while, for
    /// what comes too late or twice.
    fn until_held(&self, expected: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
        let since = Instant::now();
        while self.held() != *expected && since.elapsed().as_secs() < HEAL_SECONDS_MAX {
            std::thread::sleep(Duration::from_millis(500));
        }
        std::thread::sleep(Duration::from_secs(3));
        self.held()
    }

    /// Seconds from a report's write to its answer's, by the EHR's own clock: of reports that were written once.
    fn answer_times(&self) -> String {
        let at = |resource: &Value| {
            let text = resource["meta"]["lastUpdated"].as_str().expect("a time");
            OffsetDateTime::parse(text, &Rfc3339).expect("an instant")
        };
        let mut written = BTreeMap::new();
        for report in ["DiagnosticReport", "DocumentReference"].iter().flat_map(|kind| self.ehr.all(kind)) {
            if report["meta"]["versionId"] == "1" {
                written.insert(report["id"].as_str().expect("an id").to_owned(), at(&report));
            }
        }
        let answered = self.ehr.all("Observation").into_iter().filter_map(|observation| {
            let report = observation["meta"]["source"].as_str()?.rsplit('/').next()?.to_owned();
            Some((at(&observation) - *written.get(&report)?).as_seconds_f64())
        });
        let seconds: Vec<f64> = answered.collect();
        let [median, p99] = median_and_p99(&seconds);
        format!("; {} answers after {median:.2} s (median), {p99:.2} s (p99)", seconds.len())
    }

    /// Milliseconds until we take a notification, of four senders at a time: by then it is durable.
    fn hook_times(&self, documents: usize) -> String {
        let send = |n: usize| {
            let started = Instant::now();
            let at = format!("/hooks/ehr/DiagnosticReport/c{}", n % documents);
            self.service.send("PUT", &at, &[("authorization", SECRET)], None).expect(200);
            started.elapsed().as_secs_f64() * 1e3
        };
        let times = std::thread::scope(|scope| {
            let senders: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..2 * documents).map(send).collect::<Vec<_>>())).collect();
            senders.into_iter().flat_map(|sender| sender.join().expect("no panic")).collect::<Vec<_>>()
        });
        let [median, p99] = median_and_p99(&times);
        format!("; {} notifications taken within {median:.1} ms (median), {p99:.1} ms (p99)", times.len())
    }

    /// What the EHR holds: for each report, what the Observations say that stand.
    fn held(&self) -> BTreeMap<String, Vec<String>> {
        let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for observation in self.ehr.all("Observation") {
            if observation["status"] == "entered-in-error" {
                continue;
            }
            let source = observation["meta"]["source"].as_str().unwrap_or("of no report");
            let report = source.rsplit('/').next().unwrap_or_default().to_owned();
            let said = observation["valueCodeableConcept"]["coding"][0]["code"].as_str().unwrap_or("nothing");
            held.entry(report).or_default().push(said.to_owned());
        }
        held
    }
}

/// `host:port` of the server itself.
fn address(ehr: &Ehr) -> &str {
    ehr.base.trim_start_matches("http://").trim_end_matches("/fhir")
}

/// The service's settings: quick to notice, so that a round is quick.
struct Settings(tempfile::TempDir);

impl Settings {
    fn new(ehr: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, SECRET).expect("written");
        let toml = format!(
            "[sources.ehr]\nbase_url = \"{ehr}/fhir\"\nhook_secret_file = \"{}\"\npoll_seconds = 2\n\
             catch_up_seconds = 2\noverlap_seconds = 30\nrequest_seconds_max = 3\nrequests_per_second_max = 500\n\
             requests_at_once_max = 8\nsince = \"2020-01-01\"\n",
            secret.display()
        );
        std::fs::write(folder.path().join("responsum.toml"), toml).expect("written");
        Self(folder)
    }

    fn file(&self) -> String {
        self.0.path().join("responsum.toml").to_str().expect("a path of text").to_owned()
    }

    fn serve(&self, database: &Arc<TestDatabase>) -> Service {
        Service::start_with(Arc::clone(database), &["--config", &self.file()], &[("RUST_LOG", "info")])
    }

    /// Asks the EHR to notify us.
    fn subscribe(&self, database: &TestDatabase, endpoint: &str) {
        let made = std::process::Command::new(RESPONSUM)
            .args(["subscriptions", "create", "--endpoint", endpoint, "--config", &self.file()])
            .env("DATABASE_URL", database.url())
            .output()
            .expect("the executable starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

/// What the text of a report says, by its number.
fn text(n: usize) -> (&'static str, Option<&'static str>) {
    [(RESPONDED, Some("responded")), (NOT_RESPONDED, Some("not-responded")), (NOT_STATED, None)][n % 3]
}

/// A tenth of the reports is corrected later, and then says what the next one says.
fn is_corrected(n: usize) -> bool {
    n % 10 == 4
}

/// One in twenty turns out to be an error.
fn is_error(n: usize) -> bool {
    n % 20 == 7
}

fn expected(documents: usize) -> BTreeMap<String, Vec<String>> {
    let last = |n: usize| text(if is_corrected(n) { n + 1 } else { n }).1;
    let stated = (0..documents).filter(|n| !is_error(*n)).filter_map(|n| Some((n, last(n)?)));
    stated.map(|(n, said)| (format!("c{n}"), vec![said.to_owned()])).collect()
}

/// Writes all reports into the EHR, which may be away at times.
fn write_reports(ehr: &str, documents: usize) {
    for n in 0..documents {
        put(ehr, &report(n, text(n).0, "final"));
        if n >= 10 && is_corrected(n - 10) {
            put(ehr, &report(n - 10, text(n - 9).0, "corrected"));
        }
        if n >= 10 && is_error(n - 10) {
            put(ehr, &report(n - 10, text(n - 10).0, "entered-in-error"));
        }
    }
    // Those whose turn did not come yet.
    for n in documents.saturating_sub(10)..documents {
        if is_corrected(n) {
            put(ehr, &report(n, text(n + 1).0, "corrected"));
        }
        if is_error(n) {
            put(ehr, &report(n, text(n).0, "entered-in-error"));
        }
    }
}

/// Types and formats take turns; every report has words of its own.
fn report(n: usize, text: &str, status: &str) -> Value {
    let lines = [format!("Study number {n}."), format!("IMPRESSION: {text}")];
    let plain = lines.join("\n\n");
    let html = format!("<html><body><p>{}</p></body></html>", lines.join("</p><p>"));
    if n % 6 == 5 {
        let (status, progress) = match status {
            "entered-in-error" => (status, "final"),
            "corrected" => ("current", "amended"),
            _ => ("current", "final"),
        };
        return json!({
            "resourceType": "DocumentReference",
            "id": format!("c{n}"),
            "status": status,
            "docStatus": progress,
            "subject": {"reference": format!("Patient/p{}", n % 50)},
            "date": "2026-03-01T10:00:00+01:00",
            "content": [{"attachment": attachment("text/html; charset=utf-8", html.as_bytes())}],
        });
    }
    let mut report = json!({
        "resourceType": "DiagnosticReport",
        "id": format!("c{n}"),
        "status": status,
        "code": {"coding": [{"system": "http://loinc.org", "code": "18748-4"}]},
        "subject": {"reference": format!("Patient/p{}", n % 50)},
        "effectiveDateTime": "2026-03-01T10:00:00+01:00",
    });
    let form = match n % 6 {
        0 => {
            report["conclusion"] = plain.into();
            return report;
        }
        1 => attachment("text/html; charset=utf-8", html.as_bytes()),
        2 => attachment("text/rtf", format!("{{\\rtf1\\ansi {}\\par}}", lines.join("\\par\\par ")).as_bytes()),
        3 => attachment("application/xml", ccda(&lines).as_bytes()),
        _ => attachment("text/plain; charset=utf-8", plain.as_bytes()),
    };
    report["presentedForm"] = json!([form]);
    report
}

fn ccda(lines: &[String]) -> String {
    format!(
        "<?xml version=\"1.0\"?><ClinicalDocument xmlns=\"urn:hl7-org:v3\"><component><structuredBody><component><section>\
         <title>Findings</title><text><paragraph>{}</paragraph></text></section></component></structuredBody></component>\
         </ClinicalDocument>",
        lines.join("</paragraph><paragraph>")
    )
}

fn put(ehr: &str, report: &Value) {
    let text = |name: &str| report[name].as_str().expect("text").to_owned();
    let (kind, id) = (text("resourceType"), text("id"));
    loop {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().into();
        let request = agent.put(format!("{ehr}/{kind}/{id}")).header("content-type", "application/fhir+json");
        match request.send(report.to_string()) {
            Ok(_) => return,
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A small generator, so that a round can be repeated by its seed (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
