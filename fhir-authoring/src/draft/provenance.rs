//! The draft of a Provenance.

use time::OffsetDateTime;

use super::ReferenceDraft;

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
        /// A person says that it is wrong.
        Refuted = "refuted", "A person has refuted it";
        /// Another report has the same attachment, and its answer stands for both.
        Linked = "linked", "Another report with the same attachment has the answer";
    }
}

/// `Provenance.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonDraft {
    /// An AI asserts it (AIAST).
    AiAsserted,
    /// It was taken back.
    Withdrawn(Withdrawal),
    /// A person has reviewed it: a clinician asserts it (CLINAST).
    Reviewed,
}

coded! {
    /// How an agent took part (`provenance-participant-type`).
    AgentRole {
        /// Software that draws a new artefact from existing information.
        Assembler = "assembler", "Assembler";
        /// A person who confirms or rejects.
        Verifier = "verifier", "Verifier";
        /// A person who says so.
        Author = "author", "Author";
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentDraft {
    /// How.
    pub role: AgentRole,
    /// A Device or a Practitioner.
    pub who: ReferenceDraft,
    /// What the person is called.
    pub name: Option<String>,
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
