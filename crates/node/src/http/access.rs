//! What is said of each request: a line in the log, its part of the metrics, a span.
//!
//! Neither the path nor the query is ever told, since there are tickets in queries: a request is known by its route.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::panicking;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use switchboard_protocol::{ErrorCode, UserId};
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Level, Span};

use super::NodeData;
use crate::state::Node;
use crate::trace::TraceContext;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What balancers and scrapers ask for again and again.
pub(super) const ROUTINE: [&str; 3] = ["/live", "/ready", "/metrics"];

/// The status of a request whose client did not wait for the answer: none that is sent, but what proxies write.
const GONE: u16 = 499;

/// Around everything else, for every request.
pub(crate) async fn log<B: MessageBody + 'static>(
    node: NodeData,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut access = Access::begin(Arc::clone(&node), &request);
    let span = access.span(request.headers());
    let answered = next.call(request).instrument(span.clone()).await;
    let status = match &answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    access.status = Some(status.as_u16());
    span.record("http.response.status_code", i64::from(status.as_u16()));
    let mut response = answered?;
    if let Some(code) = response.response().extensions().get::<ErrorCode>() {
        node.metrics.refused.of(code.as_str()).inc();
    }
    if let Ok(id) = HeaderValue::from_str(&access.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(response)
}

/// Says who asks, once that is known.
pub(super) fn known(request: &HttpRequest, user: UserId) {
    if let Some(asker) = request.extensions().get::<Asker>() {
        asker.0.set(Some(user));
    }
}

/// Who asks, if that is known: a request has one, and the line about it the other.
#[derive(Clone, Default)]
struct Asker(Rc<Cell<Option<UserId>>>);

/// A request. When it is dropped, which it is too if nobody waits for the answer any more, it is told.
struct Access {
    node: Arc<Node>,
    id: String,
    method: &'static str,
    route: String,
    /// Only if addresses are to be told.
    address: Option<IpAddr>,
    asker: Asker,
    begun: Instant,
    /// Once there is an answer.
    status: Option<u16>,
}

impl Access {
    fn begin(node: Arc<Node>, request: &ServiceRequest) -> Self {
        node.metrics.http_in_flight.inc();
        let peer = request.peer_addr().map(|address| address.ip());
        let head = request.headers();
        let given = given_id(head).filter(|_| node.edge.trusts(peer));
        let asker = Asker::default();
        request.extensions_mut().insert(asker.clone());
        Self {
            id: given.unwrap_or_else(|| format!("{:016x}", rand::random::<u64>())),
            method: method(request.method()),
            route: request.match_pattern().unwrap_or_else(|| "other".to_owned()),
            address: node.settings.log_addresses.then(|| node.edge.client_address(peer, head)).flatten(),
            asker,
            begun: Instant::now(),
            status: None,
            node,
        }
    }

    fn is_routine(&self) -> bool {
        ROUTINE.contains(&self.route.as_str())
    }

    /// The root of what the request causes, unless its client says what caused it.
    fn span(&self, head: &HeaderMap) -> Span {
        if self.is_routine() {
            return Span::none();
        }
        let span = tracing::debug_span!(
            parent: None,
            "http",
            otel.kind = "server",
            http.request.method = self.method,
            http.route = self.route,
            http.response.status_code = Empty,
            request_id = self.id,
        );
        if !span.is_disabled()
            && let Some(cause) = head.get("traceparent").and_then(|value| value.to_str().ok())
            && let Some(cause) = TraceContext::of_client(cause)
        {
            cause.cause(&span);
        }
        span
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let elapsed = self.begun.elapsed();
        self.node.metrics.http_in_flight.dec();
        let status = self.status.unwrap_or(if panicking() { 500 } else { GONE });
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    request_id = self.id,
                    method = self.method,
                    route = self.route,
                    status,
                    ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3,
                    user_id = self.asker.0.get().map(|user| user.0),
                    address = self.address.map(tracing::field::display),
                    "a request was answered"
                )
            };
        }
        if self.is_routine() {
            line!(Level::DEBUG)
        } else {
            line!(Level::INFO)
        }
        if self.status.is_some() {
            let route = std::mem::take(&mut self.route);
            self.node.metrics.http_request(self.method, route, status, elapsed);
        }
    }
}

/// The id that a proxy in front of us gave the request, if it can stand in a line as it is.
fn given_id(head: &HeaderMap) -> Option<String> {
    let id = head.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ((1..=64).contains(&id.len()) && id.bytes().all(is_plain)).then(|| id.to_owned())
}

/// One of a closed set: a client may write any word.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, is_taken: bool) {
        let mut head = HeaderMap::new();
        head.insert(REQUEST_ID, HeaderValue::from_str(id).unwrap());
        assert_eq!(given_id(&head).is_some_and(|taken| taken == id), is_taken, "{id}");
    }

    #[test]
    fn ids_are_taken_that_can_stand_in_a_line() {
        for id in ["a", "0f-1.2_Z", &"x".repeat(64)] {
            check(id, true);
        }
        for id in ["", &"x".repeat(65), "a b", "a\tb", "a\"b", "a/b", "a=b", "a,b"] {
            check(id, false);
        }
        assert_eq!(given_id(&HeaderMap::new()), None);
    }

    #[test]
    fn methods_are_a_closed_set() {
        assert_eq!(method(&Method::GET), "GET");
        assert_eq!(method(&Method::TRACE), "other");
        assert_eq!(method(&Method::from_bytes(b"FLOOD").unwrap()), "other");
    }
}
