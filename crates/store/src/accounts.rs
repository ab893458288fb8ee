//! Accounts: how they come to be, are found by what their owners come in with, are changed, and are closed.

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection, RunQueryDsl};
use switchboard_protocol::{Timestamp, UserId, limits};

use crate::credentials::{self, SessionId};
use crate::error::StoreError;
use crate::model::Account;
use crate::queries::{AccountRow, account_columns, account_of, accounts};
use crate::revocations::{self, Revocation};
use crate::schema::users;
use crate::store::{Store, change, read};
use crate::users::{UserRow, create_user};

/// User names tried for somebody from outside. All but the first end in 32 random bits: the second is as good as
/// certain.
const NAMES_TRIED: u32 = 4;

/// An account to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// The name that they log in by.
    pub username: String,
    /// The name that people read; may be empty.
    pub full_name: String,
    /// A PHC string. None: no log in by password.
    pub password_hash: Option<String>,
}

impl Store {
    /// Creates a user with a mailbox; none if the user name is taken.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may have been created. [`StoreError::Interrupted`], [`StoreError::Rejected`].
    pub async fn create_account(&self, account: NewAccount) -> Result<Option<Account>, StoreError> {
        let row = UserRow {
            username: &account.username,
            full_name: &account.full_name,
            password_hash: account.password_hash.as_deref(),
            external_subject: None,
        };
        self.create(&row).await
    }

    /// The account of a user name, with the hash of its password if it has one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn find_login(&self, username: &str) -> Result<Option<(Account, Option<String>)>, StoreError> {
        let found =
            accounts().filter(users::username.eq(username)).select((account_columns(), users::password_hash));
        let row: Option<(AccountRow, Option<String>)> =
            read!(self, connection => async { found.first(connection).await.optional() })?;
        Ok(row.map(|(account, password_hash)| (account_of(account), password_hash)))
    }

    /// The account of somebody from outside: `subject` is the issuer's name, a space, and its subject.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn find_external(&self, subject: &str) -> Result<Option<Account>, StoreError> {
        let found = accounts().filter(users::external_subject.eq(subject)).select(account_columns());
        let row: Option<AccountRow> =
            read!(self, connection => async { found.first(connection).await.optional() })?;
        Ok(row.map(account_of))
    }

    /// The account of somebody from outside, created at first sight; two nodes that see them at once create one.
    /// The user name is their subject without the issuer if that is free and can be one, else like it. One who is
    /// known keeps the names that they have.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], [`StoreError::Rejected`].
    pub async fn account_of_external(&self, subject: &str, full_name: &str) -> Result<Account, StoreError> {
        let mut username = username_of(subject);
        for _ in 0..NAMES_TRIED {
            if let Some(account) = self.find_external(subject).await? {
                return Ok(account);
            }
            let name = username.take().unwrap_or_else(|| username_like(subject));
            let row =
                UserRow { username: &name, full_name, password_hash: None, external_subject: Some(subject) };
            if let Some(account) = self.create(&row).await? {
                return Ok(account);
            }
        }
        Err(StoreError::Interrupted("no user name was free for somebody from outside".into()))
    }

    /// Shuts a user out and ends all their credentials; none if there is no such user.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may have been done; again is harmless. [`StoreError::Interrupted`].
    pub async fn disable_user(&self, username: &str) -> Result<Option<UserId>, StoreError> {
        let now = Timestamp::now().0;
        let id: Option<i64> = change!(self, connection => connection.transaction::<_, DieselError, _>(async |connection| {
            let closed = (users::disabled_at.eq(now), users::tokens_valid_from.eq(now));
            let user: Option<i64> = diesel::update(users::table.filter(users::username.eq(username)))
                .set(closed)
                .returning(users::id)
                .get_result(connection)
                .await
                .optional()?;
            if let Some(user) = user {
                revocations::enter!(connection, Revocation::User(UserId(user))).await?;
                credentials::delete_all_of!(connection, user, None).await?;
            }
            Ok(user)
        }))?;
        Ok(id.map(UserId))
    }

    /// Lets a user in again who was shut out. What they had before stays ended. None if there is no such user.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may have been done; again is harmless. [`StoreError::Interrupted`].
    pub async fn enable_user(&self, username: &str) -> Result<Option<UserId>, StoreError> {
        let open = diesel::update(users::table.filter(users::username.eq(username)))
            .set(users::disabled_at.eq(None::<i64>))
            .returning(users::id);
        let id: Option<i64> =
            change!(self, connection => async { open.get_result(connection).await.optional() })?;
        Ok(id.map(UserId))
    }

    /// Gives a user another full name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may have been done; again is harmless. [`StoreError::Interrupted`],
    /// [`StoreError::Rejected`].
    pub async fn rename_user(&self, user: UserId, full_name: &str) -> Result<(), StoreError> {
        let rename = diesel::update(users::table.find(user.0)).set(users::full_name.eq(full_name));
        change!(self, connection => rename.execute(connection)).map(|_n_renamed| ())
    }

    /// Gives a user who has shown the password with the hash `from` another one, and ends all their credentials but
    /// the session `spared`. False if they have another password by now, or are disabled.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may have been done. [`StoreError::Interrupted`], [`StoreError::Rejected`].
    pub async fn change_password(
        &self,
        user: UserId,
        (from, to): (&str, &str),
        spared: Option<SessionId>,
    ) -> Result<bool, StoreError> {
        let changed = (users::password_hash.eq(to), users::tokens_valid_from.eq(Timestamp::now().0));
        let change = diesel::update(users::table.find(user.0))
            .filter(users::password_hash.eq(from))
            .filter(users::disabled_at.is_null())
            .set(changed);
        let ended = match spared {
            Some(session) => Revocation::Others { user, session },
            None => Revocation::User(user),
        };
        change!(self, connection => connection.transaction::<_, DieselError, _>(async |connection| {
            if change.execute(connection).await? == 0 {
                return Ok(false);
            }
            revocations::enter!(connection, ended).await?;
            credentials::delete_all_of!(connection, user.0, spared).await?;
            Ok(true)
        }))
    }

    async fn create(&self, row: &UserRow<'_>) -> Result<Option<Account>, StoreError> {
        let created: Option<AccountRow> = change!(self, connection => connection.transaction::<_, DieselError, _>(async |connection| {
            let Some(user) = create_user!(connection, row).await? else {
                return Ok(None);
            };
            accounts().filter(users::id.eq(user)).select(account_columns()).first(connection).await.map(Some)
        }))?;
        Ok(created.map(account_of))
    }
}

