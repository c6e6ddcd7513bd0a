//! The queue: claim briefly, work outside any transaction, settle with the lease token. At least once, applied once.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::known;
use super::{JOBS_CHANNEL, Store, StoreError, links, observations, while_doing};
use crate::domain::document::{DocumentId, SourceName};
use crate::domain::job::{JobClass, JobKind, LeasedJob, ReannotationId};

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

macro_rules! claim {
    ($which:literal) => {
        concat!(
            "UPDATE jobs SET lease = $1, attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
             WHERE job_id = (",
            $which,
            ") RETURNING job_id, kind, document_id, model_name, reannotation_id, source, target, lease, attempts, asked"
        )
    };
}

impl Store {
    /// Claims a job of the class, if one is due.
    ///
    /// Of the fresh ones the oldest. A job whose lease has ended is due, and goes before all that came after it: what a
    /// dead worker held does not wait behind a backlog. One in the background is due only while no fresh one is; they
    /// take turns, so that a long re-annotation does not keep shadow models waiting.
    pub async fn claim_job(&self, class: JobClass) -> Result<Option<LeasedJob>, StoreError> {
        let claim = match class {
            JobClass::Fresh => claim!(
                "SELECT job_id FROM jobs WHERE kind = 'annotate' AND NOT abandoned AND due_at <= now()
                 ORDER BY job_id LIMIT 1 FOR UPDATE SKIP LOCKED"
            ),
            JobClass::Background => claim!(
                "SELECT job_id FROM jobs WHERE kind IN ('shadow', 'reannotate') AND NOT abandoned AND due_at <= now()
                   AND NOT EXISTS (SELECT 1 FROM jobs WHERE kind = 'annotate' AND NOT abandoned AND due_at <= now())
                 ORDER BY due_at, job_id LIMIT 1 FOR UPDATE SKIP LOCKED"
            ),
        };
        let claimed = sqlx::query(claim)
            .bind(Uuid::new_v4())
            .bind(LEASE_SECONDS)
            .fetch_optional(&self.pool)
            .await
            .map_err(while_doing("claiming a job"))?;
        claimed.as_ref().map(leased_job).transpose()
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

    /// Gives a job up where people see it: the job stays, abandoned. A new document is `failed` and says why; if it is
    /// its report's newest version, an older version's answer does not stand in its place. A document whose shadow fails
    /// is left alone.
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
        if let JobKind::Annotate(document) = job.kind {
            fail_document(&mut tx, document, error, now).await?;
        }
        tx.commit().await.map_err(&doing)
    }

    /// Ends a job that has nothing more to do.
    pub async fn end_job(&self, job: &LeasedJob) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(while_doing("ending a job"))?;
        settle(&mut connection, job).await
    }

    /// Counts the queue, by kind of job.
    pub async fn queue_depths(&self) -> Result<Vec<(&'static str, QueueDepth)>, StoreError> {
        let rows = sqlx::query(
            "SELECT kind, count(*) FILTER (WHERE NOT abandoned AND (lease IS NULL OR due_at <= now())) AS waiting,
                    count(*) FILTER (WHERE NOT abandoned AND lease IS NOT NULL AND due_at > now()) AS leased,
                    count(*) FILTER (WHERE abandoned) AS abandoned FROM jobs GROUP BY kind",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("counting jobs"))?;
        let depth = |row: &PgRow| QueueDepth {
            waiting: row.get("waiting"),
            leased: row.get("leased"),
            abandoned: row.get("abandoned"),
        };
        let of = |kind: &str| rows.iter().find(|row| row.get::<&str, _>("kind") == kind).map(depth).unwrap_or_default();
        Ok(JobKind::CODES.into_iter().map(|kind| (kind, of(kind))).collect())
    }
}

/// A document that could not be annotated says so, and its report's Observation follows.
async fn fail_document(
    tx: &mut PgConnection,
    document: DocumentId,
    error: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let doing = while_doing("giving a document up");
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
    links::release(tx, report_id).await?;
    observations::reconcile_report(tx, report_id, now).await
}

/// Rings for the workers when the transaction commits.
pub(super) async fn ring(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_notify($1, '')").bind(JOBS_CHANNEL).execute(tx).await.map(drop)
}

/// Queues a document's annotation in the caller's transaction, and rings for the workers when it commits.
pub(super) async fn enqueue(tx: &mut PgConnection, document: DocumentId) -> Result<(), StoreError> {
    let doing = while_doing("queueing a job");
    sqlx::query("INSERT INTO jobs (kind, document_id) VALUES ('annotate', $1)")
        .bind(document.0)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    ring(tx).await.map_err(&doing)
}

/// Queues a document's annotation once more, unless it waits already.
pub(super) async fn enqueue_again(tx: &mut PgConnection, document: DocumentId) -> Result<(), StoreError> {
    let doing = while_doing("queueing a job once more");
    sqlx::query(
        "INSERT INTO jobs AS waiting (kind, document_id) VALUES ('annotate', $1)
         ON CONFLICT (kind, document_id, model_name) DO UPDATE SET asked = waiting.asked + 1",
    )
    .bind(document.0)
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    ring(tx).await.map_err(&doing)
}

/// Queues a document for each model that looks on, in the caller's transaction.
pub(super) async fn enqueue_shadows(
    tx: &mut PgConnection,
    document: DocumentId,
    models: &[String],
) -> Result<(), StoreError> {
    if models.is_empty() {
        return Ok(());
    }
    let doing = while_doing("queueing shadow jobs");
    sqlx::query(
        "INSERT INTO jobs (kind, document_id, model_name) SELECT 'shadow', $1, unnest($2::text[]) ON CONFLICT DO NOTHING",
    )
    .bind(document.0)
    .bind(models)
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    ring(tx).await.map_err(&doing)
}

/// Queues a re-annotation in the caller's transaction.
pub(super) async fn enqueue_reannotation(tx: &mut PgConnection, id: ReannotationId) -> Result<(), StoreError> {
    let doing = while_doing("queueing a re-annotation");
    sqlx::query("INSERT INTO jobs (kind, reannotation_id) VALUES ('reannotate', $1)")
        .bind(id.0)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    ring(tx).await.map_err(&doing)
}

/// Gives a job back that has done a part of its work, in the transaction that writes that part, if it is still ours. The
/// next claim is a first try again, and others that wait have their turn before.
pub(super) async fn take_turns(tx: &mut PgConnection, job: &LeasedJob) -> Result<(), StoreError> {
    let given_back = sqlx::query(
        "UPDATE jobs SET lease = NULL, attempts = 0, due_at = now(), last_error = NULL WHERE job_id = $1 AND lease = $2",
    )
    .bind(job.id)
    .bind(job.lease)
    .execute(tx)
    .await
    .map_err(while_doing("giving a job back"))?;
    one_row(given_back.rows_affected())
}

/// Ends a job in the transaction that writes its results, if it is still ours. If it was asked for again since it was
/// claimed, it is due again instead.
pub(super) async fn settle(tx: &mut PgConnection, job: &LeasedJob) -> Result<(), StoreError> {
    let settled = sqlx::query("DELETE FROM jobs WHERE job_id = $1 AND lease = $2 AND asked = $3")
        .bind(job.id)
        .bind(job.lease)
        .bind(job.asked)
        .execute(&mut *tx)
        .await
        .map_err(while_doing("settling a job"))?;
    if settled.rows_affected() == 1 { Ok(()) } else { take_turns(tx, job).await }
}

/// The job that a claim returned.
pub(super) fn leased_job(row: &PgRow) -> Result<LeasedJob, StoreError> {
    let document = || known("document_id", row.get::<Option<Uuid>, _>("document_id").map(DocumentId));
    let source = || known("source", row.get::<Option<&str>, _>("source").and_then(SourceName::new));
    let kind = match row.get("kind") {
        "annotate" => JobKind::Annotate(document()?),
        "shadow" => JobKind::Shadow { document: document()?, model: row.get("model_name") },
        "reannotate" => JobKind::Reannotate(known(
            "reannotation_id",
            row.get::<Option<Uuid>, _>("reannotation_id").map(ReannotationId),
        )?),
        "fetch" => known("target", JobKind::fetch(source()?, row.get("target")))?,
        "contents" => {
            let document = Uuid::parse_str(row.get("target")).ok().map(DocumentId);
            JobKind::Contents { source: source()?, document: known("target", document)? }
        }
        "emit" => JobKind::Emit { source: source()?, observation_id: row.get("target") },
        "catch-up" => JobKind::CatchUp(source()?),
        _ => return Err(StoreError::UnknownValue { what: "job kind" }),
    };
    Ok(LeasedJob {
        id: row.get("job_id"),
        kind,
        lease: row.get("lease"),
        attempt: row.get("attempts"),
        asked: row.get("asked"),
    })
}

pub(super) fn one_row(rows: u64) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
}
