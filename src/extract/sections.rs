//! Sections: which part of a text is what.

use std::ops::Range;

use super::headings::{self, Heading};
use super::lines::{self, Line};
use super::margins;
use super::rendition::Marked;
use crate::domain::narrative::SectionKind;

/// Share of capital letters from which on capitals say nothing about a line.
const CAPITAL_SHARE_MAX: f64 = 0.6;

/// Bytes of a line from which on a sentence may have been wrapped at its end.
const WRAPPED_BYTES_MIN: usize = 40;

/// A section of some text, by byte offsets into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: SectionKind,
    /// The heading without its colon.
    pub(super) title: Option<Range<usize>>,
    /// Where the text after the heading begins.
    pub(super) body: usize,
    /// The whole.
    pub(super) range: Range<usize>,
}

/// The sections of `text`: in order, without gaps, together all of it. `marked` are lines that the format marks as
/// headings.
pub(super) fn parts(text: &str, lines: &[Line], marked: &[Marked]) -> Vec<Part> {
    let capital = is_mostly_capital(text);
    let mut outline = Outline { text, starts: Vec::new(), open: Open::default(), signs: false };
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
        let may_be_title = marked.is_ok() || is_set_off(text, line, next) || (!capital && stands_out(text, line, next));
        outline.take(line, index.checked_sub(1).map(|before| &lines[before]), may_be_title);
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

/// A capital line above text that is not in capitals.
fn stands_out(text: &str, line: &Line, next: Option<&Line>) -> bool {
    let content = &text[line.range.clone()];
    line.after_blank
        && headings::is_capital_title(content)
        && next.is_some_and(|next| text[next.range.clone()].contains(char::is_lowercase))
}

/// A line between signs, or above a line of signs: "## Tumour board", "**Tumour board**", "Tumour board" over "=====".
fn is_set_off(text: &str, line: &Line, next: Option<&Line>) -> bool {
    let content = &text[line.range.clone()];
    let underlined = next.is_some_and(|next| is_rule(&text[next.range.clone()]));
    let enclosed = content.starts_with("**") && content.trim_end_matches(':').ends_with("**");
    (underlined || enclosed || content.starts_with("# ") || content.starts_with("##"))
        && headings::may_be_title(content)
}

/// A line of signs: "-----", "=====".
fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.bytes().all(|byte| b"-=_~*".contains(&byte))
}

/// What is known of the section that is being read.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: SectionKind,
    /// True if text followed the heading on its line.
    inline: bool,
}

impl Default for Open {
    fn default() -> Self {
        Self { kind: SectionKind::Other, inline: false }
    }
}

struct Start {
    at: usize,
    kind: SectionKind,
    title: Option<Range<usize>>,
    body: usize,
}

struct Outline<'t> {
    text: &'t str,
    starts: Vec<Start>,
    open: Open,
    /// True directly below a signature.
    signs: bool,
}

