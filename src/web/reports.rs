//! Reports: receiving them, giving them back as they came, and telling what was made of them.

use actix_web::http::StatusCode;
use actix_web::http::header::IF_MATCH;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::Api;
use super::body::fhir_json;
use super::error::ApiError;
use super::response::{EntryView, Prefer, VersionHeaders, accepts_json, information, raw, resource, versioned};
use crate::clock::instant;
use crate::digest::sha256;
use crate::domain::annotation::Annotation;
use crate::domain::document::{Disposition, Document, LogicalId, ReportKey, ResourceType, SourceDocument, SourceName};
use crate::domain::label::{Label, Score};
use crate::domain::observation::{Answer, EvidencePlace, Kind, Standing, is_about_cancer, observation_id};
use crate::fhir::splice::{ServerMeta, served};
use crate::fhir::{author, report};
use crate::pipeline::Annotated;
use crate::receive::{self, ReceiveError};
use crate::store::{Condition, Precondition, Receipt, ReportVersion, StoredAnnotation, StoredNarrative};
use crate::view::{CoverageView, SourceView};

/// `POST /fhir/{type}`: takes a new report in.
pub async fn create(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let resource_type = ResourceType::from_name(&path).ok_or(ApiError::ResourceType)?;
    let condition = header(&request, "if-none-exist").map(condition).transpose()?;
    let body = fhir_json(&request, payload, api.body_bytes_max).await?;
    let logical_id = LogicalId::from_uuid(uuid::Uuid::new_v4());
    let key = ReportKey { source: SourceName::local(), resource_type, logical_id };
    let document = receive::first_version(key, body, Vec::new())?;
    let mut intake = api.store.intake(api.clock.now()).await?;
    let receipt = intake.create(document, condition).await?;
    intake.commit().await?;
    answer_write(&api, &request, receipt).await
}

/// `PUT /fhir/{type}/{id}`: takes the next version of a report in, or its first.
pub async fn update(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let key = report_key(&path)?;
    let precondition = precondition(header(&request, IF_MATCH.as_str()))?;
    let body = fhir_json(&request, payload, api.body_bytes_max).await?;
    let document = receive::next_version(key, body, Vec::new())?;
    let mut intake = api.store.intake(api.clock.now()).await?;
    let receipt = intake.update(document, precondition).await?;
    intake.commit().await?;
    answer_write(&api, &request, receipt).await
}

/// `DELETE /fhir/{type}/{id}`: keeps what was, and takes its answer back.
pub async fn delete(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let precondition = precondition(header(&request, IF_MATCH.as_str()))?;
    let mut intake = api.store.intake(api.clock.now()).await?;
    let receipt = intake.delete(report_key(&path)?, precondition).await?;
    intake.commit().await?;
    match receipt {
        Receipt::VersionConflict => Err(ApiError::VersionConflict),
        Receipt::Ambiguous
        | Receipt::Nothing
        | Receipt::Created(_)
        | Receipt::Updated(_)
        | Receipt::Unchanged(_)
        | Receipt::Found(_) => Ok(HttpResponse::NoContent().finish()),
    }
}

/// `GET /fhir/{type}/{id}`: the newest version as it was received, with our id and meta.
pub async fn read(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    accepts_json(request.headers())?;
    serve(&document(&api, &report_key(&path)?, None).await?)
}

/// `GET /fhir/{type}/{id}/_history/{version}`
pub async fn read_version(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    accepts_json(request.headers())?;
    let (key, version) = version_key(path.into_inner())?;
    serve(&document(&api, &key, Some(version)).await?)
}

/// `GET /fhir/{type}/{id}/$received`: the very bytes that were received.
pub async fn received(api: Data<Api>, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    Ok(received_bytes(document(&api, &report_key(&path)?, None).await?))
}

/// `GET /fhir/{type}/{id}/_history/{version}/$received`
pub async fn received_version(api: Data<Api>, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let (key, version) = version_key(path.into_inner())?;
    Ok(received_bytes(document(&api, &key, Some(version)).await?))
}

/// `GET /fhir/{type}/{id}/$annotation`: the state of the newest version, and what the model said of it.
pub async fn annotation(api: Data<Api>, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    annotation_view(&api, &report_key(&path)?, None).await
}

