//! Reading what a document names by URL: an attachment at its own address, or a Binary as raw bytes or as FHIR JSON.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::{Answer, FHIR_JSON, Fault, Source, SourceError};
use crate::domain::job::OnFailure;
use crate::fhir::json::{self, RawObject};

/// Something that was fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// What it is said to be.
    pub content_type: Option<String>,
    /// Its bytes.
    pub bytes: Bytes,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes)", self.bytes.len())
    }
}

impl Source {
    /// Fetches what stands at `reference`, which a document of this source names and says to be of `content_type`.
    ///
    /// The outer error is one that may pass; the inner one is for good, in words for whoever reads the coverage.
    pub async fn fetch(
        &self,
        reference: &str,
        content_type: Option<&str>,
    ) -> Result<Result<Content, String>, SourceError> {
        let binary = is_binary(reference);
        let own = content_type.and_then(plain_type);
        // A Binary gives its raw bytes to whoever asks for its own type, and itself to whoever asks for FHIR JSON. Some
        // servers do only one of the two.
        let accepts = match (&own, binary) {
            (Some(own), true) => vec![own.clone(), FHIR_JSON.to_owned()],
            (None, true) => vec![FHIR_JSON.to_owned(), "*/*".to_owned()],
            (Some(own), false) => vec![format!("{own}, */*;q=0.5")],
            (None, false) => vec!["*/*".to_owned()],
        };
        let mut last = String::new();
        for accept in accepts {
            match self.follow_as(reference, &accept).await {
                Ok(answer) if answer.is_success() => match content(&answer, content_type) {
                    Some(content) => return Ok(Ok(content)),
                    None => "It was fetched, and is not a Binary with base64 data.".clone_into(&mut last),
                },
                // A gateway's, perhaps: a report must not be annotated without its text for that.
                Ok(answer) if answer.is_stray() => return Err(self.refused(&answer)),
                Ok(answer) => {
                    last = refusal(answer.status);
                    if !matches!(answer.status, 400 | 406 | 415 | 422 | 501) {
                        break;
                    }
                }
                Err(error) if error.on_failure() == OnFailure::Fail => return Ok(Err(self.in_words(&error.fault))),
                Err(error) => return Err(error),
            }
        }
        Ok(Err(last))
    }

    fn in_words(&self, fault: &Fault) -> String {
        match fault {
            Fault::NotAllowed(refused) => format!("It was not fetched: {refused}."),
            Fault::TooLarge(bytes_max) => {
                let name = self.name.as_str();
                format!("It is larger than {bytes_max} bytes (answer_bytes_max of [sources.{name}]).")
            }
            other => format!("It could not be fetched: {other}."),
        }
    }
}

fn refusal(status: u16) -> String {
    match status {
        404 | 410 => "There is nothing at its address any more.".to_owned(),
        403 => "The source does not let us read it (403).".to_owned(),
        406 => "The source gives it in no form that we asked for (406).".to_owned(),
        _ => format!("The source answered {status} for it."),
    }
}

/// Whether an address is a Binary's, which is asked for in its own way.
fn is_binary(reference: &str) -> bool {
    let path = reference.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("/_history/").map_or(path, |(unversioned, _)| unversioned);
    let mut segments = path.rsplit('/');
    let _id = segments.next();
    segments.next() == Some("Binary")
}

/// A media type that can be asked for; parameters stay, as some servers compare the whole (docs of Oracle Health).
fn plain_type(content_type: &str) -> Option<String> {
    content_type.parse::<mime::Mime>().ok().map(|_| content_type.trim().to_owned())
}

/// The bytes of an answer; of a Binary in FHIR JSON, those of its data.
fn content(answer: &Answer, said: Option<&str>) -> Option<Content> {
    let served = answer.content_type.clone();
    let essence =
        served.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let may_be_fhir = essence.is_empty() || essence.ends_with("json");
    if may_be_fhir
        && let Some(resource) = json::text(&answer.body).ok().and_then(|text| RawObject::parse(text).ok())
        && let Some(resource_type) = resource.get::<String>("resourceType")
    {
        return match resource_type.as_str() {
            "Binary" => Some(Content {
                content_type: resource.get::<String>("contentType").or_else(|| said.map(ToOwned::to_owned)),
                // R4: data; DSTU2 and STU3 called it content.
                bytes: decode(&resource.get::<String>("data").or_else(|| resource.get("content"))?)?,
            }),
            "OperationOutcome" => None,
            // Another resource, like a document Bundle: as it is.
            _ => Some(Content { content_type: served, bytes: answer.body.clone() }),
        };
    }
    // A file server that knows no better says octet-stream; the document's own word is worth more.
    let vague = essence.is_empty() || essence == "application/octet-stream" || essence == "binary/octet-stream";
    let content_type = if vague { said.map(ToOwned::to_owned).or(served) } else { served };
    Some(Content { content_type, bytes: answer.body.clone() })
}

fn decode(data: &str) -> Option<Bytes> {
    const INDIFFERENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, INDIFFERENT);
    let mut encoded = data.as_bytes().to_vec();
    encoded.retain(|byte| !byte.is_ascii_whitespace());
    STANDARD.decode(&encoded).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content_type: &str, body: &str) -> Answer {
        Answer {
            status: 200,
            etag: None,
            location: None,
            content_location: None,
            content_type: Some(content_type.to_owned()).filter(|text| !text.is_empty()),
            retry_after: None,
            date: None,
            progress: None,
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn raw_bytes_and_fhir_json_give_the_same() {
        let binary = r#"{"resourceType":"Binary","contentType":"text/html","data":"PGI+aGk8L2I+"}"#;
        for (content_type, body, said, expected) in [
            ("text/html; charset=utf-8", "<b>hi</b>", None, Some(("text/html; charset=utf-8", "<b>hi</b>"))),
            ("application/fhir+json", binary, Some("text/plain"), Some(("text/html", "<b>hi</b>"))),
            ("application/json;charset=utf-8", binary, None, Some(("text/html", "<b>hi</b>"))),
            ("", binary, None, Some(("text/html", "<b>hi</b>"))),
            ("application/octet-stream", "x", Some("text/plain"), Some(("text/plain", "x"))),
            ("application/fhir+json", r#"{"resourceType":"OperationOutcome"}"#, Some("text/plain"), None),
            ("application/fhir+json", r#"{"resourceType":"Binary","contentType":"text/html"}"#, None, None),
        ] {
            let content = content(&answer(content_type, body), said);
            let found = content.as_ref().map(|content| {
                (
                    content.content_type.as_deref().unwrap_or_default(),
                    std::str::from_utf8(&content.bytes).expect("text"),
                )
            });
            assert_eq!(found, expected, "{content_type} {body}");
        }
    }

    #[test]
    fn a_binary_is_known_by_its_address() {
        for (reference, expected) in [
            ("Binary/1", true),
            ("https://ehr/fhir/Binary/1?x=/y", true),
            ("https://files/1.html", false),
            ("Binary", false),
            ("Binary/1/_history/2", true),
        ] {
            assert_eq!(is_binary(reference), expected, "{reference}");
        }
    }
}
