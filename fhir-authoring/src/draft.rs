//! What a caller fills in: plain data, no FHIR types.

use std::fmt;

use time::OffsetDateTime;

/// Declares a plain enum with a FHIR code and display for each value.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $code:literal, $display:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// Its FHIR code.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$value => $code,)+
                }
            }

            /// Its FHIR display.
            pub const fn display(self) -> &'static str {
                match self {
                    $(Self::$value => $display,)+
                }
            }

            /// The value with this [`code`](Self::code).
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.code() == code)
            }
        }
    };
}

/// JSON text of a resource, and what of the draft it could not hold.
#[derive(Clone)]
pub struct Authored {
    /// The resource, compact.
    pub json: String,
    /// What was given and is not in it, for the caller to note.
    pub left_out: Vec<LeftOut>,
}

impl fmt::Debug for Authored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authored({} bytes, left out: {:?})", self.json.len(), self.left_out)
    }
}

/// What a report says and FHIR cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftOut {
    /// `effectiveDateTime` is not a FHIR `dateTime` (no time zone, no seconds, no such day).
    EffectiveDateTime,
    /// The period's start is not a FHIR `dateTime`.
    EffectiveStart,
    /// The period's end is not a FHIR `dateTime`.
    EffectiveEnd,
    /// The period ends before it starts (FHIR's rule `per-1`): neither is given.
    EffectiveOrder,
}

/// A FHIR `Reference`: any part may be missing; one with no part is left out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReferenceDraft {
    /// `Patient/1`, `Patient/1/_history/2`, an absolute URL, or a `urn:uuid:`.
    pub reference: Option<String>,
    /// Logical reference.
    pub identifier: Option<IdentifierDraft>,
}

impl ReferenceDraft {
    /// A literal reference.
    pub fn to(reference: impl Into<String>) -> Self {
        Self { reference: Some(reference.into()), identifier: None }
    }
}

impl fmt::Debug for ReferenceDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reference(…)")
    }
}

/// A FHIR `Identifier`: system and value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IdentifierDraft {
    /// The namespace, a URI.
    pub system: Option<String>,
    /// The value within it.
    pub value: Option<String>,
}

impl fmt::Debug for IdentifierDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier(…)")
    }
}

/// `effective[x]`, as the report's own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffectiveDraft {
    /// A `dateTime`: year, month, day, or second with time zone.
    DateTime(String),
    /// A `Period`.
    Period {
        /// First moment.
        start: Option<String>,
        /// Last moment.
        end: Option<String>,
    },
}

coded! {
    /// `Observation.status`, as far as we use it.
    ObservationStatus {
        /// A machine's answer that no person has confirmed.
        Preliminary = "preliminary", "Preliminary";
        /// A person has confirmed it.
        Final = "final", "Final";
        /// Taken back.
        EnteredInError = "entered-in-error", "Entered in Error";
    }
}

coded! {
    /// Whether the patient responded.
    Label {
        /// Gone, better, or held stable.
        Responded = "responded", "Responded to treatment";
        /// Progression, relapse, or no improvement.
        NotResponded = "not-responded", "Did not respond to treatment";
    }
}

coded! {
    /// How the treated disease behaved.
    Category {
        /// Resolved.
        Complete = "complete", "Complete response";
        /// Better.
        Partial = "partial", "Partial response";
        /// Held.
        Stable = "stable", "Stable disease";
        /// No better, and nothing says worse.
        NoResponse = "no-response", "No response";
        /// Worse.
        Progressive = "progressive", "Progressive disease";
        /// One part better, another worse.
        Mixed = "mixed", "Mixed response";
        /// Assessed, but it cannot be told.
        Indeterminate = "indeterminate", "Indeterminate";
    }
}

/// A span of text that says so: one `derivation-reference`.
#[derive(Clone, PartialEq, Eq)]
pub struct EvidenceDraft {
    /// The resource that holds the text, like `Binary/narrative-…`.
    pub reference: String,
    /// The element within it that holds the text, like `Binary.data`, if it needs saying.
    pub path: Option<String>,
    /// Start, in Unicode code points of the text.
    pub offset: usize,
    /// Length, in Unicode code points.
    pub length: usize,
}

