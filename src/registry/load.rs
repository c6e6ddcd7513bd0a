//! Loading the models of a line-up. A model that is loaded already, and has not changed, is not loaded again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use super::card::Card;
use super::{Lineup, LoadedModel};
use crate::classify::calibration::{Calibration, CalibrationError};
use crate::classify::model::Model;
use crate::classify::{Classifier, ClassifierSettings, ClassifyError};
use crate::config::{LineupConfig, ModelSettings};
use crate::digest::sha256;
use crate::telemetry;

/// Everything that is wrong with the models of the settings.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct LoadFaults(pub Vec<String>);

/// Why one model cannot be loaded.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
}

/// Loads what the settings name. `running` are the models that are loaded already.
pub(super) fn lineup(config: &LineupConfig, running: Option<&Lineup>) -> Result<Lineup, LoadFaults> {
    let (mut models, mut faults) = (BTreeMap::new(), Vec::new());
    for (name, settings) in &config.models {
        match load(name, settings, running.and_then(|running| running.named(name))) {
            Ok(model) => drop(models.insert(name.clone(), Arc::new(model))),
            Err(error) => faults.push(fault(name, settings, &error)),
        }
    }
    if !faults.is_empty() {
        return Err(LoadFaults(faults));
    }
    Lineup::new(config, models)
        .ok_or_else(|| LoadFaults(vec!["the settings name a model that there is not".to_owned()]))
}

fn load(name: &str, settings: &ModelSettings, running: Option<&Arc<LoadedModel>>) -> Result<LoadedModel, LoadError> {
    // Its files are read in any case: they may have changed under the same path.
    let mut model = Model::open(settings.path.as_deref()).map_err(ClassifyError::Model)?;
    let fitted_to = settings.calibration.as_deref().map(|path| calibrate(&mut model, path)).transpose()?;
    let card = settings.path.as_deref().map_or_else(|| Some(Card::built_in()), Card::of);
    let same = running.filter(|running| {
        running.settings == *settings && running.version() == &model.version && !running.classifier.is_stopped()
    });
    let classifier = match same {
        Some(running) => Arc::clone(&running.classifier),
        None => Arc::new(start(model, settings)?),
    };
    Ok(LoadedModel { name: name.to_owned(), classifier, card, fitted_to, settings: settings.clone() })
}

/// Lets a fit to the site's own reports take the place of the model's own, and says to how many it was fitted. It decides
/// answers, so it is a part of what the model is: its hash is of both.
fn calibrate(model: &mut Model, file: &Path) -> Result<usize, CalibrationError> {
    let own = model.version.sha256.hex();
    let calibration = Calibration::load(file, &own)?;
    model.document_scale = Some(calibration.document);
    model.version.sha256 = sha256(format!("{own}\n{}", calibration.to_toml()).as_bytes());
    model.version.version.push_str("+calibrated");
    Ok(calibration.reports)
}

fn start(model: Model, settings: &ModelSettings) -> Result<Classifier, ClassifyError> {
    let mut classifier = ClassifierSettings::default();
    if let Some(threads) = settings.threads {
        classifier.session.threads = threads;
    }
    classifier.session.provider = settings.provider;
    classifier.decide.review_confidence_min = settings.review_below;
    classifier.decide.answer_confidence_min = settings.abstain_below;
    let classifier = Classifier::start(model, classifier)?;
    if let Some(fallback) = classifier.fallback() {
        warn!("the execution provider {fallback}");
    }
    Ok(classifier)
}

fn fault(name: &str, settings: &ModelSettings, error: &LoadError) -> String {
    let path = settings.path.as_ref().map_or_else(|| "built in".to_owned(), |path| path.display().to_string());
    format!("model {name:?} ({path}): {}", telemetry::chain(error))
}
