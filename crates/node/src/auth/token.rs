//! Tokens: JWTs of our own issuer, signed with a secret that all nodes share, and those of one that is trusted
//! beside it, signed with the same secret or with a key that it publishes ([`Keys`]).
//!
//! The cryptography is that of aws-lc, which `jsonwebtoken` takes by itself as long as its feature
//! `aws_lc_rs` is the only one of its kind in the build; nothing has to be installed at start.

use std::io;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use switchboard_protocol::ids::MAX_ID;
use switchboard_protocol::{Timestamp, UserId};

use super::AuthError;
use super::jwks::Keys;
use super::names::tidy_full_name;
use crate::config::AuthConfig;

/// The issuer whose `sub` is a user's id. Under any other name `sub` is something else, never an id.
pub(crate) const ISSUER: &str = "switchboard";

/// A longer token is refused unread: ours have 200 bytes, and a request's head has no more than this either.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest name of an issuer, and of what it calls a user, in bytes: `OpenID` Connect allows a subject no more,
/// and both together are a key of the store.
const MAX_PART_BYTES: usize = 255;

/// The last second of the year 9999, the end of what a timestamp can be written as.
const MAX_SECONDS: u64 = 253_402_300_799;

/// Issues and verifies tokens.
pub struct Tokens {
    /// None where no secret is set: then no token is issued, and none accepted that claims to be signed with it.
    secret: Option<(EncodingKey, DecodingKey)>,
    /// The keys of the other issuer, where they are configured. Then so are its name and our audience.
    keys: Option<Keys>,
    /// The one other issuer that counts; none means any whose tokens are signed with the secret.
    issuer: Option<String>,
    /// What other issuers must call us; none means that their tokens must be for nobody in particular.
    audience: Option<String>,
    validation: Validation,
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A user, by id: only our own issuer can say so.
    User(UserId),
    /// Somebody that another issuer knows: its name, a space, and what it calls them. Nothing else reads the same,
    /// since a name of an issuer has no space; it is empty where the token does not say.
    External(String),
}

/// What a token says, after it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub subject: Subject,
    /// What another issuer calls them, fit to be a full name.
    pub name: Option<String>,
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
    iss: Option<String>,
    sub: String,
    aud: Option<Audience>,
    name: Option<String>,
    #[serde(default)]
    iat: f64,
    exp: f64,
}

/// For whom a token is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn contains(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Many(many) => many.iter().any(|one| one == name),
        }
    }
}

