//! By what it is known that a request is done: entries are the same for all sessions of a user, so they name no request.

use switchboard_protocol::client_frame::{ClientFrame, EditMessage, ReadMark, SetConversation, SetReaction};
use switchboard_protocol::{ConversationSettings, GroupChange, MessageId, RequestId, ServerFrame, UserId};

/// What the request called itself that this frame answers, where it is for one request alone.
pub(crate) fn request_id(frame: &ServerFrame) -> Option<&RequestId> {
    match frame {
        ServerFrame::MessageSent { request_id, .. }
        | ServerFrame::MessageRead { request_id, .. }
        | ServerFrame::MessageEdited { request_id, .. }
        | ServerFrame::MessageReaction { request_id, .. }
        | ServerFrame::GroupChanged { request_id, .. }
        | ServerFrame::ConversationChanged { request_id, .. }
        | ServerFrame::BlockChanged { request_id, .. }
        | ServerFrame::ReceiptsChanged { request_id, .. }
        | ServerFrame::MessageDeleted { request_id, .. }
        | ServerFrame::UnreadCount { request_id, .. }
        | ServerFrame::Pong { request_id } => request_id.as_ref(),
        _ => None,
    }
}

/// Whether an entry says that what `user` asked for is done. If they asked for the same on another device, it may be that
/// device's: then it is done all the same.
pub(crate) fn is_done_by(asked: &ClientFrame, entry: &ServerFrame, user: UserId) -> bool {
    match (asked, entry) {
        (ClientFrame::SendMessage(sent), ServerFrame::MessageSent { client_message_id, .. }) => {
            sent.client_message_id == *client_message_id
        }
        (ClientFrame::MarkAsRead(mark), ServerFrame::MessageRead { message_id, message_ids, .. }) => {
            is_read_by(*mark, *message_id, message_ids)
        }
        (ClientFrame::EditMessage(edit), ServerFrame::MessageEdited { message_id, content, .. }) => {
            let EditMessage { message_id: id, content: text, .. } = edit;
            id == message_id && (text == content || text.trim().is_empty() && content.is_empty())
        }
        (ClientFrame::DeleteMessage { message_id: id }, ServerFrame::MessageDeleted { message_id, .. }) => {
            id == message_id
        }
        (
            ClientFrame::SetReaction(asked),
            ServerFrame::MessageReaction { message_id, user_id, reaction, is_set, .. },
        ) => {
            let set = SetReaction { message_id: *message_id, reaction: reaction.clone(), is_set: *is_set };
            *user_id == user && *asked == set
        }
        (
            ClientFrame::SetConversation(asked),
            ServerFrame::ConversationChanged { conversation_id, settings, .. },
        ) => asked.conversation_id == *conversation_id && is_set_by(asked, settings),
        (
            ClientFrame::SetBlock { user_id: whom, is_blocked: asked },
            ServerFrame::BlockChanged { user_id, is_blocked, .. },
        ) => whom == user_id && asked == is_blocked,
        (
            ClientFrame::SetReceipts { send_receipts: asked },
            ServerFrame::ReceiptsChanged { send_receipts, .. },
        ) => asked == send_receipts,
        (asked, ServerFrame::GroupChanged { conversation_id, actor_id, change, .. }) => {
            let group = match asked {
                ClientFrame::SetTitle { conversation_id, .. }
                | ClientFrame::AddMembers { conversation_id, .. }
                | ClientFrame::RemoveMember { conversation_id, .. }
                | ClientFrame::SetRole { conversation_id, .. } => Some(conversation_id),
                _ => None,
            };
            *actor_id == user
                && group.is_none_or(|group| group == conversation_id)
                && is_change(asked, change)
        }
        _ => false,
    }
}

/// Up to a message it is done by one entry or by several, and any of them may be the only one.
fn is_read_by(mark: ReadMark, newest: MessageId, several: &[MessageId]) -> bool {
    match mark {
        ReadMark::Message { message_id } => message_id == newest || several.contains(&message_id),
        ReadMark::UpTo { up_to, .. } => newest <= up_to,
    }
}

fn is_set_by(asked: &SetConversation, settings: &ConversationSettings) -> bool {
    asked.is_muted.is_none_or(|is_muted| is_muted == settings.is_muted)
        && asked.is_archived.is_none_or(|is_archived| is_archived == settings.is_archived)
        && asked.draft.as_ref().is_none_or(|draft| *draft == settings.draft)
}

fn is_change(asked: &ClientFrame, change: &GroupChange) -> bool {
    match (asked, change) {
        (ClientFrame::CreateGroup(group), GroupChange::Joined { client_conversation_id, .. }) => {
            group.client_conversation_id == *client_conversation_id
        }
        // The node takes white space off its ends.
        (ClientFrame::SetTitle { title: asked, .. }, GroupChange::Titled { title }) => asked.trim() == title,
        // Those who are members already stay so.
        (ClientFrame::AddMembers { user_ids: asked, .. }, GroupChange::Added { user_ids }) => {
            user_ids.iter().all(|user| asked.contains(user))
        }
        (ClientFrame::RemoveMember { user_id: whom, .. }, GroupChange::Removed { user_id }) => {
            whom == user_id
        }
        (ClientFrame::SetRole { user_id: whom, role: asked, .. }, GroupChange::Role { user_id, role }) => {
            whom == user_id && asked == role
        }
        _ => false,
    }
}
