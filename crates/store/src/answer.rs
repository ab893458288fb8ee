//! What a commit answers: rows of one shape from both back ends, made into outcomes.

use std::sync::Arc;

use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text};
use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, Timestamp, UserId};

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
);

/// One entry that a command made, or the one that says that it was done before. Ordered by command, the
/// actor's own entry first.
#[derive(Debug, diesel::Queryable)]
pub(crate) struct AnswerRow {
    /// The command's place in the batch.
    pub(crate) ord: i32,
    /// One of [`DONE`], [`DONE_BEFORE`], [`DONE_DIFFERENTLY`], [`NO_SUCH_FILE`].
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
    /// When the message was taken, or read.
    pub(crate) at: i64,
}

pub(crate) const DONE: i16 = 0;
pub(crate) const DONE_BEFORE: i16 = 1;
pub(crate) const DONE_DIFFERENTLY: i16 = 2;
pub(crate) const NO_SUCH_FILE: i16 = 3;

/// The outcome of each command. One without a row was refused: its other party is not there.
pub(crate) fn outcomes(commands: &[&Command], rows: Vec<AnswerRow>) -> Vec<Outcome> {
    let mut rows = rows.into_iter().peekable();
    (0..)
        .zip(commands)
        .map(|(ord, command)| {
            let Some(first) = rows.next_if(|row| row.ord == ord) else {
                return Outcome::Refused(match command {
                    Command::Send(_) => Refusal::UnknownRecipient,
                    Command::MarkRead { .. } | Command::Delete { .. } => Refusal::NotFound,
                });
            };
            let message = message(command, &first);
            match first.outcome {
                DONE_DIFFERENTLY => Outcome::Refused(Refusal::ClientMessageIdReused),
                NO_SUCH_FILE => Outcome::Refused(Refusal::UnknownAttachment),
                DONE_BEFORE => Outcome::Repeated(entry(&first, message.as_ref())),
                _ => {
                    let mut entries = vec![entry(&first, message.as_ref())];
                    while let Some(row) = rows.next_if(|row| row.ord == ord) {
                        entries.push(entry(&row, message.as_ref()));
                    }
                    Outcome::Committed(entries)
                }
            }
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
        recipient: send.recipient,
        subject: send.subject.clone(),
        content: send.content.clone(),
        created_at: Timestamp(row.at),
        is_read: row.read_at.is_some(),
        client_message_id: Some(send.client_message_id.clone()).filter(|id| !id.starts_with(Send::GENERATED)),
        attachments: send.attachments.clone(),
    }))
}

/// The messages of an entry: those of the list, or the one.
pub(crate) fn messages(list: Option<&str>, one: i64) -> Vec<MessageId> {
    let list: Option<Vec<MessageId>> = list.and_then(|list| serde_json::from_str(list).ok());
    list.unwrap_or_else(|| vec![MessageId(one)])
}

fn entry(row: &AnswerRow, message: Option<&Arc<Message>>) -> Entry {
    let messages = messages(row.messages.as_deref(), row.message);
    let event = match (row.kind, message) {
        (kind::SENT, Some(message)) => Event::Sent(Arc::clone(message)),
        (kind::RECEIVED, Some(message)) => Event::Received(Arc::clone(message)),
        (kind::RECEIPT, _) => Event::Receipt {
            messages,
            reader: UserId(row.actor),
            read_at: Timestamp(row.read_at.unwrap_or(row.at)),
        },
        (kind::DELETED, _) => Event::Deleted { message: MessageId(row.message) },
        _ => Event::Read { messages },
    };
    Entry { mailbox: MailboxId(row.mailbox), seq: Seq(row.seq), unread: row.unread, event }
}
