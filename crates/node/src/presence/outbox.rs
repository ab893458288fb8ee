//! What a session is to be told of presence: the newest word of each user, until it has time for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytestring::ByteString;
use futures_util::task::AtomicWaker;
use switchboard_protocol::UserId;

/// Frames by user. Bounded by whom the session watches; a newer one takes the place of the one before.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Held to put in and to take out.
    frames: Mutex<HashMap<UserId, ByteString>>,
    /// Wakes the session.
    waiting: AtomicWaker,
}

impl Outbox {
    pub(super) fn put(&self, user: UserId, frame: ByteString) {
        self.lock().insert(user, frame);
        self.waiting.wake();
    }

    pub(super) fn remove(&self, user: UserId) {
        self.lock().remove(&user);
    }

    /// Waits until there is a frame.
    pub(crate) fn poll_filled(&self, context: &Context<'_>) -> Poll<()> {
        // First, so that what is put in meanwhile wakes it.
        self.waiting.register(context.waker());
        if self.lock().is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Takes up to `limit` frames.
    pub(crate) fn take(&self, limit: usize) -> Vec<ByteString> {
        let mut frames = self.lock();
        let users: Vec<_> = frames.keys().take(limit).copied().collect();
        let taken = users.iter().filter_map(|user| frames.remove(user)).collect();
        if frames.is_empty() {
            // After a burst it is most often small.
            frames.shrink_to_fit();
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, ByteString>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
