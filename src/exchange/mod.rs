//! What passes between a source and us, job by job: reports and their contents come in, answers go out.

mod bring_in;
mod write_back;

use std::sync::Arc;

use responsum_fhir_authoring::AuthoringError;

use crate::catch_up::{CatchUpError, CatchUps};
use crate::clock::Clock;
use crate::domain::job::{JobKind, LeasedJob, OnFailure};
use crate::fhir::reference::BaseUrl;
use crate::receive::ReceiveError;
use crate::source::{Source, SourceError, Sources};
use crate::store::{Store, StoreError};

/// Why a source's job was not done.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The source did not do what we asked.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What was missed could not be searched for.
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
    /// What the source gave is not a report.
    #[error("the source gave what is not the report that was asked for")]
    Receive(#[source] ReceiveError),
    /// What should be written back could not be authored.
    #[error("what should be written back could not be said in FHIR")]
    Author(#[from] AuthoringError),
    /// A person has changed our Observation at the source.
    #[error("a person has changed the Observation at the source: it is {0} there, and is left as it is")]
    ChangedByPerson(&'static str),
    /// Our Observation changes there faster than we can write it.
    #[error("the Observation at the source changes with every try to write it")]
    KeepsChanging,
    /// Our Device was deleted at the source: it is written again.
    #[error("our Device is not at the source any more")]
    DeviceLost,
    /// The job is not a source's, and those are not done here.
    #[error("a job that is no source's came to a source's worker")]
    OfNoSource,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ExchangeError {
    /// Whether trying again may help.
    pub fn on_failure(&self) -> OnFailure {
        match self {
            Self::Source(error) => error.on_failure(),
            Self::CatchUp(error) => error.on_failure(),
            Self::Store(error) => error.on_failure(),
            // A body that was cut off reads like one that is malformed.
            Self::Receive(_) | Self::KeepsChanging | Self::DeviceLost => OnFailure::Retry,
            Self::Author(_) | Self::ChangedByPerson(_) | Self::OfNoSource => OnFailure::Fail,
        }
    }
}

/// Does the jobs of sources.
pub struct Exchange {
    store: Store,
    /// Our own address, which evidence points to.
    base: BaseUrl,
    clock: Arc<dyn Clock>,
    catch_ups: CatchUps,
}

impl Exchange {
    /// Wires the parts.
    pub fn new(store: Store, base: BaseUrl, clock: Arc<dyn Clock>) -> Self {
        let catch_ups = CatchUps::new(store.clone(), Arc::clone(&clock));
        Self { store, base, clock, catch_ups }
    }

    /// Asks for a search of every source: what happened there while we were away is not known.
    pub async fn begin(&self, sources: &Sources) -> Result<(), StoreError> {
        self.catch_ups.begin(sources.iter()).await
    }

    /// Does a job of the source, and settles it.
    pub async fn run(&self, source: &Source, job: &LeasedJob) -> Result<(), ExchangeError> {
        match &job.kind {
            JobKind::Fetch(key) => self.fetch(source, job, key).await,
            JobKind::Contents { document, .. } => self.contents(source, job, *document).await,
            JobKind::Emit { observation_id, .. } => self.emit(source, job, observation_id).await,
            JobKind::CatchUp(_) => Ok(self.catch_ups.run(source, job).await?),
            JobKind::Annotate(_) | JobKind::Shadow { .. } | JobKind::Reannotate(_) => Err(ExchangeError::OfNoSource),
        }
    }

    /// Gives a job up where people see it.
    pub async fn abandon(&self, job: &LeasedJob, why: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        match &job.kind {
            JobKind::Emit { observation_id, .. } => self.store.abandon_emission(job, observation_id, why, now).await,
            // The document is annotated without what could not be had: its coverage says so.
            JobKind::Contents { document, .. } => self.store.contents_complete(job, *document).await,
            _ => self.store.abandon_job(job, why, now).await,
        }
    }
}
