//! A device: it applies the entries of its mailbox in order, by the rules of the wire reference.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use switchboard_client::{Client, Event};
use switchboard_protocol::{
    ConversationId, ConversationSettings, GroupChange, Incoming, MessageData, MessageId, ServerFrame, UserId,
};
use tokio::sync::mpsc;

use super::view::{Group, Shown, View};
use crate::harness::http::{bearer, get};
use crate::harness::{Cluster, next_entry};

/// What a device knows.
pub(super) struct State {
    pub(super) user: UserId,
    pub(super) seq: i64,
    known: View,
    deleted: BTreeSet<MessageId>,
}

impl State {
    pub(super) fn new(user: UserId) -> Self {
        Self { user, seq: 0, known: View::new(), deleted: BTreeSet::new() }
    }

    pub(super) fn view(&self) -> View {
        let mut view = self.known.clone();
        view.settle(self.user);
        view
    }

    pub(super) fn apply(&mut self, seq: i64, frame: &ServerFrame) -> anyhow::Result<()> {
        ensure!(seq == self.seq + 1, "{seq} after {}", self.seq);
        self.seq = seq;
        self.take(frame).with_context(|| format!("{} takes {frame:?}", self.user))
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
                    let before = group.members.insert(*added, switchboard_protocol::Role::Member);
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

/// How a device hears of entries.
enum Link {
    Socket(Client, mpsc::Receiver<Event>),
    Poll,
}

pub(super) struct Device {
    pub(super) state: State,
    node: usize,
    link: Link,
}

impl Device {
    pub(super) fn socket(cluster: &Cluster, user: UserId, node: usize) -> Self {
        let (client, events) = cluster.client(user.0, &[node, 1 - node], Some(0));
        Self { state: State::new(user), node, link: Link::Socket(client, events) }
    }

    pub(super) fn poll(user: UserId, node: usize) -> Self {
        Self { state: State::new(user), node, link: Link::Poll }
    }

    /// Goes away, and comes back on the other node after the last entry that it applied.
    pub(super) fn reconnect(&mut self, cluster: &Cluster) {
        self.node = 1 - self.node;
        if let Link::Socket(client, events) = &mut self.link {
            let next = cluster.client(self.state.user.0, &[self.node, 1 - self.node], Some(self.state.seq));
            // The old one says goodbye by itself, which may take a second.
            drop(std::mem::replace(client, next.0));
            *events = next.1;
        }
    }

    /// Forgets all, and begins anew.
    pub(super) fn begin_anew(&mut self, cluster: &Cluster) {
        self.state = State::new(self.state.user);
        self.reconnect(cluster);
    }

    /// Applies what has come.
    pub(super) async fn drain(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        match &mut self.link {
            Link::Socket(_, events) => {
                while let Ok(event) = events.try_recv() {
                    match event {
                        Event::Entry { seq, frame } => self.state.apply(seq.0, &frame)?,
                        Event::Reset { .. } | Event::Refused { .. } => bail!("{event:?}"),
                        _ => {}
                    }
                }
                Ok(())
            }
            Link::Poll => self.ask(cluster, 0).await,
        }
    }

    /// Applies entries up to this one.
    pub(super) async fn catch_up(&mut self, cluster: &Cluster, until: i64) -> anyhow::Result<()> {
        while self.state.seq < until {
            match &mut self.link {
                Link::Socket(_, events) => {
                    let (seq, frame) = next_entry(events)
                        .await
                        .with_context(|| format!("{} has {} of {until}", self.state.user, self.state.seq))?;
                    self.state.apply(seq.0, &frame)?;
                }
                Link::Poll => self.ask(cluster, 10).await?,
            }
        }
        ensure!(self.state.seq == until, "{} of {until}", self.state.seq);
        Ok(())
    }

    async fn ask(&mut self, cluster: &Cluster, wait: u64) -> anyhow::Result<()> {
        let path = format!("/api/v1/events?cursor={}&wait={wait}", self.state.seq);
        let answer = get(cluster.address(self.node), &path, &[bearer(self.state.user.0)]).await?.json()?;
        for event in answer["events"].as_array().context("no events")? {
            let incoming = Incoming::parse(&event.to_string())?;
            self.state.apply(incoming.seq.context("no entry")?.0, &incoming.frame)?;
        }
        ensure!(answer["cursor"] == self.state.seq, "{answer}");
        Ok(())
    }
}
