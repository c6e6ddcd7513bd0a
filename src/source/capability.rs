//! What a source says that it can do: its CapabilityStatement, compared with what we need, in words.

use std::sync::{PoisonError, RwLock};

use tracing::warn;

use super::{Answer, Source, SourceError};
use crate::config::{FhirVersion, SourceConfig, Write};
use crate::fhir::json::{self, RawObject};

/// How a resource of ours is created so that there is one of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Creation {
    /// PUT to our own id (update as create): repeated, it is an update.
    UpdateAsCreate,
    /// POST with If-None-Exist: repeated, it finds what is there.
    Conditional,
    /// A search by identifier, then POST, while nobody else of us does the same.
    SearchThenCreate,
}

impl Creation {
    /// The code used in JSON and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UpdateAsCreate => "update-as-create",
            Self::Conditional => "conditional-create",
            Self::SearchThenCreate => "search-then-create",
        }
    }

    /// What is tried when a source turns out not to do this.
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::UpdateAsCreate => Some(Self::Conditional),
            Self::Conditional => Some(Self::SearchThenCreate),
            Self::SearchThenCreate => None,
        }
    }
}

/// A source's CapabilityStatement, as far as we need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    /// `fhirVersion`.
    pub fhir_version: Option<String>,
    /// What we miss or do otherwise, in words for people.
    pub findings: Vec<String>,
    /// What it can do with each type that we use.
    types: Vec<Offered>,
}

/// What is offered for one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Offered {
    resource_type: String,
    interactions: Vec<String>,
    search_params: Vec<String>,
    update_create: Option<bool>,
    conditional_create: Option<bool>,
}

/// What was learned of a source since the start.
#[derive(Debug, Default)]
pub(super) struct Learned {
    capability: RwLock<Option<Capability>>,
    /// Ways of creation that turned out to be needed, whatever the source says of itself.
    creation: RwLock<Vec<(String, Creation)>>,
    /// What it turned out to do otherwise, in words for people.
    findings: RwLock<Vec<String>>,
}

impl Source {
    /// Reads `/metadata` and keeps it.
    pub async fn discover(&self) -> Result<Capability, SourceError> {
        let answer = self.read("metadata").await?;
        if !answer.is_success() {
            return Err(self.refused(&answer));
        }
        let capability = read(&answer, &self.settings).ok_or_else(|| self.unexpected("no CapabilityStatement"))?;
        *self.learned.capability.write().unwrap_or_else(PoisonError::into_inner) = Some(capability.clone());
        Ok(capability)
    }

    /// What it says that it can do, and what it turned out to do otherwise; none before it was asked.
    pub fn capability(&self) -> Option<Capability> {
        let mut capability = self.learned.capability.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let noticed = self.learned.findings.read().unwrap_or_else(PoisonError::into_inner);
        capability.findings.extend(noticed.iter().cloned());
        Some(capability)
    }

    /// Remembers what it does otherwise than we need, and tells it once.
    pub(super) fn notice(&self, finding: String) {
        let mut noticed = self.learned.findings.write().unwrap_or_else(PoisonError::into_inner);
        if !noticed.contains(&finding) {
            warn!(source = self.name.as_str(), finding, "a source lacks something");
            noticed.push(finding);
        }
    }

    /// Whether it offers an interaction for a type; none if that is not known.
    pub fn offers(&self, resource_type: &str, interaction: &str) -> Option<bool> {
        let capability = self.learned.capability.read().unwrap_or_else(PoisonError::into_inner);
        Some(capability.as_ref()?.offers(resource_type, interaction))
    }

    /// How a resource of the type is created there.
    pub fn creation(&self, resource_type: &str) -> Creation {
        let learned = self.learned.creation.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, creation)) = learned.iter().find(|(known, _)| known == resource_type) {
            return *creation;
        }
        let capability = self.learned.capability.read().unwrap_or_else(PoisonError::into_inner);
        capability.as_ref().map_or(Creation::UpdateAsCreate, |capability| capability.creation(resource_type))
    }

    /// Remembers which way of creation is tried from now on, as another one turned out not to be offered.
    pub fn learn(&self, resource_type: &str, creation: Creation) {
        let mut learned = self.learned.creation.write().unwrap_or_else(PoisonError::into_inner);
        learned.retain(|(known, _)| known != resource_type);
        learned.push((resource_type.to_owned(), creation));
    }
}

impl Capability {
    fn of(&self, resource_type: &str) -> Option<&Offered> {
        self.types.iter().find(|offered| offered.resource_type == resource_type)
    }

    fn offers(&self, resource_type: &str, interaction: &str) -> bool {
        let offered = self.of(resource_type);
        offered.is_some_and(|offered| offered.interactions.iter().any(|offered| offered == interaction))
    }

    fn creation(&self, resource_type: &str) -> Creation {
        let Some(offered) = self.of(resource_type) else { return Creation::UpdateAsCreate };
        match (offered.update_create, offered.conditional_create) {
            // If it says nothing of either, the safest way is tried, and an answer tells.
            (Some(true), _) | (None, None) => Creation::UpdateAsCreate,
            (_, Some(true)) => Creation::Conditional,
            _ => Creation::SearchThenCreate,
        }
    }

    fn find(&mut self, settings: &SourceConfig) {
        let expected = match settings.fhir_version {
            FhirVersion::R4 => ["4.0", "R4"],
            FhirVersion::R4B => ["4.3", "R4B"],
            FhirVersion::R5 => ["5.0", "R5"],
        };
        let mut findings = Vec::new();
        match self.fhir_version.as_deref() {
            Some(version) if version.starts_with(expected[0]) => {}
            Some(version) => findings.push(format!(
                "it speaks FHIR {version}, and fhir_version says {}: set fhir_version to what it speaks",
                expected[1]
            )),
            None => findings.push("it does not say which version of FHIR it speaks".to_owned()),
        }
        self.find_reads(settings, &mut findings);
        self.find_writes(settings, &mut findings);
        self.findings = findings;
    }

