//! Whom the sessions of this node watch, and what was last heard of each. No I/O, and no time of its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use switchboard_protocol::{Presence as Status, Timestamp, UserId};
use tokio::time::Instant;

use super::outbox::Outbox;
use super::{frame, status};
use crate::packet::text;

/// How long nothing must be heard of somebody before they count as gone. Longer than the nodes take to hold all their
/// leases anew after the layer forgot them: they look every 4 s.
const ABSENCE: Duration = Duration::from_secs(7);
/// For how long the last answer of the layer is told to those who come.
const MEMORY: Duration = Duration::from_secs(15);
/// Places of all sessions together, each a session that watches a user. Some 50 bytes each. The layer is asked for users, of
/// whom many sessions watch the same: for a round of 100,000 of them each of five nodes takes half a second of a busy Redis,
/// as was measured. A round that takes more than its period makes presence late, and loses nothing.
const MOST_PLACES: usize = 1_000_000;

/// Who is watched by whom.
#[derive(Default)]
pub(super) struct Board {
    users: HashMap<UserId, Watched>,
    sessions: HashMap<u64, Arc<Outbox>>,
    next_session: u64,
    n_places: usize,
    /// Who is to be told of whom, as soon as something is known.
    untold: HashSet<(u64, UserId)>,
    /// When the layer last answered.
    answered_at: Option<Instant>,
    /// Since when it has answered each time.
    answers_since: Option<Instant>,
    /// Whether it ever did not.
    was_down: bool,
}

struct Watched {
    known: Option<Known>,
    /// Since when they are held nowhere, while they do not count as gone.
    absent_since: Option<Instant>,
    watchers: HashSet<u64>,
}

struct Known {
    status: Status,
    /// What says so.
    frame: ByteString,
}

/// Somebody is another than was known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) user: UserId,
    pub(super) status: Status,
    /// When they were last there for certain, if the store may not know.
    pub(super) seen: Option<Timestamp>,
}

/// What the sessions do.
impl Board {
    pub(super) fn join(&mut self, outbox: Arc<Outbox>) -> u64 {
        let id = self.next_session;
        self.next_session += 1;
        self.sessions.insert(id, outbox);
        id
    }

    pub(super) fn leave(&mut self, id: u64, users: &[UserId]) {
        for user in users {
            self.unwatch(id, *user);
        }
        self.sessions.remove(&id);
    }

    /// A session watches `after` instead of `before`, both ascending. What it waits to hear of the others it does not hear
    /// any more; of those of them whom it asked for, that they are offline. Whether nothing is known of some.
    pub(super) fn replace(&mut self, id: u64, before: &[UserId], after: &[UserId], asked: &[UserId]) -> bool {
        let asked: HashSet<_> = asked.iter().collect();
        for user in before.iter().filter(|user| after.binary_search(user).is_err()) {
            let was_there = self.known_status(*user).is_some_and(|status| status != Status::Offline);
            self.unwatch(id, *user);
            let Some(outbox) = self.sessions.get(&id) else { continue };
            outbox.remove(*user);
            if was_there && asked.contains(user) {
                put(outbox, *user, Status::Offline, None);
            }
        }
        for user in after.iter().filter(|user| before.binary_search(user).is_err()) {
            self.watch(id, *user);
        }
        after.iter().any(|user| self.known_status(*user).is_none())
    }

    /// Tells a session all that is known of whom it watches.
    pub(super) fn tell_all(&mut self, id: u64, users: &[UserId]) {
        for user in users {
            self.show(id, *user);
        }
    }

    /// Whether a session that watches `n_before` users may watch `n_after`.
    pub(super) fn has_room(&self, n_before: usize, n_after: usize) -> bool {
        self.n_places.saturating_sub(n_before) + n_after <= MOST_PLACES
    }

    pub(super) fn n_watched(&self) -> usize {
        self.users.len()
    }

    /// What is known of those of these who are watched.
    pub(super) fn known(&self, users: &[UserId]) -> HashMap<UserId, Status> {
        let known = |user: &UserId| Some((*user, self.known_status(*user)?));
        users.iter().filter(|_| self.is_fresh()).filter_map(known).collect()
    }

    fn known_status(&self, user: UserId) -> Option<Status> {
        Some(self.users.get(&user)?.known.as_ref()?.status)
    }

    fn watch(&mut self, id: u64, user: UserId) {
        let nobody = || Watched { known: None, absent_since: None, watchers: HashSet::new() };
        let watched = self.users.entry(user).or_insert_with(nobody);
        self.n_places += usize::from(watched.watchers.insert(id));
        self.show(id, user);
    }

