//! A session on the socket itself: no buffers of the HTTP server, one task.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use switchboard_protocol::CloseCode;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::input::{Input, Message};
use super::output::{Opcode, Output};
use super::{GOODBYE, Inbound, Transport, patience};

/// Bytes read at a time. On the stack, so that a connection costs none of it.
const CHUNK: usize = 8 * 1024;

/// A WebSocket whose handshake is done.
pub struct DirectWebSocket {
    io: TcpStream,
    input: Input,
    output: Output,
    last_byte_at: Instant,
    /// Until when the peer may take nothing, while it takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
}

impl DirectWebSocket {
    /// `early` is what was read of the socket behind the handshake.
    #[must_use]
    pub fn new(io: TcpStream, early: &[u8]) -> Self {
        let mut input = Input::new();
        input.put(early);
        Self { io, input, output: Output::default(), last_byte_at: Instant::now(), stall: None }
    }

    /// Reads once. False at the end.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(context, &mut chunk))?;
        self.last_byte_at = Instant::now();
        self.input.put(chunk.filled());
        Poll::Ready(Ok(!chunk.filled().is_empty()))
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Inbound> {
        // A pong that is owed.
        if let Err(code) = ready!(self.poll_flush(context)) {
            return Poll::Ready(Inbound::End(code));
        }
        loop {
            return Poll::Ready(match self.input.next() {
                Ok(Some(Message::Text(text))) => Inbound::Text(text),
                Ok(Some(Message::Binary)) => Inbound::Binary,
                Ok(Some(Message::Ping(payload))) => {
                    self.output.push(Opcode::Pong, payload);
                    // Answered with what is written next, so that this can be given up at any time.
                    Inbound::Nothing
                }
                Ok(Some(Message::Pong)) => Inbound::Nothing,
                Ok(Some(Message::Close)) => Inbound::End(CloseCode::Normal),
                Ok(Some(Message::Fragment)) => continue,
                Ok(None) => match ready!(self.poll_read(context)) {
                    Ok(true) => continue,
                    Ok(false) | Err(_) => Inbound::End(CloseCode::Normal),
                },
                Err(code) => Inbound::End(code),
            });
        }
    }

    /// Writes all there is.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CloseCode>> {
        while !self.output.is_empty() {
            match self.output.poll_write(&mut self.io, context) {
                Poll::Ready(Ok(())) => self.stall = None,
                Poll::Ready(Err(_gone)) => return Poll::Ready(Err(CloseCode::Normal)),
                Poll::Pending => {
                    let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(patience())));
                    ready!(stall.as_mut().poll(context));
                    return Poll::Ready(Err(CloseCode::TooSlow));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says what is left to say, and waits for the peer's end of it: to close on bytes that nobody has read would
    /// take the goodbye back.
    async fn leave(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            poll_fn(|context| self.output.poll_write(&mut self.io, context)).await?;
        }
        self.io.shutdown().await?;
        poll_fn(|context| {
            let mut space = [MaybeUninit::uninit(); CHUNK];
            loop {
                let mut chunk = ReadBuf::uninit(&mut space);
                ready!(Pin::new(&mut self.io).poll_read(context, &mut chunk))?;
                if chunk.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await
    }
}

impl Transport for DirectWebSocket {
    fn receive(&mut self) -> impl Future<Output = Inbound> {
        poll_fn(|context| self.poll_receive(context))
    }

    fn push(&mut self, frame: ByteString) {
        self.output.push(Opcode::Text, frame.into_bytes());
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), CloseCode>> {
        poll_fn(|context| self.poll_flush(context))
    }

    fn abandon(&mut self) {
        self.output.abandon();
    }

    fn push_ping(&mut self) {
        self.output.push(Opcode::Ping, Bytes::new());
    }

    fn last_heard(&self) -> Instant {
        self.last_byte_at
    }

    async fn close(&mut self, code: CloseCode) {
        let mut reason = BytesMut::with_capacity(2 + code.reason().len());
        reason.put_u16(code.code());
        reason.put_slice(code.reason().as_bytes());
        self.output.push(Opcode::Close, reason.freeze());
        // A peer that takes nothing gets no goodbye.
        let _unread = timeout(GOODBYE, self.leave()).await;
    }
}
