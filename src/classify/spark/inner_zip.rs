//! The graph within a Spark model: a zip of one file, read from its start to its end.
//!
//! Java's `ZipOutputStream` writes an entry's sizes after it, so a zip is usually read by its directory at the end. This
//! one is inside another file, perhaps compressed once more, and as large as the model: it is read as it comes, since a
//! deflated entry tells its own end.

use std::io::{self, BufRead, BufReader, Read};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

/// Why the graph's zip cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InnerZipError {
    /// It starts otherwise.
    #[error("it is not a zip: it may be encrypted, or damaged")]
    NotZip,
    /// It holds no file.
    #[error("its zip holds no file")]
    Empty,
    /// It holds more than one file.
    #[error("its zip holds more than one file, so which one is the graph cannot be told")]
    Several,
    /// The entry is encrypted.
    #[error("its zip is encrypted")]
    Encrypted,
    /// Another method, or an entry without sizes that does not tell its own end.
    #[error("its zip is of a kind that is not read: zip it again with deflate")]
    Method,
    /// It cannot be read.
    #[error("reading its zip")]
    Read(#[source] io::Error),
    /// Its content is not what its checksum says.
    #[error("its content is not what its zip's checksum says: the copy is damaged")]
    Checksum,
}

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const DIRECTORY: [u8; 4] = *b"PK\x01\x02";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
const FLAG_ENCRYPTED: u16 = 1;
const FLAG_DESCRIPTOR: u16 = 8;
/// Folders that may stand before the file.
const FOLDERS_MAX: usize = 16;

/// Gives the content of the only file to `use_content`, which must read it to its end.
pub fn read_only_file<T, E: From<InnerZipError>>(
    source: impl Read,
    use_content: impl FnOnce(&mut dyn Read) -> Result<T, E>,
) -> Result<T, E> {
    let mut source = BufReader::with_capacity(1 << 18, source);
    let mut entry = first_file(&mut source)?;
    let (result, crc, size) = if entry.deflated {
        let mut content = Summed::new(DeflateDecoder::new(&mut source));
        let result = use_content(&mut content)?;
        let (crc, size) = content.finish()?;
        (result, crc, size)
    } else {
        let mut content = Summed::new((&mut source).take(entry.size));
        let result = use_content(&mut content)?;
        let (crc, size) = content.finish()?;
        (result, crc, size)
    };
    if entry.descriptor {
        entry.crc = descriptor(&mut source, crc, size)?;
    }
    if entry.crc != crc {
        return Err(InnerZipError::Checksum.into());
    }
    match array::<4>(&mut source)? {
        DIRECTORY => Ok(result),
        LOCAL => Err(InnerZipError::Several.into()),
        _ => Err(InnerZipError::NotZip.into()),
    }
}

struct Entry {
    deflated: bool,
    descriptor: bool,
    crc: u32,
    size: u64,
}

/// Reads the local headers up to the one of the first file.
fn first_file(source: &mut impl BufRead) -> Result<Entry, InnerZipError> {
    for _ in 0..FOLDERS_MAX {
        match array::<4>(source).map_err(|_| InnerZipError::NotZip)? {
            LOCAL => {}
            DIRECTORY | [b'P', b'K', 5, 6] => return Err(InnerZipError::Empty),
            _ => return Err(InnerZipError::NotZip),
        }
        let head: [u8; 26] = array(source)?;
        let short = |place: usize| u16::from_le_bytes([head[place], head[place + 1]]);
        let long = |place: usize| u32::from_le_bytes([head[place], head[place + 1], head[place + 2], head[place + 3]]);
        let flags = short(2);
        if flags & FLAG_ENCRYPTED != 0 {
            return Err(InnerZipError::Encrypted);
        }
        let mut name = Vec::new();
        skip_into(source, u64::from(short(22)), &mut name)?;
        skip_into(source, u64::from(short(24)), &mut Vec::new())?;
        let descriptor = flags & FLAG_DESCRIPTOR != 0;
        let (method, crc, size) = (short(4), long(10), long(14));
        let is_folder = name.ends_with(b"/");
        let entry = match method {
            8 => Entry { deflated: true, descriptor, crc, size: u64::from(size) },
            // Its end is told by its size alone, and a size of 2^32 - 1 stands elsewhere.
            0 if !descriptor && size != u32::MAX => Entry { deflated: false, descriptor, crc, size: u64::from(size) },
            0 if is_folder && size == 0 => Entry { deflated: false, descriptor, crc, size: 0 },
            _ => return Err(InnerZipError::Method),
        };
        if !is_folder {
            return Ok(entry);
        }
        if entry.deflated {
            let mut empty = Summed::new(DeflateDecoder::new(&mut *source));
            empty.finish()?;
        }
        if descriptor {
            self::descriptor(source, 0, 0)?;
        }
    }
    Err(InnerZipError::Empty)
}

