//! Reads a request's body up to the limit, and says clearly when it is over it.

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// How much of a body over the limit is still read and thrown away, so that a client that writes its whole request
/// before it reads gets our answer and not a broken connection.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The body of a write: FHIR JSON of at most `bytes_max`.
pub async fn fhir_json(request: &HttpRequest, payload: Payload, bytes_max: usize) -> Result<Bytes, ApiError> {
    // Asked of every write: a form of another site can send text/plain, but not this.
    if is_json(request) { whole(request, payload, bytes_max).await } else { Err(ApiError::MediaType) }
}

/// The parameters of an operation that may be asked without any: FHIR JSON, or nothing at all.
pub async fn parameters(request: &HttpRequest, payload: Payload) -> Result<Option<Bytes>, ApiError> {
    let body = whole(request, payload, OPTIONS_BYTES_MAX).await?;
    match body.trim_ascii().is_empty() {
        true => Ok(None),
        false if is_json(request) => Ok(Some(body)),
        false => Err(ApiError::MediaType),
    }
}

/// A body of at most `bytes_max`, whatever it is.
pub async fn whole(request: &HttpRequest, payload: Payload, bytes_max: usize) -> Result<Bytes, ApiError> {
    let declared: Option<usize> =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = BytesMut::with_capacity(declared.unwrap_or(0).min(bytes_max));
    let (mut payload, mut read) = (payload.into_inner(), 0_usize);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::BodyBroken)?;
        read += chunk.len();
        if read <= bytes_max {
            body.extend_from_slice(&chunk);
        } else if read > bytes_max.saturating_add(DRAIN_BYTES_MAX) {
            break;
        } else {
            body.clear();
        }
    }
    if read > bytes_max { Err(ApiError::BodyTooLong(bytes_max)) } else { Ok(body.freeze()) }
}

/// Largest body that asks for an operation: a few words.
const OPTIONS_BYTES_MAX: usize = 64 * 1024;

/// The body of an operation that is no FHIR: a JSON object, or nothing. Its Content-Type is asked for in any case.
pub async fn options<T: Default + DeserializeOwned>(request: &HttpRequest, payload: Payload) -> Result<T, ApiError> {
    let body = fhir_json(request, payload, OPTIONS_BYTES_MAX).await.map_err(|error| match error {
        ApiError::MediaType => ApiError::OptionsMediaType,
        ApiError::BodyTooLong(_) => ApiError::Options,
        other => other,
    })?;
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body).map_err(|_| ApiError::Options)
}

fn is_json(request: &HttpRequest) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(mime) = content_type.and_then(|value| value.parse::<mime::Mime>().ok()) else { return false };
    let json = matches!(mime.essence_str(), "application/fhir+json" | "application/json" | "application/json+fhir");
    json && mime.get_param(mime::CHARSET).is_none_or(|charset| charset == mime::UTF_8)
}
