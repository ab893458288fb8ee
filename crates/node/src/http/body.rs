//! The JSON body of a request: bounded in size and in time.

use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, mime, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use switchboard_protocol::ErrorCode;
use switchboard_protocol::limits::FRAME_BYTES;
use tokio::time::timeout;

use crate::problem::ApiError;

/// A body has all come by then, or never will.
const DEADLINE: Duration = Duration::from_secs(30);

/// Reads a body of type `application/json`, no larger than a frame may be.
///
/// # Errors
/// `unsupported_media_type`, `frame_too_large`, `invalid_json`.
pub(super) async fn text(request: &HttpRequest, mut body: web::Payload) -> Result<String, ApiError> {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.parse::<mime::Mime>().ok());
    // A form of another site could send any other type without asking.
    if media_type.is_none_or(|media_type| media_type.essence_str() != "application/json") {
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType, "the body must be `application/json`"));
    }
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            let piece =
                piece.map_err(|_cut| ApiError::new(ErrorCode::InvalidJson, "the body was cut off"))?;
            if bytes.len() + piece.len() > FRAME_BYTES {
                let sentence = format!("a body may have {FRAME_BYTES} bytes");
                return Err(ApiError::new(ErrorCode::FrameTooLarge, sentence));
            }
            bytes.extend_from_slice(&piece);
        }
        String::from_utf8(bytes).map_err(|_binary| ApiError::new(ErrorCode::InvalidJson, "Invalid JSON"))
    };
    match timeout(DEADLINE, reading).await {
        Ok(result) => result,
        Err(_elapsed) => Err(ApiError::new(ErrorCode::InvalidJson, "the body did not come in time")),
    }
}

/// Reads a body of type `application/json` into what it must be.
///
/// # Errors
/// Those of [`text`], and `invalid_field`.
pub(super) async fn json<T: DeserializeOwned>(
    request: &HttpRequest,
    body: web::Payload,
) -> Result<T, ApiError> {
    let text = text(request, body).await?;
    serde_json::from_str(&text).map_err(|error| {
        if error.is_data() {
            // The parser's words would quote what was sent, which may be a password.
            ApiError::new(ErrorCode::InvalidField, "a field is missing or of another type than it must be")
        } else {
            ApiError::new(ErrorCode::InvalidJson, "Invalid JSON")
        }
    })
}
