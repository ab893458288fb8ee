//! A service without faults, small enough to be seen to be right, and the history of a run of it.

use std::collections::BTreeMap;

use switchboard_checker::history::{
    Begin, Body, Entry, Event, Kind, Line, Outcome, Page, PageMessage, Phase, Scope, Send, StoredEntry,
    StoredMessage,
};

/// The service and its recorder.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) lines: Vec<Line>,
    t: u64,
    ops: u64,
    messages: Vec<StoredMessage>,
    /// By user.
    mailboxes: BTreeMap<i64, Vec<StoredEntry>>,
    /// Name, user, cursor.
    devices: Vec<(&'static str, i64, i64)>,
}

pub(crate) fn body(word: &str) -> Body {
    Body { canary: word.to_owned(), bytes: 10 }
}

/// Everything that a run may have, and all of it right.
///
/// Messages 1, 2 and 5 are of user 1 to user 2, by device `a`; 3 of user 2 to user 1, by `b`; 4 of user 1 to itself; 6 of
/// user 1 to user 2 was never acknowledged. User 2 reads 1; user 1 deletes 2; user 2 deletes 5 for themselves. 7 follows
/// when all is calm.
pub(crate) fn clean() -> Vec<Line> {
    let mut world = World::begin();
    for (device, user) in [("a", 1), ("b", 2), ("c", 2), ("gone", 2)] {
        world.connect(device, user, if device == "c" { "stream" } else { "websocket" });
    }
    world.send("a", 1, 2, 1);
    world.send("a", 1, 2, 2);
    world.note(Event::CutOff { device: "gone".to_owned() });
    world.leave("gone");
    world.send("b", 2, 1, 3);
    world.send("a", 1, 1, 4);
    world.resend(1, 2, 1);
    world.refused("a", 1, 2, 99);
    world.page(2);
    world.read(2, 1);
    world.page(2);
    world.unread(2, "http");
    world.hang_up("b");
    world.send("a", 1, 2, 5);
    world.delete(1, 2);
    world.delete(2, 5);
    world.connect("b", 2, "websocket");
    world.pass(20);
    world.send_unknown("a", 1, 2, 6);
    world.pass(20);
    world.send("a", 1, 2, 7);
    world.pass(20);
    world.end()
}

impl World {
    fn begin() -> Self {
        let mut world = Self::default();
        let begin =
            Begin { seed: None, heal_within_ms: 10_000, sweep_within_ms: 4_000, cut_within_ms: 2_000 };
        world.note(Event::Begin(begin));
        for phase in [Phase::Begin, Phase::End] {
            world.note(Event::Fault {
                name: "clock".to_owned(),
                scope: Scope::Clock,
                phase,
                detail: String::new(),
            });
        }
        world
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.t += 1_000;
        self.lines.push(Line { t: self.t, event });
    }

    fn pass(&mut self, seconds: u64) {
        self.t += seconds * 1_000_000;
    }

    fn op(&mut self, event: impl FnOnce(u64) -> Event) -> u64 {
        self.ops += 1;
        self.note(event(self.ops));
        self.ops
    }

    fn connect(&mut self, device: &'static str, user: i64, transport: &str) {
        if !self.devices.iter().any(|(name, ..)| *name == device) {
            self.devices.push((device, user, 0));
        }
        let cursor = self.devices.iter().find(|(name, ..)| *name == device).unwrap().2;
        self.note(Event::Connecting { device: device.to_owned() });
        let (device, transport, epoch) = (device.to_owned(), transport.to_owned(), format!("epoch{user}"));
        self.note(Event::Connected { device, user, transport, cursor, epoch });
        self.deliver();
    }

    fn hang_up(&mut self, device: &str) {
        self.note(Event::Disconnected { device: device.to_owned(), reason: String::new() });
    }

    fn leave(&mut self, device: &str) {
        self.devices.retain(|(name, ..)| *name != device);
        self.note(Event::Left { device: device.to_owned() });
    }

    fn is_connected(&self, device: &str) -> bool {
        let lines = self.lines.iter().rev();
        let mut states = lines.filter_map(|line| match &line.event {
            Event::Connected { device: it, .. } if it == device => Some(true),
            Event::Disconnected { device: it, .. } if it == device => Some(false),
            _ => None,
        });
        states.next().unwrap()
    }

