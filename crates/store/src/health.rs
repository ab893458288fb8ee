//! What the store stands on: its server, its settings, its clock, its connections. For `doctor`, and for a node's
//! start.

use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use switchboard_protocol::Timestamp;

use crate::error::StoreError;
use crate::store::{Backend, READ_DEADLINE, Store, read, within};

/// What the store stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The server or library, with its version.
    pub version: String,
    /// What decides whether an acknowledged message outlives a crash.
    pub durability: Vec<Setting>,
    /// What only a server has; none for SQLite.
    pub server: Option<Server>,
}

/// A setting of the store that decides whether an acknowledged message outlives a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What the store calls it.
    pub name: &'static str,
    /// How it is set.
    pub value: String,
    /// How it should be set.
    pub wanted: &'static str,
    /// What can be lost as it is; none if nothing.
    pub risk: Option<&'static str>,
}

/// What a Postgres server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The version as a number, such as 150004; the major version is this by 10,000.
    pub version_number: i64,
    /// Whether it follows another server: then it only reads.
    pub is_standby: bool,
    /// Connections that it takes from everybody together (`max_connections`).
    pub max_connections: i64,
    /// Those of them that it keeps for superusers and for roles of its own.
    pub reserved_connections: i64,
    /// Those that stand now, ours included. Nothing if the server does not let us see.
    pub open_connections: i64,
}

/// The connections for reading, at one moment. All zero before the first reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Connections with a reading or a change under way.
    pub busy: usize,
    /// Connections that stand and wait for work.
    pub idle: usize,
    /// Readings and changes that wait for a connection. Above zero for long, `store.pool_size` is too small, or the
    /// store too slow.
    pub waiting: usize,
}

impl Health {
    /// The least Postgres that has what the schema and the statements use: 13.
    pub const LEAST_POSTGRES: i64 = 130_000;

    /// Settings under which an acknowledged message could be lost, each with what to do: a sentence for an operator.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.durability.iter().filter_map(Setting::warning).collect()
    }
}

impl Setting {
    /// What is wrong with it, and after a colon what to do; none if nothing is.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let Self { name, value, wanted, risk } = self;
        risk.map(|risk| format!("`{name}` is `{value}`, so {risk}: set it to `{wanted}`"))
    }
}

impl Server {
    /// Connections that are there for nodes and for everybody else.
    #[must_use]
    pub fn usable_connections(&self) -> i64 {
        (self.max_connections - self.reserved_connections).max(0)
    }
}

impl Store {
    /// Connections that a node holds at most with a pool of `pool_size`: the pool's, the writer's, and one that is
    /// opened while a node starts or is asked for its health.
    #[must_use]
    pub fn connections_of_a_node(pool_size: u32) -> i64 {
        i64::from(pool_size) + 2
    }

    /// How the connections of the pool are used now. The writer's own connection is not among them, nor on SQLite that
    /// of changes. Asks nobody: it costs nothing.
    #[must_use]
    pub fn pool(&self) -> PoolState {
        let status = match &*self.backend {
            Backend::Postgres(postgres) => postgres.pool.status(),
            Backend::Sqlite(sqlite) => sqlite.readers.status(),
        };
        PoolState {
            busy: status.size.saturating_sub(status.available),
            idle: status.available,
            waiting: status.waiting,
        }
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let query = diesel::select(1_i32.into_sql::<diesel::sql_types::Integer>());
        read!(self, connection => query.get_result::<i32>(connection)).map(|_one| ())
    }

    /// What the store stands on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn health(&self) -> Result<Health, StoreError> {
        match &*self.backend {
            Backend::Postgres(postgres) => Box::pin(within(READ_DEADLINE, postgres.health())).await,
            Backend::Sqlite(sqlite) => within(READ_DEADLINE, sqlite.health()).await,
        }
    }

    /// What the store's clock says. None for SQLite, which goes by this machine's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        if let Backend::Sqlite(_) = &*self.backend {
            return Ok(None);
        }
        let now = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8";
        let query = diesel::select(dsl::sql::<BigInt>(now));
        let now: i64 = read!(self, connection => query.get_result(connection))?;
        Ok(Some(Timestamp(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_what_was_found_and_what_to_write() {
        let mut setting = Setting { name: "fsync", value: "on".to_owned(), wanted: "on", risk: None };
        assert_eq!(setting.warning(), None);
        (setting.value, setting.risk) = ("off".to_owned(), Some("much can be lost"));
        let expected = "`fsync` is `off`, so much can be lost: set it to `on`";
        assert_eq!(setting.warning().as_deref(), Some(expected));
    }
}
