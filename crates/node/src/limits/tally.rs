//! How often something happened of late, by whom: a token bucket a key that can be looked into without taking from
//! it, which `governor` cannot.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::at_least_one;

/// What happened, by key. Each key has the time at which its bucket will be full again (GCRA): one more moves it on
/// by one interval, and what lies more than a bucket's worth ahead is blocked.
pub(super) struct Tally<K> {
    pub(super) full_at: HashMap<K, Instant>,
    interval: Duration,
    /// The time that a whole bucket takes to fill.
    window: Duration,
}

impl<K: Copy + Eq + Hash> Tally<K> {
    /// More keys than this (a few MiB) are not noted until the next [`Tally::prune`]. Who has so many addresses is
    /// not stopped by a limit on each.
    pub(super) const MAX_KEYS: usize = 65_536;

    pub(super) fn new(per_minute: u32) -> Self {
        let window = Duration::from_secs(60);
        Self { full_at: HashMap::new(), interval: window / at_least_one(per_minute).get(), window }
    }

    /// How long until one more would fit, if it does not.
    pub(super) fn blocked_for(&self, key: K, now: Instant) -> Option<Duration> {
        let full_at = *self.full_at.get(&key)?;
        // Blocked while less than one would fit into the bucket.
        let until = (full_at + self.interval).checked_sub(self.window)?;
        let wait = until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    pub(super) fn record(&mut self, key: K, now: Instant) {
        let is_crowded = self.full_at.len() >= Self::MAX_KEYS;
        match self.full_at.entry(key) {
            Entry::Vacant(_) if is_crowded => {}
            entry => {
                let full_at = entry.or_insert(now);
                // A bucket is never more than empty: what was under way together may all fail.
                *full_at = ((*full_at).max(now) + self.interval).min(now + self.window);
            }
        }
    }

    /// As if one had not happened.
    pub(super) fn take_back(&mut self, key: K) {
        if let Some(full_at) = self.full_at.get_mut(&key) {
            // A bucket that was empty already has lost nothing by that one; so little more is granted, so seldom.
            *full_at = full_at.checked_sub(self.interval).unwrap_or(*full_at);
        }
    }

    /// Forgets every bucket that is full again, and gives memory back.
    pub(super) fn prune(&mut self, now: Instant) {
        self.full_at.retain(|_, full_at| *full_at > now);
        self.full_at.shrink_to_fit();
    }
}
