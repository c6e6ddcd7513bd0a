//! `[sources.NAME]`: an EHR or FHIR server, what we listen to there and what we write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    /// Other base URLs by which it calls itself and its resources, as behind a proxy: they stand for `base_url` and are never
    /// asked.
    pub also_known_as: Vec<String>,
    /// Whether http is right although the source is on another machine: where a tunnel or a private network keeps it safe.
    pub insecure_http: bool,
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
    /// The canonical URL of the topic that our Subscriptions are of; one that fits, else search criteria, if not set.
    pub topic: Option<String>,
    /// How much our Subscriptions ask notifications to carry.
    pub payload_content: PayloadContent,
    /// The longest silence that our Subscriptions ask for, in seconds, where the source can promise one.
    pub heartbeat_seconds: u32,
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
            also_known_as: Vec::new(),
            insecure_http: false,
            fhir_version: FhirVersion::R4,
            credentials: Credentials::None {},
            ca_file: None,
            client_certificate_file: None,
            attachment_origins: Vec::new(),
            attachment_origins_trusted: false,
            listen: Vec::new(),
            hook_secret_file: None,
            hook_secret_header: "Authorization".to_owned(),
            topic: None,
            payload_content: PayloadContent::IdOnly,
            heartbeat_seconds: 300,
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

/// How much notifications are asked to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PayloadContent {
    /// That something happened: the source is searched.
    Empty,
    /// Which report: it is read.
    IdOnly,
    /// The report itself.
    FullResource,
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

/// Adds what is wrong with the sources, but those in `unread`; and but for what is in the files that they name: whoever reads those tells it.
pub(super) fn check(sources: &BTreeMap<String, SourceConfig>, unread: &[String], faults: &mut Vec<String>) {
    // A table that could not be read lacks everything: that is no fault of its own.
    for (name, settings) in sources.iter().filter(|(name, _)| !unread.contains(name)) {
        if SourceName::new(name).is_none() {
            faults.push(format!("[sources.{name}]: a name is 1 to 64 of lower-case letters, digits and \"-\""));
        }
        if name == SourceName::local().as_str() {
            let only_model = SourceConfig { model: settings.model.clone(), ..SourceConfig::default() };
            if *settings != only_model {
                faults.push("[sources.local]: our own API; of the settings of a source it has model only".to_owned());
            }
            continue;
        }
        let mut fault = |holds: bool, key: &str, wanted: &str| {
            if !holds {
                faults.push(format!("sources.{name}.{key}: {wanted}"));
            }
        };
        check_addresses(settings, &mut fault);
        check_credentials(&settings.credentials, &mut fault);
        check_numbers(settings, &mut fault);
        check_listen(settings, &mut fault);
        check_files(settings, &mut fault);
    }
}

type Fault<'a> = dyn FnMut(bool, &str, &str) + 'a;

/// A URL that we may ask: https, or http where nobody can listen on the way.
fn is_base(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        let here = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let safe = url.scheme() == "https" || url.scheme() == "http" && here;
        let clean =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        url.has_host() && safe && clean
    })
}

/// The same where the settings say that the way is safe.
fn is_allowed(text: &str, insecure: bool) -> bool {
    match text.strip_prefix("http://") {
        Some(rest) if insecure => is_base(&format!("https://{rest}")),
        _ => is_base(text),
    }
}

fn check_addresses(settings: &SourceConfig, fault: &mut Fault<'_>) {
    let insecure = settings.insecure_http;
    fault(
        settings.base_url.is_some(),
        "base_url",
        "it is needed: the FHIR base URL, like https://ehr.example.org/fhir",
    );
    fault(
        settings.base_url.as_deref().is_none_or(|url| is_allowed(url, insecure)),
        "base_url",
        "an absolute https URL without user, query and fragment, like https://ehr.example.org/fhir; \
         http only to this machine, or with insecure_http = true",
    );
    for url in &settings.also_known_as {
        // Never asked: http is as good as https.
        let plain = url.strip_prefix("http://").map(|rest| format!("https://{rest}"));
        fault(
            is_base(plain.as_deref().unwrap_or(url)),
            "also_known_as",
            "each an absolute http or https URL without user, query and fragment, like http://ehr.internal:9999/fhir",
        );
    }
    for origin in &settings.attachment_origins {
        let bare = url::Url::parse(origin).is_ok_and(|url| url.path() == "/");
        fault(
            bare && is_allowed(origin, insecure),
            "attachment_origins",
            "each an origin without a path, like https://files.example.org; http only to this machine, or with insecure_http = true",
        );
    }
    if let Some(since) = &settings.since {
        let date = since.split('T').next().unwrap_or_default();
        let digits = date.bytes().all(|b| b.is_ascii_digit() || b == b'-') && [4, 7, 10].contains(&date.len());
        fault(digits, "since", "a FHIR date or dateTime, like 2026-01-01");
    }
}

