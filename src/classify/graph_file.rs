//! An ONNX file before ONNX Runtime sees it: where its weights are, and taking them out of it.
//!
//! An ONNX file is one protobuf message. ONNX Runtime parses it whole, and then copies the weights: a model needs up to
//! twice its size. Weights in a file of their own are mapped into memory instead, so large ones are put there first, in
//! one pass that holds no more than the rest of the graph.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::graph_weights::{
    self, GRAPH_INITIALIZER, Kind, MODEL_GRAPH, TENSOR_EXTERNAL, TENSOR_LOCATION, TENSOR_RAW, Tag, tag_of,
};

/// Why an ONNX file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GraphFileError {
    /// Not a protobuf message, or not one of ONNX.
    #[error("it does not parse as ONNX ({0})")]
    NotOnnx(&'static str),
    /// The part beside the weights is too large.
    #[error("it holds more than {REST_BYTES_MAX} bytes beside its weights, which no graph does")]
    TooLarge,
    /// It cannot be read.
    #[error("reading it")]
    Read(#[source] io::Error),
    /// The weights cannot be written.
    #[error("writing its weights to a temporary file (set TMPDIR to where there is room)")]
    Write(#[source] io::Error),
}

/// Bytes of a graph beside its weights.
const REST_BYTES_MAX: usize = 256 << 20;
/// Weights of fewer bytes stay where they are: ONNX Runtime needs the small ones while it infers shapes.
const WEIGHT_BYTES_MIN: u64 = 4096;
/// Weights start at a multiple of it, so that they can be used where they are mapped.
const ALIGNMENT: u64 = 64;

/// What is in an ONNX file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphParts {
    /// The file without its large weights; they are now in `location`. The very file if it had none.
    pub graph: Vec<u8>,
    /// Files that hold weights, as the graph names them, with the bytes that each must hold at least.
    pub external: BTreeMap<String, u64>,
    /// Bytes of weights that were taken out.
    pub weight_bytes: u64,
}

/// Reads an ONNX file of `length` bytes at most, and writes its large weights to `weights`, which the graph then calls
/// `location`.
pub fn split(source: impl Read, weights: impl Write, location: &str) -> Result<GraphParts, GraphFileError> {
    let mut reader = Splitter { source, place: 0, weights, written: 0, moved: 0, location };
    let (mut graph, mut found) = (Vec::new(), false);
    while let Some(tag) = reader.tag_or_end()? {
        if tag.field == MODEL_GRAPH && tag.kind == Kind::Bytes {
            found = true;
            let length = reader.number()?;
            let body = reader.graph(length, graph.len())?;
            put_bytes(&mut graph, MODEL_GRAPH, &body);
        } else {
            reader.copy(tag, u64::MAX, &mut graph)?;
        }
        bounded(graph.len())?;
    }
    if !found {
        return Err(GraphFileError::NotOnnx("it holds no graph"));
    }
    let mut named = graph_weights::named(&graph)?;
    // Those that were taken out just now; a graph that named this file before is another matter.
    if named.get(location).is_some_and(|file| file.tensors == reader.moved) {
        named.remove(location);
    }
    let external = named.into_iter().map(|(name, file)| (name, file.bytes)).collect();
    let weight_bytes = reader.written;
    reader.weights.flush().map_err(GraphFileError::Write)?;
    Ok(GraphParts { graph, external, weight_bytes })
}

fn bounded(length: usize) -> Result<(), GraphFileError> {
    if length > REST_BYTES_MAX { Err(GraphFileError::TooLarge) } else { Ok(()) }
}

struct Splitter<'a, R, W> {
    source: R,
    place: u64,
    weights: W,
    written: u64,
    /// Tensors whose weights were taken out.
    moved: usize,
    location: &'a str,
}

