//! A batch of what is done to messages: its three statements.

use std::sync::LazyLock;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, SmallInt, Text};
use switchboard_protocol::limits::{REACTIONS, VERSIONS};
use switchboard_protocol::{MessageId, UserId};

use super::changes::pieces;
use crate::answer::AnswerColumns;
use crate::model::Command;
use crate::sabotage;
use crate::schema::kind;

/// The commands as the columns of the statement's input.
#[derive(Default)]
pub(super) struct OfMessage<'a> {
    ord: Vec<i32>,
    /// That of the entries that a command makes.
    kind: Vec<i16>,
    actor: Vec<i64>,
    message: Vec<i64>,
    /// Of an edit; none leaves it.
    subject: Vec<Option<&'a str>>,
    content: Vec<&'a str>,
    within: Vec<i64>,
    keep: Vec<bool>,
    reaction: Vec<&'a str>,
    is_set: Vec<bool>,
    strict: Vec<bool>,
}

impl<'a> OfMessage<'a> {
    /// No message twice.
    pub(super) fn new(commands: &[&'a Command]) -> Self {
        let mut batch = Self::default();
        for (ord, command) in (0..).zip(commands) {
            match command {
                Command::Delete { actor, message } => {
                    batch.push(ord, kind::DELETED, *actor, *message, false);
                    batch.push_text(None, "", 0, false);
                    batch.push_reaction("", false);
                }
                Command::Edit(edit) => {
                    batch.push(ord, kind::EDITED, edit.actor, edit.message, edit.only_in_groups);
                    batch.push_text(edit.subject.as_deref(), &edit.content, edit.within, edit.keep);
                    batch.push_reaction("", false);
                }
                Command::React { actor, message, reaction, is_set, only_in_groups } => {
                    batch.push(ord, kind::REACTED, *actor, *message, *only_in_groups);
                    batch.push_text(None, "", 0, false);
                    batch.push_reaction(reaction, *is_set);
                }
                // They have statements of their own.
                _ => {}
            }
        }
        batch
    }

    fn push(&mut self, ord: i32, kind: i16, actor: UserId, message: MessageId, strict: bool) {
        self.ord.push(ord);
        self.kind.push(kind);
        self.actor.push(actor.0);
        self.message.push(message.0);
        self.strict.push(strict);
    }

    fn push_text(&mut self, subject: Option<&'a str>, content: &'a str, within: i64, keep: bool) {
        self.subject.push(subject);
        self.content.push(content);
        self.within.push(within);
        self.keep.push(keep);
    }

    fn push_reaction(&mut self, reaction: &'a str, is_set: bool) {
        self.reaction.push(reaction);
        self.is_set.push(is_set);
    }

    pub(super) fn lock_groups(&self) -> LockGroups<'_> {
        LockGroups(&self.message)
    }

    pub(super) fn lock(&self) -> Lock<'_> {
        Lock(self)
    }

    pub(super) fn write(&self) -> Write<'_> {
        Write(self)
    }
}

/// Locks the groups of messages in the order of their ids, before any mailbox: who their members are does not change then.
pub(super) struct LockGroups<'a>(&'a Vec<i64>);

impl QueryId for LockGroups<'_> {
    type QueryId = LockGroups<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for LockGroups<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // As an array, so that no plan walks the conversations to find the messages of each.
        out.push_sql(
            "SELECT id FROM conversations WHERE kind = 2 \
             AND id = ANY (ARRAY(SELECT conversation_id FROM messages WHERE id = ANY (",
        );
        out.push_bind_param::<Array<BigInt>, _>(self.0)?;
        out.push_sql("))) ORDER BY id FOR NO KEY UPDATE");
        Ok(())
    }
}

/// Locks the mailboxes of the actors and of the messages' members in the order of their ids.
///
/// Those of a message that is committed while this waits are not among them: see `changes::Lock`.
pub(super) struct Lock<'a>(&'a OfMessage<'a>);

impl QueryId for Lock<'_> {
    type QueryId = Lock<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for Lock<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT id FROM mailboxes WHERE owner_id IN (SELECT unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.0.actor)?;
        out.push_sql(
            ") UNION SELECT s.user_id FROM messages m JOIN members s ON s.conversation_id = m.conversation_id \
             WHERE m.id = ANY (",
        );
        out.push_bind_param::<Array<BigInt>, _>(&self.0.message)?;
        out.push_sql(")) ORDER BY id FOR NO KEY UPDATE");
        Ok(())
    }
}

/// The text of [`Write`].
static TEXT: LazyLock<Vec<&str>> =
    LazyLock::new(|| pieces(sabotage::statement(include_str!("of_message.sql"))));

/// Writes the batch and answers with a row an entry.
pub(super) struct Write<'a>(&'a OfMessage<'a>);

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
        out.push_bind_param::<Array<SmallInt>, _>(&batch.kind)?;
        for column in [&batch.actor, &batch.message] {
            out.push_sql(text());
            out.push_bind_param::<Array<BigInt>, _>(column)?;
        }
        out.push_sql(text());
        out.push_bind_param::<Array<Nullable<Text>>, _>(&batch.subject)?;
        out.push_sql(text());
        out.push_bind_param::<Array<Text>, _>(&batch.content)?;
        out.push_sql(text());
        out.push_bind_param::<Array<BigInt>, _>(&batch.within)?;
        out.push_sql(text());
        out.push_bind_param::<Array<Bool>, _>(&batch.keep)?;
        out.push_sql(text());
        out.push_bind_param::<Array<Text>, _>(&batch.reaction)?;
        for column in [&batch.is_set, &batch.strict] {
            out.push_sql(text());
            out.push_bind_param::<Array<Bool>, _>(column)?;
        }
        out.push_sql(text());
        for number in [&REACTIONS, &(VERSIONS - 1)] {
            out.push_bind_param::<BigInt, _>(number)?;
            out.push_sql(text());
        }
        Ok(())
    }
}
