//! A running service for one test: its own process, its own database in a Postgres that the tests share.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use responsum::store::embedded::{Durability, EmbeddedPostgres, Settings};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Row as _};
use tokio::runtime::Runtime;

/// The executable under test.
pub const RESPONSUM: &str = env!("CARGO_BIN_EXE_responsum");

const START_SECONDS_MAX: u64 = 60;
const SETTLE_SECONDS_MAX: u64 = 60;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

/// The Postgres of all tests. It outlives the test process; the next run adopts it, `cargo xtask test` stops it.
fn postgres() -> &'static EmbeddedPostgres {
    static POSTGRES: OnceLock<EmbeddedPostgres> = OnceLock::new();
    POSTGRES.get_or_init(|| {
        let settings =
            Settings { durability: Durability::None, connections_max: 300, ..Settings::new(test_data_dir()) };
        runtime().block_on(EmbeddedPostgres::start(&settings)).expect("a Postgres for the tests")
    })
}

/// Keeps a resource for the independent validator, to which `cargo xtask test` gives the folder.
pub fn keep(name: &str, resource: &Value) {
    assert!(resource["resourceType"].is_string(), "{name}: {resource}");
    if let Some(folder) = std::env::var_os("RESPONSUM_SERVED_DIR").map(PathBuf::from) {
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{name}.json")), resource.to_string()).expect("written");
    }
}

/// Outside of the clone, which the account that runs Postgres for root may not reach; one for each clone.
fn test_data_dir() -> PathBuf {
    let clone = responsum::digest::sha256(env!("CARGO_MANIFEST_DIR").as_bytes()).hex();
    std::env::temp_dir().join(format!("responsum-tests-{}", &clone[..12]))
}

/// A database of its own, dropped at the end.
pub struct TestDatabase {
    name: String,
    options: PgConnectOptions,
}

impl TestDatabase {
    pub fn new() -> Self {
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let admin = postgres().connect_options();
        execute(&admin, &format!("CREATE DATABASE {name}"));
        Self { options: admin.database(&name), name }
    }

    /// As the service wants it.
    pub fn url(&self) -> String {
        let url = postgres().url();
        let (_, query) = url.split_once('?').expect("a URL with a socket folder");
        format!("postgres:///{}?{query}", self.name)
    }

    /// One number.
    pub fn count(&self, query: &'static str) -> i64 {
        runtime().block_on(async {
            let mut connection = self.options.connect().await.expect("a connection");
            sqlx::query(query).fetch_one(&mut connection).await.expect("a row").get(0)
        })
    }

    /// All rows of one text column.
    pub fn texts(&self, query: &'static str) -> Vec<String> {
        runtime().block_on(async {
            let mut connection = self.options.connect().await.expect("a connection");
            let rows = sqlx::query(query).fetch_all(&mut connection).await.expect("rows");
            rows.iter().map(|row| row.get(0)).collect()
        })
    }

