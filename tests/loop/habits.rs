//! A small FHIR server with habits: what it searches by, what it refuses, where it breaks off.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::{Duration, OffsetDateTime};

/// What it makes of `_lastUpdated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastUpdated {
    #[default]
    Searched,
    Refused,
    Ignored,
}

/// One version of a report.
pub struct Version {
    pub updated_at: OffsetDateTime,
    /// Nothing if it was deleted.
    pub resource: Option<Value>,
}

/// What it holds and how it behaves.
#[derive(Default)]
pub struct State {
    pub reports: BTreeMap<String, Vec<Version>>,
    pub subscriptions: BTreeMap<String, Value>,
    pub topics: Vec<Value>,
    /// References of what happened, the first with number 1.
    pub events: Vec<String>,
    pub sends_events: bool,
    pub last_updated: LastUpdated,
    pub offers_history: bool,
    pub page_size: usize,
    /// Contents of Subscriptions that it refuses.
    pub refused_contents: Vec<&'static str>,
    /// Requests with this in their address are refused with 500.
    pub fails_at: Option<&'static str>,
    /// Requests with this in their address are refused with 403.
    pub forbids: Option<&'static str>,
    /// The base URL by which it names its pages, if it is another than the one that it is asked by.
    pub calls_itself: Option<&'static str>,
    /// The next page of every page is that page.
    pub goes_in_circles: bool,
    /// The lines of an export; none: it offers none.
    pub export: Option<String>,
    /// `METHOD path?query` of all that it was asked.
    pub requests: Vec<String>,
}

/// The server.
pub struct Ehr {
    pub base: String,
    state: Arc<Mutex<State>>,
}

impl Ehr {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}/fhir", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { page_size: 50, ..State::default() }));
        let (served, at) = (Arc::clone(&state), base.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (state, at) = (Arc::clone(&served), at.clone());
                std::thread::spawn(move || serve(&stream, &state, &at));
            }
        });
        Self { base, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a state")
    }

    /// Writes a report, as a person at the EHR would; its reference.
    pub fn write(&self, id: &str, report: &Value) -> String {
        self.write_at(id, report, now())
    }

    pub fn write_at(&self, id: &str, report: &Value, at: OffsetDateTime) -> String {
        let mut state = self.state();
        let reference = format!("{}/{id}", report["resourceType"].as_str().expect("a type"));
        let versions = state.reports.entry(reference.clone()).or_default();
        let mut resource = report.clone();
        resource["id"] = id.into();
        let at_text = at.format(&Rfc3339).expect("an instant");
        resource["meta"] = json!({"versionId": format!("v{}", versions.len() + 1), "lastUpdated": at_text});
        versions.push(Version { updated_at: at, resource: Some(resource) });
        state.events.push(reference.clone());
        reference
    }

    pub fn delete(&self, reference: &str) {
        let mut state = self.state();
        let version = Version { updated_at: now(), resource: None };
        state.reports.get_mut(reference).expect("a report").push(version);
        state.events.push(reference.to_owned());
    }

    /// How often an address with this in it was asked.
    pub fn asked(&self, part: &str) -> usize {
        self.state().requests.iter().filter(|request| request.contains(part)).count()
    }
}

struct Request {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    body: Value,
}

impl Request {
    fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn reply(status: u16, body: &Value) -> Reply {
    Reply { status, headers: Vec::new(), body: body.to_string() }
}

fn outcome(status: u16, code: &str) -> Reply {
    reply(status, &json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}))
}

