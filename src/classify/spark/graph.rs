//! A Spark model's graph, out of the zip that it is in.

use std::io::{self, Read};

use super::super::archive::{Archive, ArchiveError};
use super::checksum::Checksums;
use super::inner_zip::{self, InnerZipError};
use super::{GRAPH_BYTES_MAX, SparkError, checksums};

/// Gives the graph, out of the zip that it is in, to `use_graph`, which must read it to its end. All bytes of that zip go
/// to `watch` on their way.
pub fn with_graph<T, E: From<SparkError>>(
    archive: &mut Archive,
    name: &str,
    watch: &mut dyn FnMut(&[u8]),
    use_graph: impl FnOnce(&mut dyn Read) -> Result<T, E>,
) -> Result<T, E> {
    enum Fault<E> {
        Zip(InnerZipError),
        Use(E),
    }
    impl<E> From<InnerZipError> for Fault<E> {
        fn from(fault: InnerZipError) -> Self {
            Self::Zip(fault)
        }
    }
    let checksums = checksums(archive, name)?;
    let inner = archive.open_file(name, GRAPH_BYTES_MAX).map_err(|error| E::from(SparkError::Archive(error)))?;
    let mut source = Watched { inner, watch, checksums };
    // What is stored in deflated blocks may grow as any other.
    let used = inner_zip::read_only_file(&mut source, |content| {
        use_graph(&mut content.take(GRAPH_BYTES_MAX)).map_err(Fault::Use)
    });
    let rest = io::copy(&mut source, &mut io::sink());
    // Damage explains all other faults.
    if source.checksums.is_some_and(|checksums| !checksums.hold()) {
        return Err(SparkError::Checksum(name.to_owned()).into());
    }
    let used = used.map_err(|fault| match fault {
        Fault::Zip(fault) => SparkError::InnerZip { name: name.to_owned(), fault }.into(),
        Fault::Use(error) => error,
    })?;
    rest.map_err(|source| SparkError::Archive(ArchiveError::Read { name: name.to_owned(), source }))?;
    Ok(used)
}

/// A reader whose bytes are looked at on their way.
struct Watched<'a, R> {
    inner: R,
    watch: &'a mut dyn FnMut(&[u8]),
    checksums: Option<Checksums>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.watch)(&buffer[..read]);
        if let Some(checksums) = &mut self.checksums {
            checksums.update(&buffer[..read]);
        }
        Ok(read)
    }
}
