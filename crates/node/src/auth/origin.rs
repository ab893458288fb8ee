//! Whose page asks. A browser sends our cookie along with what any page of any site asks of us, so a request that
//! rests on the cookie must come from a page of ours; the browser says which in `Origin`.

use std::net::IpAddr;

use actix_web::http::Method;
use actix_web::http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use switchboard_protocol::ErrorCode;
use thiserror::Error;
use url::{Origin, Url};

use super::Edge;

/// Headers that a page of another origin cannot send without asking us first, which we never allow.
const OUR_PAGES_SEND: [&str; 2] = ["x-requested-with", "x-csrftoken"];

/// A page of another origin asked, or the request does not say which did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a page of another origin asked, or the request does not say which did")]
pub struct ForeignOrigin;

impl ForeignOrigin {
    /// The code that the client gets.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        ErrorCode::ForeignOrigin
    }
}

impl Edge {
    /// Whether a request that is authenticated by a cookie comes from a page of ours.
    ///
    /// Without `Origin`, what changes nothing is accepted, and so are upgrades, for which browsers always send it;
    /// what changes something must carry `X-Requested-With` or `X-CSRFToken`.
    ///
    /// # Errors
    /// [`ForeignOrigin`] if not, or if that cannot be told.
    pub fn check_origin(
        &self,
        method: &Method,
        head: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<(), ForeignOrigin> {
        let is_safe = matches!(*method, Method::GET | Method::HEAD);
        let is_ours = if head.contains_key(ORIGIN) {
            self.is_ours(head, peer)
        } else {
            is_safe || OUR_PAGES_SEND.iter().any(|name| head.contains_key(*name))
        };
        is_ours.then_some(()).ok_or(ForeignOrigin)
    }

    /// Whether a request that has no cookie yet and would get one comes from a page of ours, or from no page: else
    /// another site could log a visitor in as somebody else.
    ///
    /// # Errors
    /// [`ForeignOrigin`] if not.
    pub fn check_origin_of_login(&self, head: &HeaderMap, peer: Option<IpAddr>) -> Result<(), ForeignOrigin> {
        let is_ours = !head.contains_key(ORIGIN) || self.is_ours(head, peer);
        is_ours.then_some(()).ok_or(ForeignOrigin)
    }

    /// Whether there is one `Origin`, and it is that of `Host` or one of those configured.
    fn is_ours(&self, head: &HeaderMap, peer: Option<IpAddr>) -> bool {
        let Some(origin) = only(head.get_all(ORIGIN)).and_then(parse_origin) else { return false };
        if self.origins.contains(&origin) {
            return true;
        }
        let Origin::Tuple(scheme, _, _) = &origin else { return false };
        // `Host` has no scheme; under the page's own both are the same place or not. A plain page of a site that
        // is served over TLS may be anybody's on the way.
        let host = only(head.get_all(HOST)).and_then(|host| parse_origin(&format!("{scheme}://{host}")));
        host == Some(origin.clone()) && (scheme == "https" || !self.is_secure(peer, head))
    }
}

/// The text of a header that stands once.
fn only<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> Option<&'a str> {
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}

