//! The audit: counts in the store what must never be found. For `doctor` and for tests; it reads every row.

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use crate::error::StoreError;
use crate::store::{Backend, Store};

/// What must hold of the rows, with the query that counts where it does not.
const RULES: &[(&str, &str)] = &[
    (
        // More of them while a fleet is upgraded, or after a later version was taken back without its migrations.
        "an entry is of a kind that this version knows",
        "SELECT count(*) AS n FROM mailbox_entries WHERE kind NOT IN (1, 2, 3, 4, 5, 10, 11, 12)",
    ),
    (
        "a mailbox is gapless: above its floor it has each position up to its last once",
        "SELECT count(*) AS n FROM mailboxes b LEFT JOIN (
             SELECT e.mailbox_id, count(*) AS entries, max(e.seq) AS last
             FROM mailbox_entries e JOIN mailboxes f ON f.id = e.mailbox_id WHERE e.seq > f.floor
             GROUP BY e.mailbox_id
         ) e ON e.mailbox_id = b.id
         WHERE coalesce(e.entries, 0) <> b.last_seq - b.floor OR coalesce(e.last, b.floor) <> b.last_seq",
    ),
    (
        "the unread count is what was received, not read and not deleted",
        "SELECT count(*) AS n FROM mailboxes b WHERE b.unread <> (
             SELECT count(*) FROM mailbox_entries e
             WHERE e.mailbox_id = b.id AND e.kind = 1 AND e.read_at IS NULL AND e.hidden_at IS NULL)",
    ),
    (
        "a message has one entry with its sender and one with its recipient",
        "SELECT count(*) AS n FROM messages m JOIN conversations c ON c.id = m.conversation_id
         WHERE 1 <> (SELECT count(*) FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id
                     WHERE e.message_id = m.id AND e.kind = 2 AND b.owner_id = m.sender_id)
            OR 1 <> (SELECT count(*) FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id
                     WHERE e.message_id = m.id AND e.kind = 1
                     AND b.owner_id = c.user_low + c.user_high - m.sender_id)",
    ),
    (
        "a message that was read is in one entry of its reader and in one receipt of its sender",
        // A list of ids is searched as a text, which both back ends can.
        "SELECT count(*) AS n FROM (
             SELECT e.mailbox_id AS reader, s.id AS sender, m.id, '%,' || m.id || ',%' AS listed
             FROM mailbox_entries e JOIN messages m ON m.id = e.message_id
             JOIN mailboxes b ON b.id = e.mailbox_id JOIN mailboxes s ON s.owner_id = m.sender_id
             WHERE e.kind = 1 AND e.read_at IS NOT NULL AND b.owner_id <> m.sender_id
         ) m
         WHERE 1 <> coalesce(
             nullif((SELECT count(*) FROM mailbox_entries r WHERE r.message_id = m.id AND r.kind = 3
                     AND r.mailbox_id = m.reader AND r.message_ids IS NULL), 0),
             (SELECT count(*) FROM mailbox_entries r WHERE r.kind = 3 AND r.mailbox_id = m.reader
              AND replace(replace(replace(r.message_ids, ' ', ''), '[', ','), ']', ',') LIKE m.listed))
         OR 1 <> coalesce(
             nullif((SELECT count(*) FROM mailbox_entries r WHERE r.message_id = m.id AND r.kind = 4
                     AND r.mailbox_id = m.sender AND r.message_ids IS NULL), 0),
             (SELECT count(*) FROM mailbox_entries r WHERE r.kind = 4 AND r.mailbox_id = m.sender
              AND replace(replace(replace(r.message_ids, ' ', ''), '[', ','), ']', ',') LIKE m.listed))",
    ),
    (
        "a deleted message has no text, no file, no entry that shows it, and one that tells of it a mailbox",
        "SELECT count(*) AS n FROM messages m WHERE m.deleted_at IS NOT NULL AND (
             m.subject <> '' OR m.content <> '' OR m.attachments IS NOT NULL
             OR EXISTS (SELECT 1 FROM attachments a WHERE a.message_id = m.id AND a.removed_at IS NULL)
             OR EXISTS (SELECT 1 FROM mailbox_entries e WHERE e.message_id = m.id AND e.kind <= 2
                        AND e.hidden_at IS NULL)
             OR EXISTS (SELECT 1 FROM mailbox_entries e WHERE e.message_id = m.id AND e.kind <= 2
                        AND 1 <> (SELECT count(*) FROM mailbox_entries d WHERE d.message_id = m.id AND d.kind = 5
                                  AND d.mailbox_id = e.mailbox_id)))",
    ),
    (
        "a message says of its files what they are",
        "SELECT count(*) AS n FROM messages m WHERE (m.attachments IS NULL) = EXISTS (
             SELECT 1 FROM attachments a WHERE a.message_id = m.id AND a.removed_at IS NULL)",
    ),
    (
        "no entry is an orphan",
        "SELECT count(*) AS n FROM mailbox_entries e
         LEFT JOIN messages m ON m.id = e.message_id LEFT JOIN mailboxes b ON b.id = e.mailbox_id
         LEFT JOIN conversations c ON c.id = e.conversation_id
         WHERE (e.message_id IS NOT NULL AND m.id IS NULL) OR b.id IS NULL OR (c.id IS NULL AND e.conversation_id <> 0)",
    ),
    (
        "no message is an orphan",
        "SELECT count(*) AS n FROM messages m
         LEFT JOIN conversations c ON c.id = m.conversation_id
         LEFT JOIN members s ON s.conversation_id = m.conversation_id AND s.user_id = m.sender_id
         WHERE c.id IS NULL OR s.user_id IS NULL",
    ),
    (
        "the messages of a conversation stand in each mailbox in the order of their ids",
        "SELECT count(*) AS n FROM (
             SELECT message_id, lag(message_id) OVER (PARTITION BY mailbox_id, conversation_id ORDER BY seq) AS before
             FROM mailbox_entries WHERE kind IN (1, 2)
         ) pair WHERE before > message_id",
    ),
];

/// One rule and how often it is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What must hold.
    pub rule: &'static str,
    /// Where it does not; 0 is right.
    pub violations: i64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

impl Store {
    /// Counts the violations of each rule. Reads every row, each rule in its own snapshot: let nothing write
    /// meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::with_capacity(RULES.len());
        for (rule, query) in RULES {
            findings.push(Finding { rule, violations: self.count(query).await? });
        }
        Ok(findings)
    }

    /// How many messages there are. Reads every row.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_messages(&self) -> Result<i64, StoreError> {
        self.count("SELECT count(*) AS n FROM messages").await
    }

    /// Without the deadline of ordinary reading.
    async fn count(&self, query: &str) -> Result<i64, StoreError> {
        let query = diesel::sql_query(query);
        let count: Count = match &*self.backend {
            Backend::Postgres(postgres) => query.get_result(&mut postgres.patient().await?).await?,
            Backend::Sqlite(sqlite) => query.get_result(&mut *sqlite.reader().await?).await?,
        };
        Ok(count.n)
    }
}