fn serve(stream: &TcpStream, state: &Mutex<State>, base: &str) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = request(&mut reader, state) {
        let answer = answer(&request, &mut state.lock().expect("a state"), base);
        let date = now().format(&Rfc2822).expect("a date").replace("+0000", "GMT");
        let mut head = format!(
            "HTTP/1.1 {} OK\r\nContent-Type: application/fhir+json\r\nDate: {date}\r\nContent-Length: {}\r\n",
            answer.status,
            answer.body.len()
        );
        for (name, value) in &answer.headers {
            head = head + name + ": " + value + "\r\n";
        }
        if (&*stream).write_all(format!("{head}\r\n{}", answer.body).as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut BufReader<&TcpStream>, state: &Mutex<State>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let url = url::Url::parse(&format!("http://x{target}")).ok()?;
    let path = url.path().strip_prefix("/fhir").unwrap_or_default().trim_start_matches('/').to_owned();
    state.lock().expect("a state").requests.push(format!("{method} {}", target.trim_start_matches("/fhir/")));
    let query = url.query_pairs().into_owned().collect();
    Some(Request { method, path, query, body: serde_json::from_slice(&body).unwrap_or_default() })
}

fn answer(request: &Request, state: &mut State, base: &str) -> Reply {
    let parts: Vec<&str> = request.path.split('/').collect();
    let asked = format!("{}?{:?}", request.path, request.query);
    if state.fails_at.is_some_and(|part| asked.contains(part)) {
        return outcome(500, "exception");
    }
    if state.forbids.is_some_and(|part| asked.contains(part)) {
        return outcome(403, "forbidden");
    }
    let base = state.calls_itself.unwrap_or(base);
    match (request.method.as_str(), parts.as_slice()) {
        (_, ["metadata"]) => reply(200, &capability(state)),
        ("GET", ["Subscription"]) => {
            let entries: Vec<_> = state.subscriptions.values().map(|resource| json!({"resource": resource})).collect();
            reply(200, &json!({"resourceType": "Bundle", "type": "searchset", "entry": entries}))
        }
        ("POST", ["Subscription"]) => create(request, state, base),
        ("GET", ["Subscription", id]) => {
            state.subscriptions.get(*id).map_or(outcome(404, "not-found"), |s| reply(200, s))
        }
        ("PUT", ["Subscription", id]) => {
            // It takes itself for alive as soon as it is asked.
            let mut resource = request.body.clone();
            resource["status"] = "active".into();
            state.subscriptions.insert((*id).to_owned(), resource.clone());
            reply(200, &resource)
        }
        ("GET", ["Subscription", id, "$events"]) if state.sends_events => events(request, state, base, id),
        ("GET", ["SubscriptionTopic"]) => {
            let entries: Vec<_> = state.topics.iter().map(|resource| json!({"resource": resource})).collect();
            reply(200, &json!({"resourceType": "Bundle", "type": "searchset", "entry": entries}))
        }
        ("GET", ["$export"]) if state.export.is_some() => Reply {
            status: 202,
            headers: vec![("Content-Location", format!("{base}/export-status"))],
            body: String::new(),
        },
        ("GET", ["export-status"]) => {
            let now = now().format(&Rfc3339).expect("an instant");
            let output = json!([{"type": "DiagnosticReport", "url": format!("{base}/export-file")}]);
            reply(
                200,
                &json!({"transactionTime": now, "request": "x", "requiresAccessToken": true, "output": output, "error": []}),
            )
        }
        ("DELETE", ["export-status"]) => reply(202, &json!({})),
        ("GET", ["export-file"]) => {
            Reply { status: 200, headers: Vec::new(), body: state.export.clone().unwrap_or_default() }
        }
        ("GET", [kind @ ("DiagnosticReport" | "DocumentReference")]) => search(request, state, base, kind),
        ("GET", [kind, "_history"]) if state.offers_history => history(state, kind),
        ("GET", [_, _]) => match state.reports.get(&request.path).and_then(|versions| versions.last()) {
            Some(Version { resource: Some(resource), .. }) => reply(200, resource),
            Some(_) => outcome(410, "deleted"),
            None => outcome(404, "not-found"),
        },
        _ => outcome(404, "not-supported"),
    }
}

fn capability(state: &State) -> Value {
    let mut interactions = vec![json!({"code": "read"}), json!({"code": "search-type"})];
    if state.offers_history {
        interactions.push(json!({"code": "history-type"}));
    }
    let of = |kind: &str| json!({"type": kind, "interaction": interactions, "searchParam": [{"name": "_lastUpdated"}]});
    json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server",
        "resource": [of("DiagnosticReport"), of("DocumentReference"), {"type": "Binary", "interaction": [{"code": "read"}]}]}]})
}

