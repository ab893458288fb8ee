//! A node from start to stop.
//!
//! The hub, the writer, the layer's tasks and the pools run on the runtime that calls [`RunningNode::start`];
//! the sockets have workers of their own, in an actix system on a thread of its own.

mod chores;
mod sockets;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use switchboard_channel_layer::{ChannelLayer, Event};
use switchboard_store::{Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attachments::{Files, FilesError};
use crate::auth::{Edge, Passwords, Tokens};
use crate::config::Config;
use crate::drain::{Drain, reserve};
use crate::ephemeral::Throttle;
use crate::feed::Source;
use crate::http::{all_routes, routes};
use crate::hub::{HubHandle, Surroundings};
use crate::limits::NodeLimits;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::revocations::Revocations;
use crate::state::{Node, Settings};
use crate::writer::WriterHandle;
use sockets::Sockets;

/// How long a session may take to end when its time is over, if its client takes nothing.
const GOODBYE: Duration = Duration::from_secs(3);
/// Long lists that are read at a time: each may hold 64 MiB while it is.
const LIST_TURNS: usize = 4;

/// What a node stands on. Two nodes of one process may share a store and a bus.
pub struct Parts {
    /// Migrated.
    pub store: Store,
    /// The node's handle.
    pub layer: ChannelLayer,
    /// The other end of it.
    pub events: mpsc::Receiver<Event>,
    /// The id that channel names begin with.
    pub deployment: String,
}

/// Where a node listens.
pub struct Listeners {
    /// For clients.
    pub clients: TcpListener,
    /// For operators, if health and metrics have an address of their own.
    pub operators: Option<TcpListener>,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Where attachments are to be.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The keys of tokens.
    #[error("the keys of tokens cannot be read: {0}")]
    Keys(io::Error),
    /// The sockets.
    #[error("the server cannot start: {0}")]
    Server(#[from] io::Error),
}

/// A node that serves. Stop it with [`RunningNode::stop`].
pub struct RunningNode {
    node: Arc<Node>,
    address: SocketAddr,
    operators_address: Option<SocketAddr>,
    sockets: Sockets,
    operators: Option<Sockets>,
    writer: TaskTracker,
    backend: TaskTracker,
    stop: CancellationToken,
    drain: Duration,
}

impl RunningNode {
    /// Starts a node on the present runtime, which must have more than one thread. `backend` and `stop` are those
    /// that the layer was made with.
    ///
    /// # Errors
    /// If the sockets cannot be served.
    pub async fn start(
        config: &Config,
        listeners: Listeners,
        parts: Parts,
        backend: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        let Listeners { clients, operators } = listeners;
        let address = clients.local_addr()?;
        let operators_address = operators.as_ref().map(TcpListener::local_addr).transpose()?;
        let writer = TaskTracker::new();
        let revocations = Arc::new(Revocations::open(&parts.store).await?);
        let node = build(config, parts, revocations, &writer, &backend, &stop)?;
        chores::start(&node, &backend);
        let routes = if operators.is_some() { routes } else { all_routes };
        let n_workers = config.server.n_workers();
        let transport = config.server.transport;
        let sockets = Sockets::serve(Arc::clone(&node), clients, n_workers, transport, routes).await?;
        let operators = match operators {
            Some(listener) => Some(Sockets::serve_operators(Arc::downgrade(&node), listener).await?),
            None => None,
        };
        let drain = config.server.drain();
        Ok(Self { node, address, operators_address, sockets, operators, writer, backend, stop, drain })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that operators have, if it is another one.
    #[must_use]
    pub fn operators_address(&self) -> Option<SocketAddr> {
        self.operators_address
    }

    /// What its workers share.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Stops, within the drain time from now: no new sessions, each client is told when to connect elsewhere and served
    /// until then, what was accepted is committed. Sessions that have not ended when their time is over are cut.
    pub async fn stop(self) {
        let deadline = Instant::now() + self.drain;
        // What takes too long takes nothing from what comes after it, and harms nothing but itself.
        let left = || deadline.saturating_duration_since(Instant::now());
        see_off(&self.node, self.drain).await;
        self.sockets.stop(left() / 4).await;
        let _late = timeout(left() / 2, self.node.files.settled()).await;
        // With the last handle on the node goes the last on the writer, which then commits what waits and ends.
        drop(self.node);
        self.writer.close();
        if timeout(left() * 3 / 4, self.writer.wait()).await.is_err() {
            tracing::error!("the store did not take what waited for it in time");
        }
        self.stop.cancel();
        self.backend.close();
        let _late = timeout(left() / 2, self.backend.wait()).await;
        if let Some(operators) = self.operators {
            operators.stop(left()).await;
        }
    }
}

/// Waits until all sessions have left and all requests are answered, as long as there is time for them.
async fn see_off(node: &Node, time: Duration) {
    let (start, n_sessions) = (Instant::now(), node.sessions.len());
    let spread = node.drain.begin(n_sessions, time);
    tracing::info!("going away: {n_sessions} sessions leave within {spread:?}");
    let end = start + time - reserve(time);
    node.sessions.close();
    node.requests.close();
    if timeout_at(end.min(start + spread + GOODBYE), node.sessions.wait()).await.is_err() {
        tracing::warn!("{} sessions did not leave in time and are cut", node.sessions.len());
        node.drain.cut();
        // Each says goodbye, to whoever still takes it.
        let _silent = timeout(reserve(time) / 3, node.sessions.wait()).await;
    }
    // Right before the socket is closed.
    let _busy = timeout_at(end, node.drain.settle(&node.requests, node.settings.drain_quiet)).await;
    node.stop.cancel();
}

fn build(
    config: &Config,
    parts: Parts,
    revocations: Arc<Revocations>,
    writer: &TaskTracker,
    backend: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Arc<Node>, StartError> {
    let metrics = Arc::new(Metrics::default());
    let surroundings = Surroundings {
        store: parts.store.clone(),
        layer: parts.layer.clone(),
        deployment: parts.deployment.into(),
        metrics: Arc::clone(&metrics),
        outlet_bytes: config.limits.outbound_queue_bytes,
    };
    let hub = HubHandle::start(surroundings.clone(), parts.events, backend, stop.clone());
    let writer = WriterHandle::start(surroundings, hub.clone(), writer);
    let source = Arc::new(Source { hub, store: parts.store, backend: Handle::current() });
    Ok(Arc::new(Node {
        source,
        writer,
        limits: NodeLimits::new(&config.limits),
        typing: Throttle::default(),
        presence: Arc::new(Presence::default()),
        messages_per_second: config.limits.messages_per_second,
        settings: settings(config),
        tokens: Tokens::from_config(&config.auth).map_err(StartError::Keys)?,
        passwords: Passwords::new(Handle::current()),
        edge: Edge::new(&config.server),
        revocations,
        list_turns: Semaphore::new(LIST_TURNS),
        files: Files::of_config(config, Handle::current())?,
        metrics,
        layer: parts.layer,
        drain: Drain::default(),
        stop: CancellationToken::new(),
        sessions: TaskTracker::new(),
        requests: TaskTracker::new(),
        store_up: AtomicBool::new(true),
    }))
}

fn settings(config: &Config) -> Settings {
    Settings {
        accounts: config.auth.accounts,
        registration: config.auth.registration,
        session_ttl: config.auth.session_ttl(),
        drain_quiet: config.server.drain_quiet(),
        attachment_bytes: config.attachments.max_bytes,
        orphan_ttl: config.attachments.orphan_age(),
        waiting_per_user: config.attachments.waiting_per_user,
        log_addresses: config.log.addresses,
        only_in_groups: config.messages.only_in_groups,
        edit_within: config.messages.edit_within(),
        keep_versions: config.messages.keep_versions,
    }
}
