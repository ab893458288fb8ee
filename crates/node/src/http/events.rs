//! `GET /api/v1/events` and `…/stream`: the same cursor for those who cannot hold a WebSocket.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde_json::value::RawValue;
use switchboard_protocol::events::{Events, EventsQuery};
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ErrorCode, Seq, ServerFrame, Timestamp};
use tokio::time::timeout;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::caller::{CONFIRM_WAIT, admit, authenticate, authenticate_opening, time_until, while_let_in};
use super::socket::{Open, TicketQuery};
use super::{NodeData, cursor};
use crate::commands::store_unavailable;
use crate::feed::{Feed, PAGE, Step};
use crate::hub::Item;
use crate::limits::ConnectionPermit;
use crate::metrics::Kind;
use crate::packet::text;
use crate::problem::ApiError;
use crate::revocations::Lease;
use crate::session::{HEARTBEAT, welcome};
use crate::state::Node;

/// The longest that a poll waits: below what proxies allow a request.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Answers with the entries after the cursor; without any, waits for one if asked to.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "poll_events", tag = "events", params(EventsQuery),
    responses((status = 200, body = Events<serde_json::Value>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn poll(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<EventsQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let _permit = admit(&node, &caller)?;
    let (mailbox, epoch) = (caller.account.mailbox, &caller.account.epoch);
    let head = node.source.hub.head(mailbox).await.map_err(|error| store_unavailable(&error))?;
    let cursor = cursor(&query, &caller.account).unwrap_or(head.last_seq);
    if cursor > head.last_seq || cursor < head.floor {
        return reset(head.last_seq, epoch);
    }
    if cursor < head.last_seq {
        let items =
            node.source.page(mailbox, cursor, PAGE).await.map_err(|error| store_unavailable(&error))?;
        // Since it was asked where the mailbox stands, the store may have been set back.
        return match items.front() {
            Some(first) if first.seq == cursor.next() => answer(&items, cursor, epoch),
            _ => {
                let head = node.source.hub.head(mailbox).await.map_err(|error| store_unavailable(&error))?;
                reset(head.last_seq, epoch)
            }
        };
    }
    let wait = Duration::from_secs(query.wait.unwrap_or(0)).min(MAX_WAIT).min(caller.time_left());
    if wait.is_zero() {
        return answer(&VecDeque::new(), cursor, epoch);
    }
    let lease = caller.lease(&node);
    let (mut feed, _head) =
        node.source.open(mailbox, Some(cursor)).await.map_err(|error| store_unavailable(&error))?;
    let waiting = node.stop.run_until_cancelled(timeout(wait, feed.next()));
    let step = while_let_in(&lease, async { Ok(waiting.await) }).await?;
    match step {
        Some(Ok(Step::Items(items))) => answer(&items, cursor, epoch),
        Some(Ok(Step::Reset(cursor))) => reset(cursor, epoch),
        Some(Err(_)) | None => answer(&VecDeque::new(), cursor, epoch),
    }
}

fn answer(items: &VecDeque<Item>, cursor: Seq, epoch: &str) -> Result<HttpResponse, ApiError> {
    let events: Result<Vec<&RawValue>, _> =
        items.iter().map(|item| serde_json::from_str(&item.frame)).collect();
    let events = events.map_err(|_not_json| ApiError::new(ErrorCode::Internal, "something broke here"))?;
    let cursor = items.back().map_or(cursor, |item| item.seq);
    Ok(respond(events, cursor, epoch))
}

fn reset(cursor: Seq, epoch: &str) -> Result<HttpResponse, ApiError> {
    let reset = ServerFrame::<()>::Reset { cursor, epoch: epoch.to_owned() };
    Ok(respond(vec![reset], cursor, epoch))
}

fn respond<F: Serialize>(events: Vec<F>, cursor: Seq, epoch: &str) -> HttpResponse {
    let body = Events { events, cursor, epoch: epoch.to_owned() };
    HttpResponse::Ok().json(body)
}

/// An event stream (WHATWG HTML, section 9.2): `welcome`, then each entry with its position as its id.
#[utoipa::path(get, path = "/api/v1/events/stream", operation_id = "stream_events", tag = "events", params(EventsQuery, TicketQuery),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn stream(
    node: NodeData,
    request: HttpRequest,
    query: web::Query<EventsQuery>,
    ticket: web::Query<TicketQuery>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate_opening(&node, &request, ticket.get()).await?;
    let permit = admit(&node, &caller)?;
    let lease = caller.lease(&node);
    let last_event_id = request.headers().get("Last-Event-ID").and_then(|value| value.to_str().ok());
    let mut query = query.into_inner();
    if let Some(id) = last_event_id {
        let (seq, epoch) = id.split_once('-').map_or((id, None), |(seq, epoch)| (seq, Some(epoch)));
        if let Ok(cursor) = seq.parse() {
            (query.cursor, query.epoch) = (Some(cursor), epoch.map(str::to_owned));
        }
    }
    let account = caller.account;
    let cursor = cursor(&query, &account);
    let (feed, head) =
        node.source.open(account.mailbox, cursor).await.map_err(|error| store_unavailable(&error))?;
    let begin = feed.begin();
    let open = Open::count(&node.metrics.sessions.get_or_create_owned(&Kind { kind: "event_stream" }));
    let welcome = event(begin, &account.epoch, &welcome(&node, &account, begin, head.unread));
    let stream = EventStream {
        _tracked: node.sessions.token(),
        _open: open,
        node: Arc::clone(&node),
        feed,
        epoch: account.epoch,
        expires_at: caller.expires_at,
        lease,
        first: Some(welcome),
        ended: false,
        _permit: permit,
    };
    let body = stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next().await?;
        Some((Ok::<_, actix_web::Error>(chunk), stream))
    });
    Ok(HttpResponse::Ok()
        .insert_header(ContentType(actix_web::mime::TEXT_EVENT_STREAM))
        // nginx would collect the stream before it passes it on.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(body))
}