    pub fn execute(&self, statement: &str) {
        execute(&self.options, statement);
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        execute(&postgres().connect_options(), &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn execute(options: &PgConnectOptions, statement: &str) {
    runtime().block_on(async {
        let mut connection = options.connect().await.expect("a connection");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.expect("executed");
    });
}

/// A running service.
pub struct Service {
    pub child: Child,
    /// `http://127.0.0.1:…`, without `/fhir`.
    pub base: String,
    pub database: Arc<TestDatabase>,
    log: Arc<Mutex<String>>,
    token: Option<&'static str>,
}

/// An answer over HTTP.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    /// The first issue's code, of an OperationOutcome.
    pub fn issue(&self) -> String {
        let outcome = self.json();
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
        outcome["issue"][0]["code"].as_str().expect("a code").to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

impl Service {
    pub fn start() -> Self {
        Self::start_with(Arc::new(TestDatabase::new()), &[], &[])
    }

    /// With arguments and environment of the test's own.
    pub fn start_with(database: Arc<TestDatabase>, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_at("127.0.0.1:0", database, arguments, environment)
    }

    /// The same, at an address of the test's own.
    pub fn start_at(
        listen: &str,
        database: Arc<TestDatabase>,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut child = Command::new(RESPONSUM)
            .args(["serve", "--listen", listen])
            .args(arguments)
            .env("DATABASE_URL", database.url())
            // Tests run side by side: one thread of the model each is quicker than many that wait for each other.
            .env("RESPONSUM__MODEL__THREADS", "1")
            .env("RUST_LOG", "trace")
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executable starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (found, base) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let base = line.split_once("\"fhir\":\"").and_then(|(_, rest)| rest.split_once("/fhir\""));
                if let Some((base, _)) = base {
                    let _ = found.send(base.to_owned());
                }
                let _ = writeln!(written.lock().expect("a log"), "{line}");
            }
        });
        let base = base.recv_timeout(Duration::from_secs(START_SECONDS_MAX)).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("the service did not start: {}", log.lock().expect("a log"));
        });
        Self { child, base, database, log, token: None }
    }

    /// Asks with this access token from now on.
    pub fn with_token(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }

    /// What the service wrote to its log so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("a log").clone()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[FHIR], Some(body.to_string().as_bytes()))
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[FHIR], Some(body.to_string().as_bytes()))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_mins(2)))
            .build()
            .into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = match body {
            Some(body) => agent.run(request.body(body).expect("a request")),
            None => agent.run(request.body(()).expect("a request")),
        };
        let mut answer = answer.expect("an answer");
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        let headers = headers.collect();
        let body = answer.body_mut().with_config().limit(200 << 20).read_to_string().expect("a body");
        Answer { status: answer.status().as_u16(), headers, body }
    }

    /// Waits until every document's job has ended.
    #[track_caller]
    pub fn settle(&self) {
        let started = Instant::now();
        while self.database.count("SELECT count(*) FROM jobs WHERE NOT abandoned") > 0 {
            let waited = started.elapsed().as_secs();
            assert!(waited < SETTLE_SECONDS_MAX, "jobs do not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Posts a report and gives its id.
    #[track_caller]
    pub fn accepted(&self, report: &Value) -> String {
        let path = format!("/fhir/{}", report["resourceType"].as_str().expect("a type"));
        let answer = self.post(&path, report).expect(201);
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// The Observations of a report, also withdrawn ones.
    pub fn observations(&self, report: &str) -> Vec<Value> {
        let bundle = self.get(&format!("/fhir/Observation?_source={report}")).expect(200).json();
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| entry["resource"].clone()).collect()
    }

    /// The only Observation of a report.
    #[track_caller]
    pub fn observation(&self, report: &str) -> Value {
        let mut observations = self.observations(report);
        assert_eq!(observations.len(), 1, "{observations:#?}");
        observations.remove(0)
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        nix::sys::signal::kill(pid, signal).expect("a signal");
    }

    /// Waits for the end and gives the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.wait().expect("an end").code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The header of a write.
pub const FHIR: (&str, &str) = ("content-type", "application/fhir+json");

/// A text that says that the patient responded.
pub const RESPONDED: &str = "Marked decrease in the size of the liver metastases after four cycles of FOLFOX, \
    consistent with partial response.";
/// One that says the contrary.
pub const NOT_RESPONDED: &str = "Progression of disease under pembrolizumab with multiple new liver metastases.";
/// One that does not say.
pub const NOT_STATED: &str = "The chest port tip lies at the cavoatrial junction. No pneumothorax is seen.";

/// A final DiagnosticReport with a plain text.
pub fn report(text: &str) -> Value {
    json!({
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "18748-4"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-03-01T10:00:00+01:00",
        "presentedForm": [attachment("text/plain; charset=utf-8", text.as_bytes())],
    })
}

/// A current DocumentReference with a plain text.
pub fn note(text: &str) -> Value {
    json!({
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": attachment("text/plain", text.as_bytes())}],
    })
}

/// An attachment with data.
pub fn attachment(content_type: &str, data: &[u8]) -> Value {
    use base64::Engine as _;
    json!({"contentType": content_type, "data": base64::engine::general_purpose::STANDARD.encode(data)})
}

/// The report with an id, for PUT.
pub fn with_id(mut report: Value, id: &str) -> Value {
    report["id"] = id.into();
    report
}
