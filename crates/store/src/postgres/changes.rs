//! A batch of sends and read marks: its two statements.

use std::sync::LazyLock;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text};

use crate::answer::AnswerColumns;
use crate::model::{Command, FileLabel, Send};
use crate::sabotage;

/// The commands as the columns of the statement's input.
#[derive(Default)]
pub(super) struct Changes<'a> {
    owners: Vec<i64>,
    reads: Vec<i64>,
    ord: Vec<i32>,
    op: Vec<i16>,
    actor: Vec<i64>,
    peer: Vec<i64>,
    message: Vec<i64>,
    subject: Vec<&'a str>,
    content: Vec<&'a str>,
    client: Vec<&'a str>,
    hash: Vec<i64>,
    /// What readers see of the files, as JSON; none without files.
    files: Vec<Option<String>>,
    n_files: Vec<i64>,
    /// The files, each with its command.
    file_ord: Vec<i32>,
    file: Vec<i64>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(commands: &[&'a Command]) -> Self {
        let mut batch = Self::default();
        for (ord, command) in (0..).zip(commands) {
            match command {
                Command::Send(send) => batch.push_send(ord, send),
                Command::MarkRead { reader, messages } => {
                    batch.owners.push(reader.0);
                    for message in messages {
                        batch.reads.push(message.0);
                        batch.push(ord, 1, (reader.0, 0, message.0), ("", "", ""));
                        batch.hash.push(0);
                        batch.files.push(None);
                        batch.n_files.push(0);
                    }
                }
                // They have a statement of their own.
                Command::Delete { .. } => {}
            }
        }
        batch
    }

    fn push_send(&mut self, ord: i32, send: &'a Send) {
        let (actor, peer) = (send.sender.0, send.recipient.0);
        self.owners.extend([actor, peer]);
        self.push(ord, 0, (actor, peer, 0), (&send.subject, &send.content, &send.client_message_id));
        self.hash.push(send.request_hash());
        self.files.push(FileLabel::to_json(&send.attachments));
        self.n_files.push(i64::try_from(send.attachments.len()).unwrap_or(i64::MAX));
        self.file_ord.extend(send.attachments.iter().map(|_| ord));
        self.file.extend(send.attachments.iter().map(|file| file.id.0));
    }

    fn push(&mut self, ord: i32, op: i16, ids: (i64, i64, i64), texts: (&'a str, &'a str, &'a str)) {
        self.ord.push(ord);
        self.op.push(op);
        self.actor.push(ids.0);
        self.peer.push(ids.1);
        self.message.push(ids.2);
        self.subject.push(texts.0);
        self.content.push(texts.1);
        self.client.push(texts.2);
    }

    pub(super) fn lock(&self) -> Lock<'_> {
        Lock { owners: &self.owners, reads: &self.reads }
    }

    pub(super) fn write(&self) -> Write<'_> {
        Write(self)
    }
}

/// Locks the mailboxes of the batch in the order of their ids: those of actors and recipients, and those of
/// the senders of what is read.
///
/// The mailbox of a sender whose message is committed while this waits is not among them, so a reader who guesses
/// the next id may have it changed without its lock. The key of the entries then refuses the second of two equal
/// positions, and that batch is tried again.
pub(super) struct Lock<'a> {
    owners: &'a Vec<i64>,
    reads: &'a Vec<i64>,
}

// A fixed id puts the prepared statement in the connection's cache.
impl QueryId for Lock<'_> {
    type QueryId = Lock<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for Lock<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let (others, how) = sabotage::lock();
        out.push_sql("SELECT id FROM mailboxes WHERE ");
        out.push_sql(others);
        out.push_sql("owner_id IN (SELECT unnest(");
        out.push_bind_param::<Array<BigInt>, _>(self.owners)?;
        out.push_sql(") UNION SELECT sender_id FROM messages WHERE id = ANY (");
        out.push_bind_param::<Array<BigInt>, _>(self.reads)?;
        out.push_sql(")) ORDER BY id");
        out.push_sql(how);
        Ok(())
    }
}

/// A text, cut at each `{…}`, where a column of the input stands.
pub(super) fn pieces(text: &'static str) -> Vec<&'static str> {
    text.split(['{', '}']).step_by(2).collect()
}

/// The text of [`Write`].
static TEXT: LazyLock<Vec<&str>> = LazyLock::new(|| pieces(sabotage::statement(include_str!("commit.sql"))));

/// Writes the batch and answers with a row an entry.
pub(super) struct Write<'a>(&'a Changes<'a>);

impl QueryId for Write<'_> {
    type QueryId = Write<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for Write<'_> {
    type SqlType = AnswerColumns;
}

impl QueryFragment<Pg> for Write<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut parts = TEXT.iter();
        let mut text = || parts.next().copied().unwrap_or_default();
        let batch = self.0;
        out.push_sql(text());
        out.push_bind_param::<Array<Integer>, _>(&batch.ord)?;
        out.push_sql(text());
        out.push_bind_param::<Array<SmallInt>, _>(&batch.op)?;
        for column in [&batch.actor, &batch.peer, &batch.message] {
            out.push_sql(text());
            out.push_bind_param::<Array<BigInt>, _>(column)?;
        }
        for column in [&batch.subject, &batch.content, &batch.client] {
            out.push_sql(text());
            out.push_bind_param::<Array<Text>, _>(column)?;
        }
        out.push_sql(text());
        out.push_bind_param::<Array<BigInt>, _>(&batch.hash)?;
        out.push_sql(text());
        out.push_bind_param::<Array<Nullable<Text>>, _>(&batch.files)?;
        out.push_sql(text());
        out.push_bind_param::<Array<BigInt>, _>(&batch.n_files)?;
        out.push_sql(text());
        out.push_bind_param::<Array<Integer>, _>(&batch.file_ord)?;
        out.push_sql(text());
        out.push_bind_param::<Array<BigInt>, _>(&batch.file)?;
        out.push_sql(text());
        Ok(())
    }
}
