//! `GET /api/v1/conversations/{id}/messages`: a page of a conversation, newest first.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::history::{HistoryPage, HistoryQuery};
use switchboard_protocol::{ConversationId, ErrorCode};

use super::{NodeData, admit, authenticate, store_unavailable};
use switchboard_store::Message;

use crate::packet::data;
use crate::problem::ApiError;

/// Messages in a page, unless asked for fewer or more.
const PAGE: i64 = 50;
const MAX_PAGE: i64 = 200;
/// Bytes of content in a page, unless a single message is larger: the next page has the rest.
const PAGE_BYTES: usize = 1024 * 1024;

pub(super) async fn page(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
    query: web::Query<HistoryQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let _permit = admit(&node, &caller)?;
    let missing = || ApiError::new(ErrorCode::NotFound, "there is no such conversation");
    let conversation: ConversationId = path.parse().map_err(|_not_a_number| missing())?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let (store, before, reader) = (node.source.store.clone(), query.before, caller.account.id);
    let reading = async move { store.history(reader, conversation, before, limit).await };
    let found = node.source.on_backend(reading).await.map_err(|error| store_unavailable(&error))?;
    let found = found.ok_or_else(missing)?;
    let mut bytes = 0;
    let fits = |message: &&Message| {
        bytes += message.content.len();
        bytes <= PAGE_BYTES || bytes == message.content.len()
    };
    let messages: Vec<_> = found.iter().take_while(fits).map(data).collect();
    let is_last = messages.len() == found.len() && i64::try_from(found.len()) != Ok(limit);
    let before = messages.last().filter(|_| !is_last).map(|message| message.message_id);
    Ok(HttpResponse::Ok().json(HistoryPage { messages, before }))
}
