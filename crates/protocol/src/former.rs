//! The bodies of the endpoints that the former system had: `/api/users/`, `/messages/…`, `/dashboard/notifications/`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Attachment, ErrorCode, MessageId, Status, Timestamp, UserId};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedUser {
    /// The user.
    pub id: UserId,
    /// The name that they log in by.
    pub username: String,
    /// The name that people read; may be empty.
    pub full_name: String,
    /// Free text.
    pub role: String,
    /// Names of the groups that they share with the one who asks.
    pub sections: Vec<String>,
}

/// Answer of `GET /api/users/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// All that are not disabled. Where only members of a shared group may write to each other: only those.
    pub users: Vec<ListedUser>,
}

/// Query of `GET /messages/get/`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListsQuery {
    /// Messages in each list, from 1 to 1000; without it, 200.
    pub limit: Option<i64>,
    /// Only messages before this one.
    pub before: Option<MessageId>,
}

/// Answer of `GET /messages/get/`, each list newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lists {
    /// Received.
    pub received: Vec<ListedMessage>,
    /// Sent.
    pub sent: Vec<ListedMessage>,
    /// Both.
    pub archive: Vec<ListedMessage>,
    /// Messages received and not read, after this.
    pub unread_count: i64,
}

/// Which list a message is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Received by the one who asks.
    Received,
    /// Sent by the one who asks.
    Sent,
}

/// A message in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedMessage {
    /// The message.
    pub id: MessageId,
    /// Full name of the sender, else their user name.
    pub sender: String,
    /// Who sent it.
    pub sender_id: UserId,
    /// Full name of the recipient, else their user name; in a group its title.
    pub recipient: String,
    /// Who received it; nobody in particular in a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<UserId>,
    /// The subject, `No Subject` if it has none.
    pub subject: String,
    /// The text.
    pub content: String,
    /// When the store took it.
    pub created_at: Timestamp,
    /// Whether its recipient had read it before this answer; of one that was sent to a group: whether anybody had.
    pub is_read: bool,
    /// Its files.
    pub attachments: Vec<Attachment>,
    /// Which list it is in; in `archive`, which it would be in.
    #[serde(rename = "type")]
    pub direction: Direction,
}

/// Answer of `GET /messages/unread/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadCount {
    /// Messages received and not read.
    pub unread_count: i64,
}

/// Answer of `POST /messages/send/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Always success.
    pub status: Status,
    /// The first message.
    pub message_id: MessageId,
    /// The messages, one a recipient.
    pub message_ids: Vec<MessageId>,
    /// A sentence.
    pub message: String,
}

/// Answer of `POST /messages/delete/{id}/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Always success.
    pub status: Status,
    /// A sentence.
    pub message: String,
}

/// Answer of `GET /dashboard/notifications/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notifications {
    /// Messages received and not read.
    pub unread_messages: i64,
    /// Always 0: there are no tasks here.
    pub pending_tasks: i64,
    /// All of it.
    pub total_unread: i64,
    /// Whether that is more than none.
    pub has_notifications: bool,
    /// Up to five, the newest first.
    pub latest_notifications: Vec<Notification>,
}

/// A line of the bell menu. Its texts come from users: to be shown as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// `message`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `New message`.
    pub label: String,
    /// Who it is from.
    pub title: String,
    /// Its subject.
    pub subtitle: String,
    /// When the store took it.
    pub created_at: Timestamp,
    /// The same, in seconds since 1970.
    pub created_at_epoch: i64,
    /// Where it can be read: a path.
    pub target: String,
}

/// A refusal of these endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why, for people; some of it is what clients of the former system look for.
    pub error: String,
    /// Why, for programs.
    pub code: ErrorCode,
    /// When to try again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
