//! Settings: a TOML file, overridden by `RESPONSUM__SECTION__KEY` variables and the command line. All faults are
//! reported at once. docs/settings.md lists every key with its unit and default.

mod changes;
mod models;
mod sources;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use models::{LineupConfig, ModelSettings, ModelTable};
pub use sources::{Credentials, FhirVersion, Listen, Payload, PayloadContent, SourceConfig, Write, hook_secret};

use crate::classify::provider::{ExecutionProvider, MissingProvider};

/// Where the settings come from: a file, the environment, and what the command line says over both. Kept, so that they
/// can be read again while the service runs.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    /// The file.
    pub file: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--embedded-db`.
    pub embedded: bool,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
}

impl ConfigSource {
    /// Reads all of it.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.file.as_deref())?;
        config.server.listen = self.listen.unwrap_or(config.server.listen);
        config.database.embedded |= self.embedded;
        config.database.data_dir = self.data_dir.clone().or(config.database.data_dir);
        Ok(config)
    }
}

/// What can be set.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[database]`
    pub database: DatabaseConfig,
    /// `[model]`
    pub model: ModelConfig,
    /// `[models.NAME]`
    pub models: BTreeMap<String, ModelTable>,
    /// `[sources.NAME]`
    pub sources: BTreeMap<String, SourceConfig>,
    /// `[worker]`
    pub worker: WorkerConfig,
}

/// `[server]`: our own API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port to listen on. Another than loopback needs `tokens_file`.
    pub listen: SocketAddr,
    /// Base URL under which clients reach the FHIR API; `http://{listen}/fhir` if not set.
    pub public_url: Option<String>,
    /// File with the access tokens; see docs/access.md. Without it, only loopback clients are served.
    pub tokens_file: Option<PathBuf>,
    /// Largest body that is read, in bytes. 25 MiB: US Core asks for 5 MiB attachments at least, base64 adds a third.
    pub body_bytes_max: usize,
    /// How long a client may take to send its request's head, in seconds.
    pub request_head_seconds_max: u64,
    /// How long requests and jobs may take to end after SIGTERM, in seconds.
    pub drain_seconds_max: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            tokens_file: None,
            body_bytes_max: 25 * 1024 * 1024,
            request_head_seconds_max: 10,
            drain_seconds_max: 30,
        }
    }
}

/// `[database]`: where everything is kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `postgres://…`; `DATABASE_URL` is honoured as well.
    pub url: Option<String>,
    /// A file that holds the URL, for secrets that must not be in the environment.
    pub url_file: Option<PathBuf>,
    /// Connections to keep at most; 16 if not set.
    pub connections_max: Option<u32>,
    /// Run a private Postgres under the data directory.
    pub embedded: bool,
    /// Where the private Postgres lives.
    pub data_dir: Option<PathBuf>,
}

/// `[model]`: who answers. Alone, it is the one model; docs/settings.md tells how several are named.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// A model directory; the built-in model if not set.
    pub path: Option<PathBuf>,
    /// A fit to the site's own reports, as `responsum eval --calibrate` writes it; the model's own if not set.
    pub calibration: Option<PathBuf>,
    /// Threads of one inference; the machine's cores if not set.
    pub threads: Option<usize>,
    /// Confidence below which an annotation waits for a person, 0 to 1.
    pub review_below: f32,
    /// Confidence below which an answer is held back: `indeterminate`, and for a person to look at. 0 to 1; at 0 every
    /// answer is given.
    pub abstain_below: f32,
    /// Who does the arithmetic: the processor, or a device that the ONNX Runtime library and this build offer.
    pub execution_provider: ExecutionProvider,
    /// What to do where it is not there: an error, or the processor, which the log tells.
    pub execution_provider_missing: MissingProvider,
    /// The model that answers for every source that names none; `default` if not set.
    pub active: Option<String>,
    /// Models that annotate the same documents beside the active one, and answer nobody.
    pub shadow: Vec<String>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        let decide = crate::classify::decide::DecideSettings::default();
        Self {
            path: None,
            calibration: None,
            threads: None,
            review_below: decide.review_confidence_min,
            abstain_below: decide.answer_confidence_min,
            execution_provider: ExecutionProvider::default(),
            execution_provider_missing: MissingProvider::default(),
            active: None,
            shadow: Vec::new(),
        }
    }
}

