//! What holds for a moment: who writes, and who is there.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::api::{PresenceList, PresenceQuery, Typing, UserPresence};
use switchboard_protocol::client_frame::parse_id;
use switchboard_protocol::limits::WATCHED;
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ClientFrame, ErrorCode, ServerFrame, UserId};

use super::NodeData;
use super::caller::{admit, authenticate};
use super::change::asked;
use super::held::hold;
use crate::commands::broken;
use crate::ephemeral;
use crate::presence::presence_of;
use crate::problem::ApiError;

/// Tells the others in a conversation that the caller is writing, or stopped. Kept nowhere; told too often it is passed over.
#[utoipa::path(post, path = "/api/v1/typing", operation_id = "typing", tag = "conversations", request_body = Typing,
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn typing(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let (caller, frame) = asked(&node, &request, payload, "typing", &[]).await?;
    let ClientFrame::Typing { to, is_typing } = frame else { return Err(broken()) };
    ephemeral::typing(&node, caller.actor(), to, is_typing).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whether users are there. Those with whom the caller shares no conversation are passed over.
#[utoipa::path(get, path = "/api/v1/presence", operation_id = "list_presence", tag = "users", params(PresenceQuery),
    responses((status = 200, body = PresenceList), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn presence(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<PresenceQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let users = users_of(query.user_ids.as_deref())?;
    let frames = presence_of(&node, caller.actor(), &users).await?;
    let presence = frames.into_iter().filter_map(|frame| match frame {
        ServerFrame::Presence { user_id, status, last_seen } => {
            Some(UserPresence { user_id, status, last_seen })
        }
        _ => None,
    });
    Ok(hold(HttpResponse::Ok().json(PresenceList { presence: presence.collect() }), permit))
}

/// Each of those asked for once, by id.
fn users_of(list: Option<&str>) -> Result<Vec<UserId>, ApiError> {
    let list = list.ok_or_else(|| ApiError::new(ErrorCode::MissingField, "`user_ids` is missing"))?;
    let ids: Option<Vec<_>> = list.split(',').map(|id| parse_id(id).map(UserId)).collect();
    let ids = ids.filter(|ids| ids.len() <= WATCHED);
    let mut ids = ids.ok_or_else(|| {
        let sentence = format!("`user_ids` must be at most {WATCHED} ids with commas between them");
        ApiError::new(ErrorCode::InvalidField, sentence)
    })?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
