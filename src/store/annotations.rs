//! Settling a job: annotation, narrative and Observation are written in the transaction that ends the job.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::models::{model_version, model_version_id};
use super::rows::{EvidenceColumn, about_json, evidence, known};
use super::{Store, StoreError, jobs, links, observations, while_doing};
use crate::digest::sha256;
use crate::domain::annotation::{Annotation, Evidence, ModelVersion, NoAnswer};
use crate::domain::document::{About, AttachmentKey, Disposition, Document, ReportKey, WithdrawReason};
use crate::domain::job::LeasedJob;
use crate::domain::label::{Category, Label, LabelScores, Score};
use crate::domain::narrative::Narrative;
use crate::domain::observation::CodePoints;
use crate::view::CoverageView;

/// Everything that reading one document gave.
#[derive(Debug)]
pub struct Reading {
    /// What its status asked for.
    pub disposition: Disposition,
    /// Whom and when it is about, with links resolved.
    pub about: About,
    /// The reports that it says it replaces.
    pub replaces: Vec<ReportKey>,
    /// What was read and said; none unless the disposition is [`Disposition::Annotate`], or if another report with the same
    /// attachment has the answer.
    pub annotated: Option<(Narrative, Annotation)>,
    /// Its attachments, as other reports may have them too.
    pub attachments: Vec<AttachmentKey>,
    /// Who was asked.
    pub model: ModelVersion,
}

/// A document's state and its current annotation, for people and programs that ask.
#[derive(Clone, Debug)]
pub struct StoredAnnotation {
    /// The document's version.
    pub document_version: i32,
    /// `received`, `annotated`, `kept`, `withdrawn`, `failed` or `linked`.
    pub state: String,
    /// Why it is withdrawn or failed.
    pub state_reason: Option<String>,
    /// The report that has the answer, if this one is linked to it.
    pub linked_to: Option<ReportKey>,
    /// The annotation, if it is annotated; that of the report that has the answer, if it is linked.
    pub annotation: Option<CurrentAnnotation>,
}

/// The current annotation of a document.
#[derive(Clone, Debug)]
pub struct CurrentAnnotation {
    /// Whether the patient responded.
    pub label: Label,
    /// How.
    pub category: Category,
    /// Probability of each label; none if the model was not asked.
    pub scores: Option<LabelScores>,
    /// Probability that the disease at issue is a cancer.
    pub cancer: Option<f32>,
    /// Where the narrative says so, most telling first, with its score.
    pub evidence: Vec<(CodePoints, f32)>,
    /// Why the model was not asked.
    pub no_answer: Option<NoAnswer>,
    /// Whether it waits for a person.
    pub needs_review: bool,
    /// What was read and what was not.
    pub coverage: CoverageView,
    /// The narrative that the evidence points into.
    pub narrative: Uuid,
    /// Who said it.
    pub model: ModelVersion,
    /// When.
    pub created_at: OffsetDateTime,
}

impl Store {
    /// Ends the job with its results, all in one transaction: the annotation, the narrative, and every Observation
    /// that they change. Fails with [`StoreError::LeaseLost`], and writes nothing, if the job is no longer ours.
    ///
    /// If the document was annotated, a job is queued for each of the `shadows`, which are models by name.
    pub async fn settle(
        &self,
        job: &LeasedJob,
        document: &Document,
        reading: &Reading,
        shadows: &[String],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let doing = while_doing("settling a document");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        jobs::settle(&mut tx, job).await?;
        write_reading(&mut tx, document, reading, now).await?;
        if reading.annotated.is_some() {
            jobs::enqueue_shadows(&mut tx, document.id, shadows).await?;
        }
        tx.commit().await.map_err(&doing)
    }

