//! Where our Observations and Devices stand at the sources that they are written back to.

use sqlx::{Connection as _, PgConnection, Row as _};
use time::OffsetDateTime;

use super::jobs::one_row;
use super::observations::{answer, select_answer};
use super::{Store, StoreError, while_doing};
use crate::domain::document::SourceName;
use crate::domain::job::LeasedJob;
use crate::domain::observation::Answer;

/// An Observation and what its source has of it.
#[derive(Clone, Debug)]
pub struct Emission {
    /// The current version.
    pub answer: Answer,
    /// `meta.versionId` of the report's version that it was read from, at the source.
    pub report_version: Option<String>,
    /// The model's row.
    pub model_version_id: i64,
    /// What stands there.
    pub remote: Remote,
}

/// What a source has of an Observation of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// Its logical id there.
    pub id: Option<String>,
    /// Of the version that we wrote last; opaque.
    pub etag: Option<String>,
    /// `meta.versionId` of it, if the source told.
    pub version: Option<String>,
    /// Our version whose writing was begun last.
    pub begun_version: i32,
    /// Our version that stands there.
    pub written_version: i32,
    /// Whether one of ours that may stand there is `final`.
    pub may_be_final: bool,
    /// Whether one of ours that may stand there is `entered-in-error`.
    pub may_be_withdrawn: bool,
    /// Our last version whose Provenance stands there.
    pub provenance_version: i32,
}

/// What a write at a source gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The resource's id there.
    pub id: String,
    /// `ETag`.
    pub etag: Option<String>,
    /// `meta.versionId`.
    pub version: Option<String>,
}

/// Counts of a source's emissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmissionCounts {
    /// Observations that stand there as they should.
    pub written: i64,
    /// That do not yet.
    pub pending: i64,
    /// That cannot be written: see the jobs that were given up.
    pub failed: i64,
}

impl Store {
    /// The Observation that a job is to bring in line, and what its source has of it.
    pub async fn emission(&self, observation_id: &str) -> Result<Option<Emission>, StoreError> {
        let row = sqlx::query(select_answer!(
            "e.remote_id, e.remote_etag, e.remote_version, e.begun_version, e.written_version, e.provenance_version,
             d.source_version, m.model_version_id,
             EXISTS (SELECT 1 FROM observation_versions w WHERE w.observation_id = o.observation_id AND w.status = 'final'
                     AND w.version BETWEEN e.written_version AND e.begun_version) AS may_be_final,
             EXISTS (SELECT 1 FROM observation_versions w WHERE w.observation_id = o.observation_id
                     AND w.status = 'entered-in-error' AND w.version BETWEEN e.written_version AND e.begun_version)
                 AS may_be_withdrawn, ",
            "LEFT JOIN emissions e ON e.observation_id = o.observation_id
             WHERE o.observation_id = $1 AND v.version = o.version"
        ))
        .bind(observation_id)
        .fetch_optional(&self.pool)
        .await
        .map_err(while_doing("reading what a source has of an Observation"))?;
        let Some(row) = row else { return Ok(None) };
        let number = |name: &str| row.get::<Option<i32>, _>(name).unwrap_or_default();
        Ok(Some(Emission {
            answer: answer(&row)?,
            report_version: row.get("source_version"),
            model_version_id: row.get("model_version_id"),
            remote: Remote {
                id: row.get("remote_id"),
                etag: row.get("remote_etag"),
                version: row.get("remote_version"),
                begun_version: number("begun_version"),
                written_version: number("written_version"),
                may_be_final: row.get("may_be_final"),
                may_be_withdrawn: row.get("may_be_withdrawn"),
                provenance_version: number("provenance_version"),
            },
        }))
    }

    /// Remembers that the version is about to be written, before anything is sent.
    pub async fn begin_writing(&self, job: &LeasedJob, source: &SourceName, answer: &Answer) -> Result<(), StoreError> {
        let doing = while_doing("beginning to write an Observation back");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        held(&mut tx, job).await?;
        sqlx::query(
            "INSERT INTO emissions (observation_id, source, begun_version) VALUES ($1, $2, $3)
             ON CONFLICT (observation_id) DO UPDATE SET begun_version = excluded.begun_version",
        )
        .bind(&answer.observation_id)
        .bind(source.as_str())
        .bind(answer.version)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
        tx.commit().await.map_err(&doing)
    }

    /// Remembers that a version of an Observation stands at its source.
    pub async fn observation_written(
        &self,
        job: &LeasedJob,
        answer: &Answer,
        written: &Written,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let doing = while_doing("remembering what was written back");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        held(&mut tx, job).await?;
        sqlx::query(
            "UPDATE emissions SET remote_id = $2, remote_etag = $3, remote_version = $4, begun_version = $5,
                    written_version = $5, written_at = $6, failure = NULL WHERE observation_id = $1",
        )
        .bind(&answer.observation_id)
        .bind(&written.id)
        .bind(&written.etag)
        .bind(&written.version)
        .bind(answer.version)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
        tx.commit().await.map_err(&doing)
    }

