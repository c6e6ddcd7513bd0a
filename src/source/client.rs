//! The HTTP client of one source, and the only outgoing HTTP that there is. It keeps to the source's limits, waits when
//! asked to, reads no more than it may, and goes nowhere but where [`Origins`] allow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Method, Response};
use tokio::sync::Semaphore;
use url::Origin;

use super::breaker::{self, Breaker, WAIT_MAX};
use super::credentials::{Holder, Pass};
use super::error::{Fault, Trouble};
use super::message::{Answer, FHIR_JSON, Outgoing, http_date, retry_after};
use super::origin::{Allowed, Origins};
use super::token::{self, Discovered};
use crate::clock::Clock;
use crate::config::SourceConfig;
use crate::telemetry;

/// Redirects that are followed, one after the other.
const REDIRECTS_MAX: usize = 3;

/// Wait before a source is asked again that answered 429 and did not say for how long.
const WAIT_DEFAULT: Duration = Duration::from_secs(5);

/// Largest answer of a token endpoint or a discovery document, in bytes.
const TOKEN_BYTES_MAX: usize = 256 * 1024;

/// How long making a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long a connection that nobody uses is kept.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Why a client cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(pub(super) String);

/// Asks one source.
pub(super) struct Client {
    name: Arc<str>,
    http: reqwest::Client,
    origins: Origins,
    holder: Holder,
    /// One for each origin: a file server that is away says nothing of the EHR.
    breakers: Vec<(Origin, Breaker)>,
    rate: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    at_once: Semaphore,
    request_max: Duration,
    answer_bytes_max: usize,
    scope: String,
    clock: Arc<dyn Clock>,
    /// What the last request to the base's origin came to: a place in [`LAST`].
    last: AtomicU8,
}

/// What a last request can have come to. The first: there was none.
const LAST: [&str; 3] = ["not-asked-yet", "answering", "failing"];

/// What a client is made of besides the settings.
pub(super) struct Parts {
    pub(super) name: Arc<str>,
    pub(super) origins: Origins,
    /// All origins that may be asked, the base's first.
    pub(super) breakers: Vec<Origin>,
    pub(super) holder: Holder,
    pub(super) scope: String,
    pub(super) clock: Arc<dyn Clock>,
}

impl Client {
    pub(super) fn new(settings: &SourceConfig, parts: Parts) -> Result<Self, ClientError> {
        let per_second = std::num::NonZeroU32::new(settings.requests_per_second_max);
        let per_second = per_second.ok_or(ClientError("requests_per_second_max is 0".to_owned()))?;
        // Evenly spaced: with a burst, a second could see twice as many.
        let quota = Quota::per_second(per_second).allow_burst(std::num::NonZeroU32::MIN);
        Ok(Self {
            name: parts.name,
            http: http(settings)?,
            origins: parts.origins,
            holder: parts.holder,
            breakers: parts.breakers.into_iter().map(|origin| (origin, Breaker::default())).collect(),
            rate: RateLimiter::direct(quota),
            at_once: Semaphore::new(settings.requests_at_once_max),
            request_max: Duration::from_secs(settings.request_seconds_max),
            answer_bytes_max: settings.answer_bytes_max,
            scope: parts.scope,
            clock: parts.clock,
            last: AtomicU8::new(0),
        })
    }

