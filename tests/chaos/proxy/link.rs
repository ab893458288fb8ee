//! A link: an address where connections are taken, and one that each goes on to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Ways, join, reset_when_dropped};
use super::orders::{Direction, Toxic};

/// What the kernel may hold of each connection at each side, each way: little, so that a slow reader is felt soon.
const KERNEL_BUFFER: u32 = 64 * 1024;
/// How many may knock at once: as many as reconnect in a storm.
const BACKLOG: u32 = 4096;
/// Before the next attempt when there are no descriptors left.
const NO_DESCRIPTORS: Duration = Duration::from_millis(10);

/// An open link.
pub(super) struct Link {
    listen: SocketAddr,
    shared: Arc<Shared>,
    /// Takes connections, unless they are refused.
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    to: SocketAddr,
    up: watch::Sender<Toxic>,
    down: watch::Sender<Toxic>,
    /// Held for moments.
    connections: Mutex<Connections>,
}

/// Those that are reset together.
#[derive(Clone, Default)]
struct Connections {
    /// How many there were before.
    number: u64,
    tasks: TaskTracker,
    reset: CancellationToken,
}

impl Link {
    /// Takes connections from now on.
    pub(super) fn open(listen: SocketAddr, to: SocketAddr) -> anyhow::Result<Self> {
        let shared = Shared {
            to,
            up: watch::Sender::default(),
            down: watch::Sender::default(),
            connections: Mutex::default(),
        };
        let mut link = Self { listen, shared: Arc::new(shared), accepting: None };
        link.accept()?;
        Ok(link)
    }

    /// From now on this happens to what goes that way.
    pub(super) fn set(&self, direction: Direction, toxic: Toxic) {
        if direction != Direction::Down {
            self.shared.up.send_replace(toxic);
        }
        if direction != Direction::Up {
            self.shared.down.send_replace(toxic);
        }
    }

    /// Resets all connections, and waits until they are gone.
    pub(super) async fn reset(&self) {
        let gone = {
            let mut connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
            let number = connections.number;
            std::mem::replace(&mut *connections, Connections { number, ..Connections::default() })
        };
        gone.reset.cancel();
        gone.tasks.close();
        gone.tasks.wait().await;
    }

    /// Closes the listening socket.
    pub(super) async fn refuse(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // Only when it has ended is its socket closed.
            let _ = accepting.await;
        }
    }

    /// Passes everything, and takes connections.
    pub(super) fn clear(&mut self) -> anyhow::Result<()> {
        self.set(Direction::Both, Toxic::Pass);
        if self.accepting.is_none() { self.accept() } else { Ok(()) }
    }

    /// How many connections there are.
    pub(super) fn count(&self) -> usize {
        self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).tasks.len()
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        let socket = small_socket()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.listen)?;
        let listener = socket.listen(BACKLOG)?;
        self.accepting = Some(tokio::spawn(accept_all(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

async fn accept_all(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(NO_DESCRIPTORS).await;
            continue;
        };
        let mut connections = shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.number += 1;
        let ways = Ways { up: shared.up.subscribe(), down: shared.down.subscribe() };
        let connection = connect(client, shared.to, ways, connections.number, connections.reset.clone());
        connections.tasks.spawn(connection);
    }
}

/// Goes on to the server. A client whose server is not there is reset.
async fn connect(client: TcpStream, to: SocketAddr, ways: Ways, number: u64, reset: CancellationToken) {
    let server = async {
        let server = small_socket()?.connect(to).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        Ok::<_, std::io::Error>(server)
    };
    let server = tokio::select! {
        () = reset.cancelled() => None,
        server = server => server.ok(),
    };
    match server {
        Some(server) => join(client, server, ways, number, reset).await,
        None => reset_when_dropped(&client),
    }
}

/// With little room in the kernel, which accepted connections inherit.
fn small_socket() -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(KERNEL_BUFFER)?;
    socket.set_send_buffer_size(KERNEL_BUFFER)?;
    Ok(socket)
}
