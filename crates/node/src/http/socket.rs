//! `GET /ws/messages/`: the WebSocket.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, rt, web};
use prometheus_client::metrics::gauge::Gauge;
use switchboard_protocol::ErrorCode;
use switchboard_protocol::events::EventsQuery;

use super::{NodeData, admit, authenticate, cursor};
use crate::metrics::Kind;
use crate::problem::ApiError;
use crate::session::{self, Opening};
use crate::transport::ActixWebSocket;

pub(super) async fn connect(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<EventsQuery>,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let cursor = cursor(&query, &caller.account);
    let (response, transport) = ActixWebSocket::upgrade(&request, body).map_err(|_no_handshake| {
        ApiError::new(ErrorCode::UpgradeRequired, "this path is for WebSocket handshakes")
    })?;
    let opening = Opening { account: caller.account, expires_at: caller.expires_at, cursor };
    let node = Arc::clone(&node);
    let sessions = node.sessions.clone();
    rt::spawn(sessions.track_future(async move {
        let _open = Open::count(&node.metrics.sessions.get_or_create_owned(&Kind { kind: "websocket" }));
        session::run(&node, transport, opening).await;
        drop(permit);
    }));
    Ok(response)
}

/// Counts a session for as long as it is there, however it ends.
pub(super) struct Open(Gauge);

impl Open {
    pub(super) fn count(sessions: &Gauge) -> Self {
        sessions.inc();
        Self(sessions.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
