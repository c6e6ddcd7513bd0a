//! Our Subscriptions at sources: what was heard of them, in the transaction that takes the notification in.

use std::collections::BTreeSet;

use sqlx::Row;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;

use super::rows::known;
use super::{Intake, Store, StoreError, while_doing};
use crate::domain::document::{LogicalId, SourceName};
use crate::domain::subscription::{EventCount, Heard, SubscriptionKind, SubscriptionState, Told};

/// Most Subscriptions of one source that are kept. A site has a handful; whoever has the secret could name others.
pub const SUBSCRIPTIONS_MAX: i64 = 200;

/// How exact `heard_at` is for classic Subscriptions, in seconds: their notifications need not all write the same row.
const HEARD_SECONDS: f64 = 30.0;

/// One Subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id at the source.
    pub id: LogicalId,
    /// How it is made.
    pub kind: SubscriptionKind,
    /// What we made it for; nothing if others made it.
    pub criteria: Option<String>,
    /// The topic's canonical URL.
    pub topic: Option<String>,
    /// The longest silence that is promised.
    pub heartbeat_seconds: Option<i32>,
    /// What the source last said of it.
    pub state: SubscriptionState,
    /// Every event up to this number was taken in.
    pub last_event: Option<i64>,
    /// The highest number that the source has named.
    pub announced: i64,
    /// Since when events are missing.
    pub gap_since: Option<OffsetDateTime>,
    /// The last notification.
    pub heard_at: Option<OffsetDateTime>,
    /// When it was last read at the source.
    pub checked_at: Option<OffsetDateTime>,
    /// When we first knew of it.
    pub created_at: OffsetDateTime,
}

/// Which Subscription a notification is of, as the notification says.
#[derive(Debug)]
pub struct Named<'a> {
    /// Where.
    pub source: &'a SourceName,
    /// Its id there.
    pub id: &'a LogicalId,
    /// How it is made.
    pub kind: SubscriptionKind,
    /// The topic's canonical URL.
    pub topic: Option<&'a str>,
    /// What the source says of it.
    pub state: Option<SubscriptionState>,
}

impl Intake {
    /// Counts a topic's notification. Nothing if its Subscription is one too many to be kept.
    pub async fn hear(&mut self, named: &Named<'_>, told: &Told) -> Result<Option<Heard>, StoreError> {
        let Some(mut count) = self.count_of(named).await? else { return Ok(None) };
        let before = count.clone();
        let heard = count.hear(told);
        // A handshake is sent before its Subscription is active, and a 2xx makes it so.
        let state = match (told.handshake, named.state) {
            (true, _) => Some(SubscriptionState::Active),
            (false, state) => state,
        };
        self.write_count(named, &before, &count, state, true).await?;
        Ok(Some(heard))
    }

    /// Notes that a source's classic Subscriptions are alive: their notifications do not say which one they are of.
    pub async fn hear_classic(&mut self, source: &SourceName, resource_type: Option<&str>) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE subscriptions SET heard_at = $3, status = CASE status WHEN 'requested' THEN 'active' ELSE status END
             WHERE source = $1 AND kind = 'classic' AND ($2::text IS NULL OR split_part(criteria, '?', 1) = $2)
               AND (heard_at IS NULL OR heard_at < $3 - make_interval(secs => $4))",
        )
        .bind(source.as_str())
        .bind(resource_type)
        .bind(self.now)
        .bind(HEARD_SECONDS)
        .execute(&mut *self.tx)
        .await
        .map(drop)
        .map_err(while_doing("noting that a Subscription is alive"))
    }

    /// The count of a Subscription, locked until the transaction ends. One that is not known is kept from now on.
    async fn count_of(&mut self, named: &Named<'_>) -> Result<Option<EventCount>, StoreError> {
        let doing = while_doing("looking for a Subscription");
        sqlx::query(
            "INSERT INTO subscriptions (source, subscription_id, kind, topic, status, created_at)
             SELECT $1, $2, $3, $4, 'requested', $5
             WHERE (SELECT count(*) FROM subscriptions WHERE source = $1) < $6
               AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE source = $1 AND subscription_id = $2)
             ON CONFLICT DO NOTHING",
        )
        .bind(named.source.as_str())
        .bind(named.id.as_str())
        .bind(named.kind.code())
        .bind(named.topic)
        .bind(self.now)
        .bind(SUBSCRIPTIONS_MAX)
        .execute(&mut *self.tx)
        .await
        .map_err(&doing)?;
        let row = sqlx::query(
            "SELECT last_event, last_event_at, announced FROM subscriptions
             WHERE source = $1 AND subscription_id = $2 FOR UPDATE",
        )
        .bind(named.source.as_str())
        .bind(named.id.as_str())
        .fetch_optional(&mut *self.tx)
        .await
        .map_err(&doing)?;
        let Some(row) = row else { return Ok(None) };
        let ahead: Vec<i64> =
            sqlx::query_scalar("SELECT event_number FROM events_ahead WHERE source = $1 AND subscription_id = $2")
                .bind(named.source.as_str())
                .bind(named.id.as_str())
                .fetch_all(&mut *self.tx)
                .await
                .map_err(&doing)?;
        Ok(Some(EventCount {
            last: row.get("last_event"),
            last_at: row.get("last_event_at"),
            announced: row.get("announced"),
            ahead: BTreeSet::from_iter(ahead),
        }))
    }

    async fn write_count(
        &mut self,
        named: &Named<'_>,
        before: &EventCount,
        count: &EventCount,
        state: Option<SubscriptionState>,
        by_notification: bool,
    ) -> Result<(), StoreError> {
        let doing = while_doing("counting events");
        sqlx::query(
            "UPDATE subscriptions SET last_event = $3, last_event_at = $4, announced = $5,
                 heard_at = CASE WHEN $10 THEN $6 ELSE heard_at END,
                 -- What is missing after a search was named since it began.
                 gap_since = CASE WHEN $7 AND $10 THEN COALESCE(gap_since, $6) WHEN $7 THEN $6 END,
                 status = COALESCE($8, status), topic = COALESCE(topic, $9)
             WHERE source = $1 AND subscription_id = $2",
        )
        .bind(named.source.as_str())
        .bind(named.id.as_str())
        .bind(count.last)
        .bind(count.last_at)
        .bind(count.announced)
        .bind(self.now)
        .bind(count.has_gap())
        .bind(state.map(SubscriptionState::code))
        .bind(named.topic)
        .bind(by_notification)
        .execute(&mut *self.tx)
        .await
        .map_err(&doing)?;
        if before.ahead == count.ahead {
            return Ok(());
        }
        let gone: Vec<i64> = before.ahead.difference(&count.ahead).copied().collect();
        let new: Vec<i64> = count.ahead.difference(&before.ahead).copied().collect();
        sqlx::query(
            "DELETE FROM events_ahead WHERE source = $1 AND subscription_id = $2 AND event_number = ANY($3::bigint[])",
        )
        .bind(named.source.as_str())
        .bind(named.id.as_str())
        .bind(&gone)
        .execute(&mut *self.tx)
        .await
        .map_err(&doing)?;
        sqlx::query("INSERT INTO events_ahead SELECT $1, $2, unnest($3::bigint[]) ON CONFLICT DO NOTHING")
            .bind(named.source.as_str())
            .bind(named.id.as_str())
            .bind(&new)
            .execute(&mut *self.tx)
            .await
            .map(drop)
            .map_err(&doing)
    }

    /// Notes that everything up to an event was found by other means.
    pub async fn caught_up(&mut self, source: &SourceName, id: &LogicalId, until: i64) -> Result<(), StoreError> {
        // Any kind will do: the row is there, or there is nothing to note.
        let named = Named { source, id, kind: SubscriptionKind::Backport, topic: None, state: None };
        let Some(mut count) = self.count_of(&named).await? else { return Ok(()) };
        let before = count.clone();
        count.caught_up(until);
        self.write_count(&named, &before, &count, None, false).await
    }
}

