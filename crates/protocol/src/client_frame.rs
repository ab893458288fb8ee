//! What a client may say, parsed and checked field by field.
//!
//! Fields are first kept as raw JSON, so that a wrong one is refused by its name and unknown ones cost nothing.

mod fields;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::fields::Fields;
#[cfg(doc)]
use crate::limits::WATCHED;
use crate::{AttachmentId, ConversationId, ErrorCode, ErrorFrame, MessageId, UserId};

pub use self::fields::{check_message, parse_id};

/// A frame from a client to a node, tagged by `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Send a message.
    SendMessage(SendMessage),
    /// Mark received messages as read.
    MarkAsRead(ReadMark),
    /// Change the text of a message that one sent.
    EditMessage(EditMessage),
    /// Delete a message: one that one sent for all, one that one received for oneself.
    DeleteMessage {
        /// The message.
        message_id: MessageId,
    },
    /// Set or take back a reaction to a message.
    SetReaction(SetReaction),
    /// Make a group.
    CreateGroup(CreateGroup),
    /// Give a group another title.
    SetTitle {
        /// The group.
        conversation_id: ConversationId,
        /// 1 to 150 characters.
        title: String,
    },
    /// Add members to a group.
    AddMembers {
        /// The group.
        conversation_id: ConversationId,
        /// Whom; those who are members stay so.
        user_ids: Vec<UserId>,
    },
    /// Take a member out of a group; oneself, to leave it.
    RemoveMember {
        /// The group.
        conversation_id: ConversationId,
        /// Whom.
        user_id: UserId,
    },
    /// Give a member of a group another role.
    SetRole {
        /// The group.
        conversation_id: ConversationId,
        /// Whose.
        user_id: UserId,
        /// The role.
        role: Role,
    },
    /// Change what a conversation is to oneself.
    SetConversation(SetConversation),
    /// Block a user, or no longer.
    SetBlock {
        /// Whom.
        user_id: UserId,
        /// Whether they are blocked from now on.
        is_blocked: bool,
    },
    /// Whether the senders of messages learn that one has read them.
    SetReceipts {
        /// Whether they do from now on.
        send_receipts: bool,
    },
    /// Tell the others in a conversation that one is writing. Kept nowhere.
    Typing {
        /// Whom.
        #[serde(flatten)]
        to: Target,
        /// Whether one is.
        is_typing: bool,
    },
    /// Ask to be told of the presence of these users, in place of those asked for before.
    WatchPresence {
        /// At most [`WATCHED`]; those with whom one shares no conversation are passed over.
        user_ids: Vec<UserId>,
    },
    /// Tell whether somebody is at this device.
    SetPresence {
        /// [`Presence::Online`] or [`Presence::Away`].
        status: Presence,
    },
    /// Ask for the count of messages received and not read.
    GetUnreadCount,
    /// Ask for a `pong`.
    Ping,
}

/// Whom a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// A user.
    #[serde(rename = "recipient_id")]
    User(UserId),
    /// The other members of a conversation.
    #[serde(rename = "conversation_id")]
    Conversation(ConversationId),
}

impl From<UserId> for Target {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<ConversationId> for Target {
    fn from(conversation: ConversationId) -> Self {
        Self::Conversation(conversation)
    }
}

/// A message to be sent. Checked: within the limits, not empty, without U+0000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SendMessage {
    /// Whom to.
    #[serde(flatten)]
    pub to: Target,
    /// The subject; may be empty.
    pub subject: String,
    /// The text.
    pub content: String,
    /// Names the message for its sender: sending it again under the same id makes no second one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// Files that the sender uploaded for this message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachment_ids: Vec<AttachmentId>,
    /// The message of the same conversation that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to_id: Option<MessageId>,
    /// Members of the conversation whom the text names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mention_ids: Vec<UserId>,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ReadMark {
    /// One message.
    Message {
        /// The message.
        message_id: MessageId,
    },
    /// All that was received in a conversation, up to a message.
    UpTo {
        /// The conversation.
        conversation_id: ConversationId,
        /// The last of them.
        up_to: MessageId,
    },
}

/// Another text for a message that one sent. Checked as one that is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EditMessage {
    /// The message.
    pub message_id: MessageId,
    /// The text.
    pub content: String,
    /// The subject; without it, it stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// A reaction to a message. A user has each at most once on a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetReaction {
    /// The message.
    pub message_id: MessageId,
    /// 1 to 64 bytes without control characters and spaces, usually an emoji.
    pub reaction: String,
    /// Whether it is set from now on, or taken back.
    pub is_set: bool,
}

