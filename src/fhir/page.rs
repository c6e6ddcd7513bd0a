//! A page of what a source answers to a search or a history: entries with their own bytes, and where the next page is.

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::json::{self, JsonError, RawObject};
use super::reference;
use crate::domain::document::{LogicalId, ResourceType};

/// Why an answer is not a page.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PageError {
    /// Not a JSON resource.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Another resource.
    #[error("it is not a Bundle")]
    NotABundle,
    /// Not a list.
    #[error("its Bundle.entry is not a list")]
    EntriesNotAList,
}

/// A page.
#[derive(Debug, Default)]
pub struct Page {
    /// What it found, reports only.
    pub found: Vec<Found>,
    /// Entries that should be a report and cannot be read.
    pub unreadable: usize,
    /// Where the next page is; none on the last.
    pub next: Option<String>,
    /// How the source understood the search.
    pub understood: Option<String>,
    /// When the page was made, by the source's clock.
    pub made_at: Option<OffsetDateTime>,
}

/// A report, or that it was deleted.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Which resource.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: LogicalId,
    /// The resource's very bytes; nothing if it was deleted.
    pub resource: Option<Bytes>,
    /// `meta.lastUpdated`.
    pub updated_at: Option<OffsetDateTime>,
}

/// Where a Bundle's link of this relation leads.
pub fn link(bundle: &RawObject<'_>, relation: &str) -> Option<String> {
    let links = bundle.objects("link");
    links.iter().find(|link| link.get::<String>("relation").as_deref() == Some(relation))?.get("url")
}

/// Reads a page.
pub fn read(body: &Bytes) -> Result<Page, PageError> {
    let bundle = RawObject::parse(json::text(body)?)?;
    if bundle.get::<String>("resourceType").as_deref() != Some("Bundle") {
        return Err(PageError::NotABundle);
    }
    let items = bundle.list("entry").unwrap_or(Ok(Vec::new())).map_err(|_| PageError::EntriesNotAList)?;
    let mut page = Page {
        next: link(&bundle, "next"),
        understood: link(&bundle, "self"),
        made_at: bundle.object("meta").and_then(|meta| instant(&meta, "lastUpdated")),
        ..Page::default()
    };
    for item in items {
        match RawObject::parse(item.get()) {
            Ok(entry) => read_entry(body, &entry, &mut page),
            Err(_) => page.unreadable += 1,
        }
    }
    Ok(page)
}

fn read_entry(body: &Bytes, entry: &RawObject<'_>, page: &mut Page) {
    let mode = entry.object("search").and_then(|search| search.get::<String>("mode"));
    if matches!(mode.as_deref(), Some("include" | "outcome")) {
        return;
    }
    let request = entry.object("request");
    let method = request.as_ref().and_then(|request| request.get::<String>("method"));
    let Some(raw) = entry.raw("resource") else {
        let url = request.and_then(|request| request.get::<String>("url"));
        let named = [url, entry.get("fullUrl")].into_iter().flatten().find_map(|url| {
            let (_, resource_type, id) = reference::report(&url)?;
            Some((resource_type, id))
        });
        if let (Some((resource_type, id)), Some("DELETE")) = (named, method.as_deref()) {
            page.found.push(Found { resource_type, id, resource: None, updated_at: None });
        }
        return;
    };
    let Ok(resource) = RawObject::parse(raw.get()) else {
        page.unreadable += 1;
        return;
    };
    let Some(resource_type) = resource.get::<String>("resourceType").and_then(|name| ResourceType::from_name(&name))
    else {
        return;
    };
    match resource.get::<String>("id").and_then(|id| LogicalId::new(&id)) {
        Some(id) => page.found.push(Found {
            resource_type,
            id,
            resource: Some(body.slice_ref(raw.get().as_bytes())),
            updated_at: resource.object("meta").and_then(|meta| instant(&meta, "lastUpdated")),
        }),
        None => page.unreadable += 1,
    }
}

fn instant(element: &RawObject<'_>, member: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&element.get::<String>(member)?, &Rfc3339).ok()
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Found({}, {} bytes)", self.resource_type, self.resource.as_ref().map_or(0, Bytes::len))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_page_gives_reports_deletions_and_the_next_page() {
        let body = Bytes::from_static(
            br#"{"resourceType":"Bundle","type":"searchset","meta":{"lastUpdated":"2026-01-01T10:00:00Z"},
                "link":[{"relation":"self","url":"http://ehr/fhir/x"},{"relation":"next","url":"http://ehr/fhir?page=2"}],
                "entry":[
                  {"resource":{"resourceType":"DiagnosticReport","id":"a","meta":{"lastUpdated":"2026-01-01T09:00:00.5Z"}},"search":{"mode":"match"}},
                  {"resource":{"resourceType":"Patient","id":"p"},"search":{"mode":"include"}},
                  {"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}},
                  {"resource":{"resourceType":"DocumentReference"}},
                  {"fullUrl":"http://ehr/fhir/DiagnosticReport/b","request":{"method":"DELETE","url":"DiagnosticReport/b"}},
                  7]}"#,
        );
        let page = read(&body).expect("a page");
        assert_eq!(page.next.as_deref(), Some("http://ehr/fhir?page=2"));
        assert_eq!(page.understood.as_deref(), Some("http://ehr/fhir/x"));
        assert_eq!(page.made_at, Some(datetime!(2026-01-01 10:00 UTC)));
        assert_eq!(page.unreadable, 2);
        let found: Vec<_> = page.found.iter().map(|found| (found.id.as_str(), found.resource.is_some())).collect();
        assert_eq!(found, [("a", true), ("b", false)]);
        assert_eq!(page.found[0].updated_at, Some(datetime!(2026-01-01 09:00:00.5 UTC)));
    }

    #[test]
    fn a_page_may_be_as_long_as_the_source_likes() {
        let entry = r#"{"resource":{"resourceType":"DiagnosticReport","id":"a"}}"#;
        let entries = vec![entry; 5_200].join(",");
        let page = read(&format!(r#"{{"resourceType":"Bundle","entry":[{entries}]}}"#).into()).expect("a page");
        assert_eq!(page.found.len(), 5_200);
    }

    #[test]
    fn what_is_no_page_is_told() {
        for (body, expected) in [
            (&b"<html>"[..], PageError::Json(JsonError::Malformed { line: 1, column: 1 })),
            (br#"{"resourceType":"OperationOutcome"}"#, PageError::NotABundle),
            (br#"{"resourceType":"Bundle","entry":{}}"#, PageError::EntriesNotAList),
        ] {
            assert_eq!(read(&Bytes::from_static(body)).expect_err("a fault"), expected);
        }
    }
}
