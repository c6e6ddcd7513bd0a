//! The words that reports are divided by.

use std::collections::HashSet;
use std::sync::OnceLock;

use crate::domain::narrative::SectionKind;

/// A list of words or phrases, written as a reader reads it.
pub(super) struct Words {
    list: &'static str,
    set: OnceLock<HashSet<&'static str>>,
}

impl Words {
    /// `list` has a comma and a space between the words.
    pub(super) const fn new(list: &'static str) -> Self {
        Self { list, set: OnceLock::new() }
    }

    /// Whether `word` is one of them, letter for letter.
    pub(super) fn has(&self, word: &str) -> bool {
        self.set.get_or_init(|| self.list.split(", ").collect()).contains(word)
    }
}

/// Headings by what they are for, in lower case; a heading may also be several of them joined by "and", "/" or "&".
pub(super) const KNOWN: [(SectionKind, &str); 12] = [
    (
        SectionKind::Impression,
        "impression, impressions, imp, final, conclusion, conclusions, opinion, summary, interpretation, \
         final diagnosis, final diagnoses, final pathologic diagnosis, pathologic diagnosis, \
         pathological diagnosis, histologic diagnosis, histological diagnosis, microscopic diagnosis, \
         final pathology diagnosis, final interpretation, summary and conclusion, bottom line, \
         overall response, response assessment, response evaluation, appraisal, synopsis, key findings, \
         findings and impression, imaging response, time-point response, summary of findings, \
         overall impression, summary impression, diagnostic interpretation, pathologic interpretation, \
         recist assessment, recist response, response category, best overall response, disease response, \
         assessment of response, diagnostic impression, radiologic impression, interpretation and summary, \
         final report impression, final opinion, impr, \
         tumor response assessment, tumour response assessment, recist response assessment",
    ),
    (
        SectionKind::Findings,
        "findings, finding, macro, micro, results, result, report, observations, imaging, \
         imaging findings, imaging studies, radiology, pathology, labs, laboratory, laboratory data, \
         laboratory results, laboratory studies, bloods, data, diagnostic studies, studies, \
         investigations, objective, physical exam, physical examination, pe, on examination, o/e, \
         examination findings, vital signs, vitals, microscopy, microscopic description, \
         gross description, macroscopy, microscopic, gross, narrative, description, body of report, \
         other findings, operative findings, intraoperative findings, remaining findings, echo findings, \
         description of procedure, procedure in detail, description of operation, procedure note, \
         operative procedure, details of procedure, procedure details, procedure detail, physical findings, lab results, \
         pertinent results, pertinent labs, synoptic report, synoptic, synoptic data, synoptic summary, \
         immunohistochemistry, special stains, ancillary studies, molecular studies, molecular pathology, \
         flow cytometry, cytogenetics, lesion measurements, \
         tumor measurements, tumour measurements, recist, recist 1.1, recist measurements, \
         radiographic findings, ct findings, mri findings, pet findings, histologic findings, \
         gross examination, microscopic examination, pathologic findings, recent imaging, imaging results, \
         imaging review, interval imaging",
    ),
    (
        SectionKind::Assessment,
        "assessment, assessments, assessment and plan, a/p, a&p, ap, plan and assessment, \
         interval history, interval events, interval, hospital course, brief hospital course, \
         clinical course, course, emergency department course, er course, subjective, clinical status, \
         current status, disease status, progress, discussion, medical decision making, now, evaluation, \
         comment, comments, outcome, status, today, response to treatment, treatment response, \
         tumour response, tumor response, clinical impression, interval update, interval summary, \
         interim history, interval hx, assessment and recommendations, disease assessment, \
         tumor board discussion, tumour board discussion, clinical assessment, clinical update, \
         current problems",
    ),
    (
        SectionKind::Plan,
        "plan, plans, recommendation, recommendations, follow-up, follow up, followup, advice, \
         treatment plan, disposition, next steps, next, decision, discharge instructions, \
         postoperative plan, plan of care, counselling, counseling, actions, management plan, \
         recommended follow-up, follow-up plan, patient instructions, instructions, orders, \
         tumor board recommendation, tumour board recommendation, recommendation and plan, suggestions",
    ),
    (
        SectionKind::Comparison,
        "comparison, comparisons, comparison studies, prior studies, prior study, comparison study, \
         comparison exam, comparison exams, compared to, comparison imaging, prior exams, prior exam",
    ),
    (
        SectionKind::Technique,
        "technique, techniques, procedure, procedures, exam, examination, study, protocol, contrast, \
         method, methods, acquisition, procedure performed, procedures performed, operation performed, \
         operation, anesthesia, anaesthesia, exam type, type of exam, preparation, name of operation, \
         title of operation, sequences, radiopharmaceutical, technical factors, radiation dose, \
         contrast material, imaging technique, exam description, study type, technical quality, \
         procedure description, scan technique",
    ),
    (
        SectionKind::Indication,
        "indication, indications, reason for exam, reason for examination, reason for study, \
         reason for visit, reason for consultation, reason for consult, reason for referral, reason, \
         clinical information, clinical indication, clinical history, clinical details, clinical data, \
         clinical, clinical question, question, request, chief complaint, reason for admission, \
         indication for procedure, indications for procedure, indications for operation, complaint, \
         indications for surgery, reason for this examination, clinical background, clinical note, \
         reason for the exam, reason for scan, cc, clinical statement, presenting complaint, \
         clinical concern, reason for test, clinical summary",
    ),
    (
        SectionKind::History,
        "history, history of present illness, hpi, present illness, oncologic history, \
         oncological history, oncology history, cancer history, treatment history, disease history, \
         brief history, background, prior treatment, previous treatment, prior therapy, treatment so far, \
         review of systems, ros, history of the present illness, treatment to date, previous therapy, \
         haematological history, hematologic history, prior treatments, relevant history, \
         oncology summary, oncologic summary, onc history, onc hx, oncology hx, hx, history of cancer, \
         cancer treatment history, hematology oncology history, lines of therapy, prior oncologic therapy, \
         diagnosis and treatment history, treatment summary, history of presenting complaint, \
         history of presenting problem, hpc, prior imaging, previous imaging",
    ),
    (
        SectionKind::PastHistory,
        "past medical history, pmh, pmhx, past history, past surgical history, psh, medical history, \
         surgical history, social history, shx, allergies, allergy, medications, medication, \
         current medications, meds, home medications, drugs, discharge medications, habits, \
         past psychiatric history, past medical and surgical history, allergies to medications, past, \
         medications on admission, comorbidities, past oncologic history, immunizations, drug history, \
         past medical hx, problem list, active problems, active problem list, social hx, medication list, \
         outpatient medications, current outpatient medications, prior to admission medications, \
         scheduled medications, allergies and intolerances, tobacco use, substance use, surgeries, \
         past oncological history, psychosocial history, occupational history, past med hx, \
         past surg hx, past surgical hx, soc hx, home meds, current meds, drug allergies",
    ),
    (
        SectionKind::FamilyHistory,
        "family history, fhx, fh, family medical history, family, family hx, familial history, fam hx, fmhx, fmh",
    ),
    (
        SectionKind::Other,
        "diagnosis, diagnoses, treatment, treatments, specimen, specimens, complications, admission diagnosis, admission \
         diagnoses, discharge diagnosis, discharge diagnoses, preoperative diagnosis, preoperative diagnoses, \
         postoperative diagnosis, postoperative diagnoses, discharge condition, condition on discharge, blood loss, \
         estimated blood loss, drains, fluids, patient information, distribution, copies, references, \
         original report",
    ),
    (
        SectionKind::Addendum,
        "addendum, addenda, attending addendum, amendment, late entry, correction, addendum report, \
         supplemental report, supplementary report, amended report, addended report",
    ),
];

