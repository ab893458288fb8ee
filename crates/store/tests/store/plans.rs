//! What a page costs: the same at a hundred rows and at a million, by its plan and by the clock.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, UserId};
use switchboard_store::Store;

/// No page takes nearly as long; a reading of a million rows takes longer.
const PAGE_TIME: Duration = Duration::from_millis(200);

/// Fills the mailbox of user 1, which is the second, and the conversation with user 2, up to `rows`.
fn fill(from: i64, rows: i64) -> String {
    format!(
        "INSERT INTO conversations (id, kind, user_low, user_high, created_at)
             VALUES (1, 1, 1, 2, 0) ON CONFLICT DO NOTHING;
         INSERT INTO members (conversation_id, user_id) VALUES (1, 1), (1, 2) ON CONFLICT DO NOTHING;
         WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO messages (id, conversation_id, sender_id, subject, content, client_message_id, request_hash, created_at)
             SELECT i, 1, 2, '', 'x', 'm' || i, 0, 0 FROM n;
         WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO mailbox_entries (mailbox_id, seq, kind, conversation_id, message_id, actor_id, created_at)
             SELECT 2, i, 1, 1, i, 2, 0 FROM n;
         UPDATE mailboxes SET last_seq = {rows}, unread = {rows} WHERE id = 2;
         ANALYZE;"
    )
}

pub(crate) async fn on_sqlite(store: Store, path: &str) -> anyhow::Result<()> {
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute(&format!("BEGIN; {} COMMIT;", fill(1, 100)))?;
    check_pages(&store, 100).await?;
    connection.batch_execute(&format!("BEGIN; {} COMMIT;", fill(101, 1_000_000)))?;
    check_pages(&store, 1_000_000).await?;
    check_plans(&store).await
}

pub(crate) async fn on_postgres(store: Store, url: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&fill(1, 100)).await?;
    check_pages(&store, 100).await?;
    client.batch_execute(&fill(101, 1_000_000)).await?;
    check_pages(&store, 1_000_000).await?;
    check_plans(&store).await
}

async fn check_pages(store: &Store, rows: i64) -> anyhow::Result<()> {
    // The first reading connects.
    store.ping().await?;
    let begun = Instant::now();
    let middle = rows / 2;
    let page = store.page(MailboxId(2), Seq(middle), 50).await?;
    assert_eq!((page.len(), page[0].seq), (50, Seq(middle + 1)));
    let before = Some(MessageId(middle));
    let reader = store.find_account(UserId(1)).await?.expect("is there");
    let history = store.history(&reader, ConversationId(1), before, 40).await?.unwrap_or_default();
    assert_eq!((history.len(), history[0].id), (40, MessageId(middle - 1)));
    let after = MessageId(middle);
    let history = store.history_after(&reader, ConversationId(1), after, 40).await?.unwrap_or_default();
    assert_eq!((history.len(), history[0].id), (40, MessageId(middle + 40)));
    let up_to = MessageId(rows);
    let unread = store.unread_up_to(reader.id, reader.mailbox, ConversationId(1), up_to, 200).await?;
    assert_eq!(unread.map(|unread| unread.len()), Some(200.min(usize::try_from(rows)?)));
    let found = store.search(&reader, None, "X", Some(Seq(middle)), 40).await?;
    assert_eq!((found.messages.len(), found.before), (40, Some(Seq(middle - 40))));
    let mail = store.mail(&reader, None, Some(Seq(middle)), 40).await?;
    assert_eq!((mail.messages.len(), mail.before), (40, Some(Seq(middle - 40))));
    let talks = store.conversations(&reader, None, None, 10).await?;
    assert_eq!(talks.iter().map(|talk| (talk.position, talk.unread)).collect::<Vec<_>>(), [(up_to, 100)]);
    assert_eq!(store.heads(&[MailboxId(2), MailboxId(3)]).await?.len(), 2);
    assert!(begun.elapsed() < PAGE_TIME, "at {rows} rows it took {:?}", begun.elapsed());
    Ok(())
}

/// At this size no reading goes through the tables that grow with the messages, and a page of a mailbox sorts
/// nothing: the index has the order, and the limit ends the walk.
async fn check_plans(store: &Store) -> anyhow::Result<()> {
    for plan in store.explain().await? {
        let grows = |line: &str| line.contains("messages") || line.contains("mailbox_entries");
        let scans = |line: &str| line.contains("Seq Scan") || line.starts_with("SCAN ");
        let scan = plan.text.lines().find(|line| scans(line) && grows(line));
        assert_eq!(scan, None, "{}:\n{}", plan.reading, plan.text);
        let sorts = plan.text.contains("Sort") || plan.text.contains("TEMP B-TREE");
        assert!(!sorts || plan.reading != "a page of a mailbox", "{}", plan.text);
        // Of an edit or a reaction it is asked whether the owner has the message.
        let by_message = plan.text.contains("mailbox_entries_message");
        assert!(by_message || plan.reading != "a page of a mailbox", "{}", plan.text);
    }
    Ok(())
}
