//! What we say: Observations with their history, Provenance, Device and the narrative that evidence points into.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use uuid::Uuid;

use super::Api;
use super::error::ApiError;
use super::response::{
    BundleView, EntryView, RequestView, ResponseView, VersionHeaders, accepts_json, etag, raw, resource, versioned,
};
use super::search::{self, next_query};
use crate::clock::instant;
use crate::domain::observation::{Answer, Standing};
use crate::fhir::author;
use crate::store::StoredNarrative;

/// `GET /fhir/Observation?…`
pub async fn search(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    answer_search(&api, &request, request.query_string()).await
}

/// `POST /fhir/Observation/_search`, with the parameters in the body, out of logs on the way.
pub async fn search_by_form(
    api: Data<Api>,
    request: HttpRequest,
    form: Result<String, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let form = form.map_err(|_| ApiError::SearchForm)?;
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        return Err(ApiError::MediaType);
    }
    answer_search(&api, &request, &form).await
}

async fn answer_search(api: &Api, request: &HttpRequest, query: &str) -> Result<HttpResponse, ApiError> {
    accepts_json(request.headers())?;
    let lenient = request
        .headers()
        .get_all("prefer")
        .any(|prefer| prefer.to_str().is_ok_and(|prefer| prefer.contains("handling=lenient")));
    let search = search::parse(query, &api.bases, lenient)?;
    api.of_one_source(&search.filter).await?;
    let page = api.store.search_observations(&search.filter, search.order, search.after.as_ref(), search.count).await?;
    let entries = page.answers.iter().map(|answer| {
        let url = api.base.join(&format!("Observation/{}", answer.observation_id));
        Ok(EntryView::matched(url, raw(api.observation(answer)?)))
    });
    let entries = entries.collect::<Result<Vec<_>, ApiError>>()?;
    let url = |query: &str| match query {
        "" => api.base.join("Observation"),
        query => api.base.join(&format!("Observation?{query}")),
    };
    let mut bundle = BundleView::new("searchset", entries).total(page.total).link("self", url(&search.query));
    if let Some(next) = &page.next {
        bundle = bundle.link("next", url(&next_query(&search, next)));
    }
    Ok(bundle.respond())
}

/// `GET /fhir/Observation/{id}`
pub async fn read(api: Data<Api>, request: HttpRequest, path: Path<String>) -> Result<HttpResponse, ApiError> {
    accepts_json(request.headers())?;
    serve(&api, &find(&api, &path, None).await?)
}

/// `GET /fhir/Observation/{id}/_history/{version}`
pub async fn read_version(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    accepts_json(request.headers())?;
    let version = path.1.parse().map_err(|_| ApiError::NotFound)?;
    serve(&api, &find(&api, &path.0, Some(version)).await?)
}

/// `GET /fhir/Observation/{id}/_history`
pub async fn history(api: Data<Api>, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let answers = api.store.observation_history(&path).await?;
    if answers.is_empty() {
        return Err(ApiError::NotFound);
    }
    let entries = answers.iter().map(|answer| {
        let relative = format!("Observation/{}", answer.observation_id);
        let created = answer.version == 1;
        Ok(EntryView {
            full_url: Some(api.base.join(&relative)),
            resource: Some(raw(api.observation(answer)?)),
            request: Some(RequestView { method: "PUT", url: relative }),
            response: Some(ResponseView {
                status: if created { "201 Created" } else { "200 OK" }.to_owned(),
                etag: Some(etag(answer.version)),
                last_modified: Some(instant(answer.recorded_at)),
                ..ResponseView::default()
            }),
            ..EntryView::default()
        })
    });
    let entries = entries.collect::<Result<Vec<_>, ApiError>>()?;
    let total = i64::try_from(answers.len()).unwrap_or(i64::MAX);
    Ok(BundleView::new("history", entries).total(total).respond())
}