fn check_credentials(credentials: &Credentials, fault: &mut Fault<'_>) {
    match credentials {
        Credentials::None {} => {}
        Credentials::Header { name, value_file } => {
            fault(is_header(name), "credentials.name", "the name of an HTTP header, like X-Api-Key");
            fault(holds_secret(value_file), "credentials.value_file", "a file that can be read and holds one line");
        }
        Credentials::Bearer { token_file } => {
            fault(holds_secret(token_file), "credentials.token_file", "a file that can be read and holds one line");
        }
        Credentials::Smart { client_id, private_key_file: _, key_id, token_url, scope } => {
            fault(!client_id.trim().is_empty(), "credentials.client_id", "as the source registered us");
            fault(key_id.as_deref().is_none_or(|id| !id.trim().is_empty()), "credentials.key_id", "not empty");
            fault(scope.as_deref().is_none_or(|scope| !scope.trim().is_empty()), "credentials.scope", "not empty");
            let clean = |url: &str| {
                url::Url::parse(url).is_ok_and(|mut url| {
                    url.set_query(None);
                    is_base(url.as_str())
                })
            };
            fault(
                token_url.as_deref().is_none_or(clean),
                "credentials.token_url",
                "an absolute https URL, like https://login.example.org/token",
            );
        }
    }
}

fn check_numbers(settings: &SourceConfig, fault: &mut Fault<'_>) {
    let day = 24 * 3600;
    fault((1..=10_000).contains(&settings.requests_per_second_max), "requests_per_second_max", "between 1 and 10000");
    fault((1..=64).contains(&settings.requests_at_once_max), "requests_at_once_max", "between 1 and 64");
    fault((1..=600).contains(&settings.request_seconds_max), "request_seconds_max", "between 1 and 600 seconds");
    fault(
        (64 * 1024..=1024 * 1024 * 1024).contains(&settings.answer_bytes_max),
        "answer_bytes_max",
        "between 65536 and 1073741824 bytes",
    );
    fault(settings.catch_up_seconds <= day, "catch_up_seconds", "between 0 and 86400 seconds");
    fault((1..=day).contains(&settings.poll_seconds), "poll_seconds", "between 1 and 86400 seconds");
    fault((10..=86_400).contains(&settings.heartbeat_seconds), "heartbeat_seconds", "between 10 and 86400 seconds");
    fault(settings.overlap_seconds <= day, "overlap_seconds", "between 0 and 86400 seconds");
}

fn check_listen(settings: &SourceConfig, fault: &mut Fault<'_>) {
    for listen in &settings.listen {
        let known = ["DiagnosticReport", "DocumentReference"].contains(&listen.resource_type.as_str());
        fault(known, "listen.type", "DiagnosticReport or DocumentReference");
        let lists = [
            ("listen.categories", &listen.categories),
            ("listen.codes", &listen.codes),
            ("listen.statuses", &listen.statuses),
        ];
        for (key, codes) in lists {
            // They become part of a search: what a token cannot hold is a mistake here.
            let is_code = |code: &String| !code.trim().is_empty() && !code.contains([',', '$', '\\', ' ', '&']);
            fault(codes.iter().all(is_code), key, "each a code, or system|code, without blanks and commas");
        }
    }
}

fn check_files(settings: &SourceConfig, fault: &mut Fault<'_>) {
    if let Some(file) = &settings.hook_secret_file {
        let secret = std::fs::read_to_string(file).ok();
        fault(
            secret.as_deref().is_some_and(|secret| hook_secret(secret).is_some()),
            "hook_secret_file",
            "a file that can be read and holds one line of at least 16 characters: whoever guesses it can notify us \
             (openssl rand -hex 32 makes one)",
        );
    }
    fault(
        is_header(&settings.hook_secret_header),
        "hook_secret_header",
        "the name of an HTTP header, like Authorization",
    );
}

