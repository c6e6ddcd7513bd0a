//! The order of the stages, and the only place that knows it: bytes in on the left, an annotation out on the right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::classify::ClassifyError;
use crate::clock::Clock;
use crate::digest::sha256;
use crate::domain::annotation::{Annotation, ModelVersion};
use crate::domain::document::{
    AttachmentContent, AttachmentKey, AttachmentRole, Disposition, Document, DocumentId, ReportKey, SourceDocument,
    SourceName, WithdrawReason,
};
use crate::domain::job::{JobKind, LeasedJob, OnFailure, ReannotationId};
use crate::domain::narrative::Narrative;
use crate::extract::{self, Isolation};
use crate::fhir::reference::{self, BaseUrl};
use crate::fhir::report::{self, ReadError};
use crate::registry::{LoadedModel, Registry};
use crate::store::{FetchedContent, Reading, Reannotation, ReannotationState, Step, Store, StoreError};
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
    /// The model that a re-annotation needs is not loaded here, or its thread has ended.
    #[error("the model of the re-annotation is not loaded")]
    ModelAway,
    /// The job is a source's, and those are not done here.
    #[error("a job of a source came to the pipeline")]
    OfASource,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PipelineError {
    /// Whether trying again may help.
    pub fn on_failure(&self) -> OnFailure {
        match self {
            Self::Store(error) => error.on_failure(),
            // Another process may have the model, and a reload may bring it back.
            Self::Classify(ClassifyError::QueueFull) | Self::ModelAway => OnFailure::Retry,
            Self::Read(_) | Self::Extract | Self::Classify(_) | Self::OfASource => OnFailure::Fail,
        }
    }
}

/// What one model made of a text.
#[derive(Debug)]
pub struct Annotated {
    /// The text, as it was read.
    pub narrative: Narrative,
    /// What the model says of it.
    pub annotation: Annotation,
    /// Which model.
    pub model: Arc<LoadedModel>,
}

/// The stages, wired to their parts.
pub struct Pipeline {
    store: Store,
    registry: Arc<Registry>,
    base: BaseUrl,
    /// The base URLs of sources, by which their reports name each other.
    source_bases: BTreeMap<SourceName, BaseUrl>,
    clock: Arc<dyn Clock>,
    isolation: Isolation,
}

impl Pipeline {
    /// Wires the stages.
    pub fn new(
        store: Store,
        registry: Arc<Registry>,
        base: BaseUrl,
        source_bases: BTreeMap<SourceName, BaseUrl>,
        clock: Arc<dyn Clock>,
        isolation: Isolation,
    ) -> Self {
        Self { store, registry, base, source_bases, clock, isolation }
    }

    /// Takes the job's document through all stages and ends the job with the results.
    pub async fn run(&self, job: &LeasedJob) -> Result<(), PipelineError> {
        match &job.kind {
            JobKind::Annotate(id) => self.answer(job, *id).await,
            JobKind::Shadow { document, model } => self.shadow(job, *document, model).await,
            JobKind::Reannotate(id) => self.reannotate(job, *id).await,
            JobKind::Fetch(_) | JobKind::Contents { .. } | JobKind::Emit { .. } | JobKind::CatchUp(_) => {
                Err(PipelineError::OfASource)
            }
        }
    }

    /// Gives a job up where people see it. A re-annotation goes on behind the document that cannot be done; it ends if
    /// its model is not there.
    pub async fn abandon(&self, job: &LeasedJob, why: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let JobKind::Reannotate(id) = job.kind else {
            if matches!(job.kind, JobKind::Shadow { .. }) {
                telemetry::shadow_document("failed");
            }
            return self.store.abandon_job(job, why, now).await;
        };
        let Some(run) = self.store.reannotation(id).await? else { return self.store.end_job(job).await };
        match (self.loaded(&run), self.store.next_of_reannotation(id).await?) {
            (Some(_), Some(document)) => {
                telemetry::reannotated("failed");
                self.store.pass_over(job, id, document, why, now).await
            }
            (Some(_), None) => self.store.end_reannotation(job, id, None, now).await,
            (None, _) => self.store.end_reannotation(job, id, Some(why), now).await,
        }
    }