    fn find_reads(&self, settings: &SourceConfig, findings: &mut Vec<String>) {
        for name in ["DiagnosticReport", "DocumentReference"] {
            let listened = settings.listen.is_empty() || settings.listen.iter().any(|kind| kind.resource_type == name);
            if !listened {
                continue;
            }
            if !self.offers(name, "read") {
                findings.push(format!("it does not offer read on {name}: its reports cannot be read back"));
            }
            if !self.offers(name, "search-type") {
                findings.push(format!("it does not offer search on {name}: what was missed cannot be searched for"));
            } else if !self.searches_by(name, "_lastUpdated") {
                findings.push(format!("it does not list _lastUpdated among the search parameters of {name}"));
            }
        }
        if !self.offers("Binary", "read") {
            findings.push("it does not offer read on Binary: attachments that are Binaries may not be had".to_owned());
        }
    }

    fn find_writes(&self, settings: &SourceConfig, findings: &mut Vec<String>) {
        let written: &[&str] = match settings.write {
            Write::Nothing => &[],
            Write::Observation => &["Device", "Observation"],
            Write::ObservationAndProvenance => &["Device", "Observation", "Provenance"],
        };
        for name in written {
            let creation = self.creation(name);
            let needed: &[&str] = match creation {
                Creation::UpdateAsCreate => &["update"],
                Creation::Conditional => &["create", "update"],
                Creation::SearchThenCreate => &["create", "update", "search-type"],
            };
            for interaction in needed.iter().filter(|interaction| !self.offers(name, interaction)) {
                // A Provenance and a Device are written once.
                if *interaction == "update" && *name != "Observation" && creation != Creation::UpdateAsCreate {
                    continue;
                }
                findings.push(format!(
                    "it does not offer {interaction} on {name}: {name}s cannot be written as they should"
                ));
            }
            if creation != Creation::UpdateAsCreate {
                findings.push(format!("it does not offer update-as-create on {name}: {} is used", creation.code()));
            }
        }
    }

    fn searches_by(&self, resource_type: &str, parameter: &str) -> bool {
        let offered = self.of(resource_type);
        offered.is_some_and(|offered| offered.search_params.iter().any(|offered| offered == parameter))
    }
}

fn read(answer: &Answer, settings: &SourceConfig) -> Option<Capability> {
    let statement = RawObject::parse(json::text(&answer.body).ok()?).ok()?;
    if statement.get::<String>("resourceType")? != "CapabilityStatement" {
        return None;
    }
    let server = statement
        .objects("rest")
        .into_iter()
        .find(|rest| rest.get::<String>("mode").is_none_or(|mode| mode == "server"));
    let resources = server.map(|rest| rest.objects("resource")).unwrap_or_default();
    let codes = |resource: &RawObject<'_>, list: &str, member: &str| -> Vec<String> {
        resource.objects(list).iter().filter_map(|one| one.get(member)).collect()
    };
    let types = resources.iter().filter_map(|resource| {
        Some(Offered {
            resource_type: resource.get("type")?,
            interactions: codes(resource, "interaction", "code"),
            search_params: codes(resource, "searchParam", "name"),
            update_create: resource.get("updateCreate"),
            conditional_create: resource.get("conditionalCreate"),
        })
    });
    let version = statement.get::<String>("fhirVersion");
    let mut capability = Capability {
        // It goes to the log: only what looks like a version is repeated.
        fhir_version: version
            .filter(|v| v.len() <= 20 && v.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))),
        findings: Vec::new(),
        types: types.collect(),
    };
    capability.find(settings);
    Some(capability)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(resources: &str) -> Capability {
        let body = format!(
            r#"{{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{{"mode":"server","resource":[{resources}]}}]}}"#
        );
        let answer = Answer {
            status: 200,
            etag: None,
            location: None,
            content_location: None,
            content_type: None,
            retry_after: None,
            date: None,
            progress: None,
            body: body.into(),
        };
        read(&answer, &SourceConfig::default()).expect("a statement")
    }

    #[test]
    fn the_way_of_creation_follows_from_what_the_source_says() {
        for (says, expected) in [
            (r#""updateCreate":true"#, Creation::UpdateAsCreate),
            (r#""updateCreate":false,"conditionalCreate":true"#, Creation::Conditional),
            (r#""conditionalCreate":true"#, Creation::Conditional),
            (r#""updateCreate":false,"conditionalCreate":false"#, Creation::SearchThenCreate),
            (r#""updateCreate":false"#, Creation::SearchThenCreate),
            (r#""versioning":"versioned""#, Creation::UpdateAsCreate),
        ] {
            let capability = capability(&format!(r#"{{"type":"Observation",{says}}}"#));
            assert_eq!(capability.creation("Observation"), expected, "{says}");
        }
    }

    #[test]
    fn what_is_missing_is_said_in_words() {
        let findings = capability(
            r#"{"type":"Observation","conditionalCreate":true,"interaction":[{"code":"create"}]},
               {"type":"DiagnosticReport","interaction":[{"code":"read"},{"code":"search-type"}]}"#,
        )
        .findings
        .join("\n");
        for part in [
            "does not offer update on Observation",
            "does not offer update-as-create on Observation: conditional-create is used",
            "does not list _lastUpdated among the search parameters of DiagnosticReport",
            "does not offer read on DocumentReference",
            "does not offer read on Binary",
            "does not offer update on Provenance",
        ] {
            assert!(findings.contains(part), "{part} is missing in: {findings}");
        }
    }
}
