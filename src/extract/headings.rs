//! The headings and line labels that reports are written with, and what they are for.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::lines::is_list_marker;
use super::words::{KNOWN, MODALITIES, ORGANS, QUALIFIERS, STATING, WEAK, Words};
use crate::domain::narrative::SectionKind;

/// Bytes of a heading: "HISTORY OF PRESENT ILLNESS AND INTERVAL ONCOLOGIC HISTORY" has 56.
const HEADING_BYTES_MAX: usize = 70;

/// Words of a heading.
const HEADING_WORDS_MAX: usize = 8;

/// Digits of a date: "3/4/26" has as few as that, a list's number fewer.
const DATE_DIGITS_MIN: usize = 4;

/// A heading at the start of some text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) kind: SectionKind,
    /// Where the title begins, after signs like `#`.
    pub(super) lead: usize,
    /// Where it ends, before its colon.
    pub(super) title: usize,
    /// Bytes up to the text that follows it.
    pub(super) body: usize,
}

/// What a heading is for, if it is a known one.
pub(super) fn known(phrase: &str) -> Option<SectionKind> {
    let phrase = normalised(phrase);
    named(&phrase).or_else(|| named(undated(&phrase)?).filter(|kind| SPEAKING.contains(kind)))
}

/// Kinds whose headings are known with a date too: "Comparison 04/12: smaller" is a sentence.
const SPEAKING: [SectionKind; 4] =
    [SectionKind::Impression, SectionKind::Findings, SectionKind::Assessment, SectionKind::Plan];

fn named(phrase: &str) -> Option<SectionKind> {
    if let Some(kind) = exact(phrase) {
        return Some(kind);
    }
    let mut begun = ["addendum", "addended", "late entry"].into_iter().filter_map(|word| phrase.strip_prefix(word));
    if begun.any(goes_on_addendum) {
        return Some(SectionKind::Addendum);
    }
    let joined = phrase.replace(['/', '&', ','], " and ");
    let parts: Vec<&str> = joined.split(" and ").map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > 1
        && let Some(kinds) = parts.iter().map(|part| exact(part)).collect::<Option<Vec<_>>>()
    {
        // What is also a conclusion is one: "FINDINGS/IMPRESSION".
        let conclusion = kinds.iter().find(|kind| **kind == SectionKind::Impression);
        return conclusion.or(kinds.first()).copied();
    }
    let (first, rest) = phrase.split_once(' ')?;
    if QUALIFIERS.has(first) {
        return exact(rest);
    }
    by_last_word(phrase)
}

/// "ct impression 3/4/2026" without its date.
fn undated(phrase: &str) -> Option<&str> {
    let name = phrase.trim_end_matches(|c: char| c.is_ascii_digit() || "/.-: @".contains(c));
    (!name.is_empty() && phrase[name.len()..].contains(['/', '-'])).then_some(name)
}

fn exact(phrase: &str) -> Option<SectionKind> {
    static KINDS: LazyLock<HashMap<&str, SectionKind>> = LazyLock::new(|| {
        KNOWN.iter().flat_map(|(kind, phrases)| phrases.split(", ").map(|phrase| (phrase, *kind))).collect()
    });
    KINDS.get(phrase).copied()
}

