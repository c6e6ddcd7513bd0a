//! Links: a DiagnosticReport and a DocumentReference that deliver the same attachment are annotated once.
//!
//! The rule is narrow, because two patients share a normal report's words: the same source and subject, and the same URL,
//! or the same bytes at the same encounter or time. Never by text alone.
//!
//! Whoever settles a document decides under an advisory lock of its source and subject, so that of two that are settled at
//! once exactly one is linked to the other.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::annotations::Reading;
use super::observations::renew;
use super::rows::report_key;
use super::{Store, StoreError, jobs, while_doing};
use crate::domain::document::{About, AttachmentKey, Disposition, Document, DocumentId, Effective, ReportKey};

/// A report that has the same attachment and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Primary {
    pub(super) report_id: i64,
    pub(super) reason: String,
}

/// What two reports must share: of a report without a subject, nothing can be.
struct Shared<'a> {
    document: &'a Document,
    subject: &'a str,
    encounter: Option<&'a str>,
    begins: Option<OffsetDateTime>,
    urls: Vec<String>,
    hashes: Vec<Vec<u8>>,
}

impl<'a> Shared<'a> {
    fn of(document: &'a Document, about: &'a About, attachments: &[AttachmentKey]) -> Option<Self> {
        let reference = |reference: &'a Option<crate::domain::document::Reference>| {
            let text = reference.as_ref().and_then(|reference| reference.reference.as_deref());
            // A reference into the report itself names nobody outside of it.
            text.filter(|text| !text.starts_with('#') && !text.trim().is_empty())
        };
        let (mut urls, mut hashes) = (Vec::new(), Vec::new());
        for attachment in attachments {
            match attachment {
                AttachmentKey::Url(url) => urls.push(url.clone()),
                AttachmentKey::Bytes(sha256) => hashes.push(sha256.0.to_vec()),
            }
        }
        let effective = about.effective.as_ref().and_then(Effective::bounds);
        if attachments.is_empty() {
            return None;
        }
        Some(Self {
            document,
            subject: reference(&about.subject)?,
            encounter: reference(&about.encounter),
            begins: effective.map(|(from, _)| from),
            urls,
            hashes,
        })
    }

    /// The report that has the answer already, if one does. A document that has an answer of its own keeps it, and what a
    /// person has decided on is not linked away.
    async fn primary(&self, connection: &mut PgConnection) -> Result<Option<Primary>, StoreError> {
        let row = sqlx::query(
            "SELECT o.report_id, CASE WHEN x.url IS NULL THEN 'same-bytes' ELSE 'same-url' END AS reason
             FROM documents d JOIN reports r USING (report_id)
             JOIN report_attachments x ON x.url = ANY($3) OR (x.sha256 = ANY($4) AND (x.encounter = $5 OR x.effective_from = $6))
             JOIN reports o ON o.report_id = x.report_id AND o.source = r.source AND o.resource_type <> r.resource_type
             JOIN documents n ON n.report_id = o.report_id AND n.version = o.newest_version AND n.state = 'annotated'
             -- One that could not be read has no answer to share.
             JOIN annotations a ON a.annotation_id = n.annotation_id AND a.no_answer IS DISTINCT FROM 'nothing-readable'
             WHERE d.document_id = $1 AND d.state IN ('received', 'linked') AND x.subject = $2
               AND NOT EXISTS (SELECT 1 FROM decisions c WHERE c.report_id = r.report_id)
               AND NOT EXISTS (SELECT 1 FROM report_links l WHERE l.report_id = o.report_id)
             ORDER BY reason DESC, o.report_id LIMIT 1",
        )
        .bind(self.document.id.0)
        .bind(self.subject)
        .bind(&self.urls)
        .bind(&self.hashes)
        .bind(self.encounter)
        .bind(self.begins)
        .fetch_optional(connection)
        .await
        .map_err(while_doing("looking for the same attachment"))?;
        Ok(row.map(|row| Primary { report_id: row.get("report_id"), reason: row.get("reason") }))
    }
}

