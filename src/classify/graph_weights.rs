//! The files that an ONNX graph names for its weights, wherever in it a tensor may be.

use std::collections::BTreeMap;

use super::graph_file::GraphFileError;

/// Files of weights of one graph; a model has one or few.
const FILES_MAX: usize = 1000;
/// How deep graphs may lie in each other.
const DEPTH_MAX: usize = 32;

// Numbers of the fields, from onnx.proto.
pub(super) const MODEL_GRAPH: u64 = 7;
pub(super) const GRAPH_NODE: u64 = 1;
pub(super) const GRAPH_INITIALIZER: u64 = 5;
const GRAPH_SPARSE_INITIALIZER: u64 = 15;
const NODE_ATTRIBUTE: u64 = 5;
const ATTRIBUTE_TENSOR: u64 = 5;
const ATTRIBUTE_GRAPH: u64 = 6;
const ATTRIBUTE_TENSORS: u64 = 10;
const ATTRIBUTE_GRAPHS: u64 = 11;
const ATTRIBUTE_SPARSE: u64 = 22;
const ATTRIBUTE_SPARSES: u64 = 23;
const SPARSE_VALUES: u64 = 1;
const SPARSE_INDICES: u64 = 2;
const MODEL_FUNCTION: u64 = 25;
const FUNCTION_NODE: u64 = 7;
pub(super) const TENSOR_RAW: u64 = 9;
pub(super) const TENSOR_EXTERNAL: u64 = 13;
pub(super) const TENSOR_LOCATION: u64 = 14;

/// A file of weights, as a graph names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// Tensors whose weights are in it.
    pub(super) tensors: usize,
    /// Bytes that it must hold at least.
    pub(super) bytes: u64,
}

/// The files of weights that a graph names.
pub(super) fn named(model: &[u8]) -> Result<BTreeMap<String, Named>, GraphFileError> {
    let mut finder = Finder::default();
    finder.walk(model, Message::Model, 0)?;
    Ok(finder.files)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Varint,
    Eight,
    Bytes,
    Four,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    pub(super) field: u64,
    pub(super) kind: Kind,
}

pub(super) fn tag_of(number: u64) -> Result<Tag, GraphFileError> {
    let kind = match number & 7 {
        0 => Kind::Varint,
        1 => Kind::Eight,
        2 => Kind::Bytes,
        5 => Kind::Four,
        _ => return Err(GraphFileError::NotOnnx("a field of an unknown kind")),
    };
    match number >> 3 {
        field @ 1..=0x1FFF_FFFF => Ok(Tag { field, kind }),
        _ => Err(GraphFileError::NotOnnx("a field without a number")),
    }
}

/// A message that may hold tensors.
#[derive(Clone, Copy, Debug)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Function,
    External,
}

impl Message {
    /// What the field holds, if it may hold tensors.
    const fn part(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::Model, MODEL_GRAPH) | (Self::Attribute, ATTRIBUTE_GRAPH | ATTRIBUTE_GRAPHS) => Some(Self::Graph),
            (Self::Model, MODEL_FUNCTION) => Some(Self::Function),
            (Self::Graph, GRAPH_NODE) | (Self::Function, FUNCTION_NODE) => Some(Self::Node),
            (Self::Graph, GRAPH_INITIALIZER)
            | (Self::Attribute, ATTRIBUTE_TENSOR | ATTRIBUTE_TENSORS)
            | (Self::Sparse, SPARSE_VALUES | SPARSE_INDICES) => Some(Self::Tensor),
            (Self::Graph, GRAPH_SPARSE_INITIALIZER) | (Self::Attribute, ATTRIBUTE_SPARSE | ATTRIBUTE_SPARSES) => {
                Some(Self::Sparse)
            }
            (Self::Node, NODE_ATTRIBUTE) => Some(Self::Attribute),
            (Self::Tensor, TENSOR_EXTERNAL) => Some(Self::External),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Finder {
    files: BTreeMap<String, Named>,
    /// What the tensor at hand says so far.
    location: Option<String>,
    offset: u64,
    length: u64,
}

impl Finder {
    fn walk(&mut self, bytes: &[u8], message: Message, depth: usize) -> Result<(), GraphFileError> {
        if depth > DEPTH_MAX {
            return Err(GraphFileError::NotOnnx("graphs too deep in each other"));
        }
        let mut rest = bytes;
        let (mut key, mut value) = (&[][..], &[][..]);
        while !rest.is_empty() {
            let tag = tag_of(slice_number(&mut rest)?)?;
            let content = match tag.kind {
                Kind::Varint => {
                    slice_number(&mut rest)?;
                    continue;
                }
                Kind::Eight => slice_take(&mut rest, 8)?,
                Kind::Four => slice_take(&mut rest, 4)?,
                Kind::Bytes => {
                    let length = slice_number(&mut rest)?;
                    slice_take(&mut rest, length)?
                }
            };
            match (message, tag.field) {
                (Message::External, 1) => key = content,
                (Message::External, 2) => value = content,
                _ => {}
            }
            if let Some(part) = message.part(tag.field).filter(|_| tag.kind == Kind::Bytes) {
                self.walk(content, part, depth + 1)?;
            }
        }
        match message {
            Message::External => self.entry(key, value),
            Message::Tensor => self.tensor(),
            _ => Ok(()),
        }
    }

