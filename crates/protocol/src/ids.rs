//! Identifiers as types of their own, so that none is passed for another.
//!
//! Each is an integer from 0 to 2^53 - 1, the range that a JSON number carries exactly in every language.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The largest identifier on the wire: 2^53 - 1.
pub const MAX_ID: i64 = (1 << 53) - 1;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A user: somebody who sends and receives.
    UserId
);
id!(
    /// A mailbox: one log of entries.
    MailboxId
);
id!(
    /// A conversation: the set of people whom a message goes to.
    ConversationId
);
id!(
    /// A message. Ascends in `seq` order within a conversation.
    MessageId
);
id!(
    /// A file that was uploaded.
    AttachmentId
);
id!(
    /// The position of an entry in its mailbox: 1, 2, 3, … without a hole. As a cursor: the last position seen, 0 before the first.
    Seq
);

impl Seq {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
