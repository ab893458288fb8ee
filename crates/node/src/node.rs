//! A node from start to stop.
//!
//! The hub, the writer, the layer's tasks and the pools run on the runtime that calls [`RunningNode::start`];
//! the sockets have workers of their own, in an actix system on a thread of its own.

mod chores;

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpServer, rt, web};
use socket2::SockRef;
use switchboard_channel_layer::{ChannelLayer, Event};
use switchboard_store::{Store, StoreError};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attachments::{Files, FilesError};
use crate::auth::{Edge, Passwords, Tokens};
use crate::config::Config;
use crate::feed::Source;
use crate::http;
use crate::hub::{HubHandle, Surroundings};
use crate::limits::NodeLimits;
use crate::metrics::Metrics;
use crate::revocations::Revocations;
use crate::state::{Node, Settings};
use crate::writer::WriterHandle;

/// The most that stopping the HTTP server, or the tasks behind it, may take.
const SERVER_STOP: Duration = Duration::from_secs(5);

/// Long lists that are read at a time: each may hold 64 MiB while it is.
const LIST_TURNS: usize = 4;
/// How long the kernel waits for a peer that takes nothing: longer than a session, which knows what to call it.
const KERNEL_STALL: Duration = Duration::from_secs(40);
/// The most that the writer may take to commit what waits: above its own deadline.
const WRITER_STOP: Duration = Duration::from_secs(10);

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
    server: ServerHandle,
    system: thread::JoinHandle<io::Result<()>>,
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
        listener: TcpListener,
        parts: Parts,
        backend: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        let address = listener.local_addr()?;
        let writer = TaskTracker::new();
        let revocations = Arc::new(Revocations::open(&parts.store).await?);
        let node = build(config, parts, revocations, &writer, &backend, &stop)?;
        chores::start(&node, &backend);
        let (server, system) = serve(Arc::clone(&node), listener, config.server.n_workers()).await?;
        let drain = config.server.drain();
        Ok(Self { node, address, server, system, writer, backend, stop, drain })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether a balancer should send it traffic.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Stops: no new sessions, each client is told when to connect elsewhere, what was accepted is committed.
    /// Sessions that have not ended when the drain time is over are cut.
    pub async fn stop(self) {
        self.node.stop.cancel();
        self.node.sessions.close();
        if timeout(self.drain, self.node.sessions.wait()).await.is_err() {
            tracing::warn!("{} sessions did not end in time and are cut", self.node.sessions.len());
        }
        let _late = timeout(SERVER_STOP, self.server.stop(true)).await;
        let system = self.system;
        let ended = tokio::task::spawn_blocking(move || system.join());
        let _late = timeout(SERVER_STOP, ended).await;
        let _late = timeout(SERVER_STOP, self.node.files.settled()).await;
        // With the last handle on the node goes the last on the writer, which then commits what waits and ends.
        drop(self.node);
        self.writer.close();
        let _late = timeout(WRITER_STOP, self.writer.wait()).await;
        self.stop.cancel();
        self.backend.close();
        let _late = timeout(SERVER_STOP, self.backend.wait()).await;
    }
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
    let source =
        Source { hub, store: parts.store, backend: Handle::current(), metrics: Arc::clone(&metrics) };
    let folder = config.server.data_dir.join("attachments");
    let url = config.attachments.url.as_ref().map_or("", url::Url::as_str);
    Ok(Arc::new(Node {
        source,
        writer,
        limits: NodeLimits::new(&config.limits),
        messages_per_second: config.limits.messages_per_second,
        settings: settings(config),
        tokens: Tokens::from_config(&config.auth).map_err(StartError::Keys)?,
        passwords: Passwords::new(Handle::current()),
        edge: Edge::new(&config.server),
        revocations,
        list_turns: Semaphore::new(LIST_TURNS),
        files: Files::open(url, &folder, Handle::current())?,
        metrics,
        layer: parts.layer,
        stop: CancellationToken::new(),
        sessions: TaskTracker::new(),
        store_up: AtomicBool::new(true),
    }))
}

fn settings(config: &Config) -> Settings {
    Settings {
        accounts: config.auth.accounts,
        registration: config.auth.registration,
        session_ttl: config.auth.session_ttl(),
        attachment_bytes: config.attachments.max_bytes,
        orphan_ttl: config.attachments.orphan_age(),
        waiting_per_user: config.attachments.waiting_per_user,
    }
}

/// Serves the sockets on a thread of its own, which is the actix system; its workers are threads beside it.
async fn serve(
    node: Arc<Node>,
    listener: TcpListener,
    n_workers: usize,
) -> io::Result<(ServerHandle, thread::JoinHandle<io::Result<()>>)> {
    let (started, starting) = oneshot::channel();
    let system = thread::Builder::new().name("sockets".to_owned()).spawn(move || {
        rt::System::new().block_on(async move {
            let node = web::Data::new(node);
            let app = move || {
                // For whatever has no rule of its own: it is somebody's, and is what it says.
                let headers = DefaultHeaders::new()
                    .add((CACHE_CONTROL, "no-store"))
                    .add((X_CONTENT_TYPE_OPTIONS, "nosniff"));
                App::new().wrap(headers).app_data(node.clone()).configure(http::routes)
            };
            let server = HttpServer::new(app)
                .workers(n_workers)
                .max_connections(usize::MAX)
                .tcp_nodelay(true)
                .on_connect(|connection, _data| let_go_when_stalled(connection))
                .shutdown_timeout(SERVER_STOP.as_secs())
                .disable_signals()
                .listen(listener)?
                .run();
            let _waits = started.send(server.handle());
            server.await
        })
    })?;
    match starting.await {
        Ok(handle) => Ok((handle, system)),
        Err(_closed) => match system.join() {
            Ok(Err(error)) => Err(error),
            _ => Err(io::Error::other("the thread of the sockets ended")),
        },
    }
}

/// Has the kernel end a connection whose peer takes nothing, whatever was being sent to it: a session can stop
/// waiting for such a peer, but only this gives its memory back.
fn let_go_when_stalled(connection: &dyn Any) {
    // Elsewhere the peer stays until it answers or resets.
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        let _unsupported = SockRef::from(stream).set_tcp_user_timeout(Some(KERNEL_STALL));
    }
}
