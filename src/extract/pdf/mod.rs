//! PDF: the text layer, page by page, as a person reads it.
//!
//! `content` follows what a page draws and puts its characters on a `canvas`, with their places; `fonts` knows which
//! characters they are. `lines` makes words and lines of them by their distances, `columns` finds the order that
//! they are read in, `tables` puts the lines of wrapped cells into rows, `running` knows the heads and feet of pages, and
//! `prose` joins the lines into text. The library below reads objects, streams, encryption and font programs; whatever it
//! meets, `isolation` holds.

mod annotations;
mod canvas;
mod columns;
mod content;
mod extras;
mod fonts;
mod layers;
mod lines;
mod matrix;
mod prose;
mod running;
mod strings;
mod tables;
mod unicode;

use hayro_syntax::object::Dict;
use hayro_syntax::page::Page;
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use super::rendition::{Marked, NARRATIVE_CHARACTERS_MAX, Reading, Refusal, too_long};
use crate::domain::narrative::UnreadReason;
use crate::domain::source_map::Place;
use annotations::Annotations;
use canvas::{Budget, Canvas};
use columns::Block;
use content::Painter;
use fonts::Fonts;
use layers::Layers;
use lines::Line;
use matrix::Matrix;
use prose::{PageText, Words};
use running::{Edge, Running};

/// Drawing operations of a document, a string's bytes among them: a 600-page chart needs five million.
const OPERATIONS_MAX: u64 = 20_000_000;
/// Pages of a document.
const PAGES_MAX: usize = 5_000;
/// Share of a page's characters that may be unknown before the page counts as read in part.
const UNKNOWN_SHARE_TOLD: f64 = 0.05;
/// Share of a page's characters that may be unknown at all: above it there is no text to follow.
const UNKNOWN_SHARE_MAX: f64 = 0.5;
/// Share of a page that images cover, from which on it is the picture of a page.
const SCAN_SHARE_MIN: f64 = 0.5;
/// Characters beside the picture of a page, up to which they are a stamp or a page number.
const STAMP_CHARACTERS_MAX: usize = 200;

/// Why a document is not read to its end.
#[derive(Debug)]
pub(super) enum TooMuch {
    Glyphs(usize),
    Nested(usize),
    Operations,
}

impl TooMuch {
    fn refusal(&self, page: usize) -> Refusal {
        let what = match self {
            Self::Glyphs(most) => format!("page {page} has more than {most} characters"),
            Self::Nested(most) => format!("page {page} has drawings within drawings, more than {most} deep"),
            Self::Operations => format!("it takes more than {OPERATIONS_MAX} drawing operations up to page {page}"),
        };
        Refusal::new(UnreadReason::TooLarge, format!("It is a PDF that is no report: {what}."))
    }
}

/// What one page gave.
struct PageReading {
    text: PageText,
    hidden: PageText,
    /// Lines at its edges.
    edges: Vec<Edge>,
    unread: Option<Refusal>,
    /// Glyphs drawn with invisible ink, and those of unknown characters.
    invisible: usize,
    unknown: usize,
}

/// Reads a PDF. `page_done` is called after each page: whoever waits for the whole knows by it that there is progress.
pub(super) fn read(bytes: Vec<u8>, mut page_done: impl FnMut()) -> Result<Reading, Refusal> {
    let pdf = Pdf::new(bytes).map_err(refusal_of)?;
    let pages = pdf.pages();
    if pages.len() > PAGES_MAX {
        let detail = format!("It has {} pages; {PAGES_MAX} are read at most.", pages.len());
        return Err(Refusal::new(UnreadReason::TooLarge, detail));
    }
    let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id()).unwrap_or_default();
    let (mut fonts, layers) = (Fonts::new(), Layers::of(&catalog));
    let mut budget = Budget::default();
    let mut read = Vec::with_capacity(pages.len());
    let mut characters = 0;
    for (index, page) in pages.iter().enumerate() {
        let page = read_page(page, &mut fonts, &layers, &mut budget).map_err(|fault| fault.refusal(index + 1))?;
        characters += page.text.characters() + page.hidden.characters();
        if characters > NARRATIVE_CHARACTERS_MAX {
            return Err(too_long(characters));
        }
        read.push(page);
        page_done();
    }
    let mut reading = assemble(read)?;
    extras::tell(&catalog, pages, &mut reading);
    Ok(reading)
}