/// `GET /fhir/Provenance/{id}`
pub async fn read_provenance(api: Data<Api>, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let (observation, version) = author::of_provenance(&path).ok_or(ApiError::NotFound)?;
    let answer = find(&api, &observation, Some(version)).await?;
    let headers = VersionHeaders { version: 1, last_modified: answer.recorded_at, location: None };
    Ok(resource(versioned(StatusCode::OK, headers), api.provenance(&answer)?))
}

/// The parameters of a search for Provenance.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenanceQuery {
    target: String,
}

/// `GET /fhir/Provenance?target=Observation/{id}`, with or without `/_history/{version}`: newest first.
pub async fn search_provenance(
    api: Data<Api>,
    query: Result<Query<ProvenanceQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let target = query.map_err(|_| ApiError::SearchParameter("target=Observation/{id}"))?.into_inner().target;
    let relative = target.strip_prefix(&format!("{}/", api.base.as_str())).unwrap_or(&target);
    let relative = relative.strip_prefix("Observation/").unwrap_or(relative);
    let (id, version) = match relative.split_once("/_history/") {
        Some((id, version)) => (id, Some(version.parse::<i32>().map_err(|_| ApiError::SearchValue("target"))?)),
        None => (relative, None),
    };
    let answers = api.store.observation_history(id).await?;
    let meant = answers.iter().filter(|answer| version.is_none_or(|version| version == answer.version));
    let entries = meant.map(|answer| {
        let url = api.base.join(&format!("Provenance/{}", author::provenance_id(answer)));
        Ok(EntryView::matched(url, raw(api.provenance(answer)?)))
    });
    let entries = entries.collect::<Result<Vec<_>, ApiError>>()?;
    let total = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    Ok(BundleView::new("searchset", entries).total(total).respond())
}

/// `GET /fhir/Device/{id}`: a model that has answered, or one that is loaded.
pub async fn read_device(api: Data<Api>, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let prefix = path.strip_prefix("model-").filter(|prefix| prefix.len() == 40).ok_or(ApiError::NotFound)?;
    let lineup = api.registry.lineup();
    let device = match lineup.models().find(|model| author::device_id(model.version()) == *path) {
        Some(loaded) => super::models::device(loaded)?,
        None => author::device(&api.store.model(prefix).await?.ok_or(ApiError::NotFound)?, None)?,
    };
    Ok(resource(HttpResponse::Ok(), device))
}

/// `GET /fhir/Binary/{id}`: a narrative. As a FHIR Binary if the client asks for FHIR, else as its text.
pub async fn read_narrative(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = Uuid::parse_str(&path).map_err(|_| ApiError::NotFound)?;
    let narrative = api.store.narrative(id).await?.ok_or(ApiError::NotFound)?;
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("json") {
        return Ok(resource(HttpResponse::Ok(), binary(&narrative)));
    }
    // As text and nothing else: a browser must not take a report for a page.
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header(("x-content-type-options", "nosniff"))
        .body(narrative.text))
}

/// A narrative as a FHIR Binary.
pub fn binary(narrative: &StoredNarrative) -> String {
    serde_json::json!({
        "resourceType": "Binary",
        "id": narrative.id.hyphenated().to_string(),
        "meta": {"lastUpdated": instant(narrative.created_at)},
        "contentType": "text/plain; charset=utf-8",
        "data": STANDARD.encode(&narrative.text),
    })
    .to_string()
}

pub(super) async fn find(api: &Api, id: &str, version: Option<i32>) -> Result<Answer, ApiError> {
    api.store.observation(id, version).await?.ok_or(ApiError::NotFound)
}

fn serve(api: &Api, answer: &Answer) -> Result<HttpResponse, ApiError> {
    debug_assert!(answer.standing != Standing::Absent, "a stored answer stands for something");
    let headers = VersionHeaders { version: answer.version, last_modified: answer.recorded_at, location: None };
    Ok(resource(versioned(StatusCode::OK, headers), api.observation(answer)?))
}
