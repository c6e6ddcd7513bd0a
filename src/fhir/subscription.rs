//! The Subscription resource: ours as we ask for it, and those of a source as far as we look at them.
//!
//! Authored here and not in `fhir-authoring`: its shape differs between R4 and R5, and the typed model there is one version's.

use bytes::Bytes;
use serde_json::{Value, json};

use super::json::{self, RawObject};
use super::page;
use crate::domain::document::LogicalId;
use crate::domain::subscription::{SubscriptionKind, SubscriptionState};

/// Where the Backport guide's extensions are defined.
const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";

/// How much a notification carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// That something happened.
    Empty,
    /// Which resource.
    IdOnly,
    /// The resource itself.
    FullResource,
}

impl Content {
    /// The code used in FHIR.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::IdOnly => "id-only",
            Self::FullResource => "full-resource",
        }
    }
}

/// A Subscription that we ask for.
#[derive(Clone, Debug)]
pub struct Draft {
    /// How it is made.
    pub kind: SubscriptionKind,
    /// `DiagnosticReport?category=…`.
    pub criteria: String,
    /// The topic's canonical URL; none for classic.
    pub topic: Option<String>,
    /// Where notifications go.
    pub endpoint: String,
    /// The header that carries the secret, with its value.
    pub header: (String, String),
    /// How much they carry.
    pub content: Content,
    /// The longest silence that we ask for, where that can be asked.
    pub heartbeat_seconds: u32,
}

/// Why it is there, for people at the source.
const REASON: &str = "Responsum reads reports and says whether the patient responded to treatment";

impl Draft {
    /// As a resource.
    pub fn resource(&self) -> Value {
        match self.kind {
            SubscriptionKind::Classic => self.classic(),
            SubscriptionKind::Backport => self.backport(),
            SubscriptionKind::R5 => self.r5(),
        }
    }

    fn classic(&self) -> Value {
        let mut channel = json!({"type": "rest-hook", "endpoint": self.endpoint, "header": [self.header_text()]});
        // Classic notifications have no middle: the resource, or nothing.
        if self.content != Content::Empty {
            channel["payload"] = "application/fhir+json".into();
        }
        json!({"resourceType": "Subscription", "status": "requested", "reason": REASON, "criteria": self.criteria,
            "channel": channel})
    }

    fn backport(&self) -> Value {
        let extension = |name: &str, kind: &str, value: Value| json!({"url": format!("{BACKPORT}{name}"), kind: value});
        let mut resource = json!({
            "resourceType": "Subscription",
            "meta": {"profile": [format!("{BACKPORT}backport-subscription")]},
            "status": "requested",
            "reason": REASON,
            "criteria": self.topic,
            "channel": {
                "extension": [
                    extension("backport-heartbeat-period", "valueUnsignedInt", self.heartbeat_seconds.into()),
                    extension("backport-timeout", "valueUnsignedInt", 60.into()),
                ],
                "type": "rest-hook",
                "endpoint": self.endpoint,
                "payload": "application/fhir+json",
                "_payload": {"extension": [
                    extension("backport-payload-content", "valueCode", self.content.code().into())]},
                "header": [self.header_text()],
            },
        });
        // A filter that filters nothing is understood by some as one that nothing passes.
        if !self.criteria.ends_with('?') {
            let filter = extension("backport-filter-criteria", "valueString", self.criteria.clone().into());
            resource["_criteria"] = json!({"extension": [filter]});
        }
        resource
    }

    fn r5(&self) -> Value {
        let (resource_type, query) = self.criteria.split_once('?').unwrap_or((&self.criteria, ""));
        let filters = query.split('&').filter_map(|parameter| parameter.split_once('='));
        let filters: Vec<Value> = filters
            .map(|(name, value)| json!({"resourceType": resource_type, "filterParameter": name, "value": value}))
            .collect();
        let mut resource = json!({
            "resourceType": "Subscription",
            "status": "requested",
            "topic": self.topic,
            "reason": REASON,
            "channelType": {"system": "http://terminology.hl7.org/CodeSystem/subscription-channel-type", "code": "rest-hook"},
            "endpoint": self.endpoint,
            "parameter": [{"name": self.header.0, "value": self.header.1}],
            "heartbeatPeriod": self.heartbeat_seconds,
            "timeout": 60,
            "contentType": "application/fhir+json",
            "content": self.content.code(),
        });
        if !filters.is_empty() {
            resource["filterBy"] = filters.into();
        }
        resource
    }

    fn header_text(&self) -> String {
        format!("{}: {}", self.header.0, self.header.1)
    }
}

