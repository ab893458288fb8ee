//! The hot path on Postgres: `BEGIN`, the locks, the write and `COMMIT` in one network flight.

use std::time::Duration;

use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::join;
use tokio::time::Instant;

use super::Postgres;
use super::changes::Changes;
use super::deletions::Deletions;
use crate::answer::{AnswerRow, outcomes};
use crate::error::StoreError;
use crate::model::{Command, Outcome};
use crate::sabotage::{self, sabotaged};
use crate::store::within;

/// How long a batch may take before its outcome counts as unknown. Longer than the server lets a lock be waited
/// for, which ends a batch with a definite answer.
const COMMIT_DEADLINE: Duration = Duration::from_secs(4);

/// The writer's connection, if it stands.
#[derive(Default)]
pub(crate) struct PostgresCommitter {
    connection: Option<AsyncPgConnection>,
}

impl PostgresCommitter {
    /// Commits commands of which none repeats another.
    pub(crate) async fn commit(
        &mut self,
        postgres: &Postgres,
        commands: &[&Command],
        deadline: Instant,
    ) -> Result<Vec<Outcome>, StoreError> {
        let patience = || COMMIT_DEADLINE.min(deadline.saturating_duration_since(Instant::now()));
        // Taken out, so that a connection in an unknown state is dropped wherever this ends early.
        let connection = match self.connection.take() {
            Some(connection) => connection,
            // Boxed: it is rare, and larger than the rest of this.
            None => Box::pin(within(patience(), connect(postgres))).await?,
        };
        let (mut first, mut second) = (&connection, &connection);
        // A batch is all deletions, or has none: see `Committer`.
        let result = if let [Command::Delete { .. }, ..] = commands {
            let batch = Deletions::new(commands);
            let (lock, write) = (batch.lock(), batch.write());
            let work = flight(&connection, lock.execute(&mut first), write.load(&mut second));
            within(patience(), work).await
        } else {
            let batch = Changes::new(commands);
            let (lock, write) = (batch.lock(), batch.write());
            let work = flight(&connection, lock.execute(&mut first), write.load(&mut second));
            within(patience(), work).await
        };
        if sabotaged!("acknowledge_early") {
            sabotage::commit_late(connection);
        } else if !matches!(result, Err(StoreError::Unavailable(_))) {
            self.connection = Some(connection);
        }
        Ok(outcomes(commands, result?))
    }
}

/// A connection whose statements are prepared: from then on each is sent the moment it is first polled.
async fn connect(postgres: &Postgres) -> Result<AsyncPgConnection, StoreError> {
    let mut connection = postgres.connect().await?;
    // A plan made while the tables were small must not outlive that: these statements always go by an index, row by
    // row.
    connection
        .batch_execute(
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
             SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off",
        )
        .await?;
    sabotage::prepare(&mut connection).await?;
    let (changes, deletions) = (Changes::new(&[]), Deletions::new(&[]));
    changes.lock().execute(&mut connection).await?;
    changes.write().load::<AnswerRow>(&mut connection).await?;
    deletions.lock().execute(&mut connection).await?;
    deletions.write().load::<AnswerRow>(&mut connection).await?;
    Ok(connection)
}

/// The four requests are made in this order by the first poll of `join!`, which polls its futures in turn.
/// Nothing on the way to the socket may yield before that, or `COMMIT` could overtake the write: all
/// statements are prepared, and the task's cooperative budget is set aside.
async fn flight(
    connection: &AsyncPgConnection,
    lock: impl Future<Output = QueryResult<usize>>,
    write: impl Future<Output = QueryResult<Vec<AnswerRow>>>,
) -> Result<Vec<AnswerRow>, StoreError> {
    let (mut first, mut last) = (connection, connection);
    let (begin, lock, write, commit) = tokio::task::coop::unconstrained(async {
        join!(
            // Whatever the default of the database is: the write must see what the lock waited for.
            first.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
            lock,
            write,
            last.batch_execute(sabotage::ending()),
        )
    })
    .await;
    begin?;
    lock?;
    let rows = write?;
    commit?;
    Ok(rows)
}
