//! Sources: the EHRs and FHIR servers of the settings, as we ask them and write to them. The only outgoing HTTP.

mod breaker;
mod capability;
mod client;
mod contents;
mod credentials;
mod criteria;
mod error;
mod key;
mod listen;
mod message;
mod origin;
mod token;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

pub use capability::{Capability, Creation};
pub use client::ClientError;
pub use contents::Content;
pub use criteria::Criteria;
pub use error::{Fault, SourceError, Trouble};
pub use key::{KeyError, SigningKey};
pub use message::{Answer, FHIR_JSON, Outgoing};
pub use origin::Refused;
pub use write::{Created, LookedUp, Ours, Standing, Updated, says_the_same};

use capability::Learned;
use client::{Client, Parts};
use credentials::Holder;
use origin::{Allowed, Origins};
use token::{Held, Smart};

use crate::clock::Clock;
use crate::config::{Config, Credentials, SourceConfig, Write};
use crate::domain::document::{ResourceType, SourceName};
use crate::fhir::reference::BaseUrl;

/// How often it is looked what a source can do: it may be updated.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// How often, while it could not be found out.
const LOOK_AGAIN_AWAY: Duration = Duration::from_secs(15);

/// All sources that have a base URL, by name.
#[derive(Clone, Default)]
pub struct Sources {
    sources: Arc<BTreeMap<SourceName, Arc<Source>>>,
}

impl Sources {
    /// Builds those of the settings. Settings without faults have what it takes, unless a file has changed since.
    pub fn build(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, ClientError> {
        let mut sources = BTreeMap::new();
        for (name, settings) in &config.sources {
            let Some((name, base)) = SourceName::new(name).zip(settings.base_url.as_deref()) else { continue };
            let built = Source::build(&name, settings, base, clock)
                .map_err(|ClientError(why)| ClientError(format!("[sources.{}]: {why}", name.as_str())))?;
            sources.insert(name, Arc::new(built));
        }
        Ok(Self { sources: Arc::new(sources) })
    }

    /// What is wrong with the files that the settings name: all of it.
    pub fn check(config: &Config) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, settings) in &config.sources {
            let mut fault = |key: &str, why: String| faults.push(format!("sources.{name}.{key}: {why}"));
            if let Credentials::Smart { private_key_file, key_id, .. } = &settings.credentials
                && let Err(error) = SigningKey::load(private_key_file, key_id.as_deref())
            {
                fault("credentials.private_key_file", error.to_string());
            }
            if let Some(Err(ClientError(why))) = settings.ca_file.as_deref().map(client::certificates) {
                fault("ca_file", why);
            }
            if let Some(Err(ClientError(why))) = settings.client_certificate_file.as_deref().map(client::identity) {
                fault("client_certificate_file", why);
            }
        }
        faults
    }

    /// Looks what each source can do, and again from time to time. One that is away is asked again; the service does not
    /// wait for it.
    pub async fn discover(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for source in self.iter().cloned() {
            tasks.spawn(look_at(source, stop.clone()));
        }
        stop.cancelled().await;
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// The source of this name; none for `local`, which is nowhere else.
    pub fn get(&self, name: &SourceName) -> Option<&Arc<Source>> {
        self.sources.get(name)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.sources.values()
    }

    /// The public keys by which sources know us (RFC 7517).
    pub fn jwks(&self) -> Value {
        let mut keys: Vec<Value> = Vec::new();
        for key in self.iter().filter_map(|source| source.key.as_ref()) {
            let jwk = key.jwk();
            if !keys.contains(&jwk) {
                keys.push(jwk);
            }
        }
        json!({ "keys": keys })
    }
}

/// One EHR or FHIR server.
pub struct Source {
    /// As the settings name it.
    pub name: SourceName,
    /// `[sources.NAME]`
    pub settings: SourceConfig,
    base: BaseUrl,
    client: Client,
    key: Option<Arc<SigningKey>>,
    learned: Learned,
    /// Held by whoever creates what all jobs of this source share.
    pub creating: tokio::sync::Mutex<()>,
}

impl Source {
    fn build(
        name: &SourceName,
        settings: &SourceConfig,
        base: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let parse = |url: &str| Url::parse(url).map_err(|_| ClientError("an address is no URL".to_owned()));
        let base_url = parse(base)?;
        let others = settings.attachment_origins.iter().map(|url| parse(url)).collect::<Result<Vec<_>, _>>()?;
        let known_as = settings.also_known_as.iter().map(|url| parse(url)).collect::<Result<Vec<_>, _>>()?;
        let (key, smart) = smart(settings, clock)?;
        let token_origin = match &settings.credentials {
            Credentials::Smart { token_url: Some(url), .. } => Some(parse(url)?.origin()),
            _ => None,
        };
        let breakers = [base_url.origin()].into_iter().chain(others.iter().map(Url::origin)).chain(token_origin);
        let parts = Parts {
            name: Arc::from(name.as_str()),
            origins: Origins::new(&base_url, &others, settings.attachment_origins_trusted).also_known_as(known_as),
            breakers: breakers.collect(),
            holder: Holder::new(&settings.credentials, smart),
            scope: scope(settings),
            clock: Arc::clone(clock),
        };
        Ok(Self {
            name: name.clone(),
            base: BaseUrl::new(base).also_known_as(&settings.also_known_as),
            client: Client::new(settings, parts)?,
            key,
            learned: Learned::default(),
            creating: tokio::sync::Mutex::new(()),
            settings: settings.clone(),
        })
    }

    /// Its base URL, with the others by which it calls itself.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// `GET {base}/{path}` as FHIR JSON. A 404 and every other refusal is an answer: see [`Answer::status`].
    pub async fn read(&self, path: &str) -> Result<Answer, SourceError> {
        self.send(Outgoing::get(path)).await
    }

