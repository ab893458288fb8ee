//! What was sent: by whom, under which client id, with which text, and what became of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::history::{Body, Outcome, Send};

/// A canary, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Canary(u32);

impl Canary {
    /// That of a text that was deleted.
    const NONE: Self = Self(0);
    /// One that nobody sent.
    const FOREIGN: Self = Self(u32::MAX);
}

/// What a message says, as far as it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    canary: Canary,
    bytes: u64,
}

impl Text {
    /// Whether it says nothing, as after a deletion.
    pub(crate) fn is_empty(self) -> bool {
        self.canary == Canary::NONE
    }

    /// Whether nobody sent it.
    pub(crate) fn is_foreign(self) -> bool {
        self.canary == Canary::FOREIGN
    }
}

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody knows: it has no outcome, or none that says anything.
    Unknown,
    /// Refused.
    Refused,
    /// Stored.
    Sent {
        message: i64,
        seq: i64,
        /// Whether it was stored when it was first asked for, on the connection that its device had all the while.
        at_once: bool,
    },
}

/// One request to send a message.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) t: u64,
    pub(crate) op: u64,
    pub(crate) user: i64,
    pub(crate) recipient: i64,
    /// The device that sent it, and which of its connections it had then.
    pub(crate) device: Option<(usize, u32)>,
    pub(crate) key: usize,
    pub(crate) text: Text,
    pub(crate) files: Box<[i64]>,
    pub(crate) fate: Fate,
    /// When that was known.
    pub(crate) fate_t: u64,
    /// The next one under the same key.
    next: Option<usize>,
}

impl Sending {
    /// Whether both ask for the same.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        (self.recipient, self.text, &self.files) == (other.recipient, other.text, &other.files)
    }
}

/// A client id of a sender.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) user: i64,
    pub(crate) name: Arc<str>,
    first: usize,
    last: usize,
}

/// All sends.
#[derive(Debug)]
pub(crate) struct Sends {
    all: Vec<Sending>,
    keys: Vec<Key>,
    by_name: HashMap<i64, HashMap<Arc<str>, usize>>,
    canaries: HashMap<Box<str>, Canary>,
    /// By canary: the first send that had it.
    owners: Vec<usize>,
    /// Who else may know a canary: those whom another send with it named.
    more_owners: HashMap<u32, Vec<i64>>,
    /// By message: the send by which it was first acknowledged.
    acks: HashMap<i64, usize>,
}

impl Default for Sends {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            keys: Vec::new(),
            by_name: HashMap::new(),
            canaries: HashMap::new(),
            // Number 0 is no canary.
            owners: vec![usize::MAX],
            more_owners: HashMap::new(),
            acks: HashMap::new(),
        }
    }
}

impl Sends {
    /// Gives the number of the send.
    pub(super) fn begin(&mut self, t: u64, send: Send, device: Option<(usize, u32)>) -> usize {
        let number = self.all.len();
        let key = self.key_for(&send, number);
        let text = Text { canary: self.canary_for(&send, number), bytes: send.body.bytes };
        let Send { op, user, recipient, attachments, .. } = send;
        let files = sorted(attachments);
        let (fate, fate_t, next) = (Fate::Unknown, t, None);
        self.all.push(Sending { t, op, user, recipient, device, key, text, files, fate, fate_t, next });
        number
    }

    fn key_for(&mut self, send: &Send, number: usize) -> usize {
        let names = self.by_name.entry(send.user).or_default();
        if let Some(key) = names.get(send.client_message_id.as_str()) {
            let last = std::mem::replace(&mut self.keys[*key].last, number);
            self.all[last].next = Some(number);
            return *key;
        }
        let name: Arc<str> = send.client_message_id.as_str().into();
        names.insert(Arc::clone(&name), self.keys.len());
        self.keys.push(Key { user: send.user, name, first: number, last: number });
        self.keys.len() - 1
    }

