//! `/api/v1/conversations`: what they are to a member, and their messages.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::api::{
    Change, Conversation, ConversationDetail, ConversationKind, ConversationMember, ConversationsPage,
    ConversationsQuery, NewConversationSettings, ReadUpTo,
};
use switchboard_protocol::client_frame::{ReadMark, parse_id};
use switchboard_protocol::history::{HistoryPage, HistoryQuery};
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ClientFrame, ConversationId, ErrorCode};
use switchboard_store::{Membership, Message, Party, Talk};

use super::caller::{admit, authenticate};
use super::change::{answer, asked, change};
use super::held::hold;
use super::{NodeData, bytes_of_message, bytes_of_text, fill, page_size, users};
use crate::commands::act;
use crate::packet::data;
use crate::problem::ApiError;

/// The caller's conversations, the one with the latest message first.
#[utoipa::path(get, path = "/api/v1/conversations", operation_id = "list_conversations", tag = "conversations", params(ConversationsQuery),
    responses((status = 200, body = ConversationsPage), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn page(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<ConversationsQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let ConversationsQuery { before, archived, limit } = query.into_inner();
    let (limit, account) = (page_size(limit), caller.account);
    let talks = node
        .with_store(|store| async move { store.conversations(&account, before, archived, limit + 1).await });
    let (talks, has_more) = fill(talks.await?, limit, |talk| {
        talk.last.as_ref().map_or(0, bytes_of_message) + bytes_of_text(&talk.settings.draft)
    });
    let before = talks.last().filter(|_| has_more).map(|talk| talk.position);
    let conversations = talks.iter().map(conversation).collect();
    Ok(hold(HttpResponse::Ok().json(ConversationsPage { conversations, before }), permit))
}

fn conversation(talk: &Talk) -> Conversation {
    let (kind, user, title, member_count) = match &talk.party {
        Party::User(other) => (ConversationKind::Direct, Some(users::user(other)), None, None),
        Party::Group { title, n_members } => {
            (ConversationKind::Group, None, Some(title.clone()), Some(*n_members))
        }
    };
    Conversation {
        id: talk.conversation,
        kind,
        user,
        title,
        member_count,
        last_message: talk.last.as_ref().map(data),
        unread_count: talk.unread,
        settings: talk.settings.clone(),
    }
}

/// A conversation with its members.
#[utoipa::path(get, path = "/api/v1/conversations/{id}", operation_id = "get_conversation", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 200, body = ConversationDetail), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn detail(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let (id, reader) = (conversation_of(&path)?, caller.account);
    let found = node.with_store(|store| async move { store.conversation(&reader, id).await }).await?;
    let (talk, members) = found.ok_or_else(missing)?;
    let member = |Membership { person, role }: &Membership| ConversationMember {
        user: users::user(person),
        role: *role,
    };
    let members = members.iter().map(member).collect();
    let body = ConversationDetail { conversation: conversation(&talk), members };
    Ok(hold(HttpResponse::Ok().json(body), permit))
}

/// A page of a conversation, newest first: of what is before a message, or of what follows one.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/messages", operation_id = "list_messages", tag = "conversations",
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
    let conversation = conversation_of(&path)?;
    let HistoryQuery { before, after, limit } = query.into_inner();
    if before.is_some() && after.is_some() {
        let sentence = "`before` and `after` cannot both be asked for";
        return Err(ApiError::new(ErrorCode::InvalidField, sentence));
    }
    let (limit, reader) = (page_size(limit), caller.account);
    let found = node
        .with_store(|store| async move {
            match after {
                Some(after) => store.history_after(&reader, conversation, after, limit + 1).await,
                None => store.history(&reader, conversation, before, limit + 1).await,
            }
        })
        .await?
        .ok_or_else(missing)?;
    let body = if after.is_some() { newer(found, limit) } else { older(found, limit) };
    Ok(hold(HttpResponse::Ok().json(body), permit))
}

/// A page that may end early at its older end.
fn older(found: Vec<Message>, limit: i64) -> HistoryPage {
    let (found, has_more) = fill(found, limit, bytes_of_message);
    let before = found.last().filter(|_| has_more).map(|message| message.id);
    HistoryPage { messages: found.iter().map(data).collect(), before, after: None }
}

/// A page that may end early at its newer end.
fn newer(mut found: Vec<Message>, limit: i64) -> HistoryPage {
    found.reverse();
    let (found, has_more) = fill(found, limit, bytes_of_message);
    let after = found.last().filter(|_| has_more).map(|message| message.id);
    HistoryPage { messages: found.iter().rev().map(data).collect(), before: None, after }
}

/// Marks what was received in a conversation as read, up to a message. Answers `message_read`.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/read", operation_id = "read_conversation", tag = "conversations",
    params(("id" = ConversationId, Path)), request_body = ReadUpTo,
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn read(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let path = [("conversation_id", path.as_str())];
    let (caller, frame) = asked(&node, &request, payload, "mark_as_read", &path).await?;
    if !matches!(frame, ClientFrame::MarkAsRead(ReadMark::UpTo { .. })) {
        let sentence = "`message_id` must be left out: a conversation is read by `up_to`";
        return Err(ApiError::new(ErrorCode::InvalidField, sentence));
    }
    answer(&act(&node, caller.actor(), frame).await?)
}

/// Changes what a conversation is to the caller. Answers `conversation_changed`.
#[utoipa::path(put, path = "/api/v1/conversations/{id}/settings", operation_id = "set_conversation", tag = "conversations",
    params(("id" = ConversationId, Path)), request_body = NewConversationSettings,
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    answer(&change(&node, &request, payload, "set_conversation", &[("conversation_id", &path)]).await?)
}

/// What is no id names nothing.
fn conversation_of(path: &str) -> Result<ConversationId, ApiError> {
    parse_id(path).map(ConversationId).ok_or_else(missing)
}

fn missing() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no such conversation")
}
