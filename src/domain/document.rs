//! What a source gave us: reports, their versions, and what those versions offer to read.

use std::fmt;

use bytes::Bytes;
use time::OffsetDateTime;
use uuid::Uuid;

/// The two FHIR resources that carry reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// FHIR `DiagnosticReport`.
    DiagnosticReport,
    /// FHIR `DocumentReference`.
    DocumentReference,
}

impl ResourceType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::DiagnosticReport, Self::DocumentReference];

    /// Its name in FHIR, SQL and URLs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiagnosticReport => "DiagnosticReport",
            Self::DocumentReference => "DocumentReference",
        }
    }

    /// The type with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a configured EHR or FHIR server: 1 to 64 of `[a-z0-9-]`. Reports pushed to us belong to `local`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceName(String);

impl SourceName {
    /// The name, or nothing if it has other characters or another length.
    pub fn new(name: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ((1..=64).contains(&name.len()) && name.chars().all(allowed)).then(|| Self(name.to_owned()))
    }

    /// The source of reports that are pushed to our own FHIR API.
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A FHIR logical id: 1 to 64 of `[A-Za-z0-9-.]` (FHIR R4, datatype `id`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogicalId(String);

impl LogicalId {
    /// The id, or nothing if it is not one. A path that ends in `.` or `..` leads elsewhere: FHIR allows these two, and no
    /// server can serve them.
    pub fn new(id: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let is_one = (1..=64).contains(&id.len()) && id.chars().all(allowed) && !matches!(id, "." | "..");
        is_one.then(|| Self(id.to_owned()))
    }

    /// The id of a resource that we name ourselves.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid.hyphenated().to_string())
    }

    /// The id as text. It may identify a patient's report: never log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LogicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogicalId(…)")
    }
}

/// Which report: one DiagnosticReport or DocumentReference of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReportKey {
    /// Where it is from.
    pub source: SourceName,
    /// Which resource.
    pub resource_type: ResourceType,
    /// Its id there.
    pub logical_id: LogicalId,
}

impl ReportKey {
    /// `Type/id`, as FHIR references it within its own server.
    pub fn relative(&self) -> String {
        format!("{}/{}", self.resource_type, self.logical_id.as_str())
    }

    /// The report of a source that a [`relative`](Self::relative) reference names.
    pub fn of_source(source: &SourceName, relative: &str) -> Option<Self> {
        let (name, id) = relative.split_once('/')?;
        let (resource_type, logical_id) = (ResourceType::from_name(name)?, LogicalId::new(id)?);
        Some(Self { source: source.clone(), resource_type, logical_id })
    }
}

/// The identity of one document in our store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(pub Uuid);

/// SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    /// Lower-case hexadecimal, 64 characters.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// One version of a report, as it was received.
#[derive(Clone)]
pub struct Document {
    /// Our identity for it.
    pub id: DocumentId,
    /// The report that it is a version of.
    pub key: ReportKey,
    /// 1 for the first, counted by arrival.
    pub version: i32,
    /// The resource's bytes exactly as received (for a Bundle entry: its slice). Empty for a deletion.
    pub received: Bytes,
    /// Of `received`.
    pub sha256: Sha256Digest,
    /// When.
    pub received_at: OffsetDateTime,
    /// True if the client deleted the report: there is nothing to read.
    pub deleted: bool,
    /// A transaction's `urn:uuid` references that occur in it, and what they stand for.
    pub links: Vec<(String, String)>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("bytes", &self.received.len())
            .finish_non_exhaustive()
    }
}

/// What the report's status asks of us: the table "Reports and their answers" of docs/data-model.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Read it and say what it says.
    Annotate,
    /// Keep it and do not answer: registered, cancelled, or a preliminary note without text.
    Keep,
    /// Take back any answer: it was entered in error, superseded or deleted.
    Withdraw(WithdrawReason),
}

/// Why an answer is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WithdrawReason {
    /// The report says `entered-in-error`.
    EnteredInError,
    /// The report was deleted.
    Deleted,
    /// The report says `superseded`, or another one replaces it.
    Superseded,
    /// The report's newest version no longer says whether the patient responded.
    NoLongerStated,
    /// The report's newest version is one that is not annotated (registered, cancelled).
    NoLongerReported,
    /// A person has refuted it.
    Refuted,
    /// Another report has the same attachment, and its answer stands for both.
    Linked,
}

impl WithdrawReason {
    const ALL: [Self; 7] = [
        Self::EnteredInError,
        Self::Deleted,
        Self::Superseded,
        Self::NoLongerStated,
        Self::NoLongerReported,
        Self::Refuted,
        Self::Linked,
    ];

    /// The reason with this [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The code used in SQL and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::EnteredInError => "entered-in-error",
            Self::Deleted => "deleted",
            Self::Superseded => "superseded",
            Self::NoLongerStated => "no-longer-stated",
            Self::NoLongerReported => "no-longer-reported",
            Self::Refuted => "refuted",
            Self::Linked => "linked",
        }
    }
}

