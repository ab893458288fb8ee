//! What a client is told of a conversation besides its messages.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Role, UserId};

/// What changed in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum GroupChange {
    /// The owner of the mailbox is a member from now on: the group as it is.
    Joined {
        /// The title.
        title: String,
        /// All members.
        members: Vec<Member>,
        /// What the maker of the group called it, to them alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_conversation_id: Option<String>,
    },
    /// Others are members from now on.
    Added {
        /// Who.
        user_ids: Vec<UserId>,
    },
    /// Somebody is no member any more: who did it, if they left. For the owner of the mailbox the group is gone.
    Removed {
        /// Who.
        user_id: UserId,
    },
    /// The title is another.
    Titled {
        /// The title.
        title: String,
    },
    /// A member has another role.
    Role {
        /// Who.
        user_id: UserId,
        /// Which.
        role: Role,
    },
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Who.
    pub user_id: UserId,
    /// What they may do.
    pub role: Role,
}

/// What a conversation is to one of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationSettings {
    /// Whether its messages are not to be announced.
    pub is_muted: bool,
    /// Whether it is put away.
    pub is_archived: bool,
    /// What this user began to write in it; empty for nothing.
    pub draft: String,
}
