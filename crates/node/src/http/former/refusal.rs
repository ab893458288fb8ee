//! What these endpoints refuse with: JSON with `error` and `code`.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpResponse, ResponseError, Route, web};
use switchboard_protocol::ErrorCode;
use switchboard_protocol::former::Refusal;
use switchboard_protocol::problem::Problem;

use crate::problem::ApiError;

/// An [`ApiError`] in the words of the former system.
#[derive(Debug)]
pub(super) struct FormerError {
    error: ApiError,
    /// What is said instead of the error's own sentence.
    sentence: Option<&'static str>,
}

impl FormerError {
    /// With a sentence that clients look for.
    pub(super) fn new(code: ErrorCode, sentence: &'static str) -> Self {
        Self { error: ApiError::new(code, sentence), sentence: Some(sentence) }
    }

    /// The same under another status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.error = self.error.with_status(status);
        self
    }

    /// What is said to somebody who is not logged in.
    pub(super) fn not_logged_in(mut self, sentence: &'static str) -> Self {
        if self.status_code() == StatusCode::UNAUTHORIZED {
            self.sentence = Some(sentence);
        }
        self
    }
}

/// What a path answers to another method than those that it takes.
pub(super) fn wrong_method(allowed: &'static str) -> Route {
    web::to(move || async move {
        let error = ApiError::new(ErrorCode::MethodNotAllowed, format!("this path takes {allowed}"));
        let mut response = FormerError::from(error).error_response();
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        response
    })
}

/// Who is not logged in was always told so in these words, whatever was wrong with their credentials.
fn said(problem: &Problem) -> &str {
    match problem.code {
        ErrorCode::Unauthorized | ErrorCode::TokenExpired => "Not authenticated",
        _ => &problem.title,
    }
}

impl From<ApiError> for FormerError {
    fn from(error: ApiError) -> Self {
        Self { error, sentence: None }
    }
}

impl fmt::Display for FormerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for FormerError {
    fn status_code(&self) -> StatusCode {
        self.error.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let problem = self.error.problem();
        let refusal = Refusal {
            error: self.sentence.unwrap_or(said(problem)).to_owned(),
            code: problem.code,
            retry_after_ms: problem.retry_after_ms,
        };
        let mut response = HttpResponse::build(self.status_code());
        self.error.add_headers(&mut response);
        let mut response = response.json(refusal);
        self.error.note(&mut response);
        response
    }
}
