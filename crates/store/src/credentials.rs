//! What people and programs come in with: sessions, tickets, API keys. Of each secret only its hash is here.

mod api_key;
mod ticket;

use std::fmt;

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection, RunQueryDsl};
use switchboard_protocol::{Timestamp, UserId};

pub use self::api_key::ApiKey;
pub use self::ticket::{NewTicket, Redeemed};
use crate::error::StoreError;
use crate::model::Account;
use crate::queries::{AccountRow, account_columns, account_of, accounts};
use crate::revocations::{self, Revocation};
use crate::schema::{sessions, tickets, users};
use crate::store::{Store, change, read};

/// A session: what a log-in began. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub i64);

/// An API key: what a back end sends with on behalf of users. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKeyId(pub i64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A session that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// The session.
    pub id: SessionId,
    /// Whose it is. Whether they may come in is in here.
    pub account: Account,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// Deletes the sessions of a user, and the tickets that can still be redeemed, but for those of one session. A macro, so
/// that it runs on either back end.
macro_rules! delete_all_of {
    ($connection:expr, $user:expr, $spared:expr) => {
        async {
            use $crate::schema::{sessions, tickets};
            let spared: Option<$crate::credentials::SessionId> = $spared;
            // No session has this id.
            let spared = spared.map_or(0, |session| session.0);
            diesel::delete(sessions::table)
                .filter(sessions::user_id.eq($user))
                .filter(sessions::id.ne(spared))
                .execute($connection)
                .await?;
            let now = switchboard_protocol::Timestamp::now().0;
            diesel::delete(tickets::table)
                .filter(tickets::user_id.eq($user))
                .filter(tickets::session_id.is_null().or(tickets::session_id.ne(spared)))
                .filter(tickets::expires_at.gt(now))
                .execute($connection)
                .await
        }
    };
}
pub(crate) use delete_all_of;

impl Store {
    /// Begins a session of a user who has shown the password with this hash; none if they have another by now, or are
    /// disabled. `token_hash` is SHA-256 of the session's token, in hexadecimal digits.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], [`StoreError::Rejected`].
    pub async fn create_session(
        &self,
        user: UserId,
        password_hash: &str,
        token_hash: &str,
        expires_at: Timestamp,
    ) -> Result<Option<SessionId>, StoreError> {
        // Changes nothing but locks the row, which whoever changes the password has to have.
        let still_so = diesel::update(users::table.find(user.0))
            .filter(users::password_hash.eq(password_hash))
            .filter(users::disabled_at.is_null())
            .set(users::password_hash.eq(password_hash));
        let row = (
            sessions::user_id.eq(user.0),
            sessions::token_hash.eq(token_hash),
            sessions::created_at.eq(Timestamp::now().0),
            sessions::expires_at.eq(expires_at.0),
        );
        let create = diesel::insert_into(sessions::table).values(row).returning(sessions::id);
        let created: Option<i64> = change!(self, connection => unless_undone(
            connection.transaction::<_, DieselError, _>(async |connection| {
                if still_so.execute(connection).await? == 0 {
                    return Err(DieselError::RollbackTransaction);
                }
                create.get_result(connection).await
            })
        ))?;
        Ok(created.map(SessionId))
    }

    /// The session of a token, with its account, if it has not ended. Whether the account is disabled is for the
    /// caller to look at.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn find_session(&self, token_hash: &str) -> Result<Option<LiveSession>, StoreError> {
        let live = accounts()
            .inner_join(sessions::table.on(sessions::user_id.eq(users::id)))
            .filter(sessions::token_hash.eq(token_hash))
            .filter(sessions::expires_at.gt(Timestamp::now().0))
            .select((sessions::id, sessions::expires_at, account_columns()));
        let row: Option<(i64, i64, AccountRow)> =
            read!(self, connection => async { live.first(connection).await.optional() })?;
        Ok(row.map(|(id, expires_at, account)| LiveSession {
            id: SessionId(id),
            account: account_of(account),
            expires_at: Timestamp(expires_at),
        }))
    }

    /// Ends a session of a user, with the tickets made in it, on every node. One that has ended stays so.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may have been done; again is harmless. [`StoreError::Interrupted`].
    pub async fn end_session(&self, session: SessionId, user: UserId) -> Result<(), StoreError> {
        let own = sessions::table.filter(sessions::id.eq(session.0)).filter(sessions::user_id.eq(user.0));
        let its_tickets = tickets::table
            .filter(tickets::session_id.eq(session.0))
            .filter(tickets::expires_at.gt(Timestamp::now().0));
        change!(self, connection => unless_undone(
            connection.transaction::<_, DieselError, _>(async |connection| {
                revocations::enter!(connection, Revocation::Session { user, session }).await?;
                if diesel::delete(own).execute(connection).await? == 0 {
                    return Err(DieselError::RollbackTransaction);
                }
                diesel::delete(its_tickets).execute(connection).await
            })
        ))
        .map(|_was_live| ())
    }

    /// Deletes the sessions and tickets that have ended by themselves.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn forget_expired(&self) -> Result<(), StoreError> {
        let now = Timestamp::now().0;
        let old_sessions = diesel::delete(sessions::table.filter(sessions::expires_at.le(now)));
        let old_tickets = diesel::delete(tickets::table.filter(tickets::expires_at.le(now)));
        change!(self, connection => old_sessions.execute(connection))?;
        change!(self, connection => old_tickets.execute(connection))?;
        Ok(())
    }
}

/// None for a transaction that undid itself since there was nothing to change.
async fn unless_undone<T>(
    transaction: impl Future<Output = Result<T, DieselError>>,
) -> Result<Option<T>, DieselError> {
    match transaction.await {
        Ok(value) => Ok(Some(value)),
        Err(DieselError::RollbackTransaction) => Ok(None),
        Err(error) => Err(error),
    }
}
