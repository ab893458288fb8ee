//! The queries that both back ends run, and the rows that they give.
//!
//! A query is a value without a back end; `store::read!` runs it on whichever there is.

use std::sync::Arc;

use diesel::dsl;
use diesel::prelude::*;
use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, Timestamp, UserId};

use crate::answer::messages as messages_of;
use crate::model::{Account, Entry, Event, FileLabel, Head, Message, Send};
use crate::schema::{conversations, kind, mailbox_entries, mailboxes, members, messages, users};

/// Entries of a mailbox after a position, in order. The same cost wherever it begins: a walk along the key.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn page(mailbox: i64, after: i64, limit: i64) -> _ {
    let last_with_text: i16 = kind::SENT;
    let text_of_entry = messages::table.on(mailbox_entries::message_id
        .eq(messages::id.nullable())
        .and(mailbox_entries::kind.le(last_with_text)));
    let sender = users::table.on(messages::sender_id.nullable().eq(users::id.nullable()));
    let pair = conversations::table.on(conversations::id.eq(mailbox_entries::conversation_id));
    mailbox_entries::table
        .inner_join(mailboxes::table.on(mailboxes::id.eq(mailbox_entries::mailbox_id)))
        .left_join(pair)
        .left_join(text_of_entry)
        .left_join(sender)
        .filter(mailbox_entries::mailbox_id.eq(mailbox))
        .filter(mailbox_entries::seq.gt(after))
        .order(mailbox_entries::seq)
        .limit(limit)
        .select((
            (
                mailbox_entries::mailbox_id,
                mailbox_entries::seq,
                mailboxes::unread,
                mailbox_entries::kind,
                mailbox_entries::conversation_id,
                mailbox_entries::message_id,
                mailbox_entries::actor_id,
                mailbox_entries::read_at,
                mailbox_entries::message_ids,
                mailbox_entries::hidden_at,
            ),
            (conversations::user_low.nullable(), conversations::user_high.nullable()),
            (
                messages::sender_id.nullable(),
                messages::subject.nullable(),
                messages::content.nullable(),
                messages::client_message_id.nullable(),
                messages::created_at.nullable(),
                messages::attachments.nullable(),
            ),
            (users::username.nullable(), users::full_name.nullable()),
        ))
}

/// A row of [`page`].
type EntryColumns =
    (i64, i64, i64, i16, i64, Option<i64>, Option<i64>, Option<i64>, Option<String>, Option<i64>);
type MessageColumns =
    (Option<i64>, Option<String>, Option<String>, Option<String>, Option<i64>, Option<String>);
pub(crate) type EntryRow =
    (EntryColumns, (Option<i64>, Option<i64>), MessageColumns, (Option<String>, Option<String>));

/// The entry of a row; none if this version does not know its kind, or the row lacks what its kind must have.
pub(crate) fn entry(row: EntryRow) -> Option<Entry> {
    let (columns, pair, text, name) = row;
    let (mailbox, seq, unread, kind, conversation, message_id, actor, read_at, list, hidden_at) = columns;
    let messages = |id: MessageId| messages_of(list.as_deref(), id.0);
    let event = match (kind, message_id.map(MessageId)) {
        // Whatever it said, it says it no more.
        _ if hidden_at.is_some() => Event::Void,
        (kind::READ, Some(id)) => Event::Read { messages: messages(id) },
        (kind::RECEIPT, Some(id)) => Event::Receipt {
            messages: messages(id),
            reader: UserId(actor?),
            read_at: Timestamp(read_at?),
            counts: Vec::new(),
        },
        (kind::DELETED, Some(id)) => Event::Deleted { message: id },
        (kind::SENT | kind::RECEIVED, Some(id)) => {
            let (sender, subject, content, client_message_id, created_at, attachments) = text;
            let sender = sender?;
            let message = Arc::new(Message {
                id,
                conversation: ConversationId(conversation),
                sender: UserId(sender),
                sender_name: display_name(name.0?, name.1?),
                recipient: Some(UserId(pair.0? + pair.1? - sender)),
                subject: subject?,
                content: content?,
                created_at: Timestamp(created_at?),
                is_read: read_at.is_some(),
                client_message_id: client_message_id.filter(|id| !id.starts_with(Send::GENERATED)),
                attachments: FileLabel::from_json(attachments.as_deref())?,
                reply_to: None,
                mentions: Vec::new(),
                edited_at: None,
                read_count: None,
                reactions: Vec::new(),
            });
            if kind == kind::SENT { Event::Sent(message) } else { Event::Received(message) }
        }
        _ => return None,
    };
    Some(Entry { mailbox: MailboxId(mailbox), seq: Seq(seq), unread, event })
}

/// What people read as the name of a user.
pub(crate) fn display_name(username: String, full_name: String) -> String {
    if full_name.is_empty() { username } else { full_name }
}

diesel::alias!(messages as page_messages: PageMessages, mailbox_entries as hidden_entries: HiddenEntries);

