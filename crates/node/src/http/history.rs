//! `GET /api/v1/conversations/{id}/messages`: a page of a conversation, newest first.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use switchboard_protocol::{ConversationId, ErrorCode, MessageData, MessageId};

use super::{NodeData, authenticate, store_unavailable};
use crate::packet::data;
use crate::problem::ApiError;

/// Messages in a page, unless asked for fewer or more.
const PAGE: i64 = 50;
const MAX_PAGE: i64 = 200;

#[derive(Deserialize)]
pub(super) struct Query {
    before: Option<MessageId>,
    limit: Option<i64>,
}

#[derive(Serialize)]
struct Page {
    messages: Vec<MessageData>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<MessageId>,
}

pub(super) async fn page(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
    query: web::Query<Query>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let missing = || ApiError::new(ErrorCode::NotFound, "there is no such conversation");
    let conversation: ConversationId = path.parse().map_err(|_not_a_number| missing())?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let (store, before, reader) = (node.source.store.clone(), query.before, caller.account.id);
    let reading = async move { store.history(reader, conversation, before, limit).await };
    let found = node.source.on_backend(reading).await.map_err(|error| store_unavailable(&error))?;
    let messages: Vec<_> = found.ok_or_else(missing)?.iter().map(data).collect();
    let is_full = i64::try_from(messages.len()) == Ok(limit);
    let before = messages.last().filter(|_| is_full).map(|message| message.message_id);
    Ok(HttpResponse::Ok().json(Page { messages, before }))
}
