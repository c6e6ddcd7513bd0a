//! Reads a received DiagnosticReport or DocumentReference: what it offers to read, whom it is about, what its status
//! asks of us.
//!
//! An element that is not what FHIR says is passed over where nothing depends on it, and kept as a malformed
//! attachment where it might have held text. FHIR R4, R4B and R5 are read alike where they agree; where they differ
//! (`DocumentReference.context`) both shapes are known.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::json::{self, JsonError, RawObject};
use super::kind::report_kind;
use crate::domain::document::{
    About, Attachment, AttachmentContent, AttachmentRole, Disposition, Effective, Identifier, LogicalId, Reference,
    ResourceType, SourceDocument, WithdrawReason,
};

/// Why bytes are not a report.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    /// Not a JSON resource.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// No `resourceType`.
    #[error("the resource has no resourceType")]
    NoResourceType,
    /// Another resource.
    #[error("the resource is neither a DiagnosticReport nor a DocumentReference")]
    OtherResourceType,
    /// `id` is there and is not a FHIR id.
    #[error("the resource's id is not a FHIR id: 1 to 64 of letters, digits, '-' and '.'")]
    BadId,
}

/// The elements that decide where a report is stored, without its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// Which resource it is.
    pub resource_type: ResourceType,
    /// Its own `id`, if it has one.
    pub logical_id: Option<LogicalId>,
    /// Its business identifiers.
    pub identifiers: Vec<Identifier>,
}

/// Reads the head of a received resource.
pub fn head(body: &[u8]) -> Result<Head, ReadError> {
    let text = json::text(body)?;
    head_of(&RawObject::parse(text)?)
}

/// What a server says of a version in the resource's `meta`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtSource {
    /// `meta.versionId`: to be compared, never to be ordered.
    pub version: Option<String>,
    /// `meta.lastUpdated`, to the microsecond, as it is stored.
    pub updated_at: Option<OffsetDateTime>,
}

/// Reads what its server says of a resource's version.
pub fn at_source(body: &[u8]) -> Result<AtSource, ReadError> {
    let text = json::text(body)?;
    let Some(meta) = RawObject::parse(text)?.object("meta") else { return Ok(AtSource::default()) };
    let updated_at = meta.string("lastUpdated").and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
    let updated_at = updated_at.and_then(|time| time.replace_microsecond(time.microsecond()).ok());
    Ok(AtSource { version: meta.string("versionId"), updated_at })
}

/// Whether a resource that is to be annotated names by reference what it says.
pub fn names_contents(body: &[u8]) -> Result<bool, ReadError> {
    let document = read(body)?;
    Ok(document.disposition == Disposition::Annotate && !contents_of(&document).is_empty())
}

/// What a document names by reference: the URLs of its attachments, with the type that each is said to have.
pub fn contents_of(document: &SourceDocument) -> Vec<(&str, Option<&str>)> {
    let urls = document.attachments.iter().filter_map(|attachment| match &attachment.content {
        AttachmentContent::Url(url) => Some((url.as_str(), attachment.content_type.as_deref())),
        _ => None,
    });
    let mut contents: Vec<(&str, Option<&str>)> = Vec::new();
    for (url, content_type) in urls {
        if !contents.iter().any(|(known, _)| *known == url) {
            contents.push((url, content_type));
        }
    }
    contents
}

/// Reads a received resource whole.
pub fn read(body: &[u8]) -> Result<SourceDocument, ReadError> {
    let text = json::text(body)?;
    let resource = RawObject::parse(text)?;
    let Head { resource_type, logical_id, identifiers } = head_of(&resource)?;
    let mut attachments = match resource_type {
        ResourceType::DiagnosticReport => presented_forms(&resource),
        ResourceType::DocumentReference => contents(&resource),
    };
    attachments.extend(conclusion(&resource, resource_type));
    attachments.extend(resource_text(&resource, resource_type));
    let context = resource.object("context");
    let (encounter, effective) = match resource_type {
        ResourceType::DiagnosticReport => (reference(&resource, "encounter"), effective(&resource)),
        ResourceType::DocumentReference => (
            // R4: context.encounter[]; R5: context[] itself.
            first_reference(context.as_ref(), "encounter").or_else(|| first_reference(Some(&resource), "context")),
            context
                .as_ref()
                .and_then(|context| period(context, "period"))
                .or_else(|| period(&resource, "period"))
                .or_else(|| resource.string("date").map(Effective::DateTime)),
        ),
    };
    Ok(SourceDocument {
        resource_type,
        logical_id,
        disposition: disposition(&resource, resource_type, &attachments),
        about: About {
            subject: reference(&resource, "subject"),
            encounter,
            effective,
            kind: report_kind(&resource, resource_type),
        },
        identifiers,
        replaces: replaces(&resource),
        attachments,
    })
}

