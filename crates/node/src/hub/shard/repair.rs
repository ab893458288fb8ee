//! Gaps: what the layer did not bring is read from the store.

use std::time::Duration;

use switchboard_protocol::{MailboxId, Seq};
use switchboard_store::{Entry, StoreError};
use tokio::time::Instant;

use super::{Done, Gap, Shard, slice_of};
use crate::hub::mailbox::{Accepted, WIDE_GAP};
use crate::packet::{Packet, Way};
use crate::sabotage::sabotaged;

/// Entries read at a time to close a gap; more follow.
const REPAIR: i64 = 100;
/// Gaps that are read for at a time: the others wait, and leave connections of the store to those who page.
pub(super) const REPAIRS: usize = 2;
/// How soon a reading that failed is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(500);

impl Shard {
    /// Has a gap closed after `wait`, if there is one and nobody is at it. `cause` is what showed it.
    pub(super) fn watch_gap(&mut self, id: MailboxId, wait: Duration, cause: Option<&'static str>) {
        if matches!(cause, Some("sweep" | "attach")) && sabotaged!("skip_sweep") {
            return;
        }
        if let Some(place) = self.places[slice_of(id)].get_mut(&id)
            && !place.mailbox.repairing
            && place.mailbox.gap().is_some()
        {
            place.mailbox.repairing = true;
            let due = Instant::now() + wait;
            let at = self.gaps.partition_point(|gap| gap.due <= due);
            self.gaps.insert(at, Gap { due, mailbox: id, cause });
        }
    }

    /// The wait of the first gap is over: what is still missing is read.
    pub(super) fn close_gap(&mut self) {
        let Some(Gap { mailbox: id, cause, .. }) = self.gaps.pop_front() else {
            return;
        };
        let Some(place) = self.places[slice_of(id)].get_mut(&id) else {
            return;
        };
        let Some((last, known)) = place.mailbox.gap() else {
            place.mailbox.repairing = false;
            return;
        };
        let metrics = &self.surroundings.metrics;
        if let Some(cause) = cause {
            metrics.hub_gaps.of(cause).inc();
        }
        if sabotaged!("skip_repair") {
            return place.mailbox.pass_over();
        }
        let missing = known.0 - last.0;
        if missing > WIDE_GAP {
            metrics.drops.of("wide_gap").inc();
            place.mailbox.repairing = false;
            place.mailbox.send_back();
            return;
        }
        self.repairs += 1;
        let store = self.surroundings.store.clone();
        let missing = missing.min(REPAIR);
        let asked = Seq(last.0 + missing);
        let reading = async move { Done::Paged(id, asked, store.page(id, last, missing).await) };
        self.work.push(Box::pin(reading));
    }

    /// Forwards what a gap lacked; what is still missing then is read again.
    pub(super) fn repair(&mut self, id: MailboxId, asked: Seq, entries: Result<Vec<Entry>, StoreError>) {
        self.repairs -= 1;
        let Some(place) = self.places[slice_of(id)].get_mut(&id) else {
            return;
        };
        place.mailbox.repairing = false;
        match entries {
            Ok(entries) => {
                for packet in entries.iter().filter_map(|entry| Packet::of_entry(entry, Way::Repaired).ok()) {
                    if place.mailbox.accept(packet) == Accepted::Forwarded {
                        self.surroundings.metrics.hub_repaired.inc();
                    }
                }
                place.mailbox.hand_over();
                place.mailbox.disbelieve(asked);
                // There was progress, or there is no gap any more.
                self.watch_gap(id, Duration::ZERO, None);
            }
            // Each session finds out by itself, and goes where it can be read.
            Err(StoreError::Unreadable(_)) => place.mailbox.send_back(),
            Err(error) => {
                match error {
                    StoreError::Rejected(_) => {
                        tracing::error!("a gap in mailbox {id} cannot be closed: {error}")
                    }
                    _ => tracing::debug!("a gap in mailbox {id} cannot be closed yet: {error}"),
                }
                self.watch_gap(id, RETRY_WAIT, None);
            }
        }
    }
}
