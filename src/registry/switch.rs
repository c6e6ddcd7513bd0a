//! Switching models while the service runs: the settings are read again, and what of them can change, changes.

use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::{error, info, warn};

use super::{LoadFaults, Registry, load};
use crate::config::{Config, ConfigError, ConfigSource};
use crate::telemetry;

/// Why the models stay as they are. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// The settings have faults.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// A model cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadFaults),
    /// The task that loads them did not end.
    #[error("loading the models: the task did not end")]
    Task,
}

impl SwitchError {
    /// Each fault by itself.
    pub fn faults(&self) -> Vec<String> {
        match self {
            Self::Settings(ConfigError(faults)) | Self::Load(LoadFaults(faults)) => faults.clone(),
            Self::Task => vec![self.to_string()],
        }
    }
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Settings that have changed too, and take a restart.
    pub restart_needed: Vec<&'static str>,
}

/// Reads the settings again and switches the models.
#[derive(Debug)]
pub struct Switch {
    source: ConfigSource,
    registry: Arc<Registry>,
    /// What the process was started with, but for its models. Whoever holds it reloads; others wait.
    started_with: Mutex<Config>,
}

impl Switch {
    /// For a registry that was loaded from `running`, which was read from `source`.
    pub fn new(source: ConfigSource, running: Config, registry: Arc<Registry>) -> Self {
        Self { source, registry, started_with: Mutex::new(running) }
    }

    /// Reads the settings and loads their models. Then, and only if all of it succeeded, the new line-up takes the place
    /// of the old one: work in hand ends with the model that it began with, new work begins with the new one.
    ///
    /// It goes on to its end when the caller leaves: a client that waits no longer has asked for it all the same.
    pub async fn reload(self: &Arc<Self>) -> Result<Reloaded, SwitchError> {
        let switch = Arc::clone(self);
        tokio::spawn(async move { switch.reload_to_the_end().await }).await.unwrap_or(Err(SwitchError::Task))
    }

    async fn reload_to_the_end(&self) -> Result<Reloaded, SwitchError> {
        let started_with = self.started_with.lock().await;
        let (source, registry) = (self.source.clone(), Arc::clone(&self.registry));
        let loading = tokio::task::spawn_blocking(move || {
            let config = source.load()?;
            let lineup = load::lineup(&config.lineup(), Some(&registry.lineup()))?;
            Ok((config, lineup))
        });
        let loaded = loading.await.unwrap_or(Err(SwitchError::Task));
        let (config, lineup) = loaded.inspect_err(|error| {
            telemetry::reloaded("failed");
            for fault in error.faults() {
                error!(fault, "the settings were not reloaded; all stays as it was");
            }
        })?;
        self.registry.replace(lineup);
        telemetry::reloaded("switched");
        let restart_needed = started_with.changes_that_need_a_restart(&config);
        for (source, model) in self.registry.lineup().sources() {
            let version = model.version();
            info!(source = source.as_str(), name = model.name, model = %version.id, version = %version.version, "answers from now on");
        }
        if !restart_needed.is_empty() {
            warn!(settings = restart_needed.join(", "), "these settings have changed too, and take a restart");
        }
        Ok(Reloaded { restart_needed })
    }
}
