//! The queries and bodies of `/api/v1`, but for those of [`crate::events`] and [`crate::history`].

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::server_frame::User;
use crate::{
    Attachment, AttachmentId, ConversationId, MessageData, MessageId, Seq, Status, Timestamp, UserId,
};

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
}

/// Query of `GET /api/v1/users`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct UsersQuery {
    /// Only users in whose user name or full name this stands, in any case.
    pub query: Option<String>,
    /// Only users with a higher id.
    pub after: Option<UserId>,
    /// How many, from 1 to 200; without it, 50.
    pub limit: Option<i64>,
}

/// A page of users, by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsersPage {
    /// Users that are not disabled.
    pub users: Vec<User>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<UserId>,
}

/// Query of `GET /api/v1/conversations`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct ConversationsQuery {
    /// Only conversations whose last message is older than this one.
    pub before: Option<MessageId>,
    /// How many, from 1 to 200; without it, 50.
    pub limit: Option<i64>,
}

/// A page of conversations, the one with the latest message first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConversationsPage {
    /// Those that have a message.
    pub conversations: Vec<Conversation>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<MessageId>,
}

/// A conversation, as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Conversation {
    /// The conversation.
    pub id: ConversationId,
    /// The other member, or oneself in a conversation with oneself.
    pub user: User,
    /// Its latest message.
    pub last_message: MessageData,
    /// Messages received in it and not read; 100 stands for more.
    pub unread_count: i64,
}

/// Body of `POST /api/v1/messages`, for the description: it is read by [`crate::client_frame::SendMessage::parse`].
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewMessage {
    /// Whom to.
    pub recipient_id: UserId,
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
