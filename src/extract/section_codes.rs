//! What the codes of a document's sections say that they are for.

use super::headings;
use crate::domain::narrative::SectionKind;
use SectionKind::{
    Addendum, Assessment, Comparison, FamilyHistory, Findings, History, Impression, Indication, Other, PastHistory,
    Plan, Technique,
};

/// LOINC codes of sections (C-CDA 2.1, International Patient Summary, Diagnostic Imaging Report, pathology reports), and
/// the codes of DICOM that imaging reports have in their place, in order; with the heading of a section that has none.
const CODES: [(&str, SectionKind, &str); 102] = [
    ("10154-3", Indication, "Chief complaint"),
    ("10155-0", PastHistory, "History of allergies"),
    ("10157-6", FamilyHistory, "Family history"),
    ("10160-0", PastHistory, "Medications"),
    ("10162-6", PastHistory, "History of pregnancies"),
    ("10164-2", History, "History of present illness"),
    ("10167-5", PastHistory, "History of surgical procedures"),
    ("10183-2", PastHistory, "Discharge medications"),
    ("10184-0", Findings, "Discharge physical findings"),
    ("10187-3", History, "Review of systems"),
    ("10190-7", Findings, "Mental status"),
    ("10210-3", Findings, "General status"),
    ("10216-0", Other, "Fluids"),
    ("10218-6", Other, "Postoperative diagnosis"),
    ("10219-4", Other, "Preoperative diagnosis"),
    ("10223-6", Technique, "Surgical procedure"),
    ("104605-1", PastHistory, "Alerts"),
    ("11329-0", PastHistory, "Medical history"),
    ("11348-0", PastHistory, "Past medical history"),
    ("11369-6", PastHistory, "Immunizations"),
    ("11383-7", Assessment, "Outcomes"),
    ("11450-4", History, "Problems"),
    ("11493-4", Findings, "Discharge studies"),
    ("11535-2", Other, "Discharge diagnosis"),
    ("11537-8", Other, "Drains"),
    ("121060", History, "History"),
    ("121062", Indication, "Request"),
    ("121064", Technique, "Current procedure"),
    ("121065", Technique, "Procedure"),
    ("121068", Comparison, "Previous findings"),
    ("121069", Comparison, "Previous findings"),
    ("121070", Findings, "Findings"),
    ("121071", Findings, "Findings"),
    ("121072", Impression, "Impression"),
    ("121073", Impression, "Impression"),
    ("121074", Plan, "Recommendations"),
    ("121075", Plan, "Recommendations"),
    ("121076", Impression, "Conclusions"),
    ("121077", Impression, "Conclusion"),
    ("121078", Addendum, "Addendum"),
    ("121109", Indication, "Indications"),
    ("121111", Impression, "Summary"),
    ("18725-2", Findings, "Microbiology"),
    ("18726-0", Findings, "Radiology"),
    ("18776-5", Plan, "Plan"),
    ("18782-3", Findings, "Findings"),
    ("18783-1", Plan, "Recommendations"),
    ("18785-6", Indication, "Reason for study"),
    ("18834-2", Comparison, "Comparison"),
    ("18841-7", Other, "Consultations"),
    ("19005-8", Impression, "Impression"),
    ("22634-0", Findings, "Gross observation"),
    ("22635-7", Findings, "Microscopic observation"),
    ("22636-5", Indication, "Clinical history"),
    ("22637-3", Impression, "Final diagnosis"),
    ("26436-6", Findings, "Laboratory studies"),
    ("27898-6", Findings, "Pathology"),
    ("29299-5", Indication, "Reason for visit"),
    ("29545-1", Findings, "Physical findings"),
    ("29549-3", PastHistory, "Medications administered"),
    ("29554-3", Findings, "Procedure description"),
    ("29762-2", PastHistory, "Social history"),
    ("30954-2", Findings, "Results"),
    ("33746-9", Findings, "Pathologic findings"),
    ("34574-4", Impression, "Final diagnosis"),
    ("42344-2", Plan, "Discharge diet"),
    ("42346-7", PastHistory, "Medications on admission"),
    ("42347-5", Other, "Admission diagnosis"),
    ("42348-3", Other, "Advance directives"),
    ("42349-1", Indication, "Reason for referral"),
    ("46239-0", Indication, "Reason for visit"),
    ("46240-8", PastHistory, "Encounters"),
    ("46241-6", Other, "Admission diagnosis"),
    ("46264-8", PastHistory, "Medical equipment"),
    ("47420-5", Findings, "Functional status"),
    ("47519-4", PastHistory, "Procedures"),
    ("48765-2", PastHistory, "Allergies"),
    ("51847-2", Assessment, "Assessment and plan"),
    ("51848-0", Assessment, "Assessment"),
    ("55107-7", Addendum, "Addendum"),
    ("55108-5", Indication, "Clinical presentation"),
    ("55109-3", Other, "Complications"),
    ("55110-1", Impression, "Conclusions"),
    ("55111-9", Technique, "Current imaging procedure"),
    ("55112-7", Impression, "Summary"),
    ("55114-3", Comparison, "Prior imaging procedures"),
    ("55115-0", Indication, "Requested studies"),
    ("55752-0", Indication, "Clinical information"),
    ("59768-2", Indication, "Procedure indications"),
    ("59769-0", Other, "Postprocedure diagnosis"),
    ("59772-4", Plan, "Planned procedure"),
    ("59774-0", Technique, "Anesthesia"),
    ("59775-7", Plan, "Disposition"),
    ("59776-5", Findings, "Procedure findings"),
    ("61146-7", Plan, "Goals"),
    ("61149-1", Findings, "Objective"),
    ("61150-9", Assessment, "Subjective"),
    ("69730-0", Plan, "Instructions"),
    ("8648-8", Assessment, "Hospital course"),
    ("8653-8", Plan, "Discharge instructions"),
    ("8716-3", Findings, "Vital signs"),
    ("88040-1", Impression, "Response to cancer treatment"),
];

/// What a section with this code is for, and the heading that it has if it has no title.
pub(super) fn find(code: &str) -> Option<(SectionKind, &'static str)> {
    let code = code.trim();
    let at = CODES.binary_search_by(|(known, ..)| known.cmp(&code)).ok()?;
    Some((CODES[at].1, CODES[at].2))
}

/// What a section is for: as its code says, else as its title does, else what the section around it is for.
pub(super) fn kind(
    coded: Option<(SectionKind, &'static str)>,
    title: &str,
    around: Option<SectionKind>,
) -> SectionKind {
    coded
        .map(|(kind, _)| kind)
        .or_else(|| headings::known(title.trim_end_matches([':', ' '])))
        .or(around)
        .unwrap_or(Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_and_stands_once() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0), "not in order");
        assert!(CODES.iter().all(|(code, kind, heading)| find(code) == Some((*kind, *heading))));
        assert_eq!(find(" 19005-8 "), Some((Impression, "Impression")));
        assert_eq!(find("88040-1").map(|(kind, _)| kind), Some(Impression));
        assert_eq!(find("00000-0"), None);
    }
}
