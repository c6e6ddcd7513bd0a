//! Everything durable: the only SQL, one file per table family.
//!
//! Each public operation is one transaction. None is open while the model runs or a remote server is called.

mod agreement;
mod annotations;
mod catch_ups;
mod contents;
mod decisions;
pub mod embedded;
mod emissions;
mod exchange;
mod incoming;
mod intake;
mod jobs;
mod links;
mod models;
mod observations;
mod reannotations;
mod reports;
mod reviews;
mod rows;
mod search;
mod shadow;
mod subscriptions;

use std::time::Duration;

use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

pub use agreement::{Comparison, Disagreement, DisagreementCursor};
pub use annotations::{Reading, StoredAnnotation};
pub use catch_ups::{CatchUp, Export, Mode};
pub use contents::FetchedContent;
pub use decisions::{Comment, Decided, Deciding, ExportedDecision, NotDecided};
pub use emissions::{CreationLock, Emission, EmissionCounts, Remote, Written};
pub use exchange::SourceJobs;
pub use incoming::{FromSource, Taken};
pub use intake::{Condition, Intake, NewDocument, Precondition, Receipt};
pub use jobs::{LEASE_SECONDS, QueueDepth};
pub use reannotations::{Reannotation, ReannotationState, Scope, Step};
pub use reports::{ReportVersion, StoredNarrative};
pub use reviews::{OpenReview, ReviewCursor};
pub use search::{
    CodeFilter, DateBound, ObservationFilter, ObservationPage, Order, PageCursor, SubjectFilter, TimeBound,
};
pub use subscriptions::{Named, Subscription};

use crate::domain::job::OnFailure;

static MIGRATOR: Migrator = sqlx::migrate!();

/// Longest that a request or a job waits for a database connection.
const ACQUIRE_SECONDS_MAX: u64 = 10;

/// The channel on which new jobs are announced.
const JOBS_CHANNEL: &str = "responsum_jobs";

/// What went wrong, and while doing what.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be reached, or refused.
    #[error("the database failed while {doing}")]
    Database {
        /// What we were doing.
        doing: &'static str,
        /// Its own account. Postgres may repeat parameter values in details, so only its code and message are shown.
        #[source]
        source: DatabaseFault,
    },
    /// The schema is not this version's.
    #[error("the database's schema could not be brought to this version")]
    Migrate(#[source] Box<sqlx::migrate::MigrateError>),
    /// The job is no longer ours: its lease ended and another worker took it, or it is settled.
    #[error("the lease of the job is lost")]
    LeaseLost,
    /// The report that had the answer for a linked one has it no more: it must be annotated itself.
    #[error("the report that had the answer has it no more")]
    LinkLost,
    /// A stored value is not one that this version knows.
    #[error("a stored {what} is not one that this version knows")]
    UnknownValue {
        /// Which column.
        what: &'static str,
    },
}

/// A database error without parameter values: `sqlx::Error`'s own text may carry Postgres' DETAIL line.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct DatabaseFault {
    text: String,
    may_pass: bool,
}

impl StoreError {
    /// Whether trying again may help.
    pub fn on_failure(&self) -> OnFailure {
        match self {
            Self::Database { source, .. } if source.may_pass => OnFailure::Retry,
            Self::LinkLost => OnFailure::Retry,
            Self::Database { .. } | Self::Migrate(_) | Self::LeaseLost | Self::UnknownValue { .. } => OnFailure::Fail,
        }
    }
}

/// Says what we were doing when the database failed.
fn while_doing(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| StoreError::Database { doing, source: fault(&error) }
}

fn fault(error: &sqlx::Error) -> DatabaseFault {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            // Class 08 connection, 40 rollback (deadlock, serialisation), 53 resources, 57 operator intervention,
            // 55P03 lock not available: PostgreSQL manual, appendix A.
            let may_pass = ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03";
            // The message of a data error (class 22) or of a constraint (23) may repeat a value; its code does not.
            let text = match database.constraint() {
                Some(constraint) => format!("SQLSTATE {code} on {constraint}"),
                None => format!("SQLSTATE {code}"),
            };
            DatabaseFault { text, may_pass }
        }
        sqlx::Error::Io(error) => DatabaseFault { text: format!("connection: {}", error.kind()), may_pass: true },
        sqlx::Error::PoolTimedOut => DatabaseFault { text: "no free connection in time".into(), may_pass: true },
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            DatabaseFault { text: "the connection pool is closed".into(), may_pass: true }
        }
        sqlx::Error::RowNotFound => DatabaseFault { text: "a row is missing".into(), may_pass: false },
        sqlx::Error::Protocol(_) => DatabaseFault { text: "the connection broke".into(), may_pass: true },
        sqlx::Error::Tls(_) => DatabaseFault { text: "TLS failed".into(), may_pass: true },
        _ => DatabaseFault { text: "a value could not be encoded or decoded".into(), may_pass: false },
    }
}

/// The store: a pool of connections to one migrated Postgres database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects, without touching the schema.
    pub async fn connect(options: PgConnectOptions, connections_max: u32) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_secs(ACQUIRE_SECONDS_MAX))
            .connect_with(options.application_name("responsum"))
            .await
            .map_err(while_doing("connecting"))?;
        Ok(Self { pool })
    }

    /// Brings the schema to this version; a database that a newer version has touched is refused.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        MIGRATOR.run(&self.pool).await.map_err(|e| StoreError::Migrate(Box::new(e)))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop).map_err(while_doing("asking for a sign of life"))
    }

    /// Hears of new jobs. Notifications may be lost when the connection breaks: poll as well.
    pub async fn listen(&self) -> Result<JobBell, StoreError> {
        let mut listener = PgListener::connect_with(&self.pool).await.map_err(while_doing("listening for jobs"))?;
        listener.listen(JOBS_CHANNEL).await.map_err(while_doing("listening for jobs"))?;
        Ok(JobBell { listener })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Rings when jobs were queued.
#[derive(Debug)]
pub struct JobBell {
    listener: PgListener,
}

impl JobBell {
    /// Waits for the next ring.
    pub async fn ring(&mut self) -> Result<(), StoreError> {
        self.listener.recv().await.map(drop).map_err(while_doing("listening for jobs"))
    }
}