/// `[worker]`: how jobs are done.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// Documents that are new read side by side. They share one model, so a few are enough to keep it busy.
    pub concurrency: usize,
    /// Jobs that nobody waits for done side by side: shadow models, re-annotation. 0 leaves them to other processes.
    pub background_concurrency: usize,
    /// Tries of one job before it is given up where people see it.
    pub attempts_max: i32,
    /// How often the queue is looked at when no notification comes, in seconds.
    pub poll_seconds: f64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { concurrency: 4, background_concurrency: 1, attempts_max: 8, poll_seconds: 1.0 }
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the settings have {} fault{}:\n{}", .0.len(), if .0.len() == 1 { "" } else { "s" }, list(.0))]
pub struct ConfigError(pub Vec<String>);

fn list(faults: &[String]) -> String {
    faults.iter().map(|fault| format!("  - {fault}")).collect::<Vec<_>>().join("\n")
}

const SECTIONS: [&str; 6] = ["server", "database", "model", "models", "sources", "worker"];

impl Config {
    /// Reads the file, if one is given, and the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder();
        if let Some(file) = file {
            builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        let environment = config::Environment::with_prefix("RESPONSUM").prefix_separator("__").separator("__");
        // A list in a variable: its names are separated by commas.
        let environment = environment.try_parsing(true).list_separator(",").with_list_parse_key("model.shadow");
        let settings =
            builder.add_source(environment).build().map_err(|e| ConfigError(vec![first_line(&e.to_string())]))?;
        let mut faults = unknown_sections(&settings);
        let (sources, unread) = tables(&settings, "sources", &mut faults);
        let mut loaded = Self {
            server: section(&settings, "server", &mut faults),
            database: section(&settings, "database", &mut faults),
            model: section(&settings, "model", &mut faults),
            models: tables(&settings, "models", &mut faults).0,
            sources,
            worker: section(&settings, "worker", &mut faults),
        };
        if loaded.database.url.is_none() && loaded.database.url_file.is_none() {
            loaded.database.url = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
        }
        loaded.check_values(&unread, &mut faults);
        if faults.is_empty() { Ok(loaded) } else { Err(ConfigError(faults)) }
    }