impl<R: Read, W: Write> Splitter<'_, R, W> {
    /// A graph of so many bytes, without its large weights. `before` is how much is held already.
    fn graph(&mut self, length: u64, before: usize) -> Result<Vec<u8>, GraphFileError> {
        let end = self.end(length)?;
        let mut body = Vec::new();
        while self.place < end {
            let tag = self.tag()?;
            if tag.field == GRAPH_INITIALIZER && tag.kind == Kind::Bytes {
                let length = self.number()?;
                let tensor = self.tensor(length, end)?;
                put_bytes(&mut body, GRAPH_INITIALIZER, &tensor);
            } else {
                self.copy(tag, end, &mut body)?;
            }
            bounded(before + body.len())?;
        }
        if self.place == end { Ok(body) } else { Err(GraphFileError::NotOnnx("a graph that is too long")) }
    }

    /// A tensor; its raw data goes to the file of weights if there is much of it.
    fn tensor(&mut self, length: u64, outer: u64) -> Result<Vec<u8>, GraphFileError> {
        let end = self.end(length)?;
        if end > outer {
            return Err(GraphFileError::NotOnnx("a tensor that is too long"));
        }
        let mut body = Vec::new();
        while self.place < end {
            let tag = self.tag()?;
            if tag.field == TENSOR_RAW && tag.kind == Kind::Bytes && length >= WEIGHT_BYTES_MIN {
                let bytes = self.number()?;
                if self.end(bytes)? > end {
                    return Err(GraphFileError::NotOnnx("weights that are too long"));
                }
                let offset = self.move_weights(bytes)?;
                self.moved += 1;
                for (key, value) in [
                    ("location", self.location.to_owned()),
                    ("offset", offset.to_string()),
                    ("length", bytes.to_string()),
                ] {
                    let mut entry = Vec::new();
                    put_bytes(&mut entry, 1, key.as_bytes());
                    put_bytes(&mut entry, 2, value.as_bytes());
                    put_bytes(&mut body, TENSOR_EXTERNAL, &entry);
                }
                put_number(&mut body, TENSOR_LOCATION << 3);
                put_number(&mut body, 1);
            } else {
                self.copy(tag, end, &mut body)?;
            }
            bounded(body.len())?;
        }
        if self.place == end { Ok(body) } else { Err(GraphFileError::NotOnnx("a tensor that is too long")) }
    }

    /// Copies so many bytes to the weights, and gives where they start there.
    fn move_weights(&mut self, length: u64) -> Result<u64, GraphFileError> {
        let padding = self.written.next_multiple_of(ALIGNMENT) - self.written;
        io::copy(&mut io::repeat(0).take(padding), &mut self.weights).map_err(GraphFileError::Write)?;
        let offset = self.written + padding;
        let (mut left, mut buffer) = (length, vec![0; 1 << 18]);
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            self.source.read_exact(&mut buffer[..part]).map_err(unexpected_end)?;
            self.weights.write_all(&buffer[..part]).map_err(GraphFileError::Write)?;
            left -= part as u64;
        }
        self.place += length;
        self.written = offset + length;
        Ok(offset)
    }

    /// Copies a field that is of no interest.
    fn copy(&mut self, tag: Tag, end: u64, into: &mut Vec<u8>) -> Result<(), GraphFileError> {
        let wire = match tag.kind {
            Kind::Varint => 0,
            Kind::Eight => 1,
            Kind::Bytes => 2,
            Kind::Four => 5,
        };
        put_number(into, tag.field << 3 | wire);
        let length = match tag.kind {
            Kind::Varint => {
                let number = self.number()?;
                put_number(into, number);
                0
            }
            Kind::Eight => 8,
            Kind::Four => 4,
            Kind::Bytes => {
                let length = self.number()?;
                put_number(into, length);
                length
            }
        };
        if self.end(length)? > end {
            return Err(GraphFileError::NotOnnx("a field that is too long"));
        }
        bounded(into.len().saturating_add(usize::try_from(length).unwrap_or(usize::MAX)))?;
        let read = (&mut self.source).take(length).read_to_end(into).map_err(GraphFileError::Read)?;
        self.place += length;
        if read as u64 == length { Ok(()) } else { Err(GraphFileError::NotOnnx("it ends too early")) }
    }

    fn end(&self, length: u64) -> Result<u64, GraphFileError> {
        self.place.checked_add(length).ok_or(GraphFileError::NotOnnx("a length that cannot be"))
    }

    fn tag(&mut self) -> Result<Tag, GraphFileError> {
        tag_of(self.number()?)
    }

    /// The next tag; none at the end of the file.
    fn tag_or_end(&mut self) -> Result<Option<Tag>, GraphFileError> {
        let mut first = [0];
        let read = loop {
            match self.source.read(&mut first) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(GraphFileError::Read)?,
            }
        };
        if read == 0 {
            return Ok(None);
        }
        self.place += 1;
        tag_of(self.number_from(first[0])?).map(Some)
    }

    fn number(&mut self) -> Result<u64, GraphFileError> {
        let first = self.byte()?;
        self.number_from(first)
    }

    fn number_from(&mut self, first: u8) -> Result<u64, GraphFileError> {
        let (mut byte, mut number) = (first, u64::from(first & 0x7F));
        for shift in (7..64).step_by(7) {
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
        }
        if byte & 0x80 == 0 { Ok(number) } else { Err(GraphFileError::NotOnnx("a number that is too long")) }
    }

    fn byte(&mut self) -> Result<u8, GraphFileError> {
        let mut byte = [0];
        self.source.read_exact(&mut byte).map_err(unexpected_end)?;
        self.place += 1;
        Ok(byte[0])
    }
}

fn unexpected_end(error: io::Error) -> GraphFileError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => GraphFileError::NotOnnx("it ends too early"),
        _ => GraphFileError::Read(error),
    }
}

