//! Groups as they are, and what is done to them.

use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::RunQueryDsl;
use switchboard_protocol::Member;
use switchboard_protocol::limits::GROUP_MEMBERS;
use switchboard_protocol::{GroupChange, Role, UserId};

use super::entries::{Locked, News};
use super::{Connection, Work, on};
use crate::model::{Entry, GroupAct, Outcome, Refusal};
use crate::schema::{GROUP, conversations, mailbox_entries as entries, mailboxes, members, role, users};

/// A group under its lock.
pub(super) struct Group {
    pub(super) id: i64,
    pub(super) title: String,
    /// By user.
    pub(super) seats: Vec<Seat>,
}

/// A member.
#[derive(Clone, Copy)]
pub(super) struct Seat {
    pub(super) user: i64,
    pub(super) since: i64,
    pub(super) role: i16,
    /// Whether their account is not disabled: else they can do nothing for the group.
    pub(super) is_active: bool,
}

impl Seat {
    /// Whether they may do this: an owner anything, whoever leaves or asks for what they are already that.
    fn may(self, act: &GroupAct) -> bool {
        match act {
            GroupAct::Remove { user, .. } if user.0 == self.user => true,
            GroupAct::Role { user, role, .. } if user.0 == self.user && stored(*role) == self.role => true,
            _ => self.role == role::OWNER,
        }
    }
}

impl Group {
    pub(super) fn users(&self) -> Vec<i64> {
        self.seats.iter().map(|seat| seat.user).collect()
    }

    pub(super) fn seat_of(&self, user: i64) -> Option<Seat> {
        self.seats.iter().find(|seat| seat.user == user).copied()
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = i64> {
        self.seats.iter().filter(|seat| seat.role == role::OWNER).map(|seat| seat.user)
    }

    /// Owners who can come in.
    pub(super) fn active_owners(&self) -> impl Iterator<Item = i64> {
        self.seats.iter().filter(|seat| seat.role == role::OWNER && seat.is_active).map(|seat| seat.user)
    }

    /// Who must become an owner: where no owner can come in, the eldest who can. If nobody can it has one all the same.
    fn heir(&self) -> Option<i64> {
        if self.active_owners().next().is_some() {
            return None;
        }
        let first = self.seats.iter().min_by_key(|seat| (!seat.is_active, seat.since, seat.user))?;
        (first.is_active || self.owners().next().is_none()).then_some(first.user)
    }

    /// Whether it has no room for so many more.
    pub(super) fn is_full_with(&self, more: usize) -> bool {
        self.seats.len() + more > GROUP_MEMBERS
    }

    /// What somebody learns who becomes a member.
    pub(super) fn joined(&self, client_conversation_id: Option<String>) -> GroupChange {
        let member = |seat: &Seat| Member { user_id: UserId(seat.user), role: to_role(seat.role) };
        let members = self.seats.iter().map(member).collect();
        GroupChange::Joined { title: self.title.clone(), members, client_conversation_id }
    }
}

fn to_role(stored: i16) -> Role {
    if stored == role::OWNER { Role::Owner } else { Role::Member }
}

/// As it stands in `members.role`.
pub(super) fn stored(role: Role) -> i16 {
    match role {
        Role::Owner => role::OWNER,
        Role::Member => role::MEMBER,
    }
}

impl Work<'_> {
    pub(super) async fn change_group(
        &mut self,
        actor: i64,
        act: &GroupAct,
        only_in_groups: bool,
    ) -> QueryResult<Outcome> {
        let (group, concerned) = match act {
            GroupAct::Create { title, members, client_conversation_id } => {
                let members = members.iter().map(|user| user.0).filter(|user| *user != actor).collect();
                return self.create(actor, title, members, client_conversation_id, only_in_groups).await;
            }
            GroupAct::Title { group, .. } => (group, [].as_slice()),
            GroupAct::Add { group, users } => (group, users.as_slice()),
            GroupAct::Remove { group, user } | GroupAct::Role { group, user, .. } => {
                (group, std::slice::from_ref(user))
            }
        };
        let id = group.0;
        let group = self.lock_group(id).await?;
        let Some((seat, group)) = group.and_then(|group| Some((group.seat_of(actor)?, group))) else {
            return match act {
                GroupAct::Remove { user, .. } if user.0 == actor => self.leave_again(actor, id).await,
                _ => Ok(Outcome::Refused(Refusal::NotFound)),
            };
        };
        if !seat.may(act) {
            return Ok(Outcome::Refused(Refusal::NotOwner));
        }
        let more = concerned.iter().map(|user| user.0).filter(|user| group.seat_of(*user).is_none());
        let locked = self.lock_mailboxes(group.users().into_iter().chain(more).collect()).await?;
        match act {
            GroupAct::Create { .. } => Ok(Outcome::Refused(Refusal::Failed)),
            GroupAct::Title { title, .. } => self.set_title(actor, &group, &locked, title).await,
            GroupAct::Add { users, .. } => self.add(actor, group, &locked, users, only_in_groups).await,
            GroupAct::Remove { user, .. } => self.remove(actor, group, &locked, user.0).await,
            GroupAct::Role { user, role, .. } => self.set_role(actor, &group, &locked, user.0, *role).await,
        }
    }

    /// The group, from then on with the members that it has; none if there is no such group.
    pub(super) async fn lock_group(&mut self, group: i64) -> QueryResult<Option<Group>> {
        let row = conversations::table
            .find(group)
            .filter(conversations::kind.eq(GROUP))
            .select(conversations::title);
        let title: Option<String> = match &mut self.connection {
            Connection::Postgres(connection) => row.for_update().first(connection).await,
            // There the transaction keeps out all who write.
            Connection::Sqlite(connection) => row.first(connection).await,
        }
        .optional()?;
        match title {
            Some(title) => Ok(Some(Group { id: group, title, seats: self.find_seats(group).await? })),
            None => Ok(None),
        }
    }

