//! What was read or deleted, by whom and when.

use std::collections::HashMap;

use crate::history::Outcome;

/// What one user did to one message, however often they asked for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// When they first asked.
    pub(crate) begun: u64,
    /// When they were first told that it is done.
    pub(crate) done: Option<u64>,
    /// Requests that were not refused: while there is one, it may be done.
    not_refused: u32,
}

impl Mark {
    /// Whether it was done by then, as they were told.
    pub(crate) fn is_done_before(&self, t: u64) -> bool {
        self.done.is_some_and(|done| done < t)
    }

    /// Whether it may have been done by then.
    pub(crate) fn may_be_done_at(&self, t: u64) -> bool {
        self.begun <= t && self.not_refused > 0
    }
}

/// Marks by user and message.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    by_user_and_message: HashMap<(i64, i64), Mark>,
}

impl Marks {
    pub(super) fn begin(&mut self, t: u64, user: i64, message: i64) {
        let mark = Mark { begun: t, done: None, not_refused: 0 };
        self.by_user_and_message.entry((user, message)).or_insert(mark).not_refused += 1;
    }

    pub(super) fn end(&mut self, t: u64, user: i64, message: i64, outcome: &Outcome) {
        let Some(mark) = self.by_user_and_message.get_mut(&(user, message)) else { return };
        match outcome {
            Outcome::Sent { .. } | Outcome::Done => mark.done = mark.done.or(Some(t)),
            Outcome::Fail { .. } => mark.not_refused -= 1,
            Outcome::Info { .. } => {}
        }
    }

    /// What the user did to the message, if they ever asked for it.
    pub(crate) fn find(&self, user: i64, message: i64) -> Option<&Mark> {
        self.by_user_and_message.get(&(user, message))
    }

    /// Whether it was done by then, as the user was told.
    pub(crate) fn is_done_before(&self, user: i64, message: i64, t: u64) -> bool {
        self.find(user, message).is_some_and(|mark| mark.is_done_before(t))
    }

    /// Whether it may have been done by then.
    pub(crate) fn may_be_done_at(&self, user: i64, message: i64, t: u64) -> bool {
        self.find(user, message).is_some_and(|mark| mark.may_be_done_at(t))
    }

    /// When the user was first told that it is done.
    pub(crate) fn done(&self, user: i64, message: i64) -> Option<u64> {
        self.find(user, message).and_then(|mark| mark.done)
    }

    /// All of them: user, message, mark.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, i64, &Mark)> {
        self.by_user_and_message.iter().map(|((user, message), mark)| (*user, *message, mark))
    }
}
