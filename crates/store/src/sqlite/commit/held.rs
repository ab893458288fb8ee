//! Who has a message: what is done to one begins and ends with that.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::{Batch, Change};
use crate::answer::DONE_BEFORE;
use crate::queries::ByMessage;
use crate::schema::{conversations, kind, mailbox_entries as entries, mailboxes, members, messages};

/// A message that the actor has.
#[derive(Queryable)]
pub(super) struct Held {
    pub(super) conversation: i64,
    pub(super) sender: i64,
    /// The sum of the two members; none in a group.
    pair: Option<i64>,
    pub(super) subject: String,
    pub(super) content: String,
    pub(super) attachments: Option<String>,
    pub(super) created_at: i64,
    pub(super) edited_at: Option<i64>,
}

impl Batch<'_> {
    /// The message, if a user is a member of its conversation since before it, and it is not hidden from them.
    pub(super) fn find_held(&mut self, user: i64, message: i64) -> QueryResult<Option<Held>> {
        let entry = entries::table
            .inner_join(mailboxes::table.on(mailboxes::id.eq(entries::mailbox_id)))
            .filter(mailboxes::owner_id.eq(user))
            .filter(entries::message_id.eq(message))
            .filter(ByMessage)
            .filter(entries::kind.le(kind::SENT))
            .filter(entries::hidden_at.is_null());
        messages::table
            .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
            .inner_join(members::table.on(members::conversation_id.eq(messages::conversation_id)))
            .filter(messages::id.eq(message))
            .filter(members::user_id.eq(user))
            .filter(members::since.lt(messages::id))
            .filter(exists(entry))
            .select((
                messages::conversation_id,
                messages::sender_id,
                (conversations::user_low + conversations::user_high).nullable(),
                messages::subject,
                messages::content,
                messages::attachments,
                messages::created_at,
                messages::edited_at,
            ))
            .first(self.connection)
            .optional()
    }

    /// The other members who have a message.
    pub(super) fn others_who_have(
        &mut self,
        actor: i64,
        conversation: i64,
        message: i64,
    ) -> QueryResult<Vec<i64>> {
        let is_owner = members::user_id.nullable().eq(mailboxes::owner_id);
        entries::table
            .inner_join(mailboxes::table.on(mailboxes::id.eq(entries::mailbox_id)))
            .inner_join(members::table.on(is_owner.and(members::conversation_id.eq(conversation))))
            .filter(entries::message_id.eq(message))
            .filter(ByMessage)
            .filter(entries::kind.le(kind::SENT))
            .filter(entries::hidden_at.is_null())
            .filter(members::since.lt(message))
            .filter(members::user_id.ne(actor))
            .order(members::user_id)
            .select(members::user_id)
            .load(self.connection)
    }

    /// Whether the other party takes nothing from the actor. In a group there is none.
    pub(super) fn is_refused(&mut self, actor: i64, held: &Held, only_in_groups: bool) -> QueryResult<bool> {
        match held.pair {
            Some(pair) => Ok(!self.may_write(actor, pair - actor, only_in_groups)?),
            None => Ok(false),
        }
    }

    /// Answers with the refusal of a command of this kind.
    pub(super) fn refuse(&mut self, problem: i16, kind: i16, change: &Change) {
        self.answer(problem, (0, 0, 0), kind, self.now, change);
    }

    /// Tells the actor, then the others who have the message.
    pub(super) fn tell(&mut self, kind: i16, change: &Change) -> QueryResult<()> {
        self.enter(change.actor, kind, 0, change)?;
        for owner in self.others_who_have(change.actor, change.conversation, change.message)? {
            self.enter(owner, kind, 0, change)?;
        }
        Ok(())
    }

    /// Answers that nothing had to be changed, and when it last was. It has no entry of its own: the mailbox's last stands
    /// for it.
    pub(super) fn answer_as_unchanged(&mut self, kind: i16, at: i64, change: &Change) -> QueryResult<()> {
        let place = mailboxes::table
            .filter(mailboxes::owner_id.eq(change.actor))
            .select((mailboxes::id, mailboxes::last_seq, mailboxes::unread))
            .first(self.connection)?;
        self.answer(DONE_BEFORE, place, kind, at, change);
        Ok(())
    }
}