    pub(super) async fn find_seats(&mut self, group: i64) -> QueryResult<Vec<Seat>> {
        let seats = members::table
            .inner_join(users::table.on(users::id.eq(members::user_id)))
            .filter(members::conversation_id.eq(group))
            .order(members::user_id)
            .select((members::user_id, members::since, members::role, users::disabled_at.is_null()));
        let rows: Vec<(i64, i64, i16, bool)> = on!(self, connection => seats.load(connection))?;
        let seat = |(user, since, role, is_active)| Seat { user, since, role, is_active };
        Ok(rows.into_iter().map(seat).collect())
    }

    async fn set_title(
        &mut self,
        actor: i64,
        group: &Group,
        locked: &Locked,
        title: &str,
    ) -> QueryResult<Outcome> {
        let news = News::of_group(actor, group.id, GroupChange::Titled { title: title.to_owned() });
        if group.title == title {
            return Ok(locked.repeated(actor, news.event));
        }
        let change = diesel::update(conversations::table.find(group.id))
            .set(conversations::title.eq(title.to_owned()));
        on!(self, connection => change.execute(connection))?;
        Ok(Outcome::Committed(self.enter(group.users(), &news).await?))
    }

    async fn set_role(
        &mut self,
        actor: i64,
        group: &Group,
        locked: &Locked,
        user: i64,
        role: Role,
    ) -> QueryResult<Outcome> {
        let Some(seat) = group.seat_of(user) else {
            return Ok(Outcome::Refused(Refusal::NotFound));
        };
        if seat.role == stored(role) {
            let change = GroupChange::Role { user_id: UserId(user), role };
            return Ok(locked.repeated(actor, News::of_group(actor, group.id, change).event));
        }
        if role == Role::Member && group.active_owners().all(|owner| owner == user) {
            // Else nobody could change the group any more.
            return Ok(Outcome::Refused(Refusal::NotOwner));
        }
        Ok(Outcome::Committed(self.give_role(actor, group, user, role).await?))
    }

    pub(super) async fn give_role(
        &mut self,
        actor: i64,
        group: &Group,
        user: i64,
        role: Role,
    ) -> QueryResult<Vec<Entry>> {
        let change =
            diesel::update(members::table.find((group.id, user))).set(members::role.eq(stored(role)));
        on!(self, connection => change.execute(connection))?;
        let news = News::of_group(actor, group.id, GroupChange::Role { user_id: UserId(user), role });
        self.enter(group.users(), &news).await
    }

    /// Takes a member out. What they had not read is theirs no more; where no owner is left who can come in,
    /// another member becomes one.
    async fn remove(
        &mut self,
        actor: i64,
        mut group: Group,
        locked: &Locked,
        user: i64,
    ) -> QueryResult<Outcome> {
        let news = News::of_group(actor, group.id, GroupChange::Removed { user_id: UserId(user) });
        let (Some(_), Some(mailbox)) = (group.seat_of(user), locked.mailbox_of(user)) else {
            return Ok(locked.repeated(actor, news.event));
        };
        self.hide_unread(mailbox, group.id).await?;
        let seat = diesel::delete(members::table.find((group.id, user)));
        on!(self, connection => seat.execute(connection))?;
        let mut entries = self.enter(group.users(), &news).await?;
        group.seats.retain(|seat| seat.user != user);
        if let Some(heir) = group.heir() {
            entries.extend(self.give_role(actor, &group, heir, Role::Owner).await?);
        }
        Ok(Outcome::Committed(entries))
    }

    /// Somebody leaves who is no member. If they left by themselves before, it is a repeat: an answer may have been lost.
    async fn leave_again(&mut self, actor: i64, group: i64) -> QueryResult<Outcome> {
        let locked = self.lock_mailboxes(vec![actor]).await?;
        let left = News::of_group(actor, group, GroupChange::Removed { user_id: UserId(actor) });
        let last = match locked.mailbox_of(actor) {
            Some(mailbox) => self.find_last_of_group(mailbox, group).await?,
            None => None,
        };
        let has_left = last.is_some_and(|(by, detail)| by == Some(actor) && detail == left.detail);
        Ok(if has_left { locked.repeated(actor, left.event) } else { Outcome::Refused(Refusal::NotFound) })
    }

    /// Hides what a mailbox has of a group and its owner did not read, which then counts no more.
    async fn hide_unread(&mut self, mailbox: i64, group: i64) -> QueryResult<()> {
        let unread = entries::table
            .filter(entries::mailbox_id.eq(mailbox))
            .filter(entries::conversation_id.eq(group))
            // Not a parameter: it must imply the condition of the index of what is unread.
            .filter(dsl::sql::<Bool>("kind = 1"))
            .filter(entries::read_at.is_null())
            .filter(entries::hidden_at.is_null());
        let hide = diesel::update(unread).set(entries::hidden_at.eq(self.now));
        let n_hidden = on!(self, connection => hide.execute(connection))?;
        let n_hidden = i64::try_from(n_hidden).unwrap_or(i64::MAX);
        let count = diesel::update(mailboxes::table.find(mailbox))
            .set(mailboxes::unread.eq(mailboxes::unread - n_hidden));
        on!(self, connection => count.execute(connection)).map(|_one| ())
    }
}
