//! What this server does, as a `CapabilityStatement`.

use std::str::FromStr;

use fhir_sdk::DateTime;
use fhir_sdk::r4b::codes::{
    CapabilityStatementKind, FHIRVersion, PublicationStatus, ResourceType, ResourceVersionPolicy, RestfulCapabilityMode,
};
use fhir_sdk::r4b::resources::{
    CapabilityStatement, CapabilityStatementImplementation, CapabilityStatementRest,
    CapabilityStatementRestInteraction, CapabilityStatementRestResource, CapabilityStatementRestResourceInteraction,
    CapabilityStatementRestResourceOperation, CapabilityStatementRestResourceSearchParam,
    CapabilityStatementRestSecurity, CapabilityStatementSoftware,
};

use crate::datatypes::{code, instant};
use crate::draft::{CapabilityDraft, OperationDraft, ResourceDraft, SearchParamDraft};
use crate::{AuthoringError, built, written};

/// Writes a `CapabilityStatement` of a running server: R4 (4.0.1), JSON.
pub fn capability_statement(draft: &CapabilityDraft) -> Result<String, AuthoringError> {
    let software = CapabilityStatementSoftware::builder()
        .name("Responsum".to_owned())
        .version(draft.software_version.clone())
        .build();
    let implementation = CapabilityStatementImplementation::builder()
        .description("Responsum: tells from reports whether the patient responded to treatment".to_owned())
        .url(draft.base_url.clone())
        .build();
    let builder = CapabilityStatement::builder()
        .name("Responsum".to_owned())
        .title("Responsum".to_owned())
        .status(PublicationStatus::Active)
        .date(DateTime::DateTime(instant(draft.date)))
        .kind(CapabilityStatementKind::Instance)
        .software(built("CapabilityStatement.software", software)?)
        .implementation(built("CapabilityStatement.implementation", implementation)?)
        .fhir_version(FHIRVersion::N401)
        .format(vec![Some("application/fhir+json".to_owned()), Some("json".to_owned())])
        .rest(vec![Some(rest(draft)?)]);
    let statement = built("CapabilityStatement", builder.build())?;
    written("CapabilityStatement", serde_json::to_string(&statement))
}

fn rest(draft: &CapabilityDraft) -> Result<CapabilityStatementRest, AuthoringError> {
    let interactions = draft.interactions.iter().map(|interaction| {
        let builder = CapabilityStatementRestInteraction::builder().code(interaction.code().to_owned());
        built("CapabilityStatement.rest.interaction", builder.build()).map(Some)
    });
    let mut builder = CapabilityStatementRest::builder()
        .mode(RestfulCapabilityMode::Server)
        .resource(draft.resources.iter().map(|one| resource(one).map(Some)).collect::<Result<_, _>>()?)
        .interaction(interactions.collect::<Result<_, _>>()?)
        .operation(draft.operations.iter().map(|one| operation(one).map(Some)).collect::<Result<_, _>>()?);
    if let Some(security) = &draft.security {
        let security = CapabilityStatementRestSecurity::builder().description(security.clone()).build();
        builder = builder.security(built("CapabilityStatement.rest.security", security)?);
    }
    built("CapabilityStatement.rest", builder.build())
}

fn resource(draft: &ResourceDraft) -> Result<CapabilityStatementRestResource, AuthoringError> {
    let interactions = draft.interactions.iter().map(|interaction| {
        let builder = CapabilityStatementRestResourceInteraction::builder().code(interaction.code().to_owned());
        built("CapabilityStatement.rest.resource.interaction", builder.build()).map(Some)
    });
    let resource_type = ResourceType::from_str(&draft.resource_type).ok();
    // The model takes any text for a type of a future version.
    let known = resource_type.filter(|kind| !matches!(kind, ResourceType::_Custom(_)));
    let versioning =
        if draft.versioned_update { ResourceVersionPolicy::VersionedUpdate } else { ResourceVersionPolicy::Versioned };
    let mut builder = CapabilityStatementRestResource::builder()
        .r#type(known.ok_or(AuthoringError::ResourceType)?)
        .supported_profile(draft.supported_profiles.iter().cloned().map(Some).collect())
        .interaction(interactions.collect::<Result<_, _>>()?)
        .versioning(versioning)
        .read_history(draft.read_history)
        .update_create(draft.update_create)
        .conditional_create(draft.conditional_create)
        .search_param(draft.search_params.iter().map(|one| search_param(one).map(Some)).collect::<Result<_, _>>()?)
        .operation(draft.operations.iter().map(|one| operation(one).map(Some)).collect::<Result<_, _>>()?);
    if let Some(profile) = &draft.profile {
        builder = builder.profile(profile.clone());
    }
    if let Some(documentation) = &draft.documentation {
        builder = builder.documentation(documentation.clone());
    }
    built("CapabilityStatement.rest.resource", builder.build())
}

