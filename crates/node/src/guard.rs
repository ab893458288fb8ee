//! Bounds a WebSocket before its codec buffers it.
//!
//! The codec compares a frame's size with its limit only when the whole frame has arrived, so a client that
//! announces 2^40 bytes and streams them fills the memory. [`FrameGuard`] stands between the request's payload
//! and the codec: it reads the headers of frames as they pass, leaves the payloads alone, and ends the stream
//! before the first frame that goes over the limit. The session then finds [`GuardState::has_overflowed`] and
//! closes with 1009. It also keeps the time of the last byte, which is what tells a silent peer from a quiet one.
//! [`Gate`] holds the same limit where a session has the socket itself.

mod frames;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest, dev, web};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Stream};
use tokio::time::Instant;

use frames::{Frames, Passed};

pub use frames::MAX_FRAGMENTS;

/// What the session may ask of its guard, which the codec holds.
#[derive(Debug)]
pub struct GuardState {
    has_overflowed: Cell<bool>,
    last_byte_at: Cell<Instant>,
}

impl GuardState {
    /// Whether the stream was ended because a frame or message went over the limit.
    #[must_use]
    pub fn has_overflowed(&self) -> bool {
        self.has_overflowed.get()
    }

    /// When the last byte came from the peer; before the first, when the guard was made.
    #[must_use]
    pub fn last_byte_at(&self) -> Instant {
        self.last_byte_at.get()
    }
}

/// A stream of bytes that are WebSocket frames within a limit, and whatever `S` yields otherwise.
///
/// Chunks pass as they are, but for the beginning of a header at the end of a chunk, which is held until the
/// frame is known to fit. After an overflow `S` is read no more, which is backpressure on the socket.
#[derive(Debug)]
pub struct FrameGuard<S> {
    payload: S,
    frames: Frames,
    /// Has passed, and goes out next: a chunk that completed the header before it.
    next: Option<Bytes>,
    state: Rc<GuardState>,
}

impl<S> FrameGuard<S> {
    /// A guard over `payload`, and what the session may ask of it. `limit` is in bytes, of a frame and of all
    /// fragments of a message together.
    pub fn new(payload: S, limit: usize) -> (Self, Rc<GuardState>) {
        let state =
            Rc::new(GuardState { has_overflowed: Cell::new(false), last_byte_at: Cell::new(Instant::now()) });
        let guard = Self { payload, frames: Frames::new(limit), next: None, state: Rc::clone(&state) };
        (guard, state)
    }

    /// What of a chunk goes on now, if anything.
    fn pass(&mut self, mut chunk: Bytes) -> Option<Bytes> {
        self.state.last_byte_at.set(Instant::now());
        let held = Bytes::copy_from_slice(self.frames.begun_header());
        let passed = self.frames.read(&chunk);
        if let Passed::UntilOverflow(_) = passed {
            self.state.has_overflowed.set(true);
        }
        let (Passed::Until(end) | Passed::UntilOverflow(end)) = passed;
        chunk.truncate(end);
        if chunk.is_empty() {
            None
        } else if held.is_empty() {
            Some(chunk)
        } else {
            self.next = Some(chunk);
            Some(held)
        }
    }
}

impl<S> Stream for FrameGuard<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(bytes) = self.next.take() {
            return Poll::Ready(Some(Ok(bytes)));
        }
        while !self.state.has_overflowed() {
            let Some(chunk) = ready!(Pin::new(&mut self.payload).poll_next(cx)?) else {
                return Poll::Ready(None);
            };
            if let Some(bytes) = self.pass(chunk) {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
        Poll::Ready(None)
    }
}

/// The same for bytes that are read straight from a socket.
#[derive(Debug)]
pub struct Gate {
    frames: Frames,
    has_overflowed: bool,
}

impl Gate {
    /// `limit` as for [`FrameGuard::new`].
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { frames: Frames::new(limit), has_overflowed: false }
    }

    /// Adds to `passed` what of a chunk may go on now, and nothing ever after an overflow.
    pub fn pass(&mut self, chunk: &[u8], passed: &mut BytesMut) {
        if self.has_overflowed {
            return;
        }
        let held = Bytes::copy_from_slice(self.frames.begun_header());
        let read = self.frames.read(chunk);
        self.has_overflowed = matches!(read, Passed::UntilOverflow(_));
        let (Passed::Until(end) | Passed::UntilOverflow(end)) = read;
        if end > 0 {
            passed.extend_from_slice(&held);
            passed.extend_from_slice(&chunk[..end]);
        }
    }

    /// Whether a frame or message went over the limit.
    #[must_use]
    pub fn has_overflowed(&self) -> bool {
        self.has_overflowed
    }
}

/// The body of an upgrade request behind a guard, for `actix_ws::handle`.
///
/// The codec's own limit stays in force and starts at 64 KiB: give it the same `limit` by `max_frame_size`.
pub fn guarded(request: &HttpRequest, body: web::Payload, limit: usize) -> (web::Payload, Rc<GuardState>) {
    let (guard, state) = FrameGuard::new(body, limit);
    let mut payload: dev::Payload = dev::Payload::Stream { payload: Box::pin(guard) };
    // The only way to make a `web::Payload`; as an extractor it just takes what it is given.
    let body = web::Payload::from_request(request, &mut payload)
        .now_or_never()
        .and_then(Result::ok)
        .expect("taking a payload neither waits nor fails");
    (body, state)
}