    /// The state and annotation of a report's version; of the newest if none is named.
    pub async fn annotation(
        &self,
        key: &ReportKey,
        version: Option<i32>,
    ) -> Result<Option<StoredAnnotation>, StoreError> {
        let row = sqlx::query(
            "SELECT d.version AS document_version, d.state, d.state_reason, d.annotation_id, a.label, a.category,
                    a.scores, a.cancer, a.evidence::text AS evidence, a.no_answer, a.needs_review, a.created_at,
                    a.narrative_id, a.coverage::text AS coverage, m.model_id, m.version AS model_version, m.sha256
             FROM documents d JOIN reports r USING (report_id)
             LEFT JOIN annotations a ON a.annotation_id = d.annotation_id
             LEFT JOIN model_versions m USING (model_version_id)
             WHERE r.source = $1 AND r.resource_type = $2 AND r.logical_id = $3
               AND d.version = COALESCE($4, r.newest_version)",
        )
        .bind(key.source.as_str())
        .bind(key.resource_type.name())
        .bind(key.logical_id.as_str())
        .bind(version)
        .fetch_optional(&self.pool)
        .await
        .map_err(while_doing("reading an annotation"))?;
        let Some(row) = row else { return Ok(None) };
        let annotated = row.get::<Option<i64>, _>("annotation_id").is_some();
        let linked = row.get::<&str, _>("state") == "linked";
        let linked_to = if linked { links::primary_of(self, key).await? } else { None };
        if let Some(primary) = linked_to {
            // It is not linked itself: this goes no deeper.
            let of_primary = Box::pin(self.annotation(&primary, None)).await?;
            return Ok(Some(StoredAnnotation {
                document_version: row.get("document_version"),
                state: row.get("state"),
                state_reason: None,
                linked_to: Some(primary),
                annotation: of_primary.and_then(|of_primary| of_primary.annotation),
            }));
        }
        Ok(Some(StoredAnnotation {
            document_version: row.get("document_version"),
            state: row.get("state"),
            state_reason: row.get("state_reason"),
            linked_to: None,
            annotation: if annotated { Some(current_annotation(&row)?) } else { None },
        }))
    }
}

fn current_annotation(row: &sqlx::postgres::PgRow) -> Result<CurrentAnnotation, StoreError> {
    let scores: Option<Vec<f32>> = row.get("scores");
    let no_answer: Option<String> = row.get("no_answer");
    let coverage: &str = row.get("coverage");
    Ok(CurrentAnnotation {
        label: known("label", Label::from_code(row.get("label")))?,
        category: known("category", Category::from_code(row.get("category")))?,
        scores: scores.map(|scores| known("scores", label_scores(&scores))).transpose()?,
        cancer: row.get("cancer"),
        evidence: evidence(row.get("evidence"))?
            .into_iter()
            .map(|e| (CodePoints { offset: e.offset, length: e.length }, e.score))
            .collect(),
        no_answer: no_answer.map(|code| known("no_answer", NoAnswer::from_code(&code))).transpose()?,
        needs_review: row.get("needs_review"),
        coverage: known("coverage", serde_json::from_str(coverage).ok())?,
        narrative: row.get("narrative_id"),
        model: model_version(row)?,
        created_at: row.get("created_at"),
    })
}

/// Writes what reading a document gave, and brings every Observation in line that it changes.
pub(super) async fn write_reading(
    tx: &mut PgConnection,
    document: &Document,
    reading: &Reading,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let report_id = report_id(tx, &document.key).await?;
    let others = replaced_reports(tx, report_id, &reading.replaces).await?;
    let sharing = links::lock_and_list(tx, report_id, document, reading).await?;
    let locked: Vec<i64> = others.iter().copied().chain(sharing).collect();
    let newest = lock_reports(tx, report_id, &locked).await? == document.version;
    let primary = links::primary(tx, document, reading).await?.filter(|_| newest);
    if reading.disposition == Disposition::Annotate && reading.annotated.is_none() && primary.is_none() {
        return Err(StoreError::LinkLost);
    }
    write_outcome(tx, document, reading, primary.is_some(), now).await?;
    if newest {
        write_replacements(tx, report_id, reading).await?;
        links::write_links(tx, report_id, (document, reading), primary.as_ref(), now).await?;
        for report in std::iter::once(report_id).chain(others) {
            observations::reconcile_report(tx, report, now).await?;
        }
    }
    Ok(())
}

