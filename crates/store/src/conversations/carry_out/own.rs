//! What is a user's own: what conversations are to them, whom they block, whether they send receipts. Their mailbox is locked
//! first; who sends to them waits for it, and goes by what is then so.

use diesel::dsl::{exists, select};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use switchboard_protocol::limits::BLOCKS;
use switchboard_protocol::{ConversationId, ConversationSettings, UserId};

use super::entries::{Locked, News, to_json};
use super::{Work, on};
use crate::model::{BlockChange, Event, Outcome, OwnAct, ReceiptsChange, Refusal};
use crate::schema::{NO_CONVERSATION, blocks, kind, members, users};

diesel::alias!(members as own_seats: OwnSeats);

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
            OwnAct::Block { user: other, is_blocked, only_in_groups } => {
                let own = blocks::table.find((user, other.0));
                let was_blocked: bool = on!(self, connection => select(exists(own)).get_result(connection))?;
                let is_changed = was_blocked != *is_blocked;
                if is_changed {
                    if *is_blocked
                        && let Some(refusal) =
                            self.find_refusal_of_block(user, other.0, *only_in_groups).await?
                    {
                        return Ok(Outcome::Refused(refusal));
                    }
                    self.write_block(user, other.0, *is_blocked).await?;
                }
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

    /// Why somebody cannot be blocked. Under the policy strangers are not there: else who blocks ids would learn names.
    async fn find_refusal_of_block(
        &mut self,
        user: i64,
        other: i64,
        only_in_groups: bool,
    ) -> QueryResult<Option<Refusal>> {
        let known = select(exists(users::table.find(other)));
        let is_known: bool = on!(self, connection => known.get_result(connection))?;
        if other == user || !is_known || only_in_groups && !self.share_a_conversation(user, other).await? {
            return Ok(Some(Refusal::UnknownRecipient));
        }
        let blocked = blocks::table.filter(blocks::blocker_id.eq(user)).count();
        let n_blocked: i64 = on!(self, connection => blocked.get_result(connection))?;
        Ok((n_blocked >= BLOCKS).then_some(Refusal::TooManyBlocks))
    }

    async fn share_a_conversation(&mut self, user: i64, other: i64) -> QueryResult<bool> {
        let own = own_seats
            .filter(own_seats.field(members::user_id).eq(user))
            .select(own_seats.field(members::conversation_id));
        let shared =
            members::table.filter(members::user_id.eq(other)).filter(members::conversation_id.eq_any(own));
        on!(self, connection => select(exists(shared)).get_result(connection))
    }

    async fn write_block(&mut self, user: i64, other: i64, is_blocked: bool) -> QueryResult<usize> {
        if is_blocked {
            let row =
                (blocks::blocker_id.eq(user), blocks::blocked_id.eq(other), blocks::created_at.eq(self.now));
            let block = diesel::insert_into(blocks::table).values(row);
            on!(self, connection => block.execute(connection))
        } else {
            let unblock = diesel::delete(blocks::table.find((user, other)));
            on!(self, connection => unblock.execute(connection))
        }
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
