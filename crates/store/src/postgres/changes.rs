//! A batch of sends and read marks: its two statements.

use std::sync::LazyLock;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, SmallInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use switchboard_protocol::Target;

use crate::answer::{AnswerColumns, AnswerRow};
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
    recipient: Vec<i64>,
    /// The conversation that a message is sent to; 0 where it goes by recipient.
    target: Vec<i64>,
    /// Those of them that there are, for the locks.
    conversations: Vec<i64>,
    message: Vec<i64>,
    subject: Vec<&'a str>,
    content: Vec<&'a str>,
    client: Vec<&'a str>,
    hash: Vec<i64>,
    /// What readers see of the files, as JSON; none without files.
    files: Vec<Option<String>>,
    n_files: Vec<i64>,
    reply: Vec<Option<i64>>,
    /// Who is mentioned, as JSON; none without anybody.
    mentions: Vec<Option<String>>,
    strict: Vec<bool>,
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
                        batch.push(ord, 1, (reader.0, 0, 0, message.0), ("", "", ""));
                        batch.hash.push(0);
                        batch.files.push(None);
                        batch.n_files.push(0);
                        batch.reply.push(None);
                        batch.mentions.push(None);
                        batch.strict.push(false);
                    }
                }
                // They have statements of their own.
                _ => {}
            }
        }
        batch
    }

    fn push_send(&mut self, ord: i32, send: &'a Send) {
        let actor = send.sender.0;
        let (recipient, target) = match send.to {
            Target::User(user) => (user.0, 0),
            Target::Conversation(conversation) => (0, conversation.0),
        };
        self.owners.push(actor);
        self.owners.extend(Some(recipient).filter(|_| target == 0));
        self.conversations.extend(Some(target).filter(|target| *target > 0));
        self.push(
            ord,
            0,
            (actor, recipient, target, 0),
            (&send.subject, &send.content, &send.client_message_id),
        );
        self.hash.push(send.request_hash());
        self.files.push(FileLabel::to_json(&send.attachments));
        self.n_files.push(i64::try_from(send.attachments.len()).unwrap_or(i64::MAX));
        self.file_ord.extend(send.attachments.iter().map(|_| ord));
        self.file.extend(send.attachments.iter().map(|file| file.id.0));
        self.reply.push(send.reply_to.map(|message| message.0));
        self.mentions.push(send.mentions_as_json());
        self.strict.push(send.only_in_groups);
    }

    fn push(&mut self, ord: i32, op: i16, ids: (i64, i64, i64, i64), texts: (&'a str, &'a str, &'a str)) {
        self.ord.push(ord);
        self.op.push(op);
        self.actor.push(ids.0);
        self.recipient.push(ids.1);
        self.target.push(ids.2);
        self.message.push(ids.3);
        self.subject.push(texts.0);
        self.content.push(texts.1);
        self.client.push(texts.2);
    }

    /// The lock on the conversations that messages go to, if there are any.
    pub(super) fn lock_conversations(&self) -> Option<LockConversations<'_>> {
        (!self.conversations.is_empty()).then_some(LockConversations(&self.conversations))
    }

    /// Locks the mailboxes of the batch, with the shortest statement that can.
    pub(super) fn lock<'c>(
        &'c self,
        connection: &'c mut &AsyncPgConnection,
    ) -> BoxFuture<'c, QueryResult<usize>> {
        match self.shape() {
            Shape::Sends => self.lock_as::<{ Shape::Sends as usize }>(connection),
            Shape::Reads | Shape::All => self.lock_as::<{ Shape::All as usize }>(connection),
        }
    }

    /// The same with one of the statements.
    pub(super) fn lock_as<'c, const SHAPE: usize>(
        &'c self,
        connection: &'c mut &AsyncPgConnection,
    ) -> BoxFuture<'c, QueryResult<usize>> {
        Lock::<SHAPE>(self).execute(connection).boxed()
    }

    fn shape(&self) -> Shape {
        let is_rich = !self.conversations.is_empty()
            || !self.file.is_empty()
            || self.reply.iter().any(Option::is_some)
            || self.mentions.iter().any(Option::is_some);
        match (self.reads.is_empty(), self.reads.len() == self.ord.len()) {
            (true, false) if !is_rich => Shape::Sends,
            (false, true) => Shape::Reads,
            _ => Shape::All,
        }
    }

    /// Binds a column by the name that it has in the text.
    fn bind<'b>(&'b self, column: &str, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match column {
            "ord" => out.push_bind_param::<Array<Integer>, _>(&self.ord),
            "op" => out.push_bind_param::<Array<SmallInt>, _>(&self.op),
            "actor" => out.push_bind_param::<Array<BigInt>, _>(&self.actor),
            "recipient" => out.push_bind_param::<Array<BigInt>, _>(&self.recipient),
            "target" => out.push_bind_param::<Array<BigInt>, _>(&self.target),
            "message" => out.push_bind_param::<Array<BigInt>, _>(&self.message),
            "subject" => out.push_bind_param::<Array<Text>, _>(&self.subject),
            "content" => out.push_bind_param::<Array<Text>, _>(&self.content),
            "client" => out.push_bind_param::<Array<Text>, _>(&self.client),
            "hash" => out.push_bind_param::<Array<BigInt>, _>(&self.hash),
            "files" => out.push_bind_param::<Array<Nullable<Text>>, _>(&self.files),
            "n_files" => out.push_bind_param::<Array<BigInt>, _>(&self.n_files),
            "reply" => out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.reply),
            "mentions" => out.push_bind_param::<Array<Nullable<Text>>, _>(&self.mentions),
            "strict" => out.push_bind_param::<Array<Bool>, _>(&self.strict),
            "file_ord" => out.push_bind_param::<Array<Integer>, _>(&self.file_ord),
            "file" => out.push_bind_param::<Array<BigInt>, _>(&self.file),
            unknown => Err(diesel::result::Error::QueryBuilderError(format!("no column `{unknown}`").into())),
        }
    }

    /// Writes the batch, with the shortest statement that can.
    pub(super) fn write<'c>(
        &'c self,
        connection: &'c mut &AsyncPgConnection,
    ) -> BoxFuture<'c, QueryResult<Vec<AnswerRow>>> {
        match self.shape() {
            Shape::Sends => self.write_as::<{ Shape::Sends as usize }>(connection),
            Shape::Reads => self.write_as::<{ Shape::Reads as usize }>(connection),
            Shape::All => self.write_as::<{ Shape::All as usize }>(connection),
        }
    }

    /// The same with one of the statements.
    pub(super) fn write_as<'c, const SHAPE: usize>(
        &'c self,
        connection: &'c mut &AsyncPgConnection,
    ) -> BoxFuture<'c, QueryResult<Vec<AnswerRow>>> {
        Write::<SHAPE>(self).load(connection).boxed()
    }
}