/// Lower case, single spaces, without a remark in brackets at its end.
fn normalised(phrase: &str) -> String {
    let phrase = phrase.split(['(', '[']).next().unwrap_or_default();
    let phrase = phrase.trim_matches(|c: char| c.is_whitespace() || "*_#=-–—.".contains(c));
    phrase.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// "ANGIOPLASTY CONCLUSION", "DIAGNOSTIC OPINION".
fn by_last_word(phrase: &str) -> Option<SectionKind> {
    let words = phrase.split(' ').count();
    match phrase.rsplit(' ').next()? {
        "impression" | "conclusion" | "opinion" if words <= 4 => Some(SectionKind::Impression),
        "findings" if words <= 3 => Some(SectionKind::Findings),
        "recommendations" | "recommendation" if words <= 3 => Some(SectionKind::Plan),
        "history" if words <= 6 => Some(history(phrase)),
        "technique" if words <= 3 => Some(SectionKind::Technique),
        "addendum" if words <= 3 => Some(SectionKind::Addendum),
        _ => None,
    }
}

/// What a heading that ends in "history" is for.
fn history(phrase: &str) -> SectionKind {
    let names = |words: &[&str]| words.iter().any(|word| phrase.contains(word));
    if names(&["family", "familial"]) {
        SectionKind::FamilyHistory
    } else if names(&["past", "medical", "surgical", "social", "personal", "psychiatric", "smoking", "drug"]) {
        SectionKind::PastHistory
    } else {
        SectionKind::History
    }
}

/// The heading that `line` starts with, with its colon, alone on the line, or in capitals before other text.
pub(super) fn at_line_start(line: &str) -> Option<Heading> {
    let lead = lead(line);
    let inner = &line[lead..];
    let mut heading = with_colon(inner)
        .or_else(|| enclosed(inner, &line[..lead]))
        .or_else(|| addendum(inner))
        .or_else(|| alone(inner))
        .or_else(|| first_cell(inner))
        .or_else(|| with_dash(inner))
        .or_else(|| before_list(inner))
        .or_else(|| capitals_then_text(inner))?;
    let title = &inner[..heading.title];
    if is_exam(title) && !names_modality(&inner[heading.body..]) {
        heading.kind = SectionKind::Findings;
    }
    Some(Heading { lead, title: heading.title + lead, body: heading.body + lead, ..heading })
}

/// Bytes of the signs before a heading: `##`, `**`, `[`, `=== `.
pub(super) fn lead(line: &str) -> usize {
    let signs = line.len() - line.trim_start_matches(['*', '#', '_', ' ', '[', '<', '=', '~', '>']).len();
    let dashes = line[signs..].len() - line[signs..].trim_start_matches('-').len();
    let blank = line[signs + dashes..].starts_with(' ');
    // One dash begins a list item.
    if dashes >= 2 { signs + dashes + usize::from(blank) } else { signs }
}

/// "**Impression** stable", "[IMPRESSION] stable": between signs in place of the colon.
fn enclosed(text: &str, lead: &str) -> Option<Heading> {
    let close = match lead.trim_end().chars().next_back()? {
        '*' => '*',
        '_' => '_',
        '[' => ']',
        '<' => '>',
        _ => return None,
    };
    let title = text.find(close).filter(|title| *title <= HEADING_BYTES_MAX)?;
    let kind = known(&text[..title])?;
    let rest = text[title..].trim_start_matches([close, ':', ' ', '-', '–', '—']);
    Some(Heading {
        kind,
        lead: 0,
        title: text[..title].trim_end_matches([' ', ':']).len(),
        body: text.len() - rest.len(),
    })
}

/// "ADDENDUM #2 01/03/2024 10:30: Seen again", "11/26/2026 ADDENDUM   STATUS: COMPLETED": with its number and time, and
/// colons in them.
fn addendum(text: &str) -> Option<Heading> {
    let dated = text.trim_start_matches(|c: char| c.is_ascii_digit() || "/.-:, @".contains(c));
    let after = dated.strip_prefix("ADDENDUM").or_else(|| dated.strip_prefix("Addendum"))?;
    let title = text.len() - after.len();
    if dated.len() < text.len() {
        let rest = after.trim_start_matches([' ', '*', ':']);
        let body = if rest.starts_with("STATUS:") { text.len() } else { text.len() - rest.len() };
        let date = text[..text.len() - dated.len()].bytes().filter(u8::is_ascii_digit).count() >= DATE_DIGITS_MIN;
        let whole = date && !after.starts_with(char::is_alphanumeric);
        return whole.then_some(Heading { kind: SectionKind::Addendum, lead: 0, title, body });
    }
    let length = after.find(": ").filter(|length| after[..*length].trim_start().starts_with(NUMBERS))?;
    let title = title + length;
    Some(Heading { kind: SectionKind::Addendum, lead: 0, title, body: title + 2 })
}

/// "*** END OF ADDENDUM ***", "Addendum ends".
pub(super) fn ends_addendum(line: &str) -> bool {
    matches!(
        normalised(line).trim_end_matches(':'),
        "end of addendum" | "end addendum" | "addendum ends" | "addendum end"
    )
}

/// What the number or date of an addendum begins with.
const NUMBERS: [char; 15] = ['#', '(', '-', '–', '[', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/// Whether what follows the word belongs to the heading: ", two days later", " 12/3", " to report of May".
fn goes_on_addendum(rest: &str) -> bool {
    let rest = rest.trim_start();
    let relates = matches!(rest.split(' ').next(), Some("to" | "by" | "dated" | "from" | "for" | "report" | "begins"));
    rest.starts_with(',') || rest.starts_with(NUMBERS) || (relates && states_nothing(rest))
}

fn is_exam(title: &str) -> bool {
    matches!(normalised(title).as_str(), "exam" | "examination")
}

/// "EXAM" above "CT CHEST".
pub(super) fn is_exam_of(title: &str, below: &str) -> bool {
    is_exam(title) && names_modality(below)
}

/// Whether a heading is an ordinary word too.
pub(super) fn is_weak(title: &str) -> bool {
    WEAK.has(&normalised(title))
}

/// Whether a text begins with an imaging study: "EXAM: CT chest" names one, "Exam: well" is what a hand found.
fn names_modality(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .take(6)
        .any(|word| MODALITIES.has(&word.to_lowercase()))
}

/// The heading that a sentence within a line starts with.
pub(super) fn within_line(rest: &str) -> Option<Heading> {
    let heading = with_colon(rest)
        .or_else(|| capitals_then_text(rest))
        .or_else(|| dictated(rest))
        .or_else(|| before_list(rest))?;
    let phrase = normalised(&rest[..heading.title]);
    (!WEAK.has(&phrase)).then_some(heading)
}

fn with_colon(text: &str) -> Option<Heading> {
    let title = label(text).or_else(|| numbered_label(text))?;
    let kind = known(&text[..title])?;
    let rest = text[title..].trim_start_matches([':', '*', '_', ' ', '-']);
    Some(Heading { kind, lead: 0, title, body: text.len() - rest.len() })
}

/// Bytes of a label in capitals before a list that begins at once: "IMPRESSION:1. Stable".
fn numbered_label(text: &str) -> Option<usize> {
    let colon = text.bytes().take(HEADING_BYTES_MAX).position(|byte| byte == b':')?;
    let label = text[..colon].trim_end();
    let capitals = label.starts_with(char::is_uppercase) && !label.contains(char::is_lowercase);
    let list = text[colon + 1..].starts_with(|c: char| c.is_ascii_digit()) && is_list_marker(&text[colon + 1..]);
    (capitals && list).then_some(label.len())
}

fn alone(line: &str) -> Option<Heading> {
    let phrase = line.trim_end_matches(|c: char| c.is_whitespace() || "*_#=-–—.,~]<>:".contains(c));
    let dictated = matches!(phrase, "impression" | "conclusion" | "findings") && !line.ends_with('.');
    let plausible = phrase.len() <= HEADING_BYTES_MAX && (dictated || phrase.starts_with(char::is_uppercase));
    let kind = if plausible { known(phrase)? } else { return None };
    Some(Heading { kind, lead: 0, title: phrase.len(), body: line.len() })
}

/// "Impression – stable": a dash between spaces in place of the colon.
fn with_dash(line: &str) -> Option<Heading> {
    let (at, dash) = line.match_indices([' ', '\t']).find_map(|(at, blank)| {
        let rest = &line[at + blank.len()..];
        ["- ", "– ", "— "].into_iter().find(|dash| rest.starts_with(*dash)).map(|dash| (at, dash))
    })?;
    let phrase = &line[..at];
    if phrase.len() > HEADING_BYTES_MAX || !phrase.starts_with(char::is_uppercase) {
        return None;
    }
    Some(Heading { kind: exact(&phrase.to_lowercase())?, lead: 0, title: at, body: at + 1 + dash.len() })
}

/// "Indication | Pain": the first of two cells of a table row.
fn first_cell(line: &str) -> Option<Heading> {
    let separator = if line.contains('\t') { "\t" } else { " | " };
    let (cell, text) = line.split_once(separator).filter(|(_, text)| !text.contains(separator))?;
    let kind = known(cell).filter(|_| cell.len() <= HEADING_BYTES_MAX)?;
    Some(Heading { kind, lead: 0, title: cell.len(), body: line.len() - text.len() })
}

/// "IMPRESSION stable", "FINDINGS - The liver": a known word in capitals before text that is not in capitals.
fn capitals_then_text(text: &str) -> Option<Heading> {
    let title = text.find(|c: char| !c.is_alphabetic())?;
    let word = &text[..title];
    if word.len() < 4 || word.chars().any(char::is_lowercase) {
        return None;
    }
    let lower = word.to_lowercase();
    if WEAK.has(&lower) {
        return None;
    }
    let kind = exact(&lower)?;
    let after = &text[title..];
    let rest = after.trim_start_matches([' ', '\t', '-', '–', '—', '.', '=', ',', '|']);
    let dash = after.trim_start().starts_with(['-', '–', '—', '=']);
    let next: &str = rest.split_whitespace().next().unwrap_or_default();
    let concluding = kind == SectionKind::Impression;
    let capital_text = next.chars().count() > 1 && !next.chars().any(char::is_lowercase);
    let phrase_goes_on = matches!(
        next.to_lowercase().as_str(),
        "of" | "is" | "was" | "are" | "on" | "and" | "from" | "section" | "above" | "below"
    );
    let heading = dash || (rest.len() < after.len() && !phrase_goes_on && (concluding || !capital_text));
    heading.then_some(Heading { kind, lead: 0, title, body: text.len() - rest.len() })
}

/// Whether a text begins with a word in capitals that heads what was seen or concluded, and that its author set apart by
/// its capitals alone: "lungs clear IMPRESSION no recurrence".
pub(super) fn is_capital_word(text: &str) -> bool {
    capitals_then_text(text)
        .is_some_and(|heading| matches!(heading.kind, SectionKind::Findings | SectionKind::Impression))
}

/// "Impression 1. Stable": a list that begins on its heading's line in place of the colon.
fn before_list(text: &str) -> Option<Heading> {
    let start = start_of(text);
    let title = [" 1. ", " 1) ", " #1 "].iter().find_map(|marker| start.find(marker))?;
    let phrase = text[..title].trim_end();
    let kind = exact(&phrase.to_lowercase()).filter(|_| phrase.starts_with(char::is_alphabetic) && !is_weak(phrase))?;
    Some(Heading { kind, lead: 0, title: phrase.len(), body: title + 1 })
}

/// "A: Complete response": the letters that stand for the parts of a note.
pub(super) fn of_soap(line: &str) -> Option<Heading> {
    let kind = match line.get(..2)? {
        "S:" | "A:" => SectionKind::Assessment,
        "O:" => SectionKind::Findings,
        "P:" => SectionKind::Plan,
        _ => return None,
    };
    Some(Heading { kind, lead: 0, title: 1, body: line.len() - line[2..].trim_start().len() })
}

/// As much of a text as may be a heading.
fn start_of(text: &str) -> &str {
    let mut end = text.len().min(HEADING_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// "impression good response": a dictated heading that nobody typed a colon for.
fn dictated(text: &str) -> Option<Heading> {
    let word = ["impression ", "conclusion "].into_iter().find(|word| text.starts_with(word))?;
    let next = text[word.len()..].split_whitespace().next().unwrap_or_default();
    let goes_on = ["of", "is", "was", "from", "on", "that", "and", "drawn", "remains"].contains(&next);
    (!goes_on).then_some(Heading { kind: SectionKind::Impression, lead: 0, title: word.len() - 1, body: word.len() })
}

/// Bytes of the label that `text` starts with, before its colon: "Liver", "Right upper lobe", "IMPRESSION".
pub(super) fn label(text: &str) -> Option<usize> {
    if !text.starts_with(char::is_alphabetic) {
        return None;
    }
    let colon = start_of(text).find(':')?;
    let phrase = text[..colon].trim_end_matches([' ', '*', '_']);
    let plain = |c: char| c.is_alphanumeric() || " /,&()'’-–+.*\t".contains(c);
    let sentence = phrase.contains(". ") || phrase.ends_with(char::is_numeric) && phrase.len() < 3;
    let after = text[colon + 1..].chars().next();
    let ends = after.is_none_or(|c| !c.is_ascii_digit() && c != '/' && c != ':');
    let words = phrase.split_whitespace().count();
    (phrase.chars().all(plain) && !sentence && ends && words <= HEADING_WORDS_MAX).then_some(phrase.len())
}

/// Whether a label names an organ, a region or a body system.
pub(super) fn is_organ(label: &str) -> bool {
    label
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .take(6)
        .any(|word| ORGANS.has(&word.to_lowercase()))
}

/// Whether a title is organs and regions, and no examination of them: "CHEST", "ABDOMEN AND PELVIS".
pub(super) fn names_organs_alone(title: &str) -> bool {
    let mut words = title.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    words.all(|word| matches!(word, "AND" | "and") || ORGANS.has(&word.to_lowercase()))
}

/// Whether a label names a relative: a line of the family history.
pub(super) fn is_relative(label: &str) -> bool {
    static RELATIVES: Words = Words::new(
        "mother, father, sister, sisters, brother, brothers, aunt, uncle, grandmother, grandfather, cousin, \
         son, daughter, children, maternal, paternal, siblings, parents",
    );
    label.split(|c: char| !c.is_alphabetic()).any(|word| RELATIVES.has(&word.to_lowercase()))
}

/// Whether a sentence says what was seen: "There is a mass", "New nodule", "The liver lesion is larger", "Lungs: clear".
pub(super) fn tells_finding(sentence: &str) -> bool {
    let words = || sentence.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    let first: Vec<String> = words().take(2).collect();
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let opens = matches!(first[..], ["there", "is" | "are"] | ["new", ..] | ["no", "new" | "evidence"]);
    let mut subject = words().filter(|word| !matches!(word.as_str(), "the" | "a" | "an")).take(2).peekable();
    // "CT abdomen of May" is a study, and "general" what an anaesthetic is.
    let study = subject.peek().is_some_and(|word| MODALITIES.has(word));
    opens || !study && subject.any(|word| ORGANS.has(&word) && word != "general")
}

/// Whether a line in capitals can be a heading that is not known: short, and stating nothing.
pub(super) fn is_capital_title(line: &str) -> bool {
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    letters >= 4
        && line.len() <= HEADING_BYTES_MAX
        && line.split_whitespace().count() <= HEADING_WORDS_MAX
        && !line.chars().any(char::is_lowercase)
        && !line.ends_with(['.', ',', ';', '?', '!'])
        && !line.contains('|')
        && states_nothing(line)
}

/// Whether a line that is set off from the text can be a title: short, and no sentence.
pub(super) fn may_be_title(line: &str) -> bool {
    line.len() <= HEADING_BYTES_MAX
        && line.split_whitespace().count() <= HEADING_WORDS_MAX
        && line.contains(char::is_alphabetic)
        && !line.trim_end_matches(['*', '_']).ends_with(['.', ',', ';', '?', '!'])
}

/// Whether no word of a title says something about the patient.
pub(super) fn states_nothing(title: &str) -> bool {
    !title.split(|c: char| !c.is_alphanumeric()).any(|word| STATING.has(&word.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use SectionKind::{
        Addendum, Assessment, Comparison, FamilyHistory, Findings, History, Impression, Indication, PastHistory, Plan,
        Technique,
    };

    #[test]
    fn headings_are_known_in_every_usual_writing() {
        let table = [
            ("IMPRESSION:", Impression, ""),
            ("Impression: Stable disease.", Impression, "Stable disease."),
            ("impression: stable", Impression, "stable"),
            ("**Impression:** Stable", Impression, "Stable"),
            ("IMPRESSION (original):", Impression, ""),
            ("IMPRESSION more and larger mets", Impression, "more and larger mets"),
            ("IMPRESSION - STABLE", Impression, "STABLE"),
            ("Final Diagnosis", Impression, ""),
            ("ASSESSMENT AND PLAN:", Assessment, ""),
            ("Assessment & Plan:", Assessment, ""),
            ("IMPRESSION/PLAN: x", Impression, "x"),
            ("HISTORY OF PRESENT ILLNESS:  The patient", History, "The patient"),
            ("FAMILY HISTORY", FamilyHistory, ""),
            ("Past Medical History:", PastHistory, ""),
            ("Clinical information: x", Indication, "x"),
            ("FINDINGS The lungs are clear", Findings, "The lungs are clear"),
            ("COMPARISON: None.", Comparison, "None."),
            ("Technique: x", Technique, "x"),
            ("Plan", Plan, ""),
            ("Impression – stable", Impression, "stable"),
            ("EXAM: CT chest", Technique, "CT chest"),
            ("Exam: Nodes of 2 cm", Findings, "Nodes of 2 cm"),
            ("Reason for exam | Pain", Indication, "Pain"),
            ("ADDENDUM, two days later", Addendum, ""),
            ("Addendum 12/3: x", Addendum, "x"),
            ("ADDENDUM #2 01/03/2024 10:30: Seen again", Addendum, "Seen again"),
            ("[IMPRESSION]", Impression, ""),
            ("[IMPRESSION]: Stable", Impression, "Stable"),
            ("[Findings] The liver is normal", Findings, "The liver is normal"),
            ("<IMPRESSION> Stable", Impression, "Stable"),
            ("**Impression** Stable", Impression, "Stable"),
            ("__Impression__", Impression, ""),
            ("## Assessment and Plan", Assessment, ""),
            ("=== FINDINGS ===", Findings, ""),
            ("--- IMPRESSION ---", Impression, ""),
            ("IMPRESSION -", Impression, ""),
            ("IMPRESSION :", Impression, ""),
            ("IMPRESSION:1. Stable", Impression, "1. Stable"),
            ("IMPRESSION. Stable", Impression, "Stable"),
            ("Impression\tStable", Impression, "Stable"),
            ("FINDINGS/IMPRESSION:", Impression, ""),
            ("IMPRESSION AND RECOMMENDATIONS:", Impression, ""),
            ("CT CHEST IMPRESSION:", Impression, ""),
            ("IMPRESSION (CT of 1/2/2024): Stable", Impression, "Stable"),
            ("Final Pathologic Diagnosis:", Impression, ""),
            ("MICROSCOPIC DESCRIPTION:", Findings, ""),
            ("GROSS DESCRIPTION: Received fresh", Findings, "Received fresh"),
            ("SYNOPTIC REPORT", Findings, ""),
            ("INTERVAL HISTORY: Well", Assessment, "Well"),
            ("ONCOLOGIC HISTORY:", History, ""),
            ("CC: Cough", Indication, "Cough"),
            ("HPI: x", History, "x"),
            ("Current Outpatient Medications:", PastHistory, ""),
            ("Problem List", PastHistory, ""),
            ("TREATMENT RESPONSE: Partial", Assessment, "Partial"),
            ("BEST OVERALL RESPONSE: PR", Impression, "PR"),
            ("RECIST 1.1", Findings, ""),
            ("RADIATION DOSE: 12 mGy", Technique, "12 mGy"),
            ("PRIOR EXAMS: None", Comparison, "None"),
        ];
        known_as(&table);
    }

    fn known_as(table: &[(&str, SectionKind, &str)]) {
        for (line, kind, rest) in table {
            let heading = at_line_start(line).unwrap_or_else(|| panic!("no heading: {line}"));
            assert_eq!((heading.kind, &line[heading.body..]), (*kind, *rest), "{line}");
        }
    }

    #[test]
    fn headings_with_dates_before_lists_and_in_short_are_known() {
        known_as(&[
            ("CT IMPRESSION 3/4/2026: Smaller", Impression, "Smaller"),
            ("IMPRESSION 3/4/26:", Impression, ""),
            ("Impression 1. Smaller", Impression, "1. Smaller"),
            ("impression", Impression, ""),
            ("Impr:", Impression, ""),
            ("Tumor Response Assessment", Impression, ""),
            ("History of presenting complaint", History, ""),
            ("Prior Imaging", History, ""),
            ("Past Surg Hx:", PastHistory, ""),
            ("Home Meds:", PastHistory, ""),
            ("FMHx: x", FamilyHistory, "x"),
            ("11/26/2026 ADDENDUM", Addendum, ""),
            ("11/26/2026 10:15 ADDENDUM    STATUS: COMPLETED", Addendum, ""),
            ("Addended by: A. Example", Addendum, "A. Example"),
            ("Late Entry for 12/02/2026:", Addendum, ""),
            ("Addendum Begins", Addendum, ""),
        ]);
    }

    #[test]
    fn sentences_and_labels_are_no_headings() {
        for line in [
            "Liver: Two cysts.",
            "Impression of the radiologist is stable disease.",
            "Findings are stable.",
            "FINDINGS CONSISTENT WITH PROGRESSION",
            "Time: 10:30",
            "The impression was good: stable.",
            "Plan to repeat CT",
            "1. IMPRESSION",
            "- Impression: stable",
            "[ ] Stable disease",
            "Addendum to the report of May was read",
            "New lesions: none",
            "Target lesion: 12 mm",
            "IMPRESSION OF STABILITY",
            "IMPRESSION SECTION",
            "Comparison 04/12: smaller",
            "impression.",
            "2. Addendum",
            "A: Complete response",
        ] {
            assert_eq!(at_line_start(line), None, "{line}");
        }
    }

    #[test]
    fn sentences_that_tell_what_was_seen_are_known() {
        for sentence in
            ["There is a mass.", "New nodule.", "No new lesion.", "The liver lesion is larger.", "Lungs: clear"]
        {
            assert!(tells_finding(sentence), "{sentence}");
        }
        for sentence in ["Contrast was given.", "CT abdomen of June.", "Oral general anesthesia.", "No prior PET."] {
            assert!(!tells_finding(sentence), "{sentence}");
        }
    }

    #[test]
    fn a_capital_line_that_states_something_is_no_title() {
        assert!(is_capital_title("CT CHEST, ABDOMEN AND PELVIS"));
        assert!(!is_capital_title("NO EVIDENCE OF RECURRENCE"));
        assert!(!is_capital_title("STABLE METASTASES"));
    }

    #[test]
    fn the_tables_are_written_as_they_are_searched() {
        for (_, phrases) in KNOWN {
            for phrase in phrases.split(", ") {
                assert_eq!(phrase, normalised(phrase));
            }
        }
    }
}
