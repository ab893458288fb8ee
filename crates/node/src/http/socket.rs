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
use crate::problem::ApiError;
use crate::session::{self, Opening};
use crate::transport::ActixWebSocket;

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
    let (response, transport) =
        ActixWebSocket::upgrade(&request, body).map_err(|_no_handshake| no_handshake())?;
    let address = told_address(&node, &request);
    let opening = Opening { account: caller.account, expires_at: caller.expires_at, lease, cursor, address };
    let node = Arc::clone(&node);
    let sessions = node.sessions.clone();
    rt::spawn(sessions.track_future(async move {
        let _open = node.metrics.session_opened("websocket");
        session::run(&node, transport, opening, place).await;
        drop(permit);
    }));
    Ok(response)
}

fn no_handshake() -> ApiError {
    ApiError::new(ErrorCode::UpgradeRequired, "this path is for WebSocket handshakes")
}
