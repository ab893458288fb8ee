//! The hot path on Postgres: `BEGIN`, the locks, the write and `COMMIT` in one network flight.

use std::time::Duration;

use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::OptionFuture;
use futures_util::join;
use tokio::time::Instant;

use super::Postgres;
use super::changes::{Changes, LockConversations, Shape};
use super::of_message::OfMessage;
use crate::answer::{AnswerRow, outcomes};
use crate::committer::{Class, class};
use crate::conversations;
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
        let (mut zeroth, mut first, mut second) = (&connection, &connection, &connection);
        // A batch is of one class: see `Committer`.
        let result = match commands.first().map(|command| class(command)) {
            Some(Class::Alone) => return self.carry_out(connection, commands, patience()).await,
            Some(Class::OfMessage) => {
                let batch = OfMessage::new(commands);
                let (groups, lock, write) = (batch.lock_groups(), batch.lock(), batch.write());
                let groups = Some(groups.execute(&mut zeroth));
                let work = flight(&connection, groups, lock.execute(&mut first), write.load(&mut second));
                within(patience(), work).await
            }
            _ => {
                let batch = Changes::new(commands);
                let conversations = batch.lock_conversations();
                let conversations = conversations.as_ref().map(|lock| lock.execute(&mut zeroth));
                let (lock, write) = (batch.lock(&mut first), batch.write(&mut second));
                let work = flight(&connection, conversations, lock, write);
                within(patience(), work).await
            }
        };
        if sabotaged!("acknowledge_early") {
            sabotage::commit_late(connection);
        } else if !matches!(result, Err(StoreError::Unavailable(_))) {
            self.connection = Some(connection);
        }
        Ok(outcomes(commands, result?))
    }

    /// Carries out commands of which each has a transaction of its own.
    async fn carry_out(
        &mut self,
        mut connection: AsyncPgConnection,
        commands: &[&Command],
        patience: Duration,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in commands {
            let carrying_out = conversations::on_postgres(&mut connection, command);
            match within(patience, Box::pin(carrying_out)).await {
                Ok(outcome) => outcomes.push(outcome),
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => {
                    self.connection = Some(connection);
                    return Err(error);
                }
            }
        }
        self.connection = Some(connection);
        Ok(outcomes)
    }
}

/// A connection whose statements are prepared: from then on each is sent the moment it is first polled.
async fn connect(postgres: &Postgres) -> Result<AsyncPgConnection, StoreError> {
    let mut connection = postgres.connect().await?;
    // A plan made while the tables were small must not outlive that: these statements always go by an index, row by
    // row.
    connection
        .batch_execute(
            "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
        )
        .await?;
    sabotage::prepare(&mut connection).await?;
    let (changes, of_message) = (Changes::new(&[]), OfMessage::new(&[]));
    LockConversations(&Vec::new()).execute(&mut connection).await?;
    let mut borrowed = &connection;
    changes.lock_as::<{ Shape::Sends as usize }>(&mut borrowed).await?;
    changes.lock_as::<{ Shape::All as usize }>(&mut borrowed).await?;
    changes.write_as::<{ Shape::Sends as usize }>(&mut borrowed).await?;
    changes.write_as::<{ Shape::Reads as usize }>(&mut borrowed).await?;
    changes.write_as::<{ Shape::All as usize }>(&mut borrowed).await?;
    of_message.lock_groups().execute(&mut connection).await?;
    of_message.lock().execute(&mut connection).await?;
    of_message.write().load::<AnswerRow>(&mut connection).await?;
    Ok(connection)
}

/// The requests are made in this order by the first poll of `join!`, which polls its futures in turn.
/// Nothing on the way to the socket may yield before that, or `COMMIT` could overtake the write: all
/// statements are prepared, and the task's cooperative budget is set aside.
async fn flight(
    connection: &AsyncPgConnection,
    lock_conversations: Option<impl Future<Output = QueryResult<usize>>>,
    lock: impl Future<Output = QueryResult<usize>>,
    write: impl Future<Output = QueryResult<Vec<AnswerRow>>>,
) -> Result<Vec<AnswerRow>, StoreError> {
    let (mut first, mut last) = (connection, connection);
    let (begin, conversations, lock, write, commit) = tokio::task::coop::unconstrained(async {
        join!(
            // Whatever the default of the database is: the write must see what the lock waited for.
            first.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
            OptionFuture::from(lock_conversations),
            lock,
            write,
            last.batch_execute(sabotage::ending()),
        )
    })
    .await;
    begin?;
    conversations.transpose()?;
    lock?;
    let rows = write?;
    commit?;
    Ok(rows)
}
