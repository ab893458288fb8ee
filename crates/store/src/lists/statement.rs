//! The statements of the lists. Each is the text of a file with numbers and words bound to it, the same for both back
//! ends, and is prepared once a connection. What they have in common stands in texts of its own.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};
use diesel::sqlite::Sqlite;

use super::row::{ListedColumns, MessageColumns, PlacedColumns, TalkColumns};

/// One of the lists.
pub(crate) trait List: 'static {
    /// What a row has.
    type Columns;
    /// SQL in which `{0}` stands for the first of the numbers, `{~0}` for the first of the words,
    /// `{messages m} e.message_id {m}` for the message of that id, as `m`, `{shown}` for the columns of a message,
    /// `{seen e}` for whether the user is a member of its conversation since before the message of the entry `e`, and
    /// `{visible m}` for whether the message `m` of one conversation is there for them.
    const TEXT: &'static str;
}

pub(crate) struct ReceivedAndSent;
pub(crate) struct LatestUnread;
pub(crate) struct History;
pub(crate) struct HistoryAfter;
pub(crate) struct Mail;
pub(crate) struct Search;
pub(crate) struct UnreadUpTo;
pub(crate) struct Conversations;
pub(crate) struct Conversation;

impl List for ReceivedAndSent {
    type Columns = ListedColumns;
    const TEXT: &'static str = include_str!("received_and_sent.sql");
}

impl List for LatestUnread {
    type Columns = MessageColumns;
    const TEXT: &'static str = include_str!("latest_unread.sql");
}

impl List for History {
    type Columns = MessageColumns;
    const TEXT: &'static str = include_str!("history.sql");
}

impl List for HistoryAfter {
    type Columns = MessageColumns;
    const TEXT: &'static str = include_str!("history_after.sql");
}

impl List for Mail {
    type Columns = PlacedColumns;
    const TEXT: &'static str = concat!(include_str!("mail.sql"), include_str!("found.sql"));
}

impl List for Search {
    type Columns = PlacedColumns;
    const TEXT: &'static str = concat!(include_str!("search.sql"), include_str!("found.sql"));
}

impl List for UnreadUpTo {
    type Columns = BigInt;
    const TEXT: &'static str = include_str!("unread_up_to.sql");
}

impl List for Conversations {
    type Columns = TalkColumns;
    const TEXT: &'static str = concat!(include_str!("conversations.sql"), include_str!("talks.sql"));
}

impl List for Conversation {
    type Columns = TalkColumns;
    const TEXT: &'static str = concat!(include_str!("conversation.sql"), include_str!("talks.sql"));
}

/// The columns of a message.
const SHOWN: &str = include_str!("shown.sql");

/// Whether the user is a member of an entry's conversation since before its message.
const SEEN: &str = include_str!("seen.sql");

/// Whether a message of one conversation is there for its member.
const VISIBLE: &str = include_str!("visible.sql");

/// A list with the numbers and words that it is asked for with.
pub(crate) struct Statement<L, const N: usize> {
    numbers: [i64; N],
    words: Vec<String>,
    list: PhantomData<L>,
}

impl<L: List, const N: usize> Statement<L, N> {
    pub(crate) fn new(numbers: [i64; N]) -> Self {
        Self { numbers, words: Vec::new(), list: PhantomData }
    }

    /// With words too: as many as the text has.
    pub(crate) fn with_words(numbers: [i64; N], words: Vec<String>) -> Self {
        Self { numbers, words, list: PhantomData }
    }

    fn write<'b, DB>(&'b self, text: &'static str, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>
    where
        DB: LookUp,
        i64: ToSql<BigInt, DB>,
        String: ToSql<Text, DB>,
    {
        for line in text.lines().filter(|line| !line.trim_start().starts_with("--")) {
            for (nth, part) in line.split(['{', '}']).enumerate() {
                if nth % 2 == 0 {
                    out.push_sql(part);
                } else if let Ok(number) = part.parse::<usize>() {
                    out.push_bind_param::<BigInt, _>(&self.numbers[number])?;
                } else if let Some(Ok(word)) = part.strip_prefix('~').map(str::parse::<usize>) {
                    out.push_bind_param::<Text, _>(&self.words[word])?;
                } else {
                    match part.split_once(' ') {
                        None if part == "shown" => self.write(SHOWN, out)?,
                        Some(("seen", "e")) => self.write(SEEN, out)?,
                        Some(("visible", "m")) => self.write(VISIBLE, out)?,
                        Some((table, alias)) => out.push_sql(&DB::begin(table, alias)),
                        None => out.push_sql(&DB::end(part)),
                    }
                }
            }
            out.push_sql("\n");
        }
        Ok(())
    }
}

// A fixed id puts the prepared statement in the connection's cache.
impl<L: List, const N: usize> QueryId for Statement<L, N> {
    type QueryId = L;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<L: List, const N: usize> Query for Statement<L, N> {
    type SqlType = L::Columns;
}

/// How a back end is told to look up one row by its id for each row of a page, and nothing else.
pub(crate) trait LookUp: Backend + HasSqlType<BigInt> + HasSqlType<Text> {
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
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.write(L::TEXT, &mut out)
    }
}
