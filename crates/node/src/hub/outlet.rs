//! A session's live queue: the hub puts packets in on its runtime, the session takes them out on its worker.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use switchboard_protocol::Seq;
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::packet::{Origin, Packet};
use crate::sabotage::sabotaged;

/// What a session forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The position in the mailbox.
    pub seq: Seq,
    /// Messages received and not read, after it.
    pub unread: i64,
    /// The text of the frame.
    pub frame: ByteString,
    /// How it came here.
    pub origin: Origin,
}

impl From<Packet> for Item {
    fn from(packet: Packet) -> Self {
        let Packet { seq, unread, frame, origin, .. } = packet;
        Self { seq, unread, frame, origin }
    }
}

/// The outlet no longer has everything since it was attached: the session goes back to paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged;

/// A bounded queue from the hub to one session.
///
/// When it would hold more bytes than its limit, or the hub gave up on a gap, it lets go of all it has and says
/// [`Lagged`] from then on: the store has it all, and memory stays bounded whatever the peer does.
pub struct Outlet {
    limit: usize,
    /// Held for a push or a take, never across an await.
    state: Mutex<State>,
    changed: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    lagged: bool,
    closed: bool,
}

/// What an item costs besides its text.
const ITEM_BYTES: usize = 96;

impl Outlet {
    pub(crate) fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self { limit, state: Mutex::default(), changed: Notify::new(), metrics }
    }

    /// Adds an item. Whether the outlet takes more.
    pub(super) fn push(&self, item: Item) -> bool {
        let mut state = self.lock();
        if state.lagged || state.closed {
            return false;
        }
        let bytes = item.frame.len() + ITEM_BYTES;
        state.bytes += bytes;
        self.metrics.hub_queue_bytes.inc_by(bytes as i64);
        state.items.push_back(item);
        if state.bytes > self.limit && !sabotaged!("unbounded_queue") {
            self.metrics.drops.of("session_full").inc();
            self.let_go(&mut state);
        }
        let takes_more = !state.lagged;
        drop(state);
        if !sabotaged!("swap_two") {
            self.changed.notify_one();
        }
        takes_more
    }

    /// Sends the session back to paging.
    pub(super) fn lag(&self) {
        self.let_go(&mut self.lock());
        self.changed.notify_one();
    }

    /// The session has left.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        self.let_go(&mut state);
        state.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn let_go(&self, state: &mut State) {
        self.take_all(state);
        state.lagged = true;
    }

    fn take_all(&self, state: &mut State) -> VecDeque<Item> {
        self.metrics.hub_queue_bytes.dec_by(std::mem::take(&mut state.bytes) as i64);
        std::mem::take(&mut state.items)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for items and takes all there are.
    ///
    /// # Errors
    /// [`Lagged`], then and ever after.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn take(&self) -> Result<VecDeque<Item>, Lagged> {
        loop {
            {
                let mut state = self.lock();
                if state.lagged {
                    return Err(Lagged);
                }
                if !state.items.is_empty() {
                    return Ok(self.take_all(&mut state));
                }
            }
            // A push since then has left its permit.
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(seq: i64) -> Item {
        Item {
            seq: Seq(seq),
            unread: 0,
            frame: ByteString::from("x".repeat(100)),
            origin: Origin::here(None),
        }
    }

    #[tokio::test]
    async fn an_overflow_lets_go_and_says_so() {
        let metrics = Arc::new(Metrics::default());
        let outlet = Outlet::new(1200, Arc::clone(&metrics));
        assert!((1..=6).all(|seq| outlet.push(item(seq))));
        assert_eq!(metrics.hub_queue_bytes.get(), 6 * 196);
        assert_eq!(outlet.take().await.unwrap().len(), 6);
        assert_eq!((7..=20).filter(|seq| outlet.push(item(*seq))).count(), 6);
        assert_eq!(outlet.take().await, Err(Lagged));
        assert_eq!((metrics.hub_queue_bytes.get(), metrics.drops.of("session_full").get()), (0, 1));
        assert_eq!(outlet.state.lock().unwrap().items.capacity(), 0);
    }
}
