//! Where mailboxes stand: asked for those who attach or count, and by the sweep, in batches.

use std::collections::HashMap;

use switchboard_protocol::{MailboxId, Seq};
use switchboard_store::{Head, StoreError};
use tokio::time::Instant;

use super::{Done, REORDER_WAIT, Request, Shard, slice_of};

/// Mailboxes in one reading of heads.
const HEADS: usize = 1_000;

/// Heads, with what had been forwarded when they were asked for.
pub(super) struct Readings {
    asked: Vec<(MailboxId, Option<Seq>)>,
    heads: Result<Vec<Head>, StoreError>,
}

impl Shard {
    /// One reading at a time for all who wait: those who come meanwhile share the next.
    pub(super) fn read_requests(&mut self) {
        if self.reading_requests || self.requests.is_empty() {
            return;
        }
        self.reading_requests = true;
        let ids: Vec<_> = self.requests.keys().take(HEADS).copied().collect();
        let requests: Vec<_> = ids.iter().filter_map(|id| self.requests.remove_entry(id)).collect();
        let readings = self.read_heads(ids);
        self.work.push(Box::pin(async move { Done::Requested(requests, readings.await) }));
    }

    fn read_heads(&self, ids: Vec<MailboxId>) -> impl Future<Output = Readings> + use<> {
        let last = |id: &MailboxId| self.places[slice_of(*id)].get(id).and_then(|place| place.mailbox.last());
        let asked: Vec<_> = ids.iter().map(|id| (*id, last(id))).collect();
        let store = self.surroundings.store.clone();
        async move {
            let mut heads = Ok(Vec::with_capacity(ids.len()));
            for chunk in ids.chunks(HEADS) {
                match (store.heads(chunk).await, &mut heads) {
                    (Ok(more), Ok(heads)) => heads.extend(more),
                    (Err(error), _) => {
                        heads = Err(error);
                        break;
                    }
                    (Ok(_), Err(_)) => {}
                }
            }
            Readings { asked, heads }
        }
    }

    /// Compares the mailboxes of a slice with the store.
    pub(super) fn sweep(&mut self, slice: usize) {
        let (under_way, again) = &mut self.sweeping[slice];
        if *under_way {
            *again = true;
            return;
        }
        let with_sessions = self.places[slice].iter().filter(|(_, place)| place.mailbox.last().is_some());
        let ids: Vec<_> = with_sessions.map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return;
        }
        *under_way = true;
        self.surroundings.metrics.hub_swept.inc_by(ids.len() as u64);
        let (readings, begun) = (self.read_heads(ids), Instant::now());
        let seconds = self.surroundings.metrics.hub_sweep_seconds.clone();
        self.work.push(Box::pin(async move {
            let readings = readings.await;
            seconds.observe(begun.elapsed().as_secs_f64());
            Done::Swept(slice, readings)
        }));
    }

    /// Lets the mailboxes know. Gives the heads by mailbox.
    pub(super) fn observe(&mut self, readings: &Readings, cause: &'static str) -> HashMap<MailboxId, Head> {
        let heads = readings.heads.as_deref().unwrap_or_default();
        let heads: HashMap<_, _> = heads.iter().map(|head| (head.mailbox, *head)).collect();
        for (id, before) in &readings.asked {
            if let (Some(head), Some(place)) = (heads.get(id), self.places[slice_of(*id)].get_mut(id)) {
                place.mailbox.observe(head, *before);
                self.watch_gap(*id, REORDER_WAIT, Some(cause));
            }
        }
        heads
    }

    /// Lets those in who attach, and answers all.
    pub(super) fn answer(&mut self, requests: Vec<(MailboxId, Vec<Request>)>, readings: Readings) {
        let heads = self.observe(&readings, "attach");
        for (id, requests) in requests {
            let mut place = self.places[slice_of(id)].get_mut(&id);
            for Request { outlet, reply } in requests {
                let mut head = heads.get(&id).copied().ok_or_else(|| match &readings.heads {
                    Err(error) => StoreError::Unavailable(error.to_string()),
                    Ok(_) => StoreError::Unavailable(format!("there is no mailbox {id}")),
                });
                if let (Some(outlet), Some(place)) = (outlet, &mut place) {
                    place.attaching -= 1;
                    if let Ok(head) = &mut head {
                        head.last_seq = place.mailbox.join(outlet, head);
                    }
                }
                let _gone = reply.send(head);
            }
            self.watch_gap(id, REORDER_WAIT, Some("attach"));
        }
    }
}
