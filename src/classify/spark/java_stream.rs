//! Java's serialisation, as far as Spark writes a model's maps with it: one stream is an array of `scala.Tuple2`.
//!
//! See the Object Serialization Stream Protocol of Java's documentation. Everything that was seen once may be
//! referred to later, so what is read goes into a table of handles, in the order of the stream.

use std::rc::Rc;

/// Why a stream cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JavaFault {
    /// It starts otherwise.
    #[error("a record is not a stream of Java's serialisation")]
    NotJava,
    /// It ends too early, or a length goes beyond it.
    #[error("a record ends in the middle of a Java object")]
    Short,
    /// Something that a map of a model does not need.
    #[error("a record holds what a map of a model does not: {0} at byte {1}")]
    Unknown(&'static str, usize),
    /// A reference to what was not read.
    #[error("a record refers to a Java object that it does not hold")]
    Handle,
    /// Not modified UTF-8.
    #[error("a record holds a text that is not Java's")]
    Text,
    /// Beyond what a map of a model holds.
    #[error("a record holds more pairs, or a longer text, than a map of a model does")]
    TooMuch,
    /// No array of pairs of a text and a number or text.
    #[error("a record is no array of pairs of a text and a {0}")]
    Shape(&'static str),
}

/// What a pair's text stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A `java.lang.Integer`.
    Number(i32),
    /// A `java.lang.String`.
    Text(String),
}

/// How deep objects may lie in each other; a map's lie four deep.
const DEPTH_MAX: usize = 12;
/// Pairs of one stream; Spark writes ten.
const PAIRS_MAX: usize = 1000;
/// Objects, texts and classes of one stream; a pair has three.
const HANDLES_MAX: usize = 4 * PAIRS_MAX;
/// Fields of one class; a pair has two.
const FIELDS_MAX: usize = 16;
/// Bytes of a text as Java writes it; a vocabulary's and a label's are far shorter.
const TEXT_BYTES_MAX: usize = 1024;
/// First of the handles.
const HANDLE_BASE: u32 = 0x7E_0000;

/// The pairs of one stream, in order.
pub fn pairs(bytes: &[u8]) -> Result<Vec<(String, Value)>, JavaFault> {
    let mut reader = Reader { bytes, place: 0, handles: Vec::new() };
    if reader.take(4)? != [0xAC, 0xED, 0, 5] {
        return Err(JavaFault::NotJava);
    }
    let array = reader.content(0)?;
    if reader.place != bytes.len() {
        return Err(JavaFault::Unknown("more than one object", reader.place));
    }
    reader.pairs(array)
}

/// A handle's place in the table; none for null.
type Node = Option<usize>;

#[derive(Clone, Debug)]
enum Handle {
    Class(Class),
    Text(String),
    Array(Vec<Node>),
    Object {
        class: Rc<str>,
        fields: Vec<(Rc<str>, Field)>,
    },
    /// Its parts are still being read.
    Unfinished,
}

#[derive(Clone, Debug)]
struct Class {
    name: Rc<str>,
    fields: Rc<[(u8, Rc<str>)]>,
    parent: Node,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Int(i32),
    Node(Node),
    /// A primitive that nothing asks for.
    Other,
}

struct Reader<'a> {
    bytes: &'a [u8],
    place: usize,
    handles: Vec<Handle>,
}

impl<'a> Reader<'a> {
    /// One object, whatever it is.
    fn content(&mut self, depth: usize) -> Result<Node, JavaFault> {
        if depth > DEPTH_MAX {
            return Err(JavaFault::Unknown("objects too deep in each other", self.place));
        }
        match self.byte()? {
            0x70 => Ok(None),
            0x71 => self.reference().map(Some),
            0x72 => self.class(depth).map(Some),
            0x73 => self.object(depth).map(Some),
            0x74 => {
                let length = usize::from(self.short()?);
                self.text(length).map(Some)
            }
            0x75 => self.array(depth).map(Some),
            0x7C => {
                let length = self.take(8)?.iter().fold(0_u64, |length, byte| (length << 8) | u64::from(*byte));
                self.text(usize::try_from(length).map_err(|_| JavaFault::TooMuch)?).map(Some)
            }
            _ => Err(JavaFault::Unknown("an unknown kind of content", self.place - 1)),
        }
    }

    fn reference(&mut self) -> Result<usize, JavaFault> {
        let bytes = self.take(4)?;
        let handle = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let place = handle.checked_sub(HANDLE_BASE).and_then(|place| usize::try_from(place).ok());
        place.filter(|place| *place < self.handles.len()).ok_or(JavaFault::Handle)
    }