/// What the issuer calls them: what stands after its name.
fn outside_name(subject: &str) -> &str {
    subject.rsplit(' ').next().unwrap_or_default()
}

/// The subject without its issuer, if it can be a user name.
fn username_of(subject: &str) -> Option<String> {
    let name = outside_name(subject);
    let fits =
        (1..=limits::NAME_CHARS).contains(&name.chars().count()) && name.chars().all(limits::is_of_username);
    fits.then(|| name.to_owned())
}

/// What can be a user name of that, and a random end, so that it is free.
fn username_like(subject: &str) -> String {
    let end = format!("-{:08x}", rand::random::<u32>());
    let room = limits::NAME_CHARS - end.len();
    let name: String =
        outside_name(subject).chars().filter(|c| limits::is_of_username(*c)).take(room).collect();
    if name.is_empty() { format!("user{end}") } else { name + &end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(subject: &str, username: Option<&str>, begins: &str) {
        assert_eq!(username_of(subject).as_deref(), username);
        let other = username_like(subject);
        assert!(other.starts_with(begins) && username_of(&other).is_some(), "{other}");
    }

    #[test]
    fn user_names_come_from_subjects() {
        check("https://issuer.example auth0", Some("auth0"), "auth0-");
        check("issuer a.b+c@d-e_f", Some("a.b+c@d-e_f"), "a.b+c@d-e_f-");
        check("issuer münchen", Some("münchen"), "münchen-");
        check("issuer auth0|1/2", None, "auth012-");
        check("issuer \u{202e}|", None, "user-");
        check("issuer ", None, "user-");
        check("issuer a\u{3164}b", None, "ab-");
        let long = "ü".repeat(150);
        check(&format!("issuer {long}"), Some(&long), "üüü");
        check(&format!("issuer {long}ü"), None, "üüü");
    }
}
