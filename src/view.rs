//! Coverage and places as JSON: one shape for the command line, our API and the database.

use serde::{Deserialize, Serialize};

use crate::domain::narrative::{Coverage, ReadRendition, SourceSpan, UnreadReason, UnreadRendition};
use crate::domain::source_map::Place;

/// What was read and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageView {
    read: Vec<ReadView>,
    unread: Vec<UnreadView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ReadView {
    origin: String,
    format: String,
    characters: usize,
    notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct UnreadView {
    origin: String,
    reason: String,
    detail: String,
}

impl From<&Coverage> for CoverageView {
    fn from(coverage: &Coverage) -> Self {
        let read = |ReadRendition { origin, format, characters, notes }: &ReadRendition| ReadView {
            origin: origin.clone(),
            format: format.clone(),
            characters: *characters,
            notes: notes.clone(),
        };
        let unread = |UnreadRendition { origin, reason, detail }: &UnreadRendition| UnreadView {
            origin: origin.clone(),
            reason: reason.code().to_owned(),
            detail: detail.clone(),
        };
        Self { read: coverage.read.iter().map(read).collect(), unread: coverage.unread.iter().map(unread).collect() }
    }
}

impl CoverageView {
    /// The coverage; nothing if a reason is not one that this version knows.
    pub fn into_coverage(self) -> Option<Coverage> {
        let read = self.read.into_iter().map(|ReadView { origin, format, characters, notes }| ReadRendition {
            origin,
            format,
            characters,
            notes,
        });
        let unread = self.unread.into_iter().map(|UnreadView { origin, reason, detail }| {
            Some(UnreadRendition { origin, reason: UnreadReason::from_code(&reason)?, detail })
        });
        Some(Coverage { read: read.collect(), unread: unread.collect::<Option<_>>()? })
    }
}

/// Where a span stands in what was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    rendition: usize,
    origin: String,
    #[serde(flatten)]
    place: Option<PlaceView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PlaceView {
    /// Unicode code points of the decoded text; bytes of RTF.
    Characters {
        start: usize,
        end: usize,
    },
    Xpath(String),
    Pages {
        first: u32,
        last: u32,
    },
}

impl SourceView {
    /// The views of several.
    pub fn all(sources: &[SourceSpan]) -> Vec<Self> {
        sources.iter().map(Self::from).collect()
    }
}

impl From<&SourceSpan> for SourceView {
    fn from(source: &SourceSpan) -> Self {
        let SourceSpan { rendition, origin, .. } = source;
        let place = |place: &Place| match place {
            Place::Characters(range) => PlaceView::Characters { start: range.start, end: range.end },
            Place::Element(path) => PlaceView::Xpath(path.as_ref().to_owned()),
            Place::Pages(first, last) => PlaceView::Pages { first: *first, last: *last },
        };
        Self { rendition: *rendition, origin: origin.clone(), place: source.place.as_ref().map(place) }
    }
}

impl From<SourceView> for SourceSpan {
    fn from(view: SourceView) -> Self {
        let place = |place| match place {
            PlaceView::Characters { start, end } => Place::Characters(start..end),
            PlaceView::Xpath(path) => Place::Element(path.into()),
            PlaceView::Pages { first, last } => Place::Pages(first, last),
        };
        Self { rendition: view.rendition, origin: view.origin, place: view.place.map(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_json_as_it_was() {
        for (place, json) in [
            (Some(Place::Characters(3..9)), r#"{"rendition":1,"origin":"a","characters":{"start":3,"end":9}}"#),
            (Some(Place::Element("/x/y[2]".into())), r#"{"rendition":1,"origin":"a","xpath":"/x/y[2]"}"#),
            (None, r#"{"rendition":1,"origin":"a"}"#),
            (Some(Place::Pages(2, 4)), r#"{"rendition":1,"origin":"a","pages":{"first":2,"last":4}}"#),
        ] {
            let source = SourceSpan { rendition: 1, origin: "a".to_owned(), place };
            assert_eq!(serde_json::to_string(&SourceView::from(&source)).expect("JSON"), json);
            let view: SourceView = serde_json::from_str(json).expect("a place");
            assert_eq!(SourceSpan::from(view), source);
        }
    }
}
