//! Annotating what is stored again: beginning it, looking how far it is, stopping it.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Api;
use super::body::options;
use super::error::ApiError;
use super::models::VersionView;
use crate::clock::instant;
use crate::domain::date::period;
use crate::domain::document::SourceName;
use crate::domain::job::ReannotationId;
use crate::registry::Lineup;
use crate::store::{Reannotation, Scope};

/// Re-annotations that a list shows: the newest.
const COUNT_MAX: usize = 100;

/// The body of `$reannotate`: which documents.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginOptions {
    source: Option<String>,
    since: Option<String>,
}

/// `POST /models/{name}/$reannotate`: begins to annotate stored documents with the model.
pub async fn begin(
    api: Data<Api>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let asked: BeginOptions = options(&request, payload).await?;
    let lineup = api.registry.lineup();
    let model = lineup.named(&name).ok_or(ApiError::ModelUnknown)?;
    let scope = scope(asked, &lineup)?;
    let begun = api.store.begin_reannotation(&model.name, model.version(), &scope, api.clock.now()).await?;
    let begun = begun.ok_or(ApiError::Reannotating)?;
    let location = format!("/models/reannotations/{}", begun.id.0);
    Ok(HttpResponse::Accepted().insert_header((LOCATION, location)).json(ReannotationView::of(begun)))
}

/// `GET /models/reannotations`: the newest ones.
pub async fn list(api: Data<Api>) -> Result<HttpResponse, ApiError> {
    let reannotations = api.store.reannotations(COUNT_MAX).await?;
    let reannotations: Vec<_> = reannotations.into_iter().map(ReannotationView::of).collect();
    Ok(HttpResponse::Ok().json(ListView { reannotations }))
}

/// `GET /models/reannotations/{id}`
pub async fn read(api: Data<Api>, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let found = api.store.reannotation(parse(&id)?).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(ReannotationView::of(found)))
}

/// The body of `$cancel`: nothing can be asked for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelOptions {}

/// `POST /models/reannotations/{id}/$cancel`: stops it; what is done stays.
pub async fn cancel(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let CancelOptions {} = options(&request, payload).await?;
    let cancelled = api.store.cancel_reannotation(parse(&id)?, api.clock.now()).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(ReannotationView::of(cancelled)))
}

fn scope(asked: BeginOptions, lineup: &Lineup) -> Result<Scope, ApiError> {
    let source = asked.source.map(|source| SourceName::new(&source).ok_or(ApiError::SearchValue("source")));
    let source = source.transpose()?;
    if source.as_ref().is_some_and(|source| !lineup.sources().any(|(known, _)| known == source)) {
        return Err(ApiError::SearchValue("source"));
    }
    let since = asked.since.map(|since| period(&since).ok_or(ApiError::SearchValue("since")));
    Ok(Scope { source, since: since.transpose()?.map(|(start, _)| start) })
}

fn parse(id: &str) -> Result<ReannotationId, ApiError> {
    Uuid::parse_str(id).map(ReannotationId).map_err(|_| ApiError::NotFound)
}

#[derive(Serialize)]
struct ListView {
    reannotations: Vec<ReannotationView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReannotationView {
    id: String,
    model: NamedView,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    total: i64,
    done: i64,
    failed: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
}

#[derive(Serialize)]
struct NamedView {
    name: String,
    #[serde(flatten)]
    version: VersionView,
}

impl ReannotationView {
    fn of(run: Reannotation) -> Self {
        Self {
            id: run.id.0.hyphenated().to_string(),
            model: NamedView { name: run.model_name, version: VersionView::of(&run.model) },
            state: run.state.code(),
            reason: run.state_reason,
            total: run.total,
            done: run.done,
            failed: run.failed,
            source: run.scope.source.map(|source| source.as_str().to_owned()),
            since: run.scope.since.map(instant),
            created_at: instant(run.created_at),
            ended_at: run.ended_at.map(instant),
        }
    }
}