/// Locks conversations in the order of their ids, before any mailbox: who their members are does not change then.
pub(super) struct LockConversations<'a>(pub(super) &'a Vec<i64>);

impl QueryId for LockConversations<'_> {
    type QueryId = LockConversations<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for LockConversations<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT id FROM conversations WHERE id = ANY (");
        out.push_bind_param::<Array<BigInt>, _>(self.0)?;
        out.push_sql(") ORDER BY id FOR NO KEY UPDATE");
        Ok(())
    }
}

/// Locks the mailboxes of the batch in the order of their ids: those of actors and recipients, and those of
/// the senders of what is read.
///
/// The mailbox of a sender whose message is committed while this waits is not among them, so a reader who guesses
/// the next id may have it changed without its lock. The key of the entries then refuses the second of two equal
/// positions, and that batch is tried again.
///
/// It answers with their number: hundreds of rows that nobody reads would cost both sides.
pub(super) struct Lock<'a, const SHAPE: usize>(&'a Changes<'a>);

// A fixed id puts the prepared statement in the connection's cache.
impl<const SHAPE: usize> QueryId for Lock<'_, SHAPE> {
    type QueryId = Lock<'static, SHAPE>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const SHAPE: usize> QueryFragment<Pg> for Lock<'_, SHAPE> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let (others, how) = sabotage::lock();
        out.push_sql("SELECT count(*) FROM (SELECT id FROM mailboxes WHERE ");
        out.push_sql(others);
        if SHAPE == Shape::Sends as usize {
            out.push_sql("owner_id = ANY (");
            out.push_bind_param::<Array<BigInt>, _>(&self.0.owners)?;
        } else {
            out.push_sql("owner_id IN (SELECT unnest(");
            out.push_bind_param::<Array<BigInt>, _>(&self.0.owners)?;
            out.push_sql(") UNION SELECT user_id FROM members WHERE conversation_id = ANY (");
            out.push_bind_param::<Array<BigInt>, _>(&self.0.conversations)?;
            out.push_sql(") UNION SELECT sender_id FROM messages WHERE id = ANY (");
            out.push_bind_param::<Array<BigInt>, _>(&self.0.reads)?;
            out.push_sql(")");
        }
        // `+ 0`: a plan made while mailboxes are few would walk through all of them in this order.
        out.push_sql(") ORDER BY id + 0");
        out.push_sql(how);
        out.push_sql(") locked");
        Ok(())
    }
}