/// A group to be made. Who makes it is its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateGroup {
    /// 1 to 150 characters.
    pub title: String,
    /// The other members.
    pub member_ids: Vec<UserId>,
    /// Names the group for who makes it: making it again under the same id makes no second one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_conversation_id: Option<String>,
}

/// What a conversation is to one of its members. What is not named stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetConversation {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Whether its messages are not to be announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_muted: Option<bool>,
    /// Whether it is put away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_archived: Option<bool>,
    /// What one began to write in it; empty for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
}

/// What a member of a group may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Change the group: its title, its members, their roles.
    Owner,
    /// Read and write.
    Member,
}

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// On no device.
    Offline,
    /// On a device, but not at it.
    Away,
    /// At a device.
    Online,
}

impl ClientFrame {
    /// Its `type`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SendMessage(_) => "send_message",
            Self::MarkAsRead(_) => "mark_as_read",
            Self::EditMessage(_) => "edit_message",
            Self::DeleteMessage { .. } => "delete_message",
            Self::SetReaction(_) => "set_reaction",
            Self::CreateGroup(_) => "create_group",
            Self::SetTitle { .. } => "set_title",
            Self::AddMembers { .. } => "add_members",
            Self::RemoveMember { .. } => "remove_member",
            Self::SetRole { .. } => "set_role",
            Self::SetConversation(_) => "set_conversation",
            Self::SetBlock { .. } => "set_block",
            Self::SetReceipts { .. } => "set_receipts",
            Self::Typing { .. } => "typing",
            Self::WatchPresence { .. } => "watch_presence",
            Self::SetPresence { .. } => "set_presence",
            Self::GetUnreadCount => "get_unread_count",
            Self::Ping => "ping",
        }
    }

    /// Reads and checks the body of a request, which has the fields of the frame of this type; those of `path` stand in
    /// the path of the request and count before the body's.
    ///
    /// # Errors
    /// As [`Envelope::parse`].
    pub fn parse_body(kind: &str, text: &str, path: &[(&str, &str)]) -> Result<Self, FrameError> {
        let given: Vec<_> = path.iter().map(|(field, value)| (*field, quoted(value))).collect();
        let mut raw = Fields::read(text).map_err(Refusal::anonymous)?;
        for (field, value) in &given {
            let value =
                serde_json::from_str(value).map_err(|_not_json| invalid(field, "a text").anonymous())?;
            raw.give(field, value);
        }
        raw.frame(kind, raw.client_message_id()).map_err(Refusal::anonymous)
    }
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A frame with what is around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// Repeated in answers that are not entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// What is said.
    #[serde(flatten)]
    pub frame: ClientFrame,
}

/// What a client calls its request: a text or an integer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A text of at most 128 bytes.
    Text(String),
    /// An integer below 2^53.
    Number(i64),
}

/// Why a frame was refused, and whose it was as far as that could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FrameError {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// What the request called itself.
    pub request_id: Option<RequestId>,
    /// What the sender called the message.
    pub client_message_id: Option<String>,
}

impl From<FrameError> for ErrorFrame {
    fn from(error: FrameError) -> Self {
        Self {
            code: error.code,
            error: error.message,
            request_id: error.request_id,
            client_message_id: error.client_message_id,
            retry_after_ms: None,
        }
    }
}

impl Envelope {
    /// Reads and checks a frame.
    ///
    /// # Errors
    /// With the code that the client gets, naming the field where one is to blame.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let raw = Fields::read(text).map_err(Refusal::anonymous)?;
        let request_id = raw.request_id().map_err(Refusal::anonymous)?;
        let client_message_id = raw.client_message_id();
        let refuse = |refusal: Refusal| FrameError {
            code: refusal.0,
            message: refusal.1,
            request_id: request_id.clone(),
            client_message_id: client_message_id.as_ref().ok().cloned().flatten(),
        };
        let kind = match raw.kind {
            Some(value) => fields::text_of("type", value).map_err(refuse)?,
            None => return Err(refuse(unknown_type())),
        };
        let frame = raw.frame(&kind, client_message_id.clone());
        let frame = frame.map_err(refuse)?;
        Ok(Self { request_id, frame })
    }
}

/// A code and a sentence, before it is known whose frame it was.
#[derive(Clone)]
struct Refusal(ErrorCode, String);

impl Refusal {
    fn anonymous(self) -> FrameError {
        FrameError { code: self.0, message: self.1, request_id: None, client_message_id: None }
    }
}

fn unknown_type() -> Refusal {
    Refusal(ErrorCode::UnknownType, "`type` names no frame of this service".to_owned())
}

fn invalid(field: &str, what: &str) -> Refusal {
    Refusal(ErrorCode::InvalidField, format!("`{field}` must be {what}"))
}

#[cfg(test)]
mod tests;
