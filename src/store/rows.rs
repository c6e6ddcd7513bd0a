//! Columns and their domain types, both ways.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::StoreError;
use crate::domain::document::{
    About, Effective, Identifier, LogicalId, Reference, ReportKey, ReportKind, ResourceType, Sha256Digest, SourceName,
};

/// A value that the column's CHECK and this version agree on.
pub(super) fn known<T>(what: &'static str, value: Option<T>) -> Result<T, StoreError> {
    value.ok_or(StoreError::UnknownValue { what })
}

/// A stored hash.
pub(super) fn digest(bytes: Vec<u8>) -> Result<Sha256Digest, StoreError> {
    known("sha256", bytes.try_into().ok().map(Sha256Digest))
}

/// The report that a row joins.
pub(super) fn report_key(row: &PgRow) -> Result<ReportKey, StoreError> {
    Ok(ReportKey {
        source: known("source", SourceName::new(row.get("source")))?,
        resource_type: known("resource_type", ResourceType::from_name(row.get("resource_type")))?,
        logical_id: known("logical_id", LogicalId::new(row.get("logical_id")))?,
    })
}

/// `documents.links`.
pub(super) fn links(json: &str) -> Result<Vec<(String, String)>, StoreError> {
    let links: Option<std::collections::BTreeMap<String, String>> = serde_json::from_str(json).ok();
    known("links", links).map(|links| links.into_iter().collect())
}

/// `documents.about`.
#[derive(Serialize, Deserialize)]
struct AboutColumn {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<ReferenceColumn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encounter: Option<ReferenceColumn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<EffectiveColumn>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    kind: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ReferenceColumn {
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identifier: Option<(Option<String>, Option<String>)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EffectiveColumn {
    DateTime(String),
    Period { start: Option<String>, end: Option<String> },
}

/// `documents.about` as JSON text.
pub(super) fn about_json(about: &About) -> String {
    let reference = |reference: &Reference| ReferenceColumn {
        reference: reference.reference.clone(),
        identifier: reference.identifier.as_ref().map(|i| (i.system.clone(), i.value.clone())),
    };
    let column = AboutColumn {
        subject: about.subject.as_ref().map(reference),
        encounter: about.encounter.as_ref().map(reference),
        effective: about.effective.clone().map(|effective| match effective {
            Effective::DateTime(text) => EffectiveColumn::DateTime(text),
            Effective::Period { start, end } => EffectiveColumn::Period { start, end },
        }),
        kind: about.kind.map(|kind| kind.code().to_owned()),
    };
    // Cannot fail because the column is strings only.
    serde_json::to_string(&column).expect("strings have a JSON form")
}

/// `documents.about` from JSON text.
pub(super) fn about(json: &str) -> Result<About, StoreError> {
    let column: AboutColumn = known("about", serde_json::from_str(json).ok())?;
    let reference = |column: ReferenceColumn| Reference {
        reference: column.reference,
        identifier: column.identifier.map(|(system, value)| Identifier { system, value }),
    };
    Ok(About {
        subject: column.subject.map(reference),
        encounter: column.encounter.map(reference),
        effective: column.effective.map(|effective| match effective {
            EffectiveColumn::DateTime(text) => Effective::DateTime(text),
            EffectiveColumn::Period { start, end } => Effective::Period { start, end },
        }),
        kind: column.kind.as_deref().map(|code| known("about", ReportKind::from_code(code))).transpose()?,
    })
}

/// One element of `annotations.evidence`: bytes (`start`, `end`) and code points (`offset`, `length`) of the narrative.
#[derive(Serialize, Deserialize)]
pub(super) struct EvidenceColumn {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) score: f32,
}

/// `annotations.evidence` from JSON text.
pub(super) fn evidence(json: &str) -> Result<Vec<EvidenceColumn>, StoreError> {
    known("evidence", serde_json::from_str(json).ok())
}