struct EventStream {
    _tracked: TaskTrackerToken,
    _open: Open,
    node: Arc<Node>,
    feed: Feed,
    epoch: String,
    expires_at: Timestamp,
    lease: Lease,
    first: Option<Bytes>,
    ended: bool,
    _permit: ConnectionPermit,
}

impl EventStream {
    /// The next piece of the body. Polled only while the client takes what there is.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let left = time_until(self.expires_at);
        if self.ended || left.is_zero() {
            return None;
        }
        let next = self.node.stop.run_until_cancelled(timeout(HEARTBEAT.min(left), self.feed.next()));
        let step = tokio::select! {
            () = self.lease.ended() => return None,
            step = next => step,
        };
        // The client comes back for what it has not been given, and gets it when the store answers.
        timeout(CONFIRM_WAIT, self.lease.confirmed()).await.ok()?.ok()?;
        match step {
            Some(Ok(Step::Items(items))) => {
                let mut chunk = String::new();
                for item in items {
                    chunk.push_str(&format!("id: {}-{}\ndata: {}\n\n", item.seq, self.epoch, item.frame));
                }
                Some(chunk.into())
            }
            Some(Ok(Step::Reset(cursor))) => {
                let reset = ServerFrame::Reset { cursor, epoch: self.epoch.clone() };
                Some(event(cursor, &self.epoch, &reset))
            }
            // A comment: proxies and clients see that the stream lives.
            Some(Err(_)) => Some(Bytes::from_static(b":\n\n")),
            None => {
                self.ended = true;
                let after_ms = crate::session::reconnect_delay();
                Some(event(self.feed.cursor(), &self.epoch, &ServerFrame::Reconnect { after_ms }))
            }
        }
    }
}

/// The id of an event is its position and the epoch: what `Last-Event-ID` brings back.
fn event(seq: Seq, epoch: &str, frame: &ServerFrame) -> Bytes {
    let frame = text(frame).unwrap_or_default();
    format!("id: {seq}-{epoch}\ndata: {frame}\n\n").into()
}
