//! The hot path on SQLite: the commands of a batch one after another, in one transaction.
//!
//! There is one writer and no lock but the file's, so each command sees what those before it did.

mod delete;
mod read;

use diesel::prelude::*;
use switchboard_protocol::Timestamp;

use crate::answer::{AnswerRow, DONE, DONE_BEFORE, DONE_DIFFERENTLY, NO_SUCH_FILE};
use crate::model::{Command, FileLabel, Send};
use crate::queries::display_name;
use crate::schema::{
    DIRECT, attachments, conversations, kind, mailbox_entries as entries, mailboxes, members, messages, users,
};

/// Writes the commands and answers with a row an entry, as the statement on Postgres does.
pub(super) fn write(connection: &mut SqliteConnection, commands: &[&Command]) -> QueryResult<Vec<AnswerRow>> {
    let mut batch = Batch { connection, now: Timestamp::now().0, ord: 0, rows: Vec::new() };
    for (ord, command) in (0..).zip(commands) {
        batch.ord = ord;
        match command {
            Command::Send(send) => batch.send(send)?,
            Command::MarkRead { reader, messages } => batch.mark_read(*reader, messages)?,
            Command::Delete { actor, message } => batch.delete(*actor, *message)?,
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
struct Change {
    conversation: i64,
    message: i64,
    /// A JSON list, if there are several.
    messages: Option<String>,
    actor: i64,
    actor_name: String,
    read_at: Option<i64>,
}

impl Batch<'_> {
    fn send(&mut self, send: &Send) -> QueryResult<()> {
        let (actor, peer) = (send.sender.0, send.recipient.0);
        let Some((actor_name, _)) = self.find_user(actor)? else {
            return Ok(());
        };
        let prior: Option<(i64, i64, i64, i64)> = messages::table
            .filter(messages::sender_id.eq(actor))
            .filter(messages::client_message_id.eq(&send.client_message_id))
            .select((messages::id, messages::conversation_id, messages::created_at, messages::request_hash))
            .first(self.connection)
            .optional()?;
        if let Some((message, conversation, created_at, hash)) = prior {
            let outcome = if hash == send.request_hash() { DONE_BEFORE } else { DONE_DIFFERENTLY };
            let change = Change { conversation, message, messages: None, actor, actor_name, read_at: None };
            return self.answer_as_before(outcome, created_at, &[kind::SENT], kind::SENT, change);
        }
        if self.find_user(peer)?.is_none_or(|(_, disabled)| disabled) {
            return Ok(());
        }
        if !self.may_take(actor, &send.attachments)? {
            let change =
                Change { conversation: 0, message: 0, messages: None, actor, actor_name, read_at: None };
            self.answer(NO_SUCH_FILE, (0, 0, 0), kind::SENT, self.now, &change);
            return Ok(());
        }
        let conversation = self.conversation(actor.min(peer), actor.max(peer))?;
        let message: i64 = diesel::insert_into(messages::table)
            .values((
                messages::conversation_id.eq(conversation),
                messages::sender_id.eq(actor),
                messages::subject.eq(&send.subject),
                messages::content.eq(&send.content),
                messages::client_message_id.eq(&send.client_message_id),
                messages::request_hash.eq(send.request_hash()),
                messages::created_at.eq(self.now),
                messages::attachments.eq(FileLabel::to_json(&send.attachments)),
            ))
            .returning(messages::id)
            .get_result(self.connection)?;
        for file in &send.attachments {
            diesel::update(attachments::table.find(file.id.0))
                .set(attachments::message_id.eq(message))
                .execute(self.connection)?;
        }
        let to_oneself = actor == peer;
        let read_at = to_oneself.then_some(self.now);
        let change = Change { conversation, message, messages: None, actor, actor_name, read_at };
        self.enter(actor, kind::SENT, 0, &change)?;
        self.enter(peer, kind::RECEIVED, i64::from(!to_oneself), &change)
    }

    /// Whether all these files are the actor's, stored, and in no message yet.
    fn may_take(&mut self, actor: i64, files: &[FileLabel]) -> QueryResult<bool> {
        for file in files {
            let found: Option<i64> = attachments::table
                .find(file.id.0)
                .filter(attachments::uploader_id.eq(actor))
                .filter(attachments::message_id.is_null())
                .filter(attachments::stored_at.is_not_null())
                .filter(attachments::removed_at.is_null())
                .select(attachments::id)
                .first(self.connection)
                .optional()?;
            if found.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

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

    /// The conversation of two, opened with their first message.
    fn conversation(&mut self, low: i64, high: i64) -> QueryResult<i64> {
        let known: Option<i64> = conversations::table
            .filter(conversations::user_low.eq(low))
            .filter(conversations::user_high.eq(high))
            .select(conversations::id)
            .first(self.connection)
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let id: i64 = diesel::insert_into(conversations::table)
            .values((
                conversations::kind.eq(DIRECT),
                conversations::user_low.eq(low),
                conversations::user_high.eq(high),
                conversations::created_at.eq(self.now),
            ))
            .returning(conversations::id)
            .get_result(self.connection)?;
        for user in if low == high { vec![low] } else { vec![low, high] } {
            diesel::insert_into(members::table)
                .values((members::conversation_id.eq(id), members::user_id.eq(user)))
                .execute(self.connection)?;
        }
        Ok(id)
    }

    /// Adds an entry to the mailbox of `owner`.
    fn enter(&mut self, owner: i64, kind: i16, unread: i64, change: &Change) -> QueryResult<()> {
        let (mailbox, seq, unread): (i64, i64, i64) = diesel::update(mailboxes::table)
            .filter(mailboxes::owner_id.eq(owner))
            .set((
                mailboxes::last_seq.eq(mailboxes::last_seq + 1),
                mailboxes::unread.eq(mailboxes::unread + unread),
            ))
            .returning((mailboxes::id, mailboxes::last_seq, mailboxes::unread))
            .get_result(self.connection)?;
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
                entries::created_at.eq(self.now),
            ))
            .execute(self.connection)?;
        self.answer(DONE, (mailbox, seq, unread), kind, self.now, change);
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
            .filter(entries::kind.eq_any(kinds))
            .filter(entries::hidden_at.is_null().or(entries::kind.eq(kind::SENT)))
            .order(entries::seq.desc())
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
        });
    }
}
