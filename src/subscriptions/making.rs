//! `responsum subscriptions`: what there should be, what there is, and what is made of the difference.

use url::Url;

use super::{SubscriptionError, look_at};
use crate::clock::Clock;
use crate::config::{FhirVersion, PayloadContent};
use crate::domain::document::LogicalId;
use crate::domain::subscription::{SubscriptionKind, SubscriptionState};
use crate::fhir::subscription::{self, Content, Draft, Seen};
use crate::source::{Answer, Criteria, Outgoing, Source};
use crate::store::{Store, Subscription};

/// Pages of a source's Subscriptions that are looked through for ours.
const PAGES_MAX: usize = 50;

/// Makes and mends the Subscriptions of one source.
pub struct Making<'a> {
    /// Where.
    pub source: &'a Source,
    /// Remembers them.
    pub store: &'a Store,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Where notifications are to be sent.
    pub endpoint: String,
    /// What they are to carry, as `hook_secret_header` is to have it.
    pub secret: String,
}

/// What became of one Subscription.
#[derive(Debug)]
pub struct Made {
    /// Its id at the source.
    pub id: LogicalId,
    /// How it is made.
    pub kind: SubscriptionKind,
    /// What it is for.
    pub criteria: String,
    /// What the source says of it.
    pub state: SubscriptionState,
    /// `found`, `made` or `mended`.
    pub done: &'static str,
    /// What was done otherwise than asked, and why.
    pub notes: Vec<String>,
}

/// One Subscription as it stands.
#[derive(Debug)]
pub struct Standing {
    /// What we know of it.
    pub known: Subscription,
    /// What the source says of it now; nothing if it has it no more.
    pub state: Option<SubscriptionState>,
}

/// Where a source is to notify us: `/hooks/{source}` at the origin of `public_url`, or below `endpoint` if it is given.
pub fn endpoint(public_url: &str, source: &str) -> Option<String> {
    let url = Url::parse(public_url).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| format!("{}/hooks/{source}", url.origin().ascii_serialization()))
}

/// The Subscriptions that we know at a source, with what it says of them now.
pub async fn list(store: &Store, source: &Source) -> Result<Vec<Standing>, SubscriptionError> {
    let mut all = Vec::new();
    for known in store.subscriptions(&source.name).await? {
        let state = state(source, &known.id).await?;
        all.push(Standing { known, state });
    }
    Ok(all)
}

async fn state(source: &Source, id: &LogicalId) -> Result<Option<SubscriptionState>, SubscriptionError> {
    let answer = source.read(&format!("Subscription/{}", id.as_str())).await?;
    if answer.is_success() {
        Ok(subscription::read(&answer.body).map(|seen| seen.state))
    } else if answer.is_gone() {
        Ok(None)
    } else {
        Err(source.refused(&answer).into())
    }
}

