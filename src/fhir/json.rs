//! Raw JSON: a resource's members with their text untouched.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting of arrays and objects that is read. FHIR's own examples stay below 20; every level costs stack in
/// the JSON parser, so a bound is needed, and `serde_json`'s own is 128.
pub const JSON_DEPTH_MAX: usize = 64;

/// Why bytes are not a resource.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JsonError {
    /// Not UTF-8, which FHIR demands for JSON.
    #[error("the body is not UTF-8 text (first bad byte at {offset})")]
    NotUtf8 {
        /// Byte offset of the first bad byte.
        offset: usize,
    },
    /// Not JSON.
    #[error("the body is not well-formed JSON (line {line}, column {column})")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// JSON, and not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Too many levels.
    #[error("the body nests deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// The same member twice: which one is meant cannot be told.
    #[error("the resource has a member twice")]
    DuplicateMember,
}

/// The text of a received body: UTF-8, without a byte order mark, nested no deeper than [`JSON_DEPTH_MAX`].
pub fn text(body: &[u8]) -> Result<&str, JsonError> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|e| JsonError::NotUtf8 { offset: e.valid_up_to() })?;
    if deeper_than(text, JSON_DEPTH_MAX) { Err(JsonError::TooDeep) } else { Ok(text) }
}

/// Whether arrays and objects nest deeper than `levels`; text within strings does not count.
fn deeper_than(text: &str, levels: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > levels {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A JSON object's members in order, each value as its own text.
#[derive(Clone, Debug)]
pub struct RawObject<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> RawObject<'a> {
    /// Reads an object. Its values are scanned, not parsed.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        if !text.trim_start().starts_with('{') {
            // Whether it is JSON at all decides which of the two faults to tell.
            serde_json::from_str::<&RawValue>(text).map_err(|e| malformed(&e))?;
            return Err(JsonError::NotAnObject);
        }
        let object: Self = serde_json::from_str(text).map_err(|e| malformed(&e))?;
        let mut names: Vec<&str> = object.members.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) { Err(JsonError::DuplicateMember) } else { Ok(object) }
    }

    /// The text of a member's value; `null` counts as absent.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.any(name).filter(|value| value.get() != "null")
    }

    /// The text of a member's value, `null` included.
    pub fn any(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    /// The text of a choice of types: `value` finds `valueString` and `valueCode` alike.
    pub fn choice(&self, stem: &str) -> Option<&'a RawValue> {
        let of =
            |name: &str| name.strip_prefix(stem).is_some_and(|kind| kind.starts_with(|c: char| c.is_ascii_uppercase()));
        self.members.iter().find(|(name, value)| of(name) && value.get() != "null").map(|(_, value)| *value)
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A member's value as `T`; nothing if it is absent or is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.raw(name).and_then(|value| serde_json::from_str(value.get()).ok())
    }

    /// A member that is a string, without U+0000, which Postgres cannot hold and no FHIR string may have.
    pub fn string(&self, name: &str) -> Option<String> {
        self.get(name).map(|text: String| text.replace('\0', "\u{FFFD}"))
    }

    /// A member that is an object; nothing if it is absent or something else.
    pub fn object(&self, name: &str) -> Option<RawObject<'a>> {
        self.raw(name).and_then(|value| Self::parse(value.get()).ok())
    }

    /// A member that is a list, its items as text: nothing if absent, `Err` if it is something else.
    pub fn list(&self, name: &str) -> Option<Result<Vec<&'a RawValue>, NotAList>> {
        self.raw(name).map(|value| serde_json::from_str(value.get()).map_err(|_| NotAList))
    }

    /// The objects of a member that is a list; whatever else it holds is passed over.
    pub fn objects(&self, name: &str) -> Vec<RawObject<'a>> {
        let items = self.list(name).and_then(Result::ok).unwrap_or_default();
        items.into_iter().filter_map(|item| Self::parse(item.get()).ok()).collect()
    }

    /// A value's byte range in the text that the object was read from.
    pub(super) fn range_of(text: &str, value: &RawValue) -> std::ops::Range<usize> {
        let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
        start..start + value.get().len()
    }
}

/// A member that should be a list is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAList;

fn malformed(error: &serde_json::Error) -> JsonError {
    JsonError::Malformed { line: error.line(), column: error.column() }
}

impl<'de: 'a, 'a> serde::Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(name), value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(|members| Self { members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_own_text() {
        let object = RawObject::parse(r#"{"a": 1.00, "b" : {"c":[1,2 ]}, "d":null}"#).expect("an object");
        assert_eq!(object.raw("a").map(RawValue::get), Some("1.00"));
        assert_eq!(object.raw("b").map(RawValue::get), Some(r#"{"c":[1,2 ]}"#));
        assert!(object.raw("d").is_none());
    }

    #[test]
    fn faults_say_where_they_are_and_never_what_stood_there() {
        for (body, expected) in [
            (&b"{\"a\": }"[..], JsonError::Malformed { line: 1, column: 7 }),
            (b"[1]", JsonError::NotAnObject),
            (b"", JsonError::Malformed { line: 1, column: 0 }),
            (b"{\"a\":1,\"a\":2}", JsonError::DuplicateMember),
            (b"{\"a\":\"\xFF\"}", JsonError::NotUtf8 { offset: 6 }),
        ] {
            let error = text(body).and_then(|text| RawObject::parse(text).map(drop)).expect_err("a fault");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn nesting_is_bounded_before_anything_is_parsed() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(JSON_DEPTH_MAX), "]".repeat(JSON_DEPTH_MAX));
        assert_eq!(text(deep.as_bytes()), Err(JsonError::TooDeep));
        let brackets_in_a_string = format!("{{\"a\":\"{}\\\"[\"}}", "[".repeat(200));
        assert!(text(brackets_in_a_string.as_bytes()).is_ok());
    }

    #[test]
    fn a_byte_order_mark_is_tolerated() {
        assert_eq!(text(b"\xEF\xBB\xBF{}"), Ok("{}"));
    }
}
