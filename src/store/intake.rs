//! Receiving: a document and its job are committed together, before anyone is told that it was accepted.

use bytes::Bytes;
use sqlx::{PgConnection, Postgres, Row, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::reports::ReportVersion;
use super::{Store, StoreError, jobs, while_doing};
use crate::domain::document::{DocumentId, Identifier, LogicalId, ReportKey, Sha256Digest, SourceName};

/// A document that is about to be stored.
#[derive(Debug)]
pub struct NewDocument {
    /// The report that it is a version of.
    pub key: ReportKey,
    /// As received.
    pub received: Bytes,
    /// Of `received`.
    pub sha256: Sha256Digest,
    /// The report's business identifiers from now on.
    pub identifiers: Vec<Identifier>,
    /// A transaction's `urn:uuid` references that occur in it, and what they stand for.
    pub links: Vec<(String, String)>,
}

/// `If-None-Exist`: create only if no report of the type has this identifier.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The namespace: none for `identifier=value` (any), empty for `identifier=|value` (without one).
    pub system: Option<String>,
    /// The value.
    pub value: String,
}

/// `If-Match`: write only if this is the newest version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Write in any case.
    None,
    /// Write only if there is a version (`If-Match: *`).
    Exists,
    /// The version that the client read.
    Version(i32),
}

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// A new report.
    Created(ReportVersion),
    /// A new version of a known report.
    Updated(ReportVersion),
    /// The newest version already has these bytes.
    Unchanged(ReportVersion),
    /// `If-None-Exist` found this one.
    Found(ReportVersion),
    /// `If-None-Exist` found several.
    Ambiguous,
    /// `If-Match` names another version than the newest.
    VersionConflict,
    /// There is nothing to delete.
    Nothing,
}

/// A database transaction that takes documents in. Nothing is stored until [`Intake::commit`].
#[derive(Debug)]
pub struct Intake {
    pub(super) tx: Transaction<'static, Postgres>,
    pub(super) now: OffsetDateTime,
}

impl Store {
    /// Opens the transaction in which documents are received at `now`.
    pub async fn intake(&self, now: OffsetDateTime) -> Result<Intake, StoreError> {
        let tx = self.pool.begin().await.map_err(while_doing("opening an intake"))?;
        Ok(Intake { tx, now })
    }
}

impl Intake {
    /// Stores the first version of a new report, unless the condition finds one.
    pub async fn create(&mut self, new: NewDocument, condition: Option<Condition>) -> Result<Receipt, StoreError> {
        if let Some(condition) = condition {
            match self.find(&new.key, &condition).await?.as_mut_slice() {
                [] => {}
                [found] => return Ok(Receipt::Found(found.clone())),
                _ => return Ok(Receipt::Ambiguous),
            }
        }
        self.update(new, Precondition::None).await
    }

    /// Stores the next version of a report, or its first.
    pub async fn update(&mut self, new: NewDocument, precondition: Precondition) -> Result<Receipt, StoreError> {
        let Some(newest) = self.lock(&new.key).await? else {
            if precondition != Precondition::None {
                return Ok(Receipt::VersionConflict);
            }
            let report_id = self.insert_report(&new.key).await?;
            return match report_id {
                Some(report_id) => self.insert(report_id, 1, new, false).await.map(Receipt::Created),
                // Another request has just created it: what we write is its next version.
                None => Box::pin(self.update(new, precondition)).await,
            };
        };
        if precondition.refuses(&newest) {
            return Ok(Receipt::VersionConflict);
        }
        // The same bytes again are a no-op, but for a document that failed: sending it again asks for another try.
        if !newest.deleted && !newest.failed && newest.sha256 == new.sha256.0 {
            return Ok(Receipt::Unchanged(newest.as_version(new.key)));
        }
        let version = self.insert(newest.report_id, newest.version + 1, new, false).await?;
        Ok(if newest.deleted { Receipt::Created(version) } else { Receipt::Updated(version) })
    }

