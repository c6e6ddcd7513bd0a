//! FHIR resources that are sent as a report's text: a document (a Bundle with a Composition), or a resource that holds
//! one.
//!
//! The sections' narratives are read; what their entries refer to is not. JSON and XML are read alike.

mod part;

use std::sync::Arc;

use roxmltree::Node;

use super::assembled::Assembled;
use super::charset;
use super::embedded::{self, Embedded};
use super::rendition::{self, Nesting, Reading, Recognised, Refusal, not_decodable};
use super::sniff::{Declared, Format};
use super::{plain, section_codes};
use crate::domain::narrative::{SectionKind, UnreadReason};
use part::Part;

/// Sections within sections: the International Patient Summary has two levels.
const SECTION_DEPTH_MAX: usize = 10;

/// Resources within Bundles.
const BUNDLE_DEPTH_MAX: usize = 2;

/// Reads JSON; `nesting` is the rendition's.
pub(super) fn read_json(
    bytes: &[u8],
    content_type_charset: Option<&str>,
    nesting: Nesting<'_>,
) -> Result<Reading, Refusal> {
    let declared = content_type_charset.map(|label| (label, "the content type"));
    let decoded = charset::decode(bytes, declared).map_err(|fault| not_decodable(&fault))?;
    let text = decoded.text.trim_matches(|c: char| c == '\u{feff}' || c == '\0' || c.is_whitespace());
    read(&Part::json(text)?, decoded.notes, nesting)
}

/// Reads XML, by its root element.
pub(super) fn read_xml(root: Node<'_, '_>, notes: Vec<String>, nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    read(&Part::xml(root), notes, nesting)
}

fn read(resource: &Part<'_>, notes: Vec<String>, nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    let mut reader = Reader { text: Assembled::new(notes), nesting };
    reader.resource(resource, 0)?;
    reader.text.finish()
}

struct Reader<'n> {
    text: Assembled,
    nesting: Nesting<'n>,
}

