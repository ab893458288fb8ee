//! A WebSocket to a node that costs the generator little: what is fed goes out in one write when the next frame is waited
//! for, and of a frame that comes only a few keys are looked at.

use std::net::{IpAddr, SocketAddr};

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use switchboard_protocol::{CloseCode, Reaction};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Duration, Instant};
use tokio_websockets::{ClientBuilder, Message, Payload, WebSocketStream};

/// The longest head of an answer to a handshake that is read.
const HEAD_BYTES: usize = 8 * 1024;

/// Why a connection ended or did not come to be.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) reason: String,
    /// How long to wait before another attempt, where the node said so.
    pub(crate) after: Option<Duration>,
    /// Whether no other attempt is of use.
    pub(crate) is_final: bool,
}

impl Loss {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), after: None, is_final: false }
    }

    fn closed(message: &Message) -> Self {
        let Some((code, reason)) = message.as_close() else { return Self::new("closed without a code") };
        let code = u16::from(code);
        let known = CloseCode::ALL.iter().find(|known| known.code() == code);
        let is_final = known.is_some_and(|known| known.reaction() != Reaction::Reconnect);
        Self { is_final, ..Self::new(format!("closed with {code} {reason}")) }
    }
}

impl From<std::io::Error> for Loss {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<tokio_websockets::Error> for Loss {
    fn from(error: tokio_websockets::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// What counts of a frame. Texts of the node's own are never escaped; what others wrote is kept unread.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    pub(crate) seq: Option<u64>,
    #[serde(default)]
    pub(crate) repeat: bool,
    #[serde(borrow)]
    pub(crate) client_message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    pub(crate) cursor: Option<u64>,
    pub(crate) epoch: Option<&'a str>,
    pub(crate) heartbeat_interval_ms: Option<u64>,
    pub(crate) after_ms: Option<u64>,
    #[serde(borrow)]
    pub(crate) request_id: Option<&'a RawValue>,
    pub(crate) code: Option<&'a str>,
    pub(crate) retry_after_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

impl<'a> Frame<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Loss> {
        serde_json::from_slice(bytes).map_err(|error| Loss::new(format!("a frame cannot be read: {error}")))
    }

    /// The text of a message, as JSON writes it but for its quotes: what we wrote ourselves has nothing to escape.
    pub(crate) fn content(&self) -> Option<&'a str> {
        let data: Data<'a> = serde_json::from_str(self.data?.get()).ok()?;
        data.content.get().strip_prefix('"')?.strip_suffix('"')
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: WebSocketStream<TcpStream>,
    /// When something came last, be it a ping.
    pub(crate) heard_at: Instant,
}

impl Link {
    /// Connects to `authority`, from an address of one's own if there is one, and asks for `path` with the token.
    pub(crate) async fn open(
        authority: &str,
        path: &str,
        token: &str,
        source: Option<IpAddr>,
    ) -> Result<Self, Loss> {
        let address = lookup_host(authority).await?.next();
        let address = address.ok_or_else(|| Loss::new(format!("{authority} has no address")))?;
        let mut stream = connect(address, source).await?;
        stream.set_nodelay(true)?;
        // The key proves that the answer is to this request. Here nobody is in between who might give a former one.
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        check(&read_head(&mut stream).await?)?;
        Ok(Self { socket: ClientBuilder::new().take_over(stream), heard_at: Instant::now() })
    }

    /// Waits for a text frame, while what was fed goes out.
    ///
    /// # Cancel safety
    /// No frame is lost.
    pub(crate) async fn next(&mut self) -> Result<Payload, Loss> {
        loop {
            let Some(message) = self.socket.next().await else {
                return Err(Loss::new("the connection ended without a close frame"));
            };
            let message = message?;
            self.heard_at = Instant::now();
            if message.is_text() {
                return Ok(message.into_payload());
            }
            if message.is_close() {
                return Err(Loss::closed(&message));
            }
        }
    }

    /// A text frame that is there already.
    pub(crate) fn next_ready(&mut self) -> Option<Result<Payload, Loss>> {
        self.next().now_or_never()
    }

    /// Takes a frame that is to go out.
    pub(crate) async fn feed(&mut self, text: String) -> Result<(), Loss> {
        Ok(self.socket.feed(Message::text(text)).await?)
    }

    /// Says goodbye and waits for the answer.
    pub(crate) async fn close(mut self) {
        // The other end may have gone before.
        let _ = self.socket.close().await;
    }
}

async fn connect(address: SocketAddr, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
    match source.filter(|_| address.is_ipv4() && address.ip().is_loopback()) {
        Some(source) => {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(source, 0))?;
            socket.connect(address).await
        }
        None => TcpStream::connect(address).await,
    }
}

/// Takes the head of the answer off the stream, and nothing after it: the first frame may be there already.
async fn read_head(stream: &mut TcpStream) -> Result<String, Loss> {
    let (mut head, mut ahead) = (Vec::new(), [0; 1024]);
    while head.len() < HEAD_BYTES {
        let n = stream.peek(&mut ahead).await?;
        if n == 0 {
            return Err(Loss::new("the connection ended in the handshake"));
        }
        let before = head.len();
        head.extend_from_slice(&ahead[..n]);
        let end = head.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        head.truncate(end.unwrap_or(head.len()));
        let n_taken = head.len() - before;
        stream.read_exact(&mut ahead[..n_taken]).await?;
        if end.is_some() {
            return Ok(String::from_utf8_lossy(&head).into_owned());
        }
    }
    Err(Loss::new("the answer to a handshake has no end"))
}

/// Whether the answer is the one that opens a WebSocket.
fn check(head: &str) -> Result<(), Loss> {
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "101" {
        return Ok(());
    }
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    let after = headers.filter(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    let after = after.filter_map(|(_, seconds)| seconds.trim().parse().ok()).map(Duration::from_secs).next();
    let line = head.lines().next().unwrap_or_default();
    let is_final = matches!(status, "401" | "403" | "404");
    Err(Loss { after, is_final, ..Loss::new(format!("the handshake was answered with {line}")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_frame_a_few_keys_are_read() {
        let text =
            br#"{"type":"new_message","seq":7,"data":{"sender":"a\"b","content":"c 1 2 x","is_read":false}}"#;
        let frame = Frame::parse(text).unwrap();
        assert_eq!((frame.kind, frame.seq, frame.content()), ("new_message", Some(7), Some("c 1 2 x")));
        let frame = Frame::parse(br#"{"type":"pong","request_id":"a\"b"}"#).unwrap();
        assert_eq!((frame.kind, frame.seq, frame.content()), ("pong", None, None));
        assert!(Frame::parse(b"{").is_err());
    }

    #[test]
    fn a_refused_handshake_says_when_to_come_back() {
        assert!(check("HTTP/1.1 101 Switching Protocols\r\n\r\n").is_ok());
        let loss = check("HTTP/1.1 503 Service Unavailable\r\nretry-after: 3\r\n\r\n").unwrap_err();
        assert_eq!((loss.after, loss.is_final), (Some(Duration::from_secs(3)), false));
        assert!(check("HTTP/1.1 401 Unauthorized\r\n\r\n").unwrap_err().is_final);
    }
}
