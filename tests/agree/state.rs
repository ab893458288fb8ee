//! What a device knows: it applies the entries of its mailbox in order, by the rules of the wire reference.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};
use switchboard_protocol::{
    ConversationId, ConversationSettings, GroupChange, MessageData, MessageId, Role, ServerFrame, UserId,
};

use super::view::{Group, Shown, View};
use crate::harness::device;

/// What a device knows.
pub(super) struct State {
    pub(super) user: UserId,
    pub(super) seq: i64,
    known: View,
    deleted: BTreeSet<MessageId>,
    /// Messages as they came.
    told: BTreeMap<MessageId, Shown>,
}

pub(super) type Device = device::Device<State>;

impl device::State for State {
    fn new(user: i64) -> Self {
        let user = UserId(user);
        Self { user, seq: 0, known: View::new(), deleted: BTreeSet::new(), told: BTreeMap::new() }
    }

    fn user(&self) -> i64 {
        self.user.0
    }

    fn seq(&self) -> i64 {
        self.seq
    }

    fn apply(&mut self, seq: i64, frame: &ServerFrame) -> anyhow::Result<()> {
        ensure!(seq == self.seq + 1, "{seq} after {}", self.seq);
        self.seq = seq;
        self.take(frame).with_context(|| format!("{} takes {frame:?}", self.user))
    }
}

impl State {
    pub(super) fn view(&self) -> View {
        let mut view = self.known.clone();
        view.settle(self.user);
        view
    }

    /// That each text came as it is now, and none that is gone: to one that began when all was quiet.
    pub(super) fn check_told(&self) -> anyhow::Result<()> {
        for (id, told) in &self.told {
            let now = self.known.messages.get(id);
            let now = now.with_context(|| format!("{} was told {id}, which is gone for them", self.user))?;
            // That the other one read it, and what was set on it, is told apart.
            let is_own_direct = now.sender == self.user && now.recipient.is_some();
            let is_read = if is_own_direct { told.is_read } else { now.is_read };
            let expected = Shown { is_read, reactions: BTreeMap::new(), ..now.clone() };
            ensure!(*told == expected, "{} was told {told:?} of {expected:?}", self.user);
        }
        Ok(())
    }

    fn take(&mut self, frame: &ServerFrame) -> anyhow::Result<()> {
        match frame {
            ServerFrame::NewMessage { data, .. } => self.take_message(data, false)?,
            ServerFrame::MessageSent { data, .. } => self.take_message(data, true)?,
            ServerFrame::MessageRead { message_id, message_ids, unread_count, .. } => {
                ensure!(*unread_count >= 0);
                for id in several(*message_id, message_ids) {
                    // It may be gone meanwhile.
                    let Some(message) = self.known.messages.get_mut(&id) else { continue };
                    ensure!(message.sender != self.user, "that was sent, not received");
                    message.is_read = true;
                }
            }
            ServerFrame::ReadReceipt { message_id, message_ids, read_counts, reader_id, .. } => {
                ensure!(*reader_id != self.user, "a receipt of one's own reading");
                self.take_receipt(&several(*message_id, message_ids), read_counts)?;
            }
            ServerFrame::MessageEdited {
                message_id, conversation_id, subject, content, edited_at, ..
            } => {
                let message = self.message(*message_id, *conversation_id)?;
                (message.subject, message.content) = (subject.clone(), content.clone());
                message.edited_at = Some(*edited_at);
            }
            ServerFrame::MessageReaction { message_id, conversation_id, .. } => {
                let user = self.user;
                react(self.message(*message_id, *conversation_id)?, user, frame);
            }
            ServerFrame::MessageDeleted { message_id, unread_count, .. } => {
                ensure!(*unread_count >= 0);
                ensure!(self.deleted.insert(*message_id), "it was deleted twice");
                self.known.messages.remove(message_id);
            }
            ServerFrame::GroupChanged { conversation_id, change, unread_count, .. } => {
                ensure!(*unread_count >= 0);
                self.take_group(*conversation_id, change)?;
            }
            ServerFrame::ConversationChanged { conversation_id, settings, .. } => {
                self.known.settings.insert(*conversation_id, settings.clone());
            }
            ServerFrame::BlockChanged { user_id, is_blocked, .. } => {
                let changed = match is_blocked {
                    true => self.known.blocked.insert(*user_id),
                    false => self.known.blocked.remove(user_id),
                };
                ensure!(changed, "it changes nothing");
            }
            ServerFrame::ReceiptsChanged { send_receipts, .. } => {
                ensure!(self.known.sends_receipts != *send_receipts, "it changes nothing");
                self.known.sends_receipts = *send_receipts;
            }
            ServerFrame::Void { .. } => {}
            _ => bail!("that is no entry"),
        }
        Ok(())
    }

