//! How addresses of the outside are read and checked: URLs, origins, networks.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::{Deserializer, Error, SeqAccess, Unexpected, Visitor};
use url::{Host, Origin, Url};

use super::values::optional;
use crate::auth::parse_origin;

/// The public address, or nothing: an origin, since every path of ours begins at the root.
pub(super) fn public_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let expected = "an address without a path, such as `https://chat.example`, or nothing";
    optional(deserializer, expected, |text| {
        parse_origin(text.strip_suffix('/').unwrap_or(text))?;
        Url::parse(text).ok()
    })
}

/// Origins, as browsers write them.
pub(super) fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Origin>, D::Error> {
    list(deserializer, "origins, such as `https://chat.example`", parse_origin)
}

/// Networks; an address is one of its own.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    list(deserializer, "networks, such as `10.0.0.0/8` or `::1`", |text| {
        text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| address.into()))
    })
}

/// Where keys are, or nothing. What comes from there decides who is let in, so nobody on the way may change it.
pub(super) fn jwks_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let expected = "`https://…`, `http://…` on this machine, or nothing";
    optional(deserializer, expected, |text| {
        let url = Url::parse(text).ok()?;
        let is_safe = match url.scheme() {
            "https" => true,
            "http" => match url.host()? {
                Host::Domain(name) => name == "localhost",
                Host::Ipv4(address) => address.is_loopback(),
                Host::Ipv6(address) => address.is_loopback(),
            },
            _ => false,
        };
        (is_safe && url.username().is_empty() && url.password().is_none()).then_some(url)
    })
}

/// Where traces go, or nothing. What opens a collector is no part of its address, which stands in the log.
pub(super) fn otlp_endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let expected = "an address of a collector, such as `http://collector:4318`, or nothing";
    optional(deserializer, expected, |text| {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let is_open = url.username().is_empty() && url.password().is_none();
        (is_open && url.query().is_none() && url.fragment().is_none()).then_some(url)
    })
}

/// Where attachments are, or nothing.
pub(super) fn attachments_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let expected = "`file:///FOLDER`, `s3://BUCKET/PREFIX`, or nothing";
    optional(deserializer, expected, |text| {
        let url = Url::parse(text).ok()?;
        let is_place = match url.scheme() {
            // Written out, since the parser would make an absolute path of a relative one.
            "file" => text.starts_with("file:///") && url.to_file_path().is_ok(),
            "s3" => {
                url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.port().is_none()
            }
            _ => false,
        };
        (is_place && url.query().is_none() && url.fragment().is_none()).then_some(url)
    })
}

/// A list of texts, or one text with commas, since that is all that the environment has.
fn list<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(List { expected, read })
}

struct List<F> {
    expected: &'static str,
    read: F,
}

impl<F> List<F> {
    fn read<E: Error, T>(&self, text: &str) -> Result<T, E>
    where
        F: Fn(&str) -> Option<T>,
    {
        let text = text.trim();
        let refusal =
            || E::invalid_value(Unexpected::Str(text), &format!("{}, not `{text}`", self.expected).as_str());
        (self.read)(text).ok_or_else(refusal)
    }
}

impl<'de, T, F: Fn(&str) -> Option<T>> Visitor<'de> for List<F> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        text.split(',').filter(|part| !part.trim().is_empty()).map(|part| self.read(part)).collect()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(text) = texts.next_element::<String>()? {
            values.push(self.read(&text)?);
        }
        Ok(values)
    }
}
