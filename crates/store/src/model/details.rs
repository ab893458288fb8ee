//! What entries say besides, as it stands in `mailbox_entries.detail`.

use serde::{Deserialize, Serialize};
use switchboard_protocol::UserId;

/// A reaction that was set or taken back. Also how it stands in `mailbox_entries.detail`, as the other changes here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionChange {
    /// The reaction.
    pub reaction: String,
    /// Whether it was set.
    pub is_set: bool,
    /// How many have it set, after this.
    pub count: i64,
}

/// Somebody is blocked, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockChange {
    /// Whom.
    pub user_id: UserId,
    /// Whether they are.
    pub is_blocked: bool,
}

/// Receipts are sent, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptsChange {
    /// Whether they are.
    pub send_receipts: bool,
}
