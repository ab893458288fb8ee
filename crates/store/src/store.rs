//! The store as the rest of the system holds it: one handle, either back end.

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, UserId};

use crate::committer::Committer;
use crate::error::StoreError;
use crate::lists::{self, MessageRow};
use crate::model::{Account, Entry, Head, Message};
use crate::postgres::Postgres;
use crate::queries;
use crate::sabotage;
use crate::schema::{deployment, users};
use crate::sqlite::Sqlite;

/// How long any one reading or change may take before it counts as unanswered.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(5);

/// A handle on the store. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) backend: Arc<Backend>,
}

/// The back ends: a closed set.
pub(crate) enum Backend {
    Postgres(Box<Postgres>),
    Sqlite(Sqlite),
}

/// Runs a reading on a connection of whichever back end, within the deadline.
///
/// A connection to Postgres whose reading did not end is not put back: its answer may still be on the way.
macro_rules! read {
    ($store:expr, $connection:ident => $query:expr) => {{
        let reading = async {
            match &*$store.backend {
                $crate::store::Backend::Postgres(postgres) => {
                    let mut reader = postgres.reader().await?;
                    let $connection = &mut *reader;
                    let result = $query.await;
                    reader.finish();
                    result.map_err($crate::error::StoreError::from)
                }
                $crate::store::Backend::Sqlite(sqlite) => {
                    let $connection = &mut *sqlite.reader().await?;
                    $query.await.map_err($crate::error::StoreError::from)
                }
            }
        };
        $crate::store::within($crate::store::READ_DEADLINE, reading).await
    }};
}
pub(crate) use read;

/// Runs a change on a connection of whichever back end, within the deadline: a statement, or a transaction that
/// begins with a statement that writes, so that on SQLite it waits for its turn before it reads.
///
/// A connection whose change did not end is closed, which undoes what was not committed.
macro_rules! change {
    ($store:expr, $connection:ident => $query:expr) => {{
        let change = async {
            match &*$store.backend {
                $crate::store::Backend::Postgres(postgres) => {
                    let mut reader = postgres.reader().await?;
                    let $connection = &mut *reader;
                    let result = $query.await;
                    reader.finish();
                    result.map_err($crate::error::StoreError::from)
                }
                $crate::store::Backend::Sqlite(sqlite) => {
                    let mut writer = sqlite.writer().await;
                    let mut connection = writer.take(sqlite).await?;
                    let $connection = &mut connection;
                    let result = $query.await;
                    writer.put_back(connection);
                    result.map_err($crate::error::StoreError::from)
                }
            }
        };
        $crate::store::within($crate::store::READ_DEADLINE, change).await
    }};
}
pub(crate) use change;

/// Ends what takes longer than `deadline`.
pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(deadline, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(StoreError::Unavailable(format!("no answer within {deadline:?}"))),
    }
}

impl Store {
    /// Opens the store at `postgres://…` or `sqlite://PATH`, with up to `pool_size` connections for reading.
    /// Postgres is not connected to yet.
    ///
    /// # Errors
    /// [`StoreError::Config`] if the address cannot be used or the file cannot be opened.
    pub async fn open(url: &str, pool_size: usize) -> Result<Self, StoreError> {
        let backend = if let Some(path) = url.strip_prefix("sqlite://") {
            Backend::Sqlite(Sqlite::open(path, pool_size).await?)
        } else {
            Backend::Postgres(Box::new(Postgres::open(url, pool_size)?))
        };
        Ok(Self { backend: Arc::new(backend) })
    }

    /// Keeps other processes from serving the same SQLite file, for as long as the store is open. Postgres may
    /// be shared by any number.
    ///
    /// # Errors
    /// [`StoreError::Config`] if another process serves it.
    pub fn hold(&self) -> Result<(), StoreError> {
        match &*self.backend {
            Backend::Postgres(_) => Ok(()),
            Backend::Sqlite(sqlite) => sqlite.hold(),
        }
    }

    /// The way to write. Each has a connection of its own: one a node.
    #[must_use]
    pub fn committer(&self) -> Committer {
        Committer::new(self.clone())
    }

