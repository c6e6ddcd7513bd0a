//! Writing our resources to a source so that there is one of each, whatever was lost, repeated or changed meanwhile.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::form_urlencoded::byte_serialize;

use super::{Answer, Creation, Fault, Outgoing, Source, SourceError};
use crate::domain::job::OnFailure;
use crate::fhir::json::{self, RawObject};
use crate::fhir::page;

/// Pages of a search that are read for one resource of ours. A source that heeds the identifier needs one.
const SEARCH_PAGES_MAX: usize = 20;

/// A resource of ours: which one it is, whatever its content.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// Like `Observation`.
    pub resource_type: &'a str,
    /// The id that we give it where the source lets us.
    pub id: &'a str,
    /// The system of its identifier.
    pub system: &'a str,
    /// The identifier's value.
    pub value: &'a str,
}

/// A resource at a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Its logical id.
    pub id: String,
    /// `ETag`, to be echoed.
    pub etag: Option<String>,
    /// `meta.versionId`.
    pub version: Option<String>,
    /// Itself, if it was told.
    pub resource: Option<Value>,
}

/// What looking for a resource of ours gave.
#[derive(Debug)]
pub enum LookedUp {
    /// It is there.
    There(Standing),
    /// It is not there: the source says so.
    Nowhere,
    /// The source does not tell. Only a way of creation that has a guard of the source's own may be used.
    Untold(SourceError),
}

impl LookedUp {
    /// Why the source does not tell, if that is it.
    pub fn untold(self) -> Option<SourceError> {
        match self {
            Self::Untold(error) => Some(error),
            Self::There(_) | Self::Nowhere => None,
        }
    }
}

/// What creating a resource gave.
#[derive(Debug)]
pub enum Created {
    /// It was written as we sent it.
    Written(Standing),
    /// There is one already, and it was left as it is.
    Found(Standing),
    /// The source does not create resources in this way.
    NotOffered(SourceError),
}

/// What updating a resource gave.
#[derive(Debug)]
pub enum Updated {
    /// It was written as we sent it.
    Written(Standing),
    /// It is not the version that we know.
    Changed,
    /// It is not there any more.
    Gone,
}

impl Source {
    /// Creates a resource in one of the three ways. `author` writes it under the id that it is to carry, or without one.
    ///
    /// In the last way, the caller sees to it that nobody else creates the same meanwhile.
    pub async fn create<E: From<SourceError>>(
        &self,
        ours: &Ours<'_>,
        creation: Creation,
        author: impl Fn(Option<&str>) -> Result<String, E>,
    ) -> Result<Created, E> {
        let request = match creation {
            Creation::UpdateAsCreate => {
                Outgoing::put(format!("{}/{}", ours.resource_type, ours.id), author(Some(ours.id))?)
            }
            Creation::Conditional => Outgoing::post(ours.resource_type, author(None)?).if_none_exist(&ours.query()),
            Creation::SearchThenCreate => {
                if let Some(found) = self.search(ours).await? {
                    return Ok(Created::Found(found));
                }
                Outgoing::post(ours.resource_type, author(None)?)
            }
        };
        let answer = self.send(request.prefer("return=representation")).await?;
        let fallback = (creation == Creation::UpdateAsCreate).then_some(ours.id);
        match (creation, answer.status) {
            (Creation::Conditional, 200 | 304) => self.adopt(ours, &answer).await.map(Created::Found).map_err(E::from),
            (_, 200..300) => match self.written(&answer, ours.resource_type, fallback)? {
                Some(standing) => Ok(Created::Written(standing)),
                // It was created, and the source does not say under which id.
                None => self.adopt(ours, &answer).await.map(Created::Written).map_err(E::from),
            },
            (Creation::UpdateAsCreate, 409) => match self.look_up(ours, None).await? {
                LookedUp::There(found) => Ok(Created::Found(found)),
                LookedUp::Nowhere | LookedUp::Untold(_) => Ok(Created::NotOffered(self.refused(&answer))),
            },
            (Creation::SearchThenCreate, _) => Err(self.refused(&answer).into()),
            _ if answer.is_stray() => Err(self.refused(&answer).into()),
            _ => Ok(Created::NotOffered(self.refused(&answer))),
        }
    }

