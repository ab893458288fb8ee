//! What must hold of the rows, each with the query that counts where it does not. Plain SQL that both back ends take.
//!
//! `kind <= 5` is what the index of the entries by message asks for: SQLite does not infer it.

/// A rule and its query.
type Rule = (&'static str, &'static str);

/// Of mailboxes, and of messages wherever they were sent.
pub(super) const OF_MESSAGES: &[Rule] = &[
    (
        // More of them while a fleet is upgraded, or after a later version was taken back without its migrations.
        "an entry is of a kind that this version knows",
        "SELECT count(*) AS n FROM mailbox_entries WHERE kind NOT BETWEEN 1 AND 14",
    ),
    (
        "an entry has what its kind must have, and nothing else",
        "SELECT count(*) AS n FROM mailbox_entries WHERE kind BETWEEN 1 AND 14 AND (
             (kind <= 7) <> (message_id IS NOT NULL) OR (kind <= 9) <> (conversation_id <> 0)
             OR (actor_id IS NULL AND kind <> 12) OR (detail IS NULL AND kind IN (7, 8, 9, 13, 14))
             OR (is_silent IS NOT NULL AND (kind <> 1 OR read_at IS NULL)))",
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
        "nothing is unread that its owner cannot see",
        "SELECT count(*) AS n FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id
         LEFT JOIN members s ON s.conversation_id = e.conversation_id AND s.user_id = b.owner_id
             AND s.since < e.message_id
         WHERE e.kind = 1 AND e.read_at IS NULL AND e.hidden_at IS NULL AND s.user_id IS NULL",
    ),
    (
        "a message has one entry with its sender, and in a conversation of two one with its recipient",
        "SELECT count(*) AS n FROM messages m JOIN conversations c ON c.id = m.conversation_id
         WHERE 1 <> (SELECT count(*) FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id
                     WHERE e.message_id = m.id AND e.kind <= 5 AND e.kind = 2 AND b.owner_id = m.sender_id)
            OR (c.kind = 1 AND 1 <> (
                SELECT count(*) FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id
                WHERE e.message_id = m.id AND e.kind <= 5 AND e.kind = 1 AND b.owner_id = c.user_low + c.user_high - m.sender_id))",
    ),
    (
        "no mailbox has a message twice, and only that of its sender has it as sent",
        "SELECT (SELECT count(*) FROM (
                     SELECT 1 AS one FROM mailbox_entries WHERE kind <= 2 GROUP BY mailbox_id, message_id, kind
                     HAVING count(*) > 1) twice)
              + (SELECT count(*) FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id
                     JOIN messages m ON m.id = e.message_id JOIN conversations c ON c.id = m.conversation_id
                 WHERE (e.kind = 2 AND b.owner_id <> m.sender_id)
                    OR (e.kind = 1 AND c.kind = 2 AND b.owner_id = m.sender_id)
                    OR (e.kind = 1 AND c.kind = 1 AND b.owner_id <> c.user_low + c.user_high - m.sender_id)) AS n",
    ),
    (
        "a message that was read is in one entry of its reader",
        // A list of ids is searched as a text, which both back ends can.
        "SELECT count(*) AS n FROM (
             SELECT e.mailbox_id AS reader, m.id, '%,' || m.id || ',%' AS listed
             FROM mailbox_entries e JOIN messages m ON m.id = e.message_id JOIN mailboxes b ON b.id = e.mailbox_id
             WHERE e.kind = 1 AND e.read_at IS NOT NULL AND b.owner_id <> m.sender_id
         ) m
         WHERE 1 <> coalesce(
             nullif((SELECT count(*) FROM mailbox_entries r WHERE r.message_id = m.id AND r.kind <= 5 AND r.kind = 3
                     AND r.mailbox_id = m.reader AND r.message_ids IS NULL), 0),
             (SELECT count(*) FROM mailbox_entries r WHERE r.kind = 3 AND r.mailbox_id = m.reader
              AND replace(replace(replace(r.message_ids, ' ', ''), '[', ','), ']', ',') LIKE m.listed))",
    ),
    (
        "a message that was read is in one receipt of its sender: in none if it was read in silence",
        // Nor if its sender had left the group: whether that was so then is known only of who has not left since.
        "SELECT count(*) AS n FROM (
             SELECT m.fewest, m.most, coalesce(
                 nullif((SELECT count(*) FROM mailbox_entries r WHERE r.message_id = m.id AND r.kind <= 5 AND r.kind = 4
                         AND r.mailbox_id = m.sender AND r.actor_id = m.reader AND r.message_ids IS NULL), 0),
                 (SELECT count(*) FROM mailbox_entries r WHERE r.kind = 4 AND r.mailbox_id = m.sender
                  AND r.actor_id = m.reader
                  AND replace(replace(replace(r.message_ids, ' ', ''), '[', ','), ']', ',') LIKE m.listed)) AS found
             FROM (
                 SELECT b.owner_id AS reader, o.id AS sender, m.id, '%,' || m.id || ',%' AS listed,
                        CASE WHEN e.is_silent IS NULL AND s.user_id IS NOT NULL THEN 1 ELSE 0 END AS fewest,
                        CASE WHEN e.is_silent IS NULL THEN 1 ELSE 0 END AS most
                 FROM mailbox_entries e JOIN messages m ON m.id = e.message_id
                 JOIN mailboxes b ON b.id = e.mailbox_id JOIN mailboxes o ON o.owner_id = m.sender_id
                 LEFT JOIN members s ON s.conversation_id = m.conversation_id AND s.user_id = m.sender_id
                     AND s.since < m.id
                 WHERE e.kind = 1 AND e.read_at IS NOT NULL AND b.owner_id <> m.sender_id
             ) m
         ) receipts WHERE found NOT BETWEEN fewest AND most",
    ),
    (
        "a deleted message has no text, no file, no entry that shows it, and one that tells of it for each who had it",
        // Who left its group is not told.
        "SELECT count(*) AS n FROM messages m WHERE m.deleted_at IS NOT NULL AND (
             m.subject <> '' OR m.content <> '' OR m.attachments IS NOT NULL
             OR EXISTS (SELECT 1 FROM attachments a WHERE a.message_id = m.id AND a.removed_at IS NULL)
             OR EXISTS (SELECT 1 FROM mailbox_entries e WHERE e.message_id = m.id AND e.kind <= 5 AND e.kind <= 2
                        AND e.hidden_at IS NULL)
             OR EXISTS (SELECT 1 FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id
                        JOIN members s ON s.conversation_id = m.conversation_id AND s.user_id = b.owner_id
                            AND s.since < m.id
                        WHERE e.message_id = m.id AND e.kind <= 5 AND e.kind <= 2
                        AND 1 <> (SELECT count(*) FROM mailbox_entries d WHERE d.message_id = m.id AND d.kind <= 5 AND d.kind = 5
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
         WHERE c.id IS NULL OR (c.kind = 1 AND s.user_id IS NULL)",
    ),
    (
        "the messages of a conversation stand in each mailbox in the order of their ids",
        "SELECT count(*) AS n FROM (
             SELECT message_id, lag(message_id) OVER (PARTITION BY mailbox_id, conversation_id ORDER BY seq) AS before
             FROM mailbox_entries WHERE kind IN (1, 2)
         ) pair WHERE before > message_id",
    ),
];