    /// How long the source is left alone; none if it is asked.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.breakers.first().and_then(|(_, breaker)| breaker.pause(Instant::now(), self.request_max))
    }

    /// Whether it is left alone because it did not answer.
    pub(super) fn is_open(&self) -> bool {
        self.breakers.first().is_some_and(|(_, breaker)| breaker.is_open())
    }

    /// What the last request came to: `answering`, `failing`, or `not-asked-yet`.
    pub(super) fn last(&self) -> &'static str {
        LAST[usize::from(self.last.load(Ordering::Relaxed))]
    }

    fn note(&self, result: &Result<Answer, Fault>) {
        let last = match result {
            // Nothing was asked.
            Err(Fault::LeftAlone(_) | Fault::NotAllowed(_)) => return,
            Err(fault) if fault.is_of_the_source() => 2,
            _ => 1,
        };
        self.last.store(last, Ordering::Relaxed);
    }

    pub(super) fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Sends a request to where it may go. A 401 is answered with fresh credentials, once. Every status that tells of
    /// the request itself (404, 412, …) is an answer; one that tells of the source (401, 429, 500 and above) a fault.
    pub(super) async fn send(&self, to: Allowed, request: &Outgoing) -> Result<Answer, Fault> {
        let started = Instant::now();
        let is_base = to.url.origin() == self.origins.base_origin();
        let result = self.with_credentials(to, request).await;
        if is_base {
            self.note(&result);
        }
        let outcome = result.as_ref().map_or_else(Fault::code, |answer| outcome(answer.status));
        telemetry::source_asked(&self.name, request.method.as_str(), outcome, started.elapsed().as_secs_f64());
        telemetry::source_breaker(&self.name, self.is_open());
        result
    }

    async fn with_credentials(&self, to: Allowed, request: &Outgoing) -> Result<Answer, Fault> {
        let pass = self.pass(&to, None).await?;
        let answer = self.following(to.clone(), request, pass.as_ref()).await?;
        if answer.status != 401 || !to.with_credentials {
            return Ok(answer);
        }
        let unauthorized = || match crate::domain::document::SourceName::new(&self.name) {
            Some(name) => Fault::Unauthorized(name),
            None => Fault::Refused { status: 401, issues: String::new() },
        };
        let Some(refused) = pass else { return Err(unauthorized()) };
        let fresh = self.pass(&to, Some(&refused)).await?;
        if fresh.as_ref() == Some(&refused) {
            return Err(unauthorized());
        }
        let answer = self.following(to, request, fresh.as_ref()).await?;
        if answer.status == 401 { Err(unauthorized()) } else { Ok(answer) }
    }

    /// The credentials for an address, other ones than those that were refused.
    async fn pass(&self, to: &Allowed, refused: Option<&Pass>) -> Result<Option<Pass>, Fault> {
        match &self.holder {
            _ if !to.with_credentials => Ok(None),
            Holder::None => Ok(None),
            Holder::File(secret) => secret.pass(refused).map(Some),
            Holder::Smart(_) => {
                let value = self.token(refused.map(|pass| &pass.value)).await?;
                Ok(Some(Pass { name: reqwest::header::AUTHORIZATION, value }))
            }
        }
    }

    /// An access token: the one that is held, or a new one. Whoever comes second waits for the first.
    async fn token(
        &self,
        refused: Option<&reqwest::header::HeaderValue>,
    ) -> Result<reqwest::header::HeaderValue, Fault> {
        let Some(smart) = self.holder.smart() else { return Err(Fault::NoToken("none is configured".to_owned())) };
        let mut held = smart.held.lock().await;
        if let Some(good) = held.good(refused, Instant::now()) {
            return Ok(good);
        }
        let found = match &held.discovered {
            Some(found) => found.clone(),
            None => self.discover().await?,
        };
        held.discovered = Some(found.clone());
        let scope = smart.scope.clone().unwrap_or_else(|| scope_for(&self.scope, found.scopes_v2));
        let form = smart.form(&found.audience, &scope).map_err(Fault::NoToken)?;
        let request = Outgoing::form("", form);
        let to = Allowed { url: found.token_url, with_credentials: false };
        let answer = self.once(&to, &request, None, TOKEN_BYTES_MAX).await?;
        let got = token::token(answer.status, &answer.body, Instant::now());
        if got.is_err() {
            // The endpoint may have moved.
            held.discovered = None;
        }
        let got = got.map_err(Fault::NoToken)?;
        held.token = Some(got.clone());
        Ok(got.header)
    }

    /// Where tokens are given: what the settings say, else what the source says, if that is an address we may ask.
    async fn discover(&self) -> Result<Discovered, Fault> {
        let Some(smart) = self.holder.smart() else { return Err(Fault::NoToken("none is configured".to_owned())) };
        if let Some(text) = &smart.token_url {
            let token_url = url::Url::parse(text).map_err(|_| Fault::NoToken("token_url is no URL".to_owned()))?;
            return Ok(Discovered { token_url, audience: text.clone(), scopes_v2: true });
        }
        let mut to = self.origins.below(".well-known/smart-configuration")?;
        to.with_credentials = false;
        let request = Outgoing::get("").accept("application/json");
        let answer = self.once(&to, &request, None, TOKEN_BYTES_MAX).await?;
        if answer.status != 200 {
            return Err(Fault::NoToken(format!(
                "its .well-known/smart-configuration answered {} (credentials.token_url can be set)",
                answer.status
            )));
        }
        let (audience, scopes_v2) = smart.discovered(&answer.body).map_err(Fault::NoToken)?;
        let elsewhere = || {
            Fault::NoToken(
                "it names a token endpoint outside of base_url's origin: if that is right, set credentials.token_url to it"
                    .to_owned(),
            )
        };
        let token_url = url::Url::parse(&audience).map_err(|_| elsewhere())?;
        let clean = token_url.username().is_empty() && token_url.password().is_none();
        if token_url.origin() != self.origins.base_origin() || !clean {
            return Err(elsewhere());
        }
        Ok(Discovered { token_url, audience, scopes_v2 })
    }

    /// Follows redirects of reads, within the origin that was asked. A write is not sent to where it was not meant for.
    async fn following(&self, to: Allowed, request: &Outgoing, pass: Option<&Pass>) -> Result<Answer, Fault> {
        let mut to = to;
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.once(&to, request, pass, self.answer_bytes_max).await?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            if request.method != Method::GET {
                return Err(Fault::WriteRedirected(answer.status));
            }
            let next = answer.location.as_deref().and_then(|location| to.url.join(location).ok());
            let next = next.and_then(|url| self.origins.named(url.as_str()).ok());
            match next {
                Some(next) if next.url.origin() == to.url.origin() => to = next,
                _ => return Err(Fault::Redirected(answer.status)),
            }
        }
        Err(Fault::Redirected(310))
    }

    /// One request and its whole answer.
    async fn once(
        &self,
        to: &Allowed,
        request: &Outgoing,
        pass: Option<&Pass>,
        bytes_max: usize,
    ) -> Result<Answer, Fault> {
        let breaker = self.breaker(&to.url.origin());
        if let Some(pause) = breaker.and_then(|breaker| breaker.pause(Instant::now(), self.request_max)) {
            return Err(Fault::LeftAlone(pause));
        }
        // Cannot fail because it is never closed.
        let _at_once = self.at_once.acquire().await.map_err(|_| Fault::Away(Trouble::Broken))?;
        self.rate.until_ready().await;
        // Asked again: it may have opened while we waited.
        let admitted = breaker.map(|breaker| breaker.admit(Instant::now(), self.request_max)).transpose();
        let admitted = admitted.map_err(Fault::LeftAlone)?;
        let Some((breaker, admitted)) = breaker.zip(admitted) else {
            return self.exchange(to, request, pass, bytes_max).await;
        };
        let mut watch = Watch { breaker, pass: Some(admitted) };
        let result = tokio::time::timeout(self.request_max, self.exchange(to, request, pass, bytes_max)).await;
        let result = result.unwrap_or(Err(Fault::Away(Trouble::TimeOut)));
        watch.pass = None;
        Self::judge(breaker, admitted, result)
    }

    async fn exchange(
        &self,
        to: &Allowed,
        request: &Outgoing,
        pass: Option<&Pass>,
        bytes_max: usize,
    ) -> Result<Answer, Fault> {
        let mut builder = self.http.request(request.method.clone(), to.url.clone());
        let accept = request.accept.as_deref().unwrap_or(FHIR_JSON);
        builder = builder.header(ACCEPT, accept).header(ACCEPT_ENCODING, "identity");
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(pass) = pass {
            builder = builder.header(pass.name.clone(), pass.value.clone());
        }
        if let Some((content_type, body)) = &request.body {
            builder = builder.header(CONTENT_TYPE, *content_type).body(body.clone());
        }
        let response = builder.send().await.map_err(|error| Fault::Away(trouble(&error)))?;
        let encoding = encoding(response.headers());
        let answer = read(response, bytes_max, self.clock.as_ref()).await?;
        match encoding {
            // A file may well lie there compressed, and is read like that; and what tells of the source tells it so, too.
            Some(encoding) if accept.contains("json") && told_in_its_body(&answer) => Err(Fault::Encoded(encoding)),
            _ => Ok(answer),
        }
    }

    /// What an answer, or none, says of the source.
    fn judge(breaker: &Breaker, pass: breaker::Pass, result: Result<Answer, Fault>) -> Result<Answer, Fault> {
        let now = Instant::now();
        let answer = match result {
            Ok(answer) => answer,
            Err(fault) => {
                match fault {
                    Fault::Away(_) => drop(breaker.failed(pass, now)),
                    _ => breaker.succeeded(),
                }
                return Err(fault);
            }
        };
        let asked_to_wait = answer.status == 429 || answer.status == 503 && answer.retry_after.is_some();
        if asked_to_wait {
            let after = answer.retry_after.unwrap_or(WAIT_DEFAULT).max(Duration::from_secs(1));
            breaker.let_go(pass);
            breaker.wait(now, after);
            return Err(Fault::Wait { status: answer.status, after });
        }
        if answer.status >= 500 && answer.status != 501 {
            let left_alone = breaker.failed(pass, now);
            let answers_others = answer.status == 500 && !left_alone;
            return Err(Fault::Failing { status: answer.status, issues: answer.issues(), answers_others });
        }
        breaker.succeeded();
        Ok(answer)
    }

    fn breaker(&self, origin: &Origin) -> Option<&Breaker> {
        self.breakers.iter().find(|(known, _)| known == origin).map(|(_, breaker)| breaker)
    }
}

