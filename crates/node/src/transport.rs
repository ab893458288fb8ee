//! What a session needs of a connection: the next frame in, shared bytes out, a close.
//!
//! The session knows no other way to its peer. There are two: [`DirectWebSocket`], the session on the socket itself, and
//! [`ActixWebSocket`], behind the buffers of the HTTP server.

mod actix;
mod direct;
mod input;
mod output;
mod upgrade;

use std::time::Duration;

use actix_http::ws::ProtocolError;
use bytestring::ByteString;
use switchboard_protocol::CloseCode;
use tokio::time::Instant;

pub use self::actix::ActixWebSocket;
pub use self::direct::DirectWebSocket;
pub(crate) use self::upgrade::{Upgrade, upgrades};
use crate::sabotage::sabotaged;

/// A peer that takes no byte for this long, while there is something for it, is let go.
const STALL: Duration = Duration::from_secs(30);
/// How long a peer may take over the goodbye.
pub(crate) const GOODBYE: Duration = Duration::from_secs(1);

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

    /// Adds a frame to those that wait to be written. The caller bounds how many do.
    fn push(&mut self, frame: ByteString);

    /// Writes all that waits, as much at a time as the peer takes; waits while it is slow. Cancel safe: what was not
    /// written still waits.
    ///
    /// # Errors
    /// The reason to end: the peer is gone, or has taken nothing for too long.
    async fn flush(&mut self) -> Result<(), CloseCode>;

    /// Lets go of what waits and has not begun to be written.
    fn abandon(&mut self);

    /// Adds a heartbeat to what waits to be written.
    fn push_ping(&mut self);

    /// When the last byte came in.
    fn last_heard(&self) -> Instant;

    /// Says why, and ends.
    async fn close(&mut self, code: CloseCode);
}

/// How long a peer may take nothing.
fn patience() -> Duration {
    if sabotaged!("unbounded_queue") { Duration::MAX } else { STALL }
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
