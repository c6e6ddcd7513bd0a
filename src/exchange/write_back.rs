//! Answers, written back to the source of their report: one Device for each model, one Observation for each report and
//! task, one Provenance for each version that was written.
//!
//! Before anything is sent, the version is remembered as begun; after it arrived, as written. What was begun and not
//! written may have arrived all the same (we were killed, the answer was lost): then the source is asked what it has
//! before anything is written again.

use super::{Exchange, ExchangeError};
use crate::config::{FhirVersion, Write};
use crate::domain::document::WithdrawReason;
use crate::domain::job::{LeasedJob, OnFailure};
use crate::domain::observation::{Answer, Standing as Status};
use crate::fhir::author::{self, AtSource, SYSTEM_MODEL_SHA256, SYSTEM_OBSERVATION_ID};
use crate::fhir::r5;
use crate::source::{Created, Creation, Fault, Ours, Source, SourceError, Standing, Updated, says_the_same};
use crate::store::{Emission, Remote, Written};
use crate::telemetry;

/// Tries of one job to write over an Observation that changes meanwhile.
const UPDATES_MAX: usize = 4;

impl Exchange {
    /// Brings an Observation at its report's source in line with ours.
    pub(super) async fn emit(
        &self,
        source: &Source,
        job: &LeasedJob,
        observation_id: &str,
    ) -> Result<(), ExchangeError> {
        let emission = self.store.emission(observation_id).await?.filter(|_| source.writes());
        let Some(Emission { answer, report_version, model_version_id, mut remote }) = emission else {
            return Ok(self.store.end_job(job).await?);
        };
        let unsure = remote.begun_version > remote.written_version;
        // It was written by an earlier try, which may have come as far as its Provenance.
        let again = remote.written_version >= answer.version;
        if remote.written_version < answer.version {
            if is_taken_back(answer.standing) && remote.id.is_none() && !unsure {
                // It never stood there: there is nothing to take back.
                return Ok(self.store.end_job(job).await?);
            }
            let device = self.device(source, model_version_id, &answer).await?;
            self.store.begin_writing(job, &source.name, &answer).await?;
            let letter = Letter {
                exchange: self,
                source,
                answer: &answer,
                report_version: report_version.as_deref(),
                device: &device,
                remote: &remote,
                unsure,
            };
            let written = match letter.observation().await {
                Err(error) => return Err(self.without_device(source, model_version_id, &device, error).await),
                Ok(written) => written,
            };
            let Some(standing) = written else {
                // There is nothing there to be taken back: it never arrived, or was deleted.
                if let Some(id) = remote.id {
                    let gone = Written { id, ..Written::default() };
                    self.store.observation_written(job, &answer, &gone, self.clock.now()).await?;
                }
                return Ok(self.store.end_job(job).await?);
            };
            let written = Written { id: standing.id, etag: standing.etag, version: standing.version };
            self.store.observation_written(job, &answer, &written, self.clock.now()).await?;
            telemetry::emitted(source.name.as_str(), "Observation", status(answer.standing));
            remote = Remote { id: Some(written.id), version: written.version, ..remote };
        }
        if source.settings.write == Write::ObservationAndProvenance
            && remote.provenance_version < answer.version
            && let Some(id) = &remote.id
        {
            let device = self.device(source, model_version_id, &answer).await?;
            let at = AtSource {
                base: source.base(),
                observation_id: id,
                observation_version: remote.version.as_deref(),
                device_id: &device,
                report_version: report_version.as_deref(),
            };
            self.provenance(source, job, &answer, &at, again).await?;
            telemetry::emitted(source.name.as_str(), "Provenance", status(answer.standing));
        }
        Ok(self.store.end_job(job).await?)
    }

    /// Our Device for the answer's model: its id at the source, where it is written if it is the first time.
    async fn device(&self, source: &Source, model: i64, answer: &Answer) -> Result<String, ExchangeError> {
        if let Some(id) = self.store.remote_device(&source.name, model).await? {
            return Ok(id);
        }
        // Jobs side by side need the same one.
        let _alone = source.creating.lock().await;
        if let Some(id) = self.store.remote_device(&source.name, model).await? {
            return Ok(id);
        }
        let (own_id, hash) = (author::device_id(&answer.model), answer.model.sha256.hex());
        let ours = Ours { resource_type: "Device", id: &own_id, system: SYSTEM_MODEL_SHA256, value: &hash };
        let standing = match source.look_up(&ours).await? {
            Some(standing) => standing,
            None => {
                let device = author::device(&answer.model, None)?;
                self.create(source, &ours, |id| Ok(said(source, under(&device, &own_id, id)))).await?.0
            }
        };
        self.store.device_written(&source.name, model, &standing.id).await?;
        telemetry::emitted(source.name.as_str(), "Device", "active");
        Ok(standing.id)
    }

