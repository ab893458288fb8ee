//! What should be, by the rules of the wire reference, if requests are done one after the other. Small enough to be read
//! beside them: messages know who has them, and nothing is kept twice.

mod groups;
mod messages;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use switchboard_protocol::client_frame::{ReadMark, SendMessage, SetConversation};
use switchboard_protocol::{
    ClientFrame, ConversationId, ConversationSettings, ErrorCode, MessageId, Timestamp, UserId,
};

pub(super) use self::messages::Message;
use super::view::{self, Shown, View};
use super::ways::{Answer, Done};
use crate::harness;

/// Whether something was changed, or why not.
pub(super) type Verdict = Result<bool, ErrorCode>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    /// Also those without members.
    pub(super) groups: BTreeMap<ConversationId, groups::Group>,
    /// Conversations of two, the lower id first.
    pairs: BTreeMap<ConversationId, (UserId, UserId)>,
    pub(super) messages: BTreeMap<MessageId, Arc<Message>>,
    settings: BTreeMap<(UserId, ConversationId), ConversationSettings>,
    /// Who blocked whom.
    blocks: BTreeSet<(UserId, UserId)>,
    /// Who sends no receipts.
    silent: BTreeSet<UserId>,
    /// What clients called their messages and groups.
    sends: BTreeMap<(UserId, String), (MessageId, Arc<SendMessage>)>,
    named: BTreeMap<(UserId, String), ConversationId>,
    /// Who left a group by themselves, and did not come back.
    left: BTreeSet<(UserId, ConversationId)>,
}

impl Model {
    /// Does what was asked for, and says whether that is what was answered.
    pub(super) fn explains(
        &mut self,
        user: UserId,
        frame: &ClientFrame,
        answer: &Answer,
        is_alone: bool,
    ) -> bool {
        let given = if let Answer::Done(done) = answer { done } else { &Done::default() };
        match (self.judge(user, frame, given), answer) {
            (Ok(is_changed), Answer::Done(done)) => done.is_repeat.is_none_or(|repeat| repeat != is_changed),
            (Err(expected), Answer::Refused(found)) => expected == *found,
            (Ok(false), Answer::Refused(ErrorCode::NotFound)) => match frame {
                // What was to be read was found first, and gone when it was to be marked.
                ClientFrame::MarkAsRead(ReadMark::UpTo { .. }) => !is_alone,
                _ => false,
            },
            _ => false,
        }
    }

    /// Does what was asked for; `given` has the ids that the service gave.
    pub(super) fn judge(&mut self, user: UserId, frame: &ClientFrame, given: &Done) -> Verdict {
        match frame {
            ClientFrame::SendMessage(message) => self.send(user, message, given),
            ClientFrame::MarkAsRead(ReadMark::Message { message_id }) => self.read(user, *message_id),
            ClientFrame::MarkAsRead(ReadMark::UpTo { conversation_id, up_to }) => {
                self.read_up_to(user, *conversation_id, *up_to)
            }
            ClientFrame::EditMessage(edit) => self.edit(user, edit),
            ClientFrame::DeleteMessage { message_id } => self.delete(user, *message_id),
            ClientFrame::SetReaction(reaction) => self.react(user, reaction),
            ClientFrame::CreateGroup(group) => self.create(user, group, given),
            ClientFrame::SetTitle { conversation_id, title } => self.set_title(user, *conversation_id, title),
            ClientFrame::AddMembers { conversation_id, user_ids } => {
                self.add(user, *conversation_id, user_ids)
            }
            ClientFrame::RemoveMember { conversation_id, user_id } => {
                self.remove(user, *conversation_id, *user_id)
            }
            ClientFrame::SetRole { conversation_id, user_id, role } => {
                self.set_role(user, *conversation_id, *user_id, *role)
            }
            ClientFrame::SetConversation(change) => self.set_conversation(user, change),
            ClientFrame::SetBlock { user_id, is_blocked } => {
                // Of nobody one can always say that they are not blocked.
                if *is_blocked {
                    check_other(user, *user_id)?;
                }
                let block = (user, *user_id);
                Ok(if *is_blocked { self.blocks.insert(block) } else { self.blocks.remove(&block) })
            }
            ClientFrame::SetReceipts { send_receipts } => {
                Ok(if *send_receipts { self.silent.remove(&user) } else { self.silent.insert(user) })
            }
            _ => Ok(false),
        }
    }

