//! What a caller fills in: plain data, no FHIR types.

use std::fmt;

/// Declares a plain enum with a FHIR code and display for each value.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $code:literal, $display:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// Its FHIR code.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$value => $code,)+
                }
            }

            /// Its FHIR display.
            pub const fn display(self) -> &'static str {
                match self {
                    $(Self::$value => $display,)+
                }
            }

            /// The value with this [`code`](Self::code).
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.code() == code)
            }
        }
    };
}

mod capability;
mod observation;
mod outcome;
mod provenance;

pub use capability::*;
pub use observation::*;
pub use outcome::*;
pub use provenance::*;

/// JSON text of a resource, and what of the draft it could not hold.
#[derive(Clone)]
pub struct Authored {
    /// The resource, compact.
    pub json: String,
    /// What was given and is not in it, for the caller to note.
    pub left_out: Vec<LeftOut>,
}

impl fmt::Debug for Authored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authored({} bytes, left out: {:?})", self.json.len(), self.left_out)
    }
}

/// What a report says and FHIR cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftOut {
    /// `effectiveDateTime` is not a FHIR `dateTime` (no time zone, no seconds, no such day).
    EffectiveDateTime,
    /// The period's start is not a FHIR `dateTime`.
    EffectiveStart,
    /// The period's end is not a FHIR `dateTime`.
    EffectiveEnd,
    /// The period ends before it starts (FHIR's rule `per-1`): neither is given.
    EffectiveOrder,
}

/// A FHIR `Reference`: any part may be missing; one with no part is left out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReferenceDraft {
    /// `Patient/1`, `Patient/1/_history/2`, an absolute URL, or a `urn:uuid:`.
    pub reference: Option<String>,
    /// Logical reference.
    pub identifier: Option<IdentifierDraft>,
}

impl ReferenceDraft {
    /// A literal reference.
    pub fn to(reference: impl Into<String>) -> Self {
        Self { reference: Some(reference.into()), identifier: None }
    }
}

impl fmt::Debug for ReferenceDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reference(…)")
    }
}

/// A FHIR `Identifier`: system and value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IdentifierDraft {
    /// The namespace, a URI.
    pub system: Option<String>,
    /// The value within it.
    pub value: Option<String>,
}

impl fmt::Debug for IdentifierDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier(…)")
    }
}