impl fmt::Debug for EvidenceDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evidence(…)")
    }
}

/// An Observation: the answer for one report.
#[derive(Clone)]
pub struct ObservationDraft {
    /// Logical id.
    pub id: String,
    /// `meta.versionId`; none when another server will number it.
    pub version_id: Option<String>,
    /// `meta.lastUpdated`; none when another server will set it.
    pub last_updated: Option<OffsetDateTime>,
    /// `meta.source`: the report's absolute URL without a version.
    pub source: Option<String>,
    /// Business identifiers.
    pub identifiers: Vec<IdentifierDraft>,
    /// Status.
    pub status: ObservationStatus,
    /// True where the text is about cancer: LOINC 88040-1 goes beside our code.
    pub about_cancer: bool,
    /// Whom the report is about.
    pub subject: Option<ReferenceDraft>,
    /// During which encounter.
    pub encounter: Option<ReferenceDraft>,
    /// When.
    pub effective: Option<EffectiveDraft>,
    /// When we said so.
    pub issued: OffsetDateTime,
    /// The answer.
    pub label: Label,
    /// How.
    pub category: Option<Category>,
    /// Probability of the label, within `0.0..=1.0`; written with four decimals.
    pub confidence: Option<f64>,
    /// Our Device.
    pub device: ReferenceDraft,
    /// The DocumentReference that it was read from; R4 allows no DiagnosticReport here, so none is written.
    pub derived_from: Option<ReferenceDraft>,
    /// The spans that say so, the most telling first.
    pub evidence: Vec<EvidenceDraft>,
}

impl fmt::Debug for ObservationDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservationDraft")
            .field("status", &self.status)
            .field("label", &self.label)
            .field("category", &self.category)
            .finish_non_exhaustive()
    }
}

coded! {
    /// What was done (HL7 v3 `DataOperation`).
    Activity {
        /// The first version.
        Create = "CREATE", "create";
        /// A later one.
        Update = "UPDATE", "revise";
        /// Taken back.
        Nullify = "NULLIFY", "nullify";
    }
}

coded! {
    /// Why an answer was taken back.
    Withdrawal {
        /// The report says so of itself.
        EnteredInError = "entered-in-error", "The report was entered in error";
        /// The report is gone.
        Deleted = "deleted", "The report was deleted";
        /// Another report replaces it.
        Superseded = "superseded", "The report was superseded or replaced";
        /// A later version does not say it any more.
        NoLongerStated = "no-longer-stated", "The report no longer states whether the patient responded";
        /// A later version is of a status that is not read.
        NoLongerReported = "no-longer-reported", "The report was cancelled or is not yet reported";
    }
}

/// `Provenance.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonDraft {
    /// An AI asserts it (AIAST).
    AiAsserted,
    /// It was taken back.
    Withdrawn(Withdrawal),
    /// A person has reviewed it: no reason is written.
    Reviewed,
}

