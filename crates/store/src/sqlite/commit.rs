//! The hot path on SQLite: the commands of a batch one after another, in one transaction.
//!
//! There is one writer and no lock but the file's, so each command sees what those before it did.

mod delete;
mod edit;
mod held;
mod react;
mod read;
mod send;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;
use switchboard_protocol::Timestamp;

use crate::answer::{AnswerRow, DONE};
use crate::model::Command;
use crate::queries::{ByMessage, display_name};
use crate::schema::{kind, mailbox_entries as entries, mailboxes, members, users};

/// Writes the commands and answers with a row an entry, as the statement on Postgres does.
pub(super) fn write(connection: &mut SqliteConnection, commands: &[&Command]) -> QueryResult<Vec<AnswerRow>> {
    let mut batch = Batch { connection, now: Timestamp::now().0, ord: 0, rows: Vec::new() };
    for (ord, command) in (0..).zip(commands) {
        batch.ord = ord;
        match command {
            Command::Send(send) => batch.send(send)?,
            Command::MarkRead { reader, messages } => batch.mark_read(*reader, messages)?,
            Command::Delete { actor, message } => batch.delete(*actor, *message)?,
            Command::Edit(edit) => batch.edit(edit)?,
            Command::React { actor, message, reaction, is_set, only_in_groups } => {
                batch.react(*actor, *message, (reaction, *is_set), *only_in_groups)?;
            }
            // They are carried out one by one: see `Committer`.
            Command::Group { .. } | Command::Own { .. } => {}
        }
    }
    Ok(batch.rows)
}

struct Batch<'a> {
    connection: &'a mut SqliteConnection,
    now: i64,
    ord: i32,
    rows: Vec<AnswerRow>,
}

/// What the entries of a command have in common.
#[derive(Clone, Default)]
struct Change {
    conversation: i64,
    message: i64,
    /// A JSON list, if there are several.
    messages: Option<String>,
    actor: i64,
    actor_name: String,
    read_at: Option<i64>,
    /// See [`AnswerRow::peer`].
    peer: Option<i64>,
    /// See [`AnswerRow::detail`].
    detail: Option<String>,
    /// When, if it is not now.
    at: Option<i64>,
}

/// Gives a mailbox its next position, and changes what is unread in it. An update of diesel's own would be parsed again for
/// each entry.
struct Advance {
    owner: i64,
    unread: i64,
}

// A fixed id puts the prepared statement in the connection's cache.
impl QueryId for Advance {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for Advance {
    /// The mailbox, its last position, how many are unread.
    type SqlType = (BigInt, BigInt, BigInt);
}

impl RunQueryDsl<SqliteConnection> for Advance {}

impl QueryFragment<Sqlite> for Advance {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE mailboxes SET last_seq = last_seq + 1, unread = unread + ");
        out.push_bind_param::<BigInt, _>(&self.unread)?;
        out.push_sql(" WHERE owner_id = ");
        out.push_bind_param::<BigInt, _>(&self.owner)?;
        out.push_sql(" RETURNING id, last_seq, unread");
        Ok(())
    }
}

impl Batch<'_> {
    /// The name that people read, and whether the user is disabled.
    fn find_user(&mut self, user: i64) -> QueryResult<Option<(String, bool)>> {
        let found: Option<(String, String, Option<i64>)> = users::table
            .filter(users::id.eq(user))
            .select((users::username, users::full_name, users::disabled_at))
            .first(self.connection)
            .optional()?;
        Ok(found.map(|(username, full_name, disabled_at)| {
            (display_name(username, full_name), disabled_at.is_some())
        }))
    }

    /// Whether a user is a member of a conversation since before a message.
    fn is_member_since(&mut self, user: i64, conversation: i64, message: i64) -> QueryResult<bool> {
        let since: Option<i64> = members::table
            .find((conversation, user))
            .filter(members::since.lt(message))
            .select(members::since)
            .first(self.connection)
            .optional()?;
        Ok(since.is_some())
    }

    /// Adds an entry to the mailbox of `owner`.
    fn enter(&mut self, owner: i64, kind: i16, unread: i64, change: &Change) -> QueryResult<()> {
        let (mailbox, seq, unread): (i64, i64, i64) =
            Advance { owner, unread }.get_result(self.connection)?;
        let at = change.at.unwrap_or(self.now);
        // A text is not kept here: the message has it.
        let detail = change.detail.as_ref().filter(|_| kind != kind::EDITED);
        diesel::insert_into(entries::table)
            .values((
                entries::mailbox_id.eq(mailbox),
                entries::seq.eq(seq),
                entries::kind.eq(kind),
                entries::conversation_id.eq(change.conversation),
                entries::message_id.eq(change.message),
                entries::message_ids.eq(&change.messages),
                entries::actor_id.eq(change.actor),
                entries::read_at.eq(change.read_at),
                entries::created_at.eq(at),
                entries::detail.eq(detail),
            ))
            .execute(self.connection)?;
        self.answer(DONE, (mailbox, seq, unread), kind, at, change);
        Ok(())
    }

    /// Answers with the actor's entry of a message that says that it was done before: the last of `kinds`.
    fn answer_as_before(
        &mut self,
        outcome: i16,
        at: i64,
        kinds: &[i16],
        kind: i16,
        mut change: Change,
    ) -> QueryResult<()> {
        let place: Option<(i64, i64, i64, Option<i64>)> = entries::table
            .inner_join(mailboxes::table.on(mailboxes::id.eq(entries::mailbox_id)))
            .filter(entries::message_id.eq(change.message))
            .filter(mailboxes::owner_id.eq(change.actor))
            .filter(ByMessage)
            .filter(entries::kind.eq_any(kinds))
            .filter(entries::hidden_at.is_null().or(entries::kind.eq(kind::SENT)))
            // `+ 0` leaves no index but that by message: no walk through the mailbox.
            .order((entries::seq + 0_i64).desc())
            .select((entries::mailbox_id, entries::seq, mailboxes::unread, entries::read_at))
            .first(self.connection)
            .optional()?;
        if let Some((mailbox, seq, unread, read_at)) = place {
            change.read_at = read_at;
            self.answer(outcome, (mailbox, seq, unread), kind, at, &change);
        }
        Ok(())
    }

    fn answer(&mut self, outcome: i16, place: (i64, i64, i64), kind: i16, at: i64, change: &Change) {
        self.rows.push(AnswerRow {
            ord: self.ord,
            outcome,
            mailbox: place.0,
            seq: place.1,
            unread: place.2,
            kind,
            conversation: change.conversation,
            message: change.message,
            messages: change.messages.clone(),
            actor: change.actor,
            actor_name: change.actor_name.clone(),
            read_at: change.read_at,
            at,
            peer: change.peer,
            detail: change.detail.clone(),
        });
    }
}
