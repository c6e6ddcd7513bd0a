//! SHA-256, in one place.

use sha2::{Digest as _, Sha256};

use crate::domain::document::Sha256Digest;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(bytes).into())
}
