//! What a user sees: the same of a device, of a fresh load, and of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use anyhow::ensure;
use switchboard_protocol::server_frame::ReactionCount;
use switchboard_protocol::{
    ConversationId, ConversationSettings, MessageData, MessageId, Role, Timestamp, UserId,
};

/// All that a user sees.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    /// Messages received and not read.
    pub(super) unread: i64,
    pub(super) sends_receipts: bool,
    pub(super) blocked: BTreeSet<UserId>,
    pub(super) groups: BTreeMap<ConversationId, Group>,
    /// Of conversations that are in the list, where they are not as they were from the start.
    pub(super) settings: BTreeMap<ConversationId, ConversationSettings>,
    pub(super) messages: BTreeMap<MessageId, Shown>,
}

/// A group, to its members.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) members: BTreeMap<UserId, Role>,
}

/// A message, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) conversation: ConversationId,
    pub(super) sender: UserId,
    pub(super) sender_name: String,
    pub(super) recipient: Option<UserId>,
    pub(super) subject: String,
    pub(super) content: String,
    pub(super) created_at: Timestamp,
    pub(super) edited_at: Option<Timestamp>,
    pub(super) is_read: bool,
    pub(super) read_count: Option<i64>,
    pub(super) reply_to: Option<MessageId>,
    pub(super) mentions: Vec<UserId>,
    /// How many have each set, and whether this user has.
    pub(super) reactions: BTreeMap<String, (i64, bool)>,
}

impl Shown {
    /// A message as it came, be it in a frame or on a page.
    pub(super) fn new(data: &MessageData) -> Self {
        let reactions = data.reactions.iter();
        let reactions =
            reactions.map(|ReactionCount { reaction, count, is_own }| (reaction.clone(), (*count, *is_own)));
        Self {
            conversation: data.conversation_id,
            sender: data.sender_id,
            sender_name: data.sender.clone(),
            recipient: data.recipient_id,
            subject: data.subject.clone(),
            content: data.content.clone(),
            created_at: data.created_at,
            edited_at: data.edited_at,
            is_read: data.is_read,
            read_count: data.read_count,
            reply_to: data.reply_to_id,
            mentions: data.mention_ids.clone(),
            reactions: reactions.collect(),
        }
    }

    pub(super) fn is_unread_by(&self, user: UserId) -> bool {
        self.sender != user && !self.is_read
    }

    /// Without what only the store knows.
    fn without_times(&self) -> Self {
        let edited_at = self.edited_at.map(|_| Timestamp(0));
        Self { created_at: Timestamp(0), edited_at, ..self.clone() }
    }
}

impl View {
    /// Of somebody for whom nothing was done yet.
    pub(super) fn new() -> Self {
        Self {
            unread: 0,
            sends_receipts: true,
            blocked: BTreeSet::new(),
            groups: BTreeMap::new(),
            settings: BTreeMap::new(),
            messages: BTreeMap::new(),
        }
    }

    /// Counts what is not read, and leaves out what no list would show.
    pub(super) fn settle(&mut self, user: UserId) {
        self.unread = self.messages.values().filter(|message| message.is_unread_by(user)).count() as i64;
        let listed: BTreeSet<_> = self.messages.values().map(|message| message.conversation).collect();
        let groups = &self.groups;
        self.settings.retain(|id, settings| {
            (groups.contains_key(id) || listed.contains(id)) && *settings != ConversationSettings::default()
        });
    }

    /// A model knows no times.
    pub(super) fn without_times(&self) -> Self {
        let messages = self.messages.iter().map(|(id, message)| (*id, message.without_times()));
        Self { messages: messages.collect(), ..self.clone() }
    }

    /// Names what differs.
    pub(super) fn check_same(&self, expected: &Self) -> anyhow::Result<()> {
        check_maps("group", &self.groups, &expected.groups)?;
        check_maps("settings", &self.settings, &expected.settings)?;
        check_maps("message", &self.messages, &expected.messages)?;
        ensure!(self.blocked == expected.blocked, "{:?} are not {:?}", self.blocked, expected.blocked);
        ensure!(self.sends_receipts == expected.sends_receipts, "receipts: {}", self.sends_receipts);
        ensure!(self.unread == expected.unread, "{} unread, not {}", self.unread, expected.unread);
        Ok(())
    }
}

fn check_maps<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
) -> anyhow::Result<()> {
    for id in found.keys().chain(expected.keys()) {
        let (found, expected) = (found.get(id), expected.get(id));
        ensure!(found == expected, "{what} {id:?}: {found:?} is not {expected:?}");
    }
    Ok(())
}
