//! Sections: which part of a text is what.

use std::ops::Range;

use super::headings::{self, Heading};
use super::lines::{self, Line};
use super::margins;
use super::rendition::Marked;
use super::sentences;
use crate::domain::narrative::SectionKind;

/// Share of capital letters from which on capitals say nothing about a line.
const CAPITAL_SHARE_MAX: f64 = 0.6;

/// Words of a line that may be a sentence.
const PROSE_WORDS_MIN: usize = 4;

/// Bytes of a line that is a sentence without its full stop.
const PROSE_BYTES_MIN: usize = 60;

/// A section of some text, by byte offsets into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: SectionKind,
    /// The heading without its colon.
    pub(super) title: Option<Range<usize>>,
    /// Where the text after the heading begins.
    pub(super) body: usize,
    /// True if the title is no known one: it may say something, so that it is a sentence too.
    pub(super) title_speaks: bool,
    /// The whole.
    pub(super) range: Range<usize>,
}

/// The sections of `text`: in order, without gaps, together all of it. `marked` are lines that the format marks as
/// headings.
pub(super) fn parts(text: &str, lines: &[Line], marked: &[Marked]) -> Vec<Part> {
    let capital = is_mostly_capital(text);
    let mut outline = Outline {
        text,
        lines,
        starts: Vec::new(),
        open: Open::default(),
        signs: false,
        is_soap: is_soap(text, lines),
        width: lines::wrap_width(lines),
    };
    let page_heads = margins::page_heads(text, lines);
    for (index, line) in lines.iter().enumerate() {
        let marked = marked.binary_search_by_key(&line.range.start, |marked| marked.range.start).map(|at| &marked[at]);
        if let Ok(Marked { kind: Some(kind), .. }) = marked {
            outline.head_line(line, *kind);
            continue;
        }
        if page_heads.contains(&index) {
            outline.interrupt(line, SectionKind::Header);
            continue;
        }
        let next = lines.get(index + 1).filter(|next| !next.after_blank);
        let may_be_title =
            marked.is_ok() || outline.is_set_off(index, next) || (!capital && stands_out(text, line, next));
        outline.take(index, may_be_title);
    }
    outline.finish()
}

fn is_mostly_capital(text: &str) -> bool {
    let (mut letters, mut capitals) = (0_usize, 0_usize);
    for character in text.chars().filter(|c| c.is_alphabetic()) {
        letters += 1;
        capitals += usize::from(character.is_uppercase());
    }
    capitals as f64 > letters as f64 * CAPITAL_SHARE_MAX
}

/// Whether a note has the headings of its kind by their letters: one of them alone is something else.
fn is_soap(text: &str, lines: &[Line]) -> bool {
    let mut wanted = [&["S:", "O:", "subjective", "objective"][..], &["A:"], &["P:"]].into_iter().peekable();
    for line in lines {
        let content = &text[line.range.clone()];
        let begins = |word: &&str| {
            content
                .get(..word.len())
                .is_some_and(|start| start == *word || word.len() > 2 && start.eq_ignore_ascii_case(word))
        };
        wanted.next_if(|words| words.iter().any(begins));
    }
    wanted.peek().is_none()
}

/// A capital line above text that is not in capitals.
fn stands_out(text: &str, line: &Line, next: Option<&Line>) -> bool {
    let content = &text[line.range.clone()];
    line.after_blank
        && headings::is_capital_title(content)
        && next.is_some_and(|next| text[next.range.clone()].contains(char::is_lowercase))
}

/// A line of signs: "-----", "=====".
fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.bytes().all(|byte| b"-=_~*".contains(&byte))
}

/// How deep a line's signs set it below others: "# NSCLC", "## Lung", and bold below all of these.
fn depth(content: &str) -> usize {
    if content.starts_with("**") { usize::MAX } else { content.bytes().take_while(|byte| *byte == b'#').count() }
}

