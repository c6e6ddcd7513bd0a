//! How far sources were searched for what was missed, and what is asked for by notifications.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::jobs::{one_row, ring};
use super::rows::known;
use super::{Intake, Store, StoreError, exchange, while_doing};
use crate::domain::document::{ReportKey, SourceName};
use crate::domain::job::LeasedJob;

/// How a source is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For what changed since a moment.
    LastUpdated,
    /// Through everything that matches, because the source does not know `_lastUpdated`.
    Whole,
    /// For deletions, by the type's history.
    History,
}

impl Mode {
    fn from_code(code: &str) -> Option<Self> {
        [Self::LastUpdated, Self::Whole, Self::History].into_iter().find(|mode| mode.code() == code)
    }

    /// The code used in SQL and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::LastUpdated => "last-updated",
            Self::Whole => "whole",
            Self::History => "history",
        }
    }
}

/// How far one search of a source has come.
#[derive(Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// Like `DiagnosticReport?category=…`.
    pub criteria: String,
    /// How it is searched.
    pub mode: Mode,
    /// Every change before this moment of the source's clock was taken in.
    pub complete_until: Option<OffsetDateTime>,
    /// What the search that is under way will be complete until.
    pub running_until: Option<OffsetDateTime>,
    /// Its next page.
    pub next_page: Option<String>,
    /// When the last one ended, by our clock.
    pub completed_at: Option<OffsetDateTime>,
}

impl std::fmt::Debug for CatchUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatchUp")
            .field("mode", &self.mode)
            .field("complete_until", &self.complete_until)
            .field("running_until", &self.running_until)
            .finish_non_exhaustive()
    }
}

/// A first load by `$export`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// Where it is asked how far it is; nothing once the manifest has come.
    pub status_url: Option<String>,
    /// The files that are to be read, as (type, URL).
    pub files: Vec<(String, String)>,
    /// The manifest's `transactionTime`.
    pub complete_until: Option<OffsetDateTime>,
    /// The first file that is not read to its end.
    pub file: usize,
    /// Lines of it that were taken in.
    pub line: u64,
    /// Lines that are no resource.
    pub bad_lines: u64,
    /// Whether it has ended: it is not begun a second time.
    pub ended: bool,
}

impl Intake {
    /// Asks for a report to be read from its source.
    pub async fn ask_fetch(&mut self, key: &ReportKey) -> Result<(), StoreError> {
        exchange::enqueue_fetch(&mut self.tx, key).await
    }

    /// The same, of a report that we have: one that we never had may be gone without us.
    pub async fn ask_fetch_of_known(&mut self, key: &ReportKey) -> Result<(), StoreError> {
        let known: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM reports JOIN documents USING (report_id)
                            WHERE source = $1 AND resource_type = $2 AND logical_id = $3
                              AND version = newest_version AND NOT deleted)",
        )
        .bind(key.source.as_str())
        .bind(key.resource_type.name())
        .bind(key.logical_id.as_str())
        .fetch_one(&mut *self.tx)
        .await
        .map_err(while_doing("looking for a report"))?;
        if known { self.ask_fetch(key).await } else { Ok(()) }
    }

    /// Asks for a search of the source in `seconds`, and not sooner than `pause` seconds after the last one ended.
    pub async fn ask_catch_up(&mut self, source: &SourceName, seconds: f64, pause: f64) -> Result<(), StoreError> {
        ask_catch_up(&mut self.tx, source, seconds, pause).await
    }

    /// Notes how far a search has come.
    pub async fn note_catch_up(&mut self, source: &SourceName, catch_up: &CatchUp) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO catch_ups (source, criteria, mode, complete_until, running_until, next_page, completed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (source, criteria) DO UPDATE SET mode = excluded.mode, complete_until = excluded.complete_until,
                 running_until = excluded.running_until, next_page = excluded.next_page,
                 completed_at = excluded.completed_at",
        )
        .bind(source.as_str())
        .bind(&catch_up.criteria)
        .bind(catch_up.mode.code())
        .bind(catch_up.complete_until)
        .bind(catch_up.running_until)
        .bind(&catch_up.next_page)
        .bind(catch_up.completed_at)
        .execute(&mut *self.tx)
        .await
        .map(drop)
        .map_err(while_doing("noting how far a search has come"))
    }

    /// Notes how far a first load has come.
    pub async fn note_export(&mut self, source: &SourceName, export: &Export) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO exports (source, status_url, manifest, complete_until, file, line, bad_lines, started_at, ended_at)
             VALUES ($1, $2, $3::jsonb, $4, $5, $6, $7, $8, CASE WHEN $9 THEN $8 END)
             ON CONFLICT (source) DO UPDATE SET status_url = excluded.status_url, manifest = excluded.manifest,
                 complete_until = excluded.complete_until, file = excluded.file, line = excluded.line,
                 bad_lines = excluded.bad_lines, ended_at = excluded.ended_at",
        )
        .bind(source.as_str())
        .bind(&export.status_url)
        .bind(serde_json::json!(export.files).to_string())
        .bind(export.complete_until)
        .bind(i32::try_from(export.file).unwrap_or(i32::MAX))
        .bind(i64::try_from(export.line).unwrap_or(i64::MAX))
        .bind(i64::try_from(export.bad_lines).unwrap_or(i64::MAX))
        .bind(self.now)
        .bind(export.ended)
        .execute(&mut *self.tx)
        .await
        .map(drop)
        .map_err(while_doing("noting how far an export has come"))
    }
}

