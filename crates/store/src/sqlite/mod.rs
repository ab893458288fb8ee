//! SQLite: the file, its connections, the schema. The hot path is in `commit`.
//!
//! One connection writes, on the blocking pool and behind a mutex; a few more read. Write-ahead logging lets
//! them read while it writes, and `synchronous = FULL` makes a commit outlive a power cut.

mod commit;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use diesel::ConnectionError;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::FutureExt;
use switchboard_protocol::UserId;

use crate::answer::outcomes;
use crate::error::StoreError;
use crate::model::{Command, Import, Outcome};
use crate::store::Health;
use crate::users;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Set on each connection. `busy_timeout` is for the commands that run beside a server.
const PRAGMAS: &str = "PRAGMA busy_timeout = 3000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                       PRAGMA foreign_keys = ON;";

type AsyncSqlite = SyncConnectionWrapper<SqliteConnection>;

/// A SQLite file.
pub(crate) struct Sqlite {
    path: PathBuf,
    /// Short of a transaction, never held across an await: taken on the blocking pool.
    writer: Arc<Mutex<SqliteConnection>>,
    readers: Pool<AsyncSqlite>,
    /// Locked for as long as a server has the file.
    held: OnceLock<File>,
}

impl Sqlite {
    pub(crate) async fn open(path: &str, pool_size: usize) -> Result<Self, StoreError> {
        let path = PathBuf::from(path);
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::Config(format!("the SQLite file `{}` cannot be opened: {error}", path.display()))
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        }
        let url = path.to_str().ok_or_else(|| failed(&"its path is not UTF-8"))?.to_owned();
        let writer = on_blocking_pool(move || Ok(connect(&url))).await?.map_err(|error| failed(&error))?;
        let readers = pool(&path, pool_size).map_err(|error| failed(&error))?;
        Ok(Self { path, writer: Arc::new(Mutex::new(writer)), readers, held: OnceLock::new() })
    }

    pub(crate) fn hold(&self) -> Result<(), StoreError> {
        let path = self.path.with_extension("lock");
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::Config(format!(
                "`{}` cannot be locked ({error}): another `switchboard serve` has the file; \
                 several nodes need Postgres",
                path.display()
            ))
        };
        if self.held.get().is_none() {
            let options = OpenOptions::new().create(true).append(true).open(&path);
            let file = options.map_err(|error| failed(&error))?;
            file.try_lock().map_err(|error| failed(&error))?;
            let _held_by_another_node_of_this_process = self.held.set(file);
        }
        Ok(())
    }

    /// A connection of the pool. A reading on it goes on to its end even if nobody waits for it.
    pub(crate) async fn reader(&self) -> Result<Object<AsyncSqlite>, StoreError> {
        Ok(self.readers.get().await?)
    }

    /// Runs `work` on the connection that writes.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writer = Arc::clone(&self.writer);
        on_blocking_pool(move || work(&mut writer.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// Commits commands of which none repeats another.
    pub(crate) async fn commit(
        &self,
        batch: Arc<[Command]>,
        turn: Vec<usize>,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.write(move |connection| {
            let commands: Vec<_> = turn.into_iter().map(|index| &batch[index]).collect();
            let rows = connection.immediate_transaction(|connection| commit::write(connection, &commands))?;
            Ok(outcomes(&commands, rows))
        })
        .await
    }

    pub(crate) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.write(|connection| {
            let done = connection.run_pending_migrations(MIGRATIONS).map_err(migration_error)?;
            Ok(done.iter().map(ToString::to_string).collect())
        })
        .await
    }

    pub(crate) async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        self.write(|connection| {
            let pending = connection.pending_migrations(MIGRATIONS).map_err(migration_error)?;
            Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
        })
        .await
    }

    pub(crate) async fn import_users(&self, users: Vec<Import>) -> Result<Vec<UserId>, StoreError> {
        self.write(move |connection| {
            let ids = connection.immediate_transaction(|connection| {
                let mut ids = Vec::with_capacity(users.len());
                for user in &users {
                    let id: i64 = users::upsert!(user).get_result(connection)?;
                    users::give_mailbox!(id).execute(connection)?;
                    ids.push(UserId(id));
                }
                QueryResult::Ok(ids)
            })?;
            Ok(ids)
        })
        .await
    }

    pub(crate) async fn health(&self) -> Result<Health, StoreError> {
        self.write(|connection| {
            let query = diesel::dsl::sql::<Text>("SELECT sqlite_version()");
            let version: String = query.get_result(connection)?;
            Ok(Health { version: format!("SQLite {version}"), warnings: Vec::new() })
        })
        .await
    }
}

fn pool(path: &Path, size: usize) -> Result<Pool<AsyncSqlite>, String> {
    let mut manager = ManagerConfig::default();
    manager.recycling_method = RecyclingMethod::Fast;
    manager.custom_setup = Box::new(|url| {
        let url = url.to_owned();
        async move {
            let connection = tokio::task::spawn_blocking(move || connect(&url)).await;
            let connection = connection.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
            Ok(SyncConnectionWrapper::new(connection?))
        }
        .boxed()
    });
    let url = path.to_string_lossy().into_owned();
    let manager = AsyncDieselConnectionManager::new_with_config(url, manager);
    Pool::builder(manager).max_size(size).build().map_err(|error| error.to_string())
}

fn connect(url: &str) -> ConnectionResult<SqliteConnection> {
    let mut connection = SqliteConnection::establish(url)?;
    connection.batch_execute(PRAGMAS).map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
    Ok(connection)
}

fn migration_error(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Migration(format!("a migration failed: {error}"))
}

async fn on_blocking_pool<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Unavailable(error.to_string())),
    }
}