/// A text, cut at each `{…}`, where a column of the input stands.
pub(super) fn pieces(text: &'static str) -> Vec<&'static str> {
    text.split(['{', '}']).step_by(2).collect()
}

/// What a batch has. A statement that can do all costs as much again before its first row, whatever the batch, and more for
/// each row: two out of three batches get a shorter one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Sends to users, without files, that answer nothing and mention nobody.
    Sends,
    /// Read marks.
    Reads,
    /// Whatever there is.
    All,
}

impl Shape {
    /// Whether a part of the statement's text belongs to it.
    fn has(self, part: &str) -> bool {
        match self {
            Self::Sends => part == "sends",
            Self::Reads => part == "reads",
            Self::All => true,
        }
    }

    fn text(self) -> Vec<&'static str> {
        let (mut open, mut text) = (Vec::new(), String::new());
        for line in include_str!("commit.sql").lines() {
            if let Some(part) = line.strip_prefix("--[") {
                open.push(part);
            } else if line == "--]" {
                open.pop();
            } else if !line.trim_start().starts_with("--") && open.iter().all(|part| self.has(part)) {
                text.push_str(line);
                text.push('\n');
            }
        }
        // Once a process.
        sabotage::statement(text.leak()).split(['{', '}']).collect()
    }
}

/// The texts of [`Write`], each cut where a column of the input stands: every other part is the name of one.
static TEXTS: LazyLock<[Vec<&str>; 3]> =
    LazyLock::new(|| [Shape::Sends, Shape::Reads, Shape::All].map(Shape::text));

/// Writes the batch and answers with a row an entry. `SHAPE` is that of the batch, as a number.
pub(super) struct Write<'a, const SHAPE: usize>(&'a Changes<'a>);

impl<const SHAPE: usize> QueryId for Write<'_, SHAPE> {
    type QueryId = Write<'static, SHAPE>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const SHAPE: usize> Query for Write<'_, SHAPE> {
    type SqlType = AnswerColumns;
}

impl<const SHAPE: usize> QueryFragment<Pg> for Write<'_, SHAPE> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (nth, part) in TEXTS[SHAPE].iter().enumerate() {
            if nth % 2 == 0 {
                out.push_sql(part);
            } else {
                self.0.bind(part, &mut out)?;
            }
        }
        Ok(())
    }
}
