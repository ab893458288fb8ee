//! Whether the process runs, whether it should get traffic, and what it has counted.
//!
//! What is for operators may have an address of its own, which answers until the process ends: later than the node.

use std::sync::Weak;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::json;
use switchboard_protocol::ErrorCode;

use super::NodeData;
use crate::commands::draining;
use crate::problem::ApiError;
use crate::state::{Node, Readiness};

/// The node, as long as it is there.
pub(crate) type WeakNodeData = web::Data<Weak<Node>>;

pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

pub(super) async fn ready(node: NodeData) -> HttpResponse {
    tell(node.readiness())
}

pub(super) async fn ready_to_operator(node: WeakNodeData) -> HttpResponse {
    tell(node.upgrade().map_or(Readiness::Draining, |node| node.readiness()))
}

/// A channel layer that is down is named, and no reason to empty the fleet: the sweep delivers.
fn tell(readiness: Readiness) -> HttpResponse {
    let (code, status, reason) = match readiness {
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
    written(&node)
}

pub(super) async fn metrics_to_operator(node: WeakNodeData) -> Result<HttpResponse, ApiError> {
    written(&*node.upgrade().ok_or_else(draining)?)
}

fn written(node: &Node) -> Result<HttpResponse, ApiError> {
    let text = node.metrics.encode(node);
    let text = text.map_err(|_error| ApiError::new(ErrorCode::Internal, "the metrics cannot be written"))?;
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}