    fn text(&mut self, length: usize) -> Result<usize, JavaFault> {
        let text = self.characters(length)?;
        self.keep(Handle::Text(text))
    }

    /// A name of a class or field.
    fn name(&mut self) -> Result<String, JavaFault> {
        let length = usize::from(self.short()?);
        self.characters(length)
    }

    fn characters(&mut self, length: usize) -> Result<String, JavaFault> {
        if length > TEXT_BYTES_MAX {
            return Err(JavaFault::TooMuch);
        }
        modified_utf8(self.take(length)?)
    }

    /// The description of a class: name, version, flags, fields, annotations, parent.
    fn class(&mut self, depth: usize) -> Result<usize, JavaFault> {
        let name = self.name()?;
        self.take(8)?;
        let handle = self.keep(Handle::Unfinished)?;
        // Serializable, and nothing else: no data of its own form, no enumeration.
        if self.byte()? != 2 {
            return Err(JavaFault::Unknown("a class that writes its objects in its own form", self.place - 1));
        }
        let count = usize::from(self.short()?);
        if count > FIELDS_MAX {
            return Err(JavaFault::TooMuch);
        }
        let mut fields = Vec::with_capacity(count);
        for _ in 0..count {
            let kind = self.byte()?;
            let name = self.name()?;
            if matches!(kind, b'L' | b'[') {
                self.content(depth + 1)?;
            }
            fields.push((kind, Rc::from(name)));
        }
        if self.byte()? != 0x78 {
            return Err(JavaFault::Unknown("an annotated class", self.place - 1));
        }
        let parent = self.class_or_null(depth + 1)?;
        self.handles[handle] = Handle::Class(Class { name: name.into(), fields: fields.into(), parent });
        Ok(handle)
    }

    fn class_or_null(&mut self, depth: usize) -> Result<Node, JavaFault> {
        let place = self.place;
        let node = self.content(depth)?;
        match node {
            Some(handle) if !matches!(self.handles[handle], Handle::Class(_)) => {
                Err(JavaFault::Unknown("no class where one is needed", place))
            }
            node => Ok(node),
        }
    }

    fn class_of(&mut self, depth: usize) -> Result<Class, JavaFault> {
        let place = self.place;
        match self.class_or_null(depth + 1)?.map(|handle| &self.handles[handle]) {
            Some(Handle::Class(class)) => Ok(class.clone()),
            _ => Err(JavaFault::Unknown("an object without a class", place)),
        }
    }

    fn array(&mut self, depth: usize) -> Result<usize, JavaFault> {
        let class = self.class_of(depth)?;
        if !class.name.starts_with("[L") {
            return Err(JavaFault::Unknown("an array of no objects", self.place));
        }
        let handle = self.keep(Handle::Unfinished)?;
        let count = usize::try_from(self.int()?).map_err(|_| JavaFault::Short)?;
        if count > PAIRS_MAX {
            return Err(JavaFault::TooMuch);
        }
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            nodes.push(self.content(depth + 1)?);
        }
        self.handles[handle] = Handle::Array(nodes);
        Ok(handle)
    }

    /// An object: its fields, those of its class's parents first.
    fn object(&mut self, depth: usize) -> Result<usize, JavaFault> {
        let class = self.class_of(depth)?;
        let handle = self.keep(Handle::Unfinished)?;
        let name = Rc::clone(&class.name);
        let mut line = vec![class];
        while let Some(parent) = line.last().and_then(|class| class.parent) {
            if line.len() > DEPTH_MAX {
                return Err(JavaFault::Unknown("classes too deep in each other", self.place));
            }
            let Handle::Class(parent) = &self.handles[parent] else {
                return Err(JavaFault::Unknown("a class within itself", self.place));
            };
            line.push(parent.clone());
        }
        let mut fields = Vec::new();
        for class in line.into_iter().rev() {
            for (kind, name) in class.fields.iter() {
                fields.push((Rc::clone(name), self.field(*kind, depth)?));
            }
        }
        self.handles[handle] = Handle::Object { class: name, fields };
        Ok(handle)
    }

    fn field(&mut self, kind: u8, depth: usize) -> Result<Field, JavaFault> {
        let width = match kind {
            b'I' => return Ok(Field::Int(self.int()?)),
            b'L' | b'[' => return Ok(Field::Node(self.content(depth + 1)?)),
            b'B' | b'Z' => 1,
            b'C' | b'S' => 2,
            b'F' => 4,
            b'D' | b'J' => 8,
            _ => return Err(JavaFault::Unknown("a field of an unknown type", self.place)),
        };
        self.take(width)?;
        Ok(Field::Other)
    }

    fn pairs(&self, array: Node) -> Result<Vec<(String, Value)>, JavaFault> {
        const SHAPE: JavaFault = JavaFault::Shape("number or text");
        let Some(Handle::Array(nodes)) = array.map(|handle| &self.handles[handle]) else { return Err(SHAPE) };
        let pair = |node: &Node| {
            let Some(Handle::Object { class, fields }) = node.map(|handle| &self.handles[handle]) else {
                return Err(SHAPE);
            };
            let part = |wanted: &str| fields.iter().find(|(name, _)| **name == *wanted).map(|(_, field)| *field);
            let (Some(Field::Node(Some(key))), Some(Field::Node(Some(value)))) = (part("_1"), part("_2")) else {
                return Err(SHAPE);
            };
            let Handle::Text(key) = &self.handles[key] else { return Err(SHAPE) };
            // Scala may write a class of its own for pairs of some types.
            if !class.starts_with("scala.Tuple2") {
                return Err(SHAPE);
            }
            Ok((key.clone(), self.value(value).ok_or(SHAPE)?))
        };
        nodes.iter().map(pair).collect()
    }

    fn value(&self, handle: usize) -> Option<Value> {
        match &self.handles[handle] {
            Handle::Text(text) => Some(Value::Text(text.clone())),
            Handle::Object { class, fields } if **class == *"java.lang.Integer" => {
                fields.iter().find_map(|(name, field)| match field {
                    Field::Int(number) if **name == *"value" => Some(Value::Number(*number)),
                    _ => None,
                })
            }
            _ => None,
        }
    }

    fn keep(&mut self, handle: Handle) -> Result<usize, JavaFault> {
        if self.handles.len() >= HANDLES_MAX {
            return Err(JavaFault::TooMuch);
        }
        self.handles.push(handle);
        Ok(self.handles.len() - 1)
    }

    fn byte(&mut self) -> Result<u8, JavaFault> {
        Ok(self.take(1)?[0])
    }

    fn short(&mut self) -> Result<u16, JavaFault> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn int(&mut self) -> Result<i32, JavaFault> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], JavaFault> {
        let end = self.place.checked_add(length).ok_or(JavaFault::Short)?;
        let bytes = self.bytes.get(self.place..end).ok_or(JavaFault::Short)?;
        self.place = end;
        Ok(bytes)
    }
}

