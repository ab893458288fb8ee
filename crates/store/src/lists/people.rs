//! The other users, for whom one may write to.

use std::collections::{HashMap, HashSet};

use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use switchboard_protocol::UserId;

use super::pattern;
use crate::error::StoreError;
use crate::queries::display_name;
use crate::schema::{self, OPERATOR, conversations, members, users};
use crate::store::{Store, read};

/// A user, as other users see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user.
    pub id: UserId,
    /// The name that they log in by.
    pub username: String,
    /// The name that people read; may be empty.
    pub full_name: String,
    /// Free text.
    pub role: String,
}

impl Person {
    /// What people read: the full name, else the user name.
    #[must_use]
    pub fn name(&self) -> String {
        display_name(self.username.clone(), self.full_name.clone())
    }
}

type PersonColumns = (users::id, users::username, users::full_name, users::role);
/// The columns of a [`PersonRow`].
pub(crate) const PERSON: PersonColumns = (users::id, users::username, users::full_name, users::role);
/// An id, a user name, a full name, a role.
pub(crate) type PersonRow = (i64, String, String, String);

pub(crate) fn person((id, username, full_name, role): PersonRow) -> Person {
    Person { id: UserId(id), username, full_name, role }
}

diesel::define_sql_function! {
    /// On SQLite it knows the letters of ASCII only.
    fn lower(text: Text) -> Text;
}

diesel::alias!(members as own_members: OwnMembers);

/// The groups of a user, each with each of its members.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn fellows(user: i64) -> _ {
    let group: i16 = schema::GROUP;
    let shared = members::conversation_id.eq(own_members.field(members::conversation_id));
    own_members
        .inner_join(
            conversations::table.on(conversations::id.eq(own_members.field(members::conversation_id))),
        )
        .inner_join(members::table.on(shared))
        .filter(own_members.field(members::user_id).eq(user))
        .filter(conversations::kind.eq(group))
}

impl Store {
    /// Up to `limit` users with a higher id than `after`, by id, without those that are disabled; with `query`, those
    /// in whose user name or full name it stands, and with `only_in_groups` those who share a group of the operator
    /// with `reader`, and the reader. Upper and lower case are one: on Postgres as its locale has it, on SQLite for the
    /// letters of ASCII only. A query that few names match reads the whole table.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn list_users(
        &self,
        query: Option<&str>,
        after: UserId,
        limit: i64,
        reader: UserId,
        only_in_groups: bool,
    ) -> Result<Vec<Person>, StoreError> {
        let pattern = pattern(query.unwrap_or_default());
        let in_username = lower(users::username).like(lower(pattern.as_str())).escape('\\');
        let in_full_name = lower(users::full_name).like(lower(pattern.as_str())).escape('\\');
        let found = users::table
            .filter(users::id.gt(after.0))
            .filter(users::disabled_at.is_null())
            .filter(in_username.or(in_full_name))
            .order(users::id)
            .limit(limit)
            .select(PERSON);
        let rows: Vec<PersonRow> = if only_in_groups {
            let of_operator = fellows(reader.0).filter(conversations::creator_id.eq(OPERATOR));
            let fellow = users::id.eq_any(of_operator.select(members::user_id));
            let found = found.filter(fellow.or(users::id.eq(reader.0)));
            read!(self, connection => found.load(connection))?
        } else {
            read!(self, connection => found.load(connection))?
        };
        Ok(rows.into_iter().map(person).collect())
    }

    /// All users that are not disabled, by id, each with the titles of the groups that they share with `reader`; with
    /// `only_in_groups` those who share one of the operator, and the reader. Reads the whole table.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn all_users(
        &self,
        reader: UserId,
        only_in_groups: bool,
    ) -> Result<Vec<(Person, Vec<String>)>, StoreError> {
        let all = users::table.filter(users::disabled_at.is_null()).order(users::id).select(PERSON);
        let people: Vec<PersonRow> = read!(self, connection => all.load(connection))?;
        let shared = fellows(reader.0).order((conversations::title, conversations::id)).select((
            members::user_id,
            conversations::title,
            conversations::creator_id,
        ));
        let shared: Vec<(i64, String, Option<i64>)> = read!(self, connection => shared.load(connection))?;
        let mut titles: HashMap<i64, Vec<String>> = HashMap::new();
        let mut reachable = HashSet::from([reader.0]);
        for (user, title, creator) in shared {
            titles.entry(user).or_default().push(title);
            if creator == Some(OPERATOR) {
                reachable.insert(user);
            }
        }
        let with_titles = people.into_iter().map(person).map(|person| {
            let titles = titles.remove(&person.id.0).unwrap_or_default();
            (person, titles)
        });
        Ok(with_titles.filter(|(person, _)| !only_in_groups || reachable.contains(&person.id.0)).collect())
    }
}
