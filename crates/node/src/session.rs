//! A session: one client on one connection, one loop.
//!
//! It reads a frame only when the writer has taken the one before, so that order on the socket is order in the
//! store; its reading of the unread count waits for its own earlier writes. It forwards what its [`Feed`] brings.
//!
//! There are many of them, and most are at rest: what is seldom under way is in a box of its own, so that no room is kept
//! for it in each.

mod opening;
mod outgoing;
mod record;
mod requests;
mod unread;
mod watching;
mod writers;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use switchboard_protocol::{CloseCode, ErrorCode, ErrorFrame, ServerFrame, limits};
use tokio::time::{Instant, sleep_until};

pub(crate) use self::opening::welcome;
pub use self::opening::{Opening, begin};
use self::outgoing::Unwritten;
pub(crate) use self::outgoing::{delivery, stopped};
pub(crate) use self::record::Record;
use self::requests::{PresenceRequest, Requests, Taken};
use self::unread::UnreadNotices;
use self::watching::{Told, Watching};
pub(crate) use self::writers::Writers;
use crate::drain::Share;
use crate::feed::{Feed, Step};
use crate::hub::Item;
use crate::metrics::OpenSession;
use crate::packet::text;
use crate::revocations::Lease;
use crate::state::Node;
use crate::transport::{GOODBYE, Inbound, Transport};

/// How often the server pings. No byte from the client for two of them ends the session.
pub const HEARTBEAT: Duration = Duration::from_secs(25);

/// A client that was let in.
pub struct Session<T> {
    node: Arc<Node>,
    record: Record,
    transport: T,
    epoch: Box<str>,
    feed: Feed,
    requests: Requests,
    notices: UnreadNotices,
    writers: Writers,
    watching: Watching,
    heartbeat: Heartbeat,
    /// When it leaves a node that goes away.
    share: Share,
    /// That, once the client was told of it.
    leaves_at: Option<Instant>,
    /// When the credentials end.
    expiry: Instant,
    /// Says if they end before.
    lease: Lease,
    /// Until when nothing is read: the client says too much that comes to nothing.
    pause: Option<Instant>,
    /// What is being written, if there are entries in it.
    unwritten: Option<Unwritten>,
    /// Counts it for as long as it lasts.
    _open: OpenSession,
}

/// The pings, and whether anything comes in answer.
struct Heartbeat {
    due: Instant,
    last: Instant,
    unanswered: u32,
}

/// What a session waits for.
enum Event {
    /// The node goes away, or has gone.
    Drained,
    Revoked,
    Step(Step),
    Presence(Told),
    Answer(requests::Answer),
    Inbound(Inbound),
    Time,
}

/// What is left to do of an event, and may take time.
enum Next {
    Nothing,
    /// To forward these, when it is known that the credentials count.
    Confirm(VecDeque<Item>),
    Take(Inbound),
}

impl<T: Transport> Session<T> {
    /// Serves the client to the end, and says goodbye.
    pub async fn run(&mut self) {
        let Err(code) = self.serve().await;
        Box::pin(self.finish(code)).await;
    }

    /// Ends with the reason why.
    async fn serve(&mut self) -> Result<Infallible, CloseCode> {
        // Waited for once, and not anew for each frame.
        let (node, revoked) = (Arc::clone(&self.node), self.lease.token());
        let (mut drained, mut revoked) = (pin!(node.drain.begun()), pin!(revoked.cancelled()));
        let mut timer = pin!(sleep_until(self.heartbeat.due));
        loop {
            self.flush().await?;
            self.pause = self.pause.filter(|until| *until > Instant::now());
            let due = self.due();
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            let reads = self.pause.is_none() && self.requests.take_more();
            // In a block, so that no room is kept for the event while what it left to do is done.
            let next = {
                let event = tokio::select! {
                    () = &mut drained => Event::Drained,
                    () = &mut revoked => Event::Revoked,
                    step = self.feed.next() => Event::Step(step),
                    told = self.watching.next() => Event::Presence(told),
                    answer = self.requests.answer() => Event::Answer(answer),
                    inbound = self.transport.receive(), if reads => Event::Inbound(inbound),
                    () = &mut timer => Event::Time,
                };
                if matches!(event, Event::Drained) && self.leaves_at.is_none() {
                    drained.set(node.drain.is_cut());
                    self.tell()?
                } else {
                    self.on(event)?
                }
            };
            match next {
                Next::Nothing => {}
                Next::Confirm(items) => {
                    Box::pin(self.confirm()).await?;
                    self.forward_items(items)?;
                }
                Next::Take(inbound) => Box::pin(self.take(inbound)).await?,
            }
        }
    }

