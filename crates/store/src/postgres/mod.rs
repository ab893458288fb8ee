//! Postgres: connections, the schema, settings. The hot statement is in `commit`.

mod changes;
mod commit;
mod health;
mod of_message;

use std::time::Duration;

use diesel::ConnectionError;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::FutureExt;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

pub(crate) use self::commit::PostgresCommitter;
use crate::error::StoreError;
use crate::migrations::{Known, known};
use crate::store::within;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The advisory lock under which one process at a time migrates: "switchbd" in ASCII.
const MIGRATION_LOCK: i64 = 0x7377_6974_6368_6264;

/// How long a connection may take to stand.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);

/// A Postgres database.
pub(crate) struct Postgres {
    config: tokio_postgres::Config,
    /// Connections for reading and for changes that are no messages.
    pub(crate) pool: Pool<AsyncPgConnection>,
}

/// A connection of the pool, put back only if its reading ended.
pub(crate) struct Reader {
    connection: Option<Object<AsyncPgConnection>>,
    finished: bool,
}

impl Reader {
    /// The reading has ended: the connection may serve another.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }
}

impl std::ops::Deref for Reader {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        self.connection.as_ref().expect("is there until the reader is dropped")
    }
}

impl std::ops::DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        self.connection.as_mut().expect("is there until the reader is dropped")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.finished
            && let Some(object) = self.connection.take()
        {
            drop(Object::take(object));
        }
    }
}

impl Postgres {
    pub(crate) fn open(url: &str, pool_size: usize) -> Result<Self, StoreError> {
        let config = parse(url)?;
        let for_pool = config.clone();
        let mut manager = ManagerConfig::default();
        // A connection that broke says so by itself: no query is spent on asking.
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(move |_url| {
            let config = for_pool.clone();
            async move { connect(&config).await }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config("", manager);
        let pool = Pool::builder(manager)
            .max_size(pool_size)
            .build()
            .map_err(|error| StoreError::Config(error.to_string()))?;
        Ok(Self { config, pool })
    }

    pub(crate) async fn reader(&self) -> Result<Reader, StoreError> {
        Ok(Reader { connection: Some(self.pool.get().await?), finished: false })
    }

    /// A connection outside the pool.
    pub(crate) async fn connect(&self) -> Result<AsyncPgConnection, StoreError> {
        within(CONNECT_DEADLINE, async { Ok(connect(&self.config).await?) }).await
    }

    /// A connection whose statements may take their time.
    pub(crate) async fn patient(&self) -> Result<AsyncPgConnection, StoreError> {
        let mut connection = self.connect().await?;
        connection.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await?;
        Ok(connection)
    }

    pub(crate) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.patient().await?;
        // Another process may be at it.
        diesel::sql_query(format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))
            .execute(&mut connection)
            .await?;
        let mut harness = AsyncMigrationHarness::new(connection);
        let done = harness.run_pending_migrations(MIGRATIONS).map_err(migration_error)?;
        Ok(done.iter().map(ToString::to_string).collect())
    }

    /// Those of this binary.
    pub(crate) fn known_migrations(&self) -> Result<Known, StoreError> {
        known!(MIGRATIONS, Pg)
    }
}

fn migration_error(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Migration(format!("a migration failed: {error}"))
}

/// Reads the address. `sslmode` is `disable` (as is none), or `require`, `verify-ca` or `verify-full`, which are
/// one: the certificate is always verified, against the machine's trust anchors.
fn parse(url: &str) -> Result<tokio_postgres::Config, StoreError> {
    let url =
        url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    let mut config: tokio_postgres::Config = url
        .parse()
        .map_err(|error| StoreError::Config(format!("the address of Postgres cannot be read: {error}")))?;
    config
        .application_name("switchboard")
        .connect_timeout(CONNECT_DEADLINE)
        .keepalives_idle(Duration::from_secs(10));
    Ok(config)
}

async fn connect(config: &tokio_postgres::Config) -> ConnectionResult<AsyncPgConnection> {
    let failed = |error: tokio_postgres::Error| ConnectionError::BadConnection(reason(&error));
    let mut connection = if config.get_ssl_mode() == SslMode::Require {
        let (client, connection) = config.connect(tls()).await.map_err(failed)?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    } else {
        let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    };
    // A frozen node must not stall the others, nor a statement a node. No statement is worth compiling, whatever the
    // planner fears that it costs; nor planning again each time, which took as long as to answer it: the texts leave one
    // way, whatever they are asked for.
    connection
        .batch_execute(
            "SET lock_timeout = '2s'; SET statement_timeout = '3s'; \
             SET idle_in_transaction_session_timeout = '2s'; SET search_path = public; SET jit = off; \
             SET plan_cache_mode = force_generic_plan",
        )
        .await
        .map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
    Ok(connection)
}

/// The error with what caused it, which its own text leaves out.
fn reason(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn tls() -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    MakeRustlsConnect::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
