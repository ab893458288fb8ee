//! What the layer counts. Every drop is counted; nothing here ever goes back, except the gauges.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a node's layer has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Publications that the back end took.
    pub published: u64,
    /// Publications that were dropped because the link was down, or was lost before the answer came (then some may have gone
    /// out all the same), or because the back end refused them.
    pub publish_down: u64,
    /// Publications that were dropped because the queue was full.
    pub publish_full: u64,
    /// Messages handed to the node's receiver.
    pub received: u64,
    /// Messages dropped because the node's receiver was full.
    pub received_dropped: u64,
    /// Links to the back end, of the subscriber and of the publisher, that were lost after they had connected, refused
    /// subscriptions and missing answers included. A new link follows each.
    pub reconnects: u64,
    /// Times that the probe stayed away for so long that both links were made anew.
    pub probes_lost: u64,
    /// How long the last probe took to come back. Zero before the first, and within a process.
    pub probe: Duration,
    /// Channels that are wanted now. A gauge.
    pub subscriptions: u64,
    /// Names that this node holds now, whether or not the back end knows. A gauge.
    pub leases: u64,
    /// Names that were not held because there were too many.
    pub leases_dropped: u64,
    /// Changes of leases that the back end took, each of up to 1,000 names. None within a process.
    pub lease_flushes: u64,
    /// Commands for leases that were sent to the back end, without those that only begin or end a transaction.
    pub lease_commands: u64,
    /// Links for leases that could not be made, were lost or did not take what is held, and questions that were answered by
    /// [`Down`](crate::Down).
    pub lease_failures: u64,
}

/// The running counts, shared by the parts of one node's layer.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) published: Count,
    pub(crate) publish_down: Count,
    pub(crate) publish_full: Count,
    pub(crate) received: Count,
    pub(crate) received_dropped: Count,
    pub(crate) reconnects: Count,
    pub(crate) probes_lost: Count,
    /// In microseconds.
    pub(crate) probe: AtomicU64,
    pub(crate) leases: AtomicU64,
    pub(crate) leases_dropped: Count,
    pub(crate) lease_flushes: Count,
    pub(crate) lease_commands: Count,
    pub(crate) lease_failures: Count,
}

impl Tally {
    /// The counts of this moment. Each is exact; together they are not one point in time.
    pub(crate) fn snapshot(&self, subscriptions: usize) -> Counters {
        Counters {
            published: self.published.get(),
            publish_down: self.publish_down.get(),
            publish_full: self.publish_full.get(),
            received: self.received.get(),
            received_dropped: self.received_dropped.get(),
            reconnects: self.reconnects.get(),
            probes_lost: self.probes_lost.get(),
            probe: Duration::from_micros(self.probe.load(Ordering::Relaxed)),
            subscriptions: subscriptions as u64,
            leases: self.leases.load(Ordering::Relaxed),
            leases_dropped: self.leases_dropped.get(),
            lease_flushes: self.lease_flushes.get(),
            lease_commands: self.lease_commands.get(),
            lease_failures: self.lease_failures.get(),
        }
    }
}

/// One running count.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
