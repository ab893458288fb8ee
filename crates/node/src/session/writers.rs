//! Who writes to the client, and where: as long as they say so, or until they say that they do not, or send what they wrote.

use std::collections::VecDeque;

use switchboard_protocol::{ConversationId, UserId};
use tokio::time::Instant;

use crate::ephemeral::{TERM, Writing};

/// Writers that are remembered. Of more a client is told nothing.
const MOST: usize = 64;

/// What the client was told, and until when it holds.
#[derive(Default)]
pub(crate) struct Writers(VecDeque<(Instant, Writing)>);

impl Writers {
    /// Takes what was heard. Whether the client is to be told: also if it knows already, so that its own patience may be
    /// short, but not that somebody has stopped who never began.
    pub(crate) fn learn(&mut self, heard: Writing) -> bool {
        let was_known = self.forget(heard.writer());
        if !heard.is_typing {
            return was_known;
        }
        if self.0.len() >= MOST {
            return false;
        }
        self.0.push_back((Instant::now() + TERM, heard));
        true
    }

    /// Whether nobody writes.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Somebody has sent what they wrote, or stopped. Whether they were known to write.
    pub(crate) fn forget(&mut self, writer: (ConversationId, UserId)) -> bool {
        let before = self.0.len();
        self.0.retain(|(_, writing)| writing.writer() != writer);
        self.0.len() < before
    }

    /// When the next one ends by itself, if there is one.
    pub(crate) fn due(&self) -> Option<Instant> {
        // Each has the same term, so they are in order.
        self.0.front().map(|(until, _)| *until)
    }

    /// Somebody of whom nothing more was heard: to be told.
    pub(crate) fn take_overdue(&mut self) -> Option<(ConversationId, UserId)> {
        self.due().filter(|until| *until <= Instant::now())?;
        self.0.pop_front().map(|(_, writing)| writing.writer())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    fn writing(user: i64, is_typing: bool) -> Writing {
        Writing { conversation: ConversationId(1), user: UserId(user), is_typing }
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_more_has_stopped() {
        let mut writers = Writers::default();
        assert!(!writers.learn(writing(2, false)) && writers.due().is_none());
        assert!(writers.learn(writing(2, true)) && writers.learn(writing(3, true)));
        sleep(TERM - Duration::from_secs(1)).await;
        assert!(writers.learn(writing(2, true)), "it is renewed");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(writers.take_overdue(), Some((ConversationId(1), UserId(3))));
        assert_eq!(writers.take_overdue(), None);
        assert!(writers.learn(writing(2, false)) && !writers.learn(writing(2, false)));
        assert!(writers.is_empty());
    }

    #[tokio::test]
    async fn there_are_so_many_and_no_more() {
        let mut writers = Writers::default();
        assert!((0..MOST as i64).all(|user| writers.learn(writing(user, true))));
        assert!(!writers.learn(writing(99, true)) && writers.learn(writing(5, true)));
        assert!(writers.forget(writing(7, true).writer()) && writers.learn(writing(99, true)));
    }
}
