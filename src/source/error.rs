//! Why a source did not do what we asked. It names the source and the status, and never an address, an id or a body.

use std::time::Duration;

use super::origin::Refused;
use crate::domain::document::SourceName;
use crate::domain::job::OnFailure;

/// Wait until a source is asked again that does not know our credentials: people have to mend them.
const UNAUTHORIZED_PAUSE: Duration = Duration::from_mins(1);

/// A source, and what went wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source \"{}\": {fault}", .source_name.as_str())]
pub struct SourceError {
    /// Which source.
    pub source_name: SourceName,
    /// What went wrong.
    pub fault: Fault,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The address is not one that may be asked.
    #[error("{0}; nothing was asked")]
    NotAllowed(#[from] Refused),
    /// It could not be reached, did not answer in time, or broke off.
    #[error("{0}")]
    Away(Trouble),
    /// It is left alone for a while, because it did not answer or asked us to wait.
    #[error("it is left alone for another {} s", .0.as_secs().max(1))]
    LeftAlone(Duration),
    /// It asks us to come later.
    #[error("it answered {status} and asks us to wait {} s", .after.as_secs())]
    Wait {
        /// 429 or 503.
        status: u16,
        /// How long.
        after: Duration,
    },
    /// It says that it failed.
    #[error("it answered {status}{}", told(.issues))]
    Failing {
        /// 500 and above.
        status: u16,
        /// The codes of its OperationOutcome.
        issues: String,
        /// True if it answers others: then it may be this request that it cannot take.
        answers_others: bool,
    },
    /// It does not know us, also with fresh credentials.
    #[error("it answered 401: it does not accept our credentials (check [sources.{}] credentials)", .0.as_str())]
    Unauthorized(SourceName),
    /// We have no credentials to send.
    #[error("no access token could be had: {0}")]
    NoToken(String),
    /// It refuses what we asked.
    #[error("it answered {status}{}", told(.issues))]
    Refused {
        /// 400 and above.
        status: u16,
        /// The codes of its OperationOutcome.
        issues: String,
    },
    /// Who answered may not be the source: see [`Answer::is_stray`](super::Answer::is_stray).
    #[error(
        "it answered 404 without an OperationOutcome: so answers a gateway that has no way to it, and it is not known \
         whether the resource is there"
    )]
    Stray,
    /// Its search does not find a resource of ours, and would not if it were there.
    #[error(
        "its search by identifier gives resources without that identifier, and more pages than are read: it cannot be \
         known whether our resource is there, and it is not created a second time"
    )]
    SearchTellsNothing,
    /// The answer came in a coding that we did not ask for.
    #[error(
        "its answer has Content-Encoding {0}, which was not asked for (Accept-Encoding: identity): switch that off where \
         it is added"
    )]
    Encoded(&'static str),
    /// It sends a write on.
    #[error(
        "it answered {0} to a write and sends us on: redirects of writes are never followed (set base_url to where it is)"
    )]
    WriteRedirected(u16),
    /// It sends us on to where we do not go.
    #[error(
        "it answered {0} and sends us on: a redirect is followed only within base_url or one of attachment_origins"
    )]
    Redirected(u16),
    /// The answer is over the limit.
    #[error("its answer is larger than {0} bytes (answer_bytes_max)")]
    TooLarge(usize),
    /// The answer is not what FHIR says.
    #[error("its answer is not what FHIR says: {0}")]
    Unexpected(&'static str),
}

/// How a request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No connection: nobody listens, no such host, no agreement on TLS.
    #[error("no connection could be made")]
    Connection,
    /// The time was over.
    #[error("it did not answer in time (request_seconds_max)")]
    TimeOut,
    /// The connection broke off.
    #[error("the connection broke off before the answer was whole")]
    Broken,
}

fn told(issues: &str) -> String {
    if issues.is_empty() { String::new() } else { format!(" ({issues})") }
}

impl Fault {
    /// Whether trying again may help.
    pub fn on_failure(&self) -> OnFailure {
        match self {
            Self::LeftAlone(after) | Self::Wait { after, .. } => OnFailure::Later(Some(*after)),
            // A request that it cannot take must not be sent for ever; a source that fails altogether is waited for.
            Self::Failing { answers_others: true, .. } | Self::Unexpected(_) | Self::Stray | Self::Encoded(_) => {
                OnFailure::Retry
            }
            Self::Away(_) | Self::Failing { .. } => OnFailure::Later(None),
            Self::Unauthorized(_) | Self::NoToken(_) => OnFailure::Later(Some(UNAUTHORIZED_PAUSE)),
            Self::NotAllowed(_)
            | Self::Refused { .. }
            | Self::SearchTellsNothing
            | Self::WriteRedirected(_)
            | Self::Redirected(_)
            | Self::TooLarge(_) => OnFailure::Fail,
        }
    }

    /// Whether it tells of the request alone: the source answered, and does not do what we asked.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::SearchTellsNothing)
    }

    /// Whether the source may have meant this way of asking, as far as its answer tells.
    pub fn may_be_of_the_way(&self) -> bool {
        matches!(self, Self::Stray | Self::Failing { answers_others: true, .. })
    }

    /// Whether the source cannot be used at all as things are.
    pub(super) fn is_of_the_source(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Failing { .. } | Self::Unauthorized(_) | Self::NoToken(_))
    }

    /// The outcome's label in metrics.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) => "not-allowed",
            Self::Away(Trouble::TimeOut) => "time-out",
            Self::Away(_) => "away",
            Self::LeftAlone(_) => "left-alone",
            Self::Wait { .. } => "asked-to-wait",
            Self::Failing { .. } => "failing",
            Self::Unauthorized(_) | Self::NoToken(_) => "unauthorized",
            Self::Refused { .. } | Self::SearchTellsNothing => "refused",
            Self::Stray => "not-found",
            Self::Redirected(_) | Self::WriteRedirected(_) => "redirected",
            Self::TooLarge(_) => "too-large",
            Self::Unexpected(_) | Self::Encoded(_) => "unexpected",
        }
    }
}

impl SourceError {
    /// Whether trying again may help.
    pub fn on_failure(&self) -> OnFailure {
        self.fault.on_failure()
    }
}
