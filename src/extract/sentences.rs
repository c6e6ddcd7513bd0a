//! Sentences: what the model reads one by one.

use std::ops::Range;

use super::boundary;
use super::headings;
use super::lines::{self, Line};
use super::sections::Part;
use super::words::Words;

/// Bytes within brackets in which a full stop ends no sentence; a longer bracket was probably never closed.
const BRACKET_BYTES_MAX: usize = 300;

/// Signs before a list item; word processors take some of theirs from fonts of symbols.
const BULLETS: [char; 22] = [
    '-', '•', '*', '–', '—', '·', '▪', '●', '○', '■', '□', '◦', '‣', '➢', '►', '▸', '→', '✓', '✔', '\u{f0b7}',
    '\u{f0a7}', '\u{f0d8}',
];

/// Words with which neither a sentence ends nor a note in catchwords begins.
static LINKING: Words = Words::new("and, or, of, with, to, from, by, for, is, was, are, were, has, had, which, that");

/// Words that a number belongs to: "grade 2." ends a sentence, and begins no item.
static COUNTED: Words = Words::new(
    "grade, stage, deauville, score, type, level, segment, category, cycle, cycles, day, week, month, group, class, figo, \
     ecog, ps, rads, birads, phase, line, part, no, number, lesion, target, image, series, gleason, and, of, to, or, x, was, is, \
     at, by, than, from",
);

/// The sentences of `text`: trimmed, in order, and the index of the section that each belongs to.
pub(super) fn sentences(text: &str, lines: &[Line], parts: &[Part]) -> Vec<(Range<usize>, usize)> {
    let width = lines::wrap_width(lines);
    let mut sentences = Vec::new();
    let mut first = 0;
    for (index, part) in parts.iter().enumerate() {
        let body = part.body.max(part.range.start)..part.range.end;
        while first < lines.len() && lines[first].range.end <= body.start {
            first += 1;
        }
        let title = part.title.clone().filter(|_| part.title_speaks);
        for paragraph in title.into_iter().chain(paragraphs(text, &lines[first..], &body, width)) {
            for item in items(text, paragraph) {
                split(text, item, |sentence| sentences.push((sentence, index)));
            }
        }
    }
    sentences
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
    let lower = content.starts_with(char::is_lowercase);
    let goes_on = ends_open(last_line)
        || content.split(' ').next().is_some_and(|word| LINKING.has(word))
        || (lower && last_line.len() >= lines::WRAPPED_BYTES_MIN);
    lines::fills(last_line, content, width) || (!ended && goes_on)
}

/// Whether a line ends in the middle of a phrase.
pub(super) fn ends_open(line: &str) -> bool {
    line.ends_with(',') || line.rsplit(' ').next().is_some_and(|word| LINKING.has(word) || matches!(word, "the" | "a"))
}

/// A list item, table row or labelled line.
fn begins_anew(line: &str) -> bool {
    lines::is_list_marker(line)
        || is_bracketed_marker(line)
        || line.starts_with('#')
        || line.strip_prefix("**").is_some_and(|bold| bold.starts_with(char::is_alphanumeric))
        || bullet(line) > 0
        || is_row(line)
        || headings::label(line).is_some()
}

/// "(1) ", "a) ", "#2 ", "[x] ".
fn is_bracketed_marker(line: &str) -> bool {
    let marker = line.split([' ', '\t']).next().unwrap_or_default();
    let inner = marker.trim_start_matches(['(', '[', '#']).trim_end_matches([')', ']', '.', ':']);
    let signs = marker.len() - inner.len();
    let closed = marker.ends_with([')', ']']) || marker.starts_with('#');
    let number = (1..=2).contains(&inner.len()) && inner.bytes().all(|byte| byte.is_ascii_digit());
    let letter = inner.len() == 1 && inner.bytes().all(|byte| byte.is_ascii_alphabetic());
    closed && (1..=2).contains(&signs) && (number || letter) && marker.len() < line.len()
}

