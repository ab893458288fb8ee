//! Peers that mean harm, byte by byte: each does one thing for as long as the node lets it, and tells how it ended.

mod bytes;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use self::bytes::{close_code, status, upgrade};
use crate::harness::{USERS, http};
use crate::stack::Stack;

/// What a peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hostile {
    /// Announces a frame of 2^40 bytes, and sends it.
    HugeFrame,
    /// A message in fragments that never ends.
    EndlessMessage,
    /// A message in fragments that are empty, and that never ends.
    EmptyFragments,
    /// Messages of which each byte is a fragment.
    TinyFragments,
    /// Frames of two bytes, as many as go through.
    TinyFrames,
    /// Pings as long as they may be, as many as go through.
    PingFlood,
    /// Takes everything, says nothing and answers no ping.
    NoPong,
    /// Asks and never reads an answer.
    NeverReads,
    /// JSON that is a hundred thousand levels deep, again and again.
    DeepJson,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A frame with a reserved bit, as if it were compressed.
    ReservedBit,
    /// A head that comes line by line, slowly, without an end.
    SlowHead,
    /// A body that comes byte by byte, slowly.
    SlowBody,
    /// A head without an end, as fast as it goes.
    HugeHead,
    /// A file that does not end.
    EndlessUpload,
    /// A form of texts that does not end.
    EndlessForm,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The node closed the session with this code.
    Closed(u16),
    /// The node answered with this status before it was asked for all of it.
    Answered(u16),
    /// The node cut the connection without a word.
    Cut,
    /// The connection was open when the time was over.
    Open,
}

/// A way to do harm: bytes once, bytes again and again.
struct Manner {
    /// Whether it needs a session first.
    in_a_session: bool,
    once: Vec<u8>,
    again: Vec<u8>,
    /// Between two times.
    pause: Duration,
    /// Whether it takes what the node says.
    reads: bool,
}

/// After the node takes nothing more, until it has said why.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The last user: clients of a run are the first ones.
const ATTACKER: i64 = USERS;

/// Longer than any fault.
const AN_HOUR: Duration = Duration::from_secs(3_600);

/// Until a peer that was thrown out comes again.
const AGAIN: Duration = Duration::from_millis(20);

/// For the handshake of a node that may be busy with other hostile peers.
const HANDSHAKE: Duration = Duration::from_secs(10);

impl Hostile {
    /// One of each.
    pub(crate) fn all() -> [Self; 16] {
        use Hostile::*;
        [
            HugeFrame,
            EndlessMessage,
            EmptyFragments,
            TinyFragments,
            TinyFrames,
            PingFlood,
            NoPong,
            NeverReads,
            DeepJson,
            InvalidUtf8,
            ReservedBit,
            SlowHead,
            SlowBody,
            HugeHead,
            EndlessUpload,
            EndlessForm,
        ]
    }

    /// What it is called, such as `ping_flood`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HugeFrame => "huge_frame",
            Self::EndlessMessage => "endless_message",
            Self::EmptyFragments => "empty_fragments",
            Self::TinyFragments => "tiny_fragments",
            Self::TinyFrames => "tiny_frames",
            Self::PingFlood => "ping_flood",
            Self::NoPong => "no_pong",
            Self::NeverReads => "never_reads",
            Self::DeepJson => "deep_json",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::ReservedBit => "reserved_bit",
            Self::SlowHead => "slow_head",
            Self::SlowBody => "slow_body",
            Self::HugeHead => "huge_head",
            Self::EndlessUpload => "endless_upload",
            Self::EndlessForm => "endless_form",
        }
    }

    /// Attacks a node as one user, until the node ends it or the time is over.
    ///
    /// # Errors
    /// If the node takes no connection, or the user gets no session. What it does under attack is no error.
    pub(crate) async fn attack(self, node: SocketAddr, user: i64, until: Instant) -> anyhow::Result<Ending> {
        let manner = bytes::manner(self, node, user);
        let socket = TcpSocket::new_v4()?;
        if !manner.reads {
            // Less for the kernel to take in our place.
            socket.set_recv_buffer_size(4096)?;
        }
        let mut stream = timeout(HANDSHAKE, socket.connect(node)).await.context("no connection")??;
        if manner.in_a_session
            && let Some(status) = open_session(&mut stream, node, user).await?
        {
            return Ok(Ending::Answered(status));
        }
        let (mut from_node, mut to_node) = stream.split();
        let writing = async {
            to_node.write_all(&manner.once).await?;
            loop {
                sleep(manner.pause).await;
                to_node.write_all(&manner.again).await?;
            }
        };
        let mut reading = std::pin::pin!(ending(&mut from_node, manner.in_a_session));
        let attack = async {
            if !manner.reads {
                let _refused: std::io::Result<()> = writing.await;
                return timeout(LAST_WORD, reading).await.unwrap_or(Ending::Cut);
            }
            tokio::select! {
                ending = &mut reading => ending,
                _refused = writing => timeout(LAST_WORD, reading).await.unwrap_or(Ending::Cut),
            }
        };
        Ok(timeout_at(until, attack).await.unwrap_or(Ending::Open))
    }
}

/// Makes the connection a session. Gives the status if the node refuses.
async fn open_session(stream: &mut TcpStream, node: SocketAddr, user: i64) -> anyhow::Result<Option<u16>> {
    stream.write_all(upgrade(node, user).as_bytes()).await?;
    let mut head = Vec::new();
    let reading = async {
        // Byte by byte, so that nothing of the session is taken with it.
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        anyhow::Ok(())
    };
    timeout(HANDSHAKE, reading).await.context("no answer to the handshake")??;
    let status = status(&head).context("no status")?;
    Ok((status != 101).then_some(status))
}

/// Reads until the node ends it.
async fn ending(from_node: &mut (impl AsyncRead + Unpin), in_a_session: bool) -> Ending {
    let mut said = Vec::new();
    loop {
        match from_node.read_buf(&mut said).await {
            Ok(0) | Err(_) => return Ending::Cut,
            Ok(_) => {}
        }
        let last_word = if in_a_session {
            close_code(&mut said).map(Ending::Closed)
        } else {
            status(&said).map(Ending::Answered)
        };
        if let Some(ending) = last_word {
            return ending;
        }
    }
}

/// Sends so many peers of each of these kinds to a node. Whoever is thrown out comes again.
pub(super) fn begin(stack: &Stack, node: usize, kinds: &[Hostile], of_each: usize, key: &str) {
    for kind in kinds.iter().flat_map(|kind| std::iter::repeat_n(*kind, of_each)) {
        let node = stack.node(node);
        let attacks = async move {
            loop {
                // Whatever comes of it.
                let _ended = kind.attack(node, ATTACKER, Instant::now() + AN_HOUR).await;
                sleep(AGAIN).await;
            }
        };
        stack.held().hold(key, AbortOnDropHandle::new(tokio::spawn(attacks)));
    }
}

/// The node lives.
pub(super) async fn end(stack: &Stack, node: usize) -> anyhow::Result<()> {
    let answer = http::get(stack.node(node), "/live", &[]).await?;
    ensure!(answer.status == 200, "the node does not live: {}", answer.status);
    Ok(())
}
