//! `GET /ws/messages/`: the WebSocket.

use std::sync::Arc;

use actix_web::http::header::UPGRADE;
use actix_web::{HttpRequest, HttpResponse, rt, web};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use switchboard_protocol::ErrorCode;
use switchboard_protocol::events::EventsQuery;
use utoipa::IntoParams;

use super::caller::{admit, authenticate_opening, enter, told_address};
use super::{NodeData, cursor};
use crate::limits::{ConnectionPermit, HandshakePlace};
use crate::problem::ApiError;
use crate::session::{self, Opening};
use crate::state::Node;
use crate::transport::{ActixWebSocket, Transport, Upgrade};

/// What opens a WebSocket or an event stream beside the head of the request.
#[derive(Deserialize, IntoParams)]
pub(super) struct TicketQuery {
    /// From `POST /api/v1/auth/ticket`; counts once.
    #[param(value_type = Option<String>)]
    ticket: Option<SecretString>,
}

impl TicketQuery {
    pub(super) fn get(&self) -> Option<&str> {
        self.ticket.as_ref().map(ExposeSecret::expose_secret)
    }
}

pub(super) async fn connect(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<EventsQuery>,
    ticket: web::Query<TicketQuery>,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    if ticket.get().is_some() && !request.headers().contains_key(UPGRADE) {
        // What only looks at a link must not use up the ticket in it.
        return Err(no_handshake());
    }
    let place = enter(&node).await?;
    let caller = authenticate_opening(&node, &request, ticket.get()).await?;
    let permit = admit(&node, &caller)?;
    let lease = caller.lease(&node);
    let cursor = cursor(&query, &caller.account);
    let address = told_address(&node, &request);
    let opening = Opening { account: caller.account, expires_at: caller.expires_at, lease, cursor, address };
    let session = (Arc::clone(node.get_ref()), opening, place, permit);
    match Upgrade::of(&request) {
        Some(upgrade) => {
            let (response, socket) = upgrade.agree(&request).map_err(|_no_handshake| no_handshake())?;
            spawn(session, async { socket.await.ok() });
            Ok(response)
        }
        None => {
            let (response, transport) =
                ActixWebSocket::upgrade(&request, body).map_err(|_no_handshake| no_handshake())?;
            spawn(session, async { Some(transport) });
            Ok(response)
        }
    }
}

/// Serves a session when its transport is there, which it never is for a client that has gone meanwhile.
fn spawn<T: Transport + 'static>(
    (node, opening, place, permit): (Arc<Node>, Opening, HandshakePlace, ConnectionPermit),
    transport: impl Future<Output = Option<T>> + 'static,
) {
    let sessions = node.sessions.clone();
    // What is needed to begin is not kept room for while the session lasts.
    let beginning = Box::pin(async move { session::begin(node, transport.await?, opening, place).await });
    rt::spawn(sessions.track_future(async move {
        // Where it is, since to move it would need room for two.
        let mut session = beginning.await;
        if let Some(session) = &mut session {
            session.run().await;
        }
        drop(permit);
    }));
}

fn no_handshake() -> ApiError {
    ApiError::new(ErrorCode::UpgradeRequired, "this path is for WebSocket handshakes")
}
