//! The bytes of attachments: how they come in, where they are, and how they go out. Free of the database.
//!
//! [`form`] reads what a browser or a script posts, and gives each file to [`files`] as it comes;
//! [`download`] answers with a file or a part of one. Who may do so, and which row knows of which key, is
//! the caller's business.

pub mod download;
pub mod files;
pub mod form;

mod filename;
mod range;
mod upload;

#[cfg(test)]
mod tests;

pub use download::FileInfo;
pub use filename::safe_filename;
pub use files::{Files, FilesError};
pub use form::{Form, FormLimits, UploadedFile};
pub use upload::{Stored, Upload};

use actix_web::http::StatusCode;
use switchboard_protocol::ErrorCode;

use crate::problem::ApiError;

/// The cause is in the log; the client is told that it may try again. The status is 502: balancers take 503 for a node
/// that is away, and would take away one after the other.
fn refusal(error: &FilesError) -> ApiError {
    if matches!(error, FilesError::Missing) {
        tracing::error!("the bytes of an attachment are gone from where they were stored");
        return ApiError::new(ErrorCode::NotFound, "the bytes of this file are gone");
    }
    tracing::warn!("a request found the store of files out of reach: {error}");
    ApiError::new(ErrorCode::StoreUnavailable, "the store of files is out of reach")
        .with_status(StatusCode::BAD_GATEWAY)
}