async fn report_id(tx: &mut PgConnection, key: &ReportKey) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT report_id FROM reports WHERE source = $1 AND resource_type = $2 AND logical_id = $3")
        .bind(key.source.as_str())
        .bind(key.resource_type.name())
        .bind(key.logical_id.as_str())
        .fetch_one(tx)
        .await
        .map_err(while_doing("finding a report"))
}

/// The reports that this one replaces by its newest version, or did by an earlier one: their answers may change.
async fn replaced_reports(
    tx: &mut PgConnection,
    report_id: i64,
    replaces: &[ReportKey],
) -> Result<Vec<i64>, StoreError> {
    let column = |of: fn(&ReportKey) -> String| replaces.iter().map(of).collect::<Vec<_>>();
    sqlx::query_scalar(
        "SELECT DISTINCT r.report_id FROM reports r
         JOIN (SELECT source, resource_type, logical_id FROM replacements WHERE replacing_report_id = $1
               UNION SELECT * FROM unnest($2::text[], $3::text[], $4::text[])) AS replaced
         USING (source, resource_type, logical_id)
         WHERE r.report_id <> $1",
    )
    .bind(report_id)
    .bind(column(|key| key.source.as_str().to_owned()))
    .bind(column(|key| key.resource_type.name().to_owned()))
    .bind(column(|key| key.logical_id.as_str().to_owned()))
    .fetch_all(tx)
    .await
    .map_err(while_doing("finding replaced reports"))
}

/// Locks the report and the others, always in the same order, and gives the report's newest version.
async fn lock_reports(tx: &mut PgConnection, report_id: i64, others: &[i64]) -> Result<i32, StoreError> {
    let all: Vec<i64> = others.iter().copied().chain([report_id]).collect();
    let locked: Vec<(i64, i32)> = sqlx::query_as(
        "SELECT report_id, newest_version FROM reports WHERE report_id = ANY($1) ORDER BY report_id FOR UPDATE",
    )
    .bind(all)
    .fetch_all(tx)
    .await
    .map_err(while_doing("locking reports"))?;
    let own = locked.into_iter().find(|(id, _)| *id == report_id);
    known("report", own.map(|(_, newest)| newest))
}

async fn write_replacements(tx: &mut PgConnection, report_id: i64, reading: &Reading) -> Result<(), StoreError> {
    let doing = while_doing("storing what a report replaces");
    sqlx::query("DELETE FROM replacements WHERE replacing_report_id = $1")
        .bind(report_id)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    // A report that is itself taken back replaces nothing.
    let in_force = !matches!(reading.disposition, Disposition::Withdraw(_));
    for key in reading.replaces.iter().filter(|_| in_force) {
        sqlx::query("INSERT INTO replacements VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
            .bind(report_id)
            .bind(key.source.as_str())
            .bind(key.resource_type.name())
            .bind(key.logical_id.as_str())
            .execute(&mut *tx)
            .await
            .map_err(&doing)?;
    }
    Ok(())
}

/// Writes the document's new state, and its narrative and annotation if it was annotated.
async fn write_outcome(
    tx: &mut PgConnection,
    document: &Document,
    reading: &Reading,
    linked: bool,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let (state, reason) = match reading.disposition {
        Disposition::Annotate if linked => ("linked", None),
        Disposition::Annotate => ("annotated", None),
        Disposition::Keep => ("kept", None),
        Disposition::Withdraw(reason) => ("withdrawn", Some(WithdrawReason::code(reason))),
    };
    // What is linked has no annotation of its own, also if the model was asked before the other report had the answer.
    let annotation_id = match &reading.annotated {
        Some((narrative, annotation)) if !linked => {
            let narrative_id = write_narrative(tx, document, narrative, now).await?;
            Some(write_annotation(tx, document, (narrative_id, narrative), annotation, &reading.model, now).await?)
        }
        Some(_) | None => None,
    };
    let subject = reading.about.subject.as_ref().and_then(|subject| subject.reference.as_deref());
    sqlx::query(
        "UPDATE documents SET state = $2, state_reason = $3, annotation_id = $4, subject = $5, about = $6::jsonb
         WHERE document_id = $1",
    )
    .bind(document.id.0)
    .bind(state)
    .bind(reason)
    .bind(annotation_id)
    .bind(subject)
    .bind(about_json(&reading.about))
    .execute(tx)
    .await
    .map(drop)
    .map_err(while_doing("storing a document's state"))
}

/// A second run of the same document finds the narrative that its first run made, if it drew the same text.
pub(super) async fn write_narrative(
    tx: &mut PgConnection,
    document: &Document,
    narrative: &Narrative,
    now: OffsetDateTime,
) -> Result<Uuid, StoreError> {
    sqlx::query_scalar(
        "WITH written AS (
             INSERT INTO narratives (narrative_id, document_id, text, sha256, created_at)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (document_id, sha256) DO NOTHING RETURNING narrative_id)
         SELECT narrative_id FROM written
         UNION SELECT narrative_id FROM narratives WHERE document_id = $2 AND sha256 = $4",
    )
    .bind(Uuid::new_v4())
    .bind(document.id.0)
    .bind(narrative.text())
    .bind(&sha256(narrative.text().as_bytes()).0[..])
    .bind(now)
    .fetch_one(tx)
    .await
    .map_err(while_doing("storing a narrative"))
}

