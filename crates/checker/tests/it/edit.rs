//! Changes to a history: which lines, and what becomes of them.

use switchboard_checker::history::{
    Entry, Event, Kind, Line, Outcome, Page, Phase, Scope, StoredEntry, StoredMessage,
};

/// A history under way to be wrong.
pub(crate) struct History(pub(crate) Vec<Line>);

impl History {
    /// Where the first such line is.
    pub(crate) fn first(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.0.iter().position(|line| is_it(&line.event)).unwrap()
    }

    /// Where the last such line is.
    pub(crate) fn last(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.0.iter().rposition(|line| is_it(&line.event)).unwrap()
    }

    pub(crate) fn insert(&mut self, at: usize, event: Event) {
        self.0.insert(at, Line { t: self.0[at].t, event });
    }

    /// Adds what happened when everybody had written and nothing was healed yet.
    pub(crate) fn late(&mut self, event: Event) {
        self.insert(self.first(|event| *event == Event::Healed), event);
    }

    pub(crate) fn fault(&mut self, at: usize, scope: Scope, phase: Phase) {
        self.insert(at, Event::Fault { name: "more".to_owned(), scope, phase, detail: String::new() });
    }

    /// Has a line stand so much later.
    pub(crate) fn delay(&mut self, at: usize, ms: u64) {
        let line = self.0.remove(at);
        let t = line.t + ms * 1_000;
        let to = self.0.partition_point(|line| line.t <= t);
        self.0.insert(to, Line { t, ..line });
    }

    pub(crate) fn entry_at(&self, device: &str, seq: i64) -> usize {
        self.first(|event| matches!(event, Event::Entry(entry) if entry.device == device && entry.seq == seq))
    }

    pub(crate) fn entry(&mut self, device: &str, seq: i64) -> &mut Entry {
        let at = self.entry_at(device, seq);
        let Event::Entry(entry) = &mut self.0[at].event else { unreachable!() };
        entry
    }

    /// The kind of an entry, in the store and wherever it was applied.
    pub(crate) fn set_kind(&mut self, user: i64, devices: &[&str], seq: i64, kind: Kind) {
        self.row(user, seq).kind = kind;
        devices.iter().for_each(|device| self.entry(device, seq).kind = kind);
    }

    pub(crate) fn row(&mut self, user: i64, seq: i64) -> &mut StoredEntry {
        let rows = self.0.iter_mut().filter_map(|line| match &mut line.event {
            Event::StoredEntry(row) => Some(row),
            _ => None,
        });
        rows.into_iter().find(|row| row.user == user && row.seq == seq).unwrap()
    }

    pub(crate) fn stored(&mut self, message: i64) -> &mut StoredMessage {
        let stored = self.0.iter_mut().filter_map(|line| match &mut line.event {
            Event::StoredMessage(stored) => Some(stored),
            _ => None,
        });
        stored.into_iter().find(|stored| stored.message == message).unwrap()
    }

    pub(crate) fn mailbox(&mut self, user: i64) -> (&mut i64, &mut i64) {
        let heads = self.0.iter_mut().filter_map(|line| match &mut line.event {
            Event::StoredMailbox { user: it, last_seq, unread, .. } if *it == user => {
                Some((last_seq, unread))
            }
            _ => None,
        });
        heads.into_iter().next().unwrap()
    }

    /// The outcome of a send, by its client id.
    pub(crate) fn outcome(&mut self, key: &str) -> &mut Outcome {
        let ops = self.0.iter().filter_map(|line| match &line.event {
            Event::Send(send) if send.client_message_id == key => Some(send.op),
            _ => None,
        });
        let op = ops.max().unwrap();
        let outcomes = self.0.iter_mut().filter_map(|line| match &mut line.event {
            Event::Outcome { op: it, outcome } if *it == op => Some(outcome),
            _ => None,
        });
        outcomes.into_iter().next().unwrap()
    }

    /// The pages of a user, in order.
    pub(crate) fn page(&mut self, user: i64, number: usize) -> &mut Page {
        let pages = self.0.iter_mut().filter_map(|line| match &mut line.event {
            Event::Page(page) if page.user == user => Some(page),
            _ => None,
        });
        pages.into_iter().nth(number).unwrap()
    }

    /// The counts of a user, in order.
    pub(crate) fn count(&mut self, user: i64, number: usize) -> &mut i64 {
        let counts = self.0.iter_mut().filter_map(|line| match &mut line.event {
            Event::Unread { user: it, count, .. } if *it == user => Some(count),
            _ => None,
        });
        counts.into_iter().nth(number).unwrap()
    }
}
