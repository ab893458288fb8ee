//! The TCP fault proxy: a process of its own (this same binary called as `faults proxy`), through which nodes reach Redis
//! and Postgres, and clients the balancer, and which does to their connections what it is told.
//!
//! [`Proxy`] is the handle of that process; [`serve`] is what runs in it. What it is told are [`orders`], one JSON line
//! each on its standard input, each answered by a line on its standard output. It ends when its input does.

mod connection;
mod handle;
mod link;
mod orders;
mod queue;
mod serve;
mod trials;

pub(crate) use handle::Proxy;
pub(crate) use orders::{Direction, Toxic};
pub(crate) use serve::serve;
pub(crate) use trials::trials;