/// Java's own UTF-8: a character beyond U+FFFF is two surrogates of three bytes each, U+0000 is C0 80.
fn modified_utf8(bytes: &[u8]) -> Result<String, JavaFault> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(first) = rest.next() {
        let mut more = || rest.next().filter(|byte| byte & 0xC0 == 0x80).map(|byte| u16::from(byte & 0x3F));
        let unit = match first {
            0x01..=0x7F => Some(u16::from(first)),
            0xC0..=0xDF => more().map(|low| (u16::from(first & 0x1F) << 6) | low),
            0xE0..=0xEF => {
                let middle = more();
                middle.zip(more()).map(|(middle, low)| (u16::from(first & 0x0F) << 12) | (middle << 6) | low)
            }
            _ => None,
        };
        units.push(unit.ok_or(JavaFault::Text)?);
    }
    String::from_utf16(&units).map_err(|_| JavaFault::Text)
}

#[cfg(test)]
pub(in crate::classify) mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for unit in text.encode_utf16() {
            let [high, low] = [unit >> 6, unit & 0x3F].map(|part| u8::try_from(part & 0xFF).expect("a byte"));
            match unit {
                1..=0x7F => bytes.push(u8::try_from(unit).expect("a byte")),
                0 | 0x80..=0x7FF => bytes.extend([0xC0 | high, 0x80 | low]),
                _ => bytes.extend([0xE0 | u8::try_from(unit >> 12).expect("a byte"), 0x80 | (high & 0x3F), 0x80 | low]),
            }
        }
        let mut all = u16::try_from(bytes.len()).expect("short").to_be_bytes().to_vec();
        all.extend(bytes);
        all
    }

    /// A stream of these pairs, as Spark writes it.
    pub(in crate::classify) fn stream(pairs: &[(&str, i32)]) -> Vec<u8> {
        let mut out = vec![0xAC, 0xED, 0, 5, 0x75, 0x72];
        out.extend(text("[Lscala.Tuple2;"));
        out.extend([1; 8]);
        out.extend([2, 0, 0, 0x78, 0x70]);
        out.extend(i32::try_from(pairs.len()).expect("few").to_be_bytes());
        for (number, (key, value)) in pairs.iter().enumerate() {
            if number == 0 {
                out.extend([&[0x73, 0x72], text("scala.Tuple2").as_slice(), &[1; 8], &[2, 0, 2, b'L']].concat());
                out.extend([text("_1"), vec![0x74], text("Ljava/lang/Object;"), vec![b'L'], text("_2")].concat());
                out.extend([0x71, 0, 0x7E, 0, 3, 0x78, 0x70]);
            } else {
                out.extend([0x73, 0x71, 0, 0x7E, 0, 2]);
            }
            out.push(0x74);
            out.extend(text(key));
            if number == 0 {
                out.extend([&[0x73, 0x72], text("java.lang.Integer").as_slice(), &[1; 8], &[2, 0, 1, b'I']].concat());
                out.extend([text("value"), vec![0x78, 0x72], text("java.lang.Number"), vec![1; 8]].concat());
                out.extend([2, 0, 0, 0x78, 0x70]);
            } else {
                out.extend([0x73, 0x71, 0, 0x7E, 0, 6]);
            }
            out.extend(value.to_be_bytes());
        }
        out
    }

    #[test]
    fn pairs_are_read_also_where_they_hold_what_plain_utf_8_does_not() {
        let given = [("No", 0), ("Yes\0", -1), ("😀µ患", i32::MAX)];
        let wanted: Vec<_> = given.iter().map(|(key, value)| ((*key).to_owned(), Value::Number(*value))).collect();
        assert_eq!(pairs(&stream(&given)).expect("pairs"), wanted);
    }

    #[test]
    fn a_value_may_be_one_that_was_written_before() {
        let mut bytes = stream(&[("a", 5), ("b", 5)]);
        // The second number is a reference to the first: handle 8, after the class of Number.
        bytes.truncate(bytes.len() - 10);
        bytes.extend([0x71, 0, 0x7E, 0, 8]);
        assert_eq!(pairs(&bytes).expect("pairs")[1], ("b".to_owned(), Value::Number(5)));
    }

    #[test]
    fn what_no_map_of_a_model_needs_is_refused_before_it_is_held() {
        let many: Vec<(&str, i32)> = vec![("a", 1); PAIRS_MAX];
        assert_eq!(pairs(&stream(&many)).expect("pairs").len(), PAIRS_MAX);
        let more: Vec<(&str, i32)> = vec![("a", 1); PAIRS_MAX + 1];
        assert_eq!(pairs(&stream(&more)), Err(JavaFault::TooMuch));
        let long = "a".repeat(TEXT_BYTES_MAX);
        assert_eq!(pairs(&stream(&[(&long, 1)])).expect("pairs").len(), 1);
        assert_eq!(pairs(&stream(&[(&(long + "a"), 1)])), Err(JavaFault::TooMuch));
        // A class of more fields than any has: its number of fields stands after its flags.
        let mut fields = stream(&[("a", 1)]);
        fields[33] = 0x7F;
        assert_eq!(pairs(&fields), Err(JavaFault::TooMuch));
        // A thousand arrays of ten texts each.
        let inner = [&[0x75, 0x71, 0, 0x7E, 0, 0, 0, 0, 0, 10][..], &[0x74, 0, 0].repeat(10)].concat();
        let mut nested = stream(&[]);
        let count = nested.len() - 4;
        nested[count..].copy_from_slice(&1000_i32.to_be_bytes());
        nested.extend(inner.repeat(1000));
        assert_eq!(pairs(&nested), Err(JavaFault::TooMuch));
    }

    #[test]
    fn each_fault_has_its_own_words_and_nothing_that_is_cut_off_is_read() {
        let whole = stream(&[("No", 0), ("Yes", 1)]);
        assert!((0..whole.len()).all(|length| pairs(&whole[..length]).is_err()));
        let changed = |place: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[place] = byte;
            pairs(&bytes).expect_err("a fault")
        };
        assert_eq!(changed(0, 0), JavaFault::NotJava);
        assert!(matches!(changed(4, 0x7E), JavaFault::Unknown("an unknown kind of content", 4)));
        assert!(matches!(changed(31, 3), JavaFault::Unknown("a class that writes its objects in its own form", 31)));
        assert_eq!(changed(36, 0x7F), JavaFault::TooMuch);
        assert_eq!(changed(whole.len() - 5, 0xFF), JavaFault::Handle);
        assert_eq!(pairs(&[0xAC, 0xED, 0, 5, 0x70]), Err(JavaFault::Shape("number or text")));
        assert!(matches!(
            pairs(&[whole.as_slice(), &[0x70]].concat()),
            Err(JavaFault::Unknown("more than one object", _))
        ));
        assert_eq!(modified_utf8(&[0xED, 0xA0, 0x80]), Err(JavaFault::Text));
        assert_eq!(modified_utf8(&[0xF0, 0x9F, 0x98, 0x80]), Err(JavaFault::Text));
    }
}