fn create(request: &Request, state: &mut State, base: &str) -> Reply {
    let text = request.body.to_string();
    if state.refused_contents.iter().any(|content| text.contains(content)) {
        return outcome(422, "business-rule");
    }
    let id = format!("s{}", state.subscriptions.len() + 1);
    let mut resource = request.body.clone();
    resource["id"] = id.clone().into();
    resource["status"] = "active".into();
    state.subscriptions.insert(id.clone(), resource.clone());
    Reply {
        status: 201,
        headers: vec![("Location", format!("{base}/Subscription/{id}/_history/1"))],
        body: resource.to_string(),
    }
}

/// A topic's notification of these events, as R5 sends it.
pub fn notification(kind: &str, subscription: &str, total: usize, events: &[(usize, String)]) -> Value {
    let events: Vec<_> = events
        .iter()
        .map(|(number, focus)| json!({"eventNumber": number.to_string(), "focus": {"reference": focus}}))
        .collect();
    json!({"resourceType": "Bundle", "type": "subscription-notification", "entry": [{"fullUrl": "urn:uuid:1", "resource": {
        "resourceType": "SubscriptionStatus", "status": "active", "type": kind, "notificationEvent": events,
        "eventsSinceSubscriptionStart": total.to_string(), "subscription": {"reference": format!("Subscription/{subscription}")}}}]})
}

fn events(request: &Request, state: &State, base: &str, id: &str) -> Reply {
    let number = |name| request.value(name).and_then(|value| value.parse::<usize>().ok());
    let (since, until) = (number("eventsSinceNumber").unwrap_or(1), number("eventsUntilNumber").unwrap_or(usize::MAX));
    let numbered = state.events.iter().enumerate().map(|(index, reference)| (index + 1, format!("{base}/{reference}")));
    let events: Vec<_> = numbered.filter(|(number, _)| (since..=until).contains(number)).collect();
    reply(200, &notification("query-event", id, state.events.len(), &events))
}

fn search(request: &Request, state: &State, base: &str, kind: &str) -> Reply {
    let changed = request.value("_lastUpdated").filter(|_| state.last_updated != LastUpdated::Ignored);
    if (changed.is_some() || request.value("_sort").is_some()) && state.last_updated == LastUpdated::Refused {
        return outcome(400, "invalid");
    }
    let from = changed.and_then(|text| OffsetDateTime::parse(text.trim_start_matches("ge"), &Rfc3339).ok());
    let newest = state.reports.iter().filter(|(reference, _)| reference.starts_with(&format!("{kind}/")));
    let mut found: Vec<(&OffsetDateTime, &Value)> = newest
        .filter_map(|(_, versions)| versions.last())
        .filter(|version| from.is_none_or(|from| version.updated_at >= from))
        .filter_map(|version| Some((&version.updated_at, version.resource.as_ref()?)))
        .collect();
    found.sort_by_key(|(at, _)| std::cmp::Reverse(**at));
    let offset: usize = request.value("_offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let page: Vec<Value> =
        found.iter().skip(offset).take(state.page_size).map(|(_, resource)| (*resource).clone()).collect();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(request.query.iter().filter(|(name, _)| name != "_offset"));
    let mut links = vec![json!({"relation": "self", "url": format!("{base}/{kind}")})];
    if state.goes_in_circles || offset + page.len() < found.len() {
        let next = if state.goes_in_circles { offset } else { offset + page.len() };
        query.append_pair("_offset", &next.to_string());
        links.push(json!({"relation": "next", "url": format!("{base}/{kind}?{}", query.finish())}));
    }
    let entries: Vec<_> =
        page.into_iter().map(|resource| json!({"resource": resource, "search": {"mode": "match"}})).collect();
    reply(200, &json!({"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}))
}

fn history(state: &State, kind: &str) -> Reply {
    let mut entries = Vec::new();
    for (reference, versions) in
        state.reports.iter().filter(|(reference, _)| reference.starts_with(&format!("{kind}/")))
    {
        for version in versions.iter().rev() {
            let method = if version.resource.is_some() { "PUT" } else { "DELETE" };
            entries.push(json!({"resource": version.resource, "request": {"method": method, "url": reference}}));
        }
    }
    reply(200, &json!({"resourceType": "Bundle", "type": "history", "entry": entries}))
}

/// The time of this server.
#[expect(clippy::disallowed_methods, reason = "this server stands for another machine, with its own time")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// So long ago that no search of a service that has just started reaches it.
pub fn long_ago() -> OffsetDateTime {
    now() - Duration::days(30)
}
