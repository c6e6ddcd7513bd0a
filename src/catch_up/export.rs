//! The first load by `$export` (Bulk Data Access): kicked off once, polled, and read file by file, line by line. Where it was
//! interrupted it goes on; one bad line costs that line only.

use bytes::Bytes;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::search::moment;
use super::{CatchUpError, CatchUps, take_bytes, tell_unreadable};
use crate::clock::instant;
use crate::domain::document::ReportKey;
use crate::fhir::report;
use crate::source::{Answer, Criteria, Fault, Outgoing, Source, SourceError};
use crate::store::{CatchUp, Export, Mode};
use crate::telemetry;

/// Lines that are stored in one transaction.
const LINES_AT_ONCE: usize = 50;

/// Wait before an export is asked for again that does not say for how long.
const POLL_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// A manifest, as far as we read it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    transaction_time: String,
    #[serde(default)]
    output: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "type")]
    resource_type: String,
    url: String,
}

impl CatchUps {
    /// The first load: to its end, or as far as the source is. A source that offers no export is searched instead.
    pub(super) async fn export(&self, source: &Source, criteria: &[Criteria]) -> Result<(), CatchUpError> {
        let mut export = match self.store.export(&source.name).await? {
            Some(export) if export.ended => return Ok(()),
            Some(export) => export,
            None => match self.kick_off(source, criteria).await? {
                Some(export) => export,
                None => return self.note(source, &Export { ended: true, ..Export::default() }).await,
            },
        };
        if let Some(status_url) = export.status_url.clone() {
            let answer = source.follow_as(&status_url, "application/json").await?;
            match answer.status {
                200 => read_manifest(source, &answer, &mut export)?,
                202 => return Err(not_yet(source, &answer)),
                // Forgotten there: begun anew, by the search, which needs nothing to be remembered.
                _ => return self.note(source, &Export { ended: true, ..Export::default() }).await,
            }
            self.note(source, &export).await?;
            self.read_files(source, &mut export).await?;
            // Good manners; a source that does not do this deletes by itself.
            drop(source.discard(&status_url).await);
        } else {
            self.read_files(source, &mut export).await?;
        }
        self.hand_over(source, criteria, &export).await
    }

    async fn kick_off(&self, source: &Source, criteria: &[Criteria]) -> Result<Option<Export>, CatchUpError> {
        let query = parameters(source, criteria);
        for path in ["$export", "Patient/$export"] {
            let answer = source.send(Outgoing::get(format!("{path}?{query}")).prefer("respond-async")).await?;
            if answer.status == 202 {
                let status_url = answer.content_location.or(answer.location);
                let status_url = status_url.ok_or_else(|| source.unexpected("an export without Content-Location"))?;
                let export = Export { status_url: Some(status_url), ..Export::default() };
                self.note(source, &export).await?;
                return Ok(Some(export));
            }
        }
        tracing::warn!(source = source.name.as_str(), "no export is offered: the first load is done by search");
        Ok(None)
    }

    async fn read_files(&self, source: &Source, export: &mut Export) -> Result<(), CatchUpError> {
        while let Some((_, url)) = export.files.get(export.file).cloned() {
            let answer = source.follow_as(&url, "application/fhir+ndjson").await?;
            if !answer.is_success() {
                return Err(source.refused(&answer).into());
            }
            self.read_lines(source, export, &answer.body).await?;
            (export.file, export.line) = (export.file + 1, 0);
            self.note(source, export).await?;
        }
        Ok(())
    }

    async fn read_lines(&self, source: &Source, export: &mut Export, body: &Bytes) -> Result<(), CatchUpError> {
        let skipped = usize::try_from(export.line).unwrap_or(usize::MAX);
        let lines: Vec<Bytes> =
            body.split(|byte| *byte == b'\n').skip(skipped).map(|line| body.slice_ref(line)).collect();
        for lines in lines.chunks(LINES_AT_ONCE) {
            let mut intake = self.store.intake(self.clock.now()).await?;
            let mut unreadable = 0;
            for line in lines.iter().filter(|line| !line.trim_ascii().is_empty()) {
                let key = report::head(line).ok().and_then(|head| {
                    Some(ReportKey {
                        source: source.name.clone(),
                        resource_type: head.resource_type,
                        logical_id: head.logical_id?,
                    })
                });
                let read = match key {
                    Some(key) => take_bytes(&mut intake, source, key, line.clone()).await?,
                    None => false,
                };
                unreadable += usize::from(!read);
            }
            export.line += lines.len() as u64;
            export.bad_lines += unreadable as u64;
            intake.note_export(&source.name, export).await?;
            intake.commit().await?;
            tell_unreadable(source, unreadable);
            telemetry::caught_up(source.name.as_str(), "page");
        }
        Ok(())
    }

    /// The searches go on from where the export ends.
    async fn hand_over(&self, source: &Source, criteria: &[Criteria], export: &Export) -> Result<(), CatchUpError> {
        let now = self.clock.now();
        let mut intake = self.store.intake(now).await?;
        for criteria in criteria {
            let state = CatchUp {
                criteria: criteria.text(),
                mode: Mode::LastUpdated,
                complete_until: Some(export.complete_until.unwrap_or(now)),
                running_until: None,
                next_page: None,
                completed_at: None,
            };
            intake.note_catch_up(&source.name, &state).await?;
        }
        intake.note_export(&source.name, &Export { ended: true, ..export.clone() }).await?;
        Ok(intake.commit().await?)
    }

    async fn note(&self, source: &Source, export: &Export) -> Result<(), CatchUpError> {
        let mut intake = self.store.intake(self.clock.now()).await?;
        intake.note_export(&source.name, export).await?;
        Ok(intake.commit().await?)
    }
}

fn parameters(source: &Source, criteria: &[Criteria]) -> String {
    let mut types: Vec<&str> = criteria.iter().map(|criteria| criteria.resource_type.name()).collect();
    types.dedup();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("_type", &types.join(","));
    if let Some(since) = source.settings.since.as_deref().and_then(moment) {
        query.append_pair("_since", &instant(since));
    }
    query.finish()
}

fn read_manifest(source: &Source, answer: &Answer, export: &mut Export) -> Result<(), SourceError> {
    let manifest: Manifest =
        serde_json::from_slice(&answer.body).map_err(|_| source.unexpected("an export's manifest"))?;
    let at = OffsetDateTime::parse(&manifest.transaction_time, &Rfc3339);
    export.complete_until = Some(at.map_err(|_| source.unexpected("an export's transactionTime"))?);
    let ours = |output: &Output| matches!(output.resource_type.as_str(), "DiagnosticReport" | "DocumentReference");
    export.files = manifest.output.into_iter().filter(ours).map(|output| (output.resource_type, output.url)).collect();
    export.status_url = None;
    Ok(())
}

/// The export is still made there: the job comes back.
fn not_yet(source: &Source, answer: &Answer) -> CatchUpError {
    let after = answer.retry_after.unwrap_or(POLL_PAUSE);
    SourceError { source_name: source.name.clone(), fault: Fault::Wait { status: answer.status, after } }.into()
}
