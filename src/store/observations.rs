//! Observations: kept in line with their reports, read back with all that they say.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};
use time::OffsetDateTime;

use super::exchange::enqueue_emit;
use super::models::model_version;
use super::rows::{about, evidence, known, report_key};
use super::{Store, StoreError, while_doing};
use crate::digest::sha256;
use crate::domain::document::{Disposition, LogicalId, ResourceType, SourceName, WithdrawReason};
use crate::domain::label::{Category, Label, Score};
use crate::domain::observation::{
    Answer, Change, Claim, EvidencePlace, Standing, is_about_cancer, observation_id, reconcile,
};

/// What a search asks for. Every condition must hold; of a list, one.
#[derive(Clone, Debug, Default)]
pub struct ObservationFilter {
    /// `_id`.
    pub ids: Option<Vec<String>>,
    /// `subject` or `patient`: the reference texts that are meant.
    pub subjects: Option<Vec<String>>,
    /// `_source`: the reports that are meant; of any source if none is named.
    pub reports: Option<Vec<(Option<SourceName>, ResourceType, LogicalId)>>,
    /// `code`.
    pub code: Option<CodeFilter>,
    /// `status`.
    pub statuses: Option<Vec<String>>,
    /// `_lastUpdated`.
    pub last_updated: Vec<TimeBound>,
}

/// Which of an Observation's two codes a search asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFilter {
    /// Our own, which every Observation has.
    Any,
    /// LOINC 88040-1, which those about cancer have.
    Cancer,
    /// Another code, which none has.
    None,
}

/// A bound on `_lastUpdated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeBound {
    /// At or after.
    From(OffsetDateTime),
    /// Before.
    Until(OffsetDateTime),
}

/// Where the next page begins: after this Observation, in the order of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageCursor {
    /// Its time.
    pub last_updated: OffsetDateTime,
    /// Its id.
    pub id: String,
}

/// One page of a search.
#[derive(Debug)]
pub struct ObservationPage {
    /// Newest first.
    pub answers: Vec<Answer>,
    /// How many match in all.
    pub total: i64,
    /// Set if there is more.
    pub next: Option<PageCursor>,
}

macro_rules! select_answer {
    ($rest:literal) => {
        select_answer!("", $rest)
    };
    ($also:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $also,
            "v.observation_id, v.version, v.status, v.withdraw_reason, v.recorded_at,
                    a.created_at AS annotated_at, a.label, a.category, a.scores, a.cancer, a.evidence::text AS evidence,
                    d.version AS document_version, d.about::text AS about, a.narrative_id,
                    r.source, r.resource_type, r.logical_id, m.model_id, m.version AS model_version, m.sha256
             FROM observations o JOIN observation_versions v USING (observation_id)
             JOIN annotations a USING (annotation_id) JOIN documents d ON d.document_id = a.document_id
             JOIN reports r ON r.report_id = d.report_id
             JOIN model_versions m USING (model_version_id) ",
            $rest
        )
    };
}

impl Store {
    /// One version of an Observation; the current one if none is named.
    pub async fn observation(&self, id: &str, version: Option<i32>) -> Result<Option<Answer>, StoreError> {
        let row = sqlx::query(select_answer!("WHERE o.observation_id = $1 AND v.version = COALESCE($2, o.version)"))
            .bind(id)
            .bind(version)
            .fetch_optional(&self.pool)
            .await
            .map_err(while_doing("reading an Observation"))?;
        row.as_ref().map(answer).transpose()
    }

    /// All versions of an Observation, newest first; none if there is no such Observation.
    pub async fn observation_history(&self, id: &str) -> Result<Vec<Answer>, StoreError> {
        let rows = sqlx::query(select_answer!("WHERE o.observation_id = $1 ORDER BY v.version DESC"))
            .bind(id)
            .fetch_all(&self.pool)
            .await
            .map_err(while_doing("reading an Observation's history"))?;
        rows.iter().map(answer).collect()
    }

