//! Our HTTP API: handlers that read a request, ask one part, and answer.

mod access;
mod bases;
mod body;
mod bundles;
mod decisions;
mod error;
mod health;
mod heard;
mod hooks;
mod metadata;
mod models;
mod observations;
mod reannotations;
mod reports;
mod response;
mod reviews;
mod search;
mod sources;
mod timeline;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, PayloadConfig, ServiceConfig};
use actix_web::{App, HttpServer, guard, web};
use metrics_exporter_prometheus::PrometheusHandle;

pub use access::{Access, TokensError};
pub use bases::Bases;
pub use hooks::Hooks;

use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::fhir::reference::BaseUrl;
use crate::pipeline::Pipeline;
use crate::registry::{Registry, Switch};
use crate::source::Sources;
use crate::store::Store;
use crate::telemetry;

/// Largest form of a search: some tens of thousands of ids.
const SEARCH_FORM_BYTES_MAX: usize = 1024 * 1024;

/// What handlers need.
pub struct Api {
    /// Everything durable.
    pub store: Store,
    /// For `$annotate`, which stores nothing.
    pub pipeline: Arc<Pipeline>,
    /// The models that are loaded.
    pub registry: Arc<Registry>,
    /// The EHRs that we ask and write to.
    pub sources: Sources,
    /// Reads the settings again.
    pub switch: Arc<Switch>,
    /// Our own address.
    pub base: BaseUrl,
    /// By which addresses reports are named.
    pub bases: Bases,
    /// Who may notify us.
    pub hooks: Hooks,
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
            .app_data(PayloadConfig::new(SEARCH_FORM_BYTES_MAX))
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

/// Every address with what it takes; another method is told so.
fn routes(config: &mut ServiceConfig) {
    let at = |path: &str| web::resource(path).default_service(web::to(health::other_method));
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    config
        .service(at("/health/live").route(read().to(health::live)))
        .service(at("/health/ready").route(read().to(health::ready)))
        .service(at("/metrics").route(read().to(health::metrics)))
        .configure(model_routes)
        .configure(hook_routes)
        .configure(source_routes)
        .service(at("/fhir").route(web::post().to(bundles::receive)))
        .service(at("/fhir/").route(web::post().to(bundles::receive)))
        .service(at("/fhir/metadata").route(read().to(metadata::read)))
        .service(at("/fhir/Observation").route(read().to(observations::search)))
        .service(at("/fhir/Observation/$lastn").route(read().to(timeline::lastn)))
        .service(at("/fhir/Observation/_search").route(web::post().to(observations::search_by_form)))
        .service(at("/fhir/Observation/{id}/$confirm").route(web::post().to(decisions::confirm)))
        .service(at("/fhir/Observation/{id}/$refute").route(web::post().to(decisions::refute)))
        .service(at("/patients/timeline").route(read().to(timeline::of_references)))
        .service(at("/patients/{id}/timeline").route(read().to(timeline::of_patient)))
        .service(at("/reviews").route(read().to(reviews::list)))
        .service(at("/fhir/Observation/{id}").route(read().to(observations::read)))
        .service(at("/fhir/Observation/{id}/_history").route(read().to(observations::history)))
        .service(at("/fhir/Observation/{id}/_history/{version}").route(read().to(observations::read_version)))
        .service(at("/fhir/Provenance").route(read().to(observations::search_provenance)))
        .service(at("/fhir/Provenance/{id}").route(read().to(observations::read_provenance)))
        .service(at("/fhir/Device/{id}").route(read().to(observations::read_device)))
        .service(at("/fhir/Binary/{id}").route(read().to(observations::read_narrative)))
        .service(at("/fhir/{type}/$annotate").route(web::post().to(reports::annotate)))
        .service(at("/fhir/{type}").route(web::post().to(reports::create)))
        .service(
            at("/fhir/{type}/{id}")
                .route(read().to(reports::read))
                .route(web::put().to(reports::update))
                .route(web::delete().to(reports::delete)),
        )
        .service(at("/fhir/{type}/{id}/$received").route(read().to(reports::received)))
        .service(at("/fhir/{type}/{id}/$annotation").route(read().to(reports::annotation)))
        .service(at("/fhir/{type}/{id}/_history/{version}").route(read().to(reports::read_version)))
        .service(at("/fhir/{type}/{id}/_history/{version}/$received").route(read().to(reports::received_version)))
        .service(
            at("/fhir/{type}/{id}/_history/{version}/$annotation").route(read().to(reports::annotation_of_version)),
        )
        .default_service(web::to(health::nowhere));
}

/// Where sources notify us.
fn hook_routes(config: &mut ServiceConfig) {
    let at = |path: &str| web::resource(path).default_service(web::to(health::other_method));
    config
        .service(at("/hooks/{source}").route(web::post().to(hooks::notify)))
        .service(at("/hooks/{source}/").route(web::post().to(hooks::notify)))
        .service(
            at("/hooks/{source}/{type}/{id}")
                .route(web::put().to(hooks::notify_of))
                .route(web::post().to(hooks::notify_of))
                .route(web::delete().to(hooks::notify_of)),
        );
}

/// The models: what they are, how far they agree, and what an administrator does with them.
fn model_routes(config: &mut ServiceConfig) {
    let at = |path: &str| web::resource(path).default_service(web::to(health::other_method));
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    config
        .service(at("/models").route(read().to(models::list)))
        .service(at("/models/$reload").route(web::post().to(models::reload)))
        .service(at("/models/reannotations").route(read().to(reannotations::list)))
        .service(at("/models/reannotations/{id}").route(read().to(reannotations::read)))
        .service(at("/models/reannotations/{id}/$cancel").route(web::post().to(reannotations::cancel)))
        .service(at("/models/{name}").route(read().to(models::read)))
        .service(at("/models/{name}/card").route(read().to(models::card)))
        .service(at("/models/{name}/$reannotate").route(web::post().to(reannotations::begin)))
        .service(at("/models/{a}/agreement/{b}").route(read().to(models::agreement)));
}

/// The sources: how they stand, and what an administrator does with them.
fn source_routes(config: &mut ServiceConfig) {
    let at = |path: &str| web::resource(path).default_service(web::to(health::other_method));
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    config
        .service(at("/.well-known/jwks.json").route(read().to(sources::jwks)))
        .service(at("/sources").route(read().to(sources::list)))
        .service(at("/sources/{name}").route(read().to(sources::read)))
        .service(at("/sources/{name}/$replay").route(web::post().to(sources::replay)))
        .service(at("/sources/{name}/$fetch").route(web::post().to(sources::fetch)))
        .service(at("/sources/{name}/{type}/{id}/$annotation").route(read().to(sources::annotation)));
}

/// Counts and times every request, by its route's pattern: paths and queries may identify patients.
async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    // Methods that HTTP does not know come from outside: they must not make new series.
    let method = match *request.method() {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE => request.method().to_string(),
        _ => "other".to_owned(),
    };
    let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
    let result = next.call(request).await;
    let status = match &result {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    telemetry::request_answered(&method, &route, status.as_u16(), started.elapsed().as_secs_f64());
    result
}
