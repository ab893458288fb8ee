//! Which credentials have ended: log-outs, revoked keys and disabled users, as the system mailbox tells.
//!
//! Each node reads it each second, whatever the channel layer does, and ends the sessions that it holds by such
//! credentials. A session hands nothing over while the last reading is old: a node that was frozen and wakes up reads
//! first.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_protocol::{Seq, Timestamp, UserId};
use switchboard_store::{ApiKeyId, Revocation, SessionId, Store, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::sabotage::sabotaged;

/// How often the system mailbox is read. Half of what is promised.
const PERIOD: Duration = Duration::from_secs(1);
/// A session waits for a reading that is no older than this.
const STALE: Duration = Duration::from_secs(2);
/// Entries read at a time.
const PAGE: i64 = 500;
/// Entries kept for those who are being let in. Who began before the oldest is sent back to log in again.
const RECENT: usize = 1_000;

/// By what somebody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A token, issued at this time.
    Token(Timestamp),
    /// A cookie, or a ticket made with one.
    Session(SessionId),
    /// A key of a back end.
    ApiKey(ApiKeyId),
}

/// Who was let in, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// Who.
    pub user: UserId,
    /// By what.
    pub credential: Credential,
    /// `tokens_valid_from` of their account when it was looked up: another after each end of all that they had.
    pub valid_from: Timestamp,
}

/// What has ended lately, and who is in.
pub struct Revocations {
    /// Held to look up and to note, never across an await.
    state: Mutex<State>,
    /// When the last reading that was answered began.
    read_at: watch::Sender<Instant>,
}

#[derive(Default)]
struct State {
    cursor: Seq,
    recent: VecDeque<(Seq, Ended)>,
    /// By user; users without a session have no entry.
    live: HashMap<UserId, Vec<(Admission, CancellationToken)>>,
}

/// A revocation, with what is known of whom it spares.
struct Ended {
    revocation: Revocation,
    /// Since when the credentials of its user count, if they were in when it was read. Who was let in with it was let
    /// in afterwards.
    valid_from: Option<Timestamp>,
}

/// The credentials no longer count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HaveEnded;

/// A session's place among those that a revocation ends.
pub struct Lease {
    revocations: Arc<Revocations>,
    user: UserId,
    ended: CancellationToken,
}

impl Lease {
    /// Waits until the credentials have ended.
    pub fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.ended.cancelled()
    }

    /// What is cancelled when they end.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Waits until it is known that they had not ended two seconds ago: most often not at all.
    ///
    /// # Errors
    /// [`HaveEnded`], at once.
    pub async fn confirmed(&self) -> Result<(), HaveEnded> {
        if self.is_confirmed() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.ended() => Err(HaveEnded),
            () = self.fresh() => Ok(()),
        }
    }

    /// Whether that is known now.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        !self.ended.is_cancelled() && is_fresh(&self.revocations.read_at.borrow())
    }

    async fn fresh(&self) {
        let mut read_at = self.revocations.read_at.subscribe();
        // The sender is in what this holds, so it does not go.
        let _always_there = read_at.wait_for(is_fresh).await;
    }
}

fn is_fresh(read_at: &Instant) -> bool {
    read_at.elapsed() < STALE
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ended.cancel();
        let mut state = self.revocations.lock();
        if let Some(sessions) = state.live.get_mut(&self.user) {
            sessions.retain(|(_, ended)| !ended.is_cancelled());
            if sessions.is_empty() {
                state.live.remove(&self.user);
            }
        }
    }
}

