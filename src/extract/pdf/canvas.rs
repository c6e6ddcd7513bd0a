//! What the content of a page puts on it.

use std::ops::Range;

use super::matrix::Matrix;
use super::{OPERATIONS_MAX, TooMuch};

/// Glyphs of one page: small print fills a page with ten thousand. Each takes 56 bytes.
const GLYPHS_PAGE_MAX: usize = 500_000;

/// A character of the page's text (or several: a ligature, a replaced word), where it stands in the page as it is
/// displayed: x to the right, y down, in points.
#[derive(Clone, Debug)]
pub(super) struct Glyph {
    /// Bytes of [`Canvas::text`].
    pub(super) text: Range<usize>,
    /// Where its baseline begins.
    pub(super) start: (f32, f32),
    /// Where its baseline ends.
    pub(super) end: (f32, f32),
    /// Height of the font.
    pub(super) size: f32,
    /// Width of an em along the baseline.
    pub(super) em: f32,
    /// What the font's character spacing adds to the distance to the next glyph of the same operation.
    pub(super) spacing: f32,
    /// Which operation showed it.
    pub(super) operation: u32,
    /// True if the page does not show it: a layer that is off, a place outside of the page.
    pub(super) hidden: bool,
}

/// Ems up to which spacing makes letters stand apart; a wider one moves to another place.
const SPACING_MAX: f32 = 2.0;

impl Glyph {
    /// Its spacing as far as it is one between letters.
    pub(super) fn wanted_spacing(&self) -> f32 {
        if self.spacing <= SPACING_MAX * self.em { self.spacing.max(0.0) } else { 0.0 }
    }
}

/// The content of one page.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    pub(super) text: String,
    pub(super) glyphs: Vec<Glyph>,
    /// Glyphs that no character is known for; they stand as U+FFFD.
    pub(super) unknown: usize,
    /// Glyphs that are drawn with invisible ink, as over the picture of a scan.
    pub(super) invisible: usize,
    /// Images, and the surface that they cover, in square points.
    pub(super) images: usize,
    pub(super) images_surface: f64,
    /// Paths that are stroked or filled.
    pub(super) paths: usize,
    /// Visible surface of the page: least x, least y, greatest x, greatest y.
    pub(super) page: [f64; 4],
    operation: u32,
}

/// What an operation shows a glyph with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink {
    /// From an em square to the page.
    pub(super) matrix: Matrix,
    /// Ems that it takes along the baseline, and those that spacing adds.
    pub(super) advance: f64,
    pub(super) spacing: f64,
    pub(super) hidden: bool,
    pub(super) invisible: bool,
}

impl Canvas {
    pub(super) fn of_page(page: [f64; 4]) -> Self {
        Self { page, ..Self::default() }
    }

    /// Surface of the page.
    pub(super) fn surface(&self) -> f64 {
        let [x0, y0, x1, y1] = self.page;
        (x1 - x0).max(0.0) * (y1 - y0).max(0.0)
    }

    /// Glyphs that show something.
    pub(super) fn characters(&self) -> usize {
        self.glyphs.iter().filter(|glyph| self.shows(glyph)).count()
    }

    /// Whether a glyph from this one on shows something.
    pub(super) fn shows_text_from(&self, first: usize) -> bool {
        self.glyphs.get(first..).is_some_and(|glyphs| glyphs.iter().any(|glyph| self.shows(glyph)))
    }

    fn shows(&self, glyph: &Glyph) -> bool {
        !self.text[glyph.text.clone()].trim().is_empty()
    }

    /// Counts an operation that shows text.
    pub(super) fn begin_operation(&mut self) {
        self.operation = self.operation.wrapping_add(1);
    }

    /// Puts a glyph on the page.
    pub(super) fn put(&mut self, text: &str, ink: &Ink) -> Result<(), TooMuch> {
        if self.glyphs.len() >= GLYPHS_PAGE_MAX {
            return Err(TooMuch::Glyphs(GLYPHS_PAGE_MAX));
        }
        let from = self.text.len();
        self.text.push_str(text);
        let (start, end) = (ink.matrix.apply(0.0, 0.0), ink.matrix.apply(ink.advance, 0.0));
        let (em, height) = (ink.matrix.apply(1.0, 0.0), ink.matrix.apply(0.0, 1.0));
        let distance = |to: (f64, f64)| (to.0 - start.0).hypot(to.1 - start.1);
        let numbers = [start.0, start.1, end.0, end.1, distance(em), distance(height)];
        // Beyond any page; what is computed with it could overflow.
        if numbers.iter().any(|number| !number.is_finite() || number.abs() > 1e6) {
            self.text.truncate(from);
            return Ok(());
        }
        self.invisible += usize::from(ink.invisible && !text.trim().is_empty());
        self.unknown += usize::from(text.contains(char::REPLACEMENT_CHARACTER));
        self.glyphs.push(Glyph {
            text: from..self.text.len(),
            start: narrow(start),
            end: narrow(end),
            size: single(distance(height)),
            em: single(distance(em)),
            spacing: single(distance(em) * ink.spacing),
            operation: self.operation,
            hidden: ink.hidden || self.is_outside(start, end),
        });
        Ok(())
    }

    fn is_outside(&self, start: (f64, f64), end: (f64, f64)) -> bool {
        let [x0, y0, x1, y1] = self.page;
        let outside = |(x, y): (f64, f64)| x < x0 || x > x1 || y < y0 || y > y1;
        outside(start) && outside(end)
    }

    /// Lets `text` stand for all glyphs from `first` on, if they are one piece of a line: what the producer says that
    /// they mean.
    pub(super) fn replace(&mut self, first: usize, text: &str) {
        let replaced = self.glyphs.get(first..).unwrap_or_default();
        let (Some(head), Some(tail)) = (replaced.first().cloned(), replaced.last().cloned()) else { return };
        let drop = (head.start.1 - tail.start.1).abs().min((head.start.0 - tail.start.0).abs());
        if drop > head.size {
            return;
        }
        self.unknown -= self.glyphs[first..]
            .iter()
            .filter(|glyph| self.text[glyph.text.clone()].contains(char::REPLACEMENT_CHARACTER))
            .count();
        let from = self.text.len();
        self.text.push_str(text);
        self.glyphs.truncate(first);
        self.glyphs.push(Glyph { text: from..self.text.len(), end: tail.end, ..head });
    }
}

fn narrow((x, y): (f64, f64)) -> (f32, f32) {
    (single(x), single(y))
}

#[expect(clippy::cast_possible_truncation, reason = "a page is compared in hundredths of a point at best")]
fn single(number: f64) -> f32 {
    number as f32
}

/// Work that a document may ask for.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: OPERATIONS_MAX }
    }
}

impl Budget {
    /// Pays for so much work.
    pub(super) fn spend(&mut self, work: usize) -> Result<(), TooMuch> {
        self.left = self.left.checked_sub(work as u64).ok_or(TooMuch::Operations)?;
        Ok(())
    }
}