coded! {
    /// How an agent took part (`provenance-participant-type`).
    AgentRole {
        /// Software that draws a new artefact from existing information.
        Assembler = "assembler", "Assembler";
        /// A person who confirms or rejects.
        Verifier = "verifier", "Verifier";
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentDraft {
    /// How.
    pub role: AgentRole,
    /// A Device or a Practitioner.
    pub who: ReferenceDraft,
}

/// What it was done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityDraft {
    /// How it was used.
    pub role: EntityRole,
    /// Which: an exact version where there are versions.
    pub what: ReferenceDraft,
}

coded! {
    /// How an entity was used (`provenance-entity-role`).
    EntityRole {
        /// The information was drawn from it.
        Source = "source", "Source";
        /// It was changed.
        Revision = "revision", "Revision";
        /// It was derived from it: a rendition, like the narrative of a document.
        Derivation = "derivation", "Derivation";
    }
}

/// A Provenance: how one version of an Observation came about.
#[derive(Clone, Debug)]
pub struct ProvenanceDraft {
    /// Logical id.
    pub id: String,
    /// `meta.versionId`; none when another server will number it.
    pub version_id: Option<String>,
    /// `meta.lastUpdated`; none when another server will set it.
    pub last_updated: Option<OffsetDateTime>,
    /// The exact version, like `Observation/{id}/_history/{v}`.
    pub target: ReferenceDraft,
    /// When it was done, if that is not when it was recorded.
    pub occurred: Option<OffsetDateTime>,
    /// When it was recorded.
    pub recorded: OffsetDateTime,
    /// What was done.
    pub activity: Activity,
    /// Why.
    pub reason: ReasonDraft,
    /// By whom; at least one.
    pub agents: Vec<AgentDraft>,
    /// With what.
    pub entities: Vec<EntityDraft>,
}

/// A Device: one version of one model.
#[derive(Clone, Debug)]
pub struct DeviceDraft {
    /// Logical id.
    pub id: String,
    /// `meta.versionId`; none when another server will number it.
    pub version_id: Option<String>,
    /// `meta.lastUpdated`; none when another server will set it.
    pub last_updated: Option<OffsetDateTime>,
    /// Like `responsum-minilm-response`.
    pub model_name: String,
    /// Like `0.1.0`.
    pub model_version: String,
    /// Lower-case hexadecimal.
    pub model_sha256: String,
    /// Version of the Responsum that runs it.
    pub software_version: String,
}

coded! {
    /// `OperationOutcome.issue.severity`.
    IssueSeverity {
        /// The action failed and no further checking could be done.
        Fatal = "fatal", "Fatal";
        /// The action failed.
        Error = "error", "Error";
        /// It went through, with a doubt.
        Warning = "warning", "Warning";
        /// It went through.
        Information = "information", "Information";
    }
}

coded! {
    /// `OperationOutcome.issue.code` (FHIR `IssueType`).
    IssueCode {
        /// Content invalid against the specification or a profile.
        Invalid = "invalid", "Invalid Content";
        /// A structural issue: not JSON, wrong namespace, unexpected element.
        Structure = "structure", "Structural Issue";
        /// A required element is missing.
        Required = "required", "Required element missing";
        /// An element or header value is invalid.
        Value = "value", "Element value invalid";
        /// A content validation rule failed.
        Invariant = "invariant", "Validation rule failed";
        /// An authentication, authorization or permissions issue.
        Security = "security", "Security Problem";
        /// The client needs to authenticate.
        Login = "login", "Login Required";
        /// The user or system could not be authenticated.
        Unknown = "unknown", "Unknown User";
        /// The credentials are too old.
        Expired = "expired", "Session Expired";
        /// The user does not have the rights.
        Forbidden = "forbidden", "Forbidden";
        /// Some information was or may have been left out.
        Suppressed = "suppressed", "Information  Suppressed";
        /// A processing issue.
        Processing = "processing", "Processing Failure";
        /// The resource or interaction is not supported.
        NotSupported = "not-supported", "Content not supported";
        /// There is one already.
        Duplicate = "duplicate", "Duplicate";
        /// Several matched where one was wanted.
        MultipleMatches = "multiple-matches", "Multiple Matches";
        /// There is no such thing.
        NotFound = "not-found", "Not Found";
        /// It was deleted.
        Deleted = "deleted", "Deleted";
        /// The content is larger than allowed.
        TooLong = "too-long", "Content Too Long";
        /// A code could not be understood.
        CodeInvalid = "code-invalid", "Invalid Code";
        /// An extension that was not acceptable.
        Extension = "extension", "Unacceptable Extension";
        /// The operation would take too much.
        TooCostly = "too-costly", "Operation Too Costly";
        /// Refused by a business rule.
        BusinessRule = "business-rule", "Business Rule Violation";
        /// An edit conflict.
        Conflict = "conflict", "Edit Version Conflict";
        /// A condition that may pass.
        Transient = "transient", "Transient Issue";
        /// A lock could not be had.
        LockError = "lock-error", "Lock Error";
        /// The persistent store is unavailable.
        NoStore = "no-store", "No Store Available";
        /// An unexpected internal error.
        Exception = "exception", "Exception";
        /// An internal time-out.
        Timeout = "timeout", "Timeout";
        /// The answer is not complete.
        Incomplete = "incomplete", "Incomplete Results";
        /// The system is under load.
        Throttled = "throttled", "Throttled";
        /// Nothing is wrong.
        Informational = "informational", "Informational Note";
    }
}

/// One issue of an OperationOutcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueDraft {
    /// How bad.
    pub severity: IssueSeverity,
    /// What kind.
    pub code: IssueCode,
    /// In words for a person; fixed text, never input.
    pub diagnostics: Option<String>,
    /// FHIRPath of the elements, like `DiagnosticReport.status`.
    pub expression: Vec<String>,
}

