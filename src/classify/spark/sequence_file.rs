//! Hadoop's SequenceFile, version 6, uncompressed: the values of its records.
//!
//! Header: `SEQ` 6, the classes of keys and values, two flags of compression, metadata, a marker of 16 bytes. Then
//! records, among them now and then a length of -1 with the marker again.

/// Why a file of this kind cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceFault {
    /// It starts otherwise.
    #[error("it is not a Hadoop SequenceFile: it does not start with SEQ")]
    NotSequence,
    /// It is a parquet file.
    #[error(
        "it is a parquet file, and only Hadoop SequenceFiles are read: save the model again with \
         annotatorSerializationFormat set to object"
    )]
    Parquet,
    /// Another version of the format.
    #[error("it is a SequenceFile of version {0}, and only version 6 is read")]
    Version(u8),
    /// Keys or values of other classes.
    #[error("its records hold {0:?} and not {1}")]
    Class(String, &'static str),
    /// Compressed, by this codec.
    #[error(
        "its records are compressed by {0}: save the model again with \
         mapreduce.output.fileoutputformat.compress set to false"
    )]
    Compressed(String),
    /// It ends too early.
    #[error("it ends in the middle of its {0}: the copy is not whole")]
    Short(&'static str),
    /// A length makes no sense.
    #[error("its {0} has a length that cannot be")]
    Length(&'static str),
    /// A record is too large.
    #[error("it has a record of {0} bytes, and those of a model's maps have some hundred")]
    TooLarge(usize),
    /// The marker between records is another one.
    #[error("the marker at byte {0} is not the file's own: the copy is damaged")]
    Sync(usize),
}

const KEY_CLASS: &str = "org.apache.hadoop.io.NullWritable";
const VALUE_CLASS: &str = "org.apache.hadoop.io.BytesWritable";
const SYNC_BYTES: usize = 16;
/// A length that says that a marker follows.
const ESCAPE: i32 = -1;
/// Pairs of metadata in the header; Spark writes none.
const METADATA_PAIRS_MAX: i32 = 1024;

/// Characters of a foreign name that are repeated.
const NAME_CHARS_MAX: usize = 100;
/// Bytes of a record; Spark puts ten entries into one.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// The values of a file's records, in order; the last is a fault if it is one that ends the reading.
pub fn records(bytes: &[u8]) -> Result<Records<'_>, SequenceFault> {
    let mut reader = Reader { bytes, place: 0 };
    let sync = reader.header()?;
    Ok(Records { reader, sync })
}

/// A file's records, one after the other.
pub struct Records<'a> {
    reader: Reader<'a>,
    sync: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<&'a [u8], SequenceFault>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.reader.place < self.reader.bytes.len() {
            match self.reader.record(self.sync) {
                Ok(None) => {}
                Ok(Some(record)) => return Some(Ok(record)),
                Err(fault) => {
                    self.reader.place = self.reader.bytes.len();
                    return Some(Err(fault));
                }
            }
        }
        None
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl<'a> Reader<'a> {
    /// Reads the header and gives the marker.
    fn header(&mut self) -> Result<&'a [u8], SequenceFault> {
        if self.bytes.starts_with(b"PAR1") {
            return Err(SequenceFault::Parquet);
        }
        if !self.bytes.starts_with(b"SEQ") {
            return Err(SequenceFault::NotSequence);
        }
        let version = self.take(4, "header")?[3];
        if version != 6 {
            return Err(SequenceFault::Version(version));
        }
        let classes = [(KEY_CLASS, self.text()?), (VALUE_CLASS, self.text()?)];
        let flags = self.take(2, "header")?;
        if flags != [0, 0] {
            let codec = self.text().unwrap_or_default();
            let name = codec.rsplit('.').next().filter(|name| !name.is_empty()).unwrap_or("an unknown codec");
            return Err(SequenceFault::Compressed(name.chars().take(NAME_CHARS_MAX).collect()));
        }
        for (wanted, found) in classes {
            if found != wanted {
                return Err(SequenceFault::Class(found.chars().take(NAME_CHARS_MAX).collect(), wanted));
            }
        }
        let pairs = self.int("header")?;
        if !(0..=METADATA_PAIRS_MAX).contains(&pairs) {
            return Err(SequenceFault::Length("header"));
        }
        for _ in 0..pairs * 2 {
            self.text()?;
        }
        self.take(SYNC_BYTES, "header")
    }

    /// The value of one record; none for a marker.
    fn record(&mut self, sync: &[u8]) -> Result<Option<&'a [u8]>, SequenceFault> {
        const RECORD: &str = "records";
        let length = self.int(RECORD)?;
        if length == ESCAPE {
            let place = self.place;
            return if self.take(SYNC_BYTES, RECORD)? == sync { Ok(None) } else { Err(SequenceFault::Sync(place)) };
        }
        let key = self.int(RECORD)?;
        let length = usize::try_from(length).map_err(|_| SequenceFault::Length("record"))?;
        if length > RECORD_BYTES_MAX {
            return Err(SequenceFault::TooLarge(length));
        }
        let record = self.take(length, RECORD)?;
        // The key is a NullWritable, which has no bytes; the value says its own length again.
        let (head, value) = record.split_at_checked(4).ok_or(SequenceFault::Length("record"))?;
        let inner = i32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        if key != 0 || usize::try_from(inner) != Ok(value.len()) {
            return Err(SequenceFault::Length("record"));
        }
        Ok(Some(value))
    }

    /// Hadoop's Text: a length of variable size, and UTF-8.
    fn text(&mut self) -> Result<String, SequenceFault> {
        let length = usize::try_from(self.vint()?).map_err(|_| SequenceFault::Length("header"))?;
        let bytes = self.take(length, "header")?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Hadoop's integer of variable size.
    fn vint(&mut self) -> Result<i64, SequenceFault> {
        let first = self.take(1, "header")?[0].cast_signed();
        if first >= -112 {
            return Ok(i64::from(first));
        }
        let negative = first < -120;
        let more = if negative { -(i16::from(first) + 120) } else { -(i16::from(first) + 112) };
        let bytes = self.take(usize::try_from(more).map_err(|_| SequenceFault::Length("header"))?, "header")?;
        let value = bytes.iter().fold(0_i64, |value, byte| (value << 8) | i64::from(*byte));
        Ok(if negative { !value } else { value })
    }

    fn int(&mut self, what: &'static str) -> Result<i32, SequenceFault> {
        let bytes = self.take(4, what)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], SequenceFault> {
        let end = self.place.checked_add(length).ok_or(SequenceFault::Length(what))?;
        let bytes = self.bytes.get(self.place..end).ok_or(SequenceFault::Short(what))?;
        self.place = end;
        Ok(bytes)
    }
}

