//! The draft of a `CapabilityStatement`.

use time::OffsetDateTime;

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
#[expect(clippy::struct_excessive_bools, reason = "each is an element of the statement, told apart by its name")]
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

/// A `CapabilityStatement`: what this server does.
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
