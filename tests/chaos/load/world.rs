//! What all clients of a run share.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::notes::Notes;
use super::{Shape, Ways};
use crate::Dice;
use crate::token::token;

/// Messages that are remembered, to be done something to: the latest.
const REMEMBERED: usize = 2_000;
/// Requests over HTTP under way or waiting for their moment; further ones are left out.
const DEEDS: usize = 300;

/// A message that was stored.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) message: i64,
    pub(super) letter: Letter,
}

/// A message as its sender has it.
#[derive(Clone)]
pub(super) struct Letter {
    pub(super) sender: i64,
    pub(super) recipient: i64,
    pub(super) client_message_id: String,
    pub(super) content: Arc<str>,
    pub(super) attachments: Vec<i64>,
}

/// How far a device is.
pub(super) struct Progress {
    pub(super) user: i64,
    /// The last entry that it applied; less than nothing until it was connected once.
    pub(super) cursor: AtomicI64,
}

impl Progress {
    pub(super) fn new(user: i64) -> Arc<Self> {
        Arc::new(Self { user, cursor: AtomicI64::new(-1) })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.cursor.load(Ordering::Relaxed) >= 0
    }
}

/// What all clients share.
pub(super) struct World {
    pub(super) ways: Ways,
    pub(super) shape: Shape,
    pub(super) notes: Notes,
    /// By user, beginning with 1.
    tokens: Vec<String>,
    /// Held for a moment.
    known: Mutex<VecDeque<Known>>,
    /// By its members, the lower first. Held for a moment.
    conversations: Mutex<HashMap<(i64, i64), i64>>,
    deeds: Arc<Semaphore>,
    /// Everything that is under way over HTTP.
    pub(super) tracker: TaskTracker,
    /// No new operations from here on.
    pub(super) closing: CancellationToken,
    /// Devices leave.
    pub(super) leaving: CancellationToken,
}

impl World {
    pub(super) fn new(ways: Ways, shape: Shape, notes: Notes) -> Self {
        Self {
            tokens: (1..=shape.users).map(token).collect(),
            ways,
            shape,
            notes,
            known: Mutex::default(),
            conversations: Mutex::default(),
            deeds: Arc::new(Semaphore::new(DEEDS)),
            tracker: TaskTracker::new(),
            closing: CancellationToken::new(),
            leaving: CancellationToken::new(),
        }
    }

    /// The token of a user.
    pub(super) fn token(&self, user: i64) -> &str {
        usize::try_from(user - 1).ok().and_then(|index| self.tokens.get(index)).map_or("", String::as_str)
    }

    /// The header line that names a user.
    pub(super) fn bearer(&self, user: i64) -> String {
        format!("Authorization: Bearer {}", self.token(user))
    }

    pub(super) fn remember(&self, known: Known) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == REMEMBERED {
            all.pop_front();
        }
        all.push_back(known);
    }

    /// A message that is remembered, if the one that chance falls on is right.
    pub(super) fn recall(&self, dice: &mut Dice, is_right: impl Fn(&Letter) -> bool) -> Option<Known> {
        let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let index = dice.roll((all.len() as u64).max(1)) as usize;
        all.get(index).filter(|known| is_right(&known.letter)).cloned()
    }

    pub(super) fn learn_conversation(&self, one: i64, other: i64, conversation: i64) {
        let mut all = self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((one.min(other), one.max(other)), conversation);
    }

    pub(super) fn conversation(&self, one: i64, other: i64) -> Option<i64> {
        let all = self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(one.min(other), one.max(other))).copied()
    }

    /// Has something done a little later, unless there is enough to do or the load is being stopped.
    pub(super) fn later(&self, wait: Duration, deed: impl Future<Output = ()> + Send + 'static) {
        let Ok(permit) = Arc::clone(&self.deeds).try_acquire_owned() else { return };
        let closing = self.closing.clone();
        self.tracker.spawn(async move {
            if closing.run_until_cancelled(sleep(wait)).await.is_some() && !closing.is_cancelled() {
                deed.await;
            }
            drop(permit);
        });
    }
}
