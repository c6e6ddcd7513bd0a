//! Hadoop's checksums: beside a file `x` there may be `.x.crc`, with a CRC-32 for every 512 bytes of it.

use flate2::Crc;

/// Bytes of a file of checksums: those of the largest file that is read.
pub const BYTES_MAX: u64 = 32 << 20;
const MAGIC: [u8; 4] = *b"crc\0";
/// Bytes that one checksum may be about; Hadoop takes 512.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// The name of the file with the checksums of this one.
pub fn name_of(name: &str) -> String {
    let (folder, file) = name.rfind('/').map_or(("", name), |end| name.split_at(end + 1));
    format!("{folder}.{file}.crc")
}

/// Checksums that a file is held against while it is read.
pub struct Checksums {
    wanted: Vec<u32>,
    chunk_bytes: usize,
    chunk: Crc,
    /// Bytes of the chunk at hand.
    filled: usize,
    /// Checksums that were compared.
    compared: usize,
    same: bool,
}

impl Checksums {
    /// Reads a file of checksums; none if it is not one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (chunk_bytes, sums) = rest.split_first_chunk::<4>()?;
        let chunk_bytes = usize::try_from(i32::from_be_bytes(*chunk_bytes)).ok()?;
        let (sums, left) = sums.as_chunks::<4>();
        if *magic != MAGIC || !(1..=CHUNK_BYTES_MAX).contains(&chunk_bytes) || !left.is_empty() {
            return None;
        }
        let wanted = sums.iter().map(|sum| u32::from_be_bytes(*sum)).collect();
        Some(Self { wanted, chunk_bytes, chunk: Crc::new(), filled: 0, compared: 0, same: true })
    }

    /// The next bytes of the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(self.chunk_bytes - self.filled));
            self.chunk.update(part);
            self.filled += part.len();
            bytes = rest;
            if self.filled == self.chunk_bytes {
                self.compare();
            }
        }
    }

    /// Whether the file that has come to its end is the one that the checksums are of.
    pub fn hold(mut self) -> bool {
        if self.filled > 0 {
            self.compare();
        }
        self.same && self.compared == self.wanted.len()
    }

    fn compare(&mut self) {
        self.same &= self.wanted.get(self.compared) == Some(&self.chunk.sum());
        self.chunk.reset();
        self.filled = 0;
        self.compared += 1;
    }
}

#[cfg(test)]
pub(in crate::classify) mod tests {
    use super::*;

    /// The checksums of a file, as Hadoop writes them.
    pub(in crate::classify) fn checksums(bytes: &[u8]) -> Vec<u8> {
        let mut all = [&MAGIC[..], &512_i32.to_be_bytes()].concat();
        for chunk in bytes.chunks(512) {
            let mut crc = Crc::new();
            crc.update(chunk);
            all.extend(crc.sum().to_be_bytes());
        }
        all
    }

    fn hold(sums: &[u8], parts: &[&[u8]]) -> bool {
        let mut sums = Checksums::read(sums).expect("checksums");
        for part in parts {
            sums.update(part);
        }
        sums.hold()
    }

    #[test]
    fn a_file_is_held_against_its_checksums_however_it_is_read() {
        let bytes: Vec<u8> = (0..1500_u32).map(|number| (number % 251) as u8).collect();
        let sums = checksums(&bytes);
        assert_eq!(sums.len(), 8 + 3 * 4);
        assert!(hold(&sums, &[&bytes]) && hold(&sums, &[&bytes[..100], &bytes[100..1024], &bytes[1024..]]));
        assert!(hold(&checksums(&[]), &[]));
        assert!(!hold(&sums, &[&bytes[..1499]]) && !hold(&sums, &[&bytes, b"x"]) && !hold(&sums, &[&bytes[..1024]]));
        let mut changed = bytes.clone();
        changed[700] ^= 1;
        assert!(!hold(&sums, &[&changed]));
    }

    #[test]
    fn spark_s_own_checksums_hold() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/sparknlp");
        let part = folder.join("vocab_28996_1part/part-00000");
        let (Ok(bytes), Ok(sums)) = (std::fs::read(&part), std::fs::read(part.with_file_name(".part-00000.crc")))
        else {
            eprintln!("SKIPPED: no {}", part.display());
            return;
        };
        assert!(hold(&sums, &[&bytes]));
    }

    #[test]
    fn what_is_no_file_of_checksums_is_told_and_its_name_is_hadoop_s() {
        for bytes in
            [&b""[..], b"crc\0", b"crc\x01\0\0\x02\0", b"crc\0\0\0\0\0", b"crc\0\xff\0\0\0", b"crc\0\0\0\x02\0abc"]
        {
            assert!(Checksums::read(bytes).is_none(), "{bytes:?}");
        }
        assert_eq!(name_of("fields/labels/part-00000"), "fields/labels/.part-00000.crc");
        assert_eq!(name_of("graph"), ".graph.crc");
    }
}
