//! Reports and what they name by reference, brought in from their source.

use super::{Exchange, ExchangeError};
use crate::domain::document::{DocumentId, ReportKey};
use crate::domain::job::{LeasedJob, OnFailure};
use crate::fhir::report;
use crate::receive;
use crate::source::{Content, Source, SourceError};
use crate::store::FetchedContent;
use crate::telemetry;

/// Contents that are fetched for one document. A report has a few renditions; one with more is not a report.
const CONTENTS_MAX: usize = 16;

/// Tries of a content after which the document is annotated without it. Each has its own reason in the coverage.
const CONTENT_ATTEMPTS_MAX: i32 = 4;

/// Media types that hold no text that we read: not fetched.
const NO_TEXT: [&str; 4] = ["image/", "audio/", "video/", "application/dicom"];

impl Exchange {
    /// Reads a report back and stores it, with the job's end in the same transaction.
    pub(super) async fn fetch(&self, source: &Source, job: &LeasedJob, key: &ReportKey) -> Result<(), ExchangeError> {
        let answer = source.read(&key.relative()).await?;
        let now = self.clock.now();
        let taken = match answer.status {
            200..300 => {
                let listened_to = source.listens_to(&answer.body);
                let mut given =
                    receive::from_source(key.clone(), answer.body, listened_to).map_err(ExchangeError::Receive)?;
                given.read_back = true;
                let mut intake = self.store.intake(now).await?;
                let taken = intake.take(given).await?;
                intake.settle(job).await?;
                intake.commit().await?;
                taken
            }
            _ if answer.is_gone() => {
                let mut intake = self.store.intake(now).await?;
                let taken = intake.take_deletion(key.clone()).await?;
                intake.settle(job).await?;
                intake.commit().await?;
                taken
            }
            _ => return Err(source.refused(&answer).into()),
        };
        telemetry::report_fetched(source.name.as_str(), taken.code());
        Ok(())
    }

    /// Fetches what a document names by reference, each at most once, and lets it be annotated.
    pub(super) async fn contents(&self, source: &Source, job: &LeasedJob, id: DocumentId) -> Result<(), ExchangeError> {
        let document = self.store.document_by_id(id).await?;
        let known = self.store.contents(id).await?;
        // What cannot be read is told by the pipeline.
        let Ok(read) = report::read(&document.received) else {
            return Ok(self.store.contents_complete(job, id).await?);
        };
        for (at, (reference, content_type)) in report::contents_of(&read).into_iter().enumerate() {
            if known.iter().any(|known| known.reference == reference) {
                continue;
            }
            let fetched = if at >= CONTENTS_MAX {
                Err(format!("Of one document, {CONTENTS_MAX} contents are fetched at most."))
            } else if holds_no_text(content_type) {
                Err("It was not fetched: its type holds no text.".to_owned())
            } else {
                fetched(source.fetch(reference, content_type).await, job.attempt)?
            };
            let fetched = FetchedContent {
                reference: reference.to_owned(),
                content_type: fetched.as_ref().ok().and_then(|content| content.content_type.clone()),
                content: fetched.map(|content| content.bytes),
            };
            telemetry::content_fetched(
                source.name.as_str(),
                if fetched.content.is_ok() { "fetched" } else { "failed" },
            );
            self.store.keep_content(id, &fetched, self.clock.now()).await?;
        }
        Ok(self.store.contents_complete(job, id).await?)
    }
}

/// What may pass is waited for, so that a document is not annotated without its text; but not for ever, if the source
/// answers others.
fn fetched(
    result: Result<Result<Content, String>, SourceError>,
    attempt: i32,
) -> Result<Result<Content, String>, SourceError> {
    match result {
        Err(error) if error.on_failure() == OnFailure::Retry && attempt >= CONTENT_ATTEMPTS_MAX => {
            Ok(Err(format!("It could not be fetched in {attempt} tries: {}.", error.fault)))
        }
        other => other,
    }
}

fn holds_no_text(content_type: Option<&str>) -> bool {
    let essence = content_type.unwrap_or_default().trim().to_ascii_lowercase();
    NO_TEXT.iter().any(|prefix| essence.starts_with(prefix))
}
