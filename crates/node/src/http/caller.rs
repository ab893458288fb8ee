//! Who asks: a token, an API key, a ticket or a cookie in the head of the request.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use switchboard_protocol::client_frame::parse_id;
use switchboard_protocol::{ErrorCode, Seq, Timestamp, UserId};
use switchboard_store::{Account, Redeemed};
use tokio::time::timeout;

use super::access;
use crate::auth::{
    API_KEY_PREFIX, AuthError, Claims, Subject, bearer, is_secret, secret_hash, session_token,
};
use crate::commands::{Actor, draining, too_fast};
use crate::limits::{ConnectionPermit, HandshakePlace, RetryAfter};
use crate::problem::ApiError;
use crate::revocations::{Admission, Credential, Lease};
use crate::state::Node;

/// The user on whose behalf a back end asks that shows an API key, or whom a page takes its session to be of.
const ON_BEHALF: &str = "Switchboard-User";

/// Who asks.
pub(crate) struct Caller {
    pub(crate) account: Account,
    pub(crate) credential: Credential,
    /// When their credentials end.
    pub(crate) expires_at: Timestamp,
    /// What was known of revocations before the credentials were looked up.
    since: Seq,
}

impl Caller {
    /// Who asks, for what is carried out.
    pub(crate) fn actor(&self) -> Actor {
        Actor { user: self.account.id, mailbox: self.account.mailbox }
    }

    /// How long their credentials still count.
    pub(crate) fn time_left(&self) -> Duration {
        time_until(self.expires_at)
    }

    /// What ends with their credentials.
    pub(crate) fn lease(&self, node: &Node) -> Lease {
        let Account { id: user, tokens_valid_from: valid_from, .. } = self.account;
        node.revocations.register(Admission { user, credential: self.credential, valid_from }, self.since)
    }
}

/// From now; nothing if it has passed.
pub(crate) fn time_until(time: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(time.0.saturating_sub(Timestamp::now().0)).unwrap_or(0))
}

/// The address that a request came from, as far as proxies are trusted.
pub(crate) fn client_address(node: &Node, request: &HttpRequest) -> Option<IpAddr> {
    node.edge.client_address(peer(request), request.headers())
}

/// The same for the log: only if it is to tell addresses.
pub(crate) fn told_address(node: &Node, request: &HttpRequest) -> Option<IpAddr> {
    node.settings.log_addresses.then(|| client_address(node, request)).flatten()
}

fn peer(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|address| address.ip())
}

/// Whether the client came over TLS.
pub(crate) fn is_secure(node: &Node, request: &HttpRequest) -> bool {
    node.edge.is_secure(peer(request), request.headers())
}

/// Refuses a request without a cookie that would get one, if another site's page makes it.
pub(crate) fn check_origin_of_login(node: &Node, request: &HttpRequest) -> Result<(), ApiError> {
    let checked = node.edge.check_origin_of_login(request.headers(), peer(request));
    Ok(checked?)
}

/// Authenticates a request by its head. Credentials that do not count are counted against the address that they came
/// from; an address with too many of them is told to wait, but never one with good credentials, or none.
pub(crate) async fn authenticate(node: &Node, request: &HttpRequest) -> Result<Caller, ApiError> {
    authenticate_with(node, request, None).await
}

/// The same for what stays open, which a ticket opens too. Who is not logged in is forbidden to open it, as in the
/// former system.
pub(crate) async fn authenticate_opening(
    node: &Node,
    request: &HttpRequest,
    ticket: Option<&str>,
) -> Result<Caller, ApiError> {
    let has_token = ticket.is_some() || request.headers().contains_key("authorization");
    authenticate_with(node, request, ticket).await.map_err(|error| match error.problem().code {
        ErrorCode::Unauthorized if !has_token => error.with_status(StatusCode::FORBIDDEN),
        _ => error,
    })
}

