//! SQLite: the file, its connections, the schema. The hot path is in `commit`.
//!
//! Writing takes turns: one connection commits batches, on the blocking pool, and another makes the changes of
//! accounts; a few more read. Write-ahead logging lets them read meanwhile, and `synchronous = FULL` makes a commit
//! outlive a power cut.

mod commit;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use diesel::ConnectionError;
use diesel::connection::SimpleConnection;
use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::FutureExt;
use tokio::sync::{Mutex, MutexGuard};

use crate::answer::outcomes;
use crate::committer::{Class, class};
use crate::conversations;
use crate::error::StoreError;
use crate::health::{Health, Setting};
use crate::migrations::{Known, known};
use crate::model::{Command, Outcome};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Set on each connection. `busy_timeout` is for the commands that run beside a server.
const PRAGMAS: &str = "PRAGMA busy_timeout = 3000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                       PRAGMA foreign_keys = ON;";

/// The values of `synchronous`, which SQLite tells by their numbers.
const SYNCHRONOUS: [&str; 4] = ["off", "normal", "full", "extra"];

/// Who may read and write a file that we make: its owner.
const PRIVATE: u32 = 0o600;

type AsyncSqlite = SyncConnectionWrapper<SqliteConnection>;

/// A SQLite file.
pub(crate) struct Sqlite {
    path: PathBuf,
    /// Who holds it may write; the others wait in line, which the file's own lock does not know. Only other
    /// processes are met by `busy_timeout`.
    writer: Arc<Mutex<Writer>>,
    /// Connections for reading.
    pub(crate) readers: Pool<AsyncSqlite>,
    /// Locked for as long as a server has the file.
    held: OnceLock<File>,
}

/// The connections that write.
pub(crate) struct Writer {
    /// Commits batches.
    batches: SqliteConnection,
    /// For changes, whose statements are awaited one by one. Taken out for each, so that one that ends early drops
    /// it, and its open transaction is rolled back.
    changes: Option<AsyncSqlite>,
}

impl Writer {
    /// The connection for a change, to be put back when that has ended.
    pub(crate) async fn take(&mut self, sqlite: &Sqlite) -> Result<AsyncSqlite, StoreError> {
        match self.changes.take() {
            Some(connection) => Ok(connection),
            None => Ok(open_async(&sqlite.path.to_string_lossy()).await?),
        }
    }

    /// The change has ended: the connection may serve another.
    pub(crate) fn put_back(&mut self, connection: AsyncSqlite) {
        self.changes = Some(connection);
    }
}

impl Sqlite {
    pub(crate) async fn open(path: &str, pool_size: usize) -> Result<Self, StoreError> {
        let path = PathBuf::from(path);
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::Config(format!("the SQLite file `{}` cannot be opened: {error}", path.display()))
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            // Only for the user that we run as; one that is there already stays as it is.
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| failed(&error))?;
        }
        make_private(&path).map_err(|error| failed(&error))?;
        let url = path.to_str().ok_or_else(|| failed(&"its path is not UTF-8"))?.to_owned();
        let batches = on_blocking_pool(move || Ok(connect(&url))).await?.map_err(|error| failed(&error))?;
        let writer = Arc::new(Mutex::new(Writer { batches, changes: None }));
        let readers = pool(&path, pool_size).map_err(|error| failed(&error))?;
        Ok(Self { path, writer, readers, held: OnceLock::new() })
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
            let options = OpenOptions::new().create(true).append(true).mode(PRIVATE).open(&path);
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

    /// The turn to write, in the order of asking.
    pub(crate) async fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().await
    }

    /// Runs `work` on the connection that commits batches. It goes on to its end, and keeps its turn, even if
    /// nobody waits for it.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        on_blocking_pool(move || work(&mut writer.batches)).await
    }

    /// Carries out one that has a transaction of its own, in its turn.
    async fn carry_out(&self, command: &Command) -> Result<Outcome, StoreError> {
        let mut writer = self.writer().await;
        let mut connection = writer.take(self).await?;
        let outcome = conversations::on_sqlite(&mut connection, command).await;
        writer.put_back(connection);
        outcome
    }

    /// Commits commands of which none repeats another, all of one class.
    pub(crate) async fn commit(
        &self,
        batch: Arc<[Command]>,
        turn: Vec<usize>,
    ) -> Result<Vec<Outcome>, StoreError> {
        if turn.first().is_some_and(|index| class(&batch[*index]) == Class::Alone) {
            let mut outcomes = Vec::with_capacity(turn.len());
            for index in turn {
                outcomes.push(self.carry_out(&batch[index]).await?);
            }
            return Ok(outcomes);
        }
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

    /// Those of this binary.
    pub(crate) fn known_migrations(&self) -> Result<Known, StoreError> {
        known!(MIGRATIONS, diesel::sqlite::Sqlite)
    }

    pub(crate) async fn health(&self) -> Result<Health, StoreError> {
        let (version, journal_mode, synchronous) = self
            .write(|connection| {
                let version: String = dsl::sql::<Text>("SELECT sqlite_version()").get_result(connection)?;
                let journal_mode: String = dsl::sql::<Text>("PRAGMA journal_mode").get_result(connection)?;
                let synchronous: i32 = dsl::sql::<Integer>("PRAGMA synchronous").get_result(connection)?;
                Ok((version, journal_mode, synchronous))
            })
            .await?;
        // On some network file systems there is no write-ahead log: it needs shared memory.
        let journal = (journal_mode != "wal")
            .then_some("the file is on a file system that cannot share memory, and readers block writers");
        let synchronous =
            usize::try_from(synchronous).ok().and_then(|n| SYNCHRONOUS.get(n)).unwrap_or(&"off");
        let flush =
            ["off", "normal"].contains(synchronous).then_some("a power cut can lose acknowledged messages");
        let durability = vec![
            Setting { name: "journal_mode", value: journal_mode, wanted: "wal", risk: journal },
            Setting { name: "synchronous", value: (*synchronous).to_owned(), wanted: "full", risk: flush },
        ];
        Ok(Health { version: format!("SQLite {version}"), durability, server: None })
    }
}

/// Makes the file if there is none, since SQLite would let everybody read it; what it writes beside it takes the rights
/// of the file. One that is there already is not even opened: to close it would end the locks of this process on it.
fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn pool(path: &Path, size: usize) -> Result<Pool<AsyncSqlite>, String> {
    let mut manager = ManagerConfig::default();
    manager.recycling_method = RecyclingMethod::Fast;
    manager.custom_setup = Box::new(|url| {
        let url = url.to_owned();
        async move { open_async(&url).await }.boxed()
    });
    let url = path.to_string_lossy().into_owned();
    let manager = AsyncDieselConnectionManager::new_with_config(url, manager);
    Pool::builder(manager).max_size(size).build().map_err(|error| error.to_string())
}

async fn open_async(url: &str) -> ConnectionResult<AsyncSqlite> {
    let url = url.to_owned();
    let connection = tokio::task::spawn_blocking(move || connect(&url)).await;
    let connection = connection.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
    Ok(SyncConnectionWrapper::new(connection?))
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