    /// An entry of a tensor's external data.
    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), GraphFileError> {
        let value = String::from_utf8_lossy(value);
        let number =
            || value.trim().parse().map_err(|_| GraphFileError::NotOnnx("a place of weights that is no number"));
        match key {
            b"location" => self.location = Some(value.into_owned()),
            b"offset" => self.offset = number()?,
            b"length" => self.length = number()?,
            _ => {}
        }
        Ok(())
    }

    /// The end of a tensor.
    fn tensor(&mut self) -> Result<(), GraphFileError> {
        let end = self.offset.saturating_add(self.length);
        (self.offset, self.length) = (0, 0);
        let Some(location) = self.location.take() else { return Ok(()) };
        let file = self.files.entry(location).or_default();
        file.tensors += 1;
        file.bytes = file.bytes.max(end);
        if self.files.len() > FILES_MAX {
            return Err(GraphFileError::NotOnnx("too many files of weights"));
        }
        Ok(())
    }
}

fn slice_number(rest: &mut &[u8]) -> Result<u64, GraphFileError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = slice_take(rest, 1)?[0];
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(GraphFileError::NotOnnx("a number that is too long"))
}

fn slice_take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], GraphFileError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (taken, left) = rest.split_at_checked(length).ok_or(GraphFileError::NotOnnx("it ends too early"))?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::graph_file::tests::{external, message};

    #[test]
    fn files_of_weights_are_found_wherever_a_tensor_may_be() {
        let initializer = message(&[(GRAPH_INITIALIZER, &external(b"one"))]);
        let attribute = |content: &[u8]| message(&[(GRAPH_NODE, &message(&[(NODE_ATTRIBUTE, content)]))]);
        let sparse = message(&[(SPARSE_INDICES, &external(b"four"))]);
        let function = message(&[(
            FUNCTION_NODE,
            &message(&[(NODE_ATTRIBUTE, &message(&[(ATTRIBUTE_TENSORS, &external(b"five"))]))]),
        )]);
        let graph = [
            initializer.clone(),
            attribute(&message(&[(ATTRIBUTE_TENSOR, &external(b"two"))])),
            attribute(&message(&[(ATTRIBUTE_GRAPH, &message(&[(GRAPH_INITIALIZER, &external(b"three"))]))])),
            message(&[(GRAPH_SPARSE_INITIALIZER, &sparse)]),
        ]
        .concat();
        let model = message(&[(MODEL_GRAPH, &graph), (MODEL_FUNCTION, &function)]);
        let files = named(&model).expect("files");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["five", "four", "one", "three", "two"]);
        assert!(files.values().all(|file| *file == Named { tensors: 1, bytes: 8 }));
    }

    #[test]
    fn a_file_must_hold_what_its_last_tensor_needs_and_graphs_cannot_lie_in_each_other_for_ever() {
        let entry = |key: &[u8], value: &[u8]| (TENSOR_EXTERNAL, message(&[(1, key), (2, value)]));
        let tensor = |offset: &[u8]| {
            let entries = [entry(b"location", b"w"), entry(b"offset", offset), entry(b"length", b"10")];
            message(&entries.each_ref().map(|(field, content)| (*field, content.as_slice())))
        };
        let model = |tensors: &[Vec<u8>]| {
            let tensors: Vec<(u64, &[u8])> = tensors.iter().map(|t| (GRAPH_INITIALIZER, t.as_slice())).collect();
            message(&[(MODEL_GRAPH, &message(&tensors))])
        };
        let files = named(&model(&[tensor(b"90"), tensor(b"0")])).expect("files");
        assert_eq!(files["w"], Named { tensors: 2, bytes: 100 });
        assert!(named(&model(&[tensor(b"-1")])).is_err());
        let mut nested = external(b"deep");
        for _ in 0..DEPTH_MAX {
            nested = message(&[(ATTRIBUTE_GRAPH, &message(&[(GRAPH_NODE, &message(&[(NODE_ATTRIBUTE, &nested)]))]))]);
        }
        let model = message(&[(MODEL_GRAPH, &message(&[(GRAPH_NODE, &message(&[(NODE_ATTRIBUTE, &nested)]))]))]);
        assert!(matches!(named(&model), Err(GraphFileError::NotOnnx("graphs too deep in each other"))));
    }
}
