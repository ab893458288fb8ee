//! The query and the body of `GET /api/v1/conversations/{id}/messages`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{MessageData, MessageId};

/// Which page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct HistoryQuery {
    /// Only messages before this one; without it, the newest.
    pub before: Option<MessageId>,
    /// In place of `before`: the oldest of the messages after this one.
    pub after: Option<MessageId>,
    /// How many, from 1 to 200; without it, 50.
    pub limit: Option<i64>,
}

/// A page of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPage {
    /// Newest first.
    pub messages: Vec<MessageData>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<MessageId>,
    /// Of a page that was asked for by `after`: for the next newer one; absent on the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<MessageId>,
}
