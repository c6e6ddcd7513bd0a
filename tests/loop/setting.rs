//! A service that knows one source, `ehr`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Service, TestDatabase};

/// How long jobs may take to end: a source that is left alone is asked again within seconds.
const SETTLE_SECONDS_MAX: u64 = 90;

/// The service, and the folder of its settings.
pub struct Setting {
    pub service: Service,
    pub folder: tempfile::TempDir,
}

impl Setting {
    /// Starts a service with this source; `more` are further lines of its table.
    pub fn new(base_url: &str, more: &str) -> Self {
        Self::with_folder(tempfile::tempdir().expect("a folder"), base_url, more)
    }

    /// The same, with files in the folder that `more` names.
    pub fn with_folder(folder: tempfile::TempDir, base_url: &str, more: &str) -> Self {
        let file = folder.path().join("responsum.toml");
        let toml = format!("[sources.ehr]\nbase_url = \"{base_url}\"\nrequests_per_second_max = 1000\n{more}\n");
        std::fs::write(&file, toml).expect("written");
        let service = Self::serve("127.0.0.1:0", Arc::new(TestDatabase::new()), &file);
        Self { service, folder }
    }

    fn serve(listen: &str, database: Arc<TestDatabase>, file: &std::path::Path) -> Service {
        let file = file.to_str().expect("a path of text");
        Service::start_at(listen, database, &["--config", file], &[("RESPONSUM__WORKER__POLL_SECONDS", "0.2")])
    }

    /// Kills the service and starts another on the same database and under the same address, as a supervisor does.
    pub fn killed_and_started_again(self) -> Self {
        let Self { mut service, folder } = self;
        service.signal(nix::sys::signal::Signal::SIGKILL);
        service.ended();
        let (database, base) = (Arc::clone(&service.database), service.base.clone());
        drop(service);
        let listen = base.trim_start_matches("http://");
        Self { service: Self::serve(listen, database, &folder.path().join("responsum.toml")), folder }
    }

    /// Asks for a report, as a notification would.
    #[track_caller]
    pub fn fetch(&self, report: &str) {
        self.service.post(&format!("/sources/ehr/$fetch?report={report}"), &json!({})).expect(202);
    }

    /// Asks for a report and waits until all that follows from it is done.
    #[track_caller]
    pub fn take_in(&self, report: &str) {
        self.fetch(report);
        self.settle();
    }

    /// Waits until no job waits any more.
    #[track_caller]
    pub fn settle(&self) {
        let started = Instant::now();
        while self.jobs() > 0 {
            let waited = started.elapsed().as_secs();
            assert!(waited < SETTLE_SECONDS_MAX, "jobs do not end: {}", self.service.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn jobs(&self) -> i64 {
        self.service.database.count("SELECT count(*) FROM jobs WHERE NOT abandoned AND kind <> 'catch-up'")
    }

    /// How the source stands.
    pub fn source(&self) -> Value {
        self.service.get("/sources/ehr").expect(200).json()
    }

    /// The reasons of jobs that were given up.
    pub fn given_up(&self) -> Vec<String> {
        self.service.database.texts("SELECT last_error FROM jobs WHERE abandoned")
    }
}

/// Tries all of them at a time: most of a test's time is spent waiting.
pub fn side_by_side<T: Sync>(all: &[T], one: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        let tasks: Vec<_> = all.iter().map(|item| scope.spawn(|| one(item))).collect();
        for task in tasks {
            task.join().expect("no panic");
        }
    });
}
