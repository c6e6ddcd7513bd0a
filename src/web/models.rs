//! The models: what is loaded and who answers, their cards, how far two of them agree, and switching them.

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use responsum_fhir_authoring::AuthoringError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Api;
use super::body::options;
use super::error::ApiError;
use crate::classify::calibration::DocumentScale;
use crate::domain::annotation::ModelVersion;
use crate::domain::label::Label;
use crate::fhir::author;
use crate::registry::{Lineup, LoadedModel};
use crate::store::{Comparison, Disagreement, DisagreementCursor};

/// Documents of a page of disagreements, if the client does not say.
const COUNT_DEFAULT: usize = 50;

/// Most documents of a page of disagreements.
const COUNT_MAX: usize = 500;

/// `GET /models`: every model that is loaded.
pub async fn list(api: Data<Api>) -> HttpResponse {
    HttpResponse::Ok().json(lineup_view(&api.registry.lineup(), None))
}

/// `GET /models/{name}`
pub async fn read(api: Data<Api>, name: Path<String>) -> Result<HttpResponse, ApiError> {
    let lineup = api.registry.lineup();
    let model = lineup.named(&name).ok_or(ApiError::ModelUnknown)?;
    Ok(HttpResponse::Ok().json(model_view(&lineup, model)))
}

/// `GET /models/{name}/card`: what the model is good for, in words.
pub async fn card(api: Data<Api>, name: Path<String>) -> Result<HttpResponse, ApiError> {
    let lineup = api.registry.lineup();
    let model = lineup.named(&name).ok_or(ApiError::ModelUnknown)?;
    let card = model.card.as_ref().ok_or(ApiError::NoCard)?;
    Ok(HttpResponse::Ok()
        .content_type("text/markdown; charset=utf-8")
        // As text and nothing else: a card comes with a model, from who knows where.
        .insert_header(("x-content-type-options", "nosniff"))
        .body(card.text().to_owned()))
}

/// The body of `$reload`: nothing can be asked for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadOptions {}

/// `POST /models/$reload`: reads the settings again and switches the models.
pub async fn reload(api: Data<Api>, request: HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let ReloadOptions {} = options(&request, payload).await?;
    let reloaded = api.switch.reload().await?;
    Ok(HttpResponse::Ok().json(lineup_view(&api.registry.lineup(), Some(reloaded.restart_needed))))
}

/// The parameters of an agreement.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementQuery {
    count: Option<usize>,
    after: Option<Uuid>,
}

/// `GET /models/{a}/agreement/{b}`: what two models said of the same documents.
pub async fn agreement(
    api: Data<Api>,
    path: Path<(String, String)>,
    query: Result<Query<AgreementQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let query = query.map_err(|_| ApiError::SearchParameter("count, after"))?.into_inner();
    let count = query.count.unwrap_or(COUNT_DEFAULT).min(COUNT_MAX);
    let (a, b) = (resolve(&api, &path.0).await?, resolve(&api, &path.1).await?);
    let Comparison { agreement, not_asked } = api.store.compare(&a, &b).await?;
    let after = query.after.map(DisagreementCursor);
    // One more than asked for tells whether there is a next page.
    let mut differ = api.store.disagreements(&a, &b, after, count + 1).await?;
    let more = differ.len() > count;
    differ.truncate(count);
    let next = differ.last().filter(|_| more).map(|last| format!("?count={count}&after={}", last.cursor.0));
    Ok(HttpResponse::Ok().json(AgreementView {
        a: VersionView::of(&a),
        b: VersionView::of(&b),
        documents: agreement.documents(),
        not_asked,
        same: agreement.same(),
        agreement: agreement.observed(),
        kappa: agreement.kappa(),
        labels: Label::ALL.map(Label::code),
        confusion: agreement.confusion(),
        differ: DifferView {
            total: agreement.documents() - agreement.same(),
            documents: differ.iter().map(DocumentView::of).collect(),
            next,
        },
    }))
}

/// The Device of a loaded model, with what its card says in short.
pub fn device(model: &LoadedModel) -> Result<String, AuthoringError> {
    let note = model.card.as_ref().map(|card| {
        let summary = card.summary().map(|summary| format!("{summary}\n\n")).unwrap_or_default();
        format!("{summary}The whole model card: GET /models/{}/card", model.name)
    });
    author::device(model.version(), note)
}

