//! Who may ask. With a tokens file: bearer tokens with scopes. Without: loopback only, and no page of another site.

use std::fmt;
use std::path::Path;

use actix_web::HttpMessage as _;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap};
use actix_web::middleware::Next;
use actix_web::web::Data;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::error::ApiError;
use crate::digest::sha256;
use crate::domain::decision::Reviewer;
use crate::domain::document::LogicalId;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Read resources, search, ask for an annotation that is not stored.
    Read,
    /// Send and delete reports.
    Write,
    /// Confirm and refute answers.
    Confirm,
    /// See metrics, switch models, annotate what is stored again.
    Admin,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Confirm => "confirm",
            Self::Admin => "admin",
        })
    }
}

/// Who may ask.
#[derive(Debug)]
pub enum Access {
    /// Local clients, without tokens.
    Loopback,
    /// Bearers of these tokens.
    Tokens(Vec<Token>),
}

/// One access token, known by its hash.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// For people: who has it.
    name: String,
    /// SHA-256 of the token, in hexadecimal.
    sha256: String,
    /// What it may do.
    scopes: Vec<Scope>,
    /// Who confirms by it, like `Practitioner/17`.
    #[serde(default)]
    practitioner: Option<String>,
    /// What that person is called.
    #[serde(default)]
    practitioner_name: Option<String>,
}

