//! The schema: which migrations the store has, and bringing it up to this binary's.
//!
//! Old and new nodes share a store while a fleet is upgraded, so a migration that this binary does not know is no
//! error: it has only added something.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::error::StoreError;
use crate::store::{Backend, Store, read};

diesel::table! {
    /// Diesel's own, made by the first migration that runs.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// How far the schema is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Names of the migrations of this binary that the store lacks, in order.
    pub pending: Vec<String>,
    /// Versions of the migrations that the store has and this binary does not know, in order: those of a later one.
    pub ahead: Vec<String>,
}

/// The migrations of a binary, by version and name.
pub(crate) type Known = Vec<(String, String)>;

/// Those that are compiled in, for a back end.
macro_rules! known {
    ($migrations:expr, $backend:ty) => {{
        use diesel::migration::{Migration, MigrationSource};
        let migrations = MigrationSource::<$backend>::migrations(&$migrations);
        let migrations = migrations.map_err(|error| StoreError::Migration(error.to_string()))?;
        let names = migrations.iter().map(|migration| migration.name());
        Ok(names.map(|name| (name.version().to_string(), name.to_string())).collect())
    }};
}
pub(crate) use known;

impl Store {
    /// Brings the schema up to this binary's, one process at a time, and says which migrations it ran. Needs no more
    /// than to read if there is nothing to do.
    ///
    /// # Errors
    /// [`StoreError::Migration`] or [`StoreError::Unavailable`].
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        if self.schema().await?.pending.is_empty() {
            return Ok(Vec::new());
        }
        match &*self.backend {
            Backend::Postgres(postgres) => postgres.migrate().await,
            Backend::Sqlite(sqlite) => sqlite.migrate().await,
        }
    }

    /// The migrations of this binary that the store lacks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.schema().await?.pending)
    }

    /// How far the schema is, before this binary or behind it. Reads only.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        let known = match &*self.backend {
            Backend::Postgres(postgres) => postgres.known_migrations(),
            Backend::Sqlite(sqlite) => sqlite.known_migrations(),
        };
        let query = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
        let applied: Result<Vec<String>, StoreError> = read!(self, connection => query.load(connection));
        let applied = applied.or_else(|error| match error {
            // The table is not there yet.
            StoreError::Interrupted(text) if text.contains("__diesel_schema_migrations") => Ok(Vec::new()),
            error => Err(error),
        });
        Ok(compare(known?, applied?.into_iter().collect()))
    }
}

fn compare(known: Known, mut applied: BTreeSet<String>) -> Schema {
    let is_pending = |(version, name): (String, String)| (!applied.remove(&version)).then_some(name);
    let pending = known.into_iter().filter_map(is_pending).collect();
    Schema { pending, ahead: applied.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(applied: &[&str], pending: &[&str], ahead: &[&str]) {
        let known = [("1", "1_mailboxes"), ("2", "2_accounts")];
        let known = known.map(|(version, name)| (version.to_owned(), name.to_owned())).to_vec();
        let schema = compare(known, applied.iter().map(|&version| version.to_owned()).collect());
        assert_eq!((schema.pending, schema.ahead), (owned(pending), owned(ahead)));
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_store_is_behind_or_ahead_or_both() {
        check(&[], &["1_mailboxes", "2_accounts"], &[]);
        check(&["1", "2"], &[], &[]);
        check(&["2", "3", "1"], &[], &["3"]);
        check(&["1", "3"], &["2_accounts"], &["3"]);
    }
}
