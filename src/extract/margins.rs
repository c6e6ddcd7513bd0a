//! What stands around a report and is no part of it: letterheads, patient banners, page numbers, signatures, disclaimers.

use std::collections::{HashMap, HashSet};

use super::lines::Line;
use super::words::{ORGANS, STATING, Words};
use crate::domain::narrative::SectionKind;

/// Bytes of such a line: longer ones are prose.
const MARGIN_BYTES_MAX: usize = 300;

/// Bytes of a line below a signature: a name, a department, a date.
const DETAIL_BYTES_MAX: usize = 80;

/// Lines before and after a page number that may belong to the page's head or foot.
const PAGE_HEAD_LINES_MAX: usize = 4;

/// How a signature line begins.
const SIGNED: [&str; 49] = [
    "electronically signed",
    "e-signed",
    "esigned",
    "digitally signed",
    "signed by",
    "signed electronically",
    "signed:",
    "signature:",
    "dictated by",
    "dictated:",
    "dictated and",
    "dictated on",
    "transcribed by",
    "transcribed:",
    "transcribed on",
    "transcriptionist",
    "reported by",
    "verified by",
    "authenticated by",
    "electronically authenticated",
    "electronically verified",
    "electronically approved",
    "electronically reviewed",
    "electronically attested",
    "report approved by",
    "approved by",
    "finalized by",
    "finalised by",
    "final report signed",
    "released by",
    "interpreted by",
    "read by",
    "reviewed by",
    "reviewed and attested",
    "reviewed and signed",
    "attested by",
    "attending attestation",
    "teaching physician",
    "attending radiologist:",
    "interpreting radiologist",
    "interpreting physician",
    "reading physician",
    "reading radiologist",
    "radiologist:",
    "pathologist:",
    "i have personally reviewed",
    "i personally reviewed the images",
    "i, the attending",
    "job id",
];

/// How a line of a letterhead or patient banner begins.
const HEADER: [&str; 49] = [
    "patient name",
    "patient id",
    "pt name",
    "name:",
    "mrn",
    "medical record",
    "dob",
    "date of birth",
    "accession",
    "hospital number",
    "nhs number",
    "referring physician",
    "referring provider",
    "referring:",
    "ordering physician",
    "ordering provider",
    "ordered by",
    "requesting physician",
    "requesting provider",
    "date of exam",
    "date of service",
    "exam date",
    "study date",
    "date of study",
    "report date",
    "service date",
    "visit date",
    "encounter date",
    "encounter number",
    "attending physician:",
    "age:",
    "sex:",
    "gender:",
    "age/sex",
    "account",
    "acct",
    "fin:",
    "csn",
    "order number",
    "order #",
    "exam #",
    "case number",
    "case #",
    "specimen id",
    "date collected",
    "date received",
    "date reported",
    "facility:",
    "department:",
];

/// How a line below the report begins.
const FOOTER: [&str; 23] = [
    "confidential",
    "this report was generated",
    "this report was dictated",
    "this report was created",
    "this report was transcribed",
    "this document was created",
    "this document was prepared",
    "this report has been created",
    "this dictation was",
    "this note was created",
    "this note was generated",
    "this note was dictated",
    "this note was prepared",
    "this note may contain",
    "the information contained in this",
    "if you have received this",
    "printed on",
    "printed by",
    "printed:",
    "print date",
    "date printed",
    "continued on next page",
    "copyright",
];

/// What a disclaimer names.
const DISCLAIMED: [&str; 5] =
    ["voice recognition", "speech recognition", "dictation software", "transcription error", "typographical error"];

/// What "end of" is said of at the foot of a report; any other end is told of a patient.
const ENDS: [&str; 9] =
    ["report", "note", "document", "addendum", "impression", "dictation", "letter", "transcription", "page"];

/// How words begin that tell of a patient's disease.
const CLINICAL_STEMS: [&str; 45] = [
    "respon",
    "progress",
    "relaps",
    "remission",
    "remitt",
    "metast",
    "lesion",
    "nodul",
    "tumor",
    "tumour",
    "cancer",
    "carcin",
    "lymphom",
    "leuk",
    "myelom",
    "melanom",
    "sarcom",
    "malignan",
    "neoplas",
    "chemo",
    "radiother",
    "therap",
    "treatment",
    "treated",
    "recur",
    "residual",
    "shrink",
    "shrunk",
    "shrank",
    "grow",
    "enlarg",
    "increas",
    "decreas",
    "improv",
    "worse",
    "resolv",
    "resolution",
    "regress",
    "biops",
    "scan",
    "tomograph",
    "express",
    "deauville",
    "doubl",
    "halv",
];

