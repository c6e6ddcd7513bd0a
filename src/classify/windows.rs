//! What the model reads at once: one window for each sentence, with the text before it as context.

use super::tokenize::{Encoded, TokenizeError, Tokenizer};
use crate::domain::annotation::Window;
use crate::domain::narrative::{Narrative, SectionKind, Span};

/// A window and its tokens: from here on the text is not needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedWindow {
    /// Where it is.
    pub window: Window,
    /// What the model reads, special tokens included.
    pub ids: Vec<u32>,
}

/// How a narrative is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    /// Tokens per window, special tokens included.
    pub max_tokens: usize,
    /// Tokens of the text before a sentence that are read with it, the nearest ones; they stand between the first
    /// special token and a separator of their own: `[CLS] context [SEP] sentence [SEP]`.
    pub context_tokens: usize,
}

/// Whether sections of this kind are read. The others hold nothing about the patient's course; the coverage has them.
pub const fn is_read(kind: SectionKind) -> bool {
    !matches!(kind, SectionKind::Hidden | SectionKind::Header | SectionKind::Footer | SectionKind::Signature)
}

/// Cuts a narrative into windows, in reading order.
///
/// Every letter and digit of the sections that are [read](is_read) is in the focus of exactly one window. A window
/// never exceeds the limit: context is dropped first, then a sentence that is too long is cut between words.
pub fn cut(
    narrative: &Narrative,
    tokenizer: &Tokenizer,
    limits: WindowLimits,
) -> Result<Vec<EncodedWindow>, TokenizeError> {
    let cutter = Cutter { text: narrative.text(), tokenizer, limits };
    let (mut windows, mut before) = (Vec::new(), Vec::new());
    for (section, foci) in foci(narrative).iter().enumerate() {
        if is_read(narrative.sections()[section].kind) {
            for &focus in foci {
                let first = windows.len();
                cutter.focus(focus, section, &mut windows)?;
                cutter.give_context(&mut windows[first..], &mut before)?;
            }
        }
    }
    Ok(windows)
}

/// The end of the document as one window, as much of it as fits: the model sees there how its sentences belong together.
/// Nothing if the windows are no more than one, or not even the last of them fits with another.
///
/// It holds what the windows are about and nothing else; `focus` is the smallest span around it.
pub fn overview(
    narrative: &Narrative,
    windows: &[EncodedWindow],
    tokenizer: &Tokenizer,
    limits: WindowLimits,
) -> Result<Option<EncodedWindow>, TokenizeError> {
    let text_from = |first: usize| {
        let mut text = String::new();
        for (index, window) in windows.iter().enumerate().skip(first) {
            let same_section = index > first && windows[index - 1].window.section == window.window.section;
            text.push_str(if same_section { " " } else { "\n" });
            text.push_str(window.window.focus.of(narrative.text()));
        }
        text
    };
    let encoded_from = |first: usize| tokenizer.encode(&text_from(first));
    let Some(last) = windows.len().checked_sub(1) else { return Ok(None) };
    // The fewest windows to leave out: found by halving, since fewer windows never need more tokens.
    let (mut fits, mut too_many) = (last, None);
    let mut first = 0;
    let mut ids = None;
    while first < fits {
        let candidate = encoded_from(first)?;
        if candidate.len() <= limits.max_tokens {
            (fits, ids) = (first, Some(candidate));
        } else {
            too_many = Some(first);
        }
        first = too_many.map_or(0, |too_many| too_many + (fits - too_many).div_ceil(2));
    }
    let Some(ids) = ids else { return Ok(None) };
    let (first, last) = (windows[fits].window, windows[last].window);
    let focus = first.focus.join(last.focus);
    Ok(Some(EncodedWindow { window: Window { focus, section: last.section }, ids }))
}

/// The whole text as one window, or as few as the limit allows.
pub fn cut_whole(
    narrative: &Narrative,
    tokenizer: &Tokenizer,
    limits: WindowLimits,
) -> Result<Vec<EncodedWindow>, TokenizeError> {
    let text = narrative.text();
    let mut windows = Vec::new();
    // All but the white space around it: the model has learnt sentences with their full stops.
    let start = text.len() - text.trim_start().len();
    let whole = Span::new(text, start, start + text.trim().len());
    if let Some(focus) = whole.filter(|focus| focus.of(text).contains(char::is_alphanumeric)) {
        Cutter { text, tokenizer, limits }.focus(focus, 0, &mut windows)?;
    }
    Ok(windows)
}

