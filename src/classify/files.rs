//! A model's files: reading them within bounds and never from outside of its folder, and the hash over all that decide
//! its answers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::archive::ArchiveError;
use super::model::ModelError;
use crate::domain::document::Sha256Digest;

/// A model's folder, with every link on the way to it followed.
pub(super) fn root(folder: &Path) -> Result<PathBuf, ModelError> {
    folder.canonicalize().map_err(|source| ModelError::Read { path: folder.to_owned(), source })
}

/// The path of a file below the folder; none if there is no such file, an error if it is a link that leads out of it.
pub(super) fn inside(root: &Path, name: &str) -> Result<Option<PathBuf>, ModelError> {
    let path = root.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let path = path.canonicalize().map_err(|source| ModelError::Read { path, source })?;
    if path.starts_with(root) { Ok(Some(path)) } else { Err(ModelError::Archive(ArchiveError::Link(name.to_owned()))) }
}

pub(super) fn open(path: &Path) -> Result<BufReader<File>, ModelError> {
    let file = File::open(path).map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
    Ok(BufReader::with_capacity(1 << 18, file))
}

/// The text of a file that is to be no larger than the limit.
pub(super) fn read(path: &Path, limit: u64) -> Result<String, ModelError> {
    let mut text = String::new();
    let read = open(path)?.take(limit + 1).read_to_string(&mut text);
    read.map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
    if text.len() as u64 > limit {
        let name = path.display().to_string();
        return Err(ModelError::Archive(ArchiveError::TooLarge { name, limit }));
    }
    Ok(text)
}

pub(super) fn starts_with(path: &Path, magic: &[u8]) -> Result<bool, ModelError> {
    let mut start = Vec::new();
    let read = open(path)?.take(magic.len() as u64).read_to_end(&mut start);
    read.map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
    Ok(start == magic)
}

/// SHA-256 over the files' names, lengths and contents, in the order of their names.
pub(super) fn sha256_of(files: &[(&str, &[u8])]) -> Sha256Digest {
    let mut hasher = Sha256::new();
    for (name, content) in files {
        hasher.update(format!("{name}\n{}\n", content.len()));
        hasher.update(content);
    }
    Sha256Digest(hasher.finalize().into())
}

/// [`sha256_of`] files on disk, by their names.
pub(super) fn sha256_of_paths(files: &BTreeMap<String, PathBuf>) -> Result<Sha256Digest, ModelError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    for (name, path) in files {
        let fail = |source| ModelError::Read { path: path.clone(), source };
        let mut file = File::open(path).map_err(fail)?;
        hasher.update(format!("{name}\n{}\n", file.metadata().map_err(fail)?.len()));
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fail(error)),
            }
        }
    }
    Ok(Sha256Digest(hasher.finalize().into()))
}

/// Files by their names, each with its SHA-256, for a hash over all that does not tell how they were packed.
#[derive(Default)]
pub(super) struct Digests(BTreeMap<String, [u8; 32]>);

impl Digests {
    /// A file.
    pub(super) fn add(&mut self, name: &str, content: &[u8]) {
        self.add_digest(name, Sha256::digest(content).into());
    }

    /// A file whose SHA-256 is known.
    pub(super) fn add_digest(&mut self, name: &str, digest: [u8; 32]) {
        self.0.insert(name.to_owned(), digest);
    }

    /// SHA-256 over `sha256  name` lines, as `sha256sum` writes them, in the order of the names.
    pub(super) fn finish(&self) -> Sha256Digest {
        let mut hasher = Sha256::new();
        for (name, digest) in &self.0 {
            hasher.update(format!("{}  {name}\n", Sha256Digest(*digest).hex()));
        }
        Sha256Digest(hasher.finalize().into())
    }
}
