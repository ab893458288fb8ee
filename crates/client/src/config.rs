//! Where to connect, as whom, from which position, and how long to wait in between.

use std::time::Duration;

use secrecy::SecretString;
use switchboard_protocol::Seq;

/// What a [`Client`](crate::Client) starts with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Nodes or balancers, as `http://`, `https://`, `ws://` or `wss://`; each new connection takes the next.
    pub urls: Vec<String>,
    /// The bearer token. It goes into a header, never into a URL.
    pub token: SecretString,
    /// The last position seen; without it, the mailbox's present end.
    pub cursor: Option<Seq>,
    /// The epoch that the cursor belongs to; without it, the present one.
    pub epoch: Option<String>,
    /// How long to wait between connections, and before a refused request is sent again.
    pub backoff: Backoff,
    /// How long a connection may take from its first byte to its `welcome`.
    pub connect_timeout: Duration,
    /// Events kept for a consumer that is busy; at least 1.
    pub events: usize,
    /// Requests kept until they are answered; a further one waits for room.
    pub outbox: usize,
}

impl Config {
    /// The user of `token` at the present end of their mailbox, with the defaults for the rest.
    pub fn new(urls: impl IntoIterator<Item = impl Into<String>>, token: impl Into<SecretString>) -> Self {
        Self {
            urls: urls.into_iter().map(Into::into).collect(),
            token: token.into(),
            cursor: None,
            epoch: None,
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(10),
            events: 256,
            outbox: 256,
        }
    }
}

/// Waiting times that double, with full jitter: each is random between nothing and its cap, so that the
/// clients of a node that died do not come back all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first cap.
    pub min: Duration,
    /// No cap is longer.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_millis(500), max: Duration::from_secs(20) }
    }
}

impl Backoff {
    /// The longest wait after so many failures in a row.
    pub(crate) fn cap(self, failures: u32) -> Duration {
        self.min.saturating_mul(2_u32.saturating_pow(failures)).min(self.max)
    }

    /// A wait after so many failures in a row.
    pub(crate) fn delay(self, failures: u32) -> Duration {
        self.cap(failures).mul_f64(rand::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_double_up_to_the_longest() {
        let backoff = Backoff::default();
        let caps = [0, 1, 5, 6, 1000].map(|failures| backoff.cap(failures).as_millis());
        assert_eq!(caps, [500, 1000, 16_000, 20_000, 20_000]);
        assert!((0..100).all(|_| backoff.delay(1) <= backoff.cap(1)));
    }

    #[test]
    fn a_token_does_not_print() {
        let config = Config::new(["http://127.0.0.1:8000"], "hush".to_owned());
        assert!(!format!("{config:?}").contains("hush"));
    }
}