    /// A page of the current Observations that match, newest first.
    pub async fn search_observations(
        &self,
        filter: &ObservationFilter,
        after: Option<&PageCursor>,
        count: usize,
    ) -> Result<ObservationPage, StoreError> {
        let doing = while_doing("searching Observations");
        let mut counting = QueryBuilder::new("SELECT count(*) FROM observations o JOIN reports r USING (report_id)");
        push_conditions(&mut counting, filter);
        let total: i64 = counting.build_query_scalar().fetch_one(&self.pool).await.map_err(&doing)?;

        let mut query = QueryBuilder::new(select_answer!(""));
        push_conditions(&mut query, filter);
        query.push(" AND v.version = o.version");
        if let Some(cursor) = after {
            query.push(" AND (o.last_updated, o.observation_id) < (");
            query.push_bind(cursor.last_updated).push(", ").push_bind(cursor.id.clone()).push(")");
        }
        query.push(" ORDER BY o.last_updated DESC, o.observation_id DESC LIMIT ");
        query.push_bind(i64::try_from(count).unwrap_or(i64::MAX).saturating_add(1));
        let rows = query.build().fetch_all(&self.pool).await.map_err(&doing)?;

        let mut answers = rows.iter().map(answer).collect::<Result<Vec<_>, _>>()?;
        let more = answers.len() > count;
        answers.truncate(count);
        let last = answers.last().filter(|_| more);
        let next = last.map(|last| PageCursor { last_updated: last.recorded_at, id: last.observation_id.clone() });
        Ok(ObservationPage { answers, total, next })
    }
}

fn push_conditions(query: &mut QueryBuilder<Postgres>, filter: &ObservationFilter) {
    query.push(" WHERE true");
    if let Some(ids) = &filter.ids {
        query.push(" AND o.observation_id = ANY(").push_bind(ids.clone()).push(")");
    }
    if let Some(subjects) = &filter.subjects {
        query.push(" AND o.subject = ANY(").push_bind(subjects.clone()).push(")");
    }
    if let Some(statuses) = &filter.statuses {
        query.push(" AND o.status = ANY(").push_bind(statuses.clone()).push(")");
    }
    match filter.code {
        None | Some(CodeFilter::Any) => {}
        Some(CodeFilter::Cancer) => {
            query.push(" AND o.cancer");
        }
        Some(CodeFilter::None) => {
            query.push(" AND false");
        }
    }
    for bound in &filter.last_updated {
        match bound {
            TimeBound::From(time) => query.push(" AND o.last_updated >= ").push_bind(*time),
            TimeBound::Until(time) => query.push(" AND o.last_updated < ").push_bind(*time),
        };
    }
    if let Some(reports) = &filter.reports {
        query.push(" AND (false");
        for (source, resource_type, logical_id) in reports {
            query.push(" OR (r.resource_type = ").push_bind(resource_type.name());
            query.push(" AND r.logical_id = ").push_bind(logical_id.as_str().to_owned());
            if let Some(source) = source {
                query.push(" AND r.source = ").push_bind(source.as_str().to_owned());
            }
            query.push(")");
        }
        query.push(")");
    }
}

pub(super) fn answer(row: &PgRow) -> Result<Answer, StoreError> {
    let reason: Option<String> = row.get("withdraw_reason");
    let label = known("label", Label::from_code(row.get("label")))?;
    let scores: Option<Vec<f32>> = row.get("scores");
    let confidence = scores.and_then(|scores| scores.get(label.position()).copied()).and_then(Score::new);
    Ok(Answer {
        observation_id: row.get("observation_id"),
        version: row.get("version"),
        standing: known("status", standing(row.get("status")))?,
        withdrawn: reason.map(|code| known("withdraw_reason", WithdrawReason::from_code(&code))).transpose()?,
        recorded_at: row.get("recorded_at"),
        annotated_at: row.get("annotated_at"),
        report: report_key(row)?,
        document_version: row.get("document_version"),
        about: about(row.get("about"))?,
        narrative: row.get("narrative_id"),
        label,
        category: known("category", Category::from_code(row.get("category")))?,
        confidence: known("scores", confidence)?,
        cancer: is_about_cancer(row.get("cancer")),
        evidence: evidence(row.get("evidence"))?.into_iter().map(EvidencePlace::from).collect(),
        model: model_version(row)?,
    })
}

pub(super) fn standing(status: &str) -> Option<Standing> {
    match status {
        "preliminary" => Some(Standing::Preliminary),
        "final" => Some(Standing::Reviewed),
        "entered-in-error" => Some(Standing::Withdrawn),
        _ => None,
    }
}

pub(super) use select_answer;

