//! What mailboxes should say: the store's promises, without a store.
//!
//! The commands of a batch are taken in their order, but for what no transaction does twice: a command that touches what one
//! before it touches waits until that is done, and those that wait come after the others.

use std::collections::{BTreeMap, HashMap};

use anyhow::{bail, ensure};
use switchboard_protocol::{MailboxId, MessageId, Seq, Target, UserId};
use switchboard_store::{Account, Command, Entry, Event, Head, Outcome, Refusal, SendCommand};

pub(crate) struct Model {
    logs: HashMap<UserId, Log>,
    messages: BTreeMap<MessageId, SendCommand>,
}

struct Log {
    mailbox: MailboxId,
    lines: Vec<Line>,
    /// After each line.
    unread: Vec<i64>,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq)]
enum Line {
    Sent(MessageId),
    Received { message: MessageId, is_read: bool },
    Read(Vec<MessageId>),
    Receipt { messages: Vec<MessageId>, reader: UserId },
    Deleted(MessageId),
    Void,
}

/// An entry that a command should have made.
type Made = (UserId, Line);

impl Log {
    fn unread(&self) -> i64 {
        self.unread.last().copied().unwrap_or_default()
    }

    /// Whether the owner has the message, and whether as one that was received and not read.
    fn find(&self, message: MessageId) -> Option<bool> {
        let has = |line: &&Line| match line {
            Line::Sent(id) | Line::Received { message: id, .. } => *id == message,
            _ => false,
        };
        let is_unread = |line: &Line| matches!(line, Line::Received { is_read: false, .. });
        let mut found = self.lines.iter().filter(has).peekable();
        found.peek()?;
        Some(found.any(is_unread))
    }

    /// What says of this message that it was received: whether it was read.
    fn received(&mut self, of: MessageId) -> Option<&mut bool> {
        self.lines.iter_mut().find_map(|line| match line {
            Line::Received { message, is_read } if *message == of => Some(is_read),
            _ => None,
        })
    }

    /// Voids what says something of this message alone.
    fn hide(&mut self, message: MessageId) {
        for line in &mut self.lines {
            let is_of_it = match line {
                Line::Sent(id) | Line::Received { message: id, .. } => *id == message,
                Line::Read(messages) | Line::Receipt { messages, .. } => *messages == [message],
                Line::Deleted(_) | Line::Void => false,
            };
            if is_of_it {
                *line = Line::Void;
            }
        }
    }

    /// The positions whose lines are such.
    fn find_all(&self, is_such: impl Fn(&Line) -> bool) -> Vec<Seq> {
        (1..).map(Seq).zip(&self.lines).filter(|(_, line)| is_such(line)).map(|(seq, _)| seq).collect()
    }
}

impl Model {
    pub(crate) fn new(users: &[Account]) -> Self {
        let log = |user: &Account| Log { mailbox: user.mailbox, lines: Vec::new(), unread: Vec::new() };
        Self { logs: users.iter().map(|user| (user.id, log(user))).collect(), messages: BTreeMap::new() }
    }

