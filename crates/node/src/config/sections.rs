//! The sections of the configuration: a struct each, whose fields are the keys of `config.default.toml`.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use url::{Origin, Url};

use super::{addresses, values};

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
    /// What carries a WebSocket.
    #[serde(deserialize_with = "values::transport")]
    pub transport: SocketTransport,
    /// Where operators read health and metrics; none means at `listen`, with everybody else.
    #[serde(deserialize_with = "values::admin_listen")]
    pub admin_listen: Option<SocketAddr>,
    /// From the signal to stop until the process has ended, in seconds. See [`ServerConfig::drain`].
    #[serde(deserialize_with = "values::integer::<_, _, 1, 3600>")]
    pub drain_seconds: u64,
    /// For how long no request has come that changes something before the socket is closed, in seconds. See [`ServerConfig::drain_quiet`].
    #[serde(deserialize_with = "values::integer::<_, _, 0, 60>")]
    pub drain_quiet_seconds: u64,
    /// Folder of what this node keeps on disk.
    #[serde(deserialize_with = "values::folder")]
    pub data_dir: PathBuf,
    /// Where people reach this service, a scheme, a host and perhaps a port; none means that the `Host` header says.
    #[serde(deserialize_with = "addresses::public_url")]
    pub public_url: Option<Url>,
    /// Origins whose pages may use a browser's session, beside one's own.
    #[serde(deserialize_with = "addresses::origins")]
    pub allowed_origins: Vec<Origin>,
    /// Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count.
    #[serde(deserialize_with = "addresses::networks")]
    pub trusted_proxies: Vec<IpNet>,
}

/// What carries a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketTransport {
    /// The session is on the socket itself.
    Direct,
    /// It is behind the buffers of the HTTP server.
    ActixWs,
}

/// Section `store`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `postgres://…`, `sqlite://PATH`, or empty. See [`Config::store_url`](super::Config::store_url).
    #[serde(deserialize_with = "values::database_url")]
    pub database_url: SecretString,
    /// Connections to Postgres for reading; a node holds up to two more.
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
    /// `redis://…`, `rediss://…`, or empty. See [`Config::redis_url`](super::Config::redis_url).
    #[serde(deserialize_with = "values::redis_url")]
    pub redis_url: SecretString,
}

/// Section `auth`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Whether people log in with a user name and a password that are kept here.
    #[serde(deserialize_with = "values::flag")]
    pub accounts: bool,
    /// Whether they may make such an account themselves.
    #[serde(deserialize_with = "values::flag")]
    pub registration: bool,
    /// How long a browser's session lasts, in days. See [`AuthConfig::session_ttl`].
    #[serde(deserialize_with = "values::integer::<_, _, 1, 365>")]
    pub session_days: u64,
    /// The secret that signs and checks tokens; empty means that none is accepted that claims to be signed with it.
    #[serde(deserialize_with = "values::jwt_secret")]
    pub jwt_secret: SecretString,
    /// The one issuer of tokens, beside ourselves, that counts; none means any that signs with the secret.
    #[serde(deserialize_with = "values::issuer")]
    pub jwt_issuer: Option<String>,
    /// What such tokens must call us; none means that they must be for nobody in particular.
    #[serde(deserialize_with = "values::audience")]
    pub jwt_audience: Option<String>,
    /// Where that issuer publishes its keys. At most one of this and `jwks_file` is set.
    #[serde(deserialize_with = "addresses::jwks_url")]
    pub jwks_url: Option<Url>,
    /// A file of those keys.
    #[serde(deserialize_with = "values::file")]
    pub jwks_file: Option<PathBuf>,
    /// By how much a token's times may be off, in seconds. See [`AuthConfig::token_leeway`].
    #[serde(deserialize_with = "values::integer::<_, _, 0, 30>")]
    pub token_leeway_seconds: u64,
}

