//! Jobs of sources: what is fetched, written back and searched for. One row for each target, however often it is asked for.

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::jobs::{LEASE_SECONDS, leased_job, one_row, ring};
use super::{Store, StoreError, while_doing};
use crate::domain::document::{DocumentId, ReportKey, SourceName};
use crate::domain::job::LeasedJob;

/// The jobs of one kind of a source.
#[derive(Clone, Debug)]
pub struct SourceJobs {
    /// `fetch`, `contents`, `emit` or `catch-up`.
    pub kind: String,
    /// That wait or are worked on.
    pub waiting: i64,
    /// That were given up.
    pub abandoned: i64,
    /// Why one of those was given up, without report text.
    pub reason: Option<String>,
    /// Why one of those that wait could not be done yet.
    pub waiting_reason: Option<String>,
}

impl Store {
    /// Claims the source's job that has been due for longest, if one is.
    pub async fn claim_job_of(&self, source: &SourceName) -> Result<Option<LeasedJob>, StoreError> {
        let claimed = sqlx::query(
            "UPDATE jobs SET lease = $1, attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
             WHERE job_id = (SELECT job_id FROM jobs WHERE source = $3 AND NOT abandoned AND due_at <= now()
                             ORDER BY due_at, job_id LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING job_id, kind, document_id, model_name, reannotation_id, source, target, lease, attempts, asked",
        )
        .bind(Uuid::new_v4())
        .bind(LEASE_SECONDS)
        .bind(source.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(while_doing("claiming a source's job"))?;
        claimed.as_ref().map(leased_job).transpose()
    }

    /// Asks for a report to be read from its source.
    pub async fn ask_for(&self, key: &ReportKey) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await.map_err(while_doing("asking for a report"))?;
        enqueue_fetch(&mut tx, key).await?;
        tx.commit().await.map_err(while_doing("asking for a report"))
    }

    /// Gives jobs that were given up another chance: of one source, of one kind, or all. Says how many. Those that wait for
    /// a source are due at once, too.
    pub async fn replay(&self, source: Option<&SourceName>, kind: Option<&str>) -> Result<u64, StoreError> {
        let doing = while_doing("replaying jobs");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        let replayed = sqlx::query(
            "UPDATE jobs SET abandoned = false, attempts = 0, lease = NULL, due_at = now(), last_error = NULL
             WHERE (abandoned OR source IS NOT NULL AND lease IS NULL AND due_at > now() AND last_error IS NOT NULL)
                   AND ($2::text IS NULL OR kind = $2) AND ($1::text IS NULL OR source = $1
                   OR EXISTS (SELECT 1 FROM documents JOIN reports USING (report_id)
                              WHERE documents.document_id = jobs.document_id AND reports.source = $1))",
        )
        .bind(source.map(SourceName::as_str))
        .bind(kind)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
        ring(&mut tx).await.map_err(&doing)?;
        tx.commit().await.map_err(&doing)?;
        Ok(replayed.rows_affected())
    }

    /// How many jobs of a source wait, are worked on and were given up, by kind; and how long the oldest has waited.
    pub async fn jobs_of(&self, source: &SourceName) -> Result<Vec<SourceJobs>, StoreError> {
        let rows = sqlx::query(
            "SELECT kind, count(*) FILTER (WHERE NOT abandoned) AS waiting, count(*) FILTER (WHERE abandoned) AS abandoned,
                    max(last_error) FILTER (WHERE abandoned) AS reason,
                    (array_agg(last_error ORDER BY due_at DESC)
                        FILTER (WHERE NOT abandoned AND last_error IS NOT NULL))[1] AS waiting_reason
             FROM jobs WHERE source = $1 GROUP BY kind ORDER BY kind",
        )
        .bind(source.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("counting a source's jobs"))?;
        let jobs = rows.iter().map(|row| SourceJobs {
            kind: row.get("kind"),
            waiting: row.get("waiting"),
            abandoned: row.get("abandoned"),
            reason: row.get("reason"),
            waiting_reason: row.get("waiting_reason"),
        });
        Ok(jobs.collect())
    }

    /// Gives a job back for later, because the other side is away or asked us to wait: that is no failed try.
    pub async fn put_off_job(&self, job: &LeasedJob, seconds: f64, why: &str) -> Result<(), StoreError> {
        let put_off = sqlx::query(
            "UPDATE jobs SET lease = NULL, attempts = GREATEST(attempts - 1, 0), last_error = $4,
                             due_at = now() + make_interval(secs => $3)
             WHERE job_id = $1 AND lease = $2",
        )
        .bind(job.id)
        .bind(job.lease)
        .bind(seconds)
        .bind(why)
        .execute(&self.pool)
        .await
        .map_err(while_doing("putting a job off"))?;
        one_row(put_off.rows_affected())
    }
}

/// Asks for a report to be read from its source, in the caller's transaction.
pub(super) async fn enqueue_fetch(tx: &mut PgConnection, key: &ReportKey) -> Result<(), StoreError> {
    enqueue(tx, "fetch", &key.source, &key.relative()).await
}

/// Asks for what a document names by reference, in the caller's transaction.
pub(super) async fn enqueue_contents(
    tx: &mut PgConnection,
    source: &SourceName,
    document: DocumentId,
) -> Result<(), StoreError> {
    enqueue(tx, "contents", source, &document.0.hyphenated().to_string()).await
}

/// Asks for an Observation to be brought in line at its report's source, in the caller's transaction.
pub(super) async fn enqueue_emit(
    tx: &mut PgConnection,
    source: &SourceName,
    observation_id: &str,
) -> Result<(), StoreError> {
    enqueue(tx, "emit", source, observation_id).await
}

/// Asks for a search of what was missed, in the caller's transaction.
pub(super) async fn enqueue_catch_up(tx: &mut PgConnection, source: &SourceName) -> Result<(), StoreError> {
    enqueue(tx, "catch-up", source, "").await
}

/// A job that waits is due now; one that is worked on is done once more; one that was given up gets another chance.
async fn enqueue(tx: &mut PgConnection, kind: &str, source: &SourceName, target: &str) -> Result<(), StoreError> {
    let doing = while_doing("queueing a source's job");
    sqlx::query(
        "INSERT INTO jobs AS waiting (kind, source, target) VALUES ($1, $2, $3)
         ON CONFLICT (source, kind, target) WHERE source IS NOT NULL DO UPDATE SET
             asked = waiting.asked + 1, abandoned = false,
             attempts = CASE WHEN waiting.abandoned THEN 0 ELSE waiting.attempts END,
             due_at = CASE WHEN waiting.lease IS NULL THEN LEAST(waiting.due_at, now()) ELSE waiting.due_at END",
    )
    .bind(kind)
    .bind(source.as_str())
    .bind(target)
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    ring(tx).await.map_err(&doing)
}
