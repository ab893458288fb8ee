//! Requests without an answer yet, in the order in which they were made. What each waits for is in [`pending`].

mod pending;

use std::collections::VecDeque;

use switchboard_protocol::limits::FRAME_BYTES;
use switchboard_protocol::{Envelope, ErrorCode, ErrorFrame, RequestId, ServerFrame, UserId};
use tokio::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use self::pending::Pending;
pub(crate) use self::pending::{Awaiting, Reply, Request};
use crate::Backoff;

/// No node makes a request wait for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a frame meant to the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It answered no request of ours.
    Nothing,
    /// It settled a request.
    Answered,
    /// It put a request off.
    Retried,
}

/// Bounded by the session, which takes no request while there is no room.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// To be written on this connection. Both queues ascend in `number`.
    waiting: VecDeque<Pending>,
    /// Written on this connection.
    written: VecDeque<Pending>,
    capacity: usize,
    /// How many may be written without an answer. Falls to one with a refusal for the moment and grows with each
    /// answer: all at once they would be refused again, and those that were not would overtake the others.
    window: usize,
    next_number: i64,
    /// Nothing is written before, because the node asked for patience.
    paused_until: Option<Instant>,
    backoff: Backoff,
    /// Whose requests they are, as the node says.
    user: UserId,
}

impl Outbox {
    pub(crate) fn new(capacity: usize, backoff: Backoff) -> Self {
        let capacity = capacity.max(1);
        Self {
            waiting: VecDeque::new(),
            written: VecDeque::new(),
            capacity,
            window: capacity,
            next_number: 1,
            paused_until: None,
            backoff,
            user: UserId::default(),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() + self.written.len() < self.capacity
    }

    /// Whether an answer is expected on this connection.
    pub(crate) fn awaits_answer(&self) -> bool {
        !self.written.is_empty()
    }

    /// When the node's patience ends, if something waits for that.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.paused_until.filter(|until| !self.waiting.is_empty() && *until > Instant::now())
    }

    /// Whether something may be written now.
    pub(crate) fn is_ready(&self) -> bool {
        !self.waiting.is_empty()
            && self.written.len() < self.window
            && self.paused_until.is_none_or(|until| until <= Instant::now())
    }

    pub(crate) fn push(&mut self, request: Request) {
        let number = self.next_number;
        self.next_number += 1;
        let envelope = Envelope { request_id: Some(RequestId::Number(number)), frame: request.frame };
        let text = serde_json::to_string(&envelope).expect("a frame of texts and numbers is JSON");
        let pending = Pending { number, text: text.into(), awaiting: request.awaiting, refusals: 0 };
        if pending.text.len() > FRAME_BYTES {
            // The node would close the connection, and again after every reconnect.
            pending.awaiting.refuse(too_large(number));
        } else {
            self.waiting.push_back(pending);
        }
    }

    /// The next frame to be written on this connection.
    pub(crate) fn next_frame(&mut self) -> Option<Utf8Bytes> {
        let pending = self.waiting.pop_front()?;
        let text = pending.text.clone();
        if !matches!(pending.awaiting, Awaiting::Nothing) {
            self.written.push_back(pending);
        }
        Some(text)
    }

    /// A new connection of this user: everything without an answer is written again, in order.
    pub(crate) fn rewind(&mut self, user: UserId) {
        self.user = user;
        self.waiting.extend(std::mem::take(&mut self.written));
        self.waiting.make_contiguous().sort_unstable_by_key(|pending| pending.number);
        self.paused_until = None;
    }

    /// Lets a frame answer the request that it belongs to, or the requests: several messages may be read at once.
    pub(crate) fn settle(&mut self, frame: &ServerFrame) -> Settled {
        if let ServerFrame::MessageRead { message_id: id, message_ids, .. } = frame {
            let mut settled = Settled::Nothing;
            let user = self.user;
            while let Some(pending) = self.take(|pending| match &pending.awaiting {
                Awaiting::Read { message_id, .. } => message_id == id || message_ids.contains(message_id),
                _ => pending.is_done_by(frame, user),
            }) {
                settled = self.answer(pending, frame);
            }
            return settled;
        }
        let pending = match frame {
            ServerFrame::MessageSent { client_message_id: Some(id), .. } => self.take(
                |pending| matches!(&pending.awaiting, Awaiting::Sent { client_message_id, .. } if client_message_id == id),
            ),
            ServerFrame::UnreadCount { request_id: Some(RequestId::Number(number)), .. } => {
                self.take(|pending| pending.number == *number)
            }
            ServerFrame::Error(error) => self.take(|pending| pending.is_named_by(error)),
            _ => None,
        };
        let user = self.user;
        let pending = pending.or_else(|| self.take(|pending| pending.is_done_by(frame, user)));
        match (pending, frame) {
            (None, _) => Settled::Nothing,
            (Some(pending), ServerFrame::Error(error)) if is_momentary(error.code) => {
                self.retry(pending, error.retry_after_ms);
                Settled::Retried
            }
            (Some(pending), frame) => self.answer(pending, frame),
        }
    }

    fn answer(&mut self, pending: Pending, frame: &ServerFrame) -> Settled {
        self.window = self.capacity.min(self.window + 1);
        pending.answer(frame);
        Settled::Answered
    }

    /// The answer to a request that was put off may still come: its outcome was unknown.
    fn take(&mut self, is_it: impl Fn(&Pending) -> bool) -> Option<Pending> {
        [&mut self.written, &mut self.waiting]
            .into_iter()
            .find_map(|queue| queue.iter().position(&is_it).and_then(|index| queue.remove(index)))
    }

    fn retry(&mut self, mut pending: Pending, after_ms: Option<u64>) {
        let after = after_ms.map_or_else(|| self.backoff.delay(pending.refusals), Duration::from_millis);
        self.paused_until = self.paused_until.max(Some(Instant::now() + after.min(PATIENCE)));
        self.window = 1;
        pending.refusals += 1;
        let index = self.waiting.partition_point(|other| other.number < pending.number);
        self.waiting.insert(index, pending);
    }
}

/// Whether the same request may be taken a little later.
fn is_momentary(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::StoreUnavailable | ErrorCode::RateLimited | ErrorCode::Draining)
}

fn too_large(number: i64) -> ErrorFrame {
    ErrorFrame {
        code: ErrorCode::FrameTooLarge,
        error: format!("the frame is larger than {FRAME_BYTES} bytes"),
        request_id: Some(RequestId::Number(number)),
        client_message_id: None,
        retry_after_ms: None,
    }
}