fn refusal_of(error: LoadPdfError) -> Refusal {
    match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => Refusal::new(
            UnreadReason::Encrypted,
            "It is encrypted and asks for a password. Send it without one, or as text.",
        ),
        LoadPdfError::Decryption(_) => Refusal::new(
            UnreadReason::Encrypted,
            "It is encrypted in a way that this version does not know. Send it without encryption, or as text.",
        ),
        LoadPdfError::Invalid => Refusal::new(
            UnreadReason::Malformed,
            "It begins like a PDF, but its objects cannot be found: it is cut off or damaged.",
        ),
    }
}

fn read_page<'a>(
    page: &'a Page<'a>,
    fonts: &mut Fonts<'a>,
    layers: &Layers,
    budget: &mut Budget,
) -> Result<PageReading, TooMuch> {
    let (width, height) = page.render_dimensions();
    let mut canvas = Canvas::of_page([0.0, 0.0, f64::from(width), f64::from(height)]);
    let upright = Matrix(page.initial_transform(true).as_coeffs());
    let mut painter = Painter { fonts, layers, canvas: &mut canvas, budget };
    let content = content::of_page(page.raw());
    if let Some(content) = &content {
        painter.draw(content, page.resources(), upright)?;
    }
    Annotations::of(page.raw()).draw(&mut painter, page.resources(), upright)?;
    let unread = told_unread(&canvas, content.is_none() && page.raw().contains_key("Contents"));
    drop(content);
    let (invisible, unknown) = (canvas.invisible, canvas.unknown);
    let garbled = is_garbled(&canvas, canvas.characters());
    let unknown = if garbled { 0 } else { unknown };
    let mut page = PageReading {
        text: PageText::default(),
        hidden: PageText::default(),
        edges: Vec::new(),
        unread,
        invisible,
        unknown,
    };
    if !garbled {
        let mut shown = lines::lines(&canvas, false);
        page.edges = shown.first_mut().map(|lines| running::edges(lines, height)).unwrap_or_default();
        page.text = prose::page(&blocks(shown));
        page.hidden = prose::page(&blocks(lines::lines(&canvas, true)));
    }
    Ok(page)
}

/// The blocks of a page in reading order, from its lines in each direction.
fn blocks(directions: Vec<Vec<Line>>) -> Vec<Block> {
    columns::blocks(directions).into_iter().map(tables::joined).collect()
}

/// Whether most characters of a page are unknown.
fn is_garbled(canvas: &Canvas, characters: usize) -> bool {
    canvas.unknown as f64 > characters as f64 * UNKNOWN_SHARE_MAX
}

/// What a page shows that is not text.
fn told_unread(canvas: &Canvas, damaged: bool) -> Option<Refusal> {
    let no_text = |detail: &str| Some(Refusal::new(UnreadReason::NoTextLayer, detail));
    let characters = canvas.characters();
    let is_scan = canvas.images_surface >= canvas.surface() * SCAN_SHARE_MIN;
    if is_garbled(canvas, characters) {
        let detail = "Its fonts do not say which characters they show: what it shows can be seen, but not read.";
        return Some(Refusal::new(UnreadReason::Malformed, detail));
    }
    if canvas.unknown as f64 > characters as f64 * UNKNOWN_SHARE_TOLD {
        let unknown = canvas.unknown;
        let detail =
            format!("Of its {characters} characters, {unknown} are not known to their fonts; the rest was read.");
        return Some(Refusal::new(UnreadReason::Malformed, detail));
    }
    if damaged {
        return Some(Refusal::new(UnreadReason::Malformed, "Its content cannot be decoded."));
    }
    match characters {
        0 if canvas.images > 0 => no_text("It has no text layer: it is probably a scan."),
        0 if canvas.paths > 0 => no_text("It has no text layer: what it shows is drawn."),
        1..=STAMP_CHARACTERS_MAX if is_scan => {
            no_text("A picture covers it, which is probably a scan; only the few words beside the picture were read.")
        }
        _ => None,
    }
}

