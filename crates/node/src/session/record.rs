//! What the log says of a session: a line when it ends, however it does.

use std::net::IpAddr;

use switchboard_protocol::{CloseCode, UserId};
use tokio::time::Instant;

/// A session, whatever carries it. It is told when this is dropped.
pub(crate) struct Record {
    /// What the session is called, here and in its `welcome`.
    pub(crate) connection_id: String,
    user: UserId,
    transport: &'static str,
    /// Only if addresses are to be told.
    address: Option<IpAddr>,
    begun: Instant,
    /// Frames from the client.
    pub(crate) frames_in: u64,
    /// Frames to the client.
    pub(crate) frames_out: u64,
    reason: CloseCode,
}

impl Record {
    /// From now on. `transport` is what the metrics call it.
    pub(crate) fn begin(user: UserId, transport: &'static str, address: Option<IpAddr>) -> Self {
        let connection_id = format!("{:016x}", rand::random::<u64>());
        tracing::debug!(connection_id, user_id = user.0, transport, "a session begins");
        Self {
            connection_id,
            user,
            transport,
            address,
            begun: Instant::now(),
            frames_in: 0,
            frames_out: 0,
            reason: CloseCode::Normal,
        }
    }

    /// Says why it ends. Else the client left.
    pub(crate) fn ends(&mut self, reason: CloseCode) {
        self.reason = reason;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        tracing::info!(
            connection_id = self.connection_id,
            user_id = self.user.0,
            transport = self.transport,
            seconds = (self.begun.elapsed().as_secs_f64() * 1e3).round() / 1e3,
            frames_in = self.frames_in,
            frames_out = self.frames_out,
            reason = self.reason.reason(),
            address = self.address.map(tracing::field::display),
            "a session ended"
        );
    }
}
