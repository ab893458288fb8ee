//! `GET /messages/get/`: the newest messages, which are read with that. It is all that a polling client has.

use actix_web::http::header::ORIGIN;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::join_all;
use switchboard_protocol::former::{Direction, ListedMessage, Lists, ListsQuery};
use switchboard_protocol::{ErrorCode, MessageId, UserId};
use switchboard_store::{Command, Listed, Outcome};

use super::FormerError;
use crate::auth::ForeignOrigin;
use crate::http::caller::{admit, authenticate};
use crate::http::held::hold;
use crate::http::{NodeData, bytes_of_message, fill};
use crate::packet::{attachment, shown_subject};
use crate::problem::ApiError;
use crate::state::Node;

pub(super) async fn get(node: NodeData, request: HttpRequest) -> Result<HttpResponse, FormerError> {
    let caller = authenticate(&node, &request).await?;
    check_site(&request)?;
    let permit = admit(&node, &caller)?;
    let query = web::Query::<ListsQuery>::from_query(request.query_string());
    let query = query.map_err(|error| {
        ApiError::new(ErrorCode::InvalidField, format!("the query cannot be read: {error}"))
    })?;
    let limit = query.limit.unwrap_or(200).clamp(1, 1_000);
    let (account, before) = (caller.account, query.before);
    let (user, known_unread) = (account.id, account.unread);
    // Long ones take memory: no more than a few at a time.
    let turn = node.list_turns.acquire().await;
    let lists = node.with_store(|store| async move { store.lists(&account, before, limit).await }).await?;
    let (received, _) = fill(lists.received, limit, bytes_of);
    let (sent, _) = fill(lists.sent, limit, bytes_of);
    drop(turn);
    let is_unread = |listed: &&Listed| !listed.message.is_read;
    let unread: Vec<_> = received.iter().filter(is_unread).map(|listed| listed.message.id).collect();
    let unread_count = mark_read(&node, user, &unread).await.unwrap_or(known_unread);
    let received: Vec<_> = received.iter().map(|listed| message(listed, Direction::Received)).collect();
    let sent: Vec<_> = sent.iter().map(|listed| message(listed, Direction::Sent)).collect();
    let archive = archive(&received, &sent, usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(hold(HttpResponse::Ok().json(Lists { received, sent, archive, unread_count }), permit))
}

fn bytes_of(listed: &Listed) -> usize {
    bytes_of_message(&listed.message)
}

/// This changes something though it is a `GET`: a link on another site must not do it. Browsers say where a request
/// comes from (Fetch Metadata).
fn check_site(request: &HttpRequest) -> Result<(), ApiError> {
    let site = request.headers().get("Sec-Fetch-Site").map(|value| value.as_bytes());
    match site {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) if request.headers().contains_key(ORIGIN) => Ok(()),
        Some(_) => Err(ForeignOrigin.into()),
    }
}

/// Marks messages as read and gives the count after that; none if there was nothing to mark, or no answer: then the
/// next poll marks them.
async fn mark_read(node: &Node, reader: UserId, unread: &[MessageId]) -> Option<i64> {
    let mut answers = Vec::new();
    for messages in unread.chunks(Command::MOST_READ) {
        let command = Command::MarkRead { reader, messages: messages.to_vec() };
        answers.push(node.writer.submit(command).await.ok()?);
    }
    let outcomes = join_all(answers).await;
    outcomes.into_iter().rev().find_map(|outcome| match outcome.ok()?.ok()? {
        Outcome::Committed(entries) => entries.first().map(|entry| entry.unread),
        Outcome::Repeated(entry) => Some(entry.unread),
        Outcome::Refused(_) => None,
    })
}

/// Both lists by age, newest first; what one wrote to oneself once.
fn archive(received: &[ListedMessage], sent: &[ListedMessage], limit: usize) -> Vec<ListedMessage> {
    let mut archive: Vec<_> = received.iter().chain(sent).collect();
    archive.sort_by_key(|message| std::cmp::Reverse(message.id));
    archive.dedup_by_key(|message| message.id);
    archive.into_iter().take(limit).cloned().collect()
}

fn message(listed: &Listed, direction: Direction) -> ListedMessage {
    let message = &listed.message;
    ListedMessage {
        id: message.id,
        sender: message.sender_name.clone(),
        sender_id: message.sender,
        recipient: listed.recipient_name.clone(),
        recipient_id: message.recipient,
        subject: shown_subject(&message.subject).to_owned(),
        content: message.content.clone(),
        created_at: message.created_at,
        is_read: message.is_read,
        attachments: message.attachments.iter().map(attachment).collect(),
        direction,
    }
}