    /// Creates a resource in the first way that the source offers; true if it is as we sent it, false if it was there.
    async fn create(
        &self,
        source: &Source,
        ours: &Ours<'_>,
        author: impl Fn(Option<&str>) -> Result<String, ExchangeError>,
    ) -> Result<(Standing, bool), ExchangeError> {
        let first = source.creation(ours.resource_type);
        let mut creation = first;
        let mut refusal = None;
        loop {
            // The third way has no guard of the source's own.
            let lock = match creation {
                Creation::SearchThenCreate => {
                    let name = format!("{}\n{}\n{}", source.name.as_str(), ours.resource_type, ours.value);
                    Some(self.store.creation_lock(&name).await?)
                }
                Creation::UpdateAsCreate | Creation::Conditional => None,
            };
            let created = source.create(ours, creation, &author).await;
            if let Some(lock) = lock {
                lock.release().await;
            }
            let (standing, as_sent) = match created {
                Ok(Created::Written(standing)) => (standing, true),
                Ok(Created::Found(standing)) => (standing, false),
                Ok(Created::NotOffered(error)) => match creation.next() {
                    Some(next) => {
                        refusal.get_or_insert(error);
                        creation = next;
                        continue;
                    }
                    None => return Err(error.into()),
                },
                // The first refusal tells more than that of a way that nobody asked for.
                Err(ExchangeError::Source(SourceError { fault: Fault::Refused { .. }, .. })) if refusal.is_some() => {
                    return Err(refusal.map_or(ExchangeError::KeepsChanging, ExchangeError::Source));
                }
                Err(error) => return Err(error),
            };
            if creation != first {
                source.learn(ours.resource_type, creation);
            }
            return Ok((standing, as_sent));
        }
    }

    /// The Provenance of the version that stands there.
    async fn provenance(
        &self,
        source: &Source,
        job: &LeasedJob,
        answer: &Answer,
        at: &AtSource<'_>,
        again: bool,
    ) -> Result<(), ExchangeError> {
        let own_id = author::provenance_id(answer);
        let authored = author::provenance_at(answer, &self.base, at)?;
        let by_id = source.creation("Provenance") == Creation::UpdateAsCreate;
        if by_id && again && source.standing("Provenance", &own_id).await?.is_some() {
            return Ok(self.store.provenance_written(job, answer).await?);
        }
        let put = by_id && source.put_new("Provenance", &own_id, said(source, authored.clone())).await?;
        // Where it cannot be searched for, one that arrived and was not acknowledged is written twice.
        let posted = !put
            && again
            && match source.has_provenance(at.observation_id, answer.recorded_at).await {
                Err(error) if error.on_failure() == OnFailure::Fail => false,
                other => other?,
            };
        if !put && !posted {
            source.post("Provenance", said(source, under(&authored, &own_id, None))).await?;
        }
        Ok(self.store.provenance_written(job, answer).await?)
    }

    /// A write that was refused because our Device is gone: it is forgotten, and written again at the next try.
    async fn without_device(&self, source: &Source, model: i64, device: &str, error: ExchangeError) -> ExchangeError {
        let refused = matches!(&error, ExchangeError::Source(SourceError { fault: Fault::Refused { .. }, .. }));
        if !refused || !matches!(source.standing("Device", device).await, Ok(None)) {
            return error;
        }
        match self.store.device_lost(&source.name, model).await {
            Ok(()) => ExchangeError::DeviceLost,
            Err(error) => error.into(),
        }
    }
}

/// One version of an Observation on its way.
struct Letter<'a> {
    exchange: &'a Exchange,
    source: &'a Source,
    answer: &'a Answer,
    /// The version of the report, if the source tells.
    report_version: Option<&'a str>,
    device: &'a str,
    /// What is known of what stands there.
    remote: &'a Remote,
    /// An earlier try may have arrived.
    unsure: bool,
}