/// What [`scores_column`] wrote.
fn label_scores(column: &[f32]) -> Option<LabelScores> {
    LabelScores::from_probabilities(column.try_into().ok()?)
}

async fn write_annotation(
    tx: &mut PgConnection,
    document: &Document,
    (narrative_id, narrative): (Uuid, &Narrative),
    annotation: &Annotation,
    model: &ModelVersion,
    now: OffsetDateTime,
) -> Result<i64, StoreError> {
    let doing = while_doing("storing an annotation");
    let annotation_id: i64 = sqlx::query_scalar(
        "WITH written AS (
             INSERT INTO annotations (document_id, model_version_id, label, category, scores, cancer, evidence,
                                      no_answer, needs_review, windows, created_at, narrative_id, coverage)
             VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11, $12, $13::jsonb)
             ON CONFLICT (document_id, model_version_id, narrative_id) DO NOTHING RETURNING annotation_id)
         SELECT annotation_id FROM written UNION SELECT annotation_id FROM annotations
         WHERE document_id = $1 AND model_version_id = $2 AND narrative_id = $12",
    )
    .bind(document.id.0)
    .bind(model_version_id(tx, model, now).await?)
    .bind(annotation.label.code())
    .bind(annotation.category.code())
    .bind(scores_column(annotation))
    .bind(annotation.cancer.map(Score::get))
    .bind(evidence_json(narrative, annotation))
    .bind(annotation.no_answer.map(NoAnswer::code))
    .bind(annotation.needs_review)
    .bind(i32::try_from(annotation.windows).unwrap_or(i32::MAX))
    .bind(now)
    .bind(narrative_id)
    .bind(json(&CoverageView::from(&annotation.coverage)))
    .fetch_one(&mut *tx)
    .await
    .map_err(&doing)?;
    if annotation.needs_review {
        observations::open_review(tx, annotation_id, "low-confidence", now).await?;
    }
    Ok(annotation_id)
}

/// The columns `scores` of [`Label::ALL`].
pub(super) fn scores_column(annotation: &Annotation) -> Option<Vec<f32>> {
    annotation.scores.map(|scores| Label::ALL.map(|label| scores.of(label).get()).to_vec())
}

/// The column `evidence`.
pub(super) fn evidence_json(narrative: &Narrative, annotation: &Annotation) -> String {
    let column = |evidence: &Evidence| {
        let (offset, length) = narrative.code_points(evidence.span);
        let (start, end) = (evidence.span.start(), evidence.span.end());
        EvidenceColumn { start, end, offset, length, score: evidence.score.get() }
    };
    json(&annotation.evidence.iter().map(column).collect::<Vec<_>>())
}

fn json(value: &impl serde::Serialize) -> String {
    // Cannot fail because the columns are numbers and strings under string keys.
    serde_json::to_string(value).expect("numbers and strings have a JSON form")
}