/// `GET /fhir/{type}/{id}/_history/{version}/$annotation`
pub async fn annotation_of_version(
    api: Data<Api>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (key, version) = version_key(path.into_inner())?;
    annotation_view(&api, &key, Some(version)).await
}

/// `POST /fhir/{type}/$annotate`: answers at once with a collection Bundle, and stores nothing.
pub async fn annotate(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let resource_type = ResourceType::from_name(&path).ok_or(ApiError::ResourceType)?;
    let body = fhir_json(&request, payload, api.body_bytes_max).await?;
    let source = report::read(&body).map_err(ReceiveError::Read)?;
    if source.resource_type != resource_type {
        return Err(ReceiveError::TypeDiffers.into());
    }
    let mut entries = Vec::new();
    if source.disposition == Disposition::Annotate {
        let unstored = source.clone();
        let annotated = api.pipeline.annotate(source).await?;
        entries.extend(unstored_answer(&api, &unstored, &annotated)?);
        entries.push(said(&annotated.annotation));
    } else {
        entries.push(entry(information("the report's status asks for no answer: nothing was annotated")));
    }
    Ok(super::response::BundleView::new("collection", entries).respond())
}

fn entry(json: String) -> EntryView {
    EntryView {
        full_url: Some(format!("urn:uuid:{}", uuid::Uuid::new_v4())),
        resource: Some(raw(json)),
        ..EntryView::default()
    }
}

/// Observation, Device and narrative of an answer that is not stored; nothing if none is stated.
fn unstored_answer(api: &Api, source: &SourceDocument, annotated: &Annotated) -> Result<Vec<EntryView>, ApiError> {
    let Annotated { narrative, annotation, model } = annotated;
    let (Some(confidence), false) = (annotation.confidence(), annotation.label == Label::NotStated) else {
        return Ok(Vec::new());
    };
    let now = api.clock.now();
    let logical_id = source.logical_id.clone().unwrap_or_else(|| LogicalId::from_uuid(uuid::Uuid::new_v4()));
    let report = ReportKey { source: SourceName::local(), resource_type: source.resource_type, logical_id };
    let answer = Answer {
        observation_id: observation_id(&report, sha256),
        kind: Kind::Answer,
        version: 1,
        standing: Standing::Preliminary,
        withdrawn: None,
        recorded_at: now,
        annotated_at: now,
        report,
        document_version: 1,
        source_version: None,
        about: source.about.clone(),
        narrative: uuid::Uuid::new_v4(),
        label: annotation.label,
        category: annotation.category,
        confidence,
        cancer: is_about_cancer(annotation.cancer.map(Score::get)),
        evidence: annotation.evidence.iter().map(|evidence| EvidencePlace::of(narrative, evidence.span)).collect(),
        model: model.version().clone(),
        performer: None,
        stated_at: now,
        decision: None,
        linked: Vec::new(),
    };
    let at = |relative: String, json: String| EntryView {
        full_url: Some(api.base.join(&relative)),
        resource: Some(raw(json)),
        ..EntryView::default()
    };
    let text = StoredNarrative { id: answer.narrative, text: narrative.text().to_owned(), created_at: now };
    Ok(vec![
        at(format!("Observation/{}", answer.observation_id), api.observation(&answer)?),
        at(format!("Device/{}", author::device_id(&answer.model)), super::models::device(model)?),
        at(format!("Binary/{}", answer.narrative), super::observations::binary(&text)),
    ])
}

/// What was read and what was not, and why there is no answer where there is none.
fn said(annotation: &Annotation) -> EntryView {
    let coverage = &annotation.coverage;
    let mut lines = vec![match (annotation.no_answer, annotation.confidence()) {
        (Some(reason), _) => format!("label {}: {}", annotation.label.code(), reason.code()),
        (None, Some(score)) if annotation.abstained() => {
            format!("no answer is given: the likeliest label's confidence is {:.4} only", score.get())
        }
        (None, Some(score)) => format!("label {}, confidence {:.4}", annotation.label.code(), score.get()),
        (None, None) => format!("label {}", annotation.label.code()),
    }];
    lines.extend(coverage.read.iter().map(|read| {
        let what = format!("read {} as {}, {} characters", read.origin, read.format, read.characters);
        std::iter::once(&what).chain(&read.notes).cloned().collect::<Vec<_>>().join("; ")
    }));
    lines.extend(coverage.unread.iter().map(|u| format!("not read {}: {}: {}", u.origin, u.reason.code(), u.detail)));
    entry(information(&lines.join("\n")))
}

