//! A feed with what it has given out, held against what it should.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use switchboard_node::feed::{Feed, Source, Step};
use switchboard_node::hub::Item;
use switchboard_node::packet::{Packet, Way};
use switchboard_protocol::{MailboxId, Seq};
use switchboard_store::{Entry, Event};
use tokio::time::{Instant, timeout};

use crate::world::answered;

/// How often a reader who waits looks whether it is late.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Reader {
    feed: Feed,
    /// Where the mailbox ended when it was opened, if its cursor meant nothing to the store.
    reset: Option<Seq>,
    /// The position before what comes next.
    last: Seq,
    given: Given,
}

/// What a feed has given out.
pub(crate) struct Given {
    pub(crate) user: usize,
    items: Vec<Item>,
}

impl Reader {
    /// Opens a feed, again and again until the store answers. `end` is where the mailbox ends.
    pub(crate) async fn open(
        source: &Arc<Source>,
        user: usize,
        mailbox: MailboxId,
        cursor: Option<Seq>,
        end: Seq,
    ) -> anyhow::Result<Self> {
        let (feed, head) = answered(async || source.open(mailbox, cursor).await).await?;
        ensure!(head.last_seq == end, "opened at {head:?}, not at {end}");
        let last = cursor.unwrap_or(end);
        let reset = (last > end || last < head.floor).then_some(end);
        ensure!(feed.cursor() == last && feed.begin() == last.min(end), "it begins at {}", feed.begin());
        Ok(Self { feed, reset, last, given: Given { user, items: Vec::new() } })
    }

    /// Takes the next step, or gives up waiting for it.
    pub(crate) async fn read(&mut self, patience: Duration) -> anyhow::Result<()> {
        match timeout(patience, self.feed.next()).await {
            Ok(step) => self.take(step),
            Err(_elapsed) => Ok(()),
        }
    }

    /// Whose mailbox it reads.
    pub(crate) fn user(&self) -> usize {
        self.given.user
    }

    /// Drops the feed.
    pub(crate) fn leave(self) -> Given {
        self.given
    }

    /// Reads up to `end`. Late is who gets nothing for `bound` after `since`, or after what came last.
    pub(crate) async fn read_up_to(
        &mut self,
        end: Seq,
        bound: Duration,
        since: impl Fn() -> Instant,
    ) -> anyhow::Result<()> {
        let mut moved = since();
        while self.reset.is_some() || self.last < end {
            let before = self.last;
            self.read(LOOK).await?;
            if self.last > before {
                moved = Instant::now();
            }
            let is_late = moved.max(since()).elapsed() > bound;
            ensure!(!is_late, "user {} stays at {before} of {end}", self.user());
        }
        ensure!(self.last == end, "user {} has {} of {end}", self.user(), self.last);
        Ok(())
    }

    fn take(&mut self, step: Step) -> anyhow::Result<()> {
        match step {
            Step::Items(items) => {
                ensure!(self.reset.is_none(), "entries after {}, which the store does not know", self.last);
                ensure!(!items.is_empty(), "a step of nothing");
                for item in items {
                    ensure!(item.seq == self.last.next(), "{} comes after {}", item.seq, self.last);
                    self.last = item.seq;
                    self.given.items.push(item);
                }
            }
            Step::Ephemeral(notices) => bail!("nobody told {notices:?}"),
            Step::Reset(at) => match self.reset.take() {
                Some(end) => {
                    ensure!(at == end, "reset to {at}, not to {end}");
                    self.last = at;
                }
                None => bail!("reset to {at} at {}", self.last),
            },
            Step::Unreadable => bail!("unreadable after {}", self.last),
        }
        ensure!(self.feed.cursor() == self.last, "its cursor is {}", self.feed.cursor());
        Ok(())
    }
}

impl Given {
    /// Holds it against the mailbox.
    pub(crate) fn check(&self, log: &[Entry]) -> anyhow::Result<()> {
        let is_unread = |entry: &&Entry| matches!(&entry.event, Event::Received(message) if !message.is_read);
        let unread_up_to = |n: usize| log[..n].iter().filter(is_unread).count() as i64;
        for item in &self.items {
            let position = item.seq.0 as usize;
            let kept = Packet::of_entry(&log[position - 1], Way::Paged)?;
            ensure!(item.frame == kept.frame, "{} came instead of {}", item.frame, kept.frame);
            // Just made, or read back at some time since.
            let possible = unread_up_to(position)..=unread_up_to(log.len());
            ensure!(
                possible.contains(&item.unread),
                "{} unread at {}, not {possible:?}",
                item.unread,
                item.seq
            );
        }
        Ok(())
    }

    /// The ways that entries came.
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way> {
        self.items.iter().map(|item| item.origin.way)
    }
}
