//! When a client is told its unread count without having asked: after a change, at most four times a second.

use std::time::Duration;

use tokio::time::Instant;

/// The least time between two notices.
const PACE: Duration = Duration::from_millis(250);

/// What the client was told, and what it should know.
pub(super) struct UnreadNotices {
    known: i64,
    told: i64,
    /// Not before this.
    next: Instant,
}

impl UnreadNotices {
    /// The client was just told `unread`.
    pub(super) fn new(unread: i64) -> Self {
        Self { known: unread, told: unread, next: Instant::now() }
    }

    /// The count is now this.
    pub(super) fn learn(&mut self, unread: i64) {
        self.known = unread;
    }

    /// The client has heard it in another way.
    pub(super) fn told(&mut self, unread: i64) {
        (self.known, self.told) = (unread, unread);
    }

    /// When the next notice is due, if one is.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.known != self.told).then_some(self.next)
    }

    /// The count to tell now, if any.
    pub(super) fn take(&mut self) -> Option<i64> {
        let now = Instant::now();
        if self.due()? > now {
            return None;
        }
        self.next = now + PACE;
        self.told = self.known;
        Some(self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_told_once_and_at_its_end() {
        let mut notices = UnreadNotices::new(0);
        assert_eq!((notices.due(), notices.take()), (None, None));
        notices.learn(1);
        assert_eq!(notices.take(), Some(1));
        for unread in 2..=9 {
            notices.learn(unread);
            assert_eq!(notices.take(), None);
        }
        tokio::time::sleep_until(notices.due().unwrap()).await;
        assert_eq!(notices.take(), Some(9));
        assert_eq!(notices.due(), None);
    }
}
