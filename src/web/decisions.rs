//! Decisions: a person confirms a machine's answer, or refutes it.

use actix_web::http::StatusCode;
use actix_web::http::header::{IF_MATCH, WARNING};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use responsum_fhir_authoring::{IssueCode, IssueDraft, IssueSeverity, operation_outcome};

use super::Api;
use super::body;
use super::error::ApiError;
use super::observations::find;
use super::reports::precondition;
use super::response::{Prefer, VersionHeaders, resource, versioned};
use crate::digest::sha256;
use crate::domain::decision::{NoDiseaseStatus, Reviewer, Verdict, disease_status};
use crate::domain::label::{Category, Label};
use crate::domain::observation::{Answer, Kind, Standing, id_of_kind};
use crate::fhir::parameters;
use crate::store::{Comment, Decided, Deciding, NotDecided};

const CODE: &[&str] = &["valueCode", "valueString"];
const TEXT: &[&str] = &["valueString", "valueMarkdown"];
const NUMBER: &[&str] = &["valuePositiveInt", "valueInteger", "valueUnsignedInt"];

/// `POST /fhir/Observation/{id}/$confirm`: a person stands for the machine's answer.
pub async fn confirm(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let known = [("category", CODE), ("comment", TEXT), ("report-version", NUMBER)];
    let [category, comment, version] = match body::parameters(&request, payload).await? {
        Some(body) => parameters::read(&body, known)?,
        None => Default::default(),
    };
    let verdict = Verdict::Confirm { category: category_of(category)? };
    decide(&api, &request, &path, verdict, comment, version).await
}

/// `POST /fhir/Observation/{id}/$refute`: a person says that the machine's answer is wrong, and perhaps what is right.
pub async fn refute(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let known = [("label", CODE), ("category", CODE), ("comment", TEXT), ("report-version", NUMBER)];
    let [label, category, comment, version] = match body::parameters(&request, payload).await? {
        Some(body) => parameters::read(&body, known)?,
        None => Default::default(),
    };
    let label = label.map(|code| Label::from_code(&code).ok_or(ApiError::ParameterValue("label"))).transpose()?;
    let verdict = Verdict::Refute { label, category: category_of(category)? };
    decide(&api, &request, &path, verdict, comment, version).await
}

fn category_of(code: Option<String>) -> Result<Option<Category>, ApiError> {
    code.map(|code| Category::from_code(&code).ok_or(ApiError::ParameterValue("category"))).transpose()
}

async fn decide(
    api: &Api,
    request: &HttpRequest,
    id: &str,
    verdict: Verdict,
    comment: Option<String>,
    version: Option<String>,
) -> Result<HttpResponse, ApiError> {
    let reviewer = request.extensions().get::<Reviewer>().cloned().ok_or(ApiError::NoPerson)?;
    let number = |text: String| text.parse().map_err(|_| ApiError::ParameterValue("report-version"));
    let if_match = request.headers().get(IF_MATCH).and_then(|value| value.to_str().ok());
    let deciding = Deciding {
        observation_id: id.to_owned(),
        precondition: precondition(if_match)?,
        verdict,
        report_version: version.map(number).transpose()?,
        comment: Comment(comment.filter(|comment| !comment.trim().is_empty())),
        reviewer,
    };
    let decided = api.store.decide(&deciding, api.clock.now()).await?.map_err(refusal)?;
    respond(api, request, id, decided).await
}

fn refusal(why: NotDecided) -> ApiError {
    match why {
        NotDecided::NoObservation => ApiError::NotFound,
        NotDecided::VersionConflict => ApiError::VersionConflict,
        NotDecided::ReportVersion => ApiError::ReportVersion,
        NotDecided::OfAPerson => ApiError::OfAPerson,
        NotDecided::Withdrawn => ApiError::AnswerWithdrawn,
        NotDecided::NothingStated => ApiError::NothingStated,
        NotDecided::Unfit(unfit) => ApiError::Unfit(unfit),
    }
}

/// The answer as it stands now, and what follows from the decision beside it.
async fn respond(api: &Api, request: &HttpRequest, id: &str, decided: Decided) -> Result<HttpResponse, ApiError> {
    let answer = find(api, id, None).await?;
    let corrected = standing_beside(api, &answer, Kind::Corrected).await?;
    let stated = if answer.standing == Standing::Reviewed { Some(&answer) } else { corrected.as_ref() };
    let warning = stated.and_then(|stated| disease_status(stated.cancer, stated.category, &stated.about).err());
    let location = api.base.join(&format!("Observation/{id}/_history/{}", answer.version));
    let headers =
        VersionHeaders { version: answer.version, last_modified: answer.recorded_at, location: Some(location) };
    let mut response = versioned(StatusCode::OK, headers);
    if let Some(why) = warning.filter(|why| *why != NoDiseaseStatus::NotCancer) {
        response.insert_header((WARNING, format!("299 - \"no mCODE Cancer Disease Status: {why}\"")));
    }
    Ok(match Prefer::of(request.headers()) {
        Prefer::Minimal => response.finish(),
        Prefer::Representation => resource(response, api.observation(&answer)?),
        Prefer::OperationOutcome => {
            let mut issues = vec![issue(IssueSeverity::Information, said(&answer, decided))];
            if let Some(corrected) = &corrected {
                let said = format!("the corrected answer is Observation/{}", corrected.observation_id);
                issues.push(issue(IssueSeverity::Information, said));
            }
            issues.extend(stated.map(|stated| match warning {
                None => {
                    let id = id_of_kind(&stated.report, Kind::DiseaseStatus, sha256);
                    issue(IssueSeverity::Information, format!("the mCODE Cancer Disease Status is Observation/{id}"))
                }
                Some(why) => {
                    let severity = match why {
                        NoDiseaseStatus::NotCancer => IssueSeverity::Information,
                        _ => IssueSeverity::Warning,
                    };
                    issue(severity, format!("there is no mCODE Cancer Disease Status: {why}"))
                }
            }));
            resource(response, operation_outcome(&issues))
        }
    })
}

/// What a person says beside an answer, if it stands.
async fn standing_beside(api: &Api, answer: &Answer, kind: Kind) -> Result<Option<Answer>, ApiError> {
    let beside = api.store.observation(&id_of_kind(&answer.report, kind, sha256), None).await?;
    Ok(beside.filter(|beside| beside.standing == Standing::Reviewed))
}

fn said(answer: &Answer, decided: Decided) -> String {
    let verdict = if answer.standing == Standing::Reviewed { "confirmed" } else { "refuted" };
    match decided {
        Decided::Taken => format!("the answer is {verdict}"),
        Decided::StoodAlready => format!("the answer was {verdict} by you already: nothing was written"),
    }
}

fn issue(severity: IssueSeverity, diagnostics: String) -> IssueDraft {
    IssueDraft { severity, code: IssueCode::Informational, diagnostics: Some(diagnostics), expression: Vec::new() }
}