fn head_of(resource: &RawObject<'_>) -> Result<Head, ReadError> {
    let name: String = resource.get("resourceType").ok_or(ReadError::NoResourceType)?;
    let resource_type = ResourceType::from_name(&name).ok_or(ReadError::OtherResourceType)?;
    let logical_id = match resource.raw("id") {
        None => None,
        Some(raw) => {
            let id: String = serde_json::from_str(raw.get()).map_err(|_| ReadError::BadId)?;
            Some(LogicalId::new(&id).ok_or(ReadError::BadId)?)
        }
    };
    let mut identifiers: Vec<Identifier> = resource.objects("identifier").iter().map(identifier).collect();
    // R4's DocumentReference has one more, the version-specific one.
    identifiers.extend(resource.object("masterIdentifier").as_ref().map(identifier));
    identifiers.retain(|identifier| identifier.value.is_some());
    Ok(Head { resource_type, logical_id, identifiers })
}

/// The table "Reports and their answers" of docs/data-model.md.
fn disposition(resource: &RawObject<'_>, resource_type: ResourceType, attachments: &[Attachment]) -> Disposition {
    let status: Option<String> = resource.get("status");
    match (resource_type, status.as_deref()) {
        (_, Some("entered-in-error")) => Disposition::Withdraw(WithdrawReason::EnteredInError),
        (ResourceType::DiagnosticReport, Some("registered" | "cancelled")) => Disposition::Keep,
        (ResourceType::DocumentReference, Some("superseded")) => Disposition::Withdraw(WithdrawReason::Superseded),
        (ResourceType::DiagnosticReport, _) => Disposition::Annotate,
        (ResourceType::DocumentReference, _) => match resource.get::<String>("docStatus").as_deref() {
            Some("entered-in-error") => Disposition::Withdraw(WithdrawReason::EnteredInError),
            Some("registered" | "cancelled") => Disposition::Keep,
            Some("deprecated") => Disposition::Withdraw(WithdrawReason::Superseded),
            Some("preliminary" | "partial") if !attachments.iter().any(holds_something) => Disposition::Keep,
            _ => Disposition::Annotate,
        },
    }
}

fn holds_something(attachment: &Attachment) -> bool {
    !matches!(attachment.content, AttachmentContent::Empty)
}

fn presented_forms(resource: &RawObject<'_>) -> Vec<Attachment> {
    listed(resource, "presentedForm", "DiagnosticReport.presentedForm", |form| {
        Some(RawObject::parse(form).ok()?.into())
    })
}

fn contents(resource: &RawObject<'_>) -> Vec<Attachment> {
    let mut attachments = listed(resource, "content", "DocumentReference.content", |content| {
        Some(RawObject::parse(content).ok()?.object("attachment")?.into())
    });
    for attachment in &mut attachments {
        attachment.origin.push_str(".attachment");
    }
    attachments
}

/// The parts of an `Attachment` element that we read.
struct AttachmentElement {
    content_type: Option<String>,
    content: AttachmentContent,
}

impl From<RawObject<'_>> for AttachmentElement {
    fn from(element: RawObject<'_>) -> Self {
        // Some senders write an empty data beside the url that counts.
        let data = element.raw("data").filter(|data| data.get() != "\"\"");
        let content = match (data, element.raw("url")) {
            (Some(data), _) => decode_base64(data.get()),
            (None, Some(url)) => serde_json::from_str(url.get()).map_or_else(
                |_| AttachmentContent::Malformed("its url is not a string".into()),
                AttachmentContent::Url,
            ),
            (None, None) => AttachmentContent::Empty,
        };
        Self { content_type: element.get("contentType"), content }
    }
}

/// The attachments of a list element; whatever is not one is kept as malformed.
fn listed(
    resource: &RawObject<'_>,
    member: &str,
    path: &str,
    attachment: impl Fn(&str) -> Option<AttachmentElement>,
) -> Vec<Attachment> {
    let malformed =
        |why: &str| AttachmentElement { content_type: None, content: AttachmentContent::Malformed(why.to_owned()) };
    let items = match resource.list(member) {
        None => return Vec::new(),
        Some(Err(_)) => vec![malformed("the element is not a list")],
        Some(Ok(items)) => items
            .into_iter()
            .map(|item| attachment(item.get()).unwrap_or_else(|| malformed("it is not an Attachment")))
            .collect(),
    };
    let numbered = items.into_iter().enumerate();
    numbered
        .map(|(index, AttachmentElement { content_type, content })| Attachment {
            origin: format!("{path}[{index}]"),
            role: AttachmentRole::Report,
            content_type,
            content,
        })
        .collect()
}