async fn authenticate_with(
    node: &Node,
    request: &HttpRequest,
    ticket: Option<&str>,
) -> Result<Caller, ApiError> {
    let since = node.revocations.cursor();
    let found = match look_up(node, request, ticket).await? {
        Ok((account, ..)) if account.disabled => Err(AuthError::Invalid),
        found => found,
    };
    match found {
        Ok((account, credential, expires_at)) => {
            access::known(request, account.id);
            Ok(Caller { account, credential, expires_at, since })
        }
        Err(error) => Err(refuse(node, request, error)),
    }
}

fn refuse(node: &Node, request: &HttpRequest, error: AuthError) -> ApiError {
    if error == AuthError::Missing {
        // Nothing was tried: a page asks who is logged in before anybody is, and must not use up its address.
        return error.into();
    }
    let address = client_address(node, request);
    if let Some(wait) = address.and_then(|address| node.limits.is_blocked(address)) {
        return ApiError::new(ErrorCode::RateLimited, "too many failures to authenticate").retry_after(wait);
    }
    address.inspect(|address| node.limits.record_failure(*address));
    error.into()
}

type Found = Result<(Account, Credential, Timestamp), AuthError>;

/// The first of a bearer token, a ticket and a cookie decides.
async fn look_up(node: &Node, request: &HttpRequest, ticket: Option<&str>) -> Result<Found, ApiError> {
    let head = request.headers();
    match (bearer(head), ticket) {
        (Ok(key), _) if key.starts_with(API_KEY_PREFIX) => {
            let user = named_user(head)?.ok_or_else(no_user)?;
            by_api_key(node, key, user).await
        }
        (Ok(token), _) => match node.tokens.verify(token) {
            Ok(claims) => by_token(node, claims).await,
            Err(error) => Ok(Err(error)),
        },
        (Err(AuthError::Missing), Some(ticket)) => by_ticket(node, request, ticket).await,
        (Err(AuthError::Missing), None) => by_cookie(node, request).await,
        (Err(error), _) => Ok(Err(error)),
    }
}

/// One that stands twice names nobody: whom a proxy in front of us has checked cannot be known.
fn named_user(head: &HeaderMap) -> Result<Option<UserId>, ApiError> {
    let mut named = head.get_all(ON_BEHALF);
    let Some(value) = named.next() else { return Ok(None) };
    let only = named.next().is_none().then_some(value);
    let user = only.and_then(|value| value.to_str().ok()).and_then(parse_id).ok_or_else(no_user)?;
    Ok(Some(UserId(user)))
}

fn no_user() -> ApiError {
    ApiError::new(ErrorCode::InvalidField, "the header `Switchboard-User` must be the id of a user")
}

async fn by_api_key(node: &Node, key: &str, user: UserId) -> Result<Found, ApiError> {
    let hash = secret_hash(key);
    let found = node.with_store(|store| async move { store.find_by_api_key(&hash, user).await }).await?;
    let found = found.map(|(key, account)| (account, Credential::ApiKey(key), Timestamp(i64::MAX)));
    Ok(found.ok_or(AuthError::Invalid))
}

async fn by_token(node: &Node, claims: Claims) -> Result<Found, ApiError> {
    let Claims { subject, name, issued_at, expires_at } = claims;
    let account = node.with_store(|store| async move {
        match subject {
            Subject::User(user) => store.find_account(user).await,
            Subject::External(subject) => {
                store.account_of_external(&subject, name.as_deref().unwrap_or_default()).await.map(Some)
            }
        }
    });
    let account = account.await?.filter(|account| issued_at >= account.tokens_valid_from);
    Ok(account.map(|account| (account, Credential::Token(issued_at), expires_at)).ok_or(AuthError::Invalid))
}

