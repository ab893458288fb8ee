//! The statements of the lists, and the rows that they all give. Each is the text of a file with numbers bound to
//! it, the same for both back ends, and is prepared once a connection.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Nullable, Text};
use diesel::sqlite::Sqlite;
use switchboard_protocol::{ConversationId, MessageId, Timestamp, UserId};

use super::Person;
use crate::model::{Account, FileLabel, Message, Send};
use crate::queries::display_name;

/// One of the lists.
pub(crate) trait List: 'static {
    /// SQL in which `{0}` stands for the first of the numbers, and `{messages m} e.message_id {m}` for the message of
    /// that id, as `m`.
    const TEXT: &'static str;
}

pub(crate) struct ReceivedAndSent;
pub(crate) struct LatestUnread;
pub(crate) struct Conversations;

impl List for ReceivedAndSent {
    const TEXT: &'static str = include_str!("received_and_sent.sql");
}

impl List for LatestUnread {
    const TEXT: &'static str = include_str!("latest_unread.sql");
}

impl List for Conversations {
    const TEXT: &'static str = include_str!("conversations.sql");
}

/// A list with the numbers that it is asked for with.
pub(crate) struct Statement<L, const N: usize> {
    numbers: [i64; N],
    list: PhantomData<L>,
}

impl<L: List, const N: usize> Statement<L, N> {
    pub(crate) fn new(numbers: [i64; N]) -> Self {
        Self { numbers, list: PhantomData }
    }
}

// A fixed id puts the prepared statement in the connection's cache.
impl<L: List, const N: usize> QueryId for Statement<L, N> {
    type QueryId = L;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<L: List, const N: usize> Query for Statement<L, N> {
    type SqlType = RowColumns;
}

/// How a back end is told to look up one row by its id for each row of a page, and nothing else.
trait LookUp: Backend + HasSqlType<BigInt> {
    /// What stands before the id, for a table and its alias.
    fn begin(table: &str, alias: &str) -> String;
    /// What stands after it.
    fn end(alias: &str) -> String;
}

/// A join would do, but Postgres may answer it by going through the table: at ten thousand messages it holds that
/// cheaper than to look up a hundred. `OFFSET 0` is the fence that keeps this from being made a join again.
impl LookUp for Pg {
    fn begin(table: &str, _alias: &str) -> String {
        format!("JOIN LATERAL (SELECT * FROM {table} WHERE id =")
    }

    fn end(alias: &str) -> String {
        format!("OFFSET 0) {alias} ON TRUE")
    }
}

impl LookUp for Sqlite {
    fn begin(table: &str, alias: &str) -> String {
        format!("JOIN {table} {alias} ON {alias}.id =")
    }

    fn end(_alias: &str) -> String {
        String::new()
    }
}

impl<L, DB, const N: usize> QueryFragment<DB> for Statement<L, N>
where
    L: List,
    DB: LookUp,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let code = L::TEXT.lines().filter(|line| !line.trim_start().starts_with("--"));
        for line in code {
            for (nth, part) in line.split(['{', '}']).enumerate() {
                if nth % 2 == 0 {
                    out.push_sql(part);
                } else if let Ok(number) = part.parse::<usize>() {
                    out.push_bind_param::<BigInt, _>(&self.numbers[number])?;
                } else if let Some((table, alias)) = part.split_once(' ') {
                    out.push_sql(&DB::begin(table, alias));
                } else {
                    out.push_sql(&DB::end(part));
                }
            }
            out.push_sql("\n");
        }
        Ok(())
    }
}

/// What a list says of a message besides: kind of the entry, or number of unread messages; conversation, message,
/// sender; the message; when it was read; the other party.
type RowColumns =
    (BigInt, (BigInt, BigInt, BigInt), TextColumns, Nullable<BigInt>, (BigInt, Text, Text, Text));
type TextColumns = (Text, Text, Text, BigInt, Nullable<Text>);

/// A row of each of the lists.
pub(crate) type Row = (
    i64,
    (i64, i64, i64),
    (String, String, String, i64, Option<String>),
    Option<i64>,
    (i64, String, String, String),
);

/// A message as its list shows it to `reader`, with the other party; none if what it says of its files cannot be read.
pub(crate) fn message(row: Row, reader: &Account) -> Option<(Message, Person)> {
    let (_, (conversation, id, sender), text, read_at, (other, username, full_name, role)) = row;
    let (subject, content, client_message_id, created_at, attachments) = text;
    let other = Person { id: UserId(other), username, full_name, role };
    let own = sender == reader.id.0;
    let sender_name =
        if own { display_name(reader.username.clone(), reader.full_name.clone()) } else { other.name() };
    let message = Message {
        id: MessageId(id),
        conversation: ConversationId(conversation),
        sender: UserId(sender),
        sender_name,
        recipient: Some(if own { other.id } else { reader.id }),
        subject,
        content,
        created_at: Timestamp(created_at),
        is_read: read_at.is_some(),
        client_message_id: Some(client_message_id).filter(|id| own && !id.starts_with(Send::GENERATED)),
        attachments: FileLabel::from_json(attachments.as_deref())?,
        reply_to: None,
        mentions: Vec::new(),
        edited_at: None,
        read_count: None,
        reactions: Vec::new(),
    };
    Some((message, other))
}
