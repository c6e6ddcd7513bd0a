//! A private Postgres cluster of our own, for the demo, the tests and small sites.
//!
//! ```text
//! <data dir>/responsum.lock        held while a service uses the folder
//! <data dir>/postgres/             0700, owned by the account that runs Postgres
//!     cluster/                     PGDATA: UTF-8, C locale, data checksums
//!     socket/                      the only way in; nothing listens on a port
//!     postgres.log                 what Postgres says: never a statement, parameter or row
//!     software/                    a copy of the bundled Postgres, only where that account cannot reach the original
//! ```
//!
//! Postgres refuses to run as root: a root service runs it as `postgres` or `nobody`. A server that outlived its
//! service (`kill -9`) is adopted by the next one, and stops with it.

mod account;
mod binaries;
mod cluster;
mod folders;
mod server;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};

use self::account::Account;
use self::server::Server;

/// Role and database of the service.
const NAME: &str = "responsum";

/// What a private cluster is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything is kept. Made if it is not there.
    pub data_dir: PathBuf,
    /// Folder of Postgres's server programs; none: `RESPONSUM_POSTGRES_BIN`, else the system's, else the bundled one.
    pub binaries: Option<PathBuf>,
    /// Connections that Postgres accepts. Its own default of 100 is more than one service takes.
    pub connections_max: u16,
    /// What survives a power cut.
    pub durability: Durability,
}

impl Settings {
    /// Durable, 60 connections, programs found by themselves.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), binaries: None, connections_max: 60, durability: Durability::Full }
    }
}

/// What survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Everything that was committed.
    Full,
    /// Nothing: for tests, which throw their data away. A killed process loses nothing either way.
    None,
}

/// A running private cluster. [`stop`](Self::stop) it; a value that is merely dropped tells Postgres to stop and does
/// not wait.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    cluster: PathBuf,
    socket_dir: PathBuf,
    server: Mutex<Server>,
    stopped: bool,
    _lock: File,
}

impl EmbeddedPostgres {
    /// Starts the cluster in the data folder, or makes it first, or adopts the one that is running there, and sees to
    /// it that the database exists. A warm start takes a few tenths of a second, the first about one.
    ///
    /// # Errors
    /// Whatever stands in the way, with what to do about it.
    ///
    /// # Panics
    /// If the runtime is shut down meanwhile.
    pub async fn start(settings: &Settings) -> Result<Self, EmbeddedError> {
        let settings = settings.clone();
        let starting = tokio::task::spawn_blocking(move || Self::start_blocking(&settings));
        // Cannot fail because the closure does not panic and nobody else cancels it.
        let running = starting.await.expect("starting Postgres does not panic")?;
        running.ensure_database().await?;
        Ok(running)
    }

    fn start_blocking(settings: &Settings) -> Result<Self, EmbeddedError> {
        let data_dir = folders::prepare_data_dir(&settings.data_dir)?;
        let lock = folders::lock(&data_dir)?;
        let home = data_dir.join("postgres");
        let account = Account::for_cluster(&home)?;
        folders::prepare_home(&home, &account)?;
        let cluster = home.join("cluster");
        let (server, socket_dir) = if let Some(adopted) = Server::adopt(&cluster)? {
            adopted
        } else {
            let binaries = cluster::choose_binaries(settings, &home, &account)?;
            cluster::ensure_exists(&home, &binaries, &account, settings.durability)?;
            let socket_dir = folders::socket_dir(&home, &account)?;
            cluster::write_settings(&cluster, &socket_dir, settings)?;
            (Server::start(&home, &socket_dir, &binaries, &account)?, socket_dir)
        };
        Ok(Self { cluster, socket_dir, server: Mutex::new(server), stopped: false, _lock: lock })
    }

    /// How to connect to the service's database.
    pub fn connect_options(&self) -> PgConnectOptions {
        connect_options(&self.socket_dir)
    }