/// The answer to a write, as its receipt says.
async fn answer_write(api: &Api, request: &HttpRequest, receipt: Receipt) -> Result<HttpResponse, ApiError> {
    let (status, said, version) = match receipt {
        Receipt::Created(version) => (StatusCode::CREATED, "created", version),
        Receipt::Updated(version) => (StatusCode::OK, "updated", version),
        Receipt::Unchanged(version) => (StatusCode::OK, "unchanged: the newest version has these bytes", version),
        Receipt::Found(version) => (StatusCode::OK, "found: nothing was created", version),
        Receipt::Ambiguous => return Err(ApiError::Ambiguous),
        Receipt::VersionConflict => return Err(ApiError::VersionConflict),
        Receipt::Nothing => return Err(ApiError::NotFound),
    };
    let mut response = versioned(status, headers(api, &version));
    Ok(match Prefer::of(request.headers()) {
        Prefer::Minimal => response.finish(),
        Prefer::Representation => {
            let stored = document(api, &version.key, Some(version.version)).await?;
            resource(response, served_text(&stored)?)
        }
        Prefer::OperationOutcome => resource(response, information(said)),
    })
}

fn headers(api: &Api, version: &ReportVersion) -> VersionHeaders {
    let location = api.base.join(&format!("{}/_history/{}", version.key.relative(), version.version));
    VersionHeaders { version: version.version, last_modified: version.received_at, location: Some(location) }
}

async fn document(api: &Api, key: &ReportKey, version: Option<i32>) -> Result<Document, ApiError> {
    let document = api.store.document(key, version).await?.ok_or(ApiError::NotFound)?;
    if document.deleted { Err(ApiError::Gone) } else { Ok(document) }
}

fn serve(document: &Document) -> Result<HttpResponse, ApiError> {
    let headers = VersionHeaders { version: document.version, last_modified: document.received_at, location: None };
    Ok(resource(versioned(StatusCode::OK, headers), served_text(document)?))
}

fn served_text(document: &Document) -> Result<String, ApiError> {
    let last_updated = instant(document.received_at);
    let meta = ServerMeta { id: &document.key.logical_id, version: document.version, last_updated: &last_updated };
    Ok(served(&document.received, meta, &document.links)?)
}

