//! Groups: conversations that are made, and that have a title, members and owners.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::api::{Change, NewGroup, NewMembers, NewRole, NewTitle};
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ConversationId, UserId};

use super::NodeData;
use super::change::{answer, change, set};
use crate::commands::Done;
use crate::problem::ApiError;

/// Makes a group, owned by the caller. 200 instead of 201 says that it existed already. Answers `group_changed`.
#[utoipa::path(post, path = "/api/v1/conversations", operation_id = "create_group", tag = "conversations", request_body = NewGroup,
    responses((status = 201, body = Change), (status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let done = change(&node, &request, payload, "create_group", &[]).await?;
    let mut response = answer(&done)?;
    if matches!(done, Done::Now(_)) {
        *response.status_mut() = actix_web::http::StatusCode::CREATED;
    }
    Ok(response)
}

/// Gives a group another title. Answers `group_changed`.
#[utoipa::path(patch, path = "/api/v1/conversations/{id}", operation_id = "set_title", tag = "conversations", params(("id" = ConversationId, Path)),
    request_body = NewTitle, responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_title(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    answer(&change(&node, &request, payload, "set_title", &[("conversation_id", &path)]).await?)
}

/// Adds members to a group. Answers `group_changed`.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/members", operation_id = "add_members", tag = "conversations",
    params(("id" = ConversationId, Path)), request_body = NewMembers,
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_members(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    answer(&change(&node, &request, payload, "add_members", &[("conversation_id", &path)]).await?)
}

/// Gives a member of a group another role. Answers `group_changed`.
#[utoipa::path(put, path = "/api/v1/conversations/{id}/members/{user_id}", operation_id = "set_role", tag = "conversations",
    params(("id" = ConversationId, Path), ("user_id" = UserId, Path)), request_body = NewRole,
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_role(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let path = [("conversation_id", path.0.as_str()), ("user_id", &path.1)];
    answer(&change(&node, &request, payload, "set_role", &path).await?)
}

/// Takes a member out of a group; oneself, to leave it. Answers `group_changed`.
#[utoipa::path(delete, path = "/api/v1/conversations/{id}/members/{user_id}", operation_id = "remove_member", tag = "conversations",
    params(("id" = ConversationId, Path), ("user_id" = UserId, Path)),
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_member(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let path = [("conversation_id", path.0.as_str()), ("user_id", &path.1)];
    answer(&set(&node, &request, "remove_member", "{}", &path).await?)
}
