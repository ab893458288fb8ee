//! One connection, from its handshake to its end. The session above it decides what to write and when to read.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Sink, SinkExt, Stream, StreamExt, future};
use secrecy::{ExposeSecret, SecretString};
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{CloseCode, ErrorCode, Incoming, Reaction, Seq, ServerFrame, Welcome};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response, header::AUTHORIZATION};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Allocated for every connection, so small: a process may hold thousands.
const BUFFER_BYTES: usize = 8 * 1024;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// The socket of a node, resumed after a position.
pub(crate) fn url(base: &str, cursor: Option<Seq>, epoch: Option<&str>) -> String {
    let base = base.trim_end_matches('/');
    let base = match base.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        _ => base.to_owned(),
    };
    // An epoch is letters and digits: nothing to escape.
    match (cursor, epoch) {
        (None, _) => format!("{base}/ws/messages/"),
        (Some(cursor), None) => format!("{base}/ws/messages/?cursor={cursor}"),
        (Some(cursor), Some(epoch)) => format!("{base}/ws/messages/?cursor={cursor}&epoch={epoch}"),
    }
}

/// Why a connection ended or did not come to be, and what to do about it.
#[derive(Debug)]
pub(crate) struct Loss {
    pub(crate) reason: String,
    /// The close code, or the HTTP status of the handshake.
    pub(crate) code: Option<u16>,
    pub(crate) reaction: Reaction,
    /// When to connect again, where backoff does not decide.
    pub(crate) after: Option<Duration>,
}

impl Loss {
    pub(crate) fn new(reason: impl Into<String>, reaction: Reaction) -> Self {
        Self { reason: reason.into(), code: None, reaction, after: None }
    }

    pub(crate) fn again(reason: impl Into<String>) -> Self {
        Self::new(reason, Reaction::Reconnect)
    }

    /// A code that is not in the table is a proxy's: it says nothing about this client.
    fn closed(frame: Option<CloseFrame>) -> Self {
        let Some(CloseFrame { code, reason }) = frame else {
            return Self::again("closed without a code");
        };
        let code = u16::from(code);
        let known = CloseCode::ALL.iter().find(|known| known.code() == code);
        let reaction = known.map_or(Reaction::Reconnect, |known| known.reaction());
        Self { code: Some(code), ..Self::new(format!("closed with {code} {reason}"), reaction) }
    }

    /// The waits of clients that were refused together are spread, since the node tells all the same.
    fn handshake(response: &Response<Option<Vec<u8>>>) -> Self {
        let status = response.status();
        let reaction = match status.as_u16() {
            401 => Reaction::Refresh,
            403 => Reaction::Stop,
            _ => Reaction::Reconnect,
        };
        let body = response.body().as_deref().unwrap_or_default();
        let problem = serde_json::from_slice::<Problem>(body).ok();
        let title = problem.as_ref().map_or(String::new(), |problem| format!(": {}", problem.title));
        // It is not for a node that goes away to say when another one is to be asked.
        let wait = problem.filter(|problem| problem.code != ErrorCode::Draining);
        let wait = wait.and_then(|problem| problem.retry_after_ms).map(Duration::from_millis);
        Self {
            code: Some(status.as_u16()),
            after: wait.map(|wait| wait.mul_f64(1.0 + rand::random::<f64>())),
            ..Self::new(format!("the handshake was answered with {status}{title}"), reaction)
        }
    }
}

impl From<Error> for Loss {
    fn from(error: Error) -> Self {
        match error {
            Error::Http(response) => Self::handshake(&response),
            error => Self::again(error.to_string()),
        }
    }
}

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Step {
    /// One frame may be written.
    Writable,
    /// A text frame was read.
    Text(Utf8Bytes),
    /// Something else was read, which shows that the peer lives.
    Alive,
}

/// A connection after its `welcome`.
#[derive(Debug)]
pub(crate) struct Link {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    has_unflushed: bool,
    is_reading: bool,
    /// When something was read, or reading began.
    heard_at: Instant,
    /// A peer that says nothing for so long is dead.
    silence: Duration,
}