    fn canary_for(&mut self, send: &Send, number: usize) -> Canary {
        let word = send.body.canary.as_str();
        if word.is_empty() {
            return Canary::NONE;
        }
        if let Some(canary) = self.canaries.get(word) {
            let owners = self.more_owners.entry(canary.0).or_default();
            let first = &self.all[self.owners[canary.0 as usize]];
            for user in [send.user, send.recipient] {
                if user != first.user && user != first.recipient && !owners.contains(&user) {
                    owners.push(user);
                }
            }
            return *canary;
        }
        let canary = Canary(u32::try_from(self.owners.len()).unwrap_or(u32::MAX));
        self.owners.push(number);
        self.canaries.insert(word.into(), canary);
        canary
    }

    /// `connection` is the one that the device has now.
    pub(super) fn end(&mut self, t: u64, number: usize, outcome: &Outcome, connection: Option<u32>) {
        let sending = &mut self.all[number];
        sending.fate_t = t;
        sending.fate = match *outcome {
            Outcome::Sent { message, seq, repeat, again } => {
                self.acks.entry(message).or_insert(number);
                let stayed = sending.device.is_some_and(|(_, then)| connection == Some(then));
                Fate::Sent { message, seq, at_once: stayed && !repeat && !again }
            }
            Outcome::Fail { .. } => Fate::Refused,
            Outcome::Done | Outcome::Info { .. } => Fate::Unknown,
        };
    }

    /// The device that sent it.
    pub(super) fn device(&self, number: usize) -> Option<usize> {
        self.all[number].device.map(|(device, _)| device)
    }

    /// All, in the order in which they were begun.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Sending> {
        self.all.iter()
    }

    /// The client ids.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Those under one client id, in the order in which they were begun.
    pub(crate) fn of_key(&self, key: usize) -> impl Iterator<Item = &Sending> {
        let first = self.keys.get(key).map(|key| &self.all[key.first]);
        std::iter::successors(first, |sending| sending.next.map(|next| &self.all[next]))
    }

    pub(crate) fn find_key(&self, user: i64, name: &str) -> Option<usize> {
        self.by_name.get(&user)?.get(name).copied()
    }

    /// The send by which the message was first acknowledged.
    pub(crate) fn ack(&self, message: i64) -> Option<&Sending> {
        self.acks.get(&message).map(|number| &self.all[*number])
    }

    /// When the message was first acknowledged.
    pub(crate) fn acknowledged(&self, message: i64) -> Option<u64> {
        self.ack(message).map(|sending| sending.fate_t)
    }

    /// How many different messages were acknowledged.
    pub(crate) fn n_acknowledged(&self) -> u64 {
        self.acks.len() as u64
    }

    pub(crate) fn text(&self, body: &Body) -> Text {
        Text { bytes: body.bytes, ..self.word(&body.canary) }
    }

    /// A text of which only the canary is known.
    pub(crate) fn word(&self, canary: &str) -> Text {
        let canary = match canary {
            "" => Canary::NONE,
            word => self.canaries.get(word).copied().unwrap_or(Canary::FOREIGN),
        };
        Text { canary, bytes: 0 }
    }

    /// The first send with the text's canary, if anybody sent it.
    pub(crate) fn owner(&self, text: Text) -> Option<&Sending> {
        self.owners.get(text.canary.0 as usize).and_then(|number| self.all.get(*number))
    }

    /// Whether a user may know the text. Of one that nobody sent, nothing is known.
    pub(crate) fn may_know(&self, user: i64, text: Text) -> bool {
        self.owner(text).is_none_or(|sending| {
            let more = || self.more_owners.get(&text.canary.0);
            sending.user == user
                || sending.recipient == user
                || more().is_some_and(|more| more.contains(&user))
        })
    }
}

/// The order of a message's files says nothing.
pub(super) fn sorted(mut files: Vec<i64>) -> Box<[i64]> {
    files.sort_unstable();
    files.into_boxed_slice()
}
