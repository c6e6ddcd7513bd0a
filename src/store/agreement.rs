//! What two models said of the same documents, as answer or in shadow.

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::rows::{known, report_key};
use super::{Store, StoreError, while_doing};
use crate::domain::agreement::Agreement;
use crate::domain::annotation::ModelVersion;
use crate::domain::document::ReportKey;
use crate::domain::label::Label;

/// What two models said of the current versions of all reports that both have annotated.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The documents that at least one of them has read, counted by their labels.
    pub agreement: Agreement,
    /// Documents that neither was asked of: there is no text, or not in a language that they know.
    pub not_asked: u64,
}

/// A document of which two models say different things.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// Whose version it is.
    pub report: ReportKey,
    /// Which one.
    pub version: i32,
    /// The first model's label.
    pub a: Label,
    /// The second model's.
    pub b: Label,
    /// Where the next page begins if this is the last on its page.
    pub cursor: DisagreementCursor,
}

/// Where a page of disagreements begins: after this document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisagreementCursor(pub Uuid);

// The newest thing that each of the two models ($1, $2: their SHA-256) said of a report's current version.
macro_rules! both {
    ($select:literal) => {
        concat!(
            "WITH said AS (
                 SELECT document_id, model_version_id, label, no_answer, created_at FROM annotations
                 UNION ALL
                 SELECT document_id, model_version_id, label, no_answer, created_at FROM shadow_annotations),
             newest AS (
                 SELECT DISTINCT ON (said.document_id, m.sha256) said.document_id, m.sha256, said.label,
                        said.no_answer IS NULL AS asked
                 FROM said JOIN model_versions m USING (model_version_id)
                 WHERE m.sha256 IN ($1, $2)
                 ORDER BY said.document_id, m.sha256, said.created_at DESC)
             ",
            $select,
            " FROM newest a JOIN newest b ON a.document_id = b.document_id AND a.sha256 = $1 AND b.sha256 = $2
             JOIN documents d ON d.document_id = a.document_id
             JOIN reports r ON r.report_id = d.report_id AND r.newest_version = d.version
             WHERE d.state = 'annotated' "
        )
    };
}

impl Store {
    /// Counts what the two models said.
    pub async fn compare(&self, a: &ModelVersion, b: &ModelVersion) -> Result<Comparison, StoreError> {
        let rows = sqlx::query(concat!(
            both!("SELECT a.label AS a, b.label AS b, a.asked OR b.asked AS asked, count(*) AS documents"),
            "GROUP BY 1, 2, 3"
        ))
        .bind(&a.sha256.0[..])
        .bind(&b.sha256.0[..])
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("comparing two models"))?;
        let mut comparison = Comparison { agreement: Agreement::default(), not_asked: 0 };
        for row in rows {
            let documents = u64::try_from(row.get::<i64, _>("documents")).unwrap_or_default();
            if row.get("asked") {
                let label = |column: &str| known("label", Label::from_code(row.get(column)));
                comparison.agreement.add(label("a")?, label("b")?, documents);
            } else {
                comparison.not_asked += documents;
            }
        }
        Ok(comparison)
    }

    /// At most `count` documents of which the two models say different things, in the order in which they came.
    pub async fn disagreements(
        &self,
        a: &ModelVersion,
        b: &ModelVersion,
        after: Option<DisagreementCursor>,
        count: usize,
    ) -> Result<Vec<Disagreement>, StoreError> {
        let rows = sqlx::query(concat!(
            both!(
                "SELECT d.document_id, d.version, r.source, r.resource_type, r.logical_id, a.label AS a, b.label AS b"
            ),
            "AND a.label <> b.label AND d.document_id > COALESCE($3, '00000000-0000-0000-0000-000000000000'::uuid)
             ORDER BY d.document_id LIMIT $4"
        ))
        .bind(&a.sha256.0[..])
        .bind(&b.sha256.0[..])
        .bind(after.map(|cursor| cursor.0))
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("listing where two models differ"))?;
        rows.iter().map(disagreement).collect()
    }
}

fn disagreement(row: &PgRow) -> Result<Disagreement, StoreError> {
    Ok(Disagreement {
        report: report_key(row)?,
        version: row.get("version"),
        a: known("label", Label::from_code(row.get("a")))?,
        b: known("label", Label::from_code(row.get("b")))?,
        cursor: DisagreementCursor(row.get("document_id")),
    })
}
