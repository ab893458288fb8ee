//! What mailboxes should say: the store's promises, without a store.
//!
//! The commands of a batch are taken in their order, but for what no transaction does twice, and for what has transactions
//! of its own. A command that touches what one before it touches waits until that is done, with all that its actor asked for
//! after it; those that wait come after the others.

mod groups;
mod log;
mod messages;
mod order;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{bail, ensure};
use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, Target, UserId};
use switchboard_store::{Account, Command, Entry, Event, Head, Message, Outcome, Refusal, SendCommand};

use groups::Group;
use log::{Line, Log};
use order::{Behind, Parted, in_order, part};

pub(crate) struct Model {
    logs: HashMap<UserId, Log>,
    messages: BTreeMap<MessageId, Letter>,
    groups: BTreeMap<ConversationId, Group>,
}

/// A message.
struct Letter {
    send: SendCommand,
    /// What it says, and what it said before.
    content: String,
    versions: Vec<String>,
    /// In a group: how many have read it.
    read_count: i64,
    reactions: BTreeSet<(UserId, String)>,
}

impl Letter {
    fn is_of_group(&self) -> bool {
        matches!(self.send.to, Target::Conversation(_))
    }

    fn count(&self, reaction: &str) -> i64 {
        self.reactions.iter().filter(|(_, set)| set == reaction).count() as i64
    }
}

/// An entry that a command should have made, and what it changes of the unread count.
struct Made {
    owner: UserId,
    line: Line,
    unread: i64,
}

impl Made {
    fn new(owner: UserId, line: Line) -> Self {
        Self { owner, line, unread: 0 }
    }
}

impl Model {
    pub(crate) fn new(users: &[Account]) -> Self {
        let logs = users.iter().map(|user| (user.id, Log::new(user.mailbox))).collect();
        Self { logs, messages: BTreeMap::new(), groups: BTreeMap::new() }
    }

    /// Takes a batch, and holds what came of it against what should.
    pub(crate) fn take(&mut self, batch: &[Command], outcomes: &[Outcome]) -> anyhow::Result<()> {
        ensure!(batch.len() == outcomes.len());
        let before: HashMap<_, _> = self.logs.iter().map(|(user, log)| (*user, log.lines.len())).collect();
        let mut left: Vec<usize> = (0..batch.len()).collect();
        while !left.is_empty() {
            let Parted { turn, behind } = part(batch, &left);
            for index in in_order(batch, turn) {
                self.take_one(&batch[index], &outcomes[index])?;
            }
            let mut others = Vec::new();
            for Behind { index, first, is_repeat } in behind {
                match &outcomes[first] {
                    _ if !is_repeat || others.contains(&first) => others.push(index),
                    Outcome::Refused(Refusal::ClientMessageIdReused)
                    | Outcome::Committed(_)
                    | Outcome::Repeated(_) => self.take_one(&batch[index], &outcomes[index])?,
                    refused if batch[index] == batch[first] => ensure!(outcomes[index] == *refused),
                    _ => ensure!(outcomes[index] == Outcome::Refused(Refusal::Busy)),
                }
            }
            left = others;
        }
        self.check_repeats(&before, outcomes)
    }

    /// A repeat tells the unread count of some moment since the batch began.
    fn check_repeats(&self, before: &HashMap<UserId, usize>, outcomes: &[Outcome]) -> anyhow::Result<()> {
        for outcome in outcomes {
            let Outcome::Repeated(entry) = outcome else { continue };
            for (user, log) in self.logs.iter().filter(|(_, log)| log.mailbox == entry.mailbox) {
                let since = log.unread.get(before[user].saturating_sub(1)..).unwrap_or_default();
                ensure!(since.contains(&entry.unread), "{since:?} {entry:?}");
                ensure!(entry.seq <= log.last_seq(), "{entry:?} is ahead of {}", log.last_seq());
            }
        }
        Ok(())
    }

    fn take_one(&mut self, command: &Command, outcome: &Outcome) -> anyhow::Result<()> {
        match command {
            Command::Send(send) => self.send(send, outcome),
            Command::MarkRead { reader, messages } => self.mark_read(*reader, messages, outcome),
            Command::Delete { actor, message } => self.delete(*actor, *message, outcome),
            Command::Edit(edit) => self.edit(edit, outcome),
            Command::React { actor, message, reaction, is_set, .. } => {
                self.react(*actor, *message, (reaction, *is_set), outcome)
            }
            Command::Group { actor, act, .. } => self.change_group(*actor, act, outcome),
            Command::Own { .. } => bail!("the model does not know of {command:?}"),
        }
    }

    /// Whether a user has a message: who leaves its group has it no more.
    fn has(&self, user: UserId, message: MessageId) -> bool {
        self.logs.get(&user).is_some_and(|log| log.find(message).is_some())
    }

    /// A user, and the others who have a message.
    fn holders(&self, actor: UserId, message: MessageId) -> Vec<UserId> {
        let others = self.logs.keys().copied().filter(|user| *user != actor && self.has(*user, message));
        std::iter::once(actor).chain(others).collect()
    }

