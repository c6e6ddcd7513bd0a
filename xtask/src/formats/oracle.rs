//! Independent readers: C-CDA's narrative by a streaming XML reader that shares no code with the product, PDF's text by
//! `pdftotext`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::run::finish;

/// The narrative of a C-CDA document; one with a nonXMLBody has none.
#[derive(Default)]
pub(super) struct Narrated {
    /// The text of each section that has any, as the pieces between its tags.
    pub(super) sections: Vec<Vec<String>>,
}

/// Reads the `text` of every section, nested ones included, in the document's order.
pub(super) fn narrative(file: &Path) -> Result<Narrated> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)).into_owned();
    let mut reader = Reader::from_str(&text);
    // Vendors' files are not always well-formed to the letter; a count does not need it.
    reader.config_mut().check_end_names = false;
    let mut narrated = Narrated::default();
    let mut open: Vec<String> = Vec::new();
    // How many elements were open when the narrative began.
    let mut within: Option<usize> = None;
    loop {
        match reader.read_event().with_context(|| format!("read {}", file.display()))? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                if within.is_none() && name == "text" && open.last().is_some_and(|parent| parent == "section") {
                    within = Some(open.len());
                    narrated.sections.push(Vec::new());
                }
                open.push(name);
            }
            Event::End(_) => {
                open.pop();
                within = within.filter(|depth| open.len() > *depth);
            }
            Event::Text(piece) if within.is_some() => push(&mut narrated, &piece),
            Event::CData(piece) if within.is_some() => push(&mut narrated, &piece),
            Event::GeneralRef(reference) if within.is_some() => push(&mut narrated, &referred(&reference)?),
            Event::Eof => break,
            _ => {}
        }
    }
    narrated.sections.retain(|pieces| pieces.iter().any(|piece| piece.contains(char::is_alphanumeric)));
    Ok(narrated)
}

/// What a reference like `&amp;` or `&#8805;` stands for.
fn referred(reference: &quick_xml::events::BytesRef<'_>) -> Result<String> {
    if let Some(character) = reference.resolve_char_ref().context("read a reference")? {
        return Ok(character.to_string());
    }
    Ok(quick_xml::escape::resolve_predefined_entity(reference).unwrap_or_default().to_owned())
}

fn push(narrated: &mut Narrated, piece: &str) {
    if let Some(section) = narrated.sections.last_mut() {
        section.push(piece.to_owned());
    }
}

/// `pdftotext`'s text, pages and time for a file; nothing if it finds no file that it can read.
pub(super) struct Printed {
    pub(super) text: String,
    pub(super) pages: usize,
    pub(super) took: Duration,
}

/// Whether `pdftotext` is installed.
pub(super) fn has_pdftotext() -> bool {
    let started = Command::new("pdftotext").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    started.is_ok()
}

/// Reads a PDF with `pdftotext`.
pub(super) fn printed(file: &Path) -> Result<Option<Printed>> {
    let mut command = Command::new("pdftotext");
    command.args(["-enc", "UTF-8"]).arg(file).arg("-");
    let Ok((text, took)) = finish(&mut command, None)? else { return Ok(None) };
    // It ends every page with a form feed.
    let pages = text.matches('\u{c}').count();
    Ok((pages > 0).then_some(Printed { text, pages, took }))
}
