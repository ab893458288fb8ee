//! What the store holds at the end, by SQL of our own: the code that is tried has no part in it.

use std::pin::pin;

use futures_util::TryStreamExt;
use switchboard_checker::history::{Body, Event, Kind, Recorder, StoredEntry, StoredMessage};
use tokio_postgres::{Client, NoTls, Row};

const MESSAGES: &str = "
    SELECT m.id, m.conversation_id, m.sender_id, c.user_low + c.user_high - m.sender_id, m.client_message_id,
        split_part(m.content, ' ', 1), octet_length(m.content)::bigint, m.deleted_at IS NOT NULL, f.ids
    FROM messages m JOIN conversations c ON c.id = m.conversation_id
    LEFT JOIN (SELECT message_id, array_agg(id ORDER BY id) AS ids FROM attachments
        WHERE message_id IS NOT NULL AND removed_at IS NULL GROUP BY message_id) f ON f.message_id = m.id
    ORDER BY m.id";

const ENTRIES: &str = "
    SELECT b.owner_id, e.seq, e.kind, e.message_id, e.message_ids, e.read_at IS NOT NULL, e.hidden_at IS NOT NULL
    FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id WHERE b.owner_id IS NOT NULL
    ORDER BY b.owner_id, e.seq";

const MAILBOXES: &str = "
    SELECT owner_id, epoch, floor, last_seq, unread FROM mailboxes WHERE owner_id IS NOT NULL ORDER BY owner_id";

/// Writes down every message, entry and mailbox, row by row.
///
/// # Errors
/// If the database cannot be read, or the history not written.
pub(crate) async fn dump_store(database_url: &str, recorder: &Recorder) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(database_url, NoTls).await?;
    let connection = tokio::spawn(connection);
    // All of one moment.
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    dump(&client, MESSAGES, recorder, message).await?;
    dump(&client, ENTRIES, recorder, entry).await?;
    dump(&client, MAILBOXES, recorder, mailbox).await?;
    client.batch_execute("COMMIT").await?;
    recorder.note(Event::StoreEnd)?;
    drop(client);
    Ok(connection.await??)
}

async fn dump(
    client: &Client,
    query: &str,
    recorder: &Recorder,
    event: fn(&Row) -> anyhow::Result<Event>,
) -> anyhow::Result<()> {
    let none: [&str; 0] = [];
    let mut rows = pin!(client.query_raw(query, none).await?);
    while let Some(row) = rows.try_next().await? {
        recorder.note(event(&row)?)?;
    }
    Ok(())
}

fn message(row: &Row) -> anyhow::Result<Event> {
    let bytes: i64 = row.try_get(6)?;
    let attachments: Option<Vec<i64>> = row.try_get(8)?;
    Ok(Event::StoredMessage(StoredMessage {
        message: row.try_get(0)?,
        conversation: row.try_get(1)?,
        sender: row.try_get(2)?,
        recipient: row.try_get(3)?,
        client_message_id: row.try_get(4)?,
        body: Body { canary: row.try_get(5)?, bytes: bytes.try_into()? },
        deleted: row.try_get(7)?,
        attachments: attachments.unwrap_or_default(),
    }))
}

fn entry(row: &Row) -> anyhow::Result<Event> {
    let kind: i16 = row.try_get(2)?;
    let (one, several): (Option<i64>, Option<String>) = (row.try_get(3)?, row.try_get(4)?);
    let several = several.map(|ids| serde_json::from_str(&ids)).transpose()?;
    Ok(Event::StoredEntry(StoredEntry {
        user: row.try_get(0)?,
        seq: row.try_get(1)?,
        kind: match kind {
            1 => Kind::Received,
            2 => Kind::Sent,
            3 => Kind::Read,
            4 => Kind::Receipt,
            5 => Kind::Deleted,
            _ => Kind::Other,
        },
        messages: several.unwrap_or_else(|| one.into_iter().collect()),
        read: row.try_get(5)?,
        hidden: row.try_get(6)?,
    }))
}

fn mailbox(row: &Row) -> anyhow::Result<Event> {
    Ok(Event::StoredMailbox {
        user: row.try_get(0)?,
        epoch: row.try_get(1)?,
        floor: row.try_get(2)?,
        last_seq: row.try_get(3)?,
        unread: row.try_get(4)?,
    })
}