/// The model that is meant: the name of a loaded one, or the id of one that has annotated something or is loaded,
/// followed, where several have the id, by `@` and its version or the first digits of its SHA-256.
async fn resolve(api: &Api, text: &str) -> Result<ModelVersion, ApiError> {
    let lineup = api.registry.lineup();
    if let Some(model) = lineup.named(text) {
        return Ok(model.version().clone());
    }
    let mut parts = text.split('@');
    let id = parts.next().unwrap_or_default();
    let mut found = api.store.models_with_id(id).await?;
    for model in lineup.models().map(|model| model.version()).filter(|version| version.id == id) {
        if !found.iter().any(|known| known.sha256 == model.sha256) {
            found.push(model.clone());
        }
    }
    for part in parts {
        let digits = part.to_ascii_lowercase();
        found.retain(|model| model.version == part || !part.is_empty() && model.sha256.hex().starts_with(&digits));
    }
    match found.len() {
        0 => Err(ApiError::ModelUnknown),
        1 => Ok(found.remove(0)),
        _ => Err(ApiError::ModelAmbiguous),
    }
}

/// Which model, for people and programs.
#[derive(Serialize)]
pub struct VersionView {
    id: String,
    version: String,
    sha256: String,
}

impl VersionView {
    /// Of this model.
    pub fn of(model: &ModelVersion) -> Self {
        Self { id: model.id.clone(), version: model.version.clone(), sha256: model.sha256.hex() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineupView {
    models: Vec<ModelView>,
    /// Settings that differ from those that hold, after a reload.
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_needed: Option<Vec<&'static str>>,
}

#[expect(clippy::struct_excessive_bools, reason = "the members of a JSON object, each a fact of its own")]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelView {
    name: String,
    #[serde(flatten)]
    version: VersionView,
    layout: &'static str,
    labels: Vec<LabelView>,
    categories: bool,
    cancer: bool,
    active_for: Vec<String>,
    shadow: bool,
    calibration: Option<CalibrationView>,
    card: bool,
    device: String,
    running: bool,
}

/// One of the model's own labels, and what it is to us.
#[derive(Serialize)]
struct LabelView {
    name: String,
    label: &'static str,
}

/// What makes the model's scores probabilities.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CalibrationView {
    /// Divides the logits of one window.
    temperature: f32,
    /// How the readings of a document are pooled, if that was fitted.
    document: Option<DocumentScale>,
    /// Reports of the site that it was fitted to; none if the fit came with the model.
    site_reports: Option<usize>,
}

impl CalibrationView {
    /// None for a model that nobody has calibrated: a temperature of one changes nothing.
    fn of(loaded: &LoadedModel) -> Option<Self> {
        let model = loaded.model();
        let calibrated = model.document_scale.is_some() || model.temperature.to_bits() != 1.0_f32.to_bits();
        calibrated.then_some(Self {
            temperature: model.temperature,
            document: model.document_scale,
            site_reports: loaded.fitted_to,
        })
    }
}

fn lineup_view(lineup: &Lineup, restart_needed: Option<Vec<&'static str>>) -> LineupView {
    LineupView { models: lineup.models().map(|model| model_view(lineup, model)).collect(), restart_needed }
}

fn model_view(lineup: &Lineup, loaded: &LoadedModel) -> ModelView {
    let model = loaded.model();
    let answers = lineup.sources().filter(|(_, active)| active.name == loaded.name);
    ModelView {
        name: loaded.name.clone(),
        version: VersionView::of(loaded.version()),
        layout: model.layout.name(),
        labels: model.labels.iter().map(|own| LabelView { name: own.name.clone(), label: own.label.code() }).collect(),
        categories: !model.categories.is_empty(),
        cancer: model.tells_cancer(),
        active_for: answers.map(|(source, _)| source.as_str().to_owned()).collect(),
        shadow: lineup.is_shadow(loaded),
        calibration: CalibrationView::of(loaded),
        card: loaded.card.is_some(),
        device: format!("Device/{}", author::device_id(loaded.version())),
        running: !loaded.classifier.is_stopped(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgreementView {
    a: VersionView,
    b: VersionView,
    documents: u64,
    not_asked: u64,
    same: u64,
    agreement: Option<f64>,
    kappa: Option<f64>,
    labels: [&'static str; 3],
    confusion: [[u64; 3]; 3],
    differ: DifferView,
}

#[derive(Serialize)]
struct DifferView {
    total: u64,
    documents: Vec<DocumentView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A document by its reference, and nothing of what it says.
#[derive(Serialize)]
struct DocumentView {
    source: String,
    report: String,
    version: i32,
    a: &'static str,
    b: &'static str,
}

impl DocumentView {
    fn of(document: &Disagreement) -> Self {
        Self {
            report: document.report.relative(),
            source: document.report.source.as_str().to_owned(),
            version: document.version,
            a: document.a.code(),
            b: document.b.code(),
        }
    }
}