impl Store {
    /// All Subscriptions of a source, the oldest first.
    pub async fn subscriptions(&self, source: &SourceName) -> Result<Vec<Subscription>, StoreError> {
        let rows = sqlx::query(
            "SELECT subscription_id, kind, criteria, topic, heartbeat_seconds, status, last_event, announced, gap_since,
                    heard_at, checked_at, created_at
             FROM subscriptions WHERE source = $1 ORDER BY created_at, subscription_id",
        )
        .bind(source.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("reading Subscriptions"))?;
        rows.iter().map(subscription).collect()
    }

    /// Keeps what is known of a Subscription that was read or made at the source; its count stays.
    pub async fn keep_subscription(
        &self,
        source: &SourceName,
        subscription: &Subscription,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO subscriptions AS kept
                 (source, subscription_id, kind, criteria, topic, heartbeat_seconds, status, checked_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
             ON CONFLICT (source, subscription_id) DO UPDATE SET kind = excluded.kind,
                 criteria = COALESCE(excluded.criteria, kept.criteria), topic = COALESCE(excluded.topic, kept.topic),
                 heartbeat_seconds = COALESCE(excluded.heartbeat_seconds, kept.heartbeat_seconds),
                 status = excluded.status, checked_at = excluded.checked_at",
        )
        .bind(source.as_str())
        .bind(subscription.id.as_str())
        .bind(subscription.kind.code())
        .bind(subscription.criteria.as_deref())
        .bind(subscription.topic.as_deref())
        .bind(subscription.heartbeat_seconds)
        .bind(subscription.state.code())
        .bind(now)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(while_doing("keeping a Subscription"))
    }

    /// Notes what the source said of a Subscription when it was read; none if it could not be read.
    pub async fn subscription_checked(
        &self,
        source: &SourceName,
        id: &LogicalId,
        state: Option<SubscriptionState>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE subscriptions SET status = COALESCE($3, status), checked_at = $4
             WHERE source = $1 AND subscription_id = $2",
        )
        .bind(source.as_str())
        .bind(id.as_str())
        .bind(state.map(SubscriptionState::code))
        .bind(now)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(while_doing("noting a Subscription's state"))
    }

    /// Forgets a Subscription that the source no longer has.
    pub async fn forget_subscription(&self, source: &SourceName, id: &LogicalId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM subscriptions WHERE source = $1 AND subscription_id = $2")
            .bind(source.as_str())
            .bind(id.as_str())
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(while_doing("forgetting a Subscription"))
    }
}

fn subscription(row: &PgRow) -> Result<Subscription, StoreError> {
    Ok(Subscription {
        id: known("subscription_id", LogicalId::new(row.get("subscription_id")))?,
        kind: known("kind", SubscriptionKind::from_code(row.get("kind")))?,
        criteria: row.get("criteria"),
        topic: row.get("topic"),
        heartbeat_seconds: row.get("heartbeat_seconds"),
        state: known("status", SubscriptionState::from_code(row.get("status")))?,
        last_event: row.get("last_event"),
        announced: row.get("announced"),
        gap_since: row.get("gap_since"),
        heard_at: row.get("heard_at"),
        checked_at: row.get("checked_at"),
        created_at: row.get("created_at"),
    })
}
