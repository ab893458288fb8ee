//! A session: one client on one connection, one loop.
//!
//! It reads a frame only when the writer has taken the one before, so that order on the socket is order in the
//! store; its reading of the unread count waits for its own earlier writes. It forwards what its [`Feed`] brings.

mod record;
mod requests;
mod unread;
mod watching;
mod writers;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytestring::ByteString;
use futures_util::{FutureExt, StreamExt};
use switchboard_protocol::server_frame::User;
use switchboard_protocol::{
    CloseCode, ConversationId, ErrorCode, ErrorFrame, Limits, Seq, ServerFrame, Timestamp, UserId, Welcome,
    limits,
};
use switchboard_store::{Account, Head};
use tokio::time::{Instant, sleep_until};
use tracing::Span;

pub(crate) use self::record::Record;
use self::requests::{PresenceRequest, Requests, Taken};
use self::unread::UnreadNotices;
use self::watching::{Told, Watching};
pub(crate) use self::writers::Writers;
use crate::commands::Actor;
use crate::drain::Share;
use crate::ephemeral::{Notice, Word, author};
use crate::feed::{Feed, Step};
use crate::http::caller::time_until;
use crate::hub::Item;
use crate::limits::HandshakePlace;
use crate::packet::{frame_type, text};
use crate::revocations::Lease;
use crate::state::Node;
use crate::trace::TraceContext;
use crate::transport::{GOODBYE, Inbound, Transport};

/// How often the server pings. No byte from the client for two of them ends the session.
pub const HEARTBEAT: Duration = Duration::from_secs(25);

/// Who is on the connection, and where they begin.
pub struct Opening {
    /// The user.
    pub account: Account,
    /// When their credentials end.
    pub expires_at: Timestamp,
    /// Says if they end before.
    pub lease: Lease,
    /// The last position that they have seen.
    pub cursor: Option<Seq>,
    /// Their address, if the log is to tell it.
    pub address: Option<IpAddr>,
}

struct Session<'a, T> {
    node: &'a Node,
    record: &'a mut Record,
    transport: T,
    epoch: String,
    feed: Feed,
    requests: Requests<'a>,
    notices: UnreadNotices,
    writers: Writers,
    watching: Watching<'a>,
    heartbeat: Heartbeat,
    /// When it leaves a node that goes away.
    share: Share,
    /// Whether the client was told of that.
    is_told: bool,
    /// When the credentials end.
    expiry: Instant,
    /// Says if they end before.
    lease: &'a Lease,
    /// Until when nothing is read: the client says too much that comes to nothing.
    pause: Option<Instant>,
}

/// The pings, and whether anything comes in answer.
struct Heartbeat {
    due: Instant,
    last: Instant,
    unanswered: u32,
}

/// Serves a connection to its end, and says goodbye. Its place among those that are being let in is free when it is.
pub async fn run<T: Transport>(node: &Node, transport: T, opening: Opening, place: HandshakePlace) {
    let (mailbox, cursor) = (opening.account.mailbox, opening.cursor);
    let mut record = Record::begin(opening.account.id, "websocket", opening.address);
    let opened = node.stop.run_until_cancelled(Box::pin(node.source.open(mailbox, cursor))).await;
    drop(place);
    let code = match opened {
        Some(Ok((feed, head))) => {
            let mut session = Session::new(node, &mut record, transport, &opening, feed, &head);
            let code = session.serve(&opening.account, &head).await;
            // What is seldom under way is not kept room for in each session, here and elsewhere.
            Box::pin(session.finish(code)).await;
            code
        }
        Some(Err(error)) => {
            tracing::warn!("a session cannot begin: {error}");
            Box::pin(turn_away(transport, CloseCode::TryLater)).await
        }
        None => Box::pin(turn_away(transport, CloseCode::Restart)).await,
    };
    record.ends(code);
    node.metrics.sessions_closed.of(code.reason()).inc();
}

/// Closes a connection before its session has begun.
async fn turn_away<T: Transport>(mut transport: T, code: CloseCode) -> CloseCode {
    let why = match code {
        CloseCode::Restart => ServerFrame::<()>::Reconnect { after_ms: 0 },
        _ => ServerFrame::Error(ErrorFrame::new(ErrorCode::StoreUnavailable, "the store is out of reach")),
    };
    if let Ok(frame) = text(&why) {
        transport.push(frame);
        let _gone = transport.flush().await;
    }
    transport.close(code).await;
    code
}

