//! Leases: names that a node holds for as long as it lives and can say so, each with a small value.
//!
//! What is held cannot stick: a node that says nothing any more holds nothing after the [`TERM`], whatever became of it, of
//! its links or of the back end. The handle's `hold` and `held` are all there is to it from outside; `memory.rs` and
//! `redis/leases/` keep them.

use std::time::Duration;

/// Where the nodes of one installation keep their leases.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// What the keys of leases begin with, for example `DEPLOYMENT:lease`. The same on all nodes, and nobody else's.
    pub key_prefix: String,
}

/// Names that one node holds at most, those that it is letting go included. Some 40 MB here and 50 MB at Redis.
pub(crate) const MOST: usize = 1_000_000;

/// How long a lease lasts unless it is renewed: three renewals, so that one that is lost or late costs nothing.
pub(crate) const TERM: Duration = Duration::from_secs(12);
