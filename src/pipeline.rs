//! The order of the stages, and the only place that knows it: bytes in on the left, an annotation out on the right.

use std::sync::Arc;
use std::time::Instant;

use crate::classify::{Classifier, ClassifyError};
use crate::clock::Clock;
use crate::domain::annotation::{Annotation, ModelVersion};
use crate::domain::document::{Disposition, Document, ReportKey, SourceDocument, WithdrawReason};
use crate::domain::job::{JobKind, LeasedJob, OnFailure};
use crate::domain::narrative::Narrative;
use crate::extract;
use crate::fhir::reference::{self, BaseUrl};
use crate::fhir::report::{self, ReadError};
use crate::store::{Reading, Store, StoreError};
use crate::telemetry;

/// Why a document could not be taken through.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// Its bytes are not a report: they were checked when they came, so this is a fault of ours.
    #[error("reading the document")]
    Read(#[source] ReadError),
    /// Extraction ended without a narrative.
    #[error("extracting the narrative: the task did not end")]
    Extract,
    /// The model gave no answer.
    #[error("classifying the narrative")]
    Classify(#[source] ClassifyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PipelineError {
    /// Whether trying again may help.
    pub fn on_failure(&self) -> OnFailure {
        match self {
            Self::Store(error) => error.on_failure(),
            Self::Classify(ClassifyError::QueueFull) => OnFailure::Retry,
            Self::Read(_) | Self::Extract | Self::Classify(_) => OnFailure::Fail,
        }
    }
}

/// The stages, wired to their parts.
pub struct Pipeline {
    store: Store,
    classifier: Arc<Classifier>,
    base: BaseUrl,
    clock: Arc<dyn Clock>,
}

impl Pipeline {
    /// Wires the stages.
    pub fn new(store: Store, classifier: Arc<Classifier>, base: BaseUrl, clock: Arc<dyn Clock>) -> Self {
        Self { store, classifier, base, clock }
    }

    /// Which model answers.
    pub fn model(&self) -> &ModelVersion {
        self.classifier.version()
    }

    /// Takes the job's document through all stages and ends the job with the results.
    pub async fn run(&self, job: &LeasedJob) -> Result<(), PipelineError> {
        let JobKind::Annotate(id) = job.kind;
        let document = self.store.document_by_id(id).await?;
        let reading = self.read(&document).await?;
        let (state, label) = outcome(&reading);
        let started = Instant::now();
        self.store.settle(job, &document, reading, self.clock.now()).await?;
        telemetry::stage_took("settle", started.elapsed().as_secs_f64());
        telemetry::document_settled(state, label);
        Ok(())
    }

    /// Gives a job up where people see it.
    pub async fn abandon(&self, job: &LeasedJob, why: &str) -> Result<(), StoreError> {
        self.store.abandon_job(job, why, self.clock.now()).await
    }

    /// Annotates one resource and stores nothing.
    pub async fn annotate(&self, source: SourceDocument) -> Result<(Narrative, Annotation), PipelineError> {
        let started = Instant::now();
        // Markup can take a while and must not hold up other requests.
        let narrative =
            tokio::task::spawn_blocking(|| extract::narrative(source)).await.map_err(|_| PipelineError::Extract)?;
        telemetry::stage_took("extract", started.elapsed().as_secs_f64());
        let started = Instant::now();
        let annotation = self.classifier.annotate(&narrative).await.map_err(PipelineError::Classify)?;
        telemetry::stage_took("classify", started.elapsed().as_secs_f64());
        Ok((narrative, annotation))
    }

    async fn read(&self, document: &Document) -> Result<Reading, PipelineError> {
        let model = self.model().clone();
        if document.deleted {
            return Ok(Reading {
                disposition: Disposition::Withdraw(WithdrawReason::Deleted),
                about: crate::domain::document::About::default(),
                replaces: Vec::new(),
                annotated: None,
                model,
            });
        }
        let mut source = report::read(&document.received).map_err(PipelineError::Read)?;
        reference::resolve(&mut source.about.subject, &document.links);
        reference::resolve(&mut source.about.encounter, &document.links);
        let (disposition, about) = (source.disposition, source.about.clone());
        let replaces = self.replaced(document, &source);
        let annotated = match disposition {
            Disposition::Annotate => Some(self.annotate(source).await?),
            Disposition::Keep | Disposition::Withdraw(_) => None,
        };
        Ok(Reading { disposition, about, replaces, annotated, model })
    }

    /// The reports of the same source that the document says it replaces.
    fn replaced(&self, document: &Document, source: &SourceDocument) -> Vec<ReportKey> {
        let resolved = source.replaces.iter().map(|reference| {
            let link = document.links.iter().find(|(urn, _)| urn == reference);
            link.map_or(reference.as_str(), |(_, target)| target.as_str())
        });
        resolved
            .filter_map(|reference| reference::report_of_source(reference, &document.key.source, &self.base))
            .collect()
    }
}

/// The document's state and label, for metrics.
fn outcome(reading: &Reading) -> (&'static str, &'static str) {
    match (&reading.annotated, reading.disposition) {
        (Some((_, annotation)), _) => ("annotated", annotation.label.code()),
        (None, Disposition::Withdraw(_)) => ("withdrawn", "none"),
        (None, Disposition::Annotate | Disposition::Keep) => ("kept", "none"),
    }
}
