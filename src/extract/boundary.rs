//! Whether a full stop ends a sentence.
//!
//! `sentencex` knows general English; clinical English breaks its rules in both directions ("5 mm. liver normal" is
//! two sentences, "p.o. daily" is one), so what is decided here comes first, and it is asked about the rest.

use std::ops::Range;

use super::words::Words;

/// Bytes before and after a full stop that `sentencex` is shown: more does not change its answer, and less keeps its
/// work bounded on text that is all full stops.
const ASKED_BYTES: usize = 160;

/// Before a name or never at an end.
static TITLES: Words = Words::new("dr, drs, mr, mrs, ms, prof, rev, vs, approx, resp, incl, viz");

/// Before a number, a list or an explanation.
static BEFORE_NUMBERS: Words = Words::new(
    "no, nos, nr, fig, figs, vol, pp, p, ref, refs, eq, ca, c, jan, feb, aug, sept, sep, oct, nov, dec, \
         ch, seg, segs, bldg, hgb, hb, plt",
);

/// Abbreviations: a lower-case word or a number after them goes on with the sentence.
static ABBREVIATIONS: Words = Words::new(
    "eg, ie, cf, al, etc, jr, sr, inc, ave, rd, esp, po, tab, tabs, inj, pt, pts, lt, rt, bilat, post, ant, sup, inf, lat, med, \
         dept, hosp, univ, tx, hx, dx, rx, st, wt, ht, temp, max, bid, tid, prev, subsp, spp, sp, ssp, strep, \
         staph, dist, prox",
);

/// Units: what follows them in lower case goes on only if it continues a measurement.
static CONTINUES_MEASUREMENT: Words = Words::new(
    "x, by, ×, in, and, to, or, of, at, per, long, wide, from, which, with, diameter, thick, deep, old, \
         ago, later, duration, as, for, then",
);

/// Species whose genus is one letter.
static SPECIES: Words = Words::new(
    "coli, pylori, aureus, difficile, pneumoniae, jirovecii, faecalis, epidermidis, albicans, influenzae, \
         tuberculosis, diff",
);

/// Words that begin sentences, and no drug.
static STARTERS: Words = Words::new(
    "The, There, This, These, No, He, She, They, We, I, It, His, Her, Patient, On, In, At, After, If, \
         For, And, But, With, Will, Continue, Plan, Please, Return, Follow",
);

/// Openings that may come before the first letter of a sentence.
const OPENING: [char; 6] = ['(', '[', '"', '\'', '“', '‘'];

enum Verdict {
    Ends,
    GoesOn,
    Ask,
}

/// Whether the sentence that starts at `start` ends with the mark (a full stop, question or exclamation mark, with
/// closing brackets and quotes) in `mark`, before the text at `next`.
pub(super) fn ends(paragraph: &str, start: usize, mark: Range<usize>, next: usize) -> bool {
    let verdict = if next == mark.end { glued(paragraph, &mark) } else { spaced(paragraph, start, &mark, next) };
    match verdict {
        Verdict::Ends => true,
        Verdict::GoesOn => false,
        Verdict::Ask => general_english(paragraph, next),
    }
}

/// "metastasis.The liver": a full stop with no space after it.
fn glued(paragraph: &str, mark: &Range<usize>) -> Verdict {
    let before = &paragraph[..mark.start];
    let word = before.rsplit(|c: char| !c.is_alphabetic() && c != ')').next().unwrap_or_default();
    let mut after = paragraph[mark.end..].chars();
    let capital = after.next().is_some_and(char::is_uppercase) && after.next().is_some_and(char::is_lowercase);
    let ordinary = (word.chars().count() >= 3 || is_unit(word)) && !word.contains(char::is_uppercase);
    if capital && ordinary && &paragraph[mark.clone()] == "." { Verdict::Ends } else { Verdict::GoesOn }
}

fn spaced(paragraph: &str, start: usize, mark: &Range<usize>, next: usize) -> Verdict {
    let before = &paragraph[start..mark.start];
    let after = &paragraph[next..];
    let following = after.trim_start_matches(OPENING);
    let Some(first) = following.chars().next() else { return Verdict::Ends };
    let next_word = following.split(|c: char| c.is_whitespace() || ",;".contains(c)).next().unwrap_or_default();
    match paragraph[mark.clone()].chars().next() {
        Some('?' | '!') if before.is_empty() || before.ends_with(char::is_whitespace) => return Verdict::GoesOn,
        Some('…') if first.is_lowercase() => return Verdict::GoesOn,
        Some('.') if first.is_lowercase() && paragraph[mark.clone()].starts_with("..") => return Verdict::GoesOn,
        Some('?' | '!') => return if first.is_lowercase() { Verdict::GoesOn } else { Verdict::Ends },
        _ => {}
    }
    if first.is_lowercase() && paragraph[mark.clone()].contains([')', ']', '"', '”']) {
        return Verdict::GoesOn;
    }
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default().trim_start_matches(OPENING);
    if before.trim() == word && is_marker(word) {
        return Verdict::GoesOn;
    }
    after_word(before, word, first, next_word)
}

