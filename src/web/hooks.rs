//! `/hooks/{source}`: where sources notify us. Whoever knows a source's secret may; an access token of ours is not asked for.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use subtle::ConstantTimeEq as _;
use tokio::sync::RwLock;

use super::Api;
use super::body::whole;
use super::error::ApiError;
use crate::config::hook_secret;
use crate::digest::sha256;
use crate::domain::document::{LogicalId, Sha256Digest, SourceName};
use crate::fhir::notification::{self, Address};
use crate::notified;
use crate::source::{Source, Sources};
use crate::telemetry;

/// Calls without the secret that are answered in a second, for each source; what is over that is told to wait.
const UNKNOWN_PER_SECOND_MAX: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

/// How often a file is read again whose secret a call did not have: it may have been changed.
const SECRET_READ_AGAIN: Duration = Duration::from_secs(10);

/// The sources that may notify us.
pub struct Hooks {
    hooks: Vec<Hook>,
}

/// One of them.
struct Hook {
    source: Arc<Source>,
    file: PathBuf,
    secret: RwLock<Secret>,
    unknown: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
}

struct Secret {
    sha256: Sha256Digest,
    read_at: tokio::time::Instant,
}

impl Hooks {
    /// Reads the secrets. A source without one is not notified by anyone.
    pub fn load(sources: &Sources) -> std::io::Result<Self> {
        let with_secret = sources.iter().filter_map(|source| Some((source, source.settings.hook_secret_file.clone()?)));
        let hooks = with_secret.map(|(source, file)| {
            let secret = Secret::of(&std::fs::read_to_string(&file)?);
            let unknown = RateLimiter::direct(Quota::per_second(UNKNOWN_PER_SECOND_MAX));
            Ok(Hook { source: Arc::clone(source), file, secret: RwLock::new(secret), unknown })
        });
        Ok(Self { hooks: hooks.collect::<std::io::Result<_>>()? })
    }

    fn of(&self, name: &str) -> Result<&Hook, ApiError> {
        let name = SourceName::new(name).ok_or(ApiError::NoHook)?;
        self.hooks.iter().find(|hook| hook.source.name == name).ok_or(ApiError::NoHook)
    }
}

impl Secret {
    fn of(text: &str) -> Self {
        Self { sha256: sha256(text.trim().as_bytes()), read_at: tokio::time::Instant::now() }
    }

    /// Compares in constant time, so that time tells nothing about how near a guess was.
    fn is(&self, given: &str) -> bool {
        let alike = |given: &str| bool::from(self.sha256.0.ct_eq(&sha256(given.as_bytes()).0));
        let bearer = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        alike(given.trim()) | bearer.is_some_and(|(_, token)| alike(token.trim()))
    }
}

impl Hook {
    /// Whether the call has the secret.
    async fn admit(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let header = self.source.settings.hook_secret_header.as_str();
        let given = headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if self.secret.read().await.is(given) {
            return Ok(());
        }
        telemetry::notification_refused(self.source.name.as_str(), "secret");
        if self.unknown.check().is_err() {
            return Err(ApiError::HookStorm);
        }
        if self.changed_to(given).await { Ok(()) } else { Err(ApiError::HookSecret) }
    }

    /// Whether the file holds another secret by now, and the call has that one.
    async fn changed_to(&self, given: &str) -> bool {
        if self.secret.read().await.read_at.elapsed() < SECRET_READ_AGAIN {
            return false;
        }
        let mut secret = self.secret.write().await;
        secret.read_at = tokio::time::Instant::now();
        // A file that is being written, or was emptied, must not let anybody in.
        if let Ok(text) = tokio::fs::read_to_string(&self.file).await
            && let Some(text) = hook_secret(&text)
        {
            *secret = Secret::of(text);
        }
        secret.is(given)
    }
}

/// `POST /hooks/{source}`: whatever the source has to say.
pub async fn notify(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    take(&api, &request, &path, None, payload).await
}

/// `PUT`, `POST` or `DELETE /hooks/{source}/{type}/{id}`: of one resource.
pub async fn notify_of(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String, String)>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (source, resource_type, id) = path.into_inner();
    take(&api, &request, &source, Some((&resource_type, &id)), payload).await
}

async fn take(
    api: &Api,
    request: &HttpRequest,
    name: &str,
    resource: Option<(&str, &str)>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let hook = api.hooks.of(name)?;
    // Before the body is read: who has no secret may send no megabytes.
    hook.admit(request.headers()).await?;
    let refused = |error: ApiError| {
        telemetry::notification_refused(hook.source.name.as_str(), error.hook_reason());
        error
    };
    let encoded = request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    if encoded {
        return Err(refused(notification::NotificationError::MediaType.into()));
    }
    let body = whole(request, payload, api.body_bytes_max).await.map_err(refused)?;
    let id = resource.map(|(_, id)| LogicalId::new(id).ok_or(ApiError::NotFound)).transpose().map_err(refused)?;
    let address = match (resource, &id) {
        (Some((resource_type, _)), Some(id)) => {
            Address::Resource { resource_type, id, deleted: request.method() == Method::DELETE }
        }
        _ => Address::Endpoint,
    };
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let notification = notification::read(address, content_type, &body).map_err(|error| refused(error.into()))?;
    notified::take(&api.store, &hook.source, notification, api.clock.now()).await?;
    Ok(HttpResponse::Ok().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_as_it_is_and_after_bearer() {
        let secret = Secret::of("s3cret\n");
        for given in ["s3cret", "Bearer s3cret", "bearer  s3cret", " s3cret "] {
            assert!(secret.is(given), "{given}");
        }
        for given in ["", "Bearer", "Bearer s3cre", "Basic s3cret", "s3cret2"] {
            assert!(!secret.is(given), "{given}");
        }
    }
}
