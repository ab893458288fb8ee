//! Users, whether they are there, whom one blocks, and what is a user's own.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::server_frame::User;
use crate::{Presence, Timestamp, UserId};

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
    /// Users that are not disabled. Where only members of a shared group may write to each other: only those.
    pub users: Vec<User>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<UserId>,
}

/// Query of `GET /api/v1/presence`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct PresenceQuery {
    /// Needed: ids with commas between them, at most 1,000.
    pub user_ids: Option<String>,
}

/// Answer of `GET /api/v1/presence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PresenceList {
    /// Of those with whom the caller shares a conversation.
    pub presence: Vec<UserPresence>,
}

/// Whether a user is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserPresence {
    /// Who.
    pub user_id: UserId,
    /// Whether they are.
    pub status: Presence,
    /// When they were last, as far as that is known; of who is away or gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

/// Answer of `GET /api/v1/blocks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Blocks {
    /// Whom the caller has blocked, by id.
    pub users: Vec<User>,
}

/// What a user chose for themselves: answer of `GET` and body of `PUT /api/v1/settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// Whether senders learn that one has read their messages.
    pub send_receipts: bool,
}
