//! `[model]`, `[models.NAME]` and `[sources.NAME]`: which models are loaded, and which of them answers for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

use super::{Config, sources};
use crate::classify::provider::{ExecutionProvider, MissingProvider, ProviderSettings};
use crate::domain::document::SourceName;

/// The name of the model that `[model]` alone describes.
const DEFAULT: &str = "default";

/// Words that stand after `/models/` in addresses of ours.
const RESERVED: [&str; 1] = ["reannotations"];

/// Longest name of a model.
const NAME_CHARACTERS_MAX: usize = 64;

/// `[models.NAME]`: one more model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelTable {
    /// A model directory; the built-in model if not set.
    pub path: Option<PathBuf>,
    /// A fit to the site's own reports; the model's own if not set.
    pub calibration: Option<PathBuf>,
    /// Threads of one inference; `model.threads` if not set.
    pub threads: Option<usize>,
    /// Confidence below which an annotation waits for a person, 0 to 1; `model.review_below` if not set.
    pub review_below: Option<f32>,
    /// Confidence below which an answer is held back, 0 to 1; `model.abstain_below` if not set.
    pub abstain_below: Option<f32>,
    /// Who does the arithmetic; `model.execution_provider` if not set.
    pub execution_provider: Option<ExecutionProvider>,
    /// What to do where it is not there; `model.execution_provider_missing` if not set.
    pub execution_provider_missing: Option<MissingProvider>,
}

/// How one model is run.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSettings {
    /// Where it is; the built-in model if none.
    pub path: Option<PathBuf>,
    /// A fit to the site's own reports.
    pub calibration: Option<PathBuf>,
    /// Threads of one inference; the machine's cores if none.
    pub threads: Option<usize>,
    /// Confidence below which an annotation waits for a person.
    pub review_below: f32,
    /// Confidence below which an answer is held back: `indeterminate`, and for a person to look at.
    pub abstain_below: f32,
    /// Who does the arithmetic.
    pub provider: ProviderSettings,
}

/// Who is loaded, who answers and who looks on. Every name in it is one of `models`.
#[derive(Clone, Debug, PartialEq)]
pub struct LineupConfig {
    /// Every model that is loaded, by name.
    pub models: BTreeMap<String, ModelSettings>,
    /// Who answers for each source that there is.
    pub active: BTreeMap<SourceName, String>,
    /// Who annotates the same documents and answers nobody.
    pub shadow: Vec<String>,
}

impl Config {
    /// The models of these settings, which have no faults.
    ///
    /// The model that `[model]` describes is called `default`. It is loaded if it is the only one, if its path or its
    /// calibration is set, or if it is named.
    pub fn lineup(&self) -> LineupConfig {
        let settings = |table: &ModelTable| ModelSettings {
            path: table.path.clone(),
            calibration: table.calibration.clone(),
            threads: table.threads.or(self.model.threads),
            review_below: table.review_below.unwrap_or(self.model.review_below),
            abstain_below: table.abstain_below.unwrap_or(self.model.abstain_below),
            provider: ProviderSettings {
                provider: table.execution_provider.unwrap_or(self.model.execution_provider),
                missing: table.execution_provider_missing.unwrap_or(self.model.execution_provider_missing),
            },
        };
        let mut models: BTreeMap<_, _> = self.models.iter().map(|(name, t)| (name.clone(), settings(t))).collect();
        let active = sources::names(&self.sources).into_iter();
        let active = active.map(|source| (source.clone(), self.active_for(&source).to_owned())).collect();
        if self.describes_one() || self.named().contains(DEFAULT) {
            let (path, calibration) = (self.model.path.clone(), self.model.calibration.clone());
            let simple = ModelTable { path, calibration, ..ModelTable::default() };
            models.entry(DEFAULT.to_owned()).or_insert_with(|| settings(&simple));
        }
        LineupConfig { models, active, shadow: self.model.shadow.clone() }
    }

    /// Whether `[model]` says more of a model than holds for all.
    fn describes_one(&self) -> bool {
        self.model.path.is_some() || self.model.calibration.is_some()
    }

