//! `POST /fhir`: a batch entry by entry, a transaction all or nothing.

use std::collections::HashSet;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use responsum_fhir_authoring::operation_outcome;

use super::Api;
use super::body::fhir_json;
use super::error::ApiError;
use super::reports::{condition, precondition};
use super::response::{BundleView, EntryView, ResponseView, etag, information, raw};
use crate::clock::instant;
use crate::digest::sha256;
use crate::domain::document::{LogicalId, ReportKey, ResourceType, SourceName};
use crate::fhir::bundle::{self, Bundle, BundleType, Entry, Method};
use crate::fhir::json::{self, RawObject};
use crate::receive::{self, ReceiveError};
use crate::store::{Intake, Receipt, ReportVersion};

/// Takes a Bundle in.
pub async fn receive(api: Data<Api>, request: HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let body = fhir_json(&request, payload, api.body_bytes_max).await?;
    let Bundle { bundle_type, entries } = bundle::read(&body)?;
    match bundle_type {
        BundleType::Batch => {
            let mut answers = Vec::with_capacity(entries.len());
            for entry in entries {
                let result = match entry {
                    Ok(entry) => alone(&api, entry).await,
                    Err(error) => Err(error.into()),
                };
                answers.push(answer(result.unwrap_or_else(|error| refused(&error))));
            }
            Ok(BundleView::new("batch-response", answers).respond())
        }
        BundleType::Transaction => {
            let plans = entries.into_iter().map(|entry| plan(entry?));
            let answers = together(&api, plans.collect()).await?;
            Ok(BundleView::new("transaction-response", answers.into_iter().map(answer).collect()).respond())
        }
    }
}

/// What an entry writes.
enum Target {
    /// A report.
    Report(ReportKey),
    /// A resource of another type: kept as context.
    Context(String, LogicalId),
}

impl Target {
    fn relative(&self) -> String {
        match self {
            Self::Report(key) => key.relative(),
            Self::Context(resource_type, id) => format!("{resource_type}/{}", id.as_str()),
        }
    }
}

/// An entry whose address is understood.
struct Plan {
    target: Target,
    entry: Entry,
}

fn plan(entry: Entry) -> Result<Plan, ApiError> {
    let (resource_type, id) = match entry.url.split_once('/') {
        None => (entry.url.as_str(), None),
        Some((resource_type, id)) => (resource_type, Some(LogicalId::new(id).ok_or(ApiError::EntryUrl)?)),
    };
    let report = ResourceType::from_name(resource_type);
    let id = match (entry.method, id) {
        (Method::Put | Method::Delete, Some(id)) => id,
        (Method::Post, None) if report.is_some() => LogicalId::from_uuid(uuid::Uuid::new_v4()),
        (Method::Post, None) => context_id(&entry),
        (Method::Put | Method::Delete, None) | (Method::Post, Some(_)) => return Err(ApiError::EntryUrl),
    };
    let target = match report {
        Some(resource_type) => Target::Report(ReportKey { source: SourceName::local(), resource_type, logical_id: id }),
        None => Target::Context(context_type(resource_type, &id, &entry)?, id),
    };
    Ok(Plan { target, entry })
}

/// A new id for a context resource. A conditional create always gets the same one, so that the same Patient in two
/// transactions stays one.
fn context_id(entry: &Entry) -> LogicalId {
    let hashed = entry
        .if_none_exist
        .as_ref()
        .and_then(|condition| LogicalId::new(&sha256(format!("{}?{condition}", entry.url).as_bytes()).hex()[..40]));
    hashed.unwrap_or_else(|| LogicalId::from_uuid(uuid::Uuid::new_v4()))
}

/// The type of a context resource: a name of letters, the same in the address and the resource; so is an updated one's
/// id. It may not be deleted: reports may still refer to it.
fn context_type(name: &str, id: &LogicalId, entry: &Entry) -> Result<String, ApiError> {
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(ApiError::EntryUrl);
    }
    if entry.method == Method::Delete || entry.if_match.is_some() {
        return Err(ApiError::ContextWrite);
    }
    let resource = RawObject::parse(json::text(&entry.resource)?)?;
    if resource.get::<String>("resourceType").as_deref() != Some(name) {
        return Err(ReceiveError::TypeDiffers.into());
    }
    if entry.method == Method::Put && resource.get::<String>("id").as_deref() != Some(id.as_str()) {
        return Err(ReceiveError::IdDiffers.into());
    }
    Ok(name.to_owned())
}

/// One entry of a batch, in a transaction of its own.
async fn alone(api: &Api, entry: Entry) -> Result<ResponseView, ApiError> {
    let Plan { target, entry } = plan(entry)?;
    let mut intake = api.store.intake(api.clock.now()).await?;
    if let Some(found) = found(&mut intake, &target, &entry).await? {
        return Ok(written(Receipt::Found(found)));
    }
    let response = carry_out(&mut intake, target, entry, Vec::new()).await?;
    intake.commit().await?;
    Ok(response)
}

