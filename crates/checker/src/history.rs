//! The history of a run, as JSON lines: what clients asked for and were answered, what devices were given, which faults
//! there were, and what the store held in the end.
//!
//! One recorder writes it, by one monotonic clock. A line stands where its event was seen: a request before its first byte
//! leaves, an outcome or an entry after its last byte came. What is not in the history did not happen.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, in microseconds since the history began.
    pub t: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened. Users, messages, conversations and positions have the numbers that the service gave them; operations
/// have those of the recorder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// First of all: by which bounds the history is judged.
    Begin(Begin),
    /// A fault began or ended.
    Fault {
        /// Which, such as `redis_killed`.
        name: String,
        /// What it concerns.
        scope: Scope,
        /// Whether it begins or ends.
        phase: Phase,
        /// More, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// All faults are over, and no more requests are made: from here on everything is to come to rest.
    Healed,

    /// A message is about to be sent, for the first time or again.
    Send(Send),
    /// A message is about to be marked as read.
    Read {
        /// Names the operation.
        op: u64,
        /// Who reads.
        user: i64,
        /// What.
        message: i64,
    },
    /// A message is about to be deleted.
    Delete {
        /// Names the operation.
        op: u64,
        /// Who deletes.
        user: i64,
        /// What.
        message: i64,
    },
    /// What became of an operation.
    Outcome {
        /// Which operation.
        op: u64,
        /// What became of it.
        #[serde(flatten)]
        outcome: Outcome,
    },

    /// A device is about to ask for a connection: what was deleted or read before is so in all that it then hears.
    /// Without this line, the end of its connection before counts.
    Connecting {
        /// Which device.
        device: String,
    },
    /// A device has a connection. It may have had others before; its cursor goes on.
    Connected {
        /// Which device; names are unique in a history.
        device: String,
        /// Whose it is.
        user: i64,
        /// By what: `websocket`, `stream`, `poll`.
        transport: String,
        /// The position after which entries come.
        cursor: i64,
        /// The epoch of the mailbox.
        epoch: String,
    },
    /// A device was given an entry of its mailbox and applied it.
    Entry(Entry),
    /// A device was told to adopt another cursor.
    Reset {
        /// Which device.
        device: String,
        /// The cursor.
        cursor: i64,
        /// The epoch.
        epoch: String,
    },
    /// A connection of a device ended.
    Disconnected {
        /// Which device.
        device: String,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A device has left for good: nothing more need come to it.
    Left {
        /// Which device.
        device: String,
    },
    /// What a device saw on the wire and did not apply.
    Wire {
        /// Which device.
        device: String,
        /// Entries that came a second time.
        duplicates: u64,
        /// Entries that came too early.
        gaps: u64,
    },
    /// The credentials of a device have ended: the service has answered so.
    CutOff {
        /// Which device.
        device: String,
    },

    /// A page of a conversation's history was read.
    Page(Page),
    /// The count of unread messages was read.
    Unread {
        /// Whose.
        user: i64,
        /// The count.
        count: i64,
        /// By which way: `http`, `socket`, `welcome`.
        via: String,
        /// When it was asked for.
        asked: u64,
    },
    /// A user was told these canaries in anything that is not among the other events: bodies, headers, errors.
    Told {
        /// Who.
        user: i64,
        /// In what.
        place: String,
        /// The canaries.
        canaries: Vec<String>,
    },
    /// A canary stands where none may: in a log, in a metric.
    Exposed {
        /// Where.
        place: String,
        /// The canary.
        canary: String,
    },

    /// A message in the store, at the end.
    StoredMessage(StoredMessage),
    /// An entry in the store, at the end.
    StoredEntry(StoredEntry),
    /// A mailbox in the store, at the end, after its entries.
    StoredMailbox {
        /// Whose.
        user: i64,
        /// Its epoch.
        epoch: String,
        /// Entries up to here may be gone.
        floor: i64,
        /// The last entry.
        last_seq: i64,
        /// The count that the store keeps.
        unread: i64,
    },
    /// The store has been read to its end.
    StoreEnd,

    /// The memory of a process.
    Memory {
        /// Which.
        process: String,
        /// Resident bytes.
        bytes: u64,
        /// What it may have at this moment, if there is a bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    },
    /// A quantity that has to come back to where it began once everybody has left: sockets, subscriptions, tasks.
    Rest {
        /// What.
        what: String,
        /// How many there were before anybody came.
        begun: i64,
        /// How many there are now.
        ended: i64,
    },
}

/// By which bounds a history is judged, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// What the run was made from, if it was by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Everything missing is there so long after the last fault (D7).
    pub heal_within_ms: u64,
    /// What the channel layer did not bring comes within this (D8).
    pub sweep_within_ms: u64,
    /// Nothing new comes so long after credentials have ended (C2).
    pub cut_within_ms: u64,
}

/// What a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The channel layer, or the way to it: delivery goes on.
    Layer,
    /// The store, or the way to it.
    Store,
    /// A node.
    Node,
    /// The balancer, or the clients' way to it.
    Clients,
    /// The clock of a node.
    Clock,
    /// Nothing that holds anything up: hostile or slow peers.
    Peers,
}

