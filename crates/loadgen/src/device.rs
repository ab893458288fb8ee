//! A user's session that outlives its connections: it keeps the position in the mailbox and resumes from there.

use std::sync::Arc;

use anyhow::anyhow;
use futures_util::{StreamExt, stream};
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_websockets::Payload;

use crate::fleet::Fleet;
use crate::wire::{Frame, Link, Loss};

/// How long a connection may take to stand, with all its attempts.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one attempt may take, to its `welcome`.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Waits between attempts are random below this at first, and twice as much with each, up to `BACKOFF_MAX`.
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(20);

/// A place in a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    pub(crate) cursor: u64,
    pub(crate) epoch: String,
}

/// A session and its place in the mailbox.
#[derive(Debug)]
pub(crate) struct Device {
    fleet: Arc<Fleet>,
    /// Of the user, in the token file.
    index: usize,
    /// Attempts so far: each goes to the next node.
    turn: usize,
    pub(crate) link: Link,
    pub(crate) position: Position,
    /// When to leave this node, because it said that it goes away.
    leave_at: Option<Instant>,
    /// A node that says nothing for so long is dead.
    silence: Duration,
    /// Entries that came again on one connection, and places where one was missing.
    pub(crate) duplicates: u64,
    pub(crate) gaps: u64,
}

impl Device {
    /// Connects the user with this index, at first to the node of index `turn`, from a position or the mailbox's end.
    pub(crate) async fn open(
        fleet: &Arc<Fleet>,
        index: usize,
        turn: usize,
        position: Option<Position>,
    ) -> Result<Self, Loss> {
        let opening = Self::attempt(fleet, index, turn, position);
        timeout(ATTEMPT, opening).await.map_err(|_elapsed| Loss::new("no welcome in time"))?
    }

    async fn attempt(
        fleet: &Arc<Fleet>,
        index: usize,
        turn: usize,
        position: Option<Position>,
    ) -> Result<Self, Loss> {
        let (node, account) = (fleet.node(turn), fleet.account(index));
        // An epoch is letters and digits: nothing to escape.
        let query = position.as_ref().map(|at| format!("?cursor={}&epoch={}", at.cursor, at.epoch));
        let path = format!("{}/ws/messages/{}", node.prefix, query.unwrap_or_default());
        let mut link = Link::open(&node.authority, &path, &account.token, fleet.source).await?;
        let first = link.next().await?;
        let welcome = Frame::parse(&first)?;
        let (Some(cursor), Some(epoch), Some(heartbeat)) =
            (welcome.cursor, welcome.epoch, welcome.heartbeat_interval_ms)
        else {
            return Err(Loss::new("the first frame was not a welcome"));
        };
        Ok(Self {
            fleet: Arc::clone(fleet),
            index,
            turn: turn + 1,
            link,
            position: position.unwrap_or_else(|| Position { cursor, epoch: epoch.to_owned() }),
            leave_at: None,
            silence: Duration::from_millis(2 * heartbeat.max(10)),
            duplicates: 0,
            gaps: 0,
        })
    }

    /// Connects, with several attempts if need be.
    pub(crate) async fn stand(
        fleet: &Arc<Fleet>,
        index: usize,
        turn: usize,
        position: Option<Position>,
    ) -> Result<Self, Loss> {
        let (began, mut failures) = (Instant::now(), 0);
        loop {
            let opened = Self::open(fleet, index, turn + failures as usize, position.clone()).await;
            match opened {
                Err(loss) if !loss.is_final && began.elapsed() < PATIENCE => {
                    sleep(wait(&loss, failures)).await;
                    failures += 1;
                }
                opened => return opened,
            }
        }
    }

    /// A session of each of these users, in order. One that does not come to stand is an error.
    pub(crate) async fn stand_all(
        fleet: &Arc<Fleet>,
        indices: impl Iterator<Item = usize>,
    ) -> anyhow::Result<Vec<Self>> {
        let opening = indices.map(|index| Self::stand(fleet, index, index, None));
        let opened: Vec<_> = stream::iter(opening).buffered(fleet.connecting).collect().await;
        let stands = |opened: Result<_, Loss>| {
            opened.map_err(|l| anyhow!("a connection does not stand: {}", l.reason))
        };
        opened.into_iter().map(stands).collect()
    }

    /// Connects again after a loss, from its position, with as many attempts as it takes.
    ///
    /// # Errors
    /// If no other attempt is of use.
    pub(crate) async fn resume(&mut self, mut loss: Loss) -> Result<(), Loss> {
        let is_told = self.leave_at.take().is_some();
        for failures in 0.. {
            if loss.is_final {
                return Err(loss);
            }
            if !is_told || failures > 0 {
                sleep(wait(&loss, failures)).await;
            }
            let position = Some(self.position.clone());
            match Self::open(&self.fleet, self.index, self.turn, position).await {
                Ok(device) => {
                    let (duplicates, gaps) = (self.duplicates, self.gaps);
                    *self = Self { duplicates, gaps, ..device };
                    return Ok(());
                }
                Err(next) => loss = next,
            }
            self.turn += 1;
        }
        Err(loss)
    }

    /// Waits for a frame, while what was fed goes out.
    ///
    /// # Cancel safety
    /// No frame is lost.
    pub(crate) async fn next(&mut self) -> Result<Payload, Loss> {
        self.link.next().await
    }

    /// Keeps the position. Whether the frame tells something new; nothing else needs to be asked of one that does not.
    ///
    /// # Errors
    /// If entries are missing before this one.
    pub(crate) fn is_new(&mut self, frame: &Frame<'_>) -> Result<bool, Loss> {
        match (frame.kind, frame.seq) {
            (_, Some(seq)) if !frame.repeat => {
                if seq > self.position.cursor + 1 {
                    self.gaps += 1;
                    return Err(Loss::new(format!("entry {seq} after {}", self.position.cursor)));
                }
                let is_new = seq > self.position.cursor;
                self.duplicates += u64::from(!is_new);
                self.position.cursor = self.position.cursor.max(seq);
                Ok(is_new)
            }
            ("reset", _) => {
                if let (Some(cursor), Some(epoch)) = (frame.cursor, frame.epoch) {
                    self.position = Position { cursor, epoch: epoch.to_owned() };
                }
                Ok(false)
            }
            ("reconnect", _) => {
                self.leave_at = frame.after_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// When [`Device::check`] has to be asked again.
    pub(crate) fn deadline(&self) -> Instant {
        let silent_at = self.link.heard_at + self.silence;
        self.leave_at.map_or(silent_at, |leave_at| leave_at.min(silent_at))
    }

    /// Whether to stay with this node.
    ///
    /// # Errors
    /// If it said nothing for too long, or that it goes away.
    pub(crate) fn check(&self) -> Result<(), Loss> {
        match self.leave_at {
            _ if self.link.heard_at + self.silence <= Instant::now() => {
                Err(Loss::new("nothing was heard for two heartbeats"))
            }
            Some(leave_at) if leave_at <= Instant::now() => Err(Loss::new("the node goes away")),
            _ => Ok(()),
        }
    }
}

/// How long to wait after so many failures.
pub(crate) fn wait(loss: &Loss, failures: u32) -> Duration {
    let cap = BACKOFF.saturating_mul(2_u32.saturating_pow(failures)).min(BACKOFF_MAX);
    loss.after.unwrap_or_default() + cap.mul_f64(rand::random())
}
