//! What the store held in the end.

use std::collections::{BTreeMap, HashMap};

use super::sends::{Sends, Text, sorted};
use crate::history::{Kind, StoredEntry, StoredMessage};

/// A message in the store.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) message: i64,
    pub(crate) conversation: i64,
    pub(crate) sender: i64,
    pub(crate) recipient: i64,
    /// None if nobody sent under this client id.
    pub(crate) key: Option<usize>,
    pub(crate) text: Text,
    pub(crate) is_deleted: bool,
    pub(crate) files: Box<[i64]>,
    pub(crate) copies: Copies,
}

impl Stored {
    /// Whether it is to the sender itself.
    pub(crate) fn is_to_oneself(&self) -> bool {
        self.sender == self.recipient
    }

    /// Whether the user is the sender or the recipient.
    pub(crate) fn is_of(&self, user: i64) -> bool {
        self.sender == user || self.recipient == user
    }
}

/// What mailboxes say of a message: how many entries of each kind, where they belong, and what these say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copies {
    pub(crate) n_sent: u32,
    pub(crate) n_received: u32,
    pub(crate) n_read: u32,
    pub(crate) n_receipts: u32,
    pub(crate) n_deleted_of_sender: u32,
    pub(crate) n_deleted_of_recipient: u32,
    pub(crate) sent_seq: i64,
    pub(crate) received_seq: i64,
    pub(crate) sent_is_hidden: bool,
    pub(crate) received_is_hidden: bool,
    pub(crate) is_read: bool,
}

impl Copies {
    /// Counts an entry in the mailbox of the sender, the recipient or both. Gives whether it belongs there.
    fn count(&mut self, row: &Row, of_sender: bool, of_recipient: bool) -> bool {
        let (counter, belongs) = match row.kind {
            Kind::Sent => (&mut self.n_sent, of_sender),
            Kind::Received => (&mut self.n_received, of_recipient),
            Kind::Read => (&mut self.n_read, of_recipient),
            Kind::Receipt => (&mut self.n_receipts, of_sender),
            Kind::Deleted if of_sender => (&mut self.n_deleted_of_sender, true),
            Kind::Deleted => (&mut self.n_deleted_of_recipient, of_recipient),
            Kind::Void | Kind::Other => return true,
        };
        if !belongs {
            return false;
        }
        *counter += 1;
        match row.kind {
            Kind::Sent => (self.sent_seq, self.sent_is_hidden) = (row.seq, row.hidden),
            Kind::Received => {
                (self.received_seq, self.received_is_hidden, self.is_read) = (row.seq, row.hidden, row.read);
            }
            _ => {}
        }
        true
    }
}

/// An entry in the store.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) kind: Kind,
    pub(crate) read: bool,
    pub(crate) hidden: bool,
    pub(crate) messages: Messages,
}

/// The messages of an entry: nearly always one.
#[derive(Debug)]
pub(crate) enum Messages {
    One(i64),
    Several(Box<[i64]>),
}

impl Messages {
    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        match self {
            Self::One(message) => std::slice::from_ref(message),
            Self::Several(messages) => messages,
        }
        .iter()
        .copied()
    }
}

/// What the store says of a whole mailbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) floor: i64,
    pub(crate) last_seq: i64,
    pub(crate) unread: i64,
}

/// A mailbox in the store.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// By position, once the store has been read.
    pub(crate) rows: Vec<Row>,
    pub(crate) head: Option<Head>,
    pub(crate) epoch: String,
}

impl Mailbox {
    /// Whether entries that only tell of others may have been removed.
    pub(crate) fn is_trimmed(&self) -> bool {
        self.head.is_some_and(|head| head.floor > 0)
    }
}

/// The store, in the end.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) messages: Vec<Stored>,
    by_id: HashMap<i64, usize>,
    pub(crate) mailboxes: BTreeMap<i64, Mailbox>,
    /// Entries in a mailbox where they do not belong, or of no message: the user, the position, the message.
    pub(crate) strays: Vec<(i64, i64, Kind, i64)>,
}

impl Store {
    pub(super) fn message(&mut self, stored: StoredMessage, sends: &Sends) {
        self.by_id.entry(stored.message).or_insert(self.messages.len());
        self.messages.push(Stored {
            message: stored.message,
            conversation: stored.conversation,
            sender: stored.sender,
            recipient: stored.recipient,
            key: sends.find_key(stored.sender, &stored.client_message_id),
            text: sends.text(&stored.body),
            is_deleted: stored.deleted,
            files: sorted(stored.attachments),
            copies: Copies::default(),
        });
    }

    pub(super) fn entry(&mut self, entry: StoredEntry) {
        let StoredEntry { user, seq, kind, messages, read, hidden } = entry;
        let messages = match *messages {
            [message] => Messages::One(message),
            _ => Messages::Several(messages.into_boxed_slice()),
        };
        self.mailboxes.entry(user).or_default().rows.push(Row { seq, kind, read, hidden, messages });
    }

    /// Puts it in order, once it has been read.
    pub(super) fn close(&mut self) {
        for (user, mailbox) in &mut self.mailboxes {
            mailbox.rows.sort_by_key(|row| row.seq);
            for row in &mailbox.rows {
                for message in row.messages.iter() {
                    let stored = self.by_id.get(&message).map(|at| &mut self.messages[*at]);
                    let belongs = stored.is_some_and(|stored| {
                        let (of_sender, of_recipient) = (stored.sender == *user, stored.recipient == *user);
                        stored.copies.count(row, of_sender, of_recipient)
                    });
                    if !belongs {
                        self.strays.push((*user, row.seq, row.kind, message));
                    }
                }
            }
        }
    }

    /// The message, if the store has it.
    pub(crate) fn find(&self, message: i64) -> Option<&Stored> {
        self.by_id.get(&message).map(|at| &self.messages[*at])
    }

    /// The count of a mailbox's unread messages, made anew.
    pub(crate) fn recount(&self, mailbox: &Mailbox) -> i64 {
        let is_unread = |row: &&Row| {
            let exists = |message| self.find(message).is_none_or(|stored| !stored.is_deleted);
            row.kind == Kind::Received && !row.read && !row.hidden && row.messages.iter().all(exists)
        };
        i64::try_from(mailbox.rows.iter().filter(is_unread).count()).unwrap_or(i64::MAX)
    }
}
