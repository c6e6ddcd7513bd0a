//! Serves a received resource as it came, with our `id`, `meta.versionId` and `meta.lastUpdated` set in place: every
//! other byte of its text is untouched.

use std::ops::Range;

use super::json::{self, JsonError, RawObject};
use crate::domain::document::LogicalId;

/// What the server sets on a resource that it serves.
#[derive(Clone, Copy, Debug)]
pub struct ServerMeta<'a> {
    /// The id that it is served under.
    pub id: &'a LogicalId,
    /// Of this version.
    pub version: i32,
    /// RFC 3339.
    pub last_updated: &'a str,
}

/// The received text with the server's id and meta.
///
/// `links` replaces the `urn:uuid` references of a transaction by what they stand for, wherever they are a whole
/// JSON string (FHIR R4, http.html#trules).
pub fn served(received: &[u8], meta: ServerMeta<'_>, links: &[(String, String)]) -> Result<String, JsonError> {
    let text = json::text(received)?;
    let resource = RawObject::parse(text)?;
    let mut edits = Vec::new();
    set(text, &resource, "id", &quoted(meta.id.as_str()), &mut edits);
    let version = quoted(&meta.version.to_string());
    let last_updated = quoted(meta.last_updated);
    if let Some(existing) = resource.object("meta") {
        set(text, &existing, "versionId", &version, &mut edits);
        set(text, &existing, "lastUpdated", &last_updated, &mut edits);
        // An insertion goes behind the object's brace; the object may be empty.
        let start = resource.raw("meta").map_or(0, |raw| RawObject::range_of(text, raw).start);
        let empty = existing.is_empty();
        insert(&mut edits, start + 1, empty);
    } else {
        let value = format!("{{\"versionId\":{version},\"lastUpdated\":{last_updated}}}");
        set(text, &resource, "meta", &value, &mut edits);
    }
    let start = text.len() - text.trim_start().len();
    insert(&mut edits, start + 1, resource.is_empty());
    Ok(replace_links(apply(text, edits), links))
}

/// A change to the text: a range and what stands there afterwards. `None` marks a member that is to be inserted.
type Edit = (Option<Range<usize>>, String);

/// Replaces the member's value, or asks for the member to be inserted at the front.
fn set(text: &str, object: &RawObject<'_>, member: &str, value: &str, edits: &mut Vec<Edit>) {
    match object.any(member) {
        Some(raw) => edits.push((Some(RawObject::range_of(text, raw)), value.to_owned())),
        None => edits.push((None, format!("{}:{value}", quoted(member)))),
    }
}

/// Gives the members that wait for insertion their place, in one piece.
fn insert(edits: &mut Vec<Edit>, at: usize, object_is_empty: bool) {
    let waiting: Vec<String> = edits.extract_if(.., |(range, _)| range.is_none()).map(|(_, member)| member).collect();
    if !waiting.is_empty() {
        let comma = if object_is_empty { "" } else { "," };
        edits.push((Some(at..at), waiting.join(",") + comma));
    }
}

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| range.as_ref().map(|range| range.start));
    let mut served = String::with_capacity(text.len() + 128);
    let mut done = 0;
    for (range, replacement) in edits {
        let range = range.unwrap_or(done..done);
        served.push_str(&text[done..range.start]);
        served.push_str(&replacement);
        done = range.end;
    }
    served.push_str(&text[done..]);
    served
}

fn replace_links(text: String, links: &[(String, String)]) -> String {
    links.iter().fold(text, |text, (urn, reference)| text.replace(&quoted(urn), &quoted(reference)))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(received: &str) -> String {
        let id = LogicalId::new("r1").expect("an id");
        let meta = ServerMeta { id: &id, version: 2, last_updated: "2026-01-02T03:04:05Z" };
        served(received.as_bytes(), meta, &[]).expect("a resource")
    }

    #[test]
    fn only_id_and_meta_change() {
        for (received, expected) in [
            (
                r#"{ "resourceType":"DiagnosticReport", "x": 1.00 }"#,
                r#"{"id":"r1","meta":{"versionId":"2","lastUpdated":"2026-01-02T03:04:05Z"}, "resourceType":"DiagnosticReport", "x": 1.00 }"#,
            ),
            (
                r#"{"id":"old","meta":{"versionId":"9","profile":["p"]},"x":1}"#,
                r#"{"id":"r1","meta":{"lastUpdated":"2026-01-02T03:04:05Z","versionId":"2","profile":["p"]},"x":1}"#,
            ),
            (
                r#"{"meta":{},"id":"r1"}"#,
                r#"{"meta":{"versionId":"2","lastUpdated":"2026-01-02T03:04:05Z"},"id":"r1"}"#,
            ),
            ("{}", r#"{"id":"r1","meta":{"versionId":"2","lastUpdated":"2026-01-02T03:04:05Z"}}"#),
            (
                r#"{"id":null,"meta":null}"#,
                r#"{"id":"r1","meta":{"versionId":"2","lastUpdated":"2026-01-02T03:04:05Z"}}"#,
            ),
        ] {
            assert_eq!(serve(received), expected);
        }
    }

    #[test]
    fn a_transactions_links_are_replaced_as_whole_strings_only() {
        let id = LogicalId::new("r1").expect("an id");
        let meta = ServerMeta { id: &id, version: 1, last_updated: "t" };
        let links = [("urn:uuid:1".to_owned(), "Patient/7".to_owned())];
        let received = br#"{"subject":{"reference":"urn:uuid:1"},"conclusion":"see urn:uuid:1"}"#;
        let served = served(received, meta, &links).expect("a resource");
        assert!(served.contains(r#""reference":"Patient/7""#), "{served}");
        assert!(served.contains(r#""see urn:uuid:1""#), "{served}");
    }
}