/// Section `attachments`: files of messages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentsConfig {
    /// `file://…`, `s3://…`, or none, which means the folder `attachments` in `server.data_dir`.
    #[serde(deserialize_with = "addresses::attachments_url")]
    pub url: Option<Url>,
    /// A file, in bytes.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 5_368_709_120>")]
    pub max_bytes: u64,
    /// How long a file is kept that belongs to no message, in hours. See [`AttachmentsConfig::orphan_age`].
    #[serde(deserialize_with = "values::integer::<_, _, 1, 8_760>")]
    pub orphan_hours: u64,
    /// Files of one user that belong to no message.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 1_000_000>")]
    pub waiting_per_user: i64,
}

/// Section `messages`: what may be done with them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesConfig {
    /// Whether only members of a shared group of the operator may write to each other.
    #[serde(deserialize_with = "values::flag")]
    pub only_in_groups: bool,
    /// How long after it was sent a message may be changed, in seconds. See [`MessagesConfig::edit_within`].
    #[serde(deserialize_with = "values::integer::<_, _, 0, 3_153_600_000>")]
    pub edit_seconds: i64,
    /// Whether what a message said before it was changed is kept.
    #[serde(deserialize_with = "values::flag")]
    pub keep_versions: bool,
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
    /// Log-ins under one name from one address that may fail in a minute.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 1_000_000>")]
    pub failed_logins_per_minute: u32,
    /// Accounts that one address may make in a minute.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 1_000_000>")]
    pub registrations_per_minute: u32,
    /// Sockets and event streams that are let in at a time. The others wait.
    #[serde(deserialize_with = "values::integer::<_, _, 1, 1_000_000>")]
    pub handshakes_in_flight: usize,
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
    /// Whether lines say which address a client has.
    #[serde(deserialize_with = "values::flag")]
    pub addresses: bool,
    /// The collector that traces are sent to; none means that there are no traces.
    #[serde(deserialize_with = "addresses::otlp_endpoint")]
    pub otlp_endpoint: Option<Url>,
    /// How many of the traces are recorded that begin here, from 0 to 1.
    #[serde(deserialize_with = "values::ratio")]
    pub otlp_sample_ratio: f64,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

impl ServerConfig {
    /// One socket cannot be both.
    pub(super) fn check(&self) -> Result<(), String> {
        let (listen, Some(admin)) = (self.listen, self.admin_listen) else { return Ok(()) };
        let overlap =
            listen.ip() == admin.ip() || listen.ip().is_unspecified() || admin.ip().is_unspecified();
        if overlap && listen.port() == admin.port() && listen.port() != 0 {
            return Err(format!(
                "`server.listen` is `{listen}` and `server.admin_listen` is `{admin}`: give one of them another port"
            ));
        }
        Ok(())
    }

    /// How many threads serve sockets.
    #[must_use]
    pub fn n_workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            n => n,
        }
    }

    /// From the signal to stop until the process has ended.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// For how long no request has come that changes something before the socket is closed.
    #[must_use]
    pub fn drain_quiet(&self) -> Duration {
        Duration::from_secs(self.drain_quiet_seconds)
    }
}

impl AttachmentsConfig {
    /// How long a file is kept that belongs to no message.
    #[must_use]
    pub fn orphan_age(&self) -> Duration {
        Duration::from_secs(self.orphan_hours * 3600)
    }
}

impl MessagesConfig {
    /// How long after it was sent a message may be changed, in microseconds.
    #[must_use]
    pub fn edit_within(&self) -> i64 {
        self.edit_seconds * 1_000_000
    }
}

impl AuthConfig {
    /// How long a browser's session lasts.
    #[must_use]
    pub fn session_ttl(&self) -> Duration {
        Duration::from_secs(self.session_days * 86_400)
    }

    /// By how much a token's times may be off.
    #[must_use]
    pub fn token_leeway(&self) -> Duration {
        Duration::from_secs(self.token_leeway_seconds)
    }
}