    /// Annotates one resource of our own API with the model that answers for it, and stores nothing.
    pub async fn annotate(&self, source: SourceDocument) -> Result<Annotated, PipelineError> {
        let model = Arc::clone(self.registry.lineup().active(&SourceName::local()));
        let (narrative, annotation) = annotate_with(&model, source, &self.isolation).await?;
        Ok(Annotated { narrative, annotation, model })
    }

    /// A new document: the model that answers for its source annotates it, and those that look on are given it too.
    async fn answer(&self, job: &LeasedJob, id: DocumentId) -> Result<(), PipelineError> {
        let document = self.store.document_by_id(id).await?;
        // Asked once: the document is annotated by one model, and named as annotated by it, whatever is switched meanwhile.
        let lineup = self.registry.lineup();
        let source = &document.key.source;
        let reading = self.read(&document, lineup.active(source), true).await?;
        let shadows: Vec<String> = lineup.shadows(source).map(|model| model.name.clone()).collect();
        let started = Instant::now();
        self.store.settle(job, &document, &reading, &shadows, self.clock.now()).await?;
        telemetry::stage_took("settle", started.elapsed().as_secs_f64());
        let (state, label) = outcome(&reading);
        telemetry::document_settled(state, label);
        Ok(())
    }

    /// A document for a model that looks on. One that looks on no more has nothing to do.
    async fn shadow(&self, job: &LeasedJob, id: DocumentId, name: &str) -> Result<(), PipelineError> {
        let document = self.store.document_by_id(id).await?;
        let lineup = self.registry.lineup();
        let Some(model) = lineup.shadows(&document.key.source).find(|model| model.name == name) else {
            telemetry::shadow_document("dropped");
            return Ok(self.store.end_job(job).await?);
        };
        let reading = self.read(&document, model, false).await?;
        self.store.settle_shadow(job, &document, &reading, self.clock.now()).await?;
        telemetry::shadow_document(if reading.annotated.is_some() { "annotated" } else { "nothing" });
        Ok(())
    }

    /// The next document of a re-annotation. A document that fails is passed over, and counted.
    async fn reannotate(&self, job: &LeasedJob, id: ReannotationId) -> Result<(), PipelineError> {
        let run = self.store.reannotation(id).await?;
        let Some(run) = run.filter(|run| run.state == ReannotationState::Running) else {
            return Ok(self.store.end_job(job).await?);
        };
        let model = self.loaded(&run).ok_or(PipelineError::ModelAway)?;
        let Some(next) = self.store.next_of_reannotation(id).await? else {
            return Ok(self.store.end_reannotation(job, id, None, self.clock.now()).await?);
        };
        let document = self.store.document_by_id(next).await?;
        let (outcome, why);
        let reading = self.read(&document, &model, false).await;
        let answers = self.registry.lineup().active(&document.key.source).version() == model.version();
        let step = match &reading {
            Ok(reading) if answers => {
                outcome = "current";
                Step::Current(reading)
            }
            Ok(reading) => {
                outcome = "shadow";
                Step::Shadow(reading)
            }
            Err(PipelineError::Classify(ClassifyError::Stopped)) => return Err(PipelineError::ModelAway),
            Err(error) if error.on_failure() == OnFailure::Fail => {
                outcome = "failed";
                why = telemetry::chain(error);
                Step::Failed(&why)
            }
            Err(_) => return reading.map(drop),
        };
        self.store.settle_step(job, id, &document, step, self.clock.now()).await?;
        telemetry::reannotated(outcome);
        Ok(())
    }

    /// The model that the re-annotation began with, if it is loaded under its name and lives.
    fn loaded(&self, run: &Reannotation) -> Option<Arc<LoadedModel>> {
        let lineup = self.registry.lineup();
        let model = lineup.named(&run.model_name)?;
        (model.version().sha256 == run.model.sha256 && !model.classifier.is_stopped()).then(|| Arc::clone(model))
    }