/// A Subscription of a source, as far as we look at it.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: LogicalId,
    /// How it is made.
    pub kind: SubscriptionKind,
    /// What the source says of it.
    pub state: SubscriptionState,
    /// Where its notifications go.
    pub endpoint: Option<String>,
    /// What it is for: criteria, or a topic's filter.
    pub criteria: Option<String>,
    /// The topic's canonical URL.
    pub topic: Option<String>,
    /// The longest silence that is promised.
    pub heartbeat_seconds: Option<i32>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").field("kind", &self.kind).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Reads a Subscription; nothing if it is none.
pub fn read(body: &[u8]) -> Option<Seen> {
    seen(&RawObject::parse(json::text(body).ok()?).ok()?)
}

/// The Subscriptions of a search's page, and where the next page is.
pub fn page(body: &[u8]) -> Option<(Vec<Seen>, Option<String>)> {
    let bundle = RawObject::parse(json::text(body).ok()?).ok()?;
    if bundle.get::<String>("resourceType")? != "Bundle" {
        return None;
    }
    let entries = bundle.objects("entry");
    let resources = entries.iter().filter_map(|entry| seen(&entry.object("resource")?));
    Some((resources.collect(), page::link(&bundle, "next")))
}

fn seen(resource: &RawObject<'_>) -> Option<Seen> {
    if resource.get::<String>("resourceType")? != "Subscription" {
        return None;
    }
    let id = LogicalId::new(&resource.get::<String>("id")?)?;
    let state = SubscriptionState::from_code(&resource.get::<String>("status")?)?;
    let Some(channel) = resource.object("channel") else {
        let filters = resource.objects("filterBy");
        let resource_type = filters.iter().find_map(|filter| filter.get::<String>("resourceType"));
        let filters = filters.iter().filter_map(|filter| {
            Some(format!("{}={}", filter.get::<String>("filterParameter")?, filter.get::<String>("value")?))
        });
        let filters = filters.collect::<Vec<_>>().join("&");
        return Some(Seen {
            id,
            kind: SubscriptionKind::R5,
            state,
            endpoint: resource.get("endpoint"),
            criteria: resource_type.map(|resource_type| format!("{resource_type}?{filters}")),
            topic: resource.get("topic"),
            heartbeat_seconds: resource.get("heartbeatPeriod"),
        });
    };
    let criteria: Option<String> = resource.get("criteria");
    let filter = resource.object("_criteria").and_then(|criteria| extension(&criteria, "backport-filter-criteria"));
    let has_topic = filter.is_some() || criteria.as_deref().is_some_and(|criteria| criteria.contains("://"));
    let heartbeat = extension(&channel, "backport-heartbeat-period").and_then(|seconds| seconds.parse().ok());
    Some(Seen {
        id,
        kind: if has_topic { SubscriptionKind::Backport } else { SubscriptionKind::Classic },
        state,
        endpoint: channel.get("endpoint"),
        criteria: if has_topic { filter } else { criteria.clone() },
        topic: criteria.filter(|_| has_topic),
        heartbeat_seconds: heartbeat,
    })
}

/// The value of one of the guide's extensions, as text.
fn extension(element: &RawObject<'_>, name: &str) -> Option<String> {
    let extensions = element.objects("extension");
    let is = |extension: &&RawObject<'_>| {
        extension.get::<String>("url").is_some_and(|url| url.strip_prefix(BACKPORT) == Some(name))
    };
    let value = extensions.iter().find(is)?.choice("value")?.get();
    Some(serde_json::from_str(value).unwrap_or_else(|_| value.to_owned()))
}

/// The same Subscription with another status, every other byte as it was received.
pub fn with_status(body: &Bytes, state: SubscriptionState) -> Option<Bytes> {
    let text = json::text(body).ok()?;
    let resource = RawObject::parse(text).ok()?;
    let range = RawObject::range_of(text, resource.raw("status")?);
    let mut changed = text.to_owned();
    changed.replace_range(range, &format!("\"{}\"", state.code()));
    Some(changed.into())
}