    fn deliver(&mut self) {
        for at in 0..self.devices.len() {
            let (name, user, cursor) = self.devices[at];
            let rows = self.mailboxes.get(&user).cloned().unwrap_or_default();
            if !self.is_connected(name) {
                continue;
            }
            for row in rows.into_iter().filter(|row| row.seq > cursor) {
                self.devices[at].2 = row.seq;
                let entry = self.entry(name, user, &row);
                self.note(Event::Entry(entry));
            }
        }
    }

    fn entry(&self, device: &str, user: i64, row: &StoredEntry) -> Entry {
        let entry = Entry { device: device.to_owned(), seq: row.seq, ..Entry::default() };
        let (kind, messages) = (row.kind, row.messages.clone());
        let stored = self.stored(messages[0]);
        match kind {
            _ if row.hidden => Entry { kind: Kind::Void, ..entry },
            Kind::Sent | Kind::Received => Entry {
                kind,
                messages,
                conversation: Some(stored.conversation),
                actor: Some(stored.sender),
                recipient: Some(stored.recipient),
                body: Some(stored.body.clone()),
                client_message_id: (kind == Kind::Sent).then(|| stored.client_message_id.clone()),
                is_read: (kind == Kind::Received).then_some(row.read),
                ..entry
            },
            Kind::Receipt => Entry { kind, messages, actor: Some(stored.recipient), ..entry },
            _ => Entry { kind, messages, actor: Some(user), ..entry },
        }
    }

    fn stored(&self, message: i64) -> &StoredMessage {
        self.messages.iter().find(|stored| stored.message == message).unwrap()
    }

    fn request(&mut self, device: Option<&str>, user: i64, recipient: i64, message: i64) -> u64 {
        let device = device.map(str::to_owned);
        self.op(|op| {
            let (client_message_id, body) = (format!("key{message}"), body(&format!("word{message}")));
            Event::Send(Send {
                op,
                user,
                device,
                recipient,
                client_message_id,
                body,
                attachments: vec![message],
            })
        })
    }

    fn store(&mut self, user: i64, recipient: i64, message: i64) {
        self.messages.push(StoredMessage {
            message,
            conversation: user * recipient,
            sender: user,
            recipient,
            client_message_id: format!("key{message}"),
            body: body(&format!("word{message}")),
            deleted: false,
            attachments: vec![message],
        });
        self.enter(user, Kind::Sent, message, false);
        self.enter(recipient, Kind::Received, message, user == recipient);
    }

    fn enter(&mut self, user: i64, kind: Kind, message: i64, read: bool) {
        let mailbox = self.mailboxes.entry(user).or_default();
        let seq = i64::try_from(mailbox.len()).unwrap() + 1;
        mailbox.push(StoredEntry { user, seq, kind, messages: vec![message], read, hidden: false });
    }

    fn sent(&self, user: i64, message: i64, repeat: bool) -> Outcome {
        let is_it = |row: &&StoredEntry| row.kind == Kind::Sent && row.messages == [message];
        let seq = self.mailboxes[&user].iter().find(is_it).unwrap().seq;
        Outcome::Sent { message, seq, repeat, again: false }
    }

    pub(crate) fn send(&mut self, device: &str, user: i64, recipient: i64, message: i64) {
        let op = self.request(Some(device), user, recipient, message);
        self.store(user, recipient, message);
        let outcome = self.sent(user, message, false);
        self.note(Event::Outcome { op, outcome });
        self.deliver();
    }

    fn resend(&mut self, user: i64, recipient: i64, message: i64) {
        let op = self.request(None, user, recipient, message);
        let outcome = self.sent(user, message, true);
        self.note(Event::Outcome { op, outcome });
    }

    fn send_unknown(&mut self, device: &str, user: i64, recipient: i64, message: i64) {
        let op = self.request(Some(device), user, recipient, message);
        self.store(user, recipient, message);
        self.note(Event::Outcome { op, outcome: Outcome::Info { reason: "lost".to_owned() } });
        self.deliver();
    }

