//! Real clusters, real kills. As root they are run by an unprivileged account, else by this user.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use sqlx::PgConnection;

use super::*;

/// Set for the process that [`hold_a_cluster`] runs in.
const HOLD_IN: &str = "RESPONSUM_TEST_HOLD_CLUSTER_IN";

/// A folder that every account can reach.
fn scratch() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a mode");
    folder
}

/// A folder that its owner alone can enter.
fn closed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("a mode");
    folder
}

fn settings(data_dir: impl Into<PathBuf>) -> Settings {
    Settings { durability: Durability::None, connections_max: 10, ..Settings::new(data_dir) }
}

fn bundled() -> PathBuf {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime/postgres/bin");
    assert!(bin.join("postgres").exists(), "run `cargo xtask setup --postgres bundled` first");
    bin
}

async fn connect(postgres: &EmbeddedPostgres) -> PgConnection {
    postgres.connect_options().connect().await.expect("a connection")
}

async fn number(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(connection).await.expect("a number")
}

fn pid_of(postgres: &EmbeddedPostgres) -> Pid {
    let text = fs::read_to_string(postgres.cluster_dir().join("postmaster.pid")).expect("a pid file");
    Pid::from_raw(text.lines().next().and_then(|pid| pid.parse().ok()).expect("a pid"))
}

/// A service in a process of its own, whose end is a kill.
fn service_in(data_dir: &Path) -> (Child, Pid) {
    let mut service = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["store::embedded::tests::hold_a_cluster", "--exact", "--ignored", "--nocapture"])
        .env(HOLD_IN, data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the service starts");
    let output = BufReader::new(service.stdout.take().expect("it is piped"));
    let pid = output.lines().map_while(Result::ok).find_map(|line| line.split_once("postgres pid ")?.1.parse().ok());
    (service, Pid::from_raw(pid.expect("the service says that it is ready")))
}

