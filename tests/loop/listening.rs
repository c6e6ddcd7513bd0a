//! A service that listens to an EHR.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::habits::Ehr;
use crate::harness::{Answer, Service, TestDatabase};

/// What notifications carry.
pub const SECRET: &str = "hook-s3cret-of-the-tests";

const WAIT_SECONDS_MAX: u64 = 60;

/// A service with the source `ehr`, its settings and its database.
pub struct Listening {
    pub service: Service,
    pub settings: PathBuf,
    folder: TempDir,
}

impl Listening {
    /// Listens to the EHR; `more` are settings of the source.
    pub fn to(ehr: &Ehr, more: &str) -> Self {
        Self::to_base(&ehr.base, more)
    }

    pub fn to_base(base: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
        let settings = folder.path().join("responsum.toml");
        // Searched for only when something asks for it: a test that is about polling says so.
        let searched = if more.contains("poll_seconds") { "" } else { "poll_seconds = 3600\n" };
        let text = format!(
            "[sources.ehr]\nbase_url = \"{base}\"\nwrite = \"nothing\"\nhook_secret_file = \"{}\"\nrequests_per_second_max = 1000\n{searched}{more}\n",
            secret.display()
        );
        std::fs::write(&settings, text).expect("written");
        let service = start(Arc::new(TestDatabase::new()), &settings);
        Self { service, settings, folder }
    }

    /// Ends the service at once, and starts it again on the same database.
    pub fn killed_and_started_again(self) -> Self {
        let Self { service, settings, folder } = self;
        let database = Arc::clone(&service.database);
        drop(service);
        // A worker that died holds its job until its lease ends.
        database.execute("UPDATE jobs SET due_at = now()");
        let service = start(database, &settings);
        Self { service, settings, folder }
    }

    pub fn notify(&self, body: &Value) -> Answer {
        self.hook("POST", "/hooks/ehr", Some(body.to_string().as_bytes()))
    }

    pub fn ping(&self) {
        self.hook("POST", "/hooks/ehr", None).expect(200);
    }

    pub fn hook(&self, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        let bearer = format!("Bearer {SECRET}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/fhir+json")];
        self.service.send(method, path, &headers[..if body.is_some() { 2 } else { 1 }], body)
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed().as_secs() < WAIT_SECONDS_MAX, "{what}: it does not come: {}", self.service.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the searches that were asked for have ended, and all jobs but the next search.
    #[track_caller]
    pub fn until_quiet(&self) {
        self.until("nothing more to do", || {
            self.service.database.count(
                "SELECT (SELECT count(*) FROM jobs WHERE NOT abandoned AND (kind <> 'catch-up' OR due_at < now() + interval '30 s'))
                      + (SELECT count(*) FROM catch_ups WHERE completed_at IS NULL)
                      + (SELECT (count(*) = 0)::int FROM catch_ups)",
            ) == 0
        });
    }

    /// `Type/id` of all reports that were taken in, with the number of their versions.
    pub fn reports(&self) -> Vec<String> {
        self.service.database.texts(
            "SELECT resource_type || '/' || logical_id || ' ' || newest_version FROM reports WHERE source = 'ehr' ORDER BY 1",
        )
    }

    /// The source as `GET /sources/ehr` shows it.
    pub fn shown(&self) -> Value {
        self.service.get("/sources/ehr").expect(200).json()
    }
}

fn start(database: Arc<TestDatabase>, settings: &std::path::Path) -> Service {
    Service::start_with(database, &["--config", settings.to_str().expect("a path")], &[])
}