impl Making<'_> {
    /// Makes what is missing; what is there stays as it is. Never a second one for the same.
    pub async fn create(&self) -> Result<Vec<Made>, SubscriptionError> {
        let there = self.there().await?;
        let mut made = Vec::new();
        for criteria in Criteria::of(&self.source.settings) {
            let topic = match &self.source.settings.topic {
                Some(topic) => Some(topic.clone()),
                None => self.topic(&criteria).await?,
            };
            let found = there.iter().find(|seen| is_for(seen, &criteria, topic.as_deref()));
            let one = match found {
                Some(seen) => self.keep(seen, criteria.text(), "found", Vec::new()).await?,
                None => self.make(&criteria, topic).await?,
            };
            made.push(one);
        }
        Ok(made)
    }

    /// Makes what is missing, and asks for those again that are broken.
    pub async fn repair(&self) -> Result<Vec<Made>, SubscriptionError> {
        let mut all = self.create().await?;
        for made in all.iter_mut().filter(|made| made.state.is_broken()) {
            if let Some(state) = look_at(self.store, self.source, &made.id, self.clock.now()).await? {
                (made.state, made.done) = (state, "mended");
            }
        }
        let there: Vec<_> = all.iter().map(|made| made.id.clone()).collect();
        for known in self.store.subscriptions(&self.source.name).await? {
            // What is not there any more is not waited for.
            if known.criteria.is_some() && !there.contains(&known.id) && state(self.source, &known.id).await?.is_none()
            {
                self.store.forget_subscription(&self.source.name, &known.id).await?;
            }
        }
        Ok(all)
    }

    /// The source's Subscriptions that notify us.
    async fn there(&self) -> Result<Vec<Seen>, SubscriptionError> {
        let mut answer = self.source.read("Subscription?_count=100").await?;
        let mut ours = Vec::new();
        for _ in 0..PAGES_MAX {
            if !answer.is_success() {
                return Err(self.source.refused(&answer).into());
            }
            let page = subscription::page(&answer.body);
            let (seen, next) = page.ok_or_else(|| self.source.unexpected("no Bundle of Subscriptions"))?;
            let is_ours = |seen: &Seen| seen.endpoint.as_deref().is_some_and(|endpoint| same(endpoint, &self.endpoint));
            ours.extend(seen.into_iter().filter(is_ours));
            let Some(next) = next else { return Ok(ours) };
            answer = self.source.follow(&next).await?;
        }
        Ok(ours)
    }

    /// Tries what fits best, then what asks for less.
    async fn make(&self, criteria: &Criteria, topic: Option<String>) -> Result<Made, SubscriptionError> {
        let mut notes = Vec::new();
        let mut refused = None;
        let named = subscription::named_topics(&self.source.read("metadata").await?.body);
        for draft in self.drafts(criteria, topic, &named, &mut notes)? {
            let resource = draft.resource().to_string();
            let answer =
                self.source.send(Outgoing::post("Subscription", resource).prefer("return=representation")).await?;
            if answer.is_success() {
                let seen = self.made(&answer).await?;
                return self.keep(&seen, criteria.text(), "made", notes).await;
            }
            notes.push(format!(
                "refused as {} with {} ({}{})",
                draft.kind.code(),
                draft.content.code(),
                answer.status,
                Some(answer.issues()).filter(|issues| !issues.is_empty()).map(|i| format!(" {i}")).unwrap_or_default()
            ));
            refused = Some(self.source.refused(&answer));
        }
        Err(refused.unwrap_or_else(|| self.source.unexpected("nothing that could be asked for")).into())
    }

    /// What was made: of the answer, or read where the answer does not tell.
    async fn made(&self, answer: &Answer) -> Result<Seen, SubscriptionError> {
        if let Some(seen) = subscription::read(&answer.body) {
            return Ok(seen);
        }
        let location = answer.location.as_deref().map(|at| at.split_once("/_history").map_or(at, |(at, _)| at));
        let id = location.and_then(|location| location.rsplit_once('/')).and_then(|(_, id)| LogicalId::new(id));
        let id = id.ok_or_else(|| self.source.unexpected("a new Subscription without id and Location"))?;
        let answer = self.source.read(&format!("Subscription/{}", id.as_str())).await?;
        Ok(subscription::read(&answer.body).ok_or_else(|| self.source.unexpected("no Subscription"))?)
    }

    fn drafts(
        &self,
        criteria: &Criteria,
        topic: Option<String>,
        named: &[String],
        notes: &mut Vec<String>,
    ) -> Result<Vec<Draft>, SubscriptionError> {
        let settings = &self.source.settings;
        let content = match settings.payload_content {
            PayloadContent::Empty => Content::Empty,
            PayloadContent::IdOnly => Content::IdOnly,
            PayloadContent::FullResource => Content::FullResource,
        };
        let draft = |kind, topic: Option<String>, content| Draft {
            kind,
            criteria: criteria.text(),
            topic,
            endpoint: self.endpoint.clone(),
            header: (settings.hook_secret_header.clone(), self.secret.clone()),
            content,
            heartbeat_seconds: settings.heartbeat_seconds,
        };
        // Less is asked for where more is refused: many servers send no resources over plain http.
        let less: Vec<Content> = match content {
            Content::FullResource => vec![Content::FullResource, Content::IdOnly, Content::Empty],
            Content::IdOnly => vec![Content::IdOnly, Content::Empty],
            Content::Empty => vec![Content::Empty],
        };
        let kind =
            if settings.fhir_version == FhirVersion::R5 { SubscriptionKind::R5 } else { SubscriptionKind::Backport };
        let mut drafts = Vec::new();
        if let Some(topic) = topic {
            drafts.extend(less.iter().map(|content| draft(kind, Some(topic.clone()), *content)));
        } else if kind == SubscriptionKind::R5 {
            return Err(SubscriptionError::Settings(format!(
                "the source lists no SubscriptionTopic that tells of every {}: name one as [sources.{}] topic",
                criteria.resource_type,
                self.source.name.as_str()
            )));
        }
        if drafts.is_empty() && !named.is_empty() {
            notes.push(format!("topics that the source names, and does not define: {}", named.join(", ")));
        }
        if kind == SubscriptionKind::Backport && settings.topic.is_none() {
            let in_the_open = self.endpoint.starts_with("http://") && !is_loopback(&self.endpoint);
            if in_the_open && content != Content::Empty {
                notes.push(
                    "the endpoint is plain http: classic notifications are asked for without the report".to_owned(),
                );
            }
            if !in_the_open && content != Content::Empty {
                drafts.push(draft(SubscriptionKind::Classic, None, Content::FullResource));
            }
            drafts.push(draft(SubscriptionKind::Classic, None, Content::Empty));
        }
        Ok(drafts)
    }

    /// A topic that the source lists and that tells of every report of the type.
    async fn topic(&self, criteria: &Criteria) -> Result<Option<String>, SubscriptionError> {
        let answer = self.source.read("SubscriptionTopic?status=active&_count=100").await?;
        if !answer.is_success() {
            return Ok(None);
        }
        Ok(subscription::topics(&answer.body, criteria.resource_type.name()).into_iter().next())
    }

    async fn keep(
        &self,
        seen: &Seen,
        criteria: String,
        done: &'static str,
        notes: Vec<String>,
    ) -> Result<Made, SubscriptionError> {
        let now = self.clock.now();
        let known = Subscription {
            id: seen.id.clone(),
            kind: seen.kind,
            criteria: Some(criteria.clone()),
            topic: seen.topic.clone(),
            heartbeat_seconds: seen.heartbeat_seconds,
            state: seen.state,
            last_event: None,
            announced: 0,
            gap_since: None,
            heard_at: None,
            checked_at: Some(now),
            created_at: now,
        };
        self.store.keep_subscription(&self.source.name, &known, now).await?;
        Ok(Made { id: seen.id.clone(), kind: seen.kind, criteria, state: seen.state, done, notes })
    }
}

/// Whether a Subscription is for these criteria: it has them, or its topic alone says as much.
fn is_for(seen: &Seen, criteria: &Criteria, topic: Option<&str>) -> bool {
    match &seen.criteria {
        Some(text) => same(text, &criteria.text()),
        None => criteria.parameters.is_empty() && topic.is_some() && seen.topic.as_deref() == topic,
    }
}

/// Whether two addresses or criteria are one: servers take the last sign off, or put it there.
fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches(['/', '?']).to_owned();
    plain(a) == plain(b)
}

fn is_loopback(endpoint: &str) -> bool {
    match Url::parse(endpoint).ok().as_ref().and_then(Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_at_the_origin_that_clients_know() {
        for (public_url, expected) in [
            ("https://us.example/fhir", Some("https://us.example/hooks/ehr")),
            ("http://127.0.0.1:8080/fhir", Some("http://127.0.0.1:8080/hooks/ehr")),
            ("us.example", None),
        ] {
            assert_eq!(endpoint(public_url, "ehr").as_deref(), expected, "{public_url}");
        }
    }
}
