//! `kill -9` at random moments while documents are posted and annotated: nothing is lost, nothing is doubled.
//!
//! The test runs a small round. `cargo xtask crash` runs many large ones and prints the figures.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{FHIR, NOT_RESPONDED, NOT_STATED, RESPONDED, Service, TestDatabase, report, with_id};

/// A lease of a dead process may last this long (docs/operations.md).
const DEAD_LEASE_SECONDS_MAX: f64 = 30.0;

/// What one round showed.
#[derive(Debug)]
struct Round {
    seed: u64,
    kills: usize,
    accepted: usize,
    documents: i64,
    observations: i64,
    dead_lease_seconds: f64,
    /// None if nothing was left to drain once the last dead leases had ended.
    drain_per_second: Option<f64>,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures of `cargo xtask crash`")]
fn every_accepted_document_is_answered_exactly_once_whenever_the_service_is_killed() {
    let rounds = setting("RESPONSUM_CRASH_ROUNDS", 1);
    let documents = setting("RESPONSUM_CRASH_DOCUMENTS", 150);
    let seed = setting("RESPONSUM_CRASH_SEED", 1);
    for round in 0..rounds {
        let shown = run(seed + round, usize::try_from(documents).expect("small"));
        assert!(shown.dead_lease_seconds <= DEAD_LEASE_SECONDS_MAX, "{shown:?}");
        println!(
            "round {:>2} (seed {}): {} killed, {} accepted, {} documents, {} observations, dead leases held {:.1} s at most, {}",
            round + 1,
            shown.seed,
            shown.kills,
            shown.accepted,
            shown.documents,
            shown.observations,
            shown.dead_lease_seconds,
            shown.drain_per_second.map_or_else(
                || "the backlog drained meanwhile".to_owned(),
                |rate| format!("{rate:.0} documents/s while draining"),
            ),
        );
    }
}

/// Posts, kills, restarts; then checks what is there.
fn run(seed: u64, documents: usize) -> Round {
    let database = Arc::new(TestDatabase::new());
    let base = RwLock::new(String::new());
    let accepted = Mutex::new(HashSet::new());
    let (done, mut random) = (AtomicBool::new(false), Random(seed));
    let (mut kills, mut dead_lease_seconds) = (0, 0.0_f64);
    let mut service = Service::start_with(Arc::clone(&database), &[], &[]);
    base.write().expect("a base").clone_from(&service.base);
    std::thread::scope(|scope| {
        let posting: Vec<_> = (0..2)
            .map(|poster| {
                let (base, accepted) = (&base, &accepted);
                scope.spawn(move || post(poster, documents / 2, base, accepted))
            })
            .collect();
        let done = &done;
        scope.spawn(move || {
            for poster in posting {
                poster.join().expect("a poster");
            }
            done.store(true, Ordering::SeqCst);
        });
        loop {
            std::thread::sleep(Duration::from_millis(50 + random.below(2_000)));
            // At least two kills: one while documents are posted, one while their backlog drains.
            if done.load(Ordering::SeqCst) && kills > 1 {
                break;
            }
            service.signal(Signal::SIGKILL);
            service.ended();
            kills += 1;
            let killed = Instant::now();
            let held = database.texts("SELECT lease::text FROM jobs WHERE lease IS NOT NULL");
            service = Service::start_with(Arc::clone(&database), &[], &[]);
            base.write().expect("a base").clone_from(&service.base);
            dead_lease_seconds = dead_lease_seconds.max(until_taken_over(&database, &held, killed));
        }
    });
    let (backlog, draining) = (waiting(&database), Instant::now());
    service.settle();
    let drain_per_second = (backlog > 0).then(|| backlog as f64 / draining.elapsed().as_secs_f64());
    let accepted = accepted.into_inner().expect("accepted");
    check(&service, &database, &accepted);
    Round {
        seed,
        kills,
        accepted: accepted.len(),
        documents: database.count("SELECT count(*) FROM documents"),
        observations: database.count("SELECT count(*) FROM observations"),
        dead_lease_seconds,
        drain_per_second,
    }
}

fn waiting(database: &TestDatabase) -> i64 {
    database.count("SELECT count(*) FROM jobs WHERE NOT abandoned")
}

/// Half by PUT, which may be repeated; half by POST, where a lost answer makes a second report.
fn post(poster: usize, documents: usize, base: &RwLock<String>, accepted: &Mutex<HashSet<String>>) {
    for n in 0..documents {
        let id = format!("p{poster}-{n}");
        let text = [RESPONDED, NOT_RESPONDED, NOT_STATED][n % 3];
        let body = report(text);
        loop {
            let url = base.read().expect("a base").clone();
            let agent: ureq::Agent =
                ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().into();
            let answer = if n % 2 == 0 {
                agent
                    .put(format!("{url}/fhir/DiagnosticReport/{id}"))
                    .header(FHIR.0, FHIR.1)
                    .send(with_id(body.clone(), &id).to_string())
            } else {
                agent.post(format!("{url}/fhir/DiagnosticReport")).header(FHIR.0, FHIR.1).send(body.to_string())
            };
            match answer {
                // The head of the answer is enough: it says that the document is durable, and where.
                Ok(answer) => {
                    let location = answer.headers().get("location").and_then(|location| location.to_str().ok());
                    let (location, _) = location.and_then(|l| l.split_once("/_history/")).expect("a Location");
                    let stored = location.rsplit('/').next().expect("an id").to_owned();
                    accepted.lock().expect("accepted").insert(stored);
                    break;
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

/// Seconds since the kill until no job is held by the dead process any more.
fn until_taken_over(database: &TestDatabase, held: &[String], killed: Instant) -> f64 {
    while !held.is_empty() {
        let now = database.texts("SELECT lease::text FROM jobs WHERE lease IS NOT NULL");
        if !held.iter().any(|lease| now.contains(lease)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    killed.elapsed().as_secs_f64()
}

fn check(service: &Service, database: &TestDatabase, accepted: &HashSet<String>) {
    let stored: HashSet<String> = database.texts("SELECT logical_id FROM reports").into_iter().collect();
    let lost: Vec<_> = accepted.difference(&stored).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    assert_eq!(database.count("SELECT count(*) FROM documents WHERE state <> 'annotated'"), 0);
    let documents = database.count("SELECT count(*) FROM documents");
    assert_eq!(database.count("SELECT count(*) FROM annotations"), documents, "one annotation for each, none doubled");
    let stated = database
        .count("SELECT count(*) FROM documents JOIN annotations USING (annotation_id) WHERE label <> 'not-stated'");
    assert_eq!(database.count("SELECT count(*) FROM observations"), stated, "one Observation for each that states it");
    assert_eq!(database.count("SELECT count(*) FROM observation_versions"), stated, "none written twice");
    assert_eq!(database.count("SELECT count(*) FROM jobs"), 0);
    let found = service.get("/fhir/Observation?_count=1").expect(200).json();
    assert_eq!(found["total"], stated);
}

/// A small generator, so that a round can be repeated by its seed (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
