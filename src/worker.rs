//! Takes jobs, has them done, settles. Documents are done by the pipeline, what passes between a source and us by the
//! exchange; each source has workers of its own, so that one that is slow or away holds up nobody else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config::WorkerConfig;
use crate::domain::job::{JobClass, LeasedJob, OnFailure};
use crate::exchange::{Exchange, ExchangeError};
use crate::pipeline::{Pipeline, PipelineError};
use crate::source::{Source, Sources};
use crate::store::{LEASE_SECONDS, Store, StoreError};
use crate::telemetry;

/// Wait after the store failed, so that a database that is away is not hammered.
const STORE_FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Wait of a job whose other side is away and did not say for how long.
const AWAY_PAUSE: Duration = Duration::from_secs(5);

/// How often a worker looks whether its source may be asked again.
const PAUSE_LOOK_MAX: Duration = Duration::from_millis(500);

/// How often the queue's depth is counted for the metrics.
const DEPTH_INTERVAL: Duration = Duration::from_secs(5);

/// Does jobs until `stop`; then ends those in hand and returns. Returns an error only if a task died.
pub async fn run(
    store: Store,
    pipeline: Arc<Pipeline>,
    exchange: Arc<Exchange>,
    sources: Sources,
    config: WorkerConfig,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    exchange.begin(&sources).await?;
    // A bell for each kind of hands: one that wakes whoever is next might wake a worker that may not take the job.
    let mut crews: Vec<(Hands, usize)> = vec![
        (Hands::Documents(JobClass::Fresh, Arc::clone(&pipeline)), config.concurrency),
        (Hands::Documents(JobClass::Background, pipeline), config.background_concurrency),
    ];
    for source in sources.iter() {
        let hands = Hands::Source(Arc::clone(source), Arc::clone(&exchange));
        crews.push((hands, source.settings.requests_at_once_max));
    }
    let mut tasks = JoinSet::new();
    let mut bells = Vec::new();
    for (hands, workers) in crews {
        let bell = Arc::new(Notify::new());
        bells.push(Arc::clone(&bell));
        for _ in 0..workers {
            let (store, config, bell) = (store.clone(), config.clone(), Arc::clone(&bell));
            let worker = Worker { hands: hands.clone(), store, config, bell };
            tasks.spawn(worker.work(stop.clone()));
        }
    }
    tasks.spawn(listen(store, bells, stop));
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

/// Who does a job, and of which jobs.
#[derive(Clone)]
enum Hands {
    /// Documents are annotated.
    Documents(JobClass, Arc<Pipeline>),
    /// What passes between a source and us.
    Source(Arc<Source>, Arc<Exchange>),
}

/// Why a job was not done, as far as a worker needs to know.
struct Failure {
    on_failure: OnFailure,
    text: String,
}

impl Hands {
    async fn claim(&self, store: &Store) -> Result<Option<LeasedJob>, StoreError> {
        match self {
            Self::Documents(class, _) => store.claim_job(*class).await,
            Self::Source(source, _) => store.claim_job_of(&source.name).await,
        }
    }

    /// How long no job is taken.
    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Documents(..) => None,
            Self::Source(source, _) => source.pause(),
        }
    }

    /// Does the job and settles it; none if that succeeded, or if the lease was lost and nothing was written.
    async fn run(&self, job: &LeasedJob) -> Option<Failure> {
        match self {
            Self::Documents(_, pipeline) => match pipeline.run(job).await {
                Ok(()) | Err(PipelineError::Store(StoreError::LeaseLost)) => None,
                Err(error) => Some(Failure { on_failure: error.on_failure(), text: telemetry::chain(&error) }),
            },
            Self::Source(source, exchange) => match exchange.run(source, job).await {
                Ok(()) | Err(ExchangeError::Store(StoreError::LeaseLost)) => None,
                Err(error) => Some(Failure { on_failure: error.on_failure(), text: telemetry::chain(&error) }),
            },
        }
    }

    async fn abandon(&self, job: &LeasedJob, why: &str) -> Result<(), StoreError> {
        match self {
            Self::Documents(_, pipeline) => pipeline.abandon(job, why).await,
            Self::Source(_, exchange) => exchange.abandon(job, why).await,
        }
    }
}

/// Does one job after the other.
struct Worker {
    hands: Hands,
    store: Store,
    config: WorkerConfig,
    bell: Arc<Notify>,
}

