//! Points where the store goes wrong on purpose, in builds for tests: `sabotage.rs` of the node has the table of all. They
//! are of Postgres; without the feature of the `fail` crate there are none.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use switchboard_protocol::{ConversationId, UserId};
use tokio::time::sleep;

use crate::error::StoreError;
use crate::schema::members;
use crate::store::{Store, read};

/// Whether a point is on at this moment. Without the feature it is `false`, and what it guards is nothing.
macro_rules! sabotaged {
    ($point:literal) => {{
        fn is_on() -> bool {
            fail::fail_point!($point, |_| true);
            false
        }
        is_on()
    }};
}
pub(crate) use sabotaged;

/// How long a transaction stays open whose commands are answered already. Less than the server allows.
const LATE: Duration = Duration::from_millis(100);

/// What each mailbox draws its positions from.
const SEQUENCES: &str = "
    DO $$
    DECLARE box RECORD;
    BEGIN
        PERFORM pg_advisory_xact_lock(1);
        FOR box IN SELECT id, last_seq FROM mailboxes LOOP
            IF to_regclass('positions_' || box.id) IS NULL THEN
                EXECUTE format('CREATE SEQUENCE positions_%s START %s', box.id, box.last_seq + 1);
            END IF;
        END LOOP;
    END $$";

/// What ends the writer's transaction.
pub(crate) fn ending() -> &'static str {
    if sabotaged!("acknowledge_early") { "SELECT 1" } else { "COMMIT" }
}

/// Commits what was answered a while ago, unless this process dies before.
pub(crate) fn commit_late(connection: AsyncPgConnection) {
    tokio::spawn(async move {
        sleep(LATE).await;
        let _nobody_waits = (&connection).batch_execute("COMMIT").await;
    });
}

/// Spoils the writer's connection, and what it stands on.
pub(crate) async fn prepare(connection: &mut AsyncPgConnection) -> QueryResult<()> {
    if sabotaged!("lazy_commit") {
        // So that what is left in memory is not written a moment before somebody looks.
        for lazily in [
            "SET synchronous_commit = off",
            "ALTER SYSTEM SET wal_writer_delay = '10s'",
            "SELECT pg_reload_conf()",
        ] {
            connection.batch_execute(lazily).await?;
        }
    }
    if sabotaged!("ignore_client_id") {
        let drop = "ALTER TABLE messages DROP CONSTRAINT IF EXISTS messages_sender_id_client_message_id_key";
        connection.batch_execute(drop).await?;
    }
    if sabotaged!("sequence_cursor") {
        connection.batch_execute(SEQUENCES).await?;
    }
    Ok(())
}

/// Spoils the text of a statement that writes. Asked once a process.
pub(crate) fn statement(text: &'static str) -> &'static str {
    replacements().into_iter().fold(text, |text, (from, to)| text.replace(from, to).leak())
}

/// Parts of `commit.sql` and `of_message.sql`, and what stands there instead.
fn replacements() -> Vec<(&'static str, &'static str)> {
    let mut replacements = Vec::new();
    if sabotaged!("sequence_cursor") {
        replacements.extend([
            ("b.last_seq + row_number() OVER log AS seq", "nextval('positions_' || b.id) AS seq"),
            ("last_seq = b.last_seq + n.entries", "last_seq = greatest(b.last_seq, n.entries)"),
            ("count(*) AS entries", "max(seq) AS entries"),
        ]);
    }
    if sabotaged!("ignore_client_id") {
        replacements.push(("AND m.client_message_id = i.client", "AND false"));
    }
    if sabotaged!("broadcast_to_all") {
        replacements.extend([
            ("SELECT ord, 1, peer, 1,", "SELECT ord, 1, everybody, 1,"),
            (
                "CASE WHEN actor = peer THEN 0 ELSE 1 END, peer, NULL FROM sent",
                "1, peer, NULL FROM sent, (SELECT owner_id AS everybody FROM mailboxes WHERE owner_id > 0) m",
            ),
        ]);
    }
    if sabotaged!("double_decrement") {
        replacements.push(("-count(*)::int AS unread", "-2 * count(*)::int AS unread"));
    }
    replacements
}

/// What else a batch locks than the mailboxes that it changes, and how it does.
pub(crate) fn lock() -> (&'static str, &'static str) {
    let others = if sabotaged!("broadcast_to_all") { "owner_id > 0 OR " } else { "" };
    let how = if sabotaged!("sequence_cursor") { "" } else { " FOR NO KEY UPDATE" };
    (others, how)
}

/// Who passes for a reader of a conversation: anybody, for one of its members.
pub(crate) async fn pose(store: &Store, reader: UserId, conversation: ConversationId) -> UserId {
    if !sabotaged!("skip_member_check") {
        return reader;
    }
    let member = members::table.filter(members::conversation_id.eq(conversation.0)).select(members::user_id);
    // Boxed, so that it weighs nothing where it is not asked.
    let found: Result<i64, StoreError> =
        Box::pin(async { read!(store, connection => member.first(connection)) }).await;
    found.map_or(reader, UserId)
}
