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
use switchboard_protocol::{CloseCode, ErrorCode, Seq, ServerFrame, Timestamp};
use tokio::time::{Instant, timeout};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::caller::{
    CONFIRM_WAIT, admit, authenticate, authenticate_opening, elsewhere, enter, time_until, told_address,
    while_let_in,
};
use super::socket::TicketQuery;
use super::{NodeData, cursor};
use crate::commands::store_unavailable;
use crate::drain::Share;
use crate::ephemeral::{Notice, Word, author};
use crate::feed::{Feed, PAGE, Step};
use crate::hub::Item;
use crate::limits::ConnectionPermit;
use crate::metrics::{Metrics, OpenSession};
use crate::packet::text;
use crate::presence::Seat;
use crate::problem::ApiError;
use crate::revocations::Lease;
use crate::session::{HEARTBEAT, Record, Writers, delivery, stopped, welcome};
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
    if node.drain.has_begun() {
        // Answered with nothing they would ask again at once, again and again.
        return Err(elsewhere());
    }
    let lease = caller.lease(&node);
    let (mut feed, _head) =
        node.source.open(mailbox, Some(cursor)).await.map_err(|error| store_unavailable(&error))?;
    // One that waits at a node that goes away is answered early, with what there is.
    let waiting = async {
        let entries = async {
            loop {
                // Who polls is told of what is kept and of nothing else.
                match feed.next().await {
                    Step::Ephemeral(_) => {}
                    step => return step,
                }
            }
        };
        tokio::select! {
            biased;
            step = timeout(wait, entries) => Ok(step.ok()),
            () = node.drain.begun() => Ok(None),
        }
    };
    let step = while_let_in(&lease, waiting).await?;
    match step {
        Some(Step::Items(items)) => answer(&items, cursor, epoch),
        Some(Step::Reset(cursor)) => reset(cursor, epoch),
        Some(Step::Unreadable) => Err(ApiError::new(
            ErrorCode::StoreUnavailable,
            "this node cannot read the next entry: another may",
        )),
        Some(Step::Ephemeral(_)) | None => answer(&VecDeque::new(), cursor, epoch),
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
    let place = enter(&node).await?;
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
    drop(place);
    let begin = feed.begin();
    let open = node.metrics.session_opened("event_stream");
    let mut record = Record::begin(account.id, "event_stream", told_address(&node, &request));
    let welcome = welcome(&node, &record, &account, begin, head.unread);
    let welcome = event(&node.metrics, &mut record, begin, &account.epoch, &welcome);
    let stream = EventStream {
        _tracked: node.sessions.token(),
        _open: open,
        record,
        node: Arc::clone(&node),
        feed,
        writers: Writers::default(),
        _seat: node.presence.enter(account.id),
        epoch: account.epoch,
        expires_at: caller.expires_at,
        lease,
        first: Some(welcome),
        share: Share::draw(),
        is_told: false,
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
    _open: OpenSession,
    record: Record,
    node: Arc<Node>,
    feed: Feed,
    writers: Writers,
    /// Its user counts as online: a stream does not say that nobody is there.
    _seat: Seat,
    epoch: String,
    expires_at: Timestamp,
    lease: Lease,
    first: Option<Bytes>,
    /// When it leaves a node that goes away.
    share: Share,
    /// Whether the client was told of that.
    is_told: bool,
    _permit: ConnectionPermit,
}

impl EventStream {
    /// The next piece of the body. Polled only while the client takes what there is.
    async fn next(&mut self) -> Option<Bytes> {
        self.piece().await.inspect_err(|reason| self.record.ends(*reason)).ok()
    }

    /// The same, or why there is none.
    async fn piece(&mut self) -> Result<Bytes, CloseCode> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let left = time_until(self.expires_at);
        if left.is_zero() {
            return Err(CloseCode::CredentialsExpired);
        }
        let node = Arc::clone(&self.node);
        let patience = self.writers.due().map_or(HEARTBEAT, |due| HEARTBEAT.min(due - Instant::now()));
        let step = tokio::select! {
            () = self.lease.ended() => return Err(CloseCode::Revoked),
            () = node.drain.begun(), if !self.is_told => return Ok(self.tell()),
            () = node.drain.leave(self.share), if self.is_told => return Err(CloseCode::Restart),
            step = timeout(patience.min(left), self.feed.next()) => step,
        };
        // The client comes back for what it has not been given, and gets it when the store answers.
        let confirmed = timeout(CONFIRM_WAIT, self.lease.confirmed()).await;
        confirmed.map_err(|_elapsed| CloseCode::TryLater)?.map_err(|_have_ended| CloseCode::Revoked)?;
        match step {
            Ok(Step::Items(mut items)) => {
                let mut chunk = String::new();
                self.record.frames_out += items.len() as u64;
                self.node.metrics.entries_sent(items.make_contiguous());
                for item in items {
                    let _written = delivery(item.origin.trace.as_deref());
                    chunk.push_str(&format!("id: {}-{}\ndata: {}\n\n", item.seq, self.epoch, item.frame));
                    if !self.writers.is_empty()
                        && let Some(writer) = author(&item.frame)
                        && self.writers.forget(writer)
                    {
                        chunk.push_str(&self.told(&stopped(writer)));
                    }
                }
                Ok(chunk.into())
            }
            Ok(Step::Ephemeral(notices)) => Ok(self.pass_on(notices).into()),
            Ok(Step::Reset(cursor)) => {
                let reset = ServerFrame::Reset { cursor, epoch: self.epoch.clone() };
                Ok(event(&self.node.metrics, &mut self.record, cursor, &self.epoch, &reset))
            }
            Ok(Step::Unreadable) => Err(CloseCode::TryLater),
            Err(_elapsed) => {
                // A comment: proxies and clients see that the stream lives.
                let mut chunk = ":\n\n".to_owned();
                while let Some(writer) = self.writers.take_overdue() {
                    chunk.push_str(&self.told(&stopped(writer)));
                }
                Ok(chunk.into())
            }
        }
    }

    /// What is kept nowhere, as far as the client is to be told.
    fn pass_on(&mut self, notices: VecDeque<Notice>) -> String {
        // It may come to nothing, and an empty piece would end the stream.
        let mut chunk = ":\n\n".to_owned();
        for notice in notices {
            if let Word::Writing(writing, frame) = notice.word
                && self.writers.learn(writing)
            {
                self.node.metrics.ephemeral.of("delivered").inc();
                chunk.push_str(&self.unnumbered(&frame));
            }
        }
        chunk
    }

    /// An event without an id: it has no position.
    fn unnumbered(&mut self, frame: &str) -> String {
        self.record.frames_out += 1;
        self.node.metrics.frame_sent(frame);
        format!("data: {frame}\n\n")
    }

    fn told(&mut self, frame: &ServerFrame) -> String {
        let frame = text(frame).unwrap_or_default();
        self.unnumbered(&frame)
    }

    /// Tells the client when it is to connect elsewhere. It is served until then.
    fn tell(&mut self) -> Bytes {
        self.is_told = true;
        let reconnect = self.node.drain.reconnect(self.share);
        event(&self.node.metrics, &mut self.record, self.feed.cursor(), &self.epoch, &reconnect)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if self.node.drain.has_cut() {
            self.record.ends(CloseCode::Restart);
        }
    }
}

/// The id of an event is its position and the epoch: what `Last-Event-ID` brings back.
fn event(metrics: &Metrics, record: &mut Record, seq: Seq, epoch: &str, frame: &ServerFrame) -> Bytes {
    let frame = text(frame).unwrap_or_default();
    record.frames_out += 1;
    metrics.frame_sent(&frame);
    format!("id: {seq}-{epoch}\ndata: {frame}\n\n").into()
}
