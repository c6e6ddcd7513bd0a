//! `GET /fhir/metadata`: what this server does.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use responsum_fhir_authoring::{
    CapabilityDraft, OperationDraft, ResourceDraft, SearchParamDraft, SearchType, SystemInteraction, TypeInteraction,
    capability_statement, terms,
};
use time::macros::datetime;

use super::Api;
use super::error::ApiError;
use super::response::{accepts_json, resource};
use crate::domain::document::ResourceType;

/// When what it says last changed.
const CHANGED: time::OffsetDateTime = datetime!(2026-11-25 0:00 UTC);

/// `GET /fhir/metadata`
pub async fn read(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    accepts_json(request.headers())?;
    let mut resources: Vec<_> = ResourceType::ALL.into_iter().map(report).collect();
    resources.extend([observation(), provenance(), device(), binary()]);
    let statement = capability_statement(&CapabilityDraft {
        base_url: api.base.as_str().to_owned(),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        date: CHANGED,
        security: Some(
            "Bearer tokens with the scopes read, write, confirm and admin; without any configured, loopback clients only."
                .to_owned(),
        ),
        resources,
        interactions: vec![SystemInteraction::Transaction, SystemInteraction::Batch],
        operations: Vec::new(),
    })?;
    Ok(resource(HttpResponse::Ok(), statement))
}

fn report(resource_type: ResourceType) -> ResourceDraft {
    ResourceDraft {
        resource_type: resource_type.name().to_owned(),
        documentation: Some("Received reports, kept byte for byte; every version is annotated.".to_owned()),
        interactions: vec![
            TypeInteraction::Create,
            TypeInteraction::Read,
            TypeInteraction::Vread,
            TypeInteraction::Update,
            TypeInteraction::Delete,
        ],
        versioned_update: true,
        read_history: true,
        update_create: true,
        conditional_create: true,
        operations: vec![
            operation("annotate", "Answers at once with a collection Bundle and stores nothing."),
            operation("annotation", "The state of a version and what the model said of it, as JSON."),
            operation("received", "The very bytes that were received."),
        ],
        ..ResourceDraft::default()
    }
}

fn operation(name: &str, documentation: &str) -> OperationDraft {
    OperationDraft {
        name: name.to_owned(),
        definition: format!("{}/OperationDefinition/{name}", terms::CANONICAL),
        documentation: Some(documentation.to_owned()),
    }
}

fn observation() -> ResourceDraft {
    let parameter = |name: &str, kind, definition: &str| SearchParamDraft {
        name: name.to_owned(),
        kind,
        definition: Some(format!("http://hl7.org/fhir/SearchParameter/{definition}")),
        documentation: None,
    };
    ResourceDraft {
        resource_type: "Observation".to_owned(),
        profile: Some(terms::PROFILE_OBSERVATION.to_owned()),
        documentation: Some("Whether the patient responded to treatment, as a report says it.".to_owned()),
        interactions: vec![
            TypeInteraction::Read,
            TypeInteraction::Vread,
            TypeInteraction::HistoryInstance,
            TypeInteraction::SearchType,
        ],
        read_history: true,
        operations: vec![
            operation("confirm", "A person stands for the answer: it becomes final."),
            operation("refute", "A person says that the answer is wrong, and perhaps what is right."),
            OperationDraft {
                name: "lastn".to_owned(),
                definition: "http://hl7.org/fhir/OperationDefinition/Observation-lastn".to_owned(),
                documentation: Some("Of each code the newest that stand; patient or subject must be given.".to_owned()),
            },
        ],
        supported_profiles: vec![terms::PROFILE_STATEMENT.to_owned(), terms::PROFILE_DISEASE_STATUS.to_owned()],
        search_params: vec![
            parameter("_id", SearchType::Token, "Resource-id"),
            parameter("_lastUpdated", SearchType::Date, "Resource-lastUpdated"),
            parameter("_source", SearchType::Uri, "Resource-source"),
            parameter("category", SearchType::Token, "Observation-category"),
            parameter("code", SearchType::Token, "clinical-code"),
            parameter("date", SearchType::Date, "clinical-date"),
            parameter("identifier", SearchType::Token, "clinical-identifier"),
            parameter("patient", SearchType::Reference, "clinical-patient"),
            parameter("status", SearchType::Token, "Observation-status"),
            parameter("subject", SearchType::Reference, "Observation-subject"),
        ],
        ..ResourceDraft::default()
    }
}

fn provenance() -> ResourceDraft {
    ResourceDraft {
        resource_type: "Provenance".to_owned(),
        profile: Some(terms::PROFILE_PROVENANCE.to_owned()),
        documentation: Some("How each version of an Observation came about.".to_owned()),
        interactions: vec![TypeInteraction::Read, TypeInteraction::SearchType],
        search_params: vec![SearchParamDraft {
            name: "target".to_owned(),
            kind: SearchType::Reference,
            definition: Some("http://hl7.org/fhir/SearchParameter/Provenance-target".to_owned()),
            documentation: None,
        }],
        ..ResourceDraft::default()
    }
}

fn device() -> ResourceDraft {
    ResourceDraft {
        resource_type: "Device".to_owned(),
        profile: Some(terms::PROFILE_DEVICE.to_owned()),
        documentation: Some("The models that answer.".to_owned()),
        interactions: vec![TypeInteraction::Read],
        ..ResourceDraft::default()
    }
}

fn binary() -> ResourceDraft {
    ResourceDraft {
        resource_type: "Binary".to_owned(),
        documentation: Some("The narratives that evidence points into.".to_owned()),
        interactions: vec![TypeInteraction::Read],
        ..ResourceDraft::default()
    }
}