    /// Stores a deletion as the report's next version. Deleting twice is no fault.
    pub async fn delete(&mut self, key: ReportKey, precondition: Precondition) -> Result<Receipt, StoreError> {
        let Some(newest) = self.lock(&key).await? else { return Ok(Receipt::Nothing) };
        if precondition.refuses(&newest) {
            return Ok(Receipt::VersionConflict);
        }
        if newest.deleted {
            return Ok(Receipt::Unchanged(newest.as_version(key)));
        }
        let nothing = NewDocument {
            key,
            received: Bytes::new(),
            sha256: crate::digest::sha256(b""),
            identifiers: Vec::new(),
            links: Vec::new(),
        };
        self.insert(newest.report_id, newest.version + 1, nothing, true).await.map(Receipt::Updated)
    }

    /// Keeps a resource of another type, so that references to it stay true. One that is there is replaced, or left as
    /// it is; false if it was left.
    pub async fn keep_context(
        &mut self,
        source: &SourceName,
        resource_type: &str,
        logical_id: &LogicalId,
        received: &Bytes,
        replace: bool,
    ) -> Result<bool, StoreError> {
        let kept = sqlx::query(
            "INSERT INTO context_resources AS kept (source, resource_type, logical_id, received, received_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (source, resource_type, logical_id)
             DO UPDATE SET received = excluded.received, received_at = excluded.received_at WHERE $6",
        )
        .bind(source.as_str())
        .bind(resource_type)
        .bind(logical_id.as_str())
        .bind(received.as_ref())
        .bind(self.now)
        .bind(replace)
        .execute(&mut *self.tx)
        .await
        .map_err(while_doing("keeping a context resource"))?;
        Ok(kept.rows_affected() == 1)
    }