#[cfg(test)]
pub(in crate::classify) mod tests {
    use super::*;

    /// All records, or the fault that ends them.
    fn records(bytes: &[u8]) -> Result<Vec<&[u8]>, SequenceFault> {
        super::records(bytes)?.collect()
    }

    /// A file of these values, a marker before each of `marked`.
    pub(in crate::classify) fn file(values: &[&[u8]], marked: &[usize]) -> Vec<u8> {
        let mut bytes = b"SEQ\x06".to_vec();
        for class in [KEY_CLASS, VALUE_CLASS] {
            bytes.push(u8::try_from(class.len()).expect("short"));
            bytes.extend(class.as_bytes());
        }
        bytes.extend([0; 6]);
        bytes.extend([7; SYNC_BYTES]);
        for (number, value) in values.iter().enumerate() {
            if marked.contains(&number) {
                bytes.extend(ESCAPE.to_be_bytes());
                bytes.extend([7; SYNC_BYTES]);
            }
            let length = i32::try_from(value.len()).expect("short");
            bytes.extend((length + 4).to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(length.to_be_bytes());
            bytes.extend(*value);
        }
        bytes
    }

    #[test]
    fn records_are_read_across_markers_and_a_file_without_any_is_a_header_of_95_bytes() {
        assert_eq!(
            records(&file(&[b"one", b"", b"three"], &[0, 2])).expect("records"),
            [b"one".as_slice(), b"", b"three"]
        );
        let empty = file(&[], &[]);
        assert_eq!((empty.len(), records(&empty).expect("records").len()), (95, 0));
    }

    #[test]
    fn each_fault_has_its_own_words() {
        let whole = file(&[b"one", b"two"], &[1]);
        let changed = |place: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[place] = byte;
            records(&bytes).expect_err("a fault")
        };
        assert_eq!(changed(0, b'X'), SequenceFault::NotSequence);
        assert_eq!(changed(3, 4), SequenceFault::Version(4));
        assert!(matches!(changed(10, b'X'), SequenceFault::Class(_, KEY_CLASS)));
        assert!(matches!(changed(73, 1), SequenceFault::Compressed(_)));
        assert!(matches!(changed(74, 1), SequenceFault::Compressed(_)));
        let mut codec = whole.clone();
        codec[74] = 1;
        codec.splice(75.., b"\x0borg.x.GCodec".iter().copied());
        assert_eq!(records(&codec), Err(SequenceFault::Compressed("GCode".into())));
        assert_eq!(changed(75, 0x70), SequenceFault::Length("header"));
        assert_eq!(changed(95, 0x80), SequenceFault::Length("record"));
        assert_eq!(changed(102, 1), SequenceFault::Length("record"));
        assert_eq!(changed(whole.len() - 31, 0), SequenceFault::Sync(whole.len() - 31));
        assert_eq!(records(&whole[..whole.len() - 1]), Err(SequenceFault::Short("records")));
        assert_eq!(records(&whole[..50]), Err(SequenceFault::Short("header")));
        let large = file(&[&vec![0; RECORD_BYTES_MAX]], &[]);
        assert_eq!(records(&large), Err(SequenceFault::TooLarge(RECORD_BYTES_MAX + 4)));
        assert_eq!(records(b"PAR1"), Err(SequenceFault::Parquet));
    }

    #[test]
    fn lengths_of_variable_size_are_read_as_hadoop_writes_them() {
        for (bytes, wanted) in
            [(&[0x21_u8][..], 33), (&[0x8f, 0x80], 128), (&[0x8e, 0x01, 0x00], 256), (&[0x87, 0x80], -129)]
        {
            assert_eq!(Reader { bytes, place: 0 }.vint(), Ok(wanted));
        }
    }
}
