//! Changing groups, and what is a user's own: one command, one transaction, the same on both back ends.
//!
//! Locks are taken in this order: the row of the conversation, the mailboxes concerned by their ids, anything else. What is
//! decided by is read after them, in statements of their own, and so is the last word.

mod create;
mod entries;
mod group;
mod import;
mod own;

use diesel::QueryResult;
use diesel::result::Error as DieselError;
use diesel::sqlite::SqliteConnection;
use diesel_async::AsyncPgConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use switchboard_protocol::Timestamp;

use crate::error::StoreError;
use crate::model::{Command, Outcome, Refusal};

/// Carries out a [`Command::Group`] or [`Command::Own`].
pub(crate) async fn on_postgres(
    connection: &mut AsyncPgConnection,
    command: &Command,
) -> Result<Outcome, StoreError> {
    transact_on_postgres!(connection, work => work.carry_out(command))
}

/// The same.
pub(crate) async fn on_sqlite(
    connection: &mut SyncConnectionWrapper<SqliteConnection>,
    command: &Command,
) -> Result<Outcome, StoreError> {
    transact_on_sqlite!(connection, work => work.carry_out(command))
}

/// Runs something in a transaction on Postgres. Whatever the default of the database is: a statement must see what the one
/// before it waited for.
macro_rules! transact_on_postgres {
    ($connection:expr, $work:ident => $doing:expr) => {{
        let mut transaction = $connection.build_transaction().read_committed();
        let done = transaction.run::<_, DieselError, _>(async |connection| {
            let mut $work = Work::new(Connection::Postgres(connection));
            $doing.await
        });
        Ok(Box::pin(done).await?)
    }};
}
use transact_on_postgres;

/// The same on SQLite, where nobody else writes from its beginning to its end.
macro_rules! transact_on_sqlite {
    ($connection:expr, $work:ident => $doing:expr) => {{
        let done = $connection.immediate_transaction::<_, DieselError, _>(async |connection| {
            let mut $work = Work::new(Connection::Sqlite(connection));
            $doing.await
        });
        Ok(Box::pin(done).await?)
    }};
}
use transact_on_sqlite;

/// Runs a statement on whichever connection the work has.
macro_rules! on {
    ($work:expr, $connection:ident => $query:expr) => {
        match &mut $work.connection {
            $crate::conversations::carry_out::Connection::Postgres($connection) => $query.await,
            $crate::conversations::carry_out::Connection::Sqlite($connection) => $query.await,
        }
    };
}
use on;

/// A connection in a transaction.
enum Connection<'a> {
    Postgres(&'a mut AsyncPgConnection),
    Sqlite(&'a mut SyncConnectionWrapper<SqliteConnection>),
}

/// A transaction under way.
struct Work<'a> {
    connection: Connection<'a>,
    /// When it took its locks, by the clock of the store.
    now: i64,
}

impl<'a> Work<'a> {
    fn new(connection: Connection<'a>) -> Self {
        Self { connection, now: Timestamp::now().0 }
    }

    async fn carry_out(&mut self, command: &Command) -> QueryResult<Outcome> {
        match command {
            Command::Group { actor, act, only_in_groups } => {
                self.change_group(actor.0, act, *only_in_groups).await
            }
            Command::Own { user, act } => self.change_own(user.0, act).await,
            // They go in batches: see `Committer`.
            _ => Ok(Outcome::Refused(Refusal::Failed)),
        }
    }
}
