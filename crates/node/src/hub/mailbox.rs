//! One mailbox in the hub: puts what arrives in order. No I/O and no time in here.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_protocol::Seq;
use switchboard_store::Head;

use super::outlet::{Item, Outlet};
use crate::ephemeral::Notice;
use crate::packet::Packet;

/// Packets held while one before them is missing, and their bytes. More than this is quicker read from the store.
const HELD: usize = 500;
const HELD_BYTES: usize = 1024 * 1024;

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
    /// What is in order and not handed over.
    ready: Vec<Item>,
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
    /// Takes a packet that arrived. What can go to the sessions waits for [`Mailbox::hand_over`].
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
                let held: usize = self.held.values().map(|packet| packet.frame.len()).sum();
                if self.held.len() < HELD && held < HELD_BYTES {
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
            self.hand_over();
        }
    }

    /// Whether anything waits to be handed over.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Hands over what is in order: all at once, so that a session is woken once and writes once.
    pub(super) fn hand_over(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        self.sessions.retain(|outlet| outlet.push(&ready));
    }

    /// Lets a session in. Gives the position after which everything will come to it.
    pub(super) fn join(&mut self, outlet: Arc<Outlet>, head: &Head) -> Seq {
        self.sessions.push(outlet);
        // What was forwarded since the store was asked went past this session.
        self.last.map_or(head.last_seq, |last| last.max(head.last_seq))
    }

    /// Passes on what is kept nowhere. It has no position, and waits for no gap.
    pub(super) fn tell(&self, notice: &Notice) {
        for outlet in &self.sessions {
            outlet.tell(notice);
        }
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

    /// Goes on without what is missing, which is a mistake: see `sabotage.rs`.
    pub(super) fn pass_over(&mut self) {
        self.repairing = false;
        while let Some(first) = self.held.keys().next() {
            self.last = Some(Seq(first.0 - 1));
            self.release();
        }
        self.hand_over();
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
        self.ready.push(Item::from(packet));
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
