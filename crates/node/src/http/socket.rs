//! `GET /ws/messages/`: the WebSocket.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, rt, web};
use switchboard_protocol::events::EventsQuery;

use super::{NodeData, admit, authenticate, cursor};
use crate::metrics::Kind;
use crate::session::{self, Opening};
use crate::transport::ActixWebSocket;

pub(super) async fn connect(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<EventsQuery>,
    body: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let cursor = cursor(&query, &caller.account);
    let (response, transport) = ActixWebSocket::upgrade(&request, body)?;
    let opening = Opening { account: caller.account, expires_at: caller.expires_at, cursor };
    let node = Arc::clone(&node);
    let sessions = node.sessions.clone();
    rt::spawn(sessions.track_future(async move {
        let open = node.metrics.sessions.get_or_create_owned(&Kind { kind: "websocket" });
        open.inc();
        session::run(&node, transport, opening).await;
        open.dec();
        drop(permit);
    }));
    Ok(response)
}