impl Worker {
    /// Claims a job, does it, and waits for the bell when there is none.
    async fn work(self, stop: CancellationToken) {
        let poll = Duration::from_secs_f64(self.config.poll_seconds);
        while !stop.is_cancelled() {
            if let Some(pause) = self.hands.pause() {
                tokio::select! {
                    () = sleep(pause.min(PAUSE_LOOK_MAX)) => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            match self.hands.claim(&self.store).await {
                Ok(Some(job)) => {
                    // There may be more than one: whoever is idle looks too.
                    self.bell.notify_one();
                    do_job(&self.store, &self.hands, self.config.attempts_max, job).await;
                }
                Ok(None) => {
                    tokio::select! {
                        () = self.bell.notified() => {}
                        () = sleep(poll) => {}
                        () = stop.cancelled() => {}
                    }
                }
                Err(error) => {
                    error!(error = %error, cause = ?std::error::Error::source(&error), "a job could not be claimed");
                    sleep(STORE_FAILURE_PAUSE).await;
                }
            }
        }
    }
}

/// Does a job while holding its lease, and settles it whatever happens.
async fn do_job(store: &Store, hands: &Hands, attempts_max: i32, job: LeasedJob) {
    if job.attempt > attempts_max {
        // Claimed before and never settled: it may be what killed the worker.
        let why = format!("given up after {attempts_max} tries that did not end");
        settled(hands.abandon(&job, &why).await, "abandoned");
        return;
    }
    let failure = tokio::select! {
        failure = hands.run(&job) => failure,
        () = hold(store, &job) => return, // The lease is lost: another worker has the job.
    };
    // With a lost lease nothing was written; whoever has the lease now settles it.
    let Some(Failure { on_failure, text }) = failure else { return };
    match on_failure {
        OnFailure::Retry if job.attempt < attempts_max => {
            warn!(job = job.id, kind = job.kind.code(), attempt = job.attempt, error = %text, "a job failed and is tried again");
            settled(store.retry_job(&job, &text).await, "retry");
        }
        OnFailure::Later(pause) => {
            let seconds = pause.unwrap_or(AWAY_PAUSE).as_secs_f64();
            warn!(job = job.id, kind = job.kind.code(), seconds, error = %text, "a job waits for the other side");
            settled(store.put_off_job(&job, seconds, &text).await, "later");
        }
        OnFailure::Retry | OnFailure::Fail => {
            error!(job = job.id, kind = job.kind.code(), attempt = job.attempt, error = %text, "a job failed and is given up");
            settled(hands.abandon(&job, &text).await, "abandoned");
        }
    }
}

/// Renews the lease for as long as it can; returns when it is lost.
async fn hold(store: &Store, job: &LeasedJob) {
    let mut ticks = interval(Duration::from_secs_f64(LEASE_SECONDS / 3.0));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        match store.renew_lease(job).await {
            Err(StoreError::LeaseLost) => return,
            Ok(()) => {}
            // The database may be back before the lease ends; if not, settling will say so.
            Err(error) => warn!(job = job.id, error = %error, "a lease could not be renewed"),
        }
    }
}

fn settled(result: Result<(), StoreError>, next: &'static str) {
    telemetry::job_failed(next);
    if let Err(error) = result {
        // The lease ends by itself, and the job is done again.
        error!(error = %error, "a failed job could not be settled");
    }
}

/// Rings the bells when the database says that jobs were queued.
async fn listen(store: Store, bells: Vec<Arc<Notify>>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let mut heard = match store.listen().await {
            Ok(heard) => heard,
            Err(error) => {
                warn!(error = %error, "notifications of new jobs are off; the queue is polled");
                sleep(STORE_FAILURE_PAUSE).await;
                continue;
            }
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                rung = heard.ring() => match rung {
                    Ok(()) => bells.iter().for_each(|bell| bell.notify_one()),
                    Err(_) => break,
                }
            }
        }
    }
}

/// Keeps the queue's gauges true, in every role: a process that only receives should show its backlog.
pub async fn gauge(store: Store, sources: Sources, stop: CancellationToken) {
    let mut ticks = interval(DEPTH_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for (kind, depth) in store.queue_depths().await.unwrap_or_default() {
            match kind {
                "annotate" => telemetry::queue(depth.waiting, depth.leased, depth.abandoned),
                _ => telemetry::background_queue(kind, depth.waiting, depth.leased, depth.abandoned),
            }
        }
        for source in sources.iter() {
            if let Ok(seconds) = store.seconds_behind(&source.name).await {
                telemetry::source_behind(source.name.as_str(), seconds);
            }
        }
    }
}
