//! Groups that an operator has from elsewhere.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_async::RunQueryDsl;
use switchboard_protocol::{ConversationId, Role, UserId};

use super::group::{Group, stored};
use super::{Connection, Work, transact_on_postgres, transact_on_sqlite};
use crate::error::StoreError;
use crate::model::{Refusal, Send};
use crate::schema::{OPERATOR, role, users};
use crate::store::{Backend, Store, read};

impl Store {
    /// The ids of those of these user names that there are. At most a thousand at a time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn find_usernames(&self, names: &[String]) -> Result<HashMap<String, UserId>, StoreError> {
        let found =
            users::table.filter(users::username.eq_any(names.to_vec())).select((users::username, users::id));
        let rows: Vec<(String, i64)> = read!(self, connection => found.load(connection))?;
        Ok(rows.into_iter().map(|(name, id)| (name, UserId(id))).collect())
    }

    /// Makes a group with these members, or adds those who are missing to the one that an earlier import made under this
    /// title, whatever its title is now. Who is a member becomes an owner where this says so, and else keeps their role.
    /// Where no owner can come in, the first of those added becomes one. Whether they blocked each other does not matter.
    ///
    /// [`Refusal::GroupFull`], [`Refusal::TooManyGroups`], and [`Refusal::UnknownRecipient`] for a user who is not there or
    /// disabled.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may have been done; again is harmless. [`StoreError::Interrupted`],
    /// [`StoreError::Rejected`].
    pub async fn import_group(
        &self,
        title: &str,
        members: &[(UserId, Role)],
    ) -> Result<Result<ConversationId, Refusal>, StoreError> {
        match &*self.backend {
            Backend::Postgres(postgres) => {
                let mut connection = postgres.connect().await?;
                transact_on_postgres!(connection, work => work.import(title, members))
            }
            Backend::Sqlite(sqlite) => {
                let mut writer = sqlite.writer().await;
                let mut connection = writer.take(sqlite).await?;
                let done = transact_on_sqlite!(connection, work => work.import(title, members));
                writer.put_back(connection);
                done
            }
        }
    }
}

impl Work<'_> {
    async fn import(
        &mut self,
        title: &str,
        wanted: &[(UserId, Role)],
    ) -> QueryResult<Result<ConversationId, Refusal>> {
        let name = format!("{}{title}", Send::GENERATED);
        let made = self.find_made(OPERATOR, &name).await?.map(|group| group.id);
        let made = match made {
            Some(group) => self.lock_group(group).await?,
            None => None,
        };
        let mut group = made.unwrap_or_else(|| Group { id: 0, title: title.to_owned(), seats: Vec::new() });
        let new = wanted.iter().filter(|(user, _)| group.seat_of(user.0).is_none());
        let mut new: Vec<_> = new.map(|(user, role)| (user.0, stored(*role))).collect();
        if group.is_full_with(new.len()) {
            return Ok(Err(Refusal::GroupFull));
        }
        let concerned = group.users().into_iter().chain(new.iter().map(|(user, _)| *user)).collect();
        self.lock_mailboxes(concerned).await?;
        let newcomers: Vec<i64> = new.iter().map(|(user, _)| *user).collect();
        if !self.are_active(&newcomers).await? {
            return Ok(Err(Refusal::UnknownRecipient));
        }
        if self.is_one_in_too_many(&newcomers).await? {
            return Ok(Err(Refusal::TooManyGroups));
        }
        self.promote(&mut group, wanted).await?;
        if group.active_owners().next().is_none()
            && new.iter().all(|(_, role)| *role != role::OWNER)
            && let Some((_, role)) = new.first_mut()
        {
            *role = role::OWNER;
        }
        if group.id == 0 {
            group.id = self.make(OPERATOR, title, &name).await?;
        }
        let id = ConversationId(group.id);
        // One of them acts.
        let of_new = new.iter().find(|(_, role)| *role == role::OWNER).map(|(user, _)| *user);
        let owner = group.active_owners().next().or(of_new).filter(|_| !new.is_empty());
        if let Some(owner) = owner {
            self.welcome(owner, group, &new).await?;
        }
        Ok(Ok(id))
    }

    /// Makes owners of those members who are to be. Each does it: there may be no other owner.
    async fn promote(&mut self, group: &mut Group, wanted: &[(UserId, Role)]) -> QueryResult<()> {
        let owners = wanted.iter().filter(|(_, role)| *role == Role::Owner);
        for UserId(user) in owners.map(|(user, _)| *user) {
            if group.seat_of(user).is_some_and(|seat| seat.role != role::OWNER) {
                self.give_role(user, group, user, Role::Owner).await?;
                group
                    .seats
                    .iter_mut()
                    .filter(|seat| seat.user == user)
                    .for_each(|seat| seat.role = role::OWNER);
            }
        }
        Ok(())
    }
}