    fn on(&mut self, event: Event) -> Result<Next, CloseCode> {
        match event {
            Event::Drained => return Err(CloseCode::Restart),
            Event::Revoked => return Err(CloseCode::Revoked),
            Event::Step(Step::Items(items)) if !self.lease.is_confirmed() => return Ok(Next::Confirm(items)),
            Event::Step(step) => self.forward(step)?,
            Event::Presence(told) => self.pass_on_presence(told)?,
            Event::Answer(answer) => self.answer(answer)?,
            Event::Inbound(inbound) => return Ok(Next::Take(inbound)),
            Event::Time => return Ok(self.on_time()?.map_or(Next::Nothing, Next::Take)),
        }
        Ok(Next::Nothing)
    }

    /// When there is something to do that nothing but the time tells of.
    fn due(&self) -> Instant {
        let others =
            [self.notices.due(), self.writers.due(), self.watching.due(), self.pause, self.leaves_at];
        others.into_iter().flatten().fold(self.heartbeat.due.min(self.expiry), Instant::min)
    }

    /// Tells the client when it is to connect elsewhere. It is served until then.
    fn tell(&mut self) -> Result<Next, CloseCode> {
        self.leaves_at = Some(self.node.drain.leaves_at(self.share));
        self.say(&self.node.drain.reconnect(self.share))?;
        Ok(Next::Nothing)
    }

    /// Writes what was pushed, at once if the client takes it.
    async fn flush(&mut self) -> Result<(), CloseCode> {
        match self.transport.flush().now_or_never() {
            Some(result) => result?,
            None => Box::pin(self.flush_slowly()).await?,
        }
        self.count_written();
        Ok(())
    }

    /// Writes it as the client takes it, unless it is to leave or the credentials end first: it must not hold that up.
    async fn flush_slowly(&mut self) -> Result<(), CloseCode> {
        tokio::select! {
            biased;
            result = self.transport.flush() => result,
            () = self.node.drain.leave(self.share) => Err(CloseCode::Restart),
            () = self.lease.ended() => Err(CloseCode::Revoked),
            () = sleep_until(self.expiry) => Err(CloseCode::CredentialsExpired),
        }
    }

    /// Waits until it is known that the credentials count: nothing is handed over that is newer.
    async fn confirm(&self) -> Result<(), CloseCode> {
        tokio::select! {
            biased;
            confirmed = self.lease.confirmed() => confirmed.map_err(|_have_ended| CloseCode::Revoked),
            () = self.node.drain.leave(self.share) => Err(CloseCode::Restart),
            () = sleep_until(self.expiry) => Err(CloseCode::CredentialsExpired),
        }
    }

    async fn take(&mut self, inbound: Inbound) -> Result<(), CloseCode> {
        self.record.frames_in += u64::from(matches!(inbound, Inbound::Text(_) | Inbound::Binary));
        let answer = match inbound {
            Inbound::Text(text) => match self.requests.take(&text).await {
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
            Some(frame) => self.say(&frame),
            None => Ok(()),
        }
    }

    /// Does what is due. Gives what was found to have come.
    fn on_time(&mut self) -> Result<Option<Inbound>, CloseCode> {
        let (now, mut come) = (Instant::now(), None);
        if now >= self.expiry {
            return Err(CloseCode::CredentialsExpired);
        }
        if self.leaves_at.is_some_and(|at| now >= at) {
            return Err(CloseCode::Restart);
        }
        if now >= self.heartbeat.due {
            let answered = self.transport.last_heard() > self.heartbeat.last;
            self.heartbeat.unanswered = if answered { 0 } else { self.heartbeat.unanswered + 1 };
            if self.heartbeat.unanswered >= 2 {
                // While this session was busy, the answer may have come and not been looked at. If it still is, it
                // is this side that does not read.
                if self.requests.take_more() {
                    come = self.transport.receive().now_or_never();
                    if come.is_none() && self.transport.last_heard() <= self.heartbeat.last {
                        return Err(CloseCode::Silent);
                    }
                }
                self.heartbeat.unanswered = 0;
            }
            (self.heartbeat.last, self.heartbeat.due) = (now, now + HEARTBEAT);
            self.transport.push_ping();
        }
        self.watching.on_time(now);
        self.end_writing()?;
        self.say_unread()?;
        Ok(come)
    }

    /// Says what is left to say, and closes.
    async fn finish(&mut self, code: CloseCode) {
        let last = match code {
            CloseCode::Restart if self.leaves_at.is_none() => Some(ServerFrame::Reconnect { after_ms: 0 }),
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
        self.record.ends(code);
        self.node.metrics.sessions_closed.of(code.reason()).inc();
    }
}
