//! The answer for one report, as an Observation.

use fhir_sdk::r4b::resources::{
    Observation, ObservationComponent, ObservationComponentValue, ObservationEffective, ObservationValue,
};
use fhir_sdk::r4b::types::{CodeableConcept, Extension, ExtensionValue, Identifier, Period};

use crate::datatypes::{
    MetaParts, ai_asserted, code, coding, concept, date_time, identifier, instant, meta, one_coding, probability,
    reference,
};
use crate::draft::{
    Authored, Category, EffectiveDraft, EvidenceDraft, Label, LeftOut, ObservationDraft, ReferenceDraft,
};
use crate::{AuthoringError, built, terms, written};

/// Writes an Observation of our profile; see `fhir-profiles/`.
///
/// What FHIR cannot hold of the report's own dates is left out and named in the result.
pub fn observation(draft: &ObservationDraft) -> Result<Authored, AuthoringError> {
    let mut left_out = Vec::new();
    let identifiers: Vec<Option<Identifier>> = draft
        .identifiers
        .iter()
        .map(identifier)
        .filter_map(Result::transpose)
        .map(|one| one.map(Some))
        .collect::<Result<_, _>>()?;
    let mut builder = Observation::builder()
        .id(draft.id.clone())
        .meta(meta(MetaParts {
            version_id: draft.version_id.as_ref(),
            last_updated: draft.last_updated,
            source: draft.source.as_ref(),
            profile: terms::PROFILE_OBSERVATION,
            security: Some(ai_asserted()?),
        })?)
        .identifier(identifiers)
        .status(code(draft.status.code()))
        .code(task(draft.about_cancer)?)
        .issued(instant(draft.issued))
        .value(ObservationValue::CodeableConcept(value(draft.label, &draft.evidence)?))
        .component(components(draft)?);
    if let Some(subject) = draft.subject.as_ref().map(reference).transpose()?.flatten() {
        builder = builder.subject(subject);
    }
    if let Some(encounter) = draft.encounter.as_ref().map(reference).transpose()?.flatten() {
        builder = builder.encounter(encounter);
    }
    if let Some(effective) = draft.effective.as_ref().and_then(|given| effective(given, &mut left_out)) {
        builder = builder.effective(effective?);
    }
    if let Some(device) = reference(&draft.device)? {
        builder = builder.device(device);
    }
    if let Some(source) = draft.derived_from.as_ref().filter(|source| may_derive_from(source)) {
        builder = builder.derived_from(reference(source)?.into_iter().map(Some).collect());
    }
    let observation = built("Observation", builder.build())?;
    Ok(Authored { json: written("Observation", serde_json::to_string(&observation))?, left_out })
}

/// What was observed: our own code, and LOINC's beside it where it means the same.
fn task(about_cancer: bool) -> Result<CodeableConcept, AuthoringError> {
    let mut codings = vec![coding(terms::SYSTEM_OBSERVATION, terms::CODE_TREATMENT_RESPONSE, "Response to treatment")?];
    if about_cancer {
        codings.push(coding(terms::SYSTEM_LOINC, terms::LOINC_CANCER_RESPONSE, "Response to cancer treatment")?);
    }
    concept(codings)
}

/// The answer, with the spans that say so.
fn value(label: Label, evidence: &[EvidenceDraft]) -> Result<CodeableConcept, AuthoringError> {
    let mut value = one_coding(terms::SYSTEM_LABEL, label.code(), label.display())?;
    value.extension = evidence.iter().map(derivation).collect::<Result<_, _>>()?;
    Ok(value)
}

/// One span as the standard extension `derivation-reference`.
fn derivation(evidence: &EvidenceDraft) -> Result<Extension, AuthoringError> {
    let integer = |number: usize| i32::try_from(number).map_err(|_| AuthoringError::EvidenceSpan);
    let mut parts = Vec::new();
    if let Some(target) = reference(&ReferenceDraft::to(evidence.reference.as_str()))? {
        parts.push(extension("reference", ExtensionValue::Reference(target))?);
    }
    if let Some(path) = &evidence.path {
        parts.push(extension("path", ExtensionValue::String(path.clone()))?);
    }
    parts.push(extension("offset", ExtensionValue::Integer(integer(evidence.offset)?))?);
    parts.push(extension("length", ExtensionValue::Integer(integer(evidence.length)?))?);
    let builder = Extension::builder().url(terms::EXTENSION_DERIVATION.to_owned()).extension(parts);
    built("Extension", builder.build())
}

