//! What the consumer hears of, and the bounded way to it.

use std::collections::VecDeque;

use switchboard_protocol::{Reaction, Seq, ServerFrame, Welcome};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A connection stands.
    Connected(Welcome),
    /// The next entry of the mailbox: one that is stored with its `seq` (and the epoch) can be resumed after.
    Entry {
        /// Its position: that of the entry before, plus one.
        seq: Seq,
        /// What it says; [`ServerFrame::Unknown`] if it is of a later version.
        frame: ServerFrame,
    },
    /// The cursor was of no use to the node: entries go on from this one, and what is known must be loaded anew.
    Reset {
        /// The new cursor.
        cursor: Seq,
        /// Its epoch.
        epoch: String,
    },
    /// A frame that is no entry and answers no request of this client. May be dropped for a slow consumer.
    Frame(ServerFrame),
    /// A connection ended, or an attempt failed. Another follows unless the next event is `Refused`.
    Disconnected {
        /// Why, for people.
        reason: String,
        /// The close code, or the HTTP status of the handshake.
        code: Option<u16>,
    },
    /// The last event: the node does not want this client back as it is.
    Refused {
        /// Why, for people.
        reason: String,
        /// Whether new credentials would help.
        reaction: Reaction,
    },
}

/// Connection events kept for a consumer that takes nothing; more are dropped, since old ones say nothing.
const HELD: usize = 8;

/// A consumer that took nothing for so long, with its channel full, may be waiting for an answer of its own.
const STUCK: Duration = Duration::from_secs(1);

/// The way to the consumer. What does not fit into its channel is held: at most one entry, because then no more
/// are applied, and some connection events. Once the consumer dropped its end, events are discarded.
#[derive(Debug)]
pub(crate) struct Feed {
    events: mpsc::Sender<Event>,
    held: VecDeque<Event>,
    /// Since when something is held.
    full_since: Instant,
}

impl Feed {
    pub(crate) fn new(events: mpsc::Sender<Event>) -> Self {
        Self { events, held: VecDeque::new(), full_since: Instant::now() }
    }

    pub(crate) fn push(&mut self, event: Event) {
        if self.is_full() {
            if self.held.len() < HELD || matches!(event, Event::Refused { .. }) {
                self.held.push_back(event);
            }
        } else if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            self.full_since = Instant::now();
            self.held.push_back(event);
        }
    }

    /// Whether something is held: nothing more should be applied then.
    pub(crate) fn is_full(&self) -> bool {
        !self.held.is_empty()
    }

    /// When the consumer counts as stuck, if something is held.
    pub(crate) fn stuck_at(&self) -> Option<Instant> {
        self.is_full().then(|| self.full_since + STUCK)
    }

    /// Whether the consumer has taken everything, or is gone.
    pub(crate) fn is_empty(&self) -> bool {
        let has_all = self.events.capacity() == self.events.max_capacity();
        self.held.is_empty() && (has_all || self.events.is_closed())
    }

    /// Hands over what is held, one event a call; with nothing held, waits until the consumer took everything.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn relieve(&mut self) {
        if self.held.is_empty() {
            // An error means that the consumer is gone, and then nothing waits for it.
            let _gone = self.events.reserve_many(self.events.max_capacity()).await;
        } else if let Ok(permit) = self.events.reserve().await {
            permit.send(self.held.pop_front().expect("it was not empty, and nobody else takes"));
        } else {
            self.held.clear();
        }
    }
}
