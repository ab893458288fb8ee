//! Which Redis, and whether its URL is one that we can use.

use redis::{Client, IntoConnectionInfo, ProtocolVersion};

use crate::channel::Channel;

/// Which Redis to join, and how.
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port]` or `rediss://…`. A secret: no error and no log of this crate repeats it.
    pub url: String,
    /// The node's own channel, on which it publishes to itself and listens. No other node may use it, and nothing that
    /// is published to it reaches the receiver.
    pub probe_channel: Channel,
    /// What the keys of leases begin with: the same on all nodes that share leases, and nobody else's. Becomes the
    /// [`key_prefix`](crate::LeaseConfig::key_prefix).
    pub lease_prefix: String,
}

/// A Redis URL that cannot be used. Says nothing of the URL but its scheme.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no scheme at all.
    #[error("the Redis URL must begin with `redis://` or `rediss://`")]
    NoScheme,
    /// Sentinel, Cluster or something else.
    #[error("a Redis URL of `{scheme}://` is not supported: use `redis://` or `rediss://`")]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// The rest of the URL does not parse.
    #[error("the Redis URL is not of the form `redis://[user:password@]host[:port]`")]
    Invalid,
}

/// The client for a URL. It does not connect.
pub(super) fn client(url: &str) -> Result<Client, ConfigError> {
    check_scheme(url)?;
    let info = url.into_connection_info().or(Err(ConfigError::Invalid))?;
    // The subscriber reads the replies of version 2. Without TCP_NODELAY a small pipeline waits for the last one's answer.
    let redis_settings = info.redis_settings().clone();
    let redis_settings = redis_settings.set_protocol(ProtocolVersion::RESP2);
    let tcp_settings = info.tcp_settings().clone().set_nodelay(true);
    let info = info.set_redis_settings(redis_settings);
    Client::open(info.set_tcp_settings(tcp_settings)).or(Err(ConfigError::Invalid))
}

fn check_scheme(url: &str) -> Result<(), ConfigError> {
    let (scheme, _) = url.split_once("://").ok_or(ConfigError::NoScheme)?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !scheme.chars().all(is_scheme) || scheme.is_empty() {
        return Err(ConfigError::NoScheme);
    }
    match scheme.to_ascii_lowercase() {
        known if known == "redis" || known == "rediss" => Ok(()),
        scheme => Err(ConfigError::Scheme { scheme }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: &str) {
        let answer = client(url).map_or_else(|error| error.to_string(), |_| "accepted".to_owned());
        assert_eq!(answer, expect);
        assert!(!answer.contains("hunter2"));
    }

    #[test]
    fn only_a_single_server_is_accepted() {
        check("redis://127.0.0.1:6379", "accepted");
        check("REDIS://:hunter2@redis.example", "accepted");
        check("rediss://user:hunter2@redis.example:6380/1", "accepted");
        let unsupported =
            |scheme| format!("a Redis URL of `{scheme}://` is not supported: use `redis://` or `rediss://`");
        check("redis-sentinel://:hunter2@a,b/m", &unsupported("redis-sentinel"));
        check("redis-cluster://a,b", &unsupported("redis-cluster"));
        check("unix:///run/redis.sock", &unsupported("unix"));
        check("https://redis.example", &unsupported("https"));
        let no_scheme = "the Redis URL must begin with `redis://` or `rediss://`";
        check("127.0.0.1:6379", no_scheme);
        check("hunter2@host://", no_scheme);
        check("", no_scheme);
        let unparsable = "the Redis URL is not of the form `redis://[user:password@]host[:port]`";
        check("redis://:hunter2@:x", unparsable);
    }
}
