//! The routes, all on one screen, and who asks.

mod events;
mod health;
mod history;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use switchboard_protocol::{ErrorCode, Seq, Timestamp, events::EventsQuery, ids::MAX_ID};
use switchboard_store::{Account, StoreError};

use crate::auth::{AuthError, bearer};
use crate::limits::ConnectionPermit;
use crate::metrics::Kind;
use crate::problem::{ApiError, query_config, unknown_path, wrong_method};
use crate::state::Node;

/// Every route of a node.
pub(crate) fn routes(service: &mut web::ServiceConfig) {
    let get = |path: &str, handler: actix_web::Route| {
        web::resource(path).route(handler).default_service(wrong_method("GET"))
    };
    service
        .app_data(query_config())
        .service(get("/ws/messages/", web::get().to(socket::connect)))
        .service(get("/api/v1/events", web::get().to(events::poll)))
        .service(get("/api/v1/events/stream", web::get().to(events::stream)))
        .service(get("/api/v1/conversations/{id}/messages", web::get().to(history::page)))
        .service(get("/live", web::get().to(health::live)))
        .service(get("/ready", web::get().to(health::ready)))
        .service(get("/metrics", web::get().to(health::metrics)))
        .default_service(web::to(unknown_path));
}

/// Who asks, as the head of the request says.
pub(crate) struct Caller {
    pub(crate) account: Account,
    /// When their credentials end.
    pub(crate) expires_at: Timestamp,
}

impl Caller {
    /// How long their credentials still count.
    pub(crate) fn time_left(&self) -> Duration {
        time_until(self.expires_at)
    }
}

/// From now; nothing if it has passed.
pub(crate) fn time_until(time: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(time.0 - Timestamp::now().0).unwrap_or(0))
}

/// Authenticates a request by its head alone. What fails is counted against the address that it came from; an
/// address with too many failures is told to wait, but never one with good credentials.
pub(crate) async fn authenticate(node: &Node, request: &HttpRequest) -> Result<Caller, ApiError> {
    let caller = match bearer(request.headers()).and_then(|token| node.tokens.verify(token)) {
        Ok(claims) => {
            let store = node.source.store.clone();
            let found = node.source.on_backend(async move { store.find_account(claims.user).await }).await;
            let account = found
                .map_err(|error| store_unavailable(&error))?
                .filter(|account| !account.disabled && claims.issued_at >= account.tokens_valid_from);
            account.map(|account| Caller { account, expires_at: claims.expires_at }).ok_or(AuthError::Invalid)
        }
        Err(error) => Err(error),
    };
    caller.map_err(|error| {
        node.metrics.refused.get_or_create(&Kind { kind: error.code().as_str() }).inc();
        let address = request.peer_addr().map(|address| address.ip());
        if let Some(wait) = address.and_then(|address| node.limits.is_blocked(address)) {
            return ApiError::new(ErrorCode::RateLimited, "too many failures to authenticate")
                .retry_after(wait);
        }
        address.inspect(|address| node.limits.record_failure(*address));
        error.into()
    })
}

/// A caller's place among the connections of their user, for as long as it is kept. None while draining.
pub(crate) fn admit(node: &Node, caller: &Caller) -> Result<ConnectionPermit, ApiError> {
    let code = if node.stop.is_cancelled() {
        ErrorCode::Draining
    } else if let Some(permit) = node.limits.acquire(caller.account.id) {
        return Ok(permit);
    } else {
        ErrorCode::TooManyConnections
    };
    node.metrics.refused.get_or_create(&Kind { kind: code.as_str() }).inc();
    Err(match code {
        ErrorCode::Draining => ApiError::new(code, "this node is going away"),
        _ => ApiError::new(code, "this user has as many connections as are allowed"),
    })
}

/// Where a feed begins. A cursor of another epoch is one that the mailbox cannot know.
pub(crate) fn cursor(query: &EventsQuery, account: &Account) -> Option<Seq> {
    let foreign = query.epoch.as_ref().is_some_and(|epoch| *epoch != account.epoch);
    query.cursor.map(|cursor| if foreign || cursor.0 < 0 { Seq(MAX_ID) } else { cursor })
}

/// The cause is in the log; the client is told that it may try again.
pub(crate) fn store_unavailable(error: &StoreError) -> ApiError {
    tracing::warn!("a request found the store out of reach: {error}");
    ApiError::new(ErrorCode::StoreUnavailable, "the store is out of reach")
}

/// The node, as actix hands it to a handler.
pub(crate) type NodeData = web::Data<Arc<Node>>;