    /// The same as a URL, for `psql` and for messages. It holds no secret.
    pub fn url(&self) -> String {
        let mut url = String::from("postgres:///");
        url.push_str(NAME);
        let socket_dir = self.socket_dir.to_string_lossy();
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("host", &socket_dir)
            .append_pair("user", NAME)
            .finish();
        url.push('?');
        // A plus sign means a space in forms only; Postgres's own URLs want %20.
        url.push_str(&query.replace('+', "%20"));
        url
    }

    /// Where the cluster is.
    pub fn cluster_dir(&self) -> &Path {
        &self.cluster
    }

    /// Comes back once Postgres has ended by itself, so that the service can end too. Looks four times a second.
    pub async fn ended(&self) {
        while !self.server.lock().unwrap_or_else(PoisonError::into_inner).has_ended() {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Stops Postgres: open transactions are rolled back, and what is committed is written.
    ///
    /// # Errors
    /// If it does not end within the limit even when told to drop everything.
    ///
    /// # Panics
    /// If the runtime is shut down meanwhile.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        let mut running = self;
        let stopping = tokio::task::spawn_blocking(move || running.stop_blocking());
        // Cannot fail because the closure does not panic and nobody cancels it.
        stopping.await.expect("stopping Postgres does not panic")
    }

    fn stop_blocking(&mut self) -> Result<(), EmbeddedError> {
        let stopped = self.server.get_mut().unwrap_or_else(PoisonError::into_inner).stop();
        self.stopped = stopped.is_ok();
        stopped
    }

    /// Makes the service's database once.
    async fn ensure_database(&self) -> Result<(), EmbeddedError> {
        let options = self.connect_options().database("postgres").disable_statement_logging();
        let connection = async {
            let mut connection = options.connect().await?;
            let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(NAME)
                .fetch_one(&mut connection)
                .await?;
            if !exists {
                sqlx::query("CREATE DATABASE responsum").execute(&mut connection).await?;
            }
            connection.close().await
        };
        connection.await.map_err(|source| EmbeddedError::Connect { socket_dir: self.socket_dir.clone(), source })
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if !self.stopped {
            self.server.get_mut().unwrap_or_else(PoisonError::into_inner).tell_to_stop();
        }
    }
}

fn connect_options(socket_dir: &Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(server::PORT)
        .username(NAME)
        .database(NAME)
        .ssl_mode(PgSslMode::Disable)
}

/// How often, and how long, a Postgres is waited for that a service is just starting.
const RUNNING_LOOKS_MAX: u32 = 40;
const RUNNING_PAUSE: Duration = Duration::from_millis(250);

/// How to connect to the cluster that another process runs in the data folder. It stays that process's: nothing is started,
/// adopted or stopped.
///
/// # Errors
/// If none is ready within ten seconds.
pub async fn running(data_dir: &Path) -> Result<PgConnectOptions, EmbeddedError> {
    let cluster = data_dir.join("postgres").join("cluster");
    for _ in 0..RUNNING_LOOKS_MAX {
        if let Some(socket_dir) = server::socket_of(&cluster)? {
            return Ok(connect_options(&socket_dir));
        }
        tokio::time::sleep(RUNNING_PAUSE).await;
    }
    Err(EmbeddedError::NotRunning { path: data_dir.to_owned() })
}

/// Where data is kept if nobody says otherwise: `/var/lib/responsum` for root, else `$XDG_DATA_HOME/responsum` or
/// `~/.local/share/responsum`.
///
/// # Errors
/// If neither variable names an absolute folder.
pub fn default_data_dir() -> Result<PathBuf, EmbeddedError> {
    if nix::unistd::Uid::effective().is_root() {
        return Ok(PathBuf::from("/var/lib/responsum"));
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    base.map(|base| base.join(NAME)).ok_or(EmbeddedError::NoDataDir)
}

/// What kept the private cluster from running. Names folders and programs, never data.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No default data folder can be told.
    #[error("neither XDG_DATA_HOME nor HOME names a folder: pass --data-dir")]
    NoDataDir,
    /// A step on a file or folder failed.
    #[error("could not {doing} {}", path.display())]
    Files {
        /// As in "could not …".
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another service holds the data folder.
    #[error("the data folder {} is in use by another service{holder}: stop it, or pass another --data-dir", path.display())]
    InUse {
        /// The data folder.
        path: PathBuf,
        /// ` (process 123)`, if it says so.
        holder: String,
    },
    /// Another process holds the data folder, and runs no Postgres there.
    #[error("the data folder {} is in use by another process, and no Postgres is ready there: try again", path.display())]
    NotRunning {
        /// The data folder.
        path: PathBuf,
    },
    /// The cluster belongs to someone else.
    #[error("{} belongs to {owner}: run the service as {owner} or root, or pass another --data-dir", path.display())]
    NotOurs {
        /// The cluster's folder.
        path: PathBuf,
        /// Account or user id.
        owner: String,
    },
    /// Root has no account to run Postgres with.
    #[error("Postgres does not run as root, and this system has neither an account postgres nor nobody: add one")]
    NoAccount,
    /// The account that runs Postgres cannot get at a folder.
    #[error(
        "Postgres does not run as root; {account} runs it and cannot reach {}, because {} is closed to it: {advice}",
        path.display(), blocking.display()
    )]
    Unreachable {
        /// What it cannot reach.
        path: PathBuf,
        /// The folder in between that it may not pass.
        blocking: PathBuf,
        /// The account.
        account: String,
        /// What to pass or change.
        advice: &'static str,
    },
    /// The folder named by the settings or the variable does not do.
    #[error("the Postgres programs that were asked for do not do ({} or --postgres-bin)", binaries::OVERRIDE)]
    BinariesUnfit {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No Postgres anywhere.
    #[error(
        "no Postgres {} or later was found: run `cargo xtask setup`, install the system's, or set {}; \
         looked in PATH, the system's usual folders, {}",
        binaries::MAJOR_MIN, binaries::OVERRIDE, looked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    BinariesMissing {
        /// Folders of our own that were looked in.
        looked: Vec<PathBuf>,
    },
    /// The cluster is of a version that is not here.
    #[error(
        "{} was made by Postgres {major}, and only {found} was found: install {major} or set {} to its programs",
        cluster.display(), binaries::OVERRIDE
    )]
    OtherVersion {
        /// The cluster.
        cluster: PathBuf,
        /// Its major version.
        major: u32,
        /// Major versions that are here, or "none".
        found: String,
    },
    /// A socket's path is too long everywhere.
    #[error(
        "the socket's path would be longer than the {} bytes that the system allows, in {}: \
         pass a shorter --data-dir, or set TMPDIR to a short folder",
        folders::SOCKET_PATH_BYTES_MAX, tried.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" and ")
    )]
    SocketPathTooLong {
        /// Folders that were weighed.
        tried: Vec<PathBuf>,
    },
    /// A folder for the socket exists already and is not ours alone.
    #[error("{} exists and is not a folder that only {account} can enter: remove it", path.display())]
    SocketFolderUnsafe {
        /// The folder.
        path: PathBuf,
        /// Whose it should be.
        account: String,
    },
    /// A program of Postgres failed.
    #[error("{program} failed ({status}): {output}")]
    Program {
        /// Which.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        output: String,
    },
    /// A program of Postgres could not be started.
    #[error("could not start {}", path.display())]
    Spawn {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Postgres is not ready in time.
    #[error("Postgres was not ready after {seconds} s: see {}", log.display())]
    NotReady {
        /// The limit.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
    },
    /// Postgres does not end.
    #[error("Postgres (process {pid}) did not end within {seconds} s")]
    NotStopped {
        /// Its process id.
        pid: i32,
        /// The limit.
        seconds: u64,
    },
    /// The first connection failed.
    #[error("could not connect to the private Postgres in {}", socket_dir.display())]
    Connect {
        /// Where its socket is.
        socket_dir: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
}

impl EmbeddedError {
    /// Wraps an I/O error with what was being done.
    fn files(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Files { doing, path, source }
    }
}