/// Messages of a conversation that a user is a member of, newest first, before a message; without those that were
/// deleted, for all or for the user.
///
/// Which messages is decided by one walk along the index, before anything is joined: no statistics, or old
/// ones, make it more.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn history(reader: i64, mailbox: i64, conversation: i64, before: i64, limit: i64) -> _ {
    let hidden = hidden_entries
        .filter(
            hidden_entries
                .field(mailbox_entries::message_id)
                .eq(page_messages.field(messages::id).nullable()),
        )
        .filter(hidden_entries.field(mailbox_entries::mailbox_id).eq(mailbox))
        .filter(hidden_entries.field(mailbox_entries::hidden_at).is_not_null())
        .select(hidden_entries.field(mailbox_entries::seq));
    let in_page = page_messages
        .filter(page_messages.field(messages::conversation_id).eq(conversation))
        .filter(page_messages.field(messages::id).lt(before))
        .filter(page_messages.field(messages::deleted_at).is_null())
        .filter(dsl::not(dsl::exists(hidden)))
        .order((
            page_messages.field(messages::conversation_id).desc(),
            page_messages.field(messages::id).desc(),
        ))
        .limit(limit)
        .select(page_messages.field(messages::id));
    let member = members::table
        .on(members::conversation_id.eq(messages::conversation_id).and(members::user_id.eq(reader)));
    let sender = users::table.on(users::id.eq(messages::sender_id));
    let pair = conversations::table.on(conversations::id.eq(messages::conversation_id));
    let kind_received: i16 = kind::RECEIVED;
    let received = mailbox_entries::table.on(mailbox_entries::message_id
        .eq(messages::id.nullable())
        .and(mailbox_entries::kind.eq(kind_received)));
    messages::table
        .inner_join(member)
        .inner_join(sender)
        .inner_join(pair)
        .inner_join(received)
        .filter(messages::id.eq_any(in_page))
        .order(messages::id.desc())
        .select((
            (messages::id, messages::conversation_id, messages::sender_id),
            (
                messages::subject,
                messages::content,
                messages::client_message_id,
                messages::created_at,
                messages::attachments,
            ),
            (users::username, users::full_name),
            (conversations::user_low, conversations::user_high),
            mailbox_entries::read_at,
        ))
}

/// A row of [`history`].
pub(crate) type MessageRow = (
    (i64, i64, i64),
    (String, String, String, i64, Option<String>),
    (String, String),
    (Option<i64>, Option<i64>),
    Option<i64>,
);

/// The message of a row, as `reader` may see it: a client message id is its sender's alone.
pub(crate) fn message(row: MessageRow, reader: UserId) -> Option<Message> {
    let ((id, conversation, sender), text, name, pair, read_at) = row;
    let (subject, content, client_message_id, created_at, attachments) = text;
    let own = sender == reader.0 && !client_message_id.starts_with(Send::GENERATED);
    Some(Message {
        id: MessageId(id),
        conversation: ConversationId(conversation),
        sender: UserId(sender),
        sender_name: display_name(name.0, name.1),
        recipient: Some(UserId(pair.0? + pair.1? - sender)),
        subject,
        content,
        created_at: Timestamp(created_at),
        is_read: read_at.is_some(),
        client_message_id: own.then_some(client_message_id),
        attachments: FileLabel::from_json(attachments.as_deref())?,
        reply_to: None,
        mentions: Vec::new(),
        edited_at: None,
        read_count: None,
        reactions: Vec::new(),
    })
}

/// Whether a user is a member of a conversation.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn membership(user: i64, conversation: i64) -> _ {
    members::table
        .filter(members::conversation_id.eq(conversation))
        .filter(members::user_id.eq(user))
        .select(members::user_id)
}

/// Where mailboxes stand.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn heads(mailboxes: Vec<i64>) -> _ {
    mailboxes::table.filter(mailboxes::id.eq_any(mailboxes)).select((
        mailboxes::id,
        mailboxes::floor,
        mailboxes::last_seq,
        mailboxes::unread,
    ))
}

/// The head of a row of [`heads`].
pub(crate) fn head((mailbox, floor, last_seq, unread): (i64, i64, i64, i64)) -> Head {
    Head { mailbox: MailboxId(mailbox), floor: Seq(floor), last_seq: Seq(last_seq), unread }
}

/// Users with their mailboxes.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn accounts() -> _ {
    users::table.inner_join(mailboxes::table.on(mailboxes::owner_id.eq(users::id.nullable())))
}

/// The columns of an [`AccountRow`].
#[dsl::auto_type(no_type_alias)]
pub(crate) fn account_columns() -> _ {
    (
        (
            users::id,
            users::username,
            users::full_name,
            users::role,
            users::disabled_at,
            users::tokens_valid_from,
        ),
        (mailboxes::id, mailboxes::epoch, mailboxes::last_seq, mailboxes::unread),
    )
}

/// A row of [`accounts`].
pub(crate) type AccountRow = ((i64, String, String, String, Option<i64>, i64), (i64, String, i64, i64));

/// The account of a row.
pub(crate) fn account_of(
    ((id, username, full_name, role, disabled_at, valid_from), mailbox): AccountRow,
) -> Account {
    Account {
        id: UserId(id),
        username,
        full_name,
        role,
        disabled: disabled_at.is_some(),
        tokens_valid_from: Timestamp(valid_from),
        mailbox: MailboxId(mailbox.0),
        epoch: mailbox.1,
        last_seq: Seq(mailbox.2),
        unread: mailbox.3,
    }
}
