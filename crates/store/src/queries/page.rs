//! A page of a mailbox: its entries as they stand, each with what it needs of its message and its conversation.
//!
//! What an entry says is what holds now: of a text that was changed the present one, and of a message that was deleted, or
//! of a group that the owner left, nothing.

use std::sync::Arc;

use diesel::sql_types::{BigInt, Nullable, SmallInt, Text};
use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, Timestamp, UserId};

use super::{display_name, mentions};
use crate::answer::{counts, messages as messages_of, read};
use crate::lists::{List, Statement};
use crate::model::{Entry, Event, FileLabel, Message, Send};
use crate::schema::{self, kind};

/// The statement of `page.sql`.
pub(crate) struct Page;

impl List for Page {
    type Columns = (OfEntry, OfConversation, OfMessage, (Nullable<Text>, Nullable<Text>));
    const TEXT: &'static str = include_str!("page.sql");
}

/// Up to `limit` entries of a mailbox after a position.
pub(crate) fn page(mailbox: i64, after: i64, limit: i64) -> Statement<Page, 3> {
    Statement::new([mailbox, after, limit])
}

type OfEntry = (
    BigInt,
    BigInt,
    BigInt,
    SmallInt,
    BigInt,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    BigInt,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<BigInt>,
);
type OfConversation =
    (Nullable<SmallInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>);
type OfMessage = (
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<BigInt>,
);

type EntryColumns = (
    i64,
    i64,
    i64,
    i16,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    i64,
    Option<String>,
    Option<String>,
    Option<i64>,
);
/// Kind, the two users, since when the owner is a member, in how many entries they have the message.
type ConversationColumns = (Option<i16>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
type MessageColumns = (
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<i64>,
);
/// A row of [`page`].
pub(crate) type EntryRow =
    (EntryColumns, ConversationColumns, MessageColumns, (Option<String>, Option<String>));

/// The position of a row.
pub(crate) fn seq(((_, seq, ..), ..): &EntryRow) -> i64 {
    *seq
}

/// The entry of a row; none if this version does not know its kind, or the row lacks what its kind must have.
pub(crate) fn entry(row: EntryRow) -> Option<Entry> {
    let (columns, talk, text, name) = row;
    let (mailbox, seq, unread, kind, conversation, message, actor, read_at, at, list, detail, hidden_at) =
        columns;
    let (message, conversation) = (message.map(MessageId), ConversationId(conversation));
    let (list, detail) = (list.as_deref(), detail.as_deref());
    let event = match (kind, message) {
        // Whatever it said, it says it no more.
        _ if hidden_at.is_some()
            || is_deleted(kind, talk)
            || is_out_of_sight((kind, message), list, talk) =>
        {
            Event::Void
        }
        (kind::SENT | kind::RECEIVED, Some(id)) => {
            let is_sent = kind == kind::SENT;
            let message = message_of(id, conversation, talk, text, name)?;
            let read_count = message.read_count.filter(|_| is_sent);
            let message = Arc::new(Message { is_read: read_at.is_some(), read_count, ..message });
            if is_sent { Event::Sent(message) } else { Event::Received(message) }
        }
        (kind::READ, Some(id)) => Event::Read { messages: messages_of(list, id.0) },
        (kind::RECEIPT, Some(id)) => Event::Receipt {
            messages: messages_of(list, id.0),
            reader: UserId(actor?),
            read_at: Timestamp(read_at?),
            counts: counts(detail)?,
        },
        (kind::DELETED, Some(message)) => Event::Deleted { message },
        (kind::EDITED, Some(message)) => {
            let (subject, content) = (text.1?.into(), text.2?.into());
            Event::Edited { message, conversation, subject, content, edited_at: Timestamp(at) }
        }
        (kind::REACTED, Some(message)) => {
            Event::Reacted { message, conversation, user: UserId(actor?), reaction: read(detail)? }
        }
        (kind::GROUP, _) => {
            Event::Group { group: conversation, actor: UserId(actor?), change: read(detail)? }
        }
        (kind::CONVERSATION, _) => Event::Conversation { conversation, settings: read(detail)? },
        (kind::BLOCKED, _) => Event::Block(read(detail)?),
        (kind::RECEIPTS, _) => Event::Receipts(read(detail)?),
        _ => return None,
    };
    Some(Entry { mailbox: MailboxId(mailbox), seq: Seq(seq), unread, event })
}

/// Whether an entry tells of a change of a message that the owner has no more.
fn is_deleted(kind: i16, (_, _, _, _, n_held): ConversationColumns) -> bool {
    matches!(kind, kind::EDITED | kind::REACTED) && n_held == Some(0)
}

/// Whether an entry tells what was said in a group, of which the owner is no member, or became one later, or what a group
/// was to them that they left. One of several messages stays: what it says of the others holds.
fn is_out_of_sight(
    (kind, message): (i16, Option<MessageId>),
    list: Option<&str>,
    (of, _, _, since, _): ConversationColumns,
) -> bool {
    let is_lost = match kind {
        kind::RECEIVED | kind::SENT | kind::EDITED | kind::REACTED => true,
        kind::READ | kind::RECEIPT => list.is_none(),
        kind::CONVERSATION => since.is_none(),
        _ => false,
    };
    is_lost && of == Some(schema::GROUP) && since.is_none_or(|since| message <= Some(MessageId(since)))
}

/// The message of a row, not read.
fn message_of(
    id: MessageId,
    conversation: ConversationId,
    talk: ConversationColumns,
    text: MessageColumns,
    name: (Option<String>, Option<String>),
) -> Option<Message> {
    let (sender, subject, content, client_message_id, created_at, files, reply_to, named, edited_at, readers) =
        text;
    let sender = sender?;
    let of_group = talk.0? == schema::GROUP;
    Some(Message {
        id,
        conversation,
        sender: UserId(sender),
        sender_name: display_name(name.0?, name.1?),
        recipient: if of_group { None } else { Some(UserId(talk.1? + talk.2? - sender)) },
        subject: subject?,
        content: content?,
        created_at: Timestamp(created_at?),
        is_read: false,
        client_message_id: client_message_id.filter(|id| !id.starts_with(Send::GENERATED)),
        attachments: FileLabel::from_json(files.as_deref())?,
        reply_to: reply_to.map(MessageId),
        mentions: mentions(named.as_deref())?,
        edited_at: edited_at.map(Timestamp),
        read_count: readers.filter(|_| of_group),
        reactions: Vec::new(),
    })
}