fn received_bytes(document: Document) -> HttpResponse {
    let headers = VersionHeaders { version: document.version, last_modified: document.received_at, location: None };
    let mut response = versioned(StatusCode::OK, headers);
    response.insert_header(("x-content-sha256", document.sha256.hex()));
    response.content_type("application/fhir+json").body(document.received)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnnotationView {
    version: i32,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The report with the same attachment whose annotation this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    linked_to: Option<String>,
    #[serde(flatten)]
    said: Option<SaidView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SaidView {
    label: &'static str,
    category: &'static str,
    confidence: Option<f32>,
    scores: Option<ScoresView>,
    cancer: Option<f32>,
    no_answer: Option<&'static str>,
    /// Whether the likeliest label was held back.
    abstained: bool,
    needs_review: bool,
    evidence: Vec<EvidenceView>,
    coverage: CoverageView,
    narrative: String,
    model: ModelView,
    annotated_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ScoresView {
    responded: f32,
    not_responded: f32,
    not_stated: f32,
}

/// Where the narrative says so, in Unicode code points, and where that stands in what was received.
#[derive(Serialize)]
struct EvidenceView {
    start: usize,
    end: usize,
    score: f32,
    text: String,
    source: Vec<SourceView>,
}

#[derive(Serialize)]
struct ModelView {
    id: String,
    version: String,
    sha256: String,
}

pub(super) async fn annotation_view(
    api: &Api,
    key: &ReportKey,
    version: Option<i32>,
) -> Result<HttpResponse, ApiError> {
    let StoredAnnotation { document_version, state, state_reason, linked_to, annotation } =
        api.store.annotation(key, version).await?.ok_or(ApiError::NotFound)?;
    let said = match annotation {
        None => None,
        Some(current) => {
            let narrative = api.store.narrative(current.narrative).await?.ok_or(ApiError::NotFound)?;
            let best = current.scores.map(|scores| scores.best());
            let quote = |(place, score): &(EvidencePlace, f32)| EvidenceView {
                start: place.narrative.offset,
                end: place.narrative.offset + place.narrative.length,
                score: *score,
                text: narrative.quote(place.narrative).unwrap_or_default().to_owned(),
                source: SourceView::all(&place.source),
            };
            Some(SaidView {
                label: current.label.code(),
                category: current.category.code(),
                confidence: current.scores.zip(best).map(|(scores, best)| scores.of(best).get()),
                scores: current.scores.map(|scores| ScoresView {
                    responded: scores.of(Label::Responded).get(),
                    not_responded: scores.of(Label::NotResponded).get(),
                    not_stated: scores.of(Label::NotStated).get(),
                }),
                cancer: current.cancer,
                no_answer: current.no_answer.map(crate::domain::annotation::NoAnswer::code),
                abstained: best.is_some_and(|best| best != current.label),
                needs_review: current.needs_review,
                evidence: current.evidence.iter().map(quote).collect(),
                coverage: current.coverage,
                narrative: api.base.join(&format!("Binary/{}", current.narrative)),
                model: ModelView {
                    id: current.model.id,
                    version: current.model.version,
                    sha256: current.model.sha256.hex(),
                },
                annotated_at: instant(current.created_at),
            })
        }
    };
    let linked_to = linked_to.map(|primary| api.report_url(&primary));
    Ok(HttpResponse::Ok().json(AnnotationView {
        version: document_version,
        state,
        reason: state_reason,
        linked_to,
        said,
    }))
}

fn report_key((resource_type, id): &(String, String)) -> Result<ReportKey, ApiError> {
    Ok(ReportKey {
        source: SourceName::local(),
        resource_type: ResourceType::from_name(resource_type).ok_or(ApiError::ResourceType)?,
        logical_id: LogicalId::new(id).ok_or(ApiError::NotFound)?,
    })
}

fn version_key((resource_type, id, version): (String, String, String)) -> Result<(ReportKey, i32), ApiError> {
    let version = version.parse().map_err(|_| ApiError::NotFound)?;
    Ok((report_key(&(resource_type, id))?, version))
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// `If-Match` of a request or an entry.
pub fn precondition(if_match: Option<&str>) -> Result<Precondition, ApiError> {
    match if_match.map(str::trim) {
        None => Ok(Precondition::None),
        Some("*") => Ok(Precondition::Exists),
        Some(etag) => super::response::version_of_etag(etag).map(Precondition::Version).ok_or(ApiError::IfMatch),
    }
}

/// `If-None-Exist` of a request or an entry: `identifier=system|value`, with or without a system.
pub fn condition(if_none_exist: &str) -> Result<Condition, ApiError> {
    let query = if_none_exist.split_once('?').map_or(if_none_exist, |(_, query)| query);
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    let (Some((name, token)), None) = (parameters.next(), parameters.next()) else {
        return Err(ApiError::Condition);
    };
    let (system, value) = match token.split_once('|') {
        Some((system, value)) => (Some(system.to_owned()), value),
        None => (None, token.as_ref()),
    };
    if name != "identifier" || value.is_empty() || token.contains('\0') {
        return Err(ApiError::Condition);
    }
    Ok(Condition { system, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_one_identifier() {
        let of = |text: &str| condition(text).ok().map(|c| (c.system, c.value));
        assert_eq!(of("identifier=urn:x|1"), Some((Some("urn:x".into()), "1".into())));
        assert_eq!(of("identifier=urn%3Ax%7C1"), Some((Some("urn:x".into()), "1".into())));
        assert_eq!(of("DiagnosticReport?identifier=1"), Some((None, "1".into())));
        assert_eq!(of("identifier=|1"), Some((Some(String::new()), "1".into())));
        for refused in ["", "identifier=", "status=final", "identifier=1&status=final"] {
            assert!(of(refused).is_none(), "{refused}");
        }
    }

    #[test]
    fn if_match_names_a_version() {
        for etag in ["W/\"3\"", "\"3\"", " W/\"3\" "] {
            assert_eq!(precondition(Some(etag)).ok(), Some(Precondition::Version(3)), "{etag}");
        }
        assert!(precondition(Some("W/\"abc\"")).is_err());
    }
}
