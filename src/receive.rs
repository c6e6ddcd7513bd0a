//! Receiving: what comes by POST, PUT, DELETE or in a Bundle becomes a document and a job, or a clear refusal.

use bytes::Bytes;
use uuid::Uuid;

use crate::digest::sha256;
use crate::domain::document::{LogicalId, ReportKey, ResourceType, SourceName};
use crate::fhir::report::{self, ReadError};
use crate::store::{Condition, Intake, NewDocument, Precondition, Receipt, StoreError};

/// Why a report is refused. Nothing of it is stored then.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The body is not a report.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The body is another resource than the address says.
    #[error("the resource's type is not the one of the address")]
    TypeDiffers,
    /// The body has another id than the address says.
    #[error("the resource's id is missing or is not the one of the address")]
    IdDiffers,
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores a new report under an id of ours, unless the condition finds one.
pub async fn create(
    intake: &mut Intake,
    source: &SourceName,
    resource_type: ResourceType,
    body: Bytes,
    condition: Option<Condition>,
) -> Result<Receipt, ReceiveError> {
    let key = ReportKey { source: source.clone(), resource_type, logical_id: LogicalId::from_uuid(Uuid::new_v4()) };
    let document = checked(key, body, Vec::new())?;
    Ok(intake.create(document, condition).await?)
}

/// Stores the next version of a report, or its first, under the client's id.
pub async fn update(
    intake: &mut Intake,
    key: ReportKey,
    body: Bytes,
    precondition: Precondition,
) -> Result<Receipt, ReceiveError> {
    same_id(&key, &body)?;
    let document = checked(key, body, Vec::new())?;
    Ok(intake.update(document, precondition).await?)
}

/// FHIR wants an updated resource to carry the id of its address (R4, http.html#update).
pub fn same_id(key: &ReportKey, body: &[u8]) -> Result<(), ReceiveError> {
    let head = report::head(body)?;
    let same = head.resource_type != key.resource_type || head.logical_id.as_ref() == Some(&key.logical_id);
    if same { Ok(()) } else { Err(ReceiveError::IdDiffers) }
}

/// A document to store, if the body is a report of the key's type. Of `links`, it keeps those that occur in it.
pub fn checked(key: ReportKey, body: Bytes, links: Vec<(String, String)>) -> Result<NewDocument, ReceiveError> {
    let head = report::head(&body)?;
    if head.resource_type != key.resource_type {
        return Err(ReceiveError::TypeDiffers);
    }
    // Cannot hide an occurrence because a JSON string without characters to escape is its own text.
    let text = String::from_utf8_lossy(&body);
    let links = links.into_iter().filter(|(urn, _)| text.contains(urn.as_str())).collect();
    Ok(NewDocument { key, sha256: sha256(&body), received: body, identifiers: head.identifiers, links })
}
