//! Running heads and feet: lines that come again at the same height of several pages.

use std::collections::{HashMap, HashSet};

use super::super::{headings, margins};
use super::lines::Line;
use super::prose;
use crate::domain::narrative::SectionKind;

/// Lines at the top and at the bottom of a page that may be such.
const EDGE_LINES: usize = 2;
/// Characters of such a line: a longer one is prose.
const EDGE_CHARACTERS_MAX: usize = 200;
/// How far apart the lines of two pages may be to be at the same height, in points.
const SAME_HEIGHT: f32 = 3.0;
/// Distance to the text, as a multiple of that between lines, from which on they stand apart from it.
const APART: f32 = 1.2;
/// Distance between the lines of a text at most, in line heights: a page with few lines does not tell it.
const LEADING_MAX: f32 = 2.4;
/// Share of a page's height at its top and at its bottom, where also a line that says something of a patient may be a
/// head or a foot: there is no text of the report.
const MARGIN_SHARE: f32 = 0.1;
/// Height of the letters of a foot that begins like a part of the report ("Interpretation: …"), as a share of the text's.
const SMALL_PRINT: f32 = 0.9;
/// Pieces of such a line; more are the head of a table that goes on.
const PIECES_MAX: usize = 4;

/// A line at the edge of a page.
#[derive(Debug)]
pub(super) struct Edge {
    text: String,
    base: f32,
    kind: SectionKind,
    /// True if it says something of the patient.
    clinical: bool,
}

/// Marks the lines at the edges of a page of this height, from top to bottom, each with its index in the answer.
pub(super) fn edges(lines: &mut [Line], height: f32) -> Vec<Edge> {
    let (heads, feet) = (heads(lines.iter()), heads(lines.iter().rev()));
    let (count, size) = (lines.len(), usual_size(lines));
    let mut edges = Vec::new();
    for (index, line) in lines.iter_mut().enumerate() {
        let kind = if index < heads { SectionKind::Header } else { SectionKind::Footer };
        if (index >= heads && index + feet < count) || line.pieces.len() > PIECES_MAX {
            continue;
        }
        let (text, base) = (prose::text_of(line), line.base());
        let in_margin = base < height * MARGIN_SHARE || base > height * (1.0 - MARGIN_SHARE);
        let begins_part = begins_part(&text);
        let clinical = begins_part || is_clinical(&text);
        let stays = (clinical && !in_margin) || (begins_part && line.size() > size * SMALL_PRINT);
        if text.chars().count() <= EDGE_CHARACTERS_MAX && !stays {
            line.edge = Some(edges.len());
            edges.push(Edge { text, base, kind, clinical });
        }
    }
    edges
}

/// How many of the first lines stand apart from the others.
fn heads<'l>(lines: impl ExactSizeIterator<Item = &'l Line> + Clone) -> usize {
    let distances: Vec<f32> =
        lines.clone().zip(lines.clone().skip(1)).map(|(one, next)| (next.base() - one.base()).abs()).collect();
    let mut sorted = distances.clone();
    sorted.sort_by(f32::total_cmp);
    let Some(usual) = sorted.get(sorted.len() / 2) else { return 0 };
    let size = lines.map(Line::size).fold(1.0, f32::max);
    let apart = APART * usual.min(LEADING_MAX * size);
    // Not all lines of a page can be its heads.
    distances.iter().take(EDGE_LINES).rposition(|distance| *distance > apart).map_or(0, |at| at + 1)
}

/// The letters' height of most lines.
fn usual_size(lines: &[Line]) -> f32 {
    let mut sizes: Vec<f32> = lines.iter().map(Line::size).collect();
    sizes.sort_by(f32::total_cmp);
    sizes.get(sizes.len() / 2).copied().unwrap_or(1.0)
}

/// Whether a line begins a part of the report. In letters as large as the report's it stays in the text even if it comes
/// again: what is read twice costs less than what is not read.
fn begins_part(text: &str) -> bool {
    let is_part = |kind| !matches!(kind, SectionKind::Header | SectionKind::Footer | SectionKind::Signature);
    headings::at_line_start(text).is_some_and(|heading| is_part(heading.kind))
}

/// Whether a line may say something about the patient.
fn is_clinical(text: &str) -> bool {
    !headings::states_nothing(text) || margins::is_clinical(&text.to_ascii_lowercase()) || has_measure(text)
}

/// Whether a number with a unit is in a text.
fn has_measure(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).any(|pair| {
        pair[0].ends_with(|c: char| c.is_ascii_digit())
            && matches!(pair[1].trim_matches(|c: char| !c.is_alphabetic()), "ng" | "g" | "mg" | "x" | "U")
    })
}

/// The running heads and feet of a document.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// Page and edge of each, pages counted from 0.
    lines: HashSet<(usize, usize)>,
    /// What they say, each once, with the page that it stands on first: heads before feet.
    pub(super) texts: Vec<(SectionKind, usize, String)>,
}

impl Running {
    /// Those of pages with such edges: lines that are alike, at the same height, on two pages or more.
    pub(super) fn of(pages: &[&[Edge]]) -> Self {
        let mut alike: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
        for (page, edges) in pages.iter().enumerate() {
            for (index, edge) in edges.iter().enumerate() {
                alike.entry(skeleton(&edge.text)).or_default().push((page, index));
            }
        }
        let edge = |(page, index): (usize, usize)| &pages[page][index];
        let mut running = Self::default();
        for places in alike.into_values() {
            // A report that is as short as the next one may end in the same words at the same height.
            if places.iter().any(|place| edge(*place).clinical) && places.len() * 2 <= pages.len() {
                continue;
            }
            // Pages with even and odd numbers may differ.
            let pairs = [1, 2].into_iter().flat_map(|step| places.iter().zip(places.iter().skip(step)));
            for (one, other) in pairs.filter(|(one, other)| are_one(edge(**one), edge(**other), other.0 - one.0)) {
                running.lines.extend([*one, *other]);
            }
        }
        let mut lines: Vec<(usize, usize)> = running.lines.iter().copied().collect();
        lines.sort_unstable();
        let mut told = HashSet::new();
        lines.retain(|place| told.insert(skeleton(&edge(*place).text)));
        lines.sort_by_key(|place| edge(*place).kind == SectionKind::Footer);
        running.texts = lines.iter().map(|place| (edge(*place).kind, place.0, edge(*place).text.clone())).collect();
        running
    }

    /// Whether this line of this page is one.
    pub(super) fn has(&self, page: usize, edge: usize) -> bool {
        self.lines.contains(&(page, edge))
    }
}

/// A text with `#` for its numbers.
fn skeleton(text: &str) -> String {
    let mut skeleton = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '0'..='9' if skeleton.ends_with('#') => {}
            '0'..='9' => skeleton.push('#'),
            other => skeleton.push(other),
        }
    }
    skeleton
}

/// Whether two lines of pages that are so far apart are the same one: numbers are the same, or count pages.
fn are_one(one: &Edge, other: &Edge, apart: usize) -> bool {
    (one.base - other.base).abs() <= SAME_HEIGHT && apart > 0 && {
        let numbers = |edge: &'_ Edge| -> Vec<Option<usize>> {
            let numbers = edge.text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
            numbers.map(|number| number.parse().ok()).collect()
        };
        let (ones, others) = (numbers(one), numbers(other));
        ones.iter().zip(&others).all(|(one, other)| one == other || one.map(|one| one + apart) == *other)
    }
}
