//! Whether the process runs, whether it should get traffic, and what it has counted.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;
use switchboard_protocol::ErrorCode;

use super::NodeData;
use crate::problem::ApiError;
use crate::state::Readiness;

pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// A channel layer that is down is named, and no reason to empty the fleet: the sweep delivers.
pub(super) async fn ready(node: NodeData) -> HttpResponse {
    let (code, status, reason) = match node.readiness() {
        Readiness::Ready => (StatusCode::OK, "ready", None),
        Readiness::Degraded(reason) => (StatusCode::OK, "degraded", Some(reason)),
        Readiness::StoreDown => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", Some("the store does not answer"))
        }
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining", None),
    };
    HttpResponse::build(code).json(json!({ "status": status, "reason": reason }))
}

pub(super) async fn metrics(node: NodeData) -> Result<HttpResponse, ApiError> {
    let text = node.metrics.encode(&node.layer.counters(), node.layer.status());
    let text = text.map_err(|_error| ApiError::new(ErrorCode::Internal, "the metrics cannot be written"))?;
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}
