//! Groups that are made, and members who come in.

use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt};
use diesel_async::RunQueryDsl;
use switchboard_protocol::limits::GROUPS;
use switchboard_protocol::{GroupChange, UserId};

use super::entries::{Locked, News};
use super::group::{Group, Seat};
use super::{Connection, Work, on};
use crate::model::{Entry, Outcome, Refusal, Send};
use crate::schema::{GROUP, OPERATOR, blocks, conversations, mailboxes, members, role, users};

diesel::alias!(members as own_seats: OwnSeats);

impl Work<'_> {
    /// Makes a group. A creator makes one at a time, as their mailbox is locked: none of the same name comes in between.
    pub(super) async fn create(
        &mut self,
        actor: i64,
        title: &str,
        others: Vec<i64>,
        client_conversation_id: &str,
        only_in_groups: bool,
    ) -> QueryResult<Outcome> {
        let locked = self.lock_mailboxes(others.iter().copied().chain([actor]).collect()).await?;
        if locked.mailbox_of(actor).is_none() {
            return Ok(Outcome::Refused(Refusal::NotFound));
        }
        let to_creator =
            Some(client_conversation_id.to_owned()).filter(|id| !id.starts_with(Send::GENERATED));
        if let Some(group) = self.find_made(actor, client_conversation_id).await? {
            if group.seat_of(actor).is_none() {
                return Ok(Outcome::Refused(Refusal::NotFound));
            }
            let news = News::of_group(actor, group.id, group.joined(to_creator));
            return Ok(locked.repeated(actor, news.event));
        }
        let mut group = Group { id: 0, title: title.to_owned(), seats: Vec::new() };
        if group.is_full_with(others.len() + 1) {
            return Ok(Outcome::Refused(Refusal::GroupFull));
        }
        if !self.may_add(actor, &others, only_in_groups).await? {
            return Ok(Outcome::Refused(Refusal::UnknownRecipient));
        }
        let everybody: Vec<i64> = others.iter().copied().chain([actor]).collect();
        if self.is_one_in_too_many(&everybody).await? {
            return Ok(Outcome::Refused(Refusal::TooManyGroups));
        }
        group.id = self.make(actor, title, client_conversation_id).await?;
        let roles: Vec<_> =
            others.iter().map(|user| (*user, role::MEMBER)).chain([(actor, role::OWNER)]).collect();
        self.seat(&mut group, &roles).await?;
        let own = News::of_group(actor, group.id, group.joined(to_creator));
        let mut entries = self.enter(vec![actor], &own).await?;
        if !others.is_empty() {
            let theirs = News::of_group(actor, group.id, group.joined(None));
            entries.extend(self.enter(others, &theirs).await?);
        }
        Ok(Outcome::Committed(entries))
    }

    /// Adds those who are no members yet.
    pub(super) async fn add(
        &mut self,
        actor: i64,
        group: Group,
        locked: &Locked,
        users: &[UserId],
        only_in_groups: bool,
    ) -> QueryResult<Outcome> {
        let new = users.iter().filter(|user| group.seat_of(user.0).is_none());
        let new: Vec<i64> = new.map(|user| user.0).collect();
        if new.is_empty() {
            let change = GroupChange::Added { user_ids: users.to_vec() };
            return Ok(locked.repeated(actor, News::of_group(actor, group.id, change).event));
        }
        if !self.may_add(actor, &new, only_in_groups).await? {
            return Ok(Outcome::Refused(Refusal::UnknownRecipient));
        }
        if group.is_full_with(new.len()) {
            return Ok(Outcome::Refused(Refusal::GroupFull));
        }
        if self.is_one_in_too_many(&new).await? {
            return Ok(Outcome::Refused(Refusal::TooManyGroups));
        }
        let roles: Vec<_> = new.iter().map(|user| (*user, role::MEMBER)).collect();
        Ok(Outcome::Committed(self.welcome(actor, group, &roles).await?))
    }

    /// Gives users, who are no members, seats in a group, and tells them and those who were there before.
    pub(super) async fn welcome(
        &mut self,
        actor: i64,
        mut group: Group,
        new: &[(i64, i16)],
    ) -> QueryResult<Vec<Entry>> {
        let before = group.users();
        self.seat(&mut group, new).await?;
        let new: Vec<i64> = new.iter().map(|(user, _)| *user).collect();
        let mut entries = Vec::new();
        if !before.is_empty() {
            let user_ids = new.iter().copied().map(UserId).collect();
            let added = News::of_group(actor, group.id, GroupChange::Added { user_ids });
            entries = self.enter(before, &added).await?;
        }
        let joined = News::of_group(actor, group.id, group.joined(None));
        entries.extend(self.enter(new, &joined).await?);
        Ok(entries)
    }

    /// A group by what its creator calls it.
    pub(super) async fn find_made(
        &mut self,
        creator: i64,
        client_conversation_id: &str,
    ) -> QueryResult<Option<Group>> {
        let made = conversations::table
            .filter(conversations::creator_id.eq(creator))
            .filter(conversations::client_conversation_id.eq(client_conversation_id.to_owned()))
            .select((conversations::id, conversations::title));
        let row: Option<(i64, String)> = on!(self, connection => made.first(connection)).optional()?;
        match row {
            Some((id, title)) => Ok(Some(Group { id, title, seats: self.find_seats(id).await? })),
            None => Ok(None),
        }
    }

    /// Whether all these are there, and the actor may add them.
    async fn may_add(&mut self, actor: i64, new: &[i64], only_in_groups: bool) -> QueryResult<bool> {
        let blocking = blocks::table
            .filter(blocks::blocked_id.eq(actor))
            .filter(blocks::blocker_id.eq_any(new.to_vec()))
            .count();
        let n_blocking: i64 = on!(self, connection => blocking.get_result(connection))?;
        Ok(self.are_active(new).await?
            && n_blocking == 0
            && (!only_in_groups || self.share_groups(actor, new).await?))
    }

    /// Whether all these users are there, and not disabled.
    pub(super) async fn are_active(&mut self, wanted: &[i64]) -> QueryResult<bool> {
        let active = users::table
            .filter(users::id.eq_any(wanted.to_vec()))
            .filter(users::disabled_at.is_null())
            .count();
        let n_active: i64 = on!(self, connection => active.get_result(connection))?;
        Ok(usize::try_from(n_active) == Ok(wanted.len()))
    }

    /// Whether one of these users, whose mailboxes are locked, is in as many groups as one may be.
    pub(super) async fn is_one_in_too_many(&mut self, users: &[i64]) -> QueryResult<bool> {
        let one = members::table
            .inner_join(conversations::table.on(conversations::id.eq(members::conversation_id)))
            .filter(members::user_id.eq_any(users.to_vec()))
            .filter(conversations::kind.eq(GROUP))
            .group_by(members::user_id)
            .having(dsl::count_star().ge(GROUPS))
            .select(members::user_id)
            .limit(1);
        let found: Vec<i64> = on!(self, connection => one.load(connection))?;
        Ok(!found.is_empty())
    }

    /// Whether a user is in a group of the operator with each of the others. Another one says nothing of whom they may have
    /// to do with: its members made it themselves.
    async fn share_groups(&mut self, user: i64, others: &[i64]) -> QueryResult<bool> {
        let groups = own_seats
            .inner_join(
                conversations::table.on(conversations::id.eq(own_seats.field(members::conversation_id))),
            )
            .filter(own_seats.field(members::user_id).eq(user))
            .filter(conversations::creator_id.eq(OPERATOR))
            .select(conversations::id);
        let sharing = members::table
            .filter(members::conversation_id.eq_any(groups))
            .filter(members::user_id.eq_any(others.to_vec()))
            .select(members::user_id)
            .distinct();
        let sharing: Vec<i64> = on!(self, connection => sharing.load(connection))?;
        Ok(sharing.len() == others.len())
    }

    pub(super) async fn make(
        &mut self,
        creator: i64,
        title: &str,
        client_conversation_id: &str,
    ) -> QueryResult<i64> {
        let make = diesel::insert_into(conversations::table)
            .values((
                conversations::kind.eq(GROUP),
                conversations::created_at.eq(self.now),
                conversations::title.eq(title.to_owned()),
                conversations::creator_id.eq(creator),
                conversations::client_conversation_id.eq(client_conversation_id.to_owned()),
            ))
            .returning(conversations::id);
        on!(self, connection => make.get_result(connection))
    }

    /// Makes users with locked mailboxes members, from now on.
    pub(super) async fn seat(&mut self, group: &mut Group, new: &[(i64, i16)]) -> QueryResult<()> {
        let since = self.draw_message_id().await?;
        for of_role in [role::OWNER, role::MEMBER] {
            let users: Vec<i64> =
                new.iter().filter(|(_, role)| *role == of_role).map(|(user, _)| *user).collect();
            if users.is_empty() {
                continue;
            }
            let rows = mailboxes::table
                .filter(mailboxes::owner_id.eq_any(users))
                .select((
                    group.id.into_sql::<BigInt>(),
                    mailboxes::owner_id.assume_not_null(),
                    since.into_sql::<BigInt>(),
                    of_role.into_sql::<SmallInt>(),
                ))
                .insert_into(members::table)
                .into_columns((members::conversation_id, members::user_id, members::since, members::role));
            on!(self, connection => rows.execute(connection))?;
        }
        group.seats.extend(new.iter().map(|(user, role)| Seat {
            user: *user,
            since,
            role: *role,
            is_active: true,
        }));
        group.seats.sort_by_key(|seat| seat.user);
        Ok(())
    }

    /// An id that no message has: those that were sent before have lower ones, those that come after higher ones.
    async fn draw_message_id(&mut self) -> QueryResult<i64> {
        match &mut self.connection {
            Connection::Postgres(connection) => {
                let draw = dsl::sql::<BigInt>("SELECT nextval('messages_id_seq')");
                draw.get_result(*connection).await
            }
            Connection::Sqlite(connection) => {
                // Where the table's counter is kept, once there was a message.
                let begin = diesel::sql_query(
                    "INSERT INTO sqlite_sequence (name, seq) SELECT 'messages', 0 \
                     WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'messages')",
                );
                begin.execute(*connection).await?;
                let draw = dsl::sql::<BigInt>(
                    "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'messages' RETURNING seq",
                );
                draw.get_result(*connection).await
            }
        }
    }
}
