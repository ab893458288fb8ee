//! What proxies in front of us tell of a request: the client's address, and whether it came over TLS.
//!
//! Anybody can write these headers, so they count only from the networks of `server.trusted_proxies`.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;
use url::Origin;

use crate::config::ServerConfig;

/// The client of a proxy, then that of the proxy before it, and so on.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// How the client spoke to the proxy.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Where requests come in: who stands in front of us, and which origins are ours.
#[derive(Clone, Debug)]
pub struct Edge {
    trusted: Vec<IpNet>,
    /// Whether every client comes over TLS, because the public address says so.
    is_public_https: bool,
    /// Beside that of the `Host` header.
    pub(super) origins: Vec<Origin>,
}

impl Edge {
    /// As configured.
    #[must_use]
    pub fn new(config: &ServerConfig) -> Self {
        let public = config.public_url.as_ref();
        let mut origins = config.allowed_origins.clone();
        origins.extend(public.map(url::Url::origin));
        Self {
            trusted: config.trusted_proxies.clone(),
            is_public_https: public.is_some_and(|url| url.scheme() == "https"),
            origins,
        }
    }

    /// The address of the client: the peer's own, or what trusted proxies say before the first that is not one.
    #[must_use]
    pub fn client_address(&self, peer: Option<IpAddr>, head: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.to_canonical();
        // Each proxy appends, so the last is the nearest, and only what a trusted one wrote is looked at.
        let lines: Vec<&str> =
            head.get_all(FORWARDED_FOR).map(|line| line.to_str().unwrap_or_default()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.is_trusted(client) {
                break;
            }
            let Some(address) = address(hop.trim()) else { break };
            client = address;
        }
        Some(client)
    }

    /// Whether the client came over TLS: then the cookie is one that only TLS carries.
    #[must_use]
    pub fn is_secure(&self, peer: Option<IpAddr>, head: &HeaderMap) -> bool {
        if self.is_public_https {
            return true;
        }
        if !self.trusts(peer) {
            return false;
        }
        let mut protocols = head
            .get_all(FORWARDED_PROTO)
            .flat_map(|line| line.to_str().unwrap_or_default().split(','))
            .map(|protocol| protocol.trim().eq_ignore_ascii_case("https"))
            .peekable();
        // On every hop: one that was plain has shown the cookie already.
        protocols.peek().is_some() && protocols.all(|is_https| is_https)
    }

    /// Whether what the peer says of a request counts: it is a proxy of ours.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.is_trusted(peer.to_canonical()))
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

/// An address as proxies write it: some add the port, some put brackets around IPv6.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
pub(super) mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::config::{Config, Overrides};

    /// An address in the network that these tests trust.
    pub(crate) const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    pub(crate) fn edge(environment: &[(&str, &str)]) -> Edge {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        Edge::new(&Config::load(&Overrides::default(), environment).unwrap().server)
    }

    pub(crate) fn head(headers: &[(&str, &str)]) -> HeaderMap {
        let mut head = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            head.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        head
    }

    #[track_caller]
    fn check_address(peer: &str, forwarded: &[&str], expect: &str) {
        let edge = edge(&[("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8,192.0.2.7")]);
        let headers: Vec<_> = forwarded.iter().map(|value| (FORWARDED_FOR, *value)).collect();
        let client = edge.client_address(Some(peer.parse().unwrap()), &head(&headers));
        assert_eq!(client.map(|client| client.to_string()).as_deref(), Some(expect), "{peer} {forwarded:?}");
    }

    #[test]
    fn addresses_count_from_trusted_proxies_only() {
        check_address("203.0.113.5", &[], "203.0.113.5");
        check_address("203.0.113.5", &["198.51.100.1"], "203.0.113.5");
        check_address("10.0.0.1", &[], "10.0.0.1");
        check_address("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check_address("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1");
        check_address("fd00::1", &["2001:db8::1"], "2001:db8::1");
        check_address("192.0.2.7", &["198.51.100.1"], "198.51.100.1");
        check_address("192.0.2.8", &["198.51.100.1"], "192.0.2.8");
    }

    #[test]
    fn the_nearest_stranger_is_the_client() {
        check_address("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1");
        check_address("10.0.0.1", &["1.1.1.1,198.51.100.1 , 10.0.0.2"], "198.51.100.1");
        check_address("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2"], "198.51.100.1");
        check_address("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check_address("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1");
        check_address("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1");
        check_address("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        for nonsense in ["unknown", "", "1.1.1.1, ", "1.1.1.1, x, 10.0.0.2", "1.1.1", "ü", "1.1.1.1 2.2.2.2"]
        {
            let nearest = if nonsense.ends_with("10.0.0.2") { "10.0.0.2" } else { "10.0.0.1" };
            check_address("10.0.0.1", &[nonsense], nearest);
        }
        let nobody = edge(&[]);
        assert_eq!(nobody.client_address(None, &head(&[(FORWARDED_FOR, "1.1.1.1")])), None);
    }

    #[test]
    fn tls_is_what_the_public_address_or_a_trusted_proxy_says() {
        let trusting = [("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "10.0.0.0/8")];
        for (peer, protocols, expect) in [
            (Some(PROXY), &["https"][..], true),
            (Some(PROXY), &["HTTPS"], true),
            (Some(PROXY), &["https, https"], true),
            (Some(PROXY), &["https, http"], false),
            (Some(PROXY), &["http", "https"], false),
            (Some(PROXY), &["http"], false),
            (Some(PROXY), &[], false),
            (Some("203.0.113.5".parse().unwrap()), &["https"], false),
            (None, &["https"], false),
        ] {
            let headers: Vec<_> = protocols.iter().map(|protocol| (FORWARDED_PROTO, *protocol)).collect();
            assert_eq!(edge(&trusting).is_secure(peer, &head(&headers)), expect, "{peer:?} {protocols:?}");
        }
        assert!(
            edge(&[("SWITCHBOARD_SERVER__PUBLIC_URL", "https://chat.example")]).is_secure(None, &head(&[]))
        );
        assert!(
            !edge(&[("SWITCHBOARD_SERVER__PUBLIC_URL", "http://chat.example")]).is_secure(None, &head(&[]))
        );
    }
}