    fn refused(&mut self, device: &str, user: i64, recipient: i64, message: i64) {
        let op = self.request(Some(device), user, recipient, message);
        self.note(Event::Outcome { op, outcome: Outcome::Fail { code: "busy".to_owned() } });
    }

    fn read(&mut self, user: i64, message: i64) {
        let op = self.op(|op| Event::Read { op, user, message });
        let row = self.received(user, message);
        row.read = true;
        let sender = self.stored(message).sender;
        self.enter(user, Kind::Read, message, false);
        self.enter(sender, Kind::Receipt, message, false);
        self.note(Event::Outcome { op, outcome: Outcome::Done });
        self.deliver();
    }

    fn received(&mut self, user: i64, message: i64) -> &mut StoredEntry {
        let mut rows = self.mailboxes.get_mut(&user).unwrap().iter_mut();
        rows.find(|row| row.kind == Kind::Received && row.messages == [message]).unwrap()
    }

    fn delete(&mut self, user: i64, message: i64) {
        let op = self.op(|op| Event::Delete { op, user, message });
        let (sender, recipient) = (self.stored(message).sender, self.stored(message).recipient);
        let mut owners = vec![recipient];
        if sender == user {
            owners.push(sender);
            let stored = self.messages.iter_mut().find(|stored| stored.message == message).unwrap();
            (stored.body, stored.deleted, stored.attachments) = (Body::default(), true, Vec::new());
        }
        for owner in owners {
            let rows = self.mailboxes.get_mut(&owner).unwrap();
            rows.iter_mut().filter(|row| row.messages == [message]).for_each(|row| row.hidden = true);
            self.enter(owner, Kind::Deleted, message, false);
        }
        self.note(Event::Outcome { op, outcome: Outcome::Done });
        self.deliver();
    }

    /// All of conversation 2, between users 1 and 2.
    pub(crate) fn page(&mut self, user: i64) {
        let asked = self.t;
        let shown = self.messages.iter().rev().filter(|stored| stored.conversation == 2 && !stored.deleted);
        let shown: Vec<_> = shown.cloned().collect();
        let mut messages = Vec::new();
        for stored in shown {
            let row = self.received(stored.recipient, stored.message);
            if row.hidden && stored.recipient == user {
                continue;
            }
            let (message, sender, body) = (stored.message, stored.sender, stored.body);
            messages.push(PageMessage { message, sender, body, is_read: row.read });
        }
        self.note(Event::Page(Page { user, asked, conversation: 2, newest: true, oldest: true, messages }));
    }

    fn count(&self, user: i64) -> i64 {
        let is_unread = |row: &&StoredEntry| row.kind == Kind::Received && !row.read && !row.hidden;
        i64::try_from(self.mailboxes[&user].iter().filter(is_unread).count()).unwrap()
    }

    fn unread(&mut self, user: i64, via: &str) {
        let (count, asked) = (self.count(user), self.t);
        self.note(Event::Unread { user, count, via: via.to_owned(), asked });
    }

    fn end(mut self) -> Vec<Line> {
        self.note(Event::Healed);
        for user in [1, 2] {
            self.note(Event::Told { user, place: "headers".to_owned(), canaries: vec!["word1".to_owned()] });
            // Asked for after what was noted last.
            self.t += 1;
            self.unread(user, "http");
            self.unread(user, "socket");
            self.page(user);
        }
        for (device, ..) in self.devices.clone() {
            self.note(Event::Wire { device: device.to_owned(), duplicates: 0, gaps: 0 });
            self.leave(device);
        }
        for stored in self.messages.clone() {
            self.note(Event::StoredMessage(stored));
        }
        for (user, rows) in self.mailboxes.clone() {
            let last_seq = rows.last().unwrap().seq;
            rows.into_iter().for_each(|row| self.note(Event::StoredEntry(row)));
            let (epoch, unread) = (format!("epoch{user}"), self.count(user));
            self.note(Event::StoredMailbox { user, epoch, floor: 0, last_seq, unread });
        }
        self.note(Event::StoreEnd);
        self.note(Event::Memory { process: "node 0".to_owned(), bytes: 1_000, limit: Some(1_000) });
        self.note(Event::Rest { what: "sockets".to_owned(), begun: 3, ended: 3 });
        self.lines
    }
}
