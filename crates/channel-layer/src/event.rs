//! What a node hears, and the bounded queue it hears it through.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc::{self, OwnedPermit};

use crate::counters::Tally;

/// Events that wait for the node. A node that is this far behind is better served by reading the store; a larger queue
/// only makes what it hears older.
const QUEUE: usize = 1_024;

/// After an overflow nothing is taken until this much of the queue is free again, so that a node that is behind gets one
/// [`Event::Restored`] and time to act on it, not one for each event it takes.
const REOPEN: usize = QUEUE / 2;

/// Messages in one event: what one wake usually brings. Larger batches delay the first message behind the last.
pub(crate) const BATCH: usize = 256;

/// Bytes in one event, unless a single message is larger. With [`QUEUE`] this bounds what waits to 64 MiB.
const BATCH_BYTES: usize = 64 * 1_024;

/// What a node hears from the layer.
///
/// The queue holds 1,024 events, each of up to 256 messages and up to 64 KiB (or one larger message). When it is full,
/// messages are dropped and counted and one [`Event::Restored`] is queued behind what was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What one read brought, in the order of arrival; never empty.
    Messages(Vec<Bytes>),
    /// The subscriptions stand, for the first time or again, or messages were dropped: anything may have been missed
    /// before this point.
    Restored,
    /// The link is gone and the layer is making a new one. Left out if the queue is full; what follows it never is.
    Lost,
}

/// The layer's end of a node's event queue. Nothing here waits.
///
/// One slot of the queue is kept for the `Restored` that follows an overflow. While the slot is used up, that `Restored`
/// is the last of the queue and still to come, so whatever is dropped meanwhile was dropped before it.
pub(crate) struct Outlet {
    sender: mpsc::Sender<Event>,
    kept: Option<OwnedPermit<Event>>,
    tally: Arc<Tally>,
}

impl Outlet {
    pub(crate) fn new(tally: Arc<Tally>) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let kept = None;
        let outlet = Self { sender, kept, tally };
        (outlet, receiver)
    }

    /// Hands over what arrived together, in bounded batches.
    pub(crate) fn messages(&mut self, messages: Vec<Bytes>) {
        let mut batch = Vec::with_capacity(messages.len().min(BATCH));
        let mut n_bytes = 0;
        for message in messages {
            let is_full = batch.len() == BATCH || n_bytes + message.len() > BATCH_BYTES;
            if is_full && !batch.is_empty() {
                self.hand_over(mem::take(&mut batch));
                n_bytes = 0;
            }
            n_bytes += message.len();
            batch.push(message);
        }
        if !batch.is_empty() {
            self.hand_over(batch);
        }
    }

    /// Says that the subscriptions stand.
    pub(crate) fn restored(&mut self) {
        if self.is_open() && self.sender.try_send(Event::Restored).is_err() {
            self.close();
        }
    }

    /// Says that the link is gone.
    pub(crate) fn lost(&mut self) {
        if self.is_open() {
            // Without room the node learns of the outage when it is over.
            let _ = self.sender.try_send(Event::Lost);
        }
    }

    fn hand_over(&mut self, batch: Vec<Bytes>) {
        let n_messages = batch.len();
        if self.is_open() {
            if let Ok(slot) = self.sender.try_reserve() {
                // Counted first, so that no one has a message that is not counted.
                self.tally.received.add(n_messages);
                slot.send(Event::Messages(batch));
                return;
            }
            self.close();
        }
        self.tally.received_dropped.add(n_messages);
    }

    /// Whether the queue takes events. The first call, and the first with room enough after an overflow, keeps the slot.
    fn is_open(&mut self) -> bool {
        if self.kept.is_none() && self.sender.capacity() >= REOPEN {
            self.kept = self.sender.clone().try_reserve_owned().ok();
        }
        self.kept.is_some()
    }

    /// Uses the slot kept for the `Restored` that stands for everything dropped from here until the queue opens again.
    fn close(&mut self) {
        if let Some(slot) = self.kept.take() {
            slot.send(Event::Restored);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_is_one_restored_behind_what_was_kept() {
        let tally = Arc::new(Tally::default());
        let (mut outlet, mut receiver) = Outlet::new(Arc::clone(&tally));
        for _ in 0..QUEUE + 100 {
            outlet.messages(vec![Bytes::from_static(b"m")]);
        }
        outlet.lost();
        outlet.restored();

        let mut events = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            events.push(event);
        }
        assert_eq!(events.len(), QUEUE);
        assert_eq!(events.pop(), Some(Event::Restored));
        assert!(events.iter().all(|event| matches!(event, Event::Messages(_))));
        let counters = tally.snapshot(0);
        assert_eq!((counters.received, counters.received_dropped), (1_023, 101));

        outlet.messages(vec![Bytes::from_static(b"after")]);
        assert!(matches!(receiver.try_recv(), Ok(Event::Messages(_))));
    }

    #[test]
    fn batches_are_bounded_in_messages_and_bytes() {
        let (mut outlet, mut receiver) = Outlet::new(Arc::new(Tally::default()));
        let mut sizes = |messages: Vec<Bytes>| {
            outlet.messages(messages);
            let mut sizes = Vec::new();
            while let Ok(Event::Messages(batch)) = receiver.try_recv() {
                sizes.push(batch.len());
            }
            sizes
        };
        assert_eq!(sizes(vec![Bytes::from_static(b"m"); 600]), [256, 256, 88]);
        assert_eq!(sizes(vec![Bytes::from(vec![0; 40_000]); 3]), [1, 1, 1]);
        assert_eq!(sizes(vec![Bytes::from(vec![0; 100_000])]), [1]);
    }
}
