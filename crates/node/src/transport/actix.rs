//! A WebSocket on the stock HTTP server.

use std::collections::VecDeque;
use std::rc::Rc;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseReason, Session};
use bytes::Bytes;
use bytestring::ByteString;
use switchboard_protocol::CloseCode;
use switchboard_protocol::limits::FRAME_BYTES;
use tokio::time::{Instant, timeout};

use super::{GOODBYE, Inbound, Transport, close_code, patience};
use crate::guard::{GuardState, guarded};

/// A WebSocket whose bytes pass the buffers of the HTTP server, which can be those of TLS.
pub struct ActixWebSocket {
    session: Session,
    frames: AggregatedMessageStream,
    guard: Rc<GuardState>,
    /// The payload of a ping that is to be answered.
    owed: Option<Bytes>,
    waiting: VecDeque<ByteString>,
    /// Whether a heartbeat is to be written.
    pings: bool,
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
        Ok((response, Self { session, frames, guard, owed: None, waiting: VecDeque::new(), pings: false }))
    }

    async fn within_stall<T>(
        work: impl Future<Output = Result<T, actix_ws::Closed>>,
    ) -> Result<(), CloseCode> {
        match timeout(patience(), work).await {
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

    fn push(&mut self, frame: ByteString) {
        self.waiting.push_back(frame);
    }

    async fn flush(&mut self) -> Result<(), CloseCode> {
        while let Some(frame) = self.waiting.front() {
            Self::within_stall(self.session.text(frame.clone())).await?;
            self.waiting.pop_front();
        }
        self.waiting = VecDeque::new();
        if self.pings {
            Self::within_stall(self.session.ping(b"")).await?;
            self.pings = false;
        }
        Ok(())
    }

    fn abandon(&mut self) {
        self.waiting.clear();
    }

    fn push_ping(&mut self) {
        self.pings = true;
    }

    fn last_heard(&self) -> Instant {
        self.guard.last_byte_at()
    }

    async fn close(&mut self, code: CloseCode) {
        let reason = CloseReason { code: code.code().into(), description: Some(code.reason().to_owned()) };
        // A peer that takes nothing gets no goodbye.
        let _unread = timeout(GOODBYE, self.session.clone().close(Some(reason))).await;
    }
}
