//! Every error of the API: variant to status, issue code and fixed public text, in one exhaustive match.

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use responsum_fhir_authoring::{AuthoringError, IssueCode, IssueDraft, IssueSeverity, operation_outcome};

use super::access::Scope;
use super::response::FHIR_JSON;
use crate::classify::ClassifyError;
use crate::domain::decision::Unfit;
use crate::domain::job::OnFailure;
use crate::fhir::bundle::{BundleError, EntryError};
use crate::fhir::json::JsonError;
use crate::fhir::notification::NotificationError;
use crate::fhir::parameters::ParametersError;
use crate::fhir::report::ReadError;
use crate::pipeline::PipelineError;
use crate::receive::ReceiveError;
use crate::registry::SwitchError;
use crate::store::StoreError;

/// Seconds after which a client may try again when we are overloaded.
const RETRY_AFTER_SECONDS: &str = "2";

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is over the limit.
    #[error("the body is larger than {0} bytes (server.body_bytes_max)")]
    BodyTooLong(usize),
    /// The body did not arrive whole.
    #[error("the body could not be read to its end")]
    BodyBroken,
    /// The body is not FHIR JSON by its Content-Type.
    #[error("send FHIR JSON, with Content-Type application/fhir+json")]
    MediaType,
    /// The client accepts nothing that we have.
    #[error("only FHIR JSON can be given, application/fhir+json")]
    NotAcceptable,
    /// The body is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The report was refused.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// The Bundle was refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An entry of a Bundle was refused.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// An entry's `request.url` is not an address that it can be sent to.
    #[error("the entry's request.url is not Type (to create) or Type/id (to update or delete)")]
    EntryUrl,
    /// A write that is not done to context resources.
    #[error("a resource that is kept as context is neither deleted nor written under If-Match")]
    ContextWrite,
    /// An address that is known, and not for this method.
    #[error("this address does not take this method; GET /fhir/metadata lists what is done here")]
    Method,
    /// Two entries of a transaction write the same resource.
    #[error("two entries of the transaction write the same resource")]
    SameResourceTwice,
    /// An entry of a transaction was refused, and so nothing of it is stored.
    #[error("nothing of the transaction is stored: {error}")]
    Transaction {
        /// Which entry, from 0.
        index: usize,
        /// Why.
        error: Box<ApiError>,
    },
    /// A resource type that is not served.
    #[error("this resource type is not served here; GET /fhir/metadata lists those that are")]
    ResourceType,
    /// Nothing at this address.
    #[error("there is no such resource or version")]
    NotFound,
    /// It was deleted.
    #[error("the resource was deleted")]
    Gone,
    /// A decision by nobody.
    #[error(
        "a decision needs a person: set server.tokens_file with a token that has the scope confirm and its practitioner (docs/access.md)"
    )]
    NoPerson,
    /// The parameters of an operation.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// A parameter's value is not one.
    #[error("the value of the parameter {0} is not one that it takes; docs/api.md lists them")]
    ParameterValue(&'static str),
    /// A verdict that does not go with the answer.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A decision on what a person says.
    #[error("this Observation says what a person has decided: decide on the answer that it rests upon, obs-…")]
    OfAPerson,
    /// A decision on an answer that was withdrawn.
    #[error("the answer was withdrawn with its report: there is nothing to decide on")]
    AnswerWithdrawn,
    /// A decision on a reading that says nothing.
    #[error("this version of the report is not annotated, or does not say whether the patient responded")]
    NothingStated,
    /// A decision on an older reading.
    #[error("the report has changed: report-version does not name its newest version")]
    ReportVersion,
    /// No token, or one that is not known.
    #[error("an access token is needed: Authorization: Bearer …")]
    NoToken,
    /// The token may not do this.
    #[error("the access token lacks the scope {0}")]
    Scope(Scope),
    /// A request that a page of another site may have made.
    #[error("without access tokens only local clients are served, by the names localhost, 127.0.0.1 and [::1]")]
    ForeignHost,
    /// `If-Match` names another version.
    #[error("the resource has changed: If-Match does not name its newest version")]
    VersionConflict,
    /// `If-Match` is not an ETag of ours.
    #[error("If-Match is not an ETag of this server, like W/\"3\"")]
    IfMatch,
    /// `If-None-Exist` finds several.
    #[error("If-None-Exist finds more than one resource")]
    Ambiguous,
    /// `If-None-Exist` asks for something else than an identifier.
    #[error("If-None-Exist is understood with one parameter: identifier=system|value")]
    Condition,
    /// A search parameter that is not known.
    #[error("the search parameter is not known; known are {0}")]
    SearchParameter(&'static str),
    /// A search's form is too long or not text.
    #[error("the search's form is not text of at most 1 MiB")]
    SearchForm,
    /// A search parameter's value is not one.
    #[error("the value of {0} is not understood")]
    SearchValue(&'static str),
    /// An id that several sources have.
    #[error(
        "several sources have this id, and it is another one's at each: name the source, by an absolute URL \
         (like https://ehr.example.org/fhir/Patient/1) or with source=NAME; GET /sources lists them"
    )]
    SourceAmbiguous,
    /// No source of this name.
    #[error("there is no such source; GET /sources lists those that are configured")]
    SourceUnknown,
    /// No model of this name, or with this id.
    #[error("there is no such model; GET /models lists those that are loaded")]
    ModelUnknown,
    /// Several models have this id.
    #[error("several models have this id: add @ and the version, or @ and the first digits of the sha256")]
    ModelAmbiguous,
    /// A model comes without a card.
    #[error("the model has no card: there is no README.md beside its files")]
    NoCard,
    /// The body of an operation is not what it takes.
    #[error("the body is not a JSON object of the members that this operation takes; docs/api.md lists them")]
    Options,
    /// The body of an operation is not JSON by its Content-Type. Asked for without a body too: a form cannot send it.
    #[error("send JSON, with Content-Type application/json, also without a body")]
    OptionsMediaType,
    /// The model is annotating what is stored already.
    #[error("this model is annotating what is stored already; GET /models/reannotations tells how far it is")]
    Reannotating,
    /// The settings could not be reloaded. Each fault is an issue of its own; only administrators see them.
    #[error("the settings were not reloaded; all stays as it was")]
    Switch(#[from] SwitchError),
    /// No source of this name may notify us.
    #[error("there is no source of this name that takes notifications: it needs [sources.NAME] hook_secret_file")]
    NoHook,
    /// A notification without the source's secret.
    #[error("the notification does not carry the secret of this source (hook_secret_header, hook_secret_file)")]
    HookSecret,
    /// Too many of those.
    #[error("too many notifications without this source's secret: try again later")]
    HookStorm,
    /// A notification that is not understood.
    #[error(transparent)]
    Notification(#[from] NotificationError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The pipeline failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// A resource could not be authored.
    #[error(transparent)]
    Author(#[from] AuthoringError),
}

impl ApiError {
    /// Status and issue code of each variant.
    fn kind(&self) -> (StatusCode, IssueCode) {
        match self {
            Self::BodyTooLong(_) => (StatusCode::PAYLOAD_TOO_LARGE, IssueCode::TooLong),
            Self::BodyBroken
            | Self::Json(_)
            | Self::Bundle(BundleError::Json(_))
            | Self::Parameters(ParametersError::Json(_))
            | Self::Receive(ReceiveError::Read(ReadError::Json(_))) => (StatusCode::BAD_REQUEST, IssueCode::Structure),
            Self::MediaType | Self::OptionsMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, IssueCode::NotSupported),
            Self::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, IssueCode::NotSupported),
            Self::Receive(
                ReceiveError::Read(ReadError::NoResourceType | ReadError::OtherResourceType | ReadError::BadId)
                | ReceiveError::TypeDiffers
                | ReceiveError::IdDiffers,
            )
            | Self::Bundle(BundleError::NotABundle | BundleError::EntriesNotAList)
            | Self::Entry(EntryError::NotAnObject | EntryError::NoRequest | EntryError::NoResource)
            | Self::EntryUrl
            | Self::SameResourceTwice
            | Self::IfMatch
            | Self::Options
            | Self::Parameters(ParametersError::NotParameters | ParametersError::Parameter)
            | Self::ParameterValue(_)
            | Self::SearchForm
            | Self::SearchValue(_) => (StatusCode::BAD_REQUEST, IssueCode::Invalid),
            Self::Bundle(BundleError::OtherType)
            | Self::Entry(EntryError::OtherMethod)
            | Self::ContextWrite
            | Self::Condition
            | Self::SearchParameter(_) => (StatusCode::BAD_REQUEST, IssueCode::NotSupported),
            Self::Bundle(BundleError::TooManyEntries) => (StatusCode::PAYLOAD_TOO_LARGE, IssueCode::TooCostly),
            Self::Transaction { error, .. } => error.kind(),
            Self::Notification(error) => notification_kind(error),
            Self::HookStorm => (StatusCode::TOO_MANY_REQUESTS, IssueCode::Throttled),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, IssueCode::NotSupported),
            Self::ResourceType => (StatusCode::NOT_FOUND, IssueCode::NotSupported),
            Self::NotFound | Self::NoHook | Self::SourceUnknown | Self::ModelUnknown | Self::NoCard => {
                (StatusCode::NOT_FOUND, IssueCode::NotFound)
            }
            Self::ModelAmbiguous | Self::SourceAmbiguous => (StatusCode::BAD_REQUEST, IssueCode::MultipleMatches),
            Self::Switch(SwitchError::Settings(_) | SwitchError::Load(_)) => {
                (StatusCode::UNPROCESSABLE_ENTITY, IssueCode::Invalid)
            }
            Self::Gone => (StatusCode::GONE, IssueCode::Deleted),
            Self::NoToken | Self::HookSecret => (StatusCode::UNAUTHORIZED, IssueCode::Login),
            Self::Scope(_) | Self::ForeignHost | Self::NoPerson => (StatusCode::FORBIDDEN, IssueCode::Forbidden),
            Self::Unfit(_) | Self::OfAPerson => (StatusCode::UNPROCESSABLE_ENTITY, IssueCode::BusinessRule),
            Self::Reannotating | Self::AnswerWithdrawn | Self::NothingStated => {
                (StatusCode::CONFLICT, IssueCode::Conflict)
            }
            Self::VersionConflict | Self::ReportVersion => (StatusCode::PRECONDITION_FAILED, IssueCode::Conflict),
            Self::Ambiguous => (StatusCode::PRECONDITION_FAILED, IssueCode::MultipleMatches),
            Self::Store(error) => store_kind(error),
            Self::Pipeline(error) => pipeline_kind(error),
            Self::Author(_) | Self::Switch(SwitchError::Task) => {
                (StatusCode::INTERNAL_SERVER_ERROR, IssueCode::Exception)
            }
        }
    }

    /// As an issue of an OperationOutcome. Public text is fixed per variant: what failed inside is in the log.
    pub fn issue(&self) -> IssueDraft {
        let (status, code) = self.kind();
        let diagnostics = match status {
            StatusCode::INTERNAL_SERVER_ERROR => "the request failed on our side; the log tells more".to_owned(),
            StatusCode::SERVICE_UNAVAILABLE => "overloaded, or the database is away: try again".to_owned(),
            _ => self.to_string(),
        };
        let expression = match self {
            Self::Transaction { index, .. } => vec![format!("Bundle.entry[{index}]")],
            _ => Vec::new(),
        };
        IssueDraft { severity: IssueSeverity::Error, code, diagnostics: Some(diagnostics), expression }
    }

    /// All issues of the OperationOutcome: one, but for settings with several faults.
    fn issues(&self) -> Vec<IssueDraft> {
        match self {
            Self::Switch(error @ (SwitchError::Settings(_) | SwitchError::Load(_))) => {
                let fault = |fault| IssueDraft { diagnostics: Some(fault), ..self.issue() };
                error.faults().into_iter().map(fault).collect()
            }
            _ => vec![self.issue()],
        }
    }

    /// Why a notification is refused, as a metric's label.
    pub fn hook_reason(&self) -> &'static str {
        match self.kind().0 {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "media-type",
            StatusCode::PAYLOAD_TOO_LARGE => "too-large",
            StatusCode::NOT_FOUND => "address",
            _ => "shape",
        }
    }

    /// Writes what failed inside to the log, once, where it is answered.
    pub fn log(&self) {
        let status = self.kind().0;
        if status.is_server_error() {
            let causes: Vec<String> = std::iter::successors(std::error::Error::source(self), |cause| cause.source())
                .map(ToString::to_string)
                .collect();
            tracing::error!(status = status.as_u16(), error = %self, ?causes, "a request failed");
        }
    }
}

