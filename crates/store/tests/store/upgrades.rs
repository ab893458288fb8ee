//! An older binary beside newer ones: the store has more than this version knows, and it goes on.

use std::time::Duration;

use anyhow::Context;
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, RunQueryDsl, SqliteConnection};
use futures_util::FutureExt;
use switchboard_protocol::{ConversationId, Seq, UserId};
use switchboard_store::{Event, Import, Store, StoreError};

use crate::Test;
use crate::kit::{account, commit, delete, read, send, sending, upload};

pub(crate) const TESTS: &[(&str, Test)] =
    &[("the_pool_tells_how_it_is_used", |store| the_pool_tells_how_it_is_used(store).boxed())];

/// What the next version may add while this one runs: a table, columns that are null or have a default, an index.
/// In both back ends' words.
const EXPANSION: &[&str] = &[
    "CREATE TABLE badges (message_id BIGINT NOT NULL, user_id BIGINT NOT NULL, PRIMARY KEY (message_id, user_id))",
    "ALTER TABLE messages ADD COLUMN pinned_at BIGINT",
    "ALTER TABLE messages ADD COLUMN priority SMALLINT NOT NULL DEFAULT 0",
    "ALTER TABLE mailbox_entries ADD COLUMN note TEXT DEFAULT 'none'",
    "ALTER TABLE mailboxes ADD COLUMN muted_until BIGINT",
    "ALTER TABLE users ADD COLUMN locale TEXT NOT NULL DEFAULT 'en'",
    "ALTER TABLE conversations ADD COLUMN theme TEXT",
    "ALTER TABLE members ADD COLUMN joined_at BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE attachments ADD COLUMN width BIGINT",
    "ALTER TABLE sessions ADD COLUMN device TEXT",
    "CREATE INDEX messages_pinned ON messages (pinned_at) WHERE pinned_at IS NOT NULL",
    "CREATE INDEX mailbox_entries_actor ON mailbox_entries (actor_id, seq)",
    "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000001')",
];

/// A kind of entry that no version of today knows.
const LATER_KIND: i64 = 77;

/// Another way into the same store: what a later version would do.
pub(crate) enum Later {
    Sqlite(Box<SqliteConnection>),
    Postgres(tokio_postgres::Client),
}

impl Later {
    /// `place` is the path of a SQLite file, or the address of a Postgres database.
    pub(crate) async fn open(place: &str) -> anyhow::Result<Self> {
        if !place.starts_with("postgres:") {
            let mut connection = SqliteConnection::establish(place)?;
            connection.batch_execute("PRAGMA busy_timeout = 3000")?;
            return Ok(Self::Sqlite(Box::new(connection)));
        }
        let (client, connection) = tokio_postgres::connect(place, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(Self::Postgres(client))
    }

    pub(crate) async fn run(&mut self, statement: &str) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(connection) => connection.batch_execute(statement)?,
            Self::Postgres(client) => client.batch_execute(statement).await?,
        }
        Ok(())
    }

    /// The number that a query gives.
    pub(crate) async fn count(&mut self, query: &str) -> anyhow::Result<i64> {
        Ok(match self {
            Self::Sqlite(connection) => diesel::select(diesel::dsl::sql::<BigInt>(&format!("({query})")))
                .get_result(&mut **connection)?,
            Self::Postgres(client) => client.query_one(query, &[]).await?.get(0),
        })
    }
}

/// Everything that a node does, with statements prepared before the expansion and after it.
pub(crate) async fn an_expanded_schema_serves_this_version(
    store: Store,
    mut later: Later,
) -> anyhow::Result<()> {
    everything(&store, "before").await?;
    for statement in EXPANSION {
        later.run(statement).await.with_context(|| (*statement).to_owned())?;
    }
    everything(&store, "after").await?;
    let schema = store.schema().await?;
    assert_eq!(
        (schema.pending.as_slice(), schema.ahead.as_slice()),
        (&[][..], &["29990101000001".to_owned()][..])
    );
    // What `serve` does at its start, with `store.migrate` and without.
    assert!(store.migrate().await?.is_empty() && store.pending_migrations().await?.is_empty());
    assert_eq!(store.deployment().await?.len(), 32);
    sound(&store).await
}

