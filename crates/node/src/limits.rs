//! What one node grants: messages and connections a user, failed handshakes, failed log-ins and new accounts an
//! address, handshakes at a time.
//!
//! Sessions and handlers share one [`NodeLimits`] and ask before they do a thing; a refusal says when to
//! come back. The limits are this node's: a user with sessions on two nodes has twice as much. A task calls
//! [`NodeLimits::prune`] every minute or so, since a bucket outlives the one who drew from it.

mod handshakes;
mod logins;
mod tally;

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
pub use handshakes::{HandshakePlace, Handshakes};
use logins::Logins;
use tally::Tally;

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

/// What a change of a group or of one's own takes from the bucket of requests: it is a transaction by itself, and one of a
/// group writes to as many mailboxes as it has members. Not more than what goes with one message, which every bucket holds.
const REQUESTS_A_CHANGE: u32 = REQUESTS_A_MESSAGE;

/// The limits of one node. `C` is the clock of the message rate: another one in tests.
pub struct NodeLimits<C: Clock = DefaultClock> {
    messages: Buckets<C>,
    requests: Buckets<C>,
    clock: C,
    failures: Mutex<Tally<IpAddr>>,
    logins: Mutex<Logins>,
    /// Apart from `failures`, which another site's page could use up: log-ins that failed, by address.
    logins_of_address: Mutex<Tally<IpAddr>>,
    registrations: Mutex<Tally<IpAddr>>,
    connections: Arc<Connections>,
    /// Places of those that are being let in.
    pub handshakes: Handshakes,
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
            failures: Mutex::new(Tally::new(config.failed_handshakes_per_minute)),
            logins: Mutex::new(Logins::new(config.failed_logins_per_minute)),
            logins_of_address: Mutex::new(Tally::new(config.failed_handshakes_per_minute)),
            registrations: Mutex::new(Tally::new(config.registrations_per_minute)),
            connections: Arc::new(Connections {
                max: config.connections_per_user,
                open: Mutex::new(HashMap::new()),
            }),
            handshakes: Handshakes::new(config.handshakes_in_flight),
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

    /// The same for a change of a group or of one's own, which costs as much as ten of those.
    ///
    /// # Errors
    /// As [`NodeLimits::check_message`].
    pub fn check_change(&self, user: UserId) -> Result<(), RetryAfter> {
        match self.requests.check_key_n(&user, at_least_one(REQUESTS_A_CHANGE)) {
            Ok(taken) => taken.map_err(|not_until| not_until.wait_time_from(self.clock.now()).into()),
            Err(_too_small_a_bucket) => self.check_request(user),
        }
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

    /// Whether a log in under this name from this address must wait, whatever the password: for the name from there,
    /// for the name from everywhere, or for the address under any name.
    ///
    /// Asked before the password is compared, so that a guess that is refused says nothing.
    #[must_use]
    pub fn login_blocked(&self, name: &str, address: Option<IpAddr>) -> Option<RetryAfter> {
        let (network, now) = (address.map(network), Instant::now());
        let of_name = lock(&self.logins).blocked_for(name, network, now);
        let of_address = network.and_then(|network| lock(&self.logins_of_address).blocked_for(network, now));
        of_name.max(of_address).map(RetryAfter::from)
    }

    /// Notes that a log in under this name from this address had a wrong password, or that nobody has this name.
    ///
    /// Called before the password is compared, with [`NodeLimits::forgive_login`] if it is right, it also counts
    /// guesses that are made at once.
    pub fn record_login_failure(&self, name: &str, address: Option<IpAddr>) {
        let (network, now) = (address.map(network), Instant::now());
        lock(&self.logins).record(name, network, now);
        network.inspect(|network| lock(&self.logins_of_address).record(*network, now));
    }

    /// Takes one [`NodeLimits::record_login_failure`] back: the log in did not fail.
    pub fn forgive_login(&self, name: &str, address: Option<IpAddr>) {
        let network = address.map(network);
        lock(&self.logins).take_back(name, network);
        network.inspect(|network| lock(&self.logins_of_address).take_back(*network));
    }

    /// Takes one new account from the bucket of this address.
    ///
    /// # Errors
    /// If the bucket is empty: how long until there is one again. Asking too early costs nothing.
    pub fn check_registration(&self, address: IpAddr) -> Result<(), RetryAfter> {
        let (network, now) = (network(address), Instant::now());
        let mut registrations = lock(&self.registrations);
        if let Some(wait) = registrations.blocked_for(network, now) {
            return Err(wait.into());
        }
        registrations.record(network, now);
        Ok(())
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
        let now = Instant::now();
        lock(&self.failures).prune(now);
        lock(&self.logins).prune(now);
        lock(&self.logins_of_address).prune(now);
        lock(&self.registrations).prune(now);
        lock(&self.connections.open).shrink_to_fit();
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