impl Outline<'_> {
    fn take(&mut self, line: &Line, before: Option<&Line>, may_be_title: bool) {
        let content = &self.text[line.range.clone()];
        let at = line.range.start;
        let goes_on = self.signs && !line.after_blank && margins::goes_on_signature(content);
        let continues = content.starts_with(char::is_lowercase)
            && !line.after_blank
            && before.is_some_and(|before| before.range.len() >= WRAPPED_BYTES_MIN);
        if let Some(kind) = margins::margin(content, continues).or(goes_on.then_some(SectionKind::Signature)) {
            self.interrupt(line, kind);
            self.signs = kind == SectionKind::Signature;
            return;
        }
        self.signs = false;
        if let Some(heading) = headings::at_line_start(content) {
            self.head(at, &heading, line);
        } else if may_be_title && headings::states_nothing(content) {
            let lead = headings::lead(content);
            let title = content.trim_end_matches([':', '*', '_', '#', ' ']).len().max(lead);
            let kind = if headings::names_organs_alone(content) { SectionKind::Findings } else { SectionKind::Other };
            self.head(at, &Heading { kind, lead, title, body: content.len() }, line);
        } else {
            self.continue_or_leave(line, before);
        }
        self.look_within(line);
    }

    /// A line of the margin: what follows belongs to the section that it interrupts.
    fn interrupt(&mut self, line: &Line, kind: SectionKind) {
        self.start(line.range.start, kind, line.range.start, None);
        self.start(line.range.end, self.open.kind, line.range.end, None);
    }

    /// Begins a section with a heading.
    fn head(&mut self, at: usize, heading: &Heading, line: &Line) {
        let body = at + heading.body;
        self.start(at, heading.kind, body, Some(at + heading.lead..at + heading.title));
        self.open = Open { kind: heading.kind, inline: body < line.range.end };
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
        self.starts.push(Start { at, kind, title, body });
    }

    /// Begins an untitled section.
    fn turn(&mut self, at: usize, kind: SectionKind) {
        if kind != self.open.kind {
            self.start(at, kind, at, None);
        }
        self.open = Open { kind, inline: false };
    }

    /// A line without heading: it may still end the section that is open.
    fn continue_or_leave(&mut self, line: &Line, before: Option<&Line>) {
        use SectionKind::{Comparison, FamilyHistory, History, Indication, Other, PastHistory, Technique};
        let content = &self.text[line.range.clone()];
        let kind = self.open.kind;
        let listed = content.starts_with(['-', '•', '*', '–']) || lines::is_list_marker(content);
        if let Some(length) = headings::label(content).filter(|_| !listed) {
            let label = &content[..length];
            if headings::is_organ(label) {
                if matches!(kind, Comparison | Technique | Indication | Other) {
                    self.turn(line.range.start, SectionKind::Findings);
                }
                return;
            }
            let capital = !label.contains(char::is_lowercase);
            // "MEDICATIONS" over "Right now:" has just begun.
            let begun = self.starts.last().is_none_or(|start| {
                start.body <= line.range.start && self.text[start.body..line.range.start].trim().is_empty()
            });
            if begun && !capital && kind == PastHistory {
                return;
            }
            let leaves = matches!(kind, FamilyHistory | PastHistory | Comparison | Technique | Indication)
                || (capital && matches!(kind, History | SectionKind::Plan));
            if leaves && !(kind == FamilyHistory && headings::is_relative(label)) {
                self.turn(line.range.start, Other);
                return;
            }
        }
        let sentence_over = before.is_some_and(|line| self.text[..line.range.end].ends_with(['.', '!', '?', ')', ':']));
        let one_line = matches!(kind, Comparison | Technique) && (sentence_over || line.after_comma);
        let one_paragraph = matches!(kind, Comparison | Technique | Indication | History | FamilyHistory);
        if self.open.inline && !listed && (one_line || (one_paragraph && line.after_blank)) {
            self.turn(line.range.start, Other);
        }
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
            }
        }
    }

    fn finish(mut self) -> Vec<Part> {
        if self.starts.first().is_none_or(|first| !self.text[..first.at].trim().is_empty()) {
            self.starts.insert(0, Start { at: 0, kind: SectionKind::Other, title: None, body: 0 });
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
                parts.push(Part { kind: start.kind, title: start.title, body: start.body, range: from..end });
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
        let plausible = (sentence && !content[..blank].trim_end().ends_with([',', ';'])) || capital_heading();
        plausible.then_some(start + after)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use SectionKind::{
        Addendum, Comparison, FamilyHistory, Findings, Footer, Header, Impression, Indication, Other, Signature,
        Technique,
    };

    fn outline(text: &str) -> Vec<(SectionKind, String, String)> {
        parts(text, &lines::lines(text), &[])
            .into_iter()
            .map(|part| {
                let title = part.title.map_or_else(String::new, |title| text[title].to_owned());
                (part.kind, title, text[part.body..part.range.end].trim().to_owned())
            })
            .collect()
    }

    fn expect(text: &str, expected: &[(SectionKind, &str, &str)]) {
        let found = outline(text);
        let found: Vec<_> = found.iter().map(|(kind, title, body)| (*kind, title.as_str(), body.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_radiology_report_has_its_sections() {
        expect(
            "CT CHEST\nIndication: NSCLC on osimertinib.\nComparison: Three months ago.\n\nLungs: Nodule 8 mm.\n\
             Liver: Normal.\n\nIMPRESSION:\n1. Stable.\n2. No new lesion.\n\nElectronically signed by A. B.\nPage 1 of 1",
            &[
                (Other, "CT CHEST", ""),
                (Indication, "Indication", "NSCLC on osimertinib."),
                (Comparison, "Comparison", "Three months ago."),
                (Findings, "", "Lungs: Nodule 8 mm.\nLiver: Normal."),
                (Impression, "IMPRESSION", "1. Stable.\n2. No new lesion."),
                (Signature, "", "Electronically signed by A. B."),
                (Footer, "", "Page 1 of 1"),
            ],
        );
    }

    #[test]
    fn text_after_a_comparison_is_not_part_of_it() {
        expect(
            "Comparison: 3, 12 months.\n\nNo new nodule.",
            &[(Comparison, "Comparison", "3, 12 months."), (Other, "", "No new nodule.")],
        );
        expect(
            "CT. COMPARISON: March. The liver is normal.",
            &[(Other, "", "CT."), (Comparison, "COMPARISON", "March."), (Other, "", "The liver is normal.")],
        );
    }

    #[test]
    fn headings_within_a_line_begin_a_section() {
        expect(
            "Lungs clear. IMPRESSION lung RADS 2, benign.",
            &[(Other, "", "Lungs clear."), (Impression, "IMPRESSION", "lung RADS 2, benign.")],
        );
        expect(
            "Vesicles enlarged.  Impression:  malignancy.,Bone scan:  Negative.",
            &[(Other, "", "Vesicles enlarged."), (Impression, "Impression", "malignancy.,Bone scan:  Negative.")],
        );
        expect("no mass. impression improved", &[(Other, "", "no mass."), (Impression, "impression", "improved")]);
    }

    #[test]
    fn the_family_history_ends_where_the_patient_begins() {
        expect(
            "Family: Mother, relapse at 54.\nFather: healthy\nPatient: well, in remission.",
            &[
                (FamilyHistory, "Family", "Mother, relapse at 54.\nFather: healthy"),
                (Other, "", "Patient: well, in remission."),
            ],
        );
    }

    #[test]
    fn a_page_break_does_not_end_a_section() {
        expect(
            "MRN: 1\nIMPRESSION:\nStable\nPage 1 of 2\nNo new lesion.\nADDENDUM: Seen again.",
            &[
                (Header, "", "MRN: 1"),
                (Impression, "IMPRESSION", "Stable"),
                (Footer, "", "Page 1 of 2"),
                (Impression, "", "No new lesion."),
                (Addendum, "ADDENDUM", "Seen again."),
            ],
        );
    }

    #[test]
    fn a_report_in_capitals_keeps_its_sentences() {
        expect(
            "TECHNIQUE: HELICAL CT.\n\nIMPRESSION:\nSTABLE DISEASE\nHEPATIC LESIONS SMALLER",
            &[
                (Technique, "TECHNIQUE", "HELICAL CT."),
                (Impression, "IMPRESSION", "STABLE DISEASE\nHEPATIC LESIONS SMALLER"),
            ],
        );
    }

    /// Reports and the kinds and titles of their sections.
    const TABLE: [(&str, &str); 62] = [
        (
            "INDICATION: Lung cancer.\nFINDINGS: Smaller.\nIMPRESSION: Response.",
            "indication INDICATION|findings FINDINGS|impression IMPRESSION",
        ),
        (
            "Indication\nLung cancer.\n\nFindings\nSmaller.\n\nImpression\nResponse.",
            "indication Indication|findings Findings|impression Impression",
        ),
        ("Impression\n-----\nStable.", "impression Impression"),
        ("Impression\n==========\nStable.", "impression Impression"),
        ("Tumour board\n------------\nStable.", "other Tumour board"),
        ("## Findings\nSmaller.\n## Impression\nResponse.", "findings Findings|impression Impression"),
        ("## Tumour board\nSmaller.", "other Tumour board"),
        ("**Findings**\nSmaller.\n**Impression:** Response.", "findings Findings|impression Impression"),
        ("**Tumour board**\nSmaller.", "other Tumour board"),
        ("[FINDINGS]\nSmaller.\n[IMPRESSION]\nResponse.", "findings FINDINGS|impression IMPRESSION"),
        ("=== FINDINGS ===\nSmaller.\n=== IMPRESSION ===\nResponse.", "findings FINDINGS|impression IMPRESSION"),
        ("IMPRESSION -\nStable.", "impression IMPRESSION"),
        ("IMPRESSION - Stable.", "impression IMPRESSION"),
        ("IMPRESSION:1. Stable\n2. No new lesion", "impression IMPRESSION"),
        ("IMPRESSION :\nStable.", "impression IMPRESSION"),
        ("The liver is normal. IMPRESSION: Stable.", "other |impression IMPRESSION"),
        ("The liver is normal. Impression: Stable.", "other |impression Impression"),
        (
            "CT ABDOMEN AND PELVIS\n\nLIVER\nSmaller lesion.\n\nSPLEEN\nNormal size.",
            "other |findings LIVER|findings SPLEEN",
        ),
        (
            "HISTORY: Colon cancer.\nASSESSMENT AND PLAN: Stable. Go on.",
            "history HISTORY|assessment ASSESSMENT AND PLAN",
        ),
        (
            "HPI: Well.\nPMH: None.\nFH: Mother had cancer.\nA/P: Stable.",
            "history HPI|past-history PMH|family-history FH|assessment A/P",
        ),
        (
            "INTERVAL HISTORY:\nNo pain.\nONCOLOGIC HISTORY:\nStage IV.",
            "assessment INTERVAL HISTORY|history ONCOLOGIC HISTORY",
        ),
        (
            "GROSS DESCRIPTION:\nTan tissue.\nMICROSCOPIC DESCRIPTION:\nCells.\nFINAL DIAGNOSIS:\nNo tumor.",
            "findings GROSS DESCRIPTION|findings MICROSCOPIC DESCRIPTION|impression FINAL DIAGNOSIS",
        ),
        ("SYNOPTIC REPORT:\nTumor size: 2 cm\nMargins: Negative", "findings SYNOPTIC REPORT"),
        (
            "SPECIMEN: Liver biopsy.\nCLINICAL HISTORY: Mass.\nDIAGNOSIS: Carcinoma.",
            "other SPECIMEN|indication CLINICAL HISTORY|other DIAGNOSIS",
        ),
        ("RECIST 1.1\nTarget 1: 12 mm\nOVERALL RESPONSE: PR", "findings RECIST 1.1|impression OVERALL RESPONSE"),
        ("TREATMENT RESPONSE: Partial.\nPLAN: Continue.", "assessment TREATMENT RESPONSE|plan PLAN"),
        ("IMPRESSION: Stable.\n\nADDENDUM: New lesion.", "impression IMPRESSION|addendum ADDENDUM"),
        (
            "IMPRESSION: Stable.\n\nADDENDUM #1 01/02/2024 10:30: New lesion.",
            "impression IMPRESSION|addendum ADDENDUM #1 01/02/2024 10:30",
        ),
        ("IMPRESSION: Stable.\n*** ADDENDUM ***\nNew lesion.", "impression IMPRESSION|addendum ADDENDUM"),
        ("IMPRESSION: Stable.\n\nElectronically signed by: A. Example, MD", "impression IMPRESSION|signature "),
        (
            "IMPRESSION: Stable.\n\nElectronically signed by:\nA. Example, MD\nDepartment of Radiology\n01/02/2024",
            "impression IMPRESSION|signature ",
        ),
        ("IMPRESSION: Stable.\nJane Example, MD", "impression IMPRESSION|signature "),
        ("PLAN: Go on.\nDictated by: A\nTranscribed by: B\nADDENDUM: New.", "plan PLAN|signature |addendum ADDENDUM"),
        ("PLAN: Go on.\nReviewed and attested by the attending.", "plan PLAN|signature "),
        ("PLAN: Go on.\ncc: Dr. Example", "plan PLAN|footer "),
        ("CC: Cough.\nHPI: Well.", "indication CC|history HPI"),
        ("PLAN: Go on.\nThis note was created with voice recognition.", "plan PLAN|footer "),
        (
            "PLAN: Go on.\nPortions were dictated with speech recognition software; errors may be there.",
            "plan PLAN|footer ",
        ),
        ("Patient Name: DOE, JANE\nMRN: 1\nDOB: 01/02/1950\nFINDINGS: Smaller.", "header |findings FINDINGS"),
        ("DOE, JANE | MRN: 1 | DOB: 01/02/1950\nFINDINGS: Smaller.", "header |findings FINDINGS"),
        ("Accession: 1\nReferring Physician: Dr. A\nIMPRESSION: Stable.", "header |impression IMPRESSION"),
        ("IMPRESSION:\nStable.\nPage 1 of 2\nNo new lesion.", "impression IMPRESSION|footer |impression "),
        (
            "DOE, JANE 1950\nPage 1 of 2\nIMPRESSION:\nStable.\nNo pain.\nBones well.\nLungs clear.\nDOE, JANE 1950\nPage 2 of 2\nNo new lesion.",
            "header |footer |impression IMPRESSION|header |footer |impression ",
        ),
        (
            "DOE, JANE  MRN 1  Page 1 of 2\nIMPRESSION:\nStable.\nDOE, JANE  MRN 1  Page 2 of 2\nNo new lesion.",
            "footer |impression IMPRESSION|footer |impression ",
        ),
        ("MEDICATIONS:\nRight now:\nLetrozole\n\nPLAN:\nGo on.", "past-history MEDICATIONS|plan PLAN"),
        (
            "Medications: Letrozole.\nAllergies: None.\nSocial History: Retired.",
            "past-history Medications|past-history Allergies|past-history Social History",
        ),
        (
            "FAMILY HISTORY: Mother: breast cancer, remission.\nFather: well.\nASSESSMENT: Stable.",
            "family-history FAMILY HISTORY|assessment ASSESSMENT",
        ),
        ("COMPARISON: CT of May.\nLiver: Smaller.", "comparison COMPARISON|findings "),
        ("TECHNIQUE: CT with contrast.\n\nThe liver is normal.", "technique TECHNIQUE|other "),
        ("FINDINGS/IMPRESSION:\nStable.", "impression FINDINGS/IMPRESSION"),
        ("IMPRESSION AND RECOMMENDATIONS:\nStable.", "impression IMPRESSION AND RECOMMENDATIONS"),
        ("Impression & Plan:\nStable.", "impression Impression & Plan"),
        ("IMPRESSION (CT CHEST):\nStable.", "impression IMPRESSION (CT CHEST)"),
        ("BRAIN MRI IMPRESSION:\nStable.", "impression BRAIN MRI IMPRESSION"),
        ("Impression | Stable", "impression Impression"),
        ("Impression\tStable", "impression Impression"),
        ("impression: stable", "impression impression"),
        (
            "Review of systems: Well.\nPhysical Exam: Well.\nLabs: Normal.",
            "history Review of systems|findings Physical Exam|findings Labs",
        ),
        (
            "Reason for exam: Cough.\nExam: CT chest.\nComparison: None.",
            "indication Reason for exam|technique Exam|comparison Comparison",
        ),
        ("NO EVIDENCE OF DISEASE\n\nThe liver is normal.", "other "),
        ("STABLE DISEASE\nThe liver is normal.", "other "),
        ("The impression of stability remains.\nFindings are unchanged.", "other "),
    ];

    #[test]
    fn reports_of_every_style_are_divided() {
        let outlined = |text: &str| {
            let parts = outline(text).into_iter();
            parts.map(|(kind, title, _)| format!("{} {title}", kind.code())).collect::<Vec<_>>().join("|")
        };
        let wrong: Vec<String> = TABLE
            .iter()
            .map(|(text, expected)| (text, outlined(text), expected))
            .filter(|(_, found, expected)| found != *expected)
            .map(|(text, found, expected)| format!("{text}\n  is {found}\n not {expected}"))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    proptest! {
        #[test]
        fn sections_follow_each_other_and_hold_all(
            text in "(IMPRESSION|Impression|:|\n|,| |Page 1 of 2|Liver|FAMILY HISTORY|é|\\.|Comparison|stable|MRN: 2|1\\. |COMPARISON){0,40}"
        ) {
            let parts = parts(&text, &lines::lines(&text), &[]);
            let mut at = 0;
            for part in &parts {
                prop_assert_eq!(part.range.start, at);
                prop_assert!(part.range.start <= part.body && part.body <= part.range.end);
                prop_assert!(text.is_char_boundary(part.body));
                at = part.range.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
