//! When a client is told its unread count without having asked: after a change, at most four times a second.

use std::time::Duration;

use switchboard_protocol::Seq;
use switchboard_store::Head;
use tokio::time::Instant;

/// The least time between two notices.
const PACE: Duration = Duration::from_millis(250);

/// What the client was told, and what it should know.
pub(super) struct UnreadNotices {
    known: i64,
    /// The entry up to which `known` counts.
    at: Seq,
    told: i64,
    /// Not before this.
    next: Instant,
}

impl UnreadNotices {
    /// The client was just told what the head says.
    pub(super) fn new(head: &Head) -> Self {
        Self { known: head.unread, at: head.last_seq, told: head.unread, next: Instant::now() }
    }

    /// The count after an entry. One that stands before what is known says nothing new.
    pub(super) fn learn(&mut self, seq: Seq, unread: i64) {
        if seq >= self.at {
            (self.at, self.known) = (seq, unread);
        }
    }

    /// The store was set back to this position: what stands after it counts anew.
    pub(super) fn reset(&mut self, cursor: Seq) {
        self.at = self.at.min(cursor);
    }

    /// The client has asked, and was told what the head says.
    pub(super) fn told(&mut self, head: &Head) {
        self.learn(head.last_seq, head.unread);
        self.told = head.unread;
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
    use switchboard_protocol::MailboxId;

    use super::*;

    fn head(last_seq: i64, unread: i64) -> Head {
        Head { mailbox: MailboxId(1), floor: Seq(0), last_seq: Seq(last_seq), unread }
    }

    #[tokio::test]
    async fn a_count_does_not_go_back() {
        let mut notices = UnreadNotices::new(&head(10, 3));
        notices.told(&head(12, 5));
        notices.learn(Seq(11), 4);
        assert_eq!(notices.due(), None);
        notices.learn(Seq(13), 6);
        assert_eq!(notices.take(), Some(6));
        notices.reset(Seq(4));
        notices.learn(Seq(5), 1);
        assert_eq!(notices.known, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_told_once_and_at_its_end() {
        let mut notices = UnreadNotices::new(&head(0, 0));
        assert_eq!((notices.due(), notices.take()), (None, None));
        notices.learn(Seq(1), 1);
        assert_eq!(notices.take(), Some(1));
        for unread in 2..=9 {
            notices.learn(Seq(unread), unread);
            assert_eq!(notices.take(), None);
        }
        tokio::time::sleep_until(notices.due().unwrap()).await;
        assert_eq!(notices.take(), Some(9));
        assert_eq!(notices.due(), None);
    }
}
