//! `/api/v1/auth/…` and `/api/v1/me`: accounts, and the ways to be let in.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::SecretString;
use switchboard_protocol::api::{Login, Me, Register, Ticket};
use switchboard_protocol::limits::NAME_CHARS;
use switchboard_protocol::problem::Problem;
use switchboard_protocol::server_frame::User;
use switchboard_protocol::{ErrorCode, Timestamp};
use switchboard_store::{Account, NewAccount, NewTicket, Store};

use super::access;
use super::caller::{Caller, authenticate, check_origin_of_login, client_address, is_secure};
use super::{NodeData, body};
use crate::auth::{
    Busy, check_full_name, check_new_password, check_username, clear_cookie, new_secret, secret_hash,
    set_cookie,
};
use crate::commands::too_fast;
use crate::problem::ApiError;
use crate::revocations::Credential;
use crate::state::Node;

/// How long a ticket counts: a client uses it at once.
const TICKET_TTL: Duration = Duration::from_secs(30);

/// Makes an account. It does not log in.
#[utoipa::path(post, path = "/api/v1/auth/register", operation_id = "register", tag = "accounts", security(()), request_body = Register,
    responses((status = 201, body = Me), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn register(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    check_origin_of_login(&node, &request)?;
    if !(node.settings.accounts && node.settings.registration) {
        return Err(ApiError::new(ErrorCode::RegistrationClosed, "accounts are made by the operator here"));
    }
    if let Some(address) = client_address(&node, &request) {
        node.limits.check_registration(address).map_err(|wait| too_fast("too many new accounts", wait))?;
    }
    let Register { username, password, full_name } = body::json(&request, payload).await?;
    let password = SecretString::from(password);
    check_username(&username).map_err(invalid)?;
    check_full_name(&full_name).map_err(invalid)?;
    check_new_password(&password, &username).map_err(invalid)?;
    let hash = node.passwords.hash(password).await.map_err(busy)?;
    let account = NewAccount { username, full_name, password_hash: Some(hash) };
    let created = node.with_store(|store| async move { store.create_account(account).await }).await?;
    let account =
        created.ok_or_else(|| ApiError::new(ErrorCode::UsernameTaken, "somebody has this user name"))?;
    Ok(HttpResponse::Created().json(me_of(&node, &account)))
}

pub(super) fn invalid(sentence: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidField, sentence)
}

/// Logs in: sets the session's cookie.
#[utoipa::path(post, path = "/api/v1/auth/login", operation_id = "log_in", tag = "accounts", security(()), request_body = Login,
    responses((status = 200, body = Me), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn log_in(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    check_origin_of_login(&node, &request)?;
    let Login { username, password } = body::json(&request, payload).await?;
    let mut response = HttpResponse::Ok();
    let account = begin_session(&node, &request, username, password.into(), &mut response).await?;
    Ok(response.json(me_of(&node, &account)))
}

/// Lets a user in who knows their password, and adds the cookie to the response. The answer and the time to it are the
/// same for a wrong password, a name that nobody has, and a user who is disabled.
pub(super) async fn begin_session(
    node: &Node,
    request: &HttpRequest,
    username: String,
    password: SecretString,
    response: &mut actix_web::HttpResponseBuilder,
) -> Result<Account, ApiError> {
    let address = client_address(node, request);
    let compared = check_password(node, address, username, password).await?;
    let (account, password_hash) = compared.ok_or_else(wrong_password)?;
    let token = new_secret();
    let (user, hash, ttl) = (account.id, secret_hash(&token), node.settings.session_ttl);
    let expires_at = after(ttl);
    let creating =
        async move |store: Store| store.create_session(user, &password_hash, &hash, expires_at).await;
    // None if the password was changed, or the user disabled, since it was compared.
    node.with_store(creating).await?.ok_or_else(wrong_password)?;
    response.cookie(set_cookie(token, ttl, is_secure(node, request)));
    access::known(request, user);
    Ok(account)
}

/// The account of this name, with the hash of its password, if this is the password. It is a guess until then, and
/// counted.
pub(super) async fn check_password(
    node: &Node,
    address: Option<IpAddr>,
    username: String,
    password: SecretString,
) -> Result<Option<(Account, String)>, ApiError> {
    if !node.settings.accounts {
        return Ok(None);
    }
    if let Some(wait) = node.limits.login_blocked(&username, address) {
        return Err(too_fast("too many failures to log in", wait));
    }
    // Noted before it is known to be one, so that many at once are no way around the limit.
    node.limits.record_login_failure(&username, address);
    let compared = find_by_password(node, username.clone(), password).await;
    if !matches!(compared, Ok(None)) {
        // It was right, or nothing was compared, so that nothing was guessed either.
        node.limits.forgive_login(&username, address);
    }
    compared
}

fn wrong_password() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "unknown user name or wrong password")
}