    /// Writes over a resource, if it is the version of `etag` still.
    pub async fn update(
        &self,
        resource_type: &str,
        id: &str,
        etag: Option<&str>,
        resource: String,
    ) -> Result<Updated, SourceError> {
        let request = Outgoing::put(format!("{resource_type}/{id}"), resource).prefer("return=representation");
        let request = match etag {
            Some(etag) => request.if_match(etag),
            None => request,
        };
        let answer = self.send(request).await?;
        match answer.status {
            200..300 => self
                .written(&answer, resource_type, Some(id))?
                .map(Updated::Written)
                .ok_or_else(|| self.unexpected("an update without an id")),
            409 | 412 => Ok(Updated::Changed),
            _ if answer.is_gone() => Ok(Updated::Gone),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Writes a resource under our own id; false if the source does not let us.
    pub async fn put_new(&self, resource_type: &str, id: &str, resource: String) -> Result<bool, SourceError> {
        let answer = self.send(Outgoing::put(format!("{resource_type}/{id}"), resource)).await?;
        match answer.status {
            200..300 => self.written(&answer, resource_type, Some(id)).map(|_| true),
            400 | 404 | 405 | 409 | 412 | 422 | 501 if !answer.is_stray() => {
                self.learn(resource_type, Creation::Conditional);
                Ok(false)
            }
            _ => Err(self.refused(&answer)),
        }
    }

    /// Posts a resource.
    pub async fn post(&self, resource_type: &str, resource: String) -> Result<(), SourceError> {
        let answer = self.send(Outgoing::post(resource_type, resource)).await?;
        if answer.is_success() {
            self.written(&answer, resource_type, None).map(drop)
        } else {
            Err(self.refused(&answer))
        }
    }

    /// What a write that was answered 2xx gave; none if the answer does not say under which id it stands. A page that asks
    /// people to log in is answered 200, too.
    fn written(&self, answer: &Answer, resource_type: &str, id: Option<&str>) -> Result<Option<Standing>, SourceError> {
        let told = answer.etag.is_some() || answer.location.is_some();
        if !told && !answer.body.is_empty() && !answer.is_fhir() {
            return Err(
                self.unexpected("a write was answered with a body that is no FHIR, and with neither ETag nor Location")
            );
        }
        Ok(standing(answer, resource_type, id))
    }

    /// The resource under this id; none if the source says that there is none any more.
    pub async fn standing(&self, resource_type: &str, id: &str) -> Result<Option<Standing>, SourceError> {
        let answer = self.read(&format!("{resource_type}/{id}")).await?;
        match answer.status {
            200..300 => standing(&answer, resource_type, Some(id))
                .filter(|standing| standing.id == id && standing.resource.is_some())
                .map(Some)
                .ok_or_else(|| self.unexpected("another resource than the one that was read, or none")),
            _ if answer.is_gone() => Ok(None),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Looks for a resource of ours, of which it is not known whether it is there: under its id, then by its identifier.
    /// `known` is the id under which it stood before, else it is the one that we give it.
    pub async fn look_up(&self, ours: &Ours<'_>, known: Option<&str>) -> Result<LookedUp, SourceError> {
        let unread = match self.standing(ours.resource_type, known.unwrap_or(ours.id)).await {
            Ok(Some(standing)) => return Ok(LookedUp::There(standing)),
            Ok(None) => None,
            Err(error) if error.fault.is_refusal() || error.fault == Fault::Stray => Some(error),
            Err(error) => return Err(error),
        };
        // Also where our id was not there: a server may have given it another, or let us create it in another way.
        match (self.search(ours).await, unread) {
            (Ok(Some(found)), _) => Ok(LookedUp::There(found)),
            // What stood there and cannot be read now is not gone for that.
            (_, Some(error)) if known.is_some() => Err(error),
            (Ok(None), _) => Ok(LookedUp::Nowhere),
            (Err(error), _) if !error.fault.is_refusal() => Err(error),
            (Err(_), None) if known.is_some() => Ok(LookedUp::Nowhere),
            (Err(error), _) => Ok(LookedUp::Untold(error)),
        }
    }

    /// The resource that carries our identifier; of several the oldest.
    pub async fn search(&self, ours: &Ours<'_>) -> Result<Option<Standing>, SourceError> {
        let found = self.find(ours.resource_type, &ours.query(), |resource| ours.is_identified(resource)).await?;
        Ok(found.and_then(|resource| {
            let id = resource["id"].as_str()?.to_owned();
            let version = resource["meta"]["versionId"].as_str().map(ToOwned::to_owned);
            Some(Standing { id, etag: None, version, resource: Some(resource) })
        }))
    }

    /// The resource that a search is for; of several on a page the oldest. A server that does not heed the parameter gives
    /// all that it has, in pages: as many are read as may be.
    async fn find(
        &self,
        resource_type: &str,
        query: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Option<Value>, SourceError> {
        let mut answer = self.read(&format!("{resource_type}?{query}")).await?;
        if !answer.is_success() {
            return Err(self.refused(&answer));
        }
        for _ in 0..SEARCH_PAGES_MAX {
            let mut bundle = value(&answer).ok_or_else(|| self.unexpected("a search gave no Bundle"))?;
            let entries = bundle["entry"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let resources = entries.into_iter().map(|mut entry| entry["resource"].take());
            let (found, others): (Vec<Value>, Vec<Value>) =
                resources.filter(|one| one["resourceType"] == resource_type).partition(&is_it);
            let updated = |one: &Value| one["meta"]["lastUpdated"].as_str().and_then(instant);
            let oldest = |a: &Value, b: &Value| (updated(a), a["id"].as_str()).cmp(&(updated(b), b["id"].as_str()));
            if let Some(found) = found.into_iter().min_by(oldest) {
                return Ok(Some(found));
            }
            let parameter = query.split('=').next().unwrap_or_default();
            if !others.is_empty() {
                self.notice(format!(
                    "its search on {resource_type} does not heed {parameter}: what we look for is sought in all pages"
                ));
            }
            let Some(next) = next(&answer) else { return Ok(None) };
            answer = match self.follow(&next).await {
                Ok(answer) if answer.is_success() => answer,
                Err(error) if error.on_failure() != OnFailure::Fail => return Err(error),
                // Without the rest of its pages, a search tells nothing.
                Ok(_) | Err(_) => break,
            };
        }
        Err(self.error(Fault::SearchTellsNothing))
    }

    /// Whether there is a Provenance of the Observation that was recorded then: under our id where we may give one, else by
    /// its target.
    pub async fn has_provenance(
        &self,
        own_id: Option<&str>,
        observation_id: &str,
        recorded: OffsetDateTime,
    ) -> Result<bool, SourceError> {
        if let Some(id) = own_id {
            match self.standing("Provenance", id).await {
                Ok(Some(_)) => return Ok(true),
                Err(error) if error.on_failure() != OnFailure::Fail => return Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        let is_it = |resource: &Value| {
            let targets = resource["target"].as_array().map(Vec::as_slice).unwrap_or_default();
            let about = |target: &Value| {
                let text = target["reference"].as_str().unwrap_or_default();
                text.split('/').any(|segment| segment == observation_id)
            };
            resource["recorded"].as_str().and_then(instant) == Some(recorded) && targets.iter().any(about)
        };
        let found = self.find("Provenance", &format!("target=Observation/{observation_id}"), is_it).await;
        match found {
            // Where it cannot be searched for, one that arrived and was not acknowledged is written twice.
            Err(error) if error.on_failure() == OnFailure::Fail => Ok(false),
            other => other.map(|found| found.is_some()),
        }
    }

    /// What a conditional create found, or a create made without saying where.
    async fn adopt(&self, ours: &Ours<'_>, answer: &Answer) -> Result<Standing, SourceError> {
        if let Some(told) = standing(answer, ours.resource_type, None) {
            // Only itself tells whether it is ours, and what it says.
            let itself = match told.resource {
                Some(_) => Some(told),
                None => self.standing(ours.resource_type, &told.id).await?,
            };
            let is_ours = |standing: &Standing| standing.resource.as_ref().is_some_and(|one| ours.is_identified(one));
            if let Some(standing) = itself.filter(is_ours) {
                return Ok(standing);
            }
        }
        self.search(ours).await?.ok_or_else(|| self.unexpected("a resource was found or created, and cannot be found"))
    }
}

impl Ours<'_> {
    /// `identifier=system|value`, as a query.
    fn query(&self) -> String {
        let token = format!("{}|{}", self.system, self.value);
        format!("identifier={}", byte_serialize(token.as_bytes()).collect::<String>())
    }

    fn is_identified(&self, resource: &Value) -> bool {
        let identifiers = resource["identifier"].as_array().map(Vec::as_slice).unwrap_or_default();
        identifiers.iter().any(|one| one["system"] == self.system && one["value"] == self.value)
    }
}

fn value(answer: &Answer) -> Option<Value> {
    serde_json::from_str(json::text(&answer.body).ok()?).ok()
}

/// The next page of a search.
fn next(page: &Answer) -> Option<String> {
    page::link(&RawObject::parse(json::text(&page.body).ok()?).ok()?, "next")
}

fn instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// What an answer tells of where a resource stands: by its body, its Location, or the id that we sent.
fn standing(answer: &Answer, resource_type: &str, id: Option<&str>) -> Option<Standing> {
    let resource = value(answer).filter(|resource| resource["resourceType"] == resource_type);
    let located = answer.location.as_deref().and_then(|location| located(location, resource_type));
    let member = |name: &str| resource.as_ref().and_then(|resource| resource[name].as_str()).map(ToOwned::to_owned);
    let version = resource.as_ref().and_then(|resource| resource["meta"]["versionId"].as_str()).map(ToOwned::to_owned);
    let (located_id, located_version) = located.unzip();
    Some(Standing {
        id: member("id").or(located_id).or_else(|| id.map(ToOwned::to_owned))?,
        etag: answer.etag.clone(),
        version: version.or(located_version.flatten()),
        resource,
    })
}

/// Id and version of a `Location`: `…/Type/id` or `…/Type/id/_history/version`.
fn located(location: &str, resource_type: &str) -> Option<(String, Option<String>)> {
    let location = location.split(['?', '#']).next().unwrap_or_default();
    let (resource, version) = location.split_once("/_history/").map_or((location, None), |(r, v)| (r, Some(v)));
    let mut segments = resource.trim_end_matches('/').rsplit('/');
    let id = segments.next().and_then(crate::domain::document::LogicalId::new)?;
    let version = version.map(|version| version.trim_end_matches('/').to_owned()).filter(|v| !v.is_empty());
    (segments.next() == Some(resource_type)).then(|| (id.as_str().to_owned(), version))
}

/// Whether a resource that stands at a source says all that ours says. What the source added, and how it writes numbers,
/// times and references, does not count.
pub fn says_the_same(standing: &Value, ours: &str) -> bool {
    let Ok(Value::Object(ours)) = serde_json::from_str::<Value>(ours) else { return false };
    let told = ours.iter().filter(|(name, _)| !matches!(name.as_str(), "id" | "meta" | "text"));
    told.into_iter().all(|(name, value)| covers(&standing[name], value))
}

fn covers(standing: &Value, ours: &Value) -> bool {
    match (standing, ours) {
        (Value::Object(standing), Value::Object(ours)) => {
            ours.iter().all(|(name, value)| standing.get(name).is_some_and(|standing| covers(standing, value)))
        }
        (Value::Array(standing), Value::Array(ours)) => {
            standing.len() == ours.len() && standing.iter().zip(ours).all(|(standing, ours)| covers(standing, ours))
        }
        (Value::Number(standing), Value::Number(ours)) => standing.as_f64() == ours.as_f64(),
        (Value::String(standing), Value::String(ours)) => {
            standing == ours
                || instant(standing).is_some_and(|standing| Some(standing) == instant(ours))
                || standing.strip_suffix(ours.as_str()).is_some_and(|base| base.ends_with('/'))
        }
        _ => standing == ours,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_location_tells_id_and_version() {
        for (location, expected) in [
            ("http://ehr/fhir/Observation/a1/_history/7", Some(("a1", Some("7")))),
            ("Observation/a1", Some(("a1", None))),
            ("/fhir/Observation/a1/_history/8e5c-uuid", Some(("a1", Some("8e5c-uuid")))),
            ("http://ehr/fhir/Patient/a1", None),
            ("http://ehr/fhir/Observation/", None),
        ] {
            let found = located(location, "Observation");
            let found = found.as_ref().map(|(id, version)| (id.as_str(), version.as_deref()));
            assert_eq!(found, expected, "{location}");
        }
    }

    #[test]
    fn what_a_server_adds_or_writes_otherwise_does_not_make_a_difference() {
        let ours = r#"{"resourceType":"Observation","id":"a","status":"preliminary","issued":"2026-03-02T09:15:30Z",
            "subject":{"reference":"Patient/1"},"component":[{"valueQuantity":{"value":0.95}}]}"#;
        let mut standing = json!({
            "resourceType": "Observation", "id": "77", "meta": {"versionId": "9"}, "text": {"status": "generated"},
            "status": "preliminary", "issued": "2026-03-02T10:15:30.000+01:00",
            "subject": {"reference": "http://ehr/fhir/Patient/1", "type": "Patient"},
            "component": [{"valueQuantity": {"value": 0.950}}]
        });
        assert!(says_the_same(&standing, ours));
        standing["status"] = "final".into();
        assert!(!says_the_same(&standing, ours));
        standing["status"] = "preliminary".into();
        standing["subject"]["reference"] = "Patient/11".into();
        assert!(!says_the_same(&standing, ours));
    }
}