/// Headings that are ordinary words too: they count only at the start of a line, or alone on it.
pub(super) static WEAK: Words = Words::new(
    "diagnosis, diagnoses, treatment, treatments, specimen, specimens, complications, fluids, drains, \
     references, copies, distribution, report, now, final, macro, micro, data, course, interval, progress, \
     status, today, next, decision, past, family, clinical, reason, question, request, contrast, method, \
     study, exam, examination, result, labs, radiology, pathology, imaging, background, outcome, ap, pe, fh, \
     gross, microscopic, narrative, description, imp, drugs, preparation, procedure, instructions, orders, hx, cc, synoptic, \
     recist, surgeries, suggestions, compared to",
);

/// Words before a heading that do not change what it is for.
pub(super) static QUALIFIERS: Words = Words::new(
    "final, preliminary, corrected, overall, brief, relevant, pertinent, updated, current, general, \
         radiological, radiologic, radiology, clinical, diagnostic, imaging, pathological, my",
);

/// Words that begin the label of an organ, a region or a body system: a sentence of the findings, not a heading.
pub(super) static ORGANS: Words = Words::new(
    "abdomen, abdominal, adnexa, adrenal, adrenals, airways, aorta, arteries, ascites, axilla, axillae, \
         biliary, bladder, bone, bones, bowel, brain, breast, breasts, cardiac, cardiovascular, cervix, \
         chest, colon, constitutional, ears, effusion, esophagus, extremities, eyes, gallbladder, \
         gastrointestinal, general, genitalia, genitourinary, head, heart, heent, hepatobiliary, hila, \
         joints, kidney, kidneys, liver, lung, lungs, lymph, marrow, mediastinal, mediastinum, mesentery, \
         muscles, musculoskeletal, neck, neuro, neurologic, neurological, nodes, node, oesophagus, omentum, \
         orbits, ovaries, pancreas, parenchyma, pelvic, pelvis, pericardium, peritoneum, pleura, pleural, \
         prostate, psychiatric, rectal, rectum, respiratory, retroperitoneum, sinuses, skeleton, skin, soft, \
         spine, spleen, stomach, testis, thorax, thyroid, trachea, uterus, vasculature, veins, ventricles, \
         vessels",
);

/// Words that name an imaging study.
pub(super) static MODALITIES: Words = Words::new(
    "ct, mri, mr, pet, us, ultrasound, mammogram, mammography, xray, ray, radiograph, radiographs, scan, doppler, \
         scintigraphy, spect, angiogram, angiography, echocardiogram, fluoroscopy, dexa, dxa, tomography, cta, mra, \
         mrcp, sonogram, cxr",
);

/// Words of a capital line that say something about the patient: such a line is a sentence, not a heading.
pub(super) static STATING: Words = Words::new(
    "no, not, none, new, stable, unchanged, normal, negative, positive, disease, evidence, increased, \
         decreased, larger, smaller, improved, worse, worsened, resolved, unremarkable, clear, intact, is, \
         was, are, were, has, have, complete, partial, response, responded, progression, progressive, \
         progressed, remission, recurrence, recurrent, relapse, metastases, metastasis, metastatic, \
         suspicious, likely, consistent, without, mild, severe, residual, free, cr, pr, sd, pd, ned, shrinking, \
         shrunk, shrank, reduced, halved, doubled, growing, grown, grew, gone, relapsed, recurred, refractory",
);
