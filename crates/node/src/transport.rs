//! What a session needs of a connection: the next frame in, shared bytes out, a close. And `actix-ws` under it.
//!
//! The session knows no other way to its peer, so that another transport can be put in the place of this one.

use std::rc::Rc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseReason, ProtocolError, Session};
use bytes::Bytes;
use bytestring::ByteString;
use switchboard_protocol::CloseCode;
use switchboard_protocol::limits::FRAME_BYTES;
use tokio::time::{Instant, timeout};

use crate::guard::{GuardState, guarded};
use crate::sabotage::sabotaged;

/// A peer that takes no byte for this long, while there is something for it, is let go.
const STALL: Duration = Duration::from_secs(30);

/// What came in.
#[derive(Debug)]
pub enum Inbound {
    /// A text frame, whole.
    Text(ByteString),
    /// A binary frame.
    Binary,
    /// Something that the transport has dealt with.
    Nothing,
    /// The peer is gone, or broke the protocol.
    End(CloseCode),
}

/// A connection to a client.
#[expect(async_fn_in_trait, reason = "a session lives on one worker and is never sent")]
pub trait Transport {
    /// The next frame. Cancel safe: a frame is given or still to come.
    async fn receive(&mut self) -> Inbound;

    /// Writes a frame; waits while the peer is slow.
    ///
    /// # Errors
    /// The reason to end: the peer is gone, or has taken nothing for too long.
    async fn send(&mut self, frame: ByteString) -> Result<(), CloseCode>;

    /// Writes a heartbeat.
    ///
    /// # Errors
    /// As [`Transport::send`].
    async fn ping(&mut self) -> Result<(), CloseCode>;

    /// When the last byte came in.
    fn last_heard(&self) -> Instant;

    /// Says why, and ends.
    async fn close(self, code: CloseCode);
}

/// A WebSocket on the stock HTTP server.
pub struct ActixWebSocket {
    session: Session,
    frames: AggregatedMessageStream,
    guard: Rc<GuardState>,
    /// The payload of a ping that is to be answered.
    owed: Option<Bytes>,
}

impl ActixWebSocket {
    /// Upgrades a request. The frame limit holds before anything is buffered.
    ///
    /// # Errors
    /// If the request is no WebSocket handshake.
    pub fn upgrade(
        request: &HttpRequest,
        body: web::Payload,
    ) -> Result<(HttpResponse, Self), actix_web::Error> {
        let (body, guard) = guarded(request, body, FRAME_BYTES);
        let (response, session, frames) = actix_ws::handle(request, body)?;
        let frames =
            frames.max_frame_size(FRAME_BYTES).aggregate_continuations().max_continuation_size(FRAME_BYTES);
        Ok((response, Self { session, frames, guard, owed: None }))
    }

    async fn within_stall<T>(
        work: impl Future<Output = Result<T, actix_ws::Closed>>,
    ) -> Result<(), CloseCode> {
        let patience = if sabotaged!("unbounded_queue") { Duration::MAX } else { STALL };
        match timeout(patience, work).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(actix_ws::Closed)) => Err(CloseCode::Normal),
            Err(_elapsed) => Err(CloseCode::TooSlow),
        }
    }
}

impl Transport for ActixWebSocket {
    async fn receive(&mut self) -> Inbound {
        if let Some(payload) = &self.owed {
            let sent = Self::within_stall(self.session.pong(payload)).await;
            self.owed = None;
            if let Err(code) = sent {
                return Inbound::End(code);
            }
        }
        match self.frames.recv().await {
            Some(Ok(AggregatedMessage::Text(text))) => Inbound::Text(text),
            Some(Ok(AggregatedMessage::Binary(_))) => Inbound::Binary,
            // Answered at the next call, so that this one can be given up at any time.
            Some(Ok(AggregatedMessage::Ping(payload))) => {
                self.owed = Some(payload);
                Inbound::Nothing
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Inbound::Nothing,
            Some(Err(_)) | None if self.guard.has_overflowed() => Inbound::End(CloseCode::FrameTooLarge),
            Some(Ok(AggregatedMessage::Close(_))) | None => Inbound::End(CloseCode::Normal),
            Some(Err(error)) => Inbound::End(close_code(&error)),
        }
    }

    async fn send(&mut self, frame: ByteString) -> Result<(), CloseCode> {
        Self::within_stall(self.session.text(frame)).await
    }

    async fn ping(&mut self) -> Result<(), CloseCode> {
        Self::within_stall(self.session.ping(b"")).await
    }

    fn last_heard(&self) -> Instant {
        self.guard.last_byte_at()
    }

    async fn close(self, code: CloseCode) {
        let reason = CloseReason { code: code.code().into(), description: Some(code.reason().to_owned()) };
        // A peer that takes nothing gets no goodbye.
        let _unread = timeout(Duration::from_secs(1), self.session.close(Some(reason))).await;
    }
}

/// Why the peer is let go after it broke the protocol (RFC 6455, section 7.4.1).
fn close_code(error: &ProtocolError) -> CloseCode {
    match error {
        ProtocolError::Overflow => CloseCode::FrameTooLarge,
        // The codec reports both of these as invalid data, and tells them apart by the text alone.
        ProtocolError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            if error.to_string().contains("reserved bits") {
                CloseCode::ProtocolError
            } else {
                CloseCode::InvalidUtf8
            }
        }
        ProtocolError::Io(_) => CloseCode::Normal,
        _ => CloseCode::ProtocolError,
    }
}
