//! The three ways in which a device of our own follows its mailbox, as they come on the wire.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::StreamExt;
use serde_json::value::RawValue;
use switchboard_protocol::events::Events;
use switchboard_protocol::{Incoming, ServerFrame};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::Dice;
use crate::harness::http::get;
use crate::harness::socket::Socket;

/// From the first byte to the first frame.
const OPENING: Duration = Duration::from_secs(10);
/// A link on which nothing came for so long is dead: there is a heartbeat every 25 seconds.
const SILENCE: Duration = Duration::from_secs(35);
/// The longest wait of a poll, in seconds.
const WAIT: u64 = 10;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Socket,
    Stream,
    Poll,
}

impl Transport {
    pub(super) const ALL: [Self; 3] = [Self::Socket, Self::Stream, Self::Poll];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Socket => "websocket",
            Self::Stream => "stream",
            Self::Poll => "poll",
        }
    }
}

/// Where to connect, as whom, and after which entry.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    /// The header line that says who it is.
    pub(super) credentials: String,
    /// None of them: at the present end.
    pub(super) after: Option<(i64, String)>,
}

impl Place {
    fn query(&self) -> String {
        self.after.as_ref().map_or_else(String::new, |(cursor, epoch)| match epoch.as_str() {
            "" => format!("cursor={cursor}"),
            epoch => format!("cursor={cursor}&epoch={epoch}"),
        })
    }
}

/// What a connection began with.
pub(super) struct Opened {
    pub(super) link: Link,
    pub(super) cursor: i64,
    pub(super) epoch: String,
    /// As the welcome has it.
    pub(super) unread: Option<i64>,
}

/// An open one.
pub(super) enum Link {
    Socket(Box<Socket>),
    Stream(EventLines),
    Poll(Poll),
}

impl Link {
    /// Connects, and waits for the first thing that is said.
    pub(super) async fn open(transport: Transport, place: &Place) -> anyhow::Result<Opened> {
        timeout(OPENING, async {
            let mut link = match transport {
                Transport::Socket => Self::Socket(Box::new(open_socket(place).await?)),
                Transport::Stream => Self::Stream(EventLines::open(place).await?),
                Transport::Poll => return Poll::open(place.clone()).await,
            };
            let first = link.next(&mut Dice(0)).await?;
            let ServerFrame::Welcome(welcome) = Incoming::parse(&first)?.frame else {
                bail!("the first frame was not a welcome")
            };
            let (cursor, epoch, unread) = (welcome.cursor.0, welcome.epoch, Some(welcome.unread_count));
            Ok(Opened { link, cursor, epoch, unread })
        })
        .await
        .context("nothing was said in time")?
    }

    /// The next frame as it came. After an error, or if it was not waited for, the link is of no more use.
    pub(super) async fn next(&mut self, dice: &mut Dice) -> anyhow::Result<String> {
        match self {
            Self::Socket(socket) => loop {
                let next = timeout(SILENCE, socket.0.next()).await.context("silence")?;
                match next.context("the connection ended")?? {
                    Message::Text(text) => return Ok(text.as_str().to_owned()),
                    Message::Close(close) => bail!("closed: {close:?}"),
                    _ => {}
                }
            },
            Self::Stream(lines) => lines.next().await,
            Self::Poll(poll) => poll.next(dice).await,
        }
    }

    /// Says goodbye, where that can be said.
    pub(super) async fn close(self) {
        if let Self::Socket(mut socket) = self {
            // Too late is as good: it is dropped.
            let _ = timeout(Duration::from_secs(1), socket.0.close(None)).await;
        }
    }
}

async fn open_socket(place: &Place) -> anyhow::Result<Socket> {
    let headers = [place.credentials.clone()];
    match Socket::connect(place.address, &headers, &place.query()).await? {
        Ok(socket) => Ok(socket),
        Err((status, body)) => bail!("refused with {status} {}", body["code"]),
    }
}

