//! Changing groups, and what is a user's own: one command, one transaction, the same on both back ends.

use diesel::sqlite::SqliteConnection;
use diesel_async::AsyncPgConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;

use crate::error::StoreError;
use crate::model::{Command, Outcome, Refusal};

/// Carries out a [`Command::Group`] or [`Command::Own`].
pub(crate) async fn on_postgres(
    _connection: &mut AsyncPgConnection,
    _command: &Command,
) -> Result<Outcome, StoreError> {
    Ok(Outcome::Refused(Refusal::Failed))
}

/// The same.
pub(crate) async fn on_sqlite(
    _connection: &mut SyncConnectionWrapper<SqliteConnection>,
    _command: &Command,
) -> Result<Outcome, StoreError> {
    Ok(Outcome::Refused(Refusal::Failed))
}
