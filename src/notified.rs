//! What becomes of a notification: in one transaction, events are counted and jobs are asked for. Nothing is asked of the
//! source here; the 2xx that follows says that nothing will be forgotten.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::config::{FhirVersion, Payload};
use crate::domain::document::{LogicalId, ReportKey, ResourceType};
use crate::domain::subscription::{Heard, SubscriptionKind, Told};
use crate::fhir::notification::{Change, Event, Notification, Topic, TopicKind, What};
use crate::fhir::reference;
use crate::receive;
use crate::source::Source;
use crate::store::{Intake, Named, Store, StoreError};
use crate::telemetry;

/// How long events that are missing may still come by themselves, in seconds: notifications overtake each other.
pub const GAP_GRACE_SECONDS: f64 = 5.0;

/// The shortest time between two searches that notifications ask for, in seconds. Pings that come quicker, forged ones
/// among them, ask for one search together.
pub const SEARCH_PAUSE_SECONDS: f64 = 2.0;

/// What a notification asks for.
#[derive(Default)]
struct Wishes {
    /// Reports to be read or deleted, in the order of their names: two notifications wait for each other, and never both.
    reports: BTreeMap<ReportKey, What>,
    /// A search, in so many seconds.
    search: Option<f64>,
}

impl Wishes {
    fn search_in(&mut self, seconds: f64) {
        self.search = Some(self.search.map_or(seconds, |other| other.min(seconds)));
    }
}

/// Takes a notification in. It is durable when this returns.
pub async fn take(
    store: &Store,
    source: &Source,
    notification: Notification,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let name = source.name.as_str();
    telemetry::notified(name, shape(&notification));
    let mut wishes = Wishes::default();
    let mut intake = store.intake(now).await?;
    match &notification {
        Notification::Ping => wishes.search_in(0.0),
        Notification::Changed(changes) => changes.iter().for_each(|change| wish(source, change, &mut wishes)),
        Notification::Topic(topic) => topic.events.iter().for_each(|event| wish_event(source, event, &mut wishes)),
    }
    for (key, what) in std::mem::take(&mut wishes.reports) {
        take_report(&mut intake, source, &key, what).await?;
    }
    // Rows that notifications share come last: they are locked until the commit.
    match &notification {
        Notification::Topic(topic) => hear(&mut intake, source, topic, &mut wishes, now).await?,
        Notification::Ping => intake.hear_classic(&source.name, None).await?,
        Notification::Changed(changes) => {
            let first = changes.first().map(|change| change.resource_type.as_str());
            intake.hear_classic(&source.name, first).await?;
        }
    }
    if let Some(seconds) = wishes.search {
        intake.ask_catch_up(&source.name, seconds, SEARCH_PAUSE_SECONDS).await?;
    }
    intake.commit().await
}

fn shape(notification: &Notification) -> &'static str {
    match notification {
        Notification::Ping => "ping",
        Notification::Changed(changes) => match changes.as_slice() {
            [Change { what: What::Deleted, .. }] => "deletion",
            [Change { what: What::Written(None), .. }] => "address",
            [_] => "resource",
            _ => "bundle",
        },
        Notification::Topic(topic) => topic.kind.code(),
    }
}

fn wish(source: &Source, change: &Change, wishes: &mut Wishes) {
    let resource_type = ResourceType::from_name(&change.resource_type).filter(|kind| source.listens_to_type(*kind));
    let Some(resource_type) = resource_type else {
        telemetry::notification_passed_over(source.name.as_str(), "other-type");
        return;
    };
    let key = ReportKey { source: source.name.clone(), resource_type, logical_id: change.id.clone() };
    wishes.reports.insert(key, change.what.clone());
}

/// A focus is read only below the source's own base. One that is named elsewhere may be the same under another name, so
/// the source is searched instead of it being believed.
fn wish_event(source: &Source, event: &Event, wishes: &mut Wishes) {
    let Some(focus) = &event.focus else { return wishes.search_in(0.0) };
    match reference::report_of_source(focus, &source.name, source.base()) {
        Some(key) if source.listens_to_type(key.resource_type) => {
            let what = match &event.what {
                What::Written(Some(bytes)) if !is_of(&key, bytes) => What::Written(None),
                what => what.clone(),
            };
            wishes.reports.insert(key, what);
        }
        Some(_) => telemetry::notification_passed_over(source.name.as_str(), "other-type"),
        None if reference::report(focus).is_none() && focus.contains('/') => {
            telemetry::notification_passed_over(source.name.as_str(), "other-type");
        }
        None => {
            telemetry::notification_passed_over(source.name.as_str(), "elsewhere");
            wishes.search_in(0.0);
        }
    }
}

/// Whether bytes are of the report that they came with.
fn is_of(key: &ReportKey, bytes: &[u8]) -> bool {
    crate::fhir::report::head(bytes)
        .is_ok_and(|head| head.resource_type == key.resource_type && head.logical_id.as_ref() == Some(&key.logical_id))
}

