//! Stored documents that are annotated again: one row tells how far it is, one job does the next document.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::annotations::{Reading, write_reading};
use super::models::{model_version, model_version_id};
use super::rows::known;
use super::shadow::write_shadow;
use super::{Store, StoreError, jobs, while_doing};
use crate::domain::annotation::ModelVersion;
use crate::domain::document::{Document, DocumentId, SourceName};
use crate::domain::job::{LeasedJob, ReannotationId};

/// Which stored documents are meant: of all reports that are annotated, the newest version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only those of this source.
    pub source: Option<SourceName>,
    /// Only those that were received at this time or later.
    pub since: Option<OffsetDateTime>,
}

/// How a re-annotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReannotationState {
    /// Its job is queued or held by a worker.
    Running,
    /// Every document is done or failed.
    Completed,
    /// Someone stopped it.
    Cancelled,
    /// Its model is not loaded any more.
    Failed,
}

impl ReannotationState {
    const ALL: [Self; 4] = [Self::Running, Self::Completed, Self::Cancelled, Self::Failed];

    /// The code used in SQL and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// A re-annotation and how far it is.
#[derive(Clone, Debug)]
pub struct Reannotation {
    /// Its identity.
    pub id: ReannotationId,
    /// The model, as the settings name it.
    pub model_name: String,
    /// What was loaded under the name when it began.
    pub model: ModelVersion,
    /// Which documents.
    pub scope: Scope,
    /// How many documents it covers.
    pub total: i64,
    /// How many of them have an annotation by the model now.
    pub done: i64,
    /// How many were passed over.
    pub failed: i64,
    /// How it stands.
    pub state: ReannotationState,
    /// Why it failed.
    pub state_reason: Option<String>,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
}

/// What became of a re-annotation's next document.
#[derive(Debug)]
pub enum Step<'a> {
    /// The model answers for the document's source: this is its current annotation from now on.
    Current(&'a Reading),
    /// Another model answers: this is kept beside.
    Shadow(&'a Reading),
    /// It was passed over. The text holds nothing of the report.
    Failed(&'a str),
}

macro_rules! select_reannotation {
    ($rest:literal) => {
        concat!(
            "SELECT n.reannotation_id, n.model_name, n.source, n.since, n.total, n.done, n.failed, n.state,
                    n.state_reason, n.created_at, n.ended_at, m.model_id, m.version AS model_version, m.sha256
             FROM reannotations n JOIN model_versions m USING (model_version_id) ",
            $rest
        )
    };
}

// The documents of a scope: $1 source, $2 since.
macro_rules! in_scope {
    () => {
        "FROM documents d JOIN reports r ON r.report_id = d.report_id AND r.newest_version = d.version
         WHERE d.state = 'annotated' AND ($1::text IS NULL OR r.source = $1)
           AND ($2::timestamptz IS NULL OR d.received_at >= $2) "
    };
}

impl Store {
    /// Begins to annotate what is stored with a model; nothing if that is being done already.
    pub async fn begin_reannotation(
        &self,
        model_name: &str,
        model: &ModelVersion,
        scope: &Scope,
        now: OffsetDateTime,
    ) -> Result<Option<Reannotation>, StoreError> {
        let doing = while_doing("beginning a re-annotation");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        let model_version_id = model_version_id(&mut tx, model, now).await?;
        let id = ReannotationId(Uuid::now_v7());
        let begun = sqlx::query(concat!(
            "INSERT INTO reannotations (reannotation_id, model_name, model_version_id, source, since, created_at,
                                        total, until_document)
             SELECT $3, $4, $5, $1, $2, $6, (SELECT count(*) ",
            in_scope!(),
            "), (SELECT d.document_id ",
            in_scope!(),
            "ORDER BY d.document_id DESC LIMIT 1) ON CONFLICT DO NOTHING"
        ))
        .bind(scope.source.as_ref().map(SourceName::as_str))
        .bind(scope.since)
        .bind(id.0)
        .bind(model_name)
        .bind(model_version_id)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
        if begun.rows_affected() == 0 {
            return Ok(None);
        }
        jobs::enqueue_reannotation(&mut tx, id).await?;
        tx.commit().await.map_err(&doing)?;
        self.reannotation(id).await
    }

    /// A re-annotation.
    pub async fn reannotation(&self, id: ReannotationId) -> Result<Option<Reannotation>, StoreError> {
        let row = sqlx::query(select_reannotation!("WHERE n.reannotation_id = $1"))
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(while_doing("reading a re-annotation"))?;
        row.as_ref().map(reannotation).transpose()
    }

    /// The newest re-annotations, at most `count`.
    pub async fn reannotations(&self, count: usize) -> Result<Vec<Reannotation>, StoreError> {
        let rows = sqlx::query(select_reannotation!("ORDER BY n.created_at DESC, n.reannotation_id DESC LIMIT $1"))
            .bind(i64::try_from(count).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(while_doing("listing re-annotations"))?;
        rows.iter().map(reannotation).collect()
    }

    /// The document that comes next; none if the last one is done.
    pub async fn next_of_reannotation(&self, id: ReannotationId) -> Result<Option<DocumentId>, StoreError> {
        let doing = while_doing("finding a re-annotation's next document");
        let row =
            sqlx::query("SELECT source, since, until_document, position FROM reannotations WHERE reannotation_id = $1")
                .bind(id.0)
                .fetch_one(&self.pool)
                .await
                .map_err(&doing)?;
        let Some(until) = row.get::<Option<Uuid>, _>("until_document") else { return Ok(None) };
        let next: Option<Uuid> = sqlx::query_scalar(concat!(
            "SELECT d.document_id ",
            in_scope!(),
            "AND d.document_id > $3 AND d.document_id <= $4 ORDER BY d.document_id LIMIT 1"
        ))
        .bind(row.get::<Option<String>, _>("source"))
        .bind(row.get::<Option<OffsetDateTime>, _>("since"))
        .bind(row.get::<Option<Uuid>, _>("position").unwrap_or_else(Uuid::nil))
        .bind(until)
        .fetch_optional(&self.pool)
        .await
        .map_err(&doing)?;
        Ok(next.map(DocumentId))
    }

    /// Writes what became of the next document, moves the position behind it, and gives the job back, all in one
    /// transaction. Fails with [`StoreError::LeaseLost`], and writes nothing, if the job is no longer ours.
    pub async fn settle_step(
        &self,
        job: &LeasedJob,
        id: ReannotationId,
        document: &Document,
        step: Step<'_>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let doing = while_doing("settling a re-annotation's document");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        jobs::take_turns(&mut tx, job).await?;
        move_position(&mut tx, id, document.id, &step, now).await?;
        match step {
            Step::Current(reading) => write_reading(&mut tx, document, reading, now).await?,
            Step::Shadow(reading) => write_shadow(&mut tx, document, reading, now).await?,
            Step::Failed(_) => {}
        }
        tx.commit().await.map_err(&doing)
    }

    /// Passes over a document that cannot even be read from the store.
    pub async fn pass_over(
        &self,
        job: &LeasedJob,
        id: ReannotationId,
        document: DocumentId,
        error: &str,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let doing = while_doing("passing a re-annotation's document over");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        jobs::take_turns(&mut tx, job).await?;
        move_position(&mut tx, id, document, &Step::Failed(error), now).await?;
        tx.commit().await.map_err(&doing)
    }

    /// Ends a re-annotation and its job: every document is done, or `failed` says why none can be.
    pub async fn end_reannotation(
        &self,
        job: &LeasedJob,
        id: ReannotationId,
        failed: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let doing = while_doing("ending a re-annotation");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        jobs::settle(&mut tx, job).await?;
        let state = if failed.is_some() { ReannotationState::Failed } else { ReannotationState::Completed };
        let ended = sqlx::query(
            "UPDATE reannotations SET state = $2, state_reason = $3, ended_at = $4,
                    total = CASE WHEN $3 IS NULL THEN done + failed ELSE total END
             WHERE reannotation_id = $1 AND state = 'running'",
        )
        .bind(id.0)
        .bind(state.code())
        .bind(failed)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
        jobs::one_row(ended.rows_affected())?;
        tx.commit().await.map_err(&doing)
    }

    /// Stops a re-annotation, and says how it stands then: one that has ended stays as it is. A document that a worker
    /// has in hand is not written any more.
    pub async fn cancel_reannotation(
        &self,
        id: ReannotationId,
        now: OffsetDateTime,
    ) -> Result<Option<Reannotation>, StoreError> {
        let doing = while_doing("cancelling a re-annotation");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        // The job first, as those do that settle it: two transactions that lock in one order never wait for each other.
        sqlx::query("DELETE FROM jobs WHERE reannotation_id = $1")
            .bind(id.0)
            .execute(&mut *tx)
            .await
            .map_err(&doing)?;
        sqlx::query(
            "UPDATE reannotations SET state = 'cancelled', ended_at = $2 WHERE reannotation_id = $1 AND state = 'running'",
        )
        .bind(id.0)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
        tx.commit().await.map_err(&doing)?;
        self.reannotation(id).await
    }
}

async fn move_position(
    tx: &mut PgConnection,
    id: ReannotationId,
    document: DocumentId,
    step: &Step<'_>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let doing = while_doing("moving a re-annotation's position");
    let failed = i64::from(matches!(step, Step::Failed(_)));
    let moved = sqlx::query(
        "UPDATE reannotations SET position = $2, done = done + $3, failed = failed + $4
         WHERE reannotation_id = $1 AND state = 'running'",
    )
    .bind(id.0)
    .bind(document.0)
    .bind(1 - failed)
    .bind(failed)
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    jobs::one_row(moved.rows_affected())?;
    if let Step::Failed(error) = step {
        sqlx::query("INSERT INTO reannotation_failures VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
            .bind(id.0)
            .bind(document.0)
            .bind(error)
            .bind(now)
            .execute(tx)
            .await
            .map_err(&doing)?;
    }
    Ok(())
}

fn reannotation(row: &PgRow) -> Result<Reannotation, StoreError> {
    let source: Option<String> = row.get("source");
    Ok(Reannotation {
        id: ReannotationId(row.get("reannotation_id")),
        model_name: row.get("model_name"),
        model: model_version(row)?,
        scope: Scope {
            source: source.map(|source| known("source", SourceName::new(&source))).transpose()?,
            since: row.get("since"),
        },
        total: row.get("total"),
        done: row.get("done"),
        failed: row.get("failed"),
        state: known("state", ReannotationState::from_code(row.get("state")))?,
        state_reason: row.get("state_reason"),
        created_at: row.get("created_at"),
        ended_at: row.get("ended_at"),
    })
}
