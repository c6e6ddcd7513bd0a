//! What is sent to a source, and what comes back.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::fhir::json::{self, RawObject};

/// The media type of FHIR in JSON.
pub const FHIR_JSON: &str = "application/fhir+json";

/// A request, below the source's base URL.
#[derive(Clone)]
pub struct Outgoing {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) accept: Option<String>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<(&'static str, Bytes)>,
}

impl Outgoing {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), accept: None, headers: Vec::new(), body: None }
    }

    /// `GET {base}/{path}`
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// `DELETE {base}/{path}`
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// `PUT {base}/{path}` with a resource.
    pub fn put(path: impl Into<String>, resource: impl Into<Bytes>) -> Self {
        Self { body: Some((FHIR_JSON, resource.into())), ..Self::new(Method::PUT, path) }
    }

    /// `POST {base}/{path}` with a resource.
    pub fn post(path: impl Into<String>, resource: impl Into<Bytes>) -> Self {
        Self { body: Some((FHIR_JSON, resource.into())), ..Self::new(Method::POST, path) }
    }

    /// `POST {base}/{path}` with a form, as a search is posted.
    pub fn form(path: impl Into<String>, form: impl Into<Bytes>) -> Self {
        let body = Some(("application/x-www-form-urlencoded", form.into()));
        Self { body, accept: Some("application/json".to_owned()), ..Self::new(Method::POST, path) }
    }

    /// Another `Accept` than FHIR JSON.
    #[must_use]
    pub fn accept(mut self, media_type: &str) -> Self {
        self.accept = Some(media_type.to_owned());
        self
    }

    /// `If-Match`: the ETag as it was received.
    #[must_use]
    pub fn if_match(self, etag: &str) -> Self {
        self.header("if-match", etag)
    }

    /// `If-None-Exist`: the search that must find nothing.
    #[must_use]
    pub fn if_none_exist(self, query: &str) -> Self {
        self.header("if-none-exist", query)
    }

    /// `Prefer`, like `respond-async` or `return=representation`.
    #[must_use]
    pub fn prefer(self, preference: &str) -> Self {
        self.header("prefer", preference)
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({})", self.method)
    }
}

/// What a source answered.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `ETag`, to be echoed and never to be read.
    pub etag: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Content-Location`, of an export.
    pub content_location: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Retry-After`, from now on.
    pub retry_after: Option<Duration>,
    /// `Date`: when it answered, by its own clock.
    pub date: Option<OffsetDateTime>,
    /// `X-Progress`, of an export.
    pub progress: Option<String>,
    /// The body, as received.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// Whether it did what we asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the source says that there is no such resource, or not any more: 410, or a 404 that is FHIR.
    pub fn is_gone(&self) -> bool {
        self.status == 410 || self.status == 404 && self.outcome().is_some()
    }

    /// A 404 without an `OperationOutcome`. A gateway that has no way to the source just now answers like this, and so says
    /// nothing of the resource.
    pub fn is_stray(&self) -> bool {
        self.status == 404 && self.outcome().is_none()
    }

    /// Whether its body is a FHIR resource in JSON.
    pub fn is_fhir(&self) -> bool {
        self.resource().is_some()
    }

    fn resource(&self) -> Option<(String, RawObject<'_>)> {
        let resource = RawObject::parse(json::text(&self.body).ok()?).ok()?;
        Some((resource.get::<String>("resourceType")?, resource))
    }

    fn outcome(&self) -> Option<RawObject<'_>> {
        self.resource().filter(|(resource_type, _)| resource_type == "OperationOutcome").map(|(_, outcome)| outcome)
    }

    /// The issue codes of an `OperationOutcome`, like `invalid, required`: never its texts, which may repeat what we sent.
    pub fn issues(&self) -> String {
        let Some(outcome) = self.outcome() else { return String::new() };
        let mut codes: Vec<String> = Vec::new();
        for code in outcome.objects("issue").iter().filter_map(|issue| issue.get::<String>("code")) {
            let is_code = (1..=32).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            if is_code && !codes.contains(&code) && codes.len() < 8 {
                codes.push(code);
            }
        }
        codes.join(", ")
    }
}

/// An HTTP date (RFC 9110, 5.6.7). Its zone is written GMT, which RFC 2822 knows as an old form of +0000.
pub(super) fn http_date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&text.trim().replace("GMT", "+0000"), &Rfc2822).ok()
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    Some(Duration::try_from(http_date(text)? - now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = datetime!(2026-11-25 04:00:00 UTC);
        for (text, expected) in [
            ("7", Some(7)),
            (" 120 ", Some(120)),
            ("Wed, 25 Nov 2026 04:00:30 GMT", Some(30)),
            ("Wed, 25 Nov 2026 03:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(text, now), expected.map(Duration::from_secs), "{text}");
        }
    }

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer {
            status,
            etag: None,
            location: None,
            content_location: None,
            content_type: None,
            retry_after: None,
            date: None,
            progress: None,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn only_the_source_itself_says_that_a_resource_is_gone() {
        let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}"#;
        for (status, body, gone, stray) in [
            (410, "", true, false),
            (410, "<html>", true, false),
            (404, outcome, true, false),
            (404, "", false, true),
            (404, "<html>no route</html>", false, true),
            (404, r#"{"message":"no Route matched"}"#, false, true),
            (403, "", false, false),
            (200, "", false, false),
        ] {
            let answer = answer(status, body);
            assert_eq!((answer.is_gone(), answer.is_stray()), (gone, stray), "{status} {body}");
        }
    }

    #[test]
    fn of_an_outcome_only_codes_are_told() {
        let outcome = answer(
            422,
            r#"{"resourceType":"OperationOutcome","issue":[
                {"severity":"error","code":"invalid","diagnostics":"Jane Doe"},{"code":"invalid"},{"code":"Jane Doe"}]}"#,
        );
        assert_eq!(outcome.issues(), "invalid");
        assert_eq!(answer(422, "<html>Jane Doe</html>").issues(), "");
    }
}