async fn everything(store: &Store, when: &str) -> anyhow::Result<()> {
    let file = upload(store, 1, &format!("{when}.png")).await?;
    let sent = sending(1, 2, &format!("{when}, with a file"), vec![file]);
    commit(store, vec![sent]).await?;
    let (first, second) =
        (send(store, 1, 2, &format!("{when} 1")).await?, send(store, 2, 1, &format!("{when} 2")).await?);
    read(store, 2, &[first]).await?;
    delete(store, 2, second).await?;
    let (ann, bob) = (account(store, 1).await?, account(store, 2).await?);
    for reader in [&ann, &bob] {
        let page = store.page(reader.mailbox, Seq(0), 1000).await?;
        assert_eq!(Some(reader.last_seq), page.last().map(|entry| entry.seq));
        assert_eq!(
            Some(reader.last_seq),
            store.heads(&[reader.mailbox]).await?.first().map(|head| head.last_seq)
        );
        let lists = store.lists(reader, None, 100).await?;
        assert!(!lists.received.is_empty() || !lists.sent.is_empty());
        assert_eq!(store.conversations(reader, None, None, 100).await?.len(), 1);
        store.latest_unread(reader, 10).await?;
    }
    let history = store.history(&ann, ConversationId(1), None, 100).await?.context("is a member")?;
    assert!(history.iter().any(|message| message.id == first));
    let user =
        |name: &str| Import { username: name.to_owned(), full_name: when.to_owned(), password_hash: None };
    assert_eq!(store.import_users(vec![user("user5"), user(when)]).await?.len(), 2);
    store.revocations(Seq(0), 100).await?;
    Ok(())
}

/// An entry of a later kind: what is before it is given, it itself is not skipped, and a version that knows it, or a
/// migration down that makes it what this one knows, brings the rest.
pub(crate) async fn an_entry_of_a_later_kind_is_not_skipped(
    store: Store,
    mut later: Later,
) -> anyhow::Result<()> {
    for content in ["1", "2", "3"] {
        send(&store, 2, 1, content).await?;
    }
    let mailbox = account(&store, 1).await?.mailbox;
    let become_kind =
        |kind| format!("UPDATE mailbox_entries SET kind = {kind} WHERE mailbox_id = {mailbox} AND seq = 2");
    later.run(&become_kind(LATER_KIND)).await?;
    let page = store.page(mailbox, Seq(0), 100).await?;
    assert_eq!(page.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [Seq(1)]);
    let error = store.page(mailbox, Seq(1), 100).await.err().context("it was read")?;
    assert!(matches!(error, StoreError::Unreadable(_)), "{error}");
    let known = |event: &Event| matches!(event, Event::Received(_));
    assert!(store.page(mailbox, Seq(2), 100).await?.iter().all(|entry| known(&entry.event)));
    // Writing to the mailbox, and to everybody else's, goes on.
    send(&store, 2, 1, "4").await?;
    let finding = store.audit().await?.into_iter().find(|finding| finding.rule.contains("of a kind"));
    assert_eq!(finding.map(|finding| finding.violations), Some(1));
    // Hidden, it says nothing, whatever it said.
    later
        .run(&format!("UPDATE mailbox_entries SET hidden_at = 1 WHERE mailbox_id = {mailbox} AND seq = 2"))
        .await?;
    assert_eq!(store.page(mailbox, Seq(1), 1).await?[0].event, Event::Void);
    later
        .run(&format!("UPDATE mailbox_entries SET hidden_at = NULL WHERE mailbox_id = {mailbox} AND seq = 2"))
        .await?;
    later.run(&become_kind(1)).await?;
    assert_eq!(store.page(mailbox, Seq(0), 100).await?.len(), 4);
    sound(&store).await
}

async fn sound(store: &Store) -> anyhow::Result<()> {
    for finding in store.audit().await? {
        assert_eq!(finding.violations, 0, "{}", finding.rule);
    }
    Ok(())
}

/// The pool counts what is under way, and what waits for it.
async fn the_pool_tells_how_it_is_used(store: Store) -> anyhow::Result<()> {
    let mut waiting = 0;
    let readings: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.find_account(UserId(1)).await })
        })
        .collect();
    for reading in readings {
        waiting = waiting.max(store.pool().waiting);
        reading.await??;
    }
    // They are put back a moment after they have answered.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while store.pool().busy > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let pool = store.pool();
    assert!(
        (1..=4).contains(&pool.idle) && pool.busy == 0 && pool.waiting == 0,
        "{pool:?}, waited: {waiting}"
    );
    Ok(())
}