/// Puts the pages together.
fn assemble(pages: Vec<PageReading>) -> Result<Reading, Refusal> {
    let words = Words::of(pages.iter().map(|page| &page.text));
    let running = Running::of(&pages.iter().map(|page| page.edges.as_slice()).collect::<Vec<_>>());
    let (body, map) = prose::write(pages.iter().map(|page| &page.text), &running, &words);
    let (hidden, hidden_map) = prose::write(pages.iter().map(|page| &page.hidden), &Running::default(), &words);
    let mut reading = Reading { body, map, hidden, hidden_map, ..Reading::default() };
    append(running, &mut reading);
    let sum = |of: fn(&PageReading) -> usize| pages.iter().map(of).sum::<usize>();
    let (invisible, unknown) = (sum(|page| page.invisible), sum(|page| page.unknown));
    let count = pages.len();
    for (index, page) in pages.into_iter().enumerate() {
        reading.unread.extend(page.unread.map(|refusal| (format!("page {}", index + 1), refusal)));
    }
    if invisible > 0 {
        reading.notes.push("text recognised by a scanner's OCR, which may be wrong".to_owned());
    }
    if unknown > 0 {
        reading.notes.push(format!("{unknown} characters are not known to their fonts"));
    }
    if !reading.hidden.is_empty() {
        reading.notes.push("text on layers that are switched off or outside of the page was kept apart".to_owned());
    }
    let empty = !reading.body.contains(char::is_alphanumeric) && !reading.hidden.contains(char::is_alphanumeric);
    match reading.unread.first() {
        Some((_, first)) if empty => Err(no_page_read(count, first, &reading.unread)),
        _ => Ok(reading),
    }
}

/// The refusal of a document of which no page could be read.
fn no_page_read(count: usize, first: &Refusal, unread: &[(String, Refusal)]) -> Refusal {
    let alike = unread.iter().all(|(_, refusal)| refusal.reason == first.reason);
    let of = if count == 1 { "Its only page".to_owned() } else { format!("None of its {count} pages") };
    let detail = match (first.reason, count) {
        (UnreadReason::NoTextLayer, 1) if alike => {
            "Its only page has no text layer: it is probably a scan. Send it as text, or recognised by OCR.".to_owned()
        }
        (UnreadReason::NoTextLayer, _) if alike => {
            format!("{of} has a text layer: they are probably scans. Send it as text, or recognised by OCR.")
        }
        (_, 1) => format!("{of} could not be read. {}", first.detail),
        _ => format!("{of} could be read. Of the first: {}", first.detail),
    };
    Refusal::new(first.reason, detail)
}

/// Puts heads and feet of pages behind the text.
fn append(running: Running, reading: &mut Reading) {
    if !running.texts.is_empty() {
        reading.notes.push("headers and footers are put behind the text, each once".to_owned());
    }
    for (kind, page, text) in running.texts {
        if !reading.body.is_empty() {
            reading.body.push_str("\n\n");
        }
        let start = reading.body.len();
        reading.body.push_str(&text);
        let range = start..reading.body.len();
        // Cannot fail because pages are counted: there are at most `PAGES_MAX`.
        let number = u32::try_from(page + 1).unwrap_or(u32::MAX);
        reading.map.push(range.clone(), Place::Pages(number, number), false);
        reading.headings.push(Marked { range, kind: Some(kind) });
    }
}

#[cfg(test)]
mod tests;
