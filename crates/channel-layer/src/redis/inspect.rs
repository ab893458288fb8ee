//! A look at a Redis server from outside, for an operator.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time;

use super::config::ConfigError;
use super::server::{Loss, Server, describe};

/// For everything together.
const DEADLINE: Duration = Duration::from_secs(5);

/// What [`inspect_redis`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisReport {
    /// The server's version, as it says.
    pub version: String,
    /// When Redis cuts a subscriber that reads too slowly. Nothing if the server does not let us ask.
    pub output_buffer_limit: Option<OutputBufferLimit>,
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

/// Connects once and asks the server for its version and limits, for `doctor`. Takes at most five seconds. As to
/// `rediss://`, see [`connect_redis`](crate::connect_redis).
///
/// # Errors
/// If the URL cannot be used, or the server does not answer.
pub async fn inspect_redis(url: &str) -> Result<RedisReport, InspectError> {
    let server = Server::new(url)?;
    let inspected = time::timeout(DEADLINE, inspect(&server)).await;
    let reason = match inspected {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(loss)) => loss.to_string(),
        Err(_) => "it does not answer in time".to_owned(),
    };
    Err(InspectError::Unusable { reason })
}

async fn inspect(server: &Server) -> Result<RedisReport, Loss> {
    let mut connection = server.commands().await?;
    let mut info = redis::cmd("INFO");
    let info = info.arg("server").query_async(&mut connection).await;
    let info: String = info.map_err(Loss::Inspect)?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(RedisReport {
        version: version.unwrap_or("unknown").trim().to_owned(),
        output_buffer_limit: output_buffer_limit(&mut connection).await,
    })
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