    /// Remembers that the Provenance of a version stands there, too.
    pub async fn provenance_written(&self, job: &LeasedJob, answer: &Answer) -> Result<(), StoreError> {
        let doing = while_doing("remembering a Provenance that was written back");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        held(&mut tx, job).await?;
        sqlx::query("UPDATE emissions SET provenance_version = $2 WHERE observation_id = $1")
            .bind(&answer.observation_id)
            .bind(answer.version)
            .execute(&mut *tx)
            .await
            .map_err(&doing)?;
        tx.commit().await.map_err(&doing)
    }

    /// Gives a job up that was to write an Observation back, and remembers why it does not stand there.
    pub async fn abandon_emission(
        &self,
        job: &LeasedJob,
        observation_id: &str,
        why: &str,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        // First, so that no job is given up without it. Of an Observation whose writing was not even begun, nothing is
        // remembered yet.
        let remember = "INSERT INTO emissions (observation_id, source, failure)
             SELECT observation_id, jobs.source, $2 FROM observations, jobs
             WHERE observation_id = $1 AND job_id = $3 AND lease = $4
             ON CONFLICT (observation_id) DO UPDATE SET failure = excluded.failure";
        sqlx::query(remember)
            .bind(observation_id)
            .bind(why)
            .bind(job.id)
            .bind(job.lease)
            .execute(&self.pool)
            .await
            .map_err(while_doing("remembering why an Observation was not written back"))?;
        self.abandon_job(job, why, now).await
    }

    /// Our Device for a model version at a source.
    pub async fn remote_device(&self, source: &SourceName, model: i64) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT remote_id FROM remote_devices WHERE source = $1 AND model_version_id = $2")
            .bind(source.as_str())
            .bind(model)
            .fetch_optional(&self.pool)
            .await
            .map_err(while_doing("looking for a Device at a source"))
    }

    /// Remembers our Device at a source; one that is remembered already stays.
    pub async fn device_written(&self, source: &SourceName, model: i64, remote_id: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO remote_devices VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(source.as_str())
            .bind(model)
            .bind(remote_id)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(while_doing("remembering a Device at a source"))
    }

    /// Forgets our Device at a source: it is not there any more.
    pub async fn device_lost(&self, source: &SourceName, model: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM remote_devices WHERE source = $1 AND model_version_id = $2")
            .bind(source.as_str())
            .bind(model)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(while_doing("forgetting a Device at a source"))
    }

    /// How many of a source's Observations stand there.
    pub async fn emission_counts(&self, source: &SourceName) -> Result<EmissionCounts, StoreError> {
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE e.written_version = o.version) AS written,
                    count(*) FILTER (WHERE e.written_version < o.version AND e.failure IS NULL
                                     AND NOT (o.status = 'entered-in-error' AND e.remote_id IS NULL)) AS pending,
                    count(*) FILTER (WHERE e.failure IS NOT NULL
                                     AND NOT (o.status = 'entered-in-error' AND e.begun_version = 0)) AS failed
             FROM emissions e JOIN observations o USING (observation_id) WHERE e.source = $1",
        )
        .bind(source.as_str())
        .fetch_one(&self.pool)
        .await
        .map_err(while_doing("counting a source's Observations"))?;
        Ok(EmissionCounts { written: row.get("written"), pending: row.get("pending"), failed: row.get("failed") })
    }

    /// When the newest version of a report of a source was taken in.
    pub async fn newest_of(&self, source: &SourceName) -> Result<Option<OffsetDateTime>, StoreError> {
        sqlx::query_scalar(
            "SELECT received_at FROM documents JOIN reports USING (report_id) WHERE source = $1
             ORDER BY received_at DESC LIMIT 1",
        )
        .bind(source.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(while_doing("looking for a source's newest report"))
    }

    /// Waits until nobody else, of any process, creates what `name` stands for. It holds a connection, and no transaction.
    pub async fn creation_lock(&self, name: &str) -> Result<CreationLock, StoreError> {
        let doing = while_doing("waiting for another who creates the same");
        let mut connection = self.pool.acquire().await.map_err(&doing)?.detach();
        sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))")
            .bind(name)
            .execute(&mut connection)
            .await
            .map_err(&doing)?;
        Ok(CreationLock { connection })
    }
}

/// Held while something is created at a source that has no other guard against twins. It ends with its connection, also
/// when it is dropped.
#[derive(Debug)]
pub struct CreationLock {
    connection: PgConnection,
}

impl CreationLock {
    /// Lets the next one go on.
    pub async fn release(self) {
        // An error means that the connection is gone, and the lock with it.
        drop(self.connection.close().await);
    }
}

/// Makes sure that the job is still ours, until the transaction ends.
async fn held(tx: &mut PgConnection, job: &LeasedJob) -> Result<(), StoreError> {
    let found = sqlx::query("SELECT 1 FROM jobs WHERE job_id = $1 AND lease = $2 FOR UPDATE")
        .bind(job.id)
        .bind(job.lease)
        .fetch_all(tx)
        .await
        .map_err(while_doing("looking at a job's lease"))?;
    one_row(found.len() as u64)
}
