//! The configuration of a node: one struct, read once at start and passed on.
//!
//! Defaults stand only in `config.default.toml`, which is compiled in and is also the manual of every key.
//! Over them lie a file, the environment and the command line (`layers`). Each value is checked as it is
//! read (`values`), so that an error names the key, the value and where it came from.
//!
//! To add a key: its line with a comment in `config.default.toml`, its field here, and if no function in
//! `values` fits, one more there.

mod layers;
mod values;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;

/// The file of defaults, for `--help` and the manual.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// The secret of tokens is refused if it is shorter, in bytes: HS256 needs a key as long as its hash.
pub const MIN_JWT_SECRET_BYTES: usize = 32;

/// Everything that an operator can set. `Debug` shows no secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The process and its sockets.
    pub server: ServerConfig,
    /// Where messages live.
    pub store: StoreConfig,
    /// How nodes tell one another of new messages.
    pub channel_layer: ChannelLayerConfig,
    /// Who is let in.
    pub auth: AuthConfig,
    /// How much of everything.
    pub limits: LimitsConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// Section `server`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port to listen on.
    #[serde(deserialize_with = "values::listen")]
    pub listen: SocketAddr,
    /// Threads that serve sockets; 0 means one for each core. See [`ServerConfig::n_workers`].
    #[serde(deserialize_with = "values::integer::<_, _, 0, 1024>")]
    pub workers: usize,
    /// From the signal to stop until open sockets are cut, in seconds. See [`ServerConfig::drain`].
    #[serde(deserialize_with = "values::integer::<_, _, 0, 3600>")]
    pub drain_seconds: u64,
    /// Folder of what this node keeps on disk.
    #[serde(deserialize_with = "values::folder")]
    pub data_dir: PathBuf,
}

/// Section `store`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `postgres://…`, `sqlite://PATH`, or empty. See [`Config::store_url`].
    #[serde(deserialize_with = "values::database_url")]
    pub database_url: SecretString,
    /// Connections to Postgres at most.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 1000>")]
    pub pool_size: u32,
    /// Whether `serve` brings the schema up to date by itself.
    #[serde(deserialize_with = "values::flag")]
    pub migrate: bool,
}

/// Section `channel_layer`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelLayerConfig {
    /// `redis://…`, `rediss://…`, or empty. See [`Config::redis_url`].
    #[serde(deserialize_with = "values::redis_url")]
    pub redis_url: SecretString,
}

/// Section `auth`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The secret that signs and checks tokens; empty means that no token is accepted.
    #[serde(deserialize_with = "values::jwt_secret")]
    pub jwt_secret: SecretString,
    /// By how much a token's times may be off, in seconds. See [`AuthConfig::token_leeway`].
    #[serde(deserialize_with = "values::integer::<_, _, 0, 30>")]
    pub token_leeway_seconds: u64,
}

/// Section `limits`: what one node grants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Messages that one user may send a second, on average.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 1_000_000>")]
    pub messages_per_second: u32,
    /// Messages that one user may send at once after a pause.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 1_000_000>")]
    pub messages_burst: u32,
    /// Open sockets and event streams of one user.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 1_000_000>")]
    pub connections_per_user: u32,
    /// Handshakes and requests from one address that may fail to authenticate in a minute.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 1_000_000>")]
    pub failed_handshakes_per_minute: u32,
    /// Bytes that wait for one slow client. At least one frame must fit.
    #[serde(deserialize_with = "values::integer::<_, _, 262_144, 1_073_741_824>")]
    pub outbound_queue_bytes: usize,
}

/// Section `log`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// How a line looks.
    #[serde(deserialize_with = "values::log_format")]
    pub format: LogFormat,
    /// What is logged, in the language of `tracing_subscriber::EnvFilter`; checked by [`crate::logging`].
    pub level: String,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// `server.listen`.
    pub listen: Option<String>,
    /// `server.data_dir`.
    pub data_dir: Option<String>,
    /// `store.database_url`.
    pub database_url: Option<SecretString>,
    /// `channel_layer.redis_url`.
    pub redis_url: Option<SecretString>,
}

/// Why there is no configuration: one sentence, for the operator. It holds no secret.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads the layers: the command line over `environment` (of the process: `std::env::vars_os()`) over
    /// the file over the defaults.
    ///
    /// # Errors
    /// If a file cannot be read, or a key is unknown or its value cannot be.
    pub fn load(
        overrides: &Overrides,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let defaults = layers::defaults()?;
        let mut above = Vec::new();
        if let Some(path) = &overrides.file {
            above.push(layers::file(path)?);
        }
        above.extend(layers::environment(environment)?);
        above.extend(layers::command_line(overrides));
        layers::extract(defaults, above)
    }

    /// Where messages live, with the default resolved: `sqlite://{server.data_dir}/switchboard.db`.
    #[must_use]
    pub fn store_url(&self) -> SecretString {
        if !self.store.database_url.expose_secret().is_empty() {
            return self.store.database_url.clone();
        }
        let path = self.server.data_dir.join("switchboard.db");
        format!("sqlite://{}", path.display()).into()
    }

    /// Redis, if it is the channel layer; else the layer is in-process.
    #[must_use]
    pub fn redis_url(&self) -> Option<&SecretString> {
        let url = &self.channel_layer.redis_url;
        (!url.expose_secret().is_empty()).then_some(url)
    }

    /// Pairs of values that are allowed but seldom meant, a sentence each, for the log at start.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let in_postgres = self.store.database_url.expose_secret().starts_with("postgres");
        if in_postgres && self.redis_url().is_none() {
            warnings.push(
                "`store.database_url` is Postgres and `channel_layer.redis_url` is empty: \
                 two nodes would only meet by the sweep, up to 2 s late"
                    .to_owned(),
            );
        }
        let listen = self.server.listen;
        if !listen.ip().is_loopback() && self.auth.jwt_secret.expose_secret().is_empty() {
            warnings.push(format!(
                "`server.listen` is `{listen}`, which other machines can reach, \
                 and `auth.jwt_secret` is empty: no token is accepted"
            ));
        }
        warnings
    }
}

impl ServerConfig {
    /// How many threads serve sockets.
    #[must_use]
    pub fn n_workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            n => n,
        }
    }

    /// From the signal to stop until open sockets are cut.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

impl AuthConfig {
    /// By how much a token's times may be off.
    #[must_use]
    pub fn token_leeway(&self) -> Duration {
        Duration::from_secs(self.token_leeway_seconds)
    }
}