impl Store {
    /// Whether another report with the same attachment has the answer already: then the model need not be asked.
    pub async fn is_answered_elsewhere(
        &self,
        document: &Document,
        about: &About,
        attachments: &[AttachmentKey],
    ) -> Result<bool, StoreError> {
        let Some(shared) = Shared::of(document, about, attachments) else { return Ok(false) };
        let mut connection = self.pool.acquire().await.map_err(while_doing("looking for the same attachment"))?;
        Ok(shared.primary(&mut connection).await?.is_some())
    }
}

/// Waits until nobody else settles a document of the source and subject, and gives the reports that settling this one may
/// link or release.
pub(super) async fn lock_and_list(
    tx: &mut PgConnection,
    report_id: i64,
    document: &Document,
    reading: &Reading,
) -> Result<Vec<i64>, StoreError> {
    let doing = while_doing("locking reports with the same attachment");
    let shared = Shared::of(document, &reading.about, &reading.attachments);
    let mut others = Vec::new();
    if let Some(shared) = &shared {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))")
            .bind(format!("{}\n{}", document.key.source.as_str(), shared.subject))
            .execute(&mut *tx)
            .await
            .map_err(&doing)?;
        others.extend(shared.primary(tx).await?.map(|primary| primary.report_id));
    }
    let linked: Vec<i64> = sqlx::query_scalar(
        "SELECT report_id FROM report_links WHERE primary_report_id = $1
         UNION SELECT primary_report_id FROM report_links WHERE report_id = $1",
    )
    .bind(report_id)
    .fetch_all(tx)
    .await
    .map_err(&doing)?;
    others.extend(linked);
    Ok(others)
}

/// The report that a document of a locked report is linked to, now that nothing can change it.
pub(super) async fn primary(
    tx: &mut PgConnection,
    document: &Document,
    reading: &Reading,
) -> Result<Option<Primary>, StoreError> {
    match Shared::of(document, &reading.about, &reading.attachments) {
        Some(shared) if reading.disposition == Disposition::Annotate => shared.primary(tx).await,
        _ => Ok(None),
    }
}

/// Writes what a locked report's newest version shares, and its link; releases those that are linked to it and share
/// nothing with it any more. The Observation that stands for another set of reports now gets a new version.
pub(super) async fn write_links(
    tx: &mut PgConnection,
    report_id: i64,
    (document, reading): (&Document, &Reading),
    primary: Option<&Primary>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let doing = while_doing("storing a report's links");
    sqlx::query("DELETE FROM report_attachments WHERE report_id = $1")
        .bind(report_id)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    let shared = Shared::of(document, &reading.about, &reading.attachments);
    if let Some(shared) = shared.filter(|_| reading.disposition == Disposition::Annotate) {
        sqlx::query(
            "INSERT INTO report_attachments (report_id, url, sha256, subject, encounter, effective_from)
             SELECT $1, url, NULL, $4, $5, $6 FROM unnest($2::text[]) AS url
             UNION ALL SELECT $1, NULL, sha256, $4, $5, $6 FROM unnest($3::bytea[]) AS sha256",
        )
        .bind(report_id)
        .bind(&shared.urls)
        .bind(&shared.hashes)
        .bind(shared.subject)
        .bind(shared.encounter)
        .bind(shared.begins)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    }
    let before: Option<i64> =
        sqlx::query_scalar("DELETE FROM report_links WHERE report_id = $1 RETURNING primary_report_id")
            .bind(report_id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(&doing)?;
    if let Some(primary) = primary {
        sqlx::query("INSERT INTO report_links VALUES ($1, $2, $3, $4)")
            .bind(report_id)
            .bind(primary.report_id)
            .bind(&primary.reason)
            .bind(now)
            .execute(&mut *tx)
            .await
            .map_err(&doing)?;
    }
    release(tx, report_id).await?;
    if primary.is_none() && reading.annotated.as_ref().is_some_and(|(_, annotation)| annotation.no_answer.is_none()) {
        adopt(tx, report_id).await?;
    }
    let after = primary.map(|primary| primary.report_id);
    for changed in [before, after].into_iter().flatten().filter(|_| before != after) {
        renew(tx, changed, now).await?;
    }
    Ok(())
}

/// Has reports with the same attachment read once more that could not be read: they find that this one has the answer.
async fn adopt(tx: &mut PgConnection, report_id: i64) -> Result<(), StoreError> {
    let doing = while_doing("adopting reports with the same attachment");
    let unread: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE documents d SET state = 'received', annotation_id = NULL
         FROM report_attachments x JOIN reports p ON p.report_id = x.report_id
         JOIN report_attachments y ON y.subject = x.subject AND (y.url = x.url OR (y.sha256 = x.sha256
              AND (y.encounter = x.encounter OR y.effective_from = x.effective_from)))
         JOIN reports r ON r.report_id = y.report_id AND r.source = p.source AND r.resource_type <> p.resource_type
         WHERE x.report_id = $1 AND d.report_id = r.report_id AND d.version = r.newest_version AND d.state = 'annotated'
           AND EXISTS (SELECT 1 FROM annotations a WHERE a.annotation_id = d.annotation_id AND a.no_answer = 'nothing-readable')
         RETURNING d.document_id",
    )
    .bind(report_id)
    .fetch_all(&mut *tx)
    .await
    .map_err(&doing)?;
    for document in unread {
        jobs::enqueue_again(tx, DocumentId(document)).await?;
    }
    Ok(())
}

