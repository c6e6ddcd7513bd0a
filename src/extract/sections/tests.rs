//! Reports of many styles, and their sections.

use proptest::prelude::*;

use super::*;
use SectionKind::{
    Addendum, Comparison, FamilyHistory, Findings, Footer, Header, Impression, Indication, Other, Signature, Technique,
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
        &[(Comparison, "Comparison", "3, 12 months."), (Findings, "", "No new nodule.")],
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
const TABLE: [(&str, &str); 98] = [
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
    ("HISTORY: Colon cancer.\nASSESSMENT AND PLAN: Stable. Go on.", "history HISTORY|assessment ASSESSMENT AND PLAN"),
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
    ("TECHNIQUE: CT with contrast.\n\nThe liver is normal.", "technique TECHNIQUE|findings "),
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
    (
        "ASSESSMENT AND PLAN:\n# Lymphoma, smaller by half\n- watch\n# Hypertension\n- amlodipine",
        "assessment ASSESSMENT AND PLAN",
    ),
    ("# Assessment\nWell.\n# Tumour board\nSmaller.", "assessment Assessment|other Tumour board"),
    ("Impression\n**Lesions in part gone from view**\n\nPlan\nGo on.", "impression Impression|plan Plan"),
    ("IMPRESSION:\n1. Lesion down\n2. Marker down\n--------\nJane Example, MD", "impression IMPRESSION|signature "),
    ("Impression:\nTumour shrinks\n________\nJane Example, MD", "impression Impression|signature "),
    ("IMPRESSION:\n\nTUMOR SHRINKING\nThe lesion is 1 cm.", "impression IMPRESSION"),
    ("MEDICATIONS:\nLetrozole 2.5 mg\n\nThe scan of today shows a clear response.", "past-history MEDICATIONS|other "),
    (
        "PAST MEDICAL HISTORY:\n\nShe has had a heart attack.\nPLAN: Go on.",
        "past-history PAST MEDICAL HISTORY|plan PLAN",
    ),
    ("ALLERGIES: None\n\nSeen today with a good response.", "past-history ALLERGIES|other "),
    ("SOCIAL HISTORY: Lives alone.\nThe scan of today shows a response.", "past-history SOCIAL HISTORY|other "),
    ("FAMILY HISTORY: Sister in remission. The patient has relapsed.", "family-history FAMILY HISTORY|other "),
    ("FAMILY HISTORY: Sister in remission.\nHer mother had breast cancer too.", "family-history FAMILY HISTORY"),
    (
        "Assessment and Plan:\nPain: controlled.\nMedications: no changes.\nFamily: told that it is smaller.",
        "assessment Assessment and Plan",
    ),
    ("FINDINGS:\nLungs: Clear.\nContrast: Mixing artefact. New lesion.", "findings FINDINGS"),
    ("Report:\nComparison: May.\nThe mass is smaller.", "findings Report|comparison Comparison|other "),
    ("COMPARISON: None\nLungs are clear. A mass is there.", "comparison COMPARISON|findings "),
    ("COMPARISON: CT of the chest and of the abdomen of May, and\nPET of June.", "comparison COMPARISON"),
    ("COMPARISON: None. There is a large mass.", "comparison COMPARISON|findings "),
    ("COMPARISON:\nCT chest of May.\nCT abdomen of June.", "comparison COMPARISON"),
    ("TECHNIQUE: Helical CT. Contrast was given. The liver mass is 4 cm.", "technique TECHNIQUE|findings "),
    ("Method: 60 min after 250 MBq. Low dose. Lungs: nodules in both.", "technique Method|findings "),
    ("TECHNIQUE: CT with contrast\nNodules are larger.", "technique TECHNIQUE|other "),
    ("EXAM:\nCT CHEST\n\nFINDINGS: Clear.", "technique EXAM|findings FINDINGS"),
    ("EXAM:\nNodes of 2 cm", "findings EXAM"),
    ("Impression and Plan\nDiagnosis\nLymphoma, much smaller.", "impression Impression and Plan|impression Diagnosis"),
    ("CLINICAL SUMMARY: Lymphoma.", "indication CLINICAL SUMMARY"),
    (
        "PLAN: Go on.\n\n11/26/2026 ADDENDUM     STATUS: COMPLETED\nA new nodule.",
        "plan PLAN|addendum 11/26/2026 ADDENDUM",
    ),
    ("ADDENDUM:\nA typing error.\nEND OF ADDENDUM\nThe mass is larger.", "addendum ADDENDUM|footer |other "),
    ("ADDENDUM:\nSmaller.\nORIGINAL REPORT:\nLarger.", "addendum ADDENDUM|other ORIGINAL REPORT"),
    ("S: Well.\nO: Lungs clear.\nA: In remission.\nP: See in May.", "assessment S|findings O|assessment A|plan P"),
    ("SUBJECTIVE: Well.\nA: In remission.\nP: See in May.", "assessment SUBJECTIVE|assessment A|plan P"),
    ("Vitals\nP: 72\nA: well", "findings Vitals"),
    ("lungs clear IMPRESSION no recurrence", "other |impression IMPRESSION"),
    ("lungs clear\nimpression\nno recurrence", "other |impression impression"),
    ("Lungs clear. Impression 1. Smaller. 2. No new lesion.", "other |impression Impression"),
    ("The scan was read, see IMPRESSION below", "other "),
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
