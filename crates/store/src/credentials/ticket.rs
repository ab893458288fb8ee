//! Tickets: single-use, short-lived, for where a long-lived secret must not appear.

use diesel::dsl;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use switchboard_protocol::{Timestamp, UserId};

use super::{ApiKeyId, SessionId};
use crate::error::StoreError;
use crate::model::Account;
use crate::queries::{AccountRow, account_columns, account_of, accounts};
use crate::schema::{api_keys, sessions, tickets, users};
use crate::store::{Store, change, read};

/// A ticket to be created: it stands for the credentials that it was asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTicket {
    /// SHA-256 of the ticket, in hexadecimal digits.
    pub token_hash: String,
    /// Who asked for it.
    pub user: UserId,
    /// In which session, if in one.
    pub session: Option<SessionId>,
    /// By which API key, if by one.
    pub api_key: Option<ApiKeyId>,
    /// When the credentials were issued.
    pub issued_at: Timestamp,
    /// When the credentials end; `i64::MAX` for those that do not.
    pub credentials_expire_at: Timestamp,
    /// When the ticket does.
    pub expires_at: Timestamp,
}

/// What a ticket stood for, which nobody else has redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// Who asked for it. Whether they may come in, and whether a token of `issued_at` counts, is in here.
    pub account: Account,
    /// In which session, if in one; it has not ended.
    pub session: Option<SessionId>,
    /// By which API key, if by one; it is not revoked.
    pub api_key: Option<ApiKeyId>,
    /// When the credentials were issued.
    pub issued_at: Timestamp,
    /// When they end.
    pub credentials_expire_at: Timestamp,
}

/// User, session, API key, when the credentials were issued, when they end.
type TicketRow = (i64, Option<i64>, Option<i64>, i64, i64);

impl Store {
    /// Creates a ticket.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], [`StoreError::Rejected`].
    pub async fn create_ticket(&self, ticket: &NewTicket) -> Result<(), StoreError> {
        let row = (
            tickets::token_hash.eq(&ticket.token_hash),
            tickets::user_id.eq(ticket.user.0),
            tickets::session_id.eq(ticket.session.map(|session| session.0)),
            tickets::api_key_id.eq(ticket.api_key.map(|key| key.0)),
            tickets::issued_at.eq(ticket.issued_at.0),
            tickets::credentials_expire_at.eq(ticket.credentials_expire_at.0),
            tickets::expires_at.eq(ticket.expires_at.0),
        );
        let create = diesel::insert_into(tickets::table).values(row);
        change!(self, connection => create.execute(connection)).map(|_one| ())
    }

    /// Takes a ticket: of all who try, on any node, one has it. None as well if it has ended, or what it stands for.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may be spent. [`StoreError::Interrupted`].
    pub async fn redeem_ticket(&self, token_hash: &str) -> Result<Option<Redeemed>, StoreError> {
        let now = Timestamp::now().0;
        let take = diesel::delete(tickets::table)
            .filter(tickets::token_hash.eq(token_hash))
            .filter(tickets::expires_at.gt(now))
            .filter(tickets::credentials_expire_at.gt(now))
            .returning((
                tickets::user_id,
                tickets::session_id,
                tickets::api_key_id,
                tickets::issued_at,
                tickets::credentials_expire_at,
            ));
        let ticket: Option<TicketRow> =
            change!(self, connection => async { take.get_result(connection).await.optional() })?;
        let Some((user, session, api_key, issued_at, credentials_expire_at)) = ticket else {
            return Ok(None);
        };
        let live_session = sessions::table
            .filter(sessions::id.eq(session.unwrap_or_default()))
            .filter(sessions::expires_at.gt(now));
        let live_key = api_keys::table
            .filter(api_keys::id.eq(api_key.unwrap_or_default()))
            .filter(api_keys::revoked_at.is_null());
        let owner = accounts().filter(users::id.eq(user)).select((
            account_columns(),
            dsl::exists(live_session),
            dsl::exists(live_key),
        ));
        let row: Option<(AccountRow, bool, bool)> =
            read!(self, connection => async { owner.first(connection).await.optional() })?;
        let counts = |session_lives, key_lives| {
            (session.is_none() || session_lives) && (api_key.is_none() || key_lives)
        };
        Ok(row.filter(|(_, session_lives, key_lives)| counts(*session_lives, *key_lives)).map(
            |(account, ..)| Redeemed {
                account: account_of(account),
                session: session.map(SessionId),
                api_key: api_key.map(ApiKeyId),
                issued_at: Timestamp(issued_at),
                credentials_expire_at: Timestamp(credentials_expire_at),
            },
        ))
    }
}
