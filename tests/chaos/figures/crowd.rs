//! Many sessions on one node that write to one another, of which some stop reading when they are told, and find later what
//! they missed.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, http};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::spread::Spread;
use crate::harness::{DEADLINE, token};

/// Messages that wait until a member writes them.
const ORDERS: usize = 64;
/// What a member that stops reading lets the kernel take in its place, in bytes.
const WINDOW: u32 = 4096;
/// Its largest segment, in bytes. By it the node's kernel sizes what it takes in the node's place: with that of the
/// loopback, megabytes, which would take hours to fill at this pace.
const SEGMENT: u32 = 536;

/// What one member is to write to another.
pub(super) struct Order {
    n: usize,
    to: i64,
    content: String,
}

/// One message.
struct Note {
    begun: Instant,
    took: Option<Duration>,
    is_stored: bool,
    n_heard: usize,
}

/// What all of them share.
pub(super) struct Hall {
    node: SocketAddr,
    /// Held to note a message, never across an await.
    notes: Mutex<Vec<Note>>,
    /// Whether those that can stop reading do not read now.
    is_stalled: watch::Receiver<bool>,
}

/// A session, over as many connections as it takes.
pub(super) struct Member {
    pub(super) user: i64,
    /// Whether it stops reading when all such do.
    pub(super) stalls: bool,
    cursor: Option<i64>,
    orders: mpsc::Receiver<Order>,
    hall: Arc<Hall>,
}

impl Hall {
    pub(super) fn new(node: SocketAddr, is_stalled: watch::Receiver<bool>) -> Arc<Self> {
        Arc::new(Self { node, notes: Mutex::default(), is_stalled })
    }

    /// A message of so many bytes or a few more, to be written now.
    pub(super) fn order(&self, to: i64, size: usize) -> Order {
        let mut notes = self.lock();
        let n = notes.len();
        notes.push(Note { begun: Instant::now(), took: None, is_stored: false, n_heard: 0 });
        Order { n, to, content: format!("{n} {}", "x".repeat(size)) }
    }

    /// How many messages there were.
    pub(super) fn n_messages(&self) -> usize {
        self.lock().len()
    }

    /// How many of these are stored and not heard.
    pub(super) fn n_missing(&self) -> usize {
        self.lock().iter().filter(|note| note.is_stored && note.n_heard == 0).count()
    }

    /// How many are stored, if nothing came twice.
    pub(super) fn n_stored(&self) -> anyhow::Result<usize> {
        let notes = self.lock();
        let twice = notes.iter().position(|note| note.n_heard > 1);
        ensure!(twice.is_none(), "message {twice:?} came twice");
        Ok(notes.iter().filter(|note| note.is_stored).count())
    }

    /// How long those of these messages took that `counts` says, and were heard.
    pub(super) fn delays(&self, messages: Range<usize>, counts: impl Fn(usize) -> bool) -> Spread {
        let notes = self.lock();
        messages.filter(|n| counts(*n)).filter_map(|n| notes[n].took).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame of the node, as far as it matters here.
#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    seq: Option<i64>,
    cursor: Option<i64>,
    client_message_id: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    content: String,
}

type Connection = WebSocketStream<TcpStream>;

impl Member {
    /// With the way to tell it what to write; that it is closed ends the member.
    pub(super) fn new(hall: &Arc<Hall>, user: i64, stalls: bool) -> (Self, mpsc::Sender<Order>) {
        let (sender, orders) = mpsc::channel(ORDERS);
        (Self { user, stalls, cursor: None, orders, hall: Arc::clone(hall) }, sender)
    }

    /// Connects. To be called before [`run`](Self::run).
    pub(super) async fn open(&mut self) -> anyhow::Result<Connection> {
        let opened = timeout(DEADLINE, self.connect()).await;
        opened.with_context(|| format!("user {}: no session", self.user))?
    }