/// The first frame of a session, whatever carries it.
pub(crate) fn welcome(
    node: &Node,
    record: &Record,
    account: &Account,
    cursor: Seq,
    unread: i64,
) -> ServerFrame {
    ServerFrame::Welcome(Welcome {
        user: User {
            id: account.id,
            username: account.username.clone(),
            full_name: account.full_name.clone(),
        },
        connection_id: record.connection_id.clone(),
        epoch: account.epoch.clone(),
        cursor,
        unread_count: unread,
        server_time: Timestamp::now(),
        heartbeat_interval_ms: u64::try_from(HEARTBEAT.as_millis()).unwrap_or(u64::MAX),
        limits: Limits {
            frame_bytes: limits::FRAME_BYTES,
            content_bytes: limits::CONTENT_BYTES,
            subject_chars: limits::SUBJECT_CHARS,
            attachments: limits::ATTACHMENTS,
            attachment_bytes: node.settings.attachment_bytes,
            messages_per_second: node.messages_per_second,
        },
    })
}

impl<'a, T: Transport> Session<'a, T> {
    fn new(
        node: &'a Node,
        record: &'a mut Record,
        transport: T,
        opening: &'a Opening,
        feed: Feed,
        head: &Head,
    ) -> Self {
        let (account, now) = (&opening.account, Instant::now());
        Self {
            node,
            record,
            transport,
            epoch: account.epoch.clone(),
            feed,
            requests: Requests::new(node, Actor { user: account.id, mailbox: account.mailbox }),
            notices: UnreadNotices::new(head),
            writers: Writers::default(),
            watching: Watching::new(node, account.id),
            heartbeat: Heartbeat { due: now + HEARTBEAT, last: now, unanswered: 0 },
            share: Share::draw(),
            is_told: false,
            // Tokio's clock ends somewhere beyond thirty years.
            expiry: now + time_until(opening.expires_at).min(Duration::from_secs(86_400 * 365 * 30)),
            lease: &opening.lease,
            pause: None,
        }
    }

    /// Ends with the reason why.
    async fn serve(&mut self, account: &Account, head: &Head) -> CloseCode {
        let welcome = welcome(self.node, self.record, account, self.feed.begin(), head.unread);
        if let Err(code) = self.send(&welcome).await {
            return code;
        }
        // Waited for once, and not anew for each frame.
        let (drain, lease) = (&self.node.drain, self.lease);
        let (mut draining, mut leaving) = (pin!(drain.begun()), pin!(drain.leave(self.share)));
        let (mut ended, mut timer) = (pin!(lease.ended()), pin!(sleep_until(self.heartbeat.due)));
        loop {
            self.pause = self.pause.filter(|until| *until > Instant::now());
            let others = [self.notices.due(), self.writers.due(), self.pause].into_iter().flatten().min();
            let due = self.heartbeat.due.min(others.unwrap_or(self.expiry)).min(self.expiry);
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            let result = tokio::select! {
                () = &mut draining, if !self.is_told => self.tell().await,
                () = &mut leaving, if self.is_told => Err(CloseCode::Restart),
                () = &mut ended => Err(CloseCode::Revoked),
                step = self.feed.next() => self.forward(step).await,
                told = self.watching.next(self.lease) => match told {
                    Told::Presence(frames) => {
                        frames.into_iter().for_each(|frame| self.say_text(frame));
                        self.flush().await
                    }
                    Told::Refused(refusal) => self.send(&refusal).await,
                },
                Some(answer) = self.requests.answers.next(), if !self.requests.answers.is_empty() => {
                    self.answer(answer).await
                }
                inbound = self.transport.receive(), if self.pause.is_none() && self.requests.take_more() => {
                    self.take(inbound).await
                }
                () = &mut timer => self.on_time().await,
            };
            if let Err(code) = result {
                return code;
            }
        }
    }

    /// Tells the client when it is to connect elsewhere. It is served until then.
    async fn tell(&mut self) -> Result<(), CloseCode> {
        self.is_told = true;
        self.send(&self.node.drain.reconnect(self.share)).await
    }

    async fn send(&mut self, frame: &ServerFrame) -> Result<(), CloseCode> {
        self.say(frame)?;
        self.flush().await
    }

    async fn send_text(&mut self, frame: ByteString) -> Result<(), CloseCode> {
        self.say_text(frame);
        self.flush().await
    }

