//! What we look for at a source: the entries of `listen` as searches, and as Subscriptions' criteria.

use url::form_urlencoded;

use crate::config::{Listen, SourceConfig};
use crate::domain::document::ResourceType;

/// One search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criteria {
    /// What is searched.
    pub resource_type: ResourceType,
    /// Search parameters, as FHIR writes them; commas separate alternatives.
    pub parameters: Vec<(&'static str, String)>,
}

impl Criteria {
    /// All that the settings ask for: one for each entry of `listen`, and both types without any.
    pub fn of(settings: &SourceConfig) -> Vec<Self> {
        if settings.listen.is_empty() {
            return ResourceType::ALL.into_iter().map(Self::whole).collect();
        }
        let mut all: Vec<Self> = Vec::new();
        for criteria in settings.listen.iter().filter_map(Self::of_entry) {
            if !all.contains(&criteria) {
                all.push(criteria);
            }
        }
        all
    }

    fn whole(resource_type: ResourceType) -> Self {
        Self { resource_type, parameters: Vec::new() }
    }

    fn of_entry(listen: &Listen) -> Option<Self> {
        let resource_type = ResourceType::from_name(&listen.resource_type)?;
        let code = match resource_type {
            ResourceType::DiagnosticReport => "code",
            ResourceType::DocumentReference => "type",
        };
        let lists = [("category", &listen.categories), (code, &listen.codes), ("status", &listen.statuses)];
        let parameters = lists.into_iter().filter(|(_, values)| !values.is_empty());
        let parameters = parameters.map(|(name, values)| {
            let values: Vec<String> = values.iter().map(|value| value.replace(',', "\\,")).collect();
            (name, values.join(","))
        });
        Some(Self { resource_type, parameters: parameters.collect() })
    }

    /// As a Subscription has it: `DiagnosticReport?category=…`. Servers want the `?` also where nothing follows.
    pub fn text(&self) -> String {
        let parameters = self.parameters.iter().map(|(name, value)| format!("{name}={value}"));
        format!("{}?{}", self.resource_type, parameters.collect::<Vec<_>>().join("&"))
    }

    /// As a search below the base URL, with more parameters.
    pub fn query(&self, more: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.parameters).extend_pairs(more);
        format!("{}?{}", self.resource_type, query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_of_listen_is_a_search() {
        let listen = |resource_type: &str, codes: &[&str]| Listen {
            resource_type: resource_type.into(),
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            statuses: vec!["final".into(), "amended".into()],
            ..Listen::default()
        };
        let mut settings = SourceConfig::default();
        let texts = |settings: &SourceConfig| Criteria::of(settings).iter().map(Criteria::text).collect::<Vec<_>>();
        assert_eq!(texts(&settings), ["DiagnosticReport?", "DocumentReference?"]);
        settings.listen = vec![
            listen("DiagnosticReport", &["http://loinc.org|18748-4", "a,b"]),
            listen("DocumentReference", &["x"]),
            listen("DocumentReference", &["x"]),
        ];
        assert_eq!(
            texts(&settings),
            [
                "DiagnosticReport?code=http://loinc.org|18748-4,a\\,b&status=final,amended",
                "DocumentReference?type=x&status=final,amended"
            ]
        );
        assert_eq!(
            Criteria::of(&settings)[1].query(&[("_count", "5")]),
            "DocumentReference?type=x&status=final%2Camended&_count=5"
        );
    }
}
