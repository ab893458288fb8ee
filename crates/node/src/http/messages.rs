//! `/api/v1/messages`: sending, changing, reading and deleting, for those who hold no socket.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::api::{Change, MessageVersion, NewMessage, NewText, Read, Sent, Versions};
use switchboard_protocol::client_frame::{ReadMark, parse_id};
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ClientFrame, ErrorCode, MessageId, Status};
use switchboard_store::{Entry, Event, Version};

use super::caller::{admit, authenticate};
use super::change::{answer, change, set};
use super::held::hold;
use super::{NodeData, bytes_of_text, fill};
use crate::commands::{self, Done, act};
use crate::packet::{data, shown_subject};
use crate::problem::ApiError;

/// Sends a message, to a user or to a conversation. 200 instead of 201 says that it existed already.
#[utoipa::path(post, path = "/api/v1/messages", operation_id = "send_message", tag = "messages", request_body = NewMessage,
    responses((status = 201, body = Sent), (status = 200, body = Sent), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn send(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let done = change(&node, &request, payload, "send_message", &[]).await?;
    let mut response = match done {
        Done::Now(_) => HttpResponse::Created(),
        Done::Before(_) => HttpResponse::Ok(),
    };
    let Entry { seq, event: Event::Sent(message), .. } = done.entry() else {
        return Err(commands::broken());
    };
    Ok(response.json(Sent {
        seq: *seq,
        message_id: message.id,
        status: Status::Success,
        client_message_id: message.client_message_id.clone(),
        data: data(message),
    }))
}

/// Changes the text of a message that the caller sent. Answers `message_edited`.
#[utoipa::path(patch, path = "/api/v1/messages/{id}", operation_id = "edit_message", tag = "messages", params(("id" = MessageId, Path)),
    request_body = NewText, responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn edit(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    answer(&change(&node, &request, payload, "edit_message", &[("message_id", &path)]).await?)
}

/// What a message said before it was changed, newest first, to everybody who sees it.
#[utoipa::path(get, path = "/api/v1/messages/{id}/versions", operation_id = "list_versions", tag = "messages", params(("id" = MessageId, Path)),
    responses((status = 200, body = Versions), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn versions(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let (message, reader) = (message_of(&path)?, caller.account);
    let found = node.with_store(|store| async move { store.versions(&reader, message).await }).await?;
    let mut found = found.ok_or_else(missing)?;
    if !node.settings.keep_versions {
        // Nor what was kept while others were.
        found.clear();
    }
    let (found, _older) =
        fill(found, i64::MAX, |version| bytes_of_text(&version.subject) + bytes_of_text(&version.content));
    let versions = found.into_iter().map(|Version { subject, content, until }| MessageVersion {
        subject: shown_subject(&subject).to_owned(),
        content,
        until,
    });
    Ok(hold(HttpResponse::Ok().json(Versions { versions: versions.collect() }), permit))
}

/// Sets a reaction to a message: 1 to 64 bytes, usually an emoji. Answers `message_reaction`.
#[utoipa::path(put, path = "/api/v1/messages/{id}/reactions/{reaction}", operation_id = "set_reaction", tag = "messages",
    params(("id" = MessageId, Path), ("reaction" = String, Path)),
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn react(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let path = [("message_id", path.0.as_str()), ("reaction", &path.1)];
    answer(&set(&node, &request, "set_reaction", r#"{"is_set": true}"#, &path).await?)
}

/// Takes a reaction back. Answers `message_reaction`.
#[utoipa::path(delete, path = "/api/v1/messages/{id}/reactions/{reaction}", operation_id = "take_reaction_back", tag = "messages",
    params(("id" = MessageId, Path), ("reaction" = String, Path)),
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn take_reaction_back(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let path = [("message_id", path.0.as_str()), ("reaction", &path.1)];
    answer(&set(&node, &request, "set_reaction", r#"{"is_set": false}"#, &path).await?)
}

/// Marks a received message as read. A repeat changes nothing.
#[utoipa::path(post, path = "/api/v1/messages/{id}/read", operation_id = "read_message", tag = "messages", params(("id" = MessageId, Path)),
    responses((status = 200, body = Read), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn read(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let message_id = message_of(&path)?;
    let frame = ClientFrame::MarkAsRead(ReadMark::Message { message_id });
    let done = act(&node, caller.actor(), frame).await?;
    let Entry { seq, unread, .. } = done.entry();
    let body = Read { seq: *seq, message_id, status: Status::Success, unread_count: *unread };
    Ok(HttpResponse::Ok().json(body))
}

/// Deletes a message: the sender's for all, the recipient's for themselves. A repeat changes nothing.
#[utoipa::path(delete, path = "/api/v1/messages/{id}", operation_id = "delete_message", tag = "messages", params(("id" = MessageId, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    set(&node, &request, "delete_message", "{}", &[("message_id", &path)]).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What is no id names nothing.
pub(super) fn message_of(path: &str) -> Result<MessageId, ApiError> {
    parse_id(path).map(MessageId).ok_or_else(missing)
}

fn missing() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no such message")
}