impl Revocations {
    /// Begins at the present end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn open(store: &Store) -> Result<Self, StoreError> {
        let begun = Instant::now();
        let cursor = store.revocations(Seq(i64::MAX), 0).await?.last_seq;
        let state = State { cursor, ..State::default() };
        Ok(Self { state: Mutex::new(state), read_at: watch::Sender::new(begun) })
    }

    /// What has been read: to be asked before credentials are looked up.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        self.lock().cursor
    }

    /// Lets a session in whose credentials counted when they were looked up, after `since` was asked for. If they have
    /// ended meanwhile, the lease says so.
    #[must_use]
    pub fn register(self: &Arc<Self>, admission: Admission, since: Seq) -> Lease {
        let (user, token) = (admission.user, CancellationToken::new());
        let mut state = self.lock();
        let forgotten = state.recent.front().is_some_and(|(oldest, _)| *oldest > since.next());
        let known = state.cursor > since && (forgotten || state.recent.is_empty());
        let mut newer = state.recent.iter().filter(|(seq, _)| *seq > since);
        if known || newer.any(|(_, ended)| ended.concerns(&admission)) {
            token.cancel();
        } else {
            // Most users have one, and there are many users.
            let live = state.live.entry(user).or_insert_with(|| Vec::with_capacity(1));
            live.push((admission, token.clone()));
        }
        drop(state);
        Lease { revocations: Arc::clone(self), user, ended: token }
    }

    /// Reads the system mailbox for as long as it is polled.
    pub async fn follow(&self, store: &Store) {
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tick.tick().await;
            if sabotaged!("cache_revocation") {
                self.read_at.send_replace(Instant::now());
                continue;
            }
            if let Err(error) = self.read(store).await {
                tracing::debug!("the system mailbox cannot be read: {error}");
            }
        }
    }

    /// Since when nothing is known of what has ended.
    pub fn age(&self) -> Duration {
        self.read_at.borrow().elapsed()
    }

    async fn read(&self, store: &Store) -> Result<(), StoreError> {
        loop {
            let (begun, after) = (Instant::now(), self.cursor());
            let read = store.revocations(after, PAGE).await?;
            let is_end = read.last_seq <= after;
            if read.missed {
                tracing::warn!(
                    "what has ended is not known any more: every session is to show its credentials again"
                );
                self.lock().end_all();
            }
            let mut entries = Vec::with_capacity(read.entries.len());
            for (seq, revocation) in read.entries {
                let valid_from = self.valid_from(store, revocation).await?;
                entries.push((seq, Ended { revocation, valid_from }));
            }
            self.apply(read.last_seq, entries);
            if is_end {
                self.read_at.send_replace(begun);
                return Ok(());
            }
        }
    }

    /// Since when the credentials of a user count whom a revocation names. Asked of the store only if they are in: an
    /// entry is read up to a second late, and they may be in again.
    async fn valid_from(
        &self,
        store: &Store,
        revocation: Revocation,
    ) -> Result<Option<Timestamp>, StoreError> {
        match revocation {
            Revocation::User(user) | Revocation::Others { user, .. }
                if self.lock().live.contains_key(&user) =>
            {
                Ok(store.find_account(user).await?.map(|account| account.tokens_valid_from))
            }
            _ => Ok(None),
        }
    }

    fn apply(&self, last_seq: Seq, entries: Vec<(Seq, Ended)>) {
        let mut state = self.lock();
        if last_seq < state.cursor {
            tracing::warn!("the system mailbox was set back from {} to {last_seq}", state.cursor);
            state.recent.clear();
        }
        state.cursor = last_seq;
        for (seq, ended) in entries {
            state.end(&ended);
            if state.recent.len() == RECENT {
                state.recent.pop_front();
            }
            state.recent.push_back((seq, ended));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends all who are in, and all who were being let in before the next reading.
    fn end_all(&mut self) {
        self.recent.clear();
        self.live.values().flatten().for_each(|(_, token)| token.cancel());
    }

    fn end(&self, ended: &Ended) {
        let concerned: Box<dyn Iterator<Item = _>> = match ended.revocation {
            Revocation::User(user) | Revocation::Others { user, .. } | Revocation::Session { user, .. } => {
                Box::new(self.live.get(&user).into_iter().flatten())
            }
            Revocation::ApiKey(_) => Box::new(self.live.values().flatten()),
        };
        for (admission, token) in concerned {
            if ended.concerns(admission) {
                token.cancel();
            }
        }
    }
}

impl Ended {
    fn concerns(&self, admission: &Admission) -> bool {
        match self.revocation {
            // Not by which is earlier, since clocks disagree: what was let in before has another.
            Revocation::User(user) => user == admission.user && self.valid_from != Some(admission.valid_from),
            Revocation::Others { user, session } => {
                let spared = admission.credential == Credential::Session(session);
                user == admission.user && !spared && self.valid_from != Some(admission.valid_from)
            }
            Revocation::Session { session, .. } => admission.credential == Credential::Session(session),
            Revocation::ApiKey(key) => admission.credential == Credential::ApiKey(key),
        }
    }
}