    /// The random id of this deployment, made by its first migration.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], and [`StoreError::Migration`] before the first migration.
    pub async fn deployment(&self) -> Result<String, StoreError> {
        let query = deployment::table.select(deployment::id);
        let id: Option<String> =
            read!(self, connection => query.first(connection)).map(Some).or_else(|error| match error {
                // The table is not there yet.
                StoreError::Interrupted(text) if text.contains("deployment") => Ok(None),
                error => Err(error),
            })?;
        id.ok_or_else(|| {
            StoreError::Migration("the store was never migrated: run `switchboard migrate`".into())
        })
    }

    /// A user with their mailbox.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn find_account(&self, user: UserId) -> Result<Option<Account>, StoreError> {
        let query = queries::accounts().filter(users::id.eq(user.0)).select(queries::account_columns());
        let row: Option<queries::AccountRow> =
            read!(self, connection => async { query.first(connection).await.optional() })?;
        Ok(row.map(queries::account_of))
    }

    /// Where mailboxes stand, in no order; one that does not exist is left out. At most a thousand at a time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn heads(&self, mailboxes: &[MailboxId]) -> Result<Vec<Head>, StoreError> {
        let query = queries::heads(mailboxes.iter().map(|mailbox| mailbox.0).collect());
        let rows: Vec<(i64, i64, i64, i64)> = read!(self, connection => query.load(connection))?;
        Ok(rows.into_iter().map(queries::head).collect())
    }

    /// Up to `limit` entries of a mailbox after a position, in order. It ends early before an entry that this version
    /// cannot read, as of a kind that a later one added.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], and [`StoreError::Unreadable`] if that is the first entry.
    pub async fn page(&self, mailbox: MailboxId, after: Seq, limit: i64) -> Result<Vec<Entry>, StoreError> {
        let query = queries::page(mailbox.0, after.0, limit);
        let mut rows: Vec<queries::EntryRow> = read!(self, connection => query.load(connection))?;
        // Both back ends give them in this order, though no statement that joins promises it.
        rows.sort_unstable_by_key(queries::seq);
        let is_empty = rows.is_empty();
        let entries: Vec<Entry> = rows.into_iter().map_while(queries::entry).collect();
        if entries.is_empty() && !is_empty {
            return Err(StoreError::Unreadable(format!("entry {} of mailbox {mailbox}", after.next())));
        }
        Ok(entries)
    }

    /// Up to `limit` messages of a conversation, newest first, before a message: those that `reader` can see. None if
    /// they are no member.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], and [`StoreError::Rejected`] for a message that cannot be read.
    pub async fn history(
        &self,
        reader: &Account,
        conversation: ConversationId,
        before: Option<MessageId>,
        limit: i64,
    ) -> Result<Option<Vec<Message>>, StoreError> {
        let before = before.map_or(i64::MAX, |message| message.0);
        let member = sabotage::pose(self, reader.id, conversation).await;
        let query = lists::history(member.0, reader.mailbox.0, conversation.0, before, limit);
        let rows: Vec<MessageRow> = read!(self, connection => query.load(connection))?;
        self.messages_for(reader, member, conversation, rows).await
    }

    /// The same after a message: the oldest of what follows it, but again newest first.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    pub async fn history_after(
        &self,
        reader: &Account,
        conversation: ConversationId,
        after: MessageId,
        limit: i64,
    ) -> Result<Option<Vec<Message>>, StoreError> {
        let member = sabotage::pose(self, reader.id, conversation).await;
        let query = lists::history_after(member.0, reader.mailbox.0, conversation.0, after.0, limit);
        let rows: Vec<MessageRow> = read!(self, connection => query.load(connection))?;
        self.messages_for(reader, member, conversation, rows).await
    }

    /// The messages of a page of a conversation; none if `member`, as whom it was read, is no member.
    async fn messages_for(
        &self,
        reader: &Account,
        member: UserId,
        conversation: ConversationId,
        rows: Vec<MessageRow>,
    ) -> Result<Option<Vec<Message>>, StoreError> {
        if rows.is_empty() {
            let query = queries::membership(member.0, conversation.0);
            let found: Vec<i64> = read!(self, connection => query.load(connection))?;
            return Ok((!found.is_empty()).then(Vec::new));
        }
        let mut messages = lists::messages(rows, reader)?;
        self.add_reactions(reader.id, messages.iter_mut().collect()).await?;
        Ok(Some(messages))
    }
}
