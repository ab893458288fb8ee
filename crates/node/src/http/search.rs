//! `GET /api/v1/messages` and `GET /api/v1/search`: the caller's own messages, all or by the words in them.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::api::{MailQuery, SearchPage, SearchQuery};
use switchboard_protocol::limits::SUBJECT_CHARS;
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ErrorCode, MessageData};
use switchboard_store::{Found, Listed};

use super::caller::{Caller, admit, authenticate};
use super::held::hold;
use super::{NodeData, bytes_of_message, fill, page_size};
use crate::packet::data;
use crate::problem::ApiError;
use crate::state::Node;

/// Words in one search.
const WORDS: usize = 8;

/// Messages that the caller sent or received and sees, newest first. None is read by that.
#[utoipa::path(get, path = "/api/v1/messages", operation_id = "list_own_messages", tag = "messages", params(MailQuery),
    responses((status = 200, body = SearchPage), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn mail(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<MailQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    page(&node, caller, query.into_inner()).await
}

/// Messages that the caller sent or received and sees, and in which all of the words stand.
#[utoipa::path(get, path = "/api/v1/search", operation_id = "search", tag = "messages", params(SearchQuery),
    responses((status = 200, body = SearchPage), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn search(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<SearchQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let SearchQuery { query, before, limit } = query.into_inner();
    if query.as_deref().is_none_or(|query| query.trim().is_empty()) {
        return Err(ApiError::new(ErrorCode::MissingField, "`query` is missing"));
    }
    page(&node, caller, MailQuery { direction: None, query, before, limit }).await
}

async fn page(node: &Node, caller: Caller, query: MailQuery) -> Result<HttpResponse, ApiError> {
    let permit = admit(node, &caller)?;
    let MailQuery { direction, query, before, limit } = query;
    let words = words(query)?;
    let (limit, reader) = (page_size(limit), caller.account);
    // Each looks at many rows: no more than a few at a time.
    let turn = node.list_turns.acquire().await;
    let look = async |limit| {
        let (reader, words) = (reader.clone(), words.clone());
        node.with_store(|store| async move {
            match words {
                Some(words) => store.search(&reader, direction, &words, before, limit).await,
                None => store.mail(&reader, direction, before, limit).await,
            }
        })
        .await
    };
    let mut found: Found = look(limit).await?;
    let (messages, is_cut) = fill(found.messages, limit, |listed| bytes_of_message(&listed.message));
    found.messages = messages;
    if is_cut {
        // Only the store knows where to go on, and it says so of what it gives.
        found = look(i64::try_from(found.messages.len()).unwrap_or(limit)).await?;
    }
    drop(turn);
    let item = |listed: &Listed| {
        let recipient = Some(listed.recipient_name.clone());
        MessageData { recipient, ..data(&listed.message) }
    };
    let messages = found.messages.iter().map(item).collect();
    Ok(hold(HttpResponse::Ok().json(SearchPage { messages, before: found.before }), permit))
}

/// What is searched for; none where nothing is.
fn words(query: Option<String>) -> Result<Option<String>, ApiError> {
    let query = query.unwrap_or_default();
    let n_words = query.split_whitespace().count();
    if n_words > WORDS || query.chars().count() > SUBJECT_CHARS || query.contains('\0') {
        let sentence = "`query` must be at most 8 words of 255 characters in all, without U+0000";
        return Err(ApiError::new(ErrorCode::InvalidField, sentence));
    }
    Ok(Some(query).filter(|_| n_words > 0))
}
