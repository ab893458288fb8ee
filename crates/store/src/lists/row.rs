//! The rows that the statements of the lists give, and the messages in them.

use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use switchboard_protocol::{ConversationId, ConversationSettings, MessageId, Timestamp, UserId};

use super::{Listed, Person};
use crate::conversations::{Party, Talk};
use crate::model::{FileLabel, Message, Send};
use crate::queries::{display_name, mentions};

/// Message, conversation, sender, recipient; subject, content, client message id, when, files; what it answers, whom it
/// names, when it was changed, how many have read it; the sender's user name and full name; when it was read.
type ShownColumns = (
    BigInt,
    BigInt,
    BigInt,
    Nullable<BigInt>,
    Text,
    Text,
    Text,
    BigInt,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<BigInt>,
    BigInt,
    Text,
    Text,
    Nullable<BigInt>,
);

/// A row of [`ShownColumns`].
pub(crate) type Shown = (
    i64,
    i64,
    i64,
    Option<i64>,
    String,
    String,
    String,
    i64,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    i64,
    String,
    String,
    Option<i64>,
);

/// A number that says nothing, and a message.
pub(crate) type MessageColumns = (BigInt, ShownColumns);
pub(crate) type MessageRow = (i64, Shown);

/// Kind of the entry; the message; title of the group; user name and full name of the recipient.
pub(crate) type ListedColumns = (BigInt, ShownColumns, Text, Nullable<Text>, Nullable<Text>);
pub(crate) type ListedRow = (i64, Shown, String, Option<String>, Option<String>);

/// A position in the mailbox, and the message that was found there; title of the group; user name and full name of the
/// recipient.
pub(crate) type PlacedColumns =
    (BigInt, Nullable<ShownColumns>, Nullable<Text>, Nullable<Text>, Nullable<Text>);
pub(crate) type PlacedRow = (i64, Option<Shown>, Option<String>, Option<String>, Option<String>);

/// How many are unread; the latest message; the conversation and its place; muted, archived, draft; of a group how many
/// members and the title; of two the other.
pub(crate) type TalkColumns = (
    BigInt,
    Nullable<ShownColumns>,
    (BigInt, BigInt, Bool, Bool, Text),
    (Nullable<BigInt>, Text),
    Nullable<(BigInt, Text, Text, Text)>,
);
pub(crate) type TalkRow = (
    i64,
    Option<Shown>,
    (i64, i64, bool, bool, String),
    (Option<i64>, String),
    Option<(i64, String, String, String)>,
);

/// The message of a row, as `reader` may see it: a client message id, and how many in a group have read it, are its
/// sender's alone. None if a part cannot be read.
pub(crate) fn message(row: Shown, reader: UserId) -> Option<Message> {
    let (id, conversation, sender, recipient, subject, content, client_message_id, created_at, ..) = row;
    let (.., files, reply_to, named, edited_at, readers, username, full_name, read_at) = row;
    let own = sender == reader.0;
    Some(Message {
        id: MessageId(id),
        conversation: ConversationId(conversation),
        sender: UserId(sender),
        sender_name: display_name(username, full_name),
        recipient: recipient.map(UserId),
        subject,
        content,
        created_at: Timestamp(created_at),
        is_read: read_at.is_some(),
        client_message_id: Some(client_message_id).filter(|id| own && !id.starts_with(Send::GENERATED)),
        attachments: FileLabel::from_json(files.as_deref())?,
        reply_to: reply_to.map(MessageId),
        mentions: mentions(named.as_deref())?,
        edited_at: edited_at.map(Timestamp),
        read_count: Some(readers).filter(|_| own && recipient.is_none()),
        reactions: Vec::new(),
    })
}

/// The message of a row for a list that says whom it is to: what its group is called, or its recipient.
pub(crate) fn listed(
    row: Shown,
    title: String,
    (username, full_name): (Option<String>, Option<String>),
    reader: UserId,
) -> Option<Listed> {
    let recipient_name = username.zip(full_name).map_or(title, |(name, full)| display_name(name, full));
    Some(Listed { message: message(row, reader)?, recipient_name })
}

/// The conversation of a row, as `reader` sees it; none if a part cannot be read, or is not there.
pub(crate) fn talk(row: TalkRow, reader: UserId) -> Option<Talk> {
    let (unread, last, (conversation, place, is_muted, is_archived, draft), (n_members, title), other) = row;
    let party = match (n_members, other) {
        (Some(n_members), _) => Party::Group { title, n_members },
        (None, Some((id, username, full_name, role))) => {
            Party::User(Person { id: UserId(id), username, full_name, role })
        }
        (None, None) => return None,
    };
    Some(Talk {
        conversation: ConversationId(conversation),
        party,
        position: MessageId(place),
        last: match last {
            Some(last) => Some(message(last, reader)?),
            None => None,
        },
        unread,
        settings: ConversationSettings { is_muted, is_archived, draft },
    })
}
