//! Among what a deed is chosen: messages, conversations and users.

use switchboard_protocol::{ConversationId, MessageId, Target, UserId};

use super::super::model::Message;
use super::super::world::USERS;
use super::{Chooser, NOBODY, any_user};

impl Chooser<'_> {
    /// Seldom somebody whom there is not, or oneself.
    pub(super) fn other_user(&mut self) -> UserId {
        if self.dice.roll(25) == 0 { NOBODY } else { any_user(self.dice) }
    }

    pub(super) fn members_of(&self, to: Target) -> Vec<UserId> {
        match to {
            Target::User(user) => vec![user],
            Target::Conversation(id) => {
                USERS.into_iter().filter(|user| self.model.is_member(*user, id)).collect()
            }
        }
    }

    /// Messages that the user sees.
    pub(super) fn seen(&self) -> impl Iterator<Item = MessageId> {
        let messages = self.model.messages.iter();
        let is_there = |it: &Message| self.focus.is_none_or(|focus| it.conversation == focus);
        let messages = messages.filter(move |(_, it)| it.copies.contains_key(&self.user) && is_there(it));
        messages.map(|(id, _)| *id)
    }

    /// Mostly one of the last.
    pub(super) fn latest(&mut self, of: &[MessageId]) -> Option<MessageId> {
        let recent = &of[of.len().saturating_sub(8)..];
        if self.dice.roll(4) == 0 { self.dice.pick(of).copied() } else { self.dice.pick(recent).copied() }
    }

    /// Mostly one that the user sees.
    pub(super) fn message(&mut self) -> MessageId {
        let seen: Vec<_> = self.seen().collect();
        let all: Vec<_> = self.model.messages.keys().copied().collect();
        let found = if self.dice.roll(9) == 0 { self.latest(&all) } else { self.latest(&seen) };
        found.unwrap_or(MessageId(7))
    }

    /// Mostly one that may be answered there.
    pub(super) fn message_of(&mut self, to: Target) -> MessageId {
        let messages = &self.model.messages;
        let of_it: Vec<_> = self
            .seen()
            .filter(|id| match to {
                Target::Conversation(conversation) => messages[id].conversation == conversation,
                Target::User(user) => {
                    let parties = [Some(messages[id].sender), messages[id].recipient];
                    messages[id].recipient.is_some()
                        && parties.contains(&Some(user))
                        && parties.contains(&Some(self.user))
                }
            })
            .collect();
        if self.dice.roll(12) == 0 { self.message() } else { self.latest(&of_it).unwrap_or(MessageId(7)) }
    }

    /// Mostly one of the user's.
    pub(super) fn conversation(&mut self) -> ConversationId {
        if let Some(focus) = self.focus {
            return focus;
        }
        let own = self.model.conversations(self.user);
        match self.dice.pick(&own) {
            Some(id) if self.dice.roll(10) > 0 => *id,
            _ => self.group(),
        }
    }

    /// Mostly one of the user's.
    pub(super) fn group(&mut self) -> ConversationId {
        if let Some(focus) = self.focus.filter(|focus| self.model.groups.contains_key(focus)) {
            return focus;
        }
        let all: Vec<_> = self.model.groups.keys().copied().collect();
        let own: Vec<_> = all.iter().copied().filter(|id| self.model.is_member(self.user, *id)).collect();
        let among = if self.dice.roll(10) == 0 || own.is_empty() { &all } else { &own };
        self.dice.pick(among).copied().unwrap_or(ConversationId(99))
    }

    /// Mostly one of the group.
    pub(super) fn member(&mut self, group: ConversationId) -> UserId {
        let members = self.model.groups.get(&group).map(|group| group.members.keys().copied().collect());
        let members: Vec<UserId> = members.unwrap_or_default();
        match self.dice.pick(&members) {
            Some(member) if self.dice.roll(8) > 0 => *member,
            _ => self.other_user(),
        }
    }
}