impl Letter<'_> {
    /// Writes it; none if there is nothing there to be taken back.
    async fn observation(&self) -> Result<Option<Standing>, ExchangeError> {
        let id = &self.answer.observation_id;
        let ours = Ours { resource_type: "Observation", id, system: SYSTEM_OBSERVATION_ID, value: id };
        let known = match (&self.remote.id, self.unsure) {
            (Some(id), false) => {
                Some(Standing { id: id.clone(), etag: self.remote.etag.clone(), ..Standing::default() })
            }
            (Some(id), true) => self.source.standing("Observation", id).await?,
            (None, true) => self.source.look_up(&ours).await?,
            (None, false) => None,
        };
        if let Some(known) = known
            && let Some(written) = self.over(known).await?
        {
            return Ok(Some(written));
        }
        if is_taken_back(self.answer.standing) {
            return Ok(None);
        }
        let (standing, as_sent) = self.exchange.create(self.source, &ours, |id| self.authored(id)).await?;
        if as_sent { Ok(Some(standing)) } else { self.over(standing).await }
    }

    /// Writes over what stands there, unless it says the same already or a person has changed it; none if it is gone.
    async fn over(&self, standing: Standing) -> Result<Option<Standing>, ExchangeError> {
        let mut standing = standing;
        for _ in 0..UPDATES_MAX {
            let resource = self.authored(Some(&standing.id))?;
            // Without an ETag, a change in between would be overwritten unseen: it is read first.
            if standing.resource.is_none() && standing.etag.is_none() {
                match self.source.standing("Observation", &standing.id).await? {
                    Some(read) => standing = read,
                    None => return Ok(None),
                }
            }
            if let Some(there) = &standing.resource {
                if says_the_same(there, &resource) {
                    return Ok(Some(standing));
                }
                self.left_to_people(there)?;
            }
            let etag = standing.etag.as_deref();
            match self.source.update("Observation", &standing.id, etag, resource).await? {
                Updated::Written(written) => return Ok(Some(written)),
                Updated::Gone => return Ok(None),
                Updated::Changed => match self.source.standing("Observation", &standing.id).await? {
                    Some(read) => standing = read,
                    None => return Ok(None),
                },
            }
        }
        Err(ExchangeError::KeepsChanging)
    }

    /// A machine never changes what a person has reviewed, also where the review took place at the source. Only the
    /// report's own entry in error takes it back.
    fn left_to_people(&self, there: &serde_json::Value) -> Result<(), ExchangeError> {
        // One that was found there, and of which we know nothing, may be from before our database was lost.
        let withdrawn_by_us = self.remote.may_be_withdrawn || self.remote.written_version == 0;
        let reviewed = match there["status"].as_str() {
            Some("final") if !self.remote.may_be_final => "final",
            Some("amended") => "amended",
            Some("corrected") => "corrected",
            Some("entered-in-error") if !withdrawn_by_us => "entered-in-error",
            _ => return Ok(()),
        };
        let of_the_report = [Some(WithdrawReason::EnteredInError), Some(WithdrawReason::Deleted)];
        match self.answer.standing {
            // A person has decided here as well, and later.
            Status::Reviewed | Status::Refuted => Ok(()),
            Status::Withdrawn if of_the_report.contains(&self.answer.withdrawn) => Ok(()),
            _ => Err(ExchangeError::ChangedByPerson(reviewed)),
        }
    }

    fn authored(&self, id: Option<&str>) -> Result<String, ExchangeError> {
        let observation_id = id.unwrap_or(&self.answer.observation_id);
        let at = AtSource {
            base: self.source.base(),
            observation_id,
            observation_version: None,
            device_id: self.device,
            report_version: self.report_version,
        };
        let authored = author::observation_at(self.answer, &self.exchange.base, &at)?;
        Ok(said(self.source, under(&authored.json, observation_id, id)))
    }
}

/// A resource in the version of FHIR that the source speaks.
fn said(source: &Source, authored: String) -> String {
    match source.settings.fhir_version {
        FhirVersion::R4 | FhirVersion::R4B => authored,
        FhirVersion::R5 => r5::from_r4(&authored),
    }
}

/// A resource under the id that it is to carry, or without one: a server gives an id of its own to what is posted.
fn under(json: &str, authored_as: &str, id: Option<&str>) -> String {
    let member = format!("\"id\":\"{authored_as}\",");
    match id {
        Some(id) if id == authored_as => json.to_owned(),
        Some(id) => json.replacen(&member, &format!("\"id\":\"{id}\","), 1),
        None => json.replacen(&member, "", 1),
    }
}

fn is_taken_back(standing: Status) -> bool {
    matches!(standing, Status::Withdrawn | Status::Refuted)
}

fn status(standing: Status) -> &'static str {
    match standing {
        Status::Absent | Status::Preliminary => "preliminary",
        Status::Reviewed => "final",
        Status::Withdrawn | Status::Refuted => "entered-in-error",
    }
}
