//! Who asks: tokens, and where they stand in a request.
//!
//! Authentication is a function of the request's head alone ([`bearer`], then [`Tokens::verify`]), so that
//! an HTTP handler and a WebSocket's upgrade share it. Cookies and tickets are not read.

mod token;

#[cfg(test)]
mod tests;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use switchboard_protocol::ErrorCode;
use thiserror::Error;

pub use token::{Claims, Tokens};

/// Why a request has no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// There are no credentials.
    #[error("a bearer token is needed")]
    Missing,
    /// There are credentials, and they do not count. Why not is no business of who sent them.
    #[error("the credentials are not valid")]
    Invalid,
    /// The token was good once.
    #[error("the token has expired")]
    Expired,
}

impl AuthError {
    /// The code that the client gets.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Missing | Self::Invalid => ErrorCode::Unauthorized,
            Self::Expired => ErrorCode::TokenExpired,
        }
    }
}

/// The bearer token of a request's head: exactly one `Authorization` header with exactly one token.
///
/// # Errors
/// [`AuthError::Missing`] without the header, [`AuthError::Invalid`] with another scheme or two headers.
pub fn bearer(head: &HeaderMap) -> Result<&str, AuthError> {
    let mut values = head.get_all(AUTHORIZATION);
    let value = values.next().ok_or(AuthError::Missing)?;
    if values.next().is_some() {
        // Which of the two a proxy in front of us has checked cannot be known.
        return Err(AuthError::Invalid);
    }
    let value = value.to_str().map_err(|_not_ascii| AuthError::Invalid)?;
    let (scheme, token) = value.trim().split_once(' ').ok_or(AuthError::Invalid)?;
    let token = token.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(AuthError::Invalid)
    }
}