/// Whether a text tells of a patient's disease.
pub(super) fn is_clinical(lower: &str) -> bool {
    static CLINICAL: Words = Words::new(
        "cr, pr, sd, pd, ln, ct, mri, pet, mm, cm, mass, masses, recist, stable, unchanged, died, deceased, hospice, mrd, \
         dlbcl, nsclc, aml, cll, psa, cea",
    );
    words(lower).any(|word| CLINICAL.has(word) || CLINICAL_STEMS.iter().any(|stem| word.starts_with(stem)))
}

/// Whether a text is names, dates and numbers: no clinical word, none of a sentence, no heading of a report. What is not
/// bare is read as a part of the report: to read a letterhead costs little, to lose a sentence costs the answer.
fn is_bare(lower: &str) -> bool {
    static SENTENCE: Words = Words::new(
        "be, been, had, will, saw, seen, shows, show, showed, shown, told, said, she, he, we, they, her, him, his, their, \
         patient, pt, because, which, but, after, since, given",
    );
    const HEADINGS: [&str; 5] = ["impression:", "findings:", "assessment:", "conclusion:", "addendum:"];
    !is_clinical(lower)
        && !words(lower).any(|word| SENTENCE.has(word) || STATING.has(word))
        && !HEADINGS.iter().any(|heading| lower.contains(heading))
}

fn words(lower: &str) -> impl Iterator<Item = &str> {
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// What follows the mark that a line begins with, if one does: a mark ends where a word ends.
fn after_mark<'l>(lower: &'l str, marks: &[&str]) -> Option<&'l str> {
    let within_word =
        |mark: &str, rest: &str| mark.ends_with(char::is_alphanumeric) && rest.starts_with(char::is_alphanumeric);
    marks.iter().find_map(|mark| lower.strip_prefix(mark).filter(|rest| !within_word(mark, rest)))
}

/// Header, footer and signature lines, by their own words. A line that `continues` the one above is none by a word that a
/// sentence may be wrapped before.
pub(super) fn margin(line: &str, continues: bool) -> Option<SectionKind> {
    if line.len() > MARGIN_BYTES_MAX {
        return None;
    }
    let lower = line.trim_start_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    let begins = |marks: &[&str]| !continues && after_mark(&lower, marks).is_some_and(is_bare);
    if begins(&SIGNED) || is_name_with_degree(line) {
        Some(SectionKind::Signature)
    } else if is_footer(&lower) && !(continues && lower.starts_with("end")) {
        Some(SectionKind::Footer)
    } else if (begins(&HEADER) || (lower.contains("mrn:") || lower.contains("dob:")) && is_bare(&lower))
        && (line.contains(':') || line.contains('|') || line.contains('#'))
    {
        Some(SectionKind::Header)
    } else {
        None
    }
}

fn is_footer(lower: &str) -> bool {
    let ends = || {
        let after = after_mark(lower, &["end of"])?.trim_start_matches([' ', ':']);
        after_mark(after, &ENDS)
    };
    ends().is_some_and(is_bare)
        || after_mark(lower, &FOOTER).is_some_and(|rest| !is_clinical(rest))
        || (lower.starts_with('p') && is_page_number(lower))
        || ends_with_page_number(lower)
        || (DISCLAIMED.iter().any(|named| lower.contains(named)) && !is_clinical(lower))
        || is_copy(lower)
}

/// "Page 2 of 3", "page 2/3", "2 of 3" does not count.
fn is_page_number(lower: &str) -> bool {
    lower.strip_prefix("page").is_some_and(|rest| {
        let rest = rest.trim_start_matches([' ', ':', '#']);
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.len() <= 12
            && rest.split(|c: char| !c.is_alphabetic()).all(|word| word.is_empty() || word == "of")
    })
}

/// "DOE, JANE   MRN 1   Page 2 of 3".
fn ends_with_page_number(lower: &str) -> bool {
    lower.rfind("page ").is_some_and(|at| {
        at > 0 && lower[at..].contains(" of ") && is_page_number(&lower[at..]) && is_bare(&lower[..at])
    })
}

/// "cc: Dr. Example": a copy, and no chief complaint.
fn is_copy(lower: &str) -> bool {
    let Some(rest) = lower.strip_prefix("cc:").or_else(|| lower.strip_prefix("copy to")) else { return false };
    is_bare(rest)
        && rest
            .split(|c: char| !c.is_alphabetic() && c != '.')
            .any(|word| matches!(word, "dr" | "dr." | "md" | "m.d." | "clinic" | "fax"))
}

