//! A model's files, in a folder or in a zip: listed and read within bounds, and never from outside of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

/// Files of a model; a Spark model has some dozens.
const FILES_MAX: usize = 10_000;
/// Folders that are looked into; those behind links count each time.
const FOLDERS_MAX: usize = 1000;
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
    #[error("it holds two files of one name, and which of them is meant cannot be told: zip it again")]
    Twice,
    /// Encrypted.
    #[error("{0:?} is encrypted: unpack it with its password, and give the folder")]
    Encrypted(String),
    /// Another method of compression than zip's usual ones.
    #[error("{0:?} is compressed by a method that is not read: zip it again with deflate")]
    Method(String),
    /// Too many files, or too deep.
    #[error(
        "there are more than {FILES_MAX} files or {FOLDERS_MAX} folders, or folders more than {DEPTH_MAX} deep: this is \
         no model"
    )]
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
        let mut walk = Walk { root: &root, files: BTreeMap::new(), folders: 0 };
        walk.folder(&root, 0, false)?;
        Ok(Self { files: walk.files, zip: None })
    }

    /// The files of a zip.
    pub fn of_zip(source: Box<dyn Source>) -> Result<Self, ArchiveError> {
        let mut zip = ZipArchive::new(source).map_err(|_| ArchiveError::NotZip)?;
        if zip.len() > FILES_MAX {
            return Err(ArchiveError::TooMany);
        }
        // The library keeps the last of them.
        if zip.has_duplicate_names() {
            return Err(ArchiveError::Twice);
        }
        let mut files = BTreeMap::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(|_| ArchiveError::NotZip)?;
            let Some(name) = name_of(&entry)? else { continue };
            if entry.encrypted() {
                return Err(ArchiveError::Encrypted(name));
            }
            if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
                return Err(ArchiveError::Method(name));
            }
            if files.insert(name, Place::Entry(index)).is_some() {
                return Err(ArchiveError::Twice);
            }
        }
        Ok(Self { files, zip: Some(zip) })
    }

    /// The names of all files, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether there is such a file.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
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

/// The name of a zip's file with `/` between its parts; none for a folder, and for what is in a folder of some tool.
fn name_of<R: Read + ?Sized>(entry: &zip::read::ZipFile<'_, R>) -> Result<Option<String>, ArchiveError> {
    let name = entry.name().map_err(|_| ArchiveError::NotZip)?.replace('\\', "/");
    let inside = !name.starts_with('/') && name.split('/').all(|part| part != ".." && !part.contains(['\0', ':']));
    if !inside || entry.enclosed_name().is_none() {
        return Err(ArchiveError::Outside(name));
    }
    if entry.is_symlink() {
        return Err(ArchiveError::Link(name));
    }
    if name.ends_with('/') {
        return Ok(None);
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let Some((_, folders)) = parts.split_last() else { return Ok(None) };
    if folders.len() > DEPTH_MAX {
        return Err(ArchiveError::TooMany);
    }
    Ok((!folders.iter().any(|folder| folder.starts_with('.'))).then(|| parts.join("/")))
}

/// A folder's files, as far as it was walked.
struct Walk<'a> {
    root: &'a Path,
    files: BTreeMap<String, Place>,
    folders: usize,
}

impl Walk<'_> {
    /// What is in a folder, but for folders of some tool (`.git`). Links to folders are followed within the root, but not
    /// those that are behind such a link, or lead to a folder that they are in: they would go on for ever.
    fn folder(&mut self, folder: &Path, depth: usize, behind_link: bool) -> Result<(), ArchiveError> {
        let fail = |path: &Path| {
            let name = path.display().to_string();
            move |source| ArchiveError::Read { name, source }
        };
        self.folders += 1;
        if depth > DEPTH_MAX || self.folders > FOLDERS_MAX {
            return Err(ArchiveError::TooMany);
        }
        let here = folder.canonicalize().map_err(fail(folder))?;
        for entry in std::fs::read_dir(folder).map_err(fail(folder))? {
            let entry = entry.map_err(fail(folder))?;
            let path = entry.path();
            let is_link = entry.file_type().map_err(fail(&path))?.is_symlink();
            let dotted = entry.file_name().to_string_lossy().starts_with('.');
            let target = path.canonicalize().map_err(fail(&path))?;
            if dotted && target.is_dir() {
                continue;
            }
            let name = self.name_of(&path);
            if !target.starts_with(self.root) {
                return Err(ArchiveError::Link(name));
            }
            if target.is_dir() {
                if !(is_link && (behind_link || here.starts_with(&target))) {
                    self.folder(&path, depth + 1, behind_link || is_link)?;
                }
            } else if target.is_file() {
                self.files.insert(name, Place::Path(target));
            }
            if self.files.len() > FILES_MAX {
                return Err(ArchiveError::TooMany);
            }
        }
        Ok(())
    }

    fn name_of(&self, path: &Path) -> String {
        let parts = path.strip_prefix(self.root).unwrap_or(path).components();
        parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip(names: &[&str]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            writer.start_file(*name, SimpleFileOptions::default()).expect("a file");
            writer.write_all(name.as_bytes()).expect("content");
        }
        writer.finish().expect("a zip").into_inner()
    }

    fn opened(bytes: Vec<u8>) -> Result<Vec<String>, ArchiveError> {
        Archive::of_zip(Box::new(Cursor::new(bytes))).map(|archive| archive.names().map(str::to_owned).collect())
    }

    #[test]
    fn two_files_of_one_name_in_a_zip_are_refused() {
        let mut bytes = zip(&["first", "other"]);
        for place in 0..bytes.len() {
            if bytes[place..].starts_with(b"other") {
                bytes[place..place + 5].copy_from_slice(b"first");
            }
        }
        assert!(matches!(opened(bytes), Err(ArchiveError::Twice)));
        assert!(matches!(opened(zip(&["a/b", "./a/b"])), Err(ArchiveError::Twice)));
        assert!(matches!(opened(zip(&["a/b", "a\\b"])), Err(ArchiveError::Twice)));
    }

    #[test]
    fn names_in_a_zip_are_told_without_what_says_nothing() {
        let names = ["./a/part", ".git/config", "b//.part.crc", "c/.d/e"];
        assert_eq!(opened(zip(&names)).expect("names"), ["a/part", "b/.part.crc"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_in_circles_end_and_folders_of_tools_are_not_read() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for sub in ["a/b", ".git"] {
            std::fs::create_dir_all(root.join(sub)).expect("a folder");
            std::fs::write(root.join(sub).join("file"), "x").expect("a file");
        }
        for number in 0..4 {
            symlink(".", root.join(format!("again{number}"))).expect("a link");
            symlink("..", root.join(format!("a/up{number}"))).expect("a link");
        }
        symlink("a", root.join("other")).expect("a link");
        symlink("/", root.join(".outside")).expect("a link");
        let archive = Archive::open(root).expect("files");
        assert_eq!(archive.names().collect::<Vec<_>>(), ["a/b/file", "other/b/file"]);
        symlink("/usr", root.join("outside")).expect("a link");
        assert!(matches!(Archive::open(root), Err(ArchiveError::Link(name)) if name == "outside"));
    }
}