/// Topics that a source lists for reports of the type, and that tell of every one that is written: those with conditions
/// of their own could keep some from us.
pub fn topics(body: &[u8], resource_type: &str) -> Vec<String> {
    let Some(bundle) = json::text(body).ok().and_then(|text| RawObject::parse(text).ok()) else { return Vec::new() };
    let entries = bundle.objects("entry");
    let topics = entries.iter().filter_map(|entry| entry.object("resource"));
    let fits = topics.filter(|topic| {
        topic.objects("resourceTrigger").iter().any(|trigger| {
            let on: Vec<String> = trigger.get("supportedInteraction").unwrap_or_default();
            let every = on.is_empty() || ["create", "update"].iter().all(|wanted| on.iter().any(|on| on == wanted));
            let resource = trigger.get::<String>("resource").unwrap_or_default();
            let is_type = resource == resource_type || resource.ends_with(&format!("/{resource_type}"));
            is_type && every && trigger.raw("queryCriteria").is_none() && trigger.raw("fhirPathCriteria").is_none()
        })
    });
    fits.filter_map(|topic| topic.get("url")).collect()
}

/// Topics that a CapabilityStatement names by the Backport guide's extension. R4 has no way to say what they tell.
pub fn named_topics(body: &[u8]) -> Vec<String> {
    let statement = json::text(body).ok().and_then(|text| RawObject::parse(text).ok());
    let servers = statement.map(|statement| statement.objects("rest")).unwrap_or_default();
    let resources = servers.iter().flat_map(|server| server.objects("resource"));
    let extensions = resources.flat_map(|resource| resource.objects("extension"));
    let named = extensions.filter(|extension| {
        let url: Option<String> = extension.get("url");
        url.is_some_and(|url| url.strip_prefix(BACKPORT) == Some("capabilitystatement-subscriptiontopic-canonical"))
    });
    named.filter_map(|extension| serde_json::from_str(extension.choice("value")?.get()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(kind: SubscriptionKind) -> Draft {
        Draft {
            kind,
            criteria: "DiagnosticReport?status=final".into(),
            topic: (kind != SubscriptionKind::Classic).then(|| "http://example.org/topics/reports".into()),
            endpoint: "https://us.example/hooks/ehr".into(),
            header: ("Authorization".into(), "Bearer s3cret".into()),
            content: Content::IdOnly,
            heartbeat_seconds: 60,
        }
    }

    #[test]
    fn what_is_asked_for_is_found_again() {
        for kind in [SubscriptionKind::Classic, SubscriptionKind::Backport, SubscriptionKind::R5] {
            let draft = draft(kind);
            let mut resource = draft.resource();
            resource["id"] = "s1".into();
            let seen = read(resource.to_string().as_bytes()).expect("a Subscription");
            assert_eq!((seen.kind, seen.state), (kind, SubscriptionState::Requested));
            assert_eq!(seen.endpoint, Some(draft.endpoint));
            assert_eq!((seen.criteria, seen.topic), (Some(draft.criteria), draft.topic));
            assert_eq!(seen.heartbeat_seconds, (kind != SubscriptionKind::Classic).then_some(60));
        }
    }

    #[test]
    fn another_status_changes_nothing_else() {
        let body = Bytes::from_static(br#"{"resourceType":"Subscription", "id":"1", "status" : "error", "x": 1.00}"#);
        let changed = with_status(&body, SubscriptionState::Requested).expect("changed");
        assert_eq!(&changed[..], br#"{"resourceType":"Subscription", "id":"1", "status" : "requested", "x": 1.00}"#);
    }

    #[test]
    fn topics_that_a_capability_statement_names_are_found() {
        let url = format!("{BACKPORT}capabilitystatement-subscriptiontopic-canonical");
        let statement = json!({"resourceType": "CapabilityStatement", "rest": [{"resource": [
            {"type": "Subscription", "extension": [{"url": url, "valueCanonical": "urn:a"}, {"url": "urn:x", "valueCanonical": "urn:b"}]}]}]});
        assert_eq!(named_topics(statement.to_string().as_bytes()), ["urn:a"]);
    }

    #[test]
    fn a_topic_fits_if_it_tells_of_every_report() {
        let topic = |url: &str, trigger: Value| json!({"resource": {"resourceType": "SubscriptionTopic", "url": url, "resourceTrigger": [trigger]}});
        let bundle = json!({"resourceType": "Bundle", "entry": [
            topic("urn:all", json!({"resource": "http://hl7.org/fhir/StructureDefinition/DiagnosticReport"})),
            topic("urn:both", json!({"resource": "DiagnosticReport", "supportedInteraction": ["create", "update", "delete"]})),
            topic("urn:created", json!({"resource": "DiagnosticReport", "supportedInteraction": ["create"]})),
            topic("urn:final", json!({"resource": "DiagnosticReport", "queryCriteria": {"current": "status=final"}})),
            topic("urn:other", json!({"resource": "Observation"}))]});
        assert_eq!(topics(bundle.to_string().as_bytes(), "DiagnosticReport"), ["urn:all", "urn:both"]);
    }
}
