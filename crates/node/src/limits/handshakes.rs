//! How many are being let in at a time: a fleet that lost a node sends its clients all at once, and each costs the
//! store some reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::RetryAfter;

/// The longest that a handshake waits for its place: shorter than a client waits for its `welcome`.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Those that may wait, to each that is being let in.
const WAITING_A_PLACE: usize = 4;
/// What is refused is told to come back within this time, each at its own moment.
const RETRY: Duration = Duration::from_secs(5);

/// Places of those that are being let in, from before they are authenticated until their session is attached. Those
/// that find none free wait in order; what is over that is refused.
pub struct Handshakes {
    n_places: usize,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A place among those that are being let in.
#[must_use = "dropping it gives the place back"]
#[derive(Debug)]
pub struct HandshakePlace {
    _permit: OwnedSemaphorePermit,
}

impl Handshakes {
    /// With this many places.
    #[must_use]
    pub fn new(n_places: usize) -> Self {
        Self { n_places, places: Arc::new(Semaphore::new(n_places)), waiting: AtomicUsize::new(0) }
    }

    /// How many places are taken.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.n_places.saturating_sub(self.places.available_permits())
    }

    /// Takes a place, waiting for one if need be.
    ///
    /// # Errors
    /// If too many wait, or it took too long: when to come back, different for each.
    ///
    /// # Cancel safety
    /// Who does not wait any longer takes nothing.
    pub async fn enter(&self) -> Result<HandshakePlace, RetryAfter> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(HandshakePlace { _permit: permit });
        }
        let _waiting = self.wait_in_line().ok_or_else(come_back)?;
        match timeout(MAX_WAIT, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(HandshakePlace { _permit: permit }),
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => Err(come_back()),
        }
    }

    fn wait_in_line(&self) -> Option<Waiting<'_>> {
        let waiting = Waiting(&self.waiting);
        let n_before = self.waiting.fetch_add(1, Ordering::Relaxed);
        (n_before < self.n_places.saturating_mul(WAITING_A_PLACE)).then_some(waiting)
    }
}

/// Counts one that waits for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Not at once, and not all together.
fn come_back() -> RetryAfter {
    RetryAfter::from(RETRY.mul_f64(rand::random_range(0.2..=1.0)))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_in_order_and_what_is_over_is_refused() {
        let handshakes = Handshakes::new(1);
        let place = handshakes.enter().await.unwrap();
        assert_eq!(handshakes.in_flight(), 1);
        let mut line: Vec<_> = (0..WAITING_A_PLACE).map(|_| Box::pin(handshakes.enter())).collect();
        for waiting in &mut line {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let refused = handshakes.enter().now_or_never().expect("at once").unwrap_err();
        assert!((1_000..=5_000).contains(&refused.ms), "{refused:?}");

        drop(place);
        assert!(line[1].as_mut().now_or_never().is_none(), "the first is before the second");
        let second = line.remove(0).await.unwrap();
        // One who gives up is no longer in the line, and another has its place there.
        drop(line.pop());
        let start = Instant::now();
        assert!(handshakes.enter().await.is_err(), "nobody waits longer than this");
        assert_eq!(start.elapsed(), MAX_WAIT);
        drop((second, line));
        assert_eq!((handshakes.in_flight(), handshakes.waiting.load(Ordering::Relaxed)), (0, 0));
    }
}