    fn active_for(&self, source: &SourceName) -> &str {
        let own = self.sources.get(source.as_str()).and_then(|source| source.model.as_deref());
        own.or(self.model.active.as_deref()).unwrap_or(DEFAULT)
    }

    /// The models that answer or look on.
    fn named(&self) -> BTreeSet<&str> {
        let shadow = self.model.shadow.iter().map(String::as_str);
        let of_sources = self.sources.values().filter_map(|source| source.model.as_deref());
        let active = self.model.active.as_deref();
        // Without `active`, `default` answers wherever a source names no other.
        let default =
            sources::names(&self.sources).iter().any(|source| self.active_for(source) == DEFAULT).then_some(DEFAULT);
        shadow.chain(of_sources).chain(active).chain(default).collect()
    }
}

/// Adds what is wrong with the models and with what is said of them.
pub(super) fn check(config: &Config, faults: &mut Vec<String>) {
    for (name, table) in &config.models {
        check_table(name, table, faults);
    }
    if config.models.contains_key(DEFAULT) && config.describes_one() {
        faults.push(format!(
            "models.{DEFAULT}, and model.path or model.calibration: give one of them, both are the model {DEFAULT:?}"
        ));
    }
    let loaded = config.lineup().models;
    let mut known = |key: &str, name: &str| {
        if !loaded.contains_key(name) {
            let names: Vec<_> = loaded.keys().map(String::as_str).collect();
            faults.push(format!("{key}: there is no model {name:?}; there are {}", names.join(", ")));
        }
    };
    if let Some(name) = &config.model.active {
        known("model.active", name);
    }
    for name in &config.model.shadow {
        known("model.shadow", name);
    }
    for (source, settings) in &config.sources {
        if let Some(name) = &settings.model {
            known(&format!("sources.{source}.model"), name);
        }
    }
    let unique: BTreeSet<_> = config.model.shadow.iter().collect();
    if unique.len() < config.model.shadow.len() {
        faults.push("model.shadow: it names a model twice".to_owned());
    }
    for name in &config.model.shadow {
        if sources::names(&config.sources).iter().all(|source| config.active_for(source) == name) {
            faults.push(format!("model.shadow: {name:?} answers already; a shadow looks on while another answers"));
        }
    }
}

