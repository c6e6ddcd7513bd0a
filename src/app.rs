//! Builds the parts from the settings, supervises them, and ends them in order.
//!
//! If any long-lived task ends by itself, the process ends with an error: a service that looks alive and does nothing
//! is worse than one that is restarted.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use sqlx::postgres::PgConnectOptions;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ConfigError, ConfigSource, DatabaseConfig};
use crate::domain::document::SourceName;
use crate::exchange::Exchange;
use crate::extract::Isolation;
use crate::fhir::reference::BaseUrl;
use crate::pipeline::Pipeline;
use crate::registry::{Registry, Switch};
use crate::source::Sources;
use crate::store::Store;
use crate::store::embedded::{self, EmbeddedError, EmbeddedPostgres};
use crate::web::{self, Access, Api, Bases, Hooks};
use crate::{telemetry, worker};

/// Connections that a store keeps unless the settings say otherwise.
const CONNECTIONS_MAX: u32 = 16;

/// Which parts run in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// The API and the workers.
    All,
    /// Only the API: other processes do the jobs.
    Api,
    /// Only the workers.
    Worker,
}

/// A database that is ready, and the private Postgres behind it, if there is one.
pub struct Database {
    /// Migrated.
    pub store: Store,
    embedded: Option<EmbeddedPostgres>,
}

impl Database {
    /// Starts the private Postgres if one is asked for, connects, and brings the schema to this version.
    pub async fn open(config: &DatabaseConfig) -> anyhow::Result<Self> {
        Self::open_or_join(config, false).await
    }

    /// The same for a command: beside a service that runs a private Postgres it uses that one, and leaves it running.
    pub async fn join(config: &DatabaseConfig) -> anyhow::Result<Self> {
        Self::open_or_join(config, true).await
    }

    async fn open_or_join(config: &DatabaseConfig, join: bool) -> anyhow::Result<Self> {
        let (options, embedded) = match database_url(config)? {
            Some(url) => (
                url.parse::<PgConnectOptions>().map_err(|_| anyhow::anyhow!("the database URL is not understood"))?,
                None,
            ),
            None if config.embedded => {
                let data_dir = config.data_dir.clone().map_or_else(embedded::default_data_dir, Ok)?;
                match EmbeddedPostgres::start(&embedded::Settings::new(data_dir)).await {
                    Ok(postgres) => (postgres.connect_options(), Some(postgres)),
                    Err(EmbeddedError::InUse { path, .. }) if join => {
                        let options = embedded::running(&path).await.context("using the private Postgres that runs")?;
                        (options, None)
                    }
                    Err(error) => return Err(error).context("starting the private Postgres"),
                }
            }
            None => bail!(
                "no database: set DATABASE_URL (or database.url_file), or run with --embedded-db for a private Postgres"
            ),
        };
        let store = Store::connect(options, config.connections_max.unwrap_or(CONNECTIONS_MAX)).await?;
        store.migrate().await?;
        Ok(Self { store, embedded })
    }

    /// Comes back if the private Postgres ends by itself.
    async fn ended(&self) {
        match &self.embedded {
            Some(postgres) => postgres.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Closes the connections, then stops the private Postgres.
    pub async fn close(self) -> anyhow::Result<()> {
        self.store.close().await;
        match self.embedded {
            Some(postgres) => postgres.stop().await.context("stopping the private Postgres"),
            None => Ok(()),
        }
    }
}

fn database_url(config: &DatabaseConfig) -> anyhow::Result<Option<String>> {
    // A private Postgres that was asked for wins over a DATABASE_URL that lies around.
    if config.embedded {
        return Ok(None);
    }
    let Some(file) = &config.url_file else { return Ok(config.url.clone()) };
    let url = std::fs::read_to_string(file).context("reading database.url_file")?;
    Ok(Some(url.trim().to_owned()))
}

/// Runs the service until SIGTERM or SIGINT, then drains it. A second signal ends it at once. SIGHUP reads the settings
/// again and switches the models.
pub async fn serve(source: ConfigSource, role: Role) -> anyhow::Result<()> {
    let config = source.load()?;
    let access = check(&config, role)?;
    // Heard from the start: until someone does, it would end the process.
    let hangups = signal(SignalKind::hangup())?;
    // Bound first: a port that is taken should be told before the database and the models are loaded.
    let listener = if role == Role::Worker { None } else { Some(bind(config.server.listen)?) };
    let metrics = telemetry::start_metrics().context("starting the metrics")?;
    let lineup = config.lineup();
    let loading = tokio::task::spawn_blocking(move || Registry::load(&lineup));
    let database = Database::open(&config.database).await?;
    let registry = Arc::new(loading.await?.context("loading the models")?);
    let switch = Arc::new(Switch::new(source, config.clone(), Arc::clone(&registry)));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let base = base_url(&config, listener.as_ref())?;
    let store = database.store.clone();
    let sources = Sources::build(&config, &clock).context("connecting to the sources")?;
    let pipeline = pipeline(&store, &registry, &base, &sources, &clock);
    tell(&registry, &base);

    let stop = CancellationToken::new();
    let mut parts = tokio::task::JoinSet::new();
    let gauging = worker::gauge(store.clone(), sources.clone(), stop.clone());
    let reloading = hear_hangups(hangups, Arc::clone(&switch), stop.clone());
    parts.spawn(async move {
        gauging.await;
        ("the gauges", Ok(()))
    });
    parts.spawn(async move { ("the reloads", reloading.await) });
    let (asked, stopped) = (sources.clone(), stop.clone());
    parts.spawn(async move { ("the look at the sources", asked.discover(stopped).await) });
    if role != Role::Api {
        let exchange = Arc::new(Exchange::new(store.clone(), base.clone(), Arc::clone(&clock)));
        let (store, pipeline, sources) = (store.clone(), Arc::clone(&pipeline), sources.clone());
        let work = worker::run(store, pipeline, exchange, sources, config.worker.clone(), stop.clone());
        parts.spawn(async move { ("the workers", work.await) });
    }
    if let Some(listener) = listener {
        let body_bytes_max = config.server.body_bytes_max;
        let registry = Arc::clone(&registry);
        let hooks = Hooks::load(&sources).context("reading the secrets of notifications (hook_secret_file)")?;
        let bases = Bases::of_sources(base.clone(), &sources);
        let api =
            Api { store, pipeline, registry, sources, switch, base, bases, hooks, clock, body_bytes_max, metrics };
        let server = web::server(listener, api, access, &config.server)?;
        let handle = server.handle();
        let stopped = stop.clone();
        parts.spawn(async move {
            tokio::select! {
                ended = server => ("the API", ended.map_err(anyhow::Error::from)),
                () = async { stopped.cancelled().await; handle.stop(true).await } => ("the API", Ok(())),
            }
        });
    }
    let drain = Duration::from_secs(config.server.drain_seconds_max);
    let outcome = supervise(&mut parts, &registry, &database, &stop, drain).await;
    let closed = database.close().await;
    outcome.and(closed)
}

fn pipeline(
    store: &Store,
    registry: &Arc<Registry>,
    base: &BaseUrl,
    sources: &Sources,
    clock: &Arc<dyn Clock>,
) -> Arc<Pipeline> {
    let source_bases = sources.iter().map(|source| (source.name.clone(), source.base().clone())).collect();
    let (registry, clock) = (Arc::clone(registry), Arc::clone(clock));
    let isolation = Isolation::of_this_program();
    Arc::new(Pipeline::new(store.clone(), registry, base.clone(), source_bases, clock, isolation))
}

/// Says that the service is ready, and who answers.
fn tell(registry: &Registry, base: &BaseUrl) {
    let lineup = registry.lineup();
    for model in lineup.models() {
        let version = model.version();
        info!(name = model.name, model = %version.id, version = %version.version, sha256 = %version.sha256.hex(), "loaded");
    }
    let active = lineup.active(&SourceName::local()).version();
    info!(model = %active.id, version = %active.version, fhir = %base.as_str(), "ready");
}

/// Reads the settings again at every SIGHUP. What is wrong with them is in the log, and changes nothing.
async fn hear_hangups(mut hangups: Signal, switch: Arc<Switch>, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            heard = hangups.recv() => {
                heard.context("no more signals can be heard")?;
                drop(switch.reload().await);
            }
        }
    }
}

