//! The queries and bodies of `/api/v1`, but for those of [`crate::events`] and [`crate::history`]: here those of accounts,
//! of messages and of files.

mod changes;
mod conversations;
mod people;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::server_frame::User;
use crate::{
    Attachment, AttachmentId, ConversationId, MessageData, MessageId, Seq, Status, Timestamp, UserId,
};

pub use self::changes::{
    Change, NewConversationSettings, NewGroup, NewMembers, NewRole, NewText, NewTitle, ReadUpTo, Typing,
};
pub use self::conversations::{
    Conversation, ConversationDetail, ConversationKind, ConversationMember, ConversationsPage,
    ConversationsQuery, MailQuery, MessageVersion, SearchPage, SearchQuery, Versions,
};
pub use self::people::{Blocks, PresenceList, PresenceQuery, Settings, UserPresence, UsersPage, UsersQuery};

/// Body of `POST /api/v1/auth/register`.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct Register {
    /// 1 to 150 letters, digits and `@.+-_`.
    pub username: String,
    /// At least 8 characters, at most 1024 bytes.
    pub password: String,
    /// The name that people read.
    #[serde(default)]
    pub full_name: String,
}

/// Body of `POST /api/v1/auth/login`.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct Login {
    /// The name of the account.
    pub username: String,
    /// Its password.
    pub password: String,
}

/// Answer of `POST /api/v1/auth/ticket`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    /// Opens one WebSocket or event stream, as the parameter `ticket`, on any node.
    pub ticket: String,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Answer of `GET /api/v1/me`, of registering and of logging in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// Who asks.
    #[serde(flatten)]
    pub user: User,
    /// Free text.
    pub role: String,
    /// The mailbox's epoch.
    pub epoch: String,
    /// The mailbox's present end.
    pub cursor: Seq,
    /// Messages received and not read.
    pub unread_count: i64,
    /// Whether they log in by a password here, which they can change.
    #[serde(default)]
    pub has_password: bool,
}

/// Body of `PATCH /api/v1/me`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewProfile {
    /// The name that people read; may be empty.
    pub full_name: String,
}

/// Body of `PUT /api/v1/me/password`.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct NewPassword {
    /// The present one.
    pub current_password: String,
    /// At least 8 characters, at most 1024 bytes.
    pub new_password: String,
}

/// Body of `POST /api/v1/messages`, for the description: it is read by [`ClientFrame::parse_body`](crate::ClientFrame::parse_body).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewMessage {
    /// Whom to; this or `conversation_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<UserId>,
    /// The conversation to whose other members it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The text. May be empty if there is an attachment.
    #[serde(default)]
    pub content: String,
    /// The subject.
    #[serde(default)]
    pub subject: String,
    /// Names the message for its sender: sending it again under the same id makes no second one.
    #[serde(default)]
    pub client_message_id: Option<String>,
    /// Files that this user uploaded for this message.
    #[serde(default)]
    pub attachment_ids: Vec<AttachmentId>,
    /// The message of the same conversation that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to_id: Option<MessageId>,
    /// Members of the conversation whom the text names.
    #[serde(default)]
    pub mention_ids: Vec<UserId>,
}

/// Answer of `POST /api/v1/messages`: 201, or 200 where the message existed already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sent {
    /// Position in the sender's mailbox.
    pub seq: Seq,
    /// The message.
    pub message_id: MessageId,
    /// Always success.
    pub status: Status,
    /// What the sender called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// The message.
    pub data: MessageData,
}

/// Answer of `POST /api/v1/messages/{id}/read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Read {
    /// Position in the reader's mailbox.
    pub seq: Seq,
    /// The message.
    pub message_id: MessageId,
    /// Always success.
    pub status: Status,
    /// Messages received and not read.
    pub unread_count: i64,
}

/// Answer of `POST /api/v1/attachments`, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Uploaded {
    /// To be named in `attachment_ids`. What no message has named for a day is removed.
    pub attachments: Vec<Attachment>,
}