    /// Makes all of it durable. Only now may anyone be told.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(while_doing("committing an intake"))
    }

    /// At most two of the reports of the type that have the identifier and are not deleted. Two conditional creates for one
    /// identifier wait for each other, so that only the first creates.
    pub async fn find(&mut self, key: &ReportKey, condition: &Condition) -> Result<Vec<ReportVersion>, StoreError> {
        let doing = while_doing("looking for a report by identifier");
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("{}\n{}\n{}", key.source.as_str(), key.resource_type, condition.value))
            .execute(&mut *self.tx)
            .await
            .map_err(&doing)?;
        let rows = sqlx::query(
            "SELECT DISTINCT r.logical_id, d.version, d.received_at
             FROM report_identifiers i JOIN reports r USING (report_id)
             JOIN documents d ON d.report_id = r.report_id AND d.version = r.newest_version
             WHERE i.value = $1 AND ($2::text IS NULL OR i.system = $2)
               AND r.source = $3 AND r.resource_type = $4 AND NOT d.deleted LIMIT 2",
        )
        .bind(&condition.value)
        .bind(&condition.system)
        .bind(key.source.as_str())
        .bind(key.resource_type.name())
        .fetch_all(&mut *self.tx)
        .await
        .map_err(&doing)?;
        rows.iter()
            .map(|row| {
                let logical_id =
                    LogicalId::new(row.get("logical_id")).ok_or(StoreError::UnknownValue { what: "logical_id" })?;
                Ok(ReportVersion {
                    key: ReportKey { logical_id, ..key.clone() },
                    version: row.get("version"),
                    received_at: row.get("received_at"),
                    deleted: false,
                })
            })
            .collect()
    }

    /// Locks the report until the transaction ends, so that its versions are numbered one after the other.
    pub(super) async fn lock(&mut self, key: &ReportKey) -> Result<Option<Newest>, StoreError> {
        let doing = while_doing("locking a report");
        let locked: Option<(i64, i32)> = sqlx::query_as(
            "SELECT report_id, newest_version FROM reports
             WHERE source = $1 AND resource_type = $2 AND logical_id = $3 FOR UPDATE",
        )
        .bind(key.source.as_str())
        .bind(key.resource_type.name())
        .bind(key.logical_id.as_str())
        .fetch_optional(&mut *self.tx)
        .await
        .map_err(&doing)?;
        let Some((report_id, version)) = locked else { return Ok(None) };
        // A second query, not a join: after waiting for the lock, a join would still see the version from before.
        let row = sqlx::query(
            "SELECT sha256, deleted, received_at, state = 'failed' AS failed FROM documents
                 WHERE report_id = $1 AND version = $2",
        )
        .bind(report_id)
        .bind(version)
        .fetch_one(&mut *self.tx)
        .await
        .map_err(&doing)?;
        Ok(Some(Newest {
            report_id,
            version,
            sha256: row.get("sha256"),
            deleted: row.get("deleted"),
            failed: row.get("failed"),
            received_at: row.get("received_at"),
        }))
    }

    pub(super) async fn insert_report(&mut self, key: &ReportKey) -> Result<Option<i64>, StoreError> {
        sqlx::query_scalar(
            "INSERT INTO reports (source, resource_type, logical_id, newest_version, created_at)
             VALUES ($1, $2, $3, 1, $4) ON CONFLICT DO NOTHING RETURNING report_id",
        )
        .bind(key.source.as_str())
        .bind(key.resource_type.name())
        .bind(key.logical_id.as_str())
        .bind(self.now)
        .fetch_optional(&mut *self.tx)
        .await
        .map_err(while_doing("storing a report"))
    }

    pub(super) async fn insert(
        &mut self,
        report_id: i64,
        version: i32,
        new: NewDocument,
        deleted: bool,
    ) -> Result<ReportVersion, StoreError> {
        let id = self.insert_document(report_id, version, &new, deleted).await?;
        jobs::enqueue(&mut self.tx, id).await?;
        Ok(ReportVersion { key: new.key, version, received_at: self.now, deleted })
    }

    /// Stores the document itself; whoever calls it queues what is to be done with it.
    pub(super) async fn insert_document(
        &mut self,
        report_id: i64,
        version: i32,
        new: &NewDocument,
        deleted: bool,
    ) -> Result<DocumentId, StoreError> {
        let doing = while_doing("storing a document");
        let id = DocumentId(Uuid::now_v7());
        let links = new.links.iter().map(|(urn, to)| (urn.clone(), to.clone().into()));
        let links: serde_json::Map<_, _> = links.collect();
        sqlx::query(
            "INSERT INTO documents (document_id, report_id, version, received, sha256, received_at, deleted, links)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)",
        )
        .bind(id.0)
        .bind(report_id)
        .bind(version)
        .bind(new.received.as_ref())
        .bind(&new.sha256.0[..])
        .bind(self.now)
        .bind(deleted)
        .bind(serde_json::Value::Object(links).to_string())
        .execute(&mut *self.tx)
        .await
        .map_err(&doing)?;
        sqlx::query("UPDATE reports SET newest_version = $2 WHERE report_id = $1")
            .bind(report_id)
            .bind(version)
            .execute(&mut *self.tx)
            .await
            .map_err(&doing)?;
        replace_identifiers(&mut self.tx, report_id, &new.identifiers).await?;
        Ok(id)
    }
}

async fn replace_identifiers(
    tx: &mut PgConnection,
    report_id: i64,
    identifiers: &[Identifier],
) -> Result<(), StoreError> {
    let doing = while_doing("storing a report's identifiers");
    sqlx::query("DELETE FROM report_identifiers WHERE report_id = $1")
        .bind(report_id)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    for identifier in identifiers {
        sqlx::query("INSERT INTO report_identifiers VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(report_id)
            .bind(identifier.system.as_deref().unwrap_or_default())
            .bind(identifier.value.as_deref().unwrap_or_default())
            .execute(&mut *tx)
            .await
            .map_err(&doing)?;
    }
    Ok(())
}

impl Precondition {
    fn refuses(self, newest: &Newest) -> bool {
        match self {
            Self::None => false,
            Self::Exists => newest.deleted,
            Self::Version(version) => version != newest.version,
        }
    }
}

/// The newest version of a report, while the report is locked.
pub(super) struct Newest {
    pub(super) report_id: i64,
    pub(super) version: i32,
    pub(super) sha256: Vec<u8>,
    pub(super) deleted: bool,
    pub(super) failed: bool,
    received_at: OffsetDateTime,
}

impl Newest {
    fn as_version(&self, key: ReportKey) -> ReportVersion {
        ReportVersion { key, version: self.version, received_at: self.received_at, deleted: self.deleted }
    }
}
