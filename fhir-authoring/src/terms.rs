//! Our canonical URLs and codes, and those of others that we use. `fhir-profiles/` defines ours.

/// Under which all that we define lives.
pub const CANONICAL: &str = "http://responsum.health/fhir";

/// Our profile of Observation.
pub const PROFILE_OBSERVATION: &str = "http://responsum.health/fhir/StructureDefinition/treatment-response";
/// Our profile of an Observation that a person puts in the place of a refuted one.
pub const PROFILE_STATEMENT: &str = "http://responsum.health/fhir/StructureDefinition/corrected-treatment-response";
/// mCODE's profile of a cancer's status (STU 4).
pub const PROFILE_DISEASE_STATUS: &str = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-cancer-disease-status";
/// Our profile of Provenance.
pub const PROFILE_PROVENANCE: &str = "http://responsum.health/fhir/StructureDefinition/treatment-response-provenance";
/// Our profile of Device.
pub const PROFILE_DEVICE: &str = "http://responsum.health/fhir/StructureDefinition/model-device";

/// What an Observation and its components are about: [`CODE_TREATMENT_RESPONSE`], [`CODE_CATEGORY`],
/// [`CODE_CONFIDENCE`].
pub const SYSTEM_OBSERVATION: &str = "http://responsum.health/fhir/CodeSystem/observation";
/// Labels: `responded`, `not-responded`.
pub const SYSTEM_LABEL: &str = "http://responsum.health/fhir/CodeSystem/label";
/// Categories: `complete` to `indeterminate`.
pub const SYSTEM_CATEGORY: &str = "http://responsum.health/fhir/CodeSystem/category";
/// Why an answer was taken back.
pub const SYSTEM_WITHDRAWAL: &str = "http://responsum.health/fhir/CodeSystem/withdrawal-reason";
/// What a Device's version is the version of: `model`, `software`.
pub const SYSTEM_VERSION_TYPE: &str = "http://responsum.health/fhir/CodeSystem/device-version-type";
/// Identifiers whose value is the SHA-256 of a model, in lower-case hexadecimal.
pub const SYSTEM_MODEL_SHA256: &str = "http://responsum.health/fhir/sid/model-sha256";

/// The Observation's own code, of [`SYSTEM_OBSERVATION`].
pub const CODE_TREATMENT_RESPONSE: &str = "treatment-response";
/// The component that tells the category, of [`SYSTEM_OBSERVATION`].
pub const CODE_CATEGORY: &str = "response-category";
/// The component that tells the confidence, of [`SYSTEM_OBSERVATION`].
pub const CODE_CONFIDENCE: &str = "confidence";

/// LOINC.
pub const SYSTEM_LOINC: &str = "http://loinc.org";
/// LOINC "Response to cancer treatment".
pub const LOINC_CANCER_RESPONSE: &str = "88040-1";
/// LOINC "Cancer disease progression".
pub const LOINC_DISEASE_STATUS: &str = "97509-4";
/// Kinds of Observations.
pub const SYSTEM_CATEGORY_OF_OBSERVATION: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
/// SNOMED CT.
pub const SYSTEM_SNOMED: &str = "http://snomed.info/sct";
/// UCUM.
pub const SYSTEM_UCUM: &str = "http://unitsofmeasure.org";
/// HL7 v3 `ObservationValue`, which has [`CODE_AI_ASSERTED`].
pub const SYSTEM_OBSERVATION_VALUE: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
/// "Artificial Intelligence asserted".
pub const CODE_AI_ASSERTED: &str = "AIAST";
/// "clinician asserted", of [`SYSTEM_OBSERVATION_VALUE`].
pub const CODE_CLINICIAN_ASSERTED: &str = "CLINAST";
/// HL7 v3 `DataOperation`: what a Provenance's activity did.
pub const SYSTEM_DATA_OPERATION: &str = "http://terminology.hl7.org/CodeSystem/v3-DataOperation";
/// Who took part in a Provenance's activity, and how.
pub const SYSTEM_PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
/// Kinds of AI devices (AI Transparency on FHIR, STU 1 ballot).
pub const SYSTEM_AI_DEVICE_TYPE: &str = "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS";

/// The standard extension that points at the text that something was drawn from (FHIR Extensions Pack 5.2.0,
/// "Resource Derivation Reference": `reference`, `path`, `offset`, `length`).
pub const EXTENSION_DERIVATION: &str = "http://hl7.org/fhir/StructureDefinition/derivation-reference";
/// mCODE's extension that says what kind of evidence a cancer's status rests on (STU 4).
pub const EXTENSION_EVIDENCE_TYPE: &str =
    "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-cancer-disease-status-evidence-type";
