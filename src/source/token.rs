//! SMART Backend Services (SMART App Launch 2.2, backend-services): an access token for a signed assertion.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::key::SigningKey;
use crate::clock::Clock;

/// How long an assertion holds. The guide allows five minutes at most; clocks differ.
const ASSERTION_SECONDS: i64 = 240;

/// How long before its end a token is renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(20);

/// How long a token is taken to hold whose answer does not say: the guide's recommended maximum.
const EXPIRES_IN_SECONDS: u64 = 300;

/// Our side of SMART Backend Services at one source.
pub(super) struct Smart {
    pub(super) client_id: String,
    pub(super) key: Arc<SigningKey>,
    pub(super) token_url: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) clock: Arc<dyn Clock>,
    /// Whoever holds it gets a token; others wait for it.
    pub(super) held: Mutex<Held>,
}

#[derive(Default)]
pub(super) struct Held {
    pub(super) token: Option<Token>,
    /// What the source's `.well-known/smart-configuration` said.
    pub(super) discovered: Option<Discovered>,
}

/// An access token.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    renew_at: Instant,
}

/// Where tokens are given, and which scopes are understood there.
#[derive(Clone)]
pub(super) struct Discovered {
    pub(super) token_url: Url,
    /// The same, letter by letter as the source wrote it: it compares.
    pub(super) audience: String,
    pub(super) scopes_v2: bool,
}

/// `.well-known/smart-configuration`, as far as we need it.
#[derive(Deserialize)]
struct Configuration {
    token_endpoint: Option<String>,
    #[serde(default)]
    capabilities: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_signing_alg_values_supported: Vec<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: Option<u64>,
}

/// An error's code, as RFC 6749 has it: never its description.
#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
}

impl Held {
    /// The token, if it holds and is not the one that was refused.
    pub(super) fn good(&self, refused: Option<&HeaderValue>, now: Instant) -> Option<HeaderValue> {
        let token = self.token.as_ref().filter(|token| now < token.renew_at)?;
        refused.is_none_or(|refused| *refused != token.header).then(|| token.header.clone())
    }
}

impl Smart {
    /// What the source says of its tokens.
    pub(super) fn discovered(&self, body: &[u8]) -> Result<(String, bool), String> {
        let found: Configuration = serde_json::from_slice(body)
            .map_err(|_| "its .well-known/smart-configuration is not understood".to_owned())?;
        let url = found.token_endpoint.ok_or("its .well-known/smart-configuration names no token_endpoint")?;
        let (ours, theirs) = (self.key.algorithm(), found.token_endpoint_auth_signing_alg_values_supported);
        if !theirs.is_empty() && !theirs.iter().any(|theirs| theirs == ours) {
            return Err(format!("it accepts no assertions signed with {ours}: use the other kind of key"));
        }
        let has = |name: &str| found.capabilities.iter().any(|capability| capability == name);
        Ok((url, has("permission-v2") || !has("permission-v1")))
    }

    /// The form that asks for a token.
    pub(super) fn form(&self, audience: &str, scope: &str) -> Result<String, String> {
        let now = self.clock.now().unix_timestamp();
        let claims = json!({
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": Uuid::new_v4().to_string(),
        });
        let assertion = self.key.sign(&claims).ok_or("the assertion could not be signed")?;
        Ok(Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", scope)
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &assertion)
            .finish())
    }
}

/// The token of an answer.
pub(super) fn token(status: u16, body: &[u8], now: Instant) -> Result<Token, String> {
    if status != 200 {
        let code = serde_json::from_slice::<ErrorAnswer>(body).map(|answer| answer.error).unwrap_or_default();
        let known = ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope"];
        let code = known.into_iter().find(|known| *known == code).map_or(String::new(), |code| format!(" ({code})"));
        return Err(format!("the token endpoint answered {status}{code}"));
    }
    let answer: TokenAnswer =
        serde_json::from_slice(body).map_err(|_| "the token endpoint's answer is not understood".to_owned())?;
    let mut header = HeaderValue::try_from(format!("Bearer {}", answer.access_token))
        .map_err(|_| "the access token is not one that a header can carry".to_owned())?;
    header.set_sensitive(true);
    let expires_in = Duration::from_secs(answer.expires_in.unwrap_or(EXPIRES_IN_SECONDS).min(24 * 3600));
    // A token that holds for less than a minute is used for half of its time.
    let renew_in = expires_in.checked_sub(RENEW_BEFORE).map_or(expires_in / 2, |left| left.max(expires_in / 2));
    Ok(Token { header, renew_at: now + renew_in })
}
