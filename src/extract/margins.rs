//! What stands around a report and is no part of it: letterheads, patient banners, page numbers, signatures, disclaimers.

use std::collections::{HashMap, HashSet};

use super::lines::Line;
use super::words::Words;
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
    "i personally reviewed the image",
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
const FOOTER: [&str; 24] = [
    "end of",
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

/// Header, footer and signature lines, by their own words.
pub(super) fn margin(line: &str) -> Option<SectionKind> {
    if line.len() > MARGIN_BYTES_MAX {
        return None;
    }
    let lower = line.trim_start_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    let starts = |marks: &[&str]| marks.iter().any(|mark| lower.starts_with(mark));
    if starts(&SIGNED) || is_name_with_degree(line) {
        Some(SectionKind::Signature)
    } else if (starts(&FOOTER) && !lower.contains("end of treatment"))
        || lower.starts_with('p') && is_page_number(&lower)
        || ends_with_page_number(&lower)
        || DISCLAIMED.iter().any(|named| lower.contains(named))
        || is_copy(&lower)
    {
        Some(SectionKind::Footer)
    } else if (starts(&HEADER) || lower.contains("mrn:") || lower.contains("dob:"))
        && (line.contains(':') || line.contains('|') || line.contains('#'))
    {
        Some(SectionKind::Header)
    } else {
        None
    }
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
    lower.rfind("page ").is_some_and(|at| at > 0 && lower[at..].contains(" of ") && is_page_number(&lower[at..]))
}

/// "cc: Dr. Example": a copy, and no chief complaint.
fn is_copy(lower: &str) -> bool {
    let Some(rest) = lower.strip_prefix("cc:").or_else(|| lower.strip_prefix("copy to")) else { return false };
    rest.split(|c: char| !c.is_alphabetic() && c != '.')
        .any(|word| matches!(word, "dr" | "dr." | "md" | "m.d." | "clinic" | "fax"))
}

/// "Jane Example, MD": a name with a degree, and nothing else.
fn is_name_with_degree(line: &str) -> bool {
    static DEGREES: Words = Words::new(
        "MD, DO, PhD, NP, PA, PA-C, RN, FRCR, FRCP, FRCPath, FRANZCR, MBBS, MBChB, FACR, FCAP, FACP, DNP, APRN, ARNP, CRNP, MPH, MS, \
         MSc, BSN, PharmD, DABR, FACS",
    );
    let Some((name, degrees)) = line.split_once(',').filter(|_| line.len() <= DETAIL_BYTES_MAX) else { return false };
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
        "attending ",
        "pager",
        "phone",
        "tel",
        "fax",
        "date:",
        "time:",
        "on ",
    ];
    let dated = lower.contains(|c: char| c.is_ascii_digit())
        && lower
            .split(|c: char| !c.is_alphabetic())
            .all(|word| word.len() <= 3 || ["date", "time", "hours"].contains(&word));
    dated || begins.iter().any(|begin| lower.starts_with(begin)) || is_name_with_degree(line)
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
        ];
        for (line, kind) in table {
            assert_eq!(margin(line), kind, "{line}");
        }
    }

    #[test]
    fn what_is_below_a_signature_goes_on_with_it() {
        for line in ["Department of Radiology", "01/02/2024 10:30 AM", "Jane Example, MD", "Pager 1234"] {
            assert!(goes_on_signature(line), "{line}");
        }
        for line in ["No new lesion", "Stable disease.", "Liver: 12 mm lesion", "ADDENDUM"] {
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
