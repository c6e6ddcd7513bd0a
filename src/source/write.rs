//! Writing our resources to a source so that there is one of each, whatever was lost, repeated or changed meanwhile.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::form_urlencoded::byte_serialize;

use super::{Answer, Creation, Outgoing, Source, SourceError};
use crate::fhir::json;

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
                if let Some(found) = self.search(ours).await?.into_iter().next() {
                    return Ok(Created::Found(found));
                }
                Outgoing::post(ours.resource_type, author(None)?)
            }
        };
        let answer = self.send(request.prefer("return=representation")).await?;
        let fallback = (creation == Creation::UpdateAsCreate).then_some(ours.id);
        match (creation, answer.status) {
            (Creation::Conditional, 200 | 304) => self.adopt(ours, &answer).await.map(Created::Found).map_err(E::from),
            (_, 200..300) => match standing(&answer, ours.resource_type, fallback) {
                Some(standing) => Ok(Created::Written(standing)),
                // It was created, and the source does not say under which id.
                None => self.adopt(ours, &answer).await.map(Created::Written).map_err(E::from),
            },
            (Creation::UpdateAsCreate, 409) => match self.look_up(ours).await? {
                Some(found) => Ok(Created::Found(found)),
                None => Ok(Created::NotOffered(self.refused(&answer))),
            },
            (Creation::SearchThenCreate, _) => Err(self.refused(&answer).into()),
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
            200..300 => standing(&answer, resource_type, Some(id))
                .map(Updated::Written)
                .ok_or_else(|| self.unexpected("an update without an id")),
            409 | 412 => Ok(Updated::Changed),
            404 | 410 => Ok(Updated::Gone),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Writes a resource under our own id; false if the source does not let us.
    pub async fn put_new(&self, resource_type: &str, id: &str, resource: String) -> Result<bool, SourceError> {
        let answer = self.send(Outgoing::put(format!("{resource_type}/{id}"), resource)).await?;
        match answer.status {
            200..300 => Ok(true),
            400 | 404 | 405 | 409 | 412 | 422 | 501 => {
                self.learn(resource_type, Creation::Conditional);
                Ok(false)
            }
            _ => Err(self.refused(&answer)),
        }
    }

    /// Posts a resource.
    pub async fn post(&self, resource_type: &str, resource: String) -> Result<(), SourceError> {
        let answer = self.send(Outgoing::post(resource_type, resource)).await?;
        if answer.is_success() { Ok(()) } else { Err(self.refused(&answer)) }
    }

    /// The resource under this id; none if there is none any more.
    pub async fn standing(&self, resource_type: &str, id: &str) -> Result<Option<Standing>, SourceError> {
        let answer = self.read(&format!("{resource_type}/{id}")).await?;
        match answer.status {
            200..300 => standing(&answer, resource_type, Some(id))
                .map(Some)
                .ok_or_else(|| self.unexpected("another resource than the one that was read")),
            404 | 410 => Ok(None),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Looks for a resource of ours, of which it is not known whether it arrived: under our id, then by its identifier.
    pub async fn look_up(&self, ours: &Ours<'_>) -> Result<Option<Standing>, SourceError> {
        let answer = self.read(&format!("{}/{}", ours.resource_type, ours.id)).await?;
        if answer.is_success()
            && let Some(standing) = standing(&answer, ours.resource_type, Some(ours.id))
            && standing.resource.as_ref().is_none_or(|resource| ours.is_identified(resource))
        {
            return Ok(Some(standing));
        }
        if self.creation(ours.resource_type) == Creation::UpdateAsCreate {
            return Ok(None);
        }
        match self.search(ours).await {
            Ok(found) => Ok(found.into_iter().next()),
            // A source that cannot be searched: a conditional create will find what is there.
            Err(_) if self.creation(ours.resource_type) == Creation::Conditional => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The resources that carry our identifier, the oldest first. Whatever else a search gives is passed over.
    pub async fn search(&self, ours: &Ours<'_>) -> Result<Vec<Standing>, SourceError> {
        let answer = self.read(&format!("{}?{}", ours.resource_type, ours.query())).await?;
        if !answer.is_success() {
            return Err(self.refused(&answer));
        }
        let bundle = value(&answer).ok_or_else(|| self.unexpected("a search gave no Bundle"))?;
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let resources = entries.into_iter().map(|mut entry| entry["resource"].take());
        let ours =
            resources.filter(|resource| resource["resourceType"] == ours.resource_type && ours.is_identified(resource));
        let mut found: Vec<(Option<OffsetDateTime>, Standing)> = ours
            .filter_map(|resource| {
                let id = resource["id"].as_str()?.to_owned();
                let version = resource["meta"]["versionId"].as_str().map(ToOwned::to_owned);
                let updated = resource["meta"]["lastUpdated"].as_str().and_then(instant);
                Some((updated, Standing { id, etag: None, version, resource: Some(resource) }))
            })
            .collect();
        found.sort_by(|(a, a_standing), (b, b_standing)| a.cmp(b).then_with(|| a_standing.id.cmp(&b_standing.id)));
        Ok(found.into_iter().map(|(_, standing)| standing).collect())
    }

    /// Whether there is a Provenance of the Observation that was recorded then.
    pub async fn has_provenance(&self, observation_id: &str, recorded: OffsetDateTime) -> Result<bool, SourceError> {
        let answer = self.read(&format!("Provenance?target=Observation/{observation_id}")).await?;
        if !answer.is_success() {
            return Err(self.refused(&answer));
        }
        let bundle = value(&answer).ok_or_else(|| self.unexpected("a search gave no Bundle"))?;
        let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(entries.iter().any(|entry| {
            let resource = &entry["resource"];
            let targets = resource["target"].as_array().map(Vec::as_slice).unwrap_or_default();
            let about = |target: &Value| {
                let text = target["reference"].as_str().unwrap_or_default();
                text.split('/').any(|segment| segment == observation_id)
            };
            resource["resourceType"] == "Provenance"
                && resource["recorded"].as_str().and_then(instant) == Some(recorded)
                && targets.iter().any(about)
        }))
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
        let found = self.search(ours).await?.into_iter().next();
        found.ok_or_else(|| self.unexpected("a resource was found or created, and cannot be found"))
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
