//! How a source knows us: nothing, a fixed header, a bearer token, or SMART Backend Services. (Mutual TLS is the
//! connection's: `client.rs`.)

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::error::Fault;
use super::token::Smart;
use crate::config::Credentials;

/// What a request carries so that the source knows us.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

/// The credentials of one source.
pub(super) enum Holder {
    None,
    File(FileSecret),
    Smart(Box<Smart>),
}

/// A secret in a file; read at the start, and again when the source refuses it.
pub(super) struct FileSecret {
    name: HeaderName,
    prefix: &'static str,
    file: PathBuf,
    held: Mutex<Option<HeaderValue>>,
}

impl Holder {
    pub(super) fn new(credentials: &Credentials, smart: Option<Smart>) -> Self {
        let file = |name: HeaderName, prefix, file: &Path| {
            Self::File(FileSecret { name, prefix, file: file.to_owned(), held: Mutex::new(None) })
        };
        match (credentials, smart) {
            (Credentials::Header { name, value_file }, _) => match HeaderName::try_from(name.as_str()) {
                Ok(name) => file(name, "", value_file),
                Err(_) => Self::None,
            },
            (Credentials::Bearer { token_file }, _) => file(AUTHORIZATION, "Bearer ", token_file),
            (Credentials::Smart { .. }, Some(smart)) => Self::Smart(Box::new(smart)),
            (Credentials::None {} | Credentials::Smart { .. }, _) => Self::None,
        }
    }

    /// The SMART part, if it is one.
    pub(super) fn smart(&self) -> Option<&Smart> {
        match self {
            Self::Smart(smart) => Some(smart),
            Self::None | Self::File(_) => None,
        }
    }
}

impl FileSecret {
    /// The header as it is held. `refused` is what the source did not accept: then the file is read again.
    pub(super) fn pass(&self, refused: Option<&Pass>) -> Result<Pass, Fault> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = held.as_ref()
            && refused.is_none_or(|refused| refused.value != *value)
        {
            return Ok(Pass { name: self.name.clone(), value: value.clone() });
        }
        let text = std::fs::read_to_string(&self.file)
            .map_err(|_| Fault::NoToken("the file with the secret cannot be read".to_owned()))?;
        let mut value = HeaderValue::try_from(format!("{}{}", self.prefix, text.trim()))
            .map_err(|_| Fault::NoToken("the file with the secret holds what no header can carry".to_owned()))?;
        value.set_sensitive(true);
        *held = Some(value.clone());
        Ok(Pass { name: self.name.clone(), value })
    }
}