fn put_number(into: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            into.push(low & 0x7F);
            return;
        }
        into.push(low | 0x80);
    }
}

fn put_bytes(into: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_number(into, field << 3 | 2);
    put_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::graph_weights::GRAPH_NODE;
    use super::*;

    pub(in crate::classify) fn message(fields: &[(u64, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (field, content) in fields {
            put_bytes(&mut bytes, *field, content);
        }
        bytes
    }

    /// A tensor whose weights are in this file.
    pub(in crate::classify) fn external(location: &[u8]) -> Vec<u8> {
        let entry = |key: &[u8], value: &[u8]| message(&[(1, key), (2, value)]);
        message(&[
            (TENSOR_EXTERNAL, &entry(b"location", location)),
            (TENSOR_EXTERNAL, &entry(b"offset", b"4")),
            (TENSOR_EXTERNAL, &entry(b"length", b"4")),
        ])
    }

    /// A graph with an initializer whose weights are in this file.
    pub(in crate::classify) fn graph_with_weights_in(location: &str) -> Vec<u8> {
        message(&[(MODEL_GRAPH, &message(&[(GRAPH_INITIALIZER, &external(location.as_bytes()))]))])
    }

    #[test]
    fn large_weights_are_taken_out_and_all_else_stays() {
        let (large, small) = (vec![7; 5000], vec![8; 100]);
        let initializers = [message(&[(8, b"a"), (TENSOR_RAW, &large)]), message(&[(8, b"b"), (TENSOR_RAW, &small)])];
        let second = message(&[(8, b"c"), (TENSOR_RAW, &large)]);
        let graph = message(&[
            (GRAPH_NODE, b"\x0a\x01x"),
            (GRAPH_INITIALIZER, &initializers[0]),
            (GRAPH_INITIALIZER, &initializers[1]),
            (GRAPH_INITIALIZER, &second),
        ]);
        let mut model = vec![0x08, 9];
        model.extend(message(&[(2, b"made by hand"), (MODEL_GRAPH, &graph)]));
        let mut weights = Vec::new();
        let parts = split(model.as_slice(), &mut weights, "weights").expect("parts");
        assert_eq!(
            (weights.len(), parts.weight_bytes),
            (5056 + 5000, 5056 + 5000),
            "the second starts at a multiple of 64"
        );
        assert!(weights[..5000] == large && weights[5056..] == large);
        assert!(parts.graph.len() < 400 && parts.external.is_empty());
        for kept in [&b"made by hand"[..], &small, b"offset", b"5056", b"5000"] {
            assert!(parts.graph.windows(kept.len()).any(|window| window == kept));
        }
        // What holds no large weights stays as it was, byte for byte.
        let same = split(parts.graph.as_slice(), io::sink(), "").expect("parts");
        assert_eq!((same.graph, same.external), (parts.graph, BTreeMap::from([("weights".to_owned(), 5056 + 5000)])));
    }

    #[test]
    fn a_graph_that_named_the_file_of_weights_before_is_found_out() {
        let tensors = [external(b"weights"), message(&[(TENSOR_RAW, &[7; 5000])])];
        let graph = message(&[(GRAPH_INITIALIZER, &tensors[0]), (GRAPH_INITIALIZER, &tensors[1])]);
        let model = message(&[(MODEL_GRAPH, &graph)]);
        let parts = split(model.as_slice(), io::sink(), "weights").expect("parts");
        assert!(parts.external.contains_key("weights"));
        let graph = message(&[(GRAPH_INITIALIZER, &tensors[1])]);
        let parts = split(message(&[(MODEL_GRAPH, &graph)]).as_slice(), io::sink(), "weights").expect("parts");
        assert!(parts.external.is_empty());
    }

    #[test]
    fn what_is_no_onnx_is_told_from_what_was_cut_off() {
        let graph = message(&[(GRAPH_INITIALIZER, &message(&[(TENSOR_RAW, &[0; 5000])]))]);
        let model = message(&[(MODEL_GRAPH, &graph)]);
        let said = |bytes: &[u8]| split(bytes, io::sink(), "").expect_err("a fault").to_string();
        for (bytes, wanted) in [
            (&b""[..], "it holds no graph"),
            (b"\x0b", "a field of an unknown kind"),
            (b"\x02\x00", "a field without a number"),
            (&[0xFF; 12], "a number that is too long"),
            (&model[..model.len() - 1], "it ends too early"),
            (&model[..40], "it ends too early"),
        ] {
            assert!(said(bytes).contains(wanted), "{}", said(bytes));
        }
        let mut longer = model.clone();
        // The tensor says that it is longer than its graph.
        longer[5] += 1;
        assert!(said(&longer).contains("too long"), "{}", said(&longer));
    }
}
