//! Answers in FHIR: headers of a version, what the client prefers, searchset and history Bundles.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, ETAG, HeaderMap, LAST_MODIFIED, LOCATION};
use actix_web::{HttpResponse, HttpResponseBuilder};
use responsum_fhir_authoring::{IssueCode, IssueDraft, IssueSeverity, operation_outcome};
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::macros::format_description;

use super::error::ApiError;

/// The media type of FHIR's JSON.
pub const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";

/// What the client wants to see after a write (`Prefer: return=…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefer {
    /// Nothing.
    Minimal,
    /// The resource.
    Representation,
    /// What we have to say about it.
    OperationOutcome,
}

impl Prefer {
    /// From the request's headers; the resource if nothing is said.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all("prefer").filter_map(|value| value.to_str().ok());
        let mut wishes = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
        wishes
            .find_map(|wish| match wish.to_ascii_lowercase().strip_prefix("return=")? {
                "minimal" => Some(Self::Minimal),
                "representation" => Some(Self::Representation),
                "operationoutcome" => Some(Self::OperationOutcome),
                _ => None,
            })
            .unwrap_or(Self::Representation)
    }
}

/// A version's headers.
pub struct VersionHeaders {
    /// The version, for the ETag.
    pub version: i32,
    /// When it was made.
    pub last_modified: OffsetDateTime,
    /// Its absolute URL, for `Location`; set after a write.
    pub location: Option<String>,
}

/// An answer that carries a version's headers.
pub fn versioned(status: StatusCode, headers: VersionHeaders) -> HttpResponseBuilder {
    let mut response = HttpResponseBuilder::new(status);
    response.insert_header((ETAG, etag(headers.version)));
    response.insert_header((LAST_MODIFIED, http_date(headers.last_modified)));
    if let Some(location) = headers.location {
        response.insert_header((LOCATION, location));
    }
    response
}

/// Ends an answer with a resource.
pub fn resource(mut response: HttpResponseBuilder, json: String) -> HttpResponse {
    response.content_type(FHIR_JSON).body(json)
}

/// An OperationOutcome that says something good.
pub fn information(said: &str) -> String {
    operation_outcome(&[IssueDraft {
        severity: IssueSeverity::Information,
        code: IssueCode::Informational,
        diagnostics: Some(said.to_owned()),
        expression: Vec::new(),
    }])
}

/// A weak ETag of a version (FHIR R4, http.html#versioning).
pub fn etag(version: i32) -> String {
    format!("W/\"{version}\"")
}

/// The version that an ETag of ours names.
pub fn version_of_etag(etag: &str) -> Option<i32> {
    let etag = etag.trim();
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').parse().ok()
}

/// IMF-fixdate (RFC 9110, section 5.6.7).
fn http_date(time: OffsetDateTime) -> String {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    // Cannot fail because every time has these parts.
    time.to_offset(time::UtcOffset::UTC).format(format).expect("a date and a time")
}

/// Refuses a client that takes only what we do not have.
pub fn accepts_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(accept) = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()) else { return Ok(()) };
    let takes = |range: &str| {
        let range = range.split(';').next().unwrap_or_default().trim();
        range.is_empty() || range.contains("json") || matches!(range, "*/*" | "application/*" | "text/html")
    };
    if accept.split(',').any(takes) { Ok(()) } else { Err(ApiError::NotAcceptable) }
}

/// A Bundle that we answer with.
#[derive(Serialize)]
pub struct BundleView {
    #[serde(rename = "resourceType")]
    resource_type: &'static str,
    #[serde(rename = "type")]
    bundle_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    link: Vec<LinkView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entry: Vec<EntryView>,
}

#[derive(Serialize)]
struct LinkView {
    relation: &'static str,
    url: String,
}

/// An entry of a Bundle that we answer with.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    /// Where the resource is, or a `urn:uuid:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_url: Option<String>,
    /// The resource as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Box<RawValue>>,
    /// Search Bundles: why it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchView>,
    /// History Bundles: what made the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestView>,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseView>,
}

/// `Bundle.entry.search`.
#[derive(Serialize)]
pub struct SearchView {
    mode: &'static str,
}

/// `Bundle.entry.request`.
#[derive(Serialize)]
pub struct RequestView {
    /// HTTP method.
    pub method: &'static str,
    /// Relative URL.
    pub url: String,
}

/// `Bundle.entry.response`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseView {
    /// Status code and reason.
    pub status: String,
    /// Of the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Of the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Of the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Box<RawValue>>,
}

impl BundleView {
    /// A Bundle of a type, like `searchset`.
    pub fn new(bundle_type: &'static str, entry: Vec<EntryView>) -> Self {
        Self { resource_type: "Bundle", bundle_type, total: None, link: Vec::new(), entry }
    }

    /// With the number of all matches.
    #[must_use]
    pub fn total(mut self, total: i64) -> Self {
        self.total = Some(total);
        self
    }

    /// With a link, like `next`.
    #[must_use]
    pub fn link(mut self, relation: &'static str, url: String) -> Self {
        self.link.push(LinkView { relation, url });
        self
    }

    /// As an answer.
    pub fn respond(&self) -> HttpResponse {
        // Cannot fail because it holds strings, numbers and JSON texts.
        let json = serde_json::to_string(self).expect("a Bundle has a JSON form");
        resource(HttpResponse::Ok(), json)
    }
}

impl EntryView {
    /// A match of a search.
    pub fn matched(full_url: String, resource: Box<RawValue>) -> Self {
        Self {
            full_url: Some(full_url),
            resource: Some(resource),
            search: Some(SearchView { mode: "match" }),
            ..Self::default()
        }
    }
}

/// JSON text as part of a Bundle.
pub fn raw(json: String) -> Box<RawValue> {
    // Cannot fail because every caller gives a resource that it has just written or read as JSON.
    RawValue::from_string(json).expect("a resource is JSON")
}
