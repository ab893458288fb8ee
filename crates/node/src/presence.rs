//! Who is there: of the users of this node the other nodes are told, and its sessions of whom they watch.
//!
//! - `attendance` counts each user's sessions here. What a user is by them this node holds as a lease in the channel layer,
//!   which ends with the node; a session that ends counts for some seconds more, so that who connects again was never gone.
//! - `board` has whom the sessions here watch. The node asks the layer for them every two seconds, and each session is told
//!   what has changed, the newest word a user, whenever it has time for it.
//! - `questions` says for whom the layer is asked next, and when.
//! - `chores` are the two tasks that do so.
//!
//! Who leaves is first held as offline for a while: so those who left are told from those of whom nothing is heard, because
//! their node died or because the layer forgot everything. The former are gone at once, the latter only after a while.

mod attendance;
mod board;
mod chores;
mod outbox;
mod questions;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchboard_protocol::{Presence as Status, ServerFrame, Timestamp, UserId};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::attendance::Attendance;
use self::board::Board;
pub(crate) use self::chores::{attend, watch};
use self::outbox::Outbox;
use crate::commands::Actor;
use crate::problem::ApiError;
use crate::state::Node;

/// What a node knows of who is there.
#[derive(Default)]
pub struct Presence {
    /// Held for short sections, none of which awaits.
    attendance: Mutex<Attendance>,
    /// The same.
    board: Mutex<Board>,
    /// Wakes the watcher when somebody is watched of whom nothing is known.
    asked: Notify,
}

impl Presence {
    /// Counts a session of a user, who is at the device until it says otherwise.
    pub(crate) fn enter(self: &Arc<Self>, user: UserId) -> Seat {
        self.attendance().enter(user, Instant::now());
        Seat { presence: Arc::clone(self), user, status: Status::Online }
    }

    /// Lets a session watch others: nobody so far.
    pub(crate) fn join(self: &Arc<Self>) -> Watch {
        let outbox = Arc::new(Outbox::default());
        let id = self.board().join(Arc::clone(&outbox));
        Watch { presence: Arc::clone(self), id, outbox, users: Vec::new() }
    }

    /// Whether a session that watches `n_before` users may watch `n_after`.
    pub(crate) fn has_room(&self, n_before: usize, n_after: usize) -> bool {
        self.board().has_room(n_before, n_after)
    }

    /// How many users are watched here.
    pub(crate) fn n_watched(&self) -> usize {
        self.board().n_watched()
    }

    fn attendance(&self) -> MutexGuard<'_, Attendance> {
        self.attendance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session that counts. It does until this is dropped.
pub(crate) struct Seat {
    presence: Arc<Presence>,
    user: UserId,
    status: Status,
}

impl Seat {
    /// Says whether somebody is at the device.
    pub(crate) fn set(&mut self, status: Status) {
        // A session is no way to be offline.
        let status = status.max(Status::Away);
        self.presence.attendance().change(self.user, self.status, status, Instant::now());
        self.status = status;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.presence.attendance().leave(self.user, self.status, Instant::now());
    }
}

/// Whom a session watches.
pub(crate) struct Watch {
    presence: Arc<Presence>,
    id: u64,
    outbox: Arc<Outbox>,
    /// Ascending.
    users: Vec<UserId>,
}

impl Watch {
    /// Watches these users from now on. All that is known of them is told, and the rest as soon as it is. Whether there is
    /// room for them; else nothing changes.
    #[must_use]
    pub(crate) fn begin(&mut self, mut allowed: Vec<UserId>, asked: &[UserId]) -> bool {
        let presence = Arc::clone(&self.presence);
        // Held throughout: others take places as well.
        let mut board = presence.board();
        allowed.sort_unstable();
        allowed.dedup();
        if !board.has_room(self.users.len(), allowed.len()) {
            return false;
        }
        self.replace(&mut board, allowed, asked);
        board.tell_all(self.id, &self.users);
        true
    }

    /// The same, telling only what is new. Of those of `asked` who are not allowed any more it is told for the last time
    /// that they are offline, whatever they are. Those who would be new are left out if there is no room for them.
    pub(crate) fn keep(&mut self, mut allowed: Vec<UserId>, asked: &[UserId]) {
        let presence = Arc::clone(&self.presence);
        let mut board = presence.board();
        allowed.sort_unstable();
        allowed.dedup();
        if !board.has_room(self.users.len(), allowed.len()) {
            allowed.retain(|user| self.users.binary_search(user).is_ok());
        }
        self.replace(&mut board, allowed, asked);
    }

    fn replace(&mut self, board: &mut Board, allowed: Vec<UserId>, asked: &[UserId]) {
        let before = std::mem::replace(&mut self.users, allowed);
        if board.replace(self.id, &before, &self.users, asked) {
            self.presence.asked.notify_one();
        }
    }

    /// How many they are.
    pub(crate) fn n_users(&self) -> usize {
        self.users.len()
    }

    /// Where frames wait for the session.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.presence.board().leave(self.id, &self.users);
    }
}

/// What these users are, as far as `who` may know: strangers are left out, and so is everybody of whom nothing is known
/// because the channel layer is down, or was a moment ago.
///
/// # Errors
/// `store_unavailable`.
pub(crate) async fn presence_of(
    node: &Node,
    who: Actor,
    users: &[UserId],
) -> Result<Vec<ServerFrame>, ApiError> {
    let (user, asked) = (who.user, users.to_vec());
    let mut allowed = node.with_store(|store| async move { store.acquaintances(user, &asked).await }).await?;
    allowed.sort_unstable();
    let (mut known, is_settled) = {
        let board = node.presence.board();
        (board.known(&allowed), board.is_settled())
    };
    allowed.retain(|user| !known.contains_key(user));
    let names: Vec<_> = allowed.iter().map(|user| user.0).collect();
    if let Ok(held) = node.layer.held(&names).await {
        // Where the layer may have forgotten everybody, that somebody is held nowhere says nothing.
        let told = allowed.iter().filter(|user| is_settled || held.contains_key(&user.0));
        known.extend(told.map(|user| (*user, status(held.get(&user.0).copied()))));
    }
    let elsewhere: Vec<_> =
        known.iter().filter(|(_, status)| **status != Status::Online).map(|(user, _)| *user).collect();
    let last_seen = node.with_store(|store| async move { store.last_seen(&elsewhere).await }).await?;
    let frame = |user: &UserId| {
        let status = *known.get(user)?;
        Some(frame(*user, status, last_seen.get(user).copied()))
    };
    Ok(users.iter().filter_map(frame).collect())
}

fn frame(user_id: UserId, status: Status, last_seen: Option<Timestamp>) -> ServerFrame {
    ServerFrame::Presence { user_id, status, last_seen: last_seen.filter(|_| status != Status::Online) }
}

/// What a lease says; nothing is said of who is not there.
fn status(held: Option<u8>) -> Status {
    match held {
        None | Some(0) => Status::Offline,
        Some(1) => Status::Away,
        Some(_) => Status::Online,
    }
}

/// What a lease is to say, so that the best of all nodes is the largest.
fn value(status: Status) -> u8 {
    match status {
        Status::Offline => 0,
        Status::Away => 1,
        Status::Online => 2,
    }
}
