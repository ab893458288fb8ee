//! `/api/v1/conversations` and their messages.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::api::{Conversation, ConversationsPage, ConversationsQuery};
use switchboard_protocol::client_frame::parse_id;
use switchboard_protocol::history::{HistoryPage, HistoryQuery};
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ConversationId, ErrorCode};
use switchboard_store::Talk;

use super::caller::{admit, authenticate};
use super::held::hold;
use super::{NodeData, fill, page_size, users};
use crate::packet::data;
use crate::problem::ApiError;

/// The caller's conversations, the one with the latest message first.
#[utoipa::path(get, path = "/api/v1/conversations", operation_id = "list_conversations", tag = "messages", params(ConversationsQuery),
    responses((status = 200, body = ConversationsPage), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn page(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<ConversationsQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let (limit, before, account) = (page_size(query.limit), query.before, caller.account);
    let talks =
        node.with_store(|store| async move { store.conversations(&account, before, None, limit + 1).await });
    let (talks, has_more) = fill(talks.await?, limit, |talk| talk.last.as_ref().map_or("", |last| &last.content));
    let before = talks.last().filter(|_| has_more).map(|talk| talk.position);
    let conversations = talks.iter().filter_map(conversation).collect();
    Ok(hold(HttpResponse::Ok().json(ConversationsPage { conversations, before }), permit))
}

fn conversation(talk: &Talk) -> Option<Conversation> {
    let switchboard_store::Party::User(other) = &talk.party else { return None };
    Some(Conversation {
        id: talk.conversation,
        user: users::user(other),
        last_message: data(talk.last.as_ref()?),
        unread_count: talk.unread,
    })
}

/// A page of a conversation, newest first.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/messages", operation_id = "list_messages", tag = "messages",
    params(("id" = ConversationId, Path), HistoryQuery),
    responses((status = 200, body = HistoryPage), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn history(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
    query: web::Query<HistoryQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let missing = || ApiError::new(ErrorCode::NotFound, "there is no such conversation");
    let conversation = parse_id(&path).map(ConversationId).ok_or_else(missing)?;
    let (limit, before, reader) = (page_size(query.limit), query.before, caller.account);
    let found = node
        .with_store(|store| async move { store.history(&reader, conversation, before, limit + 1).await })
        .await?
        .ok_or_else(missing)?;
    let (found, has_more) = fill(found, limit, |message| &message.content);
    let before = found.last().filter(|_| has_more).map(|message| message.id);
    let messages = found.iter().map(data).collect();
    Ok(hold(HttpResponse::Ok().json(HistoryPage { messages, before }), permit))
}
