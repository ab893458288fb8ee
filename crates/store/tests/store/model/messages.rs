//! What is done with messages.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use switchboard_protocol::{MessageId, Target, UserId};
use switchboard_store::{Edit, Entry, Event, Outcome, ReactionChange, Refusal, SendCommand};

use super::{Letter, Line, Made, Model, refused, repeated};

impl Model {
    pub(super) fn send(&mut self, send: &SendCommand, outcome: &Outcome) -> anyhow::Result<()> {
        let is_prior = |prior: &SendCommand| {
            prior.sender == send.sender && prior.client_message_id == send.client_message_id
        };
        if let Some((message, prior)) = self.messages.iter().find(|(_, prior)| is_prior(&prior.send)) {
            if prior.send != *send {
                return refused(Refusal::ClientMessageIdReused, outcome);
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
        let recipients = match self.recipients(send) {
            Ok(recipients) => recipients,
            Err(refusal) => return refused(refusal, outcome),
        };
        let sent = match outcome {
            Outcome::Committed(entries) => entries.first().map(|entry| &entry.event),
            _ => None,
        };
        let Some(Event::Sent(sent)) = sent else {
            bail!("not sent: {outcome:?}");
        };
        let message = sent.id;
        let letter = Letter {
            send: send.clone(),
            content: send.content.clone(),
            versions: Vec::new(),
            read_count: 0,
            reactions: BTreeSet::new(),
        };
        ensure!(self.messages.insert(message, letter).is_none(), "its id is that of another");
        let mut made = vec![Made::new(send.sender, Line::Sent(message))];
        made.extend(recipients.into_iter().map(|owner| {
            let is_read = owner == send.sender;
            Made { owner, line: Line::Received { message, is_read }, unread: i64::from(!is_read) }
        }));
        self.make(made, outcome)
    }

    /// Who receives it, if it may be sent.
    fn recipients(&self, send: &SendCommand) -> Result<Vec<UserId>, Refusal> {
        let members: Vec<UserId> = match send.to {
            Target::User(user) if !self.logs.contains_key(&user) => return Err(Refusal::UnknownRecipient),
            Target::User(user) => vec![send.sender, user],
            Target::Conversation(group) => {
                let members = self.groups.get(&group).map(|group| group.members.keys().copied().collect());
                members.filter(|them: &Vec<_>| them.contains(&send.sender)).ok_or(Refusal::NotFound)?
            }
        };
        let is_there = |reply_to: MessageId| {
            self.has(send.sender, reply_to) && is_same_place(&self.messages[&reply_to].send, send)
        };
        if !send.reply_to.is_none_or(is_there) {
            return Err(Refusal::NotFound);
        }
        if !send.mentions.iter().all(|user| members.contains(user)) {
            return Err(Refusal::UnknownMention);
        }
        Ok(match send.to {
            Target::User(user) => vec![user],
            Target::Conversation(_) => members.into_iter().filter(|user| *user != send.sender).collect(),
        })
    }

    pub(super) fn mark_read(
        &mut self,
        reader: UserId,
        messages: &[MessageId],
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
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
        let receipts = self.receipts(reader, &marked, outcome)?;
        let unread = -(marked.len() as i64);
        let mut made = vec![Made { owner: reader, line: Line::Read(marked), unread }];
        made.extend(receipts);
        self.make(made, outcome)
    }

    /// What the senders learn, as far as they still have the messages: of those of two before those of groups.
    fn receipts(
        &mut self,
        reader: UserId,
        marked: &[MessageId],
        outcome: &Outcome,
    ) -> anyhow::Result<Vec<Made>> {
        let mut of_sender: BTreeMap<(bool, UserId), Vec<MessageId>> = BTreeMap::new();
        for message in marked {
            let letter = &self.messages[message];
            if self.has(letter.send.sender, *message) {
                of_sender.entry((letter.is_of_group(), letter.send.sender)).or_default().push(*message);
            }
        }
        let mut made = Vec::new();
        for ((of_group, owner), messages) in of_sender {
            let mut counts = Vec::new();
            for message in messages.iter().filter(|_| of_group) {
                let letter = self.messages.get_mut(message).expect("it is there");
                letter.read_count += 1;
                counts.push(letter.read_count);
            }
            let told = told_counts(outcome, reader, &messages);
            // Those who read in the same transaction may be in it.
            let is_right =
                told.len() == counts.len() && counts.iter().zip(&told).all(|(count, told)| told >= count);
            ensure!(is_right, "{counts:?} have read {messages:?}, not {told:?}");
            made.push(Made::new(owner, Line::Receipt { messages, reader, counts: told }));
        }
        Ok(made)
    }

    pub(super) fn delete(
        &mut self,
        actor: UserId,
        message: MessageId,
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        if !self.has(actor, message) {
            let log = &self.logs[&actor];
            let places = log.find_all(|line| *line == Line::Deleted(message));
            return repeated(log.mailbox, &places, outcome);
        }
        let is_for_all = self.messages[&message].send.sender == actor;
        let told = if is_for_all { self.holders(actor, message) } else { vec![actor] };
        let was_unread = |owner: &UserId| self.logs[owner].find(message) == Some(true);
        let made = told.iter().map(|owner| Made {
            owner: *owner,
            line: Line::Deleted(message),
            unread: -i64::from(was_unread(owner)),
        });
        let made = made.collect();
        for log in self.logs.iter_mut().filter(|(user, _)| is_for_all || **user == actor) {
            log.1.hide(message);
        }
        self.make(made, outcome)
    }

    pub(super) fn edit(&mut self, edit: &Edit, outcome: &Outcome) -> anyhow::Result<()> {
        let Edit { actor, message, content, within, .. } = edit;
        let is_own = self.messages.get(message).is_some_and(|letter| letter.send.sender == *actor);
        if !is_own || !self.has(*actor, *message) {
            return refused(Refusal::NotFound, outcome);
        }
        let letter = self.messages.get_mut(message).expect("it is there");
        if letter.content == *content {
            return self.unchanged(*actor, &Line::Edited(*message), outcome);
        }
        // No message was sent in the future.
        if *within < 0 {
            return refused(Refusal::TooLate, outcome);
        }
        letter.versions.push(std::mem::replace(&mut letter.content, content.clone()));
        let told = self.holders(*actor, *message).into_iter();
        self.make(told.map(|owner| Made::new(owner, Line::Edited(*message))).collect(), outcome)
    }

    pub(super) fn react(
        &mut self,
        actor: UserId,
        message: MessageId,
        (reaction, is_set): (&str, bool),
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        if !self.has(actor, message) {
            return refused(Refusal::NotFound, outcome);
        }
        let letter = self.messages.get_mut(&message).expect("it is there");
        let own = (actor, reaction.to_owned());
        let is_changed = if is_set { letter.reactions.insert(own) } else { letter.reactions.remove(&own) };
        let change = ReactionChange { reaction: reaction.to_owned(), is_set, count: letter.count(reaction) };
        let line = Line::Reacted { message, by: actor, change };
        if !is_changed {
            return self.unchanged(actor, &line, outcome);
        }
        let told = self.holders(actor, message).into_iter();
        self.make(told.map(|owner| Made::new(owner, line.clone())).collect(), outcome)
    }
}

/// Whether two messages are of the same conversation.
fn is_same_place(one: &SendCommand, other: &SendCommand) -> bool {
    match (one.to, other.to) {
        (Target::User(to), Target::User(other_to)) => {
            (one.sender, to) == (other.sender, other_to) || (one.sender, to) == (other_to, other.sender)
        }
        (to, other_to) => to == other_to,
    }
}

/// How many have read these, as their sender is told.
fn told_counts(outcome: &Outcome, by: UserId, of: &[MessageId]) -> Vec<i64> {
    let Outcome::Committed(entries) = outcome else {
        return Vec::new();
    };
    let counts = entries.iter().find_map(|entry| match &entry.event {
        Event::Receipt { messages, reader, counts, .. } if *reader == by && messages == of => Some(counts),
        _ => None,
    });
    counts.cloned().unwrap_or_default()
}
