//! A model's files, in a folder or in a zip: listed and read within bounds, and never from outside of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

/// Files of a model; a Spark model has some dozens.
const FILES_MAX: usize = 10_000;
/// How deep folders may lie in each other.
const DEPTH_MAX: usize = 16;
/// A file that grows by more than this when it is unpacked, and to more than [`BOMB_BYTES_MIN`], is a bomb: weights
/// hardly shrink.
const GROWTH_MAX: u64 = 100;
const BOMB_BYTES_MIN: u64 = 64 << 20;

/// Why a model's files cannot be listed or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file or folder cannot be read.
    #[error("reading {name}")]
    Read {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no zip.
    #[error("it is not a zip file, or not a whole one: copy it again")]
    NotZip,
    /// A name that leads out of the archive.
    #[error("{0:?} leads out of the archive: it is not unpacked")]
    Outside(String),
    /// A link.
    #[error("{0:?} is a link that leads out of the model's folder: put a copy of the file there (cp -L)")]
    Link(String),
    /// A name that is there twice.
    #[error("{0:?} is there twice")]
    Twice(String),
    /// Encrypted.
    #[error("{0:?} is encrypted: unpack it with its password, and give the folder")]
    Encrypted(String),
    /// Another method of compression than zip's usual ones.
    #[error("{0:?} is compressed by a method that is not read: zip it again with deflate")]
    Method(String),
    /// Too many files, or too deep.
    #[error("there are more than {FILES_MAX} files, or folders more than {DEPTH_MAX} deep: this is no model")]
    TooMany,
    /// Too large.
    #[error("{name:?} is larger than {limit} bytes, which no file of a model of its kind is")]
    TooLarge {
        /// Which.
        name: String,
        /// The limit.
        limit: u64,
    },
    /// A zip bomb.
    #[error("{0:?} would grow more than {GROWTH_MAX} times when it is unpacked: it is not")]
    Bomb(String),
    /// There is no such file.
    #[error("there is no {0:?}")]
    Missing(String),
}

/// What can be read here and there.
pub trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// A model's files. Their names are relative, with `/` between their parts.
pub struct Archive {
    files: BTreeMap<String, Place>,
    zip: Option<ZipArchive<Box<dyn Source>>>,
}

enum Place {
    Path(PathBuf),
    Entry(usize),
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("files", &self.files.keys()).finish_non_exhaustive()
    }
}

impl Archive {
    /// The files of a folder, or of a zip.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let fail = |source| ArchiveError::Read { name: path.display().to_string(), source };
        if !path.is_dir() {
            let file = File::open(path).map_err(fail)?;
            return Self::of_zip(Box::new(BufReader::new(file)));
        }
        let root = path.canonicalize().map_err(fail)?;
        let mut files = BTreeMap::new();
        walk(&root, &root, 0, &mut files)?;
        Ok(Self { files, zip: None })
    }

    /// The files of a zip.
    pub fn of_zip(source: Box<dyn Source>) -> Result<Self, ArchiveError> {
        let mut zip = ZipArchive::new(source).map_err(|_| ArchiveError::NotZip)?;
        if zip.len() > FILES_MAX {
            return Err(ArchiveError::TooMany);
        }
        let mut files = BTreeMap::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(|_| ArchiveError::NotZip)?;
            let name = entry.name().map_err(|_| ArchiveError::NotZip)?.replace('\\', "/");
            let inside =
                !name.starts_with('/') && name.split('/').all(|part| part != ".." && !part.contains(['\0', ':']));
            if !inside || entry.enclosed_name().is_none() {
                return Err(ArchiveError::Outside(name));
            }
            if entry.is_symlink() {
                return Err(ArchiveError::Link(name));
            }
            if name.ends_with('/') {
                continue;
            }
            if name.split('/').count() > DEPTH_MAX {
                return Err(ArchiveError::TooMany);
            }
            if entry.encrypted() {
                return Err(ArchiveError::Encrypted(name));
            }
            if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
                return Err(ArchiveError::Method(name));
            }
            if files.insert(name.clone(), Place::Entry(index)).is_some() {
                return Err(ArchiveError::Twice(name));
            }
        }
        Ok(Self { files, zip: Some(zip) })
    }

    /// The names of all files, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The whole of a file that is to be no larger than the limit.
    pub fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::new();
        self.open_file(name, limit)?
            .read_to_end(&mut bytes)
            .map_err(|source| ArchiveError::Read { name: name.to_owned(), source })?;
        if bytes.len() as u64 > limit {
            return Err(ArchiveError::TooLarge { name: name.to_owned(), limit });
        }
        Ok(bytes)
    }

    /// A file to be read from its start to its end; it gives one byte more than the limit at most.
    pub fn open_file(&mut self, name: &str, limit: u64) -> Result<Box<dyn Read + '_>, ArchiveError> {
        let too_large = || ArchiveError::TooLarge { name: name.to_owned(), limit };
        let fail = |source| ArchiveError::Read { name: name.to_owned(), source };
        match (self.files.get(name), &mut self.zip) {
            (Some(Place::Path(path)), _) => {
                let file = File::open(path).map_err(fail)?;
                if file.metadata().map_err(fail)?.len() > limit {
                    return Err(too_large());
                }
                Ok(Box::new(BufReader::with_capacity(1 << 18, file.take(limit + 1))))
            }
            (Some(Place::Entry(index)), Some(zip)) => {
                let entry = zip.by_index(*index).map_err(|error| fail(error.into()))?;
                if entry.size() > limit {
                    return Err(too_large());
                }
                if entry.size() > BOMB_BYTES_MIN && entry.size() / GROWTH_MAX > entry.compressed_size() {
                    return Err(ArchiveError::Bomb(name.to_owned()));
                }
                // What it says of its size may be a lie.
                let size = entry.size();
                Ok(Box::new(entry.take(size.saturating_add(1).min(limit + 1))))
            }
            _ => Err(ArchiveError::Missing(name.to_owned())),
        }
    }
}

fn walk(root: &Path, folder: &Path, depth: usize, files: &mut BTreeMap<String, Place>) -> Result<(), ArchiveError> {
    let fail = |path: &Path| {
        let name = path.display().to_string();
        move |source| ArchiveError::Read { name, source }
    };
    if depth > DEPTH_MAX {
        return Err(ArchiveError::TooMany);
    }
    for entry in std::fs::read_dir(folder).map_err(fail(folder))? {
        let path = entry.map_err(fail(folder))?.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let target = path.canonicalize().map_err(fail(&path))?;
        if !target.starts_with(root) {
            return Err(ArchiveError::Link(name));
        }
        if target.is_dir() {
            walk(root, &path, depth + 1, files)?;
        } else if target.is_file() {
            files.insert(name, Place::Path(target));
        }
        if files.len() > FILES_MAX {
            return Err(ArchiveError::TooMany);
        }
    }
    Ok(())
}
