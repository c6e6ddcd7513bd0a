//! The status that a topic's notification begins with, and the events that it names.

use bytes::Bytes;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{CHANGES_MAX, Entry, NotificationError, What, relative, unversioned};
use crate::domain::subscription::SubscriptionState;
use crate::fhir::json::RawObject;

/// What a notification of a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKind {
    /// The source asks whether we are there.
    Handshake,
    /// Nothing happened; the source is alive.
    Heartbeat,
    /// Something happened.
    EventNotification,
    /// The answer to `$events`.
    QueryEvent,
    /// The answer to `$status`.
    QueryStatus,
}

impl TopicKind {
    fn from_code(code: &str) -> Option<Self> {
        match code {
            "handshake" => Some(Self::Handshake),
            "heartbeat" => Some(Self::Heartbeat),
            "event-notification" => Some(Self::EventNotification),
            "query-event" => Some(Self::QueryEvent),
            "query-status" => Some(Self::QueryStatus),
            _ => None,
        }
    }

    /// The code used in FHIR and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Heartbeat => "heartbeat",
            Self::EventNotification => "event-notification",
            Self::QueryEvent => "query-event",
            Self::QueryStatus => "query-status",
        }
    }
}

/// A topic's status, and what happened.
#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    /// What it is for.
    pub kind: TopicKind,
    /// Whose: a reference to the Subscription, absolute or relative.
    pub subscription: String,
    /// The topic's canonical URL.
    pub topic: Option<String>,
    /// The Subscription's state.
    pub state: Option<SubscriptionState>,
    /// How many events there were since it started, these among them.
    pub events_since_start: Option<i64>,
    /// What happened, in the notification's order.
    pub events: Vec<Event>,
    /// Codes of what the source says is wrong.
    pub errors: Vec<String>,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number: 1 for the first since the Subscription started.
    pub number: Option<i64>,
    /// When, by the source's clock.
    pub at: Option<OffsetDateTime>,
    /// The resource: a reference without version, absolute or relative; none with an empty payload.
    pub focus: Option<String>,
    /// What became of it, with the resource if the notification has it.
    pub what: What,
}

