//! The error body of HTTP (RFC 9457, `application/problem+json`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ErrorCode;

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The HTTP status again.
    pub status: u16,
    /// What went wrong, for people.
    pub title: String,
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Problem {
    /// The media type of the body.
    pub const MEDIA_TYPE: &str = "application/problem+json";

    /// A problem with the status that belongs to its code.
    #[must_use]
    pub fn new(code: ErrorCode, title: impl Into<String>) -> Self {
        Self { status: code.http_status(), title: title.into(), code, retry_after_ms: None }
    }
}
