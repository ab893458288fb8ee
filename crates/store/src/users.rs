//! How rows of users are made: by registering, by import, at first sight of somebody from outside.
//!
//! Where a change has to do with several tables, it takes its locks in this order: rows of users, the system
//! mailbox, rows of credentials.

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection, RunQueryDsl};
use switchboard_protocol::{Timestamp, UserId};

use crate::credentials;
use crate::error::StoreError;
use crate::model::Import;
use crate::revocations::{self, Revocation};
use crate::schema::users;
use crate::store::{Backend, Store};

/// A row of `users` to be.
pub(crate) struct UserRow<'a> {
    pub(crate) username: &'a str,
    pub(crate) full_name: &'a str,
    pub(crate) password_hash: Option<&'a str>,
    pub(crate) external_subject: Option<&'a str>,
}

/// Creates a user with a mailbox; gives the id, or none where the user name or the subject is taken. To be run in
/// a transaction. Macros, since no name can be given to the types of the statements.
macro_rules! create_user {
    ($connection:expr, $row:expr) => {
        async {
            let row: &$crate::users::UserRow<'_> = $row;
            let id: Option<i64> = diesel::insert_into($crate::schema::users::table)
                .values((
                    $crate::schema::users::username.eq(row.username),
                    $crate::schema::users::full_name.eq(row.full_name),
                    $crate::schema::users::password_hash.eq(row.password_hash),
                    $crate::schema::users::external_subject.eq(row.external_subject),
                    $crate::schema::users::created_at.eq(switchboard_protocol::Timestamp::now().0),
                ))
                .on_conflict_do_nothing()
                .returning($crate::schema::users::id)
                .get_result($connection)
                .await
                .optional()?;
            if let Some(id) = id {
                diesel::insert_into($crate::schema::mailboxes::table)
                    .values((
                        $crate::schema::mailboxes::owner_id.eq(id),
                        $crate::schema::mailboxes::epoch.eq(format!("{:016x}", rand::random::<u64>())),
                    ))
                    .execute($connection)
                    .await?;
            }
            QueryResult::Ok(id)
        }
    };
}
pub(crate) use create_user;

/// Imports users on a connection, all or none.
macro_rules! import {
    ($connection:expr, $users:expr) => {
        $connection.transaction::<_, DieselError, _>(async |connection| {
            let (mut ids, mut ended) = (Vec::with_capacity($users.len()), Vec::new());
            for import in $users {
                let row = UserRow {
                    username: &import.username,
                    full_name: &import.full_name,
                    password_hash: import.password_hash.as_deref(),
                    external_subject: None,
                };
                if let Some(id) = create_user!(connection, &row).await? {
                    ids.push(UserId(id));
                    continue;
                }
                let known = users::table.filter(users::username.eq(&import.username));
                let rename = diesel::update(known).set(users::full_name.eq(&import.full_name));
                let id: i64 = rename.returning(users::id).get_result(connection).await?;
                if let Some(password_hash) = &import.password_hash {
                    diesel::update(users::table.find(id))
                        .set((
                            users::password_hash.eq(password_hash),
                            users::tokens_valid_from.eq(Timestamp::now().0),
                        ))
                        .execute(connection)
                        .await?;
                    ended.push(id);
                }
                ids.push(UserId(id));
            }
            for user in ended {
                revocations::enter!(connection, Revocation::User(UserId(user))).await?;
                credentials::delete_all_of!(connection, user, None).await?;
            }
            Ok(ids)
        })
    };
}

impl Store {
    /// Creates users with their mailboxes, or renames those whose user name exists, all or none; gives their ids in
    /// the order of `users`. One who existed and is given a password loses their sessions and tokens.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], [`StoreError::Rejected`].
    pub async fn import_users(&self, users: Vec<Import>) -> Result<Vec<UserId>, StoreError> {
        // As long as it takes: nobody waits for an answer but who runs the command.
        match &*self.backend {
            Backend::Postgres(postgres) => {
                let mut connection = postgres.connect().await?;
                Ok(import!(connection, &users).await?)
            }
            Backend::Sqlite(sqlite) => {
                let mut writer = sqlite.writer().await;
                let mut connection = writer.take(sqlite).await?;
                let ids = import!(connection, &users).await;
                writer.put_back(connection);
                Ok(ids?)
            }
        }
    }
}
