//! Word documents (Office Open XML, ECMA-376): a zip of XML parts. The text is read as Word shows it.
//!
//! `package` reads parts out of the zip within bounds, `xml` goes through one without building a tree, `styles` and
//! `numbering` say what paragraphs look like and how they are counted, and `body` puts their text on sheets; `counts` tells what it kept apart or did not
//! read.

mod body;
mod counts;
mod numbering;
mod package;
mod styles;
mod xml;

#[cfg(test)]
mod tests;

use super::rendition::{Reading, Refusal};
use super::sheet::Page;
use crate::domain::narrative::{SectionKind, UnreadReason};
use body::Body;
use numbering::Numbering;
use package::Package;
use styles::Styles;

/// Where the main part is, if the package does not say.
const MAIN_PART: &str = "word/document.xml";

/// Reads a docx. Places in it are paragraphs: `word/document.xml#(//w:p)[12]` is the twelfth of that part.
pub(super) fn read(bytes: &[u8]) -> Result<Reading, Refusal> {
    let mut package = Package::open(bytes)?;
    let main = package.related("", "/officeDocument")?.pop().unwrap_or_else(|| MAIN_PART.to_owned());
    let Some(document) = package.part(&main)? else {
        let detail = "It is a zip that holds no Word document. Send the report as text, RTF or PDF.";
        return Err(Refusal::new(UnreadReason::FormatNotSupported, detail));
    };
    let styles = match first(&mut package, &main, "/styles")? {
        Some((_, part)) => Styles::read(&part)?,
        None => Styles::default(),
    };
    let numbering = match first(&mut package, &main, "/numbering")? {
        Some((_, part)) => Numbering::read(&part)?,
        None => Numbering::default(),
    };
    let mut body = Body::new(styles, numbering);
    body.read(&main, &document, Page::Body)?;
    drop(document);
    for (kind, page) in [("/footnotes", Page::Notes), ("/endnotes", Page::Notes), ("/comments", Page::Hidden)] {
        if let Some((name, part)) = first(&mut package, &main, kind)? {
            body.read(&name, &part, page)?;
        }
    }
    for (kind, section) in [("/header", SectionKind::Header), ("/footer", SectionKind::Footer)] {
        for name in package.related(&main, kind)? {
            if let Some(part) = package.part(&name)? {
                body.read(&name, &part, Page::Margin)?;
                body.end_margin(section);
            }
        }
    }
    body.finish()
}

/// The first part of this kind that the main one refers to, and its name.
fn first(package: &mut Package<'_>, main: &str, kind: &str) -> Result<Option<(String, String)>, Refusal> {
    let Some(name) = package.related(main, kind)?.into_iter().next() else { return Ok(None) };
    Ok(package.part(&name)?.map(|part| (name, part)))
}