    fn set_conversation(&mut self, user: UserId, change: &SetConversation) -> Verdict {
        let SetConversation { conversation_id, is_muted, is_archived, draft } = change;
        if !self.is_member(user, *conversation_id) {
            return Err(ErrorCode::NotFound);
        }
        let settings = self.settings.entry((user, *conversation_id)).or_default();
        let before = settings.clone();
        settings.is_muted = is_muted.unwrap_or(before.is_muted);
        settings.is_archived = is_archived.unwrap_or(before.is_archived);
        settings.draft = draft.clone().unwrap_or(before.draft.clone());
        Ok(*settings != before)
    }

    pub(super) fn is_member(&self, user: UserId, conversation: ConversationId) -> bool {
        let is_party = |(low, high): &(UserId, UserId)| [*low, *high].contains(&user);
        self.pairs.get(&conversation).is_some_and(is_party)
            || self.groups.get(&conversation).is_some_and(|group| group.members.contains_key(&user))
    }

    /// Conversations that a user is in.
    pub(super) fn conversations(&self, user: UserId) -> Vec<ConversationId> {
        let all = self.pairs.keys().chain(self.groups.keys());
        all.copied().filter(|id| self.is_member(user, *id)).collect()
    }

    /// What was sent, and by whom.
    pub(super) fn sends(&self) -> impl Iterator<Item = (UserId, &SendMessage)> {
        self.sends.iter().map(|((user, _), (_, sent))| (*user, &**sent))
    }

    /// What a user called the groups that they made.
    pub(super) fn names(&self, user: UserId) -> impl Iterator<Item = &str> {
        let names = self.named.keys().filter(move |(creator, _)| *creator == user);
        names.map(|(_, name)| name.as_str())
    }

    fn has_blocked(&self, blocker: UserId, blocked: UserId) -> bool {
        self.blocks.contains(&(blocker, blocked))
    }

    /// What a message said before, the oldest first; none if the user does not see it.
    pub(super) fn versions(&self, user: UserId, id: MessageId) -> Option<Vec<(String, String)>> {
        let message = self.messages.get(&id).filter(|message| message.copies.contains_key(&user))?;
        let said = |(subject, content): &(String, String)| (shown_subject(subject), content.clone());
        Some(message.versions.iter().map(said).collect())
    }

    /// What a user should see.
    pub(super) fn view(&self, user: UserId) -> View {
        let mut view = View::new();
        view.sends_receipts = !self.silent.contains(&user);
        view.blocked = self.blocks.iter().filter(|block| block.0 == user).map(|block| block.1).collect();
        for (id, group) in self.groups.iter().filter(|(_, group)| group.members.contains_key(&user)) {
            let members = group.members.iter().map(|(user, member)| (*user, member.role)).collect();
            view.groups.insert(*id, view::Group { title: group.title.clone(), members });
        }
        for ((_, id), settings) in self.settings.iter().filter(|((owner, _), _)| *owner == user) {
            view.settings.insert(*id, settings.clone());
        }
        for (id, message) in &self.messages {
            if let Some(is_read) = message.copies.get(&user) {
                view.messages.insert(*id, shown(message, user, *is_read));
            }
        }
        view.settle(user);
        view
    }
}

fn shown(message: &Message, user: UserId, is_read: bool) -> Shown {
    let is_sender = message.sender == user;
    let read_count = (is_sender && message.recipient.is_none()).then_some(message.n_receipts);
    let reactions = message.reactions.iter();
    Shown {
        conversation: message.conversation,
        sender: message.sender,
        sender_name: format!("User {}", message.sender),
        recipient: message.recipient,
        subject: shown_subject(&message.subject),
        content: message.content.clone(),
        created_at: Timestamp(0),
        edited_at: (!message.versions.is_empty()).then_some(Timestamp(0)),
        is_read: if is_sender { is_read || message.n_receipts > 0 } else { is_read },
        read_count,
        reply_to: message.reply_to,
        mentions: message.mentions.clone(),
        reactions: reactions
            .map(|(reaction, users)| (reaction.clone(), (users.len() as i64, users.contains(&user))))
            .collect(),
    }
}

fn shown_subject(subject: &str) -> String {
    if subject.is_empty() { "No Subject".to_owned() } else { subject.to_owned() }
}

fn is_user(user: UserId) -> bool {
    (1..=harness::USERS).contains(&user.0)
}

fn check_other(user: UserId, other: UserId) -> Result<(), ErrorCode> {
    if is_user(other) && user != other { Ok(()) } else { Err(ErrorCode::UnknownRecipient) }
}
