//! Our Subscriptions at sources: looked after while the service runs, made and mended on command.

mod making;

use bytes::Bytes;
use time::{Duration, OffsetDateTime};

use crate::domain::document::LogicalId;
use crate::domain::subscription::SubscriptionState;
use crate::fhir::subscription::{self, Seen};
use crate::source::{Outgoing, Source, SourceError};
use crate::store::{Store, StoreError, Subscription};
use crate::telemetry;

pub use making::{Made, Making, Standing, endpoint, list};

/// What is added to twice the promised silence before we ask: networks have their moments.
const SILENCE_GRACE: Duration = Duration::seconds(10);

/// The shortest time between two looks at one Subscription: one that breaks again at once is not asked for all the time.
const LOOK_PAUSE: Duration = Duration::minutes(1);

/// How often a Subscription is looked at that seems well: classic ones can fall silent without a word.
const LOOK_EVERY: Duration = Duration::minutes(15);

/// Why Subscriptions could not be made or mended.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// The source did not do what we asked.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings do not have what it takes.
    #[error("{0}")]
    Settings(String),
}

/// When a Subscription's silence is longer than its source promised.
pub fn silent_at(subscription: &Subscription) -> Option<OffsetDateTime> {
    let promised = Duration::seconds(i64::from(subscription.heartbeat_seconds?));
    Some(subscription.heard_at.unwrap_or(subscription.created_at) + promised * 2 + SILENCE_GRACE)
}

/// Looks at Subscriptions that are broken, silent, or were not looked at for long, and asks for the broken ones again: by
/// the guide that is the subscriber's to do.
pub async fn look_after(store: &Store, source: &Source, now: OffsetDateTime) -> Result<(), SubscriptionError> {
    for known in store.subscriptions(&source.name).await? {
        let silent = silent_at(&known).is_some_and(|at| at <= now);
        let pause = if known.state.is_broken() || silent { LOOK_PAUSE } else { LOOK_EVERY };
        if known.checked_at.is_some_and(|at| now - at < pause) {
            continue;
        }
        if silent {
            tracing::warn!(source = source.name.as_str(), "a Subscription has been silent for longer than promised");
        }
        // Made by others: theirs to mend.
        if known.criteria.is_some() {
            look_at(store, source, &known.id, now).await?;
        }
    }
    Ok(())
}

/// Reads a Subscription and asks for it again if it is broken; what it then is. Nothing if the source no longer has it.
async fn look_at(
    store: &Store,
    source: &Source,
    id: &LogicalId,
    now: OffsetDateTime,
) -> Result<Option<SubscriptionState>, SubscriptionError> {
    // Noted first: one that cannot be read is not read again at once.
    store.subscription_checked(&source.name, id, None, now).await?;
    let answer = source.read(&format!("Subscription/{}", id.as_str())).await?;
    if answer.is_gone() {
        tracing::warn!(
            source = source.name.as_str(),
            "a Subscription of ours is gone (responsum subscriptions repair makes it again)"
        );
        store.subscription_checked(&source.name, id, Some(SubscriptionState::Off), now).await?;
        return Ok(None);
    }
    let seen = if answer.is_success() {
        subscription::read(&answer.body)
    } else {
        return Err(source.refused(&answer).into());
    };
    let seen = seen.ok_or_else(|| source.unexpected("no Subscription"))?;
    let state = if seen.state.is_broken() {
        mend(source, &seen, &answer.body, answer.etag.as_deref()).await?
    } else {
        seen.state
    };
    store.subscription_checked(&source.name, id, Some(state), now).await?;
    Ok(Some(state))
}

/// Asks for a broken Subscription again: with status `requested`, or `active` where that is what a server wants.
async fn mend(
    source: &Source,
    seen: &Seen,
    body: &Bytes,
    etag: Option<&str>,
) -> Result<SubscriptionState, SubscriptionError> {
    for wanted in [SubscriptionState::Requested, SubscriptionState::Active] {
        let Some(resource) = subscription::with_status(body, wanted) else { break };
        let request = Outgoing::put(format!("Subscription/{}", seen.id.as_str()), resource);
        let answer = source.send(etag.map_or(request.clone(), |etag| request.if_match(etag))).await?;
        if answer.is_success() {
            tracing::warn!(
                source = source.name.as_str(),
                was = seen.state.code(),
                "a Subscription was asked for again"
            );
            telemetry::subscription_mended(source.name.as_str(), "requested");
            return Ok(subscription::read(&answer.body).map_or(wanted, |seen| seen.state));
        }
        if !matches!(answer.status, 400 | 422) {
            telemetry::subscription_mended(source.name.as_str(), "refused");
            return Err(source.refused(&answer).into());
        }
    }
    telemetry::subscription_mended(source.name.as_str(), "refused");
    Ok(seen.state)
}