/// All entries of a transaction, or none.
async fn together(api: &Api, plans: Vec<Result<Plan, ApiError>>) -> Result<Vec<ResponseView>, ApiError> {
    let at = |index: usize| move |error: ApiError| ApiError::Transaction { index, error: Box::new(error) };
    let plans = plans.into_iter().enumerate().map(|(index, plan)| plan.map_err(at(index)));
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    if let Some(index) = plans.iter().position(|plan| !seen.insert(plan.target.relative())) {
        return Err(at(index)(ApiError::SameResourceTwice));
    }
    let mut intake = api.store.intake(api.clock.now()).await?;
    let (mut links, mut existing) = (Vec::new(), Vec::new());
    for (index, Plan { target, entry }) in plans.iter().enumerate() {
        let found = found(&mut intake, target, entry).await.map_err(at(index))?;
        let reference = found.as_ref().map_or_else(|| target.relative(), |found| found.key.relative());
        let urn = entry.full_url.clone().filter(|url| url.starts_with("urn:") && !url.contains('\0'));
        links.extend(urn.map(|urn| (urn, reference)));
        existing.push(found);
    }
    let mut responses = Vec::with_capacity(plans.len());
    for (index, (Plan { target, entry }, found)) in plans.into_iter().zip(existing).enumerate() {
        responses.push(match found {
            Some(found) => written(Receipt::Found(found)),
            None => carry_out(&mut intake, target, entry, links.clone()).await.map_err(at(index))?,
        });
    }
    intake.commit().await?;
    Ok(responses)
}

/// The report that an entry's `ifNoneExist` finds.
async fn found(intake: &mut Intake, target: &Target, entry: &Entry) -> Result<Option<ReportVersion>, ApiError> {
    let (Target::Report(key), Method::Post, Some(text)) = (target, entry.method, &entry.if_none_exist) else {
        return Ok(None);
    };
    let mut found = intake.find(key, &condition(text)?).await?;
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(ApiError::Ambiguous),
    }
}

async fn carry_out(
    intake: &mut Intake,
    target: Target,
    entry: Entry,
    links: Vec<(String, String)>,
) -> Result<ResponseView, ApiError> {
    let precondition = precondition(entry.if_match.as_deref())?;
    let receipt = match (target, entry.method) {
        (Target::Report(key), Method::Delete) => intake.delete(key, precondition).await?,
        (Target::Report(key), Method::Put) => {
            intake.update(receive::next_version(key, entry.resource, links)?, precondition).await?
        }
        (Target::Report(key), Method::Post) => {
            intake.create(receive::first_version(key, entry.resource, links)?, None).await?
        }
        (Target::Context(resource_type, id), _) => return context(intake, &resource_type, &id, &entry).await,
    };
    match receipt {
        Receipt::VersionConflict => Err(ApiError::VersionConflict),
        Receipt::Ambiguous => Err(ApiError::Ambiguous),
        Receipt::Created(_) | Receipt::Updated(_) | Receipt::Unchanged(_) | Receipt::Found(_) | Receipt::Nothing => {
            Ok(written(receipt))
        }
    }
}

async fn context(
    intake: &mut Intake,
    resource_type: &str,
    id: &LogicalId,
    entry: &Entry,
) -> Result<ResponseView, ApiError> {
    // What a conditional create finds stays as it is.
    let conditional = entry.method == Method::Post && entry.if_none_exist.is_some();
    let written = intake.keep_context(&SourceName::local(), resource_type, id, &entry.resource, !conditional).await?;
    Ok(ResponseView {
        status: if written { "201 Created" } else { "200 OK" }.into(),
        location: Some(format!("{resource_type}/{}", id.as_str())),
        outcome: Some(raw(information("kept as context for references; resources of this type are not served"))),
        ..ResponseView::default()
    })
}

fn written(receipt: Receipt) -> ResponseView {
    let (status, version) = match receipt {
        Receipt::Created(version) => ("201 Created", version),
        Receipt::Updated(version) if version.deleted => {
            return ResponseView { status: "204 No Content".into(), ..ResponseView::default() };
        }
        Receipt::Updated(version) | Receipt::Unchanged(version) | Receipt::Found(version) => ("200 OK", version),
        Receipt::Ambiguous | Receipt::VersionConflict | Receipt::Nothing => {
            return ResponseView { status: "204 No Content".into(), ..ResponseView::default() };
        }
    };
    ResponseView {
        status: status.into(),
        location: Some(format!("{}/_history/{}", version.key.relative(), version.version)),
        etag: Some(etag(version.version)),
        last_modified: Some(instant(version.received_at)),
        outcome: None,
    }
}

fn refused(error: &ApiError) -> ResponseView {
    error.log();
    ResponseView {
        status: error.status_code().to_string(),
        outcome: Some(raw(operation_outcome(&[error.issue()]))),
        ..ResponseView::default()
    }
}

fn answer(response: ResponseView) -> EntryView {
    EntryView { response: Some(response), ..EntryView::default() }
}