coded! {
    /// `CapabilityStatement.rest.resource.interaction.code`.
    TypeInteraction {
        /// `GET [type]/[id]`
        Read = "read", "read";
        /// `GET [type]/[id]/_history/[vid]`
        Vread = "vread", "vread";
        /// `PUT [type]/[id]`
        Update = "update", "update";
        /// `DELETE [type]/[id]`
        Delete = "delete", "delete";
        /// `GET [type]/[id]/_history`
        HistoryInstance = "history-instance", "history-instance";
        /// `GET [type]/_history`
        HistoryType = "history-type", "history-type";
        /// `POST [type]`
        Create = "create", "create";
        /// `GET [type]?…`
        SearchType = "search-type", "search-type";
    }
}

coded! {
    /// `CapabilityStatement.rest.interaction.code`.
    SystemInteraction {
        /// `POST [base]` with a transaction.
        Transaction = "transaction", "transaction";
        /// `POST [base]` with a batch.
        Batch = "batch", "batch";
        /// `GET [base]?…`
        SearchSystem = "search-system", "search-system";
        /// `GET [base]/_history`
        HistorySystem = "history-system", "history-system";
    }
}

coded! {
    /// Type of a search parameter.
    SearchType {
        /// A number.
        Number = "number", "Number";
        /// A date.
        Date = "date", "Date/DateTime";
        /// A string.
        String = "string", "String";
        /// A code or identifier.
        Token = "token", "Token";
        /// A reference.
        Reference = "reference", "Reference";
        /// A quantity.
        Quantity = "quantity", "Quantity";
        /// A URI.
        Uri = "uri", "URI";
        /// Special logic.
        Special = "special", "Special";
    }
}

/// A search parameter of a resource type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchParamDraft {
    /// Its name in the URL.
    pub name: String,
    /// Its type.
    pub kind: SearchType,
    /// Canonical URL of its definition.
    pub definition: Option<String>,
    /// What is special about it here.
    pub documentation: Option<String>,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationDraft {
    /// Its name, without `$`.
    pub name: String,
    /// Canonical URL of its definition.
    pub definition: String,
    /// What it does here.
    pub documentation: Option<String>,
}

/// What the server does with one resource type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceDraft {
    /// Like `Observation`.
    pub resource_type: String,
    /// The profile that all of them follow.
    pub profile: Option<String>,
    /// Further profiles that some of them follow.
    pub supported_profiles: Vec<String>,
    /// In words.
    pub documentation: Option<String>,
    /// Interactions.
    pub interactions: Vec<TypeInteraction>,
    /// True if versions are kept and `If-Match` is honoured (`versioned-update`); else `versioned`.
    pub versioned_update: bool,
    /// True if past versions can be read.
    pub read_history: bool,
    /// True if PUT may create.
    pub update_create: bool,
    /// True if `If-None-Exist` is honoured.
    pub conditional_create: bool,
    /// Search parameters.
    pub search_params: Vec<SearchParamDraft>,
    /// Operations on it.
    pub operations: Vec<OperationDraft>,
}

/// A CapabilityStatement: what this server does.
#[derive(Clone, Debug)]
pub struct CapabilityDraft {
    /// Base URL of the FHIR API.
    pub base_url: String,
    /// Version of Responsum.
    pub software_version: String,
    /// When this statement was made or last changed.
    pub date: OffsetDateTime,
    /// How access is controlled, in words (Markdown).
    pub security: Option<String>,
    /// Resource types, each once.
    pub resources: Vec<ResourceDraft>,
    /// Interactions of the whole system.
    pub interactions: Vec<SystemInteraction>,
    /// Operations of the whole system.
    pub operations: Vec<OperationDraft>,
}
