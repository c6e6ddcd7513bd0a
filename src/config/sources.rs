//! `[sources.NAME]`: an EHR or FHIR server, what we listen to there and what we write.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::domain::document::SourceName;

/// `[sources.NAME]`: what holds for the reports of one source.
///
/// `[sources.local]` is our own API: of all of these it has `model` only.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// The model that answers for it; `model.active` if not set.
    pub model: Option<String>,
    /// Its FHIR base URL. Nothing outside of it is ever called, but what `attachment_origins` and `credentials` name.
    pub base_url: Option<String>,
    /// The version of FHIR that it speaks.
    pub fhir_version: FhirVersion,
    /// How it knows us.
    pub credentials: Credentials,
    /// A PEM file with the certificates of the authorities that it may be known by; the system's if not set.
    pub ca_file: Option<PathBuf>,
    /// Mutual TLS: a PEM file with our certificate and its private key.
    pub client_certificate_file: Option<PathBuf>,
    /// Origins besides the base URL's from which attachments may be fetched, like `https://files.example.org`.
    pub attachment_origins: Vec<String>,
    /// Whether the credentials are sent to `attachment_origins`, too.
    pub attachment_origins_trusted: bool,
    /// The reports that are taken in; every DiagnosticReport and DocumentReference if not set.
    pub listen: Vec<Listen>,
    /// A file with the secret that notifications must carry; without it, none are accepted.
    pub hook_secret_file: Option<PathBuf>,
    /// The header that carries it: as it is, or after `Bearer `.
    pub hook_secret_header: String,
    /// What a notification's own resource is good for.
    pub payload: Payload,
    /// What is written back.
    pub write: Write,
    /// How often the source is searched for what was missed while notifications come, in seconds. 0: only when something
    /// points to a gap.
    pub catch_up_seconds: u64,
    /// How often it is searched where no Subscription is active, in seconds.
    pub poll_seconds: u64,
    /// How far a search reaches back before the moment up to which all was seen, in seconds: indexing may lag.
    pub overlap_seconds: u64,
    /// How far the first search reaches back: a FHIR date or dateTime; without it, from the start of the service on.
    pub since: Option<String>,
    /// Whether the first load uses `$export` where the source offers it.
    pub bulk: bool,
    /// Requests to it in a second, at most.
    pub requests_per_second_max: u32,
    /// Requests to it at a time, at most; also its jobs that are done side by side.
    pub requests_at_once_max: usize,
    /// How long one request may take, in seconds.
    pub request_seconds_max: u64,
    /// Largest answer that is read, in bytes.
    pub answer_bytes_max: usize,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            model: None,
            base_url: None,
            fhir_version: FhirVersion::R4,
            credentials: Credentials::None {},
            ca_file: None,
            client_certificate_file: None,
            attachment_origins: Vec::new(),
            attachment_origins_trusted: false,
            listen: Vec::new(),
            hook_secret_file: None,
            hook_secret_header: "Authorization".to_owned(),
            payload: Payload::ReadBack,
            write: Write::ObservationAndProvenance,
            catch_up_seconds: 900,
            poll_seconds: 30,
            overlap_seconds: 60,
            since: None,
            bulk: false,
            requests_per_second_max: 20,
            requests_at_once_max: 4,
            request_seconds_max: 30,
            answer_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// The version of FHIR that a source speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum FhirVersion {
    /// 4.0.1
    R4,
    /// 4.3.0
    R4B,
    /// 5.0.0
    R5,
}

/// How a source knows us. Secrets are read from files, so that they are neither in the settings nor in the environment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Credentials {
    /// It does not ask.
    None {},
    /// A header of a fixed name.
    Header {
        /// Like `X-Api-Key`.
        name: String,
        /// Holds its value.
        value_file: PathBuf,
    },
    /// `Authorization: Bearer …`.
    Bearer {
        /// Holds the token; read again after a 401.
        token_file: PathBuf,
    },
    /// SMART Backend Services: client credentials with a signed assertion (RS384 or ES384).
    Smart {
        /// As the source registered us.
        client_id: String,
        /// A PEM file with an RSA or P-384 private key (PKCS#8).
        private_key_file: PathBuf,
        /// The key's id in our JWKS, which `/.well-known/jwks.json` serves; its RFC 7638 thumbprint if not set.
        key_id: Option<String>,
        /// Where tokens are given; what `.well-known/smart-configuration` says if not set.
        token_url: Option<String>,
        /// Like `system/DiagnosticReport.rs system/Observation.cruds`; what the rest of the table needs if not set.
        scope: Option<String>,
    },
}

/// One kind of reports that are taken in. All that is set must hold; of a list, one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// `DiagnosticReport` or `DocumentReference`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// `category`: codes, or `system|code`.
    pub categories: Vec<String>,
    /// `code` of a DiagnosticReport, `type` of a DocumentReference: codes, or `system|code`.
    pub codes: Vec<String>,
    /// `status`; every one if not set.
    pub statuses: Vec<String>,
}

/// What a notification's own resource is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// It says what changed; the resource is read from the source, which cannot be forged.
    ReadBack,
    /// It is taken as the resource: fewer requests, and the secret is all that keeps a forged one out.
    Trust,
}

/// What is written back to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Write {
    /// Nothing: answers stay here.
    Nothing,
    /// Device and Observation.
    Observation,
    /// Device, Observation, and a Provenance for every version of it.
    ObservationAndProvenance,
}

/// The sources that there are: `local`, and those of the settings.
pub(super) fn names(sources: &BTreeMap<String, SourceConfig>) -> Vec<SourceName> {
    let configured = sources.keys().filter_map(|name| SourceName::new(name));
    let mut names: Vec<_> = configured.chain([SourceName::local()]).collect();
    names.sort();
    names.dedup();
    names
}
