//! Messages, and what is done to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use switchboard_protocol::client_frame::{EditMessage, SendMessage, SetReaction};
use switchboard_protocol::{ConversationId, ErrorCode, MessageId, Target, UserId};

use super::super::ways::Done;
use super::{Model, Verdict, is_user};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Message {
    pub(in super::super) conversation: ConversationId,
    pub(in super::super) sender: UserId,
    /// None in a group.
    pub(in super::super) recipient: Option<UserId>,
    pub(super) subject: String,
    pub(in super::super) content: String,
    pub(super) reply_to: Option<MessageId>,
    pub(super) mentions: Vec<UserId>,
    /// Subjects and contents before it was changed, the oldest first.
    pub(in super::super) versions: Vec<(String, String)>,
    /// Who sees it, and whether they have read it.
    pub(in super::super) copies: BTreeMap<UserId, bool>,
    /// Who has heard that it was deleted.
    deleted: BTreeSet<UserId>,
    /// How many have read it and said so.
    pub(super) n_receipts: i64,
    pub(in super::super) reactions: BTreeMap<String, BTreeSet<UserId>>,
}

impl Model {
    pub(super) fn send(&mut self, user: UserId, sent: &SendMessage, given: &Done) -> Verdict {
        let name = (user, sent.client_message_id.clone().unwrap_or_default());
        if let Some((id, before)) = self.sends.get(&name) {
            let is_same = **before == *sent && given.message.is_none_or(|given| given == *id);
            return if is_same { Ok(false) } else { Err(ErrorCode::ClientMessageIdReused) };
        }
        let (known, recipient) = self.aim(user, sent.to)?;
        if recipient.is_some_and(|recipient| self.has_blocked(recipient, user)) {
            return Err(ErrorCode::UnknownRecipient);
        }
        let is_there = |id| {
            let message: Option<&Arc<Message>> = self.messages.get(&id);
            message.is_some_and(|it| it.copies.contains_key(&user) && Some(it.conversation) == known)
        };
        if sent.reply_to_id.is_some_and(|id| !is_there(id)) {
            return Err(ErrorCode::NotFound);
        }
        let members: Vec<UserId> = match (recipient, known) {
            (Some(recipient), _) => vec![user, recipient],
            (None, Some(group)) => self.groups[&group].members.keys().copied().collect(),
            (None, None) => Vec::new(),
        };
        if sent.mention_ids.iter().any(|mentioned| !members.contains(mentioned)) {
            return Err(ErrorCode::UnknownMention);
        }
        let (id, conversation) = (given.message.unwrap_or_default(), given.conversation.unwrap_or_default());
        if known.is_some_and(|known| known != conversation) {
            return Err(ErrorCode::Internal);
        }
        if let Some(recipient) = recipient {
            self.pairs.insert(conversation, (user.min(recipient), user.max(recipient)));
        }
        let message = Message {
            conversation,
            sender: user,
            recipient,
            subject: sent.subject.clone(),
            content: sent.content.clone(),
            reply_to: sent.reply_to_id,
            mentions: sent.mention_ids.clone(),
            versions: Vec::new(),
            copies: members.into_iter().map(|member| (member, recipient == Some(user))).collect(),
            deleted: BTreeSet::new(),
            n_receipts: 0,
            reactions: BTreeMap::new(),
        };
        self.sends.insert(name, (id, Arc::new(sent.clone())));
        let before = self.messages.insert(id, Arc::new(message));
        if before.is_some() { Err(ErrorCode::Internal) } else { Ok(true) }
    }

    /// The conversation, unless the message opens it, and the recipient, unless it is a group.
    fn aim(&self, user: UserId, to: Target) -> Result<(Option<ConversationId>, Option<UserId>), ErrorCode> {
        match to {
            Target::User(recipient) if !is_user(recipient) => Err(ErrorCode::UnknownRecipient),
            Target::User(recipient) => {
                let pair = (user.min(recipient), user.max(recipient));
                let known = self.pairs.iter().find(|(_, it)| **it == pair).map(|(id, _)| *id);
                Ok((known, Some(recipient)))
            }
            Target::Conversation(id) if !self.is_member(user, id) => Err(ErrorCode::NotFound),
            Target::Conversation(id) => {
                let other = |(low, high): &(UserId, UserId)| if *low == user { *high } else { *low };
                Ok((Some(id), self.pairs.get(&id).map(other)))
            }
        }
    }