    /// Until there are no more orders; gives how many connections ended before.
    pub(super) async fn run(mut self, mut connection: Connection) -> anyhow::Result<usize> {
        let mut n_ended = 0;
        while !self.sit(&mut connection).await? {
            n_ended += 1;
            connection = loop {
                self.wake().await;
                match self.open().await {
                    Ok(connection) => break connection,
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            };
        }
        Ok(n_ended)
    }

    async fn connect(&mut self) -> anyhow::Result<Connection> {
        let socket = TcpSocket::new_v4()?;
        if self.stalls {
            socket.set_recv_buffer_size(WINDOW)?;
            SockRef::from(&socket).set_tcp_mss(SEGMENT)?;
        }
        socket.set_nodelay(true)?;
        let stream = socket.connect(self.hall.node).await?;
        let cursor = self.cursor.map(|cursor| format!("cursor={cursor}")).unwrap_or_default();
        let mut request = format!("ws://{}/ws/messages/?{cursor}", self.hall.node).into_client_request()?;
        request
            .headers_mut()
            .append(http::header::AUTHORIZATION, format!("Bearer {}", token(self.user)).parse()?);
        // Thousands of them are in this process.
        let config = WebSocketConfig::default().read_buffer_size(8 * 1024).write_buffer_size(8 * 1024);
        Ok(client_async_with_config(request, stream, Some(config)).await?.0)
    }

    /// Writes and reads on one connection. True if there is nothing more to write, false if it ended.
    async fn sit(&mut self, connection: &mut Connection) -> anyhow::Result<bool> {
        loop {
            self.wake().await;
            let mut is_stalled = self.hall.is_stalled.clone();
            tokio::select! {
                frame = connection.next() => match frame {
                    Some(Ok(Message::Text(text))) => self.hear(&text)?,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(false),
                    Some(Ok(_)) => {}
                },
                order = self.orders.recv() => {
                    let Some(order) = order else { return Ok(true) };
                    let message = json!({
                        "type": "send_message", "recipient_id": order.to, "content": order.content,
                        "client_message_id": order.n.to_string(),
                    });
                    if connection.send(Message::text(message.to_string())).await.is_err() {
                        return Ok(false);
                    }
                }
                () = until(&mut is_stalled, true), if self.stalls => {}
            }
        }
    }

    /// Returns when it reads.
    async fn wake(&self) {
        if self.stalls {
            until(&mut self.hall.is_stalled.clone(), false).await;
        }
    }

    fn hear(&mut self, text: &str) -> anyhow::Result<()> {
        let frame: Frame = serde_json::from_str(text)?;
        match (frame.kind.as_str(), frame.seq) {
            ("welcome", _) => {
                self.cursor = self.cursor.or(frame.cursor);
                return Ok(());
            }
            ("reset" | "error", _) => bail!("user {}: {text}", self.user),
            (_, None) => return Ok(()),
            (_, Some(seq)) => {
                let last = self.cursor.replace(seq).context("no welcome")?;
                ensure!(seq == last + 1, "user {}: {seq} came after {last}", self.user);
            }
        }
        let mut notes = self.hall.lock();
        if let Some(n) = frame.client_message_id.filter(|_| frame.kind == "message_sent") {
            notes.get_mut(n.parse::<usize>()?).context("a message of ours")?.is_stored = true;
        } else if let Some(data) = frame.data.filter(|_| frame.kind == "new_message") {
            let n: usize = data.content.split(' ').next().unwrap_or_default().parse()?;
            let note = notes.get_mut(n).context("a message of ours")?;
            note.n_heard += 1;
            note.took.get_or_insert(note.begun.elapsed());
        }
        Ok(())
    }
}

/// Returns at once if nobody says it any more.
async fn until(is_stalled: &mut watch::Receiver<bool>, what: bool) {
    let _ended = is_stalled.wait_for(|is_stalled| *is_stalled == what).await;
}
