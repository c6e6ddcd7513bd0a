//! Splits a received batch or transaction into its entries, each with its own bytes, so that one bad entry never
//! costs the others.

use bytes::Bytes;

use super::json::{self, JsonError, RawObject};

/// Most entries in one Bundle: each is stored in a transaction that holds locks, so a bound is needed.
pub const BUNDLE_ENTRIES_MAX: usize = 5_000;

/// How the entries of a Bundle belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleType {
    /// Entry by entry.
    Batch,
    /// All or nothing.
    Transaction,
}

/// A received Bundle.
#[derive(Debug)]
pub struct Bundle {
    /// How its entries belong together.
    pub bundle_type: BundleType,
    /// In order.
    pub entries: Vec<Result<Entry, EntryError>>,
}

/// What an entry asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Create.
    Post,
    /// Create or update by id.
    Put,
    /// Delete.
    Delete,
}

/// One entry of a Bundle.
#[derive(Clone)]
pub struct Entry {
    /// What is asked.
    pub method: Method,
    /// `request.url`: `Type` or `Type/id`.
    pub url: String,
    /// `request.ifNoneExist`: search parameters.
    pub if_none_exist: Option<String>,
    /// `request.ifMatch`: an ETag.
    pub if_match: Option<String>,
    /// How other entries refer to it.
    pub full_url: Option<String>,
    /// The resource: the very bytes of its slice of the Bundle. Empty for a deletion.
    pub resource: Bytes,
}

/// Why a body is not a Bundle that we take.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BundleError {
    /// Not a JSON resource.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Another resource.
    #[error("the resource is not a Bundle; a DiagnosticReport or DocumentReference goes to its own address")]
    NotABundle,
    /// Another type of Bundle.
    #[error("Bundle.type is neither batch nor transaction")]
    OtherType,
    /// Not a list.
    #[error("Bundle.entry is not a list")]
    EntriesNotAList,
    /// Over the limit.
    #[error("the Bundle has more than {BUNDLE_ENTRIES_MAX} entries")]
    TooManyEntries,
}

/// Why an entry cannot be carried out.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    /// Not a JSON object, or a member twice.
    #[error("the entry is not a JSON object")]
    NotAnObject,
    /// No `request.method` and `request.url`.
    #[error("the entry has no request.method and request.url")]
    NoRequest,
    /// A method that a Bundle may not ask for here.
    #[error("the entry's request.method is not POST, PUT or DELETE")]
    OtherMethod,
    /// Nothing to write.
    #[error("the entry has no resource")]
    NoResource,
}

/// Splits a Bundle.
pub fn read(body: &Bytes) -> Result<Bundle, BundleError> {
    let text = json::text(body)?;
    let bundle = RawObject::parse(text)?;
    if bundle.get::<String>("resourceType").as_deref() != Some("Bundle") {
        return Err(BundleError::NotABundle);
    }
    let bundle_type = match bundle.get::<String>("type").as_deref() {
        Some("batch") => BundleType::Batch,
        Some("transaction") => BundleType::Transaction,
        _ => return Err(BundleError::OtherType),
    };
    let items = bundle.list("entry").unwrap_or(Ok(Vec::new())).map_err(|_| BundleError::EntriesNotAList)?;
    if items.len() > BUNDLE_ENTRIES_MAX {
        return Err(BundleError::TooManyEntries);
    }
    let entries = items.into_iter().map(|item| entry(body, item.get())).collect();
    Ok(Bundle { bundle_type, entries })
}

fn entry(body: &Bytes, text: &str) -> Result<Entry, EntryError> {
    let entry = RawObject::parse(text).map_err(|_| EntryError::NotAnObject)?;
    let request = entry.object("request").ok_or(EntryError::NoRequest)?;
    let (Some(method), Some(url)) = (request.get::<String>("method"), request.get("url")) else {
        return Err(EntryError::NoRequest);
    };
    let method = match method.as_str() {
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => return Err(EntryError::OtherMethod),
    };
    let resource = match (entry.raw("resource"), method) {
        (Some(raw), _) => body.slice_ref(raw.get().as_bytes()),
        (None, Method::Delete) => Bytes::new(),
        (None, _) => return Err(EntryError::NoResource),
    };
    Ok(Entry {
        method,
        url,
        if_none_exist: request.get("ifNoneExist"),
        if_match: request.get("ifMatch"),
        full_url: entry.get("fullUrl"),
        resource,
    })
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({:?}, {} bytes)", self.method, self.resource.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(json: &str) -> Result<Bundle, BundleError> {
        read(&Bytes::copy_from_slice(json.as_bytes()))
    }

    #[test]
    fn an_entry_keeps_the_very_bytes_of_its_slice() {
        let body = Bytes::from_static(
            b"\xEF\xBB\xBF{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"resource\":{ \"x\" : 1.00 },\"request\":{\"method\":\"POST\",\"url\":\"DiagnosticReport\"}}]}",
        );
        let bundle = read(&body).expect("a Bundle");
        let entry = bundle.entries[0].as_ref().expect("an entry");
        assert_eq!(entry.resource, Bytes::from_static(b"{ \"x\" : 1.00 }"));
        assert_eq!(entry.method, Method::Post);
    }

    #[test]
    fn one_bad_entry_does_not_cost_the_others() {
        let bundle = bundle(
            r#"{"resourceType":"Bundle","type":"transaction","entry":[
                7, {"resource":{}}, {"request":{"method":"PATCH","url":"x"}}, {"request":{"method":"POST","url":"x"}},
                {"request":{"method":"DELETE","url":"DiagnosticReport/1"}},
                {"request":{"method":"PUT","url":"DiagnosticReport/2"},"resource":{}}]}"#,
        )
        .expect("a Bundle");
        let faults: Vec<_> = bundle.entries.iter().map(|entry| entry.as_ref().err().copied()).collect();
        assert_eq!(
            faults,
            [
                Some(EntryError::NotAnObject),
                Some(EntryError::NoRequest),
                Some(EntryError::OtherMethod),
                Some(EntryError::NoResource),
                None,
                None
            ]
        );
    }

    #[test]
    fn what_is_not_a_batch_or_transaction_is_refused() {
        for (json, expected) in [
            (r#"{"resourceType":"Patient"}"#, BundleError::NotABundle),
            (r#"{"resourceType":"Bundle","type":"history"}"#, BundleError::OtherType),
            (r#"{"resourceType":"Bundle","type":"batch","entry":{}}"#, BundleError::EntriesNotAList),
        ] {
            assert_eq!(bundle(json).expect_err("a fault"), expected);
        }
    }
}
