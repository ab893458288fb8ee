//! `GET /api/v1/search`: the caller's own messages by the words in them.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::ErrorCode;
use switchboard_protocol::api::{SearchPage, SearchQuery};
use switchboard_protocol::limits::SUBJECT_CHARS;
use switchboard_protocol::problem::Problem;
use switchboard_store::Found;

use super::caller::{admit, authenticate};
use super::held::hold;
use super::{NodeData, bytes_of_message, fill, page_size};
use crate::packet::data;
use crate::problem::ApiError;

/// Words in one search.
const WORDS: usize = 8;

/// Messages that the caller sent or received and sees, and in which all of the words stand.
#[utoipa::path(get, path = "/api/v1/search", operation_id = "search", tag = "messages", params(SearchQuery),
    responses((status = 200, body = SearchPage), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn search(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<SearchQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let SearchQuery { query, before, limit } = query.into_inner();
    let words = words(query)?;
    let (limit, reader) = (page_size(limit), caller.account);
    // Each looks at many rows: no more than a few at a time.
    let turn = node.list_turns.acquire().await;
    let look = async |limit| {
        let (reader, words) = (reader.clone(), words.clone());
        node.with_store(|store| async move { store.search(&reader, &words, before, limit).await }).await
    };
    let mut found: Found = look(limit).await?;
    let (messages, is_cut) = fill(found.messages, limit, bytes_of_message);
    found.messages = messages;
    if is_cut {
        // Only the store knows where to go on, and it says so of what it gives.
        found = look(i64::try_from(found.messages.len()).unwrap_or(limit)).await?;
    }
    drop(turn);
    let messages = found.messages.iter().map(data).collect();
    Ok(hold(HttpResponse::Ok().json(SearchPage { messages, before: found.before }), permit))
}

fn words(query: Option<String>) -> Result<String, ApiError> {
    let query = query.unwrap_or_default();
    let n_words = query.split_whitespace().count();
    if n_words == 0 {
        return Err(ApiError::new(ErrorCode::MissingField, "`query` is missing"));
    }
    if n_words > WORDS || query.chars().count() > SUBJECT_CHARS || query.contains('\0') {
        let sentence = "`query` must be at most 8 words of 255 characters in all, without U+0000";
        return Err(ApiError::new(ErrorCode::InvalidField, sentence));
    }
    Ok(query)
}