impl Store {
    /// Asks for a search of the source now, whatever was before: the service starts, or a gap was found.
    pub async fn catch_up_now(&self, source: &SourceName) -> Result<(), StoreError> {
        let doing = while_doing("asking for a search");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        exchange::enqueue_catch_up(&mut tx, source).await?;
        tx.commit().await.map_err(&doing)
    }

    /// Gives the job back after its work: it is done again in `seconds`, or in `soon` if it was asked for meanwhile.
    pub async fn search_again(&self, job: &LeasedJob, seconds: f64, soon: f64) -> Result<(), StoreError> {
        let given_back = sqlx::query(
            "UPDATE jobs SET lease = NULL, attempts = 0, last_error = NULL,
                 due_at = now() + make_interval(secs => CASE WHEN asked = $3 THEN $4 ELSE LEAST($4, $5) END)
             WHERE job_id = $1 AND lease = $2",
        )
        .bind(job.id)
        .bind(job.lease)
        .bind(job.asked)
        .bind(seconds)
        .bind(soon)
        .execute(&self.pool)
        .await
        .map_err(while_doing("giving a search back"))?;
        one_row(given_back.rows_affected())
    }

    /// How far each search of a source has come.
    pub async fn catch_ups(&self, source: &SourceName) -> Result<Vec<CatchUp>, StoreError> {
        let rows = sqlx::query(
            "SELECT criteria, mode, complete_until, running_until, next_page, completed_at FROM catch_ups
             WHERE source = $1 ORDER BY criteria",
        )
        .bind(source.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("reading how far searches have come"))?;
        rows.iter().map(catch_up).collect()
    }

