//! The cookie of a browser's session.
//!
//! Its name says whether it went over TLS: what begins with `__Host-` a browser takes only with `Secure`, from this
//! host and for all of it, so that neither a neighbour under the same domain nor plain HTTP can set it.

use std::time::Duration;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{COOKIE, HeaderMap};

/// The name over TLS.
const SECURE_NAME: &str = "__Host-switchboard";
/// The name on a developer's machine.
const PLAIN_NAME: &str = "switchboard";

/// The session's token, if the head of the request has one: exactly one cookie of the name that fits. `is_secure`
/// is what [`super::Edge::is_secure`] says.
///
/// One that stands twice is as good as none: whose it is cannot be known.
#[must_use]
pub fn session_token(head: &HeaderMap, is_secure: bool) -> Option<String> {
    let mut found = None;
    for header in head.get_all(COOKIE) {
        for pair in header.as_bytes().split(|byte| *byte == b';') {
            let mut parts = pair.trim_ascii().splitn(2, |byte| *byte == b'=');
            if parts.next() != Some(name(is_secure).as_bytes()) {
                continue;
            }
            let value = parts.next().unwrap_or_default();
            if found.replace(value).is_some() {
                return None;
            }
        }
    }
    let token = std::str::from_utf8(found?).ok()?;
    (!token.is_empty()).then(|| token.to_owned())
}

/// The cookie that a log in answers with. No script can read it, and no form on another site sends it.
#[must_use]
pub fn set_cookie(token: String, max_age: Duration, is_secure: bool) -> Cookie<'static> {
    let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
    Cookie::build(name(is_secure), token)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_secure)
        .max_age(CookieDuration::seconds(seconds))
        .finish()
}

/// The cookie that a log out answers with: the browser forgets the session's.
#[must_use]
pub fn clear_cookie(is_secure: bool) -> Cookie<'static> {
    set_cookie(String::new(), Duration::ZERO, is_secure)
}

fn name(is_secure: bool) -> &'static str {
    if is_secure { SECURE_NAME } else { PLAIN_NAME }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(headers: &[&str], secure: Option<&str>, plain: Option<&str>) {
        let mut head = HeaderMap::new();
        for value in headers {
            head.append(COOKIE, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        assert_eq!(session_token(&head, true).as_deref(), secure, "{headers:?}, secure");
        assert_eq!(session_token(&head, false).as_deref(), plain, "{headers:?}, plain");
    }

    #[test]
    fn exactly_one_cookie_counts() {
        check(&[], None, None);
        check(&["switchboard=a"], None, Some("a"));
        check(&["__Host-switchboard=a; switchboard=b"], Some("a"), Some("b"));
        check(&["x=1;switchboard=a;y"], None, Some("a"));
        check(&["x=ü; switchboard=a"], None, Some("a"));
        check(&["x=1", "switchboard=a=b"], None, Some("a=b"));
        check(&["switchboard=a; switchboard=a"], None, None);
        check(&["switchboard=a", "switchboard=b"], None, None);
        check(&["switchboard=a; switchboard"], None, None);
        check(&["Switchboard=a; xswitchboard=b; switchboard2=c; switchboard =d"], None, None);
        check(&["switchboard="], None, None);
        check(&["__host-switchboard=a; __Secure-switchboard=b"], None, None);
    }

    #[test]
    fn what_a_browser_is_told() {
        let day = Duration::from_secs(86_400);
        assert_eq!(
            set_cookie("t".to_owned(), day, true).to_string(),
            "__Host-switchboard=t; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=86400"
        );
        assert_eq!(
            set_cookie("t".to_owned(), day, false).to_string(),
            "switchboard=t; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400"
        );
        assert_eq!(
            clear_cookie(false).to_string(),
            "switchboard=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        );
    }
}
