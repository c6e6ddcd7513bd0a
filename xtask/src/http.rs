//! The little HTTP that the commands need: JSON in, JSON out, on loopback.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Longest wait for any one answer.
const ANSWER_SECONDS_MAX: u64 = 30;

/// A client that hands every status back instead of making some of them errors.
pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(ANSWER_SECONDS_MAX)))
        // A proxy in the environment is for the outside.
        .proxy(None)
        .build();
    ureq::Agent::new_with_config(config)
}

/// An answer: its status, where it says the resource is, and its body.
pub(crate) struct Answer {
    /// Like 201.
    pub(crate) status: u16,
    /// The `Location` header.
    pub(crate) location: Option<String>,
    /// The body; null if there is none or it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Self> {
        let location = response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = response.body_mut().read_to_string().context("read an answer")?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Self { status: response.status().as_u16(), location, body })
    }

    /// The body, if the status is one of success.
    pub(crate) fn success(self, doing: &str) -> Result<Self> {
        ensure!(
            (200..300).contains(&self.status),
            "{doing} was answered with status {}: {}",
            self.status,
            serde_json::to_string_pretty(&self.body).unwrap_or_default()
        );
        Ok(self)
    }
}

/// Fetches JSON.
pub(crate) fn get(agent: &ureq::Agent, url: &str) -> Result<Answer> {
    let response = agent.get(url).header("accept", "application/fhir+json").call();
    Answer::read(response.with_context(|| format!("GET {url}"))?)
}

/// Posts a FHIR resource.
pub(crate) fn post(agent: &ureq::Agent, url: &str, resource: &Value) -> Result<Answer> {
    let request = agent.post(url).header("content-type", "application/fhir+json");
    Answer::read(request.send(resource.to_string()).with_context(|| format!("POST {url}"))?)
}

/// Puts a FHIR resource under its id.
pub(crate) fn put(agent: &ureq::Agent, url: &str, resource: &Value) -> Result<Answer> {
    let request = agent.put(url).header("content-type", "application/fhir+json").header("prefer", "return=minimal");
    Answer::read(request.send(resource.to_string()).with_context(|| format!("PUT {url}"))?)
}
