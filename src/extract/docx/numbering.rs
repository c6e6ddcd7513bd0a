//! The numbers of lists, which Word counts itself and does not write into the text.

use std::collections::HashMap;

use super::xml::{Node, Walk};
use crate::extract::rendition::Refusal;
use crate::extract::sheet;

/// Levels of a list.
const LEVELS: usize = 9;

/// A number that no list of a report reaches; letters and Roman numerals beyond it are written as digits.
const ROMAN_MAX: u32 = 3_999;

/// One level of a list.
#[derive(Clone, Debug, Default)]
struct Level {
    start: u32,
    /// `decimal`, `bullet`, …
    format: String,
    /// `%1.%2`
    text: String,
}

/// A list, and how far it is counted.
#[derive(Clone, Debug, Default)]
struct List {
    levels: [Level; LEVELS],
    counts: [Option<u32>; LEVELS],
}

/// A use of a list.
#[derive(Clone, Debug, Default)]
struct Use {
    list: i32,
    /// Levels that start anew here, and with what.
    starts: Vec<(usize, u32)>,
    begun: bool,
}

/// The lists of a document.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    lists: HashMap<i32, List>,
    uses: HashMap<i32, Use>,
}

impl Numbering {
    /// Reads `word/numbering.xml`.
    pub(super) fn read(part: &str) -> Result<Self, Refusal> {
        let mut numbering = Self::default();
        let (mut list, mut used, mut level) = (None, None, 0_usize);
        let mut walk = Walk::new(part);
        while let Some(node) = walk.next()? {
            let Node::Open(element) = node else { continue };
            let number = |name: &str| element.attribute(name).and_then(|value| value.trim().parse::<i32>().ok());
            let start = || element.number().and_then(|number| u32::try_from(number).ok()).unwrap_or(1);
            match element.name() {
                "abstractNum" => (list, used) = (number("abstractNumId"), None),
                "num" => (list, used) = (None, number("numId")),
                "lvl" | "lvlOverride" => {
                    level = usize::try_from(number("ilvl").unwrap_or(0)).unwrap_or(0).min(LEVELS - 1);
                }
                "abstractNumId" => {
                    if let Some(used) = used {
                        numbering.uses.entry(used).or_default().list = element.number().unwrap_or(0);
                    }
                }
                "startOverride" => {
                    if let Some(used) = used {
                        let starts = &mut numbering.uses.entry(used).or_default().starts;
                        starts.retain(|(other, _)| *other != level);
                        starts.push((level, start()));
                    }
                }
                name @ ("start" | "numFmt" | "lvlText") => {
                    let Some(list) = list else { continue };
                    let level = &mut numbering.lists.entry(list).or_default().levels[level];
                    match name {
                        "start" => level.start = start(),
                        "numFmt" => level.format = element.value().unwrap_or_default(),
                        _ => level.text = element.value().unwrap_or_default(),
                    }
                }
                _ => {}
            }
        }
        Ok(numbering)
    }

    /// Counts a paragraph of a list, and gives its marker.
    pub(super) fn next(&mut self, used: i32, level: i32) -> Option<String> {
        let used = self.uses.get_mut(&used)?;
        let list = self.lists.get_mut(&used.list)?;
        let level = usize::try_from(level).unwrap_or(0).min(LEVELS - 1);
        if !std::mem::replace(&mut used.begun, true) {
            for (level, start) in &used.starts {
                list.counts[*level] = start.checked_sub(1);
                list.levels[*level].start = *start;
            }
        }
        let start = list.levels[level].start;
        list.counts[level] = Some(list.counts[level].map_or(start, |count| count.saturating_add(1)));
        list.counts[level + 1..].fill(None);
        if list.levels[level].format == "bullet" {
            return Some("- ".to_owned());
        }
        let mut marker = String::new();
        let mut characters = list.levels[level].text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                marker.push(character);
                continue;
            }
            let Some(digit) = characters.next().and_then(|c| c.to_digit(10)).filter(|digit| *digit > 0) else {
                continue;
            };
            let other = digit as usize - 1;
            let count = list.counts[other].unwrap_or(list.levels[other].start);
            marker.push_str(&formatted(count, &list.levels[other].format));
        }
        sheet::list_marker(&marker)
    }
}

fn formatted(count: u32, format: &str) -> String {
    match format {
        "lowerLetter" => letters(count).to_lowercase(),
        "upperLetter" => letters(count),
        "lowerRoman" => roman(count).to_lowercase(),
        "upperRoman" => roman(count),
        "decimalZero" => format!("{count:02}"),
        "none" => String::new(),
        _ => count.to_string(),
    }
}

/// A to Z, then AA to ZZ.
fn letters(count: u32) -> String {
    let Some(index) = count.checked_sub(1).filter(|_| count <= ROMAN_MAX) else { return count.to_string() };
    let letter = char::from(b'A' + (index % 26) as u8);
    letter.to_string().repeat(index as usize / 26 + 1)
}

fn roman(mut count: u32) -> String {
    const SIGNS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if count == 0 || count > ROMAN_MAX {
        return count.to_string();
    }
    let mut roman = String::new();
    for (value, sign) in SIGNS {
        while count >= value {
            roman.push_str(sign);
            count -= value;
        }
    }
    roman
}
