//! The queue: claim briefly, work outside any transaction, settle with the lease token. At least once, applied once.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{JOBS_CHANNEL, Store, StoreError, observations, while_doing};
use crate::domain::document::DocumentId;
use crate::domain::job::{JobKind, LeasedJob};

/// How long a claim holds without a sign of life. A dead worker's jobs are free after this; a live worker renews.
pub const LEASE_SECONDS: f64 = 15.0;

/// Seconds until the next try: doubles with each attempt, up to five minutes; with jitter, so that jobs that failed
/// together do not come back together.
const BACKOFF_SECONDS_MAX: f64 = 300.0;

/// How many jobs wait, run and were given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Free to be claimed, now or later.
    pub waiting: i64,
    /// Held by a worker.
    pub leased: i64,
    /// Given up: a person should look.
    pub abandoned: i64,
}

impl Store {
    /// Claims the oldest job that is due, if one is due. A job whose lease has ended is due, and goes before all that
    /// came after it: what a dead worker held does not wait behind a backlog.
    pub async fn claim_job(&self) -> Result<Option<LeasedJob>, StoreError> {
        let lease = Uuid::new_v4();
        let claimed = sqlx::query(
            "UPDATE jobs SET lease = $1, attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
             WHERE job_id = (SELECT job_id FROM jobs WHERE NOT abandoned AND due_at <= now()
                             ORDER BY job_id LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING job_id, document_id, attempts",
        )
        .bind(lease)
        .bind(LEASE_SECONDS)
        .fetch_optional(&self.pool)
        .await
        .map_err(while_doing("claiming a job"))?;
        Ok(claimed.map(|row| LeasedJob {
            id: row.get("job_id"),
            kind: JobKind::Annotate(DocumentId(row.get("document_id"))),
            lease,
            attempt: row.get("attempts"),
        }))
    }

    /// Holds a job for another [`LEASE_SECONDS`].
    pub async fn renew_lease(&self, job: &LeasedJob) -> Result<(), StoreError> {
        let renewed =
            sqlx::query("UPDATE jobs SET due_at = now() + make_interval(secs => $3) WHERE job_id = $1 AND lease = $2")
                .bind(job.id)
                .bind(job.lease)
                .bind(LEASE_SECONDS)
                .execute(&self.pool)
                .await
                .map_err(while_doing("renewing a lease"))?;
        one_row(renewed.rows_affected())
    }

    /// Gives a job back, to be tried again later.
    pub async fn retry_job(&self, job: &LeasedJob, error: &str) -> Result<(), StoreError> {
        let given_back = sqlx::query(
            "UPDATE jobs SET lease = NULL, last_error = $3, due_at = now() + make_interval(secs =>
                 LEAST(power(2, LEAST(attempts, 20) - 1), $4) * (0.5 + random() / 2))
             WHERE job_id = $1 AND lease = $2",
        )
        .bind(job.id)
        .bind(job.lease)
        .bind(error)
        .bind(BACKOFF_SECONDS_MAX)
        .execute(&self.pool)
        .await
        .map_err(while_doing("giving a job back"))?;
        one_row(given_back.rows_affected())
    }

    /// Gives a job up where people see it: the job stays, abandoned, and its document is `failed` and says why. If it
    /// is its report's newest version, an older version's answer does not stand in its place.
    pub async fn abandon_job(&self, job: &LeasedJob, error: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        let doing = while_doing("giving a job up");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        let abandoned = sqlx::query(
            "UPDATE jobs SET abandoned = true, lease = NULL, last_error = $3 WHERE job_id = $1 AND lease = $2",
        )
        .bind(job.id)
        .bind(job.lease)
        .bind(error)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
        one_row(abandoned.rows_affected())?;
        let JobKind::Annotate(document) = job.kind;
        let report_id: i64 = sqlx::query_scalar(
            "SELECT report_id FROM reports JOIN documents USING (report_id) WHERE document_id = $1 FOR UPDATE OF reports",
        )
        .bind(document.0)
        .fetch_one(&mut *tx)
        .await
        .map_err(&doing)?;
        // A document that has an annotation keeps it: a failed re-run takes nothing away.
        sqlx::query(
            "UPDATE documents SET state = 'failed', state_reason = $2 WHERE document_id = $1 AND state = 'received'",
        )
        .bind(document.0)
        .bind(error)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
        observations::reconcile_report(&mut tx, report_id, now).await?;
        tx.commit().await.map_err(&doing)
    }

    /// Counts the queue.
    pub async fn queue_depth(&self) -> Result<QueueDepth, StoreError> {
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE NOT abandoned AND (lease IS NULL OR due_at <= now())) AS waiting,
                    count(*) FILTER (WHERE NOT abandoned AND lease IS NOT NULL AND due_at > now()) AS leased,
                    count(*) FILTER (WHERE abandoned) AS abandoned FROM jobs",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(while_doing("counting jobs"))?;
        Ok(QueueDepth { waiting: row.get("waiting"), leased: row.get("leased"), abandoned: row.get("abandoned") })
    }
}

/// Queues a document's annotation in the caller's transaction, and rings for the workers when it commits.
pub(super) async fn enqueue(tx: &mut PgConnection, document: DocumentId) -> Result<(), StoreError> {
    let doing = while_doing("queueing a job");
    sqlx::query("INSERT INTO jobs (kind, document_id) VALUES ('annotate', $1)")
        .bind(document.0)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    sqlx::query("SELECT pg_notify($1, '')").bind(JOBS_CHANNEL).execute(tx).await.map_err(&doing)?;
    Ok(())
}

/// Ends a job in the transaction that writes its results, if it is still ours.
pub(super) async fn settle(tx: &mut PgConnection, job: &LeasedJob) -> Result<(), StoreError> {
    let settled = sqlx::query("DELETE FROM jobs WHERE job_id = $1 AND lease = $2")
        .bind(job.id)
        .bind(job.lease)
        .execute(tx)
        .await
        .map_err(while_doing("settling a job"))?;
    one_row(settled.rows_affected())
}

fn one_row(rows: u64) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
}