/// Lets go of the reports that are linked to this one, unless it still has the answer and the attachment: their newest
/// versions are annotated themselves.
pub(super) async fn release(tx: &mut PgConnection, report_id: i64) -> Result<(), StoreError> {
    let doing = while_doing("releasing linked reports");
    let released: Vec<Uuid> = sqlx::query_scalar(
        "WITH gone AS (
             DELETE FROM report_links l WHERE l.primary_report_id = $1 AND NOT EXISTS (
                 SELECT 1 FROM reports p
                 JOIN documents n ON n.report_id = p.report_id AND n.version = p.newest_version AND n.state = 'annotated'
                 JOIN report_attachments x ON x.report_id = p.report_id
                 JOIN report_attachments y ON y.report_id = l.report_id AND y.subject = x.subject
                  AND (y.url = x.url OR (y.sha256 = x.sha256 AND (y.encounter = x.encounter OR y.effective_from = x.effective_from)))
                 WHERE p.report_id = $1)
             RETURNING l.report_id)
         UPDATE documents d SET state = 'received', state_reason = NULL FROM gone JOIN reports r USING (report_id)
         WHERE d.report_id = r.report_id AND d.version = r.newest_version AND d.state = 'linked'
         RETURNING d.document_id",
    )
    .bind(report_id)
    .fetch_all(&mut *tx)
    .await
    .map_err(&doing)?;
    for document in released {
        jobs::enqueue_again(tx, DocumentId(document)).await?;
    }
    Ok(())
}

/// The report that has the answer of a linked one.
pub(super) async fn primary_of(store: &Store, key: &ReportKey) -> Result<Option<ReportKey>, StoreError> {
    let row = sqlx::query(
        "SELECT p.source, p.resource_type, p.logical_id FROM reports r JOIN report_links l USING (report_id)
         JOIN reports p ON p.report_id = l.primary_report_id
         WHERE r.source = $1 AND r.resource_type = $2 AND r.logical_id = $3",
    )
    .bind(key.source.as_str())
    .bind(key.resource_type.name())
    .bind(key.logical_id.as_str())
    .fetch_optional(&store.pool)
    .await
    .map_err(while_doing("reading a report's link"))?;
    row.as_ref().map(report_key).transpose()
}
