//! What a commit answers: rows of one shape from both back ends, made into outcomes.

use std::sync::Arc;

use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text};
use serde::{Deserialize, Serialize};
use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, Target, Timestamp, UserId};

use crate::model::{Command, Entry, Event, Message, Outcome, Refusal, Send};
use crate::schema::kind;

/// The columns of [`AnswerRow`].
pub(crate) type AnswerColumns = (
    Integer,
    SmallInt,
    BigInt,
    BigInt,
    BigInt,
    SmallInt,
    BigInt,
    BigInt,
    Nullable<Text>,
    BigInt,
    Text,
    Nullable<BigInt>,
    BigInt,
    Nullable<BigInt>,
    Nullable<Text>,
);

/// One entry that a command made, or the one that says that it was done before. Ordered by command, the
/// actor's own entry first.
#[derive(Debug, diesel::Queryable)]
pub(crate) struct AnswerRow {
    /// The command's place in the batch.
    pub(crate) ord: i32,
    /// [`DONE`], [`DONE_BEFORE`], or why it was refused: see [`refusal`].
    pub(crate) outcome: i16,
    pub(crate) mailbox: i64,
    pub(crate) seq: i64,
    pub(crate) unread: i64,
    pub(crate) kind: i16,
    pub(crate) conversation: i64,
    pub(crate) message: i64,
    /// A JSON list, if there are several.
    pub(crate) messages: Option<String>,
    pub(crate) actor: i64,
    pub(crate) actor_name: String,
    pub(crate) read_at: Option<i64>,
    /// When the message was taken, read or changed.
    pub(crate) at: i64,
    /// Who received the message, if it is of a conversation of two.
    pub(crate) peer: Option<i64>,
    /// What the entry says besides, as `mailbox_entries.detail` has it; of a changed text its subject and content.
    pub(crate) detail: Option<String>,
}

pub(crate) const DONE: i16 = 0;
pub(crate) const DONE_BEFORE: i16 = 1;
pub(crate) const DONE_DIFFERENTLY: i16 = 2;
pub(crate) const NO_SUCH_FILE: i16 = 3;
pub(crate) const TOO_LATE: i16 = 4;
pub(crate) const EMPTY: i16 = 5;
pub(crate) const TOO_MANY_REACTIONS: i16 = 6;
pub(crate) const NO_SUCH_MENTION: i16 = 7;
/// The message to be answered, or to be changed, is not there for the actor.
pub(crate) const NO_SUCH_MESSAGE: i16 = 8;
/// The other party takes nothing from the actor.
pub(crate) const NO_SUCH_RECIPIENT: i16 = 9;

/// Why a command was refused; none if it was not.
fn refusal(outcome: i16) -> Option<Refusal> {
    Some(match outcome {
        DONE | DONE_BEFORE => return None,
        DONE_DIFFERENTLY => Refusal::ClientMessageIdReused,
        NO_SUCH_FILE => Refusal::UnknownAttachment,
        TOO_LATE => Refusal::TooLate,
        EMPTY => Refusal::Empty,
        TOO_MANY_REACTIONS => Refusal::TooManyReactions,
        NO_SUCH_MENTION => Refusal::UnknownMention,
        NO_SUCH_MESSAGE => Refusal::NotFound,
        NO_SUCH_RECIPIENT => Refusal::UnknownRecipient,
        _ => Refusal::Failed,
    })
}

/// What was changed of a text, in the answer to an edit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EditedText {
    pub(crate) subject: Arc<str>,
    pub(crate) content: Arc<str>,
}

