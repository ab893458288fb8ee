//! When users send: on a schedule that nothing holds up, or as fast as acknowledgements come.

use std::future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

use crate::tally::Tally;

/// Messages that a user has not got round to. One more is skipped and counted: the generator is overloaded then.
const DUE: usize = 1024;

/// The shortest sleep of the pacer. Shorter ones cost more CPU than they are worth: above 5,000 messages a second
/// some are sent this much late, which counts as latency and shows as the generator's share.
const NAP: Duration = Duration::from_micros(200);

/// How all users send together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// So many messages a second.
    Open { rate: f64 },
    /// So many messages of each user wait for their acknowledgement.
    Closed { inflight: usize },
}

impl Load {
    /// The part of it that some of the users put on.
    pub(crate) fn of(self, n_users: usize, of: usize) -> Self {
        match self {
            Self::Open { rate } => Self::Open { rate: rate * n_users as f64 / of as f64 },
            closed @ Self::Closed { .. } => closed,
        }
    }
}

/// When one user sends.
#[derive(Debug)]
pub(crate) enum Pace {
    /// The times at which messages are due, from the pacer.
    Open(mpsc::Receiver<Instant>),
    /// Whenever fewer wait, between two points in time.
    Closed { inflight: usize, start: Instant, end: Instant },
}

impl Pace {
    /// Waits until the next message is due, and says since when it is. Ends never once all were sent.
    ///
    /// # Cancel safety
    /// No message is lost.
    pub(crate) async fn due(&mut self, n_waiting: usize) -> Instant {
        match self {
            Self::Open(due) => {
                if let Some(due) = due.recv().await {
                    return due;
                }
            }
            Self::Closed { inflight, start, end } => {
                if Instant::now() < *start {
                    tokio::time::sleep_until(*start).await;
                }
                let now = Instant::now();
                if n_waiting < *inflight && now < *end {
                    return now;
                }
            }
        }
        future::pending().await
    }
}

impl Load {
    /// The pace of each of the users, between two points in time.
    pub(crate) fn paces(self, n_users: usize, start: Instant, end: Instant, tally: &Arc<Tally>) -> Vec<Pace> {
        match self {
            Self::Closed { inflight } => {
                (0..n_users).map(|_| Pace::Closed { inflight, start, end }).collect()
            }
            Self::Open { rate } => {
                let (senders, receivers): (Vec<_>, Vec<_>) = (0..n_users).map(|_| mpsc::channel(DUE)).unzip();
                let tally = Arc::clone(tally);
                let interval = Duration::from_secs_f64(1.0 / rate);
                thread::spawn(move || pace(&senders, interval, start, end, &tally));
                receivers.into_iter().map(Pace::Open).collect()
            }
        }
    }
}

/// A thread of its own, since timers of the runtime are only good to a millisecond.
fn pace(users: &[mpsc::Sender<Instant>], interval: Duration, start: Instant, end: Instant, tally: &Tally) {
    for (number, user) in users.iter().cycle().enumerate() {
        let due = start + interval.mul_f64(number as f64);
        let early = due.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            thread::sleep(early.max(NAP));
        }
        if due >= end || tally.is_over.load(Ordering::Relaxed) {
            return;
        }
        if user.try_send(due).is_err() {
            tally.skipped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