    /// Everything that types alone do not say. Of the sources `unread` it is not known.
    fn check_values(&self, unread: &[String], faults: &mut Vec<String>) {
        let mut check = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        check(
            (1024..=1024 * 1024 * 1024).contains(&self.server.body_bytes_max),
            "server.body_bytes_max: between 1024 and 1073741824 bytes",
        );
        check(
            (1..=600).contains(&self.server.request_head_seconds_max),
            "server.request_head_seconds_max: between 1 and 600 seconds",
        );
        check(
            (1..=3600).contains(&self.server.drain_seconds_max),
            "server.drain_seconds_max: between 1 and 3600 seconds",
        );
        let url = self.server.public_url.as_deref().map(url::Url::parse);
        check(
            url.is_none_or(|url| url.is_ok_and(|url| matches!(url.scheme(), "http" | "https"))),
            "server.public_url: an absolute http or https URL, like https://responsum.example.org/fhir",
        );
        check(
            !(self.database.url.is_some() && self.database.url_file.is_some()),
            "database.url and database.url_file: give one of them",
        );
        check(
            self.database.connections_max.is_none_or(|n| (2..=1000).contains(&n)),
            "database.connections_max: between 2 and 1000",
        );
        check(self.model.threads.is_none_or(|n| (1..=256).contains(&n)), "model.threads: between 1 and 256");
        check((0.0..=1.0).contains(&self.model.review_below), "model.review_below: between 0 and 1");
        check((0.0..=1.0).contains(&self.model.abstain_below), "model.abstain_below: between 0 and 1");
        check((1..=256).contains(&self.worker.concurrency), "worker.concurrency: between 1 and 256");
        check(self.worker.background_concurrency <= 256, "worker.background_concurrency: between 0 and 256");
        check((1..=100).contains(&self.worker.attempts_max), "worker.attempts_max: between 1 and 100");
        check((0.05..=60.0).contains(&self.worker.poll_seconds), "worker.poll_seconds: between 0.05 and 60 seconds");
        for (key, file) in [
            ("server.tokens_file", &self.server.tokens_file),
            ("database.url_file", &self.database.url_file),
            ("model.path", &self.model.path),
            ("model.calibration", &self.model.calibration),
        ] {
            check(
                file.as_ref().is_none_or(|path| path.exists()),
                &format!("{key}: there is no such file: {}", file.as_deref().unwrap_or(Path::new("")).display()),
            );
        }
        models::check(self, faults);
        sources::check(&self.sources, unread, faults);
    }
}

fn section<T: DeserializeOwned + Default>(settings: &config::Config, name: &str, faults: &mut Vec<String>) -> T {
    match settings.get::<T>(name) {
        Ok(section) => section,
        Err(config::ConfigError::NotFound(_)) => T::default(),
        Err(error) => {
            faults.push(format!("[{name}]: {}", first_line(&error.to_string())));
            T::default()
        }
    }
}

/// The tables below a section, each of the same shape; the faults of all of them. A table with a fault is there, so that
/// whoever names it is not at fault too, and is listed.
fn tables<T: DeserializeOwned + Default>(
    settings: &config::Config,
    name: &str,
    faults: &mut Vec<String>,
) -> (BTreeMap<String, T>, Vec<String>) {
    let tables = match settings.get_table(name) {
        Ok(tables) => tables,
        Err(config::ConfigError::NotFound(_)) => return <_>::default(),
        Err(error) => {
            faults.push(format!("[{name}]: {}", first_line(&error.to_string())));
            return <_>::default();
        }
    };
    let (mut read, mut unread) = (BTreeMap::new(), Vec::new());
    for (key, table) in tables.into_iter().collect::<BTreeMap<_, _>>() {
        let table = table.try_deserialize::<T>().unwrap_or_else(|error| {
            faults.push(format!("[{name}.{key}]: {}", first_line(&error.to_string())));
            unread.push(key.clone());
            T::default()
        });
        read.insert(key, table);
    }
    (read, unread)
}

fn unknown_sections(settings: &config::Config) -> Vec<String> {
    let Ok(tables) = settings.clone().try_deserialize::<std::collections::BTreeMap<String, config::Value>>() else {
        return Vec::new();
    };
    let unknown = tables.into_keys().filter(|name| !SECTIONS.contains(&name.as_str()));
    unknown.map(|name| format!("[{name}]: there is no such section; there are {}", SECTIONS.join(", "))).collect()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn load(toml: &str) -> Result<Config, ConfigError> {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
        std::fs::write(file.path(), toml).expect("written");
        Config::load(Some(file.path()))
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let config = load("").expect("no faults");
        assert_eq!(config.server.body_bytes_max, 26_214_400);
        assert!(config.server.listen.ip().is_loopback());
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let error = load(
            "[server]\nbody_bytes_max = 1\npublic_url = \"here\"\n[worker]\nconcurrency = 0\n[typo]\nx = 1\n[model]\ntreads = 2\n",
        )
        .expect_err("faults");
        let text = error.to_string();
        for part in ["5 faults", "body_bytes_max", "public_url", "concurrency", "[typo]", "treads"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }
}
