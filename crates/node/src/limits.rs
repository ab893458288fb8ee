//! What one node grants: messages a user, failed handshakes an address, connections a user.
//!
//! Sessions and handlers share one [`NodeLimits`] and ask before they do a thing; a refusal says when to
//! come back. The limits are this node's: a user with sessions on two nodes has twice as much. A task calls
//! [`NodeLimits::prune`] every minute or so, since a bucket outlives the one who drew from it.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use switchboard_protocol::UserId;
use tokio::time::Instant;

use crate::config::LimitsConfig;

/// How long to wait before asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// In milliseconds, at least 1.
    pub ms: u64,
}

impl From<Duration> for RetryAfter {
    /// Rounded up, so that who waits this long is not early.
    fn from(wait: Duration) -> Self {
        let ms = wait.as_nanos().div_ceil(1_000_000);
        Self { ms: u64::try_from(ms).unwrap_or(u64::MAX).max(1) }
    }
}

/// A token bucket a user.
type Buckets<C> = RateLimiter<UserId, DashMapStateStore<UserId>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Read marks and counts that a user may ask for, to each message that they may send: a client that opens a
/// conversation marks many at once.
const REQUESTS_A_MESSAGE: u32 = 10;

/// The limits of one node. `C` is the clock of the message rate: another one in tests.
pub struct NodeLimits<C: Clock = DefaultClock> {
    messages: Buckets<C>,
    requests: Buckets<C>,
    clock: C,
    failures: Mutex<Failures>,
    connections: Arc<Connections>,
}

impl NodeLimits {
    /// As configured.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        Self::with_clock(config, DefaultClock::default())
    }
}

impl<C: Clock + Clone> NodeLimits<C> {
    fn with_clock(config: &LimitsConfig, clock: C) -> Self {
        let quota = |times: u32| {
            Quota::per_second(at_least_one(config.messages_per_second.saturating_mul(times)))
                .allow_burst(at_least_one(config.messages_burst.saturating_mul(times)))
        };
        Self {
            messages: RateLimiter::dashmap_with_clock(quota(1), clock.clone()),
            requests: RateLimiter::dashmap_with_clock(quota(REQUESTS_A_MESSAGE), clock.clone()),
            clock,
            failures: Mutex::new(Failures::new(config.failed_handshakes_per_minute)),
            connections: Arc::new(Connections {
                max: config.connections_per_user,
                open: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// Takes one message from the user's bucket.
    ///
    /// # Errors
    /// If the bucket is empty: how long until there is one again. Asking too early costs nothing.
    pub fn check_message(&self, user: UserId) -> Result<(), RetryAfter> {
        self.messages.check_key(&user).map_err(|not_until| not_until.wait_time_from(self.clock.now()).into())
    }

    /// The same for what else costs the store something: ten times as many.
    ///
    /// # Errors
    /// As [`NodeLimits::check_message`].
    pub fn check_request(&self, user: UserId) -> Result<(), RetryAfter> {
        self.requests.check_key(&user).map_err(|not_until| not_until.wait_time_from(self.clock.now()).into())
    }

    /// Whether this address has failed too often; if so, until when the next failure would be within the limit.
    ///
    /// Users behind one proxy share its address: who shows good credentials is better let in even so.
    #[must_use]
    pub fn is_blocked(&self, address: IpAddr) -> Option<RetryAfter> {
        lock(&self.failures).blocked_for(network(address), Instant::now()).map(RetryAfter::from)
    }

    /// Notes that a handshake or a request from this address failed to authenticate.
    pub fn record_failure(&self, address: IpAddr) {
        lock(&self.failures).record(network(address), Instant::now());
    }

    /// A place for one connection of this user, given back when the permit is dropped; nothing if all are taken.
    #[must_use]
    pub fn acquire(&self, user: UserId) -> Option<ConnectionPermit> {
        let mut open = lock(&self.connections.open);
        let n_open = open.get(&user).copied().unwrap_or(0);
        if n_open >= self.connections.max {
            return None;
        }
        open.insert(user, n_open + 1);
        Some(ConnectionPermit { connections: Arc::clone(&self.connections), user })
    }

    /// Forgets every bucket that is full again, and gives memory back.
    pub fn prune(&self) {
        for buckets in [&self.messages, &self.requests] {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
        lock(&self.failures).prune(Instant::now());
        lock(&self.connections.open).shrink_to_fit();
    }
}

/// Failures by address: a token bucket from which only failures take.
///
/// Not `governor`, which cannot look into a bucket without taking from it. Each address has the time at which
/// its bucket will be full again (GCRA): a failure moves it on by one interval, and what lies more than a
/// bucket's worth ahead is blocked.
struct Failures {
    full_at: HashMap<IpAddr, Instant>,
    interval: Duration,
    /// The time that a whole bucket takes to fill.
    window: Duration,
}

impl Failures {
    /// More addresses than this (a few MiB) are not noted until the next [`Failures::prune`]. Who has so many
    /// is not stopped by a limit on each.
    const MAX_ADDRESSES: usize = 65_536;

    fn new(per_minute: u32) -> Self {
        let window = Duration::from_secs(60);
        Self { full_at: HashMap::new(), interval: window / at_least_one(per_minute).get(), window }
    }

    fn blocked_for(&self, network: IpAddr, now: Instant) -> Option<Duration> {
        let full_at = *self.full_at.get(&network)?;
        // Blocked while less than one failure would fit into the bucket.
        let until = (full_at + self.interval).checked_sub(self.window)?;
        let wait = until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    fn record(&mut self, network: IpAddr, now: Instant) {
        let is_crowded = self.full_at.len() >= Self::MAX_ADDRESSES;
        match self.full_at.entry(network) {
            Entry::Vacant(_) if is_crowded => {}
            entry => {
                let full_at = entry.or_insert(now);
                // A bucket is never more than empty: handshakes that were under way together may all fail.
                *full_at = ((*full_at).max(now) + self.interval).min(now + self.window);
            }
        }
    }

    fn prune(&mut self, now: Instant) {
        self.full_at.retain(|_, full_at| *full_at > now);
        self.full_at.shrink_to_fit();
    }
}

/// What counts as one address: of IPv6 the network of 64 bits, since that is what one customer is given.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Open connections by user. Users without one have no entry.
struct Connections {
    max: u32,
    /// Held only to count.
    open: Mutex<HashMap<UserId, u32>>,
}

/// One place among a user's connections.
#[must_use = "dropping the permit gives the place back"]
pub struct ConnectionPermit {
    connections: Arc<Connections>,
    user: UserId,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = lock(&self.connections.open);
        if let Entry::Occupied(mut entry) = open.entry(self.user) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// No code that can panic runs under these locks, so what they hold is sound even if one did.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