fn notification_kind(error: &NotificationError) -> (StatusCode, IssueCode) {
    match error {
        NotificationError::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, IssueCode::NotSupported),
        NotificationError::Json(_) => (StatusCode::BAD_REQUEST, IssueCode::Structure),
        NotificationError::TooMany => (StatusCode::PAYLOAD_TOO_LARGE, IssueCode::TooCostly),
        NotificationError::NoResourceType
        | NotificationError::NoId
        | NotificationError::OtherResource
        | NotificationError::EntriesNotAList
        | NotificationError::EmptyBundle
        | NotificationError::Status(_) => (StatusCode::BAD_REQUEST, IssueCode::Invalid),
    }
}

fn store_kind(error: &StoreError) -> (StatusCode, IssueCode) {
    match error.on_failure() {
        OnFailure::Retry | OnFailure::Later(_) => (StatusCode::SERVICE_UNAVAILABLE, IssueCode::NoStore),
        OnFailure::Fail => (StatusCode::INTERNAL_SERVER_ERROR, IssueCode::Exception),
    }
}

fn pipeline_kind(error: &PipelineError) -> (StatusCode, IssueCode) {
    match error {
        PipelineError::Read(ReadError::Json(_)) => (StatusCode::BAD_REQUEST, IssueCode::Structure),
        PipelineError::Read(_) => (StatusCode::BAD_REQUEST, IssueCode::Invalid),
        PipelineError::Classify(ClassifyError::QueueFull) => (StatusCode::SERVICE_UNAVAILABLE, IssueCode::Throttled),
        PipelineError::Store(error) => store_kind(error),
        PipelineError::Classify(_) | PipelineError::Extract | PipelineError::ModelAway | PipelineError::OfASource => {
            (StatusCode::INTERNAL_SERVER_ERROR, IssueCode::Exception)
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        self.log();
        let mut response = HttpResponseBuilder::new(self.status_code());
        match self.status_code() {
            StatusCode::UNAUTHORIZED => response.insert_header((WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                response.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS))
            }
            _ => &mut response,
        };
        response.content_type(FHIR_JSON).body(operation_outcome(&self.issues()))
    }
}