/// FHIR's base64Binary may hold whitespace; real senders also leave out the padding or use the URL-safe alphabet.
fn decode_base64(raw: &str) -> AttachmentContent {
    const INDIFFERENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, INDIFFERENT);
    let Ok(text) = serde_json::from_str::<String>(raw) else {
        return AttachmentContent::Malformed("its data is not a string".into());
    };
    let mut encoded = text.into_bytes();
    encoded.retain(|byte| !byte.is_ascii_whitespace());
    for byte in &mut encoded {
        match *byte {
            b'-' => *byte = b'+',
            b'_' => *byte = b'/',
            _ => {}
        }
    }
    match STANDARD.decode(&encoded) {
        Ok(bytes) if bytes.is_empty() => AttachmentContent::Empty,
        Ok(bytes) => AttachmentContent::Bytes(Bytes::from(bytes)),
        Err(_) => AttachmentContent::Malformed("its data is not base64".into()),
    }
}

fn conclusion(resource: &RawObject<'_>, resource_type: ResourceType) -> Option<Attachment> {
    let raw = resource.raw("conclusion").filter(|_| resource_type == ResourceType::DiagnosticReport)?;
    let content = match serde_json::from_str::<String>(raw.get()) {
        Ok(text) if text.trim().is_empty() => AttachmentContent::Empty,
        Ok(text) => AttachmentContent::Bytes(text.into()),
        Err(_) => AttachmentContent::Malformed("it is not a string".into()),
    };
    Some(Attachment {
        origin: "DiagnosticReport.conclusion".into(),
        role: AttachmentRole::Conclusion,
        content_type: Some("text/plain; charset=utf-8".into()),
        content,
    })
}

fn resource_text(resource: &RawObject<'_>, resource_type: ResourceType) -> Option<Attachment> {
    let raw = resource.object("text")?.raw("div")?;
    let content = serde_json::from_str::<String>(raw.get()).map_or_else(
        |_| AttachmentContent::Malformed("it is not a string".into()),
        |div| AttachmentContent::Bytes(div.into()),
    );
    Some(Attachment {
        origin: format!("{resource_type}.text.div"),
        role: AttachmentRole::ResourceText,
        content_type: Some("application/xhtml+xml; charset=utf-8".into()),
        content,
    })
}

fn reference(resource: &RawObject<'_>, member: &str) -> Option<Reference> {
    resource.object(member).as_ref().and_then(reference_of)
}

fn first_reference(element: Option<&RawObject<'_>>, member: &str) -> Option<Reference> {
    element?.objects(member).iter().find_map(reference_of)
}

fn reference_of(element: &RawObject<'_>) -> Option<Reference> {
    let reference = Reference {
        reference: element.string("reference"),
        identifier: element.object("identifier").as_ref().map(identifier),
    };
    (reference != Reference::default()).then_some(reference)
}

fn identifier(element: &RawObject<'_>) -> Identifier {
    Identifier { system: element.string("system"), value: element.string("value") }
}

fn effective(resource: &RawObject<'_>) -> Option<Effective> {
    resource.string("effectiveDateTime").map(Effective::DateTime).or_else(|| period(resource, "effectivePeriod"))
}

fn period(element: &RawObject<'_>, member: &str) -> Option<Effective> {
    let period = element.object(member)?;
    let (start, end) = (period.string("start"), period.string("end"));
    (start.is_some() || end.is_some()).then_some(Effective::Period { start, end })
}

