//! What a source tells us: the body of a notification, in all the shapes that servers send.
//!
//! - nothing: something matched, and we are to ask what (R4, subscription.html, rest-hook without payload);
//! - a resource, or its address in the path (R4 rest-hook with payload; `DELETE` where a server tells deletions);
//! - a Bundle that begins with a status: `Parameters` (Subscriptions Backport for R4) or `SubscriptionStatus` (R4B, R5), with
//!   no, with identified, or with whole resources.
//!
//! What is read here is told by whoever knows the secret; nothing of it is believed but what the caller chooses to.

mod topic;

use bytes::Bytes;

use super::json::{self, JsonError, RawObject};
use crate::domain::document::LogicalId;

pub use topic::{Event, Topic, TopicKind};

/// Most changes in one notification, entries and events alike: each becomes a job in one transaction. Servers cap at far
/// less (`maxCount`).
pub const CHANGES_MAX: usize = 1_000;

/// Where a notification was sent.
#[derive(Clone, Copy, Debug)]
pub enum Address<'a> {
    /// To the endpoint itself.
    Endpoint,
    /// To `{type}/{id}` below it.
    Resource {
        /// The resource's type.
        resource_type: &'a str,
        /// Its id.
        id: &'a LogicalId,
        /// Whether by `DELETE`.
        deleted: bool,
    },
}

/// What a notification says.
#[derive(Debug, PartialEq, Eq)]
pub enum Notification {
    /// Something changed; what, is not said or not in JSON.
    Ping,
    /// These resources changed.
    Changed(Vec<Change>),
    /// A topic's status, with what happened.
    Topic(Topic),
}

/// One resource that changed.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// Any type of resource.
    pub resource_type: String,
    /// Its id at the source.
    pub id: LogicalId,
    /// What became of it.
    pub what: What,
}

/// What became of a resource.
#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// It was written: the very bytes, if the notification has them as JSON.
    Written(Option<Bytes>),
    /// It was deleted.
    Deleted,
}

/// Why a body is not a notification. Never with a part of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotificationError {
    /// Neither JSON nor XML by its Content-Type.
    #[error("send a notification as application/fhir+json, or without a body")]
    MediaType,
    /// Not a JSON resource.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// No `resourceType`.
    #[error("the body has no resourceType")]
    NoResourceType,
    /// `id` is missing or not one.
    #[error("the resource has no id that is a FHIR id: 1 to 64 of letters, digits, '-' and '.'")]
    NoId,
    /// The body is not what the path says.
    #[error("the resource's type and id are not those of the address")]
    OtherResource,
    /// Not a list.
    #[error("Bundle.entry is not a list")]
    EntriesNotAList,
    /// Nothing in the Bundle says what changed.
    #[error("the Bundle has neither a status (Parameters or SubscriptionStatus) nor an entry that names a resource")]
    EmptyBundle,
    /// Over the limit.
    #[error("the notification has more than {CHANGES_MAX} changes")]
    TooMany,
    /// A status lacks what it must have, or has it in another shape.
    #[error("the notification's status has no {0} that is understood")]
    Status(&'static str),
}

/// Reads a notification.
pub fn read(address: Address<'_>, content_type: Option<&str>, body: &Bytes) -> Result<Notification, NotificationError> {
    if let Address::Resource { resource_type, id, deleted: true } = address {
        return Ok(changed(resource_type.to_owned(), id.clone(), What::Deleted));
    }
    let format = format(content_type, body)?;
    match (address, format) {
        (Address::Resource { resource_type, id, .. }, Format::Nothing | Format::Xml) => {
            Ok(changed(resource_type.to_owned(), id.clone(), What::Written(None)))
        }
        (Address::Endpoint, Format::Nothing | Format::Xml) => Ok(Notification::Ping),
        (Address::Resource { resource_type, id, .. }, Format::Json) => {
            let change = resource(&RawObject::parse(json::text(body)?)?, body)?;
            if change.resource_type != resource_type || change.id != *id {
                return Err(NotificationError::OtherResource);
            }
            Ok(Notification::Changed(vec![change]))
        }
        (Address::Endpoint, Format::Json) => endpoint(body),
    }
}

fn endpoint(body: &Bytes) -> Result<Notification, NotificationError> {
    let object = RawObject::parse(json::text(body)?)?;
    match object.get::<String>("resourceType").as_deref() {
        None => Err(NotificationError::NoResourceType),
        Some("Bundle") => {
            let entries = object.list("entry").unwrap_or(Ok(Vec::new()));
            let entries = entries.map_err(|_| NotificationError::EntriesNotAList)?;
            if entries.len() > CHANGES_MAX {
                return Err(NotificationError::TooMany);
            }
            let entries: Vec<_> = entries.iter().filter_map(|entry| RawObject::parse(entry.get()).ok()).collect();
            match topic::read(body, &entries)? {
                Some(topic) => Ok(Notification::Topic(topic)),
                None => collection(body, &entries),
            }
        }
        // A status that stands alone: there is nothing else that it could mean.
        Some("SubscriptionStatus") => Ok(Notification::Topic(topic::alone(&object)?)),
        Some("Parameters") if topic::is_status(&object) => Ok(Notification::Topic(topic::alone(&object)?)),
        Some(_) => Ok(Notification::Changed(vec![resource(&object, body)?])),
    }
}