    /// Reads a document. One that is `new` is not annotated if another report with the same attachment has the answer.
    async fn read(&self, document: &Document, model: &LoadedModel, new: bool) -> Result<Reading, PipelineError> {
        let version: ModelVersion = model.version().clone();
        if document.deleted {
            return Ok(Reading {
                disposition: Disposition::Withdraw(WithdrawReason::Deleted),
                about: crate::domain::document::About::default(),
                replaces: Vec::new(),
                annotated: None,
                attachments: Vec::new(),
                model: version,
            });
        }
        let mut source = report::read(&document.received).map_err(PipelineError::Read)?;
        if source.disposition == Disposition::Annotate && !report::contents_of(&source).is_empty() {
            give_contents(&mut source, &self.store.contents(document.id).await?);
        }
        reference::resolve(&mut source.about.subject, &document.links);
        reference::resolve(&mut source.about.encounter, &document.links);
        let (disposition, about) = (source.disposition, source.about.clone());
        let replaces = self.replaced(document, &source);
        let attachments = self.attachment_keys(&source);
        let annotated = match disposition {
            Disposition::Annotate
                if new && self.store.is_answered_elsewhere(document, &about, &attachments).await? =>
            {
                None
            }
            Disposition::Annotate => Some(annotate_with(model, source, &self.isolation).await?),
            Disposition::Keep | Disposition::Withdraw(_) => None,
        };
        Ok(Reading { disposition, about, replaces, annotated, attachments, model: version })
    }

    /// By what another report's attachment is known to be the same as one of these.
    fn attachment_keys(&self, source: &SourceDocument) -> Vec<AttachmentKey> {
        let own = source.attachments.iter().filter(|attachment| attachment.role == AttachmentRole::Report);
        own.filter_map(|attachment| match &attachment.content {
            AttachmentContent::Bytes(bytes) => Some(AttachmentKey::Bytes(sha256(bytes))),
            AttachmentContent::Url(url) => self.base.absolute(url).map(AttachmentKey::Url),
            AttachmentContent::NotFetched(_) | AttachmentContent::Malformed(_) | AttachmentContent::Empty => None,
        })
        .collect()
    }

    /// The reports of the same source that the document says it replaces.
    fn replaced(&self, document: &Document, source: &SourceDocument) -> Vec<ReportKey> {
        let resolved = source.replaces.iter().map(|reference| {
            let link = document.links.iter().find(|(urn, _)| urn == reference);
            link.map_or(reference.as_str(), |(_, target)| target.as_str())
        });
        resolved
            .filter_map(|reference| {
                let source = &document.key.source;
                let there = self.source_bases.get(source).unwrap_or(&self.base);
                reference::report_of_source(reference, source, there)
            })
            .collect()
    }
}

/// Puts what was fetched for a document in the place of the references by which it names it.
fn give_contents(source: &mut SourceDocument, contents: &[FetchedContent]) {
    for attachment in &mut source.attachments {
        let AttachmentContent::Url(url) = &attachment.content else { continue };
        let Some(fetched) = contents.iter().find(|fetched| fetched.reference == *url) else { continue };
        attachment.content = match &fetched.content {
            Ok(bytes) => {
                // The document's own word comes first: it was said of this very rendition.
                attachment.content_type = attachment.content_type.take().or_else(|| fetched.content_type.clone());
                AttachmentContent::Bytes(bytes.clone())
            }
            Err(why) => AttachmentContent::NotFetched(why.clone()),
        };
    }
}

/// Extracts the narrative and asks the model.
async fn annotate_with(
    model: &LoadedModel,
    source: SourceDocument,
    isolation: &Isolation,
) -> Result<(Narrative, Annotation), PipelineError> {
    let started = Instant::now();
    // Markup can take a while and must not hold up other requests.
    let isolation = isolation.clone();
    let reading = tokio::task::spawn_blocking(move || extract::narrative(source, &isolation));
    let narrative = reading.await.map_err(|_| PipelineError::Extract)?;
    telemetry::stage_took("extract", started.elapsed().as_secs_f64());
    let started = Instant::now();
    let annotation = model.classifier.annotate(&narrative).await.map_err(PipelineError::Classify)?;
    telemetry::stage_took("classify", started.elapsed().as_secs_f64());
    Ok((narrative, annotation))
}

/// The document's state and label, for metrics.
fn outcome(reading: &Reading) -> (&'static str, &'static str) {
    match (&reading.annotated, reading.disposition) {
        (Some((_, annotation)), _) => ("annotated", annotation.label.code()),
        (None, Disposition::Withdraw(_)) => ("withdrawn", "none"),
        (None, Disposition::Annotate) => ("linked", "none"),
        (None, Disposition::Keep) => ("kept", "none"),
    }
}
