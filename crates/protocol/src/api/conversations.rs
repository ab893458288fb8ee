//! Conversations, what messages said before, and what is found.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::former::Direction;
use crate::server_frame::User;
use crate::{ConversationId, ConversationSettings, MessageData, MessageId, Role, Seq, Timestamp};

/// Query of `GET /api/v1/conversations`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct ConversationsQuery {
    /// Only conversations that stand below this place: the `before` of the page above.
    pub before: Option<MessageId>,
    /// Only conversations that are put away, or only those that are not; without it, all.
    pub archived: Option<bool>,
    /// How many, from 1 to 200; without it, 50.
    pub limit: Option<i64>,
}

/// A page of conversations, the one with the latest message first. A group that has none stands where its reader joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConversationsPage {
    /// Groups, and those of two that have a message.
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
    /// Of how many it is.
    pub kind: ConversationKind,
    /// In one of two: the other member, or oneself in a conversation with oneself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Of a group: its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of a group: how many members it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_count: Option<i64>,
    /// Its latest message, if there is one for this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<MessageData>,
    /// Messages received in it and not read; 100 stands for more.
    pub unread_count: i64,
    /// What it is to this member.
    #[serde(flatten)]
    pub settings: ConversationSettings,
}

/// Of how many a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Of two, or of one with oneself.
    Direct,
    /// Of those who own it and whom they add.
    Group,
}

/// Answer of `GET /api/v1/conversations/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConversationDetail {
    /// The conversation.
    #[serde(flatten)]
    pub conversation: Conversation,
    /// All members, by id.
    pub members: Vec<ConversationMember>,
}

/// A member of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationMember {
    /// Who.
    pub user: User,
    /// What they may do.
    pub role: Role,
}

/// Answer of `GET /api/v1/messages/{id}/versions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// Newest first, as many as one answer holds. None where nothing was changed, or what was is not kept.
    pub versions: Vec<MessageVersion>,
}

/// What a message said once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageVersion {
    /// The subject, `No Subject` if it had none.
    pub subject: String,
    /// The text.
    pub content: String,
    /// When it was changed.
    pub until: Timestamp,
}

/// Query of `GET /api/v1/messages`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct MailQuery {
    /// Only messages that were received, or only those that were sent; without it both.
    #[serde(rename = "box")]
    #[param(inline)]
    pub direction: Option<Direction>,
    /// Only messages in which these words stand, as in a search.
    pub query: Option<String>,
    /// Where to go on: the `before` of the page before.
    pub before: Option<Seq>,
    /// How many, from 1 to 200; without it, 50.
    pub limit: Option<i64>,
}

/// Query of `GET /api/v1/search`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct SearchQuery {
    /// Needed: up to 8 words, 255 characters in all, each of which must stand in subject or text, in any case.
    pub query: Option<String>,
    /// Where to go on: the `before` of the page before.
    pub before: Option<Seq>,
    /// How many, from 1 to 200; without it, 50.
    pub limit: Option<i64>,
}

/// A page of a user's messages, or of what a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchPage {
    /// Sent or received, newest first. Of a search there may be none though there is a next page: each looks at a part of the mailbox.
    pub messages: Vec<MessageData>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Seq>,
}