/// Whether a line is an item of a list; bold is none.
fn is_listed(content: &str) -> bool {
    content.starts_with(['-', '•', '*', '–']) && !content.starts_with("**") || lines::is_list_marker(content)
}

/// Whether what stands before a sentence on its line is a list's number alone.
fn is_marker(before: &str) -> bool {
    !before.contains(char::is_alphabetic)
}

/// Whether a line is the beginning of sentences, and no entry of a list or table.
fn is_prose(content: &str) -> bool {
    content.starts_with(char::is_uppercase)
        && !content.contains(['\t', '|'])
        && !content.contains("   ")
        && content.split_whitespace().count() >= PROSE_WORDS_MIN
        && (content.ends_with(['.', '!', '?']) || content.contains(". ") || content.len() >= PROSE_BYTES_MIN)
}

/// What is known of the section that is being read.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: SectionKind,
    /// Where its heading stands.
    heading: Place,
    /// How deep the signs of its heading set it.
    depth: usize,
}

impl Default for Open {
    fn default() -> Self {
        Self { kind: SectionKind::Other, heading: Place::Nowhere, depth: 0 }
    }
}

/// Where a heading stands towards its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It has none.
    Nowhere,
    /// Alone on its line.
    Above,
    /// Before text on its line.
    Before,
}

struct Start {
    at: usize,
    kind: SectionKind,
    title: Option<Range<usize>>,
    body: usize,
    title_speaks: bool,
}

struct Outline<'t> {
    text: &'t str,
    lines: &'t [Line],
    starts: Vec<Start>,
    open: Open,
    /// True directly below a signature.
    signs: bool,
    /// True if the letters "S:", "O:", "A:" and "P:" are headings.
    is_soap: bool,
    /// The width at which lines were broken.
    width: usize,
}

