-- The latest messages that a user received and did not read. They are looked for among the latest that they
-- received, and among what is unread: one of the two is short for nearly everybody, and neither is read further than
-- its limit. {0} the user, {1} their mailbox, {2} how many.
SELECT CAST(1 AS BIGINT), c.id, m.id, m.sender_id, m.subject, m.content, m.client_message_id, m.created_at,
       m.attachments, CAST(NULL AS BIGINT), o.id, o.username, o.full_name, o.role
FROM (
    SELECT seq, message_id FROM (
        SELECT seq, message_id, read_at, hidden_at FROM mailbox_entries
        WHERE mailbox_id = {1} AND kind = 1 AND kind <= 2 ORDER BY seq DESC LIMIT 200
    ) latest WHERE read_at IS NULL AND hidden_at IS NULL
    UNION
    SELECT seq, message_id FROM (
        SELECT seq, message_id FROM mailbox_entries
        WHERE mailbox_id = {1} AND kind = 1 AND read_at IS NULL AND hidden_at IS NULL LIMIT 1000
    ) unread
    ORDER BY seq DESC LIMIT {2}
) e JOIN messages m ON m.id = e.message_id
    JOIN conversations c ON c.id = m.conversation_id
    JOIN users o ON o.id = c.user_low + c.user_high - {0}
ORDER BY e.seq DESC
