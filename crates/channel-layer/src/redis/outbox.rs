//! What waits to be published.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::channel::Publication;
use crate::counters::Tally;

/// Publications that wait. At 50,000 a second, more than a second's worth.
const ENTRIES: usize = 65_536;

/// Bytes of name and payload that wait.
const BYTES: usize = 64 * 1_024 * 1_024;

/// Publications of one pipeline; larger ones were measured to be no faster.
const BATCH: usize = 256;

/// Bytes of one pipeline, unless one publication is larger.
const BATCH_BYTES: usize = 1_024 * 1_024;

/// The queue between the node and the publisher. Closed while there is no link: what comes then, and what is still in it
/// when the link goes, is dropped and counted, because the sweep will have delivered it before Redis is back. When it is
/// full, what comes is dropped and counted.
pub(super) struct Outbox {
    /// Held for short sections only, none of which awaits.
    queue: Mutex<Queue>,
    /// Wakes the publisher, the only one that waits.
    filled: Notify,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Queue {
    is_open: bool,
    entries: VecDeque<Publication>,
    n_bytes: usize,
    is_probe_due: bool,
}

/// What goes into one pipeline; never empty.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) publications: Vec<Publication>,
    /// Whether the node's probe goes with it.
    pub(super) has_probe: bool,
}

impl Outbox {
    pub(super) fn new(tally: Arc<Tally>) -> Self {
        Self { queue: Mutex::default(), filled: Notify::new(), tally }
    }

    pub(super) fn push(&self, batch: Vec<Publication>) {
        let mut queue = self.lock();
        if !queue.is_open {
            self.tally.publish_down.add(batch.len());
            return;
        }
        let mut n_dropped = 0;
        for publication in batch {
            let size = size(&publication);
            if queue.entries.len() < ENTRIES && queue.n_bytes + size <= BYTES {
                queue.n_bytes += size;
                queue.entries.push_back(publication);
            } else {
                n_dropped += 1;
            }
        }
        drop(queue);
        self.tally.publish_full.add(n_dropped);
        self.filled.notify_one();
    }

    /// Sends the probe with the next pipeline, if there is a link.
    pub(super) fn push_probe(&self) {
        let mut queue = self.lock();
        queue.is_probe_due = queue.is_open;
        drop(queue);
        self.filled.notify_one();
    }

    /// Waits until there is something, and takes what fits one pipeline. For the publisher alone.
    ///
    /// # Cancel safety
    /// Nothing is taken unless this returns.
    pub(super) async fn take(&self) -> Batch {
        loop {
            if let Some(batch) = self.try_take() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    pub(super) fn try_take(&self) -> Option<Batch> {
        let mut queue = self.lock();
        let mut batch = Batch {
            publications: Vec::with_capacity(queue.entries.len().min(BATCH)),
            has_probe: std::mem::take(&mut queue.is_probe_due),
        };
        let mut n_bytes = 0;
        while batch.publications.len() < BATCH && n_bytes < BATCH_BYTES {
            let Some(publication) = queue.entries.pop_front() else {
                break;
            };
            n_bytes += size(&publication);
            batch.publications.push(publication);
        }
        queue.n_bytes -= n_bytes;
        (batch.has_probe || !batch.publications.is_empty()).then_some(batch)
    }

    pub(super) fn open(&self) {
        self.lock().is_open = true;
    }

    pub(super) fn close(&self) {
        let left = std::mem::take(&mut *self.lock());
        self.tally.publish_down.add(left.entries.len());
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().is_open
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(publication: &Publication) -> usize {
    publication.channel.as_str().len() + publication.payload.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::channel::Channel;

    fn publications(n: usize, n_bytes: usize) -> Vec<Publication> {
        let channel = Channel::new("c");
        let payload = Bytes::from(vec![0; n_bytes]);
        vec![Publication { channel, payload }; n]
    }

    #[test]
    fn it_is_bounded_in_entries_and_bytes_and_counts_what_it_drops() {
        let tally = Arc::new(Tally::default());
        let outbox = Outbox::new(Arc::clone(&tally));
        let dropped = || (tally.snapshot(0).publish_down, tally.snapshot(0).publish_full);

        outbox.push(publications(3, 1));
        assert_eq!(dropped(), (3, 0), "closed");
        outbox.open();
        outbox.push(publications(ENTRIES + 5, 1));
        assert_eq!(dropped(), (3, 5), "full of entries");
        outbox.close();
        assert_eq!(dropped(), (3 + ENTRIES as u64, 5), "closed with entries");
        outbox.open();
        outbox.push(publications(65, 1_024 * 1_024 - 1));
        assert_eq!(dropped(), (3 + ENTRIES as u64, 6), "full of bytes");
        assert!(outbox.try_take().is_some_and(|batch| batch.publications.len() == 1));
        outbox.push(publications(1, 1_024 * 1_024 - 1));
        assert_eq!(dropped(), (3 + ENTRIES as u64, 6), "room again");
    }

    #[test]
    fn a_probe_needs_a_link_and_no_room() {
        let outbox = Outbox::new(Arc::default());
        outbox.push_probe();
        assert!(outbox.try_take().is_none());
        outbox.open();
        outbox.push_probe();
        let batch = outbox.try_take().unwrap_or_default();
        assert!(batch.has_probe && batch.publications.is_empty());
    }
}
