//! Whose resources are where: ours under our own base URL, a source's at the source. Ids are one server's: two sources may
//! each have a `Patient/1`.

use super::Api;
use super::error::ApiError;
use crate::domain::document::{ReportKey, SourceName};
use crate::domain::observation::Answer;
use crate::fhir::author;
use crate::fhir::reference::BaseUrl;
use crate::source::Sources;
use crate::store::ObservationFilter;

/// The base URLs by which reports and what they refer to are named.
pub struct Bases {
    ours: BaseUrl,
    theirs: Vec<(SourceName, BaseUrl)>,
}

impl Bases {
    /// Of our own API and the sources.
    pub fn new(ours: BaseUrl, theirs: Vec<(SourceName, BaseUrl)>) -> Self {
        Self { ours, theirs }
    }

    /// The same of those that are configured.
    pub fn of_sources(ours: BaseUrl, sources: &Sources) -> Self {
        let theirs = sources.iter().map(|source| (source.name.clone(), source.base().clone()));
        Self::new(ours, theirs.collect())
    }

    /// The base URL of a source's reports. Of a source that the settings no longer name, it is not known: its reports are
    /// named by where we tell of them.
    pub fn of(&self, source: &SourceName) -> BaseUrl {
        if *source == SourceName::local() {
            return self.ours.clone();
        }
        let known = self.theirs.iter().find(|(name, _)| name == source);
        known.map_or_else(|| BaseUrl::new(&format!("{}{}", self.told(), source.as_str())), |(_, base)| base.clone())
    }

    /// All sources with each of the base URLs by which they call themselves, ours among them.
    pub fn all(&self) -> impl Iterator<Item = (SourceName, &str)> {
        let ours = std::iter::once((SourceName::local(), &self.ours));
        let all = ours.chain(self.theirs.iter().map(|(name, base)| (name.clone(), base)));
        all.flat_map(|(source, base)| base.names().map(move |name| (source.clone(), name)))
    }

    /// The sources that have this base URL: several, if the settings name one server twice.
    pub fn named(&self, base: &str) -> Vec<SourceName> {
        let all = self.all().filter(|(_, known)| *known == base).map(|(name, _)| name);
        let told = base.strip_prefix(&self.told()).and_then(SourceName::new);
        all.chain(told).collect()
    }

    /// Where `GET /sources/{name}/…` is, but for the name.
    fn told(&self) -> String {
        let ours = self.ours.as_str();
        format!("{}/sources/", ours.strip_suffix("/fhir").unwrap_or(ours))
    }
}

impl Api {
    /// The absolute URL of a report, at its source.
    pub(super) fn report_url(&self, report: &ReportKey) -> String {
        self.bases.of(&report.source).join(&report.relative())
    }

    /// An answer as an Observation.
    pub(super) fn observation(&self, answer: &Answer) -> Result<String, ApiError> {
        Ok(author::observation(answer, &self.base, &self.bases.of(&answer.report.source))?.json)
    }

    /// The Provenance of an answer.
    pub(super) fn provenance(&self, answer: &Answer) -> Result<String, ApiError> {
        Ok(author::provenance(answer, &self.base, &self.bases.of(&answer.report.source))?)
    }

    /// Refuses a search for an id that several sources have, unless it says whose: their patients are not one.
    pub(super) async fn of_one_source(&self, filter: &ObservationFilter) -> Result<(), ApiError> {
        if filter.sources.is_none() && filter.is_relative() && self.store.sources_meant(filter).await? > 1 {
            return Err(ApiError::SourceAmbiguous);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_its_base_url_and_one_that_is_gone_by_where_we_tell_of_it() {
        let name = |name: &str| SourceName::new(name).expect("a name");
        let theirs = vec![
            (name("a"), BaseUrl::new("http://ehr/fhir").also_known_as(&["http://ehr.internal/fhir".to_owned()])),
            (name("b"), BaseUrl::new("http://ehr/fhir/")),
        ];
        let bases = Bases::new(BaseUrl::new("http://us/fhir"), theirs);
        for (source, base) in
            [("local", "http://us/fhir"), ("a", "http://ehr/fhir"), ("gone", "http://us/sources/gone")]
        {
            assert_eq!(bases.of(&name(source)).as_str(), base, "{source}");
            assert!(bases.named(base).contains(&name(source)), "{source}");
        }
        assert_eq!(bases.named("http://ehr/fhir"), [name("a"), name("b")]);
        assert_eq!(bases.named("http://ehr.internal/fhir"), [name("a")]);
        assert_eq!(bases.named("http://other/fhir"), []);
    }
}