/// The topic's notification among a Bundle's entries; nothing if none of them is a status.
pub(super) fn read(body: &Bytes, entries: &[RawObject<'_>]) -> Result<Option<Topic>, NotificationError> {
    let resources = entries.iter().map(|entry| entry.object("resource"));
    // Its place is the first; servers that put it elsewhere mean the same.
    let Some((at, status)) = resources.enumerate().find_map(|(at, resource)| Some((at, resource.filter(is_status)?)))
    else {
        return Ok(None);
    };
    let others = entries.iter().enumerate().filter(|(index, _)| *index != at);
    let others: Vec<Entry> = others.map(|(_, entry)| Entry::of(body, entry)).collect();
    let mut topic = topic(&status)?;
    for event in &mut topic.events {
        fill(event, &others);
    }
    Ok(Some(topic))
}

/// A status that came without a Bundle.
pub(super) fn alone(status: &RawObject<'_>) -> Result<Topic, NotificationError> {
    topic(status)
}

/// Whether a resource is a topic's status.
pub(super) fn is_status(resource: &RawObject<'_>) -> bool {
    match resource.get::<String>("resourceType").as_deref() {
        Some("SubscriptionStatus") => true,
        Some("Parameters") => resource.objects("parameter").iter().any(|parameter| is_named(parameter, "subscription")),
        _ => false,
    }
}

/// Gives the event what the Bundle has of its focus.
fn fill(event: &mut Event, others: &[Entry]) {
    let Some(focus) = &event.focus else { return };
    let Some(entry) = others.iter().find(|entry| entry.is(focus)) else { return };
    if let Some(change) = &entry.resource {
        event.what = change.what.clone();
        // A urn:uuid is no address; the resource itself tells which one it is.
        if focus.starts_with("urn:") {
            event.focus = Some(relative(change));
        }
    } else if entry.deleted {
        event.what = What::Deleted;
    }
}

fn topic(status: &RawObject<'_>) -> Result<Topic, NotificationError> {
    let parameters = Members::of(status);
    let kind = parameters.text("type").ok_or(NotificationError::Status("type"))?;
    let subscription = parameters.reference("subscription").ok_or(NotificationError::Status("subscription"))?;
    let events = parameters.list("notification-event", "notificationEvent");
    if events.len() > CHANGES_MAX {
        return Err(NotificationError::TooMany);
    }
    let errors = parameters.list("error", "error").iter().flat_map(codes).collect();
    Ok(Topic {
        kind: TopicKind::from_code(&kind).ok_or(NotificationError::Status("type"))?,
        subscription,
        topic: parameters.text("topic"),
        state: parameters.text("status").as_deref().and_then(SubscriptionState::from_code),
        events_since_start: parameters.number("events-since-subscription-start", "eventsSinceSubscriptionStart"),
        events: events.iter().map(event).collect(),
        errors,
    })
}

fn event(members: &Members<'_>) -> Event {
    let at = members.text("timestamp").and_then(|at| OffsetDateTime::parse(&at, &Rfc3339).ok());
    let focus = members.reference("focus");
    Event {
        number: members.number("event-number", "eventNumber"),
        at,
        focus: focus.map(|focus| unversioned(&focus).to_owned()),
        what: What::Written(None),
    }
}

/// The codes of a CodeableConcept: of letters, digits and dashes only, so that no text of a report can be among them.
fn codes(concept: &Members<'_>) -> Vec<String> {
    let is_code =
        |code: &String| code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let Some(concept) = concept.whole() else { return Vec::new() };
    let codings = concept.objects("coding");
    codings.iter().filter_map(|coding| coding.get::<String>("code")).filter(is_code).collect()
}

/// The status' parts, whichever way they are written: R4's named parameters, or members of an object.
enum Members<'a> {
    Parameter(RawObject<'a>, &'static str),
    Object(RawObject<'a>),
}

impl<'a> Members<'a> {
    fn of(status: &RawObject<'a>) -> Self {
        match status.get::<String>("resourceType").as_deref() {
            Some("Parameters") => Self::Parameter(status.clone(), "parameter"),
            _ => Self::Object(status.clone()),
        }
    }

    /// A part's value. `name` is the parameter's; members of objects have it in camel case.
    fn value(&self, name: &str, camel: &str) -> Option<&'a RawValue> {
        match self {
            Self::Parameter(parameter, list) => {
                parameter.objects(list).iter().find(|part| is_named(part, name))?.choice("value")
            }
            Self::Object(object) => object.raw(camel),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.value(name, name)?.get()).ok()
    }

    fn reference(&self, name: &str) -> Option<String> {
        RawObject::parse(self.value(name, name)?.get()).ok()?.get("reference")
    }

    /// An integer of up to 64 bits: a number, or the string that FHIR makes of one.
    fn number(&self, name: &str, camel: &str) -> Option<i64> {
        let text = self.value(name, camel)?.get();
        text.trim_matches('"').trim().parse().ok().filter(|number| *number >= 0)
    }

    fn list(&self, name: &str, camel: &str) -> Vec<Members<'a>> {
        match self {
            Self::Parameter(parameter, list) => parameter
                .objects(list)
                .into_iter()
                .filter(|part| is_named(part, name))
                .map(|part| Self::Parameter(part, "part"))
                .collect(),
            Self::Object(object) => object.objects(camel).into_iter().map(Self::Object).collect(),
        }
    }

    /// The value as a whole.
    fn whole(&self) -> Option<RawObject<'a>> {
        match self {
            Self::Parameter(parameter, _) => RawObject::parse(parameter.choice("value")?.get()).ok(),
            Self::Object(object) => Some(object.clone()),
        }
    }
}

fn is_named(parameter: &RawObject<'_>, name: &str) -> bool {
    parameter.get::<String>("name").as_deref() == Some(name)
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event").field("number", &self.number).field("what", &self.what).finish_non_exhaustive()
    }
}
