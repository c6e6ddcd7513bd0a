//! Reading reports back: their versions, byte for byte, and their narratives.

use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{digest, links, report_key};
use super::{Store, StoreError, while_doing};
use crate::domain::document::{Document, DocumentId, ReportKey};
use crate::domain::observation::CodePoints;

/// One version of a report, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportVersion {
    /// Which report.
    pub key: ReportKey,
    /// 1 for the first.
    pub version: i32,
    /// When it was received.
    pub received_at: OffsetDateTime,
    /// True for a deletion.
    pub deleted: bool,
}

/// A stored narrative's text.
#[derive(Clone)]
pub struct StoredNarrative {
    /// Its identity, also its Binary's id.
    pub id: Uuid,
    /// The whole text.
    pub text: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

impl StoredNarrative {
    /// What a range of code points quotes; nothing if it lies outside the text.
    pub fn quote(&self, range: CodePoints) -> Option<&str> {
        let start = nth_boundary(&self.text, range.offset)?;
        let rest = &self.text[start..];
        Some(&rest[..nth_boundary(rest, range.length)?])
    }
}

fn nth_boundary(text: &str, code_points: usize) -> Option<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(code_points)
}

macro_rules! select_document {
    ($condition:literal) => {
        concat!(
            "SELECT d.document_id, d.version, d.received, d.sha256, d.received_at, d.deleted, d.links::text AS links,
                    r.source, r.resource_type, r.logical_id
             FROM documents d JOIN reports r USING (report_id) WHERE ",
            $condition
        )
    };
}

impl Store {
    /// A version of a report; the newest if none is named.
    pub async fn document(&self, key: &ReportKey, version: Option<i32>) -> Result<Option<Document>, StoreError> {
        let row = sqlx::query(select_document!(
            "r.source = $1 AND r.resource_type = $2 AND r.logical_id = $3
             AND d.version = COALESCE($4, r.newest_version)"
        ))
        .bind(key.source.as_str())
        .bind(key.resource_type.name())
        .bind(key.logical_id.as_str())
        .bind(version)
        .fetch_optional(&self.pool)
        .await
        .map_err(while_doing("reading a document"))?;
        row.as_ref().map(document).transpose()
    }

    /// The document that a job names.
    pub async fn document_by_id(&self, id: DocumentId) -> Result<Document, StoreError> {
        let doing = while_doing("reading a job's document");
        let row = sqlx::query(select_document!("d.document_id = $1"))
            .bind(id.0)
            .fetch_one(&self.pool)
            .await
            .map_err(doing)?;
        document(&row)
    }

    /// The text that a document's or an Observation's evidence points into.
    pub async fn narrative(&self, id: Uuid) -> Result<Option<StoredNarrative>, StoreError> {
        let row = sqlx::query("SELECT text, created_at FROM narratives WHERE narrative_id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(while_doing("reading a narrative"))?;
        Ok(row.map(|row| StoredNarrative { id, text: row.get("text"), created_at: row.get("created_at") }))
    }
}

fn document(row: &PgRow) -> Result<Document, StoreError> {
    Ok(Document {
        id: DocumentId(row.get("document_id")),
        key: report_key(row)?,
        version: row.get("version"),
        received: Bytes::from(row.get::<Vec<u8>, _>("received")),
        sha256: digest(row.get("sha256"))?,
        received_at: row.get("received_at"),
        deleted: row.get("deleted"),
        links: links(row.get("links"))?,
    })
}