/// Brings a locked report's Observation in line with its newest document.
pub(super) async fn reconcile_report(
    tx: &mut PgConnection,
    report_id: i64,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT d.state, d.state_reason, d.annotation_id, d.subject, a.label, a.cancer, o.status,
                v.annotation_id AS standing_annotation_id,
                (a.label, a.category) IS DISTINCT FROM (s.label, s.category) AS says_otherwise,
                r.source, r.resource_type, r.logical_id,
                EXISTS (SELECT 1 FROM replacements p WHERE p.source = r.source
                        AND p.resource_type = r.resource_type AND p.logical_id = r.logical_id
                        AND p.replacing_report_id <> r.report_id) AS replaced
         FROM reports r JOIN documents d ON d.report_id = r.report_id AND d.version = r.newest_version
         LEFT JOIN annotations a ON a.annotation_id = d.annotation_id
         LEFT JOIN observations o ON o.report_id = r.report_id
         LEFT JOIN observation_versions v ON v.observation_id = o.observation_id AND v.version = o.version
         LEFT JOIN annotations s ON s.annotation_id = v.annotation_id
         WHERE r.report_id = $1",
    )
    .bind(report_id)
    .fetch_one(&mut *tx)
    .await
    .map_err(while_doing("comparing an Observation with its report"))?;
    let standing = match row.get::<Option<&str>, _>("status") {
        None => Standing::Absent,
        Some(status) => known("status", standing(status))?,
    };
    let newest: Option<i64> = row.get("annotation_id");
    let standing_for: Option<i64> = row.get("standing_annotation_id");
    let (status, reason, annotation) = match reconcile(claim(&row)?, row.get("replaced"), standing) {
        Change::Leave => return Ok(()),
        Change::OpenReview => {
            if let Some(annotation) = newest.filter(|_| row.get("says_otherwise")) {
                open_review(tx, annotation, "differs-from-final", now).await?;
            }
            return Ok(());
        }
        Change::Publish if standing == Standing::Preliminary && newest == standing_for => return Ok(()),
        Change::Publish => ("preliminary", None, newest),
        Change::Withdraw(reason) => ("entered-in-error", Some(reason.code()), standing_for),
    };
    let id = observation_id(&report_key(&row)?, sha256);
    let cancer = is_about_cancer(row.get("cancer"));
    // A withdrawal keeps what the withdrawn answer was found by.
    let found_by = reason.is_none().then(|| (cancer, row.get::<Option<String>, _>("subject")));
    write_version(tx, report_id, &id, status, reason, known("annotation", annotation)?, found_by, now).await
}

fn claim(row: &PgRow) -> Result<Claim, StoreError> {
    Ok(match row.get::<&str, _>("state") {
        "annotated" => Claim::Labelled(known("label", Label::from_code(row.get("label")))?),
        // What could not be processed states nothing; people see it in the queue.
        "failed" => Claim::Labelled(Label::NotStated),
        "kept" => Claim::Disposed(Disposition::Keep),
        "withdrawn" => {
            let reason: Option<&str> = row.get("state_reason");
            let reason = known("state_reason", reason.and_then(WithdrawReason::from_code))?;
            Claim::Disposed(Disposition::Withdraw(reason))
        }
        _ => Claim::Pending,
    })
}

#[expect(clippy::too_many_arguments, reason = "the columns of one row, written in one place")]
async fn write_version(
    tx: &mut PgConnection,
    report_id: i64,
    id: &str,
    status: &str,
    reason: Option<&str>,
    annotation_id: i64,
    found_by: Option<(bool, Option<String>)>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let doing = while_doing("writing an Observation");
    let sets_found_by = found_by.is_some();
    let (cancer, subject) = found_by.unwrap_or_default();
    let (version, source): (i32, String) = sqlx::query_as(
        "INSERT INTO observations (observation_id, report_id, version, status, cancer, subject, last_updated)
         VALUES ($1, $2, 1, $3, $4, $5, $6)
         ON CONFLICT (observation_id) DO UPDATE SET
             version = observations.version + 1, status = excluded.status, last_updated = excluded.last_updated,
             cancer = CASE WHEN $7 THEN excluded.cancer ELSE observations.cancer END,
             subject = CASE WHEN $7 THEN excluded.subject ELSE observations.subject END
         RETURNING version, (SELECT source FROM reports WHERE reports.report_id = $2)",
    )
    .bind(id)
    .bind(report_id)
    .bind(status)
    .bind(cancer)
    .bind(subject)
    .bind(now)
    .bind(sets_found_by)
    .fetch_one(&mut *tx)
    .await
    .map_err(&doing)?;
    sqlx::query("INSERT INTO observation_versions VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(id)
        .bind(version)
        .bind(status)
        .bind(reason)
        .bind(annotation_id)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    // Whether its source is written to is for the job to know. Our own API is nowhere else.
    let source = known("source", SourceName::new(&source))?;
    if source == SourceName::local() { Ok(()) } else { enqueue_emit(tx, &source, id).await }
}

/// Asks a person to look at an annotation.
pub(super) async fn open_review(
    tx: &mut PgConnection,
    annotation_id: i64,
    reason: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO reviews (annotation_id, reason, opened_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(annotation_id)
        .bind(reason)
        .bind(now)
        .execute(tx)
        .await
        .map(drop)
        .map_err(while_doing("opening a review"))
}
