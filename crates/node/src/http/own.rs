//! What is a user's own: whom they block, and what they chose for themselves.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::UserId;
use switchboard_protocol::api::{Blocks, Change, Settings};
use switchboard_protocol::problem::Problem;

use super::caller::{admit, authenticate};
use super::change::{answer, change, set};
use super::held::hold;
use super::{NodeData, users};
use crate::problem::ApiError;

/// Whom the caller has blocked.
#[utoipa::path(get, path = "/api/v1/blocks", operation_id = "list_blocks", tag = "users",
    responses((status = 200, body = Blocks), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn blocks(node: NodeData, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let user = caller.account.id;
    let blocked = node.with_store(|store| async move { store.blocked(user).await }).await?;
    let users = blocked.iter().map(users::user).collect();
    Ok(hold(HttpResponse::Ok().json(Blocks { users }), permit))
}

/// Blocks a user: they can no longer write to the caller. Answers `block_changed`.
#[utoipa::path(put, path = "/api/v1/blocks/{user_id}", operation_id = "block", tag = "users", params(("user_id" = UserId, Path)),
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn block(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    answer(&set(&node, &request, "set_block", r#"{"is_blocked": true}"#, &[("user_id", &path)]).await?)
}

/// Blocks a user no longer. Answers `block_changed`.
#[utoipa::path(delete, path = "/api/v1/blocks/{user_id}", operation_id = "unblock", tag = "users", params(("user_id" = UserId, Path)),
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn unblock(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    answer(&set(&node, &request, "set_block", r#"{"is_blocked": false}"#, &[("user_id", &path)]).await?)
}

/// What the caller chose for themselves.
#[utoipa::path(get, path = "/api/v1/settings", operation_id = "get_settings", tag = "accounts",
    responses((status = 200, body = Settings), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn settings(node: NodeData, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let user = caller.account.id;
    let send_receipts = node.with_store(|store| async move { store.sends_receipts(user).await }).await?;
    Ok(hold(HttpResponse::Ok().json(Settings { send_receipts }), permit))
}

/// Chooses something else. Answers `receipts_changed`.
#[utoipa::path(put, path = "/api/v1/settings", operation_id = "set_settings", tag = "accounts", request_body = Settings,
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_settings(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    answer(&change(&node, &request, payload, "set_receipts", &[]).await?)
}
