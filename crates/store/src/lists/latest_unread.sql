-- The latest messages that a user received and did not read. They are looked for among the latest that they
-- received, and among what is unread: one of the two is short for nearly everybody, and neither is read further than
-- its limit. `seq > 0` shows SQLite the index of the first, the order by conversation shows both back ends that of the
-- second. What is unread in a group that the user left was hidden when they did, so it takes nobody's place here.
-- {0} the user, {1} their mailbox, {2} how many.
SELECT CAST(1 AS BIGINT), {shown}
FROM (
    SELECT seq, conversation_id, message_id FROM (
        SELECT seq, conversation_id, message_id, read_at FROM mailbox_entries
        WHERE mailbox_id = {1} AND kind = 1 AND kind <= 2 AND hidden_at IS NULL AND seq > 0
        ORDER BY seq DESC LIMIT 200
    ) latest WHERE read_at IS NULL
    UNION
    SELECT seq, conversation_id, message_id FROM (
        SELECT seq, conversation_id, message_id FROM mailbox_entries
        WHERE mailbox_id = {1} AND kind = 1 AND read_at IS NULL AND hidden_at IS NULL
        ORDER BY mailbox_id, conversation_id LIMIT 1000
    ) unread
    ORDER BY seq DESC LIMIT {2}
) e {messages m} e.message_id {m}
    {conversations c} m.conversation_id {c}
    {users s} m.sender_id {s}
WHERE {seen e}
ORDER BY e.seq DESC
