//! API keys: what back ends come in with that send on behalf of users.

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection, RunQueryDsl};
use switchboard_protocol::{Timestamp, UserId};

use super::{ApiKeyId, unless_undone};
use crate::error::StoreError;
use crate::model::Account;
use crate::queries::{AccountRow, account_columns, account_of, accounts};
use crate::revocations::{self, Revocation};
use crate::schema::{api_keys, users};
use crate::store::{Store, change, read};

/// An API key, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The key.
    pub id: ApiKeyId,
    /// What its owner calls it.
    pub name: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when, if it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Store {
    /// Creates an API key; none if the name is taken, be it by a revoked one. `key_hash` is SHA-256 of the key, in
    /// hexadecimal digits.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], [`StoreError::Rejected`].
    pub async fn create_api_key(&self, name: &str, key_hash: &str) -> Result<Option<ApiKeyId>, StoreError> {
        let row = (
            api_keys::name.eq(name),
            api_keys::key_hash.eq(key_hash),
            api_keys::created_at.eq(Timestamp::now().0),
        );
        let create = diesel::insert_into(api_keys::table)
            .values(row)
            .on_conflict(api_keys::name)
            .do_nothing()
            .returning(api_keys::id);
        let id: Option<i64> =
            change!(self, connection => async { create.get_result(connection).await.optional() })?;
        Ok(id.map(ApiKeyId))
    }

    /// Revokes an API key on every node; false if there is none of that name that counts.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may have been done. [`StoreError::Interrupted`].
    pub async fn revoke_api_key(&self, name: &str) -> Result<bool, StoreError> {
        let live = api_keys::table.filter(api_keys::name.eq(name)).filter(api_keys::revoked_at.is_null());
        let found = live.select(api_keys::id);
        let id: Option<i64> = read!(self, connection => async { found.first(connection).await.optional() })?;
        let Some(id) = id else {
            return Ok(false);
        };
        let revoke = diesel::update(live).set(api_keys::revoked_at.eq(Timestamp::now().0));
        let revoked = change!(self, connection => unless_undone(
            connection.transaction::<_, DieselError, _>(async |connection| {
                revocations::enter!(connection, Revocation::ApiKey(ApiKeyId(id))).await?;
                match revoke.execute(connection).await? {
                    0 => Err(DieselError::RollbackTransaction),
                    one => Ok(one),
                }
            })
        ))?;
        Ok(revoked.is_some())
    }

    /// All API keys, revoked ones too, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn list_api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let query = api_keys::table.order(api_keys::id).select((
            api_keys::id,
            api_keys::name,
            api_keys::created_at,
            api_keys::revoked_at,
        ));
        let rows: Vec<(i64, String, i64, Option<i64>)> = read!(self, connection => query.load(connection))?;
        let key = |(id, name, created_at, revoked_at): (i64, String, i64, Option<i64>)| ApiKey {
            id: ApiKeyId(id),
            name,
            created_at: Timestamp(created_at),
            revoked_at: revoked_at.map(Timestamp),
        };
        Ok(rows.into_iter().map(key).collect())
    }

    /// The account of a user on whose behalf an API key is used; none if the key does not count or there is no such
    /// user. Whether the account is disabled is for the caller to look at.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn find_by_api_key(
        &self,
        key_hash: &str,
        user: UserId,
    ) -> Result<Option<(ApiKeyId, Account)>, StoreError> {
        let query = accounts()
            .inner_join(api_keys::table.on(api_keys::key_hash.eq(key_hash)))
            .filter(api_keys::revoked_at.is_null())
            .filter(users::id.eq(user.0))
            .select((api_keys::id, account_columns()));
        let row: Option<(i64, AccountRow)> =
            read!(self, connection => async { query.first(connection).await.optional() })?;
        Ok(row.map(|(id, account)| (ApiKeyId(id), account_of(account))))
    }
}
