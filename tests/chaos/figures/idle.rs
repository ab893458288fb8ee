//! Sessions that only stand there: as light as they can be, so that thousands fit beside what is measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::DEADLINE;
use crate::harness::http::{bearer, upgrade};

/// Handshakes under way.
const AT_ONCE: usize = 64;
/// Sessions that one task looks after.
const FLOCK: usize = 1_000;
/// Before the node gives up one from which no byte came.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// A pong that nobody asked for, empty, under a mask of zeros: RFC 6455, section 5.5.3.
const PONG: [u8; 6] = [0x8A, 0x80, 0, 0, 0, 0];

/// They end with it.
pub(super) struct Idle {
    stop: CancellationToken,
    /// Each says in the end how many still stood.
    flocks: Vec<JoinHandle<usize>>,
}

impl Idle {
    /// Opens a session for each of the users, on the nodes in turn.
    pub(super) async fn open(users: impl Iterator<Item = i64>, nodes: &[SocketAddr]) -> anyhow::Result<Self> {
        let seats = users.zip(nodes.iter().copied().cycle());
        let opening = futures_util::stream::iter(seats.map(|(user, node)| open(node, user)));
        let opened: Vec<_> = opening.buffer_unordered(AT_ONCE).collect().await;
        let mut streams = opened.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let stop = CancellationToken::new();
        let mut flocks = Vec::new();
        while !streams.is_empty() {
            let flock = streams.split_off(streams.len().saturating_sub(FLOCK));
            flocks.push(tokio::spawn(tend(flock, stop.clone())));
        }
        Ok(Self { stop, flocks })
    }

    /// Ends them, and says how many still stood.
    pub(super) async fn close(self) -> anyhow::Result<usize> {
        self.stop.cancel();
        let mut n_standing = 0;
        for flock in self.flocks {
            n_standing += flock.await?;
        }
        Ok(n_standing)
    }
}

/// What the node sends after its answer stays in the socket.
async fn open(node: SocketAddr, user: i64) -> anyhow::Result<TcpStream> {
    let opened = async {
        let mut stream = TcpStream::connect(node).await?;
        stream.write_all(upgrade(node, &bearer(user)).as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await?);
        }
        let answer = String::from_utf8_lossy(&answer);
        ensure!(answer.starts_with("HTTP/1.1 101 "), "user {user}: {answer}");
        Ok(stream)
    };
    timeout(DEADLINE, opened).await.with_context(|| format!("user {user}: no answer"))?
}

/// Takes what comes, and says now and then that somebody is there.
async fn tend(mut streams: Vec<TcpStream>, stop: CancellationToken) -> usize {
    let mut looks = interval(Duration::from_secs(1));
    let mut alive_at = Instant::now();
    while stop.run_until_cancelled(looks.tick()).await.is_some() {
        let is_due = alive_at.elapsed() > SIGN_OF_LIFE;
        if is_due {
            alive_at = Instant::now();
        }
        streams.retain(|stream| take(stream).is_ok() && (!is_due || stream.try_write(&PONG).is_ok()));
    }
    streams.len()
}

/// An error is the end of the session.
fn take(stream: &TcpStream) -> anyhow::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        match stream.try_read(&mut bytes) {
            Ok(0) => bail!("closed"),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
