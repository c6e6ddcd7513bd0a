//! What documents name by reference and we fetched: attachments by URL, results of a report.

use bytes::Bytes;
use sqlx::Row as _;
use time::OffsetDateTime;

use super::{Store, StoreError, jobs, while_doing};
use crate::digest::sha256;
use crate::domain::document::DocumentId;
use crate::domain::job::LeasedJob;

/// Something that a document names by reference.
#[derive(Clone)]
pub struct FetchedContent {
    /// As the document has it.
    pub reference: String,
    /// What the answer said it is, or the Binary's `contentType`.
    pub content_type: Option<String>,
    /// As received; or why it could not be had, without report text and address.
    pub content: Result<Bytes, String>,
}

impl std::fmt::Debug for FetchedContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FetchedContent(…)")
    }
}

impl Store {
    /// All that was fetched for a document.
    pub async fn contents(&self, document: DocumentId) -> Result<Vec<FetchedContent>, StoreError> {
        let rows = sqlx::query(
            "SELECT reference, content_type, received, failure FROM fetched_contents WHERE document_id = $1
             ORDER BY reference",
        )
        .bind(document.0)
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("reading what was fetched for a document"))?;
        let contents = rows.iter().map(|row| FetchedContent {
            reference: row.get("reference"),
            content_type: row.get("content_type"),
            content: row
                .get::<Option<Vec<u8>>, _>("received")
                .map(Bytes::from)
                .ok_or_else(|| row.get::<Option<String>, _>("failure").unwrap_or_default()),
        });
        Ok(contents.collect())
    }

    /// Keeps what was fetched for a document. What is there already stays.
    pub async fn keep_content(
        &self,
        document: DocumentId,
        fetched: &FetchedContent,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let received = fetched.content.as_ref().ok();
        sqlx::query(
            "INSERT INTO fetched_contents (document_id, reference, content_type, received, sha256, failure, fetched_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(document.0)
        .bind(&fetched.reference)
        .bind(&fetched.content_type)
        .bind(received.map(AsRef::as_ref))
        .bind(received.map(|bytes| sha256(bytes).0.to_vec()))
        .bind(fetched.content.as_ref().err())
        .bind(now)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(while_doing("keeping what was fetched for a document"))
    }

    /// Ends the job that fetched a document's contents, and queues its annotation.
    pub async fn contents_complete(&self, job: &LeasedJob, document: DocumentId) -> Result<(), StoreError> {
        let doing = while_doing("queueing a document whose contents are there");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        jobs::settle(&mut tx, job).await?;
        let annotated: bool = sqlx::query_scalar(
            "SELECT state <> 'received' OR EXISTS (SELECT 1 FROM jobs WHERE kind = 'annotate' AND jobs.document_id = $1)
             FROM documents WHERE document_id = $1",
        )
        .bind(document.0)
        .fetch_one(&mut *tx)
        .await
        .map_err(&doing)?;
        if !annotated {
            jobs::enqueue(&mut tx, document).await?;
        }
        tx.commit().await.map_err(&doing)
    }
}