/// A token of RFC 9110, 5.6.2.
fn is_header(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(allowed)
}

/// Whether a file holds one line that a header can carry.
fn holds_secret(file: &Path) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| !text.trim().is_empty() && is_one_line(text.trim()))
}

fn is_one_line(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

/// Fewest characters of the secret that notifications carry: it is all that keeps others out.
const HOOK_SECRET_CHARACTERS_MIN: usize = 16;

/// The secret that the text of a `hook_secret_file` is; none if it cannot be one.
pub fn hook_secret(text: &str) -> Option<&str> {
    let text = text.trim();
    (text.len() >= HOOK_SECRET_CHARACTERS_MIN && is_one_line(text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    #[test]
    fn a_source_with_a_base_url_is_all_that_is_needed() {
        for url in
            ["https://ehr.example.org/fhir", "http://127.0.0.1:8090/fhir", "http://[::1]/", "http://localhost/r4"]
        {
            let config = load(&format!("[sources.ehr]\nbase_url = \"{url}\"")).expect("no faults");
            assert_eq!(config.sources["ehr"].base_url.as_deref(), Some(url));
        }
        let insecure = "[sources.ehr]\nbase_url = \"http://ehr.internal/fhir\"\ninsecure_http = true";
        load(insecure).expect("no faults");
    }

    #[test]
    fn a_table_with_an_unknown_key_has_that_fault_alone() {
        let toml = "[sources.bulk]\nbase_url = \"https://ehr.example.org/fhir\"\nbulk_load = true";
        let text = load(toml).expect_err("a fault").to_string();
        assert!(text.contains("1 fault") && text.contains("bulk_load"), "{text}");
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        for (secret, expected) in [("0123456789abcdef\n", true), ("0123456789abcde\n", false), ("", false)] {
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), secret).expect("written");
            let file = file.path().display();
            let loaded = load(&format!(
                "[sources.ehr]\nbase_url = \"https://ehr.example.org/fhir\"\nhook_secret_file = \"{file}\""
            ));
            match loaded {
                Ok(_) => assert!(expected, "{secret}"),
                Err(error) => assert!(!expected && error.to_string().contains("at least 16 characters"), "{error}"),
            }
        }
    }

    #[test]
    fn all_that_is_wrong_with_sources_is_told_at_once() {
        let toml = r#"
            [sources.Ehr]
            base_url = "http://ehr.example.org/fhir"
            attachment_origins = ["https://files.example.org/path", "ftp://x"]
            also_known_as = ["ehr.internal/fhir"]
            requests_per_second_max = 0
            hook_secret_file = "/nowhere"
            hook_secret_header = "not a header"
            since = "yesterday"
            credentials = { kind = "smart", client_id = "", private_key_file = "/nowhere", token_url = "http://login.example.org" }
            listen = [{ type = "Observation", categories = ["a,b"] }]
            [sources.b]
            credentials = { kind = "bearer", token_file = "/nowhere" }
            [sources.c]
            base_url = "https://user:secret@ehr.example.org/fhir"
            [sources.local]
            base_url = "https://ehr.example.org/fhir"
            "#;
        let text = load(toml).expect_err("faults").to_string();
        for part in [
            "[sources.Ehr]: a name",
            "sources.Ehr.base_url",
            "sources.Ehr.attachment_origins",
            "sources.Ehr.also_known_as",
            "sources.Ehr.requests_per_second_max",
            "sources.Ehr.hook_secret_file",
            "sources.Ehr.hook_secret_header",
            "sources.Ehr.since",
            "sources.Ehr.credentials.client_id",
            "sources.Ehr.credentials.token_url",
            "sources.Ehr.listen.type",
            "sources.Ehr.listen.categories",
            "sources.b.base_url: it is needed",
            "sources.b.credentials.token_file",
            "sources.c.base_url",
            "[sources.local]: our own API",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        assert!(!text.contains("secret@"), "{text}");
    }
}
