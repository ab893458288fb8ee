//! The keys of the issuer that is trusted beside us: a JWK set (RFC 7517), from a file or an address.
//!
//! [`Keys::find`] looks at what is in memory and never waits. [`Keys::keep_fresh`] brings it up to date in a task
//! of its own; if that fails, the last good keys stay, so that an issuer that is down locks nobody out.

mod fetch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use url::Url;

/// How often a file is looked at.
const FILE_CHECK: Duration = Duration::from_secs(2);
/// How long an address is left alone after it was asked, whatever tokens come.
const FETCH_GAP: Duration = Duration::from_secs(30);
/// The same while it has never answered: nobody of that issuer gets in until it does.
const FIRST_FETCH_GAP: Duration = Duration::from_secs(5);
/// How often an address is asked although every key is known: a key that was taken back stops counting by then.
const FETCH_EVERY: Duration = Duration::from_secs(600);

/// The algorithms of an RSA key.
const OF_RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The keys of one issuer.
pub(super) struct Keys {
    source: Source,
    /// None until they were read once. The lock is held to exchange or to copy the pointer, no longer.
    known: RwLock<Option<Arc<[Key]>>>,
    /// Told of tokens with a key that is not known.
    wanted: Notify,
}

enum Source {
    File(PathBuf),
    Url(Url),
}

/// One key, and what it may verify.
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: Arc<DecodingKey>,
}

/// The keys are read one by one, since those of a kind that we do not know must not spoil the others.
#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

impl Keys {
    /// The keys of a file, read now.
    ///
    /// # Errors
    /// With a sentence that names the file, if it cannot be read.
    pub(super) fn of_file(path: &Path) -> io::Result<Self> {
        let keys = Self::new(Source::File(path.to_owned()));
        keys.replace(&fetch::file(path)?)?;
        Ok(keys)
    }

    /// The keys at an address; none until [`Keys::keep_fresh`] has read them.
    pub(super) fn of_url(url: Url) -> Self {
        Self::new(Source::Url(url))
    }

    fn new(source: Source) -> Self {
        Self { source, known: RwLock::default(), wanted: Notify::new() }
    }

    /// The key that a token names, for its algorithm; without a name, the only one for its algorithm.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
        let fits =
            |key: &&Key| (id.is_none() || key.id.as_deref() == id) && key.algorithms.contains(&algorithm);
        let mut fitting = known.iter().filter(fits);
        let Some(first) = fitting.next() else {
            self.wanted.notify_one();
            return None;
        };
        fitting.next().is_none().then(|| Arc::clone(&first.key))
    }

    /// Reads the keys again and again: a file when it has changed, an address every ten minutes and when a token
    /// names a key that is not known, though not too often.
    pub(super) async fn keep_fresh(&self) {
        match &self.source {
            Source::File(path) => self.watch(path).await,
            Source::Url(url) => self.ask(url).await,
        }
    }

    async fn watch(&self, path: &Path) {
        let mut seen = None;
        loop {
            // Looked at before it is read: a change in between shows the next time.
            let stamp = stamp(path);
            if stamp != seen {
                seen = stamp;
                let path = path.to_owned();
                self.update(move || fetch::file(&path)).await;
            }
            sleep(FILE_CHECK).await;
        }
    }

    async fn ask(&self, url: &Url) {
        loop {
            let address = url.clone();
            self.update(move || fetch::url(&address)).await;
            let has_keys = self.known.read().unwrap_or_else(PoisonError::into_inner).is_some();
            if has_keys {
                sleep(FETCH_GAP).await;
                let _wanted_or_due = timeout(FETCH_EVERY - FETCH_GAP, self.wanted.notified()).await;
            } else {
                sleep(FIRST_FETCH_GAP).await;
            }
        }
    }

    /// Takes what `read` brings, which may block, or says why not.
    async fn update(&self, read: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static) {
        let read = tokio::task::spawn_blocking(read).await.map_err(io::Error::other).flatten();
        if let Err(error) = read.and_then(|text| self.replace(&text)) {
            tracing::error!("the keys of the token issuer cannot be read, the last good ones stay: {error}");
        }
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let set: RawSet = serde_json::from_slice(text)
            .map_err(|error| io::Error::other(format!("{} holds no set of keys: {error}", self.source)))?;
        let keys: Arc<[Key]> = set.keys.into_iter().filter_map(read_key).collect();
        if keys.is_empty() {
            tracing::warn!("{} has no key that can verify a token", self.source);
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
        Ok(())
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

/// What changes with a file's content; nothing if it is not there.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A key that can verify tokens. Its type says by which algorithms, its `alg` perhaps by which one of them.
fn read_key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let of_type: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => OF_RSA,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        // Never a secret: who can read the set could sign with it.
        _ => &[],
    };
    let common = &jwk.common;
    let is_meant = |algorithm: &Algorithm| {
        common.key_algorithm.is_none_or(|only| only == KeyAlgorithm::from(*algorithm))
            && common.public_key_use.as_ref().is_none_or(|only| *only == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|each| each.contains(&KeyOperations::Verify))
    };
    let algorithms: Vec<Algorithm> = of_type.iter().copied().filter(is_meant).collect();
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| !algorithms.is_empty())?;
    Some(Key { id: jwk.common.key_id, algorithms, key: Arc::new(key) })
}