impl Outline<'_> {
    /// A line between signs, or above a line of signs: "## Tumour board", "**Tumour board**", "Tumour board" over
    /// "=====".
    fn is_set_off(&self, index: usize, next: Option<&Line>) -> bool {
        let line = &self.lines[index];
        let content = &self.text[line.range.clone()];
        let rule = |line: &Line| is_rule(&self.text[line.range.clone()]);
        // Below other text it is that text's last line, and the rule ends them both; over "____" somebody signs.
        let apart = line.after_blank || index.checked_sub(1).is_some_and(|before| rule(&self.lines[before]));
        let underlined = apart
            && !is_listed(content)
            && next.is_some_and(|next| rule(next) && !self.text[next.range.clone()].contains('_'));
        let enclosed = content.starts_with("**") && content.trim_end_matches(':').ends_with("**");
        (underlined || enclosed || content.starts_with("# ") || content.starts_with("##"))
            && headings::may_be_title(content)
    }

    fn take(&mut self, index: usize, may_be_title: bool) {
        let line = &self.lines[index];
        let content = &self.text[line.range.clone()];
        let at = line.range.start;
        if self.open.kind == SectionKind::Addendum && headings::ends_addendum(content) {
            self.open = Open::default();
            self.interrupt(line, SectionKind::Footer);
            return;
        }
        let goes_on = self.signs && !line.after_blank && margins::goes_on_signature(content);
        let continues = content.starts_with(char::is_lowercase)
            && !line.after_blank
            && index.checked_sub(1).is_some_and(|before| self.lines[before].range.len() >= lines::WRAPPED_BYTES_MIN);
        if let Some(kind) = margins::margin(content, continues).or(goes_on.then_some(SectionKind::Signature)) {
            self.interrupt(line, kind);
            self.signs = kind == SectionKind::Signature;
            return;
        }
        self.signs = false;
        if let Some(heading) = self.heading(index).filter(|heading| !self.is_label(line, heading)) {
            self.head(at, &heading, line);
        } else if may_be_title && headings::states_nothing(content) && !self.is_item(content) {
            self.head_unknown(line);
        } else {
            self.continue_or_leave(index);
        }
        self.look_within(line);
    }

    /// The heading that a line begins with, as its neighbours and the open section make it.
    fn heading(&self, index: usize) -> Option<Heading> {
        let content = |line: &Line| &self.text[line.range.clone()];
        let line = content(&self.lines[index]);
        let mut heading = headings::at_line_start(line).or_else(|| headings::of_soap(line).filter(|_| self.is_soap))?;
        let title = &line[heading.lead..heading.title];
        let alone = heading.body == line.len();
        if alone && headings::is_exam_of(title, self.lines.get(index + 1).map_or("", content)) {
            heading.kind = SectionKind::Technique;
        }
        // "Diagnosis" below "Impression and Plan" is a part of it.
        let concludes = matches!(self.open.kind, SectionKind::Impression | SectionKind::Assessment);
        let below = alone && self.open.heading == Place::Above && !self.lines[index].after_blank;
        let minor = title.contains(char::is_lowercase) || self.has_just_begun(self.lines[index].range.start);
        if concludes && below && minor && heading.kind == SectionKind::Other && headings::is_weak(title) {
            heading.kind = self.open.kind;
        }
        Some(heading)
    }

    /// Whether a line between signs is an item of the open section: a problem of an assessment, "# NSCLC". Its signs set
    /// it deeper than the section's heading, or it would be a heading beside that.
    fn is_item(&self, content: &str) -> bool {
        use SectionKind::{Assessment, Impression, Plan};
        matches!(self.open.kind, Impression | Assessment | Plan) && depth(content) > self.open.depth
    }

    /// A line of the margin: what follows belongs to the section that it interrupts.
    fn interrupt(&mut self, line: &Line, kind: SectionKind) {
        self.start(line.range.start, kind, line.range.start, None);
        self.start(line.range.end, self.open.kind, line.range.end, None);
    }

    /// Whether what may be a heading only labels a line of the open section: "Medications: no changes." in an
    /// assessment, "Contrast: mixing artefact." in findings.
    fn is_label(&self, line: &Line, heading: &Heading) -> bool {
        use SectionKind::{
            Assessment, Comparison, FamilyHistory, Findings, Impression, Indication, PastHistory, Plan, Technique,
        };
        let title = &self.text[line.range.clone()][heading.lead..heading.title];
        matches!(heading.kind, PastHistory | FamilyHistory | Technique | Comparison | Indication)
            && matches!(self.open.kind, Assessment | Plan | Impression | Findings)
            && self.open.heading == Place::Above
            && !line.after_blank
            && !self.has_just_begun(line.range.start)
            && line.range.start + heading.body < line.range.end
            && title.contains(char::is_lowercase)
            && !title.contains(' ')
    }

    /// Begins a section with a heading.
    fn head(&mut self, at: usize, heading: &Heading, line: &Line) {
        let body = at + heading.body;
        self.start(at, heading.kind, body, Some(at + heading.lead..at + heading.title));
        let depth = depth(&self.text[at..line.range.end]);
        let place = if body < line.range.end { Place::Before } else { Place::Above };
        self.open = Open { kind: heading.kind, heading: place, depth };
    }

    /// Begins a section with a heading that no table has.
    fn head_unknown(&mut self, line: &Line) {
        let content = &self.text[line.range.clone()];
        let lead = headings::lead(content);
        let title = content.trim_end_matches([':', '*', '_', '#', ' ']).len().max(lead);
        let organs = headings::names_organs_alone(content);
        let kind = if organs { SectionKind::Findings } else { SectionKind::Other };
        self.head(line.range.start, &Heading { kind, lead, title, body: content.len() }, line);
        if let Some(start) = self.starts.last_mut() {
            start.title_speaks = !organs;
        }
    }

    /// Begins a section of a known kind: the line is its heading.
    fn head_line(&mut self, line: &Line, kind: SectionKind) {
        let content = &self.text[line.range.clone()];
        let title = content.trim_end_matches(':').len();
        self.head(line.range.start, &Heading { kind, lead: 0, title, body: content.len() }, line);
    }

    fn start(&mut self, at: usize, kind: SectionKind, body: usize, title: Option<Range<usize>>) {
        if let Some(last) = self.starts.last()
            && last.at == at
        {
            self.starts.pop();
        }
        self.starts.push(Start { at, kind, title, body, title_speaks: false });
    }

    /// Begins an untitled section.
    fn turn(&mut self, at: usize, kind: SectionKind) {
        if kind != self.open.kind {
            self.start(at, kind, at, None);
        }
        self.open = Open { kind, ..Open::default() };
    }

    /// A line without heading: it may still end the section that is open.
    fn continue_or_leave(&mut self, index: usize) {
        use SectionKind::{Comparison, FamilyHistory, History, Indication, Other, PastHistory, Technique};
        let line = &self.lines[index];
        let content = &self.text[line.range.clone()];
        let kind = self.open.kind;
        let listed = is_listed(content);
        if let Some(length) = headings::label(content).filter(|_| !listed) {
            let label = &content[..length];
            if headings::is_organ(label) {
                if matches!(kind, Comparison | Technique | Indication | Other) {
                    self.turn(line.range.start, SectionKind::Findings);
                }
                return;
            }
            let capital = !label.contains(char::is_lowercase);
            // "MEDICATIONS" over "Right now:".
            if self.has_just_begun(line.range.start) && !capital && kind == PastHistory {
                return;
            }
            let leaves = matches!(kind, FamilyHistory | PastHistory | Comparison | Technique | Indication)
                || (capital && matches!(kind, History | SectionKind::Plan));
            if leaves && !(kind == FamilyHistory && headings::is_relative(label)) {
                self.turn(line.range.start, Other);
                return;
            }
        }
        if let Some(kind) = self.left_for(line.range.start, content).filter(|_| !listed && self.begins_sentence(index))
        {
            self.turn(line.range.start, kind);
        } else if self.is_left_at(index, listed) {
            self.turn(line.range.start, Other);
        }
    }

    /// Whether a line cannot belong to the open section any more, by where it stands and how it is written.
    fn is_left_at(&self, index: usize, listed: bool) -> bool {
        use SectionKind::{Comparison, FamilyHistory, History, Indication, PastHistory, Technique};
        let Line { range, after_blank, .. } = &self.lines[index];
        let content = &self.text[range.clone()];
        let prose = || !listed && is_prose(content) && !self.has_just_begun(range.start);
        match (self.open.heading, self.open.kind) {
            // Beside its heading the section is one line, or one paragraph if that goes on.
            (Place::Before, Comparison | Technique) => *after_blank || !listed && self.begins_sentence(index),
            (Place::Before, Indication | History) => *after_blank && !listed,
            (Place::Before, PastHistory) => !listed && (*after_blank || prose() && self.begins_sentence(index)),
            (Place::Before, FamilyHistory) => {
                !listed && (*after_blank || prose() && self.begins_sentence(index) && !headings::is_relative(content))
            }
            // Below it, a list that has come to its end is not followed by prose of its own.
            (Place::Above, Comparison | Technique | PastHistory) => *after_blank && prose(),
            (Place::Above, FamilyHistory) => *after_blank && prose() && !headings::is_relative(content),
            _ => false,
        }
    }

    /// What a sentence belongs to that cannot belong to the open section: it says what was seen, or how the patient is.
    fn left_for(&self, at: usize, sentence: &str) -> Option<SectionKind> {
        use SectionKind::{Comparison, FamilyHistory, Findings, Other, Technique};
        match self.open.kind {
            _ if self.has_just_begun(at) => None,
            Comparison | Technique => headings::tells_finding(sentence).then_some(Findings),
            FamilyHistory => {
                ["The patient ", "Patient "].iter().any(|word| sentence.starts_with(word)).then_some(Other)
            }
            _ => None,
        }
    }

    /// Whether a line does not go on with a sentence of the line before it.
    fn begins_sentence(&self, index: usize) -> bool {
        let Some(before) = index.checked_sub(1).map(|before| &self.lines[before]) else { return true };
        let line = &self.lines[index];
        let (last, content) = (&self.text[before.range.clone()], &self.text[line.range.clone()]);
        let ended = last.ends_with(['.', '!', '?', ')', ':']);
        let capital = content.starts_with(char::is_uppercase);
        let cut_short = !lines::fills(last, content, self.width) && !sentences::ends_open(last);
        line.after_blank || line.after_comma || ended || (capital && cut_short)
    }

    /// Whether nothing of the open section stands before `at`.
    fn has_just_begun(&self, at: usize) -> bool {
        let blank = |start: &Start| start.body <= at && self.text[start.body..at].trim().is_empty();
        self.starts.last().is_none_or(blank)
    }

    /// Headings within a line, after a sentence: "… unchanged. Impression: stable."
    fn look_within(&mut self, line: &Line) {
        let mut leave_at_next_sentence = false;
        for at in sentence_starts(self.text, &line.range) {
            if self.starts.last().is_some_and(|start| at < start.body || start.at == at) {
                continue;
            }
            let rest = &self.text[at..line.range.end];
            if let Some(heading) = headings::within_line(rest) {
                self.head(at, &heading, line);
                leave_at_next_sentence =
                    matches!(heading.kind, SectionKind::Comparison | SectionKind::Technique | SectionKind::Indication);
            } else if leave_at_next_sentence {
                self.turn(at, SectionKind::Other);
                leave_at_next_sentence = false;
            } else if let Some(kind) = self.left_for(at, rest).filter(|_| !is_marker(&self.text[line.range.start..at]))
            {
                self.turn(at, kind);
            }
        }
    }

    fn finish(mut self) -> Vec<Part> {
        if self.starts.first().is_none_or(|first| !self.text[..first.at].trim().is_empty()) {
            self.starts.insert(0, Start { at: 0, kind: SectionKind::Other, title: None, body: 0, title_speaks: false });
        }
        let ends: Vec<usize> = self.starts.iter().skip(1).map(|start| start.at).chain([self.text.len()]).collect();
        let mut parts: Vec<Part> = Vec::with_capacity(ends.len());
        for (start, end) in self.starts.into_iter().zip(ends) {
            let from = parts.last().map_or(0, |part| part.range.end);
            let blank = self.text[start.at..end].trim().is_empty();
            let same = parts.last().is_some_and(|last| last.kind == start.kind);
            // A resumed section of which nothing is left, or that follows its like.
            if let Some(last) = parts.last_mut()
                && start.title.is_none()
                && (blank || same)
            {
                last.range.end = end;
            } else {
                let Start { kind, title, body, title_speaks, .. } = start;
                parts.push(Part { kind, title, body, title_speaks, range: from..end });
            }
        }
        parts
    }
}

/// Where something begins within a line that may be a heading: after a sentence, or a word in capitals with a colon.
fn sentence_starts<'t>(text: &'t str, line: &Range<usize>) -> impl Iterator<Item = usize> + 't {
    let start = line.start;
    let content = &text[line.clone()];
    content.char_indices().filter(|(_, c)| c.is_whitespace()).filter_map(move |(blank, c)| {
        let after = blank + c.len_utf8();
        let rest = &content[after..];
        let before = content[..blank].chars().next_back()?;
        let first = rest.chars().next()?;
        if first.is_whitespace() || !first.is_alphabetic() {
            return None;
        }
        let sentence = content[..blank].trim_end().ends_with(['.', '?', '!', ')', ';', ',']);
        let capital_heading = || {
            headings::label(rest)
                .is_some_and(|length| length >= 7 && !rest[..length].contains(|c: char| c.is_lowercase() || c == ','))
                && !before.is_uppercase()
        };
        let capital_heading = || capital_heading() || (!before.is_uppercase() && headings::is_capital_word(rest));
        let plausible = (sentence && !content[..blank].trim_end().ends_with([',', ';'])) || capital_heading();
        plausible.then_some(start + after)
    })
}

#[cfg(test)]
mod tests;
