//! What is a user's own: what conversations are to them, whom they block, whether they send receipts. Their mailbox is locked
//! first; who sends to them waits for it, and goes by what is then so.

use diesel::dsl::{exists, select};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use switchboard_protocol::{ConversationId, ConversationSettings, UserId};

use super::entries::{Locked, News, to_json};
use super::{Work, on};
use crate::model::{BlockChange, Event, Outcome, OwnAct, ReceiptsChange, Refusal};
use crate::schema::{NO_CONVERSATION, blocks, kind, members, users};

impl Work<'_> {
    pub(super) async fn change_own(&mut self, user: i64, act: &OwnAct) -> QueryResult<Outcome> {
        let locked = self.lock_mailboxes(vec![user]).await?;
        if locked.mailbox_of(user).is_none() {
            return Ok(Outcome::Refused(Refusal::NotFound));
        }
        let (is_changed, news) = match act {
            OwnAct::Conversation { conversation, is_muted, is_archived, draft } => {
                let Some(before) = self.find_settings(user, conversation.0).await? else {
                    return Ok(Outcome::Refused(Refusal::NotFound));
                };
                let after = ConversationSettings {
                    is_muted: is_muted.unwrap_or(before.is_muted),
                    is_archived: is_archived.unwrap_or(before.is_archived),
                    draft: draft.clone().unwrap_or_else(|| before.draft.clone()),
                };
                let is_changed = after != before;
                if is_changed {
                    // Who takes a member out needs their mailbox: the row is still there.
                    self.write_settings(user, conversation.0, &after).await?;
                }
                (is_changed, of_conversation(user, *conversation, after))
            }
            OwnAct::Block { user: other, is_blocked } => {
                let known = select(exists(users::table.find(other.0)));
                let is_known: bool = on!(self, connection => known.get_result(connection))?;
                if other.0 == user || !is_known {
                    return Ok(Outcome::Refused(Refusal::UnknownRecipient));
                }
                let is_changed = self.write_block(user, other.0, *is_blocked).await?;
                (is_changed, of_block(user, *other, *is_blocked))
            }
            OwnAct::Receipts { send } => {
                let other_than_this = users::table.find(user).filter(users::send_receipts.ne(*send));
                let change = diesel::update(other_than_this).set(users::send_receipts.eq(*send));
                let is_changed = on!(self, connection => change.execute(connection))? > 0;
                (is_changed, of_receipts(user, *send))
            }
        };
        self.tell(user, &locked, is_changed, news).await
    }

    async fn tell(
        &mut self,
        user: i64,
        locked: &Locked,
        is_changed: bool,
        news: News,
    ) -> QueryResult<Outcome> {
        if !is_changed {
            return Ok(locked.repeated(user, news.event));
        }
        Ok(Outcome::Committed(self.enter(vec![user], &news).await?))
    }

    async fn find_settings(
        &mut self,
        user: i64,
        conversation: i64,
    ) -> QueryResult<Option<ConversationSettings>> {
        let settings = members::table.find((conversation, user)).select((
            members::is_muted,
            members::is_archived,
            members::draft,
        ));
        let row: Option<(bool, bool, String)> =
            on!(self, connection => settings.first(connection)).optional()?;
        let settings = |(is_muted, is_archived, draft)| ConversationSettings { is_muted, is_archived, draft };
        Ok(row.map(settings))
    }

    async fn write_settings(
        &mut self,
        user: i64,
        conversation: i64,
        settings: &ConversationSettings,
    ) -> QueryResult<usize> {
        let write = diesel::update(members::table.find((conversation, user))).set((
            members::is_muted.eq(settings.is_muted),
            members::is_archived.eq(settings.is_archived),
            members::draft.eq(settings.draft.clone()),
        ));
        on!(self, connection => write.execute(connection))
    }

    /// Whether that changed something.
    async fn write_block(&mut self, user: i64, other: i64, is_blocked: bool) -> QueryResult<bool> {
        let n_rows = if is_blocked {
            let row =
                (blocks::blocker_id.eq(user), blocks::blocked_id.eq(other), blocks::created_at.eq(self.now));
            let block = diesel::insert_into(blocks::table).values(row).on_conflict_do_nothing();
            on!(self, connection => block.execute(connection))?
        } else {
            let unblock = diesel::delete(blocks::table.find((user, other)));
            on!(self, connection => unblock.execute(connection))?
        };
        Ok(n_rows > 0)
    }
}

fn of_conversation(user: i64, conversation: ConversationId, settings: ConversationSettings) -> News {
    News {
        kind: kind::CONVERSATION,
        conversation: conversation.0,
        actor: user,
        detail: to_json(&settings),
        event: Event::Conversation { conversation, settings },
    }
}

fn of_block(user: i64, other: UserId, is_blocked: bool) -> News {
    let change = BlockChange { user_id: other, is_blocked };
    of_user(user, kind::BLOCKED, to_json(&change), Event::Block(change))
}

fn of_receipts(user: i64, send_receipts: bool) -> News {
    let change = ReceiptsChange { send_receipts };
    of_user(user, kind::RECEIPTS, to_json(&change), Event::Receipts(change))
}

fn of_user(user: i64, kind: i16, detail: Option<String>, event: Event) -> News {
    News { kind, conversation: NO_CONVERSATION, actor: user, detail, event }
}
