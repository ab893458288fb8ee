//! Who asks, as far as it can be told without the store.
//!
//! Authentication is a function of the request's head alone, so that an HTTP handler and a WebSocket's upgrade share
//! it. A head has a [`bearer`] token, which is a JWT for [`Tokens::verify`] or an API key (it begins with
//! [`API_KEY_PREFIX`]); or a browser's cookie ([`session_token`]), which counts only if [`Edge::check_origin`] agrees;
//! or a ticket. Keys, sessions and tickets are looked up in the store by their [`secret_hash`].

mod cookie;
mod edge;
mod jwks;
mod names;
mod origin;
mod password;
mod secret;
mod token;

#[cfg(test)]
mod tests;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use switchboard_protocol::ErrorCode;
use thiserror::Error;

pub use cookie::{clear_cookie, session_token, set_cookie};
pub use edge::Edge;
pub use names::{check_full_name, check_username};
pub use origin::ForeignOrigin;
pub(crate) use origin::parse_origin;
pub use password::{Busy, Passwords, check_new_password, hash_now};
pub use secret::{API_KEY_PREFIX, is_secret, new_api_key, new_secret, secret_hash};
pub(crate) use token::ISSUER;
pub use token::{Claims, Subject, Tokens};

/// Why a request has no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// There are no credentials.
    #[error("credentials are needed")]
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
