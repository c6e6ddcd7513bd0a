//! The sources: how each of them stands, what is asked of one by hand, and the keys by which they know us.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::Api;
use super::body::options;
use super::error::ApiError;
use super::heard::HeardView;
use super::reports::annotation_view;
use crate::clock::instant;
use crate::domain::document::{LogicalId, ReportKey, ResourceType, SourceName};
use crate::domain::job::JobKind;
use crate::source::Source;
use crate::store::{EmissionCounts, SourceJobs};

/// How long a source may keep our keys: a new one should be known within a few minutes.
const JWKS_SECONDS: &str = "public, max-age=300";

/// `GET /.well-known/jwks.json`: the public keys of all sources that use SMART Backend Services.
pub async fn jwks(api: Data<Api>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, JWKS_SECONDS))
        .body(api.sources.jwks().to_string())
}

/// `GET /sources`: how all of them stand.
pub async fn list(api: Data<Api>) -> Result<HttpResponse, ApiError> {
    let mut sources = Vec::new();
    for source in api.sources.iter() {
        sources.push(view(&api, source).await?);
    }
    Ok(HttpResponse::Ok().json(ListView { sources }))
}

/// `GET /sources/{name}`
pub async fn read(api: Data<Api>, name: Path<String>) -> Result<HttpResponse, ApiError> {
    let source = named(&api, &name)?;
    Ok(HttpResponse::Ok().json(view(&api, source).await?))
}

/// The body of `$replay`: which jobs.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayOptions {
    kind: Option<String>,
}

/// `POST /sources/{name}/$replay`: gives the source's jobs that were given up another chance.
pub async fn replay(
    api: Data<Api>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let asked: ReplayOptions = options(&request, payload).await?;
    let source = named(&api, &name)?;
    if asked.kind.as_deref().is_some_and(|kind| !JobKind::CODES.contains(&kind)) {
        return Err(ApiError::SearchValue("kind"));
    }
    let replayed = api.store.replay(Some(&source.name), asked.kind.as_deref()).await?;
    Ok(HttpResponse::Ok().json(ReplayView { replayed }))
}

/// The parameters of `$fetch`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchQuery {
    report: String,
}

/// The body of `$fetch`: nothing can be asked for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FetchOptions {}

/// `POST /sources/{name}/$fetch?report=Type/id`: reads a report from its source, as if it had told us of it.
pub async fn fetch(
    api: Data<Api>,
    request: HttpRequest,
    name: Path<String>,
    query: Result<Query<FetchQuery>, actix_web::Error>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let FetchOptions {} = options(&request, payload).await?;
    let query = query.map_err(|_| ApiError::SearchParameter("report"))?;
    let source = named(&api, &name)?;
    let Some(JobKind::Fetch(key)) = JobKind::fetch(source.name.clone(), &query.report) else {
        return Err(ApiError::SearchValue("report"));
    };
    api.store.ask_for(&key).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// `GET /sources/{name}/{type}/{id}/$annotation`: the state of the newest version of a source's report, and what the model
/// said of it. Also of a source that the settings no longer name.
pub async fn annotation(api: Data<Api>, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let (source, resource_type, id) = path.into_inner();
    let key = ReportKey {
        source: SourceName::new(&source).ok_or(ApiError::SourceUnknown)?,
        resource_type: ResourceType::from_name(&resource_type).ok_or(ApiError::ResourceType)?,
        logical_id: LogicalId::new(&id).ok_or(ApiError::NotFound)?,
    };
    annotation_view(&api, &key, None).await
}

fn named<'a>(api: &'a Api, name: &str) -> Result<&'a Source, ApiError> {
    let source = SourceName::new(name).and_then(|name| api.sources.get(&name));
    source.map(AsRef::as_ref).ok_or(ApiError::SourceUnknown)
}

async fn view(api: &Api, source: &Source) -> Result<SourceView, ApiError> {
    let capability = source.capability();
    let jobs = api.store.jobs_of(&source.name).await?;
    let counts = api.store.emission_counts(&source.name).await?;
    Ok(SourceView {
        name: source.name.as_str().to_owned(),
        base: source.base().as_str().to_owned(),
        state: source.state(),
        asked_again_in_seconds: source.pause().map(|pause| pause.as_secs_f64()),
        fhir_version: capability.as_ref().and_then(|capability| capability.fhir_version.clone()),
        findings: capability.map(|capability| capability.findings),
        creation: ["Observation", "Device", "Provenance"]
            .into_iter()
            .filter(|_| source.writes())
            .map(|name| CreationView { resource_type: name, way: source.creation(name).code() })
            .collect(),
        newest_report: api.store.newest_of(&source.name).await?.map(instant),
        heard: HeardView::of(&api.store, &source.name).await?,
        jobs: jobs.into_iter().map(JobsView::of).collect(),
        observations: ObservationsView::of(counts),
    })
}

#[derive(Serialize)]
struct ListView {
    sources: Vec<SourceView>,
}

#[derive(Serialize)]
struct ReplayView {
    replayed: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceView {
    name: String,
    base: String,
    /// `answering`, `failing`, `left-alone`, `not-asked-yet`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_again_in_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fhir_version: Option<String>,
    /// What we miss there, in words; absent before it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<String>>,
    /// How resources of ours are created there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    creation: Vec<CreationView>,
    /// When the newest version of a report of it was taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_report: Option<String>,
    #[serde(flatten)]
    heard: HeardView,
    jobs: Vec<JobsView>,
    observations: ObservationsView,
}

#[derive(Serialize)]
struct CreationView {
    #[serde(rename = "type")]
    resource_type: &'static str,
    way: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobsView {
    kind: String,
    waiting: i64,
    abandoned: i64,
    /// Of one that was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of the last try of one that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_reason: Option<String>,
}

impl JobsView {
    fn of(jobs: SourceJobs) -> Self {
        let SourceJobs { kind, waiting, abandoned, reason, waiting_reason } = jobs;
        Self { kind, waiting, abandoned, reason, waiting_reason }
    }
}

#[derive(Serialize)]
struct ObservationsView {
    written: i64,
    pending: i64,
    failed: i64,
}

impl ObservationsView {
    fn of(counts: EmissionCounts) -> Self {
        Self { written: counts.written, pending: counts.pending, failed: counts.failed }
    }
}
