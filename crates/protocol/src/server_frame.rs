//! What a node says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::conversation::{ConversationSettings, GroupChange};
use crate::{
    AttachmentId, ConversationId, ErrorCode, Limits, MessageId, Presence, RequestId, Seq, Timestamp, UserId,
};

/// A frame from a node to a client, tagged by `type`.
///
/// `D` is the form of a message's data: parsed by default, already serialised where a node shares the bytes.
/// Frames with a `seq` are entries of the mailbox; one that also says `repeat` answers a request that made
/// no new entry, and is never applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<D = MessageData> {
    /// First of all.
    Welcome(Welcome),
    /// A message was received.
    NewMessage {
        /// Position in the mailbox.
        seq: Seq,
        /// The message.
        data: D,
    },
    /// A message was sent: the acknowledgement, to every session of the sender.
    MessageSent {
        /// Position in the mailbox.
        seq: Seq,
        /// The message.
        message_id: MessageId,
        /// Always success: a refusal is an `error`.
        status: Status,
        /// What the sender called it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_message_id: Option<String>,
        /// Set where the message existed already.
        #[serde(default, skip_serializing_if = "is_false")]
        repeat: bool,
        /// What the request called itself, where this is an answer to it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
        /// The message.
        data: D,
    },
    /// A received message was read, to every session of the reader.
    MessageRead {
        /// Position in the mailbox.
        seq: Seq,
        /// The message; of several, the newest.
        message_id: MessageId,
        /// All of them, if several were read at once.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        message_ids: Vec<MessageId>,
        /// Always success: a refusal is an `error`.
        status: Status,
        /// Messages received and not read, after this.
        unread_count: i64,
        /// Set where the message was read already.
        #[serde(default, skip_serializing_if = "is_false")]
        repeat: bool,
        /// What the request called itself, where this is an answer to it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// Messages that this user sent were read.
    ReadReceipt {
        /// Position in the mailbox.
        seq: Seq,
        /// The message; of several, the newest.
        message_id: MessageId,
        /// All of them, if several were read at once.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        message_ids: Vec<MessageId>,
        /// Who read it.
        reader_id: UserId,
        /// When.
        read_at: Timestamp,
        /// In a group: how many have read each of the messages, in their order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        read_counts: Vec<i64>,
    },
    /// The text of a message was changed by its sender.
    MessageEdited {
        /// Position in the mailbox.
        seq: Seq,
        /// The message.
        message_id: MessageId,
        /// Its conversation.
        conversation_id: ConversationId,
        /// The subject, `No Subject` if it has none.
        subject: String,
        /// The text.
        content: String,
        /// When.
        edited_at: Timestamp,
        /// Set where nothing was to be changed.
        #[serde(default, skip_serializing_if = "is_false")]
        repeat: bool,
        /// What the request called itself, where this is an answer to it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// A reaction to a message was set or taken back.
    MessageReaction {
        /// Position in the mailbox.
        seq: Seq,
        /// The message.
        message_id: MessageId,
        /// Its conversation.
        conversation_id: ConversationId,
        /// Whose.
        user_id: UserId,
        /// The reaction.
        reaction: String,
        /// Whether it was set.
        is_set: bool,
        /// How many have it set, after this.
        count: i64,
        /// Set where nothing was to be changed.
        #[serde(default, skip_serializing_if = "is_false")]
        repeat: bool,
        /// What the request called itself, where this is an answer to it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// A group was made, or changed.
    GroupChanged {
        /// Position in the mailbox.
        seq: Seq,
        /// The group.
        conversation_id: ConversationId,
        /// Who did it.
        actor_id: UserId,
        /// What.
        #[serde(flatten)]
        change: GroupChange,
        /// Messages received and not read, after this.
        unread_count: i64,
        /// Set where nothing was to be changed.
        #[serde(default, skip_serializing_if = "is_false")]
        repeat: bool,
        /// What the request called itself, where this is an answer to it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// What a conversation is to this user was changed.
    ConversationChanged {
        /// Position in the mailbox.
        seq: Seq,
        /// The conversation.
        conversation_id: ConversationId,
        /// All of it, after this.
        #[serde(flatten)]
        settings: ConversationSettings,
        /// Set where nothing was to be changed.
        #[serde(default, skip_serializing_if = "is_false")]
        repeat: bool,
        /// What the request called itself, where this is an answer to it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// This user blocked somebody, or no longer does.
    BlockChanged {
        /// Position in the mailbox.
        seq: Seq,
        /// Whom.
        user_id: UserId,
        /// Whether they are blocked.
        is_blocked: bool,
        /// Set where nothing was to be changed.
        #[serde(default, skip_serializing_if = "is_false")]
        repeat: bool,
        /// What the request called itself, where this is an answer to it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// Whether this user sends receipts was changed.
    ReceiptsChanged {
        /// Position in the mailbox.
        seq: Seq,
        /// Whether they do.
        send_receipts: bool,
        /// Set where nothing was to be changed.
        #[serde(default, skip_serializing_if = "is_false")]
        repeat: bool,
        /// What the request called itself, where this is an answer to it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// Somebody writes in a conversation, or stopped. No entry: it may be lost.
    Typing {
        /// Where.
        conversation_id: ConversationId,
        /// Who.
        user_id: UserId,
        /// Whether they do. The node says so too when it has heard nothing of it for 6 seconds.
        is_typing: bool,
    },
    /// Whether a user who is watched is there. No entry: it may be lost.
    Presence {
        /// Who.
        user_id: UserId,
        /// Whether they are.
        status: Presence,
        /// When they were last, as far as that is known; of who is away or gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_seen: Option<Timestamp>,
    },
    /// A message was deleted: by its sender, for both; by its recipient, for themselves.
    MessageDeleted {
        /// Position in the mailbox.
        seq: Seq,
        /// The message.
        message_id: MessageId,
        /// Messages received and not read, after this.
        unread_count: i64,
        /// Set where the message was deleted already.
        #[serde(default, skip_serializing_if = "is_false")]
        repeat: bool,
        /// What the request called itself, where this is an answer to it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// An entry that no longer says anything: its message was deleted, or its group left.
    Void {
        /// Position in the mailbox.
        seq: Seq,
    },
    /// The count of messages received and not read: on request, and after a change.
    UnreadCount {
        /// The count.
        unread_count: i64,
        /// What the request called itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// The cursor is of no use here: adopt this one, and load the lists anew.
    Reset {
        /// The new cursor.
        cursor: Seq,
        /// Its epoch.
        epoch: String,
    },
    /// This node is going away. The session is served as before for a while, then closed with
    /// [`CloseCode::Restart`](crate::CloseCode::Restart).
    Reconnect {
        /// When this client should connect again, to another node, in milliseconds from now: each has its own time. If
        /// the session is closed before, at once.
        after_ms: u64,
    },
    /// The answer to `ping`.
    Pong {
        /// What the request called itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// A request was refused.
    Error(ErrorFrame),
    /// A frame of a later version. An entry among them counts as applied.
    #[serde(other)]
    Unknown,
}

/// The first frame of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Who the session is.
    pub user: User,
    /// Names the connection in logs.
    pub connection_id: String,
    /// The mailbox's epoch.
    pub epoch: String,
    /// The position before the first entry that this session will get: a client may always adopt it.
    pub cursor: Seq,
    /// Messages received and not read.
    pub unread_count: i64,
    /// The node's clock.
    pub server_time: Timestamp,
    /// How often the server pings, in milliseconds.
    pub heartbeat_interval_ms: u64,
    /// What may be sent.
    pub limits: Limits,
}

/// A user, as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The user.
    pub id: UserId,
    /// The name that they log in by.
    pub username: String,
    /// The name that people read; may be empty.
    pub full_name: String,
}

/// A message, as both its parties see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageData {
    /// `new_message`, again: clients of the former system look here.
    #[serde(rename = "type")]
    pub kind: String,
    /// The message.
    pub message_id: MessageId,
    /// Where it was sent.
    pub conversation_id: ConversationId,
    /// Full name of the sender, else their user name.
    pub sender: String,
    /// Who sent it.
    pub sender_id: UserId,
    /// Who received it; nobody in particular in a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<UserId>,
    /// In lists of one's own messages and in what a search found: full name of the recipient, else their user name; in a
    /// group its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The subject, `No Subject` if it has none.
    pub subject: String,
    /// The text.
    pub content: String,
    /// When the store took it.
    pub created_at: Timestamp,
    /// Whether the recipient has read it. On the wire of the sender: whether it was read from the start.
    pub is_read: bool,
    /// Its files.
    pub attachments: Vec<Attachment>,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to_id: Option<MessageId>,
    /// Members whom it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mention_ids: Vec<UserId>,
    /// When its text was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// In a group, to its sender: how many have read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_count: Option<i64>,
    /// Reactions to it, in pages of a conversation and of a search; the frames of the mailbox bring them one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionCount>,
}

/// A reaction that some have set on a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReactionCount {
    /// The reaction.
    pub reaction: String,
    /// How many.
    pub count: i64,
    /// Whether the reader is among them.
    pub is_own: bool,
}

/// A file of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attachment {
    /// The attachment.
    pub id: AttachmentId,
    /// As its uploader named it: a name without folders, to be shown as text.
    pub filename: String,
    /// In bytes.
    pub file_size: i64,
    /// As its first bytes tell, `application/octet-stream` if they do not.
    pub media_type: String,
    /// Where it is, on any node: a path.
    pub url: String,
    /// The same, where clients of the former system look.
    pub download_url: String,
}

impl Attachment {
    /// Where the attachment with this id is.
    #[must_use]
    pub fn url_of(id: AttachmentId) -> String {
        format!("/messages/download/{id}/")
    }
}

/// The outcome that a client of the former system looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is done and durable.
    Success,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorFrame {
    /// Why, for programs.
    pub code: ErrorCode,
    /// Why, for people.
    pub error: String,
    /// What the request called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// What the sender called the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// When to try again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ErrorFrame {
    /// A refusal of nobody's request in particular.
    #[must_use]
    pub fn new(code: ErrorCode, error: impl Into<String>) -> Self {
        Self { code, error: error.into(), request_id: None, client_message_id: None, retry_after_ms: None }
    }
}

/// A frame as a client reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// The position, if it is an entry to be applied: also for an entry of a type that this version does not know.
    pub seq: Option<Seq>,
    /// What it says.
    pub frame: ServerFrame,
}

impl Incoming {
    /// Reads a frame.
    ///
    /// # Errors
    /// If the text is no JSON object.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Head {
            seq: Option<Seq>,
            #[serde(default)]
            repeat: bool,
        }
        let Head { seq, repeat } = serde_json::from_str(text)?;
        // A later version may have changed what a frame of a known type holds: it is still a frame, and an entry.
        let frame = serde_json::from_str(text).unwrap_or(ServerFrame::Unknown);
        Ok(Self { seq: seq.filter(|_| !repeat), frame })
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}
