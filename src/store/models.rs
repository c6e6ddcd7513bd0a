//! Model versions: every model that has annotated something.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::rows::digest;
use super::{Store, StoreError, while_doing};
use crate::domain::annotation::ModelVersion;

impl Store {
    /// The model whose SHA-256 begins with these hexadecimal digits.
    pub async fn model(&self, sha256_prefix: &str) -> Result<Option<ModelVersion>, StoreError> {
        let row = sqlx::query(
            "SELECT model_id, version AS model_version, sha256 FROM model_versions
             WHERE starts_with(encode(sha256, 'hex'), $1)",
        )
        .bind(sha256_prefix)
        .fetch_optional(&self.pool)
        .await
        .map_err(while_doing("reading a model version"))?;
        row.as_ref().map(model_version).transpose()
    }

    /// Every version of a model that has annotated something, oldest first.
    pub async fn models_with_id(&self, id: &str) -> Result<Vec<ModelVersion>, StoreError> {
        let rows = sqlx::query(
            "SELECT model_id, version AS model_version, sha256 FROM model_versions
             WHERE model_id = $1 ORDER BY model_version_id",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("reading model versions"))?;
        rows.iter().map(model_version).collect()
    }
}

/// The model that a row joins.
pub(super) fn model_version(row: &PgRow) -> Result<ModelVersion, StoreError> {
    Ok(ModelVersion { id: row.get("model_id"), version: row.get("model_version"), sha256: digest(row.get("sha256"))? })
}

/// The row of a model, written if it is the first time.
pub(super) async fn model_version_id(
    tx: &mut PgConnection,
    model: &ModelVersion,
    now: OffsetDateTime,
) -> Result<i64, StoreError> {
    let doing = while_doing("storing a model version");
    let find = "SELECT model_version_id FROM model_versions WHERE sha256 = $1";
    let found: Option<i64> =
        sqlx::query_scalar(find).bind(&model.sha256.0[..]).fetch_optional(&mut *tx).await.map_err(&doing)?;
    if let Some(id) = found {
        return Ok(id);
    }
    sqlx::query("INSERT INTO model_versions (model_id, version, sha256, first_seen_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(&model.id)
        .bind(&model.version)
        .bind(&model.sha256.0[..])
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    sqlx::query_scalar(find).bind(&model.sha256.0[..]).fetch_one(tx).await.map_err(&doing)
}