/// A FHIR `Reference` as far as we repeat it: what the report says, unchanged.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Reference {
    /// `Patient/1`, an absolute URL, or a `urn:uuid:`.
    pub reference: Option<String>,
    /// Logical reference: system and value.
    pub identifier: Option<Identifier>,
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reference(…)")
    }
}

/// A FHIR `Identifier`, its system and value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identifier {
    /// The namespace, a URI.
    pub system: Option<String>,
    /// The value within it.
    pub value: Option<String>,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier(…)")
    }
}

/// `effective[x]` of the report (for a DocumentReference: `context.period`, else `date`), as its own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effective {
    /// A FHIR `dateTime`.
    DateTime(String),
    /// A FHIR `Period`.
    Period {
        /// First moment.
        start: Option<String>,
        /// Last moment.
        end: Option<String>,
    },
}

/// What kind of report it is, as its category, type or code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportKind {
    /// Radiology and other imaging.
    Imaging,
    /// Anatomic pathology.
    Pathology,
    /// Other laboratories.
    Laboratory,
    /// A note of whoever saw the patient.
    Clinical,
}

impl ReportKind {
    const ALL: [Self; 4] = [Self::Imaging, Self::Pathology, Self::Laboratory, Self::Clinical];

    /// The code used in SQL and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Imaging => "imaging",
            Self::Pathology => "pathology",
            Self::Laboratory => "laboratory",
            Self::Clinical => "clinical",
        }
    }

    /// The kind with this [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Whom and when a report is about, as the report says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Whom it is about.
    pub subject: Option<Reference>,
    /// During which encounter.
    pub encounter: Option<Reference>,
    /// When.
    pub effective: Option<Effective>,
    /// What kind of report it is.
    pub kind: Option<ReportKind>,
}

/// What one document offers, read from its bytes: everything that the later stages need.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceDocument {
    /// Which resource it is.
    pub resource_type: ResourceType,
    /// The resource's own `id`.
    pub logical_id: Option<LogicalId>,
    /// What its status asks of us.
    pub disposition: Disposition,
    /// Whom and when it is about.
    pub about: About,
    /// Business identifiers, for `If-None-Exist` and search.
    pub identifiers: Vec<Identifier>,
    /// References of the reports that this one replaces (`relatesTo.code = replaces`).
    pub replaces: Vec<String>,
    /// What it offers to read: the renditions of its text, `result`, `conclusionCode`, `note`, `conclusion`, `text.div`.
    pub attachments: Vec<Attachment>,
    /// References of its results that are resources of their own, as they are written; none for a DocumentReference.
    /// Each is an attachment with [`AttachmentContent::Referenced`] until it is fetched and added.
    pub results: Vec<String>,
}

impl fmt::Debug for SourceDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceDocument")
            .field("resource_type", &self.resource_type)
            .field("disposition", &self.disposition)
            .field("attachments", &self.attachments)
            .finish_non_exhaustive()
    }
}

/// One rendition of a document's text.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// FHIR path of the element, like `DocumentReference.content[1].attachment`.
    pub origin: String,
    /// What the element is for, which decides the choice among several.
    pub role: AttachmentRole,
    /// `contentType` as received, parameters included.
    pub content_type: Option<String>,
    /// What is there.
    pub content: AttachmentContent,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachment({}, {:?})", self.origin, self.content)
    }
}

/// By what another report's attachment is known to be the same.
#[derive(Clone, PartialEq, Eq)]
pub enum AttachmentKey {
    /// Its absolute URL.
    Url(String),
    /// Of its decoded bytes.
    Bytes(Sha256Digest),
}

impl fmt::Debug for AttachmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_) => f.write_str("Url(…)"),
            Self::Bytes(_) => f.write_str("Bytes(…)"),
        }
    }
}

/// What an attachment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachmentRole {
    /// `presentedForm[]` or `content[].attachment`: the report itself.
    Report,
    /// `DiagnosticReport.result[]`: an Observation, as the lines that a person would read.
    Result,
    /// `DiagnosticReport.conclusionCode[]`: the words of a code that sums the report up.
    ConclusionCode,
    /// `DiagnosticReport.note[]`: a comment on the report.
    Note,
    /// `DiagnosticReport.conclusion`: the author's summary.
    Conclusion,
    /// `text.div`: a rendering of the resource, read when nothing else can be.
    ResourceText,
}

/// The content of an attachment.
#[derive(Clone, PartialEq, Eq)]
pub enum AttachmentContent {
    /// Decoded bytes.
    Bytes(Bytes),
    /// Only a URL.
    Url(String),
    /// Another resource, which was not fetched.
    Referenced(String),
    /// Only a URL, and what is there could not be had: why, in words, without the URL.
    NotFetched(String),
    /// There is something, and it cannot be decoded: what is wrong, in words, without its content.
    Malformed(String),
    /// Neither data nor URL.
    Empty,
}

impl fmt::Debug for AttachmentContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Url(_) => f.write_str("url"),
            Self::Referenced(_) => f.write_str("reference"),
            Self::NotFetched(why) => write!(f, "not fetched: {why}"),
            Self::Malformed(why) => write!(f, "malformed: {why}"),
            Self::Empty => f.write_str("empty"),
        }
    }
}
