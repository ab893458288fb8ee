//! The cost of readings by the length of a mailbox.

use std::io::{Write, stdout};

use anyhow::{Context, ensure};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use switchboard_protocol::{ConversationId, Seq, UserId};
use switchboard_store::{Account, Store};
use tokio::time::Instant;

use crate::open;

/// Entries of the mailboxes that are compared: users 1 and 2 have the first, 3 and 4 the second, and so on.
const LENGTHS: [i64; 3] = [100, 10_000, 1_000_000];

/// Readings of each kind, of which the median counts.
const TIMES: usize = 201;

pub(crate) async fn measure(url: &str) -> anyhow::Result<()> {
    let store = open(url, 6).await?;
    for (pair, length) in (0..).zip(LENGTHS) {
        run(url, &fill(pair, length)).await?;
    }
    run(url, "ANALYZE").await?;
    writeln!(stdout(), " entries  {}", READINGS.map(|reading| format!("{reading:>14}")).join(""))?;
    for (pair, length) in (0..).zip(LENGTHS) {
        let reader = store.find_account(UserId(2 * pair + 1)).await?.context("no such user")?;
        ensure!(reader.last_seq == Seq(length), "not filled");
        let mut line = format!("{length:>8}  ");
        for reading in READINGS {
            let mut times = Vec::with_capacity(TIMES);
            for _ in 0..TIMES {
                let begun = Instant::now();
                read(&store, &reader, ConversationId(pair + 1), reading).await?;
                times.push(begun.elapsed());
            }
            times.sort_unstable();
            line.push_str(&format!("{:>11.3} ms", times[TIMES / 2].as_secs_f64() * 1e3));
        }
        writeln!(stdout(), "{line}")?;
    }
    Ok(())
}

/// What every client asks for: the last page of a conversation, the unread count, what follows a cursor at the end and in
/// the middle, the conversations.
const READINGS: [&str; 5] = ["last page", "unread", "resume", "middle", "conversations"];

async fn read(
    store: &Store,
    reader: &Account,
    conversation: ConversationId,
    reading: &str,
) -> anyhow::Result<()> {
    let found = match reading {
        "last page" => store.history(reader, conversation, None, 50).await?.context("no member")?.len(),
        "unread" => 50 * store.heads(&[reader.mailbox]).await?.len(),
        "resume" => store.page(reader.mailbox, Seq(reader.last_seq.0 - 50), 100).await?.len(),
        "middle" => store.page(reader.mailbox, Seq(reader.last_seq.0 / 2), 50).await?.len(),
        _ => 50 * store.conversations(reader, None, None, 50).await?.len(),
    };
    ensure!(found == 50, "{reading} found {found}");
    Ok(())
}

/// Two users write to each other and read it, turn by turn. Of four entries of a mailbox one was received, one sent, one says
/// that it was read, one is a receipt.
fn fill(pair: i64, length: i64) -> String {
    let (low, high, conversation) = (2 * pair + 1, 2 * pair + 2, pair + 1);
    let before = LENGTHS.iter().take(usize::try_from(pair).unwrap_or(0)).sum::<i64>() / 2;
    let up_to =
        |n: i64| format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})");
    let mut text = format!(
        "INSERT INTO conversations (id, kind, user_low, user_high, created_at)
             VALUES ({conversation}, 1, {low}, {high}, 0);
         INSERT INTO members (conversation_id, user_id) VALUES ({conversation}, {low}), ({conversation}, {high});
         {} INSERT INTO messages
             (id, conversation_id, sender_id, subject, content, client_message_id, request_hash, created_at)
         SELECT {before} + i, {conversation}, CASE i % 2 WHEN 1 THEN {high} ELSE {low} END, '',
             'What somebody writes to somebody else is often about as long as this.', 'm' || i, 0, i FROM n;",
        up_to(length / 2)
    );
    for (owner, kinds) in [(low, [1, 2, 3, 4]), (high, [2, 1, 4, 3])] {
        text.push_str(&format!(
            "{} INSERT INTO mailbox_entries
                 (mailbox_id, seq, kind, conversation_id, message_id, actor_id, read_at, created_at)
             SELECT b.id, i, CASE i % 4 WHEN 1 THEN {} WHEN 2 THEN {} WHEN 3 THEN {} ELSE {} END, {conversation},
                 {before} + (i - 1) / 4 * 2 + 1 + (i + 1) % 2, CASE WHEN i % 4 < 2 THEN {high} ELSE {low} END,
                 CASE WHEN i % 4 IN (0, 3) OR i < {length} - 80 THEN i END, i
             FROM n JOIN mailboxes b ON b.owner_id = {owner};
             UPDATE mailboxes SET last_seq = {length}, unread = 20 WHERE owner_id = {owner};",
            up_to(length),
            kinds[0],
            kinds[1],
            kinds[2],
            kinds[3],
        ));
    }
    text
}

/// Runs statements in one transaction.
async fn run(url: &str, statements: &str) -> anyhow::Result<()> {
    if let Some(path) = url.strip_prefix("sqlite://") {
        SqliteConnection::establish(path)?.batch_execute(&format!("BEGIN; {statements}; COMMIT"))?;
        return Ok(());
    }
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(statements).await?;
    Ok(())
}
