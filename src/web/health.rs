//! Signs of life and metrics.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::Api;
use super::error::ApiError;
use crate::domain::document::{ResourceType, SourceName};

/// `GET /health/live`: the process answers.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "live"}))
}

/// `GET /health/ready`: the database answers and the models are loaded.
pub async fn ready(api: Data<Api>) -> HttpResponse {
    let lineup = api.registry.lineup();
    let model = lineup.active(&SourceName::local()).version();
    match api.store.ping().await {
        Ok(()) => HttpResponse::Ok().json(serde_json::json!({
            "status": "ready",
            "version": env!("CARGO_PKG_VERSION"),
            "model": {"id": model.id, "version": model.version, "sha256": model.sha256.hex()},
        })),
        Err(error) => {
            tracing::warn!(error = %error, "not ready");
            HttpResponse::ServiceUnavailable().json(serde_json::json!({"status": "the database does not answer"}))
        }
    }
}

/// `GET /metrics`, in Prometheus' text format.
pub async fn metrics(api: Data<Api>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(api.metrics.render())
}

/// A known address, asked by another method.
pub async fn other_method(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    // `/fhir/Patient` has the form of a known address, and is none.
    let resource_type = request.match_info().get("type");
    let known = resource_type.is_none_or(|name| ResourceType::from_name(name).is_some());
    Err(if known { ApiError::Method } else { ApiError::ResourceType })
}

/// Every other address.
pub async fn nowhere() -> Result<HttpResponse, ApiError> {
    Err(ApiError::ResourceType)
}
