//! Lines of a text, also of those whose line breaks became commas.

use std::ops::Range;

use super::headings;

/// A text whose longest lines have no more characters may be wrapped by hand; beyond it, a line is a paragraph.
const WRAPPED_BYTES_MAX: usize = 140;

/// A shorter line was not wrapped: it ended because its author ended it.
pub(super) const WRAPPED_BYTES_MIN: usize = 40;

/// A line that holds something, without its surrounding white space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its bytes.
    pub(super) range: Range<usize>,
    /// True if a blank line is before it, or nothing.
    pub(super) after_blank: bool,
    /// True if only a comma stands where the line break before it was.
    pub(super) after_comma: bool,
}

/// The lines of `text`.
///
/// The `MTSamples` corpus, and what else went through a CSV file, has commas for line breaks: `PLAN:,1.  CT.,2.  Rest.`
/// Such a comma is known by what stands around it; it is in no line.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut blank = true;
    let mut start = 0;
    for physical in text.split('\n') {
        if physical.trim().is_empty() {
            blank = true;
        } else {
            let mut from = 0;
            for comma in comma_breaks(physical) {
                push(text, start + from..start + comma, (blank && from == 0, from > 0), &mut lines);
                from = comma + 1;
            }
            push(text, start + from..start + physical.len(), (blank && from == 0, from > 0), &mut lines);
            blank = false;
        }
        start += physical.len() + 1;
    }
    lines
}

/// The width at which the author, or a system, broke lines.
pub(super) fn wrap_width(lines: &[Line]) -> usize {
    lines.iter().map(|line| line.range.len()).filter(|length| *length <= WRAPPED_BYTES_MAX).max().unwrap_or(0)
}

/// Whether a line was broken because the next one's first word had no room on it.
pub(super) fn fills(line: &str, next: &str, width: usize) -> bool {
    let first_word = next.split_whitespace().next().map_or(0, str::len);
    (WRAPPED_BYTES_MIN..=WRAPPED_BYTES_MAX).contains(&line.len()) && line.len() + 1 + first_word > width
}

fn push(text: &str, range: Range<usize>, (after_blank, after_comma): (bool, bool), lines: &mut Vec<Line>) {
    let piece = &text[range.clone()];
    let range = range.start + piece.len() - piece.trim_start().len()..range.start + piece.trim_end().len();
    if !range.is_empty() {
        lines.push(Line { range, after_blank, after_comma });
    }
}

/// Where commas stand for line breaks.
fn comma_breaks(line: &str) -> Vec<usize> {
    let mut breaks = Vec::new();
    let mut from = 0;
    for (comma, _) in line.match_indices(',') {
        let (before, after) = (&line[from..comma], &line[comma + 1..]);
        let next = after.chars().next();
        let ends_sentence = before.trim_end().ends_with(['.', '?', '!', ':']);
        let begins_line = next.is_some_and(char::is_uppercase) || is_list_marker(after);
        let after_heading = before.trim_end().ends_with(':') && headings::label(before.trim_start()).is_some();
        let capital_heading = next.is_some_and(|c| !c.is_whitespace()) && is_capital_heading(before.trim());
        if (ends_sentence && begins_line) || after_heading || capital_heading || begins_capital_heading(after) {
            breaks.push(comma);
            from = comma + 1;
        }
    }
    breaks
}

/// "1. " or "12) ".
pub(super) fn is_list_marker(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &text[digits..];
    (1..=2).contains(&digits)
        && rest.starts_with(['.', ')'])
        && rest[1..].chars().next().is_none_or(|c| c.is_whitespace() || c.is_alphabetic())
}

/// A known heading in capitals that a comma follows: `MEDICATIONS,Right now`.
fn is_capital_heading(phrase: &str) -> bool {
    (4..=40).contains(&phrase.len()) && !phrase.chars().any(char::is_lowercase) && headings::known(phrase).is_some()
}

/// `OBJECTIVE:` directly after the comma.
fn begins_capital_heading(after: &str) -> bool {
    after.starts_with(char::is_uppercase)
        && headings::label(after).is_some_and(|length| {
            let label = &after[..length];
            length >= 4 && !label.contains(',') && !label.chars().any(char::is_lowercase)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        lines(text).into_iter().map(|line| &text[line.range]).collect()
    }

    #[test]
    fn lines_end_at_line_breaks() {
        assert_eq!(texts("a\n\n  b \nc"), ["a", "b", "c"]);
        let blank: Vec<bool> = lines("a\n\nb\nc").iter().map(|line| line.after_blank).collect();
        assert_eq!(blank, [true, true, false]);
    }

    #[test]
    fn commas_that_were_line_breaks_end_lines() {
        assert_eq!(
            texts(
                "SUBJECTIVE:,  The patient came.,OBJECTIVE:,  Heart rate 80.,MEDICATIONS,Right now:,1.  Xanax.,2.  None."
            ),
            [
                "SUBJECTIVE:",
                "The patient came.",
                "OBJECTIVE:",
                "Heart rate 80.",
                "MEDICATIONS",
                "Right now:",
                "1.  Xanax.",
                "2.  None."
            ]
        );
        assert_eq!(texts("IMAGING:  ,CT pelvis:  Irregular."), ["IMAGING:", "CT pelvis:  Irregular."]);
    }

    #[test]
    fn other_commas_do_not() {
        for text in
            ["Liver, spleen: normal.", "tooth #3,5,6, 7", "e.g., the lung, approx. 1,200 mL", "No change, stable"]
        {
            assert_eq!(texts(text), [text]);
        }
    }
}