/// Where a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It begins.
    Begin,
    /// What was done to the system is undone; it may need time to recover.
    End,
}

/// What a message says, as far as it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Body {
    /// A word that no other message has; empty once it was deleted.
    pub canary: String,
    /// Bytes of the whole text.
    pub bytes: u64,
}

/// A message on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// Names the operation.
    pub op: u64,
    /// Who sends.
    pub user: i64,
    /// By which device, if it is one: what it sends one after the other keeps its order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Who is to receive it.
    pub recipient: i64,
    /// What the sender calls it.
    pub client_message_id: String,
    /// What it says.
    pub body: Body,
    /// Files that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<i64>,
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A message is stored.
    Sent {
        /// The message.
        message: i64,
        /// Its position in the mailbox of the sender.
        seq: i64,
        /// Whether it was there before.
        repeat: bool,
        /// Whether the device had to ask more than once, so that it says nothing of the order on a socket.
        #[serde(default)]
        again: bool,
    },
    /// It is done.
    Done,
    /// A definite refusal: nothing was changed.
    Fail {
        /// The code.
        code: String,
    },
    /// Nobody knows.
    Info {
        /// Why.
        reason: String,
    },
}

/// An entry that a device applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which device.
    pub device: String,
    /// The position.
    pub seq: i64,
    /// Its kind.
    pub kind: Kind,
    /// The message; of several, all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<i64>,
    /// Where the message is, if the entry is a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<i64>,
    /// Who sent it, if the entry is a message; who read it, if it is a receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<i64>,
    /// Who received it, if the entry is a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<i64>,
    /// What it says, if the entry is a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// What the sender calls it, if the entry is a sent message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// Whether it is shown as read, if the entry is a received message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_read: Option<bool>,
}

/// The kind of an entry, on the wire and in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A message was received: `new_message`.
    Received,
    /// A message was sent: `message_sent`.
    Sent,
    /// Messages were read: `message_read`.
    Read,
    /// Messages were read by their recipient: `read_receipt`.
    Receipt,
    /// A message was deleted: `message_deleted`.
    Deleted,
    /// It no longer says anything: `void`.
    Void,
    /// Of a kind that is not judged.
    #[default]
    Other,
}

/// A page of a conversation's history, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Who asked.
    pub user: i64,
    /// When they asked: what was acknowledged before is in it.
    pub asked: u64,
    /// The conversation.
    pub conversation: i64,
    /// Whether it begins with the newest message.
    pub newest: bool,
    /// Whether there is nothing older.
    pub oldest: bool,
    /// The messages, newest first.
    pub messages: Vec<PageMessage>,
}

/// A message in a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageMessage {
    /// The message.
    pub message: i64,
    /// Who sent it.
    pub sender: i64,
    /// What it says.
    pub body: Body,
    /// Whether it is shown as read.
    pub is_read: bool,
}

/// A message in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// The message.
    pub message: i64,
    /// Where it is.
    pub conversation: i64,
    /// Who sent it.
    pub sender: i64,
    /// Who receives it: the other member of the conversation.
    pub recipient: i64,
    /// What the sender calls it.
    pub client_message_id: String,
    /// What it says; empty once deleted.
    pub body: Body,
    /// Whether it was deleted for both.
    pub deleted: bool,
    /// Its files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<i64>,
}

/// An entry in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntry {
    /// Whose mailbox.
    pub user: i64,
    /// The position.
    pub seq: i64,
    /// Its kind as it was written: never `void`.
    pub kind: Kind,
    /// The message; of several, all.
    pub messages: Vec<i64>,
    /// Whether it was read, if it is a received message.
    pub read: bool,
    /// Whether the owner deleted it.
    pub hidden: bool,
}

/// Writes a history. Clones write the same one.
#[derive(Clone, Debug)]
pub struct Recorder {
    began: Instant,
    /// Held for one line.
    file: Arc<Mutex<BufWriter<File>>>,
}

impl Recorder {
    /// Begins a history in a new file.
    ///
    /// # Errors
    /// If the file cannot be made or written.
    pub fn create(path: &Path, begin: Begin) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let recorder = Self { began: Instant::now(), file: Arc::new(Mutex::new(file)) };
        recorder.note(Event::Begin(begin))?;
        Ok(recorder)
    }

    /// The present moment, in microseconds since the history began.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Writes one line. Lines stand in the order of their times.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn note(&self, event: Event) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_writer(&mut *file, &Line { t: self.now(), event })?;
        file.write_all(b"\n")
    }

    /// Has everything in the file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&self) -> io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// Reads a history, line by line.
///
/// # Errors
/// Each line that cannot be read, with its number.
pub fn read(from: impl BufRead) -> impl Iterator<Item = io::Result<Line>> {
    (1..).zip(from.lines()).map(|(number, line): (u64, _)| {
        serde_json::from_str(&line?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("line {number}: {error}")))
    })
}
