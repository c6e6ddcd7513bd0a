//! `GET /reviews`: what waits for a person.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Api;
use super::error::ApiError;
use crate::clock::instant;
use crate::domain::observation::CodePoints;
use crate::store::{OpenReview, ReviewCursor, StoredNarrative};

/// Entries of a page, if the client does not say.
const COUNT_DEFAULT: usize = 50;
/// Most entries of a page: each quotes its narrative.
const COUNT_MAX: usize = 500;

/// The parameters of the queue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewsQuery {
    count: Option<usize>,
    after: Option<i64>,
}

#[derive(Serialize)]
struct ReviewsView {
    reviews: Vec<ReviewView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReviewView {
    reason: String,
    opened_at: String,
    source: String,
    report: String,
    report_version: i32,
    label: &'static str,
    category: &'static str,
    confidence: Option<f32>,
    evidence: Vec<String>,
    narrative: String,
    observation: Option<StandingView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StandingView {
    reference: String,
    etag: String,
    status: String,
    label: &'static str,
    category: &'static str,
}

/// `GET /reviews`: oldest first.
pub async fn list(
    api: Data<Api>,
    query: Result<Query<ReviewsQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let query = query.map_err(|_| ApiError::SearchParameter("count, after"))?.into_inner();
    let count = query.count.unwrap_or(COUNT_DEFAULT).clamp(1, COUNT_MAX);
    let open = api.store.open_reviews(query.after.map(ReviewCursor), count).await?;
    let next = open.last().filter(|_| open.len() == count).map(|last| format!("?count={count}&after={}", last.id));
    let mut narratives = Narratives::default();
    let mut reviews = Vec::with_capacity(open.len());
    for review in &open {
        let evidence = narratives.quotes(&api, review.narrative, &review.evidence).await?;
        reviews.push(view(&api, review, evidence));
    }
    Ok(HttpResponse::Ok().json(ReviewsView { reviews, next }))
}

fn view(api: &Api, review: &OpenReview, evidence: Vec<String>) -> ReviewView {
    ReviewView {
        reason: review.reason.clone(),
        opened_at: instant(review.opened_at),
        source: review.report.source.as_str().to_owned(),
        report: api.report_url(&review.report),
        report_version: review.document_version,
        label: review.label.code(),
        category: review.category.code(),
        confidence: review.confidence,
        evidence,
        narrative: api.base.join(&format!("Binary/{}", review.narrative)),
        observation: review.observation.as_ref().map(|(id, version, status, label, category)| StandingView {
            reference: api.base.join(&format!("Observation/{id}")),
            etag: super::response::etag(*version),
            status: status.clone(),
            label: label.code(),
            category: category.code(),
        }),
    }
}

/// Narratives that a page has quoted already: several answers may point into one.
#[derive(Default)]
pub struct Narratives(BTreeMap<Uuid, Option<StoredNarrative>>);

impl Narratives {
    /// What these ranges of a narrative quote.
    pub async fn quotes(&mut self, api: &Api, id: Uuid, ranges: &[CodePoints]) -> Result<Vec<String>, ApiError> {
        let narrative = match self.0.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(api.store.narrative(id).await?),
        };
        let narrative = narrative.as_ref();
        let quote = |range: &CodePoints| narrative.and_then(|narrative| narrative.quote(*range)).map(str::to_owned);
        Ok(ranges.iter().filter_map(quote).collect())
    }
}