    /// Has a frame written with the next flush.
    fn say(&mut self, frame: &ServerFrame) -> Result<(), CloseCode> {
        if let ServerFrame::Error(error) = frame {
            self.node.metrics.errors_sent.of(error.code.as_str()).inc();
        }
        self.say_text(text(frame).map_err(|_not_json| CloseCode::Internal)?);
        Ok(())
    }

    fn say_text(&mut self, frame: ByteString) {
        self.node.metrics.frame_sent(&frame);
        self.push(frame);
    }

    fn push(&mut self, frame: ByteString) {
        self.record.frames_out += 1;
        self.transport.push(frame);
    }

    /// Writes what was pushed, unless it is to leave or the credentials end first: a slow client must not hold that up.
    async fn flush(&mut self) -> Result<(), CloseCode> {
        tokio::select! {
            biased;
            result = self.transport.flush() => result,
            () = self.node.drain.leave(self.share) => Err(CloseCode::Restart),
            () = self.lease.ended() => Err(CloseCode::Revoked),
            () = sleep_until(self.expiry) => Err(CloseCode::CredentialsExpired),
        }
    }

    async fn forward(&mut self, step: Step) -> Result<(), CloseCode> {
        match step {
            Step::Items(items) => self.forward_items(items).await,
            Step::Ephemeral(notices) => self.pass_on(notices).await,
            Step::Reset(cursor) => {
                self.notices.reset(cursor);
                let epoch = self.epoch.clone();
                self.send(&ServerFrame::Reset { cursor, epoch }).await
            }
            Step::Unreadable => Err(CloseCode::TryLater),
        }
    }

    /// In one write, if the client takes it.
    async fn forward_items(&mut self, items: VecDeque<Item>) -> Result<(), CloseCode> {
        self.confirm().await?;
        let traces = items.iter().filter_map(|item| item.origin.trace.as_deref());
        let _until_written: Vec<Span> = traces.map(|trace| delivery(Some(trace))).collect();
        for item in &items {
            self.notices.learn(item.seq, item.unread);
            self.push(item.frame.clone());
            self.learn(&item.frame)?;
        }
        self.say_unread()?;
        self.flush().await?;
        items.iter().for_each(|item| self.node.metrics.entry_sent(&item.frame, &item.origin));
        Ok(())
    }

    /// What an entry says of those who write, and of whom may be watched.
    fn learn(&mut self, frame: &str) -> Result<(), CloseCode> {
        if frame_type(frame) == "group_changed" {
            self.watching.check_soon();
        }
        if !self.writers.is_empty()
            && let Some(writer) = author(frame)
            && self.writers.forget(writer)
        {
            self.say(&stopped(writer))?;
        }
        Ok(())
    }

    /// Hands over what is kept nowhere. Where it would have to wait for the credentials, it is dropped.
    async fn pass_on(&mut self, notices: VecDeque<Notice>) -> Result<(), CloseCode> {
        if notices.iter().any(|notice| notice.word == Word::Rights) {
            self.watching.check_soon();
        }
        if !matches!(self.lease.confirmed().now_or_never(), Some(Ok(()))) {
            self.node.metrics.drops.of("ephemeral").inc_by(notices.len() as u64);
            return Ok(());
        }
        for notice in notices {
            if let Word::Writing(writing, frame) = notice.word
                && self.writers.learn(writing)
            {
                self.say_text(frame);
                self.node.metrics.ephemeral.of("delivered").inc();
            }
        }
        self.flush().await
    }

    /// Says that those have stopped of whom nothing more was heard.
    fn end_writing(&mut self) -> Result<(), CloseCode> {
        while let Some(writer) = self.writers.take_overdue() {
            self.say(&stopped(writer))?;
        }
        Ok(())
    }

    /// Hands nothing over that is newer than what is known of the credentials.
    async fn confirm(&mut self) -> Result<(), CloseCode> {
        tokio::select! {
            biased;
            confirmed = self.lease.confirmed() => confirmed.map_err(|_have_ended| CloseCode::Revoked),
            () = self.node.drain.leave(self.share) => Err(CloseCode::Restart),
            () = sleep_until(self.expiry) => Err(CloseCode::CredentialsExpired),
        }
    }

    fn say_unread(&mut self) -> Result<(), CloseCode> {
        match self.notices.take() {
            Some(unread_count) => self.say(&ServerFrame::UnreadCount { unread_count, request_id: None }),
            None => Ok(()),
        }
    }

