//! The draft of an `OperationOutcome`.

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

/// One issue of an `OperationOutcome`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueDraft {
    /// How bad.
    pub severity: IssueSeverity,
    /// What kind.
    pub code: IssueCode,
    /// In words for a person; fixed text, never input.
    pub diagnostics: Option<String>,
    /// `FHIRPath` of the elements, like `DiagnosticReport.status`.
    pub expression: Vec<String>,
}