impl Reader<'_> {
    fn resource(&mut self, resource: &Part<'_>, depth: usize) -> Result<(), Refusal> {
        match resource.resource_type().as_deref() {
            Some("Bundle") if depth < BUNDLE_DEPTH_MAX => self.bundle(resource, depth),
            Some("Composition") => self.composition(resource),
            Some("DiagnosticReport") => {
                self.attachments(&resource.list("presentedForm")?);
                self.conclusion(resource);
                self.resource_text(resource)
            }
            Some("DocumentReference") => {
                let contents = resource.list("content")?;
                let attachments = contents.iter().map(|content| content.list("attachment"));
                self.attachments(&attachments.collect::<Result<Vec<_>, _>>()?.concat());
                self.resource_text(resource)
            }
            Some("Binary") => {
                self.attachments(std::slice::from_ref(resource));
                Ok(())
            }
            other => Err(holds_no_document(other)),
        }
    }

    /// Reads the first resource that is a document.
    fn bundle(&mut self, bundle: &Part<'_>, depth: usize) -> Result<(), Refusal> {
        let mut found: Vec<(usize, Part<'_>)> = Vec::new();
        for entry in bundle.list("entry")? {
            let Some(resource) = entry.resource()? else { continue };
            let rank = match resource.resource_type().as_deref() {
                Some("Composition") => 0,
                Some("DiagnosticReport" | "DocumentReference") => 1,
                Some("Binary" | "Bundle") => 2,
                _ => continue,
            };
            found.push((rank, resource));
        }
        found.sort_by_key(|(rank, _)| *rank);
        let mut found = found.into_iter();
        let Some((best, first)) = found.next() else {
            let detail = "It is a FHIR Bundle without a Composition or a report.";
            return Err(Refusal::new(UnreadReason::FormatNotSupported, detail));
        };
        for (_, other) in found.filter(|(rank, _)| *rank == best) {
            let detail = "Another document of the Bundle was read; send each as one of its own.";
            self.text.not_read(&other.place, Refusal::new(UnreadReason::OtherRenditionChosen, detail));
        }
        self.resource(&first, depth + 1)
    }

    fn composition(&mut self, composition: &Part<'_>) -> Result<(), Refusal> {
        for section in composition.list("section")? {
            self.section(&section, None, 0)?;
        }
        if self.text.seen.is_empty() {
            return self.resource_text(composition);
        }
        if let Some((place, _)) = composition.markup()? {
            let detail = "It renders the header of the document; its sections were read.";
            self.text.not_read(&place, Refusal::new(UnreadReason::OtherRenditionChosen, detail));
        }
        Ok(())
    }

    /// Writes a section, and the sections within it.
    fn section(&mut self, section: &Part<'_>, around: Option<SectionKind>, depth: usize) -> Result<(), Refusal> {
        if depth >= SECTION_DEPTH_MAX {
            let detail = format!("It stands within {SECTION_DEPTH_MAX} other sections, and no deeper one is read.");
            self.text.not_read(&section.place, Refusal::new(UnreadReason::TooLarge, detail));
            return Ok(());
        }
        let title = section.string("title").unwrap_or_default();
        let codings = section.one("code")?.map(|code| code.list("coding")).transpose()?.unwrap_or_default();
        let coded =
            codings.iter().filter_map(|coding| coding.string("code")).find_map(|code| section_codes::find(&code));
        let kind = section_codes::kind(coded, &title, around);
        let reading = section.markup()?.map(|(place, markup)| (place, xhtml(&markup, self.nesting)));
        let place: Arc<str> = section.below("title").into();
        let titled = self.text.heading(&title, kind, Some(&place));
        let within = section.list("section")?;
        match reading {
            Some((place, Ok(reading))) => {
                if !titled && (kind != SectionKind::Other || !self.text.seen.is_empty()) {
                    self.text.heading(coded.map_or("Section", |(_, heading)| heading), kind, None);
                }
                self.text.append(reading, &place.into());
            }
            Some((_, Err(Refusal { reason: UnreadReason::Empty, .. }))) | None if within.is_empty() => {
                let refusal = nothing_in(section)?;
                self.text.not_read(&section.place, refusal);
            }
            Some((place, Err(refusal))) if refusal.reason != UnreadReason::Empty => self.text.not_read(&place, refusal),
            _ => {}
        }
        self.text.check_length()?;
        for inner in within {
            self.section(&inner, Some(kind), depth + 1)?;
        }
        Ok(())
    }

    /// Reads the best of the attachments that can be read.
    fn attachments(&mut self, attachments: &[Part<'_>]) {
        let mut ranked: Vec<&Part<'_>> = attachments.iter().collect();
        ranked.sort_by_key(|attachment| {
            let declared = Declared::parse(attachment.string("contentType").as_deref());
            declared.format.map_or(u8::MAX, Format::rank)
        });
        let (mut taken, mut tried) = (false, 0);
        for attachment in ranked {
            if taken {
                let detail = "Another attachment of the resource was read.";
                self.text.not_read(&attachment.place, Refusal::new(UnreadReason::OtherRenditionChosen, detail));
                continue;
            }
            let counted = embedded::check_count(tried, self.nesting.level);
            tried += usize::from(attachment.string("data").is_some());
            match counted.and_then(|()| self.attachment(attachment)) {
                Ok(reading) => {
                    self.text.append(reading, &attachment.below("data").into());
                    taken = true;
                }
                Err(refusal) => self.text.not_read(&attachment.place, refusal),
            }
        }
    }

    fn attachment(&self, attachment: &Part<'_>) -> Result<Reading, Refusal> {
        // DSTU2 called a Binary's data its content.
        let Some(data) = attachment.string("data").or_else(|| attachment.string("content")) else {
            return Err(if attachment.string("url").is_some() {
                Refusal::new(UnreadReason::NotFetched, "Only a URL is given, which is not fetched.")
            } else {
                Refusal::new(UnreadReason::Empty, "It has neither data nor a URL.")
            });
        };
        let media_type = attachment.string("contentType");
        embedded::read(
            &Embedded { media_type: media_type.as_deref(), base64: true, packing: None, text: &data },
            self.nesting,
        )
    }

    fn conclusion(&mut self, report: &Part<'_>) {
        let Some(conclusion) = report.string("conclusion") else { return };
        let body = plain::tidy(&conclusion);
        if body.contains(char::is_alphanumeric) && !self.text.holds(&body) {
            self.text.heading("Conclusion", SectionKind::Impression, None);
            self.text.append(Reading { body, ..Reading::default() }, &report.below("conclusion").into());
        }
    }

    /// Reads the resource's own text, if there is nothing else.
    fn resource_text(&mut self, resource: &Part<'_>) -> Result<(), Refusal> {
        if !self.text.seen.is_empty() {
            return Ok(());
        }
        let Some((place, markup)) = resource.markup()? else {
            let detail = "It is a FHIR resource without text.";
            self.text.not_read(&resource.place, Refusal::new(UnreadReason::Empty, detail));
            return Ok(());
        };
        match xhtml(&markup, self.nesting) {
            Ok(reading) => self.text.append(reading, &place.into()),
            Err(refusal) => self.text.not_read(&place, refusal),
        }
        Ok(())
    }
}

fn xhtml(markup: &str, nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    rendition::read_within(&Recognised::certain(Format::Xhtml), markup.as_bytes(), nesting)
}

/// Why a section has no narrative.
fn nothing_in(section: &Part<'_>) -> Result<Refusal, Refusal> {
    let entries = section.list("entry")?.len();
    Ok(if section.one("emptyReason")?.is_some() {
        Refusal::new(UnreadReason::Empty, "The section says that it is empty (emptyReason).")
    } else if entries > 0 {
        let detail = format!("The section has {entries} entries and no narrative; entries are not read.");
        Refusal::new(UnreadReason::FormatNotSupported, detail)
    } else {
        Refusal::new(UnreadReason::Empty, "The section has no narrative.")
    })
}

fn holds_no_document(resource_type: Option<&str>) -> Refusal {
    let plain = |name: &&str| name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let what = match resource_type.filter(plain) {
        Some(name) => format!("a FHIR {name}"),
        None => "JSON or XML that is no FHIR resource".to_owned(),
    };
    let detail = format!("It is {what}; a Composition, a report, or a Bundle with one of them is read.");
    Refusal::new(UnreadReason::FormatNotSupported, detail)
}

#[cfg(test)]
mod tests;