/// The report's text as one window, cut at the limit; with it what was not read. Nothing if there is neither letter nor
/// digit.
///
/// All of it is read, letterhead and signature too, as the model is given it where it comes from; but not what a
/// rendition hides from its reader. `focus` is the smallest span around what could be read.
pub fn whole(
    narrative: &Narrative,
    tokenizer: &Tokenizer,
    max_tokens: usize,
) -> Result<Option<(EncodedWindow, Encoded)>, TokenizeError> {
    let text = narrative.text();
    let (mut read, mut focus) = (String::with_capacity(text.len()), None::<Span>);
    for section in narrative.sections() {
        if is_shown(section.kind) {
            if let Some(span) = trimmed(text, section.span.start(), section.span.end()) {
                focus = Some(focus.map_or(span, |focus| focus.join(span)));
            }
            read.push_str(section.span.of(text));
        } else {
            // What stands on either side of it is not one word.
            read.push('\n');
        }
    }
    let Some(mut focus) = focus else { return Ok(None) };
    let encoded = tokenizer.encode_within(&read, max_tokens)?;
    if encoded.pieces_cut > 0 {
        focus = read_part(narrative, focus, tokenizer, max_tokens)?;
    }
    Ok(Some((EncodedWindow { window: Window { focus, section: 0 }, ids: encoded.ids.clone() }, encoded)))
}

fn is_shown(kind: SectionKind) -> bool {
    kind != SectionKind::Hidden
}

/// The part of the focus up to the end of the sentence in which the limit is reached.
fn read_part(
    narrative: &Narrative,
    focus: Span,
    tokenizer: &Tokenizer,
    max_tokens: usize,
) -> Result<Span, TokenizeError> {
    let sentences: Vec<Span> = narrative
        .sentences()
        .iter()
        .filter(|sentence| is_shown(narrative.kind_of(sentence)) && focus.contains(sentence.span))
        .map(|sentence| sentence.span)
        .collect();
    let text = |last: usize| {
        let read = sentences[..=last].iter().map(|span| span.of(narrative.text()));
        read.collect::<Vec<_>>().join(" ")
    };
    let (mut first, mut last) = (0, sentences.len().saturating_sub(1));
    while first < last {
        let middle = usize::midpoint(first, last);
        if tokenizer.encode(&text(middle))?.len() >= max_tokens { last = middle } else { first = middle + 1 }
    }
    let end = sentences.get(first).map_or(focus.end(), |span| span.end());
    Ok(Span::new(narrative.text(), focus.start(), end).unwrap_or(focus))
}

/// For each section, the spans that windows are about: its sentences, each with what stands before it and is no
/// sentence (its heading), so that nothing is left out.
fn foci(narrative: &Narrative) -> Vec<Vec<Span>> {
    let text = narrative.text();
    let mut read_to: Vec<usize> = narrative.sections().iter().map(|section| section.span.start()).collect();
    let mut foci = vec![Vec::new(); read_to.len()];
    for sentence in narrative.sentences() {
        let (section, span) = (sentence.section, sentence.span);
        foci[section].push(trimmed(text, read_to[section], span.start()).map_or(span, |before| before.join(span)));
        read_to[section] = span.end();
    }
    for (section, foci) in foci.iter_mut().enumerate() {
        if let Some(rest) = trimmed(text, read_to[section], narrative.sections()[section].span.end()) {
            match foci.last_mut() {
                Some(last) => *last = last.join(rest),
                None => foci.push(rest),
            }
        }
    }
    foci
}

/// The range without what is neither letter nor digit at its ends; nothing if that is all.
fn trimmed(text: &str, start: usize, end: usize) -> Option<Span> {
    let part = text.get(start..end)?;
    let first = part.find(char::is_alphanumeric)?;
    let (last, character) = part.char_indices().rfind(|(_, character)| character.is_alphanumeric())?;
    Span::new(text, start + first, start + last + character.len_utf8())
}

struct Cutter<'a> {
    text: &'a str,
    tokenizer: &'a Tokenizer,
    limits: WindowLimits,
}