/// The account of this name, with the hash of its password, if this is the password and it is not disabled.
async fn find_by_password(
    node: &Node,
    username: String,
    password: SecretString,
) -> Result<Option<(Account, String)>, ApiError> {
    // Nobody has a name that the store could not take, and that takes as long as any other name.
    let can_be = username.len() <= 4 * NAME_CHARS && !username.contains('\0');
    let found = match can_be {
        true => node.with_store(|store| async move { store.find_login(&username).await }).await?,
        false => None,
    };
    let (account, hash) = found.unzip();
    let hash = hash.flatten();
    let is_right = node.passwords.verify(password, hash.clone()).await.map_err(busy)?;
    Ok(account.filter(|account| is_right && !account.disabled).zip(hash))
}

pub(super) fn busy(busy: Busy) -> ApiError {
    too_fast("too many log-ins at once", busy.retry_after())
}

fn after(ttl: Duration) -> Timestamp {
    Timestamp(Timestamp::now().0.saturating_add(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)))
}

/// Ends this session, everywhere. Of a token there is nothing to end but its user's tokens, which are not touched.
#[utoipa::path(post, path = "/api/v1/auth/logout", operation_id = "log_out", tag = "accounts",
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn log_out(node: NodeData, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    if let Credential::Session(session) = caller.credential {
        let user = caller.account.id;
        node.with_store(|store| async move { store.end_session(session, user).await }).await?;
    }
    Ok(HttpResponse::NoContent().cookie(clear_cookie(is_secure(&node, &request))).finish())
}

/// A ticket for one WebSocket or event stream, on any node. It ends with what it was made with.
#[utoipa::path(post, path = "/api/v1/auth/ticket", operation_id = "make_ticket", tag = "accounts",
    responses((status = 200, body = Ticket), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn ticket(node: NodeData, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let Caller { account, credential, expires_at, .. } = authenticate(&node, &request).await?;
    let wait = node.limits.check_request(account.id);
    wait.map_err(|wait| too_fast("too many tickets", wait))?;
    let ticket = new_secret();
    let until = after(TICKET_TTL);
    let (session, api_key, issued_at) = match credential {
        Credential::Session(session) => (Some(session), None, Timestamp(0)),
        Credential::ApiKey(key) => (None, Some(key), Timestamp(0)),
        Credential::Token(issued_at) => (None, None, issued_at),
    };
    let new = NewTicket {
        token_hash: secret_hash(&ticket),
        user: account.id,
        session,
        api_key,
        issued_at,
        credentials_expire_at: expires_at,
        expires_at: until,
    };
    node.with_store(|store| async move { store.create_ticket(&new).await }).await?;
    Ok(HttpResponse::Ok().json(Ticket { ticket, expires_at: until }))
}

/// Who asks, and where their mailbox stands.
#[utoipa::path(get, path = "/api/v1/me", operation_id = "me", tag = "accounts",
    responses((status = 200, body = Me), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn me(node: NodeData, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    Ok(HttpResponse::Ok().json(me_of(&node, &caller.account)))
}

pub(super) fn me_of(node: &Node, account: &Account) -> Me {
    Me {
        user: User {
            id: account.id,
            username: account.username.clone(),
            full_name: account.full_name.clone(),
        },
        role: account.role.clone(),
        epoch: account.epoch.clone(),
        cursor: account.last_seq,
        unread_count: account.unread,
        has_password: node.settings.accounts && account.has_password,
    }
}
