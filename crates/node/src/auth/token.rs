//! Tokens of our own issuer: JWTs, signed with a secret that all nodes share.
//!
//! The cryptography is that of aws-lc, which `jsonwebtoken` takes by itself as long as its feature
//! `aws_lc_rs` is the only one of its kind in the build; nothing has to be installed at start.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use switchboard_protocol::ids::MAX_ID;
use switchboard_protocol::{Timestamp, UserId};

use super::AuthError;

/// The issuer whose `sub` is a user's id. Under any other name `sub` is something else, never an id.
const ISSUER: &str = "switchboard";

/// A longer token is refused unread: ours have 200 bytes, and a request's head has no more than this either.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The last second of the year 9999, the end of what a timestamp can be written as.
const MAX_SECONDS: u64 = 253_402_300_799;

/// Issues and verifies tokens.
pub struct Tokens {
    /// None where no secret is set: then no token is issued, and none accepted.
    keys: Option<(EncodingKey, DecodingKey)>,
    validation: Validation,
}

/// What a token says, after it was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub user: UserId,
    /// Since when. 1970 where the token does not say, so that any revocation of the user's tokens takes it.
    pub issued_at: Timestamp,
    /// Until when it counts, the leeway included.
    pub expires_at: Timestamp,
}

#[derive(Serialize)]
struct NewClaims {
    iss: &'static str,
    sub: String,
    iat: u64,
    exp: u64,
}

/// What of a payload is used. Others may sign with the secret too, so fractions of a second are possible.
#[derive(Deserialize)]
struct RawClaims {
    /// One text: a list would be taken by the library if one of it fits.
    #[serde(rename = "iss")]
    _iss: String,
    sub: String,
    #[serde(default)]
    iat: f64,
    exp: f64,
}

impl Tokens {
    /// Tokens under this secret, whose times may be off by `leeway`. With an empty secret there are none.
    #[must_use]
    pub fn new(secret: &SecretString, leeway: Duration) -> Self {
        let secret = secret.expose_secret().as_bytes();
        let keys = (!secret.is_empty())
            .then(|| (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret)));
        Self { keys, validation: validation(leeway) }
    }

    /// A token for this user, from now on; nothing without a secret.
    #[must_use]
    pub fn issue(&self, user: UserId, ttl: Duration) -> Option<String> {
        let (key, _) = self.keys.as_ref()?;
        let iat = u64::try_from(Timestamp::now().0 / 1_000_000).ok()?;
        let claims = NewClaims {
            iss: ISSUER,
            sub: user.to_string(),
            iat,
            exp: iat.saturating_add(ttl.as_secs()).min(MAX_SECONDS),
        };
        encode(&Header::new(Algorithm::HS256), &claims, key).ok()
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// [`AuthError::Expired`] if it was signed with the secret and its time is over, else [`AuthError::Invalid`].
    pub fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        let (_, key) = self.keys.as_ref().ok_or(AuthError::Invalid)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Invalid);
        }
        let header = decode_header(token).map_err(|_unreadable| AuthError::Invalid)?;
        if !is_plain(&header) {
            return Err(AuthError::Invalid);
        }
        let token =
            decode::<RawClaims>(token, key, &self.validation).map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => AuthError::Expired,
                _ => AuthError::Invalid,
            })?;
        let mut claims = read_claims(&token.claims).ok_or(AuthError::Invalid)?;
        claims.expires_at.0 += i64::try_from(self.validation.leeway).unwrap_or(0) * 1_000_000;
        Ok(claims)
    }
}

/// The library's own defaults would not ask for `iss` and `sub`, ignore `nbf` and allow a minute. An `aud`
/// is refused, since none is ours.
fn validation(leeway: Duration) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "sub", "iss"]);
    validation.set_issuer(&[ISSUER]);
    validation.validate_nbf = true;
    validation.leeway = leeway.as_secs();
    validation
}

/// Whether a token is signed as a whole, by the one algorithm, with nothing that must be understood besides.
fn is_plain(header: &Header) -> bool {
    let is_jwt = header.typ.as_ref().is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
    let has_extensions = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    header.alg == Algorithm::HS256 && is_jwt && !has_extensions && !header.extras.inner().contains_key("b64")
}

fn read_claims(claims: &RawClaims) -> Option<Claims> {
    let is_digits = claims.sub.bytes().all(|byte| byte.is_ascii_digit());
    let id = claims.sub.parse().ok().filter(|id| is_digits && *id <= MAX_ID)?;
    Some(Claims { user: UserId(id), issued_at: timestamp(claims.iat)?, expires_at: timestamp(claims.exp)? })
}

fn timestamp(seconds: f64) -> Option<Timestamp> {
    // In this range the product is far below 2^63. Parts of a microsecond are dropped.
    (0.0..=MAX_SECONDS as f64).contains(&seconds).then_some(Timestamp((seconds * 1e6) as i64))
}
