//! Starting, ending, dying, and what survives it.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{NOT_STATED, RESPONDED, RESPONSUM, Service, TestDatabase, report, with_id};

#[test]
fn sigterm_finishes_what_is_in_hand_and_exits_0() {
    let mut service = Service::start();
    for n in 0..20 {
        service.put(&format!("/fhir/DiagnosticReport/r{n}"), &with_id(report(RESPONDED), &format!("r{n}"))).expect(201);
    }
    service.signal(Signal::SIGTERM);
    assert_eq!(service.ended(), Some(0), "{}", service.log());
    assert_eq!(service.database.count("SELECT count(*) FROM jobs WHERE lease IS NOT NULL"), 0, "no lease is left");
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut service = Service::start();
    let large = report(&format!("{RESPONDED} ").repeat(3_000));
    service.accepted(&large);
    std::thread::sleep(Duration::from_millis(300));
    service.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(100));
    let second = Instant::now();
    service.signal(Signal::SIGTERM);
    assert_eq!(service.ended(), Some(0));
    assert!(second.elapsed() < Duration::from_secs(20), "a drain would take up to 30 s");
}

#[test]
fn what_was_accepted_survives_kill_9_and_is_answered_by_the_next_process() {
    let database = Arc::new(TestDatabase::new());
    let mut service = Service::start_with(Arc::clone(&database), &[], &[]);
    for n in 0..40 {
        let text = if n % 2 == 0 { RESPONDED } else { NOT_STATED };
        service.put(&format!("/fhir/DiagnosticReport/r{n}"), &with_id(report(text), &format!("r{n}"))).expect(201);
    }
    service.signal(Signal::SIGKILL);
    service.ended();
    let service = Service::start_with(Arc::clone(&database), &[], &[]);
    service.settle();
    assert_eq!(database.count("SELECT count(*) FROM documents WHERE state = 'annotated'"), 40);
    assert_eq!(database.count("SELECT count(*) FROM annotations"), 40, "none doubled");
    assert_eq!(database.count("SELECT count(*) FROM observations"), 20);
    assert_eq!(database.count("SELECT count(*) FROM observation_versions"), 20, "none doubled");
}

#[test]
fn a_job_that_never_ends_is_given_up_where_people_see_it() {
    let service = Service::start();
    let id = service.accepted(&report(NOT_STATED));
    service.settle();
    service
        .database
        .execute("INSERT INTO jobs (kind, document_id, attempts) SELECT 'annotate', document_id, 8 FROM documents;");
    service.settle();
    assert_eq!(service.database.count("SELECT count(*) FROM jobs WHERE abandoned"), 1);
    let annotation = service.get(&format!("/fhir/DiagnosticReport/{id}/$annotation")).expect(200).json();
    assert_eq!(annotation["state"], "annotated", "a failed re-run takes nothing away");
}

#[test]
fn a_document_that_fails_says_so_and_takes_the_older_answer_back() {
    let service = Service::start();
    service.put("/fhir/DiagnosticReport/r1", &with_id(report(RESPONDED), "r1")).expect(201);
    service.settle();
    // A document whose bytes were damaged in the store.
    service.database.execute(
        "BEGIN;
         UPDATE reports SET newest_version = 2;
         INSERT INTO documents (document_id, report_id, version, received, sha256, received_at)
         SELECT gen_random_uuid(), report_id, 2, '\\x00', sha256('\\x00'), now() FROM reports;
         INSERT INTO jobs (kind, document_id) SELECT 'annotate', document_id FROM documents WHERE version = 2;
         COMMIT;",
    );
    service.settle();
    let annotation = service.get("/fhir/DiagnosticReport/r1/$annotation").expect(200).json();
    assert_eq!(annotation["state"], "failed", "{annotation}");
    assert_eq!(service.observation("DiagnosticReport/r1")["status"], "entered-in-error");
    service.put("/fhir/DiagnosticReport/r1", &with_id(report(RESPONDED), "r1")).expect(200);
    service.settle();
    assert_eq!(service.observation("DiagnosticReport/r1")["status"], "preliminary", "a good version brings it back");
}

#[test]
fn roles_share_the_work() {
    let database = Arc::new(TestDatabase::new());
    let api = Service::start_with(Arc::clone(&database), &["--role", "api"], &[]);
    let id = api.accepted(&report(RESPONDED));
    std::thread::sleep(Duration::from_millis(500));
    let path = format!("/fhir/DiagnosticReport/{id}/$annotation");
    assert_eq!(api.get(&path).json()["state"], "received");
    let worker = Service::start_with(Arc::clone(&database), &["--role", "worker"], &[]);
    worker.settle();
    assert_eq!(api.get(&path).json()["state"], "annotated");
}

#[test]
fn ready_says_so_and_metrics_count() {
    let service = Service::start();
    let ready = service.get("/health/ready").expect(200).json();
    assert_eq!(ready["status"], "ready");
    service.accepted(&report(RESPONDED));
    service.settle();
    let metrics = service.get("/metrics").expect(200).body;
    for name in ["responsum_http_requests_total", "responsum_documents_total", "responsum_stage_duration_seconds"] {
        assert!(metrics.contains(name), "{name} is missing: {metrics}");
    }
    assert!(metrics.contains("route=\"/fhir/{type}\""), "patterns, never paths: {metrics}");
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let database = Arc::new(TestDatabase::new());
    drop(Service::start_with(Arc::clone(&database), &[], &[]));
    database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '\\x00', 0)",
    );
    let output = std::process::Command::new(crate::harness::RESPONSUM)
        .arg("migrate")
        .env("DATABASE_URL", database.url())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("schema"), "{said}");
}

#[test]
fn the_database_going_away_is_told_and_passes() {
    let service = Service::start();
    assert_eq!(service.get("/health/ready").status, 200);
    service.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let id = service.accepted(&report(RESPONDED));
    service.settle();
    assert_eq!(service.observation(&format!("DiagnosticReport/{id}"))["status"], json!("preliminary"));
}

#[test]
fn a_command_beside_a_service_uses_its_private_postgres_and_leaves_it_running() {
    // Made by the service, so that the account that runs Postgres for root may enter.
    let data_dir = std::env::temp_dir().join(format!("responsum-beside-{}", uuid::Uuid::new_v4().simple()));
    let data_dir = data_dir.to_str().expect("a path of text");
    let own = ["--embedded-db", "--data-dir", data_dir];
    let mut service = Service::start_with(Arc::new(TestDatabase::new()), &own, &[]);
    let settings = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    std::fs::write(settings.path(), "[sources.ehr]\nbase_url = \"http://127.0.0.1:1/fhir\"\n").expect("written");
    let file = settings.path().to_str().expect("a path of text");
    for (command, said) in [
        (&["replay"][..], "jobs that get another chance: 0"),
        (&["export-decisions"], ""),
        (&["subscriptions", "list", "--config", file], "ehr:\n  none"),
    ] {
        let output = Command::new(RESPONSUM).args(command).args(own).output().expect("the executable runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains(said), "{command:?}: {out}{err}");
    }
    service.get("/health/ready").expect(200);
    // A second service is not a command.
    let second =
        Command::new(RESPONSUM).args(["serve", "--listen", "127.0.0.1:0"]).args(own).output().expect("it runs");
    assert!(String::from_utf8_lossy(&second.stderr).contains("is in use by another service"));
    service.signal(Signal::SIGTERM);
    assert_eq!(service.ended(), Some(0), "{}", service.log());
    std::fs::remove_dir_all(data_dir).expect("removed");
}