    fn take_message(&mut self, data: &MessageData, is_own: bool) -> anyhow::Result<()> {
        let (id, user) = (data.message_id, self.user);
        let to_oneself = data.recipient_id == Some(data.sender_id);
        let is_right = match (is_own, data.recipient_id) {
            (true, _) => data.sender_id == user,
            (false, Some(recipient)) => recipient == user,
            (false, None) => data.sender_id != user,
        };
        ensure!(is_right, "it is somebody else's");
        ensure!(!self.deleted.contains(&id), "it was deleted");
        ensure!(data.reactions.is_empty(), "reactions come one by one");
        let is_of_group = self.known.groups.contains_key(&data.conversation_id);
        ensure!(is_of_group == data.recipient_id.is_none(), "a group that this user is not in");
        let mut message = Shown::new(data);
        if is_own && data.recipient_id.is_none() {
            // To others there is no count; to oneself nobody has read it unless it says so.
            let count = data.read_count.unwrap_or_default();
            (message.read_count, message.is_read) = (Some(count), count > 0);
        }
        self.told.insert(id, message.clone());
        let before = self.known.messages.insert(id, message);
        ensure!(before.is_some() == (to_oneself && !is_own), "it came twice, or not first as sent");
        Ok(())
    }

    fn take_receipt(&mut self, ids: &[MessageId], counts: &[i64]) -> anyhow::Result<()> {
        ensure!(counts.is_empty() || counts.len() == ids.len(), "a count a message");
        for (nth, id) in ids.iter().enumerate() {
            let Some(message) = self.known.messages.get_mut(id) else { continue };
            ensure!(message.sender == self.user, "that was received, not sent");
            ensure!(message.recipient.is_none() != counts.is_empty(), "counts are of groups");
            message.is_read = true;
            if let Some(count) = counts.get(nth) {
                ensure!(*count > 0);
                message.read_count = Some(*count);
            }
        }
        Ok(())
    }

    fn take_group(&mut self, id: ConversationId, change: &GroupChange) -> anyhow::Result<()> {
        let (groups, user) = (&mut self.known.groups, self.user);
        if let GroupChange::Joined { title, members, .. } = change {
            let members = members.iter().map(|member| (member.user_id, member.role)).collect();
            let group = Group { title: title.clone(), members };
            ensure!(group.members.contains_key(&user), "one that this user is not in");
            ensure!(groups.insert(id, group).is_none(), "joined twice");
            return Ok(());
        }
        let group = groups.get_mut(&id).context("a group that this user is not in")?;
        match change {
            GroupChange::Joined { .. } => {}
            GroupChange::Added { user_ids } => {
                for added in user_ids {
                    let before = group.members.insert(*added, Role::Member);
                    ensure!(before.is_none(), "{added} was a member");
                }
            }
            GroupChange::Removed { user_id } => {
                ensure!(group.members.remove(user_id).is_some(), "{user_id} was no member");
                if *user_id == user {
                    groups.remove(&id);
                    self.known.settings.remove(&id);
                    self.known.messages.retain(|_, message| message.conversation != id);
                }
            }
            GroupChange::Titled { title } => group.title.clone_from(title),
            GroupChange::Role { user_id, role } => {
                let before = group.members.insert(*user_id, *role).context("no member")?;
                ensure!(before != *role, "it changes nothing");
            }
        }
        Ok(())
    }

    /// What is said of a message comes only to those who see it.
    fn message(&mut self, id: MessageId, conversation: ConversationId) -> anyhow::Result<&mut Shown> {
        let message = self.known.messages.get_mut(&id).context("a message that this user does not see")?;
        ensure!(message.conversation == conversation, "of another conversation");
        Ok(message)
    }

    /// What this device takes the settings of a conversation for, listed or not.
    pub(super) fn settings(&self) -> impl Iterator<Item = (ConversationId, &ConversationSettings)> {
        self.known.settings.iter().map(|(id, settings)| (*id, settings))
    }
}

fn several(one: MessageId, several: &[MessageId]) -> Vec<MessageId> {
    if several.is_empty() { vec![one] } else { several.to_vec() }
}

fn react(message: &mut Shown, user: UserId, frame: &ServerFrame) {
    if let ServerFrame::MessageReaction { user_id, reaction, is_set, count, .. } = frame {
        let (shown, is_own) = message.reactions.entry(reaction.clone()).or_default();
        *shown = *count;
        if *user_id == user {
            *is_own = *is_set;
        }
        if *count == 0 {
            message.reactions.remove(reaction);
        }
    }
}