/// What stands behind an entry whose sizes were not known before: its checksum and sizes, of four or eight bytes each.
fn descriptor(source: &mut impl BufRead, crc: u32, size: u64) -> Result<u32, InnerZipError> {
    let mut first: [u8; 4] = array(source)?;
    if first == DESCRIPTOR {
        first = array(source)?;
    }
    let found = u32::from_le_bytes(first);
    if found != crc {
        return Ok(found);
    }
    // Four bytes of compressed size, then four of the size; or eight and eight.
    let sizes: [u8; 8] = array(source)?;
    let small = u32::from_le_bytes([sizes[4], sizes[5], sizes[6], sizes[7]]);
    let ahead = source.fill_buf().map_err(InnerZipError::Read)?;
    if !(u64::from(small) == size && ahead.starts_with(b"PK")) {
        let large: [u8; 8] = array(source)?;
        if u64::from_le_bytes(large) != size {
            return Err(InnerZipError::Checksum);
        }
    }
    Ok(found)
}

fn array<const N: usize>(source: &mut impl Read) -> Result<[u8; N], InnerZipError> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes).map_err(InnerZipError::Read)?;
    Ok(bytes)
}

fn skip_into(source: &mut impl Read, length: u64, into: &mut Vec<u8>) -> Result<(), InnerZipError> {
    let read = source.take(length).read_to_end(into).map_err(InnerZipError::Read)?;
    if read as u64 == length { Ok(()) } else { Err(InnerZipError::NotZip) }
}

/// A reader that sums up what it gives.
struct Summed<R> {
    inner: R,
    crc: Crc,
    size: u64,
}

impl<R: Read> Summed<R> {
    fn new(inner: R) -> Self {
        Self { inner, crc: Crc::new(), size: 0 }
    }

    /// The checksum and size of all that was given. What is left is an error: it was to be read to its end.
    fn finish(&mut self) -> Result<(u32, u64), InnerZipError> {
        match self.read(&mut [0]) {
            Ok(0) => Ok((self.crc.sum(), self.size)),
            Ok(_) => Err(InnerZipError::Checksum),
            Err(error) => Err(InnerZipError::Read(error)),
        }
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.crc.update(&buffer[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip(files: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, content) in files {
            let options = SimpleFileOptions::default().compression_method(method);
            if name.ends_with('/') {
                writer.add_directory(*name, options).expect("a folder");
            } else {
                writer.start_file(*name, options).expect("a file");
                writer.write_all(content).expect("content");
            }
        }
        writer.finish().expect("a zip").into_inner()
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>, InnerZipError> {
        read_only_file(bytes, |content| {
            let mut all = Vec::new();
            content.read_to_end(&mut all).map_err(InnerZipError::Read)?;
            Ok(all)
        })
    }

    use zip::CompressionMethod::{Deflated, Stored};

    #[test]
    fn the_only_file_is_read_whatever_its_name_and_method() {
        let content = b"a graph".repeat(5000);
        for method in [Deflated, Stored] {
            for files in [&[("model.onnx", content.as_slice())][..], &[("a/", b""), ("a/b", content.as_slice())]] {
                assert_eq!(read(&zip(files, method)).expect("content"), content);
            }
        }
    }

    #[test]
    fn each_fault_has_its_own_words() {
        let one = zip(&[("a", b"content")], Deflated);
        assert!(matches!(read(b"\x08\x03\x12\x04"), Err(InnerZipError::NotZip)));
        assert!(matches!(read(b""), Err(InnerZipError::NotZip)));
        assert!(matches!(read(&zip(&[], Deflated)), Err(InnerZipError::Empty)));
        assert!(matches!(read(&zip(&[("a", b"1"), ("b", b"2")], Deflated)), Err(InnerZipError::Several)));
        let changed = |place: usize, byte: u8| {
            let mut bytes = one.clone();
            bytes[place] = byte;
            read(&bytes).expect_err("a fault")
        };
        assert!(matches!(changed(6, 1), InnerZipError::Encrypted));
        assert!(matches!(changed(8, 12), InnerZipError::Method));
        assert!(matches!(changed(14, 0), InnerZipError::Checksum));
        assert!(read(&one[..40]).is_err());
    }
}
