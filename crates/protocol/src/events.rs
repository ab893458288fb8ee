//! The bodies of `GET /api/v1/events` and of its stream.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Seq;

/// Query of the event endpoints and of the WebSocket handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct EventsQuery {
    /// The last position seen; without it, the mailbox's present end.
    pub cursor: Option<Seq>,
    /// The epoch that the cursor belongs to; without it, the present one.
    pub epoch: Option<String>,
    /// How long to wait for an event if there is none, in seconds, at most 30. Only for polling.
    pub wait: Option<u64>,
}

/// Answer of `GET /api/v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Events<F> {
    /// The entries after the cursor, as the frames of a WebSocket, or a single `reset`.
    pub events: Vec<F>,
    /// The cursor for the next request.
    pub cursor: Seq,
    /// The epoch for the next request.
    pub epoch: String,
}
