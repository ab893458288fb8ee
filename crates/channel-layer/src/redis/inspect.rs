//! A look at a Redis server from outside, for an operator.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use tokio::time::{self, Instant};

use super::config::ConfigError;
use super::server::{Loss, Server, describe};
use crate::channel::Channel;

/// For everything together.
const DEADLINE: Duration = Duration::from_secs(5);

/// For what is published to come back: a link whose probe takes longer counts as dead.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// What [`inspect_redis`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisReport {
    /// The server's version, as it says.
    pub version: String,
    /// Whether it follows another server: what is published here does not reach those who listen there.
    pub is_replica: bool,
    /// When Redis cuts a subscriber that reads too slowly. Nothing if the server does not let us ask.
    pub output_buffer_limit: Option<OutputBufferLimit>,
    /// What Redis does when its memory is full. Nothing if it does not say.
    pub memory: Option<MemoryLimit>,
    /// How long it took until what was published came back to a subscriber; nothing if it did not, within two seconds.
    pub round_trip: Option<Duration>,
    /// By how much the server's clock is ahead of this machine's, in microseconds; below zero it is behind. Nothing if
    /// the server does not let us ask.
    pub clock: Option<ClockOffset>,
}

/// `maxmemory` and `maxmemory-policy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// How much Redis may hold; zero is no limit.
    pub bytes: u64,
    /// What it removes when that is reached, such as `noeviction`.
    pub policy: String,
}

/// What the clock of a server says beside that of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// The server's clock less this machine's, in microseconds.
    pub ahead_us: i64,
    /// The truth is within this much of it, in microseconds: half the time that the question took.
    pub within_us: i64,
}

/// `client-output-buffer-limit` of the class `pubsub`. Zero means without limit. The default, 32 MiB or 8 MiB for 60 s, is
/// less than a second of a busy fleet's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputBufferLimit {
    /// A subscriber that is this many bytes behind is cut at once.
    pub hard_bytes: u64,
    /// A subscriber that is this many bytes behind for [`soft_seconds`](Self::soft_seconds) is cut.
    pub soft_bytes: u64,
    /// See [`soft_bytes`](Self::soft_bytes).
    pub soft_seconds: u64,
}

/// Why there is no [`RedisReport`]. Never holds the URL's secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The URL cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server cannot be reached, or does not answer as a Redis server does.
    #[error("cannot use Redis: {reason}")]
    Unusable {
        /// What went wrong.
        reason: String,
    },
}

/// Connects and asks the server for its version, limits and clock, and publishes once to `channel`, which nobody else may
/// use; for `doctor`. Takes at most five seconds. As to `rediss://`, see [`connect_redis`](crate::connect_redis).
///
/// # Errors
/// If the URL cannot be used, or the server does not answer.
pub async fn inspect_redis(url: &str, channel: &Channel) -> Result<RedisReport, InspectError> {
    let server = Server::new(url)?;
    let inspected = time::timeout(DEADLINE, inspect(&server, channel)).await;
    let reason = match inspected {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(loss)) => loss.to_string(),
        Err(_) => "it does not answer in time".to_owned(),
    };
    Err(InspectError::Unusable { reason })
}

async fn inspect(server: &Server, channel: &Channel) -> Result<RedisReport, Loss> {
    let mut connection = server.commands().await?;
    let info: String = redis::cmd("INFO").query_async(&mut connection).await.map_err(Loss::Inspect)?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let memory = field("maxmemory:").and_then(|bytes| bytes.parse().ok()).zip(field("maxmemory_policy:"));
    Ok(RedisReport {
        version: field("redis_version:").unwrap_or("unknown").to_owned(),
        is_replica: field("role:") == Some("slave"),
        output_buffer_limit: output_buffer_limit(&mut connection).await,
        memory: memory.map(|(bytes, policy)| MemoryLimit { bytes, policy: policy.to_owned() }),
        clock: clock(&mut connection).await,
        round_trip: round_trip(server, &mut connection, channel).await,
    })
}

/// From publishing on the one link to hearing it on another.
async fn round_trip(
    server: &Server,
    connection: &mut MultiplexedConnection,
    channel: &Channel,
) -> Option<Duration> {
    let trip = async {
        let mut subscriber = server.subscriber().await?;
        subscriber.subscribe(channel.as_str()).await.map_err(Loss::Subscribe)?;
        let begun = Instant::now();
        let mut publish = redis::cmd("PUBLISH");
        let publish = publish.arg(channel.as_str()).arg("").query_async::<i64>(connection).await;
        publish.map_err(Loss::Publish)?;
        subscriber.on_message().next().await.ok_or(Loss::Closed)?;
        Ok(begun.elapsed())
    };
    match time::timeout(ROUND_TRIP, trip).await.unwrap_or(Err(Loss::Silence)) {
        Ok(took) => Some(took),
        Err(loss) => {
            tracing::debug!("what is published to Redis does not come back: {loss}");
            None
        }
    }
}

async fn clock(connection: &mut MultiplexedConnection) -> Option<ClockOffset> {
    let before = now_us()?;
    let (seconds, microseconds): (i64, i64) = redis::cmd("TIME").query_async(connection).await.ok()?;
    let half = (now_us()? - before) / 2;
    let ahead_us = seconds.checked_mul(1_000_000)?.checked_add(microseconds)? - (before + half);
    Some(ClockOffset { ahead_us, within_us: half.abs() })
}

fn now_us() -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(now.as_micros()).ok()
}

/// Nothing if it is not permitted, as with many hosted servers.
async fn output_buffer_limit(connection: &mut MultiplexedConnection) -> Option<OutputBufferLimit> {
    let mut config = redis::cmd("CONFIG");
    let config = config.arg("GET").arg("client-output-buffer-limit");
    match config.query_async::<Vec<String>>(connection).await {
        Ok(answer) => parse_output_buffer_limit(answer.get(1)?),
        Err(error) => {
            tracing::debug!("Redis does not say its limits: {}", describe(&error));
            None
        }
    }
}

/// Reads `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`.
fn parse_output_buffer_limit(limits: &str) -> Option<OutputBufferLimit> {
    let mut words = limits.split_whitespace().skip_while(|word| *word != "pubsub");
    words.next()?;
    let mut number = || words.next()?.parse().ok();
    Some(OutputBufferLimit { hard_bytes: number()?, soft_bytes: number()?, soft_seconds: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_subscribers_is_found_among_the_others() {
        let limits = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
        let limit = parse_output_buffer_limit(limits).unwrap();
        let found = (limit.hard_bytes, limit.soft_bytes, limit.soft_seconds);
        assert_eq!(found, (33_554_432, 8_388_608, 60));
        assert_eq!(parse_output_buffer_limit("normal 0 0 0"), None);
    }
}
