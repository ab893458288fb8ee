//! `GET /api/v1/conversations/{id}/messages`: a page of a conversation, newest first.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::history::{HistoryPage, HistoryQuery};
use switchboard_protocol::{ConversationId, ErrorCode};

use super::{NodeData, authenticate, store_unavailable};
use crate::packet::data;
use crate::problem::ApiError;

/// Messages in a page, unless asked for fewer or more.
const PAGE: i64 = 50;
const MAX_PAGE: i64 = 200;

pub(super) async fn page(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
    query: web::Query<HistoryQuery>,
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
    Ok(HttpResponse::Ok().json(HistoryPage { messages, before }))
}