    /// Forgets searches that the settings no longer ask for.
    pub async fn keep_catch_ups(&self, source: &SourceName, criteria: &[String]) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM catch_ups WHERE source = $1 AND NOT criteria = ANY($2)")
            .bind(source.as_str())
            .bind(criteria)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(while_doing("forgetting searches"))
    }

    /// The source's first load, if one was begun.
    pub async fn export(&self, source: &SourceName) -> Result<Option<Export>, StoreError> {
        let row = sqlx::query(
            "SELECT status_url, manifest::text AS manifest, complete_until, file, line, bad_lines,
                    ended_at IS NOT NULL AS ended FROM exports WHERE source = $1",
        )
        .bind(source.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(while_doing("reading how far an export has come"))?;
        row.map(|row| {
            let manifest: Option<&str> = row.get("manifest");
            Ok(Export {
                status_url: row.get("status_url"),
                files: known("manifest", serde_json::from_str(manifest.unwrap_or("[]")).ok())?,
                complete_until: row.get("complete_until"),
                file: usize::try_from(row.get::<i32, _>("file")).unwrap_or_default(),
                line: u64::try_from(row.get::<i64, _>("line")).unwrap_or_default(),
                bad_lines: u64::try_from(row.get::<i64, _>("bad_lines")).unwrap_or_default(),
                ended: row.get("ended"),
            })
        })
        .transpose()
    }

    /// How many seconds a source's reports may be behind the source: 0 when nothing is known to be missing. While
    /// something is (a report waits to be read, a search runs, is overdue or fails, events are missing): the age of the
    /// moment up to which all was taken in.
    pub async fn seconds_behind(&self, source: &SourceName) -> Result<f64, StoreError> {
        sqlx::query_scalar(
            "SELECT GREATEST(0,
                 (SELECT extract(epoch FROM now() - min(created_at)) FROM jobs
                  WHERE source = $1 AND kind = 'fetch' AND NOT abandoned),
                 CASE WHEN EXISTS (SELECT 1 FROM jobs WHERE source = $1 AND kind = 'catch-up'
                                     AND (due_at < now() OR lease IS NOT NULL OR last_error IS NOT NULL))
                        OR EXISTS (SELECT 1 FROM catch_ups WHERE source = $1 AND running_until IS NOT NULL)
                        OR EXISTS (SELECT 1 FROM subscriptions WHERE source = $1 AND gap_since IS NOT NULL)
                      THEN COALESCE((SELECT extract(epoch FROM now() - min(complete_until)) FROM catch_ups WHERE source = $1),
                                    (SELECT extract(epoch FROM now() - min(created_at)) FROM jobs
                                     WHERE source = $1 AND kind = 'catch-up')) END)::float8",
        )
        .bind(source.as_str())
        .fetch_one(&self.pool)
        .await
        .map_err(while_doing("asking how far a source is behind"))
    }
}

/// A search that waits already and is due in time needs no writing: notifications of a storm do not wait for each other.
/// If it is claimed meanwhile, it searches after this notification came.
async fn ask_catch_up(tx: &mut PgConnection, source: &SourceName, seconds: f64, pause: f64) -> Result<(), StoreError> {
    let doing = while_doing("asking for a search");
    let wanted: OffsetDateTime = sqlx::query_scalar(
        "SELECT GREATEST(now() + make_interval(secs => $2),
                         (SELECT max(completed_at) FROM catch_ups WHERE source = $1) + make_interval(secs => $3))",
    )
    .bind(source.as_str())
    .bind(seconds)
    .bind(pause)
    .fetch_one(&mut *tx)
    .await
    .map_err(&doing)?;
    let waits: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE source = $1 AND kind = 'catch-up' AND lease IS NULL
                          AND NOT abandoned AND due_at <= $2)",
    )
    .bind(source.as_str())
    .bind(wanted)
    .fetch_one(&mut *tx)
    .await
    .map_err(&doing)?;
    if waits {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO jobs AS waiting (kind, source, target, due_at) VALUES ('catch-up', $1, '', $2)
         ON CONFLICT (source, kind, target) WHERE source IS NOT NULL DO UPDATE SET
             asked = waiting.asked + 1, abandoned = false,
             attempts = CASE WHEN waiting.abandoned THEN 0 ELSE waiting.attempts END,
             due_at = CASE WHEN waiting.lease IS NULL THEN LEAST(waiting.due_at, excluded.due_at)
                           ELSE waiting.due_at END",
    )
    .bind(source.as_str())
    .bind(wanted)
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    ring(tx).await.map_err(&doing)
}

fn catch_up(row: &PgRow) -> Result<CatchUp, StoreError> {
    Ok(CatchUp {
        criteria: row.get("criteria"),
        mode: known("mode", Mode::from_code(row.get("mode")))?,
        complete_until: row.get("complete_until"),
        running_until: row.get("running_until"),
        next_page: row.get("next_page"),
        completed_at: row.get("completed_at"),
    })
}