/// A list marker before its full stop: "1", "12", "a", "iv".
fn is_marker(word: &str) -> bool {
    let digits = (1..=2).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    let letter = word.len() == 1 && word.bytes().all(|b| b.is_ascii_alphabetic());
    let roman = (1..=4).contains(&word.len()) && word.bytes().all(|b| b"ivxIVX".contains(&b));
    digits || letter || roman
}

/// What the word before the full stop says.
fn after_word(before: &str, word: &str, first: char, next_word: &str) -> Verdict {
    let ends_if = |condition: bool| if condition { Verdict::Ends } else { Verdict::GoesOn };
    let lower = word.to_lowercase();
    let lower = lower.as_str();
    let new = !first.is_lowercase() || is_mixed_case(next_word);
    if word.is_empty() || TITLES.has(lower) {
        return Verdict::GoesOn;
    }
    if BEFORE_NUMBERS.has(lower) && (first.is_ascii_digit() || matches!(first, '#' | '~')) {
        return Verdict::GoesOn;
    }
    if is_dotted(lower) {
        if first.is_ascii_digit() || first.is_lowercase() || is_dotted(&next_word.to_lowercase()) {
            return Verdict::GoesOn;
        }
        // A route is followed by a drug, unless the next word is one that begins sentences.
        return match lower {
            "e.g" | "i.e" | "c.f" | "u.s" | "u.k" | "y.o" => Verdict::GoesOn,
            "p.o" | "i.v" | "i.m" | "s.c" => ends_if(STARTERS.has(next_word)),
            _ => Verdict::Ends,
        };
    }
    if is_single_letter(word) {
        return single_letter(before, word, first, next_word);
    }
    if ABBREVIATIONS.has(lower) {
        return ends_if(first.is_uppercase() && lower != "st");
    }
    if word.ends_with(|c: char| c.is_ascii_digit() || c == '%') || is_unit(lower) {
        let stage = word.len() <= 3 && word.starts_with(['T', 'N', 'M', 'L', 'S', 'C']);
        return ends_if(new || !(stage || CONTINUES_MEASUREMENT.has(next_word)));
    }
    if new {
        return Verdict::Ends;
    }
    // Dictation goes on in lower case after a full stop; an unknown short word may be an abbreviation.
    let joins = matches!(next_word, "and" | "or" | "which" | "but") || (lower == "no" && next_word == "of");
    if word.chars().count() >= 2 && !joins && word.chars().any(char::is_alphabetic) {
        return Verdict::Ends;
    }
    Verdict::Ask
}

/// "mRECIST", "pT2", "iUPD": a lower-case letter begins it, but not a word of running text.
fn is_mixed_case(word: &str) -> bool {
    word.starts_with(char::is_lowercase) && word.contains(char::is_uppercase)
}

