//! Reading conversations: which there are, what was said in them, who is in them.

mod people;
mod search;

use diesel::dsl;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use switchboard_protocol::limits::VERSIONS;
use switchboard_protocol::{ConversationId, MailboxId, MessageId, Role, Timestamp, UserId};

pub(crate) use self::people::acquainted;
use super::{Membership, Talk, Version};
use crate::error::StoreError;
use crate::lists::{self, PERSON, PersonRow, TalkRow, incomplete, person, talk};
use crate::model::Account;
use crate::queries::{self, ByMessage};
use crate::schema::{kind, mailbox_entries, members, message_versions, role, users};
use crate::store::{Store, read};

impl Store {
    /// Up to `limit` conversations of a user, the one with the latest message first; only those that stand before
    /// `before`, and with `archived` only those that are put away, or are not. A conversation of two without a message
    /// that the user can see is left out; a group is not. The latest messages are without their reactions.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], and [`StoreError::Rejected`] for a message that cannot
    /// be read.
    pub async fn conversations(
        &self,
        reader: &Account,
        before: Option<MessageId>,
        archived: Option<bool>,
        limit: i64,
    ) -> Result<Vec<Talk>, StoreError> {
        let before = before.map(|place| place.0);
        let query = lists::conversations(reader.id.0, reader.mailbox.0, before, archived, limit);
        let rows: Vec<TalkRow> = read!(self, connection => query.load(connection))?;
        let talks: Option<_> = rows.into_iter().map(|row| talk(row, reader.id)).collect();
        talks.ok_or_else(|| incomplete(reader))
    }

    /// A conversation with its members by id, if `reader` is one of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], and [`StoreError::Rejected`] for a message that cannot
    /// be read.
    pub async fn conversation(
        &self,
        reader: &Account,
        conversation: ConversationId,
    ) -> Result<Option<(Talk, Vec<Membership>)>, StoreError> {
        let query = lists::conversation(reader.id.0, reader.mailbox.0, conversation.0);
        let rows: Vec<TalkRow> = read!(self, connection => query.load(connection))?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let talk = talk(row, reader.id).ok_or_else(|| incomplete(reader))?;
        let query = members::table
            .inner_join(users::table.on(users::id.eq(members::user_id)))
            .filter(members::conversation_id.eq(conversation.0))
            .order(members::user_id)
            .select((members::role, PERSON));
        let rows: Vec<(i16, PersonRow)> = read!(self, connection => query.load(connection))?;
        let members = rows.into_iter().map(|(role, row)| Membership {
            person: person(row),
            role: if role == role::OWNER { Role::Owner } else { Role::Member },
        });
        Ok(Some((talk, members.collect())))
    }

    /// What a message said before, newest first; none if it is not there for `reader`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn versions(
        &self,
        reader: &Account,
        message: MessageId,
    ) -> Result<Option<Vec<Version>>, StoreError> {
        let query = visible(reader.id.0, reader.mailbox.0, message.0);
        let found: Vec<i64> = read!(self, connection => query.load(connection))?;
        if found.is_empty() {
            return Ok(None);
        }
        let query = message_versions::table
            .filter(message_versions::message_id.eq(message.0))
            .order(message_versions::edited_at.desc())
            .limit(VERSIONS)
            .select((message_versions::subject, message_versions::content, message_versions::edited_at));
        let rows: Vec<(String, String, i64)> = read!(self, connection => query.load(connection))?;
        let version = |(subject, content, until)| Version { subject, content, until: Timestamp(until) };
        Ok(Some(rows.into_iter().map(version).collect()))
    }

    /// The messages of a conversation that `reader` received and did not read, up to one of them, by their ids. Of more
    /// than `limit` so many, mostly the oldest. None if they are no member.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn unread_up_to(
        &self,
        reader: UserId,
        mailbox: MailboxId,
        conversation: ConversationId,
        up_to: MessageId,
        limit: i64,
    ) -> Result<Option<Vec<MessageId>>, StoreError> {
        let query = lists::unread_up_to(reader.0, mailbox.0, conversation.0, up_to.0, limit);
        let rows: Vec<i64> = read!(self, connection => query.load(connection))?;
        if rows.is_empty() {
            let query = queries::membership(reader.0, conversation.0);
            let found: Vec<i64> = read!(self, connection => query.load(connection))?;
            return Ok((!found.is_empty()).then(Vec::new));
        }
        Ok(Some(rows.into_iter().map(MessageId).collect()))
    }
}

/// Whether a user can see a message: a row if they can, of what they wrote to themselves two.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn visible(reader: i64, mailbox: i64, message: i64) -> _ {
    let (none, sent): (i16, i16) = (0, kind::SENT);
    let by_message: ByMessage = ByMessage;
    mailbox_entries::table
        .inner_join(members::table.on(members::conversation_id.eq(mailbox_entries::conversation_id)))
        .filter(mailbox_entries::message_id.eq(message))
        .filter(mailbox_entries::mailbox_id.eq(mailbox))
        // `+ 0` leaves no index but that.
        .filter(by_message)
        .filter((mailbox_entries::kind + none).le(sent))
        .filter(mailbox_entries::hidden_at.is_null())
        .filter(members::user_id.eq(reader))
        .filter(members::since.lt(message))
        .select(mailbox_entries::seq)
}
