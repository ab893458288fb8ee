//! Failed log-ins: by name and address, so that nobody keeps another out from elsewhere, and by name alone.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::tally::Tally;

/// Failures under one name from everywhere, to each that is granted from one address. Wide, since who knows a name
/// can keep its owner out with it; but many addresses together must not guess without end.
const EVERYWHERE: u32 = 10;

/// Log-ins that failed of late.
pub(super) struct Logins {
    by_pair: Tally<u64>,
    by_name: Tally<u64>,
    /// Makes the keys: names of any length need not be kept, and nobody can choose two that collide.
    names: RandomState,
}

impl Logins {
    pub(super) fn new(per_minute: u32) -> Self {
        let by_name = Tally::new(per_minute.saturating_mul(EVERYWHERE));
        Self { by_pair: Tally::new(per_minute), by_name, names: RandomState::new() }
    }

    /// How long until a log in under this name from this network may be tried, if not now.
    pub(super) fn blocked_for(&self, name: &str, network: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let (pair, name) = self.keys(name, network);
        self.by_pair.blocked_for(pair, now).max(self.by_name.blocked_for(name, now))
    }

    pub(super) fn record(&mut self, name: &str, network: Option<IpAddr>, now: Instant) {
        let (pair, name) = self.keys(name, network);
        self.by_pair.record(pair, now);
        self.by_name.record(name, now);
    }

    pub(super) fn take_back(&mut self, name: &str, network: Option<IpAddr>) {
        let (pair, name) = self.keys(name, network);
        self.by_pair.take_back(pair);
        self.by_name.take_back(name);
    }

    pub(super) fn prune(&mut self, now: Instant) {
        self.by_pair.prune(now);
        self.by_name.prune(now);
    }

    /// Of the name there and of the name alone. Letters of another case make no other name, so that there are no
    /// more guesses by writing it differently.
    fn keys(&self, name: &str, network: Option<IpAddr>) -> (u64, u64) {
        let name = name.to_lowercase();
        (self.names.hash_one((&name, network)), self.names.hash_one(&name))
    }
}