    async fn take(&mut self, inbound: Inbound) -> Result<(), CloseCode> {
        self.record.frames_in += u64::from(matches!(inbound, Inbound::Text(_) | Inbound::Binary));
        let answer = match inbound {
            Inbound::Text(text) => match Box::pin(self.requests.take(&text)).await {
                Taken::Answered(answer) => Some(*answer),
                // It costs what was asked for, and that is counted.
                Taken::Accepted => return Ok(()),
                Taken::Presence(PresenceRequest::Set(status), _) => {
                    self.watching.set(status);
                    return Ok(());
                }
                Taken::Presence(PresenceRequest::Watch(users), request_id) => {
                    self.watching.watch(users, request_id)
                }
            },
            Inbound::Binary => {
                self.requests.tally("invalid");
                let sentence = "only text frames carry anything here";
                Some(ServerFrame::Error(ErrorFrame::new(ErrorCode::UnsupportedData, sentence)))
            }
            Inbound::Nothing => None,
            Inbound::End(code) => return Err(code),
        };
        // Pings, nonsense and what is refused at once: cheap, but not for nothing.
        if let Err(wait) = self.node.limits.check_request(self.requests.user()) {
            self.pause = Some(Instant::now() + Duration::from_millis(wait.ms));
        }
        match answer {
            Some(frame) => self.send(&frame).await,
            None => Ok(()),
        }
    }

    async fn answer(&mut self, answer: requests::Answer) -> Result<(), CloseCode> {
        match self.requests.settle(answer) {
            Some(requests::Reply::Frame(frame)) => self.send(&frame).await,
            Some(requests::Reply::Count(head, request_id)) => {
                self.notices.told(&head);
                self.send(&ServerFrame::UnreadCount { unread_count: head.unread, request_id }).await
            }
            Some(requests::Reply::Text(text)) => self.send_text(text).await,
            None => Ok(()),
        }
    }

    async fn on_time(&mut self) -> Result<(), CloseCode> {
        let now = Instant::now();
        if now >= self.expiry {
            return Err(CloseCode::CredentialsExpired);
        }
        if now >= self.heartbeat.due {
            let answered = self.transport.last_heard() > self.heartbeat.last;
            self.heartbeat.unanswered = if answered { 0 } else { self.heartbeat.unanswered + 1 };
            if self.heartbeat.unanswered >= 2 {
                // While this session was busy, the answer may have come and not been looked at. If it still is, it
                // is this side that does not read.
                if self.requests.take_more() {
                    if let Some(inbound) = self.transport.receive().now_or_never() {
                        self.take(inbound).await?;
                    }
                    if self.transport.last_heard() <= self.heartbeat.last {
                        return Err(CloseCode::Silent);
                    }
                }
                self.heartbeat.unanswered = 0;
            }
            (self.heartbeat.last, self.heartbeat.due) = (now, now + HEARTBEAT);
            tokio::select! {
                biased;
                result = self.transport.ping() => result?,
                () = self.node.drain.leave(self.share) => return Err(CloseCode::Restart),
            }
        }
        self.end_writing()?;
        self.say_unread()?;
        self.flush().await
    }

    /// Says what is left to say, and closes.
    async fn finish(mut self, code: CloseCode) {
        let last = match code {
            CloseCode::Restart if !self.is_told => Some(ServerFrame::Reconnect { after_ms: 0 }),
            CloseCode::FrameTooLarge => {
                let sentence = format!("a frame may have {} bytes", limits::FRAME_BYTES);
                Some(ServerFrame::Error(ErrorFrame::new(ErrorCode::FrameTooLarge, sentence)))
            }
            _ => None,
        };
        // Else the client has it by its cursor later.
        self.transport.abandon();
        if let Some(Ok(frame)) = last.map(|frame: ServerFrame| text(&frame)) {
            self.transport.push(frame);
            let _gone = tokio::time::timeout(GOODBYE, self.transport.flush()).await;
        }
        self.transport.close(code).await;
    }
}

/// What a client is told of somebody who writes no more.
pub(crate) fn stopped((conversation_id, user_id): (ConversationId, UserId)) -> ServerFrame {
    ServerFrame::Typing { conversation_id, user_id, is_typing: false }
}

/// From taking an entry out of the queue until it is written: where the trace that brought it ends.
pub(crate) fn delivery(cause: Option<&TraceContext>) -> Span {
    let Some(cause) = cause else { return Span::none() };
    let span = tracing::debug_span!(parent: None, "session", otel.kind = "consumer");
    cause.cause(&span);
    span
}
