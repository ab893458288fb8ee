//! A batch of deletions: its two statements.

use std::sync::LazyLock;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Integer};

use super::changes::pieces;
use crate::answer::AnswerColumns;
use crate::model::Command;
use crate::sabotage;

/// The commands as the columns of the statement's input.
#[derive(Default)]
pub(super) struct Deletions {
    ord: Vec<i32>,
    actor: Vec<i64>,
    message: Vec<i64>,
}

impl Deletions {
    /// No message twice.
    pub(super) fn new(commands: &[&Command]) -> Self {
        let mut batch = Self::default();
        for (ord, command) in (0..).zip(commands) {
            if let Command::Delete { actor, message } = command {
                batch.ord.push(ord);
                batch.actor.push(actor.0);
                batch.message.push(message.0);
            }
        }
        batch
    }

    pub(super) fn lock(&self) -> Lock<'_> {
        Lock(self)
    }

    pub(super) fn write(&self) -> Write<'_> {
        Write(self)
    }
}

/// Locks the mailboxes of the actors and of the messages' members in the order of their ids.
pub(super) struct Lock<'a>(&'a Deletions);

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
static TEXT: LazyLock<Vec<&str>> = LazyLock::new(|| pieces(sabotage::statement(include_str!("delete.sql"))));

/// Writes the batch and answers with a row an entry.
pub(super) struct Write<'a>(&'a Deletions);

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
        out.push_sql(text());
        out.push_bind_param::<Array<Integer>, _>(&self.0.ord)?;
        for column in [&self.0.actor, &self.0.message] {
            out.push_sql(text());
            out.push_bind_param::<Array<BigInt>, _>(column)?;
        }
        out.push_sql(text());
        Ok(())
    }
}