/// Of conversations and their members.
pub(super) const OF_GROUPS: &[Rule] = &[
    (
        "a conversation of two has its two members, and a group no pair",
        "SELECT count(*) AS n FROM conversations c WHERE c.kind NOT IN (1, 2)
             OR (c.kind = 1) <> (c.user_low IS NOT NULL AND c.user_high IS NOT NULL)
             OR (c.kind = 1 AND CASE WHEN c.user_low = c.user_high THEN 1 ELSE 2 END <> (
                 SELECT count(*) FROM members s WHERE s.conversation_id = c.id AND s.since = 0
                 AND s.user_id IN (c.user_low, c.user_high)))",
    ),
    (
        "a group has a title, at most 100 members, and an owner if it has any",
        "SELECT count(*) AS n FROM conversations c LEFT JOIN (
             SELECT conversation_id, count(*) AS everybody, sum(role) AS owners FROM members GROUP BY conversation_id
         ) s ON s.conversation_id = c.id
         WHERE c.kind = 2 AND (c.title = '' OR s.everybody > 100 OR s.owners < 1)",
    ),
    (
        "no member is an orphan",
        "SELECT count(*) AS n FROM members s LEFT JOIN conversations c ON c.id = s.conversation_id
         LEFT JOIN mailboxes b ON b.owner_id = s.user_id
         WHERE c.id IS NULL OR b.id IS NULL OR (c.kind = 1 AND s.user_id NOT IN (c.user_low, c.user_high))",
    ),
    (
        "a message of a group was received by each member since before it",
        "SELECT count(*) AS n FROM messages m JOIN conversations c ON c.id = m.conversation_id AND c.kind = 2
         JOIN members s ON s.conversation_id = m.conversation_id AND s.since < m.id AND s.user_id <> m.sender_id
         JOIN mailboxes b ON b.owner_id = s.user_id
         WHERE 1 <> (SELECT count(*) FROM mailbox_entries e
                     WHERE e.message_id = m.id AND e.mailbox_id = b.id AND e.kind <= 5 AND e.kind = 1)",
    ),
    (
        "what a mailbox has of a group stands after its owner joined, and not after they left",
        // Below its floor the entry that says so may be gone.
        "SELECT count(*) AS n FROM (
             SELECT b.floor, e.seq,
                    max(CASE WHEN e.kind = 8 AND e.detail LIKE '{\"change\":\"joined\",%' THEN e.seq END) OVER log AS joined,
                    max(CASE WHEN e.kind = 8 AND e.detail = '{\"change\":\"removed\",\"user_id\":' || b.owner_id || '}'
                             THEN e.seq END) OVER log AS gone
             FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id
             JOIN conversations c ON c.id = e.conversation_id AND c.kind = 2
             WHERE e.kind IN (1, 2, 6, 7, 8, 9)
             WINDOW log AS (PARTITION BY e.mailbox_id, e.conversation_id ORDER BY e.seq)
         ) e WHERE (joined IS NULL AND floor = 0) OR (gone > joined AND gone <> seq)",
    ),
    (
        "who joined a group and did not leave it is its member, and nobody else",
        "SELECT (SELECT count(*) FROM (
                     SELECT e.conversation_id, b.owner_id,
                            max(CASE WHEN e.detail LIKE '{\"change\":\"joined\",%' THEN e.seq END) AS joined,
                            max(CASE WHEN e.detail = '{\"change\":\"removed\",\"user_id\":' || b.owner_id || '}'
                                     THEN e.seq ELSE 0 END) AS gone
                     FROM mailbox_entries e JOIN mailboxes b ON b.id = e.mailbox_id
                     WHERE e.kind = 8 GROUP BY e.conversation_id, b.owner_id
                 ) e LEFT JOIN members s ON s.conversation_id = e.conversation_id AND s.user_id = e.owner_id
                 WHERE (e.joined > e.gone) <> (s.user_id IS NOT NULL))
              + (SELECT count(*) FROM members s JOIN conversations c ON c.id = s.conversation_id AND c.kind = 2
                     JOIN mailboxes b ON b.owner_id = s.user_id AND b.floor = 0
                     LEFT JOIN (SELECT DISTINCT mailbox_id, conversation_id FROM mailbox_entries WHERE kind = 8) e
                         ON e.mailbox_id = b.id AND e.conversation_id = c.id
                 WHERE e.mailbox_id IS NULL) AS n",
    ),
    (
        "a message of a group tells how many have read it, but for those who do so in silence",
        // Once its sender has left, nobody counts.
        "SELECT count(*) AS n FROM (
             SELECT m.read_count, c.kind, s.user_id AS sender, (
                 SELECT count(*) FROM mailbox_entries e
                 WHERE e.message_id = m.id AND e.kind <= 5 AND e.kind = 1 AND e.read_at IS NOT NULL AND e.is_silent IS NULL) AS readers
             FROM messages m JOIN conversations c ON c.id = m.conversation_id
             LEFT JOIN members s ON s.conversation_id = m.conversation_id AND s.user_id = m.sender_id AND s.since < m.id
         ) m
         WHERE (kind = 1 AND read_count <> 0)
            OR (kind = 2 AND (read_count > readers OR (sender IS NOT NULL AND read_count < readers)))",
    ),
];

/// Of what stands beside messages, and beside users.
pub(super) const OF_WHAT_STANDS_BESIDE: &[Rule] = &[
    (
        "a reaction is to a message that is there and was not deleted",
        "SELECT count(*) AS n FROM reactions r LEFT JOIN messages m ON m.id = r.message_id
         WHERE m.id IS NULL OR m.deleted_at IS NOT NULL",
    ),
    (
        "what is kept of a text before is of a message that was edited and not deleted",
        "SELECT count(*) AS n FROM message_versions v LEFT JOIN messages m ON m.id = v.message_id
         WHERE m.id IS NULL OR m.deleted_at IS NOT NULL OR m.edited_at IS NULL OR v.edited_at > m.edited_at",
    ),
    (
        "of a message no more than 100 texts before are kept",
        "SELECT count(*) AS n FROM (SELECT 1 AS one FROM message_versions GROUP BY message_id HAVING count(*) > 100) v",
    ),
    (
        "nobody blocks themselves, or somebody who is not there",
        "SELECT count(*) AS n FROM blocks k LEFT JOIN users a ON a.id = k.blocker_id LEFT JOIN users b ON b.id = k.blocked_id
         WHERE a.id IS NULL OR b.id IS NULL OR a.id = b.id",
    ),
];
