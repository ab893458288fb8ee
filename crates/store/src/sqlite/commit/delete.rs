//! Deletions.

use diesel::prelude::*;
use switchboard_protocol::{MessageId, UserId};

use super::{Batch, Change};
use crate::answer::DONE_BEFORE;
use crate::schema::{attachments, kind, mailbox_entries as entries, mailboxes, messages};

impl Batch<'_> {
    /// The sender's takes the message from both, the recipient's from themselves.
    pub(super) fn delete(&mut self, actor: UserId, message: MessageId) -> QueryResult<()> {
        let (actor, message) = (actor.0, message.0);
        let found: Option<(i64, i64)> = messages::table
            .find(message)
            .select((messages::conversation_id, messages::sender_id))
            .first(self.connection)
            .optional()?;
        let Some((conversation, sender)) = found else {
            return Ok(());
        };
        let change = Change { conversation, message, actor, ..Change::default() };
        // Who has the message: mailbox and owner.
        let mut holders: Vec<(i64, Option<i64>)> = entries::table
            .inner_join(mailboxes::table.on(mailboxes::id.eq(entries::mailbox_id)))
            .filter(entries::message_id.eq(message))
            .filter(entries::kind.le(kind::SENT))
            .filter(entries::hidden_at.is_null())
            .select((mailboxes::id, mailboxes::owner_id))
            .distinct()
            .load(self.connection)?;
        if !holders.iter().any(|(_, owner)| *owner == Some(actor)) {
            let kinds = &[kind::DELETED];
            return self.answer_as_before(DONE_BEFORE, self.now, kinds, kind::DELETED, change);
        }
        if sender == actor {
            self.erase(message)?;
        } else {
            holders.retain(|(_, owner)| *owner == Some(actor));
        }
        // The actor's own entry comes first.
        holders.sort_by_key(|(_, owner)| *owner != Some(actor));
        for (mailbox, owner) in holders {
            let unread = self.hide(mailbox, message)?;
            self.enter(owner.unwrap_or_default(), kind::DELETED, -unread, &change)?;
        }
        Ok(())
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
        Ok(())
    }

    /// Hides a mailbox's entries of a message, but for those of several messages. Gives how many were unread.
    fn hide(&mut self, mailbox: i64, message: i64) -> QueryResult<i64> {
        let of_message = entries::table
            .filter(entries::message_id.eq(message))
            .filter(entries::mailbox_id.eq(mailbox))
            .filter(entries::kind.le(kind::RECEIPT))
            .filter(entries::message_ids.is_null())
            .filter(entries::hidden_at.is_null());
        let unread: i64 = of_message
            .filter(entries::kind.eq(kind::RECEIVED))
            .filter(entries::read_at.is_null())
            .count()
            .get_result(self.connection)?;
        diesel::update(of_message).set(entries::hidden_at.eq(self.now)).execute(self.connection)?;
        Ok(unread)
    }
}