fn search_param(draft: &SearchParamDraft) -> Result<CapabilityStatementRestResourceSearchParam, AuthoringError> {
    let mut builder =
        CapabilityStatementRestResourceSearchParam::builder().name(draft.name.clone()).r#type(code(draft.kind.code()));
    if let Some(definition) = &draft.definition {
        builder = builder.definition(definition.clone());
    }
    if let Some(documentation) = &draft.documentation {
        builder = builder.documentation(documentation.clone());
    }
    built("CapabilityStatement.rest.resource.searchParam", builder.build())
}

fn operation(draft: &OperationDraft) -> Result<CapabilityStatementRestResourceOperation, AuthoringError> {
    let mut builder = CapabilityStatementRestResourceOperation::builder()
        .name(draft.name.clone())
        .definition(draft.definition.clone());
    if let Some(documentation) = &draft.documentation {
        builder = builder.documentation(documentation.clone());
    }
    built("CapabilityStatement.rest.resource.operation", builder.build())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::draft::{SearchType, SystemInteraction, TypeInteraction};

    fn draft() -> CapabilityDraft {
        CapabilityDraft {
            base_url: "http://127.0.0.1:8080/fhir".to_owned(),
            software_version: "0.1.0".to_owned(),
            date: datetime!(2026-03-02 09:15:30 UTC),
            security: Some("Bearer tokens.".to_owned()),
            resources: vec![ResourceDraft {
                resource_type: "Observation".to_owned(),
                interactions: TypeInteraction::ALL.to_vec(),
                search_params: SearchType::ALL
                    .iter()
                    .map(|kind| SearchParamDraft {
                        name: kind.code().to_owned(),
                        kind: *kind,
                        definition: None,
                        documentation: None,
                    })
                    .collect(),
                ..ResourceDraft::default()
            }],
            interactions: SystemInteraction::ALL.to_vec(),
            operations: vec![OperationDraft {
                name: "annotate".to_owned(),
                definition: "http://responsum.health/fhir/OperationDefinition/annotate".to_owned(),
                documentation: None,
            }],
        }
    }

    #[test]
    fn a_statement_says_r4_json_and_what_each_resource_type_can_do() {
        let statement: Value =
            serde_json::from_str(&capability_statement(&draft()).expect("a statement")).expect("JSON");
        assert_eq!(statement["fhirVersion"], "4.0.1");
        assert_eq!(statement["kind"], "instance");
        assert_eq!(statement["status"], "active");
        assert_eq!(statement["format"], json!(["application/fhir+json", "json"]));
        assert_eq!(statement["software"], json!({"name": "Responsum", "version": "0.1.0"}));
        assert_eq!(statement["implementation"]["url"], "http://127.0.0.1:8080/fhir");
        let rest = &statement["rest"][0];
        assert_eq!(rest["mode"], "server");
        assert_eq!(rest["security"]["description"], "Bearer tokens.");
        assert_eq!(rest["interaction"][0]["code"], "transaction");
        assert_eq!(rest["operation"][0]["name"], "annotate");
        let resource = &rest["resource"][0];
        assert_eq!(resource["type"], "Observation");
        assert_eq!(resource["versioning"], "versioned");
        assert_eq!(resource["interaction"].as_array().expect("interactions").len(), TypeInteraction::ALL.len());
        for (param, kind) in resource["searchParam"].as_array().expect("parameters").iter().zip(SearchType::ALL) {
            assert_eq!(param["type"], kind.code());
        }
    }

    #[test]
    fn a_resource_type_that_fhir_does_not_have_is_refused() {
        let mut draft = draft();
        draft.resources[0].resource_type = "Report".to_owned();
        assert!(matches!(capability_statement(&draft), Err(AuthoringError::ResourceType)));
    }
}