impl Cutter<'_> {
    /// Puts what was read before in front of each window, as much of it as its limits allow. `before` holds the tokens
    /// of the windows so far, as many as can be of use.
    fn give_context(&self, windows: &mut [EncodedWindow], before: &mut Vec<u32>) -> Result<(), TokenizeError> {
        if self.limits.context_tokens == 0 {
            return Ok(());
        }
        for EncodedWindow { ids, .. } in windows {
            // The first and last are special tokens: a model that asks for context has a tokenizer that sets them.
            let (Some(&start), Some(&separator)) = (ids.first(), ids.last()) else { return Err(TokenizeError::Encode) };
            let own = ids[1..ids.len() - 1].to_vec();
            let room = self.limits.max_tokens.saturating_sub(own.len() + 3).min(self.limits.context_tokens);
            let context = &before[before.len().saturating_sub(room)..];
            if !context.is_empty() {
                *ids = [&[start], context, &[separator], &own, &[separator]].concat();
            }
            before.extend(own);
            before.drain(..before.len().saturating_sub(self.limits.context_tokens));
        }
        Ok(())
    }

    /// A focus, cut in halves until each part fits.
    fn focus(&self, focus: Span, section: usize, windows: &mut Vec<EncodedWindow>) -> Result<(), TokenizeError> {
        if let Some(ids) = self.fitting(focus)? {
            windows.push(EncodedWindow { window: Window { focus, section }, ids });
            return Ok(());
        }
        let Some(middle) = middle(focus.of(self.text)) else {
            // One character whose tokens do not fit: there is nothing left to cut, and nothing that could be read.
            return Err(TokenizeError::Encode);
        };
        for (start, end) in [(focus.start(), focus.start() + middle), (focus.start() + middle, focus.end())] {
            if let Some(part) = trimmed(self.text, start, end) {
                self.focus(part, section, windows)?;
            }
        }
        Ok(())
    }

    fn fitting(&self, span: Span) -> Result<Option<Vec<u32>>, TokenizeError> {
        let ids = self.tokenizer.encode(span.of(self.text))?;
        Ok((ids.len() <= self.limits.max_tokens).then_some(ids))
    }
}