impl Link {
    /// Connects and waits for the `welcome`.
    pub(crate) async fn open(url: &str, token: &SecretString) -> Result<(Self, Welcome), Loss> {
        let stop = |error: &dyn std::fmt::Display| Loss::new(error.to_string(), Reaction::Stop);
        let mut request = url.into_client_request().map_err(|error| stop(&error))?;
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|error| stop(&error))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);

        let config =
            WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES);
        let (socket, _response) = connect_async_with_config(request, Some(config), true).await?;
        let mut link = Self {
            socket,
            has_unflushed: false,
            is_reading: true,
            heard_at: Instant::now(),
            silence: Duration::ZERO,
        };
        let first = loop {
            if let Step::Text(text) = link.step(false).await? {
                break text;
            }
        };
        match Incoming::parse(&first) {
            Ok(Incoming { frame: ServerFrame::Welcome(welcome), .. }) => {
                link.silence = Duration::from_millis(2 * welcome.heartbeat_interval_ms.clamp(10, 3_600_000));
                Ok((link, welcome))
            }
            _ => Err(Loss::again("the first frame was not a welcome")),
        }
    }

    /// Waits until a frame may be written, if one should be, or was read.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn step(&mut self, writing: bool) -> Result<Step, Loss> {
        future::poll_fn(|cx| self.poll_step(cx, writing)).await
    }

    /// Writing never keeps from reading: a peer that waits for us to read would else wait for ever.
    fn poll_step(&mut self, cx: &mut Context<'_>, writing: bool) -> Poll<Result<Step, Loss>> {
        if writing {
            if let Poll::Ready(ready) = Pin::new(&mut self.socket).poll_ready(cx) {
                return Poll::Ready(ready.map(|()| Step::Writable).map_err(Loss::from));
            }
        } else if self.has_unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(cx)
        {
            self.has_unflushed = false;
            if let Err(error) = flushed {
                return Poll::Ready(Err(error.into()));
            }
        }
        if !self.is_reading {
            return Poll::Pending;
        }
        let Poll::Ready(read) = Pin::new(&mut self.socket).poll_next(cx) else {
            return Poll::Pending;
        };
        self.heard_at = Instant::now();
        Poll::Ready(match read {
            Some(Ok(Message::Text(text))) => Ok(Step::Text(text)),
            Some(Ok(Message::Close(frame))) => Err(Loss::closed(frame)),
            Some(Ok(_)) => Ok(Step::Alive),
            Some(Err(error)) => Err(error.into()),
            None => Err(Loss::again("the connection ended without a close frame")),
        })
    }

    /// Queues a frame, after [`Step::Writable`]. It goes out with the next step.
    pub(crate) fn write(&mut self, text: Utf8Bytes) -> Result<(), Loss> {
        self.has_unflushed = true;
        Ok(Pin::new(&mut self.socket).start_send(Message::Text(text))?)
    }

    /// Starts or stops reading.
    pub(crate) fn set_reading(&mut self, is_reading: bool) {
        if is_reading && !self.is_reading {
            self.heard_at = Instant::now();
        }
        self.is_reading = is_reading;
    }

    /// When the peer counts as dead unless it is heard before. Nothing can be heard while nothing is read.
    pub(crate) fn silent_at(&self) -> Option<Instant> {
        self.is_reading.then(|| self.heard_at + self.silence)
    }

    /// Says goodbye, or answers the peer's, and waits a moment for the end. What still comes is dropped: it is
    /// above the cursor, so it comes again.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            let normal = CloseFrame { code: coding::CloseCode::Normal, reason: Utf8Bytes::default() };
            // Fails where the peer closed first or the connection broke; both end the loop as well.
            let _ = self.socket.send(Message::Close(Some(normal))).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        // Too late is as good: the socket is dropped.
        let _ = timeout(GOODBYE, goodbye).await;
    }
}
