//! A small FHIR server of the tests' own, with the habits that other servers have, and with faults on demand.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How this server does things.
#[derive(Clone, Debug)]
pub struct Habits {
    /// PUT to an id that is not there creates it; else it is answered with this.
    pub update_create: Result<(), u16>,
    /// If-None-Exist is honoured; else it is refused with 412.
    pub conditional_create: bool,
    /// What the CapabilityStatement says of the two, if that is not the truth.
    pub claims: Option<(bool, bool)>,
    /// `ETags` are UUIDs; else `W/"1"`.
    pub uuid_etags: bool,
    /// Answers to writes have a body.
    pub tells: bool,
    /// The bearer token that is asked for.
    pub token: Option<String>,
    /// What it does against the standard.
    pub oddities: Vec<Oddity>,
}

/// What a server may do against the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// If-None-Exist is not looked at: a create creates.
    IgnoresConditions,
    /// A PUT to an id that is not there creates it under another one.
    GivesOtherIds,
    /// `identifier` is not looked at in a search, which gives all in pages of so many.
    IgnoresIdentifier(usize),
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            update_create: Ok(()),
            conditional_create: true,
            claims: None,
            uuid_etags: false,
            tells: true,
            token: None,
            oddities: Vec::new(),
        }
    }
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is done, and the connection is closed without an answer.
    AnswerLost,
    /// It is done, and the answer does not come while the test lasts.
    AnswerHeld,
    /// It is not done, and the connection is closed.
    Refused,
    /// It is answered with a status and a header.
    Status(u16, &'static str, String),
    /// It is answered like this, and not done.
    Told(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// The body ends before its length.
    Truncated,
    /// Nothing comes for a while.
    Hangs(Duration),
}

/// A resource, its versions counted.
#[derive(Clone, Debug)]
struct Stored {
    resource: Value,
    version: u32,
    etag: String,
}

struct State {
    habits: Habits,
    resources: BTreeMap<String, Stored>,
    /// Other addresses: content type and bytes, for `Accept` values that hold the text.
    files: HashMap<String, Vec<(String, String, Vec<u8>)>>,
    faults: Vec<(String, Fault)>,
    /// Beginnings of lines that something before the server has no way for.
    no_way: Vec<&'static str>,
    asked: Vec<Asked>,
    created: usize,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub line: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// The server; it ends with the test's process.
#[derive(Clone)]
pub struct FhirServer {
    /// `http://127.0.0.1:…/tenant/fhir`
    pub base: String,
    /// `http://127.0.0.1:…`
    pub origin: String,
    state: Arc<Mutex<State>>,
}

/// Wraps a connection, for TLS.
pub type Wrap = Arc<dyn Fn(TcpStream) -> Option<Box<dyn Connection>> + Send + Sync>;

/// A connection, plain or not.
pub trait Connection: Read + Write + Send {}
impl<T: Read + Write + Send> Connection for T {}

const PATH: &str = "/tenant/fhir";

impl FhirServer {
    pub fn start(habits: Habits) -> Self {
        Self::start_wrapped(habits, "http", Arc::new(|stream: TcpStream| Some(Box::new(stream) as Box<dyn Connection>)))
    }

    pub fn start_wrapped(habits: Habits, scheme: &str, wrap: Wrap) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = if scheme == "https" { "localhost" } else { "127.0.0.1" };
        let origin = format!("{scheme}://{host}:{}", listener.local_addr().expect("an address").port());
        let state = State {
            habits,
            resources: BTreeMap::new(),
            files: HashMap::new(),
            faults: Vec::new(),
            no_way: Vec::new(),
            asked: Vec::new(),
            created: 0,
        };
        let server = Self { base: format!("{origin}{PATH}"), origin, state: Arc::new(Mutex::new(state)) };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serving, wrap) = (serving.clone(), Arc::clone(&wrap));
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    if let Some(mut stream) = wrap(stream) {
                        serving.serve(stream.as_mut());
                    }
                });
            }
        });
        server
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("a state")
    }

    /// Puts a resource there, as another client would.
    pub fn put(&self, resource: Value) {
        let mut state = self.state();
        let key = key(&resource);
        let version = state.resources.get(&key).map_or(1, |stored| stored.version + 1);
        state.store(&key, resource, version);
    }

    /// What lies at an address below the origin, for requests whose `Accept` holds `accept`.
    pub fn file(&self, path: &str, accept: &str, content_type: &str, bytes: &[u8]) {
        let file = (accept.to_owned(), content_type.to_owned(), bytes.to_vec());
        self.state().files.entry(path.to_owned()).or_default().push(file);
    }

    /// Lets the next request whose line begins so go wrong; one fault for each call.
    pub fn fail(&self, line: &str, fault: Fault) {
        self.state().faults.push((line.to_owned(), fault));
    }

    /// Lets requests whose lines begin so be answered by a gateway that has no way to the server, until told otherwise.
    pub fn no_way(&self, lines: &[&'static str]) {
        self.state().no_way = lines.to_vec();
    }

    /// How many requests came whose lines begin so.
    pub fn times(&self, line: &str) -> usize {
        let line = below(line);
        self.state().asked.iter().filter(|asked| asked.line.starts_with(&line)).count()
    }

    /// Faults that have not come up yet.
    pub fn faults_left(&self) -> usize {
        self.state().faults.len()
    }

    pub fn remove(&self, key: &str) {
        self.state().resources.remove(key);
    }

    /// All resources of a type, with their version numbers.
    pub fn all(&self, resource_type: &str) -> Vec<(Value, u32)> {
        let state = self.state();
        let prefix = format!("{resource_type}/");
        let found = state.resources.iter().filter(|(key, _)| key.starts_with(&prefix));
        found.map(|(_, stored)| (stored.resource.clone(), stored.version)).collect()
    }

    /// The only one of a type.
    #[track_caller]
    pub fn only(&self, resource_type: &str) -> (Value, u32) {
        let mut all = self.all(resource_type);
        assert_eq!(all.len(), 1, "{resource_type}: {all:#?}");
        all.remove(0)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    pub fn change_habits(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.state().habits);
    }

    fn serve(&self, stream: &mut dyn Connection) {
        let Some(asked) = read_request(stream) else { return };
        let fault = {
            let mut state = self.state();
            state.asked.push(asked.clone());
            let at = state.faults.iter().position(|(line, _)| asked.line.starts_with(&below(line)));
            let no_way = state.no_way.iter().any(|line| asked.line.starts_with(&below(line)));
            let no_way = no_way.then(|| Fault::Told(404, vec![("content-type", "text/html")], "<html>no route</html>"));
            no_way.or_else(|| at.map(|at| state.faults.remove(at).1))
        };
        match fault {
            None => write_answer(stream, &self.state().answer(&asked), false),
            Some(Fault::Refused) => {}
            Some(Fault::AnswerLost) => drop(self.state().answer(&asked)),
            Some(Fault::AnswerHeld) => {
                drop(self.state().answer(&asked));
                std::thread::sleep(Duration::from_mins(2));
            }
            Some(Fault::Hangs(time)) => {
                std::thread::sleep(time);
            }
            Some(Fault::Truncated) => write_answer(stream, &self.state().answer(&asked), true),
            Some(Fault::Status(status, name, value)) => {
                let answer = Reply { status, headers: vec![(name.to_owned(), value)], body: Vec::new() };
                write_answer(stream, &answer, false);
            }
            Some(Fault::Told(status, headers, body)) => {
                let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                write_answer(stream, &Reply { status, headers, body: body.into() }, false);
            }
        }
    }
}

struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn status(status: u16) -> Self {
        let outcome =
            json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]});
        let body = if status >= 400 { outcome.to_string().into_bytes() } else { Vec::new() };
        Self { status, headers: vec![("content-type".into(), "application/fhir+json".into())], body }
    }

    fn json(status: u16, body: &Value) -> Self {
        Self { body: body.to_string().into_bytes(), ..Self::status(status) }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl State {
    fn store(&mut self, key: &str, mut resource: Value, version: u32) -> Stored {
        let etag =
            if self.habits.uuid_etags { format!("\"{}\"", uuid::Uuid::new_v4()) } else { format!("W/\"{version}\"") };
        let (resource_type, id) = key.split_once('/').expect("Type/id");
        resource["resourceType"] = resource_type.into();
        resource["id"] = id.into();
        let time = time::OffsetDateTime::from_unix_timestamp(1_770_000_000 + i64::from(version)).expect("a time");
        let time = time.format(&time::format_description::well_known::Rfc3339).expect("a time");
        resource["meta"]["versionId"] = version.to_string().into();
        resource["meta"]["lastUpdated"] = time.into();
        let stored = Stored { resource, version, etag };
        self.resources.insert(key.to_owned(), stored.clone());
        stored
    }

    fn answer(&mut self, asked: &Asked) -> Reply {
        let mut words = asked.line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if let Some(token) = &self.habits.token
            && asked.headers.get("authorization") != Some(&format!("Bearer {token}"))
            && !target.starts_with("/files")
        {
            return Reply::status(401);
        }
        if let Some(files) = self.files.get(target) {
            let accept = asked.headers.get("accept").cloned().unwrap_or_default();
            let Some((_, content_type, bytes)) = files.iter().find(|(wanted, ..)| accept.contains(wanted)) else {
                return Reply::status(406);
            };
            return Reply {
                body: bytes.clone(),
                headers: vec![("content-type".into(), content_type.clone())],
                status: 200,
            };
        }
        let Some(path) = target.strip_prefix(PATH).map(|path| path.trim_start_matches('/').to_owned()) else {
            return Reply::status(404);
        };
        match (method, path.split_once('?')) {
            ("GET", None) if path == "metadata" => Reply::json(200, &self.statement()),
            ("GET", None) => match self.resources.get(&path) {
                Some(stored) => Reply::json(200, &stored.resource).with("etag", &stored.etag),
                None => Reply::status(404),
            },
            ("GET", Some((resource_type, query))) => self.search(resource_type, query),
            ("PUT", None) => self.update(&path, asked),
            ("POST", None) => self.create(&path, asked),
            _ => Reply::status(405),
        }
    }

    fn statement(&self) -> Value {
        let (update_create, conditional_create) =
            self.habits.claims.unwrap_or((self.habits.update_create.is_ok(), self.habits.conditional_create));
        let resource = |name: &str| {
            json!({
                "type": name, "updateCreate": update_create, "conditionalCreate": conditional_create,
                "interaction": [{"code": "read"}, {"code": "create"}, {"code": "update"}, {"code": "search-type"}],
                "searchParam": [{"name": "identifier"}, {"name": "_lastUpdated"}]
            })
        };
        let names = ["Observation", "Device", "Provenance", "DiagnosticReport", "DocumentReference", "Binary"];
        let resources: Vec<_> = names.into_iter().map(resource).collect();
        json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": resources}]})
    }

    fn search(&self, resource_type: &str, query: &str) -> Reply {
        for oddity in &self.habits.oddities {
            if let Oddity::IgnoresIdentifier(size) = oddity {
                return self.all_in_pages(resource_type, query, *size);
            }
        }
        let (name, value) = query.split_once('=').unwrap_or((query, ""));
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        let found = self.resources.iter().filter(|(key, stored)| {
            key.split('/').next() == Some(resource_type)
                && match name {
                    "identifier" => has_identifier(&stored.resource, &value),
                    "target" => {
                        stored.resource["target"][0]["reference"].as_str().is_some_and(|t| t.starts_with(&value))
                    }
                    _ => true,
                }
        });
        let entries: Vec<_> = found.map(|(_, stored)| json!({"resource": stored.resource})).collect();
        Reply::json(200, &json!({"resourceType": "Bundle", "type": "searchset", "entry": entries}))
    }

    fn all_in_pages(&self, resource_type: &str, query: &str, size: usize) -> Reply {
        let from: usize = query.rsplit_once("_from=").and_then(|(_, from)| from.parse().ok()).unwrap_or(0);
        let all: Vec<_> =
            self.resources.iter().filter(|(key, _)| key.split('/').next() == Some(resource_type)).collect();
        let page: Vec<_> =
            all.iter().skip(from).take(size).map(|(_, stored)| json!({"resource": stored.resource})).collect();
        let next = json!({"relation": "next", "url": format!("{resource_type}?_from={}", from + size)});
        let links: Vec<_> = (from + size < all.len()).then_some(next).into_iter().collect();
        Reply::json(200, &json!({"resourceType": "Bundle", "type": "searchset", "link": links, "entry": page}))
    }

    fn update(&mut self, path: &str, asked: &Asked) -> Reply {
        let Ok(resource) = serde_json::from_str::<Value>(&asked.body) else { return Reply::status(400) };
        if key(&resource) != path {
            return Reply::status(400);
        }
        let known = self.resources.get(path).cloned();
        match (&known, asked.headers.get("if-match"), self.habits.update_create) {
            (Some(known), Some(etag), _) if *etag != known.etag => return Reply::status(412),
            (None, Some(_), _) => return Reply::status(412),
            (None, None, Err(status)) => return Reply::status(status),
            _ => {}
        }
        if known.is_none() && self.habits.oddities.contains(&Oddity::GivesOtherIds) {
            let path = self.new_path(path.split('/').next().unwrap_or_default());
            let stored = self.store(&path, resource, 1);
            return self.told(201, &path, &stored);
        }
        let stored = self.store(path, resource, known.as_ref().map_or(1, |known| known.version + 1));
        self.told(if known.is_some() { 200 } else { 201 }, path, &stored)
    }

    fn create(&mut self, resource_type: &str, asked: &Asked) -> Reply {
        let Ok(resource) = serde_json::from_str::<Value>(&asked.body) else { return Reply::status(400) };
        if !resource["id"].is_null() {
            return Reply::status(400);
        }
        let condition =
            asked.headers.get("if-none-exist").filter(|_| !self.habits.oddities.contains(&Oddity::IgnoresConditions));
        if let Some(condition) = condition {
            if !self.habits.conditional_create {
                return Reply::status(412);
            }
            let value = condition.trim_start_matches("identifier=");
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
            let found = self.resources.iter().find(|(key, stored)| {
                key.starts_with(&format!("{resource_type}/")) && has_identifier(&stored.resource, &value)
            });
            if let Some((key, stored)) = found.map(|(key, stored)| (key.clone(), stored.clone())) {
                return self.told(200, &key, &stored);
            }
        }
        let path = self.new_path(resource_type);
        let stored = self.store(&path, resource, 1);
        self.told(201, &path, &stored)
    }

    fn new_path(&mut self, resource_type: &str) -> String {
        self.created += 1;
        format!("{resource_type}/{}", 1000 + self.created)
    }

    fn told(&self, status: u16, path: &str, stored: &Stored) -> Reply {
        let reply = if self.habits.tells { Reply::json(status, &stored.resource) } else { Reply::status(status) };
        let location = format!("http://ehr.example{PATH}/{path}/_history/{}", stored.version);
        reply.with("location", &location).with("etag", &stored.etag)
    }
}

/// A line of a request, with the path of the base.
fn below(line: &str) -> String {
    line.replacen(' ', &format!(" {PATH}/"), 1)
}

fn key(resource: &Value) -> String {
    let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text("resourceType"), text("id"))
}

fn has_identifier(resource: &Value, token: &str) -> bool {
    let identifiers = resource["identifier"].as_array().cloned().unwrap_or_default();
    identifiers.iter().any(|one| {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        format!("{}|{}", text("system"), text("value")) == token
    })
}

fn read_request(stream: &mut dyn Connection) -> Option<Asked> {
    let mut head = Vec::new();
    let mut byte = [0_u8];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Asked { at: Instant::now(), line, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn write_answer(stream: &mut dyn Connection, reply: &Reply, truncated: bool) {
    let mut head =
        format!("HTTP/1.1 {} X\r\nconnection: close\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head = head + name + ": " + value + "\r\n";
    }
    head.push_str("\r\n");
    let body = if truncated { &reply.body[..reply.body.len() / 2] } else { &reply.body[..] };
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
    let _ = stream.flush();
}
