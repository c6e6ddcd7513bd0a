//! A model's files: reading them, and the hash over all that decide its answers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::model::{ModelError, SETTINGS_FILE};
use crate::domain::document::Sha256Digest;

pub(super) fn read(path: &Path) -> Result<String, ModelError> {
    std::fs::read_to_string(path).map_err(|source| ModelError::Read { path: path.to_owned(), source })
}

pub(super) fn starts_with(path: &Path, magic: &[u8]) -> Result<bool, ModelError> {
    let mut start = Vec::new();
    let result = File::open(path).and_then(|file| file.take(magic.len() as u64).read_to_end(&mut start));
    result.map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
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

/// [`sha256_of`] the files that decide the model's answers: the graph, any weights beside it, and the text files.
pub(super) fn sha256_of_folder(folder: &Path, graph: &Path) -> Result<Sha256Digest, ModelError> {
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for name in ["config.json", SETTINGS_FILE, "tokenizer.json"] {
        files.insert(name.to_owned(), folder.join(name));
    }
    let graph_folder = graph.parent().unwrap_or(folder);
    let listing = |source| ModelError::Read { path: graph_folder.to_owned(), source };
    for entry in std::fs::read_dir(graph_folder).map_err(listing)? {
        let path = entry.map_err(listing)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // `model.onnx`, and `model.onnx_data` or `model.onnx.data` where a graph keeps its weights apart.
        if name.starts_with("model.onnx") {
            files.insert(name, path);
        }
    }
    let mut hasher = Sha256::new();
    for (name, path) in files.into_iter().filter(|(_, path)| path.is_file()) {
        let fail = |source| ModelError::Read { path: path.clone(), source };
        let mut file = File::open(&path).map_err(fail)?;
        hasher.update(format!("{name}\n{}\n", file.metadata().map_err(fail)?.len()));
        std::io::copy(&mut file, &mut hasher).map_err(fail)?;
    }
    Ok(Sha256Digest(hasher.finalize().into()))
}
