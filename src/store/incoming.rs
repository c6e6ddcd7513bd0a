//! What a source gives us of its reports: a new version, one that we have, one that is older, or none at all.

use sqlx::Row as _;
use time::OffsetDateTime;

use super::exchange::enqueue_contents;
use super::intake::Newest;
use super::{Intake, NewDocument, StoreError, jobs, while_doing};
use crate::digest::sha256;
use crate::domain::document::ReportKey;
use crate::domain::job::LeasedJob;

/// A version of a report, as its source gave it.
#[derive(Debug)]
pub struct FromSource {
    /// The resource.
    pub document: NewDocument,
    /// `meta.versionId`: compared, never ordered.
    pub source_version: Option<String>,
    /// `meta.lastUpdated`, to the microsecond.
    pub source_updated_at: Option<OffsetDateTime>,
    /// Whether it names by reference what has to be read before it can be annotated.
    pub needs_contents: bool,
    /// Whether the settings ask for reports like it. One that we know is taken in all the same: its new status may take
    /// an answer back.
    pub listened_to: bool,
    /// Whether it was just read at the report's own address: then the source has it, also if it seemed to be deleted.
    pub read_back: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is stored, and will be annotated.
    Stored,
    /// We have this version.
    Known,
    /// We have a later one.
    Older,
    /// The settings do not ask for reports like it.
    NotListenedTo,
    /// A report that we know is gone.
    Deleted,
    /// A report that we do not know is gone.
    Nothing,
}

impl Taken {
    /// The code used in metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Known => "known",
            Self::Older => "older",
            Self::NotListenedTo => "not-listened-to",
            Self::Deleted => "deleted",
            Self::Nothing => "nothing",
        }
    }
}

impl Intake {
    /// Takes in what a source gave us. Versions are ordered by the source's `meta.lastUpdated`, then by arrival.
    pub async fn take(&mut self, given: FromSource) -> Result<Taken, StoreError> {
        let Some(newest) = self.lock(&given.document.key).await? else {
            if !given.listened_to {
                return Ok(Taken::NotListenedTo);
            }
            return match self.insert_report(&given.document.key).await? {
                Some(report_id) => self.keep(report_id, 1, &given).await,
                // Another worker has just stored its first version: what we have is its next one, or the same.
                None => Box::pin(self.take(given)).await,
            };
        };
        match self.compared(&newest, &given).await? {
            Some(taken) => Ok(taken),
            None => self.keep(newest.report_id, newest.version + 1, &given).await,
        }
    }

    /// Takes in that a source has a report no longer.
    pub async fn take_deletion(&mut self, key: ReportKey) -> Result<Taken, StoreError> {
        let Some(newest) = self.lock(&key).await? else { return Ok(Taken::Nothing) };
        if newest.deleted {
            return Ok(Taken::Known);
        }
        let nothing = NewDocument {
            key,
            received: bytes::Bytes::new(),
            sha256: sha256(b""),
            identifiers: Vec::new(),
            links: Vec::new(),
        };
        self.insert(newest.report_id, newest.version + 1, nothing, true).await?;
        Ok(Taken::Deleted)
    }

    /// Ends the job by which it was taken in, in the same transaction.
    pub async fn settle(&mut self, job: &LeasedJob) -> Result<(), StoreError> {
        jobs::settle(&mut self.tx, job).await
    }

    /// Why it is not stored; none if it is.
    async fn compared(&mut self, newest: &Newest, given: &FromSource) -> Result<Option<Taken>, StoreError> {
        // A document that failed is tried again when it is given again.
        if newest.failed {
            return Ok(None);
        }
        // What it was before it was taken for deleted may be what it is again.
        if newest.deleted && given.read_back {
            return Ok(None);
        }
        if !newest.deleted && newest.sha256 == given.document.sha256.0 {
            return Ok(Some(Taken::Known));
        }
        // A version id alone is not enough: a server may count anew for a report that was deleted and written again.
        let row = sqlx::query(
            "SELECT COALESCE(bool_or(source_version = $2 AND source_updated_at = $3), false) AS known,
                    COALESCE(max(source_updated_at) > $3, false) AS older
             FROM documents WHERE report_id = $1",
        )
        .bind(newest.report_id)
        .bind(&given.source_version)
        .bind(given.source_updated_at)
        .fetch_one(&mut *self.tx)
        .await
        .map_err(while_doing("comparing versions of a report"))?;
        Ok(match (row.get("known"), row.get("older")) {
            (true, _) => Some(Taken::Known),
            (_, true) => Some(Taken::Older),
            _ => None,
        })
    }

    async fn keep(&mut self, report_id: i64, version: i32, given: &FromSource) -> Result<Taken, StoreError> {
        let id = self.insert_document(report_id, version, &given.document, false).await?;
        sqlx::query("UPDATE documents SET source_version = $2, source_updated_at = $3 WHERE document_id = $1")
            .bind(id.0)
            .bind(&given.source_version)
            .bind(given.source_updated_at)
            .execute(&mut *self.tx)
            .await
            .map_err(while_doing("storing a document's version at its source"))?;
        if given.needs_contents {
            enqueue_contents(&mut self.tx, &given.document.key.source, id).await?;
        } else {
            jobs::enqueue(&mut self.tx, id).await?;
        }
        Ok(Taken::Stored)
    }
}