impl Tokens {
    /// Tokens under this secret, whose times may be off by `leeway`. With an empty secret there are none.
    #[must_use]
    pub fn new(secret: &SecretString, leeway: Duration) -> Self {
        let secret = secret.expose_secret().as_bytes();
        let secret = (!secret.is_empty())
            .then(|| (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret)));
        Self { secret, keys: None, issuer: None, audience: None, validation: validation(leeway) }
    }

    /// As configured. Keys of an address are read by [`Tokens::keep_fresh`], those of a file at once as well.
    ///
    /// # Errors
    /// With a sentence for the operator, if there is a file of keys and it cannot be read.
    pub fn from_config(config: &AuthConfig) -> io::Result<Self> {
        let keys = match (&config.jwks_file, &config.jwks_url) {
            (Some(path), _) => Some(Keys::of_file(path)?),
            (None, Some(url)) => Some(Keys::of_url(url.clone())),
            (None, None) => None,
        };
        let own = Self::new(&config.jwt_secret, config.token_leeway());
        Ok(Self { keys, issuer: config.jwt_issuer.clone(), audience: config.jwt_audience.clone(), ..own })
    }

    /// Keeps the keys of the other issuer up to date, without end. The node has a task for it; without one they
    /// stay as they were, and those of an address are never read. It returns if there are none.
    pub async fn keep_fresh(&self) {
        if let Some(keys) = &self.keys {
            keys.keep_fresh().await;
        }
    }

    /// A token for this user, from now on; nothing without a secret.
    #[must_use]
    pub fn issue(&self, user: UserId, ttl: Duration) -> Option<String> {
        let (key, _) = self.secret.as_ref()?;
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
    /// [`AuthError::Expired`] if it was signed with the secret or a key and its time is over, else
    /// [`AuthError::Invalid`].
    pub fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Invalid);
        }
        let header = decode_header(token).map_err(|_unreadable| AuthError::Invalid)?;
        if !is_plain(&header) {
            return Err(AuthError::Invalid);
        }
        // The token only chooses between the two by its algorithm; neither takes one of the other's.
        let claims = if header.alg == Algorithm::HS256 {
            let (_, key) = self.secret.as_ref().ok_or(AuthError::Invalid)?;
            let claims = read(token, key, &self.validation)?;
            if claims.iss.as_deref() == Some(ISSUER) { own(claims) } else { self.external(claims) }
        } else if header.alg.family() == AlgorithmFamily::Hmac {
            None
        } else {
            let keys = self.keys.as_ref().ok_or(AuthError::Invalid)?;
            let key = keys.find(header.kid.as_deref(), header.alg).ok_or(AuthError::Invalid)?;
            let validation = Validation { algorithms: vec![header.alg], ..self.validation.clone() };
            self.external(read(token, &key, &validation)?)
        };
        let mut claims = claims.ok_or(AuthError::Invalid)?;
        claims.expires_at.0 += i64::try_from(self.validation.leeway).unwrap_or(0) * 1_000_000;
        Ok(claims)
    }

    /// What another issuer says, if it is one that counts and means us.
    fn external(&self, claims: RawClaims) -> Option<Claims> {
        let is_issuer = match (&self.issuer, &claims.iss) {
            (Some(expected), issuer) => issuer.as_ref() == Some(expected),
            (None, Some(issuer)) => is_part(issuer) && !issuer.contains(' '),
            (None, None) => true,
        };
        let is_for_us = match (&self.audience, &claims.aud) {
            (Some(name), Some(audience)) => audience.contains(name),
            (None, None) => true,
            _ => false,
        };
        let issuer = claims.iss.as_deref().unwrap_or_default();
        if !is_issuer || !is_for_us || !is_part(&claims.sub) || issuer == ISSUER {
            return None;
        }
        let name = claims.name.as_deref().and_then(tidy_full_name);
        let subject = Subject::External(format!("{issuer} {}", claims.sub));
        Some(Claims { subject, name, issued_at: timestamp(claims.iat)?, expires_at: timestamp(claims.exp)? })
    }
}

/// The library's own defaults would not ask for `sub`, ignore `nbf` and allow a minute. `iss` and `aud` are checked
/// by us, since what they must be depends on one another.
fn validation(leeway: Duration) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "sub"]);
    validation.validate_aud = false;
    validation.validate_nbf = true;
    validation.leeway = leeway.as_secs();
    validation
}

/// Whether a token is signed as a whole, with nothing that must be understood besides. What its header says of
/// where a key is to be found is not looked at, only the name of one.
fn is_plain(header: &Header) -> bool {
    // The second is the type of an access token of OAuth (RFC 9068).
    let is_type = |typ: &String| ["jwt", "at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known));
    let has_extensions = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    header.typ.as_ref().is_none_or(is_type) && !has_extensions && !header.extras.inner().contains_key("b64")
}

/// The claims of a token that this key has signed, at a time when it counts.
fn read(token: &str, key: &DecodingKey, validation: &Validation) -> Result<RawClaims, AuthError> {
    let token = decode::<RawClaims>(token, key, validation).map_err(|error| match error.kind() {
        ErrorKind::ExpiredSignature => AuthError::Expired,
        _ => AuthError::Invalid,
    })?;
    // One from the future would outlive what is revoked until then.
    let latest = Timestamp::now().0 as f64 / 1e6 + validation.leeway as f64;
    if token.claims.iat > latest { Err(AuthError::Invalid) } else { Ok(token.claims) }
}

/// What our own issuer says. An `aud` is refused, since none is ours.
fn own(claims: RawClaims) -> Option<Claims> {
    let is_digits = claims.sub.bytes().all(|byte| byte.is_ascii_digit());
    let id = claims.sub.parse().ok().filter(|id| is_digits && *id <= MAX_ID && claims.aud.is_none())?;
    let (issued_at, expires_at) = (timestamp(claims.iat)?, timestamp(claims.exp)?);
    Some(Claims { subject: Subject::User(UserId(id)), name: None, issued_at, expires_at })
}

/// Whether this can be half of an external subject.
fn is_part(text: &str) -> bool {
    (1..=MAX_PART_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn timestamp(seconds: f64) -> Option<Timestamp> {
    // In this range the product is far below 2^63. Parts of a microsecond are dropped.
    (0.0..=MAX_SECONDS as f64).contains(&seconds).then_some(Timestamp((seconds * 1e6) as i64))
}
