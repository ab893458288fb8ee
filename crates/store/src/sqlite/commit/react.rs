//! Reactions.

use diesel::dsl::{exists, select};
use diesel::prelude::*;
use switchboard_protocol::limits::REACTIONS;
use switchboard_protocol::{MessageId, UserId};

use super::{Batch, Change};
use crate::answer::{NO_SUCH_RECIPIENT, TOO_MANY_REACTIONS};
use crate::model::ReactionChange;
use crate::schema::{kind, reactions};

impl Batch<'_> {
    /// Sets a reaction or takes it back. For what is so already see `edit`.
    pub(super) fn react(
        &mut self,
        actor: UserId,
        message: MessageId,
        (reaction, is_set): (&str, bool),
        only_in_groups: bool,
    ) -> QueryResult<()> {
        let (actor, message) = (actor.0, message.0);
        let Some(held) = self.find_held(actor, message)? else {
            return Ok(());
        };
        let own = reactions::table.find((message, actor, reaction));
        let was_set: bool = select(exists(own)).get_result(self.connection)?;
        let before: i64 = reactions::table
            .filter(reactions::message_id.eq(message))
            .filter(reactions::reaction.eq(reaction))
            .count()
            .get_result(self.connection)?;
        let count = before + i64::from(is_set) - i64::from(was_set);
        let said = ReactionChange { reaction: reaction.to_owned(), is_set, count };
        // A text, a flag and a number: writing them cannot fail.
        let detail = serde_json::to_string(&said).ok();
        let change = Change { conversation: held.conversation, message, actor, detail, ..Change::default() };
        if is_set == was_set {
            return self.answer_as_unchanged(kind::REACTED, self.now, &change);
        }
        if self.is_refused(actor, &held, only_in_groups)? {
            self.refuse(NO_SUCH_RECIPIENT, kind::REACTED, &change);
            return Ok(());
        }
        if is_set && self.n_reactions(actor, message)? >= REACTIONS {
            self.refuse(TOO_MANY_REACTIONS, kind::REACTED, &change);
            return Ok(());
        }
        if is_set {
            diesel::insert_into(reactions::table)
                .values((
                    reactions::message_id.eq(message),
                    reactions::user_id.eq(actor),
                    reactions::reaction.eq(reaction),
                    reactions::created_at.eq(self.now),
                ))
                .execute(self.connection)?;
        } else {
            diesel::delete(own).execute(self.connection)?;
        }
        self.tell(kind::REACTED, &change)
    }

    /// How many a user has set on a message.
    fn n_reactions(&mut self, user: i64, message: i64) -> QueryResult<i64> {
        reactions::table
            .filter(reactions::message_id.eq(message))
            .filter(reactions::user_id.eq(user))
            .count()
            .get_result(self.connection)
    }
}