fn extension(url: &str, value: ExtensionValue) -> Result<Extension, AuthoringError> {
    built("Extension", Extension::builder().url(url.to_owned()).value(value).build())
}

/// Category and confidence, those that are given.
fn components(draft: &ObservationDraft) -> Result<Vec<Option<ObservationComponent>>, AuthoringError> {
    let mut components = Vec::new();
    if let Some(category) = draft.category {
        let mut codings = vec![coding(terms::SYSTEM_CATEGORY, category.code(), category.display())?];
        if let Some((code, display)) = snomed(category) {
            codings.push(coding(terms::SYSTEM_SNOMED, code, display)?);
        }
        let value = ObservationComponentValue::CodeableConcept(concept(codings)?);
        components.push(Some(component(terms::CODE_CATEGORY, "Category of the response", value)?));
    }
    if let Some(confidence) = draft.confidence {
        let value = ObservationComponentValue::Quantity(probability(confidence)?);
        components.push(Some(component(terms::CODE_CONFIDENCE, "Confidence of the model", value)?));
    }
    Ok(components)
}

fn component(
    code: &str,
    display: &str,
    value: ObservationComponentValue,
) -> Result<ObservationComponent, AuthoringError> {
    let code = one_coding(terms::SYSTEM_OBSERVATION, code, display)?;
    built("Observation.component", ObservationComponent::builder().code(code).value(value).build())
}

/// The SNOMED CT finding that means the same (those that mCODE prefers for a cancer's trend), where there is one.
const fn snomed(category: Category) -> Option<(&'static str, &'static str)> {
    match category {
        Category::Partial => Some(("268910001", "Patient's condition improved")),
        Category::Stable => Some(("359746009", "Patient's condition stable")),
        Category::Progressive => Some(("271299001", "Patient's condition worsened")),
        Category::Complete | Category::NoResponse | Category::Mixed | Category::Indeterminate => None,
    }
}

/// `effective[x]` as far as FHIR can hold it; what it cannot is added to `left_out`.
fn effective(
    draft: &EffectiveDraft,
    left_out: &mut Vec<LeftOut>,
) -> Option<Result<ObservationEffective, AuthoringError>> {
    let mut read = |text: &Option<String>, otherwise: LeftOut| {
        let read = text.as_deref().and_then(date_time);
        if text.is_some() && read.is_none() {
            left_out.push(otherwise);
        }
        read
    };
    match draft {
        EffectiveDraft::DateTime(text) => read(&Some(text.clone()), LeftOut::EffectiveDateTime)
            .map(|moment| Ok(ObservationEffective::DateTime(moment))),
        EffectiveDraft::Period { start, end } => {
            let (start, end) = (read(start, LeftOut::EffectiveStart), read(end, LeftOut::EffectiveEnd));
            if let (Some(start), Some(end)) = (&start, &end)
                && start > end
            {
                left_out.push(LeftOut::EffectiveOrder);
                return None;
            }
            let mut builder = Period::builder();
            if start.is_none() && end.is_none() {
                return None;
            }
            if let Some(start) = start {
                builder = builder.start(start);
            }
            if let Some(end) = end {
                builder = builder.end(end);
            }
            Some(built("Period", builder.build()).map(ObservationEffective::Period))
        }
    }
}

/// Whether R4's `Observation.derivedFrom` allows it. Of the two resources that carry reports it allows one.
fn may_derive_from(source: &ReferenceDraft) -> bool {
    let names = |kind: &str| {
        source.reference.as_deref().is_some_and(|literal| literal.split('/').any(|segment| segment == kind))
    };
    !names("DiagnosticReport") || names("DocumentReference")
}
