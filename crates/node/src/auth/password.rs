//! Passwords: argon2id, a bounded number of them at once.
//!
//! A hash takes 19 MiB and some ten milliseconds of a core on purpose. So hashes run on the blocking pool, no more
//! at once than there are cores, and a crowd at the door is told to come back rather than to queue without end.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use switchboard_protocol::limits::{PASSWORD_BYTES, PASSWORD_MIN_CHARS};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::limits::RetryAfter;

/// Requests that may wait for a core. At some ten milliseconds a hash the last of them waits about a second.
const MAX_WAITING: usize = 64;

/// What a password is compared with where there is no user or the user has none: nobody's hash, of the same cost as
/// [`hash_now`]'s, so that the time to an answer does not tell who exists.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCEhIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and compares passwords.
pub struct Passwords {
    runtime: Handle,
    /// A place for each that runs or waits. Who finds none is refused.
    places: Arc<Semaphore>,
    /// A place for each that runs.
    running: Arc<Semaphore>,
}

/// As many passwords as may wait do wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many log-ins at once")]
pub struct Busy;

impl Busy {
    /// When to try again.
    #[must_use]
    pub fn retry_after(self) -> RetryAfter {
        RetryAfter { ms: 1000 }
    }
}

impl Passwords {
    /// On the blocking pool of this runtime.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self::with_places(runtime, available_parallelism().map_or(1, NonZero::get), MAX_WAITING)
    }

    fn with_places(runtime: Handle, n_running: usize, n_waiting: usize) -> Self {
        let places = Arc::new(Semaphore::new(n_running + n_waiting));
        Self { runtime, places, running: Arc::new(Semaphore::new(n_running)) }
    }

    /// The hash of a new password, as a PHC string for the store.
    ///
    /// # Errors
    /// [`Busy`] if too many wait already.
    pub async fn hash(&self, password: SecretString) -> Result<String, Busy> {
        self.run(move || hash_now(&password)).await
    }

    /// Whether this is the password of that hash. Without a hash it is not, after the same time.
    ///
    /// # Errors
    /// [`Busy`] if too many wait already.
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, Busy> {
        if password.expose_secret().len() > PASSWORD_BYTES {
            // Nobody has one so long; that tells nothing of this user.
            return Ok(false);
        }
        self.run(move || matches(&password, hash.as_deref())).await
    }

    /// # Cancel safety
    /// Who stops waiting gives the place back; work that has begun keeps its place until it ends.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_full| Busy)?;
        let core = Arc::clone(&self.running).acquire_owned().await.map_err(|_closed| Busy)?;
        let work = move || {
            let _held = (place, core);
            work()
        };
        // It only fails while the runtime ends, or if the work panics, which the panic hook has logged.
        self.runtime.spawn_blocking(work).await.map_err(|_stopped| Busy)
    }
}

/// The hash of a password, as a PHC string for the store, on this thread: for the command line.
///
/// # Panics
/// If the system has no randomness.
#[must_use]
pub fn hash_now(password: &SecretString) -> String {
    // The default is argon2id with what OWASP asks for: 19 MiB, two passes, one lane.
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.expose_secret().as_bytes())
        .expect("the parameters are the library's own, and the system has randomness");
    hash.to_string()
}

/// Whether this may be the password of a new account or a change.
///
/// # Errors
/// A sentence for the client.
pub fn check_new_password(password: &SecretString, username: &str) -> Result<(), &'static str> {
    let password = password.expose_secret();
    if password.chars().count() < PASSWORD_MIN_CHARS {
        Err("a password has at least 8 characters")
    } else if password.len() > PASSWORD_BYTES {
        Err("a password has at most 1024 bytes")
    } else if password.to_lowercase() == username.to_lowercase() {
        Err("a password is not the user name")
    } else {
        Ok(())
    }
}

fn matches(password: &SecretString, hash: Option<&str>) -> bool {
    let parse = |hash| {
        PasswordHash::new(hash)
            .inspect_err(|error| tracing::error!("a stored password cannot be read: {error}"))
    };
    let stored = hash.and_then(|hash| parse(hash).ok());
    let Some(compared) = stored.clone().or_else(|| parse(NOBODY).ok()) else { return false };
    let is_equal = Argon2::default().verify_password(password.expose_secret().as_bytes(), &compared).is_ok();
    is_equal && stored.is_some()
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn only_the_password_matches() {
        let passwords = Passwords::new(Handle::current());
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert_ne!(hash, hash_now(&"correct horse".into()), "a salt of its own");
        for (password, hash, expect) in [
            ("correct horse", Some(hash.clone()), true),
            ("Correct horse", Some(hash.clone()), false),
            ("", Some(hash), false),
            ("correct horse", None, false),
            ("correct horse", Some("no hash".to_owned()), false),
            (
                "correct horse",
                Some("$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCEhIQ".to_owned()),
                false,
            ),
        ] {
            assert_eq!(passwords.verify(password.into(), hash.clone()).await, Ok(expect), "{hash:?}");
        }
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        let cost = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert!(hash_now(&"correct horse".into()).starts_with(cost) && NOBODY.starts_with(cost));
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let somebody = PasswordHash::new(&hash_now(&"correct horse".into())).unwrap();
        let sizes =
            |hash: &PasswordHash| (hash.salt.map(|salt| salt.len()), hash.hash.map(|hash| hash.len()));
        assert_eq!(sizes(&nobody), sizes(&somebody));
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away() {
        let passwords = Passwords::with_places(Handle::current(), 1, 1);
        let one = || passwords.verify("correct horse".into(), None);
        let answers = join_all([one(), one(), one()]).await;
        assert_eq!(answers, [Ok(false), Ok(false), Err(Busy)]);
        assert_eq!(one().await, Ok(false), "the places are given back");
    }

    #[test]
    fn new_passwords() {
        let (longest, too_long) = ("x".repeat(PASSWORD_BYTES), "x".repeat(PASSWORD_BYTES + 1));
        for (password, username, is_good) in [
            ("12345678", "ann", true),
            ("1234567", "ann", false),
            ("üüüüüüüü", "ann", true),
            ("üüüüüüü", "ann", false),
            ("        ", "ann", true),
            ("Ann.Example", "ann.example", false),
            (&longest, "ann", true),
            (&too_long, "ann", false),
        ] {
            assert_eq!(check_new_password(&password.into(), username).is_ok(), is_good, "{password}");
        }
    }
}