/// A stream of server-sent events, taken out of its chunks: a proxy may cut them anywhere.
pub(super) struct EventLines {
    stream: BufReader<TcpStream>,
    /// Of chunks that have come, what was not given out.
    text: Vec<u8>,
}

impl EventLines {
    async fn open(place: &Place) -> anyhow::Result<Self> {
        let Place { address, credentials, .. } = place;
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        let head = format!(
            "GET /api/v1/events/stream?{} HTTP/1.1\r\nHost: {address}\r\n{credentials}\r\n\r\n",
            place.query()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut status = String::new();
        stream.read_line(&mut status).await?;
        ensure!(status.split(' ').nth(1) == Some("200"), "answered with {}", status.trim());
        let mut line = status;
        while line != "\r\n" {
            line.clear();
            ensure!(stream.read_line(&mut line).await? > 0, "the head is cut off");
        }
        Ok(Self { stream, text: Vec::new() })
    }

    async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8(self.text.drain(..=end).collect())?;
                if let Some(data) = line.strip_prefix("data: ") {
                    return Ok(data.trim_end().to_owned());
                }
            }
            timeout(SILENCE, self.read_chunk()).await.context("silence")??;
        }
    }

    async fn read_chunk(&mut self) -> anyhow::Result<()> {
        let mut size = String::new();
        ensure!(self.stream.read_line(&mut size).await? > 0, "the connection ended");
        let size = usize::from_str_radix(size.trim(), 16)?;
        ensure!(size > 0, "the stream ended");
        let begin = self.text.len();
        self.text.resize(begin + size, 0);
        self.stream.read_exact(&mut self.text[begin..]).await?;
        self.stream.read_exact(&mut [0; 2]).await?;
        Ok(())
    }
}

/// Asking again and again.
pub(super) struct Poll {
    place: Place,
    came: VecDeque<String>,
}

impl Poll {
    async fn open(place: Place) -> anyhow::Result<Opened> {
        let begun = place.after.as_ref().map(|(cursor, _)| *cursor);
        let mut poll = Self { place, came: VecDeque::new() };
        poll.ask(0).await?;
        let (cursor, epoch) = poll.place.after.clone().context("it was answered")?;
        Ok(Opened { link: Link::Poll(poll), cursor: begun.unwrap_or(cursor), epoch, unread: None })
    }

    async fn next(&mut self, dice: &mut Dice) -> anyhow::Result<String> {
        loop {
            if let Some(frame) = self.came.pop_front() {
                return Ok(frame);
            }
            // So that one answer brings several entries.
            tokio::time::sleep(Duration::from_millis(dice.roll(200))).await;
            self.ask(dice.roll(WAIT + 1)).await?;
        }
    }

    async fn ask(&mut self, wait: u64) -> anyhow::Result<()> {
        let path = format!("/api/v1/events?{}&wait={wait}", self.place.query());
        let headers = [self.place.credentials.clone()];
        let answer = get(self.place.address, &path, &headers);
        let answer = timeout(Duration::from_secs(wait) + OPENING, answer).await.context("silence")??;
        ensure!(answer.status == 200, "answered with {}", answer.status);
        let events: Events<Box<RawValue>> = serde_json::from_str(&answer.body)?;
        let after = self.place.after.as_ref().map_or(events.cursor.0, |(cursor, _)| *cursor);
        let last =
            events.events.iter().filter_map(|event| Incoming::parse(event.get()).ok()?.seq).next_back();
        let is_reset = events.events.iter().any(|event| event.get().contains(r#""type":"reset""#));
        let (end, cursor) = (last.map_or(after, |seq| seq.0), events.cursor.0);
        self.place.after = Some((cursor, events.epoch));
        if cursor > end && !is_reset {
            // Whoever goes on from there has lost what is between: as if the entry after it had come.
            self.came.push_back(format!(r#"{{"type":"void","seq":{}}}"#, cursor + 1));
        }
        self.came.extend(events.events.iter().map(|event| event.get().to_owned()));
        Ok(())
    }
}
