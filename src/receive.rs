//! Receiving: what comes by POST, PUT, DELETE or in a Bundle becomes a document and a job, or a clear refusal.

use bytes::Bytes;

use crate::digest::sha256;
use crate::domain::document::ReportKey;
use crate::fhir::report::{self, Head, ReadError};
use crate::store::{FromSource, NewDocument};

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
}

/// The first version of a report: its id is ours to give.
pub fn first_version(key: ReportKey, body: Bytes, links: Vec<(String, String)>) -> Result<NewDocument, ReceiveError> {
    let head = head_of(&key, &body)?;
    Ok(document(key, body, head, links))
}

/// A version of a report under the client's id, which FHIR wants the resource to carry (R4, http.html#update).
pub fn next_version(key: ReportKey, body: Bytes, links: Vec<(String, String)>) -> Result<NewDocument, ReceiveError> {
    let head = head_of(&key, &body)?;
    if head.logical_id.as_ref() != Some(&key.logical_id) {
        return Err(ReceiveError::IdDiffers);
    }
    Ok(document(key, body, head, links))
}

/// A version of a report as its source gave it: read back, found by a search, or told by a notification that is trusted.
/// `listened_to` is whether the source's settings ask for reports like it.
pub fn from_source(key: ReportKey, body: Bytes, listened_to: bool) -> Result<FromSource, ReceiveError> {
    let at_source = report::at_source(&body)?;
    let needs_contents = report::names_contents(&body)?;
    let document = next_version(key, body, Vec::new())?;
    Ok(FromSource {
        document,
        source_version: at_source.version,
        source_updated_at: at_source.updated_at,
        needs_contents,
        listened_to,
        read_back: false,
    })
}

/// The body's head, if it is a report of the key's type.
fn head_of(key: &ReportKey, body: &[u8]) -> Result<Head, ReceiveError> {
    let head = report::head(body)?;
    if head.resource_type == key.resource_type { Ok(head) } else { Err(ReceiveError::TypeDiffers) }
}

/// Of `links`, it keeps those that occur in the body.
fn document(key: ReportKey, body: Bytes, head: Head, mut links: Vec<(String, String)>) -> NewDocument {
    if !links.is_empty() {
        // Cannot hide an occurrence because a JSON string without characters to escape is its own text.
        let text = String::from_utf8_lossy(&body);
        links.retain(|(urn, _)| text.contains(urn.as_str()));
    }
    NewDocument { key, sha256: sha256(&body), received: body, identifiers: head.identifiers, links }
}
