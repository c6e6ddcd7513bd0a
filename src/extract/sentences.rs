//! Sentences: what the model reads one by one.

use std::ops::Range;

use super::boundary;
use super::headings;
use super::lines::{self, Line};
use super::sections::Part;
use super::words::Words;

/// A text whose longest lines have no more characters may be wrapped by hand; beyond it, a line is a paragraph.
const WRAPPED_LINE_BYTES_MAX: usize = 140;

/// A shorter line was not wrapped: it ended because its author ended it.
const WRAPPED_LINE_BYTES_MIN: usize = 40;

/// Bytes within brackets in which a full stop ends no sentence; a longer bracket was probably never closed.
const BRACKET_BYTES_MAX: usize = 300;

/// Words with which neither a sentence ends nor a note in catchwords begins.
static LINKING: Words = Words::new("and, or, of, with, to, from, by, for, is, was, are, were, has, had, which, that");

/// The sentences of `text`: trimmed, in order, and the index of the section that each belongs to.
pub(super) fn sentences(text: &str, lines: &[Line], parts: &[Part]) -> Vec<(Range<usize>, usize)> {
    let width = wrap_width(lines);
    let mut sentences = Vec::new();
    let mut first = 0;
    for (index, part) in parts.iter().enumerate() {
        let body = part.body.max(part.range.start)..part.range.end;
        while first < lines.len() && lines[first].range.end <= body.start {
            first += 1;
        }
        for paragraph in paragraphs(text, &lines[first..], &body, width) {
            split(text, paragraph, |sentence| sentences.push((sentence, index)));
        }
    }
    sentences
}

/// The width at which the author, or a system, broke lines.
fn wrap_width(lines: &[Line]) -> usize {
    lines.iter().map(|line| line.range.len()).filter(|length| *length <= WRAPPED_LINE_BYTES_MAX).max().unwrap_or(0)
}

/// Runs of lines that belong together, within `body`.
fn paragraphs(text: &str, lines: &[Line], body: &Range<usize>, width: usize) -> Vec<Range<usize>> {
    let mut paragraphs: Vec<Range<usize>> = Vec::new();
    let mut whole_line = false;
    for line in lines {
        if line.range.start >= body.end {
            break;
        }
        let range = line.range.start.max(body.start)..line.range.end.min(body.end);
        if range.start >= range.end {
            continue;
        }
        match paragraphs.last_mut() {
            Some(last) if whole_line && wraps(text, last, line, width) => last.end = range.end,
            _ => paragraphs.push(range.clone()),
        }
        whole_line = range.end == line.range.end;
    }
    paragraphs
}

/// Whether `line` goes on with what the paragraph before it says.
fn wraps(text: &str, paragraph: &Range<usize>, line: &Line, width: usize) -> bool {
    let content = &text[line.range.clone()];
    if begins_anew(content) {
        return false;
    }
    let before = &text[paragraph.clone()];
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    if last_line.ends_with(':') {
        // "LIVER:" on its own line belongs to what follows; "Measured today:" may head a list.
        return headings::label(before).is_some_and(|length| {
            length + 1 == before.len() && (!line.after_blank || headings::is_organ(&before[..length]))
        });
    }
    if line.after_blank || line.after_comma || is_row(last_line) {
        return false;
    }
    let ended = last_line.ends_with(['.', '?', '!', ';']);
    let first_word = content.split_whitespace().next().map_or(0, str::len);
    let full = (WRAPPED_LINE_BYTES_MIN..=WRAPPED_LINE_BYTES_MAX).contains(&last_line.len())
        && last_line.len() + 1 + first_word > width;
    let lower = content.starts_with(char::is_lowercase);
    let goes_on = ends_open(last_line)
        || content.split(' ').next().is_some_and(|word| LINKING.has(word))
        || (lower && last_line.len() >= WRAPPED_LINE_BYTES_MIN);
    full || (!ended && goes_on)
}

/// Whether a line ends in the middle of a phrase.
fn ends_open(line: &str) -> bool {
    line.ends_with(',') || line.rsplit(' ').next().is_some_and(|word| LINKING.has(word) || matches!(word, "the" | "a"))
}

/// A list item, table row or labelled line.
fn begins_anew(line: &str) -> bool {
    lines::is_list_marker(line) || bullet(line) > 0 || is_row(line) || headings::label(line).is_some()
}

fn is_row(line: &str) -> bool {
    line.contains('\t') || line.contains(" | ")
}

/// Bytes of the bullet that `line` starts with.
fn bullet(line: &str) -> usize {
    let rest = line.trim_start_matches(['-', '•', '*', '–', '—', '·', '▪', '●', '○', '■']);
    let length = line.len() - rest.len();
    if (1..=3).contains(&length) && rest.starts_with([' ', '\t']) { length } else { 0 }
}

/// Gives the sentences of one paragraph to `found`.
fn split(text: &str, paragraph: Range<usize>, mut found: impl FnMut(Range<usize>)) {
    let content = &text[paragraph.clone()];
    let brackets = brackets(content);
    let mut start = bullet(content);
    let mut bracket = 0;
    let mut at = 0;
    while let Some(offset) = content[at..].find(['.', '?', '!', '…']) {
        let mark = mark_at(content, at + offset);
        at = mark.end;
        while brackets.get(bracket).is_some_and(|range| range.end <= mark.start) {
            bracket += 1;
        }
        if mark.start < start
            || brackets.get(bracket).is_some_and(|range| range.start < mark.start && mark.end <= range.end)
        {
            continue;
        }
        let next = content.len() - content[mark.end..].trim_start().len();
        if next < content.len() && boundary::ends(content, start, mark.clone(), next) {
            give(text, paragraph.start + start..paragraph.start + mark.end, &mut found);
            start = next;
        }
    }
    give(text, paragraph.start + start..paragraph.end, &mut found);
}

