//! `/api/v1/messages`: sending, reading and deleting, for those who hold no socket.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::api::{NewMessage, Read, Sent};
use switchboard_protocol::client_frame::{ReadMark, parse_id};
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ClientFrame, ErrorCode, MessageId, Status};
use switchboard_store::{Entry, Event};

use super::caller::{authenticate, while_let_in};
use super::{NodeData, body};
use crate::commands::{self, Done, act};
use crate::packet::data;
use crate::problem::ApiError;

/// Sends a message. 200 instead of 201 says that it existed already.
#[utoipa::path(post, path = "/api/v1/messages", operation_id = "send_message", tag = "messages", request_body = NewMessage,
    responses((status = 201, body = Sent), (status = 200, body = Sent), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn send(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let text = while_let_in(&caller.lease(&node), body::text(&request, payload)).await?;
    let frame = ClientFrame::parse_body("send_message", &text, &[]);
    let frame = frame.map_err(|error| ApiError::new(error.code, error.message))?;
    let done = act(&node, caller.actor(), frame).await?;
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

/// Deletes a message: the sender's for both, the recipient's for themselves. A repeat changes nothing.
#[utoipa::path(delete, path = "/api/v1/messages/{id}", operation_id = "delete_message", tag = "messages", params(("id" = MessageId, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    act(&node, caller.actor(), ClientFrame::DeleteMessage { message_id: message_of(&path)? }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What is no id names nothing.
pub(super) fn message_of(path: &str) -> Result<MessageId, ApiError> {
    let missing = || ApiError::new(ErrorCode::NotFound, "there is no such message");
    parse_id(path).map(MessageId).ok_or_else(missing)
}