/// "p.o", "b.i.d", "q.4h", "a.m", "ph.d".
fn is_dotted(word: &str) -> bool {
    let word = word.trim_end_matches('.');
    word.contains('.')
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.split('.').all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_single_letter(word: &str) -> bool {
    let mut characters = word.chars();
    characters.next().is_some_and(char::is_alphabetic) && characters.next().is_none()
}

fn single_letter(before: &str, word: &str, first: char, next_word: &str) -> Verdict {
    let mut words = before.rsplit(char::is_whitespace).filter(|word| !word.is_empty());
    let _ = words.next();
    let earlier = words.next().unwrap_or_default();
    let initial = earlier.trim_end_matches('.');
    let species = SPECIES.has(&next_word.trim_end_matches(|c: char| !c.is_alphabetic()).to_lowercase());
    let followed_by_initial = next_word.strip_suffix('.').is_some_and(is_single_letter);
    if species || followed_by_initial || is_single_letter(initial) {
        return Verdict::GoesOn;
    }
    // "Dr. J. Example", or "seen by Dr. X. No complaints".
    if TITLES.has(&initial.to_lowercase()) {
        return if STARTERS.has(next_word) { Verdict::Ends } else { Verdict::GoesOn };
    }
    if first.is_lowercase() && word.chars().all(char::is_uppercase) {
        return Verdict::GoesOn;
    }
    // "Within 48 h. No fever".
    if matches!(word, "h" | "d" | "w" | "m" | "s") && earlier.bytes().all(|byte| byte.is_ascii_digit()) {
        return if first.is_lowercase() { Verdict::GoesOn } else { Verdict::Ends };
    }
    if matches!(earlier.trim_end_matches(':'), "by" | "from" | "with" | "to") {
        return Verdict::GoesOn;
    }
    if earlier.starts_with(char::is_lowercase) && !first.is_lowercase() { Verdict::Ends } else { Verdict::Ask }
}

fn is_unit(word: &str) -> bool {
    static UNITS: Words = Words::new(
        "mm, cm, mg, ml, kg, g, dl, hu, gy, cc, mcg, l, mmol, iu, ng, mhz, mmhg, bpm, hr, hrs, wk, wks, mo, \
         mos, yr, yrs, min, mins, sec, lb, lbs, pack",
    );
    UNITS.has(word.rsplit(['/', '-']).next().unwrap_or_default())
}

/// Asks `sentencex` whether a sentence starts at `next`.
fn general_english(paragraph: &str, next: usize) -> bool {
    let mut from = next.saturating_sub(ASKED_BYTES);
    while !paragraph.is_char_boundary(from) {
        from += 1;
    }
    let mut to = (next + ASKED_BYTES).min(paragraph.len());
    while !paragraph.is_char_boundary(to) {
        to -= 1;
    }
    let boundaries = sentencex::get_sentence_boundaries("en", &paragraph[from..to]);
    boundaries.iter().any(|boundary| {
        let blank = boundary.text.len() - boundary.text.trim_start().len();
        from + boundary.start_byte + blank == next
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether "before" and "after" are two sentences.
    fn two(before: &str, after: &str) -> bool {
        let paragraph = format!("{before} {after}");
        let text = before.trim_end_matches([')', '"']);
        ends(&paragraph, 0, text.len() - 1..before.len(), before.len() + 1)
    }

    #[test]
    fn a_clinical_abbreviation_does_not_end_a_sentence() {
        for (before, after) in [
            ("Seen by Dr.", "Example today"),
            ("Hyperintense on T2.", "weighted images"),
            ("Lesion of 2.3 cm.", "x 1.1 cm"),
            ("See image No.", "3 of the series"),
            ("Measures approx.", "5 mm"),
            ("Partial vs.", "Complete response"),
            ("Omeprazole 20 mg p.o.", "b.i.d. for a week"),
            ("Omeprazole 20 mg P.O.", "B.I.D. for a week"),
            ("Other causes, e.g.", "Infection"),
            ("Treated for H.", "pylori infection"),
            ("1.", "Stable disease"),
            ("IV.", "Stable disease"),
            ("Opacity ?", "Metastasis"),
            ("Seen by J.", "R. Example"),
            ("Signed by A.", "Example, MD"),
            ("Follow-up in 8 wks.", "as planned"),
            ("Smith et al.", "(2010)"),
            ("Enhancement at the inf.", "margin"),
            ("On Jan.", "5 the CT"),
            ("Paracetamol q.4h.", "p.r.n. pain"),
            ("A 62 y.o.", "F with nodes"),
            ("Lesion in seg.", "7 of the liver"),
        ] {
            assert!(!two(before, after), "{before} | {after}");
        }
    }

    #[test]
    fn a_sentence_ends_where_a_reader_ends_it() {
        for (before, after) in [
            ("The lesion measures 5 mm.", "The liver is normal"),
            ("Nodule of 4.1 cm.", "right paratracheal node"),
            ("Stable disease.", "3 mm nodule"),
            ("Hyperintense on T2.", "The liver"),
            ("He has hepatitis B.", "The liver is normal"),
            ("Tumour of grade 3.", "No metastasis"),
            ("SUV 2.1.", "no lung lesion"),
            ("Bones ok.", "subQ edema"),
            ("Seen at 8 a.m.", "The patient left"),
            ("Response (PR).", "No new lesion"),
            ("Is it larger?", "No"),
            ("in segment 4.", "mRECIST +71 %"),
            ("Treated with vitamin D.", "She is well"),
            ("Decreased by 50%.", "Stable"),
            ("Fever within 48 h.", "No rash"),
        ] {
            assert!(two(before, after), "{before} | {after}");
        }
    }

    #[test]
    fn a_forgotten_space_does_not_join_sentences() {
        let paragraph = "No metastasis.The liver";
        assert!(ends(paragraph, 0, 13..14, 14));
        for paragraph in ["p.Gly12Val", "www.example.Com", "2.5 cm", "e.g.The"] {
            let at = paragraph.find('.').expect("a full stop");
            assert!(!ends(paragraph, 0, at..at + 1, at + 1), "{paragraph}");
        }
    }
}
