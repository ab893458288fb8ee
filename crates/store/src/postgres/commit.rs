//! The hot path on Postgres: `BEGIN`, the locks, the write and `COMMIT` in one network flight.

use std::sync::LazyLock;
use std::time::Duration;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Integer, SmallInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::join;
use tokio::time::Instant;

use super::Postgres;
use crate::answer::{AnswerColumns, AnswerRow, outcomes};
use crate::error::StoreError;
use crate::model::{Command, Outcome};
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
            None => within(patience(), connect(postgres)).await?,
        };
        let batch = Batch::new(commands);
        let result = within(patience(), batch.commit(&connection)).await;
        if !matches!(result, Err(StoreError::Unavailable(_))) {
            self.connection = Some(connection);
        }
        Ok(outcomes(commands, result?))
    }
}

/// A connection whose two statements are prepared: from then on each is sent the moment it is first polled.
async fn connect(postgres: &Postgres) -> Result<AsyncPgConnection, StoreError> {
    let mut connection = postgres.connect().await?;
    // A plan made while the tables were small must not outlive that: these statements always go by an index.
    connection
        .batch_execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off")
        .await?;
    let empty = Batch::new(&[]);
    empty.lock().execute(&mut connection).await?;
    empty.write().load::<AnswerRow>(&mut connection).await?;
    Ok(connection)
}

/// The commands as the columns of the statement's input.
#[derive(Default)]
struct Batch<'a> {
    owners: Vec<i64>,
    reads: Vec<i64>,
    ord: Vec<i32>,
    op: Vec<i16>,
    actor: Vec<i64>,
    peer: Vec<i64>,
    message: Vec<i64>,
    subject: Vec<&'a str>,
    content: Vec<&'a str>,
    client: Vec<&'a str>,
    hash: Vec<i64>,
}

impl<'a> Batch<'a> {
    fn new(commands: &[&'a Command]) -> Self {
        let mut batch = Self::default();
        for (ord, command) in (0..).zip(commands) {
            batch.ord.push(ord);
            match command {
                Command::Send(send) => {
                    let (actor, peer) = (send.sender.0, send.recipient.0);
                    batch.owners.extend([actor, peer]);
                    batch.push(0, (actor, peer, 0), (&send.subject, &send.content, &send.client_message_id));
                    batch.hash.push(send.request_hash());
                }
                Command::MarkRead { reader, message } => {
                    batch.owners.push(reader.0);
                    batch.reads.push(message.0);
                    batch.push(1, (reader.0, 0, message.0), ("", "", ""));
                    batch.hash.push(0);
                }
            }
        }
        batch
    }

    fn push(&mut self, op: i16, ids: (i64, i64, i64), texts: (&'a str, &'a str, &'a str)) {
        self.op.push(op);
        self.actor.push(ids.0);
        self.peer.push(ids.1);
        self.message.push(ids.2);
        self.subject.push(texts.0);
        self.content.push(texts.1);
        self.client.push(texts.2);
    }

    fn lock(&self) -> Lock<'_> {
        Lock { owners: &self.owners, reads: &self.reads }
    }

    fn write(&self) -> Write<'_> {
        Write(self)
    }

    /// The four requests are made in this order by the first poll of `join!`, which polls its futures in turn.
    /// Nothing on the way to the socket may yield before that, or `COMMIT` could overtake the write: both
    /// statements are prepared, and the task's cooperative budget is set aside.
    async fn commit(&self, connection: &AsyncPgConnection) -> Result<Vec<AnswerRow>, StoreError> {
        let (mut first, mut second, mut third, mut fourth) = (connection, connection, connection, connection);
        let (begin, lock, write, commit) = tokio::task::coop::unconstrained(async {
            join!(
                // Whatever the default of the database is: the second statement must see what the first waited for.
                first.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
                self.lock().execute(&mut second),
                self.write().load::<AnswerRow>(&mut third),
                fourth.batch_execute("COMMIT"),
            )
        })
        .await;
        begin?;
        lock?;
        let rows = write?;
        commit?;
        Ok(rows)
    }
}

/// Locks the mailboxes of the batch in the order of their ids: those of actors and recipients, and those of
/// the senders of what is read.
///
/// The mailbox of a sender whose message is committed while this waits is not among them, so a reader who guesses
/// the next id may have it changed without its lock. The key of the entries then refuses the second of two equal
/// positions, and that batch is tried again.
struct Lock<'a> {
    owners: &'a Vec<i64>,
    reads: &'a Vec<i64>,
}

// A fixed id puts the prepared statement in the connection's cache.
impl QueryId for Lock<'_> {
    type QueryId = Lock<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for Lock<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT id FROM mailboxes WHERE owner_id IN (SELECT unnest(");
        out.push_bind_param::<Array<BigInt>, _>(self.owners)?;
        out.push_sql(") UNION SELECT sender_id FROM messages WHERE id = ANY (");
        out.push_bind_param::<Array<BigInt>, _>(self.reads)?;
        out.push_sql(")) ORDER BY id FOR NO KEY UPDATE");
        Ok(())
    }
}

/// The text of [`Write`], cut where the columns of the input stand: at each `{…}`.
static TEXT: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("commit.sql").split(['{', '}']).step_by(2).collect());

/// Writes the batch and answers with a row an entry.
struct Write<'a>(&'a Batch<'a>);

impl QueryId for Write<'_> {
    type QueryId = Write<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for Write<'_> {
    type SqlType = AnswerColumns;
}

impl QueryFragment<Pg> for Write<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut parts = TEXT.iter();
        let mut text = || parts.next().copied().unwrap_or_default();
        let batch = self.0;
        out.push_sql(text());
        out.push_bind_param::<Array<Integer>, _>(&batch.ord)?;
        out.push_sql(text());
        out.push_bind_param::<Array<SmallInt>, _>(&batch.op)?;
        for column in [&batch.actor, &batch.peer, &batch.message] {
            out.push_sql(text());
            out.push_bind_param::<Array<BigInt>, _>(column)?;
        }
        for column in [&batch.subject, &batch.content, &batch.client] {
            out.push_sql(text());
            out.push_bind_param::<Array<Text>, _>(column)?;
        }
        out.push_sql(text());
        out.push_bind_param::<Array<BigInt>, _>(&batch.hash)?;
        out.push_sql(text());
        Ok(())
    }
}
