//! Deletions.

use diesel::prelude::*;
use switchboard_protocol::{MessageId, UserId};

use super::{Batch, Change};
use crate::answer::DONE_BEFORE;
use crate::queries::ByMessage;
use crate::schema::{
    attachments, kind, mailbox_entries as entries, mailboxes, message_versions, messages, reactions,
};

impl Batch<'_> {
    /// The sender's takes the message from all, another's from themselves.
    pub(super) fn delete(&mut self, actor: UserId, message: MessageId) -> QueryResult<()> {
        let (actor, message) = (actor.0, message.0);
        let Some(held) = self.find_held(actor, message)? else {
            return self.answer_as_deleted(actor, message);
        };
        let change = Change { conversation: held.conversation, message, actor, ..Change::default() };
        let is_of_sender = held.sender == actor;
        let mut told = vec![actor];
        if is_of_sender {
            told.extend(self.others_who_have(actor, held.conversation, message)?);
        }
        // Of those only, as nothing of a group is unread to who has left it.
        let unread =
            told.iter().map(|owner| self.n_unread(*owner, message)).collect::<QueryResult<Vec<_>>>()?;
        if is_of_sender {
            self.erase(message)?;
        }
        self.hide(message, (!is_of_sender).then_some(actor))?;
        for (owner, unread) in told.into_iter().zip(unread) {
            self.enter(owner, kind::DELETED, -unread, &change)?;
        }
        Ok(())
    }

    fn answer_as_deleted(&mut self, actor: i64, message: i64) -> QueryResult<()> {
        let conversation: Option<i64> = messages::table
            .find(message)
            .select(messages::conversation_id)
            .first(self.connection)
            .optional()?;
        let Some(conversation) = conversation else {
            return Ok(());
        };
        let change = Change { conversation, message, actor, ..Change::default() };
        self.answer_as_before(DONE_BEFORE, self.now, &[kind::DELETED], kind::DELETED, change)
    }

    fn erase(&mut self, message: i64) -> QueryResult<()> {
        diesel::update(messages::table.find(message))
            .set((
                messages::subject.eq(""),
                messages::content.eq(""),
                messages::attachments.eq(None::<String>),
                messages::deleted_at.eq(self.now),
            ))
            .execute(self.connection)?;
        diesel::update(attachments::table.filter(attachments::message_id.eq(message)))
            .filter(attachments::removed_at.is_null())
            .set(attachments::removed_at.eq(self.now))
            .execute(self.connection)?;
        diesel::delete(message_versions::table.filter(message_versions::message_id.eq(message)))
            .execute(self.connection)?;
        diesel::delete(reactions::table.filter(reactions::message_id.eq(message)))
            .execute(self.connection)?;
        Ok(())
    }

    /// How many of a user's entries of a message count as unread.
    fn n_unread(&mut self, owner: i64, message: i64) -> QueryResult<i64> {
        entries::table
            .inner_join(mailboxes::table.on(mailboxes::id.eq(entries::mailbox_id)))
            .filter(mailboxes::owner_id.eq(owner))
            .filter(entries::message_id.eq(message))
            .filter(ByMessage)
            .filter(entries::kind.eq(kind::RECEIVED))
            .filter(entries::read_at.is_null())
            .filter(entries::hidden_at.is_null())
            .count()
            .get_result(self.connection)
    }

    /// Hides the entries of a message, of one user or of all, those of former members too. One of several messages
    /// stays: what it says of the others holds. Edits and reactions stay too, as many as they may be: they say nothing
    /// where the message is hidden.
    fn hide(&mut self, message: i64, owner: Option<i64>) -> QueryResult<()> {
        let kinds = [kind::RECEIVED, kind::SENT, kind::READ, kind::RECEIPT];
        let of_message = diesel::update(entries::table)
            .filter(entries::message_id.eq(message))
            .filter(ByMessage)
            .filter(entries::kind.eq_any(kinds))
            .filter(entries::message_ids.is_null())
            .filter(entries::hidden_at.is_null())
            .set(entries::hidden_at.eq(self.now));
        match owner {
            Some(owner) => {
                let mailbox = mailboxes::table.filter(mailboxes::owner_id.eq(owner)).select(mailboxes::id);
                of_message.filter(entries::mailbox_id.eq_any(mailbox)).execute(self.connection)?
            }
            None => of_message.execute(self.connection)?,
        };
        Ok(())
    }
}
