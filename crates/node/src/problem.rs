//! Refusals over HTTP: problem documents (RFC 9457) with the code that a frame would have.
//!
//! A handler returns [`ApiError`], and actix makes the answer of it. The cause of an internal error goes to
//! the log where it is known; what comes here is what the client may read.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError, Route, web};
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ErrorCode, FrameError};

use crate::auth::{AuthError, ForeignOrigin};
use crate::limits::RetryAfter;

/// An error that a client of the HTTP interface sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    problem: Problem,
    /// Whether it counts as a refusal.
    counts: bool,
}

impl ApiError {
    /// A code, with its status, and a sentence for people.
    #[must_use]
    pub fn new(code: ErrorCode, sentence: impl Into<String>) -> Self {
        Self { problem: Problem::new(code, sentence), counts: true }
    }

    /// The same, with when to try again.
    #[must_use]
    pub fn retry_after(mut self, RetryAfter { ms }: RetryAfter) -> Self {
        self.problem.retry_after_ms = Some(ms);
        self
    }

    /// The same under another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.problem.status = status.as_u16();
        self
    }

    /// What belongs to it besides the body.
    pub(crate) fn add_headers(&self, response: &mut HttpResponseBuilder) {
        if let Some(ms) = self.problem.retry_after_ms {
            response.insert_header((RETRY_AFTER, ms.div_ceil(1000)));
        }
        if self.problem.status == StatusCode::UNAUTHORIZED.as_u16() {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
    }

    /// Has the answer counted as a refusal.
    pub(crate) fn note(&self, response: &mut HttpResponse) {
        if self.counts {
            response.extensions_mut().insert(self.problem.code);
        }
    }

    /// The document.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl From<ForeignOrigin> for ApiError {
    fn from(error: ForeignOrigin) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        // Nothing was tried: a page asks who is logged in before anybody is.
        let counts = error != AuthError::Missing;
        Self { counts, ..Self::new(error.code(), error.to_string()) }
    }
}

impl From<FrameError> for ApiError {
    fn from(error: FrameError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.problem.code, self.problem.title)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        self.add_headers(&mut response);
        let mut response = response.insert_header((CONTENT_TYPE, Problem::MEDIA_TYPE)).json(&self.problem);
        self.note(&mut response);
        response
    }
}

/// The default service of the application: there is no such path.
///
/// # Errors
/// Always.
pub async fn unknown_path() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(ErrorCode::NotFound, "there is nothing at this path"))
}

/// The default service of a resource: the path is there, the method is not. `allowed` names those that are,
/// as the header `Allow` has them: `"GET, POST"`.
#[must_use]
pub fn wrong_method(allowed: &'static str) -> Route {
    web::to(move || async move {
        let sentence = format!("this path takes {allowed}");
        let mut response = ApiError::new(ErrorCode::MethodNotAllowed, sentence).error_response();
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        response
    })
}

/// Makes `web::Query` answer a query that does not fit with `invalid_field`.
#[must_use]
pub fn query_config() -> web::QueryConfig {
    web::QueryConfig::default().error_handler(|error, _| {
        // The parser's own words name what was wrong and hold nothing else.
        ApiError::new(ErrorCode::InvalidField, format!("the query cannot be read: {error}")).into()
    })
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::http::{Method, header::HeaderMap};
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Deserialize)]
    struct Page {
        limit: u8,
    }

    async fn page(page: web::Query<Page>) -> Result<String, ApiError> {
        match page.limit {
            1 => Err(ApiError::new(ErrorCode::RateLimited, "slower").retry_after(RetryAfter { ms: 1001 })),
            2 => Err(AuthError::Expired.into()),
            limit => Ok(limit.to_string()),
        }
    }

    async fn ask(method: Method, path: &str) -> (StatusCode, HeaderMap, Value) {
        let resource = web::resource("/page").route(web::get().to(page)).default_service(wrong_method("GET"));
        let app =
            App::new().app_data(query_config()).service(resource).default_service(web::to(unknown_path));
        let app = init_service(app).await;
        let response = call_service(&app, TestRequest::with_uri(path).method(method).to_request()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        assert_eq!(headers.get(CONTENT_TYPE).unwrap(), "application/problem+json");
        (status, headers, read_body_json(response).await)
    }

    #[actix_web::test]
    async fn a_problem_has_status_code_and_when_to_return() {
        let (status, headers, body) = ask(Method::GET, "/page?limit=1").await;
        assert_eq!(status, 429);
        assert_eq!(headers.get(RETRY_AFTER).unwrap(), "2");
        assert!(headers.get(WWW_AUTHENTICATE).is_none());
        let expect =
            json!({"status": 429, "title": "slower", "code": "rate_limited", "retry_after_ms": 1001});
        assert_eq!(body, expect);
    }

    #[actix_web::test]
    async fn unauthorized_says_what_it_wants() {
        let (status, headers, body) = ask(Method::GET, "/page?limit=2").await;
        assert_eq!(status, 401);
        assert_eq!(headers.get(WWW_AUTHENTICATE).unwrap(), "Bearer");
        assert_eq!(body["code"], "token_expired");
    }

    #[actix_web::test]
    async fn what_is_not_there() {
        for (method, path, status, code) in [
            (Method::GET, "/nowhere", 404, "not_found"),
            (Method::POST, "/page?limit=3", 405, "method_not_allowed"),
            (Method::GET, "/page", 400, "invalid_field"),
            (Method::GET, "/page?limit=300", 400, "invalid_field"),
        ] {
            let (got, headers, body) = ask(method, path).await;
            assert_eq!(got, status, "{path}");
            assert_eq!(headers.get(ALLOW).is_some_and(|allowed| allowed == "GET"), status == 405);
            assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)), "{path}");
        }
    }
}