/// The items of a paragraph that is a list in one line, "1) Stable liver 2) No new lesion", else the paragraph.
fn items(text: &str, paragraph: Range<usize>) -> Vec<Range<usize>> {
    let content = &text[paragraph.clone()];
    let starts = [is_closed_number, is_stopped_number, is_signed_number]
        .into_iter()
        .map(|is_marker| item_starts(content, is_marker))
        .find(|starts| starts.len() >= 2)
        .unwrap_or_default();
    if starts.is_empty() {
        return vec![paragraph];
    }
    let ends = starts.iter().copied().chain([content.len()]).map(|end| paragraph.start + end);
    let starts = [0].into_iter().chain(starts.iter().copied()).map(|start| paragraph.start + start);
    starts.zip(ends).map(|(start, end)| start..end).filter(|item| !item.is_empty()).collect()
}

/// Where numbers that count up from 1 stand, if `is_marker` finds of what is before and behind each that it is an item's.
fn item_starts(content: &str, is_marker: fn(&str, &str, bool) -> bool) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(offset) = content[at..].find(|c: char| c.is_ascii_digit()) {
        let start = at + offset;
        let digits = content[start..].bytes().take_while(u8::is_ascii_digit).count();
        at = start + digits;
        let (before, after) = (&content[..start], &content[at..]);
        let counted = digits <= 2 && content[start..at].parse() == Ok(starts.len() + 1);
        if counted && is_marker(before, after, starts.is_empty()) {
            starts.push(start - (before.len() - before.trim_end_matches('#').len()));
        }
    }
    starts
}

fn stands_apart(before: &str) -> bool {
    before.chars().next_back().is_none_or(char::is_whitespace)
}

/// "1) Stable liver".
fn is_closed_number(before: &str, after: &str, first: bool) -> bool {
    let begins = || before.trim().is_empty() || before.trim_end().ends_with(['.', ':', ';', ',']);
    let closed = after.strip_prefix(')').is_some_and(|text| text.starts_with(char::is_whitespace));
    closed && stands_apart(before) && (!first || begins())
}

/// "1. Stable liver": where other numbers end sentences too, the list begins its paragraph and no word counts with this one.
fn is_stopped_number(before: &str, after: &str, first: bool) -> bool {
    let Some(text) = after.strip_prefix('.').filter(|text| text.starts_with(char::is_whitespace)) else { return false };
    let word = before.trim_end().rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let counted = COUNTED.has(&word.to_lowercase()) || before.trim_end().ends_with([':', '/', '=', '<', '>']);
    let again = text.trim_start().starts_with(|c: char| c.is_ascii_digit());
    stands_apart(before) && if first { before.trim().is_empty() } else { !counted && !again }
}

/// "#1 Stable liver".
fn is_signed_number(before: &str, after: &str, first: bool) -> bool {
    let Some(before) = before.strip_suffix('#').filter(|before| stands_apart(before)) else { return false };
    after.starts_with(char::is_whitespace) && (!first || before.trim().is_empty())
}

fn is_row(line: &str) -> bool {
    line.contains('\t') || line.contains(" | ")
}

