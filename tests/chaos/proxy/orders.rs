//! What the proxy can be told, and its answers.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Which way bytes go, as seen from the one who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// From the one who connected to the server: requests.
    Up,
    /// From the server to the one who connected: answers.
    Down,
    /// Either way.
    Both,
}

/// What happens to the bytes of one direction of a link, on connections that stand and on new ones. There is one at a
/// time: the next takes the place of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Toxic {
    /// They pass as they come.
    #[default]
    Pass,
    /// They come this much later, at the rate at which they were sent.
    Delay {
        /// In milliseconds.
        ms: u64,
    },
    /// They come slowly.
    Throttle {
        /// At most this many a second, on each connection; at least 1.
        bytes_per_second: u64,
    },
    /// They wait until this is over, and then flow on: nothing is lost. When a bounded amount waits no more is read.
    Stall,
    /// They vanish, and so do the ends of connections. A connection that lost something is reset when this is over, since
    /// its stream has a hole.
    BlackHole,
    /// They are written one by one.
    Slice,
    /// After a number of bytes, counted from now or from the connection's start, the connection is reset both ways.
    /// Each connection draws its own number from `least..=most`.
    CutAfter {
        /// As few bytes as this, which still arrive.
        least: u64,
        /// As many as this.
        most: u64,
        /// The same seed draws the same numbers, in the order of the connections.
        seed: u64,
    },
}

/// One line to the proxy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// Returned in the answer.
    pub(super) id: u64,
    pub(super) order: Order,
}

/// What to do. Links are numbered from 0 in the order in which they were opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Accepts connections at `listen`, and joins each with one to `to`.
    Open { listen: SocketAddr, to: SocketAddr },
    /// From now on this happens to what goes in `direction`.
    Set { link: usize, direction: Direction, toxic: Toxic },
    /// Resets all connections of the link. New ones are taken.
    Reset { link: usize },
    /// Takes no new connections until the link is cleared: who tries is refused by the kernel. Others stay.
    Refuse { link: usize },
    /// Passes everything again, and takes connections.
    Clear { link: usize },
    /// How many connections the link has.
    Count { link: usize },
}

/// One line from the proxy: the order was carried out before it was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Of the request.
    pub(super) id: u64,
    /// Why it was not carried out, if it was not.
    pub(super) error: Option<String>,
    /// Asked by `Count`.
    pub(super) n_connections: Option<usize>,
}