    /// Takes a batch, and holds what came of it against what should.
    pub(crate) fn take(&mut self, batch: &[Command], outcomes: &[Outcome]) -> anyhow::Result<()> {
        ensure!(batch.len() == outcomes.len());
        let before: HashMap<_, _> = self.logs.iter().map(|(user, log)| (*user, log.lines.len())).collect();
        let mut left: Vec<usize> = (0..batch.len()).collect();
        while !left.is_empty() {
            let behind = |index: &usize| {
                let first = left.iter().find(|first| touch(&batch[**first], &batch[*index]));
                first.copied().filter(|first| first < index)
            };
            let turn: Vec<usize> = left.iter().copied().filter(|index| behind(index).is_none()).collect();
            for index in in_order(batch, turn) {
                self.take_one(&batch[index], &outcomes[index])?;
            }
            let mut others = Vec::new();
            for (index, first) in left.iter().filter_map(|index| Some((*index, behind(index)?))) {
                let is_same = batch[index] == batch[first];
                let is_send = matches!(batch[index], Command::Send(_));
                match &outcomes[first] {
                    _ if !is_same && !is_send || others.contains(&first) => others.push(index),
                    Outcome::Refused(Refusal::ClientMessageIdReused)
                    | Outcome::Committed(_)
                    | Outcome::Repeated(_) => self.take_one(&batch[index], &outcomes[index])?,
                    refused if is_same => ensure!(outcomes[index] == *refused),
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
            }
        }
        Ok(())
    }

    fn take_one(&mut self, command: &Command, outcome: &Outcome) -> anyhow::Result<()> {
        match command {
            Command::Send(send) => self.send(send, outcome),
            Command::MarkRead { reader, messages } => self.mark_read(*reader, messages, outcome),
            Command::Delete { actor, message } => self.delete(*actor, *message, outcome),
            other => bail!("the model does not know of {other:?}"),
        }
    }

    fn send(&mut self, send: &SendCommand, outcome: &Outcome) -> anyhow::Result<()> {
        let is_prior = |prior: &SendCommand| {
            prior.sender == send.sender && prior.client_message_id == send.client_message_id
        };
        if let Some((message, prior)) = self.messages.iter().find(|(_, prior)| is_prior(prior)) {
            if prior != send {
                ensure!(*outcome == Outcome::Refused(Refusal::ClientMessageIdReused));
                return Ok(());
            }
            // It has the place that it had, deleted or not, and says what the request says.
            let Outcome::Repeated(Entry { event: Event::Sent(again), mailbox, seq, .. }) = outcome else {
                bail!("not repeated: {outcome:?}");
            };
            let log = &self.logs[&send.sender];
            let line = log.lines.get(seq.0 as usize - 1);
            ensure!(*mailbox == log.mailbox && again.id == *message && again.content == send.content);
            ensure!(line == Some(&Line::Sent(*message)) || line == Some(&Line::Void), "{line:?} at {seq}");
            return Ok(());
        }
        if !self.logs.contains_key(&recipient(send)) {
            ensure!(*outcome == Outcome::Refused(Refusal::UnknownRecipient));
            return Ok(());
        }
        let Outcome::Committed(entries) = outcome else {
            bail!("not committed: {outcome:?}");
        };
        let Some(Event::Sent(sent)) = entries.first().map(|entry| &entry.event) else {
            bail!("not sent: {entries:?}");
        };
        let message = sent.id;
        ensure!(self.messages.insert(message, send.clone()).is_none(), "its id is that of another");
        let is_read = send.sender == recipient(send);
        let made =
            [(send.sender, Line::Sent(message)), (recipient(send), Line::Received { message, is_read })];
        self.make(made.into(), &[0, i64::from(!is_read)], entries)
    }

    fn mark_read(&mut self, reader: UserId, messages: &[MessageId], outcome: &Outcome) -> anyhow::Result<()> {
        let log = self.logs.get_mut(&reader).expect("a user");
        let (mut marked, mut before) = (Vec::new(), Vec::new());
        for message in messages {
            match log.received(*message) {
                Some(is_read @ false) => {
                    *is_read = true;
                    marked.push(*message);
                }
                Some(true) => before.push(*message),
                None => {}
            }
        }
        if marked.is_empty() {
            // Of several it may be the entry of any that is still there.
            let is_it = |line: &Line| match line {
                Line::Received { message, .. } => before.contains(message),
                Line::Read(read) => read.last().is_some_and(|message| before.contains(message)),
                _ => false,
            };
            let mut places = log.find_all(is_it);
            if messages.len() == 1 {
                places.drain(..places.len().saturating_sub(1));
            }
            return repeated(log.mailbox, &places, outcome);
        }
        marked.sort();
        let mut of_sender: BTreeMap<UserId, Vec<MessageId>> = BTreeMap::new();
        for message in &marked {
            of_sender.entry(self.messages[message].sender).or_default().push(*message);
        }
        let mut changes = vec![0; of_sender.len() + 1];
        changes[0] = -(marked.len() as i64);
        let receipts =
            of_sender.into_iter().map(|(sender, messages)| (sender, Line::Receipt { messages, reader }));
        let made = std::iter::once((reader, Line::Read(marked))).chain(receipts).collect();
        match outcome {
            Outcome::Committed(entries) => self.make(made, &changes, entries),
            other => bail!("not committed: {other:?}"),
        }
    }

    fn delete(&mut self, actor: UserId, message: MessageId, outcome: &Outcome) -> anyhow::Result<()> {
        let log = &self.logs[&actor];
        if log.find(message).is_none() {
            let places = log.find_all(|line| *line == Line::Deleted(message));
            return repeated(log.mailbox, &places, outcome);
        }
        let (sender, recipient) = (self.messages[&message].sender, recipient(&self.messages[&message]));
        let mut holders = vec![actor];
        let other = if sender == actor { recipient } else { actor };
        if other != actor && self.logs[&other].find(message).is_some() {
            holders.push(other);
        }
        let mut changes = Vec::new();
        for holder in &holders {
            let log = self.logs.get_mut(holder).expect("a user");
            changes.push(-i64::from(log.find(message) == Some(true)));
            log.hide(message);
        }
        let made = holders.into_iter().map(|holder| (holder, Line::Deleted(message))).collect();
        match outcome {
            Outcome::Committed(entries) => self.make(made, &changes, entries),
            other => bail!("not committed: {other:?}"),
        }
    }

    /// Adds lines with what each changes of the unread count, and looks for them among the entries. The first is the
    /// actor's, and comes first; the others come in any order.
    fn make(&mut self, made: Vec<Made>, changes: &[i64], entries: &[Entry]) -> anyhow::Result<()> {
        ensure!(made.len() == entries.len(), "{made:?} became {entries:?}");
        for (nth, ((owner, line), change)) in made.into_iter().zip(changes).enumerate() {
            let log = self.logs.get_mut(&owner).expect("a user");
            let unread = log.unread() + change;
            log.unread.push(unread);
            log.lines.push(line);
            let (log, seq) = (&self.logs[&owner], Seq(self.logs[&owner].lines.len() as i64));
            let is_it = |entry: &&Entry| entry.mailbox == log.mailbox && entry.seq == seq;
            let found = if nth == 0 { entries.first().filter(is_it) } else { entries.iter().find(is_it) };
            let Some(entry) = found else {
                bail!("no {seq} of {owner} in {entries:?}");
            };
            ensure!(entry.unread == unread, "{unread} are unread after {entry:?}");
            self.check(&log.lines[log.lines.len() - 1], entry)?;
        }
        Ok(())
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
            self.check(line, entry)?;
        }
        Ok(())
    }