/// The place nearest to the middle where white space stands, else where a character starts; none for a text of one
/// character.
fn middle(text: &str) -> Option<usize> {
    let half = text.len() / 2;
    let inner = || text.char_indices().skip(1);
    let nearest = |places: &mut dyn Iterator<Item = (usize, char)>| {
        places.map(|(place, _)| place).min_by_key(|place| place.abs_diff(half))
    };
    nearest(&mut inner().filter(|(_, character)| character.is_whitespace())).or_else(|| nearest(&mut inner()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::classify::testing::{narrative, tiny_model};
    use crate::domain::narrative::{Coverage, Section, Sentence};

    const LIMITS: WindowLimits = WindowLimits { max_tokens: 16, context_tokens: 6 };

    /// What each window reads, as the tokenizer's own pieces, and what it is about.
    fn read(narrative: &Narrative, limits: WindowLimits) -> Vec<(String, String)> {
        let tokenizer = &tiny_model().tokenizer;
        let windows = cut(narrative, tokenizer, limits).expect("windows");
        let pieces = |cut: &EncodedWindow| {
            let pieces: Vec<String> = cut.ids.iter().map(|&id| tokenizer.token(id).expect("a token")).collect();
            pieces.join(" ")
        };
        windows.iter().map(|cut| (pieces(cut), cut.window.focus.of(narrative.text()).into())).collect()
    }

    #[test]
    fn each_sentence_is_read_with_the_text_before_it() {
        let report = narrative(&[
            (SectionKind::Findings, Some("FINDINGS"), &["Liver mass.", "Larger."]),
            (SectionKind::Signature, None, &["Patient."]),
            (SectionKind::Impression, Some("IMPRESSION"), &["Progression."]),
        ]);
        let read = read(&report, LIMITS);
        let foci: Vec<&str> = read.iter().map(|(_, focus)| focus.as_str()).collect();
        assert_eq!(foci, ["FINDINGS: Liver mass.", "Larger.", "IMPRESSION: Progression."]);
        assert_eq!(read[0].0.matches("[SEP]").count(), 1);
        assert!(read[1].0.ends_with("liver mass . [SEP] larger . [SEP]"), "{}", read[1].0);
        assert!(read[2].0.starts_with("[CLS] : liver mass . larger . [SEP]"), "{}", read[2].0);
    }

    #[test]
    fn context_gives_way_to_the_sentence_itself() {
        let long = "the mass in the liver is larger with progression on treatment after scan";
        let report = narrative(&[(SectionKind::Other, None, &["No response.", long])]);
        let read = read(&report, LIMITS);
        assert_eq!(read[1].1, long);
        assert_eq!(read[1].0.matches("[SEP]").count(), 1, "{}", read[1].0);
    }

    #[test]
    fn a_sentence_that_is_too_long_is_cut_between_words() {
        let long = "mass ".repeat(40);
        let report = narrative(&[(SectionKind::Other, None, &[long.trim()])]);
        let windows = read(&report, LIMITS);
        assert!(windows.len() > 2);
        assert!(windows.iter().all(|(_, focus)| focus.split(' ').all(|word| word == "mass")), "{windows:?}");
    }

    #[test]
    fn a_heading_without_sentences_is_read() {
        let report = narrative(&[(SectionKind::Other, Some("STABLE ON TREATMENT"), &[])]);
        assert_eq!(read(&report, LIMITS)[0].1, "STABLE ON TREATMENT");
    }

    #[test]
    fn a_short_text_is_read_as_one_window() {
        let model = tiny_model();
        let report = narrative(&[(SectionKind::Other, None, &["Liver mass.", "Larger."])]);
        let windows = cut_whole(&report, &model.tokenizer, LIMITS).expect("windows");
        assert_eq!(windows.len(), 1);
        assert_eq!(windows[0].window.focus.of(report.text()), "Liver mass. Larger.");
    }

    #[test]
    fn the_overview_is_the_longest_end_of_the_document_that_fits() {
        let report = narrative(&[
            (SectionKind::Other, None, &["The scan was in the lung.", "Liver mass.", "No."]),
            (SectionKind::Signature, None, &["Patient."]),
            (SectionKind::Impression, Some("IMPRESSION"), &["Stable.", "Smaller."]),
        ]);
        let tokenizer = &tiny_model().tokenizer;
        let windows = cut(&report, tokenizer, LIMITS).expect("windows");
        let overview = overview(&report, &windows, tokenizer, LIMITS).expect("tokens").expect("an overview");
        let whole = tokenizer.encode("Liver mass. No. IMPRESSION: Stable. Smaller.").expect("tokens");
        assert_eq!(overview.ids, whole);
        assert!(super::overview(&report, &windows[..1], tokenizer, LIMITS).expect("tokens").is_none());
    }

    fn any_kind() -> impl Strategy<Value = SectionKind> {
        prop::sample::select(vec![
            SectionKind::Impression,
            SectionKind::Findings,
            SectionKind::Hidden,
            SectionKind::Signature,
            SectionKind::Other,
        ])
    }

    /// Sections of sentences with any characters, words longer than a window among them.
    fn any_narrative() -> impl Strategy<Value = Narrative> {
        let sentence = prop_oneof![4 => "[ a-zé√0-9.,\u{4e00}-\u{4e05}]{0,60}", 1 => "[a-z0-9]{150,260}"];
        let section = (any_kind(), proptest::option::of("[A-Z0-9]{1,8}"), prop::collection::vec(sentence, 0..6));
        prop::collection::vec(section, 0..4).prop_map(|parts| assemble(&parts))
    }

    fn assemble(parts: &[(SectionKind, Option<String>, Vec<String>)]) -> Narrative {
        let (mut text, mut places) = (String::new(), Vec::new());
        for (section, (kind, title, sentences)) in parts.iter().enumerate() {
            let start = text.len();
            text.extend(title.as_ref().map(|title| format!("{title}: ")));
            let mut spans = Vec::new();
            for sentence in sentences {
                let from = text.len();
                text.push_str(sentence);
                spans.push((from, text.len(), section));
                text.push(' ');
            }
            places.push((*kind, start, text.len(), spans));
        }
        let span = |start, end| Span::new(&text, start, end).expect("a span");
        let sections =
            places.iter().map(|&(kind, start, end, _)| Section { kind, title: None, span: span(start, end) });
        let sentences = places.iter().flat_map(|(.., spans)| spans);
        let sentences = sentences.map(|&(start, end, section)| Sentence { span: span(start, end), section });
        Narrative::new(text.clone(), sections.collect(), sentences.collect(), Coverage::default())
    }

    proptest! {
        #[test]
        fn every_letter_and_digit_that_is_read_is_in_the_focus_of_exactly_one_window(report in any_narrative()) {
            let windows = cut(&report, &tiny_model().tokenizer, LIMITS).expect("windows");
            for (place, character) in report.text().char_indices().filter(|(_, c)| c.is_alphanumeric()) {
                let section = report.sections().iter().find(|s| s.span.start() <= place && place < s.span.end());
                let wanted = usize::from(section.is_some_and(|section| is_read(section.kind)));
                let within = |focus: Span| focus.start() <= place && place + character.len_utf8() <= focus.end();
                let found = windows.iter().filter(|cut| within(cut.window.focus)).count();
                prop_assert_eq!(found, wanted, "{} at {}", character, place);
            }
            for cut in &windows {
                prop_assert!(cut.ids.len() <= LIMITS.max_tokens);
            }
            prop_assert!(windows.windows(2).all(|pair| pair[0].window.focus.end() <= pair[1].window.focus.start()));
        }
    }
}
