//! Which credentials have ended: log-outs, revoked keys and disabled users, as the system mailbox tells.
//!
//! Each node reads it each second, whatever the channel layer does, and ends the sessions that it holds by such
//! credentials. A session hands nothing over while the last reading is old: a node that was frozen and wakes up reads
//! first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_protocol::{Seq, Timestamp, UserId};
use switchboard_store::{ApiKeyId, Revocation, SessionId, Store, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

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
    recent: VecDeque<(Seq, Revocation)>,
    /// By user; users without a session have no entry.
    live: HashMap<UserId, Vec<(Credential, CancellationToken)>>,
}

/// A session's place among those that a revocation ends.
pub struct Lease {
    revocations: Arc<Revocations>,
    user: UserId,
    ended: CancellationToken,
}

impl Lease {
    /// Waits until the credentials have ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits until it is known that they had not ended two seconds ago: most often not at all.
    pub async fn fresh(&self) {
        let is_fresh = |read_at: &Instant| read_at.elapsed() < STALE;
        if !is_fresh(&self.revocations.read_at.borrow()) {
            let mut read_at = self.revocations.read_at.subscribe();
            // The sender is in what this holds, so it does not go.
            let _always_there = read_at.wait_for(is_fresh).await;
        }
    }
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
    pub fn register(self: &Arc<Self>, user: UserId, credential: Credential, since: Seq) -> Lease {
        let ended = CancellationToken::new();
        let mut state = self.lock();
        let forgotten = state.recent.front().is_some_and(|(oldest, _)| *oldest > since.next());
        let known = state.cursor > since && (forgotten || state.recent.is_empty());
        let newer = state.recent.iter().filter(|(seq, _)| *seq > since);
        if known || newer.into_iter().any(|(_, revocation)| ends(revocation, user, credential)) {
            ended.cancel();
        } else {
            state.live.entry(user).or_default().push((credential, ended.clone()));
        }
        drop(state);
        Lease { revocations: Arc::clone(self), user, ended }
    }

    /// Reads the system mailbox for as long as it is polled.
    pub async fn follow(&self, store: &Store) {
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tick.tick().await;
            if let Err(error) = self.read(store).await {
                tracing::debug!("the system mailbox cannot be read: {error}");
            }
        }
    }

    async fn read(&self, store: &Store) -> Result<(), StoreError> {
        loop {
            let (begun, after) = (Instant::now(), self.cursor());
            let read = store.revocations(after, PAGE).await?;
            let is_end = read.last_seq <= after;
            self.apply(read.last_seq, read.entries);
            if is_end {
                self.read_at.send_replace(begun);
                return Ok(());
            }
        }
    }

    fn apply(&self, last_seq: Seq, entries: Vec<(Seq, Revocation)>) {
        let mut state = self.lock();
        if last_seq < state.cursor {
            tracing::warn!("the system mailbox was set back from {} to {last_seq}", state.cursor);
            state.recent.clear();
        }
        state.cursor = last_seq;
        for (seq, revocation) in entries {
            state.end(&revocation);
            if state.recent.len() == RECENT {
                state.recent.pop_front();
            }
            state.recent.push_back((seq, revocation));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self, revocation: &Revocation) {
        let of_user = |user| self.live.get(user).into_iter().flatten().map(move |session| (*user, session));
        let concerned: Box<dyn Iterator<Item = _>> = match revocation {
            Revocation::User(user) | Revocation::Session { user, .. } => Box::new(of_user(user)),
            Revocation::ApiKey(_) => Box::new(self.live.keys().flat_map(of_user)),
        };
        for (user, (credential, ended)) in concerned {
            if ends(revocation, user, *credential) {
                ended.cancel();
            }
        }
    }
}

fn ends(revocation: &Revocation, user: UserId, credential: Credential) -> bool {
    match revocation {
        Revocation::User(ended) => *ended == user,
        Revocation::Session { session, .. } => credential == Credential::Session(*session),
        Revocation::ApiKey(key) => credential == Credential::ApiKey(*key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revocations() -> Arc<Revocations> {
        Arc::new(Revocations { state: Mutex::default(), read_at: watch::Sender::new(Instant::now()) })
    }

    const SESSION: Credential = Credential::Session(SessionId(7));

    #[tokio::test]
    async fn each_revocation_ends_what_it_names() {
        let log_out = Revocation::Session { user: UserId(1), session: SessionId(7) };
        for (revocation, expect) in [
            (log_out, [true, false, false, false]),
            (Revocation::User(UserId(1)), [true, true, true, false]),
            (Revocation::ApiKey(ApiKeyId(3)), [false, false, true, true]),
        ] {
            let revocations = revocations();
            let key = Credential::ApiKey(ApiKeyId(3));
            let sessions = [(1, SESSION), (1, Credential::Token(Timestamp(0))), (1, key), (2, key)];
            let leases = sessions.map(|(user, credential)| {
                revocations.register(UserId(user), credential, revocations.cursor())
            });
            revocations.apply(Seq(1), vec![(Seq(1), revocation)]);
            assert_eq!(leases.each_ref().map(|lease| lease.ended.is_cancelled()), expect, "{revocation:?}");
            drop(leases);
            assert!(revocations.lock().live.is_empty());
        }
    }

    #[tokio::test]
    async fn who_comes_in_meanwhile_is_not_missed() {
        let revocations = revocations();
        let since = revocations.cursor();
        revocations.apply(Seq(1), vec![(Seq(1), Revocation::User(UserId(1)))]);
        let ended = |user, since| revocations.register(UserId(user), SESSION, since).ended.is_cancelled();
        assert_eq!((ended(1, since), ended(2, since), ended(1, Seq(1))), (true, false, false));
        let many = (2..=1_100).map(|seq| (Seq(seq), Revocation::User(UserId(9))));
        revocations.apply(Seq(1_100), many.collect());
        assert!(ended(2, since), "what it would have to be compared with is forgotten");
        assert!(!ended(2, Seq(1_000)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_reading_holds_up_what_is_handed_over() {
        let revocations = revocations();
        let lease = revocations.register(UserId(1), SESSION, Seq(0));
        lease.fresh().await;
        tokio::time::advance(STALE).await;
        assert!(tokio::time::timeout(PERIOD, lease.fresh()).await.is_err());
        revocations.read_at.send_replace(Instant::now());
        lease.fresh().await;
    }
}
