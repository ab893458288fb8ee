//! How single values are read and checked.
//!
//! Each function refuses with what it expected, which [`super::layers`] turns into a sentence. Numbers and
//! flags may be written as texts, since that is all that the environment has.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use super::{LogFormat, MIN_JWT_SECRET_BYTES, SocketTransport};
use crate::auth::ISSUER;

/// An integer from `MIN` to `MAX`.
pub(super) fn integer<'de, D, T, const MIN: u64, const MAX: u64>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    deserializer.deserialize_any(Integer::<T, MIN, MAX>(PhantomData))
}

struct Integer<T, const MIN: u64, const MAX: u64>(PhantomData<T>);

impl<T: TryFrom<u64>, const MIN: u64, const MAX: u64> Visitor<'_> for Integer<T, MIN, MAX> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an integer from {MIN} to {MAX}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        let in_range = (MIN..=MAX).contains(&number).then_some(number);
        in_range
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        match text.trim().parse() {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

/// True or false.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_any(Flag)
}

struct Flag;

impl Visitor<'_> for Flag {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true` or `false`")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<bool, E> {
        Ok(flag)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        text.trim().parse().map_err(|_not_bool| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// A part of all, from 0 to 1.
pub(super) fn ratio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    deserializer.deserialize_any(Ratio)
}

struct Ratio;

impl Visitor<'_> for Ratio {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0 to 1")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        let refusal = || E::invalid_value(Unexpected::Float(number), &self);
        (0.0..=1.0).contains(&number).then_some(number).ok_or_else(refusal)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        self.visit_f64(u32::try_from(number).map_or(f64::INFINITY, f64::from))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text.trim().parse() {
            Ok(number) => self.visit_f64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

/// An address and a port.
pub(super) fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    checked(deserializer, "an address and a port, such as `127.0.0.1:8000`", |text| text.parse().ok())
}

/// An address and a port, or nothing.
pub(super) fn admin_listen<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let expected = "an address and a port, such as `127.0.0.1:9000`, or nothing";
    optional(deserializer, expected, |text| text.parse().ok())
}

/// The path of a folder.
pub(super) fn folder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    checked(deserializer, "the path of a folder", |text| (!text.is_empty()).then(|| PathBuf::from(text)))
}

/// The form of the log.
pub(super) fn log_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogFormat, D::Error> {
    checked(deserializer, "`pretty` or `json`", |text| match text {
        "pretty" => Some(LogFormat::Pretty),
        "json" => Some(LogFormat::Json),
        _ => None,
    })
}

/// What carries a WebSocket.
pub(super) fn transport<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketTransport, D::Error> {
    checked(deserializer, "`direct` or `actix-ws`", |text| match text {
        "direct" => Some(SocketTransport::Direct),
        "actix-ws" => Some(SocketTransport::ActixWs),
        _ => None,
    })
}

/// The address of the store, or nothing.
pub(super) fn database_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    let expected = "`postgres://…`, `postgresql://…` or `sqlite://PATH`";
    checked(deserializer, expected, |text| {
        let schemes = ["postgres://", "postgresql://", "sqlite://"];
        let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
        (text.is_empty() || rest.is_some_and(|rest| !rest.is_empty())).then(|| text.into())
    })
}

/// The address of Redis, or nothing.
pub(super) fn redis_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    let expected =
        "`redis://…` or `rediss://…` (`redis-sentinel://` and `redis-cluster://` come in a later version)";
    checked(deserializer, expected, |text| {
        let rest = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://"));
        (text.is_empty() || rest.is_some_and(|rest| !rest.is_empty())).then(|| text.into())
    })
}

/// The secret of tokens, or nothing.
pub(super) fn jwt_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    let expected = format!("at least {MIN_JWT_SECRET_BYTES} bytes, or nothing");
    checked(deserializer, &expected, |text| {
        (text.is_empty() || text.len() >= MIN_JWT_SECRET_BYTES).then(|| text.into())
    })
}

/// The name of an issuer, or nothing.
pub(super) fn issuer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let expected = format!("an issuer's name, which has no space and is not `{ISSUER}`, or nothing");
    optional(deserializer, &expected, |text| {
        let is_name = !text.chars().any(|char| char == ' ' || char.is_control());
        (is_name && text.len() <= 255 && text != ISSUER).then(|| text.to_owned())
    })
}

/// The name of an audience, or nothing.
pub(super) fn audience<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    optional(deserializer, "the name of an audience, or nothing", |text| Some(text.to_owned()))
}

/// The path of a file, or nothing.
pub(super) fn file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    optional(deserializer, "the path of a file, or nothing", |text| Some(PathBuf::from(text)))
}

/// A text that `read` makes something of, or an empty one.
pub(super) fn optional<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, D::Error> {
    checked(deserializer, expected, |text| if text.is_empty() { Some(None) } else { read(text).map(Some) })
}

/// A text that `read` makes something of.
fn checked<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    read(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &expected))
}