/// The run of marks, closing brackets and closing quotes that starts at `start`.
fn mark_at(content: &str, start: usize) -> Range<usize> {
    let rest = content[start..].trim_start_matches(['.', '?', '!', '…']);
    let rest = rest.trim_start_matches([')', ']', '"', '”', '’', '\'']);
    start..content.len() - rest.len()
}

/// Gives a sentence without white space and stray commas around it, if there is a letter or digit in it.
fn give(text: &str, range: Range<usize>, found: &mut impl FnMut(Range<usize>)) {
    let piece = &text[range.clone()];
    if !piece.contains(char::is_alphanumeric) {
        return;
    }
    let start = range.start + piece.len() - piece.trim_start_matches(|c: char| c.is_whitespace() || c == ',').len();
    let end = range.start + piece.trim_end_matches(|c: char| c.is_whitespace() || c == ',').len();
    found(start..end);
}

/// Outermost pairs of round brackets that are short enough to be meant.
fn brackets(content: &str) -> Vec<Range<usize>> {
    let mut pairs = Vec::new();
    let mut open: Option<usize> = None;
    let mut depth = 0_usize;
    for (at, byte) in content.bytes().enumerate() {
        if open.is_some_and(|start| at - start > BRACKET_BYTES_MAX) {
            (open, depth) = (None, 0);
        }
        match byte {
            b'(' => {
                open.get_or_insert(at);
                depth += 1;
            }
            b')' if depth > 0 => {
                depth -= 1;
                if depth == 0
                    && let Some(start) = open.take()
                {
                    pairs.push(start..at);
                }
            }
            _ => {}
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sections;
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        let lines = lines::lines(text);
        let parts = sections::parts(text, &lines, &[]);
        sentences(text, &lines, &parts).into_iter().map(|(range, _)| &text[range]).collect()
    }

    #[test]
    fn list_items_rows_and_labelled_lines_are_sentences() {
        assert_eq!(
            texts(
                "IMPRESSION:\n1. Stable liver\n2) No new lesion\n- Follow-up\n• None\nLungs: Clear\nT1 | 12 | 14\na\tb"
            ),
            ["1. Stable liver", "2) No new lesion", "Follow-up", "None", "Lungs: Clear", "T1 | 12 | 14", "a\tb"]
        );
    }

    #[test]
    fn wrapped_lines_are_joined_and_short_ones_are_not() {
        assert_eq!(
            texts(
                "The known metastasis in segment 7 of the liver has become\nsmaller since the last scan. There is no new\n\
                 lesion.\nBones normal\nSpleen normal"
            ),
            [
                "The known metastasis in segment 7 of the liver has become\nsmaller since the last scan.",
                "There is no new\nlesion.",
                "Bones normal",
                "Spleen normal"
            ]
        );
    }

    #[test]
    fn sentences_within_brackets_stay_with_their_sentence() {
        assert_eq!(
            texts("The mass (4 cm. It was 5 cm) is smaller. (See above.) Stable."),
            ["The mass (4 cm. It was 5 cm) is smaller.", "(See above.)", "Stable."]
        );
    }

    #[test]
    fn text_without_punctuation_stays_one_sentence() {
        let text = "no change of the lesion patient well will see again ".repeat(20);
        assert_eq!(texts(&text), [text.trim()]);
    }

    #[test]
    fn comma_breaks_separate_sentences() {
        assert_eq!(
            texts("PLAN:,1.  CT in May.,2.  Continue letrozole.,SUMMARY:  ,She is stable."),
            ["1.  CT in May.", "2.  Continue letrozole.", "She is stable."]
        );
    }

    proptest! {
        #[test]
        fn sentences_are_in_order_and_hold_every_letter_outside_headings(
            text in "(IMPRESSION|Impression|:|\n|,| |Page 1 of 2|Liver|FAMILY HISTORY|é|\\.|Dr\\.|Comparison|stable|\\(|\\)|1\\. |a\\.b|\\?|-|H\\.|…|\t| \\| ){0,50}"
        ) {
            let lines = lines::lines(&text);
            let parts = sections::parts(&text, &lines, &[]);
            let found = sentences(&text, &lines, &parts);
            let mut held = vec![false; text.len()];
            let mut at = 0;
            for (range, section) in &found {
                prop_assert!(range.start >= at && range.end > range.start);
                prop_assert_eq!(text[range.clone()].trim(), &text[range.clone()]);
                let part = &parts[*section];
                prop_assert!(part.range.start <= range.start && range.end <= part.range.end);
                held[range.clone()].fill(true);
                at = range.end;
            }
            for part in &parts {
                held[part.range.start..part.body].fill(true);
            }
            for (at, character) in text.char_indices() {
                prop_assert!(!character.is_alphanumeric() || held[at], "byte {} of {:?}", at, text);
            }
        }
    }
}
