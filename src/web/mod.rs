//! Our HTTP API: handlers that read a request, ask one part, and answer.

mod access;
mod body;
mod bundles;
mod error;
mod health;
mod metadata;
mod observations;
mod reports;
mod response;
mod search;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;

pub use access::{Access, TokensError};

use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::fhir::reference::BaseUrl;
use crate::pipeline::Pipeline;
use crate::store::Store;
use crate::telemetry;

/// What handlers need.
pub struct Api {
    /// Everything durable.
    pub store: Store,
    /// For `$annotate`, which stores nothing.
    pub pipeline: Arc<Pipeline>,
    /// Our own address.
    pub base: BaseUrl,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Largest body.
    pub body_bytes_max: usize,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
}

/// Builds the server on a listener that is bound already.
pub fn server(listener: TcpListener, api: Api, access: Access, config: &ServerConfig) -> std::io::Result<Server> {
    let (api, access) = (Data::new(api), Data::new(access));
    let app = move || {
        App::new()
            .app_data(api.clone())
            .app_data(access.clone())
            .wrap(from_fn(access::guard))
            .wrap(from_fn(measure))
            .configure(routes)
    };
    Ok(HttpServer::new(app)
        .client_request_timeout(Duration::from_secs(config.request_head_seconds_max))
        .shutdown_timeout(config.drain_seconds_max)
        // app.rs hears the signals and stops the server with everything else.
        .disable_signals()
        .listen(listener)?
        .run())
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/health/live", web::get().to(health::live))
        .route("/health/ready", web::get().to(health::ready))
        .route("/metrics", web::get().to(health::metrics))
        .route("/fhir", web::post().to(bundles::receive))
        .route("/fhir/", web::post().to(bundles::receive))
        .route("/fhir/metadata", web::get().to(metadata::read))
        .route("/fhir/Observation", web::get().to(observations::search))
        .route("/fhir/Observation/_search", web::post().to(observations::search_by_form))
        .route("/fhir/Observation/{id}", web::get().to(observations::read))
        .route("/fhir/Observation/{id}/_history", web::get().to(observations::history))
        .route("/fhir/Observation/{id}/_history/{version}", web::get().to(observations::read_version))
        .route("/fhir/Provenance", web::get().to(observations::search_provenance))
        .route("/fhir/Provenance/{id}", web::get().to(observations::read_provenance))
        .route("/fhir/Device/{id}", web::get().to(observations::read_device))
        .route("/fhir/Binary/{id}", web::get().to(observations::read_narrative))
        .route("/fhir/{type}/$annotate", web::post().to(reports::annotate))
        .route("/fhir/{type}", web::post().to(reports::create))
        .route("/fhir/{type}/{id}", web::get().to(reports::read))
        .route("/fhir/{type}/{id}", web::put().to(reports::update))
        .route("/fhir/{type}/{id}", web::delete().to(reports::delete))
        .route("/fhir/{type}/{id}/$received", web::get().to(reports::received))
        .route("/fhir/{type}/{id}/$annotation", web::get().to(reports::annotation))
        .route("/fhir/{type}/{id}/_history/{version}", web::get().to(reports::read_version))
        .route("/fhir/{type}/{id}/_history/{version}/$received", web::get().to(reports::received_version))
        .route("/fhir/{type}/{id}/_history/{version}/$annotation", web::get().to(reports::annotation_of_version))
        .default_service(web::to(health::nowhere));
}

/// Counts and times every request, by its route's pattern: paths and queries may identify patients.
async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    let method = request.method().to_string();
    let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
    let result = next.call(request).await;
    let status = match &result {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    telemetry::request_answered(&method, &route, status.as_u16(), started.elapsed().as_secs_f64());
    result
}