/// A report that is said to have changed: read from the source, which cannot be forged, or taken as it came where the
/// settings trust whoever knows the secret.
async fn take_report(intake: &mut Intake, source: &Source, key: &ReportKey, what: What) -> Result<(), StoreError> {
    match (source.settings.payload, what) {
        (Payload::Trust, What::Written(Some(bytes))) => {
            let listened_to = source.listens_to(&bytes);
            match receive::from_source(key.clone(), bytes, listened_to) {
                Ok(given) => intake.take(given).await.map(drop),
                Err(_) => intake.ask_fetch(key).await,
            }
        }
        // A deletion has nothing to show for itself, and may be out of date: reading tells.
        (Payload::Trust | Payload::ReadBack, _) => intake.ask_fetch(key).await,
    }
}

/// Counts a topic's notification.
async fn hear(
    intake: &mut Intake,
    source: &Source,
    topic: &Topic,
    wishes: &mut Wishes,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    for event in topic.events.iter().filter_map(|event| event.at) {
        telemetry::notification_age(source.name.as_str(), (now - event).as_seconds_f64());
    }
    let Some(id) = subscription_id(&topic.subscription) else {
        telemetry::notification_passed_over(source.name.as_str(), "no-subscription");
        wishes.search_in(0.0);
        return Ok(());
    };
    let kind = match source.settings.fhir_version {
        FhirVersion::R5 => SubscriptionKind::R5,
        FhirVersion::R4 | FhirVersion::R4B => SubscriptionKind::Backport,
    };
    let topic_url = topic.topic.as_deref();
    let named = Named { source: &source.name, id: &id, kind, topic: topic_url, state: topic.state };
    match intake.hear(&named, &told(topic)).await? {
        Some(Heard::Whole) => {}
        Some(Heard::Gap) => wishes.search_in(GAP_GRACE_SECONDS),
        Some(Heard::Restarted) => {
            telemetry::notification_passed_over(source.name.as_str(), "restarted");
            wishes.search_in(0.0);
        }
        None => {
            telemetry::notification_passed_over(source.name.as_str(), "too-many-subscriptions");
            wishes.search_in(0.0);
        }
    }
    // Nobody else mends a Subscription that the source has given up.
    if topic.state.is_some_and(crate::domain::subscription::SubscriptionState::is_broken) || !topic.errors.is_empty() {
        wishes.search_in(0.0);
    }
    // It starts now: what was written before is not told.
    if topic.kind == TopicKind::Handshake {
        wishes.search_in(0.0);
    }
    // An empty payload says that something happened, and not what.
    if topic.kind == TopicKind::EventNotification && topic.events.is_empty() {
        wishes.search_in(0.0);
    }
    Ok(())
}

/// What the notification says of the count. Events without numbers are the newest of the total; where nothing is listed,
/// the total itself is the event.
fn told(topic: &Topic) -> Told {
    let listed = i64::try_from(topic.events.len()).unwrap_or(i64::MAX);
    let numbered = topic.events.iter().zip(0_i64..).filter_map(|(event, index)| {
        let number = event.number.or_else(|| Some(topic.events_since_start? - listed + 1 + index));
        Some((number?, event.at))
    });
    let mut events: Vec<_> = numbered.collect();
    if topic.kind == TopicKind::EventNotification && events.is_empty() {
        events.extend(topic.events_since_start.filter(|total| *total > 0).map(|total| (total, None)));
    }
    Told {
        handshake: topic.kind == TopicKind::Handshake,
        heartbeat: matches!(topic.kind, TopicKind::Heartbeat | TopicKind::QueryStatus),
        total: topic.events_since_start,
        events,
    }
}

/// The id of a Subscription: of the source that holds the secret, whatever base it names.
fn subscription_id(reference: &str) -> Option<LogicalId> {
    let unversioned = reference.split_once("/_history/").map_or(reference, |(unversioned, _)| unversioned);
    let (before, id) = unversioned.rsplit_once('/')?;
    let named = before == "Subscription" || before.ends_with("/Subscription");
    named.then(|| LogicalId::new(id))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_known_by_its_id() {
        for (reference, expected) in [
            ("Subscription/1", Some("1")),
            ("http://ehr/fhir/Subscription/a-b/_history/2", Some("a-b")),
            ("Patient/1", None),
            ("urn:uuid:1", None),
            ("Subscription/a b", None),
        ] {
            assert_eq!(subscription_id(reference).as_ref().map(LogicalId::as_str), expected, "{reference}");
        }
    }

    #[test]
    fn events_without_numbers_are_the_newest() {
        let event = |number| Event { number, at: None, focus: None, what: What::Written(None) };
        let topic = |kind, total, events| Topic {
            kind,
            subscription: "Subscription/1".into(),
            topic: None,
            state: None,
            events_since_start: total,
            events,
            errors: Vec::new(),
        };
        let numbers = |topic: &Topic| told(topic).events.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        let kind = TopicKind::EventNotification;
        assert_eq!(numbers(&topic(kind, Some(7), vec![event(None), event(None)])), [6, 7]);
        assert_eq!(numbers(&topic(kind, Some(7), vec![event(Some(7))])), [7]);
        assert_eq!(numbers(&topic(kind, Some(7), vec![])), [7]);
        assert_eq!(numbers(&topic(kind, None, vec![event(None)])), Vec::<i64>::new());
        assert_eq!(numbers(&topic(TopicKind::Heartbeat, Some(7), vec![])), Vec::<i64>::new());
    }
}
