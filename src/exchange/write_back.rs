//! Answers, written back to the source of their report: one Device for each model, one Observation for each report and
//! task, one Provenance for each version that was written.
//!
//! Before anything is sent, the version is remembered as begun; after it arrived, as written. What was begun and not
//! written may have arrived all the same (we were killed, the answer was lost): then the source is asked what it has
//! before anything is written again.

use super::{Exchange, ExchangeError};
use crate::config::{FhirVersion, Write};
use crate::domain::document::WithdrawReason;
use crate::domain::job::LeasedJob;
use crate::domain::observation::{Answer, Standing as Status};
use crate::fhir::author::{self, AtSource, SYSTEM_MODEL_SHA256, SYSTEM_OBSERVATION_ID};
use crate::fhir::r5;
use crate::source::{Created, Creation, Fault, LookedUp, Ours, Source, SourceError, Standing, Updated, says_the_same};
use crate::store::{Emission, Remote, Written};
use crate::telemetry;

/// Tries of one job to write over an Observation that changes meanwhile.
const UPDATES_MAX: usize = 4;

/// Tries of one job before another way of creation is tried at a source that fails with this one and does not say why.
const WAY_ATTEMPTS_MAX: i32 = 4;

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
            let device = self.device(source, job, model_version_id, &answer).await?;
            self.store.begin_writing(job, &source.name, &answer).await?;
            let letter = Letter {
                exchange: self,
                source,
                job,
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
            let device = self.device(source, job, model_version_id, &answer).await?;
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
    async fn device(
        &self,
        source: &Source,
        job: &LeasedJob,
        model: i64,
        answer: &Answer,
    ) -> Result<String, ExchangeError> {
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
        let standing = match source.look_up(&ours, None).await? {
            LookedUp::There(standing) => standing,
            looked_up => {
                let device = author::device(&answer.model, None)?;
                let doubt = Doubt { attempt: job.attempt, untold: looked_up.untold() };
                self.create(source, &ours, doubt, |id| Ok(said(source, under(&device, &own_id, id)))).await?.0
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
        doubt: Doubt,
        author: impl Fn(Option<&str>) -> Result<String, ExchangeError>,
    ) -> Result<(Standing, bool), ExchangeError> {
        let Doubt { attempt, mut untold } = doubt;
        let first = source.creation(ours.resource_type);
        let mut creation = first;
        let mut refusal = None;
        loop {
            // A source that does not heed an identifier in a search does not heed it in a condition.
            if creation == Creation::Conditional
                && let Some(error) = untold.take_if(|error| error.fault == Fault::SearchTellsNothing)
            {
                return Err(error.into());
            }
            let error = match self.create_by(source, ours, creation, &author).await {
                Ok(Created::NotOffered(error)) => error,
                Ok(Created::Written(standing)) => return Ok((learned(source, ours, first, creation, standing), true)),
                Ok(Created::Found(standing)) => return Ok((learned(source, ours, first, creation, standing), false)),
                // Whether it arrived all the same is found out before it is sent in another way.
                Err(ExchangeError::Source(error))
                    if attempt >= WAY_ATTEMPTS_MAX && error.fault.may_be_of_the_way() && creation.next().is_some() =>
                {
                    match source.look_up(ours, None).await? {
                        LookedUp::There(standing) => return Ok((standing, false)),
                        LookedUp::Nowhere => error,
                        LookedUp::Untold(_) => return Err(error.into()),
                    }
                }
                // The first refusal tells more than that of a way that nobody asked for.
                Err(ExchangeError::Source(SourceError { fault: Fault::Refused { .. } | Fault::Stray, .. }))
                    if refusal.is_some() =>
                {
                    return Err(refusal.map_or(ExchangeError::KeepsChanging, ExchangeError::Source));
                }
                Err(error) => return Err(error),
            };
            let Some(next) = creation.next() else { return Err(error.into()) };
            // What is answered to any content is known from now on, whatever becomes of this one.
            if matches!(error.fault, Fault::Refused { status: 404 | 405 | 412 | 501, .. }) {
                source.learn(ours.resource_type, next);
            }
            refusal.get_or_insert(error);
            creation = next;
        }
    }

    async fn create_by(
        &self,
        source: &Source,
        ours: &Ours<'_>,
        creation: Creation,
        author: impl Fn(Option<&str>) -> Result<String, ExchangeError>,
    ) -> Result<Created, ExchangeError> {
        // The third way has no guard of the source's own.
        let lock = match creation {
            Creation::SearchThenCreate => {
                let name = format!("{}\n{}\n{}", source.name.as_str(), ours.resource_type, ours.value);
                Some(self.store.creation_lock(&name).await?)
            }
            Creation::UpdateAsCreate | Creation::Conditional => None,
        };
        let created = source.create(ours, creation, author).await;
        if let Some(lock) = lock {
            lock.release().await;
        }
        created
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
        let has_arrived =
            || source.has_provenance(by_id.then_some(own_id.as_str()), at.observation_id, answer.recorded_at);
        let mut arrived = again && has_arrived().await?;
        if by_id && !arrived {
            arrived = match source.put_new("Provenance", &own_id, said(source, authored.clone())).await {
                Err(error) if job.attempt >= WAY_ATTEMPTS_MAX && error.fault.may_be_of_the_way() => {
                    source.learn("Provenance", Creation::Conditional);
                    has_arrived().await?
                }
                other => other?,
            };
        }
        if !arrived {
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

/// How sure it is that a resource is not there already when it is created.
struct Doubt {
    /// Which try of its job it is.
    attempt: i32,
    /// Why the source did not tell, if it was asked and did not.
    untold: Option<SourceError>,
}

/// One version of an Observation on its way.
struct Letter<'a> {
    exchange: &'a Exchange,
    source: &'a Source,
    job: &'a LeasedJob,
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
        let looked_up = match (&self.remote.id, self.unsure) {
            (Some(id), false) => {
                LookedUp::There(Standing { id: id.clone(), etag: self.remote.etag.clone(), ..Standing::default() })
            }
            (None, false) => LookedUp::Nowhere,
            (id, true) => self.source.look_up(&ours, id.as_deref()).await?,
        };
        let untold = match looked_up {
            LookedUp::There(standing) => match self.over(&ours, standing).await? {
                Some(written) => return Ok(Some(written)),
                None => None,
            },
            looked_up => looked_up.untold(),
        };
        // What may be there is taken back by writing it again, in a way that makes no second one.
        if is_taken_back(self.answer.standing) && untold.is_none() {
            return Ok(None);
        }
        let doubt = Doubt { attempt: self.job.attempt, untold };
        let (standing, as_sent) = self.exchange.create(self.source, &ours, doubt, |id| self.authored(id)).await?;
        if as_sent { Ok(Some(standing)) } else { self.over(&ours, standing).await }
    }

    /// What stands there now; none if it is gone.
    async fn there(&self, ours: &Ours<'_>, id: &str) -> Result<Option<Standing>, ExchangeError> {
        match self.source.look_up(ours, Some(id)).await? {
            LookedUp::There(standing) => Ok(Some(standing)),
            LookedUp::Nowhere => Ok(None),
            LookedUp::Untold(error) => Err(error.into()),
        }
    }

    /// Writes over what stands there, unless it says the same already or a person has changed it; none if it is gone.
    async fn over(&self, ours: &Ours<'_>, standing: Standing) -> Result<Option<Standing>, ExchangeError> {
        let mut standing = standing;
        for _ in 0..UPDATES_MAX {
            // Without an ETag, a change in between would be overwritten unseen: it is read first.
            if standing.resource.is_none() && standing.etag.is_none() {
                let Some(read) = self.there(ours, &standing.id).await? else { return Ok(None) };
                standing = read;
            }
            let resource = self.authored(Some(&standing.id))?;
            if let Some(there) = &standing.resource {
                if says_the_same(there, &resource) {
                    return Ok(Some(standing));
                }
                self.left_to_people(there)?;
            }
            let etag = standing.etag.as_deref();
            match self.source.update("Observation", &standing.id, etag, resource).await? {
                Updated::Written(written) => return Ok(Some(written)),
                // It was changed, or is gone: what is there now tells.
                Updated::Changed | Updated::Gone => match self.there(ours, &standing.id).await? {
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

/// Remembers the way that worked, if it is another one than was meant.
fn learned(source: &Source, ours: &Ours<'_>, first: Creation, creation: Creation, standing: Standing) -> Standing {
    if creation != first {
        source.learn(ours.resource_type, creation);
    }
    standing
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