/// A Bundle without a status: what its entries name has changed.
fn collection(body: &Bytes, entries: &[RawObject<'_>]) -> Result<Notification, NotificationError> {
    let changes: Vec<Change> = entries.iter().filter_map(|entry| Entry::of(body, entry).change()).collect();
    if changes.is_empty() { Err(NotificationError::EmptyBundle) } else { Ok(Notification::Changed(changes)) }
}

fn changed(resource_type: String, id: LogicalId, what: What) -> Notification {
    Notification::Changed(vec![Change { resource_type, id, what }])
}

fn resource(object: &RawObject<'_>, bytes: &Bytes) -> Result<Change, NotificationError> {
    let resource_type = object.get("resourceType").ok_or(NotificationError::NoResourceType)?;
    let id = object.get::<String>("id").and_then(|id| LogicalId::new(&id)).ok_or(NotificationError::NoId)?;
    Ok(Change { resource_type, id, what: What::Written(Some(bytes.clone())) })
}

/// An entry of a Bundle, as far as it says what changed.
struct Entry {
    full_url: Option<String>,
    request_url: Option<String>,
    deleted: bool,
    resource: Option<Change>,
}

impl Entry {
    fn of(body: &Bytes, entry: &RawObject<'_>) -> Self {
        let request = entry.object("request");
        let of_request = |member: &str| request.as_ref().and_then(|request| request.get::<String>(member));
        let resource = entry.raw("resource").and_then(|raw| {
            let bytes = body.slice_ref(raw.get().as_bytes());
            resource(&RawObject::parse(raw.get()).ok()?, &bytes).ok()
        });
        Self {
            full_url: entry.get("fullUrl"),
            request_url: of_request("url"),
            deleted: of_request("method").as_deref() == Some("DELETE"),
            resource,
        }
    }

    /// What it says by itself.
    fn change(self) -> Option<Change> {
        let named = [&self.full_url, &self.request_url].into_iter().flatten().find_map(|url| type_and_id(url));
        match (self.resource, named) {
            (Some(change), _) => Some(change),
            (None, Some((resource_type, id))) => {
                let what = if self.deleted { What::Deleted } else { What::Written(None) };
                Some(Change { resource_type, id, what })
            }
            (None, None) => None,
        }
    }

    /// Whether the reference points to it.
    fn is(&self, reference: &str) -> bool {
        let wanted = unversioned(reference);
        let by_url =
            [&self.full_url, &self.request_url].into_iter().flatten().any(|url| same(unversioned(url), wanted));
        by_url || self.resource.as_ref().is_some_and(|change| relative(change) == wanted)
    }
}

fn relative(change: &Change) -> String {
    format!("{}/{}", change.resource_type, change.id.as_str())
}

/// Whether two references are one: of the same text, or one the relative form of the other.
fn same(a: &str, b: &str) -> bool {
    let ends = |long: &str, short: &str| {
        !short.contains("://")
            && short.contains('/')
            && long.strip_suffix(short).is_some_and(|base| base.ends_with('/'))
    };
    a == b || ends(a, b) || ends(b, a)
}

/// The reference without its version.
fn unversioned(reference: &str) -> &str {
    reference.split_once("/_history").map_or(reference, |(unversioned, _)| unversioned)
}

/// The last two parts of a reference, if they are a type and an id.
fn type_and_id(reference: &str) -> Option<(String, LogicalId)> {
    let (rest, id) = unversioned(reference).rsplit_once('/')?;
    let name = rest.rsplit_once('/').map_or(rest, |(_, name)| name);
    let is_type = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric());
    is_type.then(|| Some((name.to_owned(), LogicalId::new(id)?)))?
}

enum Format {
    Nothing,
    Json,
    Xml,
}

/// By the Content-Type; by the first character where there is none.
fn format(content_type: Option<&str>, body: &Bytes) -> Result<Format, NotificationError> {
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    if text.is_empty() {
        return Ok(Format::Nothing);
    }
    let Some(content_type) = content_type.map(str::trim).filter(|content_type| !content_type.is_empty()) else {
        return match text[0] {
            b'{' => Ok(Format::Json),
            b'<' => Ok(Format::Xml),
            _ => Err(NotificationError::MediaType),
        };
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/fhir+json" | "application/json" | "application/json+fhir" | "text/json" => Ok(Format::Json),
        "application/fhir+xml" | "application/xml" | "application/xml+fhir" | "text/xml" => Ok(Format::Xml),
        _ => Err(NotificationError::MediaType),
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Change({}, {:?})", self.resource_type, self.what)
    }
}

impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Written(bytes) => write!(f, "written, {} bytes", bytes.as_ref().map_or(0, Bytes::len)),
            Self::Deleted => f.write_str("deleted"),
        }
    }
}

#[cfg(test)]
mod tests;