impl Token {
    /// Who decides by it.
    fn reviewer(&self) -> Option<Reviewer> {
        let practitioner = self.practitioner.clone()?;
        Some(Reviewer { practitioner, name: self.practitioner_name.clone() })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensFile {
    token: Vec<Token>,
}

/// Why a tokens file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("reading the tokens file")]
    Read(#[source] std::io::Error),
    /// It is not what it should be.
    #[error("the tokens file is not understood: {0}")]
    Parse(String),
    /// A hash is not one.
    #[error("the sha256 of token \"{0}\" is not 64 hexadecimal digits (printf %s \"$TOKEN\" | sha256sum)")]
    Hash(String),
    /// Nobody could confirm by it.
    #[error("token \"{0}\" has the scope confirm and no practitioner, like \"Practitioner/17\"")]
    NoPractitioner(String),
    /// What it names is no practitioner.
    #[error("the practitioner of token \"{0}\" is neither like \"Practitioner/17\" nor an absolute URL that ends so")]
    Practitioner(String),
}

impl Access {
    /// Reads the tokens file; loopback only if there is none.
    pub fn load(file: Option<&Path>) -> Result<Self, TokensError> {
        let Some(file) = file else { return Ok(Self::Loopback) };
        let text = std::fs::read_to_string(file).map_err(TokensError::Read)?;
        let TokensFile { mut token } = toml::from_str(&text).map_err(|e| TokensError::Parse(e.message().to_owned()))?;
        for token in &mut token {
            token.sha256.make_ascii_lowercase();
            if token.sha256.len() != 64 || !token.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(TokensError::Hash(token.name.clone()));
            }
            if token.scopes.contains(&Scope::Confirm) && token.practitioner.is_none() {
                return Err(TokensError::NoPractitioner(token.name.clone()));
            }
            if token.practitioner.as_deref().is_some_and(|practitioner| !names_a_practitioner(practitioner)) {
                return Err(TokensError::Practitioner(token.name.clone()));
            }
        }
        Ok(Self::Tokens(token))
    }

    /// Whether the request may be answered, and by whom it decides something.
    fn allow(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Option<Reviewer>, ApiError> {
        match (self, required_scope(method, path)) {
            (Self::Loopback, scope) => {
                local_name(headers)?;
                // A decision needs a person, and whoever comes from this machine is nobody in particular.
                if scope == Some(Scope::Confirm) { Err(ApiError::NoPerson) } else { Ok(None) }
            }
            (Self::Tokens(_), None) => Ok(None),
            (Self::Tokens(tokens), Some(scope)) => {
                let token = bearer(headers).and_then(|token| find(tokens, token)).ok_or(ApiError::NoToken)?;
                // Whoever decides must be able to see what waits.
                let sees_reviews = path == "/reviews" && token.scopes.contains(&Scope::Confirm);
                let may = token.scopes.contains(&scope) || sees_reviews;
                if may { Ok(token.reviewer()) } else { Err(ApiError::Scope(scope)) }
            }
        }
    }
}

/// `Practitioner/{id}`, or an absolute URL that ends so.
fn names_a_practitioner(reference: &str) -> bool {
    let Some((rest, id)) = reference.rsplit_once('/') else { return false };
    let absolute = |rest: &str| {
        rest.strip_suffix("/Practitioner")
            .is_some_and(|base| base.starts_with("https://") || base.starts_with("http://"))
    };
    LogicalId::new(id).is_some() && (rest == "Practitioner" || absolute(rest))
}

/// What a request needs; health checks, the capability statement and our public keys need nothing. Neither do
/// notifications: they carry their source's secret, which web/hooks.rs asks for.
fn required_scope(method: &Method, path: &str) -> Option<Scope> {
    let open = ["/fhir/metadata", "/.well-known/jwks.json"].contains(&path);
    if open || path.starts_with("/health/") || path.starts_with("/hooks/") {
        None
    } else if path == "/metrics" {
        Some(Scope::Admin)
    } else if path.ends_with("/$confirm") || path.ends_with("/$refute") {
        Some(Scope::Confirm)
    } else if matches!(*method, Method::GET | Method::HEAD)
        || path.ends_with("/$annotate")
        || path.ends_with("/_search")
    {
        Some(Scope::Read)
    } else if path.starts_with("/models") || path.starts_with("/sources/") && !path.contains("/fhir") {
        Some(Scope::Admin)
    } else {
        Some(Scope::Write)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares in constant time, so that time tells nothing about how near a guess was.
fn find<'a>(tokens: &'a [Token], bearer: &str) -> Option<&'a Token> {
    let hash = sha256(bearer.as_bytes()).hex();
    tokens.iter().find(|token| bool::from(token.sha256.as_bytes().ct_eq(hash.as_bytes())))
}

/// A page of another site reaches a local service only under a name of its own (DNS rebinding).
fn local_name(headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let local = matches!(name.to_ascii_lowercase().as_str(), "localhost" | "127.0.0.1" | "[::1]");
    if local { Ok(()) } else { Err(ApiError::ForeignHost) }
}

/// Lets a request pass, or answers why not.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    // Cannot fail because every application of ours is built with it (web/mod.rs).
    let access = request.app_data::<Data<Access>>().expect("access is configured").clone();
    // By the path as the router reads it, or an encoded letter would lead past a scope.
    let path = percent_decode_str(request.path()).decode_utf8_lossy().into_owned();
    if let Some(reviewer) = access.allow(request.method(), &path, request.headers())? {
        request.extensions_mut().insert(reviewer);
    }
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn tokens() -> Access {
        let token = |name: &str, secret: &str, scopes| Token {
            name: name.to_owned(),
            sha256: sha256(secret.as_bytes()).hex(),
            scopes,
            practitioner: (name == "c").then(|| "Practitioner/17".to_owned()),
            practitioner_name: None,
        };
        Access::Tokens(vec![
            token("a", "secret-a", vec![Scope::Read]),
            token("b", "secret-b", vec![Scope::Write]),
            token("c", "secret-d", vec![Scope::Confirm]),
        ])
    }

    #[test]
    fn a_token_may_do_what_its_scopes_say() {
        let access = tokens();
        for (method, path, token, expected) in [
            (Method::GET, "/fhir/Observation", "Bearer secret-a", None),
            (Method::GET, "/fhir/Observation", "bearer secret-a", None),
            (Method::GET, "/fhir/Observation", "Bearer secret-c", Some("Bearer …")),
            (Method::GET, "/fhir/Observation", "Basic secret-a", Some("Bearer …")),
            (Method::POST, "/fhir/DiagnosticReport", "Bearer secret-a", Some("scope write")),
            (Method::POST, "/fhir/DiagnosticReport", "Bearer secret-b", None),
            (Method::POST, "/fhir/DiagnosticReport/$annotate", "Bearer secret-a", None),
            (Method::GET, "/metrics", "Bearer secret-a", Some("scope admin")),
            (Method::GET, "/models/a/agreement/b", "Bearer secret-a", None),
            (Method::POST, "/models/$reload", "Bearer secret-b", Some("scope admin")),
            (Method::POST, "/models/a/$reannotate", "Bearer secret-b", Some("scope admin")),
            (Method::DELETE, "/models/a", "Bearer secret-b", Some("scope admin")),
            (Method::GET, "/sources", "Bearer secret-a", None),
            (Method::POST, "/sources/ehr/$replay", "Bearer secret-b", Some("scope admin")),
            (Method::POST, "/sources/ehr/$fetch", "Bearer secret-a", Some("scope admin")),
            (Method::POST, "/fhir/Observation/1/$confirm", "Bearer secret-b", Some("scope confirm")),
            (Method::POST, "/fhir/Observation/1/$refute", "Bearer secret-a", Some("scope confirm")),
            (Method::POST, "/fhir/Observation/1/$confirm", "Bearer secret-d", None),
            (Method::GET, "/reviews", "Bearer secret-d", None),
            (Method::GET, "/reviews", "Bearer secret-a", None),
            (Method::GET, "/reviews", "Bearer secret-b", Some("scope read")),
            (Method::GET, "/patients/1/timeline", "Bearer secret-d", Some("scope read")),
            (Method::GET, "/health/live", "", None),
            (Method::GET, "/.well-known/jwks.json", "", None),
        ] {
            let result = access.allow(&method, path, &headers(&[(AUTHORIZATION, token)]));
            match expected {
                None => assert!(result.is_ok(), "{method} {path} {token}"),
                Some(part) => {
                    let error = result.expect_err("refused").to_string();
                    assert!(error.contains(part), "{error}");
                }
            }
        }
    }

    #[test]
    fn without_tokens_only_local_names_are_answered() {
        for (host, allowed) in [
            ("localhost:8080", true),
            ("127.0.0.1:1", true),
            ("[::1]:8080", true),
            ("LOCALHOST", true),
            ("evil.example:8080", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            let result = Access::Loopback.allow(&Method::GET, "/fhir/metadata", &headers(&[(HOST, host)]));
            assert_eq!(result.is_ok(), allowed, "{host}");
        }
    }

    #[test]
    fn who_decides_is_the_tokens_practitioner_and_without_tokens_nobody() {
        let confirm = "/fhir/Observation/1/$confirm";
        let decided = tokens().allow(&Method::POST, confirm, &headers(&[(AUTHORIZATION, "Bearer secret-d")]));
        assert_eq!(decided.ok().flatten().map(|reviewer| reviewer.practitioner).as_deref(), Some("Practitioner/17"));
        let nobody = Access::Loopback.allow(&Method::POST, confirm, &headers(&[(HOST, "localhost")]));
        assert!(matches!(nobody, Err(ApiError::NoPerson)));
        for (reference, good) in [
            ("Practitioner/17", true),
            ("https://ehr.example.org/fhir/Practitioner/17", true),
            ("PractitionerRole/17", false),
            ("Patient/17", false),
            ("Practitioner/", false),
            ("urn:uuid:1", false),
            ("javascript:x/Practitioner/1", false),
        ] {
            assert_eq!(names_a_practitioner(reference), good, "{reference}");
        }
    }

    #[test]
    fn debug_shows_no_hash() {
        assert!(!format!("{:?}", tokens()).contains(&sha256(b"secret-a").hex()));
    }
}