    fn unwatch(&mut self, id: u64, user: UserId) {
        self.untold.remove(&(id, user));
        let Some(watched) = self.users.get_mut(&user) else {
            return;
        };
        self.n_places -= usize::from(watched.watchers.remove(&id));
        if watched.watchers.is_empty() {
            self.users.remove(&user);
        }
    }

    /// Tells a session what a user is; later, if that is not known.
    fn show(&mut self, id: u64, user: UserId) {
        let known = self.users.get(&user).and_then(|watched| watched.known.as_ref());
        match (known.filter(|_| self.is_fresh()), self.sessions.get(&id)) {
            (Some(known), Some(outbox)) => outbox.put(user, known.frame.clone()),
            _ => drop(self.untold.insert((id, user))),
        }
    }

    /// Whether what is known is no older than may be told.
    fn is_fresh(&self) -> bool {
        self.answers_since.is_some() || self.answered_at.is_some_and(|at| at.elapsed() < MEMORY)
    }
}

/// What the watcher does.
impl Board {
    /// Whom to ask for: all who are watched.
    pub(super) fn all(&self) -> Vec<i64> {
        self.users.keys().map(|user| user.0).collect()
    }

    /// Whom to ask for at once: those of whom nothing is known.
    pub(super) fn unknown(&self) -> Vec<i64> {
        let mut unknown: Vec<_> = self.untold.iter().map(|(_, user)| *user).collect();
        unknown.retain(|user| self.known_status(*user).is_none());
        unknown.sort_unstable();
        unknown.dedup();
        unknown.iter().map(|user| user.0).collect()
    }

    /// The layer does not answer.
    pub(super) fn unanswered(&mut self) {
        self.answers_since = None;
        self.was_down = true;
    }

    /// Whether all nodes have had the time to hold all their leases anew, since the layer last answered again.
    pub(super) fn is_settled(&self) -> bool {
        !self.was_down || self.answers_since.is_none_or(|since| since.elapsed() >= ABSENCE)
    }

    /// The layer has answered. Gives whoever is another than was known.
    pub(super) fn learn(&mut self, asked: &[i64], held: &HashMap<i64, u8>, now: Instant) -> Vec<Change> {
        self.answered_at = Some(now);
        let answers_since = *self.answers_since.get_or_insert(now);
        let is_settled = !self.was_down || now >= answers_since + ABSENCE;
        let mut changes = Vec::new();
        for name in asked {
            let user = UserId(*name);
            let Some(watched) = self.users.get_mut(&user) else {
                continue;
            };
            let before = watched.known.as_ref().map(|known| known.status);
            let (held, mut seen) = (held.get(name).copied(), None);
            if held.is_none() && before.is_none() && !is_settled {
                continue;
            }
            if held.is_none() && before.is_some_and(|before| before != Status::Offline) {
                let since = *watched.absent_since.get_or_insert(now);
                if now < since.max(answers_since) + ABSENCE {
                    continue;
                }
                let micros = i64::try_from((now - since).as_micros()).unwrap_or(i64::MAX);
                seen = Some(Timestamp(Timestamp::now().0.saturating_sub(micros)));
            }
            watched.absent_since = None;
            let status = status(held);
            if before != Some(status) {
                changes.push(Change { user, status, seen });
            }
        }
        changes
    }

    /// Tells the watchers of each, and those who have waited to be told.
    pub(super) fn tell(&mut self, changes: &[Change], last_seen: &HashMap<UserId, Timestamp>) {
        for Change { user, status, seen } in changes {
            let Some(watched) = self.users.get_mut(user) else {
                continue;
            };
            let last_seen = last_seen.get(user).copied().max(*seen);
            let Ok(frame) = text(&frame(*user, *status, last_seen)) else {
                continue;
            };
            for id in &watched.watchers {
                // Once: the session may have taken it before those are told who wait.
                self.untold.remove(&(*id, *user));
                if let Some(outbox) = self.sessions.get(id) {
                    outbox.put(*user, frame.clone());
                }
            }
            watched.known = Some(Known { status: *status, frame });
        }
        for (id, user) in std::mem::take(&mut self.untold) {
            self.show(id, user);
        }
    }
}

fn put(outbox: &Outbox, user: UserId, status: Status, last_seen: Option<Timestamp>) {
    if let Ok(frame) = text(&frame(user, status, last_seen)) {
        outbox.put(user, frame);
    }
}

#[cfg(test)]
mod tests;
