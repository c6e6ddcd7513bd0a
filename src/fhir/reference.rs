//! References: what they point to, seen from our own API.

use crate::domain::document::{LogicalId, Reference, ReportKey, ResourceType, SourceName};

/// The base URL of a FHIR API, ours or a source's, without a slash at its end, like `http://127.0.0.1:8080/fhir`; and the
/// other base URLs by which the server calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    url: String,
    others: Vec<String>,
}

impl BaseUrl {
    /// Takes off trailing slashes.
    pub fn new(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), others: Vec::new() }
    }

    /// The same, of a server that calls itself by these, too.
    #[must_use]
    pub fn also_known_as(mut self, others: &[String]) -> Self {
        self.others = others.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        self
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The URL, and the others by which the server calls itself.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.url).chain(&self.others).map(String::as_str)
    }

    /// The URL of something below it.
    pub fn join(&self, relative: &str) -> String {
        format!("{}/{relative}", self.url)
    }

    /// What of an absolute reference is below it, by whichever name.
    pub fn below<'a>(&self, reference: &'a str) -> Option<&'a str> {
        self.names().find_map(|name| reference.strip_prefix(name)?.strip_prefix('/'))
    }

    /// A reference as it reads outside of the report: a relative one becomes absolute, one into the report itself
    /// (`#…`) means nothing outside and is left out.
    pub fn absolute(&self, reference: &str) -> Option<String> {
        if reference.starts_with('#') {
            return None;
        }
        if let Some(relative) = self.below(reference) {
            return Some(self.join(relative));
        }
        let scheme = reference.split_once(':').is_some_and(|(scheme, _)| {
            !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        });
        Some(if scheme { reference.to_owned() } else { self.join(reference) })
    }
}

/// The report that a reference points to, if it is one: `Type/id` or an absolute URL that ends so, with or without
/// `/_history/{version}`.
///
/// Gives what precedes it as well: empty for a relative reference.
pub fn report(reference: &str) -> Option<(&str, ResourceType, LogicalId)> {
    let unversioned = reference.split_once("/_history/").map_or(reference, |(unversioned, _)| unversioned);
    let (rest, id) = unversioned.rsplit_once('/')?;
    let (base, name) = rest.rsplit_once('/').map_or(("", rest), |(base, name)| (base, name));
    Some((base, ResourceType::from_name(name)?, LogicalId::new(id)?))
}

/// The report of the same source that a reference points to.
pub fn report_of_source(reference: &str, source: &SourceName, base: &BaseUrl) -> Option<ReportKey> {
    let (prefix, resource_type, logical_id) = report(reference)?;
    let ours = prefix.is_empty() || base.names().any(|name| name == prefix);
    ours.then(|| ReportKey { source: source.clone(), resource_type, logical_id })
}

/// Puts what a transaction's `urn:uuid` references stand for in their place.
pub fn resolve(reference: &mut Option<Reference>, links: &[(String, String)]) {
    if let Some(text) = reference.as_mut().and_then(|reference| reference.reference.as_mut())
        && let Some((_, target)) = links.iter().find(|(urn, _)| urn == text)
    {
        text.clone_from(target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_reports_are_understood_in_all_their_forms() {
        for (reference, expected) in [
            ("DiagnosticReport/1", Some("")),
            ("DiagnosticReport/1/_history/2", Some("")),
            ("http://ehr/fhir/DiagnosticReport/1", Some("http://ehr/fhir")),
            ("http://ehr/fhir/DiagnosticReport/1/_history/2", Some("http://ehr/fhir")),
            ("Patient/1", None),
            ("DiagnosticReport/a b", None),
            ("1", None),
        ] {
            assert_eq!(report(reference).map(|(base, ..)| base), expected, "{reference}");
        }
    }

    #[test]
    fn relative_references_become_absolute_and_others_stay() {
        let base = BaseUrl::new("http://us/fhir/");
        for (reference, expected) in [
            ("Patient/1", Some("http://us/fhir/Patient/1")),
            ("https://ehr/Patient/1", Some("https://ehr/Patient/1")),
            ("urn:uuid:1", Some("urn:uuid:1")),
            ("#p1", None),
        ] {
            assert_eq!(base.absolute(reference).as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn a_server_is_known_by_all_its_names_and_called_by_one() {
        let base =
            BaseUrl::new("https://ehr.example/fhir").also_known_as(&["http://ehr.internal:9999/fhir/".to_owned()]);
        assert_eq!(
            base.absolute("http://ehr.internal:9999/fhir/Patient/1").as_deref(),
            Some("https://ehr.example/fhir/Patient/1")
        );
        assert_eq!(
            base.absolute("http://ehr.internal:9999/fhirx/Patient/1").as_deref(),
            Some("http://ehr.internal:9999/fhirx/Patient/1")
        );
        let source = SourceName::new("ehr").expect("a name");
        assert!(report_of_source("http://ehr.internal:9999/fhir/DiagnosticReport/1", &source, &base).is_some());
        assert!(report_of_source("http://other/fhir/DiagnosticReport/1", &source, &base).is_none());
    }
}