#[tokio::test]
#[ignore = "other tests run it as a process of its own, to kill it"]
async fn hold_a_cluster() {
    let data_dir = std::env::var_os(HOLD_IN).expect("a folder");
    let postgres = EmbeddedPostgres::start(&settings(data_dir)).await.expect("it starts");
    eprintln!("holding {}", postgres.url());
    std::io::Write::write_all(&mut std::io::stdout(), format!("\npostgres pid {}\n", pid_of(&postgres)).as_bytes())
        .expect("the parent listens");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_cluster_keeps_its_data_lets_nobody_else_in_and_listens_on_no_port() {
    let folder = scratch();
    let first = EmbeddedPostgres::start(&settings(folder.path())).await.expect("it starts");
    let mut connection = connect(&first).await;
    sqlx::query("CREATE TABLE kept AS SELECT 42::bigint AS n").execute(&mut connection).await.expect("a table");
    let facts: (String, String, String, String) = sqlx::query_as(
        "SELECT current_setting('listen_addresses'), current_setting('data_checksums'),
                current_setting('server_encoding'), current_database()::text",
    )
    .fetch_one(&mut connection)
    .await
    .expect("facts");
    assert_eq!(facts, (String::new(), "on".to_owned(), "UTF8".to_owned(), "responsum".to_owned()));
    for closed in [folder.path().join("postgres"), first.socket_dir.clone(), first.cluster.clone()] {
        assert_eq!(fs::metadata(&closed).expect("it is there").permissions().mode() & 0o777, 0o700, "{closed:?}");
    }
    first.stop().await.expect("it stops");

    let second = EmbeddedPostgres::start(&settings(folder.path())).await.expect("it starts again");
    assert_eq!(number(&mut connect(&second).await, "SELECT n FROM kept").await, 42);
    let mut by_url = PgConnection::connect(&second.url()).await.expect("the URL works too");
    assert_eq!(number(&mut by_url, "SELECT n FROM kept").await, 42);
    second.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_second_service_on_the_same_folder_is_refused() {
    let folder = scratch();
    let first = EmbeddedPostgres::start(&settings(folder.path())).await.expect("it starts");
    let error = EmbeddedPostgres::start(&settings(folder.path())).await.expect_err("it is in use").to_string();
    assert!(error.contains(&format!("in use by another service (process {})", std::process::id())), "{error}");
    assert_eq!(number(&mut connect(&first).await, "SELECT 1::bigint").await, 1, "the first goes on");
    first.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_server_that_outlived_its_killed_service_is_adopted_and_stops_with_the_next() {
    let folder = scratch();
    let (mut service, server) = service_in(folder.path());
    service.kill().expect("it is killed");
    service.wait().expect("it is gone");
    assert!(kill(server, None).is_ok(), "Postgres goes on without its service");

    let next = EmbeddedPostgres::start(&settings(folder.path())).await.expect("the next service starts");
    assert_eq!(pid_of(&next), server, "it is the same server");
    assert_eq!(number(&mut connect(&next).await, "SELECT 1::bigint").await, 1);
    next.stop().await.expect("it stops");
    let gone = || fs::read(format!("/proc/{server}/cmdline")).map_or(true, |line| line.is_empty());
    assert!(gone(), "the adopted server has ended");
}

#[tokio::test]
async fn a_killed_server_starts_again_with_all_that_was_committed() {
    let folder = scratch();
    let first = EmbeddedPostgres::start(&settings(folder.path())).await.expect("it starts");
    let mut connection = connect(&first).await;
    sqlx::query("CREATE TABLE kept AS SELECT 42::bigint AS n").execute(&mut connection).await.expect("a table");
    kill(pid_of(&first), Signal::SIGKILL).expect("it is killed");
    first.ended().await;
    drop(first);

    let second = EmbeddedPostgres::start(&settings(folder.path())).await.expect("it starts again");
    assert_eq!(number(&mut connect(&second).await, "SELECT n FROM kept").await, 42);
    second.stop().await.expect("it stops");
}

#[tokio::test]
async fn service_and_server_killed_together_start_again() {
    let folder = scratch();
    let (mut service, server) = service_in(folder.path());
    service.kill().expect("it is killed");
    kill(server, Signal::SIGKILL).expect("it is killed");
    service.wait().expect("it is gone");
    let next = EmbeddedPostgres::start(&settings(folder.path())).await.expect("the next service starts");
    assert_ne!(pid_of(&next), server);
    next.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_process_id_that_the_system_gave_to_another_process_is_no_hindrance() {
    let folder = scratch();
    let first = EmbeddedPostgres::start(&settings(folder.path())).await.expect("it starts");
    let pid_file = first.cluster_dir().join("postmaster.pid");
    let left = fs::read_to_string(&pid_file).expect("a pid file");
    first.stop().await.expect("it stops");
    // What a power cut leaves, when this very test has since been given the id. Only the owner may write there.
    let rest = left.split_once('\n').expect("more lines").1;
    let own = std::process::id();
    fs::write(&pid_file, format!("{own}\n{rest}")).expect("written");
    let socket_lock = folder.path().join("postgres/socket/.s.PGSQL.5432.lock");
    fs::write(&socket_lock, format!("{own}\n{rest}")).expect("written");

    let second = EmbeddedPostgres::start(&settings(folder.path())).await.expect("it starts all the same");
    second.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_data_folder_too_deep_for_a_socket_gets_one_elsewhere() {
    let folder = scratch();
    let deep = folder.path().join("a-folder-with-a-rather-long-name, and a comma/".repeat(4));
    let postgres = EmbeddedPostgres::start(&settings(&deep)).await.expect("it starts");
    assert!(!postgres.socket_dir.starts_with(folder.path()), "{:?}", postgres.socket_dir);
    assert_eq!(number(&mut connect(&postgres).await, "SELECT 1::bigint").await, 1);
    let socket_dir = postgres.socket_dir.clone();
    postgres.stop().await.expect("it stops");
    fs::remove_dir_all(socket_dir).expect("the socket's folder is removed");
}

#[tokio::test]
async fn statements_parameters_and_rows_never_reach_the_log() {
    let folder = scratch();
    let postgres = EmbeddedPostgres::start(&settings(folder.path())).await.expect("it starts");
    let mut connection = connect(&postgres).await;
    sqlx::query("CREATE TABLE report (id text PRIMARY KEY, n integer)")
        .execute(&mut connection)
        .await
        .expect("a table");
    for query in [
        "INSERT INTO report VALUES ('PHI-CANARY', 1)",
        "INSERT INTO report VALUES ('PHI-CANARY', 1)",
        "SELECT 'PHI-CANARY'::integer",
        "SELECT FROM phi_canary_table -- PHI-CANARY",
        "DO $$ BEGIN RAISE WARNING 'PHI-CANARY'; RAISE EXCEPTION 'PHI-CANARY'; END $$",
    ] {
        let _ = sqlx::query(query).execute(&mut connection).await;
    }
    let bound = sqlx::query("INSERT INTO report VALUES ($1, 1)").bind("PHI-CANARY").execute(&mut connection).await;
    assert!(bound.is_err(), "the id is taken");
    postgres.stop().await.expect("it stops");
    let log = fs::read_to_string(folder.path().join("postgres/postgres.log")).expect("a log");
    assert!(log.contains("database system is ready"), "{log}");
    assert!(!log.to_lowercase().contains("canary"), "{log}");
}

#[tokio::test]
async fn the_bundled_postgres_does_as_well_as_the_systems() {
    let folder = scratch();
    let settings = Settings { binaries: Some(bundled()), ..settings(folder.path()) };
    let postgres = EmbeddedPostgres::start(&settings).await.expect("it starts");
    assert!(
        number(&mut connect(&postgres).await, "SELECT current_setting('server_version_num')::bigint").await >= 160_000
    );
    postgres.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_bundled_postgres_that_the_account_cannot_reach_is_copied_once() {
    if !Uid::effective().is_root() {
        return; // Nobody else changes the account, so nothing is out of its reach.
    }
    let closed = closed();
    let original = bundled();
    folders::copy(original.parent().expect("a parent"), &closed.path().join("postgres")).expect("a copy");
    let folder = scratch();
    let settings = Settings { binaries: Some(closed.path().join("postgres/bin")), ..settings(folder.path()) };
    let copied_at = || fs::metadata(folder.path().join("postgres/software/STAMP")).and_then(|m| m.modified());
    EmbeddedPostgres::start(&settings).await.expect("it starts").stop().await.expect("it stops");
    let first = copied_at().expect("a copy");
    EmbeddedPostgres::start(&settings).await.expect("it starts again").stop().await.expect("it stops");
    assert_eq!(copied_at().expect("a copy"), first);
}

#[tokio::test]
async fn a_data_folder_that_the_account_cannot_reach_is_refused_with_the_folder_in_its_way() {
    if !Uid::effective().is_root() {
        return; // Nobody else changes the account, so nothing is out of its reach.
    }
    let closed = closed();
    let error = EmbeddedPostgres::start(&settings(closed.path().join("data"))).await.expect_err("it is closed");
    let blocking = fs::canonicalize(closed.path()).expect("a path").display().to_string();
    assert!(error.to_string().contains(&format!("because {blocking} is closed")), "{error}");
    assert!(error.to_string().contains("--data-dir"), "{error}");
}

#[tokio::test]
async fn programs_that_were_asked_for_and_do_not_do_are_an_error() {
    let folder = scratch();
    let settings = Settings { binaries: Some(PathBuf::from("/nonexistent")), ..settings(folder.path()) };
    let error = EmbeddedPostgres::start(&settings).await.expect_err("there is nothing");
    assert!(error.to_string().contains("RESPONSUM_POSTGRES_BIN"), "{error}");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(cause, "/nonexistent holds no program postgres");
}

#[test]
fn the_default_data_folder_is_absolute() {
    assert!(default_data_dir().expect("a folder").is_absolute());
}
