//! A patient's view: what the reports say, one after the other, and the newest of each kind.

use std::collections::BTreeSet;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::response::{BundleView, EntryView, accepts_json, raw};
use super::reviews::Narratives;
use super::search;
use crate::domain::date::precision;
use crate::domain::document::{Effective, LogicalId, SourceName};
use crate::domain::label::Category;
use crate::domain::observation::{Answer, CodePoints, EvidencePlace, Kind};
use crate::domain::timeline::{best, conflicts, first_progression};
use crate::store::{CodeFilter, ObservationFilter, Order};

/// Days within which two reports that contradict each other are told, if the client does not say.
const CONFLICT_DAYS_DEFAULT: i64 = 14;
/// Most days: a year is no longer one time.
const CONFLICT_DAYS_MAX: i64 = 366;
/// Answers that are read at a time.
const PAGE: usize = 500;

/// What a timeline is asked for.
struct Asked {
    patients: Vec<String>,
    filter: ObservationFilter,
    conflict_days: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TimelineView {
    patients: Vec<String>,
    sources: Vec<String>,
    responses: Vec<ResponseView>,
    undated: Vec<ResponseView>,
    best: Option<PointView>,
    first_progression: Option<PointView>,
    conflicts: Vec<ConflictView>,
    conflict_days: i64,
}

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum EffectiveView {
    DateTime(String),
    Period { start: Option<String>, end: Option<String> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PersonView {
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseView {
    effective: Option<EffectiveView>,
    precision: Option<&'static str>,
    label: &'static str,
    category: &'static str,
    status: &'static str,
    confidence: Option<f32>,
    confirmed_by: Option<PersonView>,
    evidence: Vec<String>,
    source: String,
    report: String,
    report_version: i32,
    /// Reports with the same attachment, for which the answer stands too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    linked: Vec<String>,
    report_kind: Option<&'static str>,
    observation: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PointView {
    label: &'static str,
    category: &'static str,
    effective: Option<EffectiveView>,
    report: String,
    observation: String,
}

#[derive(Serialize)]
struct ConflictView {
    days: i64,
    observations: [String; 2],
}

/// `GET /patients/{id}/timeline`: of a patient whom reports call `Patient/{id}`.
pub async fn of_patient(api: Data<Api>, request: HttpRequest, path: Path<String>) -> Result<HttpResponse, ApiError> {
    LogicalId::new(&path).ok_or(ApiError::NotFound)?;
    answer(&api, asked(&api, request.query_string(), vec![format!("Patient/{path}")])?).await
}

/// `GET /patients/timeline?patient=…`: of a patient by reference; several references are the same person's.
pub async fn of_references(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    answer(&api, asked(&api, request.query_string(), Vec::new())?).await
}

fn asked(api: &Api, query: &str, mut patients: Vec<String>) -> Result<Asked, ApiError> {
    let (mut sources, mut conflict_days) = (Vec::new(), CONFLICT_DAYS_DEFAULT);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "patient" if !value.is_empty() && !value.contains('\0') => {
                patients.extend(value.split(',').map(str::to_owned));
            }
            "patient" => return Err(ApiError::SearchValue("patient")),
            "source" => {
                sources.extend(search::sources(&value)?);
            }
            "conflict-days" => {
                let days = value.parse().ok().filter(|days| (0..=CONFLICT_DAYS_MAX).contains(days));
                conflict_days = days.ok_or(ApiError::SearchValue("conflict-days"))?;
            }
            _ => return Err(ApiError::SearchParameter("patient, source, conflict-days")),
        }
    }
    if patients.is_empty() {
        return Err(ApiError::SearchValue("patient"));
    }
    let bases = &api.bases;
    let subjects = patients.iter().flat_map(|patient| search::subjects(patient, true, bases));
    let filter = ObservationFilter {
        subjects: vec![subjects.collect()],
        // Two sources may each have a Patient/1: they are not taken for one without being asked to.
        sources: Some(sources).filter(|sources| !sources.is_empty()),
        codes: vec![CodeFilter { response: true, ..CodeFilter::default() }],
        statuses: Some(vec!["preliminary".to_owned(), "final".to_owned()]),
        ..ObservationFilter::default()
    };
    Ok(Asked { patients, filter, conflict_days })
}

async fn answer(api: &Api, asked: Asked) -> Result<HttpResponse, ApiError> {
    api.of_one_source(&asked.filter).await?;
    let answers = all(api, &asked.filter).await?;
    let (mut responses, mut undated, mut narratives) = (Vec::new(), Vec::new(), Narratives::default());
    for answer in &answers {
        let evidence = match answer.kind {
            Kind::Answer => narratives.quotes(api, answer.narrative, &ranges(&answer.evidence)).await?,
            Kind::Corrected | Kind::DiseaseStatus => Vec::new(),
        };
        let dated = answer.about.effective.as_ref().is_some_and(|effective| effective.bounds().is_some());
        if dated { &mut responses } else { &mut undated }.push(response(api, answer, evidence));
    }
    let name = |at: usize| api.base.join(&format!("Observation/{}", answers[at].observation_id));
    let conflicts = conflicts(&answers, asked.conflict_days).into_iter();
    let found =
        || answers.iter().map(|answer| answer.report.source.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let sources: Vec<SourceName> = asked.filter.sources.unwrap_or_else(found);
    Ok(HttpResponse::Ok().json(TimelineView {
        best: best(&answers).map(|at| point(api, &answers[at])),
        first_progression: first_progression(&answers).map(|at| point(api, &answers[at])),
        conflicts: conflicts
            .map(|conflict| ConflictView {
                days: conflict.days,
                observations: [name(conflict.first), name(conflict.second)],
            })
            .collect(),
        conflict_days: asked.conflict_days,
        patients: asked.patients,
        sources: sources.iter().map(|source| source.as_str().to_owned()).collect(),
        responses,
        undated,
    }))
}

/// All that match, the earliest first; what has no date at the end.
async fn all(api: &Api, filter: &ObservationFilter) -> Result<Vec<Answer>, ApiError> {
    let (mut answers, mut after) = (Vec::new(), None);
    loop {
        let page = api.store.search_observations(filter, Order::EarliestFirst, after.as_ref(), PAGE).await?;
        answers.extend(page.answers);
        after = page.next;
        if after.is_none() {
            return Ok(answers);
        }
    }
}

fn effective(answer: &Answer) -> Option<EffectiveView> {
    answer.about.effective.clone().map(|effective| match effective {
        Effective::DateTime(text) => EffectiveView::DateTime(text),
        Effective::Period { start, end } => EffectiveView::Period { start, end },
    })
}

fn response(api: &Api, answer: &Answer, evidence: Vec<String>) -> ResponseView {
    let by_machine = answer.kind == Kind::Answer;
    let known_at = answer.about.effective.as_ref().and_then(Effective::known_at);
    let base = api.bases.of(&answer.report.source);
    ResponseView {
        effective: effective(answer),
        precision: known_at.map(precision),
        label: answer.label.code(),
        category: category(answer),
        status: if answer.performer.is_some() { "final" } else { "preliminary" },
        confidence: by_machine.then(|| answer.confidence.get()),
        confirmed_by: answer.performer.as_ref().map(|person| PersonView {
            reference: base.absolute(&person.practitioner).unwrap_or_default(),
            name: person.name.clone(),
            at: crate::clock::instant(answer.stated_at),
        }),
        evidence,
        source: answer.report.source.as_str().to_owned(),
        report: api.report_url(&answer.report),
        report_version: answer.document_version,
        linked: answer.linked.iter().map(|report| api.report_url(report)).collect(),
        report_kind: answer.about.kind.map(crate::domain::document::ReportKind::code),
        observation: api.base.join(&format!("Observation/{}", answer.observation_id)),
    }
}

fn point(api: &Api, answer: &Answer) -> PointView {
    PointView {
        label: answer.label.code(),
        category: category(answer),
        effective: effective(answer),
        report: api.report_url(&answer.report),
        observation: api.base.join(&format!("Observation/{}", answer.observation_id)),
    }
}

/// `none`: a person has given the label alone.
fn category(answer: &Answer) -> &'static str {
    if answer.category == Category::None { "none" } else { answer.category.code() }
}

/// `GET /fhir/Observation/$lastn?patient=…`: of each code the newest `max` that stand (FHIR R4, operation `lastn`).
pub async fn lastn(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    accepts_json(request.headers())?;
    let (mut max, mut rest) = (1, url::form_urlencoded::Serializer::new(String::new()));
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        match name.as_ref() {
            "max" => max = value.parse().ok().filter(|max| *max > 0).ok_or(ApiError::SearchValue("max"))?,
            "_sort" | "_count" | "_page" => return Err(ApiError::SearchParameter("those of a search, and max")),
            _ => drop(rest.append_pair(&name, &value)),
        }
    }
    let mut filter = search::parse(&rest.finish(), &api.bases, false)?.filter;
    if filter.subjects.is_empty() {
        return Err(ApiError::SearchValue("patient"));
    }
    api.of_one_source(&filter).await?;
    if filter.statuses.is_none() {
        // What was taken back is not the last word.
        filter.statuses = Some(vec!["preliminary".to_owned(), "final".to_owned()]);
    }
    let mut entries = Vec::new();
    for code in [
        CodeFilter { response: true, ..CodeFilter::default() },
        CodeFilter { disease_status: true, ..CodeFilter::default() },
    ] {
        let mut filter = filter.clone();
        filter.codes.push(code);
        for answer in api.store.search_observations(&filter, Order::LatestFirst, None, max).await?.answers {
            let url = api.base.join(&format!("Observation/{}", answer.observation_id));
            entries.push(EntryView::matched(url, raw(api.observation(&answer)?)));
        }
    }
    let total = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let query = request.query_string();
    let link = api.base.join(&format!("Observation/$lastn?{query}"));
    Ok(BundleView::new("searchset", entries).total(total).link("self", link).respond())
}

/// Where the evidence stands in the narrative.
fn ranges(evidence: &[EvidencePlace]) -> Vec<CodePoints> {
    evidence.iter().map(|place| place.narrative).collect()
}
