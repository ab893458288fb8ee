//! What ends sessions before their time: entries of the system mailbox, which every node reads each second.
//!
//! An entry and the change that it tells of are one transaction. The first statement that has to do with the
//! mailbox counts it up, and so holds its row until the end of the transaction: entries appear in the order of
//! their positions, and a node that has read up to one has missed none before it.

use diesel::dsl::max;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection, RunQueryDsl};
use switchboard_protocol::{Seq, Timestamp, UserId};

use crate::credentials::{ApiKeyId, SessionId};
use crate::error::StoreError;
use crate::schema::{kind, mailbox_entries, mailboxes};
use crate::store::{Store, change, read};

/// Credentials that no longer count. What was let in by them has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// All sessions, tickets and tokens that a user had until then.
    User(UserId),
    /// The same, but for one session with the tickets made in it.
    Others {
        /// Whose.
        user: UserId,
        /// Which goes on.
        session: SessionId,
    },
    /// One session, with the tickets made in it.
    Session {
        /// Whose.
        user: UserId,
        /// Which.
        session: SessionId,
    },
    /// An API key, with all that it was used for.
    ApiKey(ApiKeyId),
}

/// What was revoked after a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocations {
    /// How far these go: the next call begins here. Below what the call asked for, the store was set back.
    pub last_seq: Seq,
    /// Whether some right after the position are there no more: whoever asks was away for too long.
    pub missed: bool,
    /// In order.
    pub entries: Vec<(Seq, Revocation)>,
}

/// Kind, actor and credential, as they stand in `mailbox_entries`.
type Columns = (i16, Option<i64>, Option<i64>);

impl Revocation {
    pub(crate) fn columns(self) -> Columns {
        match self {
            Self::User(user) => (kind::USER_ENDED, Some(user.0), None),
            Self::Others { user, session } => (kind::USER_ENDED, Some(user.0), Some(session.0)),
            Self::Session { user, session } => (kind::SESSION_ENDED, Some(user.0), Some(session.0)),
            Self::ApiKey(key) => (kind::API_KEY_ENDED, None, Some(key.0)),
        }
    }

    /// None for a kind of a later version of this service.
    fn from_columns(columns: Columns) -> Option<Self> {
        match columns {
            (kind::USER_ENDED, Some(user), None) => Some(Self::User(UserId(user))),
            (kind::USER_ENDED, Some(user), Some(session)) => {
                Some(Self::Others { user: UserId(user), session: SessionId(session) })
            }
            (kind::SESSION_ENDED, Some(user), Some(session)) => {
                Some(Self::Session { user: UserId(user), session: SessionId(session) })
            }
            (kind::API_KEY_ENDED, _, Some(key)) => Some(Self::ApiKey(ApiKeyId(key))),
            _ => None,
        }
    }
}

/// Adds a revocation to the system mailbox, in the transaction that carries it out. A macro, so that it runs on
/// either back end.
macro_rules! enter {
    ($connection:expr, $revocation:expr) => {
        async {
            use $crate::schema::{mailbox_entries as entries, mailboxes};
            let (kind, actor, credential) = $crate::revocations::Revocation::columns($revocation);
            let (mailbox, seq): (i64, i64) =
                diesel::update(mailboxes::table.filter(mailboxes::owner_id.is_null()))
                    .set(mailboxes::last_seq.eq(mailboxes::last_seq + 1))
                    .returning((mailboxes::id, mailboxes::last_seq))
                    .get_result($connection)
                    .await?;
            diesel::insert_into(entries::table)
                .values((
                    entries::mailbox_id.eq(mailbox),
                    entries::seq.eq(seq),
                    entries::kind.eq(kind),
                    entries::conversation_id.eq($crate::schema::NO_CONVERSATION),
                    entries::actor_id.eq(actor),
                    entries::credential_id.eq(credential),
                    entries::created_at.eq(switchboard_protocol::Timestamp::now().0),
                ))
                .execute($connection)
                .await
        }
    };
}
pub(crate) use enter;

impl Store {
    /// Up to `limit` revocations after a position; one short reading if there are none. After [`Seq`]`(i64::MAX)` it
    /// tells where the log ends.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn revocations(&self, after: Seq, limit: i64) -> Result<Revocations, StoreError> {
        let end = mailboxes::table
            .filter(mailboxes::owner_id.is_null())
            .select((mailboxes::id, mailboxes::last_seq));
        let (mailbox, last_seq): (i64, i64) = read!(self, connection => end.first(connection))?;
        if last_seq <= after.0 {
            return Ok(Revocations { last_seq: Seq(last_seq), missed: false, entries: Vec::new() });
        }
        let page = mailbox_entries::table
            .filter(mailbox_entries::mailbox_id.eq(mailbox))
            .filter(mailbox_entries::seq.gt(after.0))
            .filter(mailbox_entries::seq.le(last_seq))
            .order(mailbox_entries::seq)
            .limit(limit)
            .select((
                mailbox_entries::seq,
                (mailbox_entries::kind, mailbox_entries::actor_id, mailbox_entries::credential_id),
            ));
        let rows: Vec<(i64, Columns)> = read!(self, connection => page.load(connection))?;
        let end = rows.last().map_or(last_seq, |(seq, _)| *seq);
        let missed = <[_]>::first(&rows).is_none_or(|(first, _)| *first > after.0 + 1);
        let known = |(seq, columns)| Some((Seq(seq), Revocation::from_columns(columns)?));
        Ok(Revocations { last_seq: Seq(end), missed, entries: rows.into_iter().filter_map(known).collect() })
    }

    /// Deletes the revocations before `before` from the system mailbox. A node that still looks for them learns that it
    /// missed some.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn forget_revocations(&self, before: Timestamp) -> Result<(), StoreError> {
        let system = || mailboxes::table.filter(mailboxes::owner_id.is_null());
        let old = mailbox_entries::table
            .filter(mailbox_entries::mailbox_id.eq_any(system().select(mailboxes::id)))
            .filter(mailbox_entries::created_at.lt(before.0))
            .select(max(mailbox_entries::seq));
        let last: Option<i64> = read!(self, connection => old.get_result(connection))?;
        let Some(last) = last else {
            return Ok(());
        };
        let raise = diesel::update(system()).set(mailboxes::floor.eq(last)).returning(mailboxes::id);
        change!(self, connection => connection.transaction::<_, DieselError, _>(async |connection| {
            let mailbox: i64 = raise.get_result(connection).await?;
            let gone = mailbox_entries::table
                .filter(mailbox_entries::mailbox_id.eq(mailbox))
                .filter(mailbox_entries::seq.le(last));
            diesel::delete(gone).execute(connection).await
        }))
        .map(|_n_deleted| ())
    }
}
