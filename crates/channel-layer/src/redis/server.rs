//! Connecting to the Redis server with deadlines, how long to wait between attempts, and why a link ended.

use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, RedisError};
use tokio::time::{self, Instant};

use super::config::{self, ConfigError};

/// For TCP, TLS and authentication together. A server that accepts but does not answer (stopped, or a black hole) costs
/// this much an attempt.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// For the answer to a pipeline. A longer one delays the moment when publishing to a stopped server is given up.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// The first pause between two attempts is up to this, the next up to twice as much, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// No pause is longer. Delivery is to be back at most 2 s after Redis is.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A link that stood for so long has proven itself. One that falls sooner is followed by a longer pause, since each that
/// rises has everything compared with the store.
const STEADY: Duration = Duration::from_secs(2);

/// The server that all links connect to.
#[derive(Clone)]
pub(super) struct Server {
    client: Client,
}

impl Server {
    pub(super) fn new(url: &str) -> Result<Self, ConfigError> {
        let client = config::client(url)?;
        Ok(Self { client })
    }

    /// A connection that subscribes.
    pub(super) async fn subscriber(&self) -> Result<PubSub, Loss> {
        let connecting = self.client.get_async_pubsub();
        let connection = time::timeout(CONNECT_DEADLINE, connecting).await;
        connection.or(Err(Loss::ConnectTimeout))?.map_err(Loss::Connect)
    }

    /// A connection that takes commands.
    pub(super) async fn commands(&self) -> Result<MultiplexedConnection, Loss> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(Some(ANSWER_DEADLINE));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let connection = time::timeout(CONNECT_DEADLINE, connecting).await;
        connection.or(Err(Loss::ConnectTimeout))?.map_err(Loss::Connect)
    }
}

/// Why there is no link, or no longer one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Loss {
    #[error("could not connect: {}", describe(.0))]
    Connect(RedisError),
    #[error("could not connect in time")]
    ConnectTimeout,
    #[error("the connection was closed")]
    Closed,
    #[error("a subscription failed: {}", describe(.0))]
    Subscribe(RedisError),
    #[error("a subscription was not confirmed in time")]
    SubscribeTimeout,
    #[error("publishing failed: {}", describe(.0))]
    Publish(RedisError),
    #[error("a lease could not be written: {}", describe(.0))]
    Lease(RedisError),
    #[error("the server could not be asked: {}", describe(.0))]
    Inspect(RedisError),
    #[error("what is published does not come back")]
    Silence,
}

impl Loss {
    /// Whether a connection stood before.
    pub(super) fn is_of_a_connection(&self) -> bool {
        !matches!(self, Self::Connect(_) | Self::ConnectTimeout)
    }

    /// Whether the connection still stands, and the server answered that it will not write leases.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Lease(error) if error.code().is_some())
    }
}

/// An error of the Redis client without what the server says in its own words, which may repeat what it was sent.
pub(super) fn describe(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("the server answered {code}"),
        None if error.is_io_error() => error.to_string(),
        None => error.category().to_owned(),
    }
}

/// The pauses between attempts: exponential, with full jitter, so that nodes that lost one server do not return as one.
#[derive(Default)]
pub(super) struct Backoff {
    n_failures: u32,
}

impl Backoff {
    /// To be told since when a link stood that is lost.
    pub(super) fn judge(&mut self, up_since: Option<Instant>) {
        if up_since.is_some_and(|since| since.elapsed() >= STEADY) {
            self.n_failures = 0;
        }
    }

    pub(super) async fn pause(&mut self) {
        let longest = FIRST_PAUSE * 2_u32.pow(self.n_failures.min(8));
        self.n_failures = self.n_failures.saturating_add(1);
        let pause = rand::random_range(Duration::ZERO..=longest.min(LONGEST_PAUSE));
        time::sleep(pause).await;
    }
}
