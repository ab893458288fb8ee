//! The way of a node out: from the signal on it takes nobody new, and lets those it has go one after the other.
//!
//! [`Drain::begin`] says that the node goes away. Each session and event stream has drawn a [`Share`] of the time in
//! which they leave: it tells its client at once how long that is, serves it as before until it is over, and ends. So
//! the other nodes see a smooth stream of clients, and a client is away only as long as its reconnect takes. What is
//! still there in the end is cut. Requests are served until balancers send none any more ([`Drain::settle`]).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use switchboard_protocol::ServerFrame;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// Sessions that are sent away a second, so that the other nodes can let them in as they come. Few sessions leave
/// sooner than many.
const SESSIONS_A_SECOND: f64 = 250.0;
/// The part of the whole time in which sessions leave by themselves. The rest is for those that cannot be told.
const SPREAD: f64 = 2.0 / 3.0;
/// The part of the whole time that is kept for what comes after the sessions: the writer, the tasks.
const RESERVE: u32 = 6;
/// More is not kept.
const MAX_RESERVE: Duration = Duration::from_secs(5);
/// How long a balancer has to see that the node is not ready, before it is told by refusals.
const PATIENCE: Duration = Duration::from_secs(4);

/// Whether a node goes away, and who leaves when.
#[derive(Debug)]
pub struct Drain {
    begun: CancellationToken,
    /// Ends what is still there.
    cut: CancellationToken,
    /// Set before `begun` is cancelled.
    plan: OnceLock<Plan>,
    made: Instant,
    /// When the last request was done that changes something, in milliseconds since this was made.
    asked_at: AtomicU64,
    refuses: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    from: Instant,
    spread: Duration,
}

/// Where in the order of leaving one session stands: from 0, at once, to 1.
#[derive(Clone, Copy, Debug)]
pub struct Share(f64);

impl Share {
    /// Drawn evenly.
    #[must_use]
    pub fn draw() -> Self {
        Self(rand::random())
    }
}

impl Default for Drain {
    /// Of a node that stays for now.
    fn default() -> Self {
        Self {
            begun: CancellationToken::new(),
            cut: CancellationToken::new(),
            plan: OnceLock::new(),
            made: Instant::now(),
            asked_at: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
        }
    }
}

impl Drain {
    /// Begins, with the number of sessions there are and the time from now until the process has ended. Gives the time
    /// in which they leave.
    pub fn begin(&self, n_sessions: usize, time: Duration) -> Duration {
        let smooth = Duration::from_secs_f64(n_sessions as f64 / SESSIONS_A_SECOND);
        let spread = time.mul_f64(SPREAD).min(smooth);
        // Only the first beginning counts.
        let _begun_before = self.plan.set(Plan { from: Instant::now(), spread });
        self.begun.cancel();
        spread
    }

    /// Whether the node goes away.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until the node goes away.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.begun.cancelled()
    }

    /// Waits until all that is still there is to end.
    pub fn is_cut(&self) -> WaitForCancellationFuture<'_> {
        self.cut.cancelled()
    }

    /// Waits until who has this share is to leave.
    pub async fn leave(&self, share: Share) {
        let leave = async {
            self.begun().await;
            sleep_until(self.leaves_at(share)).await;
        };
        tokio::select! {
            () = leave => {}
            () = self.is_cut() => {}
        }
    }

    /// What a client is told whose session has this share.
    #[must_use]
    pub fn reconnect<D>(&self, share: Share) -> ServerFrame<D> {
        let left = self.leaves_at(share).saturating_duration_since(Instant::now());
        ServerFrame::Reconnect { after_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Ends the sessions that are still there.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Whether what is still there has been cut.
    #[must_use]
    pub fn has_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Notes that a request was done which changes something.
    pub fn asked(&self) {
        let since = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.asked_at.store(since, Ordering::Relaxed);
    }

    /// Waits until every request is answered, and for so long none has come that changes something. A balancer goes on for
    /// a while to send such requests, and may not send one twice; a socket that closes takes what is waiting at it along.
    /// One that asks nobody for health learns from answers: after a while it is refused what it may send elsewhere.
    pub async fn settle(&self, requests: &TaskTracker, quiet: Duration) {
        let begun = Instant::now();
        loop {
            requests.wait().await;
            let asked_at = self.made + Duration::from_millis(self.asked_at.load(Ordering::Relaxed));
            let quiet_at = asked_at.max(begun) + quiet;
            if quiet_at <= Instant::now() {
                return;
            }
            sleep_until(quiet_at).await;
            self.refuses.fetch_or(begun.elapsed() > PATIENCE, Ordering::Relaxed);
        }
    }

    /// Whether requests are refused that a balancer may send to another node.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    /// When who has this share is to leave: now, if nothing has begun.
    #[must_use]
    pub fn leaves_at(&self, Share(share): Share) -> Instant {
        self.plan.get().map_or_else(Instant::now, |plan| plan.from + plan.spread.mul_f64(share))
    }
}

/// The time that is kept, of the whole, for what comes after the sessions.
pub(crate) fn reserve(time: Duration) -> Duration {
    (time / RESERVE).min(MAX_RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest that a client is told to stay, in milliseconds.
    async fn longest(n_sessions: usize, seconds: u64) -> u64 {
        let drain = Drain::default();
        drain.begin(n_sessions, Duration::from_secs(seconds));
        match drain.reconnect::<()>(Share(1.0)) {
            ServerFrame::Reconnect { after_ms } => after_ms,
            frame => panic!("{frame:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_sessions_leave_over_a_longer_time_than_few() {
        for (n_sessions, seconds, ms) in
            [(0, 30, 0), (1, 30, 4), (1_000, 30, 4_000), (50_000, 30, 20_000), (50_000, 3, 2_000)]
        {
            assert_eq!(longest(n_sessions, seconds).await, ms, "{n_sessions} in {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_leaves_when_it_was_told_to_and_all_at_the_cut() {
        let drain = Drain::default();
        let start = Instant::now();
        drain.begin(1_000, Duration::from_secs(30));
        drain.leave(Share(0.25)).await;
        assert_eq!(start.elapsed().as_millis(), 1_000);
        tokio::join!(drain.leave(Share(1.0)), async { drain.cut() });
        assert_eq!(start.elapsed().as_millis(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn it_settles_when_all_is_answered_and_nothing_comes_for_a_while() {
        let (drain, requests, quiet) = (Drain::default(), TaskTracker::new(), Duration::from_secs(1));
        let start = Instant::now();
        requests.close();
        drain.settle(&requests, quiet).await;
        assert_eq!(start.elapsed().as_millis(), 1_000, "a balancer has had time to see it");

        // One that takes long, and then others each half a second, until they are sent elsewhere.
        let begun = Instant::now();
        let comes = async {
            let token = requests.token();
            sleep_until(begun + Duration::from_secs(3)).await;
            drop(token);
            while !drain.refuses() {
                drain.asked();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::join!(drain.settle(&requests, quiet), comes);
        let took = begun.elapsed();
        assert!(took > PATIENCE && took < PATIENCE + 3 * quiet, "{took:?}");
    }
}