    fn check(&self, line: &Line, entry: &Entry) -> anyhow::Result<()> {
        let is_said = match (&entry.event, line) {
            (Event::Sent(message), Line::Sent(id)) => message.id == *id && self.is_of(message, *id),
            (Event::Received(message), Line::Received { message: id, is_read }) => {
                message.id == *id && message.is_read == *is_read && self.is_of(message, *id)
            }
            (Event::Read { messages }, Line::Read(expected)) => messages == expected,
            (Event::Receipt { messages, reader, .. }, Line::Receipt { messages: expected, reader: by }) => {
                messages == expected && reader == by
            }
            (Event::Deleted { message }, Line::Deleted(id)) => message == id,
            (Event::Void, Line::Void) => true,
            _ => false,
        };
        ensure!(is_said, "{entry:?} is not {line:?}");
        Ok(())
    }

    fn is_of(&self, message: &switchboard_store::Message, id: MessageId) -> bool {
        let send = &self.messages[&id];
        let expected = (send.sender, Some(recipient(send)), &send.content);
        (message.sender, message.recipient, &message.content) == expected
    }
}

/// The commands of a turn as they are done: those of one user in their order, and with as few changes between deletions and
/// the others as that allows.
fn in_order(batch: &[Command], mut turn: Vec<usize>) -> Vec<usize> {
    let (mut transactions, mut place, mut of_user) = (Vec::new(), HashMap::new(), HashMap::new());
    for &index in &turn {
        let is_delete = matches!(batch[index], Command::Delete { .. });
        let mut at: usize = of_user.get(&batch[index].actor()).copied().unwrap_or(0);
        while transactions.get(at).is_some_and(|of_deletes| *of_deletes != is_delete) {
            at += 1;
        }
        if at == transactions.len() {
            transactions.push(is_delete);
        }
        of_user.insert(batch[index].actor(), at);
        place.insert(index, at);
    }
    turn.sort_by_key(|index| place[index]);
    turn
}

/// The user whom a message goes to.
fn recipient(send: &SendCommand) -> UserId {
    match send.to {
        Target::User(user) => user,
        Target::Conversation(_) => UserId(i64::MAX),
    }
}

/// Whether no transaction does both.
fn touch(one: &Command, other: &Command) -> bool {
    match (one, other) {
        (Command::Send(one), Command::Send(other)) => {
            (one.sender, &one.client_message_id) == (other.sender, &other.client_message_id)
        }
        (Command::MarkRead { reader, messages }, Command::MarkRead { reader: other, messages: others }) => {
            reader == other && messages.iter().any(|message| others.contains(message))
        }
        (Command::Delete { message, .. }, Command::Delete { message: other, .. }) => message == other,
        _ => false,
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