/// Checks what the settings alone do not tell: the keys and certificates of sources, the tokens file, and that nobody listens to the world without one.
pub fn check(config: &Config, role: Role) -> anyhow::Result<Access> {
    let faults = Sources::check(config);
    if !faults.is_empty() {
        bail!(ConfigError(faults));
    }
    let access =
        Access::load(config.server.tokens_file.as_deref()).map_err(|e| Misuse(format!("server.tokens_file: {e}")))?;
    if role != Role::Worker && matches!(access, Access::Loopback) && !config.server.listen.ip().is_loopback() {
        bail!(Misuse(format!(
            "refusing to listen on {} without access tokens: set server.tokens_file (docs/access.md), or listen on 127.0.0.1",
            config.server.listen
        )));
    }
    Ok(access)
}

type Parts = tokio::task::JoinSet<(&'static str, anyhow::Result<()>)>;

/// Waits for a signal, or for a part that ends by itself; then drains.
async fn supervise(
    parts: &mut Parts,
    registry: &Registry,
    database: &Database,
    stop: &CancellationToken,
    drain: Duration,
) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let outcome = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = parts.join_next() => Err(died(ended)),
        () = database.ended() => Err(anyhow::anyhow!("the private Postgres ended by itself")),
        () = registry.stopped() => Err(anyhow::anyhow!("a model's thread ended by itself")),
    };
    info!("draining: no new work is taken, what is in hand is finished");
    stop.cancel();
    let drained = async {
        while let Some(ended) = parts.join_next().await {
            if let Ok((name, Err(error))) = ended {
                warn!(part = name, error = %error, "a part ended with an error while draining");
            }
        }
    };
    tokio::select! {
        done = timeout(drain, drained) => if done.is_err() {
            warn!("what was in hand did not end in time; its jobs are done again after their leases end");
        },
        _ = terminate.recv() => warn!("a second signal: ending at once"),
        _ = interrupt.recv() => warn!("a second signal: ending at once"),
    }
    outcome
}

fn died(ended: Option<Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>>) -> anyhow::Error {
    match ended {
        Some(Ok((name, Err(error)))) => error.context(format!("{name} ended")),
        Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended by itself"),
        Some(Err(error)) if error.is_panic() => anyhow::anyhow!("a task panicked"),
        Some(Err(_)) | None => anyhow::anyhow!("a task was lost"),
    }
}

fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
    listener.set_nonblocking(true).context("listening without blocking")?;
    Ok(listener)
}

fn base_url(config: &Config, listener: Option<&TcpListener>) -> anyhow::Result<BaseUrl> {
    match (&config.server.public_url, listener) {
        (Some(url), _) => Ok(BaseUrl::new(url)),
        // Port 0 lets the system choose: ask for what it chose.
        (None, Some(listener)) => Ok(BaseUrl::new(&format!("http://{}/fhir", listener.local_addr()?))),
        (None, None) => Ok(BaseUrl::new(&format!("http://{}/fhir", config.server.listen))),
    }
}

/// A wrong usage or configuration: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);