    /// A message that the user sees.
    fn message(&mut self, user: UserId, id: MessageId) -> Result<&mut Message, ErrorCode> {
        let message = self.messages.get_mut(&id).filter(|message| message.copies.contains_key(&user));
        message.map(Arc::make_mut).ok_or(ErrorCode::NotFound)
    }

    pub(super) fn read(&mut self, user: UserId, id: MessageId) -> Verdict {
        let is_silent = self.silent.contains(&user);
        let message = self.message(user, id)?;
        if message.sender == user && message.recipient != Some(user) {
            return Err(ErrorCode::NotFound);
        }
        let was_read = message.copies.insert(user, true) == Some(true);
        if !was_read && !is_silent {
            message.n_receipts += 1;
        }
        Ok(!was_read)
    }

    pub(super) fn read_up_to(&mut self, user: UserId, id: ConversationId, up_to: MessageId) -> Verdict {
        if !self.is_member(user, id) {
            return Err(ErrorCode::NotFound);
        }
        let is_unread = |message: &Message| {
            let is_unread = message.copies.get(&user) == Some(&false);
            message.conversation == id && message.sender != user && is_unread
        };
        let unread = self.messages.range(..=up_to).filter(|(_, message)| is_unread(message));
        let unread: Vec<_> = unread.map(|(id, _)| *id).collect();
        for id in &unread {
            self.read(user, *id)?;
        }
        Ok(!unread.is_empty())
    }

    /// Nothing is written to somebody who does not want it.
    fn check_open(&self, user: UserId, message: &Message) -> Result<(), ErrorCode> {
        let other = message.recipient.map(|to| if message.sender == user { to } else { message.sender });
        let is_closed = other.is_some_and(|other| self.has_blocked(other, user));
        if is_closed { Err(ErrorCode::UnknownRecipient) } else { Ok(()) }
    }

    /// What is so already is so, whoever blocked whom by now.
    pub(super) fn edit(&mut self, user: UserId, edit: &EditMessage) -> Verdict {
        let mut message = self.message(user, edit.message_id)?.clone();
        if message.sender != user {
            return Err(ErrorCode::NotFound);
        }
        let subject = edit.subject.clone().unwrap_or(message.subject.clone());
        if (&message.subject, &message.content) == (&subject, &edit.content) {
            return Ok(false);
        }
        self.check_open(user, &message)?;
        let subject_before = std::mem::replace(&mut message.subject, subject);
        let content_before = std::mem::replace(&mut message.content, edit.content.clone());
        message.versions.push((subject_before, content_before));
        self.messages.insert(edit.message_id, Arc::new(message));
        Ok(true)
    }

    /// By its sender for all, by others for themselves.
    pub(super) fn delete(&mut self, user: UserId, id: MessageId) -> Verdict {
        let message = self.messages.get_mut(&id).map(Arc::make_mut).ok_or(ErrorCode::NotFound)?;
        if !message.copies.contains_key(&user) {
            return if message.deleted.contains(&user) { Ok(false) } else { Err(ErrorCode::NotFound) };
        }
        if message.sender == user {
            message.deleted.extend(std::mem::take(&mut message.copies).into_keys());
            message.reactions.clear();
        } else {
            message.copies.remove(&user);
            message.deleted.insert(user);
        }
        Ok(true)
    }

    pub(super) fn react(&mut self, user: UserId, asked: &SetReaction) -> Verdict {
        let mut message = self.message(user, asked.message_id)?.clone();
        let users = message.reactions.entry(asked.reaction.clone()).or_default();
        let is_changed = if asked.is_set { users.insert(user) } else { users.remove(&user) };
        if is_changed {
            message.reactions.retain(|_, users| !users.is_empty());
            self.check_open(user, &message)?;
            self.messages.insert(asked.message_id, Arc::new(message));
        }
        Ok(is_changed)
    }

    /// Who goes loses sight of all that was said.
    pub(super) fn forget(&mut self, user: UserId, group: ConversationId) {
        for message in self.messages.values_mut().filter(|message| message.conversation == group) {
            Arc::make_mut(message).copies.remove(&user);
        }
        self.settings.remove(&(user, group));
    }
}
