//! One mailbox in the hub: puts what arrives in order. No I/O and no time in here.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_protocol::Seq;
use switchboard_store::Head;

use super::outlet::{Item, Outlet};
use crate::packet::Packet;

/// Packets held while one before them is missing. More than this is quicker read from the store.
const HELD: usize = 500;

/// A gap wider than this sends the sessions back to paging, each at its own pace.
pub(super) const WIDE_GAP: i64 = 500;

/// A mailbox with sessions, or with some on their way in.
#[derive(Default)]
pub(super) struct Mailbox {
    sessions: Vec<Arc<Outlet>>,
    /// The last position that was forwarded. None until the store was asked.
    last: Option<Seq>,
    /// The last position that was heard of.
    known: Seq,
    /// What came too early.
    held: BTreeMap<Seq, Packet>,
    /// Whether a reading or a timer of the shard is about to close the gap.
    pub(super) repairing: bool,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// It went to the sessions.
    Forwarded,
    /// It had gone to them already.
    Duplicate,
    /// One before it is missing.
    Early,
}

impl Mailbox {
    /// Takes a packet that arrived.
    pub(super) fn accept(&mut self, packet: Packet) -> Accepted {
        self.known = self.known.max(packet.seq);
        match self.last {
            Some(last) if packet.seq <= last => Accepted::Duplicate,
            Some(last) if packet.seq == last.next() => {
                self.forward(packet);
                self.release();
                Accepted::Forwarded
            }
            _ => {
                if self.held.len() < HELD {
                    self.held.insert(packet.seq, packet);
                }
                Accepted::Early
            }
        }
    }

    /// Takes what the store said. `before` is the last position forwarded when it was asked: a head below that
    /// means that the store has lost what was delivered, and the sessions start anew.
    pub(super) fn observe(&mut self, head: &Head, before: Option<Seq>) {
        if before.is_some_and(|before| head.last_seq < before) {
            self.send_back();
        }
        self.known = self.known.max(head.last_seq);
        if self.last.is_none() || self.sessions.is_empty() {
            let at = self.last.map_or(head.last_seq, |last| last.max(head.last_seq));
            self.last = Some(at);
            self.held = self.held.split_off(&at.next());
            self.release();
        }
    }

    /// Lets a session in. Gives the position after which everything will come to it.
    pub(super) fn join(&mut self, outlet: Arc<Outlet>, head: &Head) -> Seq {
        self.sessions.push(outlet);
        // What was forwarded since the store was asked went past this session.
        self.last.map_or(head.last_seq, |last| last.max(head.last_seq))
    }

    /// Lets go of sessions that have left. Whether any is left.
    pub(super) fn prune(&mut self) -> bool {
        self.sessions.retain(|outlet| !outlet.is_closed());
        if self.sessions.is_empty() {
            self.forget();
        }
        !self.sessions.is_empty()
    }

    /// The gap: after which position, up to which.
    pub(super) fn gap(&self) -> Option<(Seq, Seq)> {
        let last = self.last.filter(|_| !self.sessions.is_empty())?;
        (last < self.known).then_some((last, self.known))
    }

    /// The last position that was forwarded.
    pub(super) fn last(&self) -> Option<Seq> {
        self.last
    }

    /// Sends all sessions back to paging; they attach again.
    pub(super) fn send_back(&mut self) {
        for outlet in self.sessions.drain(..) {
            outlet.lag();
        }
        self.forget();
    }

    /// The store was asked for what comes up to `asked`, and what it gave was accepted. If that was less, what was
    /// heard of the rest was wrong, or is lost.
    pub(super) fn disbelieve(&mut self, asked: Seq) {
        if let Some(last) = self.last.filter(|last| *last < asked) {
            self.known = last;
            self.held.clear();
        }
    }

    fn forget(&mut self) {
        self.last = None;
        self.known = Seq(0);
        self.held.clear();
    }

    /// Forwards what was held for as long as nothing is missing.
    fn release(&mut self) {
        while let Some(last) = self.last
            && let Some(packet) = self.held.remove(&last.next())
        {
            self.forward(packet);
        }
    }

