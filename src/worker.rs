//! Takes jobs, runs the pipeline, settles.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config::WorkerConfig;
use crate::domain::job::{JobClass, LeasedJob, OnFailure};
use crate::pipeline::{Pipeline, PipelineError};
use crate::store::{LEASE_SECONDS, Store, StoreError};
use crate::telemetry;

/// Wait after the store failed, so that a database that is away is not hammered.
const STORE_FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Wait of a job whose other side is away and did not say for how long.
const AWAY_PAUSE: Duration = Duration::from_secs(5);

/// How often the queue's depth is counted for the metrics.
const DEPTH_INTERVAL: Duration = Duration::from_secs(5);

/// Does jobs until `stop`; then ends those in hand and returns. Returns an error only if a task died.
pub async fn run(
    store: Store,
    pipeline: Arc<Pipeline>,
    config: WorkerConfig,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    // A bell for each class: one that wakes whoever is next might wake a worker that may not take the job.
    let bells = [JobClass::Fresh, JobClass::Background].map(|class| (class, Arc::new(Notify::new())));
    let mut tasks = JoinSet::new();
    for (class, bell) in &bells {
        let workers = match class {
            JobClass::Fresh => config.concurrency,
            JobClass::Background => config.background_concurrency,
        };
        for _ in 0..workers {
            let worker = Worker {
                class: *class,
                store: store.clone(),
                pipeline: Arc::clone(&pipeline),
                config: config.clone(),
                bell: Arc::clone(bell),
            };
            tasks.spawn(worker.work(stop.clone()));
        }
    }
    tasks.spawn(listen(store, bells.map(|(_, bell)| bell), stop));
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

/// Does one job after the other, of one class.
struct Worker {
    class: JobClass,
    store: Store,
    pipeline: Arc<Pipeline>,
    config: WorkerConfig,
    bell: Arc<Notify>,
}

impl Worker {
    /// Claims a job, does it, and waits for the bell when there is none.
    async fn work(self, stop: CancellationToken) {
        let poll = Duration::from_secs_f64(self.config.poll_seconds);
        while !stop.is_cancelled() {
            match self.store.claim_job(self.class).await {
                Ok(Some(job)) => {
                    // There may be more than one: whoever is idle looks too.
                    self.bell.notify_one();
                    do_job(&self.store, &self.pipeline, self.config.attempts_max, job).await;
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
async fn do_job(store: &Store, pipeline: &Pipeline, attempts_max: i32, job: LeasedJob) {
    if job.attempt > attempts_max {
        // Claimed before and never settled: it may be what killed the worker.
        let why = format!("given up after {attempts_max} tries that did not end");
        settled(pipeline.abandon(&job, &why).await, "abandoned");
        return;
    }
    let result = tokio::select! {
        result = pipeline.run(&job) => result,
        () = hold(store, &job) => return, // The lease is lost: another worker has the job.
    };
    let error = match result {
        // With a lost lease nothing was written; whoever has the lease now settles it.
        Ok(()) | Err(PipelineError::Store(StoreError::LeaseLost)) => return,
        Err(error) => error,
    };
    let text = telemetry::chain(&error);
    match error.on_failure() {
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
            settled(pipeline.abandon(&job, &text).await, "abandoned");
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
async fn listen(store: Store, bells: [Arc<Notify>; 2], stop: CancellationToken) {
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
pub async fn gauge(store: Store, stop: CancellationToken) {
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
    }
}