/// The outcome of each command. One without a row was refused: its other party is not there.
pub(crate) fn outcomes(commands: &[&Command], rows: Vec<AnswerRow>) -> Vec<Outcome> {
    let mut rows = rows.into_iter().peekable();
    (0..)
        .zip(commands)
        .map(|(ord, command)| {
            let Some(first) = rows.next_if(|row| row.ord == ord) else {
                return Outcome::Refused(match command {
                    Command::Send(Send { to: Target::User(_), .. }) => Refusal::UnknownRecipient,
                    _ => Refusal::NotFound,
                });
            };
            let message = message(command, &first);
            if let Some(refusal) = refusal(first.outcome) {
                return Outcome::Refused(refusal);
            }
            let is_repeat = first.outcome == DONE_BEFORE;
            let Some(first) = event(&first, message.as_ref()).map(|event| entry(&first, event)) else {
                return Outcome::Refused(Refusal::Failed);
            };
            if is_repeat {
                return Outcome::Repeated(first);
            }
            let mut entries = vec![first];
            while let Some(row) = rows.next_if(|row| row.ord == ord) {
                let event = match &entries[0].event {
                    // All say the same, and the text is read once: the members of a group share it.
                    edited @ Event::Edited { .. } => Some(edited.clone()),
                    _ => event(&row, message.as_ref()),
                };
                entries.extend(event.map(|event| entry(&row, event)));
            }
            Outcome::Committed(entries)
        })
        .collect()
}

/// The message that a command sent, from what it said and what the store added.
fn message(command: &Command, row: &AnswerRow) -> Option<Arc<Message>> {
    let Command::Send(send) = command else {
        return None;
    };
    Some(Arc::new(Message {
        id: MessageId(row.message),
        conversation: ConversationId(row.conversation),
        sender: send.sender,
        sender_name: row.actor_name.clone(),
        recipient: row.peer.map(UserId),
        subject: send.subject.clone(),
        content: send.content.clone(),
        created_at: Timestamp(row.at),
        is_read: row.read_at.is_some(),
        client_message_id: Some(send.client_message_id.clone()).filter(|id| !id.starts_with(Send::GENERATED)),
        attachments: send.attachments.clone(),
        reply_to: send.reply_to,
        mentions: send.mentions.clone(),
        edited_at: None,
        read_count: None,
        reactions: Vec::new(),
    }))
}

/// The messages of an entry: those of the list, or the one.
pub(crate) fn messages(list: Option<&str>, one: i64) -> Vec<MessageId> {
    let list: Option<Vec<MessageId>> = list.and_then(|list| serde_json::from_str(list).ok());
    list.unwrap_or_else(|| vec![MessageId(one)])
}

/// None if a part cannot be read that its kind must have.
fn event(row: &AnswerRow, message: Option<&Arc<Message>>) -> Option<Event> {
    let detail = row.detail.as_deref();
    Some(match (row.kind, message) {
        (kind::SENT, Some(message)) => Event::Sent(Arc::clone(message)),
        (kind::RECEIVED, Some(message)) => Event::Received(Arc::clone(message)),
        (kind::READ, _) => Event::Read { messages: messages(row.messages.as_deref(), row.message) },
        (kind::RECEIPT, _) => Event::Receipt {
            messages: messages(row.messages.as_deref(), row.message),
            reader: UserId(row.actor),
            read_at: Timestamp(row.read_at.unwrap_or(row.at)),
            counts: counts(detail)?,
        },
        (kind::DELETED, _) => Event::Deleted { message: MessageId(row.message) },
        (kind::EDITED, _) => {
            let EditedText { subject, content } = read(detail)?;
            Event::Edited {
                message: MessageId(row.message),
                conversation: ConversationId(row.conversation),
                subject,
                content,
                edited_at: Timestamp(row.at),
            }
        }
        (kind::REACTED, _) => Event::Reacted {
            message: MessageId(row.message),
            conversation: ConversationId(row.conversation),
            user: UserId(row.actor),
            reaction: read(detail)?,
        },
        _ => return None,
    })
}

fn entry(row: &AnswerRow, event: Event) -> Entry {
    Entry { mailbox: MailboxId(row.mailbox), seq: Seq(row.seq), unread: row.unread, event }
}

/// What stands in `mailbox_entries.detail`.
pub(crate) fn read<'a, T: Deserialize<'a>>(detail: Option<&'a str>) -> Option<T> {
    serde_json::from_str(detail?).ok()
}

/// How many have read each message of a receipt; none where it is of a conversation of two.
pub(crate) fn counts(detail: Option<&str>) -> Option<Vec<i64>> {
    detail.map_or(Some(Vec::new()), |detail| serde_json::from_str(detail).ok())
}
