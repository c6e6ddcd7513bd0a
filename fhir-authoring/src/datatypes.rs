//! The datatypes that the resources share.

use std::str::FromStr;

use fhir_sdk::r4b::types::{CodeableConcept, Coding, Identifier, Meta, Quantity, Reference};
use fhir_sdk::{Date, DateTime, Instant};
use time::OffsetDateTime;

use crate::draft::{IdentifierDraft, PersonDraft, ReferenceDraft, ReportKind};
use crate::{AuthoringError, built, terms};

/// The value of one of FHIR's required code enums. The codes come from our own enums, whose tests try each.
pub(crate) fn code<T: FromStr>(code: &str) -> T {
    T::from_str(code).unwrap_or_else(|_| unreachable!("cannot fail because FHIR has every code of our enums"))
}

/// A coding with a display.
pub(crate) fn coding(system: &str, code: &str, display: &str) -> Result<Coding, AuthoringError> {
    let builder = Coding::builder().system(system.to_owned()).code(code.to_owned()).display(display.to_owned());
    built("Coding", builder.build())
}

/// A concept of codings that mean the same.
pub(crate) fn concept(codings: Vec<Coding>) -> Result<CodeableConcept, AuthoringError> {
    built("CodeableConcept", CodeableConcept::builder().coding(codings.into_iter().map(Some).collect()).build())
}

/// A concept with one coding.
pub(crate) fn one_coding(system: &str, code: &str, display: &str) -> Result<CodeableConcept, AuthoringError> {
    concept(vec![coding(system, code, display)?])
}

/// AIAST: "Artificial Intelligence asserted".
pub(crate) fn ai_asserted() -> Result<Coding, AuthoringError> {
    coding(terms::SYSTEM_OBSERVATION_VALUE, terms::CODE_AI_ASSERTED, "Artificial Intelligence asserted")
}

/// The identifier, or nothing if it has neither system nor value: FHIR allows no empty element.
pub(crate) fn identifier(draft: &IdentifierDraft) -> Result<Option<Identifier>, AuthoringError> {
    let mut builder = Identifier::builder();
    if let Some(system) = filled(draft.system.as_ref()) {
        builder = builder.system(system);
    }
    if let Some(value) = filled(draft.value.as_ref()) {
        builder = builder.value(value);
    }
    let identifier = built("Identifier", builder.build())?;
    Ok((identifier.system.is_some() || identifier.value.is_some()).then_some(identifier))
}

/// The reference, or nothing if it has no part: FHIR allows no empty element.
pub(crate) fn reference(draft: &ReferenceDraft) -> Result<Option<Reference>, AuthoringError> {
    let mut builder = Reference::builder();
    if let Some(literal) = filled(draft.reference.as_ref()) {
        builder = builder.reference(literal);
    }
    if let Some(identifier) = draft.identifier.as_ref().map(identifier).transpose()?.flatten() {
        builder = builder.identifier(identifier);
    }
    let reference = built("Reference", builder.build())?;
    Ok((reference.reference.is_some() || reference.identifier.is_some()).then_some(reference))
}

/// The references that have a part.
pub(crate) fn references(drafts: &[ReferenceDraft]) -> Result<Vec<Option<Reference>>, AuthoringError> {
    drafts.iter().filter_map(|one| reference(one).transpose()).map(|one| one.map(Some)).collect()
}

/// The identifiers that have a part.
pub(crate) fn identifiers(drafts: &[IdentifierDraft]) -> Result<Vec<Option<Identifier>>, AuthoringError> {
    drafts.iter().filter_map(|one| identifier(one).transpose()).map(|one| one.map(Some)).collect()
}

/// A person, by reference and name.
pub(crate) fn person(draft: &PersonDraft) -> Result<Reference, AuthoringError> {
    let mut builder = Reference::builder().reference(draft.reference.clone());
    if let Some(name) = filled(draft.name.as_ref()) {
        builder = builder.display(name);
    }
    built("Reference", builder.build())
}

/// `Observation.category`.
pub(crate) fn category_of(kind: ReportKind) -> Result<CodeableConcept, AuthoringError> {
    one_coding(terms::SYSTEM_CATEGORY_OF_OBSERVATION, kind.code(), kind.display())
}

/// Text that is there and not blank.
fn filled(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty()).cloned()
}

/// What a resource's `meta` says.
pub(crate) struct MetaParts<'a> {
    pub(crate) version_id: Option<&'a String>,
    pub(crate) last_updated: Option<OffsetDateTime>,
    pub(crate) source: Option<&'a String>,
    pub(crate) profile: &'a str,
    pub(crate) security: Option<Coding>,
}