    /// Reads an address that a resource or an answer named: a next page, an export's file. Only below the base URL, or
    /// of an origin that the settings name.
    pub async fn follow(&self, url: &str) -> Result<Answer, SourceError> {
        self.follow_as(url, FHIR_JSON).await
    }

    /// The same, for another media type.
    pub async fn follow_as(&self, url: &str, accept: &str) -> Result<Answer, SourceError> {
        let to = self.client.origins().named(url);
        self.ask(to, &Outgoing::get("").accept(accept)).await
    }

    /// Deletes what is at an address that an answer named, like an export that was read.
    pub async fn discard(&self, url: &str) -> Result<Answer, SourceError> {
        let to = self.client.origins().named(url);
        self.ask(to, &Outgoing::delete("")).await
    }

    /// Sends a request. Only what tells of the source itself is an error (no connection, 401, 429, 500 and above); what
    /// tells of the request (404, 409, 412, 422, …) is an answer.
    pub async fn send(&self, request: Outgoing) -> Result<Answer, SourceError> {
        self.ask(self.client.origins().below(&request.path), &request).await
    }

    async fn ask(&self, to: Result<Allowed, Refused>, request: &Outgoing) -> Result<Answer, SourceError> {
        match to {
            Ok(to) => self.client.send(to, request).await.map_err(|fault| self.error(fault)),
            Err(refused) => Err(self.error(refused.into())),
        }
    }

    /// The error of an answer that is not the one that was hoped for.
    pub fn refused(&self, answer: &Answer) -> SourceError {
        if answer.is_stray() {
            return self.error(Fault::Stray);
        }
        self.error(Fault::Refused { status: answer.status, issues: answer.issues() })
    }

    /// The error of an answer that is not what FHIR says. `what` is fixed text.
    pub fn unexpected(&self, what: &'static str) -> SourceError {
        self.error(Fault::Unexpected(what))
    }

    fn error(&self, fault: Fault) -> SourceError {
        SourceError { source_name: self.name.clone(), fault }
    }

    /// Whether reports of a type are taken in from it.
    pub fn listens_to_type(&self, resource_type: ResourceType) -> bool {
        let listen = &self.settings.listen;
        listen.is_empty() || listen.iter().any(|listen| listen.resource_type == resource_type.name())
    }

    /// How long it is left alone; none if it is asked. No job of it is claimed meanwhile.
    pub fn pause(&self) -> Option<Duration> {
        self.client.pause()
    }

    /// How it stands, in a word: `left-alone` because it did not answer, else by its last answer `answering` or `failing`,
    /// or `not-asked-yet`.
    pub fn state(&self) -> &'static str {
        if self.client.is_open() { "left-alone" } else { self.client.last() }
    }

    /// Whether the settings ask for a report like this one.
    pub fn listens_to(&self, report: &[u8]) -> bool {
        listen::listens_to(&self.settings.listen, report)
    }

    /// Whether answers are written back to it.
    pub fn writes(&self) -> bool {
        self.settings.write != Write::Nothing
    }
}

/// Tells in the log what a source cannot do, whenever that has changed.
async fn look_at(source: Arc<Source>, stop: CancellationToken) {
    let mut told: Option<Capability> = None;
    loop {
        let pause = match source.discover().await {
            Ok(capability) if told.as_ref() == Some(&capability) => LOOK_AGAIN,
            Ok(capability) => {
                let version = capability.fhir_version.as_deref().unwrap_or("unknown");
                info!(source = source.name.as_str(), fhir = version, "a source answers");
                for finding in &capability.findings {
                    warn!(source = source.name.as_str(), finding, "a source lacks something");
                }
                told = Some(capability);
                LOOK_AGAIN
            }
            Err(error) => {
                warn!(error = %error, "what a source can do is not known yet");
                source.pause().unwrap_or(LOOK_AGAIN_AWAY).max(LOOK_AGAIN_AWAY)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn smart(
    settings: &SourceConfig,
    clock: &Arc<dyn Clock>,
) -> Result<(Option<Arc<SigningKey>>, Option<Smart>), ClientError> {
    let Credentials::Smart { client_id, private_key_file, key_id, token_url, scope } = &settings.credentials else {
        return Ok((None, None));
    };
    let key = SigningKey::load(private_key_file, key_id.as_deref())
        .map_err(|error| ClientError(format!("credentials.private_key_file: {error}")))?;
    let key = Arc::new(key);
    let smart = Smart {
        client_id: client_id.clone(),
        key: Arc::clone(&key),
        token_url: token_url.clone(),
        scope: scope.clone(),
        clock: Arc::clone(clock),
        held: tokio::sync::Mutex::new(Held::default()),
    };
    Ok((Some(key), Some(smart)))
}

/// The scopes that the settings need, in the form of SMART App Launch 2 (`system/Type.cruds`).
fn scope(settings: &SourceConfig) -> String {
    let listened =
        |name: &str| settings.listen.is_empty() || settings.listen.iter().any(|listen| listen.resource_type == name);
    let reads = ["DiagnosticReport", "DocumentReference"].into_iter().filter(|name| listened(name));
    let mut scopes: Vec<String> = reads.map(|name| format!("system/{name}.rs")).collect();
    scopes.extend(["system/Binary.rs", "system/Observation.rs", "system/Subscription.cruds"].map(ToOwned::to_owned));
    if settings.write != Write::Nothing {
        scopes.retain(|scope| scope != "system/Observation.rs");
        scopes.extend(["Observation", "Device"].map(|name| format!("system/{name}.cruds")));
    }
    if settings.write == Write::ObservationAndProvenance {
        scopes.push("system/Provenance.cruds".to_owned());
    }
    scopes.join(" ")
}
