//! Who is told of what somebody does, who may see whether somebody is there, and what users set for themselves.

use std::collections::HashMap;

use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use diesel_async::RunQueryDsl;
use switchboard_protocol::{ConversationId, MailboxId, Target, Timestamp, UserId};

use crate::conversations::Audience;
use crate::error::StoreError;
use crate::lists::{PERSON, Person, PersonRow, fellows, person};
use crate::schema::{self, OPERATOR, blocks, conversations, mailboxes, members, users};
use crate::store::{Backend, Store, change, read};

impl Store {
    /// The others in a conversation, for what is told to them and kept nowhere; none if the user may not write there, or no
    /// message was ever sent between the two. Who has blocked the user is left out, in a group too.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn audience(
        &self,
        user: UserId,
        to: Target,
        only_in_groups: bool,
    ) -> Result<Option<Audience>, StoreError> {
        let own = members::table
            .inner_join(conversations::table.on(conversations::id.eq(members::conversation_id)))
            .filter(members::user_id.eq(user.0))
            .select((
                conversations::id,
                conversations::kind,
                conversations::user_low,
                conversations::user_high,
            ));
        let found: Option<(i64, i16, Option<i64>, Option<i64>)> = match to {
            Target::Conversation(conversation) => {
                let own = own.filter(conversations::id.eq(conversation.0));
                read!(self, connection => async { own.first(connection).await.optional() })?
            }
            Target::User(other) => {
                let own = own
                    .filter(conversations::user_low.eq(user.0.min(other.0)))
                    .filter(conversations::user_high.eq(user.0.max(other.0)));
                read!(self, connection => async { own.first(connection).await.optional() })?
            }
        };
        let Some((conversation, kind, low, high)) = found else {
            return Ok(None);
        };
        let query = others_in(user.0, conversation);
        let others: Vec<(i64, i64)> = read!(self, connection => query.load(connection))?;
        // To oneself one always may.
        if kind == schema::DIRECT && low != high {
            let [(other, _)] = others[..] else {
                return Ok(None);
            };
            if only_in_groups && !self.share_a_group(user, UserId(other)).await? {
                return Ok(None);
            }
        }
        let mailboxes = others.into_iter().map(|(_, mailbox)| MailboxId(mailbox)).collect();
        Ok(Some(Audience { conversation: ConversationId(conversation), mailboxes }))
    }

    /// Whether two are in a group of the operator.
    async fn share_a_group(&self, user: UserId, other: UserId) -> Result<bool, StoreError> {
        let shared = fellows(user.0)
            .filter(members::user_id.eq(other.0))
            .filter(conversations::creator_id.eq(OPERATOR))
            .select(members::user_id)
            .limit(1);
        let found: Vec<i64> = read!(self, connection => shared.load(connection))?;
        Ok(!found.is_empty())
    }

    /// Those of `others` with whom a user shares a conversation, and who did not block them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn acquaintances(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        let query = acquainted(user.0, others.iter().map(|other| other.0).collect());
        let found: Vec<i64> = read!(self, connection => query.load(connection))?;
        Ok(found.into_iter().map(UserId).collect())
    }

    /// Whom a user has blocked, by id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn blocked(&self, user: UserId) -> Result<Vec<Person>, StoreError> {
        let query = blocks::table
            .inner_join(users::table.on(users::id.eq(blocks::blocked_id)))
            .filter(blocks::blocker_id.eq(user.0))
            .order(users::id)
            .select(PERSON);
        let rows: Vec<PersonRow> = read!(self, connection => query.load(connection))?;
        Ok(rows.into_iter().map(person).collect())
    }

    /// Whether senders learn that a user has read their messages.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn sends_receipts(&self, user: UserId) -> Result<bool, StoreError> {
        let query = users::table.find(user.0).select(users::send_receipts);
        read!(self, connection => query.first(connection))
    }

    /// When users were last seen, as far as that is known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn last_seen(&self, users: &[UserId]) -> Result<HashMap<UserId, Timestamp>, StoreError> {
        let ids: Vec<i64> = users.iter().map(|user| user.0).collect();
        let query = users::table
            .filter(users::id.eq_any(ids))
            .filter(users::last_seen_at.is_not_null())
            .select((users::id, users::last_seen_at.assume_not_null()));
        let rows: Vec<(i64, i64)> = read!(self, connection => query.load(connection))?;
        Ok(rows.into_iter().map(|(user, at)| (UserId(user), Timestamp(at))).collect())
    }

    /// Notes that users were seen until now, by the clock of the store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn note_seen(&self, users: &[UserId]) -> Result<(), StoreError> {
        let ids: Vec<i64> = users.iter().map(|user| user.0).collect();
        let now = match &*self.backend {
            Backend::Postgres(_) => "(extract(epoch FROM statement_timestamp()) * 1000000)::int8".to_owned(),
            Backend::Sqlite(_) => Timestamp::now().0.to_string(),
        };
        let note = diesel::update(users::table.filter(users::id.eq_any(ids)))
            .set(users::last_seen_at.eq(dsl::sql::<Nullable<BigInt>>(&now)));
        change!(self, connection => note.execute(connection)).map(|_noted| ())
    }
}

/// The members of a conversation but for a user, and for those who blocked them or are disabled, with their mailboxes.
#[dsl::auto_type(no_type_alias)]
fn others_in(user: i64, conversation: i64) -> _ {
    let blocked = blocks::table
        .filter(blocks::blocker_id.eq(members::user_id))
        .filter(blocks::blocked_id.eq(user))
        .select(blocks::blocked_id);
    members::table
        .inner_join(mailboxes::table.on(mailboxes::owner_id.eq(members::user_id.nullable())))
        .inner_join(users::table.on(users::id.eq(members::user_id)))
        .filter(members::conversation_id.eq(conversation))
        .filter(members::user_id.ne(user))
        .filter(users::disabled_at.is_null())
        .filter(dsl::not(dsl::exists(blocked)))
        .order(members::user_id)
        .select((members::user_id, mailboxes::id))
}

diesel::alias!(members as own_places: OwnPlaces);

/// Those of some users who share a conversation with one, and have not blocked them, by id.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn acquainted(user: i64, others: Vec<i64>) -> _ {
    let blocked = blocks::table
        .filter(blocks::blocker_id.eq(members::user_id))
        .filter(blocks::blocked_id.eq(user))
        .select(blocks::blocked_id);
    let shared = own_places
        .filter(own_places.field(members::conversation_id).eq(members::conversation_id))
        .filter(own_places.field(members::user_id).eq(user))
        .select(own_places.field(members::user_id));
    members::table
        .filter(members::user_id.eq_any(others))
        .filter(dsl::exists(shared))
        .filter(dsl::not(dsl::exists(blocked)))
        .order(members::user_id)
        .select(members::user_id)
        .distinct()
}
