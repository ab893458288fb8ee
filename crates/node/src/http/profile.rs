//! `/api/v1/me`, as far as it is changed: the caller's name and their password.

use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::SecretString;
use switchboard_protocol::ErrorCode;
use switchboard_protocol::api::{Me, NewPassword, NewProfile};
use switchboard_protocol::problem::Problem;
use switchboard_store::{Account, Store};

use super::accounts::{busy, check_password, invalid, me_of};
use super::caller::{Caller, authenticate, client_address, while_let_in};
use super::{NodeData, body};
use crate::auth::{check_full_name, check_new_password};
use crate::commands::too_fast;
use crate::problem::ApiError;
use crate::revocations::Credential;
use crate::state::Node;

/// Gives the caller another full name.
#[utoipa::path(patch, path = "/api/v1/me", operation_id = "set_profile", tag = "accounts", request_body = NewProfile,
    responses((status = 200, body = Me), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let NewProfile { full_name } = while_let_in(&caller.lease(&node), body::json(&request, payload)).await?;
    check_full_name(&full_name).map_err(invalid)?;
    check_pace(&node, &caller)?;
    let (user, name) = (caller.account.id, full_name.clone());
    node.with_store(|store| async move { store.rename_user(user, &name).await }).await?;
    let account = Account { full_name, ..caller.account };
    Ok(HttpResponse::Ok().json(me_of(&node, &account)))
}

/// Gives the caller another password, and ends all that they are logged in by but this session.
#[utoipa::path(put, path = "/api/v1/me/password", operation_id = "set_password", tag = "accounts", request_body = NewPassword,
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_password(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let NewPassword { current_password, new_password } =
        while_let_in(&caller.lease(&node), body::json(&request, payload)).await?;
    let (username, new) = (caller.account.username.clone(), SecretString::from(new_password));
    if !(node.settings.accounts && caller.account.has_password) {
        return Err(ApiError::new(ErrorCode::NotFound, "this user has no password here"));
    }
    check_new_password(&new, &username).map_err(invalid)?;
    check_pace(&node, &caller)?;
    // Who is logged in may still guess: they may have found the browser open.
    let compared =
        check_password(&node, client_address(&node, &request), username, current_password.into()).await?;
    let (account, from) = compared.ok_or_else(wrong_password)?;
    let to = node.passwords.hash(new).await.map_err(busy)?;
    let spared = match caller.credential {
        Credential::Session(session) => Some(session),
        Credential::Token(_) | Credential::ApiKey(_) => None,
    };
    let changing = async move |store: Store| store.change_password(account.id, (&from, &to), spared).await;
    // Not if it was changed since it was compared.
    let is_changed = node.with_store(changing).await?;
    if is_changed { Ok(HttpResponse::NoContent().finish()) } else { Err(wrong_password()) }
}

fn check_pace(node: &Node, caller: &Caller) -> Result<(), ApiError> {
    node.limits.check_change(caller.account.id).map_err(|wait| too_fast("too many changes", wait))
}

fn wrong_password() -> ApiError {
    ApiError::new(ErrorCode::WrongPassword, "this is not the current password")
}