/// Gives a probe back whose request was dropped half-way.
struct Watch<'a> {
    breaker: &'a Breaker,
    pass: Option<breaker::Pass>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass {
            self.breaker.let_go(pass);
        }
    }
}

/// The connections: our provider of cryptography, the authorities of the settings, our certificate.
fn http(settings: &SourceConfig) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .redirect(Policy::none())
        .referer(false)
        // No proxy of the environment: it would see what the settings do not name.
        .no_proxy()
        .connect_timeout(CONNECT_MAX)
        .timeout(Duration::from_secs(settings.request_seconds_max))
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(settings.requests_at_once_max)
        .user_agent(concat!("responsum/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &settings.ca_file {
        builder = builder.tls_certs_only(certificates(file)?);
    }
    if let Some(file) = &settings.client_certificate_file {
        builder = builder.identity(identity(file)?);
    }
    builder.build().map_err(|_| ClientError("the HTTP client cannot be built: TLS could not be set up".to_owned()))
}

/// The certificates of a PEM file; at least one.
pub(super) fn certificates(file: &std::path::Path) -> Result<Vec<Certificate>, ClientError> {
    let pem = std::fs::read(file).map_err(|_| ClientError("the file cannot be read".to_owned()))?;
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() { Err(ClientError("the file holds no certificate in PEM".to_owned())) } else { Ok(found) }
}

