//! `GET /api/v1/users`: whom one may write to.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::api::{UsersPage, UsersQuery};
use switchboard_protocol::limits::NAME_CHARS;
use switchboard_protocol::problem::Problem;
use switchboard_protocol::server_frame::User;
use switchboard_protocol::{ErrorCode, UserId};
use switchboard_store::Person;

use super::caller::{admit, authenticate};
use super::held::hold;
use super::{NodeData, bytes_of_text, fill, page_size};
use crate::problem::ApiError;

/// Users by id, all or those with a name, to whom the caller may write.
#[utoipa::path(get, path = "/api/v1/users", operation_id = "list_users", tag = "users", params(UsersQuery),
    responses((status = 200, body = UsersPage), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn page(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<UsersQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let UsersQuery { query, after, limit } = query.into_inner();
    let (limit, after) = (page_size(limit), after.unwrap_or(UserId(0)));
    let query = query.filter(|query| !query.trim().is_empty());
    if query.as_ref().is_some_and(|query| query.chars().count() > NAME_CHARS || query.contains('\0')) {
        return Err(ApiError::new(
            ErrorCode::InvalidField,
            "`query` is longer than a name can be, or no text",
        ));
    }
    let (reader, only_in_groups) = (caller.account.id, node.settings.only_in_groups);
    let people = node.with_store(|store| async move {
        let query = query.as_deref().map(str::trim);
        store.list_users(query, after, limit + 1, reader, only_in_groups).await
    });
    let (people, has_more) = fill(people.await?, limit, |person| bytes_of_text(&person.full_name));
    let after = people.last().filter(|_| has_more).map(|person| person.id);
    let body = UsersPage { users: people.iter().map(user).collect(), after };
    Ok(hold(HttpResponse::Ok().json(body), permit))
}

pub(super) fn user(person: &Person) -> User {
    User { id: person.id, username: person.username.clone(), full_name: person.full_name.clone() }
}
