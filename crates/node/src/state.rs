//! What the sockets' workers share: the node, as a session or a handler sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use switchboard_channel_layer::{ChannelLayer, Status};
use switchboard_store::{Store, StoreError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attachments::Files;
use crate::auth::{Edge, Passwords, Tokens};
use crate::commands::store_unavailable;
use crate::drain::Drain;
use crate::ephemeral::Throttle;
use crate::feed::Source;
use crate::limits::NodeLimits;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::problem::ApiError;
use crate::revocations::Revocations;
use crate::writer::WriterHandle;

/// A running node.
pub struct Node {
    /// The way to read mailboxes.
    pub source: Arc<Source>,
    /// The way to change them.
    pub writer: WriterHandle,
    /// What a user and an address may do.
    pub limits: NodeLimits,
    /// Who was said to write.
    pub(crate) typing: Throttle,
    /// Who is there, and who wants to know.
    pub(crate) presence: Arc<Presence>,
    /// Messages that a user may send a second, as clients are told.
    pub messages_per_second: u32,
    /// What handlers want to know of the configuration.
    pub settings: Settings,
    /// Who a token belongs to.
    pub tokens: Tokens,
    /// The way to hash and compare passwords.
    pub passwords: Passwords,
    /// Where requests come in.
    pub edge: Edge,
    /// Which credentials have ended.
    pub revocations: Arc<Revocations>,
    /// The bytes of attachments.
    pub files: Files,
    /// Turns of those who read long lists.
    pub(crate) list_turns: Semaphore,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// For its health and its counters.
    pub layer: ChannelLayer,
    /// Whether the node goes away.
    pub drain: Drain,
    /// Ends every session.
    pub stop: CancellationToken,
    /// The sessions, so that the end can be waited for.
    pub sessions: TaskTracker,
    /// The requests, until their answers are sent; the same.
    pub requests: TaskTracker,
    /// Whether the store answered when it was last asked.
    pub store_up: AtomicBool,
}

/// What handlers want to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether people log in by a password here.
    pub accounts: bool,
    /// Whether they may make accounts by themselves.
    pub registration: bool,
    /// How long a log-in lasts.
    pub session_ttl: Duration,
    /// How long no request has come that changes something before the socket is closed.
    pub drain_quiet: Duration,
    /// The largest file, in bytes.
    pub attachment_bytes: u64,
    /// How long a file waits for a message.
    pub orphan_ttl: Duration,
    /// How many files of one user do.
    pub waiting_per_user: i64,
    /// Whether the log tells the addresses of clients.
    pub log_addresses: bool,
    /// Whether only members of a shared group of the operator may write to each other.
    pub only_in_groups: bool,
    /// How long after it was sent a message may be changed, in microseconds.
    pub edit_within: i64,
    /// Whether what a message said before is kept.
    pub keep_versions: bool,
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
    /// Asks the store, on the runtime that its connections belong to.
    pub(crate) async fn with_store<T, F>(&self, ask: impl FnOnce(Store) -> F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let asking = ask(self.source.store.clone());
        self.source.on_backend(asking).await.map_err(|error| store_unavailable(&error))
    }

    /// What a balancer is told now.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        match self.layer.status() {
            _ if self.drain.has_begun() => Readiness::Draining,
            _ if !self.store_up.load(Ordering::Relaxed) => Readiness::StoreDown,
            Status::Degraded { reason } => Readiness::Degraded(reason),
            Status::Up => Readiness::Ready,
        }
    }
}