/// A resource's `meta`.
pub(crate) fn meta(parts: MetaParts<'_>) -> Result<Meta, AuthoringError> {
    let mut builder = Meta::builder().profile(vec![Some(parts.profile.to_owned())]);
    if let Some(version_id) = parts.version_id {
        builder = builder.version_id(version_id.clone());
    }
    if let Some(last_updated) = parts.last_updated {
        builder = builder.last_updated(instant(last_updated));
    }
    if let Some(source) = filled(parts.source) {
        builder = builder.source(source);
    }
    if let Some(security) = parts.security {
        builder = builder.security(vec![Some(security)]);
    }
    built("Meta", builder.build())
}

/// An instant to the millisecond: more than that many servers cut, and an answer must look the same from all.
pub(crate) fn instant(moment: OffsetDateTime) -> Instant {
    let whole = moment.nanosecond() / 1_000_000 * 1_000_000;
    Instant(moment.replace_nanosecond(whole).unwrap_or(moment))
}

/// A probability as a Quantity without a unit (UCUM "1"), to four decimals.
pub(crate) fn probability(value: f64) -> Result<Quantity, AuthoringError> {
    if !(0.0..=1.0).contains(&value) {
        return Err(AuthoringError::Confidence);
    }
    let rounded = (value * 10_000.0).round() / 10_000.0;
    let builder = Quantity::builder()
        .value(rounded)
        .unit("probability".to_owned())
        .system(terms::SYSTEM_UCUM.to_owned())
        .code("1".to_owned());
    built("Quantity", builder.build())
}

/// True if the text is a FHIR `dateTime` that we can write: `2024`, `2024-05`, `2024-05-17`, or
/// `2024-05-17T10:00:00[.…]` with `Z` or an offset. What has a time has seconds and a time zone (FHIR R4, `dateTime`).
pub fn is_date_time(text: &str) -> bool {
    date_time(text).is_some()
}

/// The `dateTime`, its precision and offset kept, or nothing if it is not one.
pub(crate) fn date_time(text: &str) -> Option<DateTime> {
    let digits_where = |pattern: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(c, p)| if p == b'-' { c == b'-' } else { c.is_ascii_digit() })
    };
    let dated = digits_where("yyyy") || digits_where("yyyy-mm") || digits_where("yyyy-mm-dd");
    if !dated && !text.contains('T') {
        return None;
    }
    let read = DateTime::from_str(text).ok()?;
    // The model writes no year below 1000, and an error there would cost the whole resource.
    let year = match &read {
        DateTime::Date(Date::Year(year) | Date::YearMonth(year, _)) => *year,
        DateTime::Date(Date::Date(date)) => date.year(),
        DateTime::DateTime(Instant(moment)) => moment.year(),
    };
    (1000..=9999).contains(&year).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_time_keeps_its_precision_and_its_offset() {
        for (text, expected) in [
            ("2024", "2024"),
            ("2024-05", "2024-05"),
            ("2024-05-17", "2024-05-17"),
            ("2024-05-17T10:00:00Z", "2024-05-17T10:00:00Z"),
            ("2024-05-17T10:00:00+00:00", "2024-05-17T10:00:00Z"),
            ("2024-05-17T23:30:00-05:00", "2024-05-17T23:30:00-05:00"),
            ("2024-05-17T10:00:00.120+05:30", "2024-05-17T10:00:00.12+05:30"),
        ] {
            let written = serde_json::to_value(date_time(text).expect(text)).expect("a string");
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn what_is_no_fhir_date_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "24",
            "2024-5",
            "2024-13",
            "2024-02-30",
            "0999",
            "0999-01-01T00:00:00Z",
            "+2024",
            "2024-05-17T10:00:00",
            "2024-05-17T10:00Z",
            "2024-05-17 10:00:00Z",
            "2024-05-17T25:00:00Z",
        ] {
            assert!(!is_date_time(text), "{text}");
        }
    }

    #[test]
    fn a_probability_has_four_decimals_and_lies_within_0_and_1() {
        for (value, expected) in [(f64::from(0.973_123_f32), 0.9731), (1.0, 1.0), (0.0, 0.0), (0.999_99, 1.0)] {
            assert_eq!(probability(value).expect("a probability").value, Some(expected));
        }
        for value in [-0.1, 1.7, f64::NAN, f64::INFINITY] {
            assert!(matches!(probability(value), Err(AuthoringError::Confidence)));
        }
    }

    #[test]
    fn an_empty_reference_is_none() {
        let empty = ReferenceDraft { reference: Some(" ".to_owned()), identifier: Some(IdentifierDraft::default()) };
        assert!(reference(&empty).expect("nothing to fail").is_none());
    }
}