fn check_table(name: &str, table: &ModelTable, faults: &mut Vec<String>) {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !(1..=NAME_CHARACTERS_MAX).contains(&name.len()) || !name.chars().all(allowed) {
        faults.push(format!(
            "[models.{name}]: a name is 1 to {NAME_CHARACTERS_MAX} of lower-case letters, digits, \"-\" and \"_\""
        ));
    }
    if RESERVED.contains(&name) {
        faults.push(format!("[models.{name}]: this name is taken by an address of the API; choose another"));
    }
    if table.threads.is_some_and(|threads| !(1..=256).contains(&threads)) {
        faults.push(format!("models.{name}.threads: between 1 and 256"));
    }
    for (key, score) in [("review_below", table.review_below), ("abstain_below", table.abstain_below)] {
        if score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            faults.push(format!("models.{name}.{key}: between 0 and 1"));
        }
    }
    for (key, path) in [("path", &table.path), ("calibration", &table.calibration)] {
        if let Some(path) = path.as_ref().filter(|path| !path.exists()) {
            faults.push(format!("models.{name}.{key}: there is no such file: {}", path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::classify::provider::{ExecutionProvider, MissingProvider, ProviderSettings};
    use crate::config::tests::load;
    use crate::domain::document::SourceName;

    /// `name*` for the active one, `(name)` for a shadow.
    fn lineup(toml: &str) -> String {
        let lineup = load(toml).expect("no faults").lineup();
        let active = &lineup.active[&SourceName::local()];
        let mark = |name: &String| match () {
            () if name == active => format!("{name}*"),
            () if lineup.shadow.contains(name) => format!("({name})"),
            () => name.clone(),
        };
        lineup.models.keys().map(mark).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_simple_form_is_one_model_and_tables_stand_beside_it() {
        for (toml, expected) in [
            ("", "default*"),
            ("[model]\nthreads = 2", "default*"),
            ("[models.a]", "a default*"),
            ("[model]\nactive = \"a\"\n[models.a]", "a*"),
            ("[model]\nactive = \"a\"\npath = \"/\"\n[models.a]", "a* default"),
            ("[model]\nactive = \"a\"\nshadow = [\"default\"]\n[models.a]", "a* (default)"),
            ("[model]\nshadow = [\"a\"]\n[models.a]", "(a) default*"),
            ("[sources.local]\nmodel = \"a\"\n[models.a]", "a*"),
            ("[models.default]\nthreads = 1\n[models.b]", "b default*"),
            ("[model]\nactive = \"b\"\n[models.b]\n[sources.local]\nmodel = \"c\"\n[models.c]", "b c*"),
        ] {
            assert_eq!(lineup(toml), expected, "{toml}");
        }
    }

    #[test]
    fn a_model_takes_what_it_does_not_say_from_the_simple_form() {
        let toml = "[model]\nthreads = 3\nreview_below = 0.7\n[models.a]\nthreads = 1\n[models.b]\nreview_below = 0.5";
        let models = load(toml).expect("no faults").lineup().models;
        assert_eq!((models["a"].threads, models["a"].review_below), (Some(1), 0.7));
        assert_eq!((models["b"].threads, models["b"].review_below), (Some(3), 0.5));
        assert_eq!(models["default"].threads, Some(3));
    }

    #[test]
    fn an_execution_provider_is_named_for_all_or_for_one() {
        let toml = "[model]\nexecution_provider = \"cuda\"\nexecution_provider_missing = \"cpu\"\n[models.a]\n\
                    [models.b]\nexecution_provider = \"openvino\"";
        let models = load(toml).expect("no faults").lineup().models;
        let cuda = ProviderSettings { provider: ExecutionProvider::Cuda, missing: MissingProvider::Cpu };
        assert_eq!(models["a"].provider, cuda);
        assert_eq!(models["b"].provider, ProviderSettings { provider: ExecutionProvider::OpenVino, ..cuda });
        let said = load("[model]\nexecution_provider = \"gpu\"").expect_err("a fault").to_string();
        assert!(said.contains("gpu") && said.contains("cuda"), "{said}");
    }

    #[test]
    fn every_fault_is_named_and_all_at_once() {
        let faults = [
            ("[model]\nactive = \"x\"", "model.active: there is no model \"x\"; there are "),
            ("[model]\nshadow = [\"x\"]", "model.shadow: there is no model \"x\"; there are default"),
            ("[sources.local]\nmodel = \"x\"", "sources.local.model: there is no model \"x\""),
            ("[model]\nshadow = [\"default\"]", "\"default\" answers already"),
            ("[model]\nshadow = [\"a\", \"a\"]\n[models.a]", "names a model twice"),
            ("[models.a]\npath = \"/no/such\"", "models.a.path: there is no such file: /no/such"),
            ("[models.a]\ncalibration = \"/no/such\"", "models.a.calibration: there is no such file: /no/such"),
            ("[models.a]\nthreads = 0", "models.a.threads: between"),
            ("[models.a]\nreview_below = 2.0", "models.a.review_below: between"),
            ("[models.a]\nabstain_below = -1.0", "models.a.abstain_below: between"),
            ("[models.a]\ntreads = 1", "[models.a]: unknown field `treads`"),
            ("[models.\"a b\"]", "[models.a b]: a name is"),
            ("[models.reannotations]", "taken by an address"),
            (
                "[models.default]\n[model]\npath = \"/\"",
                "models.default, and model.path or model.calibration: give one of them",
            ),
        ];
        for (toml, expected) in faults {
            let said = load(toml).expect_err("a fault").to_string();
            assert!(said.contains(expected), "{toml}: {said}");
        }
        let all = "[model]\nactive = \"x\"\nshadow = [\"y\"]\n[models.a]\nthreads = 0\n[models.b]\ntreads = 1";
        let said = load(all).expect_err("faults").to_string();
        for part in ["4 faults", "model.active", "model.shadow", "models.a.threads", "[models.b]"] {
            assert!(said.contains(part), "{part} is missing in: {said}");
        }
    }
}