    /// Adds lines, and looks for them among the entries. The first is the actor's, and comes first; the others come in any
    /// order.
    fn make(&mut self, made: Vec<Made>, outcome: &Outcome) -> anyhow::Result<()> {
        let Outcome::Committed(entries) = outcome else {
            bail!("not committed: {outcome:?}");
        };
        ensure!(made.len() == entries.len(), "{} should be made, and are {entries:?}", made.len());
        for (nth, Made { owner, line, unread }) in made.into_iter().enumerate() {
            let log = self.logs.get_mut(&owner).expect("a user");
            log.add(line, unread);
            let (log, seq) = (&self.logs[&owner], self.logs[&owner].last_seq());
            let is_it = |entry: &&Entry| entry.mailbox == log.mailbox && entry.seq == seq;
            let found = if nth == 0 { entries.first().filter(is_it) } else { entries.iter().find(is_it) };
            let Some(entry) = found else {
                bail!("no {seq} of {owner} in {entries:?}");
            };
            ensure!(entry.unread == log.unread(), "{} are unread after {entry:?}", log.unread());
            self.check(&log.lines[log.lines.len() - 1], entry, None)?;
        }
        Ok(())
    }

    /// What was so already has no entry of its own: the last one of then, or of the end of its transaction, stands for it.
    fn unchanged(&self, actor: UserId, line: &Line, outcome: &Outcome) -> anyhow::Result<()> {
        let Outcome::Repeated(entry) = outcome else {
            bail!("not repeated: {outcome:?}");
        };
        let log = &self.logs[&actor];
        ensure!(entry.mailbox == log.mailbox && entry.seq >= log.last_seq(), "{entry:?}");
        self.check(line, entry, None)
    }

    /// Holds what the store says of a mailbox against what it should.
    pub(crate) fn check_log(&self, user: UserId, head: &Head, entries: &[Entry]) -> anyhow::Result<()> {
        let log = &self.logs[&user];
        let n_lines = log.lines.len();
        let expected = (n_lines, Seq(n_lines as i64), log.unread());
        ensure!((entries.len(), head.last_seq, head.unread) == expected, "{head:?}, not {expected:?}");
        for (position, (line, entry)) in (1..).zip(log.lines.iter().zip(entries)) {
            let place = (log.mailbox, Seq(position), log.unread());
            ensure!((entry.mailbox, entry.seq, entry.unread) == place, "{entry:?} is not at {place:?}");
            self.check(line, entry, Some(()))?;
        }
        Ok(())
    }

    /// `read_back` where it was, and so knows who has read.
    fn check(&self, line: &Line, entry: &Entry, read_back: Option<()>) -> anyhow::Result<()> {
        let is_said = match (&entry.event, line) {
            (Event::Sent(message), Line::Sent(id)) => {
                let letter = &self.messages[id];
                let read_count = read_back.filter(|()| letter.is_of_group()).map(|()| letter.read_count);
                message.read_count == read_count && self.is_of(message, *id)
            }
            (Event::Received(message), Line::Received { message: id, is_read }) => {
                message.is_read == *is_read && message.read_count.is_none() && self.is_of(message, *id)
            }
            (Event::Read { messages }, Line::Read(expected)) => messages == expected,
            (
                Event::Receipt { messages, reader, counts, .. },
                Line::Receipt { messages: expected, reader: by, counts: of },
            ) => (messages, reader, counts) == (expected, by, of),
            (Event::Deleted { message }, Line::Deleted(id)) => message == id,
            (Event::Edited { message, content, .. }, Line::Edited(id)) => {
                message == id && **content == self.messages[id].content
            }
            (Event::Reacted { message, user, reaction, .. }, Line::Reacted { message: id, by, change }) => {
                (message, user, reaction) == (id, by, change)
            }
            (Event::Group { group, actor, change }, Line::Group { group: id, by, change: expected }) => {
                (group, actor, change) == (id, by, expected)
            }
            (Event::Void, Line::Void) => true,
            _ => false,
        };
        ensure!(is_said, "{entry:?} is not {line:?}");
        Ok(())
    }

    fn is_of(&self, message: &Message, id: MessageId) -> bool {
        let Letter { send, content, versions, .. } = &self.messages[&id];
        let recipient = match send.to {
            Target::User(user) => Some(user),
            Target::Conversation(_) => None,
        };
        message.id == id
            && (message.sender, message.recipient, &message.content) == (send.sender, recipient, content)
            && (message.reply_to, &message.mentions) == (send.reply_to, &send.mentions)
            && message.edited_at.is_some() != versions.is_empty()
    }

    /// What each message that a user has said before, the newest first.
    pub(crate) fn versions(&self, user: UserId) -> impl Iterator<Item = (MessageId, Vec<&str>)> {
        let held = self.messages.iter().filter(move |(message, _)| self.has(user, **message));
        held.map(|(message, letter)| (*message, letter.versions.iter().rev().map(String::as_str).collect()))
    }
}

/// Of what was done before, the entry of then, at one of these places; of what never was, nothing.
fn repeated(mailbox: MailboxId, places: &[Seq], outcome: &Outcome) -> anyhow::Result<()> {
    match outcome {
        Outcome::Refused(Refusal::NotFound) => ensure!(places.is_empty(), "not found, but at {places:?}"),
        Outcome::Repeated(entry) => {
            let is_there = entry.mailbox == mailbox && places.contains(&entry.seq);
            ensure!(is_there, "{entry:?} is not at {places:?}");
        }
        other => bail!("not repeated, but {other:?}"),
    }
    Ok(())
}

fn refused(refusal: Refusal, outcome: &Outcome) -> anyhow::Result<()> {
    ensure!(*outcome == Outcome::Refused(refusal), "{outcome:?}, not {refusal:?}");
    Ok(())
}
