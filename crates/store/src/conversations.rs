//! Groups, and what conversations are to their members: how they are changed, and how they are read.
//!
//! A message is visible to a user who is a member of its conversation since before it, and did not delete it for
//! themselves. Who leaves a group loses sight of all that was said there.

mod carry_out;
mod read;

use switchboard_protocol::{
    ConversationId, ConversationSettings, MailboxId, MessageId, Role, Seq, Timestamp,
};

use crate::lists::{Listed, Person};
use crate::model::Message;

pub(crate) use self::carry_out::{on_postgres, on_sqlite};
pub(crate) use self::read::{acquainted, visible};

/// A conversation, as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// The conversation.
    pub conversation: ConversationId,
    /// With whom.
    pub party: Party,
    /// Where it stands among the others: its latest message, or when the reader joined. For the next page.
    pub position: MessageId,
    /// Its latest message that the reader can see.
    pub last: Option<Message>,
    /// Messages received in it and not read; 100 stands for more.
    pub unread: i64,
    /// What it is to the reader.
    pub settings: ConversationSettings,
}

/// With whom a conversation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// The other member, or the same in a conversation with oneself.
    User(Person),
    /// A group.
    Group {
        /// Its title.
        title: String,
        /// How many members it has.
        n_members: i64,
    },
}

/// A member of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Who.
    pub person: Person,
    /// What they may do.
    pub role: Role,
}

/// What a message said once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The subject; may be empty.
    pub subject: String,
    /// The text.
    pub content: String,
    /// When it was changed.
    pub until: Timestamp,
}

/// A page of a user's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Newest first.
    pub messages: Vec<Listed>,
    /// Where the next page begins; none where there is nothing before.
    pub before: Option<Seq>,
}

/// Who is to be told of what somebody does in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// The conversation.
    pub conversation: ConversationId,
    /// The mailboxes of its other members.
    pub mailboxes: Vec<MailboxId>,
}