    fn forward(&mut self, packet: Packet) {
        self.last = Some(packet.seq);
        let item = Item::from(packet);
        self.sessions.retain(|outlet| outlet.push(item.clone()));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use switchboard_protocol::MailboxId;

    use super::*;
    use crate::packet::Origin;

    fn packet(seq: i64) -> Packet {
        let (frame, payload, origin) = (seq.to_string().into(), Bytes::new(), Origin::here(None));
        Packet { mailbox: MailboxId(1), seq: Seq(seq), unread: 0, frame, payload, origin }
    }

    fn head(last_seq: i64) -> Head {
        Head { mailbox: MailboxId(1), floor: Seq(0), last_seq: Seq(last_seq), unread: 0 }
    }

    fn outlet() -> Arc<Outlet> {
        Arc::new(Outlet::new(1 << 20, Arc::default()))
    }

    fn attached(at: i64) -> (Mailbox, Arc<Outlet>) {
        let (mut mailbox, outlet) = (Mailbox::default(), outlet());
        mailbox.observe(&head(at), None);
        assert_eq!(mailbox.join(Arc::clone(&outlet), &head(at)), Seq(at));
        (mailbox, outlet)
    }

    async fn taken(outlet: &Outlet) -> Vec<i64> {
        outlet.take().await.unwrap().iter().map(|item| item.seq.0).collect()
    }

    #[tokio::test]
    async fn loss_repetition_and_reordering_are_put_right() {
        let (mut mailbox, outlet) = attached(3);
        let arrivals = [5, 4, 4, 7, 5, 8, 3];
        use Accepted::{Duplicate, Early, Forwarded};
        let expected = [Early, Forwarded, Duplicate, Early, Duplicate, Early, Duplicate];
        assert_eq!(arrivals.map(|seq| mailbox.accept(packet(seq))), expected);
        assert_eq!(mailbox.gap(), Some((Seq(5), Seq(8))));
        mailbox.accept(packet(6));
        assert_eq!(mailbox.gap(), None);
        assert_eq!(taken(&outlet).await, [4, 5, 6, 7, 8]);
    }

    #[tokio::test]
    async fn what_arrives_during_attach_is_not_lost() {
        let (mut mailbox, outlet) = (Mailbox::default(), outlet());
        for seq in [6, 4, 5] {
            assert_eq!(mailbox.accept(packet(seq)), Accepted::Early);
        }
        mailbox.observe(&head(4), None);
        // 5 and 6 were forwarded before the session was in: it pages up to 6.
        assert_eq!(mailbox.join(Arc::clone(&outlet), &head(4)), Seq(6));
        mailbox.accept(packet(7));
        assert_eq!(taken(&outlet).await, [7]);
    }

    #[tokio::test]
    async fn a_head_shows_a_gap_or_a_loss() {
        let (mut mailbox, outlet) = attached(3);
        mailbox.observe(&head(5), Some(Seq(3)));
        assert_eq!(mailbox.gap(), Some((Seq(3), Seq(5))));
        // An old answer says nothing; one below what was known when it was asked for does.
        mailbox.accept(packet(4));
        mailbox.observe(&head(3), Some(Seq(3)));
        assert_eq!(taken(&outlet).await, [4]);
        mailbox.observe(&head(3), Some(Seq(4)));
        assert!(outlet.take().await.is_err());
        assert_eq!(mailbox.gap(), None);
    }

    /// The store came back with less, and a session attaches: it gets what is written from there on.
    #[tokio::test]
    async fn a_session_that_finds_the_store_set_back_is_served() {
        for left in [false, true] {
            let (mut mailbox, first) = attached(100);
            if left {
                first.close();
                mailbox.forward(packet(101));
            }
            let (before, outlet) = (mailbox.last(), outlet());
            mailbox.observe(&head(90), before);
            assert_eq!(mailbox.join(Arc::clone(&outlet), &head(90)), Seq(90));
            for seq in 91..=110 {
                assert_eq!(mailbox.accept(packet(seq)), Accepted::Forwarded);
            }
            assert_eq!(taken(&outlet).await, (91..=110).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn what_the_store_does_not_have_is_not_waited_for() {
        let (mut mailbox, outlet) = attached(3);
        mailbox.accept(packet(9));
        mailbox.disbelieve(Seq(9));
        assert_eq!(mailbox.gap(), None);
        mailbox.accept(packet(4));
        assert_eq!(taken(&outlet).await, [4]);
    }
}
