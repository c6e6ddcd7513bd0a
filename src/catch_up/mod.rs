//! Nothing missed: what notifications did not tell is asked for (`$events`) and searched for (`_lastUpdated`), page by page,
//! and every step is remembered, so that an interruption costs one page.
//!
//! One job for each source does all of it, and asks for itself to be done again: soon where no Subscription is active,
//! seldom where notifications come.

mod events;
mod export;
mod search;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use time::OffsetDateTime;

use crate::clock::Clock;
use crate::domain::document::{ReportKey, SourceName};
use crate::domain::job::{LeasedJob, OnFailure};
use crate::domain::subscription::SubscriptionState;
use crate::fhir::page::{Found, PageError};
use crate::notified::{GAP_GRACE_SECONDS, SEARCH_PAUSE_SECONDS};
use crate::receive;
use crate::source::{Criteria, Fault, Source, SourceError};
use crate::store::{Intake, Store, StoreError, Subscription};
use crate::subscriptions;
use crate::telemetry;

/// Why a source could not be searched.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// It did not do what we asked.
    #[error("searching for what was missed")]
    Source(#[from] SourceError),
    /// Its answer is not a page of a search.
    #[error("searching for what was missed: the answer is not understood: {0}")]
    Page(PageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CatchUpError {
    /// Whether it is of the whole source, or of us, and another search would meet it too.
    fn is_of_all(&self) -> bool {
        match self {
            Self::Source(error) => matches!(
                error.fault,
                Fault::LeftAlone(_) | Fault::Wait { .. } | Fault::Unauthorized(_) | Fault::NoToken(_)
            ),
            Self::Page(_) => false,
            Self::Store(_) => true,
        }
    }

    /// Whether trying again may help. A source is searched again in any case: what it refuses today, people may mend.
    pub fn on_failure(&self) -> OnFailure {
        match self {
            Self::Source(error) => match error.on_failure() {
                OnFailure::Later(after) => OnFailure::Later(after),
                OnFailure::Retry | OnFailure::Fail => OnFailure::Later(Some(REFUSED_PAUSE)),
            },
            Self::Page(_) => OnFailure::Later(Some(REFUSED_PAUSE)),
            Self::Store(error) => error.on_failure(),
        }
    }
}

/// Wait before a search is sent again that the source refused.
const REFUSED_PAUSE: std::time::Duration = std::time::Duration::from_mins(1);

/// Searches sources for what was missed.
pub struct CatchUps {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Searches that were tried with `_lastUpdated` since the start: a source may have learned it.
    tried: Mutex<HashSet<(SourceName, String)>>,
}

impl CatchUps {
    /// For all sources of this process.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, tried: Mutex::default() }
    }

    /// Asks for a search of every source: what happened while we were away is not known.
    pub async fn begin(&self, sources: impl Iterator<Item = &Arc<Source>>) -> Result<(), StoreError> {
        for source in sources {
            self.store.catch_up_now(&source.name).await?;
        }
        Ok(())
    }

    /// Does the job: mends Subscriptions, asks for missing events, searches; then asks to be done again.
    pub async fn run(&self, source: &Source, job: &LeasedJob) -> Result<(), CatchUpError> {
        let result = self.all(source).await;
        let outcome = if result.is_ok() { "complete" } else { "failed" };
        telemetry::caught_up(source.name.as_str(), outcome);
        // One that became active while we searched may not have told what was written just before.
        let notified = notifies(source, &result?);
        let subscriptions = self.store.subscriptions(&source.name).await?;
        let next = next_in(source, notified, &subscriptions, self.clock.now());
        Ok(self.store.search_again(job, next, SEARCH_PAUSE_SECONDS).await?)
    }

    /// Gives the Subscriptions as they were when the search began.
    async fn all(&self, source: &Source) -> Result<Vec<Subscription>, CatchUpError> {
        // A source whose Subscriptions cannot be mended is searched all the same.
        if let Err(error) = subscriptions::look_after(&self.store, source, self.clock.now()).await {
            tracing::warn!(source = source.name.as_str(), error = %telemetry::chain(&error), "Subscriptions were not looked after");
        }
        // What is named from now on is not expected of this search.
        let before = self.store.subscriptions(&source.name).await?;
        for subscription in before.iter().filter(|subscription| is_overdue(subscription, self.clock.now())) {
            match self.ask_for_events(source, subscription).await {
                Err(error) if error.is_of_all() => return Err(error),
                // What it does not send again, the search finds.
                Err(error) => {
                    tracing::warn!(source = source.name.as_str(), error = %telemetry::chain(&error), "missing events were not sent again");
                }
                Ok(()) => {}
            }
        }
        let criteria = Criteria::of(&source.settings);
        if source.settings.bulk {
            self.export(source, &criteria).await?;
        }
        let missing = before.iter().any(|subscription| subscription.gap_since.is_some());
        if !self.search(source, &criteria, missing).await? {
            return Ok(before);
        }
        for subscription in before.iter().filter(|subscription| subscription.gap_since.is_some()) {
            let mut intake = self.store.intake(self.clock.now()).await?;
            intake.caught_up(&source.name, &subscription.id, subscription.announced).await?;
            intake.commit().await?;
        }
        Ok(before)
    }

    /// Whether the search is tried with `_lastUpdated` though it did not work before: once after each start.
    fn first_try(&self, source: &SourceName, criteria: &str) -> bool {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert((source.clone(), criteria.to_owned()))
    }
}

/// Takes in what a source gave us of a report in its own answer.
async fn take(intake: &mut Intake, source: &Source, found: Found) -> Result<bool, StoreError> {
    let Found { resource_type, id, resource, .. } = found;
    let key = ReportKey { source: source.name.clone(), resource_type, logical_id: id };
    match resource {
        Some(bytes) => take_bytes(intake, source, key, bytes).await,
        // Read back: it may have been written again since.
        None => intake.ask_fetch_of_known(&key).await.map(|()| true),
    }
}

/// False if it cannot be read.
async fn take_bytes(intake: &mut Intake, source: &Source, key: ReportKey, bytes: Bytes) -> Result<bool, StoreError> {
    let listened_to = source.listens_to(&bytes);
    match receive::from_source(key, bytes, listened_to) {
        Ok(given) => intake.take(given).await.map(|_| true),
        Err(_) => Ok(false),
    }
}

/// Tells that something could not be read: never what.
fn tell_unreadable(source: &Source, unreadable: usize) {
    if unreadable > 0 {
        tracing::warn!(
            source = source.name.as_str(),
            unreadable,
            "entries of a search are no reports that can be read"
        );
        telemetry::notification_passed_over(source.name.as_str(), "unreadable");
    }
}

/// Whether missing events had their time to come by themselves.
fn is_overdue(subscription: &Subscription, now: OffsetDateTime) -> bool {
    subscription.gap_since.is_some_and(|since| (now - since).as_seconds_f64() >= GAP_GRACE_SECONDS)
}

/// Whether a source notifies us of what happens.
fn notifies(source: &Source, subscriptions: &[Subscription]) -> bool {
    source.settings.hook_secret_file.is_some()
        && subscriptions.iter().any(|subscription| subscription.state == SubscriptionState::Active)
        && !subscriptions.iter().any(|subscription| subscription.state.is_broken())
}

/// Seconds until the next search.
fn next_in(source: &Source, notified: bool, subscriptions: &[Subscription], now: OffsetDateTime) -> f64 {
    let settings = &source.settings;
    let regular = match (notified, settings.catch_up_seconds) {
        (false, _) => settings.poll_seconds.max(1) as f64,
        (true, 0) => NEVER_SECONDS,
        (true, seconds) => seconds as f64,
    };
    let gaps = subscriptions.iter().filter_map(|subscription| subscription.gap_since);
    // One that is still open after a search was not searched for yet.
    let gaps = gaps.map(|since| GAP_GRACE_SECONDS - (now - since).as_seconds_f64());
    let gaps = gaps.map(|seconds| if seconds > 0.0 { seconds } else { OPEN_GAP_SECONDS });
    let silences = subscriptions.iter().filter_map(|subscription| {
        let silent_at = subscriptions::silent_at(subscription)?;
        // One that is silent already was just looked after.
        Some((silent_at - now).as_seconds_f64()).filter(|seconds| *seconds > 0.0)
    });
    gaps.chain(silences).fold(regular, f64::min).max(SEARCH_PAUSE_SECONDS)
}

/// Wait before what is still missing is looked for again.
const OPEN_GAP_SECONDS: f64 = 10.0;

/// The next search where none is asked for regularly: notifications ask for it. A day, so that the row stays true.
const NEVER_SECONDS: f64 = 86_400.0;
