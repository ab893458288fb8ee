//! Requests that change something: their bodies, for the description, and what is answered.
//!
//! The bodies are read by [`ClientFrame::parse_body`](crate::ClientFrame::parse_body): they have the fields of a frame but
//! for those that stand in the path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{ConversationId, MessageId, Role, Seq, UserId};

/// Answer of a request that changed something, or found it so: the entry of the mailbox that says it, as the WebSocket has
/// it. What else it has depends on its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// The type of the frame.
    #[serde(rename = "type")]
    pub kind: String,
    /// Position in the mailbox.
    pub seq: Seq,
    /// Set where nothing was to be changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// The other fields of the frame.
    #[serde(flatten)]
    pub fields: BTreeMap<String, Value>,
}

/// Body of `PATCH /api/v1/messages/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewText {
    /// The text. May be empty if the message has a file.
    pub content: String,
    /// The subject; without it, it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Body of `POST /api/v1/conversations`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewGroup {
    /// 1 to 150 characters.
    pub title: String,
    /// The other members, at most 99.
    #[serde(default)]
    pub member_ids: Vec<UserId>,
    /// Names the group for who makes it: making it again under the same id makes no second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_conversation_id: Option<String>,
}

/// Body of `PATCH /api/v1/conversations/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewTitle {
    /// 1 to 150 characters.
    pub title: String,
}

/// Body of `POST /api/v1/conversations/{id}/members`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewMembers {
    /// Whom; those who are members stay so.
    pub user_ids: Vec<UserId>,
}

/// Body of `PUT /api/v1/conversations/{id}/members/{user_id}`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewRole {
    /// The role.
    pub role: Role,
}

/// Body of `POST /api/v1/conversations/{id}/read`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReadUpTo {
    /// The last message that is read.
    pub up_to: MessageId,
}

/// Body of `PUT /api/v1/conversations/{id}/settings`. What is not named stays as it is; something must be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct NewConversationSettings {
    /// Whether its messages are not to be announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_muted: Option<bool>,
    /// Whether it is put away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_archived: Option<bool>,
    /// What one began to write in it; empty for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
}

/// Body of `POST /api/v1/typing`: one of the two ids.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Typing {
    /// To whom one writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<UserId>,
    /// Where one writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// Whether one does, or stopped.
    pub is_typing: bool,
}