/// An origin as browsers write it, and nothing else: `http` or `https`, a host, perhaps a port. Upper case and the
/// scheme's own port make no difference.
pub(crate) fn parse_origin(text: &str) -> Option<Origin> {
    let (scheme, authority) = text.split_once("://")?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    // The parser would take more for an origin than a browser sends: users, paths, escapes, white space.
    let is_plain = authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    if !is_plain || authority.is_empty() || authority.ends_with(':') {
        return None;
    }
    Url::parse(text).ok().map(|url| url.origin())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;
    use crate::auth::edge::tests::{PROXY, edge, head};

    /// Asks with these headers at `Host: app.example`, from a stranger and over TLS.
    #[track_caller]
    fn check(method: Method, headers: &[(&str, &str)], is_ours: bool) {
        let edge = edge(&[("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "10.0.0.0/8")]);
        let with_host: Vec<_> = headers.iter().copied().chain([("host", "app.example")]).collect();
        let checked = edge.check_origin(&method, &head(&with_host), None);
        assert_eq!(checked.is_ok(), is_ours, "{method} {headers:?}");
    }

    #[test]
    fn ones_own_origin_is_that_of_the_host() {
        for origin in
            ["https://app.example", "http://app.example", "https://APP.example", "HTTPS://app.example:443"]
        {
            check(Method::POST, &[("origin", origin)], true);
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "https://app.example.evil.example",
            "https://evil.example.app.example",
            "https://evilapp.example",
            "https://app.example.",
            "https://app.exampl",
            "https://app.example:8443",
            "https://app.example:80",
            "http://app.example:443",
            "https://app.example:",
            "https://app.example:0443x",
            "https://app.example/",
            "https://app.example?",
            "https://app.example#",
            "https://app.example@evil.example",
            "https://app.example:x@evil.example",
            "https://evil.example@app.example",
            "https://app.example\\@evil.example",
            "https://app.ex%61mple",
            "https://app.example https://evil.example",
            "https://app.example, https://app.example",
            " https://app.example",
            "https:app.example",
            "https:///app.example",
            "//app.example",
            "app.example",
            "ftp://app.example",
            "file://app.example",
            "blob:https://app.example",
            "ws://app.example",
        ] {
            check(Method::GET, &[("origin", origin)], false);
            check(Method::POST, &[("origin", origin), ("x-requested-with", "XMLHttpRequest")], false);
        }
        check(Method::POST, &[("origin", "https://app.example"), ("origin", "https://app.example")], false);
        check(Method::POST, &[("origin", "https://app.example"), ("host", "evil.example")], false);
    }

    #[test]
    fn a_missing_origin_is_accepted_where_no_page_can_have_asked() {
        check(Method::GET, &[], true);
        check(Method::HEAD, &[], true);
        check(Method::GET, &[("connection", "upgrade"), ("upgrade", "websocket")], true);
        for method in [Method::POST, Method::DELETE, Method::OPTIONS] {
            check(method.clone(), &[], false);
            check(method.clone(), &[("x-requested-with", "XMLHttpRequest")], true);
            check(method, &[("x-csrftoken", "")], true);
        }
    }

    #[test]
    fn ports_stand_in_host_too() {
        let edge = edge(&[]);
        for (host, origin, is_ours) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000", true),
            ("127.0.0.1:8000", "http://127.0.0.1", false),
            ("127.0.0.1:8000", "http://localhost:8000", false),
            ("[::1]:8000", "http://[::1]:8000", true),
            ("[::1]", "http://[::1]:80", true),
            ("app.example:443", "https://app.example", true),
            ("app.example@evil.example", "https://evil.example", false),
            ("", "http://", false),
        ] {
            let checked =
                edge.check_origin(&Method::POST, &head(&[("host", host), ("origin", origin)]), None);
            assert_eq!(checked.is_ok(), is_ours, "{host} {origin}");
        }
    }

    #[test]
    fn over_tls_a_plain_page_is_foreign() {
        let edge = edge(&[("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "10.0.0.0/8")]);
        let mut head = head(&[
            ("host", "app.example"),
            ("origin", "http://app.example"),
            ("x-forwarded-proto", "https"),
        ]);
        assert_eq!(edge.check_origin(&Method::POST, &head, Some(PROXY)), Err(ForeignOrigin));
        assert_eq!(edge.check_origin(&Method::POST, &head, None), Ok(()), "nobody trusted says so");
        head.insert(HeaderName::from_static("origin"), HeaderValue::from_static("https://app.example"));
        assert_eq!(edge.check_origin(&Method::POST, &head, Some(PROXY)), Ok(()));
    }

    #[test]
    fn configured_origins_are_ours_too() {
        let edge = edge(&[
            ("SWITCHBOARD_SERVER__PUBLIC_URL", "https://chat.example/"),
            ("SWITCHBOARD_SERVER__ALLOWED_ORIGINS", "https://one.example, http://two.example:8080"),
        ]);
        for (origin, is_ours) in [
            ("https://chat.example", true),
            ("http://chat.example", false),
            ("https://one.example:443", true),
            ("http://one.example", false),
            ("http://two.example:8080", true),
            ("https://two.example:8080", false),
            ("https://node-1.internal", true),
            ("http://node-1.internal", false),
        ] {
            let head = head(&[("host", "node-1.internal"), ("origin", origin)]);
            assert_eq!(edge.check_origin(&Method::POST, &head, None).is_ok(), is_ours, "{origin}");
        }
    }

    #[test]
    fn a_log_in_may_come_from_no_page() {
        let edge = edge(&[]);
        for (headers, is_ours) in [
            (&[][..], true),
            (&[("origin", "https://app.example")], true),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null")], false),
        ] {
            let with_host: Vec<_> = headers.iter().copied().chain([("host", "app.example")]).collect();
            assert_eq!(edge.check_origin_of_login(&head(&with_host), None).is_ok(), is_ours, "{headers:?}");
        }
    }
}
