//! What the sockets' workers share: the node, as a session or a handler sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use switchboard_channel_layer::{ChannelLayer, Status};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Tokens;
use crate::feed::Source;
use crate::limits::NodeLimits;
use crate::metrics::Metrics;
use crate::writer::WriterHandle;

/// A running node.
pub struct Node {
    /// The way to read mailboxes.
    pub source: Source,
    /// The way to change them.
    pub writer: WriterHandle,
    /// What a user and an address may do.
    pub limits: NodeLimits,
    /// Messages that a user may send a second, as clients are told.
    pub messages_per_second: u32,
    /// Who a token belongs to.
    pub tokens: Tokens,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// For its health and its counters.
    pub layer: ChannelLayer,
    /// Ends every session.
    pub stop: CancellationToken,
    /// The sessions, so that the end can be waited for.
    pub sessions: TaskTracker,
    /// Whether the store answered when it was last asked.
    pub store_up: AtomicBool,
}

/// What a balancer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// All is well.
    Ready,
    /// The channel layer is not: the sweep delivers, so the node stays in the fleet.
    Degraded(&'static str),
    /// The store does not answer.
    StoreDown,
    /// The node is going away.
    Draining,
}

impl Node {
    /// What a balancer is told now.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        match self.layer.status() {
            _ if self.stop.is_cancelled() => Readiness::Draining,
            _ if !self.store_up.load(Ordering::Relaxed) => Readiness::StoreDown,
            Status::Degraded { reason } => Readiness::Degraded(reason),
            Status::Up => Readiness::Ready,
        }
    }
}