/// Bytes of the bullet that `line` starts with.
fn bullet(line: &str) -> usize {
    let rest = line.trim_start_matches(BULLETS);
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

    /// Texts and the sentences that a reader sees in them, between bars.
    const TABLE: [(&str, &str); 77] = [
        ("Seen by Dr. Example today. Stable.", "Seen by Dr. Example today.|Stable."),
        ("Seen by Drs. Example and Sample. Stable.", "Seen by Drs. Example and Sample.|Stable."),
        ("Referred by Prof. A. B. Example. Well.", "Referred by Prof. A. B. Example.|Well."),
        ("Mrs. Sample is well. No pain.", "Mrs. Sample is well.|No pain."),
        ("Reviewed with J. Sample, MD. He agrees.", "Reviewed with J. Sample, MD.|He agrees."),
        ("Treated at St. Mary Hospital. Better.", "Treated at St. Mary Hospital.|Better."),
        ("Hyperintense on T2. Hypointense on T1.", "Hyperintense on T2.|Hypointense on T1."),
        ("Staged as T2. N0 M0 disease.", "Staged as T2.|N0 M0 disease."),
        ("Mass of 2.3 x 1.1 cm, was 4.0 x 3.2 cm. Smaller.", "Mass of 2.3 x 1.1 cm, was 4.0 x 3.2 cm.|Smaller."),
        ("Nodule of 4.1 cm. right lung clear.", "Nodule of 4.1 cm.|right lung clear."),
        ("Lesion No. 3 is smaller. Lesion no. 4 is new.", "Lesion No. 3 is smaller.|Lesion no. 4 is new."),
        ("No. The lesion is gone.", "No.|The lesion is gone."),
        ("Partial vs. complete response. Await PET.", "Partial vs. complete response.|Await PET."),
        ("Measures approx. 5 mm. Unchanged.", "Measures approx. 5 mm.|Unchanged."),
        ("Other causes, e.g. infection, are possible. Follow.", "Other causes, e.g. infection, are possible.|Follow."),
        ("Progression, i.e. new lesions. Stop drug.", "Progression, i.e. new lesions.|Stop drug."),
        ("See Fig. 2 and Figs. 3 and 4. Stable.", "See Fig. 2 and Figs. 3 and 4.|Stable."),
        ("Image ref. 12 shows it. Stable.", "Image ref. 12 shows it.|Stable."),
        ("Taken q.d. with food. Tolerated.", "Taken q.d. with food.|Tolerated."),
        ("Omeprazole 20 mg p.o. b.i.d. for a week. Well.", "Omeprazole 20 mg p.o. b.i.d. for a week.|Well."),
        ("Morphine p.r.n. pain. No fever.", "Morphine p.r.n. pain.|No fever."),
        ("Seen at 8 a.m. The patient left.", "Seen at 8 a.m.|The patient left."),
        ("Waiting ... still no answer. Call.", "Waiting ... still no answer.|Call."),
        ("Response noted... Continue drug.", "Response noted...|Continue drug."),
        ("Smaller… but not gone. Continue.", "Smaller… but not gone.|Continue."),
        ("Is it larger? No. It is smaller!", "Is it larger?|No.|It is smaller!"),
        ("Opacity ?metastasis. Repeat CT.", "Opacity ?metastasis.|Repeat CT."),
        ("Opacity ? metastasis seen.", "Opacity ? metastasis seen."),
        ("SUV 12.4 before, 2.1 now. Good response.", "SUV 12.4 before, 2.1 now.|Good response."),
        ("CEA fell from 12.5 to 1.5 ng/mL. Stable.", "CEA fell from 12.5 to 1.5 ng/mL.|Stable."),
        ("Decreased by 50%. No new lesion.", "Decreased by 50%.|No new lesion."),
        ("The mass (4 cm. It was 5 cm) is smaller. Good.", "The mass (4 cm. It was 5 cm) is smaller.|Good."),
        ("No metastasis.The liver is normal.", "No metastasis.|The liver is normal."),
        ("Mutation p.Gly12Val found. KRAS positive.", "Mutation p.Gly12Val found.|KRAS positive."),
        ("Treated for H. pylori. Well.", "Treated for H. pylori.|Well."),
        ("E. coli in urine. Treated.", "E. coli in urine.|Treated."),
        ("He has hepatitis B. The liver is normal.", "He has hepatitis B.|The liver is normal."),
        ("Takes vitamin D. She is well.", "Takes vitamin D.|She is well."),
        ("Scan of Jan. 5 shows response. Good.", "Scan of Jan. 5 shows response.|Good."),
        ("Seen on 3/4/24. 5 mm nodule.", "Seen on 3/4/24.|5 mm nodule."),
        ("Smith et al. 2010 describe it. Rare.", "Smith et al. 2010 describe it.|Rare."),
        ("J. Sample Jr. was seen. Well.", "J. Sample Jr. was seen.|Well."),
        ("Sizes: 1.2, 3.4, and 5.6 cm. Stable.", "Sizes: 1.2, 3.4, and 5.6 cm.|Stable."),
        ("1) Stable liver 2) No new lesion 3) Follow-up", "1) Stable liver|2) No new lesion|3) Follow-up"),
        ("1) Stable liver. 2) No new lesion.", "1) Stable liver.|2) No new lesion."),
        ("Impression is: 1) response; 2) no effusion.", "Impression is:|1) response;|2) no effusion."),
        ("1. Stable liver. 2. No new lesion.", "1. Stable liver.|2. No new lesion."),
        ("Breast (1) and lung (2) cancer. Stable.", "Breast (1) and lung (2) cancer.|Stable."),
        ("Grade 2) and so on 3) x", "Grade 2) and so on 3) x"),
        ("Liver smaller; lung stable; bone unchanged.", "Liver smaller; lung stable; bone unchanged."),
        ("1. Stable\n2. New lesion\n3. Effusion", "1. Stable|2. New lesion|3. Effusion"),
        ("(1) Stable\n(2) New lesion", "(1) Stable|(2) New lesion"),
        ("a) Stable\nb) New lesion", "a) Stable|b) New lesion"),
        ("#1 Breast cancer, in remission\n#2 Hypertension", "#1 Breast cancer, in remission|#2 Hypertension"),
        ("- Stable liver\n- No new lesion", "Stable liver|No new lesion"),
        ("• Stable liver\n◦ No new lesion\n\u{f0b7} None", "Stable liver|No new lesion|None"),
        ("* Stable * but watch", "Stable * but watch"),
        ("Lungs: Clear\nLiver: Lesion 12 mm\nBones: Normal", "Lungs: Clear|Liver: Lesion 12 mm|Bones: Normal"),
        ("Liver:\nLesion smaller.", "Liver:/Lesion smaller."),
        ("Lesion\tMay\tJuly\nLiver\t12\t8", "Lesion\tMay\tJuly|Liver\t12\t8"),
        (
            "The known metastasis in the liver has become much smaller\nsince May. No new lesion is seen in any of the other parts\nof the body.",
            "The known metastasis in the liver has become much smaller/since May.|No new lesion is seen in any of the other parts/of the body.",
        ),
        ("Bones normal\nSpleen normal", "Bones normal|Spleen normal"),
        ("There is response of the\nliver lesion", "There is response of the/liver lesion"),
        ("Stable disease.\n\nNo new lesion.", "Stable disease.|No new lesion."),
        ("stable disease no new lesion patient well", "stable disease no new lesion patient well"),
        ("\"Stable.\" he said. Good.", "\"Stable.\" he said.|Good."),
        ("Tumour of 5 mm.\"Stable\" he said", "Tumour of 5 mm.\"Stable\" he said"),
        ("1. Stable liver 2. New nodule 3. no effusion", "1. Stable liver|2. New nodule|3. no effusion"),
        ("1. Nodule of grade 2. Stable.", "1. Nodule of grade 2.|Stable."),
        ("1. Seen. Size: 2. Larger.", "1. Seen.|Size: 2.|Larger."),
        ("Seen in segment 1. Stable 2. No more", "Seen in segment 1.|Stable 2.|No more"),
        ("#1 Stable liver #2 New nodule", "#1 Stable liver|#2 New nodule"),
        ("Extraction of #1 and #2 teeth", "Extraction of #1 and #2 teeth"),
        ("Lesion gone\n-----\n# Lymphoma, smaller\nSeen again", "Lesion gone|# Lymphoma, smaller|Seen again"),
        ("TUMOUR BOARD\nSmaller lesion.", "TUMOUR BOARD|Smaller lesion."),
        ("LIVER\nSmaller lesion.", "Smaller lesion."),
        ("Seen in the U.S. Army hospital. Well.", "Seen in the U.S. Army hospital.|Well."),
    ];

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        let wrong: Vec<String> = TABLE
            .iter()
            .map(|(text, expected)| (texts(text).join("|").replace('\n', "/"), expected))
            .filter(|(found, expected)| found != *expected)
            .map(|(found, expected)| format!("{found}\n  not {expected}"))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

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