/// "Jane Example, MD": a name with a degree, and nothing else.
fn is_name_with_degree(line: &str) -> bool {
    static DEGREES: Words = Words::new(
        "MD, DO, PhD, NP, PA, PA-C, RN, FRCR, FRCP, FRCPath, FRANZCR, MBBS, MBChB, FACR, FCAP, FACP, DNP, APRN, ARNP, CRNP, MPH, MS, \
         MSc, BSN, PharmD, DABR, FACS",
    );
    let Some((name, degrees)) = line.split_once(',').filter(|_| line.len() <= DETAIL_BYTES_MAX) else { return false };
    let lower = name.to_ascii_lowercase();
    if !is_bare(&lower) || words(&lower).any(|word| ORGANS.has(word)) {
        return false;
    }
    let names = name.split_whitespace();
    let count = names.clone().count();
    let mut degrees = degrees.split([',', ' ']).filter(|degree| !degree.is_empty()).peekable();
    (1..=4).contains(&count)
        && names.clone().all(|name| name.starts_with(char::is_uppercase) && name.len() <= 20)
        && degrees.peek().is_some()
        && degrees.all(|degree| DEGREES.has(&degree.replace('.', "")))
}

/// Whether a line directly below a signature belongs to it: a department, a date, a telephone number.
pub(super) fn goes_on_signature(line: &str) -> bool {
    if line.len() > DETAIL_BYTES_MAX || line.ends_with('.') {
        return false;
    }
    let lower = line.to_ascii_lowercase();
    let begins = [
        "department of",
        "division of",
        "board certified",
        "attending physician",
        "attending radiologist",
        "attending pathologist",
        "date:",
        "time:",
    ];
    let calls = ["pager", "phone", "telephone", "tel", "fax", "ext"];
    let called = |rest: &str| is_bare(rest) && rest.contains(|c: char| c.is_ascii_digit());
    is_moment(&lower)
        || after_mark(&lower, &begins).is_some_and(is_bare)
        || after_mark(&lower, &calls).is_some_and(called)
        || is_name_with_degree(line)
}

/// "01/02/2024 10:30 AM", "on March 3, 2024 at 14:05 EST": a date, a time, and nothing else.
fn is_moment(lower: &str) -> bool {
    static OF_MOMENTS: Words = Words::new(
        "on, at, date, time, hours, hrs, h, am, pm, a, p, m, t, z, utc, gmt, est, edt, cst, cdt, mst, mdt, pst, pdt, bst, cet, cest, \
         jan, feb, mar, apr, may, jun, jul, aug, sep, sept, oct, nov, dec, january, february, march, april, june, july, \
         august, september, october, november, december, mon, tue, tues, wed, thu, thur, thurs, fri, sat, sun, monday, \
         tuesday, wednesday, thursday, friday, saturday, sunday",
    );
    lower.contains(|c: char| c.is_ascii_digit())
        && lower.contains(['/', ':', '-', ',', '.'])
        && lower.split(|c: char| !c.is_alphabetic()).all(|word| word.is_empty() || OF_MOMENTS.has(word))
}

