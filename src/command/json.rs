//! Domain values as JSON, for every command that prints them.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::domain::narrative::{Coverage, ReadRendition, UnreadRendition};

/// A [`Coverage`] as `{"read":[{origin,format,characters,notes}],"unread":[{origin,reason,detail}]}`.
pub struct CoverageJson<'a>(pub &'a Coverage);

struct Read<'a>(&'a ReadRendition);

struct Unread<'a>(&'a UnreadRendition);

impl Serialize for CoverageJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Coverage", 2)?;
        object.serialize_field("read", &self.0.read.iter().map(Read).collect::<Vec<_>>())?;
        object.serialize_field("unread", &self.0.unread.iter().map(Unread).collect::<Vec<_>>())?;
        object.end()
    }
}

impl Serialize for Read<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("ReadRendition", 4)?;
        object.serialize_field("origin", &self.0.origin)?;
        object.serialize_field("format", &self.0.format)?;
        object.serialize_field("characters", &self.0.characters)?;
        object.serialize_field("notes", &self.0.notes)?;
        object.end()
    }
}

impl Serialize for Unread<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("UnreadRendition", 3)?;
        object.serialize_field("origin", &self.0.origin)?;
        object.serialize_field("reason", self.0.reason.code())?;
        object.serialize_field("detail", &self.0.detail)?;
        object.end()
    }
}
