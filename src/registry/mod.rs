//! The models of this process: which are loaded, who answers for which source, who looks on.
//!
//! A [`Lineup`] never changes. Switching puts another one in its place ([`Switch`]): whoever has asked for a model keeps
//! it until it is done with it, whoever asks next gets the new one. A model's thread ends when the last of those leaves.

mod card;
mod load;
mod switch;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

pub use card::Card;
pub use load::LoadFaults;
pub use switch::{Reloaded, Switch, SwitchError};

use crate::classify::{Classifier, Model};
use crate::config::{LineupConfig, ModelSettings};
use crate::domain::annotation::ModelVersion;
use crate::domain::document::SourceName;

/// A model that is loaded, under the name that the settings give it.
#[derive(Debug)]
pub struct LoadedModel {
    /// As the settings name it.
    pub name: String,
    /// It answers.
    pub classifier: Arc<Classifier>,
    /// What it is good for, in words.
    pub card: Option<Card>,
    /// Reports of the site that its scores were fitted to; none if they were not.
    pub fitted_to: Option<usize>,
    settings: ModelSettings,
}

impl LoadedModel {
    /// Which model it is.
    pub fn version(&self) -> &ModelVersion {
        self.classifier.version()
    }

    /// All that is known of it.
    pub fn model(&self) -> &Model {
        self.classifier.model()
    }
}

/// The models that are loaded together. Every source has one that answers.
#[derive(Debug)]
pub struct Lineup {
    models: BTreeMap<String, Arc<LoadedModel>>,
    active: BTreeMap<SourceName, Arc<LoadedModel>>,
    shadow: Vec<Arc<LoadedModel>>,
}

impl Lineup {
    /// Fails if `config` names a model that is not among `models`; settings without faults do not.
    fn new(config: &LineupConfig, models: BTreeMap<String, Arc<LoadedModel>>) -> Option<Self> {
        let active = config.active.iter().map(|(source, name)| Some((source.clone(), Arc::clone(models.get(name)?))));
        let active: BTreeMap<_, _> = active.collect::<Option<_>>()?;
        // Every source that is not named is answered as `local` is.
        active.get(&SourceName::local())?;
        let shadow = config.shadow.iter().map(|name| models.get(name).cloned()).collect::<Option<_>>()?;
        Some(Self { models, active, shadow })
    }

    /// All models, in the order of their names.
    pub fn models(&self) -> impl Iterator<Item = &Arc<LoadedModel>> {
        self.models.values()
    }

    /// The model of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<LoadedModel>> {
        self.models.get(name)
    }

    /// The model that answers for a source.
    pub fn active(&self, source: &SourceName) -> &Arc<LoadedModel> {
        // `new` has seen to it that `local` is there.
        self.active.get(source).unwrap_or_else(|| &self.active[&SourceName::local()])
    }

    /// Every source with the model that answers for it.
    pub fn sources(&self) -> impl Iterator<Item = (&SourceName, &Arc<LoadedModel>)> {
        self.active.iter()
    }

    /// The models that annotate a source's documents and answer nobody.
    pub fn shadows(&self, source: &SourceName) -> impl Iterator<Item = &Arc<LoadedModel>> {
        let active = &self.active(source).name;
        self.shadow.iter().filter(move |model| model.name != *active)
    }

    /// Whether the model looks on.
    pub fn is_shadow(&self, model: &LoadedModel) -> bool {
        self.shadow.iter().any(|shadow| shadow.name == model.name)
    }
}

/// The line-up that holds now.
#[derive(Debug)]
pub struct Registry {
    lineup: watch::Sender<Arc<Lineup>>,
}

impl Registry {
    /// Loads every model of the settings, and says all that is wrong with any of them. Takes seconds, and blocks.
    pub fn load(config: &LineupConfig) -> Result<Self, LoadFaults> {
        let lineup = load::lineup(config, None)?;
        Ok(Self { lineup: watch::Sender::new(Arc::new(lineup)) })
    }

    /// The line-up that holds now. Ask once for each piece of work and stay with it: the next call may give another.
    pub fn lineup(&self) -> Arc<Lineup> {
        Arc::clone(&self.lineup.borrow())
    }

    /// Puts another line-up in the place of the one that holds.
    fn replace(&self, lineup: Lineup) {
        self.lineup.send_replace(Arc::new(lineup));
    }

    /// Ends when the thread of a model that answers has ended, which it does only by a fault: the process should end
    /// too. The end of one that only looks on is told by its jobs, which fail.
    pub async fn stopped(&self) {
        let mut changes = self.lineup.subscribe();
        loop {
            let classifiers: Vec<_> = {
                let lineup = changes.borrow_and_update();
                lineup.sources().map(|(_, model)| Arc::clone(&model.classifier)).collect()
            };
            let waiting = classifiers.iter().map(|classifier| Box::pin(classifier.stopped()));
            tokio::select! {
                _ = futures_util::future::select_all(waiting) => return,
                // Cannot fail because `self` holds the sender.
                _ = changes.changed() => {}
            }
        }
    }
}