/// Lines that come again at page after page: by their index, which of `lines` are heads or feet of pages.
///
/// A line is one if it stands close to a page number, and its like, digits aside, close to another.
pub(super) fn page_heads(text: &str, lines: &[Line]) -> HashSet<usize> {
    let content = |at: usize| &text[lines[at].range.clone()];
    let is_number = |at: usize| {
        let line = content(at);
        line.len() <= MARGIN_BYTES_MAX && {
            let lower = line.trim_start_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
            is_page_number(&lower) || ends_with_page_number(&lower)
        }
    };
    // Nearly all lines are out of the question by their letters.
    let numbers: Vec<usize> = (0..lines.len())
        .filter(|at| {
            content(*at).as_bytes().windows(4).any(|four| four.eq_ignore_ascii_case(b"page")) && is_number(*at)
        })
        .collect();
    if numbers.len() < 2 {
        return HashSet::new();
    }
    let mut near: HashMap<String, (HashSet<usize>, Vec<usize>)> = HashMap::new();
    for number in &numbers {
        let range = number.saturating_sub(PAGE_HEAD_LINES_MAX)..(number + PAGE_HEAD_LINES_MAX + 1).min(lines.len());
        for at in range.filter(|at| numbers.binary_search(at).is_err() && content(*at).len() <= MARGIN_BYTES_MAX) {
            let like: String = content(at).chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
            let (pages, places) = near.entry(like).or_default();
            pages.insert(*number);
            places.push(at);
        }
    }
    // Between two page numbers that stand close together a line is near both of them: it must come twice.
    near.into_values()
        .filter(|(pages, places)| pages.len() >= 2 && places.iter().collect::<HashSet<_>>().len() >= 2)
        .flat_map(|(_, places)| places)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::lines;
    use super::*;
    use SectionKind::{Footer, Header, Signature};

    #[test]
    fn lines_of_the_margin_are_known() {
        let table = [
            ("Page 1 of 2", Some(Footer)),
            ("page 2/3", Some(Footer)),
            ("- Page 3 -", Some(Footer)),
            ("DOE, JANE   MRN 00012   Page 2 of 3", Some(Footer)),
            ("Electronically signed by A. Example, MD", Some(Signature)),
            ("/Electronically signed/ A. Example", Some(Signature)),
            ("Dictated by: x", Some(Signature)),
            ("Reviewed and attested by the attending", Some(Signature)),
            ("Transcribed: 01/02/2024 JX", Some(Signature)),
            ("Interpreting radiologist: A. Example", Some(Signature)),
            ("Jane Q. Example, MD, PhD", Some(Signature)),
            ("Jane Example, M.D.", Some(Signature)),
            ("cc: Dr. Example", Some(Footer)),
            ("CC: Cough and fever", None),
            ("MRN: 000", Some(Header)),
            ("Patient Name: x", Some(Header)),
            ("Accession #: 12-345", Some(Header)),
            ("DOE, JANE | DOB: 01/02/1950 | F", Some(Header)),
            ("Date Collected: 01/02/2024", Some(Header)),
            ("*** END OF REPORT ***", Some(Footer)),
            ("END OF IMPRESSION:", Some(Footer)),
            ("End of treatment PET shows complete response.", None),
            ("This note was created with voice recognition software.", Some(Footer)),
            ("Dictated using speech recognition; errors may occur.", Some(Footer)),
            ("CONFIDENTIAL: for the addressee only", Some(Footer)),
            ("Patient is stable: no change", None),
            ("Page 12 shows progression of disease", None),
            ("Liver, spleen", None),
            ("Stable disease, MD aware", None),
            ("I have personally reviewed the images and agree with the findings above.", Some(Signature)),
            ("I have personally reviewed the CT, which shows new deposits in the liver.", None),
            ("Reviewed by tumor board: complete response", None),
            ("Reviewed by telephone. Relapsed last spring.", None),
            ("Attending attestation: I saw and examined him. Smaller nodes.", None),
            ("Signed by Dr. Example. ADDENDUM: seen again", None),
            ("Complete Response, MD", None),
            ("Right Lung, PA", None),
            ("End of induction marrow: MRD negative", None),
            ("End of cycle 4: smaller", None),
            ("This note was created with speech recognition software. The mass has grown.", None),
            ("Liver stable. Page 2 of 3", None),
            ("cc: Dr. Example. She has relapsed.", None),
            ("mRNA level: high", None),
            ("Accounting for technique: no change", None),
            ("Age: 54, in complete remission", None),
            ("Study date: 3/4/2026. Impression: PD.", None),
            ("Jane Example (DOB: 1/2/1960) has done well", None),
            ("Case #2: a woman with a complete response", None),
        ];
        for (line, kind) in table {
            assert_eq!(margin(line, false), kind, "{line}");
        }
    }

    #[test]
    fn a_wrapped_sentence_is_no_margin() {
        for line in ["reviewed by the board.", "end of report", "age: 65", "read by another."] {
            assert!(margin(line, false).is_some(), "{line}");
            assert_eq!(margin(line, true), None, "{line}");
        }
    }

    #[test]
    fn what_is_below_a_signature_goes_on_with_it() {
        for line in [
            "Department of Radiology",
            "01/02/2024 10:30 AM",
            "on March 3, 2024 at 14:05 EST",
            "Jane Example, MD",
            "Pager 1234",
            "Tel: 555-0100",
        ] {
            assert!(goes_on_signature(line), "{line}");
        }
        for line in [
            "No new lesion",
            "Stable disease.",
            "Liver: 12 mm lesion",
            "ADDENDUM",
            "New LN 12 mm",
            "On review, a nodule of 5 mm",
            "Telephone call: relapsed 3 weeks ago",
            "Telangiectasia",
            "Attending physician saw new nodules",
        ] {
            assert!(!goes_on_signature(line), "{line}");
        }
    }

    #[test]
    fn heads_that_come_again_at_each_page_are_known() {
        let text = "GENERAL HOSPITAL\nDOE, JANE 1950\nPage 1 of 3\nLiver stable.\nGENERAL HOSPITAL\nDOE, JANE 1950\nPage 2 of 3\n\
                    Bones stable.\nNo new lesion.\nKidneys stable.\nSpleen stable.\nNo ascites.\nGENERAL HOSPITAL\nDOE, JANE 1950\nPage 3 of 3\nEnd.";
        let lines = lines::lines(text);
        let mut heads: Vec<&str> =
            page_heads(text, &lines).into_iter().map(|at| &text[lines[at].range.clone()]).collect();
        heads.sort_unstable();
        assert_eq!(
            heads,
            [
                "DOE, JANE 1950",
                "DOE, JANE 1950",
                "DOE, JANE 1950",
                "GENERAL HOSPITAL",
                "GENERAL HOSPITAL",
                "GENERAL HOSPITAL"
            ]
        );
        assert!(page_heads("Stable.\nPage 1 of 1\nStable.", &lines::lines("Stable.\nPage 1 of 1\nStable.")).is_empty());
    }
}