/// A certificate with its private key, of a PEM file.
pub(super) fn identity(file: &std::path::Path) -> Result<Identity, ClientError> {
    let pem = std::fs::read(file).map_err(|_| ClientError("the file cannot be read".to_owned()))?;
    Identity::from_pem(&pem)
        .map_err(|_| ClientError("the file does not hold a certificate and its private key in PEM".to_owned()))
}

fn trouble(error: &reqwest::Error) -> Trouble {
    if error.is_timeout() {
        Trouble::TimeOut
    } else if error.is_connect() {
        Trouble::Connection
    } else {
        Trouble::Broken
    }
}

/// Reads an answer to its end, or to the limit.
async fn read(mut response: Response, bytes_max: usize, clock: &dyn Clock) -> Result<Answer, Fault> {
    let too_large = response.content_length().is_some_and(|length| length > bytes_max as u64);
    if too_large {
        return Err(Fault::TooLarge(bytes_max));
    }
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Fault::Away(trouble(&error)))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Fault::TooLarge(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(answer(status, &headers, body.freeze(), clock))
}

fn answer(status: u16, headers: &HeaderMap, body: Bytes, clock: &dyn Clock) -> Answer {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    Answer {
        status,
        etag: text("etag"),
        location: text(LOCATION.as_str()),
        content_location: text("content-location"),
        content_type: text(CONTENT_TYPE.as_str()),
        retry_after: text(RETRY_AFTER.as_str())
            .and_then(|text| retry_after(&text, clock.now()))
            .map(|after| after.min(WAIT_MAX)),
        date: text("date").as_deref().and_then(http_date),
        progress: text("x-progress"),
        body,
    }
}

/// The coding that an answer came in, if any: known names only, as it goes to the log.
fn encoding(headers: &HeaderMap) -> Option<&'static str> {
    let text = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("unknown").trim().to_ascii_lowercase();
    let known = ["gzip", "x-gzip", "br", "deflate", "compress", "zstd"].into_iter().find(|known| *known == text);
    if text.is_empty() || text == "identity" { None } else { Some(known.unwrap_or("that is not known")) }
}

/// Whether we have to read the body to know what the source says.
fn told_in_its_body(answer: &Answer) -> bool {
    let by_status = matches!(answer.status, 300..=399 | 401 | 429 | 500..);
    !by_status && !answer.body.is_empty()
}

fn outcome(status: u16) -> &'static str {
    match status {
        0..300 => "answered",
        404 | 410 => "not-found",
        409 | 412 => "conflict",
        _ => "refused",
    }
}

/// The scopes that the rest of the settings need, in the older form where the source knows that only.
fn scope_for(scope: &str, v2: bool) -> String {
    if v2 {
        return scope.to_owned();
    }
    let older = |one: &str| {
        let (what, may) = one.rsplit_once('.').unwrap_or((one, ""));
        let may = if may.contains(['c', 'u', 'd']) { "*" } else { "read" };
        format!("{what}.{may}")
    };
    scope.split(' ').map(older).collect::<Vec<_>>().join(" ")
}