/// R4: `relatesTo[].code` is a code; R5: a CodeableConcept.
fn replaces(resource: &RawObject<'_>) -> Vec<String> {
    let says_replaces = |relation: &RawObject<'_>| {
        relation.get::<String>("code").is_some_and(|code| code == "replaces")
            || relation.object("code").is_some_and(|concept| {
                concept.objects("coding").iter().any(|c| c.get::<String>("code").as_deref() == Some("replaces"))
            })
    };
    let relations = resource.objects("relatesTo");
    let replacing = relations.iter().filter(|relation| says_replaces(relation));
    replacing.filter_map(|relation| relation.object("target")?.string("reference")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(json: &str) -> SourceDocument {
        read(json.as_bytes()).expect("a report")
    }

    #[test]
    fn statuses_ask_for_what_the_table_says() {
        use Disposition::{Annotate, Keep, Withdraw};
        for (json, expected) in [
            (r#"{"resourceType":"DiagnosticReport","status":"final"}"#, Annotate),
            (r#"{"resourceType":"DiagnosticReport","status":"partial"}"#, Annotate),
            (r#"{"resourceType":"DiagnosticReport","status":"appended"}"#, Annotate),
            (r#"{"resourceType":"DiagnosticReport"}"#, Annotate),
            (r#"{"resourceType":"DiagnosticReport","status":"registered"}"#, Keep),
            (r#"{"resourceType":"DiagnosticReport","status":"cancelled"}"#, Keep),
            (
                r#"{"resourceType":"DiagnosticReport","status":"entered-in-error"}"#,
                Withdraw(WithdrawReason::EnteredInError),
            ),
            (r#"{"resourceType":"DocumentReference","status":"current"}"#, Annotate),
            (r#"{"resourceType":"DocumentReference","status":"superseded"}"#, Withdraw(WithdrawReason::Superseded)),
            (r#"{"resourceType":"DocumentReference","status":"current","docStatus":"preliminary"}"#, Keep),
            (
                r#"{"resourceType":"DocumentReference","status":"current","docStatus":"preliminary",
                    "content":[{"attachment":{"data":"eA=="}}]}"#,
                Annotate,
            ),
            (
                r#"{"resourceType":"DocumentReference","status":"current","docStatus":"entered-in-error"}"#,
                Withdraw(WithdrawReason::EnteredInError),
            ),
        ] {
            assert_eq!(report(json).disposition, expected, "{json}");
        }
    }

    #[test]
    fn base64_is_read_as_real_senders_write_it() {
        for (data, expected) in [
            ("c3RhYmxl", AttachmentContent::Bytes("stable".into())),
            ("c3Rh\\nYmxl ", AttachmentContent::Bytes("stable".into())),
            ("c3RhYmxlIQ", AttachmentContent::Bytes("stable!".into())),
            ("-_8=", AttachmentContent::Bytes(Bytes::from_static(&[0xfb, 0xff]))),
            ("", AttachmentContent::Empty),
            ("not base64!", AttachmentContent::Malformed("its data is not base64".into())),
        ] {
            let json = format!(
                r#"{{"resourceType":"DiagnosticReport","presentedForm":[{{"contentType":"text/plain","data":"{data}"}}]}}"#
            );
            assert_eq!(report(&json).attachments[0].content, expected, "{data}");
        }
    }

    #[test]
    fn an_element_of_the_wrong_shape_is_kept_as_malformed_and_costs_no_other() {
        let document = report(
            r#"{"resourceType":"DiagnosticReport","presentedForm":["x",{"data":"eA=="}],"conclusion":7,
                "subject":"Patient/1","identifier":{"value":"not a list"},"effectiveDateTime":2024}"#,
        );
        let contents: Vec<_> = document.attachments.iter().map(|a| (a.origin.as_str(), &a.content)).collect();
        assert_eq!(contents[0].0, "DiagnosticReport.presentedForm[0]");
        assert!(matches!(contents[0].1, AttachmentContent::Malformed(_)));
        assert_eq!(contents[1].1, &AttachmentContent::Bytes("x".into()));
        assert!(matches!(contents[2].1, AttachmentContent::Malformed(_)));
        assert_eq!(document.about, About::default());
    }

    #[test]
    fn r4_and_r5_document_references_give_the_same() {
        let r4 = report(
            r#"{"resourceType":"DocumentReference","relatesTo":[{"code":"replaces","target":{"reference":"DocumentReference/1"}}],
                "context":{"encounter":[{"reference":"Encounter/2"}],"period":{"start":"2024-01-01"}}}"#,
        );
        let r5 = report(
            r#"{"resourceType":"DocumentReference","relatesTo":[{"code":{"coding":[{"code":"replaces"}]},"target":{"reference":"DocumentReference/1"}}],
                "context":[{"reference":"Encounter/2"}],"period":{"start":"2024-01-01"}}"#,
        );
        assert_eq!(r4, r5);
        assert_eq!(r4.replaces, ["DocumentReference/1"]);
    }

    #[test]
    fn faults_name_what_is_wrong() {
        for (json, expected) in [
            ("{}", ReadError::NoResourceType),
            (r#"{"resourceType":"Patient"}"#, ReadError::OtherResourceType),
            (r#"{"resourceType":"DiagnosticReport","id":"a b"}"#, ReadError::BadId),
            (r#"{"resourceType":"DiagnosticReport","id":5}"#, ReadError::BadId),
        ] {
            assert_eq!(read(json.as_bytes()).expect_err("a fault"), expected);
        }
    }

    #[test]
    fn all_renditions_are_offered_in_the_resources_order() {
        let document = report(
            r#"{"resourceType":"DiagnosticReport","text":{"status":"generated","div":"<div>x</div>"},
                "conclusion":"Stable.","presentedForm":[{"url":"Binary/1","contentType":"application/pdf"},{}]}"#,
        );
        let origins: Vec<_> = document.attachments.iter().map(|a| a.origin.as_str()).collect();
        assert_eq!(
            origins,
            [
                "DiagnosticReport.presentedForm[0]",
                "DiagnosticReport.presentedForm[1]",
                "DiagnosticReport.conclusion",
                "DiagnosticReport.text.div"
            ]
        );
    }
}
