//! The configuration of a node: one struct, read once at start and passed on.
//!
//! Defaults stand only in `config.default.toml`, which is compiled in and is also the manual of every key.
//! Over them lie a file, the environment and the command line (`layers`). Each value is checked as it is
//! read (`values`, `addresses`), so that an error names the key, the value and where it came from.
//!
//! To add a key: its line with a comment in `config.default.toml`, its field in `sections`, and if no function in
//! `values` fits, one more there. What two keys say together is checked by [`Config::load`].

mod addresses;
mod layers;
mod sections;
mod values;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;

pub use sections::{
    AttachmentsConfig, AuthConfig, ChannelLayerConfig, LimitsConfig, LogConfig, LogFormat, MessagesConfig,
    ServerConfig, SocketTransport, StoreConfig,
};

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
    /// Files of messages.
    pub attachments: AttachmentsConfig,
    /// How much of everything.
    pub limits: LimitsConfig,
    /// Section `messages`.
    pub messages: MessagesConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// `server.listen`.
    pub listen: Option<String>,
    /// `server.admin_listen`.
    pub admin_listen: Option<String>,
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
    /// If a file cannot be read, a key is unknown or its value cannot be, or two values contradict one another.
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
        let config: Self = layers::extract(defaults, above)?;
        config.check().map_err(ConfigError)?;
        Ok(config)
    }

    /// What no key can be refused for alone.
    fn check(&self) -> Result<(), String> {
        self.server.check()?;
        let AuthConfig { jwks_url, jwks_file, jwt_issuer, jwt_audience, .. } = &self.auth;
        let key = match (jwks_url, jwks_file) {
            (None, None) => return Ok(()),
            (Some(_), Some(_)) => {
                return Err("`auth.jwks_url` and `auth.jwks_file` are both set: keep one of them".to_owned());
            }
            (Some(_), None) => "auth.jwks_url",
            (None, Some(_)) => "auth.jwks_file",
        };
        let missing = match (jwt_issuer, jwt_audience) {
            (None, _) => "auth.jwt_issuer",
            (_, None) => "auth.jwt_audience",
            _ => return Ok(()),
        };
        // An issuer's keys sign for every service of its users; only the audience tells which one is meant.
        Err(format!(
            "`{key}` is set and `{missing}` is empty: tokens under its keys must name their issuer and us"
        ))
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

    /// Where files of messages are, unless `attachments.url` says otherwise.
    #[must_use]
    pub fn attachments_folder(&self) -> PathBuf {
        self.server.data_dir.join("attachments")
    }

    /// Redis, if it is the channel layer; else the layer is in-process.
    #[must_use]
    pub fn redis_url(&self) -> Option<&SecretString> {
        let url = &self.channel_layer.redis_url;
        (!url.expose_secret().is_empty()).then_some(url)
    }

    /// Values that are allowed but seldom meant, a sentence each, for the log at start.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let in_postgres = self.store.database_url.expose_secret().starts_with("postgres");
        match (in_postgres, self.redis_url()) {
            (true, None) => warnings.push(
                "`store.database_url` is Postgres and `channel_layer.redis_url` is empty: \
                 two nodes would only meet by the sweep, up to 2 s late"
                    .to_owned(),
            ),
            (false, Some(_)) => warnings.push(
                "`channel_layer.redis_url` is set and the store is SQLite, which serves one node: \
                 several need Postgres, and one needs no Redis"
                    .to_owned(),
            ),
            _ => {}
        }
        let auth = &self.auth;
        let has_keys = auth.jwks_url.is_some() || auth.jwks_file.is_some();
        if !auth.accounts && auth.jwt_secret.expose_secret().is_empty() && !has_keys {
            warnings.push(
                "`auth.accounts` is false and neither `auth.jwt_secret` nor a JWKS is set: nobody can log in, \
                 only API keys count"
                    .to_owned(),
            );
        }
        let is_https = self.server.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
        if is_https && self.server.trusted_proxies.is_empty() {
            warnings.push(
                "`server.public_url` is https and `server.trusted_proxies` is empty: limits take the proxy that \
                 speaks TLS for the one address that everybody has"
                    .to_owned(),
            );
        }
        if let Some(network) = self.server.trusted_proxies.iter().find(|network| network.prefix_len() == 0) {
            warnings.push(format!(
                "`server.trusted_proxies` has `{network}`, which is everybody: any client can say which address it has"
            ));
        }
        warnings
    }
}
