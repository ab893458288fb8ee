//! A way to Redis on which links that subscribe can go dead: they stay open and bring nothing more, while whoever connects
//! anew is served.
//!
//! The fault proxy is no substitute: with it a dead way stays dead for new connections too, so that it shows how long a node
//! does without, and not how soon it sees that it should connect anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Ends with its handle; what it carries ends with its peers.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    /// Links that subscribe are dead if they have a number below.
    dead_below: Arc<AtomicU64>,
    next: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Relay {
    pub(super) async fn start(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (dead_below, next) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let links = (Arc::clone(&dead_below), Arc::clone(&next));
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = links.1.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(client, to, number, Arc::clone(&links.0)));
            }
        });
        Ok(Self { address, dead_below, next, listening })
    }

    /// From now on nothing comes through the links that subscribe and stand now, either way.
    pub(super) fn deaden(&self) {
        self.dead_below.store(self.next.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Carries one link until one of its ends is closed. An error is such an end.
async fn carry(
    mut client: TcpStream,
    to: SocketAddr,
    number: u64,
    dead_below: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut up, mut down) = ([0; 16 * 1024], vec![0; 64 * 1024]);
    let mut subscribes = false;
    loop {
        let (bytes, target) = tokio::select! {
            read = client.read(&mut up) => (&up[..read?], &mut server),
            read = server.read(&mut down) => (&down[..read?], &mut client),
        };
        if bytes.is_empty() {
            return Ok(());
        }
        subscribes |= bytes.windows(9).any(|word| word == b"SUBSCRIBE");
        if !(subscribes && number < dead_below.load(Ordering::Relaxed)) {
            target.write_all(bytes).await?;
        }
    }
}
