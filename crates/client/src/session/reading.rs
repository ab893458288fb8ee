//! What a frame from the node does to the session: it answers a request, moves the cursor, or is handed on.

use std::sync::atomic::Ordering;

use switchboard_protocol::{Incoming, Seq, ServerFrame};
use tokio::time::{Duration, Instant};

use super::{FAR, Session};
use crate::Event;
use crate::link::Loss;
use crate::outbox::Settled;

impl Session {
    /// Takes a frame. An error means that the connection is of no more use.
    pub(super) fn read(&mut self, text: &str) -> Result<(), Loss> {
        let Incoming { seq, frame } =
            Incoming::parse(text).map_err(|error| Loss::again(format!("unreadable frame: {error}")))?;
        let settled = self.outbox.settle(&frame);
        if settled == Settled::Retried {
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
        }
        match (seq, frame) {
            (Some(seq), frame) => return self.apply(seq, frame),
            (None, ServerFrame::Reset { cursor, epoch }) => self.reset(cursor, epoch),
            (None, ServerFrame::Reconnect { after_ms }) => {
                self.connection.leave_at = Some(Instant::now() + Duration::from_millis(after_ms).min(FAR));
            }
            // A repeat, which is for the outbox alone.
            (
                None,
                ServerFrame::MessageSent { .. }
                | ServerFrame::MessageRead { .. }
                | ServerFrame::MessageEdited { .. }
                | ServerFrame::MessageReaction { .. }
                | ServerFrame::MessageDeleted { .. }
                | ServerFrame::GroupChanged { .. }
                | ServerFrame::ConversationChanged { .. }
                | ServerFrame::BlockChanged { .. }
                | ServerFrame::ReceiptsChanged { .. },
            ) => {}
            (None, frame) if settled == Settled::Nothing && !self.feed.is_full() => {
                self.feed.push(Event::Frame(frame));
            }
            (None, _) => {}
        }
        Ok(())
    }

    /// Hands over an entry if it is the next one.
    fn apply(&mut self, seq: Seq, frame: ServerFrame) -> Result<(), Loss> {
        if self.fell_behind() {
            return Ok(());
        }
        if let Some(cursor) = self.cursor {
            if seq <= cursor {
                self.counters.duplicates.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            if seq > cursor.next() {
                self.counters.gaps.fetch_add(1, Ordering::Relaxed);
                return Err(Loss::again(format!("entry {seq} came after entry {cursor}")));
            }
        }
        self.cursor = Some(seq);
        self.feed.push(Event::Entry { seq, frame });
        Ok(())
    }

    fn reset(&mut self, cursor: Seq, epoch: String) {
        if !self.fell_behind() {
            self.cursor = Some(cursor);
            self.epoch = Some(epoch.clone());
            self.feed.push(Event::Reset { cursor, epoch });
        }
    }

    fn fell_behind(&mut self) -> bool {
        self.connection.is_behind |= self.feed.is_full();
        self.connection.is_behind
    }
}
