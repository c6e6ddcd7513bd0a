//! What models said that looked on: kept apart, so that nothing that leaves can refer to it.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::annotations::{Reading, evidence_json, scores_column, write_narrative};
use super::models::model_version_id;
use super::{Store, StoreError, jobs, while_doing};
use crate::domain::annotation::NoAnswer;
use crate::domain::document::Document;
use crate::domain::job::LeasedJob;
use crate::domain::label::Score;

impl Store {
    /// Ends a shadow's job with what the model said. The document, its report and its Observation stay as they are.
    pub async fn settle_shadow(
        &self,
        job: &LeasedJob,
        document: &Document,
        reading: &Reading,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let doing = while_doing("settling a shadow's document");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        jobs::settle(&mut tx, job).await?;
        write_shadow(&mut tx, document, reading, now).await?;
        tx.commit().await.map_err(&doing)
    }
}

/// Writes what a model said that looks on; nothing if it said so before, or was not asked to say anything.
pub(super) async fn write_shadow(
    tx: &mut PgConnection,
    document: &Document,
    reading: &Reading,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let Some((narrative, annotation)) = &reading.annotated else { return Ok(()) };
    let narrative_id = write_narrative(tx, document, narrative, now).await?;
    sqlx::query(
        "INSERT INTO shadow_annotations (document_id, model_version_id, narrative_id, label, category, scores, cancer,
                                         evidence, no_answer, windows, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11)
         ON CONFLICT (document_id, model_version_id, narrative_id) DO NOTHING",
    )
    .bind(document.id.0)
    .bind(model_version_id(tx, &reading.model, now).await?)
    .bind(narrative_id)
    .bind(annotation.label.code())
    .bind(annotation.category.code())
    .bind(scores_column(annotation))
    .bind(annotation.cancer.map(Score::get))
    .bind(evidence_json(narrative, annotation))
    .bind(annotation.no_answer.map(NoAnswer::code))
    .bind(i32::try_from(annotation.windows).unwrap_or(i32::MAX))
    .bind(now)
    .execute(tx)
    .await
    .map(drop)
    .map_err(while_doing("storing a shadow's annotation"))
}