/// Taking a ticket changes the store: an address with too many failures has to show other credentials first.
async fn by_ticket(node: &Node, request: &HttpRequest, ticket: &str) -> Result<Found, ApiError> {
    let address = client_address(node, request);
    let is_blocked = address.is_some_and(|address| node.limits.is_blocked(address).is_some());
    if is_blocked || !is_secret(ticket) {
        return Ok(Err(AuthError::Invalid));
    }
    let hash = secret_hash(ticket);
    let found = node.with_store(|store| async move { store.redeem_ticket(&hash).await }).await?;
    let found = found.and_then(|Redeemed { account, session, api_key, issued_at, credentials_expire_at }| {
        let credential = match (session, api_key) {
            (Some(session), _) => Credential::Session(session),
            (None, Some(key)) => Credential::ApiKey(key),
            (None, None) if issued_at >= account.tokens_valid_from => Credential::Token(issued_at),
            (None, None) => return None,
        };
        Some((account, credential, credentials_expire_at))
    });
    Ok(found.ok_or(AuthError::Invalid))
}

/// A browser sends its cookie whoever's page makes it do so: only pages of ours may.
async fn by_cookie(node: &Node, request: &HttpRequest) -> Result<Found, ApiError> {
    let Some(token) = session_token(request.headers(), is_secure(node, request)) else {
        return Ok(Err(AuthError::Missing));
    };
    let checked = node.edge.check_origin(request.method(), request.headers(), peer(request));
    checked?;
    let named = named_user(request.headers())?;
    if !is_secret(&token) {
        return Ok(Err(AuthError::Invalid));
    }
    let hash = secret_hash(&token);
    let found = node.with_store(|store| async move { store.find_session(&hash).await }).await?;
    if let (Some(named), Some(session)) = (named, &found)
        && named != session.account.id
    {
        // The cookie is good, so this is no failure to be counted: another page of the same browser logged in.
        return Err(ApiError::new(ErrorCode::Unauthorized, "the session is another user's"));
    }
    let found = found.map(|session| (session.account, Credential::Session(session.id), session.expires_at));
    Ok(found.ok_or(AuthError::Invalid))
}

/// Does what takes a while, such as reading a body, unless the credentials end meanwhile: what a request asks for is
/// done only if they counted less than two seconds before.
pub(crate) async fn while_let_in<T>(
    lease: &Lease,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let value = tokio::select! {
        biased;
        () = lease.ended() => return Err(AuthError::Invalid.into()),
        result = work => result?,
    };
    match timeout(CONFIRM_WAIT, lease.confirmed()).await {
        Ok(Ok(())) => Ok(value),
        Ok(Err(_have_ended)) => Err(AuthError::Invalid.into()),
        Err(_elapsed) => Err(ApiError::new(ErrorCode::StoreUnavailable, "the store is out of reach")),
    }
}

/// How long what is to be handed over is held back until the store says that the credentials still count.
pub(crate) const CONFIRM_WAIT: Duration = Duration::from_secs(5);

/// A place among those that are being let in, for what stays open: taken before anything is looked up, and kept until
/// what is opened is attached. None while draining.
pub(crate) async fn enter(node: &Node) -> Result<HandshakePlace, ApiError> {
    tokio::select! {
        biased;
        () = node.drain.begun() => Err(elsewhere()),
        entered = node.limits.handshakes.enter() => entered.map_err(|wait| {
            ApiError::new(ErrorCode::Overloaded, "too many are being let in here").retry_after(wait)
        }),
    }
}

/// What a node that goes away says to what another one can do. Soon: it is for a balancer to send it there.
pub(crate) fn elsewhere() -> ApiError {
    draining().retry_after(RetryAfter { ms: rand::random_range(100..=1_000) })
}

/// A caller's place among the connections of their user, for as long as it is kept. None for one who asks too often.
pub(crate) fn admit(node: &Node, caller: &Caller) -> Result<ConnectionPermit, ApiError> {
    node.limits.check_request(caller.account.id).map_err(|wait| too_fast("too many requests", wait))?;
    node.limits.acquire(caller.account.id).ok_or_else(|| {
        let sentence = "this user has as many connections as are allowed";
        ApiError::new(ErrorCode::TooManyConnections, sentence)
    })
}
