//! What waits for a person: the queue of reviews.

use sqlx::Row;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{evidence, known, report_key};
use super::{Store, StoreError, while_doing};
use crate::domain::document::ReportKey;
use crate::domain::label::{Category, Label};
use crate::domain::observation::CodePoints;

/// A reading that waits for a person.
pub struct OpenReview {
    /// Its identity.
    pub id: i64,
    /// Why: `low-confidence`, `differs-from-final`, `report-changed`.
    pub reason: String,
    /// Since when.
    pub opened_at: OffsetDateTime,
    /// The report that was read.
    pub report: ReportKey,
    /// And its version.
    pub document_version: i32,
    /// What the machine says of it.
    pub label: Label,
    /// How.
    pub category: Category,
    /// The model's probability for that; none if it was not asked.
    pub confidence: Option<f32>,
    /// Where the narrative says so.
    pub evidence: Vec<CodePoints>,
    /// The narrative.
    pub narrative: Uuid,
    /// The report's answer, if it has one: id, version, status, label, category.
    pub observation: Option<(String, i32, String, Label, Category)>,
}

/// Where the next page of the queue begins: after this review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReviewCursor(pub i64);

impl Store {
    /// Reviews that wait, oldest first: of the newest versions of reports, as their current annotations say.
    pub async fn open_reviews(&self, after: Option<ReviewCursor>, count: usize) -> Result<Vec<OpenReview>, StoreError> {
        let rows = sqlx::query(
            "SELECT w.review_id, w.reason, w.opened_at, r.source, r.resource_type, r.logical_id,
                    d.version AS document_version, a.label, a.category, a.scores, a.evidence::text AS evidence,
                    a.narrative_id, o.observation_id, o.version, o.status, v.label AS standing_label,
                    v.category AS standing_category
             FROM reviews w JOIN annotations a USING (annotation_id)
             JOIN documents d ON d.annotation_id = a.annotation_id
             JOIN reports r ON r.report_id = d.report_id AND r.newest_version = d.version
             LEFT JOIN observations o ON o.report_id = r.report_id AND o.kind = 'answer'
             LEFT JOIN observation_versions v ON v.observation_id = o.observation_id AND v.version = o.version
             WHERE w.closed_at IS NULL AND w.review_id > $1 ORDER BY w.review_id LIMIT $2",
        )
        .bind(after.map_or(0, |cursor| cursor.0))
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("reading open reviews"))?;
        rows.iter().map(open_review).collect()
    }
}

fn open_review(row: &PgRow) -> Result<OpenReview, StoreError> {
    let label = known("label", Label::from_code(row.get("label")))?;
    let scores: Option<Vec<f32>> = row.get("scores");
    let standing = |id: String| -> Result<_, StoreError> {
        Ok((
            id,
            row.get("version"),
            row.get("status"),
            known("label", Label::from_code(row.get("standing_label")))?,
            known("category", Category::from_code(row.get("standing_category")))?,
        ))
    };
    Ok(OpenReview {
        id: row.get("review_id"),
        reason: row.get("reason"),
        opened_at: row.get("opened_at"),
        report: report_key(row)?,
        document_version: row.get("document_version"),
        label,
        category: known("category", Category::from_code(row.get("category")))?,
        confidence: scores.and_then(|scores| scores.get(label.position()).copied()),
        evidence: evidence(row.get("evidence"))?
            .into_iter()
            .map(|e| CodePoints { offset: e.offset, length: e.length })
            .collect(),
        narrative: row.get("narrative_id"),
        observation: row.get::<Option<String>, _>("observation_id").map(standing).transpose()?,
    })
}
